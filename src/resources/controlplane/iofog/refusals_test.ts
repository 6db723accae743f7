import { assertEquals } from "@std/assert";
import { inTermsOfSpec } from "./refusals.ts";

const told = (object: string, message: string) =>
  inTermsOfSpec({ object, reason: "Rejected", message }).message;

Deno.test("inTermsOfSpec() names the fields of the spec, and leaves all else as it is", () => {
  assertEquals(
    told(
      "Deployment port-manager",
      'Deployment.apps "port-manager" is invalid: [spec.template.spec.containers[0].resources.requests: Invalid value: ' +
        '"2": must be less than or equal to cpu limit of 1, spec.template.spec.securityContext.runAsUser: Invalid]',
    ),
    'Deployment.apps "port-manager" is invalid: [spec.pods.portManager.resources.requests: Invalid value: "2": must be ' +
      "less than or equal to cpu limit of 1, spec.pods.portManager.podSecurityContext.runAsUser: Invalid]",
  );
  assertEquals(
    told("PersistentVolumeClaim controller-sqlite", "only dynamically provisioned pvc can be resized"),
    "spec.storage.size cannot be reached, since the claim's storage class does not let it grow: set it back, or set " +
      "allowVolumeExpansion in the class (only dynamically provisioned pvc can be resized)",
  );
  assertEquals(told("Service router", "spec.template.spec.affinity"), "spec.template.spec.affinity");
});
