/**
 * The lane of the external systems: looks, records in the inventory what is to be made, writes what differs, and
 * looks again.
 */

import { isStatus } from "../kubernetes/errors.ts";
import { inSpan } from "../telemetry/trace.ts";
import { errorText } from "../telemetry/log.ts";
import { byAge } from "./claims.ts";
import { sameJson } from "./compare.ts";
import type { Definition, ExternalChild, Parent } from "./definition.ts";
import { type ExternalBackend, ExternalError } from "./external.ts";
import { ExternalPruning } from "./external_pruning.ts";
import {
  inventoryNameOf,
  keyOfExternal,
  markerKind,
  readInventory,
  withConfirmed,
  withIntents,
} from "./inventory.ts";
import { InventoryWriter } from "./inventory_writer.ts";
import { type LaneContext, mayWriteFor, type PassResult } from "./lane.ts";
import type { ParentPlan } from "./plan.ts";
import { recordedFor } from "./plan_external.ts";
import { unsettled } from "./progress.ts";
import { describeChild, describeTarget, type ExternalWrite } from "./write.ts";

/** See the module. */
export class ExternalLane {
  readonly #context: LaneContext;
  readonly #inventories: InventoryWriter;
  readonly #pruning: ExternalPruning;

  constructor(context: LaneContext) {
    this.#context = context;
    this.#inventories = new InventoryWriter(context);
    this.#pruning = new ExternalPruning(context, this.#inventories);
  }

  /** What `converge` would delete for custom resources that are gone, and sentences about what is kept. */
  surplus(signal: AbortSignal): ReturnType<ExternalPruning["surplus"]> {
    return this.#pruning.surplus(signal);
  }

  /** One pass over the external systems: look, write what differs, look again. */
  async converge(signal: AbortSignal): Promise<PassResult> {
    let writes = 0;
    let again = false;
    let settled = true;
    for (const { definition, backend } of this.#context.options.managed) {
      if (backend === undefined) continue;
      const planned = this.#active(definition);
      if (planned.length === 0) continue;
      const attributes = {
        "iofog.lane": "external",
        "k8s.object.kind": definition.resource.kind,
        "iofog.parents": planned.length,
      };
      const result = await inSpan(
        "pass",
        attributes,
        () => this.#convergeKind(definition, backend, planned, signal),
      );
      writes += result.writes;
      again ||= result.again;
      settled &&= result.settled;
    }
    const pruned = await this.#pruning.prune(signal);
    return { writes: writes + pruned, again: again || pruned > 0, settled };
  }

