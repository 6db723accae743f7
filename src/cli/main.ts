/** The program: reads the command line and runs one command. */

import "./zod_without_jit.ts";
import { ConfigError } from "../kubernetes/connection_config.ts";
import { ApiError } from "../kubernetes/errors.ts";
import { errorText } from "../telemetry/log.ts";
import { ListenError } from "../telemetry/health.ts";
import { version } from "../version.ts";
import type { AssembleOptions } from "./assemble.ts";
import { CommandError } from "./command_error.ts";
import { bypassProxy, machine, print, printError } from "./environment.ts";
import { parseCommandLine, UsageError } from "./flags.ts";
import { commandTable, help } from "./help.ts";

/** Where the program runs; a test gives it another world. */
export interface Surroundings
  extends Pick<AssembleOptions, "environment" | "isTerminal" | "bypassProxy" | "clock" | "wrapTransport"> {
  /** Writes to standard output. */
  readonly print: (text: string) => void;
  /** Writes to standard error. */
  readonly printError: (text: string) => void;
}

/** Runs the command in `args`; returns the exit code. */
export async function main(
  args: readonly string[],
  stopping: AbortSignal,
  surroundings: Surroundings,
): Promise<number> {
  const { environment, print, printError } = surroundings;
  let command = "run";
  try {
    const { words, flags } = parseCommandLine(args, environment.variable);
    if (flags.help || words[0] === "help") {
      print(help());
      return 0;
    }
    command = flags.version ? "version" : words[0] ?? "run";
    if (words.length > 1) {
      throw new UsageError(`${words[1]} is one argument too many: see iofog-operator --help`);
    }
    const writeLog = (line: string) => printError(`${line}\n`);
    const options = { ...surroundings, flags, stopping, writeLog };
    // Each is loaded when it is asked for: what it needs costs time and memory.
    switch (command) {
      case "run":
        return await (await import("./run.ts")).run(options);
      case "once":
        return await (await import("./once.ts")).once(options);
      case "diff":
        return await (await import("./diff.ts")).diff(options);
      case "status":
        return await (await import("./status.ts")).status(options);
      case "convert": {
        const { convert } = await import("./convert.ts");
        return await convert({ environment, path: flags.filename, print, printError });
      }
      case "export":
        return await (await import("./export.ts")).exportEdge(options);
      case "crds":
        print((await import("./crds.ts")).crds());
        return 0;
      case "version":
        print(`iofog-operator ${version}\n`);
        return 0;
      default:
        throw new UsageError(
          `unknown command ${command}: it is one of ${commandTable.map(({ name }) => name).join(", ")}`,
        );
    }
  } catch (error) {
    if (stopping.aborted && command !== "run") return 130;
    const expected = [UsageError, ConfigError, CommandError, ApiError, ListenError].some((known) =>
      error instanceof known
    );
    printError(`iofog-operator: ${expected ? "" : "internal error: "}${errorText(error)}\n`);
    // Only where, not what: the values that an unexpected error quotes may be secret.
    if (!expected && error instanceof Error) {
      printError(`${error.stack?.match(/^ +at .*$/gm)?.join("\n") ?? ""}\n`);
    }
    return error instanceof UsageError || command === "diff" ? 2 : 1;
  }
}

if (import.meta.main) {
  const stop = new AbortController();
  // Before the first await: without a listener the signal ends the process at once.
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.abort());
  const code = await main(Deno.args, stop.signal, {
    environment: machine,
    isTerminal: Deno.stderr.isTerminal(),
    bypassProxy,
    print,
    printError,
  });
  Deno.exit(code);
}
