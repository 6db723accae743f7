/**
 * One user's login at the Controller: who may know the token, and when it is replaced.
 *
 * Guarantees: token and password live in memory only and never in a message; one login or password change is under way
 * at a time; a request whose token is rejected is sent once more after one login with the credentials that worked last.
 * Tokens are opaque and slide (3600 s after each use), so nothing is refreshed ahead of time
 * (seen on Controller 3.0.4).
 */

import { badResponse } from "./answer.ts";
import { ControllerError, isTokenRejected } from "./errors.ts";
import { loginSchema } from "./schemas.ts";
import type { ControllerRequest, ControllerTransport } from "./transport.ts";

/** What a user logs in with. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/** Sends requests in the name of a user. */
export class Session {
  /** The credentials that worked last. */
  #credentials: Credentials | undefined;
  #token: string | undefined;
  #renewal: Promise<void> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly transport: ControllerTransport) {}

  /** Logs in and remembers the credentials; a failure leaves the ones before, and their token, in place. */
  login(credentials: Credentials, abortSignal?: AbortSignal): Promise<void> {
    return this.#alone(() => this.#login(credentials, abortSignal));
  }

  /** Sends `request` with the token; logs in first, or again, where that is needed. */
  async send(request: ControllerRequest): Promise<unknown> {
    const token = this.#token;
    if (token === undefined) {
      await this.#renew(undefined, request);
      return await this.#sendWith(this.#token, request);
    }
    try {
      return await this.#sendWith(token, request);
    } catch (error) {
      if (!isTokenRejected(error)) throw error;
      await this.#renew(token, request);
      return await this.#sendWith(this.#token, request);
    }
  }

  /**
   * Sends `request`, which invalidates every token of the user, and logs in with the new password.
   *
   * Other requests wait with their own login meanwhile, so that none tries the old password.
   */
  replacePassword(request: ControllerRequest, newPassword: string): Promise<void> {
    return this.#alone(async () => {
      const before = this.#remembered(request);
      if (this.#token === undefined) await this.#login(before, request.abortSignal);
      try {
        await this.#sendWith(this.#token, request);
      } catch (error) {
        if (!isTokenRejected(error)) throw error;
        await this.#login(before, request.abortSignal);
        await this.#sendWith(this.#token, request);
      }
      this.#token = undefined;
      this.#credentials = { email: before.email, password: newPassword };
      await this.#login(this.#credentials, request.abortSignal);
    });
  }

  /** Requests whose token was rejected meanwhile share one login, and its failure. */
  #renew(rejected: string | undefined, request: ControllerRequest): Promise<void> {
    // Without the caller's signal: others wait for it too, and it has its own deadline.
    this.#renewal ??= this.#alone(async () => {
      if (this.#token === rejected) await this.#login(this.#remembered(request));
    }).finally(() => this.#renewal = undefined);
    return this.#renewal;
  }

  async #login(credentials: Credentials, abortSignal?: AbortSignal): Promise<void> {
    const request: ControllerRequest = {
      method: "POST",
      route: "/user/login",
      bodyJson: { email: credentials.email, password: credentials.password },
      secrets: [credentials.password],
      abortSignal,
    };
    const answer = loginSchema.safeParse(await this.transport.performRequest(request));
    if (!answer.success) throw badResponse("POST /user/login", 200, "no accessToken in it");
    this.#token = answer.data.accessToken;
    this.#credentials = credentials;
  }

  #sendWith(token: string | undefined, request: ControllerRequest): Promise<unknown> {
    // 3.0.4 wants the bare token: with "Bearer " before it, it answers 401.
    return this.transport.performRequest({ ...request, authorization: token });
  }

  #remembered(request: ControllerRequest): Credentials {
    if (this.#credentials !== undefined) return this.#credentials;
    const text = `${request.method} ${request.route}: nobody has logged in to the Controller yet`;
    throw new ControllerError(text, { status: 0, code: "NotLoggedIn" });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work);
    this.#last = result.catch(() => {});
    return result;
  }
}
