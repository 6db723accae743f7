/**
 * Runs plans of `sieve.ts` side by side and prints a table; the last line is `N passed, N failed`.
 *
 *     main.ts [--share=N] [--pot-share=N] [--jobs=N] [--scenario=WORDS] [--plan=WORDS]
 *
 * `--share=3` runs every third plan of each scenario, `--pot-share` of those of PoT; what fails is told, and run once
 * more. Wants the cluster that `deno task faults` starts, and leaves its namespaces in it.
 */

import { parseArgs } from "@std/cli";
import { PotControlPlane } from "../../src/resources/controlplane/pot/definition.ts";
import { type SharedCluster, startCluster } from "../cluster/mod.ts";
import { cluster, installCrd, untilGarbageIsCollected } from "../e2e/harness.ts";
import { timed } from "../e2e/waiting.ts";
import { registerSecret } from "../secrets.ts";
import { stockRsaKeys } from "./key_stock.ts";
import { type Flavour, iofogFlavour, potFlavour } from "./flavour.ts";
import { potScenarios } from "./pot_scenarios.ts";
import type { Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";
import { type CleanRun, describePlan, type PlanResult, runClean, runPlan } from "./sieve.ts";
import { World } from "./trial.ts";

/** One line of the table. */
export interface Row {
  readonly scenario: string;
  readonly writes: number;
  readonly lists: number;
  readonly plans: number;
  readonly passed: number;
  readonly seconds: number;
}

/** Which plans to run. */
interface Choice {
  readonly jobs: number;
  readonly share: number;
  /** Words of the plan's name. */
  readonly only: string;
}

/** Runs the plans of a scenario, `jobs` at a time. */
async function runScenario(world: World, scenario: Scenario, { jobs, only, share }: Choice): Promise<Row> {
  let clean: CleanRun | undefined;
  const results: PlanResult[] = [];
  const tookMs = await timed(async () => {
    const run = clean = await runClean(world, scenario);
    const queue = run.plans.filter((plan, index) => index % share === 0 && describePlan(plan).includes(only));
    const work = async () => {
      for (let plan = queue.shift(); plan !== undefined; plan = queue.shift()) {
        let result = await runPlan(world, run, plan);
        // A share stands for the rest: what it finds once on a machine at work is told, and tried again.
        for (const title of share > 1 ? ["FAILED ONCE", "FAILED"] : ["FAILED"]) {
          if (result.violations.length === 0) break;
          console.log(`${title} ${scenario.name}: ${describePlan(plan)}`);
          for (const violation of result.violations) console.log(`    ${violation}`);
          if (title === "FAILED ONCE") result = await runPlan(world, run, plan);
        }
        results.push(result);
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
  });
  const lists = clean?.plans.filter(({ fault }) => fault === "stale").length ?? 0;
  return {
    scenario: scenario.name,
    writes: ((clean?.plans.length ?? 0) - lists) / 2,
    lists,
    plans: results.length,
    passed: results.filter(({ violations }) => violations.length === 0).length,
    seconds: Math.round(tookMs / 1000),
  };
}

/** Where a flavour is tried. */
interface Place {
  readonly flavour: Flavour;
  readonly home: SharedCluster;
  stop?(): Promise<void>;
}

/** Runs the scenarios that were asked for, one after the other. */
async function tryAll(table: readonly Scenario[], choice: Choice, open: () => Promise<Place>): Promise<void> {
  const chosen = table.filter(({ name }) => name.includes(args.scenario ?? ""));
  if (chosen.length === 0) return;
  const { flavour, home, stop } = await open();
  try {
    await untilGarbageIsCollected(home, flavour.resource);
    await using world = await World.open(home, flavour, { tidy: false });
    for (const scenario of chosen) {
      try {
        const row = await runScenario(world, scenario, choice);
        rows.push(row);
        console.log(`${scenario.name}: ${row.plans} plans, ${row.passed} passed, ${row.seconds} s`);
      } catch (error) {
        broken++;
        console.log(`FAILED ${scenario.name}, clean: ${error instanceof Error ? error.message : error}`);
      }
    }
  } finally {
    await stop?.();
  }
}

function tableLine(cells: readonly (string | number)[]): string {
  return cells.map((cell, column) => column === 0 ? `${cell}`.padEnd(42) : `${cell}`.padStart(8)).join("");
}

const args = parseArgs(Deno.args, { string: ["jobs", "share", "pot-share", "scenario", "plan"] });
const choice = { jobs: Number(args.jobs ?? 8), share: Number(args.share ?? 1), only: args.plan ?? "" };
const rejections: string[] = [];
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  const { reason } = event;
  rejections.push(reason instanceof Error ? reason.stack ?? reason.message : String(reason));
});
const rows: Row[] = [];
let broken = 0;
stockRsaKeys();
await tryAll(scenarios, choice, () => Promise.resolve({ flavour: iofogFlavour(), home: cluster }));
// A cluster of its own: operators of ioFog look only after what is served.
await tryAll(potScenarios, { ...choice, share: Number(args["pot-share"] ?? choice.share) }, async () => {
  const home = await startCluster();
  registerSecret(home.adminToken);
  await installCrd(home, PotControlPlane);
  return { flavour: await potFlavour(), home, stop: () => home.stop() };
});
console.log("");
console.log(tableLine(["scenario", "writes", "lists", "plans", "run", "passed", "seconds"]));
for (const { lists, passed, plans, scenario, seconds, writes } of rows) {
  console.log(tableLine([scenario, writes, lists, writes * 2 + lists, plans, passed, seconds]));
}
const sum = (of: (row: Row) => number) => rows.reduce((total, row) => total + of(row), 0);
console.log(tableLine([
  "all",
  sum(({ writes }) => writes),
  sum(({ lists }) => lists),
  sum(({ lists, writes }) => writes * 2 + lists),
  sum(({ plans }) => plans),
  sum(({ passed }) => passed),
  sum(({ seconds }) => seconds),
]));
for (const rejection of rejections) console.log(`FAILED unhandled rejection: ${rejection}`);
const failed = sum(({ plans }) => plans) - sum(({ passed }) => passed) + rejections.length + broken;
console.log(`${sum(({ passed }) => passed)} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);
