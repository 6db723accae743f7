/**
 * Reads and writes what a PoT ControlPlane owns in its Controller and its Keycloak: the default router, the NATS hub,
 * the certificate authorities, the viewer's root URL, and the planted id of the inventory; and reads what NATS needs.
 *
 * Guarantees: reads before it writes; an authority in the Controller is never replaced; no message holds a secret or
 * token. What Keycloak has against the operator is a fact that the status tells, and no failure of the Controller.
 */

import { otherGeneration } from "../../../controller/edge.ts";
import type { KeycloakClient, KeycloakClientOptions } from "../../../controller/keycloak.ts";
import type { NatsHubAddress, PotControllerClient } from "../../../controller/pot_client.ts";
import { ControllerError, isForbidden, KeycloakError } from "../../../controller/errors.ts";
import type { NatsAccount, NatsBootstrap } from "../../../controller/schemas.ts";
import type { Clock } from "../../../clock.ts";
import type {
  ExternalChild,
  ExternalObject,
  ExternalState,
  Parent,
  Snapshot,
} from "../../../operator/definition.ts";
import { type ExternalBackend, ExternalError } from "../../../operator/external.ts";
import { markerKind } from "../../../operator/inventory.ts";
import type { ExternalWrite } from "../../../operator/write.ts";
import { decodeBase64 } from "../../child.ts";
import type { ControllerLocation } from "../iofog/backend.ts";
import type { ControllerAccess, NoAccess } from "../../edge/backend.ts";
import * as reasons from "../reasons.ts";
import { controllerCa, controllerServerName } from "./controller.ts";
import {
  authoritiesOf,
  AUTHORITY,
  type AuthorityFields,
  authorityFields,
  DEFAULT_ROUTER,
  type Details,
  facts,
  NATS_HUB,
  VIEWER_CLIENT,
} from "./external.ts";
import { askNatsServers, type NatsMonitorOptions } from "./nats_monitor.ts";
import { authVersion, resolveReferences } from "./references.ts";
import type { RouterEndpoint } from "./router.ts";
import { type ControlPlaneSpec, parseSpec } from "./schema.ts";

export interface PotBackendOptions {
  readonly clock: Clock;
  readonly locate: (parent: Parent, snapshot: Snapshot, signal: AbortSignal) => Promise<ControllerLocation>;
  readonly connectKeycloak: (
    options: Pick<KeycloakClientOptions, "url" | "realm" | "clientId" | "clientSecret" | "caPem">,
  ) => KeycloakClient;
  readonly connect: (
    options: {
      readonly baseUrl: string;
      readonly caPem: string | undefined;
      /** The name that its certificate is for, where that is not the host of `baseUrl`. */
      readonly serverName: string | undefined;
      readonly keycloak: KeycloakClient;
    },
  ) => PotControllerClient;
  /** URL of a NATS server's monitor. @default inside of the cluster */
  readonly natsMonitorAt?: NatsMonitorOptions["addressOf"];
}

/** Milliseconds for which the answer to the bootstrap, which is full of secrets, is not asked for again. */
const bootstrapRestMs = 30_000;
/** Milliseconds until Keycloak is asked for the viewer's client again, where it did not tell. */
const viewerRetryMs = 60_000;

interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** The operator's own place at Keycloak. */
interface Login {
  /** What it was made of; never shown. */
  readonly key: string;
  readonly keycloak: KeycloakClient;
}

interface Connection extends Login {
  readonly url: string;
  readonly client: PotControllerClient;
  /** What `GET /status` tells; undefined while nobody is logged in. */
  version: string | undefined;
  /** Whether it was seen with every authority. Where an agent comes before, it makes others under their names. */
  hasAuthorities: boolean;
  /** Fingerprints by name, and what the list said of them then. */
  readonly authorities: Map<string, { readonly listed: string; readonly fields: AuthorityFields }>;
  bootstrap: { readonly answer: NatsBootstrap; readonly askAt: number } | undefined;
  /** Why Keycloak did not tell of the viewer's client with this name. */
  viewer: { readonly name: string; readonly refusal: Refusal; readonly askAt: number } | undefined;
}

/** See the module. */
export class PotBackend implements ExternalBackend {
  readonly #options: PotBackendOptions;
  readonly #logins = new Map<string, Login>();
  readonly #connections = new Map<string, Connection>();

