/**
 * The Keycloak that a Controller of 3.7 trusts: tokens for the operator, and the root URL of the viewer's client.
 *
 * Guarantees: client secret and tokens live in memory only and never in a message; a token is asked for once, however
 * many wait for it, and again shortly before it ends; credentials that were refused are not sent again for a while
 * (30 s, doubled up to 5 min); every failure is a `KeycloakError`. A changed secret is a new client.
 */

import { type Clock, systemClock } from "../clock.ts";
import { untilAborted } from "../until_aborted.ts";
import { type CallOptions, parsed } from "./requests.ts";
import { ControllerError, type KeycloakCode, KeycloakError, type TransportCode } from "./errors.ts";
import { keycloakClientsSchema, tokenClaimsSchema, tokenSchema } from "./schemas.ts";
import {
  type ControllerRequest,
  type ControllerTransport,
  createKeycloakTransport,
  type TransportOptions,
} from "./transport.ts";

/** Which Keycloak, and who asks. */
export interface KeycloakClientOptions extends Omit<TransportOptions, "baseUrl"> {
  /** With or without a slash at its end, e.g. `https://keycloak.example.com/`. */
  readonly url: string;
  readonly realm: string;
  /** A confidential client with a service account. */
  readonly clientId: string;
  readonly clientSecret: string;
}

/** One realm, seen by one client. */
export interface KeycloakClient {
  /** A token that is good for some time yet. */
  accessToken(options?: CallOptions): Promise<string>;
  /** Has the next `accessToken` ask for another, unless this has happened since `token` was given out. */
  rejectToken(token: string): void;
  /** What may be said of `token` where the Controller refuses it: issuer and audience, in one sentence that is the same each time. */
  describeToken(token: string): string;
  /** The root URL of the client `clientId`; undefined where it has none. Throws `ClientNotFound` where there is no such client. */
  rootUrl(clientId: string, options?: CallOptions): Promise<string | undefined>;
  setRootUrl(clientId: string, rootUrl: string, options?: CallOptions): Promise<void>;
  /** Closes connections; requests under way are aborted. */
  close(): void;
}

/** Milliseconds before its end at which a token is no longer given out, but at most a fifth of its life. */
const renewBeforeMs = 30_000;
const refusedRetryMs = 30_000;
const longestRefusedRetryMs = 300_000;

/**
 * A client; nothing is sent before the first call.
 *
 * @throws TypeError when the address or the CA is unusable.
 */
export function createKeycloakClient(options: KeycloakClientOptions): KeycloakClient {
  return new Realm(options);
}

class Realm implements KeycloakClient {
  readonly #options: KeycloakClientOptions;
  readonly #clock: Clock;
  readonly #transport: ControllerTransport;
  #token: { readonly value: string; readonly goodUntil: number } | undefined;
  #pending: Promise<string> | undefined;
  #refused: { readonly error: KeycloakError; readonly retryAt: number; readonly waitMs: number } | undefined;

  constructor(options: KeycloakClientOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#transport = createKeycloakTransport({ ...options, baseUrl: options.url });
  }

