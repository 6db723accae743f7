/** Delays that grow with the number of failures, with jitter so that clients do not move in step. */

import type { Clock } from "../clock.ts";

/**
 * Milliseconds to wait after `failures` earlier failures: half to all of 0.5 s, 1 s, 2 s, ... up to `longestMs`.
 *
 * @param longestMs @default 30000
 */
export function backoffMs(failures: number, clock: Clock, longestMs = 30_000): number {
  const full = Math.min(longestMs, 500 * 2 ** Math.min(failures, 20));
  return full / 2 + clock.random() * full / 2;
}

/** Milliseconds until what a Role forbids is tried again: soon, since Roles are made in haste, then every 10 minutes. */
export function forbiddenMs(failures: number, clock: Clock): number {
  return backoffMs(failures + 3, clock, 600_000);
}
