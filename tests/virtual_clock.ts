/**
 * Time that passes only when a test says so, in order: years of it in milliseconds.
 *
 * `advance` wakes whoever sleeps at the moment that they asked for, one moment after the other, and lets all that
 * follows from it happen before the next; so a test sees what would happen with infinitely fast machines.
 */

import { setImmediate } from "node:timers";
import type { Clock } from "../src/clock.ts";

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

/** See the module. */
export class VirtualClock implements Clock {
  /** What `random` gives. */
  nextRandom: () => number = () => 0.5;
  readonly #epoch: number;
  readonly #sleeping = new Set<Sleeper>();
  #time = 0;
  #jumped = 0;
  #uuids = 0;

  /** @param epoch What `now` starts with, in milliseconds since 1970. */
  constructor(epoch = Date.UTC(2025, 0, 1)) {
    this.#epoch = epoch;
  }

  now(): number {
    return this.#epoch + this.#time + this.#jumped;
  }

  monotonic(): number {
    return this.#time;
  }

  random(): number {
    return this.nextRandom();
  }

  /** Counts: the first is `00000001-0000-4000-8000-000000000000`. */
  uuid(): string {
    return `${String(++this.#uuids).padStart(8, "0")}-0000-4000-8000-000000000000`;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        until: this.#time + Math.max(0, ms),
        wake: () => {
          this.#sleeping.delete(sleeper);
          signal?.removeEventListener("abort", sleeper.wake);
          resolve();
        },
      };
      this.#sleeping.add(sleeper);
      signal?.addEventListener("abort", sleeper.wake);
    });
  }

  /** How many sleep: none when nothing was left behind. */
  get sleepers(): number {
    return this.#sleeping.size;
  }

  /** The same time on a machine whose wall clock is off by `ms`. */
  skewed(ms: number): Clock {
    return {
      now: () => this.now() + ms,
      monotonic: () => this.monotonic(),
      sleep: (duration, signal) => this.sleep(duration, signal),
      random: () => this.random(),
      uuid: () => this.uuid(),
    };
  }

  /** Somebody sets the wall clock, by `ms` from what it says. */
  jump(ms: number): void {
    this.#jumped += ms;
  }

  /** Lets `ms` milliseconds pass. */
  async advance(ms: number): Promise<void> {
    const end = this.#time + ms;
    await settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#time = Math.max(this.#time, next.until);
      next.wake();
      await settle();
    }
    this.#time = end;
    await settle();
  }

  /** Lets time pass until `promise` is settled; gives what it gives. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const settled = promise.finally(() => done = true);
    // Whoever awaits `settled` below hears of a failure; nobody does meanwhile.
    settled.catch(() => {});
    await settle();
    while (!done) {
      const next = this.#next(Infinity);
      if (next === undefined) throw new Error("nobody sleeps, and what is awaited does not happen");
      this.#time = Math.max(this.#time, next.until);
      next.wake();
      await settle();
    }
    return await settled;
  }

  #next(end: number): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleeping) {
      if (sleeper.until <= end && (first === undefined || sleeper.until < first.until)) first = sleeper;
    }
    return first;
  }
}

/** Lets everything that is ready to run do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
