/**
 * The engine: what it is made of, and its public face.
 *
 * There are two kinds of pass, one for each world, over the same plan: `convergeKubernetes` writes Kubernetes objects
 * and the status of the custom resources (`kubernetes_lane.ts`), `convergeExternal` reads and writes the external
 * system (`external_lane.ts`). `loop.ts` calls them in lanes of their own; `once` and `diff` call them directly.
 *
 * Guarantees: a pass never waits for the world to change, only for its own requests. At rest a pass writes nothing.
 */

import { Secret } from "../kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../kubernetes/resource.ts";
import { sameJson } from "./compare.ts";
import type { ExternalWrite, KindState, Parent } from "./definition.ts";
import { ExternalLane } from "./external_lane.ts";
import { Failures } from "./failures.ts";
import { Halt } from "./halt.ts";
import { Heartbeat } from "./heartbeat.ts";
import { KubernetesLane, type Pass } from "./kubernetes_lane.ts";
import {
  childRelistMs,
  type EngineOptions,
  type LaneContext,
  type Managed,
  type PassResult,
} from "./lane.ts";
import type { ParentPlan } from "./plan.ts";
import { Planner } from "./planner.ts";
import { Progress } from "./progress.ts";
import { Reporter } from "./reporter.ts";
import { Secrets } from "./secrets.ts";
import { keyOf, Store, type StoredKind } from "./store.ts";

export type { Pass } from "./kubernetes_lane.ts";
export type { EngineOptions, Managed, PassResult } from "./lane.ts";

/** What changed, for whoever schedules passes. */
export interface EngineObserver {
  /**
   * A custom resource, child, or object outside of the cluster changed; undefined when it is not known whose it is.
   *
   * @param world Outside, news come for many at once.
   */
  changed(parentUid: string | undefined, world: "kubernetes" | "external"): void;
}

/** See the module. */
export class Engine {
  readonly store: Store;
  readonly failures: Failures;
  readonly heartbeat: Heartbeat;
  readonly #options: EngineOptions;
  readonly #observers = new Set<EngineObserver>();
  readonly #context: LaneContext;
  readonly #kubernetes: KubernetesLane;
  readonly #external: ExternalLane;
  /** When what is known of custom resources that are gone is forgotten at the latest. */
  #forgetAt = 0;

