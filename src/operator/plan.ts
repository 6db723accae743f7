/**
 * The difference between what is and what should be, as a list of writes. Nothing else decides anything.
 *
 * Guarantees: pure; the same input gives the same plan. Nothing is planned for a parent that is being deleted, for
 * one whose spec has a problem, while something is unknown that its children follow from, or for an object that is not
 * ours. An object is only deleted when its kind is listed in full and the object says that it was made for this parent.
 */

import type { JsonPatchOperation } from "../kubernetes/client.ts";
import { Secret } from "../kubernetes/generated/core_v1.ts";
import type { KubeObject, ObjectMeta, Resource } from "../kubernetes/resource.ts";
import { mergeRuleAt } from "../kubernetes/schema.ts";
import { byAge } from "./claims.ts";
import { compare, type Difference, isRecord, type MergeRules, type RenamedItems } from "./compare.ts";
import type {
  AppliedChild,
  Child,
  Desired,
  DesiredContext,
  Failure,
  GeneratedChild,
  Parent,
  StatusDraft,
} from "./definition.ts";
import {
  inventoryChild,
  type InventoryEntry,
  keyOfExternal,
  markerChild,
  readInventory,
} from "./inventory.ts";
import { type ExternalPlanInput, isForeign, obsoleteExternals, planExternal } from "./plan_external.ts";
import { appliedFields, extract, fieldsAt, migrated, obsoleteFields } from "./managed_fields.ts";
import {
  correctionManager,
  hasLostMark,
  isChildOf,
  isFree,
  isPaused,
  isPredecessors,
  ownerAnnotation,
  ownerNameAnnotation,
  ownerReference,
  type Ownership,
  ownership,
  pauseAnnotation,
  revisionAnnotation,
} from "./ownership.ts";
import {
  differencesIn,
  isInTemplate,
  pairOf,
  parts,
  settledAnnotation,
  templateOf,
  templatePath,
  withTemplate,
} from "./settled.ts";
import { noteReads, unavailableKind } from "./unknown.ts";
import {
  describeChild,
  describeTarget,
  describeWrite,
  type ExternalWrite,
  type KubernetesWrite,
  type Write,
} from "./write.ts";

