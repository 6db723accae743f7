import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ApiError } from "../kubernetes/errors.ts";
import { Lease } from "../kubernetes/generated/coordination_v1.ts";
import { ConfigMap, Secret } from "../kubernetes/generated/core_v1.ts";
import type { RequestHook } from "../kubernetes/intercept.ts";
import { FakeBackend, harness, type HarnessOptions, sentSince } from "../../tests/engine_harness.ts";
import { refusal } from "../../tests/memory_transport.ts";
import { configMap, external, generatedKey, Widget } from "./fixtures.ts";
import { LeaseHolder } from "./lease.ts";
import { runLoop } from "./loop.ts";

/** A whole operator: engine, Lease and loop. */
function operator(options: HarnessOptions & { readonly identity?: string } = {}) {
  const parts = harness(options);
  const { client, clock, engine, log } = parts;
  const stopping = new AbortController();
  const lease = new LeaseHolder({
    client,
    clock,
    namespace: "ns",
    name: "widgets",
    identity: options.identity ?? "us",
    observer: { acquired: () => {}, lost: () => {}, heldBy: () => {}, forbidden: () => {} },
  });
  parts.setMayWrite(() => !stopping.signal.aborted && lease.held);
  let passes = 0;
  const start = () =>
    runLoop(
      { engine, leases: [lease], clock, log, resyncMs: 30_000, onPass: () => passes++ },
      stopping.signal,
    );
  return {
    ...parts,
    lease,
    stopping,
    start,
    /** How many passes over Kubernetes there were since the last call. */
    passes: () => {
      const count = passes;
      passes = 0;
      return count;
    },
    /** Runs `test` while the operator runs; then stops it and looks what is left. */
    running: async (test: () => Promise<void>) => {
      const ended = start();
      await clock.advance(100);
      await test();
      stopping.abort();
      await clock.until(ended);
      assertEquals([clock.sleepers, parts.api.watching], [0, 0]);
    },
  };
}

const holder = ({ api }: { readonly api: ReturnType<typeof harness>["api"] }) =>
  api.get(Lease, "widgets")?.spec?.holderIdentity;

Deno.test("runLoop() converges at the start, follows changes at once, and gives the Lease back", async () => {
  const all = operator({ desired: () => [configMap("a")] });
  all.makeWidget();
  await all.running(async () => {
    assertEquals([all.ready(), holder(all)], ["True", "us"]);
    all.api.remove(ConfigMap, "a");
    await all.clock.advance(20);
    assertEquals(all.api.all(ConfigMap).length, 1);
  });
  assertEquals(holder(all), "");
});

Deno.test("runLoop() writes nothing at rest, the Lease aside, and makes no more passes than it should", async () => {
  const backend = new FakeBackend();
  const { api, clock, makeWidget, passes, running } = operator({
    desired: () => [configMap("a"), generatedKey(), external("Thing", "t")],
    definition: { inventoryName: "inventory" },
    backend,
  });
  makeWidget();
  await running(async () => {
    await clock.advance(10_000);
    const [before, requests] = [api.writes.length, api.requests.length];
    backend.asked.splice(0);
    passes();
    await clock.advance(3_600_000);
    assertEquals([sentSince(api, before), passes()], [[], 120]);
    assert(backend.asked.length <= 360, `${backend.asked.length} looks outside`);
    const reads = api.requests.length - requests - (api.writes.length - before);
    // Among them one look at the served schemas with each look at the custom resources.
    assert(reads <= 740, `${reads} reads`);
  });
});

Deno.test("runLoop() gathers hints that come together", async () => {
  const { api, clock, makeWidget, passes, running } = operator({ desired: () => [configMap("a")] });
  makeWidget();
  await running(async () => {
    passes();
    for (let change = 0; change < 100; change++) {
      api.edit(ConfigMap, "a", ({ metadata }) => metadata!.labels = { change: `${change}` });
    }
    await clock.advance(1_000);
    assert(passes() <= 2);
  });
});

