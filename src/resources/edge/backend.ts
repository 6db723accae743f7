/**
 * Reads and writes what the custom resources of the edge have in a Controller.
 *
 * One sweep reads everything, once for all custom resources: at most every ten seconds, or ten times as long as it took,
 * and at once after our own writes. Writes go one at a time. After a write that failed, nothing is done before another
 * sweep: what was asked for may have come about all the same.
 */

import type { Clock } from "../../clock.ts";
import type { CommonCalls } from "../../controller/calls.ts";
import { edgeDialectOf } from "../../controller/edge.ts";
import { ControllerError } from "../../controller/errors.ts";
import type {
  ExternalChild,
  ExternalObject,
  ExternalState,
  Parent,
  Snapshot,
} from "../../operator/definition.ts";
import { type ExternalBackend, ExternalError } from "../../operator/external.ts";
import { keyOfExternal } from "../../operator/inventory.ts";
import type { ExternalWrite } from "../../operator/write.ts";
import { VERSION_FACT } from "./assessment.ts";
import { callsOf, SECRET_VALUE } from "./calls.ts";
import * as reasons from "./reasons.ts";
import {
  AGENT,
  APPLICATION,
  EDGE_RESOURCE,
  EDGE_RESOURCE_LINK,
  type EdgeWorld,
  MICROSERVICE,
  ROUTE,
  worldOf,
} from "./world.ts";

/** A Controller that is logged in to. */
export interface ControllerAccess {
  readonly client: CommonCalls;
  /** As `GET /status` tells it. */
  readonly version: string;
  readonly url: string;
  /** Where agents reach it. @default url */
  readonly endpoint?: string;
}

/** Why there is none; the message tells what to do. */
export interface NoAccess {
  readonly reason: string;
  readonly message: string;
}

export interface EdgeBackendOptions {
  readonly clock: Clock;
  /** The Controller of the namespace. */
  readonly access: (snapshot: Snapshot) => ControllerAccess | NoAccess;
  /** Key of the Controller's configuration under which the inventory's id is planted. */
  readonly markerKey: string;
}

/** Milliseconds between two sweeps, and how much longer than a sweep that has to be. */
const sweepRestMs = 10_000;
const sweepRestFactor = 10;

interface Sweep {
  readonly client: CommonCalls;
  readonly world: EdgeWorld;
  readonly marker: string | undefined;
  /** Monotonic milliseconds from which on it is taken again. */
  readonly until: number;
}

/** See the module. */
export class EdgeBackend implements ExternalBackend {
  readonly #options: EdgeBackendOptions;
  #sweep: Sweep | undefined;
  #underWay: Promise<Sweep> | undefined;
  #lastWrite: Promise<unknown> = Promise.resolve();
  /** What was written last of what cannot be read back, by the key of the object. */
  readonly #written = new Map<string, string>();

  constructor(options: EdgeBackendOptions) {
    this.#options = options;
  }

