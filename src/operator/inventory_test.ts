import { assertEquals } from "@std/assert";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import type { ExternalChild } from "./definition.ts";
import { external, snapshotOf, widget } from "./fixtures.ts";
import {
  changedShards,
  inventoryChild,
  type InventoryEntry,
  markerChild,
  readInventory,
  shardsOf,
  withConfirmed,
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

function writesOf(...children: readonly ExternalChild[]) {
  return children.map((child) =>
    ({
      parent: w,
      write: { world: "external", verb: "create", child, observed: undefined, paths: [] },
    }) as const
  );
}

Deno.test("withIntents() records what is about to be made, once and unconfirmed, save for the marker", () => {
  const writes = writesOf(external("Thing", "a"), external("Thing", "b"), external("Marker", "inventory"));
  const put = withIntents({ id: "i", entries: [entry("a", true)] }, writes);
  assertEquals(put, [entry("b", false)]);
  assertEquals(withIntents({ id: "i", entries: [entry("a", true), ...put] }, writes), []);
});

Deno.test("withIntents() keeps the id of what is made again as the former one, and takes that of what is taken over", () => {
  const child: ExternalChild = { ...external("Thing", "a"), singleton: false, deletionPolicy: "Retain" };
  const recorded = { ...entry("a", true), singleton: false, id: "1" };
  const fresh = {
    ...{ kind: "Thing", name: "a", parentUid: "w-uid", singleton: false, confirmed: false },
    ...{ owner: "Widget.example.org/w", deletionPolicy: "Retain" as const },
  };
  assertEquals(withIntents({ id: "i", entries: [recorded] }, writesOf(child)), [{
    ...fresh,
    formerId: "1",
  }]);
  const observed = { kind: "Thing", name: "a", fields: {}, id: "2" };
  const update = { world: "external", verb: "update", child, observed, paths: ["x"] } as const;
  assertEquals(withIntents({ id: "i", entries: [recorded] }, [{ parent: w, write: update }]), [{
    ...fresh,
    id: "2",
  }]);
});

Deno.test("withConfirmed() confirms what stands as desired, and says when nothing changes", () => {
  const settled = [external("Thing", "a"), external("Thing", "b"), external("Marker", "inventory")]
    .map((child) => ({ parent: w, child }));
  const entries = [entry("a", false), entry("c", false)];
  assertEquals(withConfirmed({ id: "i", entries }, settled), [entry("a", true), entry("b", true)]);
  assertEquals(withConfirmed({ id: "i", entries: [entry("a", true), entry("b", true)] }, settled), []);
});

Deno.test("changedShards() keeps the rest of the ConfigMap, and changes the first one for each batch", () => {
  const configMap: ConfigMap = {
    metadata: { name: "inventory", namespace: "ns", resourceVersion: "5", managedFields: [] },
    data: { id: "i", entries: "[]", foreign: "x" },
  };
  const put = [entry("a", true)];
  const data = { id: "i", entries: JSON.stringify(put), foreign: "x" };
  const metadata = { name: "inventory", namespace: "ns", resourceVersion: "5" };
  assertEquals(changedShards([configMap], { put }), [{ metadata, data }]);
  assertEquals(changedShards([configMap], { put }, "b1"), [{ metadata, data: { ...data, batch: "b1" } }]);
  assertEquals(changedShards([configMap], { put: [] }), []);
  assertEquals(changedShards([configMap], { put: [] }, "b2").length, 1);
});

Deno.test("changedShards() begins another ConfigMap when one is full, and finds an entry where it is", () => {
  const full = Array.from({ length: 1_000 }, (_, index) => entry(`n${index}`, true));
  const first: ConfigMap = {
    metadata: { name: "inventory", namespace: "ns", resourceVersion: "5" },
    data: { id: "i", entries: JSON.stringify(full) },
  };
  const [made, ...none] = changedShards([first], { put: [entry("new", false)] });
  assertEquals(none, []);
  assertEquals(made, {
    metadata: { namespace: "ns", name: "inventory-1" },
    data: { entries: JSON.stringify([entry("new", false)]) },
  });
  const second = { ...made, metadata: { ...made?.metadata, resourceVersion: "6" } };
  const snapshot = snapshotOf([[ConfigMap, first], [ConfigMap, second]]);
  const shards = shardsOf(snapshot, named);
  assertEquals(readInventory(snapshot, named)?.entries.length, 1_001);
  const changed = changedShards(shards, { put: [entry("new", true)], drop: [entry("n0", true)] });
  assertEquals(changed.map(({ metadata }) => metadata?.name), ["inventory", "inventory-1"]);
  assertEquals(JSON.parse(changed[1]?.data?.["entries"] ?? ""), [entry("new", true)]);
});
