/**
 * Carries requests to one Controller, or to the Keycloak that it trusts: the only file of this layer that calls `fetch`.
 *
 * Guarantees: every request ends (deadline, the caller's signal, `close()`); at most `concurrency` are under way; every
 * body is read to its end or cancelled; redirects are not followed (they would take the token elsewhere); every failure
 * is a `ControllerError`; a write is sent once. A GET is sent a second time when its pooled connection was reset.
 *
 * That second time is Deno's own doing: its fetch repeats whatever it had sent on a pooled connection, a POST as well
 * (deno#36415; measured with 2.9.6), unless the body is a stream, which it cannot send again. So a write sends its body
 * as one, and a write without a body gets a new connection.
 *
 * Deno obeys HTTP_PROXY and HTTPS_PROXY for loopback addresses too. Plain HTTP to loopback goes past them here; for
 * HTTPS on loopback NO_PROXY must name the host, since Deno can name no other way.
 */

import { type Clock, systemClock } from "../clock.ts";
import { untilAborted } from "../until_aborted.ts";
import { type Answer, badResponse, readAnswer } from "./answer.ts";
import { ControllerError } from "./errors.ts";
import { escapeLiquid } from "./liquid.ts";
import { failedConnection } from "./unreachable.ts";

/** One call of the API. */
export interface ControllerRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path below `/api/v3` with its parameters as `:name`, e.g. `/config/:key`; also what metrics are told. */
  readonly route: string;
  /** Values for the route's parameters, unescaped and not empty. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly bodyJson?: unknown;
  /** Sent encoded as a form, instead of `bodyJson`. */
  readonly form?: Readonly<Record<string, string>> | undefined;
  /** Whether the Controller renders the body's strings as Liquid templates; then they are escaped. */
  readonly templated?: boolean | undefined;
  /** Whether the answer is kept, and asked for again only if it changed (ETag). */
  readonly cached?: boolean | undefined;
  /** Whether a GET changes something, so that it must not be sent a second time unasked. */
  readonly isWrite?: boolean | undefined;
  /** The whole value of the header. */
  readonly authorization?: string | undefined;
  /** Values in the body that no error message may show. */
  readonly secrets?: readonly string[] | undefined;
  readonly abortSignal?: AbortSignal | undefined;
}

/** One HTTP exchange, for metrics. */
export interface ControllerRequestRecord {
  readonly method: string;
  /** The route with its parameters as `:name`. */
  readonly route: string;
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** Until the body was read, or the failure. */
  readonly durationMs: number;
}

/** Like the global `fetch`, with the options that are used here. */
export type FetchFunction = (
  url: string,
  init: RequestInit & { client: Deno.HttpClient },
) => Promise<Response>;

/** Which system is at the other end: what its messages call it, and where its API begins. */
interface System {
  readonly name: string;
  /** Path that every route is below of; may stand at the end of the address, or be left out. */
  readonly path: string;
}

/** How a transport behaves. */
export interface ControllerTransportOptions extends TransportOptions {
  /** `http` or `https`, with or without `/api/v3`, e.g. `http://controller.iofog.svc.cluster.local:51121`. */
  readonly baseUrl: string;
}

