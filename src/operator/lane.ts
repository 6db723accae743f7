/**
 * What the lanes of the engine work with: what they are given, what they share, and what comes of a pass.
 */

import type { Clock } from "../clock.ts";
import type { KubernetesClient } from "../kubernetes/client.ts";
import type { Resource } from "../kubernetes/resource.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Redactor } from "../telemetry/redaction.ts";
import type { Definition, Parent } from "./definition.ts";
import type { EventRecorder } from "./events.ts";
import type { ExternalBackend } from "./external.ts";
import type { Failures } from "./failures.ts";
import type { Halt } from "./halt.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { type Identity, isPaused } from "./ownership.ts";
import type { Planner } from "./planner.ts";
import type { Progress } from "./progress.ts";
import type { Reporter } from "./reporter.ts";
import type { Secrets } from "./secrets.ts";
import type { Store } from "./store.ts";

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
  /** What the operator's Role does not allow outside of the engine, such as Leases; see `StatusContext`. */
  readonly restrictions: () => readonly string[];
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

/** What both lanes share. */
export interface LaneContext {
  readonly options: EngineOptions;
  readonly store: Store;
  readonly planner: Planner;
  readonly failures: Failures;
  readonly heartbeat: Heartbeat;
  readonly progress: Progress;
  readonly halt: Halt;
  readonly reporter: Reporter;
  readonly secrets: Secrets;
  /** Tells whoever schedules passes that something changed outside of the cluster for this custom resource. */
  readonly changed: (parentUid: string) => void;
}

/** Reads one object again; if that fails, the next list or event tells. */
export async function refresh(
  { options, store }: LaneContext,
  resource: Resource,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await store.refresh(resource, name, signal);
  } catch (error) {
    options.log.debug("could not read again", { kind: resource.kind, name, error });
  }
}

/** Whether this process may write, and nobody has paused or deleted this custom resource since the plan was made. */
export function mayWriteFor(
  { options, store }: LaneContext,
  { apiVersion = "", kind, metadata }: Parent,
): boolean {
  const { identity, managed, mayWrite } = options;
  const [group] = apiVersion.split("/");
  const resource = managed.map(({ definition }) => definition.resource)
    .find((each) => each.kind === kind && each.group === group);
  const live = resource && store.snapshot().get(resource, metadata.name);
  return mayWrite() && live?.metadata?.uid === metadata.uid &&
    live.metadata.deletionTimestamp === undefined &&
    !isPaused(live, identity);
}

/** Milliseconds between two full lists of a kind of child, and between two attempts at what a Role forbids. */
export const childRelistMs = 600_000;
/** How often a pass that met conflicts is repeated at once. */
export const conflictRetries = 3;
