/**
 * An HTTP proxy that breaks what a test wants broken, between the operator and the API server or the Controller.
 *
 * It works on bytes and connections, so the whole client is under test: TLS, connection pool, deadlines and parsers.
 * Requests are named by what they mean, as `describeRequest` says: `create secrets router-ca`, or for a Controller
 * `update router`. What no rule is about goes through as it is. (Faults without any connection, on an API server in
 * memory and under a virtual clock, are what `intercept` is for.)
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { describeRequest, type RequestDescription } from "../../src/kubernetes/request_description.ts";
import type { RequestOptions } from "../../src/kubernetes/transport.ts";
import { createCertificateAuthority } from "../cluster/certificates.ts";
import { untilAborted } from "../../src/until_aborted.ts";
import type { Action } from "./actions.ts";

/** A request as a rule sees it. */
export interface ProxiedRequest extends RequestDescription {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly accept: string;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Of an Event. */
  readonly reason: string;
}

/** Which requests a rule is about: all that agree with everything given. */
export type Match = {
  readonly [part in "verb" | "plural" | "subresource" | "namespace" | "name" | "reason" | "method" | "url"]?:
    | string
    | RegExp;
};

/** One line of the table. */
export interface Rule {
  readonly on: Match;
  /** The first request that is hit among those that match, counted from 1 when the rule was set. @default 1 */
  readonly nth?: number;
  /** How many are hit from then on. @default 1 */
  readonly times?: number;
  readonly action: Action;
}

/** An answer as a whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** A request that is over, or a watch that was opened. */
export interface Exchange {
  readonly request: ProxiedRequest;
  /** 0 where no answer came, or none was let through. */
  readonly status: number;
  /** Whether the server was asked and did it. */
  readonly carriedOut: boolean;
}

/** One request on its way through, in the hands of an action. */
export interface Passage {
  readonly request: ProxiedRequest;
  readonly proxy: Proxy;
  /** Aborted when the client went away. */
  readonly gone: AbortSignal;
  /** Carries the request out and gives the whole answer; nothing is sent to the client yet. */
  forward(): Promise<Answer>;
  /** Lets the request through; bytes are sent as they come, changed by `change`. */
  stream(change?: TransformStream<Uint8Array, Uint8Array>): Promise<void>;
  reply(answer: Answer): void;
  /** Sends the head of an answer and `bytes` of its body at a time. */
  trickle(answer: Answer, bytes: number, pauseMs: number): Promise<void>;
  /** Promises the whole body, sends half of it, and breaks the connection. */
  replyHalf(answer: Answer): void;
  /** Breaks the connection. */
  cut(): void;
}

/** Where a proxy leads. */
export interface ProxyOptions {
  /** e.g. `https://127.0.0.1:6443`. */
  readonly upstream: string;
  /** Of the upstream server. */
  readonly caPem?: string;
}

/** Speaks TLS where its upstream does; see the module. */
export class Proxy implements AsyncDisposable {
  /** Oldest first. */
  readonly exchanges: Exchange[] = [];
  /** What is watched now, by how to end it as a server does whose time for it is over. */
  readonly watches = new Map<() => void, ProxiedRequest>();
  readonly #upstream: string;
  readonly #client: Deno.HttpClient;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #rules: { readonly rule: Rule; seen: number }[] = [];
  #isDown = false;