Deno.test("runLoop() lets a change in the cluster go before news from outside of it", async () => {
  const { clock, engine, makeWidget, running } = operator({
    desired: ({ parent }) => [configMap(parent.metadata.name)],
    definition: { singleton: false },
  });
  for (let index = 0; index < 100; index++) makeWidget({ name: `w${index}`, uid: `w${index}-uid` });
  const observe = engine.observe.bind(engine);
  let changed: Parameters<typeof observe>[0]["changed"] = () => {};
  engine.observe = (observer) => {
    changed = (uid, world) => observer.changed(uid, world);
    return observe(observer);
  };
  await running(async () => {
    await clock.advance(5_000);
    const slices: string[][] = [];
    const converge = engine.convergeKubernetes.bind(engine);
    engine.convergeKubernetes = (signal, pass) => {
      slices.push([...pass?.only ?? []]);
      return converge(signal, pass);
    };
    for (let index = 0; index < 100; index++) changed(`w${index}-uid`, "external");
    changed("w99-uid", "kubernetes");
    await clock.advance(1_000);
    assertEquals(slices[0]?.[0], "w99-uid");
    assertEquals(new Set(slices.flat()).size, 100);
    assertEquals(slices.flat().length, 100);
  });
});

Deno.test("runLoop() looks at thousands a slice at a time, and lets a change go first", async () => {
  const { api, clock, engine, makeWidget, passes, running } = operator({
    desired: ({ parent }) => [configMap(parent.metadata.name)],
    definition: { singleton: false },
  });
  for (let index = 0; index < 1_000; index++) makeWidget({ name: `w${index}`, uid: `w${index}-uid` });
  await running(async () => {
    await clock.advance(5_000);
    assertEquals(api.all(ConfigMap).length, 1_000);
    const slices: number[] = [];
    passes();
    const converge = engine.convergeKubernetes.bind(engine);
    engine.convergeKubernetes = (signal, pass) => {
      slices.push(pass?.only?.size ?? Infinity);
      // In the middle of the full look, somebody deletes something of the one that is looked at last.
      if (slices.length === 2) api.remove(ConfigMap, "w999");
      return converge(signal, pass);
    };
    await clock.advance(30_000);
    assert(Math.max(...slices) <= 200, `${slices}`);
    assert(slices.reduce((sum, size) => sum + size, 0) <= 2_100, `${slices}`);
    const [, second = 0, third = 0] = slices;
    assertEquals([second, third], [25, 26], "the change does not wait for the rest");
    const told = passes();
    assert(told > 0 && told < slices.length / 10, `${told} full looks in ${slices.length} slices`);
    assertEquals(api.all(ConfigMap).length, 1_000);
  });
});

Deno.test("runLoop() tells what it finds outside a few at a time while a pass goes on, and all of it in the end", async () => {
  const backend = new FakeBackend();
  const { api, clock, makeWidget, ready, running } = operator({
    desired: ({ parent }) => [external("Thing", parent.metadata.name)],
    definition: { singleton: false },
    backend,
  });
  backend.before = (what) => clock.sleep(what === "look" ? 20 : 100);
  const names = Array.from({ length: 100 }, (_, index) => `w${index}`);
  for (const name of names) makeWidget({ name, uid: `${name}-uid` });
  const statuses = () => sentSince(api).filter((line) => line.endsWith("/status")).length;
  await running(async () => {
    const first = statuses();
    for (let second = 1; second <= 5; second++) {
      await clock.advance(1_000);
      const told = statuses() - first;
      assert(told > 0 && told <= 25 * (second + 1), `${told} in ${second} s`);
    }
    assert(backend.objects.size < names.length, "the pass is over");
    await clock.advance(20_000);
    assertEquals(names.filter((name) => ready(name) !== "True"), []);
  });
});

Deno.test("F05 runLoop() repairs within the resync interval what no watch told", async () => {
  const deaf: RequestHook = ({ options, verb }, proceed) =>
    verb !== "watch" ? proceed() : Promise.resolve(
      new ReadableStream({
        start: (controller) => options.abortSignal?.addEventListener("abort", () => controller.error()),
      }),
    );
  const { api, clock, editWidget, makeWidget, running } = operator({
    desired: ({ parent }) => [configMap("a", parent.spec as Record<string, string>)],
    hook: deaf,
  });
  makeWidget({}, { key: "1" });
  await running(async () => {
    editWidget({ key: "2" });
    await clock.advance(30_100);
    assertEquals(api.get(ConfigMap, "a")?.data, { key: "2" });
    api.edit(ConfigMap, "a", (object) => object.data = { key: "edited" });
    await clock.advance(630_000);
    assertEquals(api.get(ConfigMap, "a")?.data, { key: "2" });
  });
});

