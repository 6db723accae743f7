/**
 * Waits for something, but no longer than until a signal aborts.
 *
 * Needed around the body of every answer: Deno 2.9.6 now and then leaves a read of a response body pending for ever
 * when the signal of its fetch aborts.
 */

/** What `work` gives, or a rejection with the reason of `signal` when that aborts first. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
    // What is no longer waited for may still fail.
    work.catch(() => {});
  }
}
