/** An engine without Leases for tests, and one for Widgets on an API server in memory with all that it says. */

import type { Clock } from "../src/clock.ts";
import { KubernetesClient } from "../src/kubernetes/client.ts";
import { Lease } from "../src/kubernetes/generated/coordination_v1.ts";
import { Event } from "../src/kubernetes/generated/core_v1.ts";
import { intercept, type RequestHook } from "../src/kubernetes/intercept.ts";
import type {
  Child,
  Definition,
  DesiredContext,
  ExternalChild,
  ExternalObject,
  Parent,
} from "../src/operator/definition.ts";
import { Engine, type Managed } from "../src/operator/engine.ts";
import { EventRecorder } from "../src/operator/events.ts";
import { type ExternalBackend, ExternalError } from "../src/operator/external.ts";
import { childKinds, definitionOf, identity, observed, Widget, widget } from "../src/operator/fixtures.ts";
import type { Identity } from "../src/operator/ownership.ts";
import type { ExternalWrite } from "../src/operator/write.ts";
import { createLogger } from "../src/telemetry/log.ts";
import { createMetrics, type Metrics } from "../src/telemetry/metrics.ts";
import { createRedactor } from "../src/telemetry/redaction.ts";
import { MemoryApi } from "./memory_transport.ts";
import { VirtualClock } from "./virtual_clock.ts";

/** An external system that a test can look into and break. */
export class FakeBackend implements ExternalBackend {
  /** What was asked of it, in order: `look`, `create Thing a`, ... */
  readonly asked: string[] = [];
  readonly objects = new Map<string, ExternalObject>();
  /** Called before each answer; may throw or wait. */
  before: (what: string) => unknown = () => {};
  reachable = true;
  unread: readonly string[] = [];
  /** What of it nobody may read elsewhere. */
  secrets: readonly string[] = [];
  /** The id that is planted in it. */
  marker: string | undefined = undefined;
  #made = 0;

  async observe(
    _parent: Parent,
    children: readonly ExternalChild[],
  ): ReturnType<ExternalBackend["observe"]> {
    this.asked.push("look");
    await this.before("look");
    if (!this.reachable) {
      return { phase: "unreachable", reason: "Down", message: "no answer", objects: [], facts: {} };
    }
    const asked = [...this.objects.values()]
      .filter(({ kind, name }) => children.some((child) => child.kind === kind && child.name === name));
    return observed(structuredClone(asked), {
      unread: this.unread,
      secrets: this.secrets,
      marker: this.marker,
    });
  }

  find(wanted: readonly { readonly kind: string; readonly name: string }[], marker: string) {
    const found = wanted.map(({ kind, name }) => this.objects.get(`${kind} ${name}`))
      .filter((object) => object !== undefined);
    return Promise.resolve(marker === this.marker ? found : undefined);
  }

  async write(_parent: Parent | undefined, { child, verb }: ExternalWrite): Promise<void> {
    const what = `${verb} ${child.kind} ${child.name}`;
    this.asked.push(what);
    await this.before(what);
    const before = this.objects.get(`${child.kind} ${child.name}`);
    if (verb === "delete") return void this.objects.delete(`${child.kind} ${child.name}`);
    this.objects.set(`${child.kind} ${child.name}`, {
      kind: child.kind,
      name: child.name,
      fields: { ...before?.fields, ...child.fields },
      ...(child.singleton ? {} : { id: before?.id ?? `${child.name}-${++this.#made}` }),
    });
  }
}

/** Throws what a backend throws that was refused something. */
export function refuse(reason: string, message: string, retryable = true): never {
  throw new ExternalError(message, { reason, retryable });
}

/** What the harness can be told. */
export interface HarnessOptions {
  /** What a Widget is made of. */
  readonly desired?: (context: DesiredContext) => readonly Child[];
  readonly definition?: Partial<Definition>;
  readonly backend?: ExternalBackend;
  /** Other kinds of custom resources beside the Widgets. */
  readonly others?: readonly Definition[];
  /** May break requests. */
  readonly hook?: RequestHook;
  /** Another one, whose time and API server this one shares. */
  readonly beside?: { readonly api: MemoryApi; readonly clock: VirtualClock };
}

/** What `createEngine` is told. */
export interface EngineParts {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly namespace: string;
  readonly managed: readonly Managed[];
  /** @default that of the operator, with nothing to take over */
  readonly identity?: Identity;
  /** @default nobody reads them */
  readonly metrics?: Metrics;
  /** @default always */
  readonly mayWrite?: () => boolean;
  /** Gets each line of the log. @default nobody reads it */
  readonly write?: (line: string) => void;
}