  constructor(options: PotBackendOptions) {
    this.#options = options;
  }

  async observe(
    parent: Parent,
    children: readonly ExternalChild[],
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<ExternalState> {
    const spec = specOf(parent, snapshot);
    if (spec === undefined) return { phase: "unknown", objects: [], facts: {} };
    // A Controller that is away may be so because of what it was told of Keycloak.
    const [state, proof] = await Promise.all([
      this.#observe(parent, children, spec, snapshot, signal),
      this.#prove(parent, spec, snapshot, signal),
    ]);
    return { ...state, facts: { ...state.facts, ...proof } };
  }

  /** Whether Keycloak lets the operator in as the spec says. */
  async #prove(
    parent: Parent,
    spec: ControlPlaneSpec,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>>> {
    const version = authVersion(parent, spec, snapshot);
    try {
      await this.#logIn(parent, spec).keycloak.accessToken({ abortSignal: signal });
      return { [facts.provedAuth]: version };
    } catch (error) {
      // Why not is told by whoever needs it.
      if (error instanceof TypeError || error instanceof ControllerError) return {};
      throw error;
    }
  }

  async #observe(
    parent: Parent,
    children: readonly ExternalChild[],
    spec: ControlPlaneSpec,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<ExternalState> {
    const location = await this.#options.locate(parent, snapshot, signal);
    if (!("url" in location)) return { phase: "unreachable", ...location, objects: [], facts: {} };
    try {
      const connection = this.#connect(parent, location.url, spec, snapshot);
      const status = await connection.client.status({ abortSignal: signal });
      const known = { [facts.controllerVersion]: status.versions.controller };
      const message = otherGeneration(status.versions.controller, "PoT", location.url);
      if (message !== undefined) {
        connection.version = undefined;
        return { ...unreachable(reasons.OTHER_GENERATION, message), facts: known };
      }
      try {
        await connection.keycloak.accessToken({ abortSignal: signal });
        connection.version = status.versions.controller;
        return await this.#look(parent, connection, children, { known, snapshot, spec }, signal);
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) throw error;
        connection.version = undefined;
        return {
          phase: "observed",
          objects: [],
          unread: [...new Set(children.map(({ kind }) => kind))],
          facts: { ...known, [facts.loginReason]: refusal.reason, [facts.loginMessage]: refusal.message },
        };
      }
    } catch (error) {
      if (error instanceof TypeError) {
        return unreachable("InvalidAddress", `${error.message}: correct spec.auth.url, or the certificates`);
      }
      if (!(error instanceof ControllerError)) throw error;
      return unreachable(
        reasonOf(error),
        `the Controller at ${location.url} cannot be used: ${error.message}${remedyOf(error)}`,
      );
    }
  }

  async write(parent: Parent, write: ExternalWrite, snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const spec = specOf(parent, snapshot);
    const location = await this.#options.locate(parent, snapshot, signal);
    if (spec === undefined || !("url" in location)) {
      const { reason, message } = "url" in location
        ? { reason: reasons.NOT_ASKED, message: "the spec has just changed" }
        : location;
      throw new ExternalError(message, { reason, retryable: true });
    }
    const connection = this.#connect(parent, location.url, spec, snapshot);
    try {
      await this.#write(connection, write, signal);
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      const refusal = refusalOf(error);
      throw new ExternalError(refusal?.message ?? error.message, {
        reason: refusal?.reason ?? (error.retryable ? reasonOf(error) : reasons.REFUSED),
        retryable: error.retryable || error.code === "Aborted",
        cause: error,
      });
    }
  }

  /** The Controller of a ControlPlane, for what else is kept there; undefined before a login. */
  access(parentUid: string): ControllerAccess | NoAccess | undefined {
    const { client, hasAuthorities, url, version } = this.#connections.get(parentUid) ?? {};
    if (client === undefined || url === undefined || version === undefined) return undefined;
    if (hasAuthorities) return { client, url, version };
    return {
      reason: reasons.NOT_ASKED,
      message:
        "the Controller has not got its certificate authorities yet, and would make others for an agent: see " +
        "condition AuthoritiesImported of the ControlPlane",
    };
  }

