/**
 * The lane of the external systems: looks, records in the inventory what is to be made, writes what differs, and
 * looks again.
 */

import type { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError, isStatus } from "../kubernetes/errors.ts";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import type { Resource } from "../kubernetes/resource.ts";
import { inSpan } from "../telemetry/trace.ts";
import { errorText } from "../telemetry/log.ts";
import { sameJson } from "./compare.ts";
import type { Definition, ExternalChild, ExternalObject, Parent } from "./definition.ts";
import { type ExternalBackend, ExternalError } from "./external.ts";
import {
  changedShards,
  indexed,
  type Inventory,
  type InventoryChange,
  type InventoryEntry,
  inventoryNameOf,
  keyOfExternal,
  markerKind,
  readInventory,
  shardsOf,
  withConfirmed,
  withIntents,
} from "./inventory.ts";
import { type LaneContext, type Managed, mayWriteFor, type PassResult, refresh } from "./lane.ts";
import { mayPrune, pruneAnnotation } from "./ownership.ts";
import type { ParentPlan } from "./plan.ts";
import { deletionsOf, recordedFor } from "./plan_external.ts";
import { unsettled } from "./progress.ts";
import { describeChild, describeTarget, type ExternalWrite } from "./write.ts";

/** See the module. */
export class ExternalLane {
  readonly #context: LaneContext;
  /** For each kind of which most custom resources are gone, since when, in monotonic milliseconds. */
  readonly #doubtedSince = new Map<string, number>();

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
    const pruned = await this.#prune(signal);
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
    const version = this.#inventoryVersion(definition);
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
      const failure = await this.#writeInventory(
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
    const failure = await this.#writeInventory(definition, { put, drop }, signal);
    if (failure !== undefined) {
      this.#context.options.log.debug("inventory not confirmed", { error: failure });
    }
  }

  /** What `converge` would delete for custom resources that are gone, and sentences about what is kept. */
  async surplus(
    signal: AbortSignal,
  ): Promise<{ readonly deletions: readonly ExternalWrite[]; readonly held: readonly string[] }> {
    const found = await Promise.all(
      this.#sharing().map((group) => this.#surplusOf(group, signal, () => false)),
    );
    return {
      deletions: found.flatMap((each) => each?.deletions ?? []),
      held: found.flatMap((each) => each?.held ?? []),
    };
  }

  /**
   * Deletes what is recorded for custom resources that are gone and that no other wants, as their deletion policy says;
   * returns how many deletions succeeded. Never where it is not sure that they are gone, or that what is looked at is
   * the system that the inventory is about.
   */
  async #prune(signal: AbortSignal): Promise<number> {
    let count = 0;
    for (const group of this.#sharing()) count += await this.#pruneGroup(group, signal);
    return count;
  }

  /** Kinds by the inventory that they share. */
  #sharing(): readonly (readonly Managed[])[] {
    const sharing = Map.groupBy(
      this.#context.options.managed.filter(({ definition }) => definition.sharedInventoryName !== undefined),
      ({ definition }) => definition.sharedInventoryName,
    );
    return [...sharing.values()];
  }

  /**
   * What is recorded for custom resources that are gone and that no other wants; undefined where that cannot be said.
   *
   * @param isDoubtful Whether the list that lacks custom resources of this kind is not believed.
   */
  async #surplusOf(
    group: readonly Managed[],
    signal: AbortSignal,
    isDoubtful: (resource: Resource, orphans: readonly InventoryEntry[]) => boolean,
  ): Promise<Surplus | undefined> {
    const snapshot = this.#context.store.snapshot();
    const [definition] = group.map(({ definition }) => definition);
    const backend = group.find(({ backend }) => backend?.find !== undefined)?.backend;
    if (definition === undefined || backend?.find === undefined) return undefined;
    const inventory = readInventory(snapshot, definition);
    if (inventory === undefined || inventory.id === "") return undefined;
    const living = new Set(
      this.#context.options.managed.flatMap(({ definition: { resource } }) =>
        snapshot.list(resource).map(({ metadata }) => metadata?.uid)
      ),
    );
    const orphans = inventory.entries.filter(({ parentUid, singleton }) =>
      !singleton && !living.has(parentUid)
    );
    const none = { definition, backend, inventory, gone: [], deletions: [], dropped: [], held: [] };
    if (orphans.length === 0) return none;
    const synced = group.map(({ definition: { resource } }) => resource)
      .filter((resource) => snapshot.kind(resource).phase === "synced");
    const doubted = new Set(synced.filter((resource) => isDoubtful(resource, orphans)));
    const listed = new Set(
      synced.filter((resource) => !doubted.has(resource)).map(({ kind, group }) => `${kind}.${group}`),
    );
    const wanted = new Set(
      group.flatMap(({ definition }) => this.#context.planner.all(definition))
        .flatMap(({ desired }) =>
          desired.children.map((child) => child.type === "external" ? keyOfExternal(child) : "")
        ),
    );
    const gone = orphans
      .filter(({ owner = "" }) => listed.has(owner.split("/")[0] ?? ""))
      .filter((entry) => !wanted.has(keyOfExternal(entry)));
    const doubts = [...doubted].map(({ kind }) =>
      `most objects of kind ${kind} are gone at once: what they made is kept until another list agrees, or the ` +
      `annotation ${pruneAnnotation(this.#context.options.identity)}: "true" says that they were deleted`
    );
    if (gone.length === 0) return { ...none, held: doubts };
    const objects = await backend.find(gone, inventory.id, snapshot, signal);
    if (objects === undefined || signal.aborted) return undefined;
    const retained = gone.filter(({ deletionPolicy }) => deletionPolicy === "Retain");
    const { given, held } = withoutUsed(gone.filter((entry) => !retained.includes(entry)), objects);
    const { deletions, forgotten } = deletionsOf(given, objects);
    return {
      ...none,
      gone,
      deletions: inDeletionOrder(deletions, group),
      dropped: [...retained, ...forgotten],
      held: [...doubts, ...held],
    };
  }

  async #pruneGroup(group: readonly Managed[], signal: AbortSignal): Promise<number> {
    const { client, log, metrics, mayWrite } = this.#context.options;
    if (!mayWrite() || this.#context.halt.active) return 0;
    const snapshot = this.#context.store.snapshot();
    const [first] = group;
    const version = first === undefined ? "" : this.#inventoryVersion(first.definition);
    const surplus = await this.#surplusOf(
      group,
      signal,
      (resource, orphans) => !this.#isPruningAllowed(group) && this.#isDoubtful(resource, orphans),
    );
    if (surplus === undefined) return 0;
    const { backend, definition, deletions, dropped, gone, inventory } = surplus;
    const held = [...surplus.held];
    const noteKept = () => this.#context.planner.noteKept(inventoryNameOf(definition) ?? "", held);
    noteKept();
    for (const message of held) {
      this.#context.reporter.sayOnce(message, () => log.warn("not deleted", { detail: message }));
    }
    let count = 0;
    if (deletions.length > 0 && await this.#isTerminating(client, signal)) return 0;
    if (deletions.length > 0) {
      const failure = await this.#writeInventory(
        definition,
        { put: [], drop: dropped },
        signal,
        { id: this.#context.options.clock.uuid(), version },
      );
      if (failure !== undefined) return 0;
    } else if (dropped.length > 0) await this.#writeInventory(definition, { put: [], drop: dropped }, signal);
    const removed: InventoryEntry[] = [];
    for (const write of deletions) {
      if (!mayWrite() || this.#context.halt.active || signal.aborted) break;
      const target = describeTarget(write);
      const entry = indexed(inventory).get(keyOfExternal(write.child));
      try {
        await backend.write(undefined, write, snapshot, signal);
      } catch (error) {
        if (!(error instanceof ExternalError)) throw error;
        held.push(`${target} is not deleted: ${error.message}`);
        this.#context.reporter.sayOnce(
          `held ${target}`,
          () => log.warn("not deleted", { object: target, detail: error.message }),
        );
        continue;
      }
      count++;
      this.#context.reporter.over(`held ${target}`);
      metrics.wrote({
        world: "external",
        verb: "delete",
        kind: write.child.kind,
        reason: "unwanted",
        result: "ok",
      });
      log.info("deleted", { world: "external", kind: write.child.kind, name: write.child.name });
      if (entry !== undefined) removed.push(entry);
      const within = new Set(write.observed?.contains ?? []);
      removed.push(...gone.filter((each) => within.has(keyOfExternal(each))));
    }
    if (removed.length > 0) await this.#writeInventory(definition, { put: [], drop: removed }, signal);
    noteKept();
    return count;
  }

  /** Whether somebody says at the custom resource with the inventory that what is gone was deleted. */
  #isPruningAllowed([first]: readonly Managed[]): boolean {
    const { identity, managed } = this.#context.options;
    const name = first?.definition.sharedInventoryName;
    return managed.filter(({ definition }) => definition.inventoryName === name)
      .some(({ definition: { resource } }) =>
        this.#context.store.snapshot().list(resource).some((parent) => mayPrune(parent, identity))
      );
  }

  /**
   * Whether so many custom resources of a kind are gone at once, without a watch having told of it, that the list that
   * lacks them is not believed before another one agrees.
   */
  #isDoubtful(resource: Resource, orphans: readonly InventoryEntry[]): boolean {
    const { clock, log, resyncMs } = this.#context.options;
    const kind = `${resource.kind}.${resource.group}`;
    const missing = new Set(
      orphans.filter(({ owner = "" }) => owner.startsWith(`${kind}/`)).map(({ parentUid }) => parentUid),
    );
    const untold = [...missing].filter((uid) => !this.#context.store.wasDeleted(uid)).length;
    if (untold < 5 || untold <= this.#context.store.list(resource).length) {
      this.#doubtedSince.delete(kind);
      this.#context.reporter.over(`doubt ${kind}`);
      return false;
    }
    const since = this.#doubtedSince.get(kind) ?? clock.monotonic();
    this.#doubtedSince.set(kind, since);
    // By then the list has been taken again.
    if (clock.monotonic() - since > 2 * resyncMs) return false;
    this.#context.reporter.sayOnce(
      `doubt ${kind}`,
      () =>
        log.warn("most custom resources of a kind are gone: nothing is deleted before another list agrees", {
          reason: "PruneGuard",
          kind: resource.kind,
          gone: untold,
        }),
    );
    return true;
  }

  /** Custom resources vanish one by one while their namespace is deleted: then nothing is deleted for them. */
  async #isTerminating(client: KubernetesClient, signal: AbortSignal): Promise<boolean> {
    const { clock, namespace } = this.#context.options;
    const metadata = { namespace, name: `probe-${clock.uuid()}` };
    try {
      await client.create(ConfigMap, { metadata }, { dryRun: true, signal });
      return false;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return true;
    }
  }

  /** Another one whenever somebody has written it. */
  #inventoryVersion(definition: Definition): string {
    return shardsOf(this.#context.store.snapshot(), definition)
      .map(({ metadata }) => `${metadata?.uid} ${metadata?.resourceVersion}`).join();
  }

  /**
   * Returns why it could not be stored; undefined when it was.
   *
   * @param batch Before writing outside: only under the version that was there when it was looked at what there is. A
   * process that slept meanwhile may have heard of a later one, and not of what was made under it.
   */
  async #writeInventory(
    definition: Definition,
    change: InventoryChange,
    signal: AbortSignal,
    batch?: { readonly id: string; readonly version: string },
  ): Promise<unknown> {
    const { client, identity, metrics } = this.#context.options;
    const name = inventoryNameOf(definition) ?? "";
    const shards = shardsOf(this.#context.store.snapshot(), definition);
    if (shards.length === 0) return new Error(`ConfigMap ${name} does not exist`);
    if (batch !== undefined && batch.version !== this.#inventoryVersion(definition)) {
      return new ApiError(`ConfigMap ${name} was written meanwhile`, { status: 409, reason: "Conflict" });
    }
    for (const shard of changedShards(shards, change, batch?.id)) {
      const isNew = shard.metadata?.resourceVersion === undefined;
      try {
        const how = { fieldManager: identity.fieldManager, signal };
        const stored = isNew
          ? await client.create(ConfigMap, shard, how)
          : await client.replace(ConfigMap, shard, how);
        metrics.wrote({
          world: "kubernetes",
          verb: isNew ? "create" : "update",
          kind: "ConfigMap",
          reason: "inventory",
          result: "ok",
        });
        this.#context.store.observe(ConfigMap, stored);
      } catch (error) {
        const name = shard.metadata?.name ?? "";
        if (isStatus(error, 409) || isStatus(error, 404)) {
          await refresh(this.#context, ConfigMap, name, signal);
        }
        return error;
      }
    }
    return undefined;
  }
}

/** What of deleted custom resources is in an external system. */
interface Surplus {
  readonly definition: Definition;
  readonly backend: ExternalBackend;
  readonly inventory: Inventory;
  /** What is recorded of them. */
  readonly gone: readonly InventoryEntry[];
  /** In the order in which it loses nothing. */
  readonly deletions: readonly ExternalWrite[];
  /** What is only to be forgotten. */
  readonly dropped: readonly InventoryEntry[];
  /** A sentence about each that is kept. */
  readonly held: readonly string[];
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
  const age = ({ parent: { metadata } }: ParentPlan) => `${metadata.creationTimestamp ?? ""} ${metadata.uid}`;
  return plans.toSorted((one, other) => age(one).localeCompare(age(other)));
}

/**
 * What may be deleted: not what holds something that is not deleted with it, unless its policy says so. And a sentence
 * about each of the others.
 */
function withoutUsed(
  gone: readonly InventoryEntry[],
  objects: readonly ExternalObject[],
): { readonly given: readonly InventoryEntry[]; readonly held: string[] } {
  const byKey = new Map(objects.map((object) => [keyOfExternal(object), object]));
  const keys = new Set(gone.map(keyOfExternal));
  const held: string[] = [];
  const given = gone.filter((entry) => {
    const inside = (byKey.get(keyOfExternal(entry))?.contains ?? []).filter((key) => !keys.has(key));
    if (entry.deletionPolicy === "Delete" || inside.length === 0) return true;
    held.push(
      `${keyOfExternal(entry)} is kept although ${
        entry.owner ?? "its custom resource"
      } was deleted, since it still ` +
        `holds ${inside.slice(0, 3).join(", ")}${inside.length > 3 ? ", ..." : ""}: remove that first`,
    );
    return false;
  });
  return { given, held };
}

/** Backwards: what was made last goes first. */
function inDeletionOrder(
  deletions: readonly ExternalWrite[],
  group: readonly Managed[],
): readonly ExternalWrite[] {
  const arrange = group.find(({ definition }) => definition.arrange !== undefined)?.definition.arrange;
  return arrange?.(deletions) ?? deletions;
}
