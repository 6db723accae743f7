/**
 * What the endpoints of the stand-in are made of: their description, and the check of the token.
 *
 * A failure's HTTP status is looked up per route; what a route does not list is a 500
 * (seen on Controller 3.0.4).
 */

import type { Clock } from "../../src/clock.ts";
import type { ControllerState, User } from "./state.ts";
import { Failure } from "./validation.ts";

/** What a handler may use. */
export interface World {
  readonly state: ControllerState;
  readonly clock: Clock;
  readonly version: string;
  readonly tokenTtlMs: number;
  /** Reading of the monotonic clock at the start of the process. */
  readonly startedAt: number;
}

/** One request, as a handler sees it. */
export interface Call {
  readonly parameters: Readonly<Record<string, string>>;
  /** Parsed, and rendered on a templated route; `{}` where there was none. */
  readonly body: unknown;
  readonly authorization: string | undefined;
}

/** An endpoint. */
export interface Route {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path below `/api/v3` with its parameters as `:name`. */
  readonly path: string;
  readonly success: number;
  /** HTTP status by the failure's name. */
  readonly failures?: Readonly<Record<string, number>>;
  readonly templated?: boolean;
  /** Sends no body, not even with a failure. */
  readonly bodyless?: boolean;
  handle(world: World, call: Call): unknown;
}

/** For routes that know `AuthenticationError` only. */
export const rejected: Readonly<Record<string, number>> = { AuthenticationError: 401 };
export const rejectedOrInvalid: Readonly<Record<string, number>> = { ...rejected, ValidationError: 400 };

/** The user whose token it is. The token's life is lengthened by the whole time-to-live, each time. */
export function authenticated({ state, clock, tokenTtlMs }: World, { authorization }: Call): User {
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
