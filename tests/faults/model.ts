/**
 * A model of the whole engine: custom resources and their children on an API server in memory, under a virtual clock,
 * an operator that crashes, is cut off, is told old things and is refused, and somebody who edits and deletes
 * meanwhile. What happens is a list of steps, which is data, so that a list that went wrong can be kept and run again.
 *
 * At every write it is checked what must never happen; when all is well again, that everything is as it should be, and
 * that nothing more is written.
 */

import { ApiError } from "../../src/kubernetes/errors.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { ConfigMap, Event, Secret, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { intercept, type InterceptedRequest, type RequestHook } from "../../src/kubernetes/intercept.ts";
import type { KubeObject, ObjectMeta, Resource } from "../../src/kubernetes/resource.ts";
import type { Child, DesiredContext, GeneratedChild, Parent } from "../../src/operator/definition.ts";
import { applied, configMap, generatedKey, Widget } from "../../src/operator/fixtures.ts";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { LeaseHolder } from "../../src/operator/lease.ts";
import { runLoop } from "../../src/operator/loop.ts";
import { harness } from "../engine_harness.ts";
import { MemoryApi, refusal } from "../memory_transport.ts";
import { VirtualClock } from "../virtual_clock.ts";

/** One thing that happens. */
export type Step =
  | { readonly do: "create" | "edit"; readonly widget: string; readonly maps: readonly string[] }
  | { readonly do: "delete"; readonly widget: string; readonly how: "background" | "foreground" }
  | {
    readonly do: "meddle";
    readonly kind: ChildKind;
    readonly nth: number;
    readonly how: "delete" | "edit" | "strip";
  }
  /** Somebody makes an object that has the name of a child. */
  | { readonly do: "squat"; readonly name: string }
  /** The operator dies before or after its nth write from now; another one begins. */
  | { readonly do: "crash"; readonly when: "before" | "after"; readonly nth: number }
  /** No request arrives. */
  | { readonly do: "partition"; readonly ms: number }
  /** The next list of a kind, and all lists of it for a while, are those of earlier. */
  | { readonly do: "stale"; readonly kind: AnyKind; readonly ms: number }
  /** The next requests of this verb to this kind are refused. */
  | {
    readonly do: "refuse";
    readonly verb: "list" | "apply" | "create" | "update" | "delete" | "watch";
    readonly kind: AnyKind;
    readonly status: number;
    readonly times: number;
  }
  /** The watches of a kind hear nothing of what happens next. */
  | { readonly do: "deafen"; readonly kind: AnyKind }
  | { readonly do: "expire" }
  | { readonly do: "wait"; readonly ms: number };

export const childKinds = { ConfigMap, ServiceAccount, Secret } as const;
export type ChildKind = keyof typeof childKinds;
export type AnyKind = ChildKind | "Widget";
const kinds: Readonly<Record<AnyKind, Resource>> = { ...childKinds, Widget };

/** Milliseconds after which whatever was not heard of has been listed: ten minutes, and what a failed list waits. */
const settledMs = 700_000;
/** Milliseconds between two steps: enough for a pass. */
const betweenMs = 20;
/** Milliseconds that the garbage collector takes for children, then for a parent that waits for them. */
const collectMs = 500;
/** Milliseconds in which nothing more may be written. */
const restMs = 700_000;

/** What a Widget is made of. */
function desiredOf({ metadata: { name }, spec }: Parent): readonly Child[] {
  const { maps = [] } = spec as { readonly maps?: readonly string[] };
  const key = generatedKey();
  return [
    ...maps.map((map) => configMap(`${name}-${map}`, { value: map })),
    applied(ServiceAccount, name, {}),
    {
      ...key,
      object: { ...key.object, metadata: { ...key.object.metadata, name: `${name}-key` } },
      generate: () => Promise.resolve({ "tls.key": btoa(crypto.randomUUID()) }),
    } as GeneratedChild,
  ];
}

