/**
 * What a custom resource tells the engine about itself: pure functions from what is to what should be.
 *
 * A `Definition` holds no state and does no I/O. `desired` says which objects should exist, in Kubernetes and in the
 * external system; `status` says what a person should read. Everything else (comparing, ordering, writing, pruning,
 * back-off) is the engine's.
 */

import type { KubeObject, ObjectMeta, Resource } from "../kubernetes/resource.ts";

/** Whether the objects of one kind are known. */
export type KindState =
  /** Not listed yet. */
  | { readonly phase: "pending" }
  | { readonly phase: "synced" }
  /** The API server does not serve this kind. */
  | { readonly phase: "absent" }
  /**
   * Listing failed; what is known may be old. `denied` when the operator's Role does not allow it, `server` when it
   * is no matter of this kind: the server is out of reach, or does not accept the credentials; `unlisted` when nothing
   * is known at all, since it could never be listed.
   */
  | {
    readonly phase: "failed";
    readonly message: string;
    readonly denied: boolean;
    readonly server?: true;
    readonly unlisted?: true;
  };

/** Whether the operator's Role does not allow to list a kind. */
export function isDenied(state: KindState): boolean {
  return state.phase === "failed" && state.denied;
}

/** What is. It follows the store: what is read without a pause in between is consistent within a kind. */
export interface Snapshot {
  /** The object with this name in the operator's namespace. A Secret has `data` and `type` only where its content was read. */
  get<T extends KubeObject>(resource: Resource<T>, name: string): T | undefined;
  list<T extends KubeObject>(resource: Resource<T>): readonly T[];
  /** The object with this uid. */
  byUid<T extends KubeObject>(resource: Resource<T>, uid: string): T | undefined;
  /** Objects that carry the mark of this custom resource; see `ownerAnnotation`. */
  ownedBy<T extends KubeObject>(resource: Resource<T>, parentUid: string): readonly T[];
  kind(resource: Resource): KindState;
  /** What was last observed for this custom resource in the external system. */
  external(parentUid: string): ExternalState;
}

/** An object in the external system: its comparable fields, never a secret. */
export interface ExternalObject {
  readonly kind: string;
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** What the external system calls this very object, where it has such a name: another one of the same name has another. */
  readonly id?: string | undefined;
  /** Keys (`keyOfExternal`) of what goes with it when it is deleted. */
  readonly contains?: readonly string[] | undefined;
}

/** What is known of the external system on behalf of one custom resource. */
export interface ExternalState {
  /**
   * `unknown`: never asked; `unreachable`: the last request failed (see `message`); `observed`: `objects` is complete
   * for the kinds that the custom resource desires, save for `unread`.
   */
  readonly phase: "unknown" | "unreachable" | "observed";
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly objects: readonly ExternalObject[];
  /** Keys (`keyOfExternal`) of what was looked for, found or not. Left out: of everything. */
  readonly looked?: Readonly<Record<string, true>> | undefined;
  /** Kinds that could not be read yet, such as before a login: nothing is planned for them. */
  readonly unread?: readonly string[] | undefined;
  /** The id that is planted in the system: what shares an inventory is written only where it is that of the inventory. */
  readonly marker?: string | undefined;
  /** Facts that only `status` reads, e.g. the version of the system. */
  readonly facts: Readonly<Record<string, string>>;
  /** What else `desired` reads, of a type of the backend's own. It may hold secrets, so nothing shows it. */
  readonly details?: unknown;
  /** The secret values in `details`, to keep out of any text. */
  readonly secrets?: readonly string[] | undefined;
}

/** A child object whose every desired field is converged by server-side apply. */
export interface AppliedChild {
  readonly type: "applied";
  readonly resource: Resource;
  /** Complete but for the owner reference, which the engine adds. Empty values are left out, not written as "". */
  readonly object: KubeObject & {
    readonly metadata: ObjectMeta & { readonly name: string; readonly namespace: string };
  };
  /**
   * Field paths that must not be set on the live object although nobody of ours set them, such as
   * `["spec", "strategy", "rollingUpdate"]`; they are nulled by a merge patch before the apply.
   */
  readonly absent?: readonly (readonly string[])[];
  /** Outlives its custom resource: it has no owner reference, and a later one of the same name takes it again. */
  readonly retained?: boolean;
  /** Made by somebody else for us, such as a claim by a StatefulSet of ours: it is ours as long as nobody controls it. */
  readonly adopts?: boolean;
  /**
   * A Secret that pods read through their environment: every write that changes its `data` sets a fresh revision
   * annotation in the same write, which the pod template repeats so that pods restart. Creation sets none.
   */
  readonly revisioned?: boolean;
}

