/**
 * `deno task faults [--ci | --mutants] [--scenario=WORDS] [--plan=WORDS] [--jobs=N]`: every fault that the tests know, on a real
 * API server: each scenario with a crash at each write and a stale answer to each list, then every test that
 * docs/faults.md names, and mistakes made on purpose that these have to notice.
 *
 * `--ci` runs a fixed share of the plans, `--mutants` the mistakes alone. The last line is `N passed, N failed`.
 */

import { runOnCluster } from "./test.ts";

/** Milliseconds that a run may take: CI's part has a quarter of an hour on a machine of its own, the whole three hours. */
const CI_DEADLINE_MS = 30 * 60_000;
const WHOLE_DEADLINE_MS = 3 * 3600_000;
/** CI runs one plan of so many; those of PoT have more writes each, and those of the edge more lists. */
const CI_SHARE = 6;
const CI_POT_SHARE = 24;
const CI_EDGE_SHARE = 48;
/** Files with what is only run here, or runs longer here; see `tests/faults/long.ts`. */
const LONG_TESTS = ["api_server", "edge", "model", "two_writers", "process", "pot", "slow_server"].map((
  name,
) => `tests/faults/${name}_test.ts`);

if (import.meta.main) {
  const [ci, onlyMutants] = [Deno.args.includes("--ci"), Deno.args.includes("--mutants")];
  const rest = Deno.args.filter((arg) => arg !== "--ci" && arg !== "--mutants");
  const share = ci
    ? [`--share=${CI_SHARE}`, `--pot-share=${CI_POT_SHARE}`, `--edge-share=${CI_EDGE_SHARE}`]
    : [];
  const plans = ["run", "--allow-all", "tests/faults/main.ts", ...share, ...rest];
  const mutants = ["run", "--allow-all", "tests/faults/mutants.ts"];
  const tests = ["test", "--allow-all", "--parallel", "--no-prompt", "--filter", "/^F\\d\\d /"];
  const matrix = [...tests, "src", "tests"];
  const long = [...tests, ...LONG_TESTS];
  Deno.env.set("FAULTS_LONG", "1");
  // Random sequences: more of them than in the suite.
  if (Deno.env.get("FAULTS_RUNS") === undefined) Deno.env.set("FAULTS_RUNS", ci ? "300" : "3000");
  const commands = onlyMutants
    ? [mutants]
    // Who chooses among the plans wants nothing else.
    : rest.length > 0
    ? [plans]
    // In CI the other tests of the matrix have run before.
    : ci
    ? [mutants, long, plans]
    : [mutants, plans, matrix];
  await runOnCluster(commands, {
    deadlineMs: ci ? CI_DEADLINE_MS : WHOLE_DEADLINE_MS,
    needsCluster: !onlyMutants,
  });
}