  async observe(
    parent: Parent,
    children: readonly ExternalChild[],
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<ExternalState> {
    const access = this.#options.access(snapshot);
    if (!("client" in access)) return { phase: "unreachable", ...access, objects: [], facts: {} };
    try {
      const { marker, world } = await this.#look(access, signal);
      const wanted = new Set(children.flatMap((child) => [keyOfExternal(child), ...relatedTo(child)]));
      const own = new Map(children.map((child) => [keyOfExternal(child), child]));
      const objects = [...wanted].flatMap((key) => {
        const object = world.get(key);
        return object === undefined ? [] : [this.#shown(object, own.get(key), parent)];
      });
      return { phase: "observed", objects, marker, facts: { [VERSION_FACT]: access.version } };
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      return {
        phase: "unreachable",
        reason: error.code === "BadResponse" ? "BadResponse" : "ControllerUnreachable",
        message: `the Controller at ${access.url} cannot be used: ${error.message}`,
        objects: [],
        facts: {},
      };
    }
  }

  async find(
    wanted: readonly { readonly kind: string; readonly name: string }[],
    marker: string,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<readonly ExternalObject[] | undefined> {
    const access = this.#options.access(snapshot);
    if (!("client" in access)) return undefined;
    try {
      const sweep = await this.#look(access, signal);
      if (sweep.marker !== marker) return undefined;
      return wanted.map((each) => sweep.world.get(keyOfExternal(each))).filter((object) =>
        object !== undefined
      );
    } catch (error) {
      if (error instanceof ControllerError) return undefined;
      throw error;
    }
  }

  async write(
    _: Parent | undefined,
    write: ExternalWrite,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<void> {
    const access = this.#options.access(snapshot);
    if (!("client" in access)) {
      throw new ExternalError(access.message, { reason: access.reason, retryable: true });
    }
    const dialect = edgeDialectOf(access.version);
    const uuidOf = (agent: string) => this.#sweep?.world.get(keyOfExternal({ kind: AGENT, name: agent }))?.id;
    try {
      await this.#alone(async () => {
        for (const request of callsOf(write, { dialect, uuidOf })) {
          await access.client.edge.change({ ...request, abortSignal: signal });
        }
      });
      const { written } = write.child.fields;
      if (typeof written === "string") this.#written.set(keyOfExternal(write.child), written);
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      // Whoever deletes what is gone has what it wanted.
      if (write.verb === "delete" && error.code === "NotFoundError") return;
      await this.#removeHalfMade(access, write, error, signal);
      throw new ExternalError(error.message, {
        reason: error.retryable ? "ControllerUnreachable" : reasons.REFUSED,
        retryable: error.retryable || error.code === "Aborted",
        cause: error,
      });
    } finally {
      this.#sweep = undefined;
    }
  }

  /**
   * Everything that the Controller holds for the edge.
   *
   * @throws ExternalError
   */
  async world(snapshot: Snapshot, signal: AbortSignal): Promise<EdgeWorld> {
    const access = this.#options.access(snapshot);
    if (!("client" in access)) {
      throw new ExternalError(access.message, { reason: access.reason, retryable: true });
    }
    try {
      return (await this.#look(access, signal)).world;
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      const message = `the Controller at ${access.url} cannot be used: ${error.message}`;
      throw new ExternalError(message, { reason: "ControllerUnreachable", retryable: true, cause: error });
    }
  }

  /** Makes a key to provision an agent with: what its Secret holds. */
  async provideKey(
    uuid: string,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>>> {
    const access = this.#options.access(snapshot);
    if (!("client" in access)) {
      throw new ExternalError(access.message, { reason: access.reason, retryable: true });
    }
    const made = await this.#alone(() => access.client.edge.provisioningKey(uuid, { abortSignal: signal }));
    const values = {
      uuid,
      provisioningKey: made.key,
      expirationTime: `${made.expirationTime}`,
      controllerURL: `${(access.endpoint ?? access.url).replace(/\/$/, "")}/api/v3`,
      ...(made.caCert ? { caCert: made.caCert } : {}),
    };
    return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, btoa(value)]));
  }

  /** A refused creation of a microservice leaves one behind that holds the name and some ports. */
  async #removeHalfMade(
    { client }: ControllerAccess,
    { child, verb }: ExternalWrite,
    error: ControllerError,
    signal: AbortSignal,
  ): Promise<void> {
    if (child.kind !== MICROSERVICE || verb === "delete" || error.status === 0) return;
    const [application, name] = child.name.split("/");
    try {
      const applications = await client.edge.applications({ abortSignal: signal });
      const left = applications.find((each) => each.name === application)?.microservices
        ?.find((each) => each.name === name && (each.status === null || each.status === undefined));
      if (left === undefined) return;
      await client.edge.change({
        method: "DELETE",
        route: "/microservices/:uuid",
        parameters: { uuid: left.uuid },
        abortSignal: signal,
      });
    } catch (error) {
      // The next look finds it, as not complete.
      if (!(error instanceof ControllerError)) throw error;
    }
  }

