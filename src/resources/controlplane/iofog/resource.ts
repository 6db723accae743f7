/** The custom resource `iofog.org/v3` ControlPlane, as the API server knows it. */

import type { Resource } from "../../../kubernetes/resource.ts";

/** `controlplanes.iofog.org`. */
export const ControlPlane: Resource = {
  group: "iofog.org",
  version: "v3",
  kind: "ControlPlane",
  plural: "controlplanes",
  namespaced: true,
};
