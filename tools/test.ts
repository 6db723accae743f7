/**
 * `deno task test [FILE or FOLDER or words of a test's name]...`: every test, on a real API server, and the secret scan.
 *
 * One cluster is started for all test files that share one. The last line is `N passed, N failed`, where the secret
 * scan counts as a test; the exit code is 0 when none failed. Nothing is left behind, however it ends.
 */

import {
  connectCluster,
  describeCluster,
  SHARED_CLUSTER_VARIABLE,
  startCluster,
} from "../tests/cluster/mod.ts";
import { type Cluster, findBinaries, findTools, printProgress, startProcess } from "../tests/cluster/mod.ts";
import { OUTPUTS_VARIABLE, recordOutput, registerSecret, SECRETS_VARIABLE } from "../tests/secrets.ts";
import { PROGRAM_VARIABLE } from "../tests/e2e/operator_process.ts";
import { bundle } from "./compile.ts";
import { collectSecrets, secretsInDocument } from "./secret_collector.ts";
import { describeScan, scanFiles } from "./secret_scan.ts";
import { parse } from "@std/yaml";

/** Milliseconds after which a run is taken for hanging. */
const DEADLINE_MS = 20 * 60_000;
/** Milliseconds that everything has to end after a signal or the deadline. */
const STOP_GRACE_MS = 60_000;
/** More test files at a time than there are processors: most of them wait more than they compute. */
const JOBS = String(navigator.hardwareConcurrency + 4);
const ROOT = decodeURIComponent(new URL("../", import.meta.url).pathname);
/** Tests below these need no API server. */
const UNIT_TESTS = ["src", "tools"];
const ALL_TESTS = [...UNIT_TESTS, "tests"];

/** What to run. */
export interface Selection {
  readonly paths: readonly string[];
  /** For `deno test`, e.g. `--filter`. */
  readonly flags: readonly string[];
  /** Whether any of the paths may hold tests that need the cluster. */
  readonly needsCluster: boolean;
}