  /** Closes every connection. */
  close(): void {
    for (const { client } of this.#connections.values()) client.close();
    for (const { keycloak } of this.#logins.values()) keycloak.close();
    this.#connections.clear();
    this.#logins.clear();
  }

  async #look(
    parent: Parent,
    connection: Connection,
    children: readonly ExternalChild[],
    { known, snapshot, spec }: {
      readonly known: Readonly<Record<string, string>>;
      readonly snapshot: Snapshot;
      readonly spec: ControlPlaneSpec;
    },
    signal: AbortSignal,
  ): Promise<ExternalState> {
    const { client } = connection;
    const call = { abortSignal: signal };
    const objects: ExternalObject[] = [];
    const wanted = (kind: string) => children.find((child) => child.kind === kind);
    const router = await client.router(call);
    if (router !== undefined) {
      objects.push({ kind: DEFAULT_ROUTER, name: "default-router", fields: { ...router } });
    }
    const hub = wanted(NATS_HUB) && await client.natsHub(call);
    if (hub !== undefined) objects.push({ kind: NATS_HUB, name: "nats-hub", fields: { ...hub } });
    if (wanted(AUTHORITY)) objects.push(...await this.#lookAtAuthorities(connection, children, signal));
    const found = new Set(objects.filter(({ kind }) => kind === AUTHORITY).map(({ name }) => name));
    connection.hasAuthorities ||= authoritiesOf(spec).every(({ authority }) => found.has(authority));
    const marker = wanted(markerKind);
    const id = marker && await client.config(marker.name, call);
    if (marker !== undefined && id !== undefined) {
      objects.push({ kind: markerKind, name: marker.name, fields: { id } });
    }
    const nats = spec.nats.enabled
      ? await this.#lookAtNats(parent, connection, snapshot, signal)
      : { details: {}, facts: {} };
    const viewer = wanted(VIEWER_CLIENT);
    const shown = viewer && await this.#lookAtViewer(connection, viewer, signal);
    if (shown !== undefined && "kind" in shown) objects.push(shown);
    const refusal = shown !== undefined && "reason" in shown ? shown : undefined;
    return {
      phase: "observed",
      objects,
      ...(refusal && { unread: [VIEWER_CLIENT] }),
      facts: {
        ...known,
        ...nats.facts,
        ...(refusal && { [facts.viewerReason]: refusal.reason, [facts.viewerMessage]: refusal.message }),
      },
      details: nats.details,
      secrets: secretsOf(nats.details),
    };
  }

  /** What the list does not show as changed is not asked for again: the answer has the private key in it. */
  async #lookAtAuthorities(
    { authorities, client }: Connection,
    children: readonly ExternalChild[],
    signal: AbortSignal,
  ): Promise<readonly ExternalObject[]> {
    const call = { abortSignal: signal };
    const listed = new Map(
      (await client.certificateAuthorities(call)).map((
        each,
      ) => [each.name, `${each.subject} ${each.valid_to}`]),
    );
    const objects: ExternalObject[] = [];
    for (const { kind, name, fields } of children) {
      if (kind !== AUTHORITY) continue;
      const entry = listed.get(name);
      const cached = authorities.get(name);
      // One that is wrong may be replaced by one with the same name and end.
      if (
        cached !== undefined && cached.listed === entry && cached.fields.fingerprint === fields["fingerprint"]
      ) {
        objects.push({ kind, name, fields: { ...cached.fields } });
        continue;
      }
      authorities.delete(name);
      const authority = entry === undefined ? undefined : await client.certificateAuthority(name, call);
      if (entry === undefined || authority === undefined) continue;
      const found = authorityFields(authority.certificatePem);
      authorities.set(name, { listed: entry, fields: found });
      objects.push({ kind, name, fields: { ...found } });
    }
    return objects;
  }

  async #lookAtNats(
    parent: Parent,
    connection: Connection,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<{ readonly details: Details; readonly facts: Readonly<Record<string, string>> }> {
    const { clock, natsMonitorAt } = this.#options;
    const call = { abortSignal: signal };
    const asking = { clock, ...(natsMonitorAt && { addressOf: natsMonitorAt }) };
    const health = { natsHealth: await askNatsServers(parent, snapshot, signal, asking) };
    try {
      if (connection.bootstrap === undefined || clock.monotonic() >= connection.bootstrap.askAt) {
        const answer = await connection.client.natsBootstrap(call);
        connection.bootstrap = { answer, askAt: clock.monotonic() + bootstrapRestMs };
      }
      const natsAccounts: readonly NatsAccount[] = await connection.client.natsAccounts(call);
      return { details: { natsBootstrap: connection.bootstrap.answer, natsAccounts, ...health }, facts: {} };
    } catch (error) {
      if (!(error instanceof ControllerError) || isAboutLogin(error)) throw error;
      const { message, reason } = refusalOf(error) ?? { message: error.message, reason: reasonOf(error) };
      return { details: { ...health }, facts: { [facts.natsReason]: reason, [facts.natsMessage]: message } };
    }
  }

  /** Keycloak may not let the operator see it, or not have it: then nothing is tried, and it is asked again later. */
  async #lookAtViewer(
    connection: Connection,
    { name }: ExternalChild,
    signal: AbortSignal,
  ): Promise<ExternalObject | Refusal> {
    const { clock } = this.#options;
    const { viewer } = connection;
    if (viewer?.name === name && clock.monotonic() < viewer.askAt) return viewer.refusal;
    try {
      const rootUrl = await connection.keycloak.rootUrl(name, { abortSignal: signal });
      connection.viewer = undefined;
      return { kind: VIEWER_CLIENT, name, fields: { rootUrl: rootUrl ?? "" } };
    } catch (error) {
      const refusal = error instanceof KeycloakError ? refusalOf(error) : undefined;
      if (refusal === undefined) throw error;
      connection.viewer = { name, refusal, askAt: clock.monotonic() + viewerRetryMs };
      return refusal;
    }
  }