Deno.test("runLoop() tries again what failed when its time has come, not before", async () => {
  let attempts = 0;
  const { clock, makeWidget, ready, running } = operator({
    desired: () => [configMap("a")],
    hook: (request, proceed) => {
      if (request.verb === "apply" && ++attempts < 5) throw refusal(request.options, 500, "InternalError");
      return proceed();
    },
  });
  makeWidget();
  await running(async () => {
    await clock.advance(275);
    assertEquals([attempts, ready()], [1, "False ConfigMap a"]);
    await clock.advance(375 + 750 + 1_500 + 3_000);
    assertEquals([attempts, ready()], [5, "True"]);
  });
});

Deno.test("runLoop() makes no storm of a write that is outdated for ever", async () => {
  let attempts = 0;
  const { clock, makeWidget, passes, running } = operator({
    desired: () => [configMap("a")],
    hook: (request, proceed) => {
      if (request.verb !== "apply") return proceed();
      attempts++;
      throw refusal(request.options, 409, "Conflict");
    },
  });
  makeWidget();
  await running(async () => {
    await clock.advance(600_000);
    assert(attempts < 3 * 40 && passes() < 80, `${attempts} attempts`);
  });
});

Deno.test("F24 runLoop() keeps the children right while the external system hangs", async () => {
  const backend = new FakeBackend();
  const { api, clock, makeWidget, running } = operator({
    desired: () => [configMap("a"), external("Thing", "t")],
    backend,
  });
  makeWidget();
  backend.before = () => clock.sleep(30_000);
  await running(async () => {
    api.remove(ConfigMap, "a");
    await clock.advance(50);
    assertEquals([api.all(ConfigMap).length, backend.asked], [1, ["look"]]);
    backend.before = () => {};
    await clock.advance(31_000);
    assert(backend.objects.has("Thing t"));
  });
});

Deno.test("F15 F16 runLoop() is stuck when a lane waits for what never comes, and not when a server is slow or away", async () => {
  const backend = new FakeBackend();
  let goOn = () => {};
  let answer: "right" | "late" | "never" = "right";
  const { clock, editWidget, engine, makeWidget, running } = operator({
    desired: ({ parent }) => [
      configMap("a", { ...parent.spec as Record<string, string> }),
      external("Thing", "t"),
    ],
    backend,
    hook: async ({ verb }, proceed) => {
      if (verb !== "apply" || answer === "right") return await proceed();
      await (answer === "late" ? clock.sleep(30_000) : new Promise<void>((resolve) => goOn = resolve));
      throw new ApiError("no answer within 30000 ms", { status: 0, reason: "DeadlineExceeded" });
    },
  });
  makeWidget({}, { round: "1" });
  assertEquals(engine.heartbeat.stuck(), undefined);
  await running(async () => {
    await clock.advance(700_000);
    assertEquals(engine.heartbeat.stuck(), undefined, "at rest");
    answer = "late";
    backend.before = () => clock.sleep(30_000);
    editWidget({ round: "2" });
    await clock.advance(700_000);
    assertEquals(engine.heartbeat.stuck(), undefined, "slow");
    backend.reachable = false;
    await clock.advance(700_000);
    assertEquals(engine.heartbeat.stuck(), undefined, "away");
    answer = "right";
    backend.before = () => {};
    await clock.advance(120_000);

    backend.before = () => new Promise<void>((resolve) => goOn = resolve);
    await clock.advance(3_600_000);
    assertEquals(engine.heartbeat.stuck(), undefined);
    await clock.advance(60_000);
    assertMatch(engine.heartbeat.stuck() ?? "", /^the external lane has not gone on for 36\d\d s$/);
    backend.before = () => {};
    goOn();
    await clock.advance(1_000);
    assertEquals(engine.heartbeat.stuck(), undefined);

    answer = "never";
    editWidget({ round: "3" });
    await clock.advance(700_000);
    assertMatch(engine.heartbeat.stuck() ?? "", /^the kubernetes lane has not gone on for/);
    answer = "right";
    goOn();
  });
});

