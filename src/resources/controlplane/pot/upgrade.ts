/**
 * What earlier releases of the PoT operator left that has to go, and what Roles of older tools lack.
 *
 * Everything else that they left under other names stays for the way back: it harms nobody.
 */

import { Deployment, StatefulSet } from "../../../kubernetes/generated/apps_v1.ts";
import { Secret, ServiceAccount } from "../../../kubernetes/generated/core_v1.ts";
import { Ingress } from "../../../kubernetes/generated/networking_v1.ts";
import { Role, RoleBinding } from "../../../kubernetes/generated/rbac_v1.ts";
import { type Child, isDenied, type Retired } from "../../../operator/definition.ts";
import { describeChild } from "../../../operator/write.ts";
import { applied } from "../../child.ts";
import { metaOf, type Surroundings } from "../component.ts";
import { INGRESS, VAULT_SECRET } from "./controller.ts";
import type { Inputs } from "./inputs.ts";
import { natsChildren } from "./nats.ts";

/** The Port Manager, whose proxies no Controller since 3.5 knows. */
const PORT_MANAGER = "port-manager";

/** What was dropped in 3.5. */
export const retiredObjects: readonly Retired[] = [Deployment, RoleBinding, Role, ServiceAccount]
  .map((resource) => ({ resource, name: PORT_MANAGER, why: "no longer needed since PoT 3.5" }));

/**
 * What the spec asked for once and does not now: the Go operator leaves NATS running when that is disabled, and the
 * Ingress and the Secret of the vault where they are. None of it has our mark, so nothing else would delete it.
 *
 * @param children What should be.
 */
export function leftBehind(inputs: Inputs, children: readonly Child[]): readonly Retired[] {
  const { nats } = inputs.spec;
  const disabled = nats.enabled
    ? []
    : natsChildren({ ...inputs, spec: { ...inputs.spec, nats: { ...nats, enabled: true } } });
  const kept = new Set(children.map(describeChild));
  return [
    ...disabled.flatMap((child) =>
      child.type === "external" ? [] : [{ resource: child.resource, name: child.object.metadata.name }]
    ),
    { resource: Ingress, name: INGRESS },
    { resource: Secret, name: VAULT_SECRET },
  ].filter(({ name, resource }) => !kept.has(`${resource.kind} ${name}`))
    .map((each) => ({ ...each, why: "no longer wanted" }));
}

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
