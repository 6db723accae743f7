/**
 * The difference between what is in an external system and what should be there; the rest of the plan is in `plan.ts`.
 *
 * Guarantees: pure. Nothing is written that was not looked for, or in a system that is not known to be the one that the
 * inventory is about. Only what the inventory records for a parent is deleted, and what stands there unrecorded is
 * taken over on request only.
 */

import { compare } from "./compare.ts";
import { conditionsOf } from "./conditions.ts";
import type {
  Child,
  Definition,
  ExternalChild,
  ExternalObject,
  Failure,
  Parent,
  Snapshot,
} from "./definition.ts";
import {
  indexed,
  type Inventory,
  type InventoryEntry,
  inventoryNameOf,
  isRecorded,
  keyOfExternal,
  ownerOf,
  readInventory,
} from "./inventory.ts";
import { adoptAnnotation, type Identity, mayAdopt } from "./ownership.ts";
import { describeChild, type ExternalWrite } from "./write.ts";

/** What this part of a plan is made from. */
export interface ExternalPlanInput {
  readonly definition: Definition;
  readonly snapshot: Snapshot;
  readonly identity: Identity;
  /** Whether a custom resource, of whatever kind, with this uid is there. */
  readonly isLiving: (uid: string) => boolean;
  /** The oldest custom resource that asks for this external object, where its kind tells what it asks for. */
  readonly oldestClaimant?: (child: ExternalChild) => Parent | undefined;
}

/** Why an object is not written that exists and is recorded for nobody; its condition shows what would be changed. */
export const notOurs = "NotOurs";

/** Why an object is not written yet that somebody else made and that is about to be taken over. */
export const adopting = "Adopting";

/** Whether an object is not written because it is, or may still be, somebody else's. */
export function isForeign({ reason }: Failure): boolean {
  return reason === "Conflict" || reason === notOurs || reason === adopting;
}

/** Whether the conditions tell, of the present generation, what somebody else made and what would be changed of it. */
function isToldOf({ metadata: { generation }, status }: Parent): boolean {
  return conditionsOf(status).some(({ observedGeneration, reason }) =>
    (reason === notOurs || reason === adopting) && observedGeneration === generation
  );
}

/** The write that makes one object as desired, or why there is none; undefined where it is so already. */
export function planExternal(
  input: ExternalPlanInput,
  parent: Parent,
  child: ExternalChild,
): ExternalWrite | Failure | "unread" | "unknown" | undefined {
  const state = input.snapshot.external(parent.metadata.uid);
  if (state.phase !== "observed") return "unknown";
  if (state.unread?.includes(child.kind) || !isProved(input, parent)) return "unread";
  if (state.looked !== undefined && state.looked[keyOfExternal(child)] === undefined) return "unread";
  const object = describeChild(child);
  const observed = state.objects.find((object) => object.kind === child.kind && object.name === child.name);
  const paths = observed === undefined
    ? ["missing"]
    : compare(child.fields, observed.fields, () => undefined).paths;
  if (!child.singleton) {
    const entry = indexed(inventoryOf(input)).get(keyOfExternal(child));
    const rival = rivalOf(input, parent, child, entry, observed);
    if (rival !== undefined) {
      const message = `${object} is kept by ${rival}: remove it from one of the two`;
      return { object, reason: "Conflict", message };
    }
    if (observed !== undefined && !isRecorded(entry, observed)) {
      const change = paths.length === 0 ? "nothing would change" : `would change ${paths.join(", ")}`;
      const found = `${object} exists and was not made by this operator (${change})`;
      if (!mayAdopt(parent, input.identity)) {
        const message =
          `${found}: set the annotation ${adoptAnnotation(input.identity)}: "true" to have it taken ` +
          "over, or choose another name";
        return { object, reason: notOurs, message };
      }
      // Whoever asks for it at once shall still be told first what it means.
      if (paths.length > 0 && !isToldOf(parent)) {
        return { object, reason: adopting, message: `${found}: it is taken over, as the annotation says` };
      }
    }
  }
  if (child.blocked !== undefined) return { object, ...child.blocked };
  if (observed === undefined) return { world: "external", verb: "create", child, observed, paths };
  return paths.length === 0 ? undefined : { world: "external", verb: "update", child, observed, paths };
}