/** An engine with what belongs to it, Leases aside. */
export function createEngine(parts: EngineParts) {
  const { client, clock, managed, mayWrite = () => true, namespace, write = () => {} } = parts;
  const { metrics = createMetrics({ version: "test", clock }) } = parts;
  const { identity = { fieldManager: "iofog-operator", annotationPrefix: "iofog.org", predecessors: [] } } =
    parts;
  const redactor = createRedactor();
  const log = createLogger({ level: "info", format: "text", write, redactor, clock });
  const events = new EventRecorder({
    client,
    clock,
    component: identity.fieldManager,
    clean: redactor.clean,
    onForbidden: () => log.warn("events forbidden"),
  });
  const engine = new Engine({
    client,
    namespace,
    clock,
    identity,
    managed,
    mayWrite,
    log,
    metrics,
    redactor,
    events,
    restrictions: () => events.forbidden ? ["Events cannot be written"] : [],
    resyncMs: 30_000,
  });
  return { engine, events, log, redactor };
}

/** An engine for Widgets on an API server in memory. */
export function harness(options: HarnessOptions = {}) {
  const clock = options.beside?.clock ?? new VirtualClock();
  const { others = [] } = options;
  const kinds = [Widget, ...others.map(({ resource }) => resource), ...childKinds, Event, Lease];
  const api = options.beside?.api ?? new MemoryApi(clock, kinds);
  const lines: string[] = [];
  const counts: string[] = [];
  let mayWrite = () => true;
  const client = new KubernetesClient(
    options.hook === undefined ? api : intercept(api, options.hook),
    clock,
  );
  const definition = definitionOf(options.desired ?? (() => []), options.definition);
  const { engine, events, log, redactor } = createEngine({
    client,
    namespace: "ns",
    clock,
    identity,
    managed: [
      { definition, ...(options.backend && { backend: options.backend }) },
      ...others.map((definition) => ({ definition })),
    ],
    mayWrite: () => mayWrite(),
    metrics: recordingMetrics(counts),
    write: (line) => lines.push(line.replace(/^\S+ /, "")),
  });
  const never = new AbortController().signal;
  return {
    api,
    client,
    clock,
    definition,
    engine,
    log,
    events,
    redactor,
    /** Log lines without their time, since the last call. */
    logged: () => lines.splice(0),
    /** What was counted since the last call, such as `drift ConfigMap`. */
    counted: () => counts.splice(0),
    /** Messages of the Events so far. */
    told: async () => {
      await events.flush();
      return api.all(Event).map(({ message, reason }) => `${reason}: ${message}`);
    },
    setMayWrite: (value: () => boolean) => mayWrite = value,
    /** Somebody makes a Widget. */
    makeWidget: (metadata: Parameters<typeof widget>[0] = {}, spec: unknown = {}) => {
      const { resourceVersion: _, generation: __, ...rest } = widget(metadata, spec).metadata;
      return api.make(Widget, { ...widget({}, spec), metadata: rest } as Parent) as Parent;
    },
    editWidget: (spec: unknown) => api.edit(Widget, "w", (object) => Object.assign(object, { spec })),
    /** The condition `Ready` of the Widget. */
    ready: (name = "w") => {
      const status = (api.get(Widget, name) as Parent | undefined)?.status;
      const { conditions = [] } = (status ?? {}) as { conditions?: { status: string; message: string }[] };
      return conditions.map(({ message, status }) => `${status} ${message}`.trim()).join();
    },
    /** Lists everything and makes one pass; gives the writes that were sent, Events aside. */
    pass: async () => {
      await engine.store.listAll();
      const before = api.writes.length;
      const result = await engine.convergeKubernetes(never);
      return { ...result, sent: sentSince(api, before) };
    },
    /** Makes one pass over the external system. */
    externalPass: async () => {
      await engine.store.listAll();
      return await engine.convergeExternal(never);
    },
  };
}

/** The writes after the first `before`, Events aside, such as `apply configmaps a`. */
export function sentSince(api: MemoryApi, before = 0): readonly string[] {
  return api.writes.slice(before)
    .filter(({ plural }) => plural !== "events" && plural !== "leases")
    .map(({ name, plural, subresource, verb }) =>
      `${verb} ${plural} ${name}${subresource === undefined ? "" : `/${subresource}`}`
    );
}

function recordingMetrics(counts: string[]): Metrics {
  return {
    text: () => Promise.resolve(""),
    contentType: "",
    reconciled: (_, result) => counts.push(`pass ${result}`),
    reconciling: () => {},
    queueDepth: () => {},
    queued: () => {},
    fullPass: () => {},
    apiRequest: () => {},
    leader: () => {},
    wrote: ({ kind, result, verb, world }) => counts.push(`${world} ${verb} ${kind} ${result}`),
    driftRepaired: (kind) => counts.push(`drift ${kind}`),
    staleRead: (kind) => counts.push(`stale ${kind}`),
    watchRestarted: (kind, reason) => counts.push(`watch ${kind} ${reason}`),
    observed: ({ name }, { conditions }) => {
      const ready = conditions.find(({ type }) => type === "Ready")?.status;
      counts.push(`${name} ready ${ready === "True"}`);
    },
    forget: ({ name }) => counts.push(`forget ${name}`),
    externalRequest: () => {},
  };
}
