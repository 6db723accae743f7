/**
 * What was made in an external system, recorded in Kubernetes *before* it is made.
 *
 * There are no finalizers, so a custom resource may vanish at any time; what stands here and is wanted by nobody any
 * more can still be found. The id in the header is also planted in the external system (kind `Marker`), so that another
 * system under the same address, or an emptied one, is noticed. Every batch of writes there begins with a PUT of the
 * first ConfigMap that carries its resourceVersion and changes it: a second writer, or one that was paused, stops at
 * its 409 even without a Lease. Further ConfigMaps (`NAME-1`, ...) take the entries that do not fit into it.
 */

import * as z from "zod";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import type {
  Definition,
  ExternalChild,
  ExternalObject,
  GeneratedChild,
  Parent,
  Snapshot,
} from "./definition.ts";
import type { ExternalWrite } from "./write.ts";

/** One external object that was made, or is about to be. */
export interface InventoryEntry {
  readonly kind: string;
  readonly name: string;
  readonly parentUid: string;
  readonly singleton: boolean;
  /** Whether it was seen in the external system as it should be, at least once. */
  readonly confirmed: boolean;
  /** The custom resource, for people and to know which kind has to be listed: `Kind.group/name`. */
  readonly owner?: string | undefined;
  /** What the external system calls this very object; another one of the same name is not ours. */
  readonly id?: string | undefined;
  /**
   * What it called the one before, which was gone when this one was made. Whatever shows that one still is older than
   * what was made, and does not say what this one is called.
   */
  readonly formerId?: string | undefined;
  /** What the custom resource last said about its deletion; see `ExternalChild`. */
  readonly deletionPolicy?: "Delete" | "Retain" | undefined;
}

const entrySchema: z.ZodType<InventoryEntry> = z.object({
  kind: z.string(),
  name: z.string(),
  parentUid: z.string(),
  singleton: z.boolean(),
  confirmed: z.boolean(),
  owner: z.string().optional(),
  id: z.string().optional(),
  formerId: z.string().optional(),
  deletionPolicy: z.enum(["Delete", "Retain"]).optional(),
});

/** What the ConfigMaps say. */
export interface Inventory {
  /** Empty when it is damaged and has to be mended first. */
  readonly id: string;
  readonly entries: readonly InventoryEntry[];
}

/** Which inventory a definition has, or shares. */
export type Inventoried = Pick<Definition, "inventoryName" | "sharedInventoryName">;

/** The external kind of the planted id. */
export const markerKind = "Marker";

/** Most entries in one ConfigMap: some 250 KB, well below the 1 MiB that one may have. */
const entriesInShard = 1_000;
const mostShards = 64;

/** The entries of a ConfigMap, read once for each version of it. */
const parsed = new WeakMap<ConfigMap, readonly InventoryEntry[] | undefined>();
/** The inventory for the ConfigMaps that it was made of. */
const whole = new WeakMap<ConfigMap, { readonly of: readonly ConfigMap[]; readonly inventory: Inventory }>();

/** The inventory of a definition; undefined while there is none. Of a damaged one, the entries that can be read. */
export function readInventory(snapshot: Snapshot, definition: Inventoried): Inventory | undefined {
  const shards = shardsOf(snapshot, definition);
  const [first] = shards;
  if (first === undefined) return undefined;
  const known = whole.get(first);
  if (
    known !== undefined && known.of.length === shards.length &&
    known.of.every((each, i) => each === shards[i])
  ) {
    return known.inventory;
  }
  const header = entriesOf(first);
  const rest = shards.slice(1).flatMap((shard) => entriesOf(shard) ?? []);
  const inventory = header === undefined
    ? { id: "", entries: rest }
    : { id: first.data?.["id"] ?? "", entries: rest.length === 0 ? header : [...header, ...rest] };
  whole.set(first, { of: shards, inventory });
  return inventory;
}

/** The ConfigMaps, that with the header first; empty while there is none. */
export function shardsOf(snapshot: Snapshot, definition: Inventoried): readonly ConfigMap[] {
  const name = inventoryNameOf(definition);
  const first = name === undefined ? undefined : snapshot.get(ConfigMap, name);
  if (first === undefined) return [];
  const shards = [first];
  // One may have been deleted, but not all of a row.
  for (let number = 1, missing = 0; number < mostShards && missing < 3; number++) {
    const shard = snapshot.get(ConfigMap, `${name}-${number}`);
    missing = shard === undefined ? missing + 1 : 0;
    if (shard !== undefined) shards.push(shard);
  }
  return shards;
}