/** How a transport behaves, whatever is at its other end. */
export interface TransportOptions {
  readonly baseUrl: string;
  /** Certificate authorities to trust besides the public ones. */
  readonly caPem?: string | undefined;
  /** The name that an HTTPS server's certificate has to be for. @default the host of `baseUrl` */
  readonly serverName?: string | undefined;
  /** Milliseconds until a request is given up, its wait for a turn included. @default 10000 */
  readonly deadlineMs?: number | undefined;
  /** Requests under way at once. @default 4 */
  readonly concurrency?: number | undefined;
  /** Called after every HTTP exchange. */
  readonly onRequest?: ((record: ControllerRequestRecord) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** Where a test can break things. @default globalThis.fetch */
  readonly fetch?: FetchFunction | undefined;
}

/** Carries requests. */
export interface ControllerTransport {
  /** The parsed JSON of a success, or undefined where it has no body; throws a `ControllerError`. */
  performRequest(request: ControllerRequest): Promise<unknown>;
  /** Closes connections; requests under way are aborted. */
  close(): void;
}

/**
 * A transport; nothing is sent before the first request.
 *
 * @throws TypeError when `baseUrl` is no http(s) address, or carries credentials, a query or a fragment, or when
 * `caPem` is no certificate.
 */
export function createControllerTransport(options: ControllerTransportOptions): ControllerTransport {
  return new FetchTransport(options, { name: "Controller", path: "/api/v3" });
}

/**
 * The same for a Keycloak, whose routes begin at its own address, e.g. `https://keycloak.example.com/auth/`.
 *
 * @throws TypeError as above
 */
export function createKeycloakTransport(options: TransportOptions): ControllerTransport {
  return new FetchTransport(options, { name: "Keycloak", path: "" });
}

/**
 * The same for the monitor of a NATS server, e.g. `http://nats-0.nats-headless.pot.svc:8222`.
 *
 * @throws TypeError as above
 */
export function createNatsMonitorTransport(options: TransportOptions): ControllerTransport {
  return new FetchTransport(options, { name: "NATS server", path: "" });
}

class FetchTransport implements ControllerTransport {
  readonly #base: string;
  readonly #readClient: Deno.HttpClient;
  readonly #writeClient: Deno.HttpClient;
  readonly #unpooledClient: Deno.HttpClient;
  readonly #options: TransportOptions;
  readonly #system: System;
  readonly #clock: Clock;
  readonly #fetch: FetchFunction;
  readonly #deadlineMs: number;
  readonly #closing = new AbortController();
  readonly #waiting: (() => void)[] = [];
  readonly #kept = new Map<string, { readonly etag: string; readonly answer: Answer }>();
  #free: number;

  constructor(options: TransportOptions, system: System) {
    const base = baseOf(options.baseUrl, system);
    this.#base = base.href.replace(/\/$/, "");
    const client = (pool: Pool) => createClient(base, options.caPem, pool, system);
    // The Controller closes an idle connection after 5 s; ours should go first, the sooner where nothing is repeated.
    this.#readClient = client({ size: 4, idleMs: 4_000 });
    this.#writeClient = client({ size: 1, idleMs: 1_000 });
    this.#unpooledClient = client({ size: 0, idleMs: 0 });
    this.#options = options;
    this.#system = system;
    this.#clock = options.clock ?? systemClock;
    this.#fetch = options.fetch ?? fetchFor(base, options);
    this.#deadlineMs = options.deadlineMs ?? 10_000;
    this.#free = options.concurrency ?? 4;
  }

  async performRequest(request: ControllerRequest): Promise<unknown> {
    const path = pathOf(request);
    const subject = `${request.method} ${path}`;
    const end = new AbortController();
    const signal = this.#limit(request, subject, end.signal);
    try {
      await this.#takeTurn(signal);
      try {
        const answer = await this.#send(request, path, subject, signal);
        const secrets = [request.authorization ?? "", ...(request.secrets ?? [])];
        return readAnswer(answer, subject, secrets, this.#system.name);
      } finally {
        this.#giveTurn();
      }
    } finally {
      end.abort();
    }
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#readClient.close();
    this.#writeClient.close();
    this.#unpooledClient.close();
  }

  /** Aborts, with a `ControllerError` as reason, on the deadline, the caller's signal and `close()`, until `end`. */
  #limit(request: ControllerRequest, subject: string, end: AbortSignal): AbortSignal {
    const limit = new AbortController();
    const abort = (message: string, code: "Aborted" | "DeadlineExceeded") =>
      limit.abort(new ControllerError(`${subject}: ${message}`, { status: 0, code }));
    for (
      const [signal, message] of [
        [this.#closing.signal, "the client was closed"],
        [request.abortSignal, "aborted"],
      ] as const
    ) {
      if (signal?.aborted) abort(message, "Aborted");
      signal?.addEventListener("abort", () => abort(message, "Aborted"), { signal: end });
    }
    void this.#clock.sleep(this.#deadlineMs, end).then(() => {
      if (!end.aborted) {
        abort(`no answer from ${this.#base} within ${this.#deadlineMs} ms`, "DeadlineExceeded");
      }
    });
    return limit.signal;
  }

