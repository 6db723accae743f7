/**
 * What was made in the external system, recorded in a ConfigMap before it is made there.
 *
 * A custom resource carries no finalizer, so it may be gone when its external objects are not: the inventory is what
 * remains to tell what is ours. Its id is planted in the external system as well (kind `Marker`), so that another
 * system under the same address, or an emptied one, is noticed. Every batch of writes there begins with a PUT of the
 * inventory that carries its resourceVersion and changes it: a second writer, or one that was paused, stops at its 409
 * even without a Lease.
 */

import { z } from "zod";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import type { Definition, ExternalChild, GeneratedChild, Parent, Snapshot } from "./definition.ts";
import type { ExternalWrite } from "./write.ts";

/** One external object that was made, or is about to be. */
export interface InventoryEntry {
  readonly kind: string;
  readonly name: string;
  readonly parentUid: string;
  readonly singleton: boolean;
  /** Whether it was seen in the external system as it should be, at least once. */
  readonly confirmed: boolean;
}

const entrySchema: z.ZodType<InventoryEntry> = z.object({
  kind: z.string(),
  name: z.string(),
  parentUid: z.string(),
  singleton: z.boolean(),
  confirmed: z.boolean(),
});

/** What the ConfigMap says. */
export interface Inventory {
  /** Empty when it is damaged and has to be mended first. */
  readonly id: string;
  readonly entries: readonly InventoryEntry[];
}

/** The external kind of the planted id. */
export const markerKind = "Marker";

/** The inventory of a definition; undefined while there is none. Of a damaged one, the entries that can be read. */
export function readInventory(
  snapshot: Snapshot,
  definition: Pick<Definition, "inventoryName">,
): Inventory | undefined {
  if (definition.inventoryName === undefined) return undefined;
  const configMap = snapshot.get(ConfigMap, definition.inventoryName);
  if (configMap === undefined) return undefined;
  const { id = "", entries } = configMap.data ?? {};
  const parsed = z.array(entrySchema).safeParse(parseJson(entries));
  return parsed.success ? { id, entries: parsed.data } : { id: "", entries: [] };
}

/**
 * The ConfigMap as a child: made once with an id of its own, its contents left to `withIntents` and `withConfirmed`.
 * A damaged one gets a new id, so that everything is proved again.
 */
export function inventoryChild(
  definition: Pick<Definition, "inventoryName">,
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
  definition: Definition,
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

/** The entries with `writes` recorded as intents. */
export function withIntents(
  inventory: Inventory,
  parent: Parent,
  writes: readonly ExternalWrite[],
): readonly InventoryEntry[] {
  const missing = writes
    .filter(({ child }) => child.kind !== markerKind && find(inventory, child) === undefined)
    .map(({ child }): InventoryEntry => ({
      kind: child.kind,
      name: child.name,
      parentUid: parent.metadata.uid,
      singleton: child.singleton,
      confirmed: false,
    }));
  return [...inventory.entries, ...missing];
}

/**
 * The entries with everything that stands as desired confirmed; undefined when nothing changes.
 *
 * @param settled The external children that the plan finds no difference for.
 */
export function withConfirmed(
  inventory: Inventory,
  parent: Parent,
  settled: readonly ExternalChild[],
): readonly InventoryEntry[] | undefined {
  let changed = false;
  const entries = new Map(inventory.entries.map((entry) => [`${entry.kind}/${entry.name}`, entry]));
  for (const child of settled) {
    const key = `${child.kind}/${child.name}`;
    if (child.kind === markerKind || entries.get(key)?.confirmed === true) continue;
    changed = true;
    entries.set(key, {
      kind: child.kind,
      name: child.name,
      parentUid: parent.metadata.uid,
      singleton: child.singleton,
      confirmed: true,
    });
  }
  return changed ? [...entries.values()] : undefined;
}

/**
 * The ConfigMap with other entries, to be stored by PUT with the resourceVersion that it was read with.
 *
 * @param batch An id of the batch of writes that follows, so that the PUT changes the resourceVersion in any case.
 */
export function withEntries(
  configMap: ConfigMap,
  entries: readonly InventoryEntry[],
  batch?: string,
): ConfigMap {
  const { managedFields: _, ...metadata } = configMap.metadata ?? {};
  const data = { ...configMap.data, entries: JSON.stringify(entries), ...(batch !== undefined && { batch }) };
  return { ...configMap, metadata, data };
}

function find(inventory: Inventory, child: ExternalChild): InventoryEntry | undefined {
  return inventory.entries.find((entry) => entry.kind === child.kind && entry.name === child.name);
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}
