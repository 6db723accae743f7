import { assertEquals } from "@std/assert";
import { dateConditions, datedStatus } from "./conditions.ts";
import type { ConditionDraft } from "./definition.ts";

const now = Date.UTC(2025, 5, 1, 12, 0, 0, 999);
const nowText = "2025-06-01T12:00:00Z";
const earlier = "2025-01-01T00:00:00Z";

function draft(status: ConditionDraft["status"], message = ""): ConditionDraft {
  return { type: "Ready", status, reason: "R", message };
}

Deno.test("dateConditions() changes the time when the status changes, and only then", () => {
  const known = { ...draft("True", "old"), lastTransitionTime: earlier, observedGeneration: 1 };
  const cases: readonly (readonly [unknown, ConditionDraft, string])[] = [
    [undefined, draft("True"), nowText],
    ["no list", draft("True"), nowText],
    [[null, 1, known], draft("True", "new"), earlier],
    [[known], draft("False", "old"), nowText],
    [[{ ...known, type: "Other" }], draft("True"), nowText],
    [[{ ...known, lastTransitionTime: 5 }], draft("True"), nowText],
  ];
  for (const [before, wanted, time] of cases) {
    assertEquals(dateConditions([wanted], before, 2, now), [
      { ...wanted, lastTransitionTime: time, observedGeneration: 2 },
    ]);
  }
});

Deno.test("dateConditions() keeps the order of the drafts and drops what is no longer said", () => {
  const before = ["A", "B", "C"].map((type) => ({ ...draft("True"), type, lastTransitionTime: earlier }));
  const drafts = ["C", "D", "A"].map((type) => ({ ...draft("True"), type }));
  assertEquals(
    dateConditions(drafts, before, 1, now).map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
    [["C", earlier], ["D", nowText], ["A", earlier]],
  );
});

Deno.test("datedStatus() carries fields, conditions and the generation, and no message that is too long", () => {
  const status = datedStatus(
    { conditions: [draft("True", "x".repeat(40_000))], fields: { address: "a" } },
    null,
    7,
    now,
  );
  assertEquals(status, {
    address: "a",
    observedGeneration: 7,
    conditions: [{
      ...draft("True", "x".repeat(32_768)),
      lastTransitionTime: nowText,
      observedGeneration: 7,
    }],
  });
});
