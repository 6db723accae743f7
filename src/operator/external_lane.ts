/**
 * The lane of the external systems: looks, records in the inventory what is to be made, writes what differs, and
 * looks again.
 */

import { isStatus } from "../kubernetes/errors.ts";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import { inSpan } from "../telemetry/trace.ts";
import { errorText } from "../telemetry/log.ts";
import { sameJson } from "./compare.ts";
import type { Definition, ExternalChild, Parent } from "./definition.ts";
import { type ExternalBackend, ExternalError } from "./external.ts";
import { type InventoryEntry, readInventory, withConfirmed, withEntries, withIntents } from "./inventory.ts";
import { type LaneContext, mayWriteFor, type PassResult, refresh } from "./lane.ts";
import type { ParentPlan } from "./plan.ts";
import { unsettled } from "./progress.ts";
import { describeChild, describeTarget, type ExternalWrite } from "./write.ts";

/** See the module. */
export class ExternalLane {
  readonly #context: LaneContext;

  constructor(context: LaneContext) {
    this.#context = context;
  }

  /** One pass over the external systems: look, write what differs, look again. */
  async converge(signal: AbortSignal): Promise<PassResult> {
    let writes = 0;
    let again = false;
    let settled = true;
    for (const { definition, backend } of this.#context.options.managed) {
      if (backend === undefined) continue;
      for (const each of this.#context.planner.all(definition)) {
        const children = each.desired.children.filter((child) => child.type === "external");
        if (each.parent.metadata.deletionTimestamp !== undefined || children.length === 0) continue;
        const { kind = "", metadata: { name } } = each.parent;
        const attributes = { "iofog.lane": "external", "k8s.object.kind": kind, "k8s.object.name": name };
        const result = await inSpan(
          "pass",
          attributes,
          () => this.#convergeParent(definition, backend, each.parent, children, signal),
        );
        writes += result.writes;
        again ||= result.again;
        settled &&= result.settled;
      }
    }
    return { writes, again, settled };
  }

  /** Looks at the external systems without writing anything. */
  async observe(signal: AbortSignal): Promise<void> {
    for (const { definition, backend } of this.#context.options.managed) {
      if (backend === undefined) continue;
      for (const { parent, desired } of this.#context.planner.all(definition)) {
        const children = desired.children.filter((child) => child.type === "external");
        if (children.length > 0) await this.#look(definition, backend, parent, children, signal);
      }
    }
  }

