/**
 * Runs plans of `sieve.ts` and `edge_plans.ts` side by side and prints a table; the last line is `N passed, N failed`.
 *
 *     main.ts [--share=N] [--pot-share=N] [--edge-share=N] [--jobs=N] [--scenario=WORDS] [--plan=WORDS]
 *
 * `--share=3` runs every third plan of each scenario, `--pot-share` of those of PoT, `--edge-share` of those of the
 * edge; what fails is told, and run once more. Wants the cluster that `deno task faults` starts, and leaves its namespaces in it.
 */

import { parseArgs } from "@std/cli";
import { PotControlPlane } from "../../src/resources/controlplane/pot/definition.ts";
import { type SharedCluster, startCluster } from "../cluster/mod.ts";
import { installEdgeCrds } from "../e2e/edge_scene.ts";
import { cluster, installCrd, untilGarbageIsCollected } from "../e2e/harness.ts";
import { timed } from "../e2e/waiting.ts";
import { EdgeTest } from "../edge/edge_world.ts";
import { registerSecret } from "../secrets.ts";
import { describeEdgePlan, edgePlansOf, type EdgeScenario, tryEdgePlan } from "./edge_plans.ts";
import { edgeScenarios } from "./edge_scenarios.ts";
import { stockRsaKeys } from "./key_stock.ts";
import { type Flavour, iofogFlavour, potFlavour } from "./flavour.ts";
import { potScenarios } from "./pot_scenarios.ts";
import type { Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";
import { describePlan, runClean, runPlan } from "./sieve.ts";
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

/** A plan that can be run, as often as one likes. */
interface Attempt {
  readonly name: string;
  readonly isList: boolean;
  /** Gives what is not as it should be. */
  run(): Promise<readonly string[]>;
}

/** Where scenarios are tried. */
interface Place<AnyScenario> extends AsyncDisposable {
  /** Runs a scenario without any fault; gives its plans. */
  begin(scenario: AnyScenario): Promise<readonly Attempt[]>;
}

/** Runs the plans of a scenario, `jobs` at a time. */
async function runScenario(
  scenario: string,
  begin: () => Promise<readonly Attempt[]>,
  { jobs, only, share }: Choice,
): Promise<Row> {
  let all: readonly Attempt[] = [];
  let [plans, passed] = [0, 0];
  const tookMs = await timed(async () => {
    all = await begin();
    const queue = all.filter(({ name }, index) => index % share === 0 && name.includes(only));
    const work = async () => {
      for (let attempt = queue.shift(); attempt !== undefined; attempt = queue.shift()) {
        let violations = await attempt.run();
        // A share stands for the rest: what it finds once on a machine at work is told, and tried again.
        for (const title of share > 1 ? ["FAILED ONCE", "FAILED"] : ["FAILED"]) {
          if (violations.length === 0) break;
          console.log(`${title} ${scenario}: ${attempt.name}`);
          for (const violation of violations) console.log(`    ${violation}`);
          if (title === "FAILED ONCE") violations = await attempt.run();
        }
        plans++;
        if (violations.length === 0) passed++;
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
  });
  const lists = all.filter(({ isList }) => isList).length;
  const seconds = Math.round(tookMs / 1000);
  return { scenario, writes: (all.length - lists) / 2, lists, plans, passed, seconds };
}

/** A world of control planes. */
async function openWorld(flavour: Flavour, home: SharedCluster): Promise<Place<Scenario>> {
  await untilGarbageIsCollected(home, flavour.resource);
  const world = await World.open(home, flavour, { tidy: false });
  return {
    async begin(scenario) {
      const clean = await runClean(world, scenario);
      return clean.plans.map((plan) => ({
        name: describePlan(plan),
        isList: plan.fault === "stale",
        run: async () => (await runPlan(world, clean, plan)).violations,
      }));
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

async function openEdge(): Promise<Place<EdgeScenario>> {
  for (const group of ["iofog.org", "datasance.com"] as const) await installEdgeCrds(cluster, group);
  return {
    async begin(scenario) {
      const open = () => EdgeTest.open(scenario.group, { cluster, isHeld: true });
      const { clean, plans } = await edgePlansOf(scenario, open);
      return plans.map((plan) => ({
        name: describeEdgePlan(plan),
        isList: plan.fault === "stale",
        run: () => tryEdgePlan(scenario, clean, plan, open),
      }));
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Runs the scenarios that were asked for, one after the other. */
async function tryAll<AnyScenario extends { readonly name: string }>(
  table: readonly AnyScenario[],
  choice: Choice,
  open: () => Promise<Place<AnyScenario>>,
): Promise<void> {
  const chosen = table.filter(({ name }) => name.includes(args.scenario ?? ""));
  if (chosen.length === 0) return;
  await using place = await open();
  for (const scenario of chosen) {
    try {
      const row = await runScenario(scenario.name, () => place.begin(scenario), choice);
      rows.push(row);
      console.log(`${scenario.name}: ${row.plans} plans, ${row.passed} passed, ${row.seconds} s`);
    } catch (error) {
      broken++;
      console.log(`FAILED ${scenario.name}, clean: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function tableLine(cells: readonly (string | number)[]): string {
  return cells.map((cell, column) => column === 0 ? `${cell}`.padEnd(62) : `${cell}`.padStart(8)).join("");
}

const args = parseArgs(Deno.args, {
  string: ["jobs", "share", "pot-share", "edge-share", "scenario", "plan"],
});
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
const shareOf = (name: "pot-share" | "edge-share") => ({
  ...choice,
  share: Number(args[name] ?? choice.share),
});
await tryAll(scenarios, choice, () => openWorld(iofogFlavour(), cluster));
await tryAll(
  edgeScenarios.map((scenario) => ({ ...scenario, name: `edge: ${scenario.name}` })),
  shareOf("edge-share"),
  openEdge,
);
// A cluster of its own: operators of ioFog look only after what is served.
await tryAll(potScenarios, shareOf("pot-share"), async () => {
  const home = await startCluster();
  registerSecret(home.adminToken);
  await installCrd(home, PotControlPlane);
  const world = await openWorld(await potFlavour(), home);
  return {
    begin: world.begin,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      await home.stop();
    },
  };
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
