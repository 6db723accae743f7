/**
 * Reads and writes what a ControlPlane owns in its Controller: the user, the default router, and the planted id of the
 * inventory.
 *
 * Guarantees: reads before it writes; a login that was refused is not tried again with the same password for a while;
 * no message holds a password or token.
 */

import type { Clock } from "../../../clock.ts";
import type { ControllerClient } from "../../../controller/client.ts";
import {
  ControllerError,
  isAccountExists,
  isInvalidCredentials,
  isOldPasswordIncorrect,
} from "../../../controller/errors.ts";
import { otherGeneration } from "../../../controller/edge.ts";
import type { Credentials } from "../../../controller/session.ts";
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
import type { ControllerAccess } from "../../edge/backend.ts";
import { establishedEmail, facts } from "./desired.ts";
import { ACCEPTED, DEFAULT_ROUTER, REFUSED, USER } from "./external.ts";
import type { RouterEndpoint } from "./router.ts";
import * as reasons from "../reasons.ts";
import { parseSpec } from "./schema.ts";

/** Where a Controller is, or why it cannot be said; the message tells what to do. */
export type ControllerLocation = { readonly url: string } | {
  readonly reason: string;
  readonly message: string;
};

export interface ControllerBackendOptions {
  readonly clock: Clock;
  readonly locate: (parent: Parent, snapshot: Snapshot, signal: AbortSignal) => Promise<ControllerLocation>;
  readonly connect: (url: string) => ControllerClient;
}

/** Milliseconds until a refused login is tried again with the same password: doubled each time, up to the longest. */
const refusedLoginRetryMs = 30_000;
const longestRefusedLoginRetryMs = 300_000;

interface Connection {
  readonly url: string;
  readonly client: ControllerClient;
  /** What it said of its version last. */
  version?: string | undefined;
  loggedInAs: Credentials | undefined;
  /** What the Controller last accepted: the way back where our Secret has not followed yet. */
  accepted: Credentials | undefined;
  refused:
    | { readonly credentials: Credentials; readonly retryAt: number; readonly waitMs: number }
    | undefined;
}

/** See the module. */
export class ControllerBackend implements ExternalBackend {
  readonly #options: ControllerBackendOptions;
  readonly #connections = new Map<string, Connection>();

  constructor(options: ControllerBackendOptions) {
    this.#options = options;
  }

  async observe(
    parent: Parent,
    children: readonly ExternalChild[],
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<ExternalState> {
    const location = await this.#options.locate(parent, snapshot, signal);
    if (!("url" in location)) return { phase: "unreachable", ...location, objects: [], facts: {} };
    const connection = this.#connect(parent, location.url);
    const { client } = connection;
    const call = { abortSignal: signal };
    try {
      const status = await client.status(call);
      const known = { controllerVersion: status.versions.controller };
      const message = otherGeneration(known.controllerVersion, "ioFog", location.url);
      connection.version = message === undefined ? known.controllerVersion : undefined;
      if (message !== undefined) {
        return { phase: "unreachable", reason: reasons.OTHER_GENERATION, message, objects: [], facts: known };
      }
      const user = children.find((child) => child.kind === USER);
      const others = children.filter((child) => child.kind !== USER).map((child) => child.kind);
      if (user === undefined || !await this.#logIn(connection, credentialsOf(user), signal)) {
        // One that was there before most likely still is, with another password.
        const objects = user !== undefined && establishedEmail(snapshot) === user.name
          ? [{ kind: USER, name: user.name, fields: { ...user.fields, password: REFUSED } }]
          : [];
        return { phase: "observed", objects, unread: others, facts: known };
      }
      const objects: ExternalObject[] = [];
      const profile = await client.profile(call);
      const { email, firstName, lastName } = profile;
      objects.push({
        kind: USER,
        name: user.name,
        fields: { email, firstName, lastName, password: ACCEPTED },
      });
      const router = others.includes(DEFAULT_ROUTER) ? await client.router(call) : undefined;
      if (router !== undefined) {
        objects.push({ kind: DEFAULT_ROUTER, name: "default-router", fields: { ...router } });
      }
      const marker = children.find((child) => child.kind === markerKind);
      const id = marker === undefined ? undefined : await client.config(marker.name, call);
      if (marker !== undefined && id !== undefined) {
        objects.push({ kind: markerKind, name: marker.name, fields: { id } });
      }
      return {
        phase: "observed",
        objects,
        facts: { ...known, [facts.acceptedPassword]: user.secretsVersion ?? "" },
      };
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      if (isInvalidCredentials(error)) connection.loggedInAs = undefined;
      return {
        phase: "unreachable",
        reason: error.code === "BadResponse" ? reasons.BAD_RESPONSE : reasons.CONTROLLER_UNREACHABLE,
        message: `the Controller at ${location.url} cannot be used: ${error.message}`,
        objects: [],
        facts: {},
      };
    }
  }

  async write(parent: Parent, write: ExternalWrite, snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const location = await this.#options.locate(parent, snapshot, signal);
    if (!("url" in location)) {
      throw new ExternalError(location.message, { reason: location.reason, retryable: true });
    }
    const connection = this.#connect(parent, location.url);
    try {
      await this.#write(parent, connection, write, signal);
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      throw new ExternalError(error.message, {
        reason: error.retryable ? reasons.CONTROLLER_UNREACHABLE : reasons.REFUSED,
        retryable: error.retryable || error.code === "Aborted",
        cause: error,
      });
    }
  }

  /** The Controller of a ControlPlane, for what else is kept there; undefined before a login. */
  access(parentUid: string): ControllerAccess | undefined {
    const { client, loggedInAs, url, version } = this.#connections.get(parentUid) ?? {};
    if (client === undefined || url === undefined || version === undefined) return undefined;
    return loggedInAs === undefined ? undefined : { client, url, version };
  }

  /** Closes every connection. */
  close(): void {
    for (const { client } of this.#connections.values()) client.close();
    this.#connections.clear();
  }

  async #write(
    parent: Parent,
    connection: Connection,
    { child, observed, verb }: ExternalWrite,
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = connection;
    const call = { abortSignal: signal };
    switch (child.kind) {
      case USER: {
        const { firstName, lastName } = child.fields as { firstName: string; lastName: string };
        if (verb === "update" && observed?.fields["password"] === ACCEPTED) {
          return await client.updateProfile({ firstName, lastName }, call);
        }
        return await this.#establish(
          connection,
          child,
          { firstName, lastName },
          passwordSource(parent),
          signal,
        );
      }
      case DEFAULT_ROUTER:
        return await client.setRouter(child.fields as unknown as RouterEndpoint, call);
      case markerKind:
        return await client.setConfig(child.name, String(child.fields["id"]), call);
      default:
        throw new TypeError(`no such kind in the Controller: ${child.kind}`);
    }
  }

