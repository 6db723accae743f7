import { assertEquals, assertStringIncludes } from "@std/assert";
import { FakeBackend, harness, type HarnessOptions, refuse } from "../../tests/engine_harness.ts";
import { refusal } from "../../tests/memory_transport.ts";
import { settle } from "../../tests/virtual_clock.ts";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import type { ExternalChild, ExternalObject } from "./definition.ts";
import type { Resource } from "../kubernetes/resource.ts";
import { definitionOf, external, Widget } from "./fixtures.ts";

/** Many custom resources that keep objects in one external system. */
function shared(options: Partial<HarnessOptions> = {}) {
  const backend = new FakeBackend();
  backend.marker = "i";
  const world = harness({
    definition: { sharedInventoryName: "inventory", singleton: false },
    // Its spec says which things, by name, and what is in them.
    desired: ({ parent }) =>
      Object.entries((parent.spec ?? {}) as Record<string, Partial<ExternalChild>>)
        .map(([name, more]) => ({ ...external("Thing", name), singleton: false, ...more })),
    backend,
    ...options,
  });
  const { api, makeWidget } = world;
  api.make(ConfigMap, {
    metadata: { name: "inventory", namespace: "ns" },
    data: { id: "i", entries: "[]" },
  });
  const thing = (x: number, more: Partial<ExternalChild> = {}) => ({ fields: { x }, ...more });
  const make = (name: string, spec: Record<string, Partial<ExternalChild>>, more = {}) =>
    makeWidget({ name, ...more }, spec as never);
  const entries = () => {
    const { data } = api.get(ConfigMap, "inventory") as ConfigMap;
    return (JSON.parse(data?.["entries"] ?? "") as { name: string; owner: string; id?: string }[])
      .map(({ name, owner, id }) => `${name} ${id} of ${owner.split("/")[1]}`);
  };
  const conditions = () => world.engine.plan().flatMap(({ failures }) => failures);
  /** Passes over both worlds until nothing is left to do. */
  const converge = async () => {
    for (let pass = 0; pass < 9; pass++) {
      await world.engine.store.listAll();
      const { writes } = await world.externalPass();
      if (writes === 0) break;
    }
    await world.externalPass();
    const asked = backend.asked.filter((what) => what !== "look");
    backend.asked.splice(0);
    return asked;
  };
  return { ...world, backend, conditions, converge, entries, make, thing };
}

Deno.test("Engine keeps the objects of many custom resources, with one record for all that it makes", async () => {
  const { api, converge, entries, make, thing } = shared();
  make("a", { one: thing(1), two: thing(2) });
  make("b", { three: thing(3) });
  const before = api.writes.length;
  assertEquals(await converge(), ["create Thing one", "create Thing two", "create Thing three"]);
  assertEquals(entries(), ["one one-1 of a", "two two-2 of a", "three three-3 of b"]);
  const records = api.writes.slice(before).filter(({ plural }) => plural === "configmaps").length;
  // Once before, and once to confirm.
  assertEquals(records, 2);
});

Deno.test("Engine deletes what a custom resource no longer wants, and what belonged to one that is gone", async () => {
  const { api, backend, converge, entries, make, thing } = shared();
  make("a", { one: thing(1), two: thing(2) });
  make("b", { three: thing(3), four: thing(4, { deletionPolicy: "Retain" }) });
  await converge();
  api.edit(Widget, "a", (object) => (object as { spec?: unknown }).spec = { two: thing(2) });
  assertEquals(await converge(), ["delete Thing one"]);
  api.remove(Widget, "b");
  assertEquals(await converge(), ["delete Thing three"]);
  assertEquals([...backend.objects.keys()], ["Thing two", "Thing four"]);
  assertEquals(entries(), ["two two-2 of a"]);
});

Deno.test("F53 Engine deletes nothing and makes nothing in a system that has not the inventory's id planted", async () => {
  const { api, backend, converge, make, thing } = shared();
  make("a", { one: thing(1) });
  await converge();
  api.remove(Widget, "a");
  make("b", { two: thing(2) });
  for (const marker of [undefined, "other"]) {
    backend.marker = marker;
    assertEquals(await converge(), []);
  }
  backend.marker = "i";
  assertEquals(await converge(), ["create Thing two", "delete Thing one"]);
});

