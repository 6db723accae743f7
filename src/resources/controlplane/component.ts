/**
 * What the components of a control plane of either flavour have in common: what they are built from, and the objects
 * that differ only in a name.
 *
 * Names, labels, selectors and ports are a contract with the CLIs, with what the Controllers make, and with existing
 * clusters (selectors cannot be changed): each flavour gives its own.
 */

import type { Child, Snapshot } from "../../operator/definition.ts";
import { applied, type ChildMeta } from "../child.ts";
import type { DeploymentStrategy } from "../../kubernetes/generated/apps_v1.ts";
import { type EnvVar, Service, ServiceAccount } from "../../kubernetes/generated/core_v1.ts";
import { PodDisruptionBudget } from "../../kubernetes/generated/policy_v1.ts";
import { type PolicyRule, Role, RoleBinding } from "../../kubernetes/generated/rbac_v1.ts";
import type { ServiceType } from "./fields.ts";
import * as reasons from "./reasons.ts";

/** What a component of either flavour is built from; each adds its spec and its images. */
export interface Surroundings {
  /** Of the custom resource. */
  readonly name: string;
  readonly namespace: string;
  /** Of the custom resource. */
  readonly uid: string;
  readonly snapshot: Snapshot;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Labels of an object, or of pods and so the selector of what selects them. */
export type Labels = Readonly<Record<string, string>>;

/** Something that is not there yet: what waits for it, why, and what to do. */
export interface Waiting {
  /** Such as `controller` or `router`. */
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

/** Tells of fields that nothing reads. */
export function unknownFieldsWarning(fields: readonly string[]): Warning[] {
  if (fields.length === 0) return [];
  return [{
    reason: reasons.UNKNOWN_FIELDS,
    message:
      `not known and not used: ${fields.slice(0, 10).join(", ")}${
        fields.length > 10 ? ", ..." : ""
      }. Correct or ` +
      "remove them",
  }];
}

/** Metadata of a child with a fixed name. */
export function metaOf({ namespace }: Surroundings, name: string, labels?: Labels): ChildMeta {
  return { name, namespace, ...(labels && { labels: { ...labels } }) };
}

/** The identity of a component's pods, with the Secret to pull images with. */
export function serviceAccount(
  inputs: Surroundings,
  name: string,
  { labels, pullSecret }: { readonly labels?: Labels; readonly pullSecret?: string | undefined },
): Child {
  return applied(
    ServiceAccount,
    metaOf(inputs, name, labels),
    pullSecret === undefined ? {} : { imagePullSecrets: [{ name: pullSecret }] },
  );
}

/** A Role, and its binding to the ServiceAccount of the same name. */
export function permissions(
  inputs: Surroundings,
  name: string,
  rules: PolicyRule[],
  labels?: Labels,
): Child[] {
  return [
    applied(Role, metaOf(inputs, name, labels), { rules }),
    applied(RoleBinding, metaOf(inputs, name, labels), {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name }],
    }),
  ];
}

/** A port of a Service: what it is called, where it listens, and where that leads to in the pod. */
export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly targetPort: number;
}

/** How a Service is reached. */
export interface Exposure {
  readonly type: ServiceType;
  /** Address to ask of the cloud. */
  readonly address?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** @default `Local` with a LoadBalancer, and the API server's for the others */
  readonly externalTrafficPolicy?: "Local" | "Cluster" | undefined;
}

/** A Service in front of the pods with `labels`, which it carries itself. */
export function service(
  inputs: Surroundings,
  name: string,
  labels: Labels,
  { address, annotations, externalTrafficPolicy, type }: Exposure,
  ports: readonly ServicePort[],
): Child {
  const loadBalanced = type === "LoadBalancer";
  const policy = type === "ClusterIP"
    ? undefined
    : externalTrafficPolicy ?? (loadBalanced ? "Local" : undefined);
  const metadata = {
    ...metaOf(inputs, name, labels),
    ...(Object.keys(annotations ?? {}).length > 0 && { annotations: { ...annotations } }),
  };
  return applied(Service, metadata, {
    spec: {
      type,
      ...(policy !== undefined && { externalTrafficPolicy: policy }),
      ...(loadBalanced && address !== undefined && { loadBalancerIP: address }),
      selector: { ...labels },
      ports: ports.map((port) => ({ protocol: "TCP" as const, ...port })),
    },
  });
}

/**
 * The budget of a component's pods, if the spec asks for any: one of them may be evicted at a time. A single pod may
 * be, too, or no node could be drained.
 */
export function disruptionBudget(
  inputs: Surroundings & { readonly spec: { readonly podDisruptionBudgets: { readonly enabled: boolean } } },
  name: string,
  selector: Labels,
  labels?: Labels,
): Child[] {
  if (!inputs.spec.podDisruptionBudgets.enabled) return [];
  return [
    applied(PodDisruptionBudget, metaOf(inputs, name, labels), {
      spec: { maxUnavailable: 1, selector: { matchLabels: { ...selector } } },
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
