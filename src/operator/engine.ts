/**
 * The engine: holds the store, plans, and carries out what the plan says, one pass at a time.
 *
 * There are two kinds of pass, one for each world, over the same plan: `convergeKubernetes` writes Kubernetes objects
 * and the status of the custom resources, `convergeExternal` reads and writes the external system. `loop.ts` calls
 * them in lanes of their own; `once` and `diff` call them directly.
 *
 * Guarantees: a pass never waits for the world to change, only for its own requests. At rest a pass writes nothing.
 */

import type { Clock } from "../clock.ts";
import type { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError, isStatus } from "../kubernetes/errors.ts";
import { ConfigMap, Secret } from "../kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../kubernetes/resource.ts";
import { errorText, type Logger } from "../telemetry/log.ts";
import type { Metrics, WriteResult, WriteVerb } from "../telemetry/metrics.ts";
import type { Redactor } from "../telemetry/redaction.ts";
import { applyWrite, type Outcome } from "./apply.ts";
import { compare, type MergeRules } from "./compare.ts";
import { datedStatus } from "./conditions.ts";
import type { Definition, ExternalChild, Failure, KindState, Parent, StatusDraft } from "./definition.ts";
import type { EventRecorder } from "./events.ts";
import { type ExternalBackend, ExternalError } from "./external.ts";
import { Failures } from "./failures.ts";
import { type InventoryEntry, readInventory, withConfirmed, withEntries, withIntents } from "./inventory.ts";
import type { Identity } from "./ownership.ts";
import { type ParentPlan, plan, type PlanInput } from "./plan.ts";
import { fieldsLost, projected, servedSchema } from "./served_schema.ts";
import { keyOf, Store } from "./store.ts";
import {
  describeChild,
  describeTarget,
  type ExternalWrite,
  type KubernetesWrite,
  type Write,
} from "./write.ts";

/** A kind of custom resource and the external system that it has a part in. */
export interface Managed {
  readonly definition: Definition;
  readonly backend?: ExternalBackend;
}

export interface EngineOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly managed: readonly Managed[];
  /** Whether this process may write now. */
  readonly mayWrite: () => boolean;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly redactor: Redactor;
  readonly events: EventRecorder;
  /** Milliseconds between two full looks at the custom resources. */
  readonly resyncMs: number;
}

/** What came of a pass. */
export interface PassResult {
  /** Writes that succeeded, status included. */
  readonly writes: number;
  /** Whether another pass should follow at once, since something was not as the plan saw it. */
  readonly again: boolean;
  /** Whether the external system was reached and is as desired, for every parent. */
  readonly settled: boolean;
}

/** What changed, for whoever schedules passes. */
export interface EngineObserver {
  /** A custom resource or child changed; undefined when it is not known whose it is. */
  changed(parentUid: string | undefined): void;
}

/** A write and what came of it. */
interface Carried {
  readonly write: KubernetesWrite;
  /** Whether somebody else had changed what was as desired. */
  readonly drift: boolean;
  readonly outcome: Outcome;
}

/** Milliseconds between two full lists of a kind of child. */
const childRelistMs = 600_000;
/** The reason of a difference that stays although it was written away. */
const unsettled = "Unsettled";
/** How often a pass that met conflicts is repeated at once. */
const conflictRetries = 3;

