/**
 * The transport on `fetch`: the only file of this layer that sends anything.
 *
 * Guarantees, besides the contract of `Transport`: at most `concurrency` requests are under way, streams apart; every
 * body is read to its end or cancelled; redirects are not followed (they would take the token elsewhere); a 401 is
 * tried once more with credentials read afresh; no message holds a body, a query or a credential.
 *
 * Unless the configuration names a proxy, Deno obeys HTTPS_PROXY and NO_PROXY, for loopback addresses too: see
 * `noProxyForLoopback`.
 */

import { cancelled, type Clock, systemClock } from "../clock.ts";
import { isApiStatus, statusError } from "./api_status.ts";
import { ConfigError, type ConnectionConfig } from "./connection_config.ts";
import { ApiError } from "./errors.ts";
import { HttpConnection, type Session } from "./http_connection.ts";
import { Slots } from "./slots.ts";
import type { RequestOptions, Transport } from "./transport.ts";
import { untilAborted } from "../until_aborted.ts";
import { failedConnection } from "./unreachable.ts";

/** One HTTP exchange, for metrics. */
export interface RequestRecord {
  readonly method: string;
  /** Host and port of the server. */
  readonly host: string;
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** Until the headers of the answer, or the failure. */
  readonly durationMs: number;
}

/** How a transport behaves. */
export interface FetchTransportOptions {
  /** @default "iofog-operator" */
  readonly userAgent?: string | undefined;
  /** Requests under way at once at most, streams apart; fewer after a 429. @default 16 */
  readonly concurrency?: number | undefined;
  /** Called after every HTTP exchange. */
  readonly onRequest?: ((record: RequestRecord) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * A transport to the server that `config` describes. Nothing is read or sent before the first request.
 *
 * Besides what `Transport` says, a request throws `ConfigError` when credentials or authorities could never be read.
 */
export function createFetchTransport(
  config: ConnectionConfig,
  options: FetchTransportOptions = {},
): Transport {
  return new FetchTransport(config, options);
}

/** One request on its way: its deadline, its abort signal, and what to call when all of it is over. */
interface Flight {
  readonly options: RequestOptions;
  readonly subject: string;
  readonly signal: AbortSignal;
  /** Stops the deadline; the caller's signal stays in force. */
  arrived(): void;
  end(): void;
}

class FetchTransport implements Transport {
  readonly #connection: HttpConnection;
  readonly #slots: Slots;
  readonly #clock: Clock;
  readonly #userAgent: string;
  readonly #onRequest: ((record: RequestRecord) => void) | undefined;
  readonly #base: string;
  readonly #host: string;
  readonly #closing = new Set<(reason: ApiError) => void>();
  #closed = false;

  constructor(config: ConnectionConfig, options: FetchTransportOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#connection = new HttpConnection(config, this.#clock);
    this.#slots = new Slots(options.concurrency ?? 16);
    this.#userAgent = options.userAgent ?? "iofog-operator";
    this.#onRequest = options.onRequest;
    this.#base = config.server.replace(/\/+$/, "");
    this.#host = new URL(config.server).host;
  }

  performRequest(options: RequestOptions & { expectStream: true }): Promise<ReadableStream<Uint8Array>>;
  performRequest(options: RequestOptions): Promise<unknown>;
  async performRequest(options: RequestOptions): Promise<unknown> {
    const flight = this.#depart(options);
    let release = () => {};
    try {
      if (!options.expectStream && !options.urgent) release = await this.#slots.take(flight.signal);
      const response = await this.#exchange(flight);
      if (response.status === 429) this.#slots.shrink();
      else this.#slots.grow();
      if (!response.ok) throw await refusal(response, flight);
      if (options.expectStream) return this.#stream(response, flight);
      return await body(response, flight);
    } catch (error) {
      throw this.#described(error, flight);
    } finally {
      release();
      // A stream that was returned ends by itself; `end` does nothing for it.
      if (!options.expectStream) flight.end();
    }
  }

  close(): void {
    this.#closed = true;
    for (const abort of [...this.#closing]) abort(aborted("the transport was closed"));
    this.#connection.close();
  }

  #depart(options: RequestOptions): Flight {
    const subject = `${options.method} ${options.path}`;
    const controller = new AbortController();
    const deadline = new AbortController();
    const deadlineMs = options.deadlineMs ?? 30_000;
    const abort = (reason: ApiError) => controller.abort(reason);
    const callerAborted = () => abort(aborted(`${subject}: aborted`));
    if (this.#closed) abort(aborted(`${subject}: the transport was closed`));
    if (options.abortSignal?.aborted) callerAborted();
    options.abortSignal?.addEventListener("abort", callerAborted);
    this.#closing.add(abort);
    void this.#clock.sleep(deadlineMs, deadline.signal).then(() => {
      if (deadline.signal.aborted) return;
      const text = `${subject}: no answer from ${this.#host} within ${deadlineMs} ms`;
      abort(new ApiError(text, { status: 0, reason: "DeadlineExceeded" }));
    });
    return {
      options,
      subject,
      signal: controller.signal,
      arrived: () => deadline.abort(cancelled),
      end: () => {
        deadline.abort(cancelled);
        options.abortSignal?.removeEventListener("abort", callerAborted);
        this.#closing.delete(abort);
      },
    };
  }

  async #exchange(flight: Flight): Promise<Response> {
    const session = await this.#session(flight);
    const response = await this.#send(flight, session);
    if (response.status !== 401) return response;
    // The token may have been rotated since it was read; a second 401 is an answer.
    await response.body?.cancel();
    return await this.#send(flight, await this.#renewed(flight, session));
  }

  async #renewed(flight: Flight, rejected: Session): Promise<Session> {
    try {
      return await this.#session(flight, rejected);
    } catch (cause) {
      if (!(cause instanceof ConfigError)) throw cause;
      const text = `${flight.subject}: 401 Unauthorized, and no other credentials: ${cause.message}`;
      throw new ApiError(text, { status: 401, reason: "Unauthorized", cause });
    }
  }

