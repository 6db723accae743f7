/**
 * What tests of this folder start from: a valid spec, and a snapshot made of plain objects.
 */

import type {
  Child,
  DesiredContext,
  ExternalChild,
  ExternalState,
  GeneratedChild,
  KindState,
  Parent,
  Snapshot,
} from "../../../operator/definition.ts";
import { apiVersionOf, type KubeObject } from "../../../kubernetes/resource.ts";

export const NAMESPACE = "iofog";
/** 2026-01-01T00:00:00Z. */
export const NOW = 1767225600000;

/** The password `Fake-Pass-1234`, as iofogctl writes it. */
export const user = {
  name: "Fake",
  surname: "Admin",
  email: "admin@example.com",
  password: "RmFrZS1QYXNzLTEyMzQ=",
};

/** A ControlPlane at generation 1. */
export function parentOf(spec: unknown): Parent {
  return {
    apiVersion: "iofog.org/v3",
    kind: "ControlPlane",
    metadata: { name: "iofog", namespace: NAMESPACE, uid: "parent-uid", generation: 1 },
    spec,
  };
}

/** A complete snapshot of `objects`, with nothing observed in the Controller but `facts`. */
export function snapshotOf(
  objects: readonly KubeObject[] = [],
  facts: Readonly<Record<string, string>> = {},
): Snapshot {
  const external: ExternalState = { phase: "observed", objects: [], facts };
  const synced: KindState = { phase: "synced" };
  const list: Snapshot["list"] = (resource) =>
    objects.filter((object) =>
      object.kind === resource.kind && object.apiVersion === apiVersionOf(resource)
    ) as never;
  return {
    list,
    get: (resource, name) => list(resource).find((object) => object.metadata?.name === name),
    byUid: (resource, uid) => list(resource).find((object) => object.metadata?.uid === uid),
    ownedBy: (resource, parentUid) =>
      list(resource).filter((object) => object.metadata?.annotations?.["iofog.org/owner-uid"] === parentUid),
    kind: () => synced,
    external: () => external,
  };
}

export function contextOf(spec: unknown, snapshot: Snapshot = snapshotOf(), now = NOW): DesiredContext {
  return { parent: parentOf(spec), snapshot, now };
}

/** A live Secret; `values` are plain text. */
export function secretOf(
  name: string,
  values: Readonly<Record<string, string | undefined>>,
  annotations: Record<string, string> = {},
): KubeObject {
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, btoa(value ?? "")]));
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace: NAMESPACE, annotations },
    data,
  } as KubeObject;
}

/** A live Service with what the cloud wrote into its status. */
export function serviceOf(name: string, ingress: Readonly<Record<string, string>>): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: NAMESPACE },
    status: { loadBalancer: { ingress: [ingress] } },
  } as KubeObject;
}

/** `Kind name` of a child. */
export function childName(child: Child): string {
  return child.type === "external"
    ? `${child.kind} ${child.name}`
    : `${child.object.kind} ${child.object.metadata.name}`;
}

/** The object that is desired in Kubernetes as loose JSON; throws where there is none. */
// deno-lint-ignore no-explicit-any -- tests reach deep into manifests.
export function objectOf(children: readonly Child[], name: string): any {
  const child = children.find((candidate) => childName(candidate) === name);
  if (child === undefined || child.type === "external") throw new Error(`no ${name} is desired`);
  return child.object;
}

export function generatedOf(children: readonly Child[], name: string): GeneratedChild {
  const child = children.find((candidate) => childName(candidate) === name);
  if (child?.type !== "generated") throw new Error(`no generated ${name} is desired`);
  return child;
}

export function externalOf(children: readonly Child[], kind: string): ExternalChild {
  const child = children.find((candidate) => candidate.type === "external" && candidate.kind === kind);
  if (child?.type !== "external") throw new Error(`no external ${kind} is desired`);
  return child;
}
