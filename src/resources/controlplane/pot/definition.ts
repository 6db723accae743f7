/**
 * The `datasance.com/v3` ControlPlane as the engine knows it: what it is called, what it owns, and the pure functions
 * that say what should be and how that is told.
 */

import { Deployment, StatefulSet } from "../../../kubernetes/generated/apps_v1.ts";
import {
  ConfigMap,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
  ServiceAccount,
} from "../../../kubernetes/generated/core_v1.ts";
import { Ingress, NetworkPolicy } from "../../../kubernetes/generated/networking_v1.ts";
import { PodDisruptionBudget } from "../../../kubernetes/generated/policy_v1.ts";
import { Role, RoleBinding } from "../../../kubernetes/generated/rbac_v1.ts";
import type { KubeObject, Resource } from "../../../kubernetes/resource.ts";
import type { Definition, Parent } from "../../../operator/definition.ts";
import { structural } from "../../structural_schema.ts";
import { inventoryName } from "../inventory.ts";
import { secretValuesIn } from "../references.ts";
import { desired, secretNames } from "./desired.ts";
import type { Images, SiteImages } from "./images.ts";
import { Certificate } from "./issued.ts";
import { natsSecretKeys } from "./nats.ts";
import { referencedKeys } from "./references.ts";
import { inTermsOfSpec } from "./refusals.ts";
import { controlPlaneSchema, parseSpec } from "./schema.ts";
import { PotControlPlane } from "./resource.ts";
import { status } from "./status.ts";

export { PotControlPlane };
/** Keys of Secrets whose values nobody may see; the others (names, addresses, certificates) may be told. */
const secretKeys: ReadonlySet<string> = new Set([
  "password",
  "auth-controller-client-secret",
  "tls.key",
  "token",
  "accessKey",
  "clientSecret",
  "credentials",
  ...natsSecretKeys,
]);

/**
 * The definition.
 *
 * @param site Images of this site, for what a spec leaves open.
 * @param images For what both leave open.
 * @param serviceAccount The operator's own in the namespace, where it has one: who gets the rights that its Role lacks.
 */
export function potDefinition(site?: SiteImages, images?: Images, serviceAccount?: string): Definition {
  return {
    resource: PotControlPlane,
    // That of the Go operator since 3.5, so that a swap never has two writers.
    leaseName: "pot.datasance",
    childResources: [
      ServiceAccount,
      Role,
      RoleBinding,
      Secret,
      ConfigMap,
      PersistentVolumeClaim,
      Service,
      Ingress,
      Deployment,
      StatefulSet,
      PodDisruptionBudget,
      NetworkPolicy,
      Certificate,
    ],
    // Roles of potctl before 1.6 have no StatefulSets; those of ioFog no Ingresses either.
    optional: [PodDisruptionBudget, NetworkPolicy, Ingress, StatefulSet, Certificate],
    observedResources: [{
      resource: Pod,
      labelSelector: "datasance.com/component in (controller,router,nats)",
    }],
    neverPruned: [PersistentVolumeClaim],
    secretNames,
    systemName: "Controller",
    inventoryName,
    // Takes a while to make, and nothing needs it before the first pass.
    get crdSchema() {
      return structural(controlPlaneSchema);
    },
    singleton: true,
    secretsIn,
    inTermsOfSpec,
    desired: (context) => desired(context, images, site, serviceAccount),
    status: (context) => status(context, images, site),
  };
}

function secretsIn(resource: Resource, object: KubeObject, parents: readonly Parent[]): readonly string[] {
  if (resource.kind === "Secret") {
    return secretValuesIn(
      object as Secret,
      (key) => secretKeys.has(key),
      (name) => parents.flatMap((parent) => namedKeys(parent, name)),
    );
  }
  if (resource.kind !== "ControlPlane") return [];
  const { auth, database, vault } = ((object as { spec?: unknown }).spec ?? {}) as {
    auth?: { controllerSecret?: unknown };
    database?: { password?: unknown };
    vault?: Record<string, Record<string, unknown> | undefined>;
  };
  const values = [
    auth?.controllerSecret,
    database?.password,
    vault?.["hashicorp"]?.["token"],
    vault?.["aws"]?.["accessKey"],
    vault?.["azure"]?.["clientSecret"],
    vault?.["google"]?.["credentials"],
  ];
  return values.filter((value) => typeof value === "string" && value !== "") as string[];
}

/** Keys of the Secret `name` from which `parent` takes a secret value. */
function namedKeys(parent: Parent, name: string): readonly string[] {
  const parsed = parseSpec(parent.spec);
  return "spec" in parsed ? referencedKeys(parsed.spec, name) : [];
}
