/**
 * Reads and writes what a ControlPlane owns in its Controller: the user, the default router, and the planted id of the
 * inventory.
 *
 * Guarantees: reads before it writes; a login that was refused is not tried again with the same password for a while;
 * no message holds a password or token.
 */

import type { Clock } from "../../clock.ts";
import type { ControllerClient } from "../../controller/client.ts";
import {
  ControllerError,
  isAccountExists,
  isInvalidCredentials,
  isOldPasswordIncorrect,
} from "../../controller/errors.ts";
import type { Credentials } from "../../controller/session.ts";
import type {
  ExternalChild,
  ExternalObject,
  ExternalState,
  Parent,
  Snapshot,
} from "../../operator/definition.ts";
import { type ExternalBackend, ExternalError } from "../../operator/external.ts";
import { markerKind } from "../../operator/inventory.ts";
import type { ExternalWrite } from "../../operator/write.ts";
import { facts } from "./desired.ts";
import { DEFAULT_ROUTER, USER } from "./external.ts";
import type { RouterEndpoint } from "./router.ts";
import * as reasons from "./reasons.ts";

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

/** Milliseconds until a refused login is tried again with the same password. */
const refusedLoginRetryMs = 30_000;

interface Connection {
  readonly url: string;
  readonly client: ControllerClient;
  loggedInAs: Credentials | undefined;
  refused: { readonly credentials: Credentials; readonly at: number } | undefined;
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
      const user = children.find((child) => child.kind === USER);
      const others = children.filter((child) => child.kind !== USER).map((child) => child.kind);
      if (user === undefined || !await this.#logIn(connection, credentialsOf(user), signal)) {
        return { phase: "observed", objects: [], unread: others, facts: known };
      }
      const objects: ExternalObject[] = [];
      const profile = await client.profile(call);
      const { email, firstName, lastName } = profile;
      objects.push({
        kind: USER,
        name: user.name,
        fields: { email, firstName, lastName, authenticated: true },
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
        facts: { ...known, [facts.authenticatedGeneration]: String(parent.metadata.generation ?? 0) },
      };
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      if (isInvalidCredentials(error)) connection.loggedInAs = undefined;
      return {
        phase: "unreachable",
        reason: error.code === "BadResponse" ? "BadResponse" : "ControllerUnreachable",
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
      await this.#write(connection, write, signal);
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      throw new ExternalError(error.message, {
        reason: error.retryable ? "ControllerUnreachable" : reasons.REFUSED,
        retryable: error.retryable || error.code === "Aborted",
        cause: error,
      });
    }
  }

  /** Closes every connection. */
  close(): void {
    for (const { client } of this.#connections.values()) client.close();
    this.#connections.clear();
  }

  async #write(connection: Connection, { child, verb }: ExternalWrite, signal: AbortSignal): Promise<void> {
    const { client } = connection;
    const call = { abortSignal: signal };
    switch (child.kind) {
      case USER: {
        const { firstName, lastName } = child.fields as { firstName: string; lastName: string };
        if (verb === "update") return await client.updateProfile({ firstName, lastName }, call);
        return await this.#establish(connection, child, { firstName, lastName }, signal);
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
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = connection;
    const call = { abortSignal: signal };
    const wanted = credentialsOf(child);
    try {
      await client.signUp({ ...names, ...wanted }, call);
    } catch (error) {
      if (!isAccountExists(error)) throw error;
      await this.#changePassword(connection, wanted, child.secrets?.["previousPassword"], signal);
    }
    connection.refused = undefined;
    await client.login(wanted, call);
    connection.loggedInAs = wanted;
  }

  async #changePassword(
    connection: Connection,
    wanted: Credentials,
    previous: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = connection;
    const call = { abortSignal: signal };
    try {
      if (previous === undefined) return await client.login(wanted, call);
      await client.login({ email: wanted.email, password: previous }, call);
      await client.changePassword({ oldPassword: previous, newPassword: wanted.password }, call);
    } catch (error) {
      if (!isInvalidCredentials(error) && !isOldPasswordIncorrect(error)) throw error;
      throw new ExternalError(
        `the Controller has a user ${wanted.email} with another password: set spec.user.password to that one, or ` +
          "change it in the Controller to the one in spec.user.password",
        { reason: reasons.INVALID_CREDENTIALS, retryable: false, cause: error },
      );
    }
  }

  /** Returns whether the Controller accepts the credentials. */
  async #logIn(connection: Connection, credentials: Credentials, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    if (isSame(connection.loggedInAs, credentials)) return true;
    const { refused } = connection;
    if (
      isSame(refused?.credentials, credentials) &&
      clock.monotonic() - (refused?.at ?? 0) < refusedLoginRetryMs
    ) {
      return false;
    }
    try {
      await connection.client.login(credentials, { abortSignal: signal });
      connection.loggedInAs = credentials;
      connection.refused = undefined;
      return true;
    } catch (error) {
      if (!isInvalidCredentials(error)) throw error;
      connection.loggedInAs = undefined;
      connection.refused = { credentials, at: clock.monotonic() };
      return false;
    }
  }

  #connect(parent: Parent, url: string): Connection {
    const known = this.#connections.get(parent.metadata.uid);
    if (known?.url === url) return known;
    known?.client.close();
    const connection = { url, client: this.#options.connect(url), loggedInAs: undefined, refused: undefined };
    this.#connections.set(parent.metadata.uid, connection);
    return connection;
  }
}

function credentialsOf(user: ExternalChild): Credentials {
  return { email: user.name, password: user.secrets?.["password"] ?? "" };
}

function isSame(one: Credentials | undefined, other: Credentials): boolean {
  return one?.email === other.email && one.password === other.password;
}
