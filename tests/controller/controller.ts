/**
 * A stand-in for the ioFog Controller 3.0.4 and for Datasance PoT's 3.7.3: an HTTP server in this process, on loopback.
 *
 * It answers what a control plane asks as the real ones do (`contract_test.ts` holds both to the same exchanges),
 * remembers every request, and breaks on demand. It plays: there are no agents, no database and no e-mail behind it.
 *
 * `startController({ version })` chooses the dialect. A `Route` is in both, unless its `only` names one; a handler asks
 * `world.version` where the two differ, and `authenticated()` for the caller in either. Groups of endpoints have a file
 * `*_routes.ts` each, whose table is spread into `routes.ts`; their rows are fields of `ControllerState`. 3.7.3 takes
 * the tokens of the `realm` that it is given (`tests/keycloak` plays one).
 *
 * Passwords and tokens that it is given or makes are registered for the secret scan of `deno task test`.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type Clock, systemClock } from "../../src/clock.ts";
import { answerRequest } from "./answer_request.ts";
import { type Fault, type FaultAction, Faults } from "./faults.ts";
import { htmlAnswer, type HttpAnswer } from "./http_answer.ts";
import type { Realm } from "./bearer.ts";
import type { Version, World } from "./route.ts";
import { type ControllerState, createState } from "./state.ts";

/** How a stand-in is started. */
export interface ControllerOptions {
  /** @default a free one */
  readonly port?: number | undefined;
  /** @default "127.0.0.1" */
  readonly hostname?: string | undefined;
  /** State of an earlier stand-in. @default empty */
  readonly state?: ControllerState | undefined;
  /** For tokens and time stamps. */
  readonly clock?: Clock | undefined;
  /** Life of a token in milliseconds, added again with each use. @default 3600000 */
  readonly tokenTtlMs?: number | undefined;
  /** The dialect, and what `/status` says. @default "3.0.4" */
  readonly version?: Version | undefined;
  /** Whose tokens 3.7.3 takes. @default none: it refuses everybody */
  readonly realm?: Realm | undefined;
}

/** A request that came in, in a form to compare with the recordings in `tests/golden`. Holds passwords and tokens: in memory only. */
export interface ReceivedRequest {
  readonly method: string;
  /** With `/api/v3`, without query. */
  readonly path: string;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  /** As it was sent, before any rendering; undefined where there was none, or none that could be read. */
  readonly body: unknown;
  /** HTTP status of the answer; 0 where a fault let none out. */
  readonly answered: number;
}

/** A running stand-in. */
export interface Controller {
  /** E.g. `http://127.0.0.1:40123`. */
  readonly url: string;
  readonly port: number;
  /** Live: a test may read and change it. */
  readonly state: ControllerState;
  /** Oldest first; a request is added when its answer has been decided. */
  readonly requests: readonly ReceivedRequest[];
  forgetRequests(): void;
  /** Sets a fault; the function returned removes it. */
  breakAt(fault: Fault): () => void;
  clearFaults(): void;
  /** Every token that is known answers "token expired" from now on. */
  expireTokens(): void;
  /** Empties the database, as after the loss of its volume. */
  forgetEverything(): void;
  /** Refuses connections, and resets the ones that are open, until `comeUp`. */
  goDown(): Promise<void>;
  comeUp(): Promise<void>;
  /** Ends it; requests that hang are reset. The state stays usable. */
  close(): Promise<void>;
}

/** Starts a stand-in and returns when it answers. */
export async function startController(options: ControllerOptions = {}): Promise<Controller> {
  const controller = new StandIn(options);
  await controller.comeUp();
  return controller;
}

class StandIn implements Controller {
  readonly state: ControllerState;
  readonly requests: ReceivedRequest[] = [];
  readonly #hostname: string;
  readonly #world: World;
  readonly #faults = new Faults();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port: number;

  constructor(options: ControllerOptions) {
    const clock = options.clock ?? systemClock;
    this.state = options.state ?? createState();
    this.#hostname = options.hostname ?? "127.0.0.1";
    this.#port = options.port ?? 0;
    this.#world = {
      state: this.state,
      clock,
      version: options.version ?? "3.0.4",
      realm: options.realm,
      tokenTtlMs: options.tokenTtlMs ?? 3_600_000,
      startedAt: clock.monotonic(),
    };
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.keepAliveTimeout = 5_000;
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  get url(): string {
    return `http://${this.#hostname}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  forgetRequests(): void {
    this.requests.length = 0;
  }

  breakAt(fault: Fault): () => void {
    return this.#faults.add(fault);
  }

  clearFaults(): void {
    this.#faults.clear();
  }

  expireTokens(): void {
    for (const token of this.state.tokens) token.expiresAt = this.#world.clock.now() - 1;
  }

  forgetEverything(): void {
    Object.assign(this.state, createState());
  }

  async goDown(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async comeUp(): Promise<void> {
    if (this.#server.listening) return;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, this.#hostname, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  close(): Promise<void> {
    return this.goDown();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = incoming;
    try {
      const request = await this.#read(incoming);
      const fault = this.#faults.next(request.method, request.path.replace(/^\/api\/v3/i, ""));
      const received = {
        method: request.method,
        path: request.path,
        contentType: request.headers["content-type"],
        authorization: request.headers.authorization,
      };
      if (fault?.type === "reset" || fault?.type === "answer") {
        const body = parsedOrUndefined(request.body);
        const answered = fault.type === "answer" ? fault.status : 0;
        this.requests.push({ ...received, body, answered });
        return fault.type === "answer" ? send(response, madeUp(fault)) : void socket.resetAndDestroy();
      }
      if (fault?.type === "hang") {
        await this.#hang(fault.ms, socket);
        // A client that gave up is served all the same, as by the real one; a process that ended serves nobody.
        if (!this.#server.listening) return;
      }
      const { answer, bodyJson } = await answerRequest(request, this.#world);
      const answered = fault?.type === "drop" ? 0 : answer.status;
      this.requests.push({ ...received, body: bodyJson, answered });
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
    await this.#world.clock.sleep(ms, gone.signal);
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
