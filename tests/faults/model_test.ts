/**
 * Random sequences of what may happen, over a model of the engine: see `model.ts`.
 *
 * The seed is printed; a sequence that goes wrong is made short, written to `model_cases.json`, and tried first from
 * then on. What stands there came of mistakes that were made in the engine on purpose. FAULTS_RUNS and FAULTS_SEED
 * choose how many and which.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type AnyKind, type ChildKind, type Step, tryStepsOn } from "./model.ts";

const CASES = new URL("model_cases.json", import.meta.url);
/** In the suite; `deno task faults` runs more. */
const fewRuns = 25;

const widgets = fc.constantFrom("v", "w");
const maps = fc.subarray(["a", "b", "c"]);
const childKinds = fc.constantFrom<ChildKind>("ConfigMap", "ServiceAccount", "Secret");
const kinds = fc.constantFrom<AnyKind>("ConfigMap", "ServiceAccount", "Secret", "Widget");
const ms = fc.constantFrom(10, 500, 5_000, 40_000);

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("create" as const), widget: widgets, maps }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("edit" as const), widget: widgets, maps }) },
  fc.record({
    do: fc.constant("delete" as const),
    widget: widgets,
    how: fc.constantFrom("background" as const, "foreground" as const),
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("meddle" as const),
      kind: childKinds,
      nth: fc.nat(4),
      how: fc.constantFrom("delete" as const, "edit" as const, "strip" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("squat" as const), name: fc.constantFrom("v-a", "w-b") }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("crash" as const),
      when: fc.constantFrom("before" as const, "after" as const),
      nth: fc.integer({ min: 1, max: 4 }),
    }),
  },
  fc.record({ do: fc.constant("partition" as const), ms }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant("stale" as const), kind: kinds, ms }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("refuse" as const),
      verb: fc.constantFrom("list", "apply", "create", "update", "delete", "watch"),
      kind: kinds,
      status: fc.constantFrom(403, 409, 410, 422, 429, 500, 503),
      times: fc.integer({ min: 1, max: 3 }),
    }) as fc.Arbitrary<Step>,
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("deafen" as const), kind: kinds }) },
  fc.record({ do: fc.constant("expire" as const) }),
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms }) },
);

async function savedCases(): Promise<Step[][]> {
  return JSON.parse(await Deno.readTextFile(CASES));
}

Deno.test("F01 F03 F05 F15 F31 F47 whatever happens in whatever order, an engine does no harm and ends where it should", async () => {
  const saved = await savedCases();
  for (const each of saved) assertEquals(await tryStepsOn(each), [], JSON.stringify(each));
  const seed = Number(Deno.env.get("FAULTS_SEED") ?? Date.now() % 2 ** 31);
  const numRuns = Number(Deno.env.get("FAULTS_RUNS") ?? fewRuns);
  console.log(`seed ${seed}, ${numRuns} runs`);
  let wrong: readonly string[] = [];
  const result = await fc.check(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 16, size: "max" }), async (sequence) => {
      const found = await tryStepsOn(sequence);
      if (found.length > 0) wrong = found;
      return found.length === 0;
    }),
    { seed, numRuns, endOnFailure: false },
  );
  if (!result.failed) return;
  const [shortest = []] = result.counterexample ?? [];
  if (result.errorInstance != null && wrong.length === 0) throw result.errorInstance;
  await Deno.writeTextFile(CASES, `${JSON.stringify([...saved, shortest], undefined, 2)}\n`);
  assertEquals(await tryStepsOn(shortest), [], `seed ${seed}: ${JSON.stringify(shortest)}`);
});