  /** The plans of one kind with something in the external system, wanted or recorded. */
  #active(definition: Definition): readonly ParentPlan[] {
    return this.#context.planner.all(definition).filter(({ parent, desired }) =>
      parent.metadata.deletionTimestamp === undefined &&
      desired.children.some(({ type }) => type === "external")
    );
  }

  /** Looks at the external systems without writing anything. */
  async observe(signal: AbortSignal): Promise<void> {
    for (const { definition, backend } of this.#context.options.managed) {
      if (backend === undefined) continue;
      for (const each of this.#active(definition)) {
        let planned: ParentPlan | undefined = each;
        // What is found may tell of more to look for.
        for (let rounds = 0; planned !== undefined && rounds < mostRounds; rounds++) {
          await this.#look(definition, backend, planned, signal);
          planned = this.#context.planner.one(definition, each.parent.metadata.uid);
          if (planned !== undefined && this.#isLookedFor(definition, planned)) break;
        }
      }
    }
  }

  /** What to look for: what is wanted, and what is recorded besides. */
  #lookedFor(definition: Definition, { parent, desired }: ParentPlan): readonly ExternalChild[] {
    const wanted = desired.children.filter((child) => child.type === "external");
    const inventory = readInventory(this.#context.store.snapshot(), definition);
    if (inventory === undefined) return wanted;
    const keys = new Set(wanted.map(keyOfExternal));
    const recorded = recordedFor(inventory, parent).filter((entry) => !keys.has(keyOfExternal(entry)));
    return [
      ...wanted,
      ...recorded.filter(({ singleton }) => !singleton).map(({ kind, name }) =>
        ({ type: "external", kind, name, fields: {}, singleton: false }) as const
      ),
    ];
  }

  /** Whether the last look was for all that is wanted by now. */
  #isLookedFor(definition: Definition, planned: ParentPlan): boolean {
    const { looked = {} } = this.#context.store.snapshot().external(planned.parent.metadata.uid);
    return this.#lookedFor(definition, planned).flatMap(keysOf).every((key) => looked[key] !== undefined);
  }

  async #look(
    definition: Definition,
    backend: ExternalBackend,
    planned: ParentPlan,
    signal: AbortSignal,
  ): Promise<void> {
    const { parent } = planned;
    const children = this.#lookedFor(definition, planned);
    for (const child of children) {
      for (const secret of Object.values(child.secrets ?? {})) this.#context.options.redactor.learn(secret);
    }
    const state = await backend.observe(parent, children, this.#context.store.snapshot(), signal);
    this.#context.heartbeat.beat("external");
    for (const secret of state.secrets ?? []) this.#context.options.redactor.learn(secret);
    const { name, uid } = parent.metadata;
    const present = this.#context.store.snapshot().get(definition.resource, name)?.metadata?.uid === uid;
    if (signal.aborted || !present) return;
    const message = state.message === undefined
      ? {}
      : { message: this.#context.options.redactor.clean(state.message) };
    const looked = Object.fromEntries(children.flatMap(keysOf).map((key) => [key, true as const]));
    if (this.#context.store.setExternal(uid, { ...state, ...message, looked })) this.#context.changed(uid);
  }

  /** All custom resources of one kind: one look and one record in the inventory for all that is written. */
  async #convergeKind(
    definition: Definition,
    backend: ExternalBackend,
    looked: readonly ParentPlan[],
    signal: AbortSignal,
  ): Promise<PassResult> {
    const version = this.#inventories.version(definition);
    for (const each of looked) await this.#look(definition, backend, each, signal);
    if (signal.aborted) return { writes: 0, again: false, settled: false };
    let again = false;
    let settled = true;
    const ready: ParentPlan[] = [];
    for (const before of looked) {
      const planned = this.#context.planner.one(definition, before.parent.metadata.uid);
      const { phase } = this.#context.store.snapshot().external(before.parent.metadata.uid);
      if (planned === undefined || phase !== "observed") {
        settled = false;
        continue;
      }
      if (!this.#isLookedFor(definition, planned)) {
        // More is wanted by now than was looked for.
        again = true;
        settled = false;
        continue;
      }
      this.#context.progress.note(planned);
      if (!planned.paused) ready.push(planned);
    }
    const open = ready.filter(({ external }) => external.length > 0);
    const done = open.length === 0 ? [] : await this.#writeAll(definition, backend, open, version, signal);
    let writes = 0;
    for (const { planned, carried } of done) {
      writes += carried.length;
      await this.#look(definition, backend, planned, signal);
      const after = this.#context.planner.one(definition, planned.parent.metadata.uid);
      this.#noteUnchanged(planned.parent, after, carried);
    }
    const quiet = ready.filter(({ external }) => external.length === 0);
    for (const planned of quiet) settled &&= isSettled(planned);
    await this.#confirm(definition, quiet, signal);
    return { writes, again: again || writes > 0, settled: settled && open.length === 0 };
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

  /**
   * Records what is about to be made for all of `open`, and makes it.
   *
   * @param version Of the inventory, before it was looked at what there is.
   */
  async #writeAll(
    definition: Definition,
    backend: ExternalBackend,
    open: readonly ParentPlan[],
    version: string,
    signal: AbortSignal,
  ): Promise<readonly { readonly planned: ParentPlan; readonly carried: readonly ExternalWrite[] }[]> {
    const plans = oldestFirst(open).filter(({ parent }) => mayWriteFor(this.#context, parent));
    if (plans.length === 0 || this.#context.halt.active) return [];
    const inventory = readInventory(this.#context.store.snapshot(), definition);
    // The Kubernetes lane makes the inventory first.
    if (inventoryNameOf(definition) !== undefined && (inventory?.id ?? "") === "") return [];
    const taken = new Set<string>();
    const batch = plans.map((planned) => ({
      planned,
      // Of two that want the same, the younger hears next time whose it is.
      external: planned.external.filter((write) => {
        if (write.verb === "delete") return true;
        const key = keyOfExternal(write.child);
        const free = write.verb !== "create" || !taken.has(key);
        taken.add(key);
        return free;
      }),
    }));
    if (inventory !== undefined) {
      const put = withIntents(
        inventory,
        batch.flatMap(({ planned: { parent }, external }) => external.map((write) => ({ parent, write }))),
      );
      const failure = await this.#inventories.write(
        definition,
        { put },
        signal,
        { id: this.#context.options.clock.uuid(), version },
      );
      if (failure !== undefined) {
        for (const planned of plans) this.#failBatch(planned, failure);
        return [];
      }
    }
    const done = [];
    for (const { planned, external } of batch) {
      done.push({ planned, carried: await this.#writeExternals(backend, planned, external, signal) });
    }
    return done.filter(({ carried }) => carried.length > 0);
  }

  async #writeExternals(
    backend: ExternalBackend,
    planned: ParentPlan,
    external: readonly ExternalWrite[],
    signal: AbortSignal,
  ): Promise<readonly ExternalWrite[]> {
    const { log, metrics } = this.#context.options;
    const { parent } = planned;
    const done: ExternalWrite[] = [];
    const told: { readonly drift: boolean; readonly write: ExternalWrite }[] = [];
    const reset = this.#resetOf(planned, external);
    for (const write of external) {
      if (!mayWriteFor(this.#context, parent) || this.#context.halt.active || signal.aborted) break;
      this.#context.heartbeat.beat("external");
      const target = describeTarget(write);
      const kind = write.child.kind;
      const drift = this.#context.progress.isDrift(write, planned);
      const reason = write.verb === "delete"
        ? "unwanted"
        : write.observed === undefined
        ? "missing"
        : drift
        ? "drift"
        : "change";
      try {
        await inSpan(
          "write",
          { "iofog.verb": write.verb, "iofog.kind": kind },
          () => backend.write(parent, write, this.#context.store.snapshot(), signal),
        );
        done.push(write);
        metrics.wrote({ world: "external", verb: write.verb, kind, reason, result: "ok" });
        if (reset !== undefined && kind === markerKind) {
          const what = write.observed === undefined ? "was emptied" : "is another one than before";
          const message =
            `it has not the id of the inventory: it ${what}. What custom resources ask for is made ` +
            "again; nothing is deleted";
          log.warn("the external system was emptied or replaced", { reason: reset, detail: message });
          this.#context.reporter.event(parent, "Warning", reset, message);
        }
        if (drift) metrics.driftRepaired(kind);
        this.#context.progress.written(parent, target);
        log.info(drift ? "repaired" : pastOf[write.verb], {
          world: "external",
          kind,
          name: write.child.name,
          paths: write.paths,
        });
        told.push({ drift, write });
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
    this.#context.reporter.wroteExternals(parent, told);
    return done;
  }

  /** What to call the news that the system has lost the id that was planted in it; undefined where it has not. */
  #resetOf({ parent }: ParentPlan, external: readonly ExternalWrite[]): string | undefined {
    if (!external.some(({ child }) => child.kind === markerKind)) return undefined;
    const snapshot = this.#context.store.snapshot();
    const definition = this.#context.options.managed.map(({ definition }) => definition)
      .find(({ resource }) => snapshot.byUid(resource, parent.metadata.uid) !== undefined);
    const inventory = definition && readInventory(snapshot, definition);
    // Where nothing ever stood, it is planted for the first time.
    if (inventory?.entries.some(({ confirmed }) => confirmed) !== true) return undefined;
    return `${definition?.systemName ?? "System"}Reset`;
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

  /** Records in the inventory what now stands as desired, and forgets what is gone. */
  async #confirm(definition: Definition, plans: readonly ParentPlan[], signal: AbortSignal): Promise<void> {
    const snapshot = this.#context.store.snapshot();
    const inventory = readInventory(snapshot, definition);
    if (inventory === undefined || !this.#context.options.mayWrite() || this.#context.halt.active) return;
    const claims = plans.flatMap(({ parent, desired, settled }) => {
      const stands = new Set(settled);
      const { objects } = snapshot.external(parent.metadata.uid);
      const found = new Map(objects.map((object) => [keyOfExternal(object), object]));
      return desired.children
        .filter((child) => child.type === "external")
        .filter((child) => stands.has(describeChild(child)))
        .map((child) => ({ parent, child, observed: found.get(keyOfExternal(child)) }));
    });
    const put = withConfirmed(inventory, claims);
    const drop = plans.flatMap(({ forgotten }) => forgotten);
    if (put.length + drop.length === 0) return;
    const failure = await this.#inventories.write(definition, { put, drop }, signal);
    if (failure !== undefined) {
      this.#context.options.log.debug("inventory not confirmed", { error: failure });
    }
  }
}

/** Looks that one command takes to find out what a custom resource stands for. */
const mostRounds = 4;

/** Keys of a child and of what it refers to. */
function keysOf(child: ExternalChild): readonly string[] {
  return [child, ...child.references ?? []].map(keyOfExternal);
}

const pastOf = { create: "created", update: "updated", delete: "deleted" } as const;

function isSettled({ desired, settled }: ParentPlan): boolean {
  const stands = new Set(settled);
  return desired.children.every((child) => child.type !== "external" || stands.has(describeChild(child)));
}

function oldestFirst(plans: readonly ParentPlan[]): readonly ParentPlan[] {
  return plans.toSorted((one, other) => byAge(one.parent, other.parent));
}
