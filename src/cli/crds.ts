/** `iofog-operator crds`: prints the CRDs of this version, for `kubectl apply -f -`. */

import { stringify } from "@std/yaml";
import { controlPlaneCrd } from "../resources/crd.ts";

/** The YAML documents. */
export function crds(): string {
  return [controlPlaneCrd()].map((crd) => `---\n${stringify(crd)}`).join("");
}
