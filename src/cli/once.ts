/** `iofog-operator once`: makes passes until there is nothing left to write, then ends. */

import type { AssembleOptions, Assembly } from "./assemble.ts";
import { assemble } from "./assemble.ts";
import { CommandError } from "./command_error.ts";

/** Passes after which a difference that does not go away is left alone. */
const longest = 20;

/** Converges once; returns 0 when nothing failed, 1 otherwise. */
export async function once(options: AssembleOptions): Promise<number> {
  const assembly = await assemble(options);
  try {
    for (const lease of assembly.leases) {
      if (!await lease.attempt(options.stopping)) {
        throw new CommandError(
          `another operator${
            lease.holder === undefined ? "" : ` (${lease.holder})`
          } holds the lease ${lease.name}: ` +
            "it does the same work; stop it first",
        );
      }
    }
    await readEverything(assembly, options.stopping);
    await assembly.engine.learnServedSchemas(options.stopping);
    return await converge(assembly, options.stopping);
  } finally {
    await Promise.all(assembly.leases.map((lease) => lease.release()));
    await assembly.events.flush();
    assembly.close();
  }
}

/** Lists every kind; a kind of custom resource that cannot be listed ends the command. */
export async function readEverything({ engine }: Assembly, signal: AbortSignal): Promise<void> {
  await engine.store.listAll(signal);
  const snapshot = engine.store.snapshot();
  for (const { definition } of engine.managed) {
    const { plural, group } = definition.resource;
    const state = snapshot.kind(definition.resource);
    if (state.phase === "absent") {
      throw new CommandError(
        `the CRD ${plural}.${group} is not installed: install it with iofog-operator crds | kubectl apply -f -`,
      );
    }
    if (state.phase === "failed") throw new CommandError(state.message);
  }
}

async function converge({ engine, leases, log }: Assembly, signal: AbortSignal): Promise<number> {
  for (let pass = 0; pass < longest && !signal.aborted; pass++) {
    const kubernetes = await engine.convergeKubernetes(signal);
    const external = await engine.convergeExternal(signal);
    if (kubernetes.writes + external.writes === 0 && !kubernetes.again) break;
    for (const lease of leases) await lease.attempt(signal);
    await engine.store.listAll(signal);
  }
  const failures = engine.plan().flatMap((plan) => plan.failures);
  for (const { object, message } of failures) log.error("not done", { object, message });
  return failures.length === 0 ? 0 : 1;
}
