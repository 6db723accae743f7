/**
 * A stand-in for Keycloak, as a PoT control plane meets it: HTTPS on loopback with an authority of its own.
 *
 * Tokens, keys and discovery come from a real OpenID provider (npm `oidc-provider`) under Keycloak's paths; the query of
 * clients and their update are played. It remembers every request and breaks on demand, as the stand-in Controller does.
 * Secrets and tokens that it is given or makes are registered for the secret scan of `deno task test`.
 */

import { Buffer } from "node:buffer";
import { type Clock, systemClock } from "../../src/clock.ts";
import { createCertificateAuthority } from "../cluster/certificates.ts";
import { type Realm, subjectOf } from "../controller/bearer.ts";
import type { Fault } from "../controller/faults.ts";
import { FaultyServer, type HttpRequest, type ReceivedRequest } from "../controller/faulty_server.ts";
import { type HttpAnswer, jsonAnswer } from "../controller/http_answer.ts";
import { registerSecret } from "../secrets.ts";
import { type Issuing, type OpenIdProvider, startProvider } from "./provider.ts";

/** How a stand-in is started. */
export interface KeycloakOptions {
  /** @default "pot" */
  readonly realm?: string | undefined;
  /** @default "pot-controller" */
  readonly clientId?: string | undefined;
  /** @default one that a form must encode */
  readonly clientSecret?: string | undefined;
  /** @default "ecn-viewer" */
  readonly viewerClient?: string | undefined;
  /** @default a free one */
  readonly port?: number | undefined;
  readonly clock?: Clock | undefined;
}

/** A client of the realm, as far as anybody asks. */
export interface RegisteredClient {
  readonly id: string;
  readonly clientId: string;
  rootUrl?: string;
}

/** A running stand-in. */
export interface Keycloak {
  /** With the slash at its end that the Controller needs, e.g. `https://127.0.0.1:40123/`. */
  readonly url: string;
  /** Whom its certificate is from. */
  readonly caPem: string;
  readonly realm: string;
  readonly clientId: string;
  readonly viewerClient: string;
  /** The base64 of the realm's public key, as `spec.auth.realmKey` has it. */
  readonly realmKey: string;
  /** What the stand-in Controller is told to trust. */
  readonly trusted: Realm;
  /** Live: a test may change what is in the tokens from now on. The secret changes with `changeSecret`. */
  readonly issuing: Issuing;
  /** Live. */
  readonly clients: RegisteredClient[];
  readonly requests: readonly ReceivedRequest[];
  /** The `spec.auth` of a control plane. */
  auth(): Readonly<Record<string, string>>;
  changeSecret(secret: string): Promise<void>;
  /** Has another realm answer for this one from now on, with its own key and name; undefined ends that. */
  answerAs(realm: string | undefined): Promise<void>;
  forgetRequests(): void;
  /** Sets a fault; the function returned removes it. */
  breakAt(fault: Fault): () => void;
  clearFaults(): void;
  goDown(): Promise<void>;
  comeUp(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a stand-in and returns when it answers. */
export async function startKeycloak(options: KeycloakOptions = {}): Promise<Keycloak> {
  const authority = await createCertificateAuthority("keycloak-ca");
  const tls = await authority.issueServer({ dns: ["localhost"], ip: ["127.0.0.1"] });
  const keycloak = new StandIn(options, await realmKeys(), authority.certificatePem, tls);
  await keycloak.comeUp();
  await keycloak.answerAs(undefined);
  return keycloak;
}

/** A token for the controller's client, as the operators get one. */
export async function loginAt(keycloak: Keycloak): Promise<string> {
  using client = Deno.createHttpClient({ caCerts: [keycloak.caPem] });
  const response = await fetch(`${keycloak.url}realms/${keycloak.realm}/protocol/openid-connect/token`, {
    client,
    method: "POST",
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id: keycloak.clientId,
      client_secret: keycloak.issuing.clientSecret,
    }),
  });
  const { access_token: token } = await response.json();
  return registerSecret(token);
}

