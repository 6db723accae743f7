/** What the tests of this folder share: a clock that a test moves, and a transport that answers from a function. */

import { type Clock, systemClock } from "../clock.ts";
import type { Environment } from "./connection_config.ts";
import type { RequestOptions, Transport } from "./transport.ts";

/** Time stands still until `advance`. */
export class ManualClock implements Clock {
  #time = 1_000_000;
  readonly #sleeping = new Set<{ readonly until: number; readonly wake: () => void }>();

  now(): number {
    return this.#time;
  }

  monotonic(): number {
    return this.#time;
  }

  random(): number {
    return 0.5;
  }

  uuid(): string {
    return "00000000-0000-4000-8000-000000000000";
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = {
        until: this.#time + ms,
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

  /** How many sleep. */
  get sleepers(): number {
    return this.#sleeping.size;
  }

  /** Wakes all whose time has come, and lets what follows from that happen. */
  async advance(ms: number): Promise<void> {
    this.#time += ms;
    for (const sleeper of [...this.#sleeping]) if (sleeper.until <= this.#time) sleeper.wake();
    await settle();
  }
}

/** Lets everything that is ready to run do so. */
export function settle(): Promise<void> {
  return systemClock.sleep(0);
}

/** A transport that answers each request from `answer`, and remembers the requests. */
export function answering(
  answer: (options: RequestOptions, index: number) => unknown,
): Transport & { readonly requests: RequestOptions[] } {
  const requests: RequestOptions[] = [];
  const performRequest = async (options: RequestOptions): Promise<never> => {
    // What was asked may be changed by its owner later.
    const { querystring } = options;
    requests.push({ ...options, querystring: querystring && new URLSearchParams(querystring) });
    return await answer(options, requests.length - 1) as never;
  };
  return { performRequest, requests };
}

/** A stream of these chunks that then closes, or stays open. */
export function streamOf(
  chunks: readonly (string | Uint8Array)[],
  options: { readonly open?: boolean; readonly onCancel?: () => void } = {},
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      }
      if (!options.open) controller.close();
    },
    cancel: () => options.onCancel?.(),
  });
}

/** A machine with these files and variables, on which programs do what `run` says. */
export function machine(parts: {
  readonly files?: Readonly<Record<string, string>>;
  readonly variables?: Readonly<Record<string, string>>;
  readonly run?: Environment["run"];
}): Environment {
  return {
    readTextFile: (path) => {
      const text = parts.files?.[path];
      return text === undefined ? Promise.reject(new Deno.errors.NotFound(path)) : Promise.resolve(text);
    },
    variable: (name) => parts.variables?.[name],
    run: parts.run ?? (() => Promise.reject(new Deno.errors.NotFound())),
  };
}