/** Runs `steps`; gives what went wrong, nothing when all went well. */
export async function tryStepsOn(steps: readonly Step[]): Promise<readonly string[]> {
  const model = new Model();
  for (const step of steps) await model.take(step);
  return await model.end();
}

class Model {
  readonly #violations: string[] = [];
  readonly #clock = new VirtualClock();
  readonly #api: MemoryApi;
  /** How to break the next requests; the first that answers counts. */
  #faults: ((request: InterceptedRequest) => "refused" | undefined)[] = [];
  #operator: Operator;
  #partitionedUntil = 0;
  /** Kinds whose lists are old, until when, and what they say. */
  readonly #stale = new Map<AnyKind, { readonly until: number; readonly answer: unknown }>();
  /** The lists that were answered last. */
  readonly #lists = new Map<AnyKind, unknown>();
  /** Since when a running operator may not know a Widget as it is. */
  #misledUntil = 0;
  readonly #squatted = new Set<string>();
  /** Contents that must stay, by uid. */
  readonly #keys = new Map<string, string>();
  readonly #generations = new Map<string, number>();
  /** When the garbage collector noticed that an owner is gone or going. */
  readonly #doomed = new Map<string, number>();

  constructor() {
    this.#api = new MemoryApi(this.#clock, [Widget, ...Object.values(childKinds), Event, Lease]);
    this.#operator = this.#begin();
  }

