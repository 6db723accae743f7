/**
 * What was made in the external system, recorded in a ConfigMap before it is made there.
 *
 * A custom resource carries no finalizer, so it may be gone when its external objects are not: the inventory is what
 * remains to tell what is ours. Its id is planted in the external system as well (kind `Marker`), so that another
 * system under the same address, or an emptied one, is noticed. Recording is a PUT with resourceVersion: a second
 * writer stops at its 409 even without a Lease.
 */

import { z } from "zod";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import type { Definition, ExternalChild, GeneratedChild, Parent, Snapshot } from "./definition.ts";
import type { ExternalWrite } from "./write.ts";

/** One external object that was made, or is about to be. */
const entrySchema = z.object({
  kind: z.string(),
  name: z.string(),
  parentUid: z.string(),
  singleton: z.boolean(),
  /** Whether it was seen in the external system as it should be, at least once. */
  confirmed: z.boolean(),
});

/** One external object that was made, or is about to be. */
export type InventoryEntry = z.infer<typeof entrySchema>;

/** What the ConfigMap says. */
export interface Inventory {
  readonly id: string;
  readonly entries: readonly InventoryEntry[];
}

/** The external kind of the planted id. */
export const markerKind = "Marker";

/** The inventory of a definition; undefined while there is none. A damaged one counts as empty, with a new id. */
export function readInventory(
  snapshot: Snapshot,
  definition: Pick<Definition, "inventoryName">,
): Inventory | undefined {
  if (definition.inventoryName === undefined) return undefined;
  const data = snapshot.get(ConfigMap, definition.inventoryName)?.data;
  if (data === undefined) return undefined;
  const entries = z.array(entrySchema).safeParse(parseJson(data["entries"]));
  return { id: data["id"] ?? "", entries: entries.success ? entries.data : [] };
}

/** The ConfigMap as a child: made once with an id of its own, its contents left to `recordIntents`. */
export function inventoryChild(
  definition: Definition,
  parent: Parent,
  uuid: () => string,
): GeneratedChild | undefined {
  if (definition.inventoryName === undefined) return undefined;
  return {
    type: "generated",
    resource: ConfigMap,
    object: { metadata: { name: definition.inventoryName, namespace: parent.metadata.namespace } },
    generate: () => Promise.resolve({ id: uuid(), entries: "[]" }),
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

/** The entries with `writes` recorded as intents; undefined when they all are already. */
export function withIntents(
  inventory: Inventory,
  parent: Parent,
  writes: readonly ExternalWrite[],
): readonly InventoryEntry[] | undefined {
  const missing = writes
    .filter(({ child }) => child.kind !== markerKind && find(inventory, child) === undefined)
    .map(({ child }): InventoryEntry => ({
      kind: child.kind,
      name: child.name,
      parentUid: parent.metadata.uid,
      singleton: child.singleton,
      confirmed: false,
    }));
  return missing.length === 0 ? undefined : [...inventory.entries, ...missing];
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

/** The ConfigMap with other entries, to be stored by PUT with the resourceVersion that it was read with. */
export function withEntries(configMap: ConfigMap, entries: readonly InventoryEntry[]): ConfigMap {
  const { managedFields: _, ...metadata } = configMap.metadata ?? {};
  return { ...configMap, metadata, data: { ...configMap.data, entries: JSON.stringify(entries) } };
}

function find(inventory: Inventory, child: ExternalChild): InventoryEntry | undefined {
  return inventory.entries.find((entry) => entry.kind === child.kind && entry.name === child.name);
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "[]");
  } catch {
    return undefined;
  }
}
