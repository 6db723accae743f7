/** What the tests of this folder share: a transport that answers from a function, streams, and a machine. */

import type { Environment } from "./connection_config.ts";
import type { RequestOptions, Transport } from "./transport.ts";

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