Deno.test("F16 runLoop() lets a write that hangs delay no other by more than a second, and sends none beside it", async () => {
  let hanging = "";
  let answer: "late" | "none" = "none";
  const sent: string[] = [];
  const { api, clock, makeWidget, running, told } = operator({
    desired: ({ parent: { metadata: { name }, spec } }) =>
      ["a", "b"].map((child) => configMap(`${name}-${child}`, spec as Record<string, string>)),
    definition: { singleton: false },
    hook: async ({ name, options, verb }, proceed) => {
      if (`${verb} ${name}` !== hanging) return await proceed();
      sent.push(`${verb} ${name}`);
      await clock.sleep(29_000);
      if (answer === "late") return await proceed();
      throw new ApiError("no answer", { status: 0, reason: "DeadlineExceeded", ...options });
    },
  });
  for (const name of ["w", "x"]) makeWidget({ name, uid: `${name}-uid` }, { x: "1" });
  const all = ["w-a", "w-b", "x-a", "x-b"];
  const there = () => api.all(ConfigMap).map(({ metadata }) => metadata?.name).sort();
  const cases = [
    { what: "apply w-a", child: "w-a", end: "none", others: ["w-b", "x-a"] },
    { what: "apply x-b", child: "x-b", end: "late", others: ["x-a", "w-a"] },
    // A status.
    { what: "update x", child: undefined, end: "none", others: ["x-a", "w-a"] },
  ] as const;
  await running(async () => {
    await clock.advance(1_000);
    for (const { what, child, end, others } of cases) {
      [hanging, answer] = [what, end];
      if (child !== undefined) api.remove(ConfigMap, child);
      else api.edit(Widget, "x", (object) => Object.assign(object, { spec: { x: "2" } }));
      await clock.advance(100);
      assertEquals(sent.splice(0), [what]);
      for (const name of others) api.remove(ConfigMap, name);
      await clock.advance(1_100);
      const meanwhile = all.filter((name) => name !== child);
      assertEquals(there(), meanwhile, what);
      await clock.advance(25_000);
      assertEquals([sent, there()], [[], meanwhile], what);
      hanging = "";
      await clock.advance(10_000);
      assertEquals(there(), all, what);
    }
    assert((await told()).includes("Repaired: Put right ConfigMap x-b (missing)"));
    hanging = "apply w-a";
    api.remove(ConfigMap, "w-a");
    await clock.advance(5_000);
  });
});

Deno.test("F16 runLoop() waits for a key that is made, and not for one that is not stored", async () => {
  const { api, clock, makeWidget, running } = operator({
    desired: () => [
      configMap("a"),
      generatedKey({ generate: () => clock.sleep(5_000).then(() => ({ "tls.key": "bWFkZQ==" })) }),
    ],
    hook: async ({ name, verb }, proceed) => {
      if (verb === "create" && name === "key") await clock.sleep(29_000);
      return await proceed();
    },
  });
  makeWidget();
  await running(async () => {
    const statuses = () => sentSince(api).filter((line) => line.endsWith("/status")).length;
    assertEquals(api.all(ConfigMap).length, 1);
    await clock.advance(4_000);
    assertEquals(statuses(), 0, "there is nothing new to say yet");
    await clock.advance(3_000);
    assertEquals([statuses(), api.all(Secret).length], [1, 0]);
    api.remove(ConfigMap, "a");
    await clock.advance(100);
    assertEquals(api.all(ConfigMap).length, 1);
    await clock.advance(30_000);
    assertEquals([statuses(), api.all(Secret).length], [2, 1]);
  });
});

