/**
 * Events (core/v1) that tell a person what changed or went wrong.
 *
 * Guarantees: never delays or fails its caller; the same news about the same object is written once an hour, with the
 * number of times it came up meanwhile; where the Role does not allow Events, that is said once and the rest goes on.
 */

import type { Clock } from "../clock.ts";
import type { KubernetesClient } from "../kubernetes/client.ts";
import { isStatus } from "../kubernetes/errors.ts";
import { Event } from "../kubernetes/generated/core_v1.ts";
import { apiVersionOf, type Resource } from "../kubernetes/resource.ts";
import { timestamp } from "./conditions.ts";
import type { Parent } from "./definition.ts";

/** Milliseconds for which a repetition is only counted. */
const quietMs = 3_600_000;
/** More news than this at once is dropped rather than kept in memory. */
const longestQueue = 200;
/** What the API server accepts. */
const longestMessage = 1_024;

export interface EventRecorderOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  /** Shown as the source, e.g. `iofog-operator`. */
  readonly component: string;
  /** Takes secrets out of a message. */
  readonly clean: (text: string) => string;
  /** Told once when Events cannot be written. */
  readonly onForbidden: () => void;
}

interface Known {
  readonly name: string;
  readonly firstTimestamp: string;
  count: number;
  writtenAt: number;
}

/** Writes Events one after another, in the background. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #known = new Map<string, Known>();
  #queue: (() => Promise<void>)[] = [];
  #running: Promise<void> | undefined;
  #forbidden = false;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Records news about `parent`. */
  record(
    resource: Resource,
    parent: Parent,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
  ): void {
    if (this.#forbidden || this.#queue.length >= longestQueue) return;
    const text = this.#options.clean(message).slice(0, longestMessage);
    const key = `${parent.metadata.uid} ${type} ${reason} ${text}`;
    const now = this.#options.clock.now();
    const known = this.#known.get(key);
    if (known !== undefined) {
      known.count += 1;
      if (now - known.writtenAt < quietMs) return;
      known.writtenAt = now;
      this.#enqueue(() => this.#repeat(key, parent, known));
      return;
    }
    this.#forgetOld(now);
    const name = `${parent.metadata.name.slice(0, 200)}.${this.#options.clock.uuid().slice(0, 13)}`;
    const first: Known = { name, firstTimestamp: timestamp(now), count: 1, writtenAt: now };
    this.#known.set(key, first);
    this.#enqueue(() => this.#create(resource, parent, type, reason, text, first));
  }

  /** Resolves when everything recorded so far is written or given up. */
  async flush(): Promise<void> {
    await this.#running;
  }

  #enqueue(task: () => Promise<void>): void {
    this.#queue.push(task);
    this.#running ??= this.#drain();
  }

  async #drain(): Promise<void> {
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      try {
        await task();
      } catch (error) {
        if (isStatus(error, 403) && !error.hasCause("NamespaceTerminating")) {
          this.#forbidden = true;
          this.#queue = [];
          this.#options.onForbidden();
        }
        // An Event that is lost is news lost, not state: the condition says the same.
      }
    }
    this.#running = undefined;
  }

  async #create(
    resource: Resource,
    parent: Parent,
    type: string,
    reason: string,
    message: string,
    known: Known,
  ): Promise<void> {
    const { client, component } = this.#options;
    await client.create(Event, {
      metadata: { name: known.name, namespace: parent.metadata.namespace },
      involvedObject: {
        apiVersion: apiVersionOf(resource),
        kind: resource.kind,
        namespace: parent.metadata.namespace,
        name: parent.metadata.name,
        uid: parent.metadata.uid,
        resourceVersion: parent.metadata.resourceVersion,
      },
      type,
      reason,
      message,
      source: { component },
      reportingComponent: component,
      firstTimestamp: known.firstTimestamp,
      lastTimestamp: known.firstTimestamp,
      count: known.count,
    });
  }

  async #repeat(key: string, parent: Parent, known: Known): Promise<void> {
    const { client, clock } = this.#options;
    const patch = { count: known.count, lastTimestamp: timestamp(clock.now()) };
    try {
      await client.patch(Event, { namespace: parent.metadata.namespace, name: known.name }, {
        type: "merge",
        patch,
      });
    } catch (error) {
      // The API server forgets Events after an hour: the next occurrence is news again.
      if (isStatus(error, 404)) this.#known.delete(key);
      else throw error;
    }
  }

  #forgetOld(now: number): void {
    if (this.#known.size < 1_000) return;
    for (const [key, known] of this.#known) if (now - known.writtenAt > quietMs) this.#known.delete(key);
  }
}