Deno.test("F35 Engine gives an object to the first that wants it, and tells the other whose it is", async () => {
  const { conditions, converge, make, thing, api } = shared();
  make("younger", { one: thing(2) }, { creationTimestamp: "2025-01-02T00:00:00Z" });
  make("older", { one: thing(1) }, { creationTimestamp: "2025-01-01T00:00:00Z" });
  assertEquals(await converge(), ["create Thing one"]);
  const [failure] = conditions();
  assertEquals(failure?.reason, "Conflict");
  assertStringIncludes(failure?.message ?? "", "Widget.example.org/older");
  api.remove(Widget, "older");
  assertEquals(await converge(), ["update Thing one"]);
});

Deno.test("F35 Engine gives an object that nobody made to the oldest that asks for it, whatever was recorded before", async () => {
  const { api, backend, conditions, converge, entries, make, thing } = shared({
    definition: {
      sharedInventoryName: "inventory",
      singleton: false,
      claims: ({ parent }) => Object.keys(parent.spec as object).map((name) => ({ kind: "Thing", name })),
    },
  });
  const [older, younger] = [1, 2].map((day) => ({ creationTimestamp: `2025-01-0${day}T00:00:00Z` }));
  make("younger", { one: thing(2) }, younger);
  backend.before = (what) => {
    if (what.startsWith("create")) refuse("Down", "no answer");
  };
  await converge();
  assertEquals(entries(), ["one undefined of younger"]);
  backend.before = () => {};
  make("older", { one: thing(1) }, older);
  assertEquals(await converge(), ["create Thing one"]);
  assertEquals(entries(), ["one one-1 of older"]);
  assertStringIncludes(conditions()[0]?.message ?? "", "is kept by Widget.example.org/older");
  // What was made stays with whoever made it.
  make("oldest", { one: thing(3) }, { creationTimestamp: "2024-01-01T00:00:00Z" });
  assertEquals(await converge(), []);
  api.remove(Widget, "older");
  assertEquals(await converge(), ["update Thing one"]);
  assertEquals(entries(), ["one one-1 of oldest"]);
});

Deno.test("Engine touches nothing that somebody else made, until the custom resource says that it is to be adopted", async () => {
  const { api, backend, conditions, converge, entries, make, pass, thing } = shared();
  backend.objects.set("Thing one", { kind: "Thing", name: "one", fields: { x: 5 }, id: "theirs" });
  make("a", { one: thing(1) });
  assertEquals(await converge(), []);
  assertStringIncludes(conditions()[0]?.message ?? "", "would change x");
  api.edit(Widget, "a", ({ metadata }) => (metadata!.annotations = { "example.org/adopt": "true" }));
  // Not before what it changes stands in the status.
  assertEquals(await converge(), []);
  assertEquals(conditions()[0]?.reason, "Adopting");
  assertStringIncludes(conditions()[0]?.message ?? "", "would change x");
  await pass();
  assertEquals(await converge(), ["update Thing one"]);
  assertEquals(entries(), ["one theirs of a"]);
  // Another one of the same name is somebody else's again.
  api.edit(Widget, "a", ({ metadata }) => (metadata!.annotations = {}));
  backend.objects.set("Thing one", { kind: "Thing", name: "one", fields: { x: 5 }, id: "another" });
  assertEquals(await converge(), []);
  assertEquals(conditions()[0]?.reason, "NotOurs");
});

Deno.test("F53 Engine takes what it made again for its own although an older list still showed what was lost", async () => {
  const { backend, conditions, converge, entries, make, thing } = shared();
  make("a", { one: thing(1), two: thing(1) });
  await converge();
  const lost = new Map(backend.objects);
  backend.objects.clear();
  const made = new Map<string, ExternalObject>();
  // Once both are made, it shows what was there before.
  backend.before = () => {
    if (backend.objects.size < 2 || made.size > 0) return;
    for (const [key, object] of backend.objects) made.set(key, object);
    for (const [key, object] of lost) backend.objects.set(key, object);
  };
  assertEquals(await converge(), ["create Thing one", "create Thing two"]);
  for (const [key, object] of made) backend.objects.set(key, object);
  assertEquals(await converge(), []);
  assertEquals(conditions(), []);
  assertEquals(entries(), ["one one-3 of a", "two two-4 of a"]);
  // Another one is still somebody else's.
  backend.objects.set("Thing one", { kind: "Thing", name: "one", fields: { x: 5 }, id: "another" });
  assertEquals(await converge(), []);
  assertEquals(conditions()[0]?.reason, "NotOurs");
});

