/**
 * The one place that reads time and randomness.
 *
 * Everything above takes a `Clock`, so that tests can run years of it in milliseconds.
 */

/** Time, timers and randomness. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that never go backwards; for durations and leases. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds, or at once when `signal` aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A number in [0, 1). */
  random(): number;
  uuid(): string;
}

/** Why a sleep ends early; without a reason, `abort` makes an error with a stack each time. */
export const cancelled = "cancelled";

/** The real clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done);
    }),
  random: () => Math.random(),
  uuid: () => crypto.randomUUID(),
};
