/** What a test can make go wrong, at a request that it names. */

/** What happens instead of, or after, the right answer. */
export type FaultAction =
  /** The connection is reset before the request is looked at. */
  | { readonly type: "reset" }
  /** Nothing for `ms` milliseconds of the stand-in's clock, then the right answer. */
  | { readonly type: "hang"; readonly ms: number }
  /** This answer instead. HTML unless told otherwise. */
  | {
    readonly type: "answer";
    readonly status: number;
    /** Whether the request is carried out nevertheless, as behind a proxy that lost patience. @default false */
    readonly carriedOut?: boolean;
    readonly body?: string;
    /** @default "text/html; charset=utf-8" */
    readonly contentType?: string;
    /** For a redirect. */
    readonly location?: string;
  }
  /** The request is carried out, and half of the answer's body is sent. */
  | { readonly type: "cut" }
  /** The request is carried out, and the connection is reset. */
  | { readonly type: "drop" };

/** A fault and the requests that it hits. */
export interface Fault {
  readonly action: FaultAction;
  /** @default any */
  readonly method?: string;
  /** The path without `/api/v3` and query, e.g. `/router`. @default any */
  readonly path?: string | RegExp;
  /** The first matching request that is hit, counted from 1 when the fault was set. @default 1 */
  readonly nth?: number;
  /** How many matching requests are hit from then on. @default 1 */
  readonly times?: number;
}

/** The faults that are set. */
export class Faults {
  #set: { readonly fault: Fault; seen: number }[] = [];

  /** Sets a fault; the function returned removes it again. */
  add(fault: Fault): () => void {
    const entry = { fault, seen: 0 };
    this.#set.push(entry);
    return () => this.#set = this.#set.filter((other) => other !== entry);
  }

  clear(): void {
    this.#set = [];
  }

  /** Counts a request in every fault that it matches, and says what the first one due wants. */
  next(method: string, path: string): FaultAction | undefined {
    let due: FaultAction | undefined;
    for (const entry of this.#set) {
      const { fault } = entry;
      if (fault.method !== undefined && fault.method !== method) continue;
      if (typeof fault.path === "string" && fault.path !== path) continue;
      if (fault.path instanceof RegExp && !fault.path.test(path)) continue;
      entry.seen++;
      const first = fault.nth ?? 1;
      if (entry.seen >= first && entry.seen < first + (fault.times ?? 1)) due ??= fault.action;
    }
    return due;
  }
}
