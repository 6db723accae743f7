/** `iofog-operator crds`: prints the CRDs of this version, for `kubectl apply -f -`. */

import { stringify } from "@std/yaml";
import { allCrds } from "../resources/all_crds.ts";

/** The YAML documents. */
export function crds(): string {
  return allCrds().map(({ crd }) => `---\n${stringify(crd)}`).join("");
}
