/**
 * The seam for faults: a transport around another one that lets a hook break, delay or replace any request.
 *
 * The hook sees the meaning of a request, not its bytes, and how many times the same thing was asked before, so that
 * a test can say "the second apply of Deployment controller".
 */

import { describeRequest, type RequestDescription } from "./request_description.ts";
import type { RequestOptions, Transport } from "./transport.ts";

/** A request as a hook sees it. */
export interface InterceptedRequest extends RequestDescription {
  /** 1 for the first request with this verb, plural, subresource and name. */
  readonly count: number;
  readonly options: RequestOptions;
}

/**
 * Called instead of each request. `proceed` sends it on and returns the answer; a hook that throws before calling it
 * keeps the request from the server, one that throws after it loses the answer, one that returns something else
 * replaces it, and one that waits delays it.
 */
export type RequestHook = (request: InterceptedRequest, proceed: () => Promise<unknown>) => Promise<unknown>;

/** A transport that asks `hook` about every request. */
export function intercept(transport: Transport, hook: RequestHook): Transport {
  const counts = new Map<string, number>();
  function performRequest(
    options: RequestOptions & { readonly expectStream: true },
  ): Promise<ReadableStream<Uint8Array>>;
  function performRequest(options: RequestOptions): Promise<unknown>;
  async function performRequest(options: RequestOptions): Promise<unknown> {
    const description = describeRequest(options);
    const { name = "", plural, subresource = "", verb } = description;
    const key = [verb, plural, subresource, name].join(" ");
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return await hook({ ...description, count, options }, () => transport.performRequest(options));
  }
  return { performRequest, close: () => transport.close?.() };
}