  async take(step: Step): Promise<void> {
    const api = this.#api;
    switch (step.do) {
      case "create":
        if (api.get(Widget, step.widget) === undefined) {
          api.make(Widget, {
            metadata: { name: step.widget, namespace: "ns", uid: this.#clock.uuid() },
            spec: { maps: step.maps },
          } as Parent);
        }
        break;
      case "edit":
        if (api.get(Widget, step.widget) !== undefined) {
          api.edit(Widget, step.widget, (object) => Object.assign(object, { spec: { maps: step.maps } }));
        }
        break;
      case "delete":
        this.#delete(step.widget, step.how);
        break;
      case "meddle":
        this.#meddle(childKinds[step.kind], step.nth, step.how);
        break;
      case "squat":
        if (api.get(ConfigMap, step.name) === undefined) {
          api.make(ConfigMap, { metadata: { name: step.name, namespace: "ns" }, data: { of: "somebody" } });
          this.#squatted.add(step.name);
        }
        break;
      case "crash": {
        let left = step.nth;
        this.#operator.dies = () => --left === 0 ? step.when : undefined;
        break;
      }
      case "partition":
        this.#partitionedUntil = this.#clock.monotonic() + step.ms;
        this.#mislead(step.ms);
        api.closeWatches();
        break;
      case "stale": {
        const answer = this.#lists.get(step.kind);
        if (answer === undefined) break;
        this.#stale.set(step.kind, { answer, until: this.#clock.monotonic() + step.ms });
        this.#mislead(step.ms);
        api.closeWatches();
        break;
      }
      case "refuse": {
        let left = step.times;
        const resource = kinds[step.kind];
        this.#faults.push(({ options, plural, verb }) => {
          if (left === 0 || verb !== step.verb || plural !== resource.plural) return undefined;
          left--;
          throw refusal(options, step.status, "Played", step.status === 429 ? { retryAfterSeconds: 1 } : {});
        });
        if (step.verb !== "list" && step.verb !== "watch") break;
        // So that there is one.
        api.compact();
        api.closeWatches();
        this.#mislead(60_000);
        break;
      }
      case "deafen":
        this.#operator.deaf.add(kinds[step.kind].plural);
        api.closeWatches();
        this.#mislead(0);
        break;
      case "expire":
        api.compact();
        api.closeWatches();
        break;
      case "wait":
        await this.#advance(step.ms);
    }
    await this.#advance(betweenMs);
  }

  /** Heals everything, and looks what it came to. */
  async end(): Promise<readonly string[]> {
    this.#faults = [];
    this.#stale.clear();
    this.#partitionedUntil = 0;
    this.#operator.dies = () => undefined;
    await this.#advance(settledMs);
    // What somebody else holds is given free at last.
    for (const name of this.#squatted) {
      if (this.#api.get(ConfigMap, name)?.data?.["of"] !== "somebody") {
        this.#wrong(`${name} was taken from somebody`);
      } else this.#api.remove(ConfigMap, name);
    }
    await this.#advance(settledMs);
    this.#compare();
    const before = this.#api.writes.length;
    await this.#advance(restMs);
    const more = this.#api.writes.slice(before).filter(({ plural }) =>
      !["leases", "events"].includes(plural)
    );
    for (const { name, plural, verb } of more) this.#wrong(`at rest: ${verb} ${plural}/${name}`);
    await this.#operator.stop();
    if (this.#clock.sleepers > 0 || this.#api.watching > 0) {
      this.#wrong(`${this.#clock.sleepers} timers and ${this.#api.watching} watches are left`);
    }
    return this.#violations;
  }

  #wrong(text: string): void {
    if (!this.#violations.includes(text)) this.#violations.push(text);
  }

  /** For so long, and until the next list of Widgets after it, an operator may know an earlier state of them. */
  #mislead(ms: number): void {
    this.#misledUntil = Math.max(this.#misledUntil, this.#clock.monotonic() + ms + 70_000);
  }

  async #advance(ms: number): Promise<void> {
    for (let left = ms; left > 0;) {
      // Most of a long time at once: there is little that the garbage collector might do then.
      const next = left > 10_000 ? left - 10_000 : Math.min(left, collectMs);
      await this.#clock.advance(next);
      left -= next;
      this.#collect();
      if (!this.#operator.dead) continue;
      await this.#operator.stop();
      this.#operator = this.#begin();
      await this.#clock.advance(100);
    }
  }

  #begin(): Operator {
    return new Operator(this.#api, this.#clock, (request, proceed) => this.#pass(request, proceed));
  }

  /** What stands between an operator and the API server. */
  async #pass(request: InterceptedRequest, proceed: () => Promise<unknown>): Promise<unknown> {
    const kind = (Object.keys(kinds) as AnyKind[]).find((each) => kinds[each].plural === request.plural);
    const isList = request.verb === "list" && !request.options.querystring?.has("fieldSelector");
    if (isList && kind !== undefined) this.#operator.unlisted.add(kind);
    if (this.#clock.monotonic() < this.#partitionedUntil) {
      throw new ApiError("partition", { status: 0, reason: "Unreachable" });
    }
    for (const fault of this.#faults) fault(request);
    if (kind === undefined) return await proceed();
    if (isList) {
      const stale = this.#stale.get(kind);
      if (stale !== undefined && this.#clock.monotonic() < stale.until && this.#operator.age > 0) {
        this.#operator.unlisted.delete(kind);
        return structuredClone(stale.answer);
      }
      const answer = await proceed();
      this.#operator.age++;
      this.#operator.unlisted.delete(kind);
      this.#lists.set(kind, structuredClone(answer));
      return answer;
    }
    if (["get", "watch"].includes(request.verb)) return await proceed();
    const before = this.#api.get(kinds[kind], request.name ?? "");
    const answer = await proceed();
    this.#judge(kind, request, before);
    return answer;
  }

  /** A write was carried out: was it right? */
  #judge(
    kind: AnyKind,
    { name = "", options, verb }: InterceptedRequest,
    before: KubeObject | undefined,
  ): void {
    const what = `${verb} ${kind} ${name}`;
    const { metadata, preconditions } = options.bodyJson as {
      readonly metadata?: ObjectMeta;
      readonly preconditions?: ObjectMeta;
    };
    const version = (preconditions ?? metadata)?.resourceVersion;
    if (before !== undefined && verb !== "patch" && version !== before.metadata?.resourceVersion) {
      this.#wrong(`${what}: of version ${version}, and not of that which was there`);
    }
    if (kind === "Widget") {
      const { metadata: { uid = "" } = {}, status } = (this.#api.get(Widget, name) ?? {}) as Partial<Parent>;
      const generation = (status as { observedGeneration?: number } | undefined)?.observedGeneration ?? 0;
      if (generation < (this.#generations.get(uid) ?? 0)) {
        this.#wrong(`${what}: observedGeneration goes back`);
      }
      this.#generations.set(uid, generation);
      return;
    }
    if (before !== undefined && this.#squatted.has(name)) this.#wrong(`${what}: it is somebody else's`);
    const owner = this.#ownerOf(name);
    const misled = this.#clock.monotonic() < this.#misledUntil;
    if (owner?.metadata.deletionTimestamp !== undefined && !misled) {
      this.#wrong(`${what}: ${owner.metadata.name} is being deleted`);
    }
    const wanted = owner !== undefined && isDesired(kind, name, owner);
    if (verb === "delete" && wanted && !misled) this.#wrong(`${what}: ${owner.metadata.name} wants it`);
    if (verb === "delete" && this.#operator.unlisted.has(kind)) this.#wrong(`${what}: the list failed`);
    if (verb === "delete" && kind === "Secret") this.#wrong(`${what}: a key is never deleted`);
    if (kind === "Secret") {
      const { metadata, data } = this.#api.get(Secret, name) ?? {};
      const known = this.#keys.get(metadata?.uid ?? "");
      const content = JSON.stringify(data);
      if (known !== undefined && known !== content) this.#wrong(`${what}: the key is another one`);
      this.#keys.set(metadata?.uid ?? "", content);
    }
  }

  #ownerOf(name: string): Parent | undefined {
    const widgets = this.#api.all(Widget) as Parent[];
    return widgets.find((each) => name === each.metadata.name || name.startsWith(`${each.metadata.name}-`));
  }

  #delete(name: string, how: "background" | "foreground"): void {
    const parent = this.#api.get(Widget, name);
    if (parent === undefined) return;
    if (how === "background") return this.#api.remove(Widget, name);
    this.#api.edit(Widget, name, ({ metadata }) => {
      Object.assign(metadata!, {
        deletionTimestamp: new Date(this.#clock.now()).toISOString(),
        finalizers: ["foregroundDeletion"],
      });
    });
  }

  /** As the garbage collector does, some time later. */
  #collect(): void {
    const now = this.#clock.monotonic();
    const widgets = new Map(this.#api.all(Widget).map((each) => [each.metadata?.uid ?? "", each.metadata]));
    const since = (uid: string) => {
      const deleting = widgets.get(uid)?.deletionTimestamp;
      if (widgets.has(uid) && deleting === undefined) return this.#doomed.delete(uid), -Infinity;
      const at = this.#doomed.get(uid) ?? now;
      this.#doomed.set(uid, at);
      return now - at;
    };
    for (const resource of Object.values(childKinds) as Resource[]) {
      for (const { metadata } of this.#api.all(resource)) {
        const owner = metadata?.ownerReferences?.find(({ kind }) => kind === Widget.kind);
        if (owner !== undefined && since(owner.uid) >= collectMs) {
          this.#api.remove(resource, metadata?.name ?? "");
        }
      }
    }
    for (const [uid, metadata] of widgets) {
      if (since(uid) >= 3 * collectMs) this.#api.remove(Widget, metadata?.name ?? "");
    }
  }

  #meddle(resource: Resource, nth: number, how: "delete" | "edit" | "strip"): void {
    const ours = this.#api.all(resource).filter(({ metadata }) => !this.#squatted.has(metadata?.name ?? ""));
    const name = ours[nth % Math.max(1, ours.length)]?.metadata?.name;
    if (name === undefined) return;
    if (how === "delete") return this.#api.remove(resource, name);
    this.#api.edit(resource, name, (object: KubeObject) => {
      if (how === "strip") delete object.metadata!.ownerReferences;
      else if (resource.kind === "ConfigMap") Object.assign(object, { data: { value: "edited" } });
      else object.metadata!.labels = { edited: "yes" };
    });
  }

  /** Whether everything is as it should be. */
  #compare(): void {
    const widgets = this.#api.all(Widget) as Parent[];
    const wanted = new Set(
      widgets.flatMap((parent) =>
        desiredOf(parent).map((child) =>
          child.type === "external"
            ? ""
            : `${child.resource.kind} ${child.object.metadata.name} ${parent.metadata.uid}`
        )
      ),
    );
    const found = new Set(
      (Object.values(childKinds) as Resource[]).flatMap((resource) =>
        this.#api.all(resource).map(({ metadata }) =>
          `${resource.kind} ${metadata?.name} ${metadata?.ownerReferences?.[0]?.uid}`
        )
      ),
    );
    for (const each of wanted) if (!found.has(each)) this.#wrong(`missing at the end: ${each}`);
    // What lost its owner reference while its owner went is nobody's any more.
    for (const each of found) {
      if (!wanted.has(each) && !each.endsWith(" undefined")) this.#wrong(`left at the end: ${each}`);
    }
    for (const map of this.#api.all(ConfigMap)) {
      if (map.data?.["value"] === "edited" && map.metadata?.ownerReferences !== undefined) {
        this.#wrong(`not repaired: ${map.metadata.name}`);
      }
    }
    for (const { metadata, status } of widgets) {
      const { conditions = [] } = (status ?? {}) as { conditions?: { status: string; message: string }[] };
      if (conditions[0]?.status !== "True") {
        this.#wrong(`${metadata.name} is not ready: ${conditions[0]?.message}`);
      }
    }
  }
}

