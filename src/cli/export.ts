/** `iofog-operator export`: prints custom resources for what is on the Controller. Writes nothing. */

import { stringify } from "@std/yaml";
import type { Engine } from "../operator/engine.ts";
import { ExternalError } from "../operator/external.ts";
import { EdgeBackend } from "../resources/edge/backend.ts";
import type { EdgeGroup } from "../resources/edge/crds.ts";
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
    const exported = await Promise.allSettled(
      groupsOf(engine).map(async ({ backend, group }) =>
        customResourcesOf(await backend.world(engine.store.snapshot(), options.stopping), group)
      ),
    );
    const [failure] = exported.flatMap((each) => each.status === "rejected" ? [each.reason] : []);
    const done = exported.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
    // Of two flavours that are served, one may have no control plane here.
    if (done.length === 0) throw failure ?? new CommandError("this operator keeps nothing at the edge");
    for (const { notes, objects } of done) {
      const text = objects.map((object) =>
        `---\n${stringify(JSON.parse(JSON.stringify(object)), { lineWidth: 120 })}`
      );
      options.print(redactor.clean(text.join("")));
      for (const note of notes) options.printError(redactor.clean(`${note}\n`));
    }
    return 0;
  } catch (error) {
    if (error instanceof ExternalError) throw new CommandError(error.message);
    throw error;
  } finally {
    assembly.close();
  }
}

/** The Controllers, each with the group whose custom resources it keeps. */
function groupsOf(
  { managed }: Engine,
): readonly { readonly backend: EdgeBackend; readonly group: EdgeGroup }[] {
  const found = new Map<EdgeBackend, EdgeGroup>();
  for (const { backend, definition: { resource: { group } } } of managed) {
    if (backend instanceof EdgeBackend) found.set(backend, group as EdgeGroup);
  }
  return [...found].map(([backend, group]) => ({ backend, group }));
}
