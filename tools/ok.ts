/**
 * `deno task ok`: everything that can be checked without an API server, in less than a minute.
 *
 * Prints a line for each check, and what a check says only when it fails. Exits with 1 when one fails.
 */

/** A check: arguments of `deno`. */
interface Check {
  readonly name: string;
  readonly args: readonly string[];
}

/** Longest first, so that the processors are busy until the end. */
const CHECKS: readonly Check[] = [
  {
    name: "unit tests",
    args: [
      "test",
      "--allow-all",
      "--no-check",
      "--no-prompt",
      "--parallel",
      "--sanitize-ops",
      "--sanitize-resources",
      "src",
      "tools",
      // Whoever names a test after a fault is told at once that the table has to name it too.
      "tests/faults/matrix_test.ts",
    ],
  },
  { name: "types", args: ["check", "."] },
  { name: "lint", args: ["lint"] },
  { name: "layers", args: ["run", "-A", "tools/layers.ts"] },
  { name: "format", args: ["fmt", "--check"] },
  { name: "CRDs and reference", args: ["run", "-A", "tools/crds.ts", "--check"] },
  { name: "generated API", args: ["run", "-A", "tools/generate.ts", "--offline", "--check"] },
];

/** Lines of a failed check that are shown; its end says most. */
const SHOWN_LINES = 60;

const ROOT = new URL("../", import.meta.url);

async function runCheck({ name, args }: Check): Promise<boolean> {
  const start = performance.now();
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${code === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
  if (code !== 0) {
    const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("").trimEnd().split(
      "\n",
    );
    console.log(said.slice(-SHOWN_LINES).map((line) => `       ${line}`).join("\n"));
  }
  return code === 0;
}

const waiting = [...CHECKS];
const failed: string[] = [];

async function work(): Promise<void> {
  for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
    if (!await runCheck(check)) failed.push(check.name);
  }
}

const start = performance.now();
await Promise.all(Array.from({ length: Math.max(2, Math.min(4, navigator.hardwareConcurrency)) }, work));
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(failed.length === 0 ? `all ok (${seconds} s)` : `failed: ${failed.join(", ")} (${seconds} s)`);
Deno.exit(failed.length === 0 ? 0 : 1);