  private constructor(options: ProxyOptions, identity: Identity, private readonly scheme: string) {
    this.#upstream = options.upstream;
    this.#client = Deno.createHttpClient({
      caCerts: options.caPem === undefined ? [] : [options.caPem],
      http2: false,
      poolMaxIdlePerHost: 32,
    });
    const serve = (request: IncomingMessage, response: ServerResponse) => {
      const work = this.#serve(request, response).catch(() => void request.socket.destroy());
      this.#underWay.add(work);
      work.finally(() => this.#underWay.delete(work));
    };
    this.#server = scheme === "https"
      ? createTlsServer({ cert: identity.certificatePem, key: identity.keyPem }, serve)
      : createServer(serve);
    this.#server.keepAliveTimeout = 0;
    this.#server.requestTimeout = 0;
    this.#server.on("connection", (socket: Socket) => this.#accept(socket));
    this.#server.on("secureConnection", (socket: Socket) => this.#accept(socket));
  }

  static async open(options: ProxyOptions): Promise<Proxy> {
    const proxy = new Proxy(options, await identity(), options.upstream.replace(/:.*/, ""));
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", () => resolve()));
    return proxy;
  }

  /** Where clients find it. */
  get url(): string {
    return `${this.scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Of the CA that signed its certificate. */
  static async caPem(): Promise<string> {
    return (await identity()).caPem;
  }

  /** Adds a line to the table; the first that matches counts. The function returned removes it. */
  rule(rule: Rule): () => void {
    const entry = { rule, seen: 0 };
    this.#rules.push(entry);
    return () => this.#rules = this.#rules.filter((other) => other !== entry);
  }

  /** Removes every rule. */
  heal(): void {
    this.#rules = [];
    this.#isDown = false;
  }

  /** Ends watches in good order. */
  endWatches(match: Match = {}): void {
    for (const [end, request] of [...this.watches]) if (matches(request, match)) end();
  }

  /** Breaks every connection. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Breaks every connection, and each new one as soon as it is made, until `heal`. */
  goDown(): void {
    this.#isDown = true;
    this.cutAll();
  }

  /** Requests that match, oldest first. */
  seen(match: Match): readonly Exchange[] {
    return this.exchanges.filter(({ request }) => matches(request, match));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.goDown();
    await Promise.allSettled(this.#underWay);
    await closed;
    this.#client.close();
  }

  #accept(socket: Socket): void {
    if (this.#isDown) return void socket.destroy();
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await describe(incoming);
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const signal = AbortSignal.any([gone.signal, this.#ending.signal]);
    const action = this.#next(request);
    const passage = new ProxyPassage(
      this,
      request,
      signal,
      response,
      () => this.#send(incoming, request, signal),
    );
    try {
      await (action === undefined ? passage.stream() : action(passage));
    } catch (error) {
      passage.cut();
      if (!signal.aborted && !(error instanceof TypeError)) throw error;
    } finally {
      this.exchanges.push({ request, status: passage.status, carriedOut: passage.carriedOut });
    }
  }

  /** Counts a request in every rule that it matches; gives the action of the first that is due. */
  #next(request: ProxiedRequest): Action | undefined {
    let due: Action | undefined;
    for (const entry of this.#rules) {
      const { rule: { on, nth = 1, times = 1, action } } = entry;
      if (!matches(request, on)) continue;
      entry.seen++;
      if (entry.seen >= nth && entry.seen < nth + times) due ??= action;
    }
    return due;
  }

  #send(incoming: IncomingMessage, { body, method, url }: ProxiedRequest, signal: AbortSignal) {
    const headers = new Headers();
    for (const name of ["accept", "authorization", "content-type", "user-agent"]) {
      const value = incoming.headers[name]?.toString();
      if (value !== undefined) headers.set(name, value);
    }
    const init: RequestInit & { client: Deno.HttpClient } = {
      ...{ method, headers, redirect: "manual", signal, client: this.#client },
      ...(body.length > 0 ? { body } : {}),
    };
    return fetch(`${this.#upstream}${url}`, init);
  }
}

class ProxyPassage implements Passage {
  /** What the client was told. */
  status = 0;
  carriedOut = false;
  readonly #response: ServerResponse;
  readonly #send: () => Promise<Response>;

  constructor(
    readonly proxy: Proxy,
    readonly request: ProxiedRequest,
    readonly gone: AbortSignal,
    response: ServerResponse,
    send: () => Promise<Response>,
  ) {
    this.#response = response;
    this.#send = send;
  }

  async forward(): Promise<Answer> {
    const answer = await this.#send();
    this.carriedOut = answer.ok;
    const body = new Uint8Array(await untilAborted(answer.arrayBuffer(), this.gone));
    return { status: answer.status, headers: kept(answer.headers), body };
  }