Deno.test("runLoop() asks an external system that is down no more than once a second, and notices its return", async () => {
  const backend = new FakeBackend();
  const { clock, makeWidget, ready, running } = operator({
    desired: () => [external("Thing", "t")],
    definition: {
      status: ({ parent, pending, snapshot }) => {
        const { phase } = snapshot.external(parent.metadata.uid);
        const ready = phase === "observed" && pending.length === 0;
        return {
          conditions: [{ type: "Ready", status: ready ? "True" : "False", reason: "R", message: phase }],
          fields: {},
        };
      },
    },
    backend,
  });
  backend.reachable = false;
  makeWidget();
  await running(async () => {
    await clock.advance(60_000);
    assert(backend.asked.length <= 70, `${backend.asked.length} looks`);
    assertEquals(ready(), "False unreachable");
    backend.reachable = true;
    await clock.advance(3_000);
    assertEquals(ready(), "True observed");
    backend.objects.clear();
    await clock.advance(12_000);
    assert(backend.objects.has("Thing t"));
  });
});

Deno.test("F22 runLoop() finishes the write under way when it has to stop, starts no other, and gives the Lease back", async () => {
  let arrive = () => {};
  let aborted = false;
  const all = operator({
    desired: () => [configMap("a"), configMap("b"), external("Thing", "t")],
    definition: { inventoryName: "inventory" },
    backend: new FakeBackend(),
    hook: async ({ name, options, verb }, proceed) => {
      if (verb === "apply" && name === "a") {
        options.abortSignal?.addEventListener("abort", () => aborted = true);
        await new Promise<void>((resolve) => arrive = resolve);
      }
      return await proceed();
    },
  });
  const { api, clock, logged, makeWidget, start, stopping } = all;
  makeWidget();
  const ended = start();
  await clock.advance(100);
  const before = api.writes.length;
  stopping.abort();
  await clock.advance(4_000);
  assertEquals([aborted, holder(all)], [false, "us"]);
  arrive();
  await clock.until(ended);
  assertEquals(sentSince(api, before), ["apply configmaps a"]);
  assertEquals([holder(all), clock.sleepers, api.watching], ["", 0, 0]);
  assert(logged().at(-1)?.includes("stopped"));
});

Deno.test("F16 runLoop() ends in time though the API server hangs", async () => {
  let hanging = false;
  const { clock, makeWidget, start, stopping } = operator({
    desired: () => [configMap("a")],
    hook: async ({ options, verb }, proceed) => {
      if (!hanging || verb === "watch") return await proceed();
      const given = AbortSignal.any([options.abortSignal ?? new AbortController().signal]);
      await clock.sleep(options.deadlineMs ?? 30_000, given);
      throw new ApiError("no answer", { status: 0, reason: given.aborted ? "Aborted" : "DeadlineExceeded" });
    },
  });
  makeWidget();
  const ended = start();
  await clock.advance(0);
  hanging = true;
  await clock.advance(3_000);
  stopping.abort();
  const stoppedAt = clock.monotonic();
  await clock.until(ended);
  assert(clock.monotonic() - stoppedAt <= 8_000, `${clock.monotonic() - stoppedAt} ms`);
  assertEquals(clock.sleepers, 0);
});