/** A Secret whose values are made by us: created by POST, replaced only when `reissue` says why. */
export interface GeneratedChild {
  readonly type: "generated";
  readonly resource: Resource;
  /** The Secret without `data`. */
  readonly object: KubeObject & {
    readonly metadata: ObjectMeta & { readonly name: string; readonly namespace: string };
  };
  /** As of an `AppliedChild`; it may have other owner references instead. */
  readonly retained?: boolean;
  readonly partOf?: PartOf | undefined;
  /** Why the values that are there have to be made again; absent when they serve. */
  readonly reissue?: string | undefined;
  /** Makes the value of `data` (base64 strings). Called while writing only, never while planning. */
  readonly generate: () => Promise<Readonly<Record<string, string>>>;
}

/**
 * Another external child of the same custom resource, named before it, without which a child is not written: where that
 * one is somebody else's, nothing is put into it.
 */
export interface PartOf {
  readonly kind: string;
  readonly name: string;
}

/** An object in the external system. */
export interface ExternalChild {
  readonly type: "external";
  readonly kind: string;
  readonly name: string;
  /** What the external object's `fields` must contain. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** What a write needs and nobody may see: never compared, never printed. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Another text whenever `secrets` may be others, made of versions of what they stand in. */
  readonly secretsVersion?: string;
  /** Taken over where it exists, never deleted. */
  readonly singleton: boolean;
  /** What else has to be known in the external system to say whether it can be written. */
  readonly references?: readonly { readonly kind: string; readonly name: string }[] | undefined;
  readonly partOf?: PartOf | undefined;
  /** Why it cannot be written yet, or not at all; whatever there is stays as it is meanwhile. */
  readonly blocked?: { readonly reason: string; readonly message: string } | undefined;
  /**
   * What becomes of it when its custom resource is deleted. Left out: deleted, unless it holds something that is not
   * deleted with it.
   */
  readonly deletionPolicy?: "Delete" | "Retain" | undefined;
}

/** A write to the external system. */
export interface ExternalWrite {
  readonly world: "external";
  readonly verb: "create" | "update" | "delete";
  /** Of a deletion, only kind and name. */
  readonly child: ExternalChild;
  readonly observed: ExternalObject | undefined;
  readonly paths: readonly string[];
}

export type Child = AppliedChild | GeneratedChild | ExternalChild;

/** Something in the custom resource that cannot be accepted; nothing is written for it until it is mended. */
export interface Problem {
  /** CamelCase, a constant of the definition. */
  readonly reason: string;
  /** The field at fault, e.g. `spec.user.password`. */
  readonly field?: string | undefined;
  /** What is wrong and what to do, without any secret. */
  readonly message: string;
}

/** What should be. */
export interface Desired {
  readonly children: readonly Child[];
  readonly problems: readonly Problem[];
  /** What a predecessor made and nothing needs any more, or what has to be made again since it cannot be changed. */
  readonly retired?: readonly Retired[] | undefined;
  /** What else `status` is to know of what `desired` found out. */
  readonly found?: unknown;
}

/**
 * An object that has to go although it does not carry our mark, with all that it made, pods included: it is there until
 * those are gone. One that is somebody else's stays.
 */
export interface Retired {
  readonly resource: Resource;
  readonly name: string;
  /** What is shown of it, e.g. `spec.selector`. */
  readonly why: string;
}

