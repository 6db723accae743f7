/**
 * `deno task compile [--target TRIPLE] [--container] [--bundle-only]`: makes the program as one file in `dist/`.
 *
 * Without flags it is a binary with its permissions baked in, with `--container` those of the image. With `--bundle-only` it is `dist/iofog-operator.js`, which
 * `deno run` runs with the same permissions; that needs no download. Whatever was made must say its version before it
 * counts as made: a binary with the wrong runtime in it is a REPL with all permissions.
 */

import config from "../deno.json" with { type: "json" };
import { operatorPermissions, type Variant } from "./permissions.ts";

const ROOT = decodeURIComponent(new URL("../", import.meta.url).pathname);
const ENTRY = "src/cli/main.ts";
const BINARY = "dist/iofog-operator";
const BUNDLE = "dist/iofog-operator.js";

/** MiB of V8's old generation: below the memory limit of `deploy/base`, so that it collects before it is killed. */
export const HEAP_LIMIT_MIB = 160;

/** MiB of V8's young generation, which grows to 16 otherwise and never shrinks: 12 MiB less at rest. */
const SEMI_SPACE_MIB = 2;

/** A build that failed; the message is one sentence that says what to do. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

/** How to run the bundle: the arguments of `deno` before those of the program. */
export function bundleArguments(path: string, permissions = operatorPermissions()): string[] {
  return ["run", "--no-config", ...permissions, heapFlags(), path];
}

/** What to compile with. */
export function compileArguments(target: string | undefined, variant: Variant): string[] {
  return [
    "compile",
    // What is in the binary is what deno.lock says.
    "--frozen",
    "--bundle",
    "--minify",
    "--exclude-unused-npm",
    // It would be written to the temporary directory at the first start, and the program writes no files.
    "--no-code-cache",
    ...operatorPermissions(variant),
    heapFlags(),
    ...(target === undefined ? [] : ["--target", target]),
    "--output",
    BINARY,
    ENTRY,
  ];
}

function heapFlags(): string {
  return `--v8-flags=--max-old-space-size=${HEAP_LIMIT_MIB},--max-semi-space-size=${SEMI_SPACE_MIB}`;
}

/** Why compiling failed, as one sentence. */
export function explainFailure(stderr: string): string {
  if (/denort|dl\.deno\.land/.test(stderr) || /dns error|error sending request|client error/.test(stderr)) {
    return "the runtime that goes into the binary (denort) cannot be downloaded from dl.deno.land: allow that " +
      "address, put the archive into DENO_DIR beforehand, or make what runs without it with " +
      "`deno task compile --bundle-only`";
  }
  const text = stderr.trim().split("\n\nStack backtrace")[0] ?? "";
  return `deno compile failed: ${text}`;
}

/**
 * Runs `command version` and checks the answer.
 *
 * @throws {BuildError} when it is not the version of this source
 */
export async function checkVersion(command: string, args: readonly string[]): Promise<void> {
  const expected = `iofog-operator ${config.version}`;
  const { code, stdout, stderr } = await run(command, [...args, "version"]);
  if (code === 0 && stdout.trim() === expected) return;
  const said = `${stdout}${stderr}`.trim().split("\n")[0] ?? "";
  throw new BuildError(
    `what was built does not run: it should say "${expected}" and said "${said.slice(0, 80)}"`,
  );
}

async function run(
  command: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const output = await new Deno.Command(command, {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: output.code, stdout: decode(output.stdout), stderr: decode(output.stderr) };
}

/**
 * Makes the bundle at `path`.
 *
 * @throws {BuildError}
 */
export async function bundle(path: string): Promise<void> {
  const { code, stderr } = await run(Deno.execPath(), ["bundle", "--minify", "--output", path, ENTRY]);
  if (code !== 0) throw new BuildError(`deno bundle failed: ${stderr.trim()}`);
  await checkVersion(Deno.execPath(), bundleArguments(path));
}

/** Makes the binary. */
async function compile(target: string | undefined, variant: Variant): Promise<void> {
  const { code, stderr } = await run(Deno.execPath(), compileArguments(target, variant));
  if (code !== 0) throw new BuildError(explainFailure(stderr));
  try {
    // A binary for another machine is run where it is put into its image; see the Dockerfile.
    if (target === undefined || target === Deno.build.target) await checkVersion(`${ROOT}${BINARY}`, []);
  } catch (error) {
    await Deno.remove(`${ROOT}${BINARY}`);
    throw error;
  }
}

if (import.meta.main) {
  const args = [...Deno.args];
  const targetAt = args.indexOf("--target");
  const target = targetAt < 0 ? undefined : args.splice(targetAt, 2)[1];
  const unknown = args.find((arg) => arg !== "--bundle-only" && arg !== "--container");
  try {
    if (unknown !== undefined) throw new BuildError(`unknown argument ${unknown}: see tools/compile.ts`);
    await Deno.mkdir(`${ROOT}dist`, { recursive: true });
    const path = `${ROOT}${args.includes("--bundle-only") ? BUNDLE : BINARY}`;
    if (path.endsWith(".js")) await bundle(path);
    else await compile(target, args.includes("--container") ? "container" : "local");
    const { size } = await Deno.stat(path);
    console.log(`${path} (${(size / 1e6).toFixed(1)} MB), version ${config.version}`);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`compile: ${error.message}`);
    Deno.exit(1);
  }
}
