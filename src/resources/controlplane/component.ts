/**
 * What the three components of a control plane have in common: what they are built from, and the objects that differ
 * only in a name.
 *
 * Names, labels, selectors and ports are a contract with the CLIs, the Port Manager and existing clusters (selectors
 * cannot be changed); they are those of ioFog operator 3.2.0.
 */

import type { Child, Snapshot } from "../../operator/definition.ts";
import { applied, type ChildMeta } from "../child.ts";
import type { DeploymentStrategy } from "../../kubernetes/generated/apps_v1.ts";
import { type EnvVar, Service, ServiceAccount } from "../../kubernetes/generated/core_v1.ts";
import { PodDisruptionBudget } from "../../kubernetes/generated/policy_v1.ts";
import { type PolicyRule, Role, RoleBinding } from "../../kubernetes/generated/rbac_v1.ts";
import type { Images } from "./iofog/images.ts";
import type { ControlPlaneSpec, ServiceType } from "./iofog/schema.ts";

/** All that a component is built from. */
export interface Inputs {
  readonly namespace: string;
  /** Of the custom resource. */
  readonly uid: string;
  readonly spec: ControlPlaneSpec;
  /** Images for what the spec leaves open. */
  readonly images: Images;
  readonly snapshot: Snapshot;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Another text whenever the user's password may be another. */
  readonly passwordVersion: string;
  /** Whether the Controller accepted the password of this very version. */
  readonly passwordProved: boolean;
}

/** Something that is not there yet: what waits for it, why, and what to do. */
export interface Waiting {
  /** `controller`, `router` or `port-manager`. */
  readonly component: string;
  /** A constant of `reasons.ts`. */
  readonly reason: string;
  readonly message: string;
}

/** Something that a person should know and that stops nothing. */
export interface Warning {
  /** A constant of `reasons.ts`. */
  readonly reason: string;
  readonly message: string;
}

/** Metadata of a child with a fixed name. */
export function metaOf(inputs: Inputs, name: string, labels?: Readonly<Record<string, string>>): ChildMeta {
  return { name, namespace: inputs.namespace, ...(labels && { labels: { ...labels } }) };
}

/** The identity of a component's pods, with the Secret to pull images with. */
export function serviceAccount(inputs: Inputs, name: string): Child {
  const { pullSecret } = inputs.spec.images;
  return applied(
    ServiceAccount,
    metaOf(inputs, name),
    pullSecret === undefined ? {} : { imagePullSecrets: [{ name: pullSecret }] },
  );
}

/** A Role, and its binding to the ServiceAccount of the same name. */
export function permissions(inputs: Inputs, name: string, rules: PolicyRule[]): Child[] {
  return [
    applied(Role, metaOf(inputs, name), { rules }),
    applied(RoleBinding, metaOf(inputs, name), {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name }],
    }),
  ];
}

/** A port of a Service: where it listens, and where that leads to in the pod. */
export interface ServicePort {
  readonly port: number;
  readonly targetPort: number;
}

/** A Service whose ports are named `<name>0`, `<name>1`, ... */
export function service(
  inputs: Inputs,
  name: string,
  labels: Readonly<Record<string, string>>,
  exposure: { readonly type: ServiceType; readonly address?: string | undefined },
  ports: readonly ServicePort[],
): Child {
  const loadBalanced = exposure.type === "LoadBalancer";
  return applied(Service, metaOf(inputs, name, labels), {
    spec: {
      type: exposure.type,
      ...(loadBalanced && { externalTrafficPolicy: "Local" }),
      ...(loadBalanced && exposure.address !== undefined && { loadBalancerIP: exposure.address }),
      selector: { ...labels },
      ports: ports.map((port, index) => ({ name: `${name}${index}`, protocol: "TCP" as const, ...port })),
    },
  });
}

/**
 * The budget of a component's pods, if the spec asks for any: one of them may be evicted at a time. A single pod may
 * be, too, or no node could be drained.
 */
export function disruptionBudget(inputs: Inputs, name: string): Child[] {
  if (!inputs.spec.podDisruptionBudgets.enabled) return [];
  return [
    applied(PodDisruptionBudget, metaOf(inputs, name), {
      spec: { maxUnavailable: 1, selector: { matchLabels: { name } } },
    }),
  ];
}

/** The address that the cloud gave to a LoadBalancer Service: its host name, else its IP address. */
export function loadBalancerAddress(snapshot: Snapshot, name: string): string | undefined {
  const ingress = snapshot.get(Service, name)?.status?.loadBalancer?.ingress?.[0];
  return ingress?.hostname || ingress?.ip || undefined;
}

/** An entry of a container's environment; nothing when there is no value. */
export function env(name: string, value: string | undefined): readonly EnvVar[] {
  return value === undefined ? [] : [{ name, value }];
}

export function envFromSecret(name: string, secret: string, key: string): EnvVar {
  return { name, valueFrom: { secretKeyRef: { name: secret, key } } };
}

export function envFromField(name: string, fieldPath: string): EnvVar {
  return { name, valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } } };
}

/** The strategies of the component's Deployments. */
export const rollingUpdate: DeploymentStrategy = {
  type: "RollingUpdate",
  rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
};
export const recreate: DeploymentStrategy = { type: "Recreate" };
/** Has to go before a Deployment can become `recreate`: the API server refuses both, and its default is nobody's. */
export const rollingUpdateField = ["spec", "strategy", "rollingUpdate"] as const;
