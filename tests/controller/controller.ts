/**
 * A stand-in for the ioFog Controller 3.0.4 and for Datasance PoT's 3.7.3: an HTTP server in this process, on loopback.
 *
 * It answers what a control plane asks as the real ones do (`contract_test.ts` holds both to the same exchanges),
 * remembers every request, and breaks on demand. It plays: there is no database and no e-mail behind it, and its agents
 * are simulated (`simulated_agent.ts`). `deno task contract` holds real ones to what it plays of the edge.
 *
 * `startController({ version })` chooses the dialect. A `Route` is in both, unless its `only` names one; a handler asks
 * `world.version` where the two differ, and `authenticated()` for the caller in either. Groups of endpoints have a file
 * `*_routes.ts` each, whose table is spread into `routes.ts`; their rows are fields of `ControllerState`. 3.7.3 takes
 * the tokens of the `realm` that it is given (`tests/keycloak` plays one).
 *
 * Passwords and tokens that it is given or makes are registered for the secret scan of `deno task test`.
 */

import { type Clock, systemClock } from "../../src/clock.ts";
import { makeOwnAuthority } from "./certificate_routes.ts";
import { addAccount, natsOf } from "./nats_routes.ts";
import { answerRequest } from "./answer_request.ts";
import { type DeviceOptions, playDevices } from "./played_devices.ts";
import type { Fault } from "./faults.ts";
import { FaultyServer, type ReceivedRequest } from "./faulty_server.ts";
import type { KeyPair } from "../cluster/certificates.ts";
import type { Realm } from "./bearer.ts";
import type { SecretReader, Version, World } from "./route.ts";
import { type ControllerState, createState } from "./state.ts";

/** How a stand-in is started. */
export interface ControllerOptions {
  /** @default a free one */
  readonly port?: number | undefined;
  /** @default "127.0.0.1" */
  readonly hostname?: string | undefined;
  /** Serves HTTPS with it. @default plain HTTP */
  readonly tls?: KeyPair | undefined;
  /** State of an earlier stand-in. @default empty */
  readonly state?: ControllerState | undefined;
  /** For tokens and time stamps. */
  readonly clock?: Clock | undefined;
  /** Life of a token in milliseconds, added again with each use. @default 3600000 */
  readonly tokenTtlMs?: number | undefined;
  /** The dialect, and what `/status` says. @default "3.0.4" */
  readonly version?: Version | undefined;
  /** How long 3.7.3 takes over what it does behind its answers, in milliseconds; the real one takes seconds. @default 0 */
  readonly backgroundMs?: number | undefined;
  /** Whose tokens 3.7.3 takes. @default none: it refuses everybody */
  readonly realm?: Realm | undefined;
  /** Where 3.7.3 imports authorities from, and whether it gives out its NATS bootstrap. @default not in Kubernetes */
  readonly readSecret?: SecretReader | undefined;
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
  /** Sets a fault, whose path is without `/api/v3`; the function returned removes it. */
  breakAt(fault: Fault): () => void;
  clearFaults(): void;
  /** Every token that has been given out, or on 3.7.3 used, is refused from now on. */
  expireTokens(): void;
  /** 3.7.3: makes an authority of its own, as when an agent is provisioned before one of that name was imported. */
  makeAuthority(name: string): Promise<void>;
  /** 3.7.3: makes a NATS account, as for an application with access; returns its public key and JWT. */
  addNatsAccount(name: string): Promise<{ readonly publicKey: string; readonly jwt: string }>;
  /** Has this many devices stand ready for agents, until it is disposed of. */
  playDevices(options: DeviceOptions): AsyncDisposable;
  /** Empties the database, as after the loss of its volume. */
  forgetEverything(): void;
  /** Puts another Controller's database under the same address. */
  replaceBy(state: ControllerState): void;
  /** Speaks another dialect from now on, over the same database: an upgrade in mid-flight. */
  speak(version: Version): void;
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

class StandIn extends FaultyServer implements Controller {
  readonly state: ControllerState;
  readonly #ended: AbortController;
  readonly #world: { -readonly [Key in keyof World]: World[Key] };

  constructor(options: ControllerOptions) {
    const clock = options.clock ?? systemClock;
    const state = options.state ?? createState();
    const ended = new AbortController();
    const world: World = {
      state,
      clock,
      version: options.version ?? "3.0.4",
      realm: options.realm,
      readSecret: options.readSecret,
      tokenTtlMs: options.tokenTtlMs ?? 3_600_000,
      background: { ms: options.backgroundMs ?? 0, ended: ended.signal },
      startedAt: clock.monotonic(),
    };
    super({
      hostname: options.hostname,
      port: options.port,
      tls: options.tls,
      clock,
      prefix: /^\/api\/v3/i,
      answer: (request) => answerRequest(request, world),
    });
    this.state = state;
    this.#world = world;
    this.#ended = ended;
  }

  expireTokens(): void {
    for (const token of this.state.tokens) token.expiresAt = this.#world.clock.now() - 1;
    this.state.expiredTokens.push(...this.state.takenTokens.splice(0));
  }

  async makeAuthority(name: string): Promise<void> {
    await makeOwnAuthority(this.#world, name);
  }

  async addNatsAccount(name: string): Promise<{ readonly publicKey: string; readonly jwt: string }> {
    return await addAccount(await natsOf(this.state), name);
  }

  playDevices(options: DeviceOptions): AsyncDisposable {
    return playDevices(this.#world, this.url, options);
  }

  forgetEverything(): void {
    Object.assign(this.state, createState());
  }

  replaceBy(state: ControllerState): void {
    Object.assign(this.state, state);
  }

  speak(version: Version): void {
    this.#world.version = version;
  }

  close(): Promise<void> {
    this.#ended.abort();
    return this.goDown();
  }
}