/** See the module. */
export class Engine {
  readonly store: Store;
  readonly failures: Failures;
  readonly #options: EngineOptions;
  readonly #observers = new Set<EngineObserver>();
  /** For each parent, what its children should be when they last were so: to tell drift from a wanted change. */
  readonly #settled = new Map<string, Map<string, string>>();
  readonly #lostFields = new Map<string, readonly string[]>();
  /** For each parent, a status that the server did not store as it was written, and what it stored instead. */
  readonly #alteredStatus = new Map<string, { readonly wanted: string; readonly stored: unknown }>();
  readonly #said = new Set<string>();
  #blockOwnerDeletion = true;
  #learnedAt: number | undefined;
  #stoppedUntil = 0;
  #terminating = false;
  #statusForbiddenUntil = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.failures = new Failures(options.clock);
    const resources = new Map<string, { resource: Resource; relistMs: number; contentOf?: string[] }>();
    for (const { definition } of options.managed) {
      resources.set(keyOf(definition.resource), {
        resource: definition.resource,
        relistMs: options.resyncMs,
      });
      for (const resource of definition.childResources) {
        const known = resources.get(keyOf(resource));
        const names = [...known?.contentOf ?? [], ...definition.secretNames];
        const secret = keyOf(resource) === keyOf(Secret);
        resources.set(keyOf(resource), {
          resource,
          relistMs: childRelistMs,
          ...(secret ? { contentOf: names } : {}),
        });
      }
    }
    this.store = new Store({
      client: options.client,
      namespace: options.namespace,
      clock: options.clock,
      kinds: [...resources.values()],
      fieldManager: options.identity.fieldManager,
      observer: {
        changed: (resource, _name, object, previous) => this.#changed(resource, object, previous),
        kindChanged: (resource, state) => this.#kindChanged(resource, state),
        stale: (resource) => options.metrics.staleRead(resource.kind),
        watchEnded: (resource, reason) => {
          options.metrics.watchRestarted(
            resource.kind,
            reason === "Expired" ? "gone" : reason === "Closed" ? "closed" : "error",
          );
          options.log.debug("watch ended", { kind: resource.kind, reason });
        },
      },
    });
  }

  /** The kinds of custom resources. */
  get managed(): readonly Managed[] {
    return this.#options.managed;
  }

  /** Registers whoever wants to know of changes; returns how to stop that. */
  observe(observer: EngineObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Plans for every custom resource. */
  plan(): readonly ParentPlan[] {
    return this.#options.managed.flatMap(({ definition }) => plan(this.#input(definition)));
  }

  /** Reads the served schemas of the custom resources, to know which fields would be lost. */
  async learnServedSchemas(signal: AbortSignal): Promise<void> {
    let learned = true;
    for (const { definition } of this.#options.managed) {
      const key = keyOf(definition.resource);
      try {
        const served = await servedSchema(this.#options.client, definition.resource, signal);
        this.#lostFields.set(key, served === undefined ? [] : fieldsLost(definition.crdSchema, served));
      } catch (error) {
        // Not served yet, or not to be read: nothing is known to be lost.
        if (!(error instanceof ApiError)) throw error;
        learned = false;
      }
    }
    if (learned) this.#learnedAt = this.#options.clock.monotonic();
  }

  /** The same, if it is time: seldom, but at every look while fields are lost, since somebody may mend the CRD. */
  async refreshServedSchemas(signal: AbortSignal): Promise<void> {
    const { clock, resyncMs } = this.#options;
    const lost = [...this.#lostFields.values()].some((fields) => fields.length > 0);
    const ageMs = clock.monotonic() - (this.#learnedAt ?? -Infinity);
    if (ageMs >= (lost ? resyncMs : childRelistMs)) await this.learnServedSchemas(signal);
  }

  /**
   * One pass over Kubernetes: children first, then the status.
   *
   * @param only The parents to look at. @default all
   */
  async convergeKubernetes(signal: AbortSignal, only?: ReadonlySet<string>): Promise<PassResult> {
    const { clock, metrics } = this.#options;
    const planned = this.#options.managed.flatMap(({ definition }) =>
      plan(this.#input(definition))
        .filter(({ parent }) => only === undefined || only.has(parent.metadata.uid))
        .map((each) => ({ definition, each }))
    );
    const results = await all(planned.map(async ({ definition, each }) => {
      const startedAt = clock.monotonic();
      const result = await this.#convergeParent(definition, each, signal);
      const seconds = (clock.monotonic() - startedAt) / 1000;
      metrics.reconciled(
        definition.resource.kind.toLowerCase(),
        result.failed ? "error" : "success",
        seconds,
      );
      return result;
    }));
    this.#forgetGone();
    return {
      writes: results.reduce((sum, { writes }) => sum + writes, 0),
      again: results.some(({ again }) => again),
      settled: results.every(({ settled }) => settled),
    };
  }

  /** One pass over the external systems: look, write what differs, look again. */
  async convergeExternal(signal: AbortSignal): Promise<PassResult> {
    let writes = 0;
    let again = false;
    let settled = true;
    for (const { definition, backend } of this.#options.managed) {
      if (backend === undefined) continue;
      for (const each of plan(this.#input(definition))) {
        const children = each.desired.children.filter((child) => child.type === "external");
        if (each.parent.metadata.deletionTimestamp !== undefined || children.length === 0) continue;
        const result = await this.#convergeExternals(definition, backend, each.parent, children, signal);
        writes += result.writes;
        again ||= result.again;
        settled &&= result.settled;
      }
    }
    return { writes, again, settled };
  }

  /** Looks at the external systems without writing anything. */
  async observeExternal(signal: AbortSignal): Promise<void> {
    for (const { definition, backend } of this.#options.managed) {
      if (backend === undefined) continue;
      for (const { parent, desired } of plan(this.#input(definition))) {
        const children = desired.children.filter((child) => child.type === "external");
        if (children.length > 0) await this.#look(definition, backend, parent, children, signal);
      }
    }
  }

  #input(definition: Definition): PlanInput {
    const { clock, identity } = this.#options;
    return {
      definition,
      snapshot: this.store.snapshot(),
      now: clock.now(),
      identity,
      blockOwnerDeletion: this.#blockOwnerDeletion,
      failures: (parent) => this.failures.of(parent),
      lostFields: this.#lostFields.get(keyOf(definition.resource)) ?? [],
      uuid: () => clock.uuid(),
    };
  }

  #planOne(definition: Definition, uid: string): ParentPlan | undefined {
    return plan(this.#input(definition)).find(({ parent }) => parent.metadata.uid === uid);
  }

  async #convergeParent(
    definition: Definition,
    planned: ParentPlan,
    signal: AbortSignal,
  ): Promise<PassResult & { readonly failed: boolean }> {
    const uid = planned.parent.metadata.uid;
    let current = planned;
    let writes = 0;
    let again = false;
    for (let attempt = 1; attempt <= conflictRetries; attempt++) {
      again = false;
      if (current.waves.length === 0 || this.#stopped()) break;
      const carried = await this.#carryOutAll(current, signal);
      const done = carried.filter(({ outcome }) => outcome.type === "written");
      const outdated = carried.filter(({ outcome }) => outcome.type === "outdated");
      writes += done.length;
      this.#report(definition, current, done);
      again = carried.some(({ outcome }) => outcome.type === "blockOwnerDeletionRefused");
      if (again) this.#clearForbidden(current.parent, carried);
      if (attempt === conflictRetries) this.#noteContended(current.parent, outdated);
      else again ||= outdated.length > 0;
      let next = this.#planOne(definition, uid);
      // The parent is gone: so is whatever there was to do.
      if (next === undefined) return { writes, again: false, settled: false, failed: false };
      if (this.#noteUnsettled(current, next, done)) next = this.#planOne(definition, uid) ?? next;
      current = next;
      if (!again) break;
    }
    this.#noteSettled(current);
    if (
      current.status !== undefined &&
      await this.#writeStatus(definition, current.parent, current.status, signal)
    ) {
      writes += 1;
    }
    const failed = current.failures.length > 0;
    return { writes, again, settled: current.waves.length === 0 && !failed, failed };
  }

  /**
   * Carries out every write of a plan, wave by wave. Making a key takes long and keeps a core busy, which the API
   * server may need for all the others: what needs one comes last.
   */
  async #carryOutAll(planned: ParentPlan, signal: AbortSignal): Promise<readonly Carried[]> {
    const carryOut = async (write: KubernetesWrite): Promise<Carried> => {
      const drift = this.#isDrift(write, planned);
      return { write, drift, outcome: await this.#carryOut(write, planned, drift, signal) };
    };
    const carried: Carried[] = [];
    try {
      for (const wave of planned.waves) {
        carried.push(...await all(wave.filter((write) => !generates(write)).map(carryOut)));
      }
    } finally {
      carried.push(...await all(planned.waves.flat().filter(generates).map(carryOut)));
    }
    return carried;
  }

  /** What was outdated each time that it was tried waits a little, or a pass would follow the other without end. */
  #noteContended(parent: Parent, outdated: readonly Carried[]): void {
    for (const { write } of outdated) {
      const message = "is changed, or cannot be read again, each time before it is written";
      this.#fail(parent, write, { object: describeTarget(write), reason: "Contended", message }, {
        retryable: true,
      });
    }
  }

  /**
   * Notes what differs as before although it was just written as desired, since the server stores something else:
   * writing it again at once would go on for ever. Returns whether there is any.
   */
  #noteUnsettled(before: ParentPlan, after: ParentPlan, done: readonly Carried[]): boolean {
    const [wantedBefore, wantedAfter] = [wantedOf(before), wantedOf(after)];
    let found = false;
    for (const { write, outcome } of done) {
      const target = describeTarget(write);
      const next = after.waves.flat().find((each) => describeTarget(each) === target);
      const stored = outcome.type === "written" ? outcome.object?.metadata?.resourceVersion : undefined;
      if (next?.verb !== write.verb || next.live?.metadata?.resourceVersion !== stored) continue;
      if (wantedBefore.get(target) !== wantedAfter.get(target)) continue;
      const message = `was written and still differs in ${
        next.paths.join(", ")
      }: the API server stores something else`;
      this.#fail(after.parent, write, { object: target, reason: unsettled, message }, { retryable: false });
      found = true;
    }
    return found;
  }

  /** A write succeeded; whether it made the difference go away is to be seen. */
  #succeeded(parent: Parent, target: string): void {
    if (this.failures.of(parent).get(target)?.reason !== unsettled) {
      this.failures.clear(parent.metadata.uid, target);
    }
  }

  /** What was forbidden beside a refused blockOwnerDeletion may have been so for the same reason. */
  #clearForbidden(parent: Parent, carried: readonly Carried[]): void {
    for (const { outcome } of carried) {
      if (outcome.type !== "failed" || outcome.failure.reason !== "Forbidden") continue;
      this.failures.clear(parent.metadata.uid, outcome.failure.object);
    }
  }

  async #carryOut(
    write: KubernetesWrite,
    planned: ParentPlan,
    drift: boolean,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { client, clock, identity, mayWrite, metrics, log } = this.#options;
    const { parent } = planned;
    const outcome = this.#stopped() ? { type: "fenced" } as const : await applyWrite(write, {
      client,
      clock,
      identity,
      mayWrite,
      signal,
      onGenerated: (resource, object) => this.#learn(resource, object),
    });
    const target = describeTarget(write);
    const verb = metricVerb(write);
    const count = (result: WriteResult) =>
      metrics.wrote({ world: "kubernetes", verb, kind: write.resource.kind, result });
    switch (outcome.type) {
      case "written":
        count("ok");
        if (drift) metrics.driftRepaired(write.resource.kind);
        this.#succeeded(parent, target);
        if (outcome.object === undefined) this.store.forget(write.resource, write.name);
        else this.store.observe(write.resource, outcome.object);
        log.info(
          write.live === undefined
            ? "created"
            : write.verb === "delete"
            ? "deleted"
            : drift
            ? "repaired"
            : "updated",
          {
            verb: write.verb,
            kind: write.resource.kind,
            name: write.name,
            ...(write.live === undefined ? {} : { paths: write.paths }),
          },
        );
        return outcome;
      case "outdated":
        count("conflict");
        await this.#refresh(write.resource, write.name, signal);
        return outcome;
      case "fenced":
        return outcome;
      case "terminating":
        this.#terminating = true;
        this.#stopFor(this.#options.resyncMs);
        this.#sayOnce(
          "terminating",
          () => log.info("the namespace is being deleted: nothing more is written"),
        );
        return outcome;
      case "blockOwnerDeletionRefused":
        this.#blockOwnerDeletion = false;
        log.info("the API server refuses blockOwnerDeletion: owner references go without it", {
          remedy: "grant update on the finalizers subresource of the custom resources",
        });
        return outcome;
      case "failed": {
        const { failure, retryable, retryAfterMs } = outcome;
        count(
          failure.reason === "Forbidden" ? "forbidden" : failure.reason === "Rejected" ? "rejected" : "error",
        );
        this.#fail(parent, write, failure, { retryable, retryAfterMs });
        if (retryAfterMs !== undefined) this.#stopFor(retryAfterMs);
        return outcome;
      }
    }
  }

  #fail(
    parent: Parent,
    write: Write,
    failure: Failure,
    options: { readonly retryable: boolean; readonly retryAfterMs?: number | undefined },
  ): void {
    const clean = { ...failure, message: this.#options.redactor.clean(failure.message) };
    if (!this.failures.note(parent, clean, options)) return;
    this.#options.log.warn("write failed", {
      verb: write.verb,
      object: clean.object,
      reason: clean.reason,
      detail: clean.message,
    });
    this.#event(parent, "Warning", clean.reason, `${clean.object}: ${clean.message}`);
  }

  async #refresh(resource: Resource, name: string, signal: AbortSignal): Promise<void> {
    try {
      await this.store.refresh(resource, name, signal);
    } catch (error) {
      this.#options.log.debug("could not read again", { kind: resource.kind, name, error });
    }
  }

  /** Stores the status, where it differs; returns whether it was written. */
  async #writeStatus(
    definition: Definition,
    planned: Parent,
    draft: StatusDraft,
    signal: AbortSignal,
  ): Promise<boolean> {
    for (let attempt = 1; attempt <= conflictRetries; attempt++) {
      const outcome = await this.#tryStatus(definition, planned, draft, signal);
      if (outcome !== "outdated") return outcome === "written";
      await this.#refresh(definition.resource, planned.metadata.name, signal);
    }
    return false;
  }

  async #tryStatus(
    definition: Definition,
    planned: Parent,
    draft: StatusDraft,
    signal: AbortSignal,
  ): Promise<"written" | "unwritten" | "outdated"> {
    const { client, clock, identity, log, mayWrite, metrics, redactor } = this.#options;
    const { resource } = definition;
    const live = this.store.snapshot().get(resource, planned.metadata.name) as Parent | undefined;
    const { uid, generation = 0 } = planned.metadata;
    if (live?.metadata.uid !== uid || live.metadata.deletionTimestamp !== undefined) return "unwritten";
    if (!mayWrite() || this.#stopped()) return "unwritten";
    const clean: StatusDraft = {
      ...draft,
      conditions: draft.conditions.map((each) => ({ ...each, message: redactor.clean(each.message) })),
    };
    const whole = datedStatus(clean, live.status, generation, clock.now());
    const status = projected(whole, this.#lostFields.get(keyOf(resource)) ?? []);
    const ready = clean.conditions.some(({ type, status }) => type === "Ready" && status === "True");
    metrics.controlPlaneReady(live.metadata.namespace, live.metadata.name, ready);
    if (sameJson(status, live.status ?? {})) return "unwritten";
    if (clock.monotonic() < this.#statusForbiddenUntil) return "unwritten";
    // What the server stored otherwise than it was written is not written again, until either side changes.
    const wanted = JSON.stringify([clean, generation]);
    const altered = this.#alteredStatus.get(uid);
    if (altered?.wanted === wanted && sameJson(altered.stored, live.status ?? {})) return "unwritten";
    try {
      const { managedFields: _, ...metadata } = live.metadata;
      const next = { ...live, metadata, status } as KubeObject;
      const stored = await client.replace(resource, next, {
        subresource: "status",
        fieldManager: identity.fieldManager,
        signal,
      }) as Parent;
      metrics.wrote({ world: "kubernetes", verb: "update", kind: resource.kind, result: "ok" });
      this.store.observe(resource, stored);
      this.#announceReadiness(definition, live, clean);
      if (sameJson(stored.status ?? {}, status)) this.#alteredStatus.delete(uid);
      else {
        this.#alteredStatus.set(uid, { wanted, stored: stored.status ?? {} });
        await this.learnServedSchemas(signal);
      }
      return "written";
    } catch (error) {
      if (isStatus(error, 409) || isStatus(error, 404)) return "outdated";
      if (isStatus(error, 403) && !error.hasCause("NamespaceTerminating")) {
        this.#statusForbiddenUntil = clock.monotonic() + childRelistMs;
        this.#sayOnce("status", () =>
          log.warn("status cannot be written: everything else goes on", {
            remedy: `grant update on ${resource.plural}/status in the operator's Role`,
            detail: errorText(error),
          }));
      } else {
        log.warn("status not written", { name: live.metadata.name, detail: errorText(error) });
      }
      return "unwritten";
    }
  }

  /** Says in an Event and a log line when a custom resource becomes ready or stops being so. */
  #announceReadiness(definition: Definition, before: Parent, draft: StatusDraft): void {
    const conditions = (before.status as
      | { conditions?: { type: string; status: string; reason: string; message: string }[] }
      | undefined)
      ?.conditions ?? [];
    const was = conditions.find(({ type }) => type === "Ready");
    const is = draft.conditions.find(({ type }) => type === "Ready");
    const stalled = draft.conditions.some(({ type, status }) => type === "Stalled" && status === "True");
    const same = was?.status === is?.status && was?.reason === is?.reason;
    // What stalls is told again in other words; what is only awaited changes its words all the time.
    if (is === undefined || (same && (!stalled || was?.message === is.message))) return;
    const name = before.metadata.name;
    const fields = { kind: definition.resource.kind, name, reason: is.reason, detail: is.message };
    if (is.status === "True") {
      this.#options.log.info("ready", fields);
      this.#event(before, "Normal", is.reason, is.message);
    } else if (was?.status === "True" || stalled) {
      this.#options.log.warn("not ready", fields);
      this.#event(before, "Warning", is.reason, is.message);
    } else this.#options.log.info("not ready yet", fields);
  }

  async #look(
    definition: Definition,
    backend: ExternalBackend,
    parent: Parent,
    children: readonly ExternalChild[],
    signal: AbortSignal,
  ): Promise<void> {
    for (const child of children) {
      for (const secret of Object.values(child.secrets ?? {})) this.#options.redactor.learn(secret);
    }
    const state = await backend.observe(parent, children, this.store.snapshot(), signal);
    const { name, uid } = parent.metadata;
    const present = this.store.snapshot().get(definition.resource, name)?.metadata?.uid === uid;
    if (signal.aborted || !present) return;
    const message = state.message === undefined
      ? {}
      : { message: this.#options.redactor.clean(state.message) };
    if (this.store.setExternal(uid, { ...state, ...message })) this.#tell(uid);
  }

  async #convergeExternals(
    definition: Definition,
    backend: ExternalBackend,
    parent: Parent,
    children: readonly ExternalChild[],
    signal: AbortSignal,
  ): Promise<PassResult> {
    const { uid } = parent.metadata;
    const look = () => this.#look(definition, backend, parent, children, signal);
    await look();
    const planned = this.#planOne(definition, uid);
    const observed = this.store.snapshot().external(uid).phase === "observed";
    if (planned === undefined || signal.aborted || !observed) {
      return { writes: 0, again: false, settled: false };
    }
    const wanted = planned.desired.children.filter((child) => child.type === "external");
    const looked = new Set(children.map(describeChild));
    if (!wanted.every((child) => looked.has(describeChild(child)))) {
      // More is wanted by now than was looked for.
      return { writes: 0, again: true, settled: false };
    }
    this.#noteSettled(planned);
    if (planned.external.length > 0) {
      const done = await this.#writeExternals(definition, backend, planned, signal);
      if (done.length > 0) {
        await look();
        this.#noteUnchanged(planned.parent, this.#planOne(definition, uid), done);
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
      this.#fail(parent, write, { object: target, reason: unsettled, message }, { retryable: true });
      this.#tell(parent.metadata.uid);
    }
  }

  async #writeExternals(
    definition: Definition,
    backend: ExternalBackend,
    planned: ParentPlan,
    signal: AbortSignal,
  ): Promise<readonly ExternalWrite[]> {
    const { clock, log, mayWrite, metrics } = this.#options;
    const { parent } = planned;
    if (!mayWrite() || this.#stopped()) return [];
    const inventory = readInventory(this.store.snapshot(), definition);
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
      if (!mayWrite() || this.#stopped() || signal.aborted) break;
      const target = describeTarget(write);
      const kind = write.child.kind;
      const drift = this.#isDrift(write, planned);
      try {
        await backend.write(parent, write, this.store.snapshot(), signal);
        done.push(write);
        metrics.wrote({ world: "external", verb: write.verb, kind, result: "ok" });
        if (drift) metrics.driftRepaired(kind);
        this.#succeeded(parent, target);
        log.info(drift ? "repaired" : write.verb === "create" ? "created" : "updated", {
          world: "external",
          kind,
          name: write.child.name,
          paths: write.paths,
        });
        this.#event(
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
          result: error.retryable ? "error" : "rejected",
        });
        const failure = { object: target, reason: error.reason, message: error.message };
        this.#fail(parent, write, failure, { retryable: error.retryable });
        this.#tell(parent.metadata.uid);
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
      if (isStatus(cause, 409)) this.failures.note(parent, failure, { retryable: true });
      else this.#fail(parent, write, failure, { retryable: true });
    }
    this.#tell(parent.metadata.uid);
  }

  /** Records in the inventory what now stands as desired. */
  async #confirm(
    definition: Definition,
    parent: Parent,
    children: readonly ExternalChild[],
    signal: AbortSignal,
  ): Promise<void> {
    const inventory = readInventory(this.store.snapshot(), definition);
    if (inventory === undefined || !this.#options.mayWrite() || this.#stopped()) return;
    const entries = withConfirmed(inventory, parent, children);
    if (entries === undefined) return;
    const failure = await this.#writeInventory(definition, entries, signal);
    if (failure !== undefined) {
      this.#options.log.debug("inventory not confirmed", { error: failure });
    }
  }

  /** Returns why it could not be stored; undefined when it was. */
  async #writeInventory(
    definition: Definition,
    entries: readonly InventoryEntry[],
    signal: AbortSignal,
    batch?: string,
  ): Promise<unknown> {
    const { client, identity, metrics } = this.#options;
    const name = definition.inventoryName ?? "";
    const configMap = this.store.snapshot().get(ConfigMap, name);
    if (configMap === undefined) return new Error(`ConfigMap ${name} does not exist`);
    try {
      const stored = await client.replace(ConfigMap, withEntries(configMap, entries, batch), {
        fieldManager: identity.fieldManager,
        signal,
      });
      metrics.wrote({ world: "kubernetes", verb: "update", kind: "ConfigMap", result: "ok" });
      this.store.observe(ConfigMap, stored);
      return undefined;
    } catch (error) {
      if (isStatus(error, 409) || isStatus(error, 404)) await this.#refresh(ConfigMap, name, signal);
      return error;
    }
  }

  /** Whether nothing should be written for a while: the namespace goes away, or the server asked for a pause. */
  #stopped(): boolean {
    return this.#options.clock.monotonic() < this.#stoppedUntil;
  }

  /** Nothing can be created in a namespace that is going away: where a custom resource appears, it is another one. */
  #noteAlive(): void {
    if (!this.#terminating) return;
    this.#terminating = false;
    this.#stoppedUntil = 0;
    this.#said.delete("terminating");
  }

  #stopFor(ms: number): void {
    const { clock, resyncMs } = this.#options;
    this.#stoppedUntil = Math.max(this.#stoppedUntil, clock.monotonic() + Math.min(ms, resyncMs));
  }

  #isDrift(write: Write, planned: ParentPlan): boolean {
    const wanted = wantedOf(planned).get(describeTarget(write));
    return wanted !== undefined &&
      this.#settled.get(planned.parent.metadata.uid)?.get(describeTarget(write)) === wanted;
  }

  /** Remembers what is as desired: a later difference is drift, and earlier failures are over. */
  #noteSettled(planned: ParentPlan): void {
    const { uid } = planned.parent.metadata;
    const settled = this.#settled.get(uid) ?? new Map<string, string>();
    this.#settled.set(uid, settled);
    const wanted = wantedOf(planned);
    for (const target of planned.settled) {
      settled.set(target, wanted.get(target) ?? "");
      this.failures.clear(uid, target);
    }
  }

  #report(definition: Definition, planned: ParentPlan, done: readonly Carried[]): void {
    if (done.length === 0) return;
    const names = (writes: readonly KubernetesWrite[]) => writes.map(describeTarget).join(", ");
    const changes = (writes: readonly KubernetesWrite[]) =>
      writes.map((write) => `${describeTarget(write)} (${write.paths.slice(0, 3).join(", ")})`).join(", ");
    const drift = done.filter((each) => each.drift).map(({ write }) => write);
    const rest = done.filter((each) => !each.drift).map(({ write }) => write);
    const created = rest.filter((write) => write.live === undefined);
    const deleted = rest.filter((write) => write.verb === "delete");
    const updated = rest.filter((write) => write.live !== undefined && write.verb !== "delete");
    if (created.length > 0) this.#event(planned.parent, "Normal", "Created", `Created ${names(created)}`);
    if (updated.length > 0) this.#event(planned.parent, "Normal", "Updated", `Updated ${changes(updated)}`);
    if (deleted.length > 0) this.#event(planned.parent, "Normal", "Deleted", `Deleted ${names(deleted)}`);
    if (drift.length > 0) this.#event(planned.parent, "Normal", "Repaired", `Put right ${changes(drift)}`);
    this.#options.log.info("reconciled", {
      kind: definition.resource.kind,
      name: planned.parent.metadata.name,
      writes: done.length,
    });
  }

  #event(parent: Parent, type: "Normal" | "Warning", reason: string, message: string): void {
    const managed = this.#options.managed.find(({ definition }) => definition.resource.kind === parent.kind);
    if (managed !== undefined) {
      this.#options.events.record(managed.definition.resource, parent, type, reason, message);
    }
  }

  #changed(resource: Resource, object: KubeObject | undefined, previous: KubeObject | undefined): void {
    if (object !== undefined) this.#learn(resource, object);
    for (const { definition } of this.#options.managed) {
      if (keyOf(definition.resource) !== keyOf(resource)) continue;
      if (object === undefined && previous?.metadata !== undefined) {
        this.#options.metrics.forgetControlPlane(
          previous.metadata.namespace ?? "",
          previous.metadata.name ?? "",
        );
      }
      if (previous === undefined) this.#noteAlive();
      if (sameInput(object, previous)) return;
      return this.#tell(object?.metadata?.uid);
    }
    const owner = (object ?? previous)?.metadata?.ownerReferences?.find((reference) =>
      reference.controller === true
    );
    this.#tell(owner?.uid);
  }

  #learn(resource: Resource, object: KubeObject): void {
    for (const { definition } of this.#options.managed) {
      for (const secret of definition.secretsIn(resource, object)) this.#options.redactor.learn(secret);
    }
  }

  #kindChanged(resource: Resource, state: KindState): void {
    const { log } = this.#options;
    const what = { kind: resource.kind };
    switch (state.phase) {
      case "synced":
        if (this.#said.delete("server")) log.info("the API server can be used again");
        log.debug("listed", what);
        break;
      case "absent":
        log.warn("not served by the API server", {
          ...what,
          remedy: `install the CRD ${resource.plural}.${resource.group}`,
        });
        break;
      case "failed":
        if (state.server) {
          const { message } = state;
          this.#sayOnce("server", () => log.warn("the API server cannot be used", { detail: message }));
        } else log.warn("cannot be listed", { ...what, detail: state.message });
        break;
      case "pending":
        break;
    }
    this.#tell(undefined);
  }

  #tell(parentUid: string | undefined): void {
    for (const observer of this.#observers) observer.changed(parentUid);
  }

  #sayOnce(key: string, say: () => void): void {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    say();
  }

  #forgetGone(): void {
    const snapshot = this.store.snapshot();
    const uids = new Set(
      this.#options.managed.flatMap(({ definition }) =>
        snapshot.list(definition.resource).map((parent) => parent.metadata?.uid ?? "")
      ),
    );
    this.failures.keepOnly(uids);
    for (const known of [this.#settled, this.#alteredStatus]) {
      for (const uid of [...known.keys()]) if (!uids.has(uid)) known.delete(uid);
    }
  }
}

