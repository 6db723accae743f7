/**
 * Whether the lanes of the loop go on: a lane that waits for what never comes is stuck, and only a new process helps.
 *
 * An API server or an external system that is slow or away is no such thing: what a lane waits for has deadlines, and
 * it shows a sign of life after each write and each look.
 */

import type { Clock } from "../clock.ts";

/** What goes on by itself. */
export type Lane = "kubernetes" | "external";

/**
 * Milliseconds without a sign of life, and beyond the longest rest, after which a lane counts as stuck: no write to
 * the API server takes four minutes with all its deadlines, while one look at an external system may take hundreds of
 * requests.
 */
const stuckMs: Readonly<Record<Lane, number>> = { kubernetes: 600_000, external: 3_600_000 };

/** See the module. */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #restMs: number;
  readonly #beats = new Map<Lane, number>();

  /** @param restMs Milliseconds for which a lane rests at most. */
  constructor(clock: Clock, restMs: number) {
    this.#clock = clock;
    this.#restMs = restMs;
  }

  /** A lane goes on. */
  beat(lane: Lane): void {
    this.#beats.set(lane, this.#clock.monotonic());
  }

  /** Which lane is stuck, as a sentence; undefined when none is. */
  stuck(): string | undefined {
    for (const [lane, at] of this.#beats) {
      const silentMs = this.#clock.monotonic() - at;
      if (silentMs <= stuckMs[lane] + this.#restMs) continue;
      return `the ${lane} lane has not gone on for ${Math.round(silentMs / 1000)} s`;
    }
    return undefined;
  }
}
