/** Waits for what a test expects, and says what was seen last when it does not come. */

import { systemClock } from "../../src/clock.ts";

/** Milliseconds between two looks: soon at first, since most things happen at once. */
const shortestPauseMs = 20;
const longestPauseMs = 250;

/** How long to wait, and how to tell what was seen. */
export interface WaitOptions<T> {
  /** Nothing that works takes so long, unless the machine has much else to do. @default 60000 */
  readonly withinMs?: number;
  /** Must show no secret. @default JSON */
  readonly show?: (seen: T) => string;
}

/**
 * Looks again and again until `accept` takes what `read` returns, and returns that.
 *
 * @param what Completes the sentence "waited 30 s for ...".
 */
export async function eventually<T>(
  what: string,
  read: () => T | Promise<T>,
  accept: (seen: T) => boolean,
  { withinMs = 60_000, show = JSON.stringify }: WaitOptions<T> = {},
): Promise<T> {
  const startedAt = systemClock.monotonic();
  for (let pauseMs = shortestPauseMs;; pauseMs = Math.min(pauseMs * 1.2, longestPauseMs)) {
    const seen = await read();
    if (accept(seen)) return seen;
    if (systemClock.monotonic() - startedAt > withinMs) {
      throw new Error(`waited ${withinMs / 1000} s for ${what}; seen last: ${show(seen)}`);
    }
    await systemClock.sleep(pauseMs);
  }
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = systemClock.monotonic();
  await work();
  return systemClock.monotonic() - startedAt;
}

/** Nothing is waited for but time itself, or `signal`. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return systemClock.sleep(ms, signal);
}