/** Like `Promise.all`, but nothing goes on behind the back of whoever hears of a failure. */
async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return await Promise.all(work);
}

function generates(write: KubernetesWrite): boolean {
  return "generate" in write && write.generate !== undefined;
}

/** What is wanted of each child, as a text that changes when somebody wants something else. */
function wantedOf({ desired, parent }: ParentPlan): ReadonlyMap<string, string> {
  return new Map(desired.children.map((child) => {
    if (child.type !== "external") return [describeChild(child), JSON.stringify(child.object)];
    // Secrets are not compared; a change of one is a change of the spec.
    const generation = child.secrets === undefined ? undefined : parent.metadata.generation;
    return [describeChild(child), JSON.stringify([child.fields, generation])];
  }));
}

function metricVerb(write: KubernetesWrite): WriteVerb {
  switch (write.verb) {
    case "replace":
      return "update";
    case "adopt":
      return "patch";
    default:
      return write.verb;
  }
}

/** Whether nothing changed that a plan is made from, such as managedFields. */
function sameInput(object: KubeObject | undefined, previous: KubeObject | undefined): boolean {
  if (object?.metadata === undefined || previous?.metadata === undefined) return false;
  return object.metadata.uid === previous.metadata.uid &&
    object.metadata.generation === previous.metadata.generation &&
    object.metadata.deletionTimestamp === previous.metadata.deletionTimestamp &&
    sameJson(object.metadata.labels ?? {}, previous.metadata.labels ?? {}) &&
    sameJson(object.metadata.annotations ?? {}, previous.metadata.annotations ?? {}) &&
    sameJson((object as Parent).status ?? {}, (previous as Parent).status ?? {});
}

/** Whether two JSON values are equal, whatever the order of their keys. */
function sameJson(a: unknown, b: unknown): boolean {
  const exact: MergeRules = () => ({ type: "atomic" });
  return compare(a, b, exact).paths.length === 0 && compare(b, a, exact).paths.length === 0;
}
