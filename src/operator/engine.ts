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
import { describeTarget, type KubernetesWrite, type Write } from "./write.ts";

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

/** Milliseconds between two full lists of a kind of child. */
const childRelistMs = 600_000;
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
  readonly #said = new Set<string>();
  #blockOwnerDeletion = true;
  #terminatingUntil = 0;
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
    for (const { definition } of this.#options.managed) {
      const key = keyOf(definition.resource);
      try {
        const served = await servedSchema(this.#options.client, definition.resource, signal);
        this.#lostFields.set(key, served === undefined ? [] : fieldsLost(definition.crdSchema, served));
      } catch (error) {
        // Not served yet, or not to be read: nothing is known to be lost.
        if (!(error instanceof ApiError)) throw error;
      }
    }
  }

  /**
   * One pass over Kubernetes: children first, then the status.
   *
   * @param only The parents to look at. @default all
   */
  async convergeKubernetes(signal: AbortSignal, only?: ReadonlySet<string>): Promise<PassResult> {
    const { clock, metrics } = this.#options;
    const results = await Promise.all(this.#options.managed.map(async ({ definition }) => {
      const controller = definition.resource.kind.toLowerCase();
      const plans = plan(this.#input(definition)).filter(({ parent }) =>
        only === undefined || only.has(parent.metadata.uid)
      );
      let working = 0;
      return await Promise.all(plans.map(async (each) => {
        const startedAt = clock.monotonic();
        metrics.activeWorkers(controller, ++working);
        const result = await this.#convergeParent(definition, each, signal);
        const failed = this.failures.of(each.parent).size > 0;
        metrics.reconciled(controller, failed ? "error" : "success", (clock.monotonic() - startedAt) / 1000);
        metrics.activeWorkers(controller, --working);
        return result;
      }));
    }));
    this.#forgetGone();
    const flat = results.flat();
    return {
      writes: flat.reduce((sum, { writes }) => sum + writes, 0),
      again: flat.some(({ again }) => again),
      settled: flat.every(({ settled }) => settled),
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
        if (children.length > 0) await this.#look(backend, parent, children, signal);
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
  ): Promise<PassResult> {
    const uid = planned.parent.metadata.uid;
    let current = planned;
    let writes = 0;
    let again = false;
    // Making a key takes long: nothing else waits for it.
    const slow: Promise<Outcome>[] = [];
    for (let attempt = 0; attempt < conflictRetries; attempt++) {
      const done: KubernetesWrite[] = [];
      again = false;
      const carryOut = async (write: KubernetesWrite) => {
        const outcome = await this.#carryOut(write, current, signal);
        if (outcome.type === "written") done.push(write);
        if (outcome.type === "outdated" || outcome.type === "blockOwnerDeletionRefused") again = true;
        return outcome;
      };
      for (const wave of this.#stopped() ? [] : current.waves) {
        const quick = wave.filter((write) => !generates(write));
        slow.push(...wave.filter(generates).map(carryOut));
        await Promise.all(quick.map(carryOut));
      }
      await Promise.all(slow.splice(0));
      writes += done.length;
      this.#report(definition, current, done);
      if (done.length > 0 || again) current = this.#planOne(definition, uid) ?? current;
      if (!again) break;
    }
    this.#noteSettled(current);
    if (
      current.status !== undefined &&
      await this.#writeStatus(definition, current.parent, current.status, signal)
    ) {
      writes += 1;
    }
    const settled = current.waves.length === 0 && current.failures.length === 0;
    return { writes, again, settled };
  }

  async #carryOut(write: KubernetesWrite, planned: ParentPlan, signal: AbortSignal): Promise<Outcome> {
    const { client, clock, identity, mayWrite, metrics, log } = this.#options;
    const { parent } = planned;
    const drift = this.#isDrift(write, planned);
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
        this.failures.clear(parent.metadata.uid, target);
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
        this.#terminatingUntil = clock.monotonic() + this.#options.resyncMs;
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
      message: clean.message,
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

  async #writeStatus(
    definition: Definition,
    planned: Parent,
    draft: StatusDraft,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client, clock, identity, log, mayWrite, metrics, redactor } = this.#options;
    const { resource } = definition;
    const snapshot = this.store.snapshot();
    const live = snapshot.get(resource, planned.metadata.name) as Parent | undefined;
    if (live === undefined || live.metadata.uid !== planned.metadata.uid) return false;
    if (live.metadata.deletionTimestamp !== undefined || !mayWrite() || this.#stopped()) return false;
    const clean: StatusDraft = {
      ...draft,
      conditions: draft.conditions.map((each) => ({ ...each, message: redactor.clean(each.message) })),
    };
    const generation = planned.metadata.generation ?? 0;
    const whole = datedStatus(clean, live.status, generation, clock.now());
    const status = projected(whole, this.#lostFields.get(keyOf(resource)) ?? []);
    const ready = clean.conditions.some(({ type, status }) => type === "Ready" && status === "True");
    metrics.controlPlaneReady(live.metadata.namespace, live.metadata.name, ready);
    if (sameJson(status, live.status ?? {})) return false;
    if (clock.monotonic() < this.#statusForbiddenUntil) return false;
    try {
      const { managedFields: _, ...metadata } = live.metadata;
      const next = { ...live, metadata, status } as KubeObject;
      const stored = await client.replace(resource, next, {
        subresource: "status",
        fieldManager: identity.fieldManager,
        signal,
      });
      metrics.wrote({ world: "kubernetes", verb: "update", kind: resource.kind, result: "ok" });
      this.store.observe(resource, stored);
      this.#announceReadiness(definition, live, clean);
      if (!sameJson((stored as Parent).status ?? {}, status)) await this.learnServedSchemas(signal);
      return true;
    } catch (error) {
      if (isStatus(error, 409) || isStatus(error, 404)) {
        await this.#refresh(resource, live.metadata.name, signal);
      } else if (isStatus(error, 403) && !error.hasCause("NamespaceTerminating")) {
        this.#statusForbiddenUntil = clock.monotonic() + childRelistMs;
        this.#sayOnce("status", () =>
          log.warn("status cannot be written: everything else goes on", {
            remedy: `grant update on ${resource.plural}/status in the operator's Role`,
            message: errorText(error),
          }));
      } else {
        log.warn("status not written", { name: live.metadata.name, message: errorText(error) });
      }
      return false;
    }
  }

  /** Says in an Event and a log line when a custom resource becomes ready or stops being so. */
  #announceReadiness(definition: Definition, before: Parent, draft: StatusDraft): void {
    const conditions =
      (before.status as { conditions?: { type: string; status: string; reason: string }[] } | undefined)
        ?.conditions ?? [];
    const was = conditions.find(({ type }) => type === "Ready");
    const is = draft.conditions.find(({ type }) => type === "Ready");
    if (is === undefined || (was?.status === is.status && was.reason === is.reason)) return;
    const name = before.metadata.name;
    const fields = { kind: definition.resource.kind, name, reason: is.reason, message: is.message };
    if (is.status === "True") {
      this.#options.log.info("ready", fields);
      this.#event(before, "Normal", is.reason, is.message);
    } else if (
      was?.status === "True" ||
      draft.conditions.some(({ type, status }) => type === "Stalled" && status === "True")
    ) {
      this.#options.log.warn("not ready", fields);
      this.#event(before, "Warning", is.reason, is.message);
    } else this.#options.log.info("not ready yet", fields);
  }

  async #look(
    backend: ExternalBackend,
    parent: Parent,
    children: readonly ExternalChild[],
    signal: AbortSignal,
  ): Promise<void> {
    for (const child of children) {
      for (const secret of Object.values(child.secrets ?? {})) this.#options.redactor.learn(secret);
    }
    const state = await backend.observe(parent, children, this.store.snapshot(), signal);
    if (signal.aborted) return;
    const message = state.message === undefined
      ? {}
      : { message: this.#options.redactor.clean(state.message) };
    if (this.store.setExternal(parent.metadata.uid, { ...state, ...message })) {
      this.#tell(parent.metadata.uid);
    }
  }

  async #convergeExternals(
    definition: Definition,
    backend: ExternalBackend,
    parent: Parent,
    children: readonly ExternalChild[],
    signal: AbortSignal,
  ): Promise<PassResult> {
    await this.#look(backend, parent, children, signal);
    const planned = this.#planOne(definition, parent.metadata.uid);
    if (planned === undefined || signal.aborted) return { writes: 0, again: false, settled: false };
    const observed = this.store.snapshot().external(parent.metadata.uid).phase === "observed";
    if (!observed) return { writes: 0, again: false, settled: false };
    if (planned.external.length > 0) {
      const writes = await this.#writeExternals(definition, backend, planned, signal);
      if (writes > 0) await this.#look(backend, parent, children, signal);
      return { writes, again: writes > 0, settled: false };
    }
    const external = planned.desired.children.filter((child) => child.type === "external");
    const blocked = external.some((child) => this.failures.of(parent).has(`${child.kind} ${child.name}`));
    if (!blocked) await this.#confirm(definition, parent, external, signal);
    return { writes: 0, again: false, settled: !blocked };
  }

  async #writeExternals(
    definition: Definition,
    backend: ExternalBackend,
    planned: ParentPlan,
    signal: AbortSignal,
  ): Promise<number> {
    const { clock, log, mayWrite, metrics } = this.#options;
    const { parent } = planned;
    if (!mayWrite() || this.#stopped()) return 0;
    const inventory = readInventory(this.store.snapshot(), definition);
    // The Kubernetes lane makes the inventory first.
    if (definition.inventoryName !== undefined && (inventory?.id ?? "") === "") return 0;
    if (inventory !== undefined) {
      const intents = withIntents(inventory, parent, planned.external);
      if (!await this.#writeInventory(definition, intents, signal, clock.uuid())) return 0;
    }
    let writes = 0;
    for (const write of planned.external) {
      if (!mayWrite() || signal.aborted) break;
      const target = describeTarget(write);
      const kind = write.child.kind;
      const drift = this.#isDrift(write, planned);
      try {
        await backend.write(parent, write, this.store.snapshot(), signal);
        writes += 1;
        metrics.wrote({ world: "external", verb: write.verb, kind, result: "ok" });
        if (drift) metrics.driftRepaired(kind);
        this.failures.clear(parent.metadata.uid, target);
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
      }
    }
    return writes;
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
    if (entries !== undefined) await this.#writeInventory(definition, entries, signal);
  }

  async #writeInventory(
    definition: Definition,
    entries: readonly InventoryEntry[],
    signal: AbortSignal,
    batch?: string,
  ): Promise<boolean> {
    const { client, identity, log, metrics } = this.#options;
    const name = definition.inventoryName ?? "";
    const configMap = this.store.snapshot().get(ConfigMap, name);
    if (configMap === undefined) return false;
    try {
      const stored = await client.replace(ConfigMap, withEntries(configMap, entries, batch), {
        fieldManager: identity.fieldManager,
        signal,
      });
      metrics.wrote({ world: "kubernetes", verb: "update", kind: "ConfigMap", result: "ok" });
      this.store.observe(ConfigMap, stored);
      return true;
    } catch (error) {
      if (isStatus(error, 409) || isStatus(error, 404)) await this.#refresh(ConfigMap, name, signal);
      else {log.warn("inventory not written: nothing is written to the external system", {
          message: errorText(error),
        });}
      return false;
    }
  }

  /** Whether writing is pointless for a while, since the namespace is going away. */
  #stopped(): boolean {
    return this.#options.clock.monotonic() < this.#terminatingUntil;
  }

  #isDrift(write: Write, planned: ParentPlan): boolean {
    const wanted = wantedOf(planned).get(describeTarget(write));
    return wanted !== undefined &&
      this.#settled.get(planned.parent.metadata.uid)?.get(describeTarget(write)) === wanted;
  }

  #noteSettled(planned: ParentPlan): void {
    const open = new Set([...planned.waves.flat(), ...planned.external].map(describeTarget));
    const settled = this.#settled.get(planned.parent.metadata.uid) ?? new Map<string, string>();
    this.#settled.set(planned.parent.metadata.uid, settled);
    for (const [target, wanted] of wantedOf(planned)) if (!open.has(target)) settled.set(target, wanted);
  }

  #report(definition: Definition, planned: ParentPlan, done: readonly KubernetesWrite[]): void {
    if (done.length === 0) return;
    const names = (writes: readonly KubernetesWrite[]) => writes.map(describeTarget).join(", ");
    const changes = (writes: readonly KubernetesWrite[]) =>
      writes.map((write) => `${describeTarget(write)} (${write.paths.slice(0, 3).join(", ")})`).join(", ");
    const drift = done.filter((write) => this.#isDrift(write, planned));
    const rest = done.filter((write) => !drift.includes(write));
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
        log.debug("listed", what);
        break;
      case "absent":
        log.warn("not served by the API server", {
          ...what,
          remedy: `install the CRD ${resource.plural}.${resource.group}`,
        });
        break;
      case "failed":
        log.warn("cannot be listed", { ...what, message: state.message });
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
    for (const uid of [...this.#settled.keys()]) if (!uids.has(uid)) this.#settled.delete(uid);
  }
}

function generates(write: KubernetesWrite): boolean {
  return "generate" in write && write.generate !== undefined;
}

function wantedOf(planned: ParentPlan): ReadonlyMap<string, string> {
  return new Map(
    planned.desired.children.map((child) =>
      child.type === "external"
        ? [`${child.kind} ${child.name}`, JSON.stringify(child.fields)]
        : [`${child.resource.kind} ${child.object.metadata.name}`, JSON.stringify(child.object)]
    ),
  );
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
    sameJson(object.metadata.annotations ?? {}, previous.metadata.annotations ?? {}) &&
    sameJson((object as Parent).status ?? {}, (previous as Parent).status ?? {});
}

/** Whether two JSON values are equal, whatever the order of their keys. */
function sameJson(a: unknown, b: unknown): boolean {
  const exact: MergeRules = () => ({ type: "atomic" });
  return compare(a, b, exact).paths.length === 0 && compare(b, a, exact).paths.length === 0;
}