/** Tells files and folders from flags and from words of a test's name. */
export function selectTests(args: readonly string[], exists: (path: string) => boolean): Selection {
  const flags = args.filter((arg) => arg.startsWith("-"));
  const paths = args.filter((arg) => !arg.startsWith("-") && exists(arg));
  const words = args.filter((arg) => !arg.startsWith("-") && !exists(arg));
  if (words.length > 0) flags.push("--filter", words.join(" "));
  const isUnit = (path: string) =>
    UNIT_TESTS.some((folder) => path === folder || path.replace(/^\.\//, "").startsWith(`${folder}/`));
  return {
    paths: paths.length > 0 ? paths : ALL_TESTS.filter(exists),
    flags,
    needsCluster: paths.length === 0 || !paths.every(isUnit),
  };
}

/** How many tests passed and failed. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
}

/**
 * Reads the last summary of `deno test`, e.g. `FAILED | 12 passed (3 steps) | 1 failed | 2 ignored (3s)`, or our own,
 * e.g. `12 passed, 1 failed`.
 */
export function parseSummary(lines: readonly string[]): Count | undefined {
  for (const line of lines.toReversed()) {
    const match = /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed/.exec(line) ??
      /^(\d+) passed, (\d+) failed$/.exec(line);
    if (match !== null) return { passed: Number(match[1]), failed: Number(match[2]) };
  }
  return undefined;
}

/** A run that broke off or counted no failure although it failed, such as one with an error of types, is one failure. */
export function countCommand(tests: Count | undefined, exitCode: number): Count {
  const passed = tests?.passed ?? 0;
  const failed = tests?.failed ?? 0;
  return { passed, failed: failed + (exitCode !== 0 && failed === 0 ? 1 : 0) };
}

/** The final count: the scan is one test. */
export function countAll(counts: readonly Count[], isClean: boolean): Count {
  const scan = isClean ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  return [...counts, scan].reduce((sum, { failed, passed }) => ({
    passed: sum.passed + passed,
    failed: sum.failed + failed,
  }));
}

/** The tokens and keys in the cluster's own files. */
async function registerClusterSecrets(cluster: Cluster): Promise<void> {
  for await (const { name } of Deno.readDir(cluster.dir)) {
    if (!name.endsWith(".kubeconfig") && !name.endsWith(".key")) continue;
    const text = await Deno.readTextFile(`${cluster.dir}/${name}`);
    if (name.endsWith(".key")) registerSecret(text);
    else for (const secret of secretsInDocument(parse(text))) registerSecret(secret);
  }
}

/** Runs a command of `deno` and returns its exit code and the lines that it wrote. */
async function runCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const lines: string[] = [];
  const child = startProcess({
    command: Deno.execPath(),
    args,
    cwd: ROOT,
    env: { DENO_JOBS: JOBS, ...Deno.env.toObject(), NO_COLOR: "1", ...environment },
    output: {
      onLine: (line) => {
        lines.push(line);
        console.log(line);
      },
    },
  });
  const stop = () => void child.kill();
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  const { code } = await child.ended;
  signal.removeEventListener("abort", stop);
  return { code, lines };
}

/** Everything but the last line. */
async function runAll(
  commands: readonly (readonly string[])[],
  needsCluster: boolean,
  folder: string,
  signal: AbortSignal,
): Promise<Count> {
  const files = { secrets: `${folder}/secrets`, outputs: `${folder}/outputs` };
  Deno.env.set(SECRETS_VARIABLE, files.secrets);
  Deno.env.set(OUTPUTS_VARIABLE, files.outputs);
  const others = [`${folder}/deno-test.log`];
  let cluster: Cluster | undefined;
  try {
    const environment: Record<string, string> = {};
    if (needsCluster) {
      const progress = printProgress((text) => Deno.stdout.writeSync(new TextEncoder().encode(text)), {
        isTerminal: Deno.stdout.isTerminal(),
      });
      const binaries = await findBinaries({ progress, signal });
      // Here, since what takes minutes has to be seen; test files find them where this has put them.
      await findTools({ progress, signal });
      environment[PROGRAM_VARIABLE] = `${folder}/iofog-operator.js`;
      await bundle(`${folder}/iofog-operator.js`);
      cluster = await startCluster({ binaries, progress, signal });
      environment[SHARED_CLUSTER_VARIABLE] = await describeCluster(cluster);
    }
    const collector = cluster === undefined ? undefined : collectSecrets(
      connectCluster(cluster, { userAgent: "secret-scan" }),
      { secret: registerSecret, output: recordOutput },
    );
    const all: string[] = [];
    const counts: Count[] = [];
    for (const command of commands) {
      const { code, lines } = await runCommand(command, environment, signal);
      all.push(...lines);
      counts.push(countCommand(parseSummary(lines), code));
    }
    await collector?.stop();
    await Deno.writeTextFile(`${folder}/deno-test.log`, all.join("\n"));
    if (cluster !== undefined) {
      await registerClusterSecrets(cluster);
      others.push(cluster.auditLogPath);
    }
    const scan = await scanFiles({ ...files, others });
    console.log("");
    for (const line of describeScan(scan)) console.log(line);
    return countAll(counts, scan.leaks.length === 0);
  } finally {
    await cluster?.stop();
  }
}

/**
 * Runs commands of `deno` one after the other on one cluster, then the secret scan; prints the count and ends the
 * process.
 */
export async function runOnCluster(
  commands: readonly (readonly string[])[],
  { deadlineMs, needsCluster = true }: { readonly deadlineMs: number; readonly needsCluster?: boolean },
): Promise<never> {
  const stopping = new AbortController();
  stopping.signal.addEventListener("abort", () => {
    // Whatever hangs: the cluster ends with this process.
    Deno.unrefTimer(setTimeout(() => Deno.exit(1), STOP_GRACE_MS));
  });
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => stopping.abort(new Error("stopped by a signal")));
  }
  const deadline = setTimeout(() => {
    stopping.abort(new Error(`the tests did not end within ${deadlineMs / 60_000} minutes`));
  }, deadlineMs);
  const folder = await Deno.makeTempDir({ prefix: "iofog-operator-test-" });
  let count: Count = { passed: 0, failed: 1 };
  try {
    count = await runAll(commands, needsCluster, folder, stopping.signal);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  } finally {
    clearTimeout(deadline);
    await Deno.remove(folder, { recursive: true });
  }
  if (stopping.signal.aborted) console.error((stopping.signal.reason as Error).message);
  console.log(`${count.passed} passed, ${count.failed} failed`);
  Deno.exit(count.failed === 0 && !stopping.signal.aborted ? 0 : 1);
}

if (import.meta.main) {
  const exists = (path: string) => {
    try {
      return Deno.statSync(`${ROOT}${path}`).isFile || Deno.statSync(`${ROOT}${path}`).isDirectory;
    } catch {
      return false;
    }
  };
  const { flags, needsCluster, paths } = selectTests(Deno.args, exists);
  const command = [
    "test",
    "--allow-all",
    // `deno task ok` checks types.
    "--no-check",
    "--parallel",
    "--no-prompt",
    "--sanitize-ops",
    "--sanitize-resources",
    ...flags,
    ...paths,
  ];
  await runOnCluster([command], { deadlineMs: DEADLINE_MS, needsCluster });
}
