/**
 * What releases of the PoT operator before 3.7 left that has to go, and what Roles of older tools lack.
 *
 * Everything else that they left under other names stays for the way back: it harms nobody.
 */

import { Deployment, StatefulSet } from "../../../kubernetes/generated/apps_v1.ts";
import { ServiceAccount } from "../../../kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../../kubernetes/generated/rbac_v1.ts";
import { type Child, isDenied, type Retired } from "../../../operator/definition.ts";
import { applied } from "../../child.ts";
import { metaOf, type Surroundings } from "../component.ts";

/** The Port Manager, whose proxies no Controller since 3.5 knows. */
const PORT_MANAGER = "port-manager";

/** What was dropped in 3.5. */
export const retiredObjects: readonly Retired[] = [Deployment, RoleBinding, Role, ServiceAccount]
  .map((resource) => ({ resource, name: PORT_MANAGER, why: "no longer needed since PoT 3.5" }));

/** Name of the Role and RoleBinding that give the operator what its own Role lacks. */
export const OWN_ROLE = "iofog-operator-statefulsets";

/**
 * The right to StatefulSets, where the operator's own Role lacks it: potctl before 1.6 made that without, and no later
 * one mends it. Kept once made, since without it the right would be gone again.
 *
 * @param serviceAccount The operator's; undefined where it is none of this namespace, which then cannot be helped.
 */
export function ownPermissions(surroundings: Surroundings, serviceAccount: string | undefined): Child[] {
  const { namespace, snapshot } = surroundings;
  const denied = isDenied(snapshot.kind(StatefulSet));
  if (serviceAccount === undefined || (!denied && snapshot.get(Role, OWN_ROLE) === undefined)) return [];
  const metadata = metaOf(surroundings, OWN_ROLE);
  return [
    applied(Role, metadata, {
      rules: [{ apiGroups: ["apps"], resources: ["statefulsets"], verbs: ["*"] }],
    }),
    applied(RoleBinding, metadata, {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: OWN_ROLE },
      subjects: [{ kind: "ServiceAccount", name: serviceAccount, namespace }],
    }),
  ];
}
