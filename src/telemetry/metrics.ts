/**
 * The operator's metrics, with controller-runtime's and client-go's names for what those also have.
 *
 * Guarantees: no label carries free text: what is not a name of the expected form becomes `other`. Nothing is kept in
 * a registry of the process, so that several operators can live in one.
 */

import * as prometheus from "./prometheus.ts";
import type { Clock } from "../clock.ts";

/** How a pass ended; controller-runtime's words. */
export const RECONCILE_RESULTS = ["success", "error", "requeue", "requeue_after"] as const;
export type ReconcileResult = (typeof RECONCILE_RESULTS)[number];

/** Where an object lives. */
export type World = "kubernetes" | "external";

export type WriteVerb = "create" | "apply" | "update" | "patch" | "delete";

/** Why something was written: it was not there, somebody else changed it, something else is wanted, ... */
export type WriteReason = "missing" | "drift" | "change" | "unwanted" | "takeover" | "status" | "inventory";

/** How a write ended. */
export type WriteResult = "ok" | "conflict" | "rejected" | "forbidden" | "error";

/** Why a watch was opened again: history gone (410), closed by the server or silent for too long, or an error. */
export type WatchRestartReason = "gone" | "closed" | "error";

/** A custom resource. */
export interface ObjectName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** What counts and measures. */
export interface Metrics {
  /** The exposition, in the format that `contentType` names. */
  text(): Promise<string>;
  readonly contentType: string;
  /** One pass of a controller begins. */
  reconciling(controller: string): void;
  /** One pass of a controller ended. */
  reconciled(controller: string, result: ReconcileResult, seconds: number): void;
  /** Custom resources that wait for a pass. */
  queueDepth(name: string, depth: number): void;
  /** Custom resources were found to need a pass. */
  queued(name: string, count: number): void;
  /** Every custom resource was looked at. */
  fullPass(): void;
  /** One answer of the API server; `code` 0 when there was none. */
  apiRequest(request: { readonly method: string; readonly host: string; readonly code: number }): void;
  /** Whether this process holds the Lease `name`; of custom resources it tells only while it does. */
  leader(name: string, held: boolean): void;
  /** One write ended. */
  wrote(
    write: {
      readonly world: World;
      readonly verb: WriteVerb;
      readonly kind: string;
      readonly reason: WriteReason;
      readonly result: WriteResult;
    },
  ): void;
  /** A difference that somebody else made was written away. */
  driftRepaired(kind: string): void;
  /** A read was older than our own last write and was not acted on. */
  staleRead(kind: string): void;
  watchRestarted(kind: string, reason: WatchRestartReason): void;
  /** The conditions of a custom resource, and when its certificates end: milliseconds since the epoch, by Secret. */
  observed(
    object: ObjectName,
    state: {
      readonly conditions: readonly { readonly type: string; readonly status: string }[];
      readonly certificates: Readonly<Record<string, number>>;
    },
  ): void;
  /** Drops the series of a custom resource that is gone. */
  forget(object: ObjectName): void;
  /**
   * One answer of the ioFog Controller; `path` is the route with placeholders, e.g. `/api/v3/iofog/{uuid}`, and `code` 0
   * when there was none.
   */
  externalRequest(request: { readonly method: string; readonly path: string; readonly code: number }): void;
}

/** What the metrics are about. */
export interface MetricsOptions {
  readonly version: string;
  readonly clock: Pick<Clock, "monotonic" | "now">;
  /** Resident memory in bytes. @default Deno.memoryUsage().rss */
  readonly residentBytes?: () => number;
}

