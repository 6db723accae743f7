/** The operator as a process of its own, as a user runs it: from the bundled single file where that can be made. */

import { startProcess, type SupervisedProcess } from "../tests/cluster/mod.ts";
import { BuildError, bundle, bundleArguments } from "../tools/compile.ts";
import { operatorPermissions } from "../tools/permissions.ts";

const ROOT = decodeURIComponent(new URL("../", import.meta.url).pathname);
const BUNDLE = `${ROOT}dist/iofog-operator.js`;

/** What the processes are started from. */
export interface Program {
  /** Arguments of `deno` before those of the program. */
  readonly args: readonly string[];
  /** For the report. */
  readonly description: string;
}

/** Bundles the operator; where that fails, the program is its source. */
export async function buildProgram(): Promise<Program> {
  try {
    await Deno.mkdir(`${ROOT}dist`, { recursive: true });
    await bundle(BUNDLE);
    const [run = "", ...args] = bundleArguments(BUNDLE);
    // The binary has no code cache either.
    return { args: [run, "--no-code-cache", ...args], description: "bundled single file" };
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    return {
      args: ["run", "--config", `${ROOT}deno.json`, ...operatorPermissions(), `${ROOT}src/cli/main.ts`],
      description: "source, since it cannot be bundled here",
    };
  }
}

/** Where an operator works. */
export interface OperatorPlace {
  readonly kubeconfigPath: string;
  readonly namespace: string;
  readonly controllerUrl: string;
}

/** A running operator. */
export interface OperatorProcess extends AsyncDisposable {
  readonly process: SupervisedProcess;
  /** What it said, should a measurement fail. */
  readonly lines: readonly string[];
}

/** Starts an operator and returns at once. */
export function startOperator(program: Program, place: OperatorPlace): OperatorProcess {
  const lines: string[] = [];
  const process = startProcess({
    command: Deno.execPath(),
    args: [
      ...program.args,
      `--kubeconfig=${place.kubeconfigPath}`,
      `--namespace=${place.namespace}`,
      `--controller-url=${place.controllerUrl}`,
      "--metrics-addr=0",
      "--health-addr=0",
      "--log-level=warn",
    ],
    output: { onLine: (line) => void lines.push(line) },
  });
  return {
    process,
    lines,
    async [Symbol.asyncDispose]() {
      await process.terminate(15_000);
    },
  };
}
