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

/** Milliseconds for which a repetition is only counted, and after which forbidden Events are tried again. */
const quietMs = 3_600_000;
/** More news than this at once is dropped rather than kept in memory. */
const longestQueue = 200;
/** More different news than this are not remembered. */
const mostKnown = 1_000;
/** Milliseconds that what is still to be written has at the end of the process. */
const flushMs = 2_000;
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

interface News {
  readonly resource: Resource;
  readonly parent: Parent;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  readonly firstTimestamp: string;
  /** Name of the Event that was written last; undefined when there is none. */
  name: string | undefined;
  count: number;
  writtenAt: number;
}

/** Writes Events one after another, in the background. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #known = new Map<string, News>();
  #queue: (() => Promise<void>)[] = [];
  #running: Promise<void> | undefined;
  #forbiddenUntil: number | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Whether the Role does not allow Events. */
  get forbidden(): boolean {
    return this.#forbiddenUntil !== undefined;
  }

  /** Records news about `parent`. */
  record(
    resource: Resource,
    parent: Parent,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
  ): void {
    const now = this.#options.clock.now();
    if (now < (this.#forbiddenUntil ?? 0) || this.#queue.length >= longestQueue) return;
    const text = this.#options.clean(message).slice(0, longestMessage);
    const key = `${parent.metadata.uid} ${type} ${reason} ${text}`;
    const known = this.#known.get(key);
    if (known !== undefined) {
      known.count += 1;
      if (now - known.writtenAt < quietMs) return;
      known.writtenAt = now;
    }
    const news: News = known ?? {
      ...{ resource, parent, type, reason, message: text },
      firstTimestamp: timestamp(now),
      name: undefined,
      count: 1,
      writtenAt: now,
    };
    this.#remember(key, news);
    this.#queue.push(async () => {
      try {
        await this.#write(news);
      } catch (error) {
        // Not written: the next time it is news again.
        this.#known.delete(key);
        throw error;
      }
    });
    this.#running ??= this.#drain();
  }

  /** Resolves when everything recorded so far is written or given up, after two seconds at the latest. */
  async flush(): Promise<void> {
    if (this.#running === undefined) return;
    const done = new AbortController();
    const late = this.#options.clock.sleep(flushMs, done.signal);
    await Promise.race([this.#running, late]);
    done.abort();
    this.#queue = [];
  }

  async #drain(): Promise<void> {
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      try {
        await task();
        this.#forbiddenUntil = undefined;
      } catch (error) {
        // An Event that is lost is news lost, not state: the condition says the same.
        if (isStatus(error, 403) && !error.hasCause("NamespaceTerminating")) this.#forbid();
      }
    }
    this.#running = undefined;
  }

  #forbid(): void {
    this.#queue = [];
    this.#known.clear();
    if (this.#forbiddenUntil === undefined) this.#options.onForbidden();
    this.#forbiddenUntil = this.#options.clock.now() + quietMs;
  }

  /** Writes news for the first time, or how often it came up meanwhile. */
  async #write(news: News): Promise<void> {
    const { client, clock } = this.#options;
    const namespace = news.parent.metadata.namespace;
    const lastTimestamp = timestamp(clock.now());
    if (news.name !== undefined) {
      const patch = { count: news.count, lastTimestamp };
      try {
        await client.patch(Event, { namespace, name: news.name }, { type: "merge", patch });
        return;
      } catch (error) {
        // The API server forgets Events after an hour.
        if (!isStatus(error, 404)) throw error;
      }
    }
    const { resource, parent } = news;
    const object = parent.metadata.name.slice(0, 200).replace(/[.-]+$/, "");
    const name = `${object}.${clock.uuid().slice(0, 13)}`;
    await client.create(Event, {
      metadata: { name, namespace },
      involvedObject: {
        apiVersion: apiVersionOf(resource),
        kind: resource.kind,
        namespace,
        name: parent.metadata.name,
        uid: parent.metadata.uid,
        resourceVersion: parent.metadata.resourceVersion,
      },
      type: news.type,
      reason: news.reason,
      message: news.message,
      source: { component: this.#options.component },
      reportingComponent: this.#options.component,
      firstTimestamp: news.firstTimestamp,
      lastTimestamp,
      count: news.count,
    });
    news.name = name;
  }

  /** Keeps the news that came up last. */
  #remember(key: string, news: News): void {
    this.#known.delete(key);
    this.#known.set(key, news);
    const [oldest] = this.#known.keys();
    if (this.#known.size > mostKnown && oldest !== undefined) this.#known.delete(oldest);
  }
}