  async accessToken({ abortSignal }: CallOptions = {}): Promise<string> {
    const now = this.#clock.monotonic();
    if (this.#token !== undefined && now < this.#token.goodUntil) return this.#token.value;
    if (this.#refused !== undefined && now < this.#refused.retryAt) throw this.#refused.error;
    // Without the caller's signal: others wait for it too, and it has its own deadline.
    this.#pending ??= this.#logIn().finally(() => this.#pending = undefined);
    try {
      return await untilAborted(this.#pending, abortSignal ?? neverAborted);
    } catch (error) {
      if (abortSignal?.aborted) throw keycloakError("login at Keycloak: aborted", 0, "Aborted");
      throw error;
    }
  }

  rejectToken(token: string): void {
    if (this.#token?.value === token) this.#token = undefined;
  }

  describeToken(token: string): string {
    const claims = claimsOf(token);
    if (claims === undefined) return "it is no JWT";
    const audience = [claims.aud ?? []].flat().join(", ") || "nobody";
    return `it was issued by ${claims.iss ?? "nobody"} for ${audience}`;
  }

  async rootUrl(clientId: string, options?: CallOptions): Promise<string | undefined> {
    return (await this.#client(clientId, options)).rootUrl || undefined;
  }

  async setRootUrl(clientId: string, rootUrl: string, options?: CallOptions): Promise<void> {
    const { id } = await this.#client(clientId, options);
    await this.#asAdmin({
      ...options,
      method: "PUT",
      route: "/admin/realms/:realm/clients/:id",
      parameters: { realm: this.#options.realm, id },
      // What is left out stays as it is.
      bodyJson: { rootUrl },
    });
  }

  close(): void {
    this.#transport.close();
  }

  async #client(clientId: string, options: CallOptions | undefined) {
    const request: ControllerRequest = {
      ...options,
      method: "GET",
      route: "/admin/realms/:realm/clients",
      parameters: { realm: this.#options.realm },
      query: { clientId },
    };
    const clients = parsed(keycloakClientsSchema, request, await this.#asAdmin(request), asKeycloakError);
    const client = clients.find((each) => each.clientId === clientId);
    if (client !== undefined) return client;
    throw keycloakError(`realm ${this.#options.realm} has no client ${clientId}`, 404, "ClientNotFound");
  }

  /** Renews a token that was rejected once. */
  async #asAdmin(request: ControllerRequest): Promise<unknown> {
    for (let isFirst = true;; isFirst = false) {
      const token = await this.accessToken();
      try {
        return await this.#perform({ ...request, authorization: `Bearer ${token}` });
      } catch (error) {
        if (!(isFirst && error instanceof KeycloakError && error.status === 401)) throw error;
        this.rejectToken(token);
      }
    }
  }

  async #logIn(): Promise<string> {
    const { realm, clientId, clientSecret } = this.#options;
    const request: ControllerRequest = {
      method: "POST",
      route: "/realms/:realm/protocol/openid-connect/token",
      parameters: { realm },
      form: { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret },
      secrets: [clientSecret],
    };
    const askedAt = this.#clock.monotonic();
    try {
      const answer = parsed(tokenSchema, request, await this.#perform(request), asKeycloakError);
      this.#requireIssuer(answer.access_token);
      const lifeMs = answer.expires_in * 1000;
      const goodUntil = askedAt + lifeMs - Math.min(renewBeforeMs, lifeMs / 5);
      this.#token = { value: answer.access_token, goodUntil };
      this.#refused = undefined;
      return answer.access_token;
    } catch (error) {
      if (error instanceof KeycloakError && !error.retryable && error.code !== "Aborted") {
        const before = this.#refused?.waitMs ?? refusedRetryMs / 2;
        const waitMs = Math.min(2 * before, longestRefusedRetryMs);
        this.#refused = { error, waitMs, retryAt: this.#clock.monotonic() + waitMs };
      }
      throw error;
    }
  }

  /** The Controller compares the issuer with the address that it was given, which is ours. */
  #requireIssuer(token: string): void {
    const issuer = claimsOf(token)?.iss;
    const { url, realm } = this.#options;
    const expected = `${url.replace(/\/+$/, "")}/realms/${realm}`;
    if (issuer === undefined || issuer === expected) return;
    const text =
      `Keycloak's token was issued by ${issuer}, and not by ${expected}, which the Controller trusts`;
    throw keycloakError(text, 200, "OtherIssuer");
  }

  async #perform(request: ControllerRequest): Promise<unknown> {
    try {
      return await this.#transport.performRequest(request);
    } catch (error) {
      throw asKeycloakError(error);
    }
  }
}

/** Anything else than a `ControllerError` stays what it is. */
function asKeycloakError(error: unknown): unknown {
  if (!(error instanceof ControllerError) || error instanceof KeycloakError) return error;
  const { message, status, detail, cause } = error;
  return new KeycloakError(message, { status, code: codeOf(error), detail, cause });
}

function codeOf({ code, status, oauthError, detail }: ControllerError): string {
  if (status === 404 && /realm/i.test(detail)) return "RealmNotFound" satisfies KeycloakCode;
  if (oauthError === "invalid_client" || oauthError === "unauthorized_client") {
    return "InvalidClient" satisfies KeycloakCode;
  }
  if (transportCodes.has(code)) return code;
  return (status === 403 ? "Forbidden" : "Refused") satisfies KeycloakCode;
}

const transportCodes: ReadonlySet<string> = new Set<TransportCode>([
  "Unreachable",
  "Untrusted",
  "DeadlineExceeded",
  "BadResponse",
  "Aborted",
]);

const neverAborted = new AbortController().signal;

function keycloakError(message: string, status: number, code: KeycloakCode | TransportCode): KeycloakError {
  return new KeycloakError(message, { status, code });
}

/** Not verified: only to say what is wrong with it. */
function claimsOf(token: string) {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return tokenClaimsSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}
