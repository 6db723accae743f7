/**
 * `deno task faults [--ci] [--scenario=WORDS] [--plan=WORDS] [--jobs=N]`: every fault that the tests know, on a real
 * API server: each scenario with a crash at each write and a stale answer to each list, then every test that
 * docs/faults.md names.
 *
 * `--ci` runs a fixed share of the plans. The last line is `N passed, N failed`.
 */

import { runOnCluster } from "./test.ts";

/** Milliseconds that a run may take: half an hour for a part of it, three hours for the whole. */
const CI_DEADLINE_MS = 30 * 60_000;
const WHOLE_DEADLINE_MS = 3 * 3600_000;
/** CI runs one plan of so many. */
const CI_SHARE = 4;

if (import.meta.main) {
  const ci = Deno.args.includes("--ci");
  const rest = Deno.args.filter((arg) => arg !== "--ci");
  const plans = [
    "run",
    "--allow-all",
    "tests/faults/main.ts",
    ...(ci ? [`--share=${CI_SHARE}`] : []),
    ...rest,
  ];
  const matrix = [
    "test",
    "--allow-all",
    "--parallel",
    "--no-prompt",
    "--filter",
    "/^F\\d\\d /",
    "src",
    "tests",
  ];
  // Who chooses among the plans wants nothing else, and in CI the tests of the matrix have run before.
  const commands = ci || rest.length > 0 ? [plans] : [plans, matrix];
  await runOnCluster(commands, { deadlineMs: ci ? CI_DEADLINE_MS : WHOLE_DEADLINE_MS });
}