  async #look(access: ControllerAccess, signal: AbortSignal): Promise<Sweep> {
    const { clock } = this.#options;
    const { client } = access;
    if (this.#sweep?.client === client && clock.monotonic() < this.#sweep.until) return this.#sweep;
    // Whoever asks meanwhile gets the same answer.
    this.#underWay ??= this.#read(access, signal).finally(() => this.#underWay = undefined);
    return await this.#underWay;
  }

  async #read({ client, version }: ControllerAccess, signal: AbortSignal): Promise<Sweep> {
    const { clock, markerKey } = this.#options;
    const startedAt = clock.monotonic();
    const call = { abortSignal: signal };
    const dialect = edgeDialectOf(version);
    const [agents, applications, listed, marker] = await Promise.all([
      client.edge.agents(dialect, call),
      client.edge.applications(call),
      client.edge.edgeResources(call),
      client.config(markerKey, call),
    ]);
    const names = [...new Set(listed.map(({ name }) => name))];
    const whole = dialect.readsEdgeResources
      ? (await Promise.all(names.map((name) => client.edge.edgeResource(name, call)))).flat()
      : [];
    const edgeResources = listed.map((row) =>
      whole.find(({ name, version }) => name === row.name && version === row.version) ?? row
    );
    const now = clock.monotonic();
    this.#sweep = {
      client,
      world: worldOf({ dialect, agents, applications, edgeResources }),
      marker,
      until: startedAt + Math.max(sweepRestMs, sweepRestFactor * (now - startedAt)),
    };
    return this.#sweep;
  }

  /** An object as the engine may keep it: of values that are secret, only whether they are as desired. */
  #shown(object: ExternalObject, child: ExternalChild | undefined, parent: Parent): ExternalObject {
    const { secrets = {} } = child ?? {};
    let { fields } = object;
    if (object.kind === MICROSERVICE && Object.keys(secrets).length > 0) {
      const env = (fields["env"] as readonly { readonly key: string; readonly value?: unknown }[])
        .map((item) => {
          const secret = secrets[item.key];
          if (secret === undefined) return item;
          return { key: item.key, value: item.value === secret ? SECRET_VALUE : "another value" };
        });
      fields = { ...fields, env };
    }
    if (child?.fields["written"] !== undefined && fields["endpoints"] === undefined) {
      const { written } = (parent.status ?? {}) as { readonly written?: string };
      const known = this.#written.get(keyOfExternal(object)) ?? written ?? "not known";
      fields = { ...fields, endpoints: child.fields["endpoints"], written: known };
    }
    return fields === object.fields ? object : { ...object, fields };
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastWrite.then(work, work);
    this.#lastWrite = result.catch(() => {});
    return result;
  }
}

/** Keys of what has to be known besides an object, to say whether it can be written. */
function relatedTo({ fields, kind, name }: ExternalChild): readonly string[] {
  const agent = (name: unknown) => keyOfExternal({ kind: AGENT, name: `${name}` });
  const [application = ""] = name.split("/");
  switch (kind) {
    case AGENT:
      return [...(fields["upstreamRouters"] ?? []) as string[], fields["networkRouter"]].map(agent);
    case EDGE_RESOURCE_LINK: {
      const parts = name.split("/");
      return [
        agent(parts.slice(0, -2).join("/")),
        keyOfExternal({ kind: EDGE_RESOURCE, name: parts.slice(-2).join("/") }),
      ];
    }
    case MICROSERVICE:
      return [agent(fields["agentName"]), keyOfExternal({ kind: APPLICATION, name: application })];
    case ROUTE:
      return [fields["from"], fields["to"]].map((end) =>
        keyOfExternal({ kind: MICROSERVICE, name: `${application}/${end}` })
      );
    default:
      return [];
  }
}