  /** The deadline holds for reading credentials too: an exec plugin may hang. */
  async #session(flight: Flight, rejected?: Session): Promise<Session> {
    flight.signal.throwIfAborted();
    return await untilAborted(this.#connection.session(rejected), flight.signal);
  }

  async #send(flight: Flight, session: Session): Promise<Response> {
    const { options, signal } = flight;
    const headers = new Headers({
      "accept": options.accept ?? "application/json",
      "user-agent": this.#userAgent,
    });
    if (session.authorization !== undefined) headers.set("authorization", session.authorization);
    const init: RequestInit & { client: Deno.HttpClient } = {
      method: options.method,
      headers,
      redirect: "manual",
      signal,
      client: session.client,
    };
    if (options.bodyJson !== undefined) {
      headers.set("content-type", options.contentType ?? "application/json");
      init.body = JSON.stringify(options.bodyJson);
    }
    const query = options.querystring?.toString() ?? "";
    const url = `${this.#base}${options.path}${query === "" ? "" : `?${query}`}`;
    const startedAt = this.#clock.monotonic();
    let status = 0;
    try {
      const response = await fetch(url, init);
      status = response.status;
      return response;
    } finally {
      const durationMs = this.#clock.monotonic() - startedAt;
      this.#onRequest?.({ method: options.method, host: this.#host, status, durationMs });
    }
  }

  #described(error: unknown, flight: Flight): unknown {
    if (flight.options.expectStream) flight.end();
    if (error instanceof ApiError || error instanceof ConfigError) return error;
    // Certificates may have been exchanged: look again before the next request.
    this.#connection.expire();
    return failedConnection(error, flight.subject, this.#base);
  }

  #stream(response: Response, flight: Flight): ReadableStream<Uint8Array> {
    flight.arrived();
    const reader = response.body?.getReader();
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        try {
          const chunk = reader && await untilAborted(reader.read(), flight.signal);
          if (chunk === undefined || chunk.done) {
            flight.end();
            controller.close();
          } else {
            controller.enqueue(chunk.value);
          }
        } catch (error) {
          flight.end();
          reader?.cancel().catch(() => {});
          controller.error(this.#described(error, flight));
        }
      },
      cancel: async (reason) => {
        flight.end();
        await reader?.cancel(reason);
      },
    }, { highWaterMark: 0 });
  }
}

async function body(response: Response, flight: Flight): Promise<unknown> {
  const text = await untilAborted(response.text(), flight.signal);
  if (!flight.options.expectJson) return text;
  const value = json(text);
  if (value === undefined) {
    throw badResponse(
      flight.subject,
      `${contentType(response)} of ${text.length} characters, not complete JSON`,
    );
  }
  return value;
}

/** The error for an answer that is not a success. */
async function refusal(response: Response, { signal, subject }: Flight): Promise<ApiError> {
  const { status } = response;
  const text = await untilAborted(response.text(), signal);
  const answer = json(text);
  const failed = { subject, status, retryAfterMs: retryAfterMs(response) };
  if (status < 400) return badResponse(subject, `redirected with ${status}, which an API server does not`);
  if (isApiStatus(answer)) return statusError(answer, failed);
  // Some refusals of an API server are plain text. From anything else in between, a 404 must not look as if the
  // object were gone, while "try again" and "who are you" mean the same whoever says them.
  const fromServer = response.headers.has("audit-id");
  if (fromServer || status === 401 || status === 408 || status === 429 || status >= 500) {
    return statusError(answer, failed);
  }
  return badResponse(
    subject,
    `${status} with ${contentType(response)}, not from an API server; check the address`,
  );
}

/** The header in both of its forms, seconds and a date. */
function retryAfterMs(response: Response): number | undefined {
  const value = response.headers.get("retry-after");
  if (value === null) return undefined;
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  const from = Date.parse(response.headers.get("date") ?? "");
  // Measured on the server's clock, so that ours need not agree.
  return Number.isNaN(at) || Number.isNaN(from) ? undefined : Math.max(0, at - from);
}

function contentType(response: Response): string {
  return response.headers.get("content-type")?.split(";")[0]?.trim() || "no content type";
}

/** Undefined when `text` is not JSON. The parser's error quotes the text, so it is dropped. */
function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function badResponse(subject: string, what: string): ApiError {
  return new ApiError(`${subject}: unusable answer: ${what}`, { status: 0, reason: "BadResponse" });
}

function aborted(message: string): ApiError {
  return new ApiError(message, { status: 0, reason: "Aborted" });
}
