/** `iofog-operator once`: makes passes until there is nothing left to write, then ends. */

import { isStatus } from "../kubernetes/errors.ts";
import { Namespace } from "../kubernetes/generated/core_v1.ts";
import type { Failure, Snapshot } from "../operator/definition.ts";
import type { LeaseHolder } from "../operator/lease.ts";
import type { ParentPlan } from "../operator/plan.ts";
import { assemble, type AssembleOptions, type Assembly } from "./assemble.ts";
import { CommandError } from "./command_error.ts";

/** Passes after which a difference that does not go away is left alone. */
const longest = 20;

/** Converges once; returns 0 when nothing failed, 1 otherwise. */
export async function once(options: AssembleOptions): Promise<number> {
  const assembly = await assemble(options);
  try {
    await readEverything(assembly, options.stopping);
    for (const lease of assembly.leases) {
      if (!await lease.attempt(options.stopping)) throw new CommandError(notHeld(lease));
    }
    await assembly.engine.learnServedSchemas(options.stopping);
    return await converge(assembly, options.stopping);
  } finally {
    await Promise.all(assembly.leases.map((lease) => lease.release()));
    await assembly.events.flush();
    assembly.close();
  }
}

function notHeld({ name, holder, problem }: LeaseHolder): string {
  return holder === undefined
    ? `the lease ${name} cannot be acquired: ${problem ?? "try again"}`
    : `another operator (${holder}) holds the lease ${name}: it does the same work; stop it first`;
}

/**
 * Lists every kind.
 *
 * @throws ApiError or CommandError when a kind of custom resource cannot be listed: all the others would fail as well.
 */
export async function readEverything(assembly: Assembly, signal: AbortSignal): Promise<void> {
  const { client, engine, namespace } = assembly;
  const needed = engine.managed.map(({ definition }) => definition).filter((each) =>
    each.optionalKind === undefined
  );
  for (const { resource } of needed) {
    try {
      await client.list(resource, { namespace, metadataOnly: true }, { signal });
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
      throw new CommandError(
        `the CRD ${resource.plural}.${resource.group} is not installed: ` +
          "install it with iofog-operator crds | kubectl apply -f -",
      );
    }
  }
  await engine.store.listAll(signal);
  const snapshot = engine.store.snapshot();
  for (const definition of needed) {
    const state = snapshot.kind(definition.resource);
    if (state.phase === "failed") throw new CommandError(state.message);
  }
  const isEmpty = engine.managed.every(({ definition }) => snapshot.list(definition.resource).length === 0);
  if (isEmpty) await checkNamespace(assembly, signal);
}

/** An empty list tells nothing about whether the namespace exists; nor does one who may not read it. */
async function checkNamespace({ client, namespace }: Assembly, signal: AbortSignal): Promise<void> {
  try {
    await client.get(Namespace, { name: namespace }, { signal });
  } catch (error) {
    if (!isStatus(error, 404)) return;
    throw new CommandError(
      `namespace ${namespace} does not exist: create it, or choose another with --namespace`,
    );
  }
}

async function converge({ engine, leases, log }: Assembly, signal: AbortSignal): Promise<number> {
  for (let pass = 0; pass < longest && !signal.aborted; pass++) {
    // In this order, so that the status tells what was found in the Controller.
    const external = await engine.convergeExternal(signal);
    const kubernetes = await engine.convergeKubernetes(signal);
    if (kubernetes.writes + external.writes === 0 && !kubernetes.again) break;
    for (const lease of leases) await lease.attempt(signal);
    await engine.store.listAll(signal);
  }
  const lost = leases.find((lease) => !lease.held);
  if (lost !== undefined) throw new CommandError(notHeld(lost));
  const undone = engine.plan().flatMap((plan) => undoneOf(plan, engine.store.snapshot()));
  for (const { object, message } of undone) log.error("not done", { object, detail: message });
  return undone.length === 0 ? 0 : 1;
}

/** What could not be done for one custom resource, and why. */
function undoneOf(
  { desired, external, failures, parent, paused, waves }: ParentPlan,
  snapshot: Snapshot,
): Pick<Failure, "object" | "message">[] {
  const object = `${parent.kind} ${parent.metadata.name}`;
  const problems = desired.problems.map(({ field, message }) => ({
    object,
    message: field === undefined ? message : `${field} ${message}`,
  }));
  const { phase, message } = snapshot.external(parent.metadata.uid);
  const unreachable = phase === "unreachable"
    ? [{ object, message: message ?? "the Controller does not answer" }]
    : [];
  const held = paused && [...waves.flat(), ...external].length > 0
    ? [{ object, message: "is paused by its annotation: nothing was written" }]
    : [];
  return [...problems, ...failures, ...unreachable, ...held];
}
