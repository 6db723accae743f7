/**
 * What the endpoints of the stand-in are made of: their description, and the check of the token.
 *
 * A failure's HTTP status is looked up per route; what a route does not list is a 500
 * (seen on Controller 3.0.4).
 */

import { authorized, type Realm } from "./bearer.ts";
import type { Clock } from "../../src/clock.ts";
import type { AgentRow } from "./edge_state.ts";
import type { ControllerState, User } from "./state.ts";
import { Failure } from "./validation.ts";

/** The Controllers that are played; each has a dialect of its own. */
export type Version = "3.0.4" | "3.7.3";

/** The `data` of a Secret, base64 as Kubernetes has it; undefined where there is none of that name. */
export type SecretReader = (name: string) => Promise<Readonly<Record<string, string>> | undefined>;

/** What a handler may use. */
export interface World {
  readonly state: ControllerState;
  readonly clock: Clock;
  readonly version: Version;
  readonly tokenTtlMs: number;
  /** Whose tokens 3.7.3 takes; without one it takes none, as the real one without Keycloak. */
  readonly realm: Realm | undefined;
  /** Reads Secrets of the namespace that the Controller runs in; undefined where that is not Kubernetes. */
  readonly readSecret: SecretReader | undefined;
  /** How long 3.7.3 takes over what it does behind its answers; it ends with the process. */
  readonly background: { readonly ms: number; readonly ended: AbortSignal };
  /** Reading of the monotonic clock at the start of the process. */
  readonly startedAt: number;
}

/** One request, as a handler sees it. */
export interface Call {
  readonly method: string;
  /** Below `/api/v3`, in lower case. */
  readonly path: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Parsed, and rendered on a templated route; `{}` where there was none. */
  readonly body: unknown;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
}

/** An endpoint. */
export interface Route {
  /** The only dialect that has it. @default both */
  readonly only?: Version;
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path below `/api/v3` with its parameters as `:name`. */
  readonly path: string;
  readonly success: number;
  /** HTTP status by the failure's name. */
  readonly failures?: Readonly<Record<string, number>>;
  readonly templated?: boolean;
  /** Sends no body, not even with a failure. */
  readonly bodyless?: boolean;
  /** The JSON of the answer, or a promise of it. */
  handle(world: World, call: Call): unknown;
}

/** Who asks. */
export interface Caller {
  /** Owner of what is made on 3.0.4; undefined on 3.7.3, where nobody owns anything. */
  readonly userId: number | undefined;
  /** E-mail on 3.0.4, `preferred_username` on 3.7.3. */
  readonly name: string;
}

/** For routes that know `AuthenticationError` only. */
export const rejected: Readonly<Record<string, number>> = { AuthenticationError: 401 };
export const rejectedOrInvalid: Readonly<Record<string, number>> = { ...rejected, ValidationError: 400 };
export const rejectedOrMissing: Readonly<Record<string, number>> = { ...rejected, NotFoundError: 404 };
export const rejectedInvalidOrMissing: Readonly<Record<string, number>> = {
  ...rejectedOrInvalid,
  NotFoundError: 404,
};

/** Now, as the rows have it: RFC 3339 with milliseconds. */
export function timestamp({ clock }: World): string {
  return new Date(clock.now()).toISOString();
}

/** As the Controller makes them for agents and microservices. */
export function newUuid(version: Version): string {
  return version === "3.0.4" ? randomText(32) : crypto.randomUUID();
}

/** Letters and digits. */
export function randomText(length: number): string {
  const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return [...crypto.getRandomValues(new Uint8Array(length))].map((byte) => letters[byte % 62]).join("");
}

/**
 * What the real one takes between looking for a name and writing the row: nothing in it keeps two requests apart, so
 * whoever asks for the same thing at once gets it several times.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

/** Tells an agent, when it asks next, what it has to read again. */
export function mark(world: World, agent: AgentRow, ...changes: readonly string[]): void {
  for (const change of changes) agent.changes[change] = true;
  const now = timestamp(world);
  // While a test's clock stands still, what came after the agent's look would be forgotten with what it saw.
  agent.changedAt = now > agent.changedAt ? now : new Date(Date.parse(agent.changedAt) + 1).toISOString();
}

/**
 * Who asks, in either dialect; every handler of a route that needs a login begins with it.
 *
 * @throws Failure or Refusal as the dialect answers it.
 */
export function authenticated(world: World, call: Call): Caller {
  if (world.version === "3.7.3") return { userId: undefined, name: authorized(world, call).name };
  const { id, email } = loggedIn(world, call);
  return { userId: id, name: email };
}

/** 3.0.4: the user whose token it is. The token's life is lengthened by the whole time-to-live, each time. */
export function loggedIn({ state, clock, tokenTtlMs }: World, { authorization }: Call): User {
  if (authorization === undefined) {
    throw new Failure("Error", 'WHERE parameter "token" has invalid "undefined" value');
  }
  const token = state.tokens.find((token) => token.token === authorization);
  const user = state.users.find((user) => user.id === token?.userId);
  if (token === undefined || user === undefined) {
    throw new Failure("AuthenticationError", "authorization failed");
  }
  if (clock.now() > token.expiresAt) throw new Failure("AuthenticationError", "token expired");
  token.expiresAt += tokenTtlMs;
  return user;
}