/** What a plan is made from. */
export interface PlanInput extends ExternalPlanInput {
  /** Kinds of which, with that of the definition, one object may live in a namespace. @default none */
  readonly rivals?: readonly Resource[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** False where the API server refuses `blockOwnerDeletion` (OwnerReferencesPermissionEnforcement). */
  readonly blockOwnerDeletion: boolean;
  /** Writes that failed lately: why, and whether they have to wait. Keyed as `describeTarget` says. */
  readonly failures: (parent: Parent) => ReadonlyMap<string, Failure & { readonly waiting: boolean }>;
  /**
   * Resource versions that are the answers to our own applies of what is desired now: what differs in such an object
   * the API server stores otherwise. Keyed as `describeTarget` says.
   */
  readonly answers: (parent: Parent) => ReadonlyMap<string, string>;
  /** Fields of ours that the served CRD drops. */
  readonly lostFields: readonly string[];
  /** What the operator's Role does not allow and is done without. */
  readonly restrictions: readonly string[];
  /** What of deleted custom resources is kept in the external system whose inventory this kind has. */
  readonly kept: readonly string[];
  /** Makes an id; called while writing only. */
  readonly uuid: () => string;
}

/** What to do for one parent. */
export interface ParentPlan {
  readonly parent: Parent;
  /** Whether somebody wants nothing to be written: the writes are only shown. */
  readonly paused: boolean;
  /** In waves: what stands in one wave can be written in parallel. */
  readonly waves: readonly (readonly KubernetesWrite[])[];
  readonly external: readonly ExternalWrite[];
  /** What the inventory records for the parent although it is gone and wanted no more. */
  readonly forgotten: readonly InventoryEntry[];
  /** What cannot be written now, and why. */
  readonly failures: readonly Failure[];
  /** What was looked at and is as desired, as `describeTarget` calls it. */
  readonly settled: readonly string[];
  /** The status to store; absent for a parent that is being deleted. */
  readonly status?: StatusDraft;
  readonly desired: Desired;
}

const nothing: Desired = { children: [], problems: [] };

/** Plans for every parent of one kind. */
export function plan(input: PlanInput): readonly ParentPlan[] {
  const parents = input.snapshot.list(input.definition.resource) as readonly Parent[];
  return parents.map((parent) => planParent(input, parent));
}

/** Plans for one parent. */
export function planParent(input: PlanInput, parent: Parent): ParentPlan {
  if (parent.metadata.deletionTimestamp !== undefined) {
    const none = { waves: [], external: [], forgotten: [], failures: [], settled: [] };
    return { parent, paused: false, ...none, desired: nothing };
  }
  const context: DesiredContext = { parent, snapshot: input.snapshot, now: input.now };
  const reads = noteReads(input.snapshot, input.definition, parent);
  const desired = refuseRival(input, parent) ??
    withInventory(input, parent, input.definition.desired({ ...context, snapshot: reads.snapshot }));
  const lately = input.failures(parent);
  const unknown = reads.unknown(desired.children, lately);
  const paused = isPaused(parent, input.identity);
  // What failed before the pause is tried anew after it.
  const known: typeof lately = paused ? new Map() : lately;
  const writes: Write[] = [];
  const failures: Failure[] = [...unknown];
  const pending: string[] = unknown.length === 0 ? [] : desired.children.map(describeChild);
  const settled: string[] = [];
  // What was desired without knowing everything is not trusted: it would take back what it does not know of.
  const isJudged = unknown.length === 0 && desired.problems.length === 0;
  const note = (write: Write | undefined) => {
    if (write === undefined) return;
    const target = describeTarget(write);
    pending.push(target);
    const failure = known.get(target);
    if (failure !== undefined) failures.push(failure);
    if (failure?.waiting !== true) writes.push(write);
  };
  if (isJudged) {
    /** What is somebody else's, and why, by `keyOfExternal`. */
    const foreign = new Map<string, Failure>();
    for (const child of desired.children) {
      const outcome = child.type === "external"
        ? planExternal(input, parent, child)
        : planChild(input, parent, child);
      const whole = child.type === "applied" || child.partOf === undefined
        ? undefined
        : foreign.get(keyOfExternal(child.partOf));
      if (outcome === "unknown") continue;
      if (outcome === undefined) settled.push(describeChild(child));
      else if (outcome === "unread") pending.push(describeChild(child));
      else if ("reason" in outcome) {
        failures.push(outcome);
        pending.push(outcome.object);
        if (child.type === "external" && isForeign(outcome)) foreign.set(keyOfExternal(child), outcome);
      } else if (whole !== undefined) {
        const object = describeTarget(outcome);
        failures.push({ object, reason: whole.reason, message: withheld(outcome, whole) });
        pending.push(object);
      } else note(outcome);
    }
    for (const write of obsolete(input, parent, desired.children)) note(write);
    for (const write of retired(input, parent, desired)) note(write);
    for (const write of obsoleteExternals(input, parent, desired.children).deletions) note(write);
  }
  const status = input.definition.status({
    ...context,
    desired,
    pending,
    failures,
    ...(paused && {
      paused: { annotation: pauseAnnotation(input.identity), writes: writes.map(describeWrite) },
    }),
    lostFields: input.lostFields,
    restrictions: input.restrictions,
    kept: input.kept,
  });
  const externals = writes.filter((write) => write.world === "external");
  return {
    parent,
    paused,
    waves: inWaves(withoutEarlyRevisions(writes.filter((write) => write.world === "kubernetes"))),
    external: input.definition.arrange?.(externals) ?? externals,
    forgotten: isJudged ? obsoleteExternals(input, parent, desired.children).forgotten : [],
    failures,
    settled,
    status,
    desired,
  };
}

/** What would be written if `whole` were ours. */
function withheld(write: Write, whole: Failure): string {
  const past = { create: "made", delete: "deleted" } as const;
  const verb = write.verb === "create" || write.verb === "delete" ? past[write.verb] : "changed";
  return `${describeTarget(write)} would be ${verb} in ${whole.object}`;
}

/** Where only one object of a kind, or of several, may live in a namespace, the oldest does. */
function refuseRival({ definition, rivals = [], snapshot }: PlanInput, parent: Parent): Desired | undefined {
  if (!definition.singleton) return undefined;
  const { resource } = definition;
  const all = [resource, ...rivals].flatMap((each) =>
    (snapshot.list(each) as readonly Parent[]).map((object) => ({ object, group: each.group }))
  );
  const [oldest] = all.toSorted((one, other) => byAge(one.object, other.object));
  if (oldest === undefined || oldest.object === parent) return undefined;
  const { group, object: { kind, metadata } } = oldest;
  const foreign = group === resource.group ? "" : ` of ${group}`;
  return {
    children: [],
    problems: [{
      reason: "Conflict",
      message: `${kind ?? resource.kind} ${metadata.name}${foreign} is older and manages this namespace; ` +
        `delete one of the two, or move this one to a namespace of its own`,
    }],
  };
}

/** Whoever desires external objects gets an inventory of them, and its id planted among them. */
function withInventory(input: PlanInput, parent: Parent, desired: Desired): Desired {
  if (desired.problems.length > 0) return desired;
  const inventory = readInventory(input.snapshot, input.definition);
  const record = inventoryChild(input.definition, parent, inventory, input.uuid);
  if (record === undefined) return desired;
  const marker = markerChild(input.definition, inventory);
  return { ...desired, children: [...desired.children, record, ...(marker === undefined ? [] : [marker])] };
}

function planChild(
  input: PlanInput,
  parent: Parent,
  child: AppliedChild | GeneratedChild,
): KubernetesWrite | Failure | undefined {
  const { resource } = child;
  const { name, namespace } = child.object.metadata;
  const object = `${resource.kind} ${name}`;
  const unavailable = unavailableKind(input.snapshot, resource);
  if (unavailable !== undefined) return { object, ...unavailable };
  const live = input.snapshot.get(resource, name);
  const target = { world: "kubernetes", resource, namespace, name } as const;
  const wanted = complete(input, parent, child, live);
  if (live === undefined) {
    const paths = ["missing"];
    if (child.type === "generated") {
      return { ...target, verb: "create", object: wanted, paths, generate: child.generate };
    }
    return { ...target, verb: "apply", object: wanted, paths };
  }
  const isLiving = (uid: string) => input.snapshot.byUid(input.definition.resource, uid) !== undefined;
  const owner = ownership(live, input.definition.resource, parent, isLiving, input.identity);
  const adopted = child.type === "applied" && child.adopts === true &&
    isFree(live, isLiving, input.identity);
  if (owner.type === "foreign" && !adopted) {
    return {
      object,
      reason: "Conflict",
      message:
        `${object} exists and ${owner.owner === undefined ? "is not ours" : `belongs to ${owner.owner}`}; ` +
        `delete or rename it so that it can be made for ${input.definition.resource.kind} ${parent.metadata.name}`,
    };
  }
  if (live.metadata?.deletionTimestamp !== undefined) {
    const finalizers = live.metadata.finalizers ?? [];
    return {
      object,
      reason: "Terminating",
      message: `${object} is being deleted` +
        (finalizers.length === 0 ? "" : ` and waits for its finalizers ${finalizers.join(", ")}`) +
        `; it is made again once it is gone`,
    };
  }
  const onlyMetadata = child.type === "generated";
  const hands = handOver(input, parent, live, owner, { resource, wanted, onlyMetadata });
  if (hands !== undefined) return { ...target, verb: "adopt", live, ...hands };
  if (child.type === "generated" && child.reissue !== undefined) {
    const { managedFields: _, ...metadata } = live.metadata ?? {};
    return {
      ...target,
      verb: "replace",
      live,
      paths: [child.reissue],
      object: { ...live, metadata },
      generate: child.generate,
    };
  }
  return planUpdate(input, parent, child, live, onlyMetadata ? metadataOf(wanted) : wanted);
}

/** What has to change of an object that is ours, by server-side apply. */
function planUpdate(
  input: PlanInput,
  parent: Parent,
  child: AppliedChild | GeneratedChild,
  live: KubeObject,
  wanted: WithMetadata,
): KubernetesWrite | undefined {
  const { resource } = child;
  const { name, namespace } = child.object.metadata;
  const { fieldManager } = input.identity;
  const rules = rulesOf(resource);
  const owned = appliedFields(live.metadata?.managedFields, fieldManager);
  const before = compare(wanted, live, rules).differences;
  const recorded = { ...live.metadata?.annotations, ...lostPair(input, wanted, live, before) };
  const settled = parts.filter((part) => {
    const pair = recorded[settledAnnotation(input.identity, part)];
    return pair !== undefined && wanted.kind !== Secret.kind && pair === pairOf(part, wanted, before);
  });
  // What is settled in the pod template stays as it is, also when the rest is written.
  const ownedTemplate = fieldsAt(owned, templatePath);
  const kept = settled.includes("template")
    ? withTemplate(wanted, ownedTemplate === undefined ? {} : extract(ownedTemplate, templateOf(live)) ?? {})
    : wanted;
  const pairs = settled.map((part) => settledAnnotation(input.identity, part))
    .map((annotation) => [annotation, recorded[annotation] ?? ""]);
  const object = withAnnotations(kept, Object.fromEntries(pairs));
  const found = compare(object, live, rules);
  const open = settled.includes("rest")
    ? found.differences.filter(({ fields }) => isInTemplate(fields))
    : found.differences;
  const obsolete = obsoleteFields(owned, object);
  // A pair that no longer holds, and that no apply of ours has taken over yet, no apply takes away.
  const outdated = parts.filter((part) => !settled.includes(part))
    .map((part) => settledAnnotation(input.identity, part))
    .filter((annotation) => fieldsAt(owned, ["metadata", "annotations"])?.[`f:${annotation}`] === undefined);
  const absent = [
    ...(child.type === "applied" ? child.absent ?? [] : []),
    ...outdated.map((annotation) => ["metadata", "annotations", annotation]),
  ].filter((path) => at(live, path) !== undefined);
  const disowned = child.retained === true ? withoutReference(live, parent.metadata.uid) : [];
  const corrected = live.metadata?.managedFields?.some((entry) =>
    entry.manager === correctionManager(fieldManager)
  );
  const paths = [
    ...open.map(({ path }) => path),
    ...obsolete,
    ...absent.map((path) => path.join(".")),
    ...disowned.map(({ path }) => path.join(".")),
    ...(corrected ? ["metadata.managedFields"] : []),
  ];
  if (paths.length === 0) return undefined;
  const write = {
    world: "kubernetes",
    verb: "apply",
    resource,
    namespace,
    name,
    live,
    paths,
    precondition: { uid: live.metadata?.uid ?? "", resourceVersion: live.metadata?.resourceVersion ?? "" },
  } as const;
  const answer = input.answers(parent).get(describeChild(child));
  if (answer !== undefined && answer === live.metadata?.resourceVersion && before.length > 0) {
    const found = parts.filter((part) => differencesIn(part, before).length > 0)
      .map((part) => [settledAnnotation(input.identity, part), pairOf(part, wanted, before)]);
    return { ...write, object: withAnnotations(wanted, Object.fromEntries(found)), settles: true };
  }
  return {
    ...write,
    object,
    before: correction(object, absent, [...found.renamed, ...disowned]),
    freshRevision: child.type === "applied" && child.revisioned === true &&
      (live.metadata?.annotations?.[ownerAnnotation(input.identity)] !== undefined
        ? paths.some((path) => /^data\b/.test(path))
        // What is only added while taking over restarts no pods.
        : open.some(({ fields, live: value }) => fields[0] === "data" && value !== undefined)),
  };
}

type WithMetadata = KubeObject & { readonly metadata: ObjectMeta };

/** An object as it should be. */
interface Wanted {
  readonly resource: Resource;
  readonly wanted: WithMetadata;
  /** Whether only its metadata are kept right. */
  readonly onlyMetadata: boolean;
}

/**
 * The pair of a pod template that lost our annotations, and that nobody changed but a predecessor: it stays as it is,
 * as when it was taken over for the first time.
 */
function lostPair(
  { identity }: PlanInput,
  wanted: WithMetadata,
  live: KubeObject,
  differences: readonly Difference[],
): Readonly<Record<string, string>> {
  if (templateOf(wanted) === undefined || !hasLostMark(live, identity)) return {};
  const { managedFields = [] } = live.metadata ?? {};
  const owned = appliedFields(managedFields, identity.fieldManager);
  const obsolete = obsoleteFields(fieldsAt(owned, templatePath) ?? {}, templateOf(wanted));
  if (differencesIn("template", differences).length + obsolete.length === 0) return {};
  const isForeign = managedFields.some((entry) =>
    entry.manager !== identity.fieldManager && fieldsAt(entry.fieldsV1 ?? {}, templatePath) !== undefined
  );
  const annotation = settledAnnotation(identity, "template");
  return isForeign ? {} : { [annotation]: pairOf("template", wanted, differences) };
}

/**
 * How an object gets to us that is not under our field manager: of a dead incarnation of the parent, or made by a
 * predecessor. One patch: it has to be known at every moment whose it is, and that its pod template is settled.
 */
function handOver(
  input: PlanInput,
  parent: Parent,
  live: KubeObject,
  owner: Ownership,
  { onlyMetadata, resource, wanted }: Wanted,
): { readonly operations: readonly JsonPatchOperation[]; readonly paths: readonly string[] } | undefined {
  const { identity } = input;
  const { annotations, managedFields = [], ownerReferences, resourceVersion, uid } = live.metadata ?? {};
  const reference = ownerReference(input.definition.resource, parent, input.blockOwnerDeletion);
  const operations: JsonPatchOperation[] = [];
  const paths: string[] = [];
  if (owner.type === "orphan") {
    const path = `/metadata/ownerReferences/${owner.index}`;
    operations.push({ op: "test", path: `${path}/uid`, value: owner.reference.uid });
    operations.push({ op: "replace", path, value: reference });
    paths.push("metadata.ownerReferences");
  }
  // What is created once keeps the values that it has: whoever owns fields has to apply them.
  if (isPredecessors(live, identity) && !onlyMetadata) {
    operations.push({ op: "test", path: "/metadata/resourceVersion", value: resourceVersion });
    operations.push({
      op: "replace",
      path: "/metadata/managedFields",
      value: migrated(managedFields, identity.predecessors, identity.fieldManager),
    });
    paths.push("metadata.managedFields");
    if (ownerReferences === undefined) {
      operations.push({ op: "add", path: "/metadata/ownerReferences", value: [reference] });
      paths.push("metadata.ownerReferences");
    }
    if (templateOf(wanted) !== undefined) {
      const differences = compare(wanted, live, rulesOf(resource)).differences;
      const pair = { [settledAnnotation(identity, "template")]: pairOf("template", wanted, differences) };
      // With our mark, so that it is not taken for one that lost it when something else is desired.
      const mark = { [ownerAnnotation(identity)]: parent.metadata.uid };
      operations.push({
        op: "add",
        path: "/metadata/annotations",
        value: { ...annotations, ...mark, ...pair },
      });
      paths.push("metadata.annotations");
    }
  }
  if (operations.length === 0) return undefined;
  return { operations: [{ op: "test", path: "/metadata/uid", value: uid }, ...operations], paths };
}

/** The owner references without that to the parent, where there is one: whoever made it may own it besides us. */
function withoutReference({ metadata }: KubeObject, uid: string): readonly RenamedItems[] {
  const references = metadata?.ownerReferences ?? [];
  const items = references.filter((reference) => reference.uid !== uid);
  return items.length === references.length ? [] : [{ path: ["metadata", "ownerReferences"], items }];
}

/** The desired object with what every child carries: owner, its mark, and a revision that stays until data change. */
function complete(
  input: PlanInput,
  parent: Parent,
  child: AppliedChild | GeneratedChild,
  live: KubeObject | undefined,
): WithMetadata {
  const revision = revisionAnnotation(input.identity);
  const kept = child.type === "applied" && child.revisioned
    ? live?.metadata?.annotations?.[revision]
    : undefined;
  const retained = child.retained === true;
  return {
    ...child.object,
    metadata: {
      ...child.object.metadata,
      annotations: {
        ...child.object.metadata.annotations,
        [ownerAnnotation(input.identity)]: parent.metadata.uid,
        ...(retained ? { [ownerNameAnnotation(input.identity)]: parent.metadata.name } : {}),
        ...(kept === undefined ? {} : { [revision]: kept }),
      },
      ...(retained
        ? {}
        : { ownerReferences: [ownerReference(input.definition.resource, parent, input.blockOwnerDeletion)] }),
    },
  };
}

function metadataOf(object: KubeObject): WithMetadata {
  return { apiVersion: object.apiVersion, kind: object.kind, metadata: object.metadata ?? {} };
}

function withAnnotations(object: WithMetadata, more: Readonly<Record<string, string>>): WithMetadata {
  if (Object.keys(more).length === 0) return object;
  const annotations = { ...object.metadata.annotations, ...more };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

function rulesOf(resource: Resource): MergeRules {
  return (path) => mergeRuleAt(resource, path);
}

/** The merge patch that nulls `absent` fields and replaces lists with renamed items. */
function correction(
  desired: KubeObject,
  absent: readonly (readonly string[])[],
  renamed: readonly RenamedItems[],
): Record<string, unknown> | undefined {
  if (absent.length === 0 && renamed.length === 0) return undefined;
  const patch: Record<string, unknown> = {};
  for (const path of absent) {
    const parentPath = path.slice(0, -1);
    // What may only change together with it, such as a strategy's type; a list here would lose what others added.
    for (const [key, value] of Object.entries(at(desired, parentPath) ?? {})) {
      if (typeof value !== "object") set(patch, [...parentPath, key], value);
    }
    set(patch, path, null);
  }
  for (const { path, items } of renamed) set(patch, path, items);
  return patch;
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => isRecord(inner) ? inner[key] : undefined, value);
}

function set(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const inner = target[key];
  const next = isRecord(inner) ? inner : {};
  target[key] = next;
  set(next, rest, value);
}

/** Objects that were made for this parent and that nothing desires any more. */
function obsolete(input: PlanInput, parent: Parent, children: readonly Child[]): readonly KubernetesWrite[] {
  const kept = new Set(
    children.flatMap((child) =>
      child.type === "external" ? [] : [`${child.resource.plural}/${child.object.metadata.name}`]
    ),
  );
  return input.definition.childResources
    .filter((resource) => !input.definition.neverPruned.includes(resource))
    .filter((resource) => input.snapshot.kind(resource).phase === "synced")
    .flatMap((resource) =>
      input.snapshot.ownedBy(resource, parent.metadata.uid)
        .filter((object) => !kept.has(`${resource.plural}/${object.metadata?.name}`))
        .filter((object) => object.metadata?.deletionTimestamp === undefined)
        .filter((object) => isChildOf(object, parent, input.identity))
        .map((live) => deletion(resource, live, "no longer wanted"))
    );
}

/** What `desired` wants to be gone, as far as it is the parent's and no longer desired by this very name. */
function retired(
  { definition, identity, snapshot }: PlanInput,
  parent: Parent,
  desired: Desired,
): readonly KubernetesWrite[] {
  const isLiving = (uid: string) => snapshot.byUid(definition.resource, uid) !== undefined;
  return (desired.retired ?? [])
    .filter(({ resource }) => !definition.neverPruned.includes(resource))
    .filter(({ resource }) => snapshot.kind(resource).phase === "synced")
    .flatMap(({ name, resource, why }) => {
      const live = snapshot.get(resource, name);
      if (live === undefined || live.metadata?.deletionTimestamp !== undefined) return [];
      // What carries our mark is deleted where it is no longer desired.
      if (isChildOf(live, parent, identity)) return [];
      const { type } = ownership(live, definition.resource, parent, isLiving, identity);
      return type === "foreign" ? [] : [{ ...deletion(resource, live, why), isAwaited: true }];
    });
}

function deletion(resource: Resource, live: KubeObject, why: string): KubernetesWrite & { verb: "delete" } {
  const { name = "", namespace = "", resourceVersion = "", uid = "" } = live.metadata ?? {};
  const precondition = { uid, resourceVersion };
  return { world: "kubernetes", verb: "delete", resource, namespace, name, live, paths: [why], precondition };
}

/**
 * While something is handed over, what pods have to follow waits: a pod template is settled as it is then, and would be
 * with a revision that its pods have not seen.
 */
function withoutEarlyRevisions(writes: readonly KubernetesWrite[]): readonly KubernetesWrite[] {
  if (!writes.some(({ verb }) => verb === "adopt")) return writes;
  return writes.filter((write) => !("freshRevision" in write && write.freshRevision === true));
}

/**
 * A RoleBinding can only be made when its Role exists, unless one may `bind`; pods of a workload that is made before
 * its ServiceAccount are retried with growing delays. Deletions come last, so that nothing is missing meanwhile.
 */
function inWaves(writes: readonly KubernetesWrite[]): readonly (readonly KubernetesWrite[])[] {
  const late = new Set(["Deployment", "StatefulSet", "RoleBinding"]);
  const first = writes.filter((write) => write.verb !== "delete" && !late.has(write.resource.kind));
  const second = writes.filter((write) => write.verb !== "delete" && late.has(write.resource.kind));
  const last = writes.filter((write) => write.verb === "delete");
  return [first, second, last].filter((wave) => wave.length > 0);
}