  constructor(options: EngineOptions) {
    const { client, clock, identity, managed, metrics, resyncMs } = options;
    const definitions = managed.map(({ definition }) => definition);
    this.#options = options;
    this.failures = new Failures(clock);
    this.heartbeat = new Heartbeat(clock, resyncMs);
    const { failures, heartbeat } = this;
    this.store = new Store({
      client,
      namespace: options.namespace,
      clock,
      kinds: storedKinds(options),
      identity,
      observer: {
        changed: (resource, _name, object, previous) => this.#changed(resource, object, previous),
        kindChanged: (resource, state) => this.#kindChanged(resource, state),
        stale: (resource) => metrics.staleRead(resource.kind),
        watchEnded: (resource, reason) => {
          metrics.watchRestarted(
            resource.kind,
            reason === "Expired" ? "gone" : reason === "Closed" ? "closed" : "error",
          );
          options.log.debug("watch ended", { kind: resource.kind, reason });
        },
      },
    });
    const { store } = this;
    const progress = new Progress(failures);
    this.#context = {
      options,
      store,
      failures,
      heartbeat,
      planner: new Planner({ ...options, definitions, store, failures, progress }),
      progress,
      halt: new Halt(clock, resyncMs),
      reporter: new Reporter({ ...options, definitions, failures }),
      secrets: new Secrets({ ...options, definitions, store, failures }),
      changed: (parentUid) => this.#tell(parentUid, "external"),
    };
    this.#kubernetes = new KubernetesLane(this.#context);
    this.#external = new ExternalLane(this.#context);
  }

  /** The kinds of custom resources. */
  get managed(): readonly Managed[] {
    return this.#options.managed;
  }

  /** Milliseconds for which nothing is written, since the namespace goes away or the server asked for a pause. */
  get pausedMs(): number {
    return this.#context.halt.remainingMs;
  }

  /** Registers whoever wants to know of changes; returns how to stop that. */
  observe(observer: EngineObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** The custom resources that are known, by uid. */
  parentUids(): readonly string[] {
    const snapshot = this.store.snapshot();
    return this.#options.managed.flatMap(({ definition }) =>
      snapshot.list(definition.resource).map(({ metadata }) => metadata?.uid ?? "")
    );
  }

  /** Plans for every custom resource. */
  plan(): readonly ParentPlan[] {
    return this.#options.managed.flatMap(({ definition }) => this.#context.planner.all(definition));
  }

  /** Reads the served schemas of the custom resources, to know which fields would be lost. */
  async learnServedSchemas(signal: AbortSignal): Promise<void> {
    await this.#context.planner.learnServedSchemas(signal);
  }

  /** Compares those that nobody asked about yet; that takes some 100 ms. */
  compareServedSchemas(): void {
    this.#context.planner.compareServedSchemas();
  }

  /** Reads them if others are served than those that were read. */
  async refreshServedSchemas(signal: AbortSignal): Promise<void> {
    await this.#context.planner.refreshServedSchemas(signal);
  }

  /** Asks again whether what was refused is allowed by now, if something was. */
  async refreshPermissions(signal: AbortSignal): Promise<void> {
    if (await this.#context.planner.refreshPermissions(signal)) {
      this.#options.log.info("blockOwnerDeletion is allowed by now: owner references get it");
    }
  }

  /** One pass over Kubernetes: children first, then the status. */
  async convergeKubernetes(signal: AbortSignal, pass: Pass = {}): Promise<PassResult> {
    await this.#context.secrets.read(signal);
    const result = await this.#kubernetes.converge(signal, pass);
    if (this.#options.clock.monotonic() >= this.#forgetAt) this.#forgetGone();
    return result;
  }

  /** Resolves when no write of a pass over Kubernetes is under way. */
  async answered(): Promise<void> {
    await this.#kubernetes.answered();
  }

  /** Gives a sign of life of the passes over Kubernetes, unless a write waits for what never comes. */
  beat(): void {
    this.#kubernetes.beat();
  }

  /** One pass over the external systems: look, write what differs, look again. */
  async convergeExternal(signal: AbortSignal): Promise<PassResult> {
    await this.#context.secrets.read(signal);
    return await this.#external.converge(signal);
  }

  /** Looks at the external systems without writing anything. */
  async observeExternal(signal: AbortSignal): Promise<void> {
    await this.#context.secrets.read(signal);
    await this.#external.observe(signal);
  }

  /** What the next pass would delete in external systems for custom resources that are gone, and what is kept. */
  async surplus(
    signal: AbortSignal,
  ): Promise<{ readonly deletions: readonly ExternalWrite[]; readonly held: readonly string[] }> {
    return await this.#external.surplus(signal);
  }

  #changed(resource: Resource, object: KubeObject | undefined, previous: KubeObject | undefined): void {
    const { halt, reporter, secrets } = this.#context;
    if (object !== undefined) secrets.learn(resource, object);
    for (const { definition } of this.#options.managed) {
      if (keyOf(definition.resource) !== keyOf(resource)) continue;
      if (previous !== undefined && object?.metadata?.uid !== previous.metadata?.uid) this.#forgetAt = 0;
      if (object === undefined && previous?.metadata !== undefined) {
        const { namespace = "", name = "" } = previous.metadata;
        this.#options.metrics.forget({ kind: resource.kind, namespace, name });
      }
      if (previous === undefined && halt.alive()) reporter.over("terminating");
      if (sameInput(object, previous)) return;
      return this.#tell(object?.metadata?.uid);
    }
    // Their owners are no children of ours, but children of those.
    if (this.#isObserved(resource)) return this.#tell(undefined);
    const owner = (object ?? previous)?.metadata?.ownerReferences?.find((reference) =>
      reference.controller === true
    );
    if (owner === undefined && keyOf(resource) === keyOf(Secret)) secrets.changed(object, previous);
    this.#tell(owner?.uid);
  }

  #kindChanged(resource: Resource, state: KindState): void {
    this.#context.reporter.kind(resource, state);
    this.#tell(undefined);
  }

  #isObserved(resource: Resource): boolean {
    return this.#options.managed.some(({ definition }) =>
      definition.observedResources?.some((observed) => keyOf(observed.resource) === keyOf(resource))
    );
  }

  #tell(parentUid: string | undefined, world: "kubernetes" | "external" = "kubernetes"): void {
    for (const observer of this.#observers) observer.changed(parentUid, world);
  }

  /** Goes through all of them: not with each slice of a pass. */
  #forgetGone(): void {
    this.#forgetAt = this.#options.clock.monotonic() + this.#options.resyncMs;
    const uids = new Set(this.parentUids());
    this.failures.keepOnly(uids);
    this.#context.progress.keepOnly(uids);
    this.#kubernetes.keepOnly(uids);
  }
}

function storedKinds({ managed, resyncMs }: EngineOptions): readonly StoredKind[] {
  const kinds = new Map<string, StoredKind>();
  for (const { definition } of managed) {
    kinds.set(keyOf(definition.resource), {
      resource: definition.resource,
      relistMs: resyncMs,
      ...(definition.optionalKind === undefined ? {} : { absentRetryMs: resyncMs }),
    });
    for (const resource of definition.childResources) {
      const metadataOnly = keyOf(resource) === keyOf(Secret);
      const isOptional = definition.optional?.some((each) => keyOf(each) === keyOf(resource)) === true;
      kinds.set(keyOf(resource), {
        resource,
        relistMs: childRelistMs,
        metadataOnly,
        ...(isOptional && { absentRetryMs: resyncMs }),
      });
    }
    for (const { resource, labelSelector } of definition.observedResources ?? []) {
      const other = kinds.get(keyOf(resource))?.labelSelector;
      // One selector cannot say "these or those".
      const selected = other === undefined || other === labelSelector ? { labelSelector } : {};
      kinds.set(keyOf(resource), { resource, relistMs: childRelistMs, ...selected });
    }
  }
  return [...kinds.values()];
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
