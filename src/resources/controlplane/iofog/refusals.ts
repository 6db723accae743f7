/**
 * What the API server says against a child, told in terms of the spec: people know its fields, and not those of the
 * children that they end up in.
 */

import type { Failure } from "../../../operator/definition.ts";
import { claimInTermsOfSpec } from "../claim.ts";
import { inTermsOfSettings } from "../../pods.ts";

/** Fields of the spec about the pods of each Deployment. */
const SETTINGS: Readonly<Record<string, string>> = {
  "Deployment controller": "spec.pods.controller",
  "Deployment router": "spec.pods.router",
  "Deployment port-manager": "spec.pods.portManager",
};

/** The failure with the fields of the spec in its message; any other comes back as it is. */
export function inTermsOfSpec(failure: Failure): Failure {
  const settings = SETTINGS[failure.object];
  if (settings !== undefined) return { ...failure, message: inTermsOfSettings(failure.message, settings) };
  return failure.object === "PersistentVolumeClaim controller-sqlite"
    ? claimInTermsOfSpec(failure, "spec.storage.size")
    : failure;
}
