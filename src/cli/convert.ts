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
  const { documents, texts } = await readDocuments(environment, path);
  const { notes, objects } = convertDocuments(documents, texts);
  print(objects.map((object) => `---\n${stringify(object, { lineWidth: 120 })}`).join(""));
  for (const note of notes) printError(`${note}\n`);
  return objects.length === 0 ? 1 : 0;
}

async function readDocuments(
  environment: ConvertOptions["environment"],
  path: string,
): Promise<{ readonly documents: readonly unknown[]; readonly texts: readonly unknown[] }> {
  try {
    const file = await environment.readTextFile(path);
    return { documents: parseAll(file) as unknown[], texts: textsIn(file) };
  } catch (error) {
    throw new CommandError(`${path} cannot be read as YAML: ${errorText(error)}`);
  }
}

/** The documents with scalars as text; none where a tag asks for a type. */
function textsIn(file: string): readonly unknown[] {
  try {
    return parseAll(file, { schema: "failsafe" }) as unknown[];
  } catch {
    return [];
  }
}