  async #send(
    request: ControllerRequest,
    path: string,
    subject: string,
    signal: AbortSignal,
  ): Promise<Answer> {
    const headers = new Headers({ accept: "application/json", "user-agent": "iofog-operator" });
    if (request.authorization !== undefined) headers.set("authorization", request.authorization);
    const { contentType, text } = bodyOf(request);
    if (contentType !== undefined) headers.set("content-type", contentType);
    const init: RequestInit & { client: Deno.HttpClient } = {
      method: request.method,
      headers,
      redirect: "manual",
      signal,
      client: this.#clientFor(request),
      ...(text !== undefined && { body: new Blob([text]).stream() }),
    };
    const query = request.query === undefined ? "" : `?${new URLSearchParams(request.query)}`;
    const kept = request.cached === true ? this.#kept.get(`${path}${query}`) : undefined;
    if (kept !== undefined) headers.set("if-none-match", kept.etag);
    const startedAt = this.#clock.monotonic();
    let status = 0;
    try {
      const response = await this.#fetch(`${this.#base}${path}${query}`, init);
      status = response.status;
      const text = await untilAborted(response.text(), signal).catch(() => {
        throw badResponse(subject, status, `${status}, cut off`);
      });
      if (status === 304 && kept !== undefined) return kept.answer;
      const answer = { status, contentType: response.headers.get("content-type") ?? "", text };
      const etag = response.headers.get("etag");
      if (request.cached === true && status === 200 && etag !== null) {
        this.#kept.set(`${path}${query}`, { etag, answer });
      }
      return answer;
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      throw cause instanceof ControllerError ? cause : failedConnection(cause, subject, this.#base);
    } finally {
      const durationMs = this.#clock.monotonic() - startedAt;
      this.#options.onRequest?.({ method: request.method, route: request.route, status, durationMs });
    }
  }

  #clientFor({ bodyJson, form, isWrite, method }: ControllerRequest): Deno.HttpClient {
    if (method === "GET" && isWrite !== true) return this.#readClient;
    return bodyJson === undefined && form === undefined ? this.#unpooledClient : this.#writeClient;
  }

  async #takeTurn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const proceed = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(proceed), 1);
        reject(signal.reason);
      };
      this.#waiting.push(proceed);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #giveTurn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

function baseOf(baseUrl: string, { name, path }: System): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`the ${name}'s address must be an http or https URL, e.g. http://host:51121`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new TypeError(`the ${name}'s address must not hold credentials, a query or a fragment`);
  }
  const prefix = url.pathname.replace(/\/+$/, "");
  url.pathname = path !== "" && prefix.endsWith(path) ? prefix : `${prefix}${path}`;
  return url;
}

function fetchFor(base: URL, { caPem, serverName }: TransportOptions): FetchFunction {
  if (serverName === undefined || base.protocol !== "https:") return (url, init) => fetch(url, init);
  // Few need it, and it takes a while to load.
  const byName = import("./named_fetch.ts").then(({ fetchByName }) => fetchByName(serverName, caPem));
  return async (url, init) => await (await byName)(url, init);
}

function bodyOf(
  { bodyJson, form, templated }: ControllerRequest,
): { readonly contentType?: string; readonly text?: string } {
  if (form !== undefined) {
    return { contentType: "application/x-www-form-urlencoded", text: `${new URLSearchParams(form)}` };
  }
  if (bodyJson === undefined) return {};
  return {
    contentType: "application/json",
    text: JSON.stringify(templated ? escapeLiquid(bodyJson) : bodyJson),
  };
}

/** Idle connections that are kept, and for how long. */
interface Pool {
  readonly size: number;
  readonly idleMs: number;
}

function createClient(
  base: URL,
  caPem: string | undefined,
  pool: Pool,
  { name }: System,
): Deno.HttpClient {
  const host = base.hostname.replace(/^\[|\]$/g, "");
  const isLoopback = host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
  const options: Deno.CreateHttpClientOptions = {
    caCerts: caPem === undefined ? [] : [caPem],
    http2: false,
    poolMaxIdlePerHost: pool.size,
    poolIdleTimeout: pool.idleMs,
  };
  if (isLoopback && base.protocol === "http:") {
    options.proxy = { transport: "tcp", hostname: host, port: Number(base.port || 80) };
  }
  const problem = `the ${name}'s CA is not usable PEM; it must hold BEGIN CERTIFICATE blocks`;
  // Deno takes text without any block for an empty list.
  if (caPem !== undefined && !caPem.includes("-----BEGIN CERTIFICATE-----")) throw new TypeError(problem);
  try {
    return Deno.createHttpClient(options);
  } catch (cause) {
    throw new TypeError(problem, { cause });
  }
}

function pathOf(request: ControllerRequest): string {
  return request.route.replace(/:(\w+)/g, (_, name: string) => {
    const value = request.parameters?.[name] ?? "";
    // An empty segment would be another route.
    if (value === "") throw new TypeError(`${request.method} ${request.route}: ${name} must not be empty`);
    return encodeURIComponent(value);
  });
}
