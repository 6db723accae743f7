/**
 * Turns the body of a watch request into events.
 *
 * The iteration ends when the server closes the stream or when no complete event came for a while; the reader of the
 * stream is always released, also when the consumer stops early. What arrives is checked line by line: a line that
 * is not an event, or a last line that was cut off, is an error and never dropped in silence.
 */

import * as z from "zod";
import { cancelled, type Clock } from "../clock.ts";
import { statusError } from "./api_status.ts";
import { ApiError } from "./errors.ts";
import type { KubeObject } from "./resource.ts";

/** One change to an object, or a bookmark: the version from which a later watch may go on. */
export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

/** An object of at most 3 MiB is what etcd takes; a line far beyond it is not from an API server. */
const longestLine = 32 * 1024 * 1024;

const envelope = z.object({
  type: z.enum(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]),
  object: z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string().optional() }).optional() }),
});

/**
 * The events in `stream`.
 *
 * @param subject Names the request in messages, e.g. `WATCH /api/v1/namespaces/x/secrets`.
 * @param silenceMs Milliseconds without a complete event after which the watch counts as dead and ends. The time
 * that the consumer takes for an event does not count.
 * @throws ApiError of the server's own status for an ERROR event (410 when the version is too old), `BadResponse`
 * for a line that is no event, `Unreachable` when the connection breaks.
 */
export async function* watchEvents(
  stream: ReadableStream<Uint8Array>,
  subject: string,
  silenceMs: number,
  clock: Clock,
): AsyncGenerator<WatchEvent, void, void> {
  for await (const line of lines(stream, subject, silenceMs, clock)) {
    const event = parseEvent(line, subject);
    if (event.type === "ERROR") throw statusError(event.object, { subject, status: 500 });
    if (event.type === "BOOKMARK") {
      const resourceVersion = event.object.metadata?.resourceVersion;
      if (resourceVersion === undefined) throw badResponse(subject, "a bookmark has no resourceVersion");
      yield { type: "BOOKMARK", resourceVersion };
    } else {
      yield { type: event.type, object: event.object as KubeObject };
    }
  }
}

function parseEvent(line: string, subject: string): z.infer<typeof envelope> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // The parser's own message quotes the text, which may be a Secret's.
    throw badResponse(subject, "a line is not JSON, or the connection was cut within it");
  }
  const parsed = envelope.safeParse(value);
  if (!parsed.success) throw badResponse(subject, "a line is not a watch event");
  return parsed.data;
}

/** The lines of `stream`; a last one without newline counts too, so that a cut-off event is noticed. */
async function* lines(
  stream: ReadableStream<Uint8Array>,
  subject: string,
  silenceMs: number,
  clock: Clock,
): AsyncGenerator<string, void, void> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let timer = new AbortController();
  try {
    for (;;) {
      // Bytes that never complete a line do not restart this timer: a trickle is as dead as silence.
      timer = new AbortController();
      const silence = clock.sleep(silenceMs, timer.signal).then(() => "silent" as const);
      let complete: string[] = [];
      while (complete.length === 0) {
        const chunk = await Promise.race([read(reader, subject), silence]);
        if (chunk === "silent") return;
        if (chunk.done) {
          timer.abort(cancelled);
          rest += decoder.decode();
          if (rest.trim() !== "") yield rest;
          return;
        }
        const text = decoder.decode(chunk.value, { stream: true });
        if (text.includes("\n")) {
          complete = (rest + text).split("\n");
          rest = complete.pop() ?? "";
        } else {
          rest += text;
          if (rest.length > longestLine) throw badResponse(subject, "a line does not end");
        }
      }
      timer.abort(cancelled);
      for (const line of complete) if (line.trim() !== "") yield line;
    }
  } finally {
    timer.abort(cancelled);
    await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}

async function read(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  subject: string,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  try {
    return await reader.read();
  } catch (cause) {
    if (cause instanceof ApiError) throw cause;
    throw new ApiError(`${subject}: the connection broke`, { status: 0, reason: "Unreachable", cause });
  }
}

function badResponse(subject: string, what: string): ApiError {
  return new ApiError(`${subject}: ${what}`, { status: 0, reason: "BadResponse" });
}