/** A custom resource as it was read. */
export interface Parent<Spec = unknown, Status = unknown> extends KubeObject {
  readonly metadata: ObjectMeta & { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly spec?: Spec;
  readonly status?: Status;
}

/** What `desired` may look at. */
export interface DesiredContext {
  readonly parent: Parent;
  readonly snapshot: Snapshot;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** `metav1.Condition`. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

/** A write that failed and will be tried again, or a difference that is not ours to remove. */
export interface Failure {
  /** `Deployment controller`, or `DefaultRouter default-router`. */
  readonly object: string;
  /** `Conflict`, `Rejected`, `Forbidden`, `Unreachable`, ... */
  readonly reason: string;
  readonly message: string;
}

/** What `status` may look at. */
export interface StatusContext extends DesiredContext {
  readonly desired: Desired;
  /** Differences that the plan still finds, e.g. `Deployment controller`. */
  readonly pending: readonly string[];
  readonly failures: readonly Failure[];
  /** Set while somebody wants nothing to be written: by which annotation, and what would be, as `describeWrite` says. */
  readonly paused?: { readonly annotation: string; readonly writes: readonly string[] } | undefined;
  /** Fields of ours that the served CRD does not have, so that the API server drops them, e.g. `status.address`. */
  readonly lostFields: readonly string[];
  /** What the operator's Role does not allow and is done without; one sentence each, with the remedy. */
  readonly restrictions: readonly string[];
  /** What of deleted custom resources is kept in the external system; one sentence each, with the remedy. */
  readonly kept?: readonly string[] | undefined;
}

/** A condition before the engine gives it its times. */
export type ConditionDraft = Pick<Condition, "type" | "status" | "reason" | "message">;

/** The status that a custom resource should have: its conditions in order, and its other fields. */
export interface StatusDraft {
  readonly conditions: readonly ConditionDraft[];
  readonly fields: Readonly<Record<string, unknown>>;
  /** Whether it is about to be known better: what is stored, by an operator that was here before, stands until then. */
  readonly provisional?: boolean;
  /** When certificates end, in milliseconds since the epoch, by the name of their Secret: for metrics. */
  readonly certificates?: Readonly<Record<string, number>>;
  /** Whether somebody has to act, or may have to, although nothing is stalled: an Event tells it. */
  readonly alarm?: boolean | undefined;
}

/** Objects that are looked at. */
export interface ObservedResource {
  readonly resource: Resource;
  /** E.g. `name in (controller,router)`. */
  readonly labelSelector: string;
}

/** A kind of custom resource. */
export interface Definition {
  readonly resource: Resource;
  /** Name of the Lease that keeps a second operator of this kind from writing. */
  readonly leaseName: string;
  /** Every kind of child; listed and watched in the operator's namespace. */
  readonly childResources: readonly Resource[];
  /** Those of them that only some custom resources ask for: where they cannot be listed, it matters only to these. */
  readonly optional?: readonly Resource[];
  /**
   * Kinds of which only `status` reads something, to say why a child does not work, and which objects of them: no
   * child, never written. The Role need not allow them.
   */
  readonly observedResources?: readonly ObservedResource[];
  /** Kinds whose objects are never deleted because nothing desires them any more: what holds data. */
  readonly neverPruned: readonly Resource[];
  /**
   * Names of the Secrets whose content `desired` or the comparison needs for `parent`: its own, and those that it
   * names. Of all others only the metadata enter this process.
   */
  secretNames(parent: Parent): readonly string[];
  /** Name of the ConfigMap that records what was made in the external system; see `inventory.ts`. */
  readonly inventoryName?: string;
  /** Name of the inventory of another definition, in whose external system this one keeps objects too. */
  readonly sharedInventoryName?: string;
  /** What the external system is called in the reasons of Events, in CamelCase. @default "System" */
  readonly systemName?: string;
  /** How to get this kind of custom resource, where it need not be served, or be allowed to be listed. */
  readonly optionalKind?: string;
  /** Puts the writes to the external system into an order that loses nothing; may add to them. */
  arrange?(writes: readonly ExternalWrite[]): readonly ExternalWrite[];
  /** The `openAPIV3Schema` of our own CRD, to be held against the one that is served. */
  readonly crdSchema: object;
  /** Whether more than one object of this kind per namespace is refused (the oldest wins). */
  readonly singleton: boolean;
  /**
   * The secret values that an object holds (the custom resource's own passwords included), to keep out of any text.
   *
   * @param parents Where the object is a Secret: the custom resources that there are, which may say what it is for.
   */
  secretsIn(resource: Resource, object: KubeObject, parents: readonly Parent[]): readonly string[];
  /** What the API server says against a child, in terms that the custom resource's author knows. @default as it is said */
  inTermsOfSpec?(failure: Failure): Failure;
  /**
   * The external objects that a custom resource asks for, by kind and name: what nobody has made yet belongs to the
   * oldest that asks for it, of whatever kind. Also of a spec that has a problem; all custom resources are asked, so it
   * has to be cheap. @default those of this kind get it in their order of age, and whoever comes first of several kinds
   */
  claims?(context: DesiredContext): readonly { readonly kind: string; readonly name: string }[];
  desired(context: DesiredContext): Desired;
  status(context: StatusContext): StatusDraft;
}