/** The name of the ConfigMap with the header. */
export function inventoryNameOf({ inventoryName, sharedInventoryName }: Inventoried): string | undefined {
  return inventoryName ?? sharedInventoryName;
}

/**
 * The ConfigMap with the header as a child: made once with an id of its own, its contents left to `changedShards`. A
 * damaged one gets a new id, so that everything is proved again.
 */
export function inventoryChild(
  definition: Inventoried,
  parent: Parent,
  inventory: Inventory | undefined,
  uuid: () => string,
): GeneratedChild | undefined {
  if (definition.inventoryName === undefined) return undefined;
  return {
    type: "generated",
    resource: ConfigMap,
    object: { metadata: { name: definition.inventoryName, namespace: parent.metadata.namespace } },
    ...(inventory?.id === "" ? { reissue: "data" } : {}),
    generate: () => Promise.resolve({ id: uuid(), entries: JSON.stringify(inventory?.entries ?? []) }),
  };
}

/** The planted id as a child; undefined while there is no inventory. */
export function markerChild(
  definition: Inventoried,
  inventory: Inventory | undefined,
): ExternalChild | undefined {
  if (definition.inventoryName === undefined || inventory === undefined || inventory.id === "") {
    return undefined;
  }
  return {
    type: "external",
    kind: markerKind,
    name: definition.inventoryName,
    fields: { id: inventory.id },
    singleton: true,
  };
}