  async #look(
    definition: Definition,
    backend: ExternalBackend,
    parent: Parent,
    children: readonly ExternalChild[],
    signal: AbortSignal,
  ): Promise<void> {
    for (const child of children) {
      for (const secret of Object.values(child.secrets ?? {})) this.#context.options.redactor.learn(secret);
    }
    const state = await backend.observe(parent, children, this.#context.store.snapshot(), signal);
    const { name, uid } = parent.metadata;
    const present = this.#context.store.snapshot().get(definition.resource, name)?.metadata?.uid === uid;
    if (signal.aborted || !present) return;
    const message = state.message === undefined
      ? {}
      : { message: this.#context.options.redactor.clean(state.message) };
    if (this.#context.store.setExternal(uid, { ...state, ...message })) this.#context.changed(uid);
  }

  async #convergeParent(
    definition: Definition,
    backend: ExternalBackend,
    parent: Parent,
    children: readonly ExternalChild[],
    signal: AbortSignal,
  ): Promise<PassResult> {
    const { uid } = parent.metadata;
    const look = () => this.#look(definition, backend, parent, children, signal);
    await look();
    const planned = this.#context.planner.one(definition, uid);
    const observed = this.#context.store.snapshot().external(uid).phase === "observed";
    if (planned === undefined || signal.aborted || !observed) {
      return { writes: 0, again: false, settled: false };
    }
    const wanted = planned.desired.children.filter((child) => child.type === "external");
    const looked = new Set(children.map(describeChild));
    if (!wanted.every((child) => looked.has(describeChild(child)))) {
      // More is wanted by now than was looked for.
      return { writes: 0, again: true, settled: false };
    }
    this.#context.progress.note(planned);
    if (planned.paused) return { writes: 0, again: false, settled: true };
    if (planned.external.length > 0) {
      const done = await this.#writeExternals(definition, backend, planned, signal);
      if (done.length > 0) {
        await look();
        this.#noteUnchanged(planned.parent, this.#context.planner.one(definition, uid), done);
      }
      return { writes: done.length, again: done.length > 0, settled: false };
    }
    const settled = wanted.filter((child) => planned.settled.includes(describeChild(child)));
    await this.#confirm(definition, parent, settled, signal);
    return { writes: 0, again: false, settled: settled.length === wanted.length };
  }

  /** Notes what is in the external system as it was before, although writing it succeeded. */
  #noteUnchanged(parent: Parent, after: ParentPlan | undefined, done: readonly ExternalWrite[]): void {
    for (const write of done) {
      const target = describeTarget(write);
      const next = after?.external.find((each) => describeTarget(each) === target);
      if (next === undefined || !sameJson(next.child.fields, write.child.fields)) continue;
      if (!sameJson(next.observed?.fields ?? null, write.observed?.fields ?? null)) continue;
      const message = `was written and still differs in ${next.paths.join(", ")}`;
      this.#context.reporter.failed(parent, write, { object: target, reason: unsettled, message }, {
        retryable: true,
      });
      this.#context.changed(parent.metadata.uid);
    }
  }

  async #writeExternals(
    definition: Definition,
    backend: ExternalBackend,
    planned: ParentPlan,
    signal: AbortSignal,
  ): Promise<readonly ExternalWrite[]> {
    const { clock, log, metrics } = this.#context.options;
    const { parent } = planned;
    if (!mayWriteFor(this.#context, parent) || this.#context.halt.active) return [];
    const inventory = readInventory(this.#context.store.snapshot(), definition);
    // The Kubernetes lane makes the inventory first.
    if (definition.inventoryName !== undefined && (inventory?.id ?? "") === "") return [];
    if (inventory !== undefined) {
      const intents = withIntents(inventory, parent, planned.external);
      const failure = await this.#writeInventory(definition, intents, signal, clock.uuid());
      if (failure !== undefined) {
        this.#failBatch(planned, failure);
        return [];
      }
    }
    const done: ExternalWrite[] = [];
    for (const write of planned.external) {
      if (!mayWriteFor(this.#context, parent) || this.#context.halt.active || signal.aborted) break;
      const target = describeTarget(write);
      const kind = write.child.kind;
      const drift = this.#context.progress.isDrift(write, planned);
      const reason = write.observed === undefined ? "missing" : drift ? "drift" : "change";
      try {
        await inSpan(
          "write",
          { "iofog.verb": write.verb, "iofog.kind": kind },
          () => backend.write(parent, write, this.#context.store.snapshot(), signal),
        );
        done.push(write);
        metrics.wrote({ world: "external", verb: write.verb, kind, reason, result: "ok" });
        if (drift) metrics.driftRepaired(kind);
        this.#context.progress.written(parent, target);
        log.info(drift ? "repaired" : write.verb === "create" ? "created" : "updated", {
          world: "external",
          kind,
          name: write.child.name,
          paths: write.paths,
        });
        this.#context.reporter.event(
          parent,
          "Normal",
          drift ? "Repaired" : "Registered",
          write.verb === "create" ? `Registered ${target}` : `Updated ${target} (${write.paths.join(", ")})`,
        );
      } catch (error) {
        if (!(error instanceof ExternalError)) throw error;
        metrics.wrote({
          world: "external",
          verb: write.verb,
          kind,
          reason,
          result: error.retryable ? "error" : "rejected",
        });
        const failure = { object: target, reason: error.reason, message: error.message };
        this.#context.reporter.failed(parent, write, failure, { retryable: error.retryable });
        this.#context.changed(parent.metadata.uid);
        // What comes later may depend on it.
        break;
      }
    }
    return done;
  }

  /** Nothing of a batch is written, since it could not be recorded first. */
  #failBatch({ external, parent }: ParentPlan, cause: unknown): void {
    for (const write of external) {
      const message = `waits until it can be recorded in the inventory: ${errorText(cause)}`;
      const failure = { object: describeTarget(write), reason: "NotRecorded", message };
      // That somebody was quicker is no news.
      if (isStatus(cause, 409)) this.#context.failures.note(parent, failure, { retryable: true });
      else this.#context.reporter.failed(parent, write, failure, { retryable: true });
    }
    this.#context.changed(parent.metadata.uid);
  }

  /** Records in the inventory what now stands as desired. */
  async #confirm(
    definition: Definition,
    parent: Parent,
    children: readonly ExternalChild[],
    signal: AbortSignal,
  ): Promise<void> {
    const inventory = readInventory(this.#context.store.snapshot(), definition);
    if (inventory === undefined || !this.#context.options.mayWrite() || this.#context.halt.active) return;
    const entries = withConfirmed(inventory, parent, children);
    if (entries === undefined) return;
    const failure = await this.#writeInventory(definition, entries, signal);
    if (failure !== undefined) {
      this.#context.options.log.debug("inventory not confirmed", { error: failure });
    }
  }

  /** Returns why it could not be stored; undefined when it was. */
  async #writeInventory(
    definition: Definition,
    entries: readonly InventoryEntry[],
    signal: AbortSignal,
    batch?: string,
  ): Promise<unknown> {
    const { client, identity, metrics } = this.#context.options;
    const name = definition.inventoryName ?? "";
    const configMap = this.#context.store.snapshot().get(ConfigMap, name);
    if (configMap === undefined) return new Error(`ConfigMap ${name} does not exist`);
    try {
      const stored = await client.replace(ConfigMap, withEntries(configMap, entries, batch), {
        fieldManager: identity.fieldManager,
        signal,
      });
      metrics.wrote({
        world: "kubernetes",
        verb: "update",
        kind: "ConfigMap",
        reason: "inventory",
        result: "ok",
      });
      this.#context.store.observe(ConfigMap, stored);
      return undefined;
    } catch (error) {
      if (isStatus(error, 409) || isStatus(error, 404)) await refresh(this.#context, ConfigMap, name, signal);
      return error;
    }
  }
}
