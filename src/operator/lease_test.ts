import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Clock } from "../clock.ts";
import { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import { Lease } from "../kubernetes/generated/coordination_v1.ts";
import { intercept, type RequestHook } from "../kubernetes/intercept.ts";
import { MemoryApi, refusal } from "../../tests/memory_transport.ts";
import { VirtualClock } from "../../tests/virtual_clock.ts";
import { LeaseHolder } from "./lease.ts";

const never = new AbortController().signal;

function unreachable(): never {
  throw new ApiError("no answer", { status: 0, reason: "Unreachable" });
}

/** A cluster with Leases, and processes that want the one named `widgets`. */
function cluster() {
  const clock = new VirtualClock();
  const api = new MemoryApi(clock, [Lease]);
  const said: string[] = [];
  const process = (
    identity: string,
    hook: RequestHook = (_, proceed) => proceed(),
    itsClock: Clock = clock,
  ) =>
    new LeaseHolder({
      client: new KubernetesClient(intercept(api, hook), itsClock),
      clock: itsClock,
      namespace: "ns",
      name: "widgets",
      identity,
      observer: {
        acquired: () => said.push(`${identity} acquired`),
        lost: () => said.push(`${identity} lost`),
        heldBy: (_, holder) => said.push(`${identity} waits for ${holder}`),
        forbidden: () => said.push(`${identity} forbidden`),
        impossible: (_, problem) => said.push(`${identity}: ${problem}`),
      },
    });
  return { api, clock, process, said, spec: () => api.get(Lease, "widgets")?.spec };
}

Deno.test("LeaseHolder acquires a Lease that nobody has, and renews it", async () => {
  const { clock, process, said, spec } = cluster();
  const a = process("a");
  assertEquals([a.held, await a.attempt(never), a.held], [false, true, true]);
  const acquired = {
    holderIdentity: "a",
    leaseDurationSeconds: 15,
    renewTime: "2025-01-01T00:00:00.000000Z",
    acquireTime: "2025-01-01T00:00:00.000000Z",
    leaseTransitions: 0,
  };
  assertEquals(spec(), acquired);
  await clock.advance(2_000);
  await a.attempt(never);
  assertEquals(spec(), { ...acquired, renewTime: "2025-01-01T00:00:02.000000Z" });
  assertEquals(said, ["a acquired"]);
});

Deno.test("F14 F20 LeaseHolder lets its requests wait for no others", async () => {
  const { process } = cluster();
  const waiting: string[] = [];
  const a = process("a", ({ options, verb }, proceed) => {
    if (options.urgent !== true) waiting.push(verb);
    return proceed();
  });
  await a.attempt(never);
  await a.attempt(never);
  await a.release();
  assertEquals(waiting, []);
});

Deno.test("LeaseHolder loses the Lease by its own clock, 10 s after the last renewal began", async () => {
  const { clock, process, said } = cluster();
  let broken = false;
  const a = process("a", (_, proceed) => broken ? unreachable() : proceed());
  await a.attempt(never);
  broken = true;
  await clock.advance(9_999);
  assertEquals([await a.attempt(never), a.held], [true, true]);
  await clock.advance(1);
  assertEquals([a.held, await a.attempt(never)], [false, false]);
  broken = false;
  assertEquals(await a.attempt(never), true);
  assertEquals(said, ["a acquired", "a lost", "a acquired"]);
});

Deno.test("LeaseHolder counts a slow renewal from its beginning", async () => {
  const { clock, process } = cluster();
  const a = process("a", async (_, proceed) => {
    await clock.sleep(4_000);
    return await proceed();
  });
  // A read and a creation.
  await clock.until(a.attempt(never));
  await clock.advance(1_999);
  assert(a.held);
  await clock.advance(1);
  assert(!a.held);
});

Deno.test("F21 LeaseHolder takes over when the record has not changed for its duration, however clocks differ", async () => {
  for (const skewMs of [-300_000, 0, 300_000]) {
    const { clock, process, said, spec } = cluster();
    const a = process("a");
    const b = process("b", undefined, clock.skewed(skewMs));
    await a.attempt(never);
    for (let seconds = 0; seconds < 60; seconds += 5) {
      assertEquals([await a.attempt(never), await b.attempt(never), b.holder], [true, false, "a"]);
      await clock.advance(5_000);
    }
    // The last renewal was seen 5 s ago.
    for (let seconds = 5; seconds < 15; seconds += 5) {
      assertEquals(await b.attempt(never), false);
      await clock.advance(5_000);
    }
    assertEquals([a.held, await b.attempt(never), b.holder], [false, true, undefined]);
    assertEquals([spec()?.holderIdentity, spec()?.leaseTransitions], ["b", 1]);
    assertEquals([await a.attempt(never), await a.attempt(never), a.holder], [false, false, "b"]);
    assertEquals(said, ["a acquired", "b waits for a", "b acquired", "a lost", "a waits for b"]);
  }
});

Deno.test("LeaseHolder gives the Lease back, so that the next one need not wait", async () => {
  const { process, spec } = cluster();
  const [a, b] = [process("a"), process("b")];
  await a.attempt(never);
  await a.release();
  assertEquals([a.held, spec()?.holderIdentity, spec()?.leaseDurationSeconds], [false, "", 1]);
  assertEquals([await b.attempt(never), spec()?.holderIdentity], [true, "b"]);
  await a.release();
  assertEquals(spec()?.holderIdentity, "b");
});

Deno.test("LeaseHolder gives the Lease back also when its last renewal was cut off", async () => {
  const { clock, process, spec } = cluster();
  const stopping = new AbortController();
  let cutOff = false;
  const a = process("a", async (_, proceed) => {
    const answer = await proceed();
    if (cutOff) throw new ApiError("aborted", { status: 0, reason: "Aborted" });
    return answer;
  });
  await a.attempt(never);
  await clock.advance(2_000);
  cutOff = true;
  await a.attempt(stopping.signal);
  cutOff = false;
  await a.release();
  assertEquals(spec()?.holderIdentity, "");
});

Deno.test("LeaseHolder does not hold up the end of the process, and gives back only what is its own", async () => {
  const { api, clock, process, spec } = cluster();
  let delayMs = 0;
  const a = process("a", async ({ options }, proceed) => {
    if (delayMs === 0) return await proceed();
    await clock.sleep(Math.min(delayMs, options.deadlineMs ?? Infinity));
    return unreachable();
  });
  await a.attempt(never);
  delayMs = 60_000;
  const startedAt = clock.monotonic();
  await clock.until(a.release());
  assert(clock.monotonic() - startedAt <= 2_000);

  delayMs = 0;
  await a.attempt(never);
  api.edit(Lease, "widgets", ({ spec }) => spec!.holderIdentity = "b");
  await a.release();
  assertEquals(spec()?.holderIdentity, "b");
});

Deno.test("LeaseHolder says once that its namespace is missing, and acquires the Lease when it is there", async () => {
  const { process, said } = cluster();
  let missing = true;
  const a = process("a", ({ options, verb }, proceed) => {
    if (missing && verb === "create") throw refusal(options, 404, "NotFound");
    return proceed();
  });
  const problem = "namespace ns does not exist: create it, or choose another with --namespace";
  for (let time = 0; time < 3; time++) assertEquals(await a.attempt(never), false);
  assertEquals([a.problem, said], [problem, [`a: ${problem}`]]);
  missing = false;
  assertEquals([await a.attempt(never), a.problem], [true, undefined]);
});

Deno.test("LeaseHolder runs without Leases where they are forbidden, says so once, and uses them when allowed", async () => {
  const { process, said, spec } = cluster();
  let forbidden = true;
  const a = process("a", ({ options }, proceed) => {
    if (forbidden) throw refusal(options, 403, "Forbidden");
    return proceed();
  });
  for (let time = 0; time < 3; time++) assertEquals(await a.attempt(never), true);
  assertEquals([a.held, a.forbidden, said], [true, true, ["a forbidden"]]);
  await a.release();
  forbidden = false;
  assertEquals([await a.attempt(never), spec()?.holderIdentity], [true, "a"]);
});

Deno.test("LeaseHolder asks for a Lease that is forbidden ever more seldom, and has it soon when it is mended in haste", async () => {
  const { clock, process, spec } = cluster();
  const ending = new AbortController();
  let forbidden = true;
  let asked = 0;
  const a = process("a", ({ options }, proceed) => {
    asked++;
    if (forbidden) throw refusal(options, 403, "Forbidden");
    return proceed();
  });
  const running = a.run(ending.signal, () => {});
  await clock.advance(3_600_000);
  assert(asked > 6 && asked < 25, `asked ${asked} times in an hour`);
  asked = 0;
  await clock.advance(3_600_000);
  assert(asked >= 6 && asked <= 12, `asked ${asked} times in the next hour`);
  forbidden = false;
  await clock.advance(600_000);
  assertEquals(spec()?.holderIdentity, "a");
  ending.abort();
  await running;
});

Deno.test("LeaseHolder holds nothing in a namespace that goes away", async () => {
  const { api, process, said } = cluster();
  api.terminating = true;
  const a = process("a");
  assertEquals([await a.attempt(never), said], [false, []]);
});

Deno.test("LeaseHolder keeps the Lease when somebody else touched it, makes it again when it was deleted", async () => {
  const { api, process, spec } = cluster();
  const a = process("a");
  await a.attempt(never);
  api.edit(Lease, "widgets", ({ metadata }) => metadata!.annotations = { note: "x" });
  assertEquals([await a.attempt(never), await a.attempt(never)], [true, true]);
  assertEquals(api.get(Lease, "widgets")?.metadata?.annotations, { note: "x" });
  api.remove(Lease, "widgets");
  assertEquals([await a.attempt(never), await a.attempt(never)], [true, true]);
  assertEquals(spec()?.holderIdentity, "a");
});

Deno.test("LeaseHolder stops at once when another one has the Lease", async () => {
  const { api, process } = cluster();
  const a = process("a");
  await a.attempt(never);
  api.edit(Lease, "widgets", ({ spec }) => spec!.holderIdentity = "b");
  assertEquals([await a.attempt(never), a.held], [false, false]);
});

Deno.test("LeaseHolder.run() renews, tells of changes and of a lapse, and leaves no timer behind", async () => {
  const { api, clock, process } = cluster();
  let delayMs = 0;
  const a = process("a", async (_, proceed) => {
    await clock.sleep(delayMs);
    return await proceed();
  });
  const changes: string[] = [];
  const stopping = new AbortController();
  const running = a.run(stopping.signal, () => changes.push(`${clock.monotonic()} ${a.held}`));
  await clock.advance(60_000);
  assertEquals(changes, ["0 true"]);
  assertEquals(api.requests.length, 32);
  // One renewal takes longer than the Lease is held: it counts from its beginning, so another one has to follow.
  delayMs = 11_000;
  await clock.advance(4_000);
  delayMs = 0;
  await clock.advance(20_000);
  assertEquals(changes.map((change) => change.split(" ")[1]), ["true", "false", "true"]);
  stopping.abort();
  await running;
  assertEquals(clock.sleepers, 0);
});

Deno.test("LeaseHolder.run() tells of a lapse that was over before it could be told", async () => {
  const { clock, process } = cluster();
  let delayMs = 0;
  const a = process("a", async (_, proceed) => {
    await clock.sleep(delayMs);
    return await proceed();
  });
  const changes: number[] = [];
  const stopping = new AbortController();
  const running = a.run(stopping.signal, () => changes.push(clock.monotonic()));
  await clock.advance(0);
  delayMs = 9_000;
  await clock.advance(10_500);
  assertEquals(a.held, false);
  delayMs = 0;
  await clock.advance(1_000);
  assertEquals([a.held, changes], [true, [0, 11_000]]);
  stopping.abort();
  await running;
});

/** How one request fares: milliseconds until it arrives and until the answer is back, or whether one gets lost. */
const fares = fc.record({
  beforeMs: fc.oneof(fc.nat(50), fc.nat(20_000)),
  afterMs: fc.oneof(fc.nat(50), fc.nat(20_000)),
  lost: fc.constantFrom("nothing", "nothing", "nothing", "request", "answer"),
});

Deno.test("two processes never hold the Lease at once, however slow and lossy their requests are", async () => {
  const scenario = fc.record({
    fares: fc.array(fares, { minLength: 20, maxLength: 60 }),
    skews: fc.array(fc.integer({ min: -300_000, max: 300_000 }), { minLength: 2, maxLength: 3 }),
    random: fc.array(fc.double({ min: 0, max: 0.99, noNaN: true }), { minLength: 1 }),
  });
  let held = 0;
  await fc.assert(
    fc.asyncProperty(scenario, async ({ fares, random, skews }) => {
      const { clock, process } = cluster();
      let turn = 0;
      clock.nextRandom = () => random[turn++ % random.length] ?? 0;
      const stopping = new AbortController();
      const hook: RequestHook = ({ options }, proceed) => {
        const { afterMs, beforeMs, lost } = fares[turn++ % fares.length]!;
        const answered = (async () => {
          await clock.sleep(beforeMs);
          if (lost === "request") unreachable();
          const answer = await proceed();
          await clock.sleep(afterMs);
          return lost === "answer" ? unreachable() : answer;
        })();
        answered.catch(() => {});
        // A request that is given up may still arrive.
        return Promise.race([answered, clock.sleep(options.deadlineMs ?? 30_000).then(unreachable)]);
      };
      const holders = skews.map((skew, index) => process(`${index}`, hook, clock.skewed(skew)));
      const running = holders.map((holder) => holder.run(stopping.signal, () => {}));
      for (let step = 0; step < 600; step++) {
        await clock.advance(200);
        const holding = holders.filter((holder) => holder.held).length;
        held += holding;
        assert(holding <= 1, `${holding} hold it`);
      }
      stopping.abort();
      await clock.until(Promise.all(running));
    }),
    { numRuns: 40 },
  );
  assert(held > 0);
});

Deno.test("LeaseHolder leaves a Lease alone until it is its turn", async () => {
  const { api, clock } = cluster();
  let turn = false;
  const lease = new LeaseHolder({
    client: new KubernetesClient(api, clock),
    clock,
    namespace: "ns",
    name: "gadgets",
    identity: "a",
    observer: { acquired: () => {}, lost: () => {}, heldBy: () => {}, forbidden: () => {} },
    isItsTurn: () => turn,
  });
  const stopping = new AbortController();
  const running = lease.run(stopping.signal, () => {});
  await clock.advance(5_000);
  assertEquals([api.get(Lease, "gadgets"), lease.held], [undefined, false]);
  turn = true;
  await clock.advance(200);
  assertEquals(lease.held, true);
  // What is held stays so: whoever came before may lose its own for a moment.
  turn = false;
  await clock.advance(20_000);
  assertEquals(lease.held, true);
  stopping.abort();
  await clock.advance(5_000);
  await running;
});