  /** Signs the user up, or changes the password of the one that is there to what it should be. */
  async #establish(
    connection: Connection,
    child: ExternalChild,
    names: { readonly firstName: string; readonly lastName: string },
    source: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = connection;
    const call = { abortSignal: signal };
    const wanted = credentialsOf(child);
    try {
      await client.signUp({ ...names, ...wanted }, call);
    } catch (error) {
      if (!isAccountExists(error)) throw error;
      await this.#changePassword(
        connection,
        wanted,
        { stored: child.secrets?.["previousPassword"], source },
        signal,
      );
    }
    connection.refused = undefined;
    await client.login(wanted, call);
    this.#noteAccepted(connection, wanted);
  }

  /**
   * From the password of our Secret, or from the one that was last seen to work, to the wanted one.
   *
   * @param source Where a person changes the wanted one.
   */
  async #changePassword(
    connection: Connection,
    wanted: Credentials,
    { stored, source }: { readonly stored: string | undefined; readonly source: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { accepted, client } = connection;
    const call = { abortSignal: signal };
    const remembered = accepted?.email === wanted.email ? accepted.password : undefined;
    const known = new Set([stored, remembered, wanted.password].filter((each) => each !== undefined));
    for (const password of known) {
      try {
        await client.login({ email: wanted.email, password }, call);
        if (password === wanted.password) return;
        return await client.changePassword({ oldPassword: password, newPassword: wanted.password }, call);
      } catch (error) {
        if (!isInvalidCredentials(error) && !isOldPasswordIncorrect(error)) throw error;
      }
    }
    throw new ExternalError(
      `the Controller has a user ${wanted.email} with another password: set ${source} to that one, or change it in ` +
        `the Controller to the one in ${source}`,
      { reason: reasons.INVALID_CREDENTIALS, retryable: false },
    );
  }

  #noteAccepted(connection: Connection, credentials: Credentials): void {
    connection.loggedInAs = credentials;
    connection.accepted = credentials;
    connection.refused = undefined;
  }

  /** Returns whether the Controller accepts the credentials. */
  async #logIn(connection: Connection, credentials: Credentials, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    if (isSame(connection.loggedInAs, credentials)) return true;
    const refused = isSame(connection.refused?.credentials, credentials) ? connection.refused : undefined;
    if (refused !== undefined && clock.monotonic() < refused.retryAt) return false;
    try {
      await connection.client.login(credentials, { abortSignal: signal });
      this.#noteAccepted(connection, credentials);
      return true;
    } catch (error) {
      if (!isInvalidCredentials(error)) throw error;
      connection.loggedInAs = undefined;
      const waitMs = Math.min(2 * (refused?.waitMs ?? refusedLoginRetryMs / 2), longestRefusedLoginRetryMs);
      connection.refused = { credentials, retryAt: clock.monotonic() + waitMs, waitMs };
      return false;
    }
  }

  #connect(parent: Parent, url: string): Connection {
    const known = this.#connections.get(parent.metadata.uid);
    if (known?.url === url) return known;
    known?.client.close();
    // What is closed never comes back, also where another cannot be made.
    this.#connections.delete(parent.metadata.uid);
    const connection: Connection = {
      url,
      client: this.#options.connect(url),
      loggedInAs: undefined,
      accepted: undefined,
      refused: undefined,
    };
    this.#connections.set(parent.metadata.uid, connection);
    return connection;
  }
}

function passwordSource(parent: Parent): string {
  const parsed = parseSpec(parent.spec);
  const reference = "spec" in parsed ? parsed.spec.user.passwordSecretRef : undefined;
  return reference === undefined ? "spec.user.password" : `${reference.key} of Secret ${reference.name}`;
}

function credentialsOf(user: ExternalChild): Credentials {
  return { email: user.name, password: user.secrets?.["password"] ?? "" };
}

function isSame(one: Credentials | undefined, other: Credentials): boolean {
  return one?.email === other.email && one.password === other.password;
}
