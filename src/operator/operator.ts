/**
 * The engine with all that belongs to it: Leases, Events, the loop. Whoever writes an operator starts here.
 */

import type { Clock } from "../clock.ts";
import type { KubernetesClient } from "../kubernetes/client.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Redactor } from "../telemetry/redaction.ts";
import { Engine, type Managed } from "./engine.ts";
import { EventRecorder } from "./events.ts";
import { LeaseHolder } from "./lease.ts";
import { runLoop } from "./loop.ts";

export interface OperatorOptions {
  readonly client: KubernetesClient;
  /** The one namespace that it looks after. */
  readonly namespace: string;
  /** Field manager of what it writes, and source of its Events. */
  readonly component: string;
  /** Prefix of its annotations, e.g. `iofog.org`. */
  readonly annotationPrefix: string;
  /** Field managers of operators that it takes over from. @default none */
  readonly predecessors?: readonly string[];
  /** Names this process in the Leases; must differ between processes. */
  readonly identity: string;
  readonly managed: readonly Managed[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly redactor: Redactor;
  /** Milliseconds between two full looks at the custom resources. */
  readonly resyncMs: number;
  /** Aborted when this process has to stop: nothing new is written then. */
  readonly stopping: AbortSignal;
}

/** Told while an operator runs. */
export interface OperatorObserver {
  /** After each pass over Kubernetes. */
  readonly onPass?: () => void;
}

/** An operator that is put together and does nothing yet. */
export interface Operator {
  readonly engine: Engine;
  /** One for each kind of custom resource; all of them are needed to write. */
  readonly leases: readonly LeaseHolder[];
  readonly events: EventRecorder;
  /** Keeps everything as the custom resources say until `stopping` aborts. */
  run(observer?: OperatorObserver): Promise<void>;
}

/** Puts an operator together; no request is sent yet. */
export function createOperator(options: OperatorOptions): Operator {
  const { client, clock, component, log, managed, metrics, namespace, redactor, resyncMs, stopping } =
    options;
  const leaseNames = new Set(managed.map(({ definition }) => definition.leaseName));
  const leases: LeaseHolder[] = [];
  for (const name of leaseNames) {
    const before = leases.at(-1);
    leases.push(createLease(options, name, () => before?.held !== false));
  }
  const events = new EventRecorder({
    client,
    clock,
    component,
    clean: (text) => redactor.clean(text),
    onForbidden: () =>
      log.warn("events cannot be written: conditions and logs tell the same", {
        remedy: "grant create and patch on events in the operator's Role",
      }),
  });
  const engine = new Engine({
    client,
    namespace,
    clock,
    identity: {
      fieldManager: component,
      annotationPrefix: options.annotationPrefix,
      predecessors: options.predecessors ?? [],
    },
    managed,
    mayWrite: () => !stopping.aborted && leases.every((lease) => lease.held),
    log,
    metrics,
    redactor,
    events,
    restrictions: () => [
      ...(leases.some(({ forbidden }) => forbidden)
        ? ["no Lease keeps a second operator from writing: grant get, create and update on leases"]
        : []),
      ...(events.forbidden ? ["Events cannot be written: grant create and patch on events"] : []),
    ],
    resyncMs,
  });
  const queue = managed[0]?.definition.resource.kind.toLowerCase() ?? component;
  return {
    engine,
    leases,
    events,
    async run({ onPass = () => {} } = {}) {
      await runLoop({
        engine,
        leases,
        clock,
        log,
        resyncMs,
        onPass: () => {
          metrics.fullPass();
          onPass();
        },
        onQueue: (depth) => metrics.queueDepth(queue, depth),
        onQueued: (count) => metrics.queued(queue, count),
      }, stopping);
      await events.flush();
    },
  };
}

function createLease(
  { client, clock, identity, log, metrics, namespace }: OperatorOptions,
  name: string,
  isItsTurn: () => boolean,
): LeaseHolder {
  return new LeaseHolder({
    isItsTurn,
    client,
    clock,
    namespace,
    name,
    identity,
    observer: {
      acquired: (lease) => {
        metrics.leader(lease, true);
        log.info(`successfully acquired lease ${namespace}/${lease}`, { lease });
      },
      lost: (lease) => {
        metrics.leader(lease, false);
        log.warn("lost the lease: nothing is written until it is held again", { lease });
      },
      heldBy: (lease, holder) => log.info("waiting for the lease", { lease, holder }),
      forbidden: (lease) =>
        log.warn("leases cannot be used: running without one", {
          lease,
          remedy: "grant get, create and update on leases in the operator's Role",
        }),
      impossible: (lease, problem) => log.warn("the lease cannot be acquired", { lease, detail: problem }),
    },
  });
}
