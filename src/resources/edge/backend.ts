/**
 * Reads and writes what the custom resources of the edge have in a Controller.
 *
 * One sweep reads everything, once for all custom resources: at most every ten seconds, or ten times as long as it took,
 * and at once after our own writes. Writes go one at a time. After a write that failed, nothing is done before another
 * sweep: what was asked for may have come about all the same.
 */

import type { Clock } from "../../clock.ts";
import type { CommonCalls } from "../../controller/calls.ts";
import { DEFAULT_ROLE, type EdgeDialect, edgeDialectOf } from "../../controller/edge.ts";
import { ControllerError } from "../../controller/errors.ts";
import type {
  ExternalChild,
  ExternalObject,
  ExternalState,
  Parent,
  Snapshot,
} from "../../operator/definition.ts";
import { type ExternalBackend, ExternalError } from "../../operator/external.ts";
import { contains } from "../../operator/compare.ts";
import {
  indexed,
  type InventoryEntry,
  isRecorded,
  keyOfExternal,
  readInventory,
} from "../../operator/inventory.ts";
import type { ExternalWrite } from "../../operator/write.ts";
import { VERSION_FACT } from "./assessment.ts";
import { callsOf, SECRET_VALUE, setUpOf } from "./calls.ts";
import * as reasons from "./reasons.ts";
import { prepareTemplates } from "./template.ts";
import {
  AGENT,
  CATALOG_ITEM,
  catalogItemsOf,
  CONTROLLER_CONFIG_MAP,
  CONTROLLER_SECRET,
  type EdgeWorld,
  MICROSERVICE,
  MICROSERVICE_ROLE,
  registriesOf,
  REGISTRY,
  rolesOf,
  TEMPLATE,
  templatesOf,
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
/** The same, while something is awaited there: it is not known yet which Controller it is, or it is still at work. */
const awaitedRestMs = 1_000;
const awaitedRestFactor = 2;
/** Milliseconds after which nobody waits any longer for what 3.7 does behind its answers: it takes seconds. */
const setUpMs = 60_000;

/** What an agent becomes behind the answer of 3.7. */
interface SetUp {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Uuid of the one before, which was lost; see `InventoryEntry`. */
  readonly formerId: string | undefined;
  /** What the Controller warned of before. */
  readonly warning: unknown;
  /** Monotonic milliseconds. */
  readonly until: number;
}

interface Sweep {
  readonly client: CommonCalls;
  readonly world: EdgeWorld;
  readonly marker: string | undefined;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  readonly tookMs: number;
  /** What was read besides, since somebody refers to it; by list, or by name where there is no list. */
  readonly referredTo: Map<string, Promise<readonly ExternalObject[]>>;
}

/** See the module. */
export class EdgeBackend implements ExternalBackend {
  readonly #options: EdgeBackendOptions;
  #sweep: Sweep | undefined;
  /** Whether something was written since the last sweep. */
  #isStale = false;
  #underWay: Promise<Sweep> | undefined;
  #lastWrite: Promise<unknown> = Promise.resolve();
  /** What was written last of what cannot be read back, by the key of the object. */
  readonly #written = new Map<string, string>();
  /** Agents that the Controller is still setting up, by the keys of the objects. */
  readonly #setUp = new Map<string, SetUp>();
  /** Keys of the agents of which it is known whether they are, from what this process wrote or was told. */
  readonly #followed = new Set<string>();

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
      const sweep = await this.#look(access, signal);
      const wanted = new Map(
        children.flatMap((child) => [child, ...child.references ?? []])
          .map((each) => [keyOfExternal(each), each]),
      );
      const own = new Map(children.map((child) => [keyOfExternal(child), child]));
      if (edgeDialectOf(access.version).setsUpLater) this.#resume(sweep, children, snapshot);
      const objects: ExternalObject[] = [];
      for (const [key, each] of wanted) {
        const object = sweep.world.get(key) ?? await this.#referredTo(access, sweep, each, signal);
        if (object !== undefined) objects.push(this.#shown(key, object, own.get(key), parent));
      }
      return {
        phase: "observed",
        objects,
        marker: sweep.marker,
        facts: { [VERSION_FACT]: access.version },
      };
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      return {
        phase: "unreachable",
        reason: error.code === "BadResponse" ? reasons.BAD_RESPONSE : reasons.CONTROLLER_UNREACHABLE,
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
        const whole = await withRole(access.client, dialect, write, signal);
        for (const request of callsOf(whole, { dialect, uuidOf })) {
          await access.client.edge.change({ ...request, abortSignal: signal });
        }
      });
      const key = keyOfExternal(write.child);
      const { written } = write.child.fields;
      if (typeof written === "string") this.#written.set(key, written);
      if (write.verb === "delete") this.#setUp.delete(key);
      else if (dialect.setsUpLater && write.child.kind === AGENT) {
        const formerId = this.#recorded(snapshot)?.get(key)?.formerId;
        this.#await(key, write, formerId);
      }
    } catch (error) {
      if (!(error instanceof ControllerError)) throw error;
      // Whoever deletes what is gone has what it wanted.
      if (write.verb === "delete" && error.code === "NotFoundError") return;
      await this.#removeHalfMade(access, write, error, signal);
      throw new ExternalError(error.message, {
        reason: error.retryable ? reasons.CONTROLLER_UNREACHABLE : reasons.REFUSED,
        retryable: error.retryable || error.code === "Aborted",
        cause: error,
      });
    } finally {
      this.#isStale = true;
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
      throw new ExternalError(message, {
        reason: reasons.CONTROLLER_UNREACHABLE,
        retryable: true,
        cause: error,
      });
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
    const isFresh = this.#sweep?.client === access.client && !this.#isStale && !this.#isOver(this.#sweep);
    if (isFresh && this.#sweep !== undefined) return this.#sweep;
    // Whoever asks meanwhile gets the same answer.
    this.#underWay ??= this.#read(access, signal).finally(() => this.#underWay = undefined);
    return await this.#underWay;
  }

  /** Whether it is time to look again. */
  #isOver({ marker, startedAt, tookMs }: Sweep): boolean {
    const awaits = marker === undefined || this.#setUp.size > 0;
    const [restMs, factor] = awaits
      ? [awaitedRestMs, awaitedRestFactor] as const
      : [sweepRestMs, sweepRestFactor] as const;
    return this.#options.clock.monotonic() >= startedAt + Math.max(restMs, factor * tookMs);
  }

  async #read({ client, version }: ControllerAccess, signal: AbortSignal): Promise<Sweep> {
    const { clock, markerKey } = this.#options;
    const startedAt = clock.monotonic();
    this.#isStale = false;
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
    const tookMs = clock.monotonic() - startedAt;
    const world = worldOf({ dialect, agents, applications, edgeResources });
    for (const key of [...this.#setUp.keys()]) {
      if (this.#isSetUp(key, world)) this.#setUp.delete(key);
    }
    this.#sweep = { client, world, marker, startedAt, tookMs, referredTo: new Map() };
    return this.#sweep;
  }

  /** Something that is only referred to: read where somebody does, once for each sweep. */
  async #referredTo(
    { client, version }: ControllerAccess,
    { referredTo }: Sweep,
    { kind, name }: { readonly kind: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<ExternalObject | undefined> {
    const call = { abortSignal: signal };
    const isNew = edgeDialectOf(version).name === "3.7";
    const once = async (key: string, read: () => Promise<readonly ExternalObject[]>) => {
      const known = referredTo.get(key) ?? read();
      referredTo.set(key, known);
      known.catch(() => referredTo.delete(key));
      return (await known).find((each) => each.name === name);
    };
    const kept = (kept: "secret" | "configMap") =>
      isNew
        ? once(`${kind} ${name}`, async () => {
          const keys = await client.edge.keysOf(kept, name, call);
          return keys === undefined ? [] : [{ kind, name, fields: { keys } }];
        })
        : undefined;
    switch (kind) {
      case TEMPLATE:
        await prepareTemplates();
        return await once(kind, async () => templatesOf(await client.edge.templates(call)));
      case CATALOG_ITEM:
        return await once(kind, async () => catalogItemsOf(await client.edge.catalogItems(call)));
      case REGISTRY:
        return await once(kind, async () => registriesOf(await client.edge.registries(call)));
      case MICROSERVICE_ROLE:
        return isNew ? await once(kind, async () => rolesOf(await client.edge.roles(call))) : undefined;
      case CONTROLLER_SECRET:
        return await kept("secret");
      case CONTROLLER_CONFIG_MAP:
        return await kept("configMap");
      default:
        return undefined;
    }
  }

  /** Waits from now on until an agent is as a write asked for. */
  #await(key: string, write: Pick<ExternalWrite, "child" | "observed">, formerId?: string): void {
    this.#followed.add(key);
    this.#setUp.set(key, {
      formerId,
      fields: setUpOf(write),
      warning: write.observed?.fields["warningMessage"],
      until: this.#options.clock.monotonic() + setUpMs,
    });
  }

  /**
   * Waits as well for what a process before this one asked for: agents that are recorded, were never seen as they should
   * be, and have no router or NATS server yet.
   */
  #resume({ world }: Sweep, children: readonly ExternalChild[], snapshot: Snapshot): void {
    const recorded = this.#recorded(snapshot);
    if (recorded === undefined) return;
    for (const child of children) {
      const key = keyOfExternal(child);
      const observed = world.get(key);
      if (child.kind !== AGENT || observed === undefined || this.#followed.has(key)) continue;
      this.#followed.add(key);
      const entry = recorded.get(key);
      if (entry === undefined || entry.confirmed || !isRecorded(entry, observed)) continue;
      const wanted = setUpOf({ child, observed: undefined });
      const lacks = ["routerMode", "natsMode"].some((mode) =>
        observed.fields[mode] === "none" && wanted[mode] !== "none"
      );
      if (lacks) this.#await(key, { child, observed: undefined });
    }
  }

  #recorded(snapshot: Snapshot): ReadonlyMap<string, InventoryEntry> | undefined {
    const inventory = readInventory(snapshot, { sharedInventoryName: this.#options.markerKey });
    return inventory && indexed(inventory);
  }

  /** Whether nothing more comes of the last write to an agent. */
  #isSetUp(key: string, world: EdgeWorld): boolean {
    const awaited = this.#setUp.get(key);
    if (awaited === undefined || this.#options.clock.monotonic() >= awaited.until) return true;
    const { fields, id } = world.get(key) ?? {};
    // An answer may be older than what was made.
    if (fields === undefined || (id !== undefined && id === awaited.formerId)) return false;
    const { warningMessage } = fields;
    const failed = warningMessage !== undefined && warningMessage !== "HEALTHY" &&
      warningMessage !== awaited.warning;
    return failed || contains(fields, awaited.fields);
  }

  /** An object as the engine may keep it: of values that are secret, only whether they are as desired. */
  #shown(
    key: string,
    object: ExternalObject,
    child: ExternalChild | undefined,
    parent: Parent,
  ): ExternalObject {
    const { secrets = {} } = child ?? {};
    let { fields } = object;
    if (this.#setUp.has(key)) fields = { ...fields, isBeingSetUp: true };
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

/** 3.7 takes the role of a microservice away with every change that does not name it. */
async function withRole(
  { edge }: CommonCalls,
  dialect: EdgeDialect,
  write: ExternalWrite,
  abortSignal: AbortSignal,
): Promise<ExternalWrite> {
  const { child, observed, verb } = write;
  const isOpen = verb === "update" && child.kind === MICROSERVICE && !("serviceAccount" in child.fields);
  if (dialect.name !== "3.7" || !isOpen || observed?.id === undefined) return write;
  const serviceAccount = await edge.roleOf(observed.id, { abortSignal });
  return serviceAccount === undefined || serviceAccount === DEFAULT_ROLE
    ? write
    : { ...write, child: { ...child, fields: { ...child.fields, serviceAccount } } };
}
