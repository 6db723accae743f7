/**
 * The level-triggered loop: when to make a pass, never what to do in it.
 *
 * Two lanes run side by side, one for Kubernetes and one for the external systems, so that neither waits for the
 * other. A change is only a hint that marks a custom resource dirty; every resync interval all of them are looked at
 * whatever was heard, so a lost hint costs time and nothing else.
 */

import { cancelled, type Clock } from "../clock.ts";
import type { Logger } from "../telemetry/log.ts";
import { errorText } from "../telemetry/log.ts";
import type { Engine } from "./engine.ts";
import type { LeaseHolder } from "./lease.ts";

export interface LoopOptions {
  readonly engine: Engine;
  readonly leases: readonly LeaseHolder[];
  readonly clock: Clock;
  readonly log: Logger;
  /** Milliseconds between two looks at every custom resource. */
  readonly resyncMs: number;
  /** Told after each pass over Kubernetes, for readiness. */
  readonly onPass: () => void;
  /** Told how many hints a pass takes up, and 0 after it. */
  readonly onQueue?: (depth: number) => void;
  /** Told how many custom resources were found to need a pass. */
  readonly onQueued?: (count: number) => void;
}

/** How many custom resources a pass looks at, hints and the full look apart. */
const sliceSize = 25;
/** Milliseconds for which hints are gathered: the events of one apply arrive together. */
const debounceMs = 10;
/** Milliseconds after which a pass goes on without the answer to a write: what hangs delays nothing else. */
const patienceMs = 1_000;
/** Milliseconds between two slices of what a pass over the external systems found out, while it goes on. */
const newsMs = 1_000;
/** Milliseconds between two passes over the external systems that hints asked for. */
const externalSpacingMs = 250;
/** Milliseconds until the external systems are looked at again: all is well, or something is awaited. */
const externalRestMs = 10_000;
const externalWaitMs = 1_000;
/** Milliseconds that a request under way has after the signal to stop; a pod has 10 s in all. */
const stopGraceMs = 5_000;
/** Milliseconds by which the Leases go first at most. */
const headStartMs = 100;
/** Milliseconds after which a pass that failed unexpectedly is tried again. */
const crashDelayMs = 2_000;

/** Runs until `signal` aborts; then finishes the write under way and gives the Leases back. */
export async function runLoop(options: LoopOptions, signal: AbortSignal): Promise<void> {
  const { clock, engine, leases, log } = options;
  const kubernetes = new Hints();
  const external = new Hints();
  const news = new News(kubernetes, clock);
  const changed = (uid: string | undefined, world: "kubernetes" | "external" = "kubernetes") => {
    if (world === "external" && uid !== undefined) news.tell(uid);
    else kubernetes.mark(uid);
    external.mark(uid);
  };
  const stopObserving = engine.observe({ changed });
  // A write under way is finished, if that takes no longer than the grace of a pod allows.
  const writing = new AbortController();
  const ended = new AbortController();
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const endGrace = () => clock.sleep(stopGraceMs, ended.signal).then(() => writing.abort());
  stop.addEventListener("abort", endGrace);
  const parts = [
    // First, so that no answer to a list is read before the one about the Lease.
    ...leases.map((lease) => lease.run(stop, () => changed(undefined))),
    headStart(options, stop).then(() => engine.store.follow(stop)),
    kubernetesLane(options, kubernetes, stop, writing.signal).finally(() => engine.answered()),
    externalLane(options, external, news, stop, writing.signal),
  ];
  try {
    // Where one of them fails, which is a mistake of ours, the others must not go on by themselves.
    for (const part of parts) part.catch(() => failed.abort());
    await Promise.allSettled(parts);
    await Promise.all(parts);
  } finally {
    stopObserving();
    stop.removeEventListener("abort", endGrace);
    ended.abort();
    writing.abort();
    await Promise.all(leases.map((lease) => lease.release()));
    log.info("stopped");
  }
}

/** Until the Leases were tried, that is written before the lists are read; a slow one does not hold them up. */
async function headStart({ clock, leases }: LoopOptions, stop: AbortSignal): Promise<void> {
  const over = new AbortController();
  await Promise.race([
    Promise.all(leases.map(({ tried }) => tried)),
    clock.sleep(headStartMs, AbortSignal.any([stop, over.signal])),
  ]);
  over.abort();
}

/**
 * What is hinted at comes first. The full look goes through all custom resources a slice at a time, so that a change
 * among thousands never waits for the others.
 */