/** controller-runtime's buckets, in seconds. */
const RECONCILE_BUCKETS = [
  ...[0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
  ...[1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60],
];

/** Metrics that start at zero. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new prometheus.Registry();
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new prometheus.Counter({ name, help, labelNames, registers });
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new prometheus.Gauge({ name, help, labelNames, registers });

  const reconciles = counter(
    "controller_runtime_reconcile_total",
    "Total number of reconciliations per controller",
    ["controller", "result"],
  );
  const reconcileErrors = counter(
    "controller_runtime_reconcile_errors_total",
    "Total number of reconciliation errors per controller",
    ["controller"],
  );
  const reconcileSeconds = new prometheus.Histogram({
    name: "controller_runtime_reconcile_time_seconds",
    help: "Length of time per reconciliation per controller",
    labelNames: ["controller"],
    buckets: RECONCILE_BUCKETS,
    registers,
  });
  const workers = gauge(
    "controller_runtime_active_workers",
    "Number of currently used workers per controller",
    ["controller"],
  );
  const depth = gauge("workqueue_depth", "Current depth of workqueue", ["name"]);
  const adds = counter("workqueue_adds_total", "Total number of adds handled by workqueue", ["name"]);
  let lastFullPass = options.clock.monotonic();
  new prometheus.Gauge({
    name: "iofog_operator_full_pass_age_seconds",
    help: "Seconds since every custom resource was last looked at, or since the process started",
    registers,
    collect() {
      this.set((options.clock.monotonic() - lastFullPass) / 1000);
    },
  });
  const apiRequests = counter(
    "rest_client_requests_total",
    "Number of HTTP requests, partitioned by status code, method, and host.",
    ["code", "method", "host"],
  );
  const leaders = gauge(
    "leader_election_master_status",
    "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
    ["name"],
  );
  const writes = counter(
    "iofog_operator_writes_total",
    "Writes to the Kubernetes API and to the ioFog Controller",
    ["world", "verb", "kind", "reason", "result"],
  );
  const repairs = counter(
    "iofog_operator_drift_repairs_total",
    "Differences that somebody else made and the operator wrote away",
    ["kind"],
  );
  const staleReads = counter(
    "iofog_operator_stale_reads_total",
    "Reads that were older than the operator's own last write, and were not acted on",
    ["kind"],
  );
  const watchRestarts = counter(
    "iofog_operator_watch_restarts_total",
    "Watches that were opened again",
    ["kind", "reason"],
  );
  const conditions = gauge(
    "iofog_operator_condition",
    "Conditions of the custom resources: 1 True, 0 False, -1 Unknown",
    ["kind", "namespace", "name", "type"],
  );
  const certificates = gauge(
    "iofog_operator_certificate_expiry_timestamp_seconds",
    "When the certificate in a Secret ends, in seconds since the epoch",
    ["kind", "namespace", "name", "secret"],
  );
  const labelsOf = ({ kind, namespace, name }: ObjectName) => ({
    kind: kindLabel(kind),
    namespace: nameLabel(namespace),
    name: nameLabel(name),
  });
  /** Which series there are of each custom resource, so that they can go. */
  const shown = new Map<string, { types: readonly string[]; secrets: readonly string[] }>();
  const show = (object: ObjectName, state: Parameters<Metrics["observed"]>[1]) => {
    const labels = labelsOf(object);
    const key = JSON.stringify(labels);
    const before = shown.get(key);
    const values = state.conditions.map(({ type, status }) => [conditionLabel(type), status] as const);
    const ends = Object.entries(state.certificates).map(([secret, end]) => [nameLabel(secret), end] as const);
    const next = { types: values.map(([type]) => type), secrets: ends.map(([secret]) => secret) };
    for (const type of before?.types ?? []) {
      if (!next.types.includes(type)) conditions.remove({ ...labels, type });
    }
    for (const secret of before?.secrets ?? []) {
      if (!next.secrets.includes(secret)) certificates.remove({ ...labels, secret });
    }
    for (const [type, status] of values) {
      conditions.set({ ...labels, type }, status === "True" ? 1 : status === "False" ? 0 : -1);
    }
    for (const [secret, end] of ends) certificates.set({ ...labels, secret }, end / 1000);
    if (next.types.length + next.secrets.length === 0) shown.delete(key);
    else shown.set(key, next);
  };
  const externalRequests = counter(
    "iofog_operator_controller_requests_total",
    "HTTP requests to the ioFog Controller",
    ["method", "path", "code"],
  );
  gauge("iofog_operator_build_info", "Always 1; the label tells the version", ["version"])
    .set({ version: labelOf(options.version, /^[\w.+-]{1,64}$/) }, 1);
  const residentBytes = options.residentBytes ?? (() => Deno.memoryUsage().rss);
  new prometheus.Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory size in bytes.",
    registers,
    collect() {
      this.set(residentBytes());
    },
  });
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", [])
    .set(options.clock.now() / 1000);

  const seen = new Set<string>();
  /** All series of a controller exist from its first mention: a rate over a series that appears late misses its start. */
  const controllerOf = (name: string) => {
    const controller = nameLabel(name);
    if (!seen.has(controller)) {
      seen.add(controller);
      for (const result of RECONCILE_RESULTS) reconciles.inc({ controller, result }, 0);
      reconcileErrors.inc({ controller }, 0);
    }
    return controller;
  };

  return {
    text: () => registry.metrics(),
    contentType: registry.contentType,
    reconciling: (name) => workers.inc({ controller: controllerOf(name) }),
    reconciled(name, result, seconds) {
      const controller = controllerOf(name);
      workers.dec({ controller });
      reconciles.inc({ controller, result });
      if (result === "error") reconcileErrors.inc({ controller });
      reconcileSeconds.observe({ controller }, seconds);
    },
    queueDepth: (name, value) => depth.set({ name: nameLabel(name) }, value),
    queued: (name, count) => adds.inc({ name: nameLabel(name) }, count),
    fullPass() {
      lastFullPass = options.clock.monotonic();
    },
    apiRequest: ({ method, host, code }) =>
      apiRequests.inc({ code: codeLabel(code), method: methodLabel(method), host: hostLabel(host) }),
    leader(name, held) {
      leaders.set({ name: nameLabel(name) }, held ? 1 : 0);
      if (held) return;
      // Whoever holds it now tells of them; what was known here would stand for ever.
      conditions.reset();
      certificates.reset();
      shown.clear();
    },
    wrote: ({ world, verb, kind, reason, result }) =>
      writes.inc({ world, verb, kind: kindLabel(kind), reason, result }),
    driftRepaired: (kind) => repairs.inc({ kind: kindLabel(kind) }),
    staleRead: (kind) => staleReads.inc({ kind: kindLabel(kind) }),
    watchRestarted: (kind, reason) => watchRestarts.inc({ kind: kindLabel(kind), reason }),
    observed: show,
    forget: (object) => show(object, { conditions: [], certificates: {} }),
    externalRequest: ({ method, path, code }) =>
      externalRequests.inc({
        method: methodLabel(method),
        path: routeLabel(path),
        code: codeLabel(code),
      }),
  };
}

function labelOf(value: string, pattern: RegExp): string {
  return pattern.test(value) ? value : "other";
}

/** A Kubernetes object's or a controller's name. */
function nameLabel(name: string): string {
  return labelOf(name, /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/);
}

function kindLabel(kind: string): string {
  return labelOf(kind, /^[A-Z][A-Za-z0-9]{0,62}$/);
}

/** A condition's type: those of the CLIs are in lower case. */
function conditionLabel(type: string): string {
  return labelOf(type, /^[A-Za-z][A-Za-z0-9]{0,62}$/);
}

function methodLabel(method: string): string {
  return labelOf(method, /^[A-Z]{3,7}$/);
}

function hostLabel(host: string): string {
  return labelOf(host, /^([a-zA-Z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:[0-9]{1,5})?$/);
}

/** A route: short plain words and placeholders, no identifier. */
function routeLabel(path: string): string {
  return labelOf(path, /^(\/([a-z][a-zA-Z0-9-]{0,30}|\{[a-zA-Z]{1,30}\})){1,10}$/);
}

/** client-go's word for a request without an answer. */
function codeLabel(code: number): string {
  return Number.isInteger(code) && code >= 100 && code <= 599 ? String(code) : "<error>";
}