Deno.test("Engine keeps what still holds something that is not deleted with it, unless the policy says otherwise", async () => {
  const { api, backend, converge, logged, make, thing } = shared();
  make("a", { one: thing(1) });
  make("b", { two: thing(1, { deletionPolicy: "Delete" }) });
  await converge();
  for (const name of ["one", "two"]) {
    const object = backend.objects.get(`Thing ${name}`);
    backend.objects.set(`Thing ${name}`, { ...object!, contains: ["Part p"] });
  }
  api.remove(Widget, "a");
  api.remove(Widget, "b");
  assertEquals(await converge(), ["delete Thing two"]);
  assertStringIncludes(logged().join("\n"), "still holds Part p");
  backend.objects.set("Thing one", { ...backend.objects.get("Thing one")!, contains: [] });
  assertEquals(await converge(), ["delete Thing one"]);
});

Deno.test("F10 Engine deletes nothing outside for custom resources that could not be listed, after a restart too", async () => {
  const before = shared();
  before.make("a", { one: before.thing(1) });
  await before.converge();
  for (const [status, reason] of [[403, "Forbidden"], [500, "InternalError"], [404, "NotFound"]] as const) {
    const after = harness({
      definition: { sharedInventoryName: "inventory", singleton: false },
      backend: before.backend,
      beside: before,
      hook: ({ options, plural, verb }, proceed) => {
        if (plural === "widgets" && verb === "list") throw refusal(options, status, reason);
        return proceed();
      },
    });
    await after.externalPass();
    assertEquals([...before.backend.objects.keys()], ["Thing one"], reason);
    assertEquals(before.entries(), ["one one-1 of a"], reason);
  }
});

Deno.test("F48 Engine deletes nothing outside while the namespace goes away", async () => {
  let isTerminating = false;
  const { api, backend, converge, make, thing } = shared({
    hook: ({ options, verb }, proceed) => {
      if (isTerminating && verb === "create" && options.querystring?.get("dryRun") === "All") {
        throw refusal(options, 403, "Forbidden", { causes: [{ reason: "NamespaceTerminating" }] });
      }
      return proceed();
    },
  });
  make("a", { one: thing(1) });
  await converge();
  api.remove(Widget, "a");
  isTerminating = true;
  assertEquals(await converge(), []);
  assertEquals([...backend.objects.keys()], ["Thing one"]);
  isTerminating = false;
  assertEquals(await converge(), ["delete Thing one"]);
});

Deno.test("Engine leaves what another custom resource wants by now, also while that one is paused", async () => {
  const { api, backend, converge, entries, make, thing } = shared();
  make("a", { one: thing(1) });
  await converge();
  make("b", { one: thing(1) }, { annotations: { "example.org/pause": "true" } });
  api.remove(Widget, "a");
  assertEquals(await converge(), []);
  assertEquals([...backend.objects.keys()], ["Thing one"]);
  api.edit(Widget, "b", ({ metadata }) => metadata!.annotations = {});
  assertEquals(await converge(), []);
  assertEquals(entries(), ["one one-1 of b"]);
});

Deno.test("F20 Engine stops between two writes outside when it may not write any more", async () => {
  const { api, backend, converge, make, setMayWrite, thing } = shared();
  let mayWrite = true;
  setMayWrite(() => mayWrite);
  const names = ["one", "two", "three"];
  const stopAt = (verb: string) => {
    mayWrite = true;
    backend.before = (what) => {
      if (what.startsWith(verb)) mayWrite = false;
    };
  };
  stopAt("create");
  make("a", Object.fromEntries(names.map((name) => [name, thing(1)])));
  assertEquals(await converge(), ["create Thing one"]);
  backend.before = () => {};
  mayWrite = true;
  assertEquals(await converge(), ["create Thing two", "create Thing three"]);
  api.remove(Widget, "a");
  stopAt("delete");
  assertEquals((await converge()).length, 1);
  assertEquals(backend.objects.size, 2);
});