  async stream(change?: TransformStream<Uint8Array, Uint8Array>): Promise<void> {
    if (this.request.verb !== "watch") return this.reply(await this.forward());
    const answer = await this.#send();
    this.#head(answer.status, kept(answer.headers));
    // So that the client knows that the watch was opened.
    this.#response.flushHeaders();
    const body = change === undefined ? answer.body : answer.body?.pipeThrough(change);
    const reader = body?.getReader();
    const ended = Promise.withResolvers<undefined>();
    const end = () => ended.resolve(undefined);
    this.proxy.watches.set(end, this.request);
    try {
      for (;;) {
        const chunk = reader && await Promise.race([untilAborted(reader.read(), this.gone), ended.promise]);
        if (chunk === undefined || chunk.done) break;
        this.#response.write(chunk.value);
      }
      this.#response.end();
    } finally {
      this.proxy.watches.delete(end);
      await reader?.cancel().catch(() => {});
    }
  }

  reply({ status, headers, body }: Answer): void {
    const hasBody = status !== 204 && status !== 304;
    this.#head(status, hasBody ? { ...headers, "content-length": `${body.length}` } : headers);
    this.#response.end(hasBody ? body : undefined);
  }

  async trickle({ status, headers, body }: Answer, bytes: number, pauseMs: number): Promise<void> {
    this.#head(status, { ...headers, "content-length": `${body.length}` });
    for (let at = 0; at < body.length && !this.gone.aborted; at += bytes) {
      this.#response.write(body.subarray(at, at + bytes));
      await sleep(pauseMs, this.gone);
    }
    this.#response.end();
  }

  replyHalf({ status, headers, body }: Answer): void {
    this.#head(status, { ...headers, "content-length": `${body.length}` });
    this.#response.write(body.subarray(0, body.length / 2), () => this.cut());
  }

  cut(): void {
    this.#response.socket?.destroy();
  }

  #head(status: number, headers: Readonly<Record<string, string>>): void {
    this.status = status;
    this.#response.writeHead(status, headers);
  }
}

/** Resolves after `ms` milliseconds, or when the client goes away. */
export function sleep(ms: number, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (gone.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      gone.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    gone.addEventListener("abort", done);
  });
}

function matches(request: ProxiedRequest, match: Match): boolean {
  return Object.entries(match).every(([part, wanted]) => {
    const found = request[part as keyof Match] ?? "";
    return typeof wanted === "string" ? found === wanted : wanted.test(found);
  });
}

async function describe(incoming: IncomingMessage): Promise<ProxiedRequest> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
  // A client that was told to go around its proxy sends the whole URL.
  const url = (incoming.url ?? "/").replace(/^https?:\/\/[^/]*/, "");
  const [path = "/", query = ""] = url.split("?");
  const method = incoming.method as RequestOptions["method"];
  const contentType = incoming.headers["content-type"] ?? "";
  const description = describeRequest({
    ...{ method, path, contentType, querystring: new URLSearchParams(query) },
    bodyJson: parsed(body),
  });
  const reason = String((parsed(body) as { reason?: string } | undefined)?.reason ?? "");
  return { ...description, method, url, accept: incoming.headers.accept ?? "", body, reason };
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

/** Headers that say something beyond one connection. */
function kept(headers: Headers): Record<string, string> {
  const connection = ["connection", "content-length", "content-encoding", "keep-alive", "transfer-encoding"];
  return Object.fromEntries([...headers].filter(([name]) => !connection.includes(name)));
}

interface Identity {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

let made: Promise<Identity> | undefined;

/** One for all proxies of this process. */
function identity(): Promise<Identity> {
  return made ??= (async () => {
    const authority = await createCertificateAuthority("fault-proxy");
    const pair = await authority.issueServer({ dns: ["localhost"], ip: ["127.0.0.1"] });
    return { ...pair, caPem: authority.certificatePem };
  })();
}
