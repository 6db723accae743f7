/**
 * The HTTP server under a stand-in: remembers every request, breaks on demand, goes down and comes up again.
 */

import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Clock } from "../../src/clock.ts";
import type { KeyPair } from "../cluster/certificates.ts";
import { type Fault, type FaultAction, Faults } from "./faults.ts";
import { htmlAnswer, type HttpAnswer } from "./http_answer.ts";

/** A request, read to its end. */
export interface HttpRequest {
  readonly method: string;
  /** Path, still escaped, without query. */
  readonly path: string;
  /** With its question mark, or empty. */
  readonly query: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

/** A request that came in, in a form to compare with recordings. Holds passwords and tokens: in memory only. */
export interface ReceivedRequest {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  /** As it was sent, before any rendering; undefined where there was none, or none that could be read. */
  readonly body: unknown;
  /** HTTP status of the answer; 0 where a fault let none out. */
  readonly answered: number;
}

/** What a server is told. */
export interface FaultyServerOptions {
  /** @default "127.0.0.1" */
  readonly hostname?: string | undefined;
  /** @default a free one */
  readonly port?: number | undefined;
  /** Serves HTTPS with it. @default plain HTTP */
  readonly tls?: KeyPair | undefined;
  readonly clock: Clock;
  /** What a fault's `path` leaves out at the beginning. @default nothing */
  readonly prefix?: RegExp | undefined;
  /** The answer, and the body as it is to be remembered. */
  answer(request: HttpRequest): Promise<{ readonly answer: HttpAnswer; readonly body: unknown }>;
}

/**
 * A port that no outgoing connection gets (they get those from 32768 on), so that it is still free for a server that
 * comes up again; above 10080, which `fetch` refuses to connect to.
 */
function randomPort(): number {
  return 10_100 + Math.floor(Math.random() * 21_900);
}

/** See the module. */
export class FaultyServer {
  /** Oldest first; a request is added when its answer has been decided. */
  readonly requests: ReceivedRequest[] = [];
  readonly #options: FaultyServerOptions;
  readonly #hostname: string;
  readonly #faults = new Faults();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port: number;

  constructor(options: FaultyServerOptions) {
    this.#options = options;
    this.#hostname = options.hostname ?? "127.0.0.1";
    this.#port = options.port ?? 0;
    const { tls } = options;
    const serve = (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response);
    this.#server = tls === undefined
      ? createPlainServer(serve)
      : createTlsServer({ cert: tls.certificatePem, key: tls.keyPem }, serve) as unknown as Server;
    this.#server.keepAliveTimeout = 5_000;
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** E.g. `http://127.0.0.1:40123`. */
  get url(): string {
    const scheme = this.#options.tls === undefined ? "http" : "https";
    return `${scheme}://${this.#hostname}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  forgetRequests(): void {
    this.requests.length = 0;
  }

  /** Sets a fault; the function returned removes it. */
  breakAt(fault: Fault): () => void {
    return this.#faults.add(fault);
  }

  clearFaults(): void {
    this.#faults.clear();
  }

  /** Refuses connections, and resets the ones that are open, until `comeUp`. */
  async goDown(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async comeUp(): Promise<void> {
    if (this.#server.listening) return;
    const given = this.#port;
    for (;;) {
      this.#port = given === 0 ? randomPort() : given;
      try {
        return await this.#listen();
      } catch (error) {
        if (given !== 0 || (error as { code?: string }).code !== "EADDRINUSE") throw error;
      }
    }
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, this.#hostname, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = incoming;
    try {
      const request = await this.#read(incoming);
      const fault = this.#faults.next(request.method, request.path.replace(this.#options.prefix ?? "", ""));
      const received = {
        method: request.method,
        path: request.path,
        contentType: request.headers["content-type"],
        authorization: request.headers.authorization,
      };
      if (fault?.type === "reset" || fault?.type === "answer") {
        const body = parsedOrUndefined(request.body);
        const answered = fault.type === "answer" ? fault.status : 0;
        if (fault.type === "answer" && fault.carriedOut) await this.#options.answer(request);
        this.requests.push({ ...received, body, answered });
        return fault.type === "answer" ? send(response, madeUp(fault)) : void socket.resetAndDestroy();
      }
      if (fault?.type === "hang") {
        await this.#hang(fault.ms, socket);
        // A client that gave up is served all the same, as by the real one; a process that ended serves nobody.
        if (!this.#server.listening) return;
      }
      const { answer, body } = await this.#options.answer(request);
      const answered = fault?.type === "drop" ? 0 : answer.status;
      this.requests.push({ ...received, body, answered });
      if (fault?.type === "drop") socket.resetAndDestroy();
      else if (fault?.type === "cut") sendHalf(response, answer);
      else send(response, answer);
    } catch (error) {
      // A client that went away; anything else would be a fault of ours, and must be seen.
      if (!socket.destroyed) throw error;
    }
  }

  async #read(incoming: IncomingMessage) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const headers: Record<string, string | undefined> = {};
    for (const [name, value] of Object.entries(incoming.headers)) headers[name] = value?.toString();
    // A client that was told to go around its proxy sends the whole URL.
    const target = (incoming.url ?? "/").replace(/^https?:\/\/[^/]*/, "");
    const path = target.replace(/\?.*$/, "");
    const query = target.slice(path.length);
    return { method: incoming.method ?? "GET", path, query, headers, body: concat(chunks) };
  }

  async #hang(ms: number, socket: Socket): Promise<void> {
    const gone = new AbortController();
    const abort = () => gone.abort();
    socket.once("close", abort);
    await this.#options.clock.sleep(ms, gone.signal);
    socket.off("close", abort);
  }
}

function send(response: ServerResponse, answer: HttpAnswer): void {
  const length = `${new TextEncoder().encode(answer.body).length}`;
  const hasBody = answer.status !== 204 && answer.status !== 304;
  response.writeHead(answer.status, {
    ...answer.headers,
    ...(hasBody ? { "content-length": length } : {}),
  });
  response.end(answer.body);
}

/** Promises the whole body, sends half, and closes. */
function sendHalf(response: ServerResponse, answer: HttpAnswer): void {
  const bytes = new TextEncoder().encode(answer.body);
  response.writeHead(answer.status, { ...answer.headers, "content-length": `${bytes.length}` });
  response.write(bytes.subarray(0, bytes.length / 2), () => response.socket?.destroy());
}

function madeUp(fault: FaultAction & { type: "answer" }): HttpAnswer {
  const page = htmlAnswer(fault.status, fault.body ?? "played by a test");
  if (fault.location !== undefined) {
    return { ...page, headers: { ...page.headers, location: fault.location } };
  }
  if (fault.contentType === undefined) return page;
  return { status: fault.status, headers: { "content-type": fault.contentType }, body: fault.body ?? "" };
}

function parsedOrUndefined(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}