Deno.test("F21 Engine deletes nothing outside where somebody else has written the inventory since it looked", async () => {
  let meanwhile: (() => Promise<void>) | undefined;
  const { api, converge, engine, make, thing } = shared({
    hook: async ({ options, verb }, proceed) => {
      if (verb === "create" && options.querystring?.get("dryRun") === "All") await meanwhile?.();
      return await proceed();
    },
  });
  make("a", { one: thing(1) });
  await converge();
  api.remove(Widget, "a");
  let rounds = 0;
  meanwhile = async () => {
    api.edit(ConfigMap, "inventory", ({ metadata }) => metadata!.labels = { round: `${++rounds}` });
    await engine.store.refresh(ConfigMap, "inventory");
  };
  assertEquals(await converge(), []);
  assertEquals(rounds > 0, true);
  meanwhile = undefined;
  assertEquals(await converge(), ["delete Thing one"]);
});

Deno.test("F46 Engine believes at once what a watch tells of each deletion", async () => {
  const { api, converge, engine, make, thing } = shared();
  const names = ["a", "b", "c", "d", "e", "f"];
  for (const name of names) make(name, { [name]: thing(1) });
  await converge();
  const stopping = new AbortController();
  const following = engine.store.follow(stopping.signal);
  await settle();
  for (const name of names) api.remove(Widget, name);
  await settle();
  assertEquals((await converge()).toSorted(), names.map((name) => `delete Thing ${name}`));
  stopping.abort();
  await following;
});

Deno.test("F46 Engine waits for another list when most custom resources are gone at once without a word", async () => {
  const { api, clock, converge, logged, make, thing } = shared();
  for (let number = 0; number < 6; number++) make(`w${number}`, { [`t${number}`]: thing(1) });
  await converge();
  for (let number = 0; number < 6; number++) api.remove(Widget, `w${number}`);
  assertEquals(await converge(), []);
  assertStringIncludes(logged().join("\n"), "PruneGuard");
  await clock.advance(61_000);
  assertEquals((await converge()).length, 6);
});

Deno.test("F46 Engine says what it keeps while most custom resources are gone, and deletes it when it is told to", async () => {
  const keeper: Resource = { ...Widget, kind: "Keeper", plural: "keepers" };
  const { api, converge, engine, make, thing } = shared({
    others: [definitionOf(() => [], { resource: keeper, inventoryName: "inventory", secretNames: () => [] })],
  });
  api.make(keeper, { metadata: { name: "k", namespace: "ns" } });
  for (let number = 0; number < 6; number++) make(`w${number}`, { [`t${number}`]: thing(1) });
  await converge();
  for (let number = 0; number < 6; number++) api.remove(Widget, `w${number}`);
  assertEquals(await converge(), []);
  const { deletions } = await engine.surplus(new AbortController().signal);
  assertEquals(deletions.map(({ child: { name }, verb }) => `${verb} ${name}`).length, 6);
  api.edit(keeper, "k", ({ metadata }) => (metadata!.annotations = { "example.org/prune": "true" }));
  assertEquals((await converge()).length, 6);
  assertEquals((await engine.surplus(new AbortController().signal)).deletions, []);
});

Deno.test("F53 Engine tells once that the system was emptied, or is another one, and not when it is new", async () => {
  const backend = new FakeBackend();
  const { externalPass, makeWidget, pass, told } = harness({
    definition: { inventoryName: "inventory", systemName: "Thing" },
    desired: () => [external("Thing", "one")],
    backend,
  });
  makeWidget();
  const converge = async () => {
    for (let number = 0; number < 4; number++) {
      await pass();
      await externalPass();
    }
  };
  const resets = async () => (await told()).filter((line) => line.startsWith("ThingReset"));
  await converge();
  assertEquals(await resets(), []);
  backend.objects.clear();
  await converge();
  assertEquals((await resets()).length, 1);
  assertStringIncludes((await resets())[0] ?? "", "it was emptied");
  const marker = backend.objects.get("Marker inventory");
  backend.objects.set("Marker inventory", { ...marker!, fields: { id: "other" } });
  await converge();
  assertEquals((await resets()).length, 2);
  assertStringIncludes((await resets())[1] ?? "", "it is another one than before");
});
