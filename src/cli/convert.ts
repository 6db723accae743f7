/** `iofog-operator convert`: prints the custom resources for a file of iofogctl or potctl. Asks nobody. */

import { parseAll, stringify } from "@std/yaml";
import type { Environment } from "../kubernetes/connection_config.ts";
import { errorText } from "../telemetry/log.ts";
import { convertDocuments } from "../resources/edge/convert.ts";
import { CommandError } from "./command_error.ts";
import { UsageError } from "./flags.ts";

export interface ConvertOptions {
  readonly environment: Pick<Environment, "readTextFile">;
  /** What `--filename` says. */
  readonly path: string | undefined;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
}

/** Prints YAML documents, and on standard error what was left out; 1 when nothing could be converted. */
export async function convert({ environment, path, print, printError }: ConvertOptions): Promise<number> {
  if (path === undefined) throw new UsageError("convert needs a file: iofog-operator convert -f FILE");
  const { notes, objects } = convertDocuments(await readDocuments(environment, path));
  print(objects.map((object) => `---\n${stringify(object, { lineWidth: 120 })}`).join(""));
  for (const note of notes) printError(`${note}\n`);
  return objects.length === 0 ? 1 : 0;
}

async function readDocuments(
  environment: ConvertOptions["environment"],
  path: string,
): Promise<readonly unknown[]> {
  try {
    return parseAll(await environment.readTextFile(path)) as unknown[];
  } catch (error) {
    throw new CommandError(`${path} cannot be read as YAML: ${errorText(error)}`);
  }
}
