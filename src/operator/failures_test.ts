import { assert, assertEquals } from "@std/assert";
import { VirtualClock } from "../../tests/virtual_clock.ts";
import { backoffMs } from "./backoff.ts";
import { Failures } from "./failures.ts";
import { widget } from "./fixtures.ts";

const failure = { object: "ConfigMap a", reason: "Rejected", message: "no" };
const w = widget();

/** Milliseconds of the waits after failures that come one after the other. */
async function waits(options: Parameters<Failures["note"]>[2], times: number): Promise<readonly number[]> {
  const clock = new VirtualClock();
  const failures = new Failures(clock);
  const found: number[] = [];
  for (let time = 0; time < times; time++) {
    failures.note(w, failure, options);
    found.push(failures.nextRetryMs() ?? 0);
    assertEquals(failures.of(w).get("ConfigMap a"), { ...failure, waiting: true });
    await clock.advance(found.at(-1)!);
    assertEquals(failures.of(w).get("ConfigMap a"), { ...failure, waiting: false });
  }
  return found;
}

Deno.test("backoffMs() doubles up to its longest, with jitter between half and all of it", () => {
  const clock = new VirtualClock();
  const of = (random: number) => {
    clock.nextRandom = () => random;
    return [0, 1, 2, 5, 6, 7, 1000].map((count) => backoffMs(count, clock));
  };
  assertEquals(of(0), [250, 500, 1_000, 8_000, 15_000, 15_000, 15_000]);
  assertEquals(of(1), [500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
});

Deno.test("Failures wait longer each time: up to 30 s where it may help, up to 5 minutes where it hardly does", async () => {
  assertEquals(await waits({ retryable: true }, 8), [375, 750, 1_500, 3_000, 6_000, 12_000, 22_500, 22_500]);
  assertEquals(
    await waits({ retryable: false }, 8),
    [3_000, 6_000, 12_000, 24_000, 48_000, 96_000, 192_000, 225_000],
  );
});

Deno.test("Failures wait as long as the server asks, within reason", async () => {
  assertEquals(await waits({ retryable: true, retryAfterMs: 7_000 }, 2), [7_000, 7_000]);
  assertEquals(await waits({ retryable: true, retryAfterMs: 0 }, 3), [375, 750, 1_500]);
  assertEquals(await waits({ retryable: true, retryAfterMs: 86_400_000 }, 1), [300_000]);
});

Deno.test("Failures are forgotten when the spec changes, and begin anew", () => {
  const clock = new VirtualClock();
  const failures = new Failures(clock);
  for (let time = 0; time < 5; time++) failures.note(w, failure, { retryable: true });
  const mended = widget({ generation: 2 });
  assertEquals(failures.of(mended), new Map());
  assert(failures.note(mended, failure, { retryable: true }));
  assertEquals(failures.nextRetryMs(), 375);
});

Deno.test("Failures tell whose retry is due", async () => {
  const clock = new VirtualClock();
  const failures = new Failures(clock);
  failures.note(w, failure, { retryable: true });
  assertEquals(failures.due(), []);
  await clock.advance(375);
  assertEquals(failures.due(), [w.metadata.uid]);
  failures.clear(w.metadata.uid, failure.object);
  assertEquals(failures.due(), []);
});

Deno.test("Failures tell what is news", () => {
  const failures = new Failures(new VirtualClock());
  const note = (more: object) => failures.note(w, { ...failure, ...more }, { retryable: true });
  assertEquals([note({}), note({}), note({ message: "still no" }), note({ reason: "Forbidden" })], [
    true,
    false,
    true,
    true,
  ]);
  failures.clear(w.metadata.uid, "ConfigMap a");
  assertEquals([failures.of(w).size, failures.nextRetryMs(), note({})], [0, undefined, true]);
});

Deno.test("Failures of parents that are gone are dropped", () => {
  const failures = new Failures(new VirtualClock());
  const other = widget({ name: "other" });
  for (const parent of [w, other]) failures.note(parent, failure, { retryable: true });
  failures.keepOnly(new Set([other.metadata.uid]));
  assertEquals([failures.of(w).size, failures.of(other).size], [0, 1]);
});
