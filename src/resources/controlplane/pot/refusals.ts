/** What the API server says against a child of a PoT control plane, told in terms of its spec. */

import type { Failure } from "../../../operator/definition.ts";
import { claimInTermsOfSpec } from "../claim.ts";
import { inTermsOfSettings } from "../../pods.ts";

/** Fields of the spec about the pods of each workload. */
const SETTINGS: Readonly<Record<string, string>> = {
  "Deployment controller": "spec.pods.controller",
  "Deployment router": "spec.pods.router",
  "StatefulSet nats": "spec.pods.nats",
};

/** The failure with the fields of the spec in its message; any other comes back as it is. */
export function inTermsOfSpec(failure: Failure): Failure {
  const settings = SETTINGS[failure.object];
  if (settings !== undefined) return { ...failure, message: inTermsOfSettings(failure.message, settings) };
  if (failure.object === "Ingress pot-controller") {
    const message = failure.message
      .replace(/\bspec\.rules\[0\]\.host\b/g, "spec.ingresses.controller.host")
      .replace(/\bspec\.tls\[0\]\.hosts\[0\]/g, "spec.ingresses.controller.host")
      .replace(/\bspec\.tls\[0\]\.secretName\b/g, "spec.ingresses.controller.secretName")
      .replace(/\bspec\.ingressClassName\b/g, "spec.ingresses.controller.ingressClassName")
      .replace(/\bmetadata\.annotations\b/g, "spec.ingresses.controller.annotations");
    if (message.includes("spec.ingresses.")) return { ...failure, message };
    // What ingress controllers say, and policies: Kubernetes itself does not mind.
    const remedy = /\bhost\b/i.test(message) && /\balready\b|\btaken\b|\bin use\b/i.test(message)
      ? ": choose another host in spec.ingresses.controller.host, or remove it there"
      : "; see spec.ingresses.controller";
    return { ...failure, message: `${message}${remedy}` };
  }
  if (/^PersistentVolumeClaim js-data-nats-\d+$/.test(failure.object)) {
    return claimInTermsOfSpec(failure, "spec.nats.jetStream.storageSize");
  }
  return failure.object === "PersistentVolumeClaim controller-sqlite"
    ? claimInTermsOfSpec(failure, "spec.storage.size")
    : failure;
}
