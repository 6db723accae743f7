/**
 * The `iofog.org/v3` ControlPlane as the engine knows it: what it is called, what it owns, and the pure functions that
 * say what should be and how that is told.
 */

import { Deployment } from "../../../kubernetes/generated/apps_v1.ts";
import {
  ConfigMap,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
  ServiceAccount,
} from "../../../kubernetes/generated/core_v1.ts";
import { NetworkPolicy } from "../../../kubernetes/generated/networking_v1.ts";
import { PodDisruptionBudget } from "../../../kubernetes/generated/policy_v1.ts";
import { Role, RoleBinding } from "../../../kubernetes/generated/rbac_v1.ts";
import type { KubeObject, Resource } from "../../../kubernetes/resource.ts";
import type { Definition, Parent } from "../../../operator/definition.ts";
import { CONTROLLER } from "./controller.ts";
import { PORT_MANAGER } from "./port_manager.ts";
import { ROUTER } from "./router.ts";
import { controlPlaneSchema, parseSpec } from "./schema.ts";
import { structural } from "../../structural_schema.ts";
import { inventoryName } from "../inventory.ts";
import { desired, secretNames } from "./desired.ts";
import type { Images, SiteImages } from "./images.ts";
import { decodePassword } from "./password.ts";
import { secretValuesIn } from "../references.ts";
import { referencedKeys } from "./references.ts";
import { inTermsOfSpec } from "./refusals.ts";
import { ControlPlane } from "./resource.ts";
import { status } from "./status.ts";

export { ControlPlane };
/** Keys of Secrets whose values nobody may see; the others (names, addresses, certificates) may be told. */
const secretKeys: ReadonlySet<string> = new Set(["password", "proxy-broker-token", "tls.key"]);

/**
 * The definition.
 *
 * @param site Images of this site, for what a spec leaves open.
 * @param images For what both leave open.
 */
export function controlPlaneDefinition(site?: SiteImages, images?: Images): Definition {
  return {
    resource: ControlPlane,
    // The Go operator's, so that a swap never has two writers.
    leaseName: "44586fd0.iofog.org",
    childResources: [
      ServiceAccount,
      Role,
      RoleBinding,
      Secret,
      ConfigMap,
      PersistentVolumeClaim,
      Service,
      Deployment,
      PodDisruptionBudget,
      NetworkPolicy,
    ],
    optional: [PodDisruptionBudget, NetworkPolicy],
    observedResources: [{
      resource: Pod,
      labelSelector: `name in (${CONTROLLER},${ROUTER},${PORT_MANAGER})`,
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
    desired: (context) => desired(context, images, site),
    status: (context) => status(context, images, site),
  };
}

function secretsIn(resource: Resource, object: KubeObject, parents: readonly Parent[]): readonly string[] {
  if (resource.kind === "Secret") {
    return secretValuesIn(
      object as Secret,
      (key) => secretKeys.has(key),
      (name) => parents.flatMap((parent) => namedKeys(parent, name)),
      (value) => [value, decodePassword(value)],
    );
  }
  if (resource.kind !== "ControlPlane") return [];
  const { user, database, controller } = ((object as { spec?: unknown }).spec ?? {}) as {
    user?: { password?: unknown };
    database?: { password?: unknown };
    controller?: { proxyBrokerToken?: unknown };
  };
  return [user?.password, database?.password, controller?.proxyBrokerToken]
    .filter((value) => typeof value === "string")
    .flatMap((value) => [value, decodePassword(value)]);
}

/** Keys of the Secret `name` from which `parent` takes a secret value. */
function namedKeys(parent: Parent, name: string): readonly string[] {
  const parsed = parseSpec(parent.spec);
  return "spec" in parsed ? referencedKeys(parsed.spec, name) : [];
}
