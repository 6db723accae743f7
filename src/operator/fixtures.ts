/** What the tests of this folder share: a custom resource that owns this and that, and snapshots made by hand. */

import { Deployment } from "../kubernetes/generated/apps_v1.ts";
import {
  ConfigMap,
  PersistentVolumeClaim,
  Secret,
  Service,
  ServiceAccount,
} from "../kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../kubernetes/generated/rbac_v1.ts";
import { apiVersionOf, type KubeObject, type ObjectMeta, type Resource } from "../kubernetes/resource.ts";
import type {
  AppliedChild,
  Child,
  Definition,
  Desired,
  DesiredContext,
  ExternalChild,
  ExternalState,
  GeneratedChild,
  KindState,
  Parent,
  Snapshot,
} from "./definition.ts";
import { type Identity, markOf } from "./ownership.ts";
import type { PlanInput } from "./plan.ts";
import { keyOf } from "./store.ts";

/** A custom resource. */
export const Widget: Resource = {
  group: "example.org",
  version: "v1",
  kind: "Widget",
  plural: "widgets",
  namespaced: true,
};

export const identity: Identity = {
  fieldManager: "widgets",
  annotationPrefix: "example.org",
  predecessors: ["old-widgets"],
};

export const childKinds: readonly Resource[] = [
  ...[ServiceAccount, ConfigMap, Secret, PersistentVolumeClaim, Service, Deployment, Role, RoleBinding],
];

/** A custom resource as it was read; `w` with the uid `w-uid` unless said otherwise. */
export function widget(metadata: Partial<Parent["metadata"]> = {}, spec: unknown = {}): Parent {
  return {
    apiVersion: "example.org/v1",
    kind: "Widget",
    metadata: {
      name: "w",
      namespace: "ns",
      uid: `${metadata.name ?? "w"}-uid`,
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2025-01-01T00:00:00Z",
      ...metadata,
    },
    spec,
  };
}

/** A definition that desires these children; its status is `Ready` with what is open in the message. */
export function definitionOf(
  desired: (context: DesiredContext) => readonly Child[] | Desired,
  more: Partial<Definition> = {},
): Definition {
  return {
    resource: Widget,
    leaseName: "widgets.example.org",
    childResources: childKinds,
    neverPruned: [PersistentVolumeClaim],
    secretNames: () => ["key"],
    crdSchema: {},
    singleton: true,
    secretsIn: (resource, object) =>
      resource.kind === "Secret" ? Object.values((object as Secret).data ?? {}) : [],
    desired: (context) => {
      const result = desired(context);
      return "children" in result ? result : { children: result, problems: [] };
    },
    status: ({ desired: { problems }, failures, pending }) => {
      const [first] = [...problems, ...failures];
      const open = [...problems.map(({ message }) => message), ...pending];
      return {
        conditions: [{
          type: "Ready",
          status: open.length === 0 ? "True" : "False",
          reason: open.length === 0 ? "Ready" : first?.reason ?? "Pending",
          message: open.join(", "),
        }],
        fields: {},
      };
    },
    ...more,
  };
}

/** A desired object of this kind and name. */
export function applied<T extends KubeObject>(
  resource: Resource<T>,
  name: string,
  body: Omit<T, "metadata">,
  more: Partial<AppliedChild> & { readonly metadata?: Omit<ObjectMeta, "name" | "namespace"> } = {},
): AppliedChild {
  const { metadata, ...how } = more;
  return {
    type: "applied",
    resource,
    object: {
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      ...body,
      metadata: { ...metadata, name, namespace: "ns" },
    },
    ...how,
  };
}

export function configMap(name: string, data: Record<string, string> = { key: "value" }): AppliedChild {
  return applied(ConfigMap, name, { data });
}

/** The Secret `key`, whose values are made. */
export function generatedKey(more: Partial<GeneratedChild> = {}): GeneratedChild {
  return {
    type: "generated",
    resource: Secret,
    object: {
      apiVersion: "v1",
      kind: "Secret",
      type: "Opaque",
      metadata: { name: "key", namespace: "ns" },
    } as Secret & AppliedChild["object"],
    generate: () => Promise.resolve({ "tls.key": "bWFkZQ==" }),
    ...more,
  };
}

export function external(
  kind: string,
  name: string,
  fields: Readonly<Record<string, unknown>> = {},
): ExternalChild {
  return { type: "external", kind, name, fields, singleton: true };
}

export function observed(
  objects: ExternalState["objects"] = [],
  more: Partial<ExternalState> = {},
): ExternalState {
  return { phase: "observed", objects, facts: {}, ...more };
}

/** What is, by hand: every kind is listed unless said otherwise. */
export function snapshotOf(
  objects: readonly (readonly [Resource, KubeObject])[],
  more: {
    readonly kinds?: readonly (readonly [Resource, KindState])[];
    readonly external?: ExternalState;
  } = {},
): Snapshot {
  const kinds = new Map(more.kinds?.map(([resource, state]) => [keyOf(resource), state]));
  const unknown: ExternalState = { phase: "unknown", objects: [], facts: {} };
  const list = (wanted: Resource) =>
    objects.filter(([resource]) => keyOf(resource) === keyOf(wanted)).map(([, object]) => object);
  return {
    get: <T extends KubeObject>(resource: Resource<T>, name: string) =>
      list(resource).find(({ metadata }) => metadata?.name === name) as T | undefined,
    list: <T extends KubeObject>(resource: Resource<T>) => list(resource) as T[],
    byUid: <T extends KubeObject>(resource: Resource<T>, uid: string) =>
      list(resource).find(({ metadata }) => metadata?.uid === uid) as T | undefined,
    ownedBy: <T extends KubeObject>(resource: Resource<T>, parentUid: string) =>
      list(resource).filter((object) => markOf(object, identity) === parentUid) as T[],
    kind: (resource) => kinds.get(keyOf(resource)) ?? { phase: "synced" },
    external: () => more.external ?? unknown,
  };
}

/** What a plan is made from. */
export function planInput(
  definition: Definition,
  snapshot: Snapshot,
  more: Partial<PlanInput> = {},
): PlanInput {
  return {
    definition,
    snapshot,
    now: 0,
    identity,
    blockOwnerDeletion: true,
    failures: () => new Map(),
    answers: () => new Map(),
    lostFields: [],
    restrictions: [],
    kept: [],
    uuid: () => "uuid",
    isLiving: (uid) => snapshot.byUid(Widget, uid) !== undefined,
    ...more,
  };
}

/** Metadata of a child of the Widget `w`, as it is stored. */
export function ownedBy(
  parent: Parent,
  metadata: Partial<ObjectMeta> & { readonly name: string },
): ObjectMeta {
  const { name, annotations, ...rest } = metadata;
  return {
    name,
    namespace: "ns",
    uid: `${name}-uid`,
    resourceVersion: "5",
    annotations: { "example.org/owner-uid": parent.metadata.uid, ...annotations },
    ownerReferences: [{
      apiVersion: "example.org/v1",
      kind: "Widget",
      name: parent.metadata.name,
      uid: parent.metadata.uid,
      controller: true,
      blockOwnerDeletion: true,
    }],
    ...rest,
  };
}