interface RealmKeys {
  readonly privateKey: JsonWebKey;
  readonly publicKey: string;
}

/** One for all stand-ins of a process: a key takes 200 ms. */
let sharedKeys: Promise<RealmKeys> | undefined;

function realmKeys(): Promise<RealmKeys> {
  return sharedKeys ??= generateKeys();
}

async function generateKeys(): Promise<RealmKeys> {
  const algorithm = {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const spki = await crypto.subtle.exportKey("spki", pair.publicKey);
  return {
    privateKey: await crypto.subtle.exportKey("jwk", pair.privateKey),
    publicKey: Buffer.from(spki).toString("base64"),
  };
}

class StandIn extends FaultyServer implements Keycloak {
  readonly caPem: string;
  readonly realm: string;
  readonly viewerClient: string;
  readonly issuing: Issuing;
  readonly clients: RegisteredClient[];
  readonly #keys: RealmKeys;
  readonly #clock: Clock;
  /** Who answers for the realm. */
  #provider: OpenIdProvider | undefined;
  #providerRealm: string;

  constructor(
    options: KeycloakOptions,
    keys: RealmKeys,
    caPem: string,
    tls: { readonly keyPem: string; readonly certificatePem: string },
  ) {
    const clock = options.clock ?? systemClock;
    super({ port: options.port, clock, tls, answer: (request) => this.#answer(request) });
    const clientId = options.clientId ?? "pot-controller";
    this.caPem = caPem;
    this.realm = options.realm ?? "pot";
    this.#providerRealm = this.realm;
    this.viewerClient = options.viewerClient ?? "ecn-viewer";
    this.#keys = keys;
    this.#clock = clock;
    this.issuing = {
      clientId,
      clientSecret: registerSecret(options.clientSecret ?? `s&cret=+%/${crypto.randomUUID()}`),
      roles: ["admin"],
      adminRoles: ["manage-clients", "view-clients"],
      audience: clientId,
      tokenSeconds: 300,
    };
    this.clients = [clientId, this.viewerClient, "account"]
      .map((clientId) => ({ id: crypto.randomUUID(), clientId }));
  }

  override get url(): string {
    return `${super.url}/`;
  }

  get clientId(): string {
    return this.issuing.clientId;
  }

  get realmKey(): string {
    return this.#keys.publicKey;
  }

  get trusted(): Realm {
    return { issuer: this.#issuer(this.realm), publicKey: this.realmKey, clientId: this.clientId };
  }

  auth(): Readonly<Record<string, string>> {
    return {
      url: this.url,
      realm: this.realm,
      ssl: "external",
      realmKey: this.realmKey,
      controllerClient: this.clientId,
      controllerSecret: this.issuing.clientSecret,
      viewerClient: this.viewerClient,
    };
  }

  async changeSecret(secret: string): Promise<void> {
    this.issuing.clientSecret = registerSecret(secret);
    await this.answerAs(this.#providerRealm);
  }

  async answerAs(realm: string | undefined): Promise<void> {
    await this.#provider?.close();
    this.#providerRealm = realm ?? this.realm;
    const { privateKey } = this.#providerRealm === this.realm ? this.#keys : await generateKeys();
    this.#provider = await startProvider(this.#issuer(this.#providerRealm), privateKey, this.issuing);
  }

  async close(): Promise<void> {
    await this.goDown();
    await this.#provider?.close();
  }

  #issuer(realm: string): string {
    return `${this.url}realms/${realm}`;
  }

  async #answer(request: HttpRequest): Promise<{ readonly answer: HttpAnswer; readonly body: unknown }> {
    const text = new TextDecoder().decode(request.body);
    const isForm = request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
    const body = text === "" ? undefined : isForm ? text : parsedOrUndefined(text);
    const [, kind, realm, rest] = /^\/(realms|admin\/realms)\/([^/]+)(\/.*)$/.exec(request.path) ?? [];
    if (realm === undefined || rest === undefined) {
      return { answer: refusal(404, "HTTP 404 Not Found"), body };
    }
    if (decodeURIComponent(realm) !== this.realm) {
      return { answer: refusal(404, kind === "realms" ? "Realm does not exist" : "Realm not found."), body };
    }
    const answer = kind === "realms"
      ? await this.#askProvider(request, rest)
      : this.#administrate(request, rest, body);
    return { answer, body };
  }

  async #askProvider(request: HttpRequest, rest: string): Promise<HttpAnswer> {
    const { port } = this.#provider!;
    const client = Deno.createHttpClient({ proxy: { transport: "tcp", hostname: "127.0.0.1", port } });
    try {
      const path = `/realms/${this.#providerRealm}${rest}${request.query}`;
      const { host, "content-type": contentType } = request.headers;
      const headers = new Headers({ "x-forwarded-proto": "https" });
      if (host !== undefined) headers.set("x-forwarded-host", host);
      if (contentType !== undefined) headers.set("content-type", contentType);
      const { method } = request;
      const sent = method === "GET" || method === "HEAD" ? {} : { body: withCredentials(request) };
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { client, method, headers, ...sent });
      const text = await response.text();
      if (/"error":\s*"invalid_client"/.test(text)) {
        // The provider's own words for it are others than Keycloak's.
        return refusal(401, "unauthorized_client", "Invalid client or Invalid client credentials");
      }
      const token = /"access_token":\s*"([^"]+)"/.exec(text)?.[1];
      if (token !== undefined) registerSecret(token);
      const type = response.headers.get("content-type") ?? "text/plain";
      return { status: response.status, headers: { "content-type": type }, body: text };
    } finally {
      client.close();
    }
  }

  #administrate(request: HttpRequest, rest: string, body: unknown): HttpAnswer {
    const subject = subjectOf(this.trusted, this.#clock.now(), request.headers.authorization);
    if (subject === undefined) return refusal(401, "HTTP 401 Unauthorized");
    if (!subject.realmManagement.includes("manage-clients")) return refusal(403, "HTTP 403 Forbidden");
    const forEtag = { method: request.method, ifNoneMatch: undefined };
    if (request.method === "GET" && rest === "/clients") {
      const wanted = new URLSearchParams(request.query).get("clientId");
      const found = this.clients.filter(({ clientId }) => wanted === null || clientId === wanted);
      return jsonAnswer(200, found.map((client) => ({ ...client, enabled: true })), forEtag);
    }
    const id = /^\/clients\/([^/]+)$/.exec(rest)?.[1];
    const client = this.clients.find((client) => client.id === id);
    if (id === undefined || request.method !== "PUT") return refusal(404, "HTTP 404 Not Found");
    if (client === undefined) return refusal(404, "Could not find client");
    const { rootUrl } = body as { readonly rootUrl?: string };
    if (rootUrl !== undefined) client.rootUrl = rootUrl;
    return jsonAnswer(204, undefined, forEtag);
  }
}

/** The form, with what stands in the header: Keycloak takes a client's secret from either, and grants what it can. */
function withCredentials({ headers, body }: HttpRequest): URLSearchParams {
  const form = new URLSearchParams(new TextDecoder().decode(body));
  form.delete("scope");
  const basic = /^Basic (\S+)$/i.exec(headers.authorization ?? "")?.[1];
  if (basic === undefined) return form;
  const [id = "", secret = ""] = atob(basic).split(":").map(decodeURIComponent);
  form.set("client_id", id);
  form.set("client_secret", secret);
  return form;
}

function refusal(status: number, error: string, description?: string): HttpAnswer {
  const body = JSON.stringify({
    error,
    ...(description === undefined ? {} : { error_description: description }),
  });
  return { status, headers: { "content-type": "application/json" }, body };
}

function parsedOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
