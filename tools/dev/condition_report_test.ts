import { assertEquals } from "@std/assert";
import { describeChanges, isReady } from "./condition_report.ts";

const deploying = { type: "deploying", status: "True", reason: "Applying", message: "to be written" };
const router = { type: "RouterAvailable", status: "False", reason: "PodsUnavailable", message: "0 of 1" };

Deno.test("describeChanges() tells what is new, aligned, and nothing twice", () => {
  assertEquals(describeChanges([], [deploying, router]), [
    "deploying        True     Applying: to be written",
    "RouterAvailable  False    PodsUnavailable: 0 of 1",
  ]);
  assertEquals(describeChanges([deploying, router], [deploying, router]), []);
  assertEquals(
    describeChanges([deploying, router], [deploying, { type: "RouterAvailable", status: "True" }]),
    [
      "RouterAvailable  True",
    ],
  );
});

Deno.test("describeChanges() leaves out what says the same for other readers", () => {
  const twins = ["Ready", "Reconciling", "Stalled"].map((type) => ({ type, status: "True" }));
  assertEquals(describeChanges([], twins), []);
});

Deno.test("isReady() goes by the condition ready", () => {
  assertEquals(isReady({}), false);
  assertEquals(isReady({ status: { conditions: [{ type: "Ready", status: "True" }] } }), false);
  assertEquals(isReady({ status: { conditions: [{ type: "ready", status: "True" }] } }), true);
});