/** Tells an external object from all others, also of other kinds. */
export function keyOfExternal({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind} ${name}`;
}

/** An inventory by the keys of its entries. */
export function indexed(inventory: Inventory): ReadonlyMap<string, InventoryEntry> {
  let index = indices.get(inventory);
  if (index === undefined) {
    index = new Map(inventory.entries.map((entry) => [keyOfExternal(entry), entry]));
    indices.set(inventory, index);
  }
  return index;
}

const indices = new WeakMap<Inventory, ReadonlyMap<string, InventoryEntry>>();

/** Whether `object` is what `entry` records, and not another of that name. */
export function isRecorded(entry: InventoryEntry | undefined, object: ExternalObject): boolean {
  return entry !== undefined && (entry.id === undefined || object.id === undefined || entry.id === object.id);
}

/** Something external on behalf of a custom resource. */
export interface ExternalClaim {
  readonly parent: Parent;
  readonly child: ExternalChild;
  /** The object as it is, where it is. */
  readonly observed?: ExternalObject | undefined;
}

/** The entries to record before `writes` are carried out: those that are new, or no longer say what is. */
export function withIntents(
  inventory: Inventory,
  writes: readonly { readonly parent: Parent; readonly write: ExternalWrite }[],
): readonly InventoryEntry[] {
  return writes
    .filter(({ write }) => write.verb !== "delete" && write.child.kind !== markerKind)
    .map(({ parent, write: { child, observed } }) => {
      const before = indexed(inventory).get(keyOfExternal(child));
      // Recorded, and no other of that name has come meanwhile: nothing new to say.
      const stands = before !== undefined && before.parentUid === parent.metadata.uid &&
        (child.singleton ||
          (observed === undefined ? before.id === undefined : isRecorded(before, observed)));
      if (stands) return undefined;
      const entry = entryOf({ parent, child, observed }, before?.confirmed === true && child.singleton);
      const formerId = observed === undefined ? before?.id ?? before?.formerId : undefined;
      return formerId === undefined ? entry : { ...entry, formerId };
    })
    .filter((entry) => entry !== undefined);
}

/** The entries to record for what stands as desired; empty when nothing changes. */
export function withConfirmed(
  inventory: Inventory,
  settled: readonly ExternalClaim[],
): readonly InventoryEntry[] {
  return settled
    .filter(({ child }) => child.kind !== markerKind)
    .map((claim) => {
      const before = indexed(inventory).get(keyOfExternal(claim.child));
      const entry = entryOf(claim, true);
      const { id, ...unnamed } = entry;
      const isFormer = id !== undefined && before?.id === undefined && before?.formerId === id;
      return { before, entry: isFormer ? { ...unnamed, formerId: id } : entry };
    })
    .filter(({ entry, before }) =>
      before?.confirmed !== true ||
      (!entry.singleton && (before.parentUid !== entry.parentUid || before.id !== entry.id ||
        before.deletionPolicy !== entry.deletionPolicy || before.owner !== entry.owner))
    )
    .map(({ entry }) => entry);
}

function entryOf({ parent, child, observed }: ExternalClaim, confirmed: boolean): InventoryEntry {
  const { kind, name, singleton } = child;
  const entry = { kind, name, parentUid: parent.metadata.uid, singleton, confirmed };
  if (singleton) return entry;
  return {
    ...entry,
    owner: ownerOf(parent),
    ...(observed?.id === undefined ? {} : { id: observed.id }),
    ...(child.deletionPolicy === undefined ? {} : { deletionPolicy: child.deletionPolicy }),
  };
}

/** `Kind.group/name` of a custom resource. */
export function ownerOf({ apiVersion = "", kind, metadata: { name } }: Parent): string {
  return `${kind}.${apiVersion.split("/")[0]}/${name}`;
}

/** What to record, and what to forget. */
export interface InventoryChange {
  readonly put: readonly InventoryEntry[];
  readonly drop?: readonly { readonly kind: string; readonly name: string }[];
}

/**
 * The ConfigMaps that have to be stored for `change`: by PUT with the resourceVersion that they were read with, or by
 * POST where they have none. Among them is always the one with the header when `batch` is given.
 *
 * @param shards What `shardsOf` gave, at least one.
 * @param batch An id of the batch of writes that follows, so that the PUT changes the resourceVersion in any case.
 */
export function changedShards(
  shards: readonly ConfigMap[],
  change: InventoryChange,
  batch?: string,
): readonly ConfigMap[] {
  const [first] = shards;
  if (first === undefined) return [];
  const put = new Map(change.put.map((entry) => [keyOfExternal(entry), entry]));
  const drop = new Set((change.drop ?? []).map(keyOfExternal));
  const next = shards.map((shard) => {
    let changed = false;
    const entries = (entriesOf(shard) ?? []).flatMap((entry) => {
      const key = keyOfExternal(entry);
      const better = put.get(key);
      put.delete(key);
      changed ||= better !== undefined || drop.has(key);
      return better !== undefined ? [better] : drop.has(key) ? [] : [entry];
    });
    return { shard, entries, changed };
  });
  const added = [...put.values()];
  for (const each of next) {
    const room = added.splice(0, Math.max(0, entriesInShard - each.entries.length));
    each.entries.push(...room);
    each.changed ||= room.length > 0;
  }
  const taken = new Set(shards.map(({ metadata }) => metadata?.name));
  const made: ConfigMap[] = [];
  for (let number = 1; added.length > 0 && number < mostShards; number++) {
    const name = `${first.metadata?.name}-${number}`;
    if (taken.has(name)) continue;
    const { namespace = "", ownerReferences } = first.metadata ?? {};
    made.push({
      metadata: { namespace, name, ...(ownerReferences && { ownerReferences }) },
      data: { entries: JSON.stringify(added.splice(0, entriesInShard)) },
    });
  }
  const replaced = next
    .filter(({ shard, changed }) => changed || (batch !== undefined && shard === first))
    .map(({ shard, entries }) => withEntries(shard, entries, shard === first ? batch : undefined));
  return [...replaced, ...made];
}

/** The ConfigMap with other entries. */
function withEntries(configMap: ConfigMap, entries: readonly InventoryEntry[], batch?: string): ConfigMap {
  const { managedFields: _, ...metadata } = configMap.metadata ?? {};
  const data = { ...configMap.data, entries: JSON.stringify(entries), ...(batch !== undefined && { batch }) };
  return { ...configMap, metadata, data };
}

/** Undefined where the text is damaged. */
function entriesOf(configMap: ConfigMap): readonly InventoryEntry[] | undefined {
  if (parsed.has(configMap)) return parsed.get(configMap);
  const result = z.array(entrySchema).safeParse(parseJson(configMap.data?.["entries"]));
  const entries = result.success ? result.data : undefined;
  parsed.set(configMap, entries);
  return entries;
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}
