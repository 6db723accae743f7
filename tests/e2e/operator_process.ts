/**
 * The operator as a process of its own, with the permissions that the binary gets: the bundle that `deno task test` made
 * of it, which starts as fast as the binary, or the source where no bundle was made.
 *
 * Whatever it says is recorded for the secret scan. It cannot outlive the test: see `supervised_process.ts`.
 */

import { startProcess, type SupervisedProcess } from "../cluster/mod.ts";
import { CONTAINER_FILES, operatorPermissions } from "../../tools/permissions.ts";
import { recordOutput } from "../secrets.ts";
import { eventually } from "./waiting.ts";

/** Path of the bundle. */
export const PROGRAM_VARIABLE = "IOFOG_TEST_PROGRAM";
const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** How the program is called. */
export interface ProgramOptions {
  readonly args: readonly string[];
  /** Beyond what every program needs to start. */
  readonly env?: Readonly<Record<string, string>>;
  /** And other flags of `deno run`. @default those of the local variant */
  readonly permissions?: readonly string[];
  /** A command that runs it, with its arguments. */
  readonly through?: readonly string[];
}

/** A finished command. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A line of the log, as JSON. */
export type LogLine = Readonly<Record<string, unknown>> & {
  readonly message?: string;
  readonly level?: string;
};

/** An operator that runs. */
export interface OperatorProcess extends AsyncDisposable {
  /** Everything that it wrote, line by line; those in JSON are log lines. */
  readonly lines: readonly string[];
  readonly process: SupervisedProcess;
  /** Base addresses of its servers; rejects when it ends first. */
  servers(): Promise<{ readonly metrics: string; readonly health: string }>;
  /** Log lines with this message. */
  logged(message: string): readonly LogLine[];
  /** The text at `path` of one of its servers, and the HTTP status. */
  read(
    path: "/metrics" | "/healthz" | "/readyz",
  ): Promise<{ readonly status: number; readonly text: string }>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number>;
}

/** Starts `iofog-operator` and returns at once. */
export function startProgram(options: ProgramOptions): OperatorProcess {
  const lines: string[] = [];
  let ended = false;
  const [command = "", ...args] = [...options.through ?? [], Deno.execPath(), ...programArguments(options)];
  const process = startProcess({
    command,
    args,
    env: programEnvironment(options.env),
    cwd: ROOT,
    output: {
      onLine: (line) => {
        lines.push(line);
        recordOutput("operator", line);
      },
    },
  });
  process.ended.then(() => ended = true);
  const logged = (message: string) =>
    lines.map(parseLine).filter((line) => line?.message === message) as LogLine[];
  const servers = async () => {
    const [line] = await eventually(
      "the operator's first line",
      () => logged("Starting iofog-operator"),
      (found) => found.length > 0 || ended,
      { show: () => lines.join("\n") },
    );
    if (line === undefined) throw new Error(`the operator ended: ${lines.join("\n")}`);
    return { metrics: String(line["metrics"]), health: String(line["health"]) };
  };
  const stop = async () => (await process.terminate(15_000)).code;
  return {
    lines,
    process,
    servers,
    logged,
    async read(path) {
      const { metrics, health } = await servers();
      const response = await fetch(`${path === "/metrics" ? metrics : health}${path}`);
      const text = await response.text();
      recordOutput(`operator ${path}`, text);
      return { status: response.status, text };
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

/** Runs a command of `iofog-operator` to its end. */
export async function runProgram(options: ProgramOptions): Promise<CommandResult> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: programArguments(options),
    clearEnv: true,
    env: programEnvironment(options.env),
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  recordOutput(`${options.args.join(" ")}: stdout`, stdout ?? "");
  recordOutput(`${options.args.join(" ")}: stderr`, stderr ?? "");
  return { code: output.code, stdout: stdout ?? "", stderr: stderr ?? "" };
}

/** The permissions in the image, where `folder` is what is mounted. */
export function containerPermissions(folder: string): string[] {
  return operatorPermissions("container").map((flag) => flag.replace(CONTAINER_FILES, folder));
}

/** What `deno` is called with. */
export function programArguments({ args, permissions = operatorPermissions() }: ProgramOptions): string[] {
  const bundle = Deno.env.get(PROGRAM_VARIABLE);
  const program = bundle === undefined
    ? ["--config", `${ROOT}deno.json`, `${ROOT}src/cli/main.ts`]
    : ["--no-config", bundle];
  return ["run", ...permissions, ...program, ...args];
}

/** What Deno needs to find its cache, and the way around a proxy; nothing that chooses a cluster. */
function programEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = [
    "PATH",
    "HOME",
    "DENO_DIR",
    "XDG_CACHE_HOME",
    "NO_PROXY",
    "no_proxy",
    "HTTPS_PROXY",
    "HTTP_PROXY",
  ];
  const inherited = kept.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  return { DENO_DIR: denoDirectory(), ...Object.fromEntries(inherited), NO_COLOR: "1", ...more };
}

/** Where Deno keeps what it downloaded, for a process with another HOME. */
export function denoDirectory(): string {
  const home = Deno.env.get("HOME") ?? "";
  const caches = Deno.build.os === "darwin"
    ? `${home}/Library/Caches`
    : Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`;
  return Deno.env.get("DENO_DIR") ?? `${caches}/deno`;
}

function parseLine(line: string): LogLine | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
