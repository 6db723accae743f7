/** The custom resource `datasance.com/v3` ControlPlane, as the API server knows it. */

import type { Resource } from "../../../kubernetes/resource.ts";

/** `controlplanes.datasance.com`. */
export const PotControlPlane: Resource = {
  group: "datasance.com",
  version: "v3",
  kind: "ControlPlane",
  plural: "controlplanes",
  namespaced: true,
};
