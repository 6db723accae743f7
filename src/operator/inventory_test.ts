import { assertEquals } from "@std/assert";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import { external, snapshotOf, widget } from "./fixtures.ts";
import {
  inventoryChild,
  type InventoryEntry,
  markerChild,
  readInventory,
  withConfirmed,
  withEntries,
  withIntents,
} from "./inventory.ts";

const w = widget();
const named = { inventoryName: "inventory" };

function entry(name: string, confirmed: boolean): InventoryEntry {
  return { kind: "Thing", name, parentUid: "w-uid", singleton: true, confirmed };
}

function stored(data?: Record<string, string>) {
  return snapshotOf([[ConfigMap, { metadata: { name: "inventory" }, ...(data && { data }) }]]);
}

Deno.test("readInventory() gives what the ConfigMap says", () => {
  const entries = [entry("a", true)];
  const snapshot = stored({ id: "i", entries: JSON.stringify(entries) });
  assertEquals(readInventory(snapshot, named), { id: "i", entries });
  assertEquals(readInventory(snapshot, {}), undefined);
  assertEquals(readInventory(snapshotOf([]), named), undefined);
});

Deno.test("F53 a damaged inventory gets a new id and keeps the entries that can be read; meanwhile nothing is planted", async () => {
  const entries = JSON.stringify([entry("a", true)]);
  const cases: readonly (readonly [Record<string, string> | undefined, string])[] = [
    [undefined, "[]"],
    [{}, "[]"],
    [{ entries }, entries],
    [{ id: "", entries }, entries],
    [{ id: "i" }, "[]"],
    [{ id: "i", entries: "[{]" }, "[]"],
    [{ id: "i", entries: '[{"kind":"Thing"}]' }, "[]"],
  ];
  for (const [data, kept] of cases) {
    const inventory = readInventory(stored(data), named);
    const child = inventoryChild(named, w, inventory, () => "new");
    assertEquals(inventory?.id, "");
    assertEquals([child?.reissue, await child?.generate()], ["data", { id: "new", entries: kept }]);
    assertEquals(markerChild({ ...named } as never, inventory), undefined);
  }
});

Deno.test("inventoryChild() makes an inventory once, and leaves one that serves alone", async () => {
  const child = inventoryChild(named, w, undefined, () => "new");
  assertEquals(
    { ...child, generate: await child?.generate() },
    {
      type: "generated",
      resource: ConfigMap,
      object: { metadata: { name: "inventory", namespace: "ns" } },
      generate: { id: "new", entries: "[]" },
    } as unknown as typeof child & { generate: Record<string, string> },
  );
  assertEquals(inventoryChild(named, w, { id: "i", entries: [] }, () => "new")?.reissue, undefined);
  assertEquals(inventoryChild({}, w, undefined, () => "new"), undefined);
});

Deno.test("withIntents() records what is about to be made, once and unconfirmed, save for the marker", () => {
  const writes = [external("Thing", "a"), external("Thing", "b"), external("Marker", "inventory")].map((
    child,
  ) => ({ world: "external", verb: "create", child, observed: undefined, paths: [] }) as const);
  const entries = withIntents({ id: "i", entries: [entry("a", true)] }, w, writes);
  assertEquals(entries, [entry("a", true), entry("b", false)]);
  assertEquals(withIntents({ id: "i", entries }, w, writes), entries);
});

Deno.test("withConfirmed() confirms what stands as desired, and says when nothing changes", () => {
  const children = [external("Thing", "a"), external("Thing", "b"), external("Marker", "inventory")];
  const entries = withConfirmed({ id: "i", entries: [entry("a", false), entry("c", false)] }, w, children);
  assertEquals(entries, [entry("a", true), entry("c", false), entry("b", true)]);
  assertEquals(withConfirmed({ id: "i", entries: entries ?? [] }, w, children), undefined);
});

Deno.test("withEntries() keeps the rest of the ConfigMap, and changes it for each batch", () => {
  const configMap: ConfigMap = {
    metadata: { name: "inventory", resourceVersion: "5", managedFields: [] },
    data: { id: "i", entries: "[]", foreign: "x" },
  };
  const entries = [entry("a", true)];
  const data = { id: "i", entries: JSON.stringify(entries), foreign: "x" };
  const metadata = { name: "inventory", resourceVersion: "5" };
  assertEquals(withEntries(configMap, entries), { metadata, data });
  assertEquals(withEntries(configMap, entries, "b1"), { metadata, data: { ...data, batch: "b1" } });
});