async function kubernetesLane(
  options: LoopOptions,
  hints: Hints,
  signal: AbortSignal,
  writeSignal: AbortSignal,
): Promise<void> {
  const { engine, leases, clock, log, resyncMs } = options;
  let resyncAt = 0;
  const round: string[] = [];
  while (!signal.aborted) {
    engine.beat();
    const blocked = !engine.store.ready || !leases.every((lease) => lease.held);
    const untilResync = Math.max(0, resyncAt - clock.monotonic());
    const retryMs = engine.failures.nextRetryMs() ?? resyncMs;
    const restMs = blocked ? resyncMs : round.length > 0 ? 0 : Math.min(untilResync, retryMs);
    const hinted = await hints.wait(clock, restMs, signal);
    if (hinted && round.length === 0) await clock.sleep(debounceMs, signal);
    if (signal.aborted) return;
    if (!engine.store.ready || !leases.every((lease) => lease.held)) {
      hints.take();
      resyncAt = 0;
      continue;
    }
    const dirty = hints.take(sliceSize);
    try {
      const due = clock.monotonic() >= resyncAt;
      if (due) {
        await engine.refreshServedSchemas(signal);
        await engine.refreshPermissions(signal);
        resyncAt = clock.monotonic() + resyncMs;
      }
      if (due || dirty.has(undefined)) round.splice(0, Infinity, ...engine.parentUids());
      options.onQueued?.(dirty.size);
      const slice = new Set([...definite(dirty), ...engine.failures.due(), ...round.splice(0, sliceSize)]);
      options.onQueue?.(slice.size + round.length);
      const result = await engine.convergeKubernetes(writeSignal, { only: slice, patienceMs });
      if (round.length === 0) options.onPass();
      options.onQueue?.(round.length);
      if (result.again) { for (const uid of slice) hints.mark(uid); }
      else if (due) engine.compareServedSchemas();
      if (engine.pausedMs > 0) resyncAt = Math.min(resyncAt, clock.monotonic() + engine.pausedMs);
    } catch (error) {
      log.error("pass failed", { lane: "kubernetes", error: errorText(error) });
      hints.mark(undefined);
      await clock.sleep(crashDelayMs, signal);
    }
  }
}

async function externalLane(
  options: LoopOptions,
  hints: Hints,
  news: News,
  signal: AbortSignal,
  writeSignal: AbortSignal,
): Promise<void> {
  const { engine, leases, clock, log, resyncMs } = options;
  let waitMs = externalWaitMs;
  while (!signal.aborted) {
    engine.heartbeat.beat("external");
    await hints.wait(clock, waitMs, signal);
    hints.take();
    if (signal.aborted) return;
    if (!engine.store.ready || !leases.every((lease) => lease.held)) {
      waitMs = resyncMs;
      continue;
    }
    try {
      const result = await news.during(() => engine.convergeExternal(writeSignal));
      if (result.again) hints.mark(undefined);
      waitMs = result.settled ? externalRestMs : externalWaitMs;
    } catch (error) {
      log.error("pass failed", { lane: "external", error: errorText(error) });
      waitMs = crashDelayMs;
    }
    await clock.sleep(externalSpacingMs, signal);
  }
}

function definite(uids: ReadonlySet<string | undefined>): ReadonlySet<string> {
  return new Set([...uids].filter((uid) => uid !== undefined));
}

/**
 * What a pass over the external systems finds out, for the statuses. What hundreds of custom resources ask for comes
 * about sooner where it does not share the machine with hundreds of statuses, so these are told a few at a time while
 * the pass goes on.
 */
class News {
  readonly #hints: Hints;
  readonly #clock: Clock;
  readonly #held = new Set<string>();
  #isHolding = false;

  constructor(hints: Hints, clock: Clock) {
    this.#hints = hints;
    this.#clock = clock;
  }

  tell(uid: string): void {
    if (this.#isHolding) this.#held.add(uid);
    else this.#hints.markLater(uid);
  }

  async during<T>(pass: () => Promise<T>): Promise<T> {
    const ended = new AbortController();
    this.#isHolding = true;
    const pacing = this.#pace(ended.signal);
    try {
      return await pass();
    } finally {
      this.#isHolding = false;
      ended.abort();
      await pacing;
      this.#release(Infinity);
    }
  }

  async #pace(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      await this.#clock.sleep(newsMs, ended);
      this.#release(sliceSize);
    }
  }

  #release(most: number): void {
    for (const uid of [...this.#held].slice(0, most)) {
      this.#held.delete(uid);
      // A repair does not wait for a hundred statuses that tell what was found in a Controller.
      this.#hints.markLater(uid);
    }
  }
}

/** Which custom resources may have something to do; `undefined` among them means all. */
class Hints {
  readonly #dirty = new Set<string | undefined>();
  readonly #later = new Set<string>();
  #wake = new AbortController();

  mark(uid: string | undefined): void {
    this.#dirty.add(uid);
    this.#wake.abort(cancelled);
  }

  /** Like `mark`, after all that are marked otherwise. */
  markLater(uid: string): void {
    this.#later.add(uid);
    this.#wake.abort(cancelled);
  }

  /** Takes the oldest hints, `most` of them. */
  take(most = Infinity): ReadonlySet<string | undefined> {
    const taken = new Set([...new Set([...this.#dirty, ...this.#later])].slice(0, most));
    for (const uid of taken) {
      this.#dirty.delete(uid);
      if (uid !== undefined) this.#later.delete(uid);
    }
    this.#wake = new AbortController();
    return taken;
  }

  /** Waits for a hint, at most `ms` milliseconds; returns whether there is one. */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
    const isEmpty = () => this.#dirty.size + this.#later.size === 0;
    if (isEmpty()) await clock.sleep(ms, AbortSignal.any([this.#wake.signal, signal]));
    return !isEmpty();
  }
}