  async #write(connection: Connection, { child, verb }: ExternalWrite, signal: AbortSignal): Promise<void> {
    const { client, keycloak } = connection;
    const call = { abortSignal: signal };
    switch (child.kind) {
      case DEFAULT_ROUTER:
        return await client.setRouter(child.fields as unknown as RouterEndpoint, call);
      case NATS_HUB:
        return await client.setNatsHub(child.fields as unknown as NatsHubAddress, call);
      case AUTHORITY:
        if (verb !== "create") throw new TypeError(`an authority of the Controller is never replaced`);
        return await client.importCertificateAuthority(child.name, call);
      case VIEWER_CLIENT:
        await keycloak.setRootUrl(child.name, String(child.fields["rootUrl"]), call);
        connection.viewer = undefined;
        return;
      case markerKind:
        return await client.setConfig(child.name, String(child.fields["id"]), call);
      default:
        throw new TypeError(`no such kind in the Controller: ${child.kind}`);
    }
  }

  /** @throws TypeError where the address or the certificate of Keycloak is unusable */
  #logIn({ metadata: { uid } }: Parent, { auth }: ControlPlaneSpec): Login {
    const options = {
      url: auth.url,
      realm: auth.realm,
      clientId: auth.controllerClient,
      clientSecret: auth.controllerSecret,
      caPem: auth.ca,
    };
    const key = JSON.stringify(options);
    const known = this.#logins.get(uid);
    if (known?.key === key) return known;
    // What is closed never comes back, also where another cannot be made.
    this.#connections.get(uid)?.client.close();
    this.#connections.delete(uid);
    known?.keycloak.close();
    this.#logins.delete(uid);
    const login = { key, keycloak: this.#options.connectKeycloak(options) };
    this.#logins.set(uid, login);
    return login;
  }

  /** @throws TypeError where an address or a certificate of the spec is unusable */
  #connect(parent: Parent, baseUrl: string, spec: ControlPlaneSpec, snapshot: Snapshot): Connection {
    const { uid } = parent.metadata;
    const login = this.#logIn(parent, spec);
    const caPem = controllerCa(parent, snapshot);
    const serverName = controllerServerName(parent, snapshot, baseUrl);
    const key = JSON.stringify([baseUrl, caPem, serverName]);
    const known = this.#connections.get(uid);
    if (known?.key === key) return known;
    known?.client.close();
    this.#connections.delete(uid);
    const connection: Connection = {
      key,
      url: baseUrl,
      version: undefined,
      client: this.#options.connect({ baseUrl, caPem, serverName, keycloak: login.keycloak }),
      keycloak: login.keycloak,
      hasAuthorities: false,
      authorities: new Map(),
      bootstrap: undefined,
      viewer: undefined,
    };
    this.#connections.set(uid, connection);
    return connection;
  }
}

