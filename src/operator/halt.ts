/**
 * Whether nothing should be written for a while: the namespace goes away, or the server asked for a pause.
 */

import type { Clock } from "../clock.ts";

/** See the module. */
export class Halt {
  readonly #clock: Clock;
  readonly #longestMs: number;
  #until = 0;
  #terminating = false;

  /** @param longestMs Milliseconds after which writing is tried again in any case. */
  constructor(clock: Clock, longestMs: number) {
    this.#clock = clock;
    this.#longestMs = longestMs;
  }

  get active(): boolean {
    return this.remainingMs > 0;
  }

  /** Milliseconds until it ends. */
  get remainingMs(): number {
    return Math.max(0, this.#until - this.#clock.monotonic());
  }

  /** Nothing is written for this many milliseconds. */
  for(ms: number): void {
    this.#until = Math.max(this.#until, this.#clock.monotonic() + Math.min(ms, this.#longestMs));
  }

  /** The namespace is being deleted. */
  terminating(): void {
    this.#terminating = true;
    this.for(this.#longestMs);
  }

  /**
   * Nothing can be created in a namespace that is going away: where a custom resource appears, it is another one.
   * Returns whether that ends a halt.
   */
  alive(): boolean {
    if (!this.#terminating) return false;
    this.#terminating = false;
    this.#until = 0;
    return true;
  }
}
