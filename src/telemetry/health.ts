/**
 * The HTTP server for probes and metrics: `/healthz`, `/readyz`, `/metrics`.
 *
 * Guarantees: answers GET and HEAD only, reads no request body, says on `/readyz` which check fails and why, and never
 * shows a stack or a learned secret. `close` ends within two seconds, whatever clients hold open. `Deno.serve` has no
 * deadline for slow request headers: a slow client costs its one connection, and nothing else waits for it.
 */

import type { Clock } from "../clock.ts";
import type { Redactor } from "./redaction.ts";

/** A reason why the process is not alive, or not ready. */
export interface HealthCheck {
  /** Short, e.g. `kubernetes`. */
  readonly name: string;
  /** What is wrong, as a sentence; undefined when nothing is. Must not wait for anything. */
  readonly failure: () => string | undefined;
}

/** What the server shows, and where. */
export interface HealthServerOptions {
  /** Addresses for `/metrics`, with commas between: `:8080`, `127.0.0.1:8080`, `[::1]:8080`, or off: `0` or empty. */
  readonly metricsAddress: string;
  /** Address for `/healthz` and `/readyz`; may be one of those. */
  readonly healthAddress: string;
  readonly live: readonly HealthCheck[];
  readonly ready: readonly HealthCheck[];
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly redactor: Pick<Redactor, "clean">;
  readonly clock: Pick<Clock, "sleep">;
}

/** A server that runs. */
export interface HealthServer {
  /** `http://host:port` of `/metrics`, the first one, and of the probes; undefined when off. */
  readonly metricsUrl: string | undefined;
  readonly healthUrl: string | undefined;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/** An address that cannot be understood or listened on; the message is one line that says what to do. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/** Where to listen; `hostname` undefined means every interface. */
export interface ListenAddress {
  readonly hostname: string | undefined;
  readonly port: number;
}

/** Milliseconds that requests under way have when the server is closed. */
const CLOSE_GRACE_MS = 1_000;

/**
 * Reads `host:port`, `:port`, `[v6]:port`, or `0` or nothing for "off".
 *
 * @throws {ListenError} when it is none of these; `flag` stands in the message
 */
export function parseListenAddress(text: string, flag: string): ListenAddress | undefined {
  const trimmed = text.trim();
  if (trimmed === "" || trimmed === "0") return undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([a-zA-Z0-9.-]*)):([0-9]{1,5})$/.exec(trimmed);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    throw new ListenError(`${flag}: "${trimmed}" is not an address; write host:port, :port, or 0 for none`);
  }
  const hostname = match[1] ?? match[2];
  return { hostname: hostname === "" ? undefined : hostname, port };
}

/**
 * Starts to listen.
 *
 * @throws {ListenError} when an address is malformed, in use, or not ours
 */
export function startHealthServer(options: HealthServerOptions): HealthServer {
  const metricsAddresses = options.metricsAddress.split(",")
    .map((text) => parseListenAddress(text, "--metrics-addr"))
    .filter((address) => address !== undefined);
  const healthAddress = parseListenAddress(options.healthAddress, "--health-addr");
  const isShared = ({ hostname, port }: ListenAddress) =>
    port !== 0 && port === healthAddress?.port && hostname === healthAddress.hostname;
  const metricsRoutes = { "/metrics": () => metricsAnswer(options) };
  const healthRoutes = {
    "/healthz": (request: Request) => checksAnswer(request, options.live, options),
    "/readyz": (request: Request) => checksAnswer(request, options.ready, options),
  };

  const listeners: Listener[] = [];
  const open = (address: ListenAddress | undefined, flag: string, routes: Routes): string | undefined => {
    if (address === undefined) return undefined;
    const listener = listen(address, flag, routes);
    listeners.push(listener);
    return urlOf(listener.server.addr);
  };
  const close = async () => {
    await Promise.all(listeners.map((listener) => closeListener(listener, options.clock)));
  };
  try {
    const urls = metricsAddresses.map((address) =>
      open(address, "--metrics-addr", { ...metricsRoutes, ...(isShared(address) ? healthRoutes : {}) })
    );
    const shared = metricsAddresses.findIndex(isShared);
    const healthUrl = shared < 0 ? open(healthAddress, "--health-addr", healthRoutes) : urls[shared];
    return { metricsUrl: urls[0], healthUrl, close };
  } catch (error) {
    for (const listener of listeners) listener.abort.abort();
    throw error;
  }
}