function isDesired(kind: AnyKind, name: string, parent: Parent): boolean {
  return desiredOf(parent).some((child) =>
    child.type !== "external" && child.resource.kind === kind && child.object.metadata.name === name
  );
}

/** Engine, Lease and loop, as a process. */
class Operator {
  /** How it dies at its next write. */
  dies: () => "before" | "after" | undefined = () => undefined;
  dead = false;
  /** Plurals whose watches are silent. */
  readonly deaf = new Set<string>();
  /** How many lists it got. */
  age = 0;
  /** Kinds whose last list failed, or is under way. */
  readonly unlisted = new Set<AnyKind>();
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  readonly #clock: VirtualClock;

  constructor(api: MemoryApi, clock: VirtualClock, pass: RequestHook) {
    this.#clock = clock;
    const unreachable = () => new ApiError("it is dead", { status: 0, reason: "Unreachable" });
    const hook: RequestHook = async (request, proceed) => {
      if (this.dead) throw unreachable();
      const { options, plural, verb } = request;
      if (verb === "watch" && this.deaf.has(plural)) return silence(options.abortSignal);
      const isWrite = !["get", "list", "watch"].includes(verb) && plural !== "leases" && plural !== "events";
      const death = isWrite ? this.dies() : undefined;
      if (death === "before") {
        this.dead = true;
        throw unreachable();
      }
      const answer = await pass(request, proceed);
      if (death !== "after") return answer;
      this.dead = true;
      throw unreachable();
    };
    const parts = harness({
      desired: ({ parent }: DesiredContext) => desiredOf(parent),
      definition: {
        singleton: false,
        childResources: Object.values(childKinds),
        neverPruned: [],
        secretNames: (parent: Parent) => [`${parent.metadata.name}-key`],
      },
      beside: { api, clock },
      hook,
    });
    const lease = new LeaseHolder({
      client: new KubernetesClient(intercept(api, hook), clock),
      clock,
      namespace: "ns",
      name: "widgets",
      identity: clock.uuid(),
      observer: { acquired: () => {}, lost: () => {}, heldBy: () => {}, forbidden: () => {} },
    });
    parts.setMayWrite(() => !this.#stopping.signal.aborted && lease.held);
    const { engine, log } = parts;
    this.#ended = runLoop(
      { engine, leases: [lease], clock, log, resyncMs: 30_000, onPass: () => {} },
      this.#stopping.signal,
    );
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#clock.until(this.#ended);
  }
}

function silence(signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => signal?.addEventListener("abort", () => controller.error(signal.reason)),
  });
}
