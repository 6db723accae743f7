/** `iofog-operator export`: prints custom resources for what is on the Controller. Writes nothing. */

import { stringify } from "@std/yaml";
import { ExternalError } from "../operator/external.ts";
import { EdgeBackend } from "../resources/edge/backend.ts";
import { customResourcesOf } from "../resources/edge/export.ts";
import { assemble, type AssembleOptions } from "./assemble.ts";
import { CommandError } from "./command_error.ts";
import { readEverything } from "./once.ts";

/** Prints YAML documents, and on standard error what a person has to do besides. */
export async function exportEdge(
  options: AssembleOptions & {
    readonly print: (text: string) => void;
    readonly printError: (text: string) => void;
  },
): Promise<number> {
  const assembly = await assemble(options);
  const { engine, redactor } = assembly;
  try {
    await readEverything(assembly, options.stopping);
    // Logs in to the Controller.
    await engine.observeExternal(options.stopping);
    const backend = engine.managed.map(({ backend }) => backend).find((each) => each instanceof EdgeBackend);
    if (backend === undefined) throw new CommandError("this operator keeps nothing at the edge");
    const world = await backend.world(engine.store.snapshot(), options.stopping);
    const { notes, objects } = customResourcesOf(world, "iofog.org");
    const text = objects.map((object) =>
      `---\n${stringify(JSON.parse(JSON.stringify(object)), { lineWidth: 120 })}`
    );
    options.print(redactor.clean(text.join("")));
    for (const note of notes) options.printError(redactor.clean(`${note}\n`));
    return 0;
  } catch (error) {
    if (error instanceof ExternalError) throw new CommandError(error.message);
    throw error;
  } finally {
    assembly.close();
  }
}