type Answer = (request: Request) => Response | Promise<Response>;
type Routes = Readonly<Record<string, Answer>>;

interface Listener {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  readonly abort: AbortController;
  /** Answers under way. */
  readonly pending: ReadonlySet<Promise<Response>>;
}

function listen(address: ListenAddress, flag: string, routes: Routes): Listener {
  if (address.hostname !== undefined) return serve(address.hostname, address.port, flag, routes);
  try {
    return serve("::", address.port, flag, routes);
  } catch (error) {
    // A kernel without IPv6.
    if (error instanceof ListenError && error.cause instanceof Deno.errors.AddrInUse) throw error;
    return serve("0.0.0.0", address.port, flag, routes);
  }
}

function serve(hostname: string, port: number, flag: string, routes: Routes): Listener {
  const abort = new AbortController();
  const pending = new Set<Promise<Response>>();
  try {
    const server = Deno.serve({
      hostname,
      port,
      signal: abort.signal,
      onListen: () => {},
      onError: () => plainText(500, "internal error\n"),
    }, (request) => {
      const answer = route(request, routes);
      pending.add(answer);
      const done = () => pending.delete(answer);
      answer.then(done, done);
      return answer;
    });
    return { server, abort, pending };
  } catch (error) {
    const place = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
    const reason = error instanceof Deno.errors.AddrInUse
      ? "another process listens there"
      : error instanceof Error
      ? error.message
      : "unknown error";
    throw new ListenError(
      `${flag}: cannot listen on ${place}: ${reason}; give another address, or 0 for none`,
      {
        cause: error,
      },
    );
  }
}

async function closeListener(
  { server, abort, pending }: Listener,
  clock: Pick<Clock, "sleep">,
): Promise<void> {
  const waiting = new AbortController();
  await Promise.race([Promise.allSettled(pending), clock.sleep(CLOSE_GRACE_MS, waiting.signal)]);
  waiting.abort();
  // Not `shutdown()`: it waits for answers that never come, and nothing can end that (Deno 2.9.6).
  abort.abort();
  await server.finished;
}

async function route(request: Request, routes: Routes): Promise<Response> {
  const { pathname } = new URL(request.url);
  const answer = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
  if (answer === undefined) return plainText(404, "not found\n");
  if (request.method !== "GET" && request.method !== "HEAD") {
    return plainText(405, "only GET and HEAD\n", { allow: "GET, HEAD" });
  }
  const response = await answer(request);
  return request.method === "HEAD"
    ? new Response(null, { status: response.status, headers: response.headers })
    : response;
}

async function metricsAnswer(options: HealthServerOptions): Promise<Response> {
  return plainText(200, await options.metrics.text(), { "content-type": options.metrics.contentType });
}

function checksAnswer(
  request: Request,
  checks: readonly HealthCheck[],
  options: HealthServerOptions,
): Response {
  const results = checks.map((check) => ({ name: check.name, failure: check.failure() }));
  const status = results.every((result) => result.failure === undefined) ? 200 : 503;
  if (request.headers.get("accept")?.includes("application/json")) {
    const body = {
      ok: status === 200,
      checks: results.map(({ name, failure }) => ({ name, ok: failure === undefined, message: failure })),
    };
    return plainText(status, options.redactor.clean(`${JSON.stringify(body)}\n`), {
      "content-type": "application/json",
    });
  }
  if (status === 200) return plainText(200, "ok\n");
  const lines = results.map(({ name, failure }) =>
    failure === undefined ? `[+] ${name}: ok` : `[-] ${name}: ${failure.replaceAll(/\s+/g, " ")}`
  );
  return plainText(status, options.redactor.clean(`${lines.join("\n")}\n`));
}

function plainText(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(body, {
    status,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}

function urlOf(address: Deno.NetAddr): string {
  const everywhere = address.hostname === "::" || address.hostname === "0.0.0.0";
  const host = everywhere ? "127.0.0.1" : address.hostname;
  return `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`;
}
