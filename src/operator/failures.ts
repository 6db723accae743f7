/**
 * Remembers which writes failed, so that each waits longer before it is tried again and a person can read why.
 *
 * A change of the custom resource clears its failures: whoever mends a spec need not wait.
 */

import type { Clock } from "../clock.ts";
import { backoffMs } from "./backoff.ts";
import type { Failure, Parent } from "./definition.ts";

/** Longest wait in milliseconds where only a change of the spec or of permissions can help, or as a server may ask. */
const longestWaitMs = 300_000;

interface Entry {
  readonly failure: Failure;
  readonly generation: number;
  readonly count: number;
  /** Monotonic milliseconds. */
  readonly retryAt: number;
}

/** The failures of all parents. */
export class Failures {
  readonly #clock: Clock;
  readonly #byParent = new Map<string, Map<string, Entry>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Notes a failure; returns whether it is news, and not the same as last time.
   *
   * @param options.retryAfterMs What the server asked to wait.
   */
  note(
    parent: Parent,
    failure: Failure,
    options: { readonly retryable: boolean; readonly retryAfterMs?: number | undefined },
  ): boolean {
    const entries = this.#byParent.get(parent.metadata.uid) ?? new Map<string, Entry>();
    this.#byParent.set(parent.metadata.uid, entries);
    const generation = parent.metadata.generation ?? 0;
    const known = entries.get(failure.object);
    const before = known?.generation === generation ? known : undefined;
    const count = before === undefined ? 0 : before.count + 1;
    const growingMs = options.retryable
      ? backoffMs(count, this.#clock)
      : backoffMs(count + 3, this.#clock, longestWaitMs);
    const waitMs = Math.max(growingMs, Math.min(options.retryAfterMs ?? 0, longestWaitMs));
    entries.set(failure.object, {
      failure,
      generation,
      count,
      retryAt: this.#clock.monotonic() + waitMs,
    });
    return before?.failure.reason !== failure.reason || before.failure.message !== failure.message;
  }

  /** Forgets the failure of a write that succeeded, or is needed no more. */
  clear(parentUid: string, object: string): void {
    this.#byParent.get(parentUid)?.delete(object);
  }

  /** Forgets every failure of a parent, since something that it is made from was changed. */
  forget(parentUid: string): void {
    this.#byParent.delete(parentUid);
  }

  /** Forgets parents that are gone. */
  keepOnly(parentUids: ReadonlySet<string>): void {
    for (const uid of [...this.#byParent.keys()]) if (!parentUids.has(uid)) this.#byParent.delete(uid);
  }

  /** What failed for `parent` in its present generation, and whether it has to wait. */
  of(parent: Parent): ReadonlyMap<string, Failure & { readonly waiting: boolean }> {
    const now = this.#clock.monotonic();
    const current = new Map<string, Failure & { readonly waiting: boolean }>();
    for (const [object, entry] of this.#byParent.get(parent.metadata.uid) ?? []) {
      if (entry.generation !== (parent.metadata.generation ?? 0)) continue;
      current.set(object, { ...entry.failure, waiting: entry.retryAt > now });
    }
    return current;
  }

  /** The uids of parents with a retry that is due. */
  due(): readonly string[] {
    const now = this.#clock.monotonic();
    return [...this.#byParent]
      .filter(([, entries]) => [...entries.values()].some((entry) => entry.retryAt <= now))
      .map(([uid]) => uid);
  }

  /** Milliseconds until the next retry is due; undefined when nothing waits. */
  nextRetryMs(): number | undefined {
    const now = this.#clock.monotonic();
    const waits = [...this.#byParent.values()].flatMap((entries) =>
      [...entries.values()].map((entry) => entry.retryAt - now).filter((ms) => ms > 0)
    );
    return waits.length === 0 ? undefined : Math.min(...waits);
  }
}