function specOf(parent: Parent, snapshot: Snapshot): ControlPlaneSpec | undefined {
  const parsed = parseSpec(parent.spec);
  if (!("spec" in parsed)) return undefined;
  const resolved = resolveReferences(parsed.spec, snapshot);
  return "spec" in resolved ? resolved.spec : undefined;
}

function unreachable(reason: string, message: string): ExternalState {
  return { phase: "unreachable", reason, message, objects: [], facts: {} };
}

function secretsOf({ natsBootstrap }: Details): readonly string[] {
  if (natsBootstrap === undefined) return [];
  return [
    natsBootstrap.operatorSeed,
    natsBootstrap.sysUserCredsBase64,
    decodeBase64(natsBootstrap.sysUserCredsBase64),
  ];
}

/** Whether it says that the operator may do nothing, and not only this. */
function isAboutLogin(error: ControllerError): boolean {
  return error instanceof KeycloakError || error.code === "TokenRefused" || error.code === "Aborted";
}

/** What Keycloak or the Controller has against the operator itself; undefined for all else. */
function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof ControllerError) || error.code === "Aborted" || error instanceof ExternalError) {
    return undefined;
  }
  if (error instanceof KeycloakError) {
    return {
      reason: keycloakReasons[error.code] ?? reasonOf(error),
      message: `${error.message}${remedyOf(error)}`,
    };
  }
  if (error.code === "TokenRefused") {
    return {
      reason: reasons.TOKEN_REFUSED,
      message: `${error.message}. Set spec.auth to the realm and the key that the Controller trusts`,
    };
  }
  if (!isForbidden(error)) return undefined;
  const said = error.message.replace(/\.$/, "");
  return {
    reason: reasons.ACCESS_DENIED,
    message: `${said}. Give the service account of client spec.auth.controllerClient the role that the ` +
      "Controller wants",
  };
}

const keycloakReasons: Readonly<Record<string, string>> = {
  InvalidClient: reasons.INVALID_CREDENTIALS,
  RealmNotFound: reasons.REALM_NOT_FOUND,
  OtherIssuer: reasons.OTHER_ISSUER,
  Refused: reasons.REFUSED,
  Forbidden: reasons.ACCESS_DENIED,
  ClientNotFound: reasons.CLIENT_NOT_FOUND,
  Unreachable: reasons.KEYCLOAK_UNREACHABLE,
  DeadlineExceeded: reasons.KEYCLOAK_UNREACHABLE,
};

function reasonOf({ code }: ControllerError): string {
  switch (code) {
    case "BadResponse":
      return reasons.BAD_RESPONSE;
    case "Untrusted":
      return reasons.NOT_TRUSTED;
    case "Forbidden":
      return reasons.ACCESS_DENIED;
    default:
      return reasons.CONTROLLER_UNREACHABLE;
  }
}

/** What to do about it, after a full stop. */
function remedyOf(error: ControllerError): string {
  const ofKeycloak = error instanceof KeycloakError;
  switch (error.code) {
    case "InvalidClient":
      return ". Correct spec.auth.controllerClient and spec.auth.controllerSecret, or the key that spec.auth.controllerSecretRef " +
        "names, and let the client have a service account";
    case "RealmNotFound":
      return ". Correct spec.auth.realm";
    case "OtherIssuer":
      return ". Set spec.auth.url and spec.auth.realm to what Keycloak calls itself";
    case "ClientNotFound":
      return ". Correct spec.auth.viewerClient";
    case "Forbidden":
      return ofKeycloak ? ". Give its service account the role manage-clients of realm-management" : "";
    case "BadResponse":
      return ofKeycloak ? ". Check that spec.auth.url is the address of a Keycloak" : "";
    case "Untrusted":
      return ofKeycloak
        ? ". Name the authority of Keycloak's certificate in spec.auth.caSecretRef, by the name of its Secret and the key"
        : ". Put the authority of its certificate into ca.crt of the Secret in spec.controller.secretName, and let the " +
          "certificate be for the name above";
    case "Unreachable":
    case "DeadlineExceeded":
      return ofKeycloak ? ". Correct spec.auth.url, or have Keycloak answer there" : "";
    default:
      return "";
  }
}