/** Whose the object is if not the parent's: that of whoever made it, or else of the oldest that asks for it. */
function rivalOf(
  { isLiving, oldestClaimant }: ExternalPlanInput,
  { metadata: { uid } }: Parent,
  child: ExternalChild,
  entry: InventoryEntry | undefined,
  observed: ExternalObject | undefined,
): string | undefined {
  const holder = entry !== undefined && isLiving(entry.parentUid) ? entry : undefined;
  // An intent alone makes nothing: whoever recorded it may have been heard of first only.
  const isMade = holder?.confirmed === true || (observed !== undefined && isRecorded(holder, observed));
  if (holder?.parentUid === uid && isMade) return undefined;
  const claimant = isMade ? undefined : oldestClaimant?.(child);
  if (claimant !== undefined) {
    return claimant.metadata.uid === uid ? undefined : ownerOf(claimant);
  }
  if (holder === undefined || holder.parentUid === uid) return undefined;
  return holder.owner ?? "another custom resource";
}

const emptyInventory: Inventory = { id: "", entries: [] };

function inventoryOf({ definition, snapshot }: ExternalPlanInput): Inventory {
  return readInventory(snapshot, definition) ?? emptyInventory;
}

/** Whether what is looked at is the system that the inventory is about. Whoever plants the id needs no proof. */
function isProved(input: ExternalPlanInput, parent: Parent): boolean {
  if (input.definition.sharedInventoryName === undefined) return true;
  const { id } = inventoryOf(input);
  return id !== "" && input.snapshot.external(parent.metadata.uid).marker === id;
}

/** What is recorded for this parent and desired no more. */
export function obsoleteExternals(
  input: ExternalPlanInput,
  parent: Parent,
  children: readonly Child[],
): { readonly deletions: readonly ExternalWrite[]; readonly forgotten: readonly InventoryEntry[] } {
  const state = input.snapshot.external(parent.metadata.uid);
  if (inventoryNameOf(input.definition) === undefined) return { deletions: [], forgotten: [] };
  if (state.phase !== "observed" || !isProved(input, parent)) return { deletions: [], forgotten: [] };
  const kept = new Set(children.map((child) => child.type === "external" ? keyOfExternal(child) : ""));
  const surplus = recordedFor(inventoryOf(input), parent)
    .filter((entry) => !entry.singleton && !kept.has(keyOfExternal(entry)))
    .filter((entry) => state.unread?.includes(entry.kind) !== true);
  return deletionsOf(surplus, state.objects);
}

/** The entries of one parent. */
export function recordedFor(inventory: Inventory, parent: Parent): readonly InventoryEntry[] {
  let known = byParent.get(inventory);
  if (known === undefined) {
    known = Map.groupBy(inventory.entries, ({ parentUid }) => parentUid);
    byParent.set(inventory, known);
  }
  return known.get(parent.metadata.uid) ?? [];
}

const byParent = new WeakMap<Inventory, ReadonlyMap<string, readonly InventoryEntry[]>>();

/**
 * The deletions of what `surplus` records, and what of it is gone. What goes with something else needs no deletion of its
 * own.
 */
export function deletionsOf(
  surplus: readonly InventoryEntry[],
  objects: readonly ExternalObject[],
): { readonly deletions: readonly ExternalWrite[]; readonly forgotten: readonly InventoryEntry[] } {
  const byKey = new Map(objects.map((object) => [keyOfExternal(object), object]));
  const found = surplus.flatMap((entry) => {
    const observed = byKey.get(keyOfExternal(entry));
    return observed !== undefined && isRecorded(entry, observed) ? [{ entry, observed }] : [];
  });
  const there = new Set(found.map(({ entry }) => entry));
  const contained = new Set(found.flatMap(({ observed }) => observed.contains ?? []));
  return {
    deletions: found
      .filter(({ entry }) => !contained.has(keyOfExternal(entry)))
      .map(({ entry: { kind, name }, observed }): ExternalWrite => ({
        world: "external",
        verb: "delete",
        child: { type: "external", kind, name, fields: {}, singleton: false },
        observed,
        paths: ["no longer wanted"],
      })),
    forgotten: surplus.filter((entry) => !there.has(entry)),
  };
}