Deno.test("F15 runLoop() says once that the API server is away, and changes no status for it when it is back", async () => {
  let isAway = false;
  const { api, clock, logged, makeWidget, passes, running } = operator({
    desired: ({ parent: { metadata } }) => [configMap(`of-${metadata.name}`)],
    definition: { singleton: false },
    hook: async ({ plural }, proceed) => {
      if (isAway) throw new ApiError("no answer", { status: 0, reason: "Unreachable" });
      // The kinds are listed again one after the other.
      if (plural === "configmaps") await clock.sleep(500);
      return await proceed();
    },
  });
  for (const name of ["a", "b", "c"]) makeWidget({ name });
  await running(async () => {
    await clock.advance(10_000);
    logged();
    passes();
    const before = api.writes.length;
    isAway = true;
    api.closeWatches();
    await clock.advance(300_000);
    assertEquals(passes(), 0);
    isAway = false;
    api.remove(ConfigMap, "of-b");
    await clock.advance(6_000);
    assertEquals(sentSince(api, before), ["apply configmaps of-b"]);
    assertEquals(logged().map((line) => line.replace(/ \{.*/, "").trim()), [
      "warn  the API server cannot be used",
      "info  the API server can be used again",
      "info  created",
      "info  reconciled",
    ]);
  });
});

Deno.test("runLoop() on standby writes nothing, and takes over when the other is gone", async () => {
  const desired = () => [configMap("a")];
  const first = operator({ desired, identity: "first" });
  const second = operator({ desired, identity: "second", beside: first });
  const { api, clock } = first;
  first.makeWidget();
  const firstEnded = first.start();
  await clock.advance(100);
  const secondEnded = second.start();
  await clock.advance(60_000);
  assertEquals([second.passes(), second.lease.holder, holder(first)], [0, "first", "first"]);
  first.stopping.abort();
  await clock.until(firstEnded);
  await clock.advance(2_300);
  assertEquals(holder(first), "second");
  api.remove(ConfigMap, "a");
  await clock.advance(50);
  assertEquals(api.all(ConfigMap).length, 1);
  second.stopping.abort();
  await clock.until(secondEnded);
});

Deno.test("F21 runLoop() takes no notice of a wall clock that is set to another time", async () => {
  const { api, clock, lease, makeWidget, passes, running } = operator({ desired: () => [configMap("a")] });
  makeWidget();
  await running(async () => {
    await clock.advance(1_000);
    for (const ms of [86_400_000, -172_800_000, 300_000]) {
      const before = api.writes.length;
      passes();
      clock.jump(ms);
      await clock.advance(60_000);
      assertEquals([lease.held, sentSince(api, before), passes()], [true, [], 2]);
      api.remove(ConfigMap, "a");
      await clock.advance(50);
      assertEquals(api.all(ConfigMap).length, 1);
    }
  });
});

Deno.test("F20 runLoop() stops writing when the Lease cannot be renewed, and goes on when it is held again", async () => {
  let broken = false;
  const { api, clock, lease, makeWidget, running } = operator({
    desired: () => [configMap("a")],
    hook: ({ plural }, proceed) => {
      if (broken && plural === "leases") {
        throw new ApiError("no answer", { status: 0, reason: "Unreachable" });
      }
      return proceed();
    },
  });
  makeWidget();
  await running(async () => {
    broken = true;
    await clock.advance(12_000);
    api.remove(ConfigMap, "a");
    await clock.advance(60_000);
    assertEquals([lease.held, api.all(ConfigMap).length], [false, 0]);
    broken = false;
    await clock.advance(2_300);
    assertEquals([lease.held, api.all(ConfigMap).length], [true, 1]);
  });
});

Deno.test("runLoop() survives a pass that fails unexpectedly, and says so", async () => {
  let mistaken = true;
  const { clock, logged, makeWidget, ready, running } = operator({
    desired: () => {
      if (mistaken) throw new TypeError("mistake");
      return [configMap("a")];
    },
    backend: new FakeBackend(),
  });
  makeWidget();
  await running(async () => {
    await clock.advance(60_000);
    const said = logged().filter((line) => line.includes("mistake"));
    assert(said.length > 2 && said.length < 70, `${said.length} lines`);
    mistaken = false;
    await clock.advance(3_000);
    assertEquals(ready(), "True");
  });
});

Deno.test("runLoop() leaves nothing running when a part of it fails", async () => {
  const { api, clock, engine, lease, makeWidget, start } = operator({ desired: () => [configMap("a")] });
  makeWidget();
  lease.run = async () => {
    await clock.sleep(1_000);
    throw new TypeError("mistake");
  };
  const ended = assertRejects(start, TypeError, "mistake");
  await clock.until(ended);
  assertEquals([clock.sleepers, api.watching], [0, 0]);
  assertEquals(engine.store.ready, true);
});

Deno.test("runLoop() waits for a CRD that is not installed, and begins when it is", async () => {
  const { api, clock, makeWidget, ready, running } = operator({ desired: () => [configMap("a")] });
  api.unserve(Widget);
  await running(async () => {
    await clock.advance(60_000);
    api.serve(Widget);
    makeWidget();
    await clock.advance(5_100);
    assertEquals(ready(), "True");
  });
});
