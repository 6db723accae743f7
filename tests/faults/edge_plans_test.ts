/**
 * A fixed share of the plans over the edge, on an API server in memory: `deno task faults` tries all of them on a real
 * one.
 */

import { assert, assertEquals } from "@std/assert";
import { EdgeTest } from "../edge/edge_world.ts";
import { describeEdgePlan, edgePlansOf, tryEdgePlan } from "./edge_plans.ts";
import { edgeScenarios } from "./edge_scenarios.ts";

/** One plan of so many is tried. */
const SHARE = 80;

for (const scenario of edgeScenarios) {
  Deno.test(`F01 F02 F03 F25 F27 F31 at the edge, ${scenario.name}: a crash at any write and any older list change neither the end nor the way`, async () => {
    const open = () => EdgeTest.open(scenario.group, { isHeld: true });
    const { clean, plans } = await edgePlansOf(scenario, open);
    assert(plans.length > 0);
    const wrong: string[] = [];
    for (const plan of plans.filter((_, index) => index % SHARE === 0)) {
      for (const violation of await tryEdgePlan(scenario, clean, plan, open)) {
        wrong.push(`${describeEdgePlan(plan)}: ${violation}`);
      }
    }
    assertEquals(wrong, []);
  });
}
