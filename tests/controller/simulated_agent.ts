/**
 * An agent without a device: it provisions itself with a key, runs nothing, and reports what a real one would. It
 * speaks HTTP only, so it can be let loose on any Controller of its generation.
 */

import { Buffer } from "node:buffer";
import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { type Clock, systemClock } from "../../src/clock.ts";

/** How an agent is made. */
export interface AgentOptions {
  /** E.g. `http://127.0.0.1:51121`. */
  readonly url: string;
  /** From `GET /iofog/:uuid/provisioning-key`. */
  readonly key: string;
  /** @default "x86" */
  readonly architecture?: "x86" | "arm" | undefined;
  /** Of the agent's software. @default "3.0.1" */
  readonly version?: string | undefined;
  /** @default "10.0.0.1" */
  readonly ipAddress?: string | undefined;
  /** Its own; the Controller believes it. */
  readonly clock?: Clock | undefined;
  /** Sends the requests. @default `fetch` */
  readonly fetch?: typeof fetch | undefined;
}

/** What a container is said to do. */
export interface ContainerReport {
  readonly status: string;
  readonly percentage?: number;
  readonly errorMessage?: string;
}

/** A microservice as the Controller gives it to an agent. */
interface Assigned {
  readonly uuid: string;
  readonly name?: string;
  readonly imageId: string;
  readonly rebuild: boolean;
}

/** A provisioned agent. Between its reports it does nothing, so that it goes silent by not being asked. */
export class SimulatedAgent {
  /** Microservices by uuid that it was given last, with the container that stands for each. */
  readonly containers = new Map<string, { readonly imageId: string; readonly containerId: string }>();
  /** How many containers it has started: each one is an outage of what it replaces. */
  started = 0;
  /** Those that were taken away since the last report. */
  #stopped: string[] = [];
  #reports: (microservice: Assigned) => ContainerReport = () => ({ status: "RUNNING", percentage: 100 });
  #settings: Readonly<Record<string, unknown>> = {};
  readonly #startedAt: number;

  private constructor(
    readonly uuid: string,
    readonly options: AgentOptions,
    /** A token of 3.0.4, or a private key of 3.7.3. */
    readonly credential: { readonly token: string } | { readonly privateKey: string },
  ) {
    this.#startedAt = this.#now();
  }

  /**
   * Takes the identity that the key stands for.
   *
   * @throws Error with the Controller's answer when it refuses
   */
  static async provision(options: AgentOptions): Promise<SimulatedAgent> {
    const type = options.architecture === "arm" ? 2 : 1;
    const answer = await ask(options, "POST", "/agent/provision", undefined, { type, key: options.key });
    const { uuid, token, privateKey } = answer as { uuid: string; token?: string; privateKey?: string };
    const credential = token === undefined ? { privateKey: privateKey ?? "" } : { token };
    return new SimulatedAgent(uuid, options, credential);
  }

  /** What it says of each microservice from now on. @default RUNNING at 100 % */
  say(report: (microservice: { readonly uuid: string; readonly imageId: string }) => ContainerReport): void {
    this.#reports = report;
  }

  /** Puts these figures into its reports, e.g. `{ memoryViolation: true }`. */
  feel(settings: Readonly<Record<string, unknown>>): void {
    this.#settings = settings;
  }

  /** Reads what changed, starts and stops what it has to, and reports. */
  async turn(): Promise<void> {
    const changes = await this.#ask("GET", "/agent/config/changes") as Record<string, unknown>;
    const { microserviceList, microserviceConfig, routing } = changes;
    if (microserviceList || microserviceConfig || routing || this.containers.size === 0) await this.#run();
    await this.#ask("PATCH", "/agent/config/changes", { lastUpdated: changes.lastUpdated });
    await this.report();
  }

  /** Reports, without looking for changes. */
  async report(): Promise<void> {
    const now = this.#now();
    const { ipAddress = "10.0.0.1", version = "3.0.1" } = this.options;
    const microserviceStatus = [...this.containers].map(([id, { imageId, containerId }]) => ({
      ...{ id, containerId, startTime: this.#startedAt, operatingDuration: now - this.#startedAt },
      ...{ cpuUsage: 0.1, memoryUsage: 1_000_000 },
      ...this.#reports({ uuid: id, imageId, rebuild: false }),
    }));
    const stopped = this.#stopped.splice(0).map((id) => ({ id, containerId: "", status: "STOPPED" }));
    await this.#ask("PUT", "/agent/status", {
      ...{ daemonStatus: "RUNNING", daemonOperatingDuration: now - this.#startedAt, lastStatusTime: now },
      ...{
        daemonLastStart: this.#startedAt,
        systemTime: now,
        ipAddress,
        ipAddressExternal: ipAddress,
        version,
      },
      ...{ memoryUsage: 100, diskUsage: 1, cpuUsage: 5, memoryViolation: false, diskViolation: false },
      ...{ cpuViolation: false, systemAvailableDisk: 1_000_000, systemAvailableMemory: 1_000_000 },
      ...{ systemTotalCpu: 5, repositoryCount: 2, repositoryStatus: "[]", warningMessage: "HEALTHY" },
      microserviceStatus: JSON.stringify([...microserviceStatus, ...stopped]),
      ...this.#settings,
    });
  }

  /** Changes a setting of its own, as the command on the device does. */
  async configure(settings: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#ask("PATCH", "/agent/config", settings);
  }

  /** Gives its identity back. */
  async deprovision(): Promise<void> {
    await this.#ask("POST", "/agent/deprovision", { microserviceUuids: [...this.containers.keys()] });
  }

  async #run(): Promise<void> {
    const { microservices } = await this.#ask("GET", "/agent/microservices") as { microservices: Assigned[] };
    const wanted = new Set(microservices.map(({ uuid }) => uuid));
    for (const uuid of this.containers.keys()) {
      if (wanted.has(uuid)) continue;
      this.containers.delete(uuid);
      this.#stopped.push(uuid);
    }
    for (const { uuid, imageId, rebuild } of microservices) {
      const running = this.containers.get(uuid);
      if (running?.imageId === imageId && !rebuild) continue;
      this.containers.set(uuid, { imageId, containerId: randomUUID().replaceAll("-", "") });
      this.started++;
    }
  }

  #now(): number {
    return (this.options.clock ?? systemClock).now();
  }

  #ask(method: string, path: string, body?: unknown): Promise<unknown> {
    return ask(this.options, method, path, this.#authorization(), body);
  }

  /** 3.7.3 takes each token once. */
  #authorization(): string {
    if ("token" in this.credential) return this.credential.token;
    const key = JSON.parse(Buffer.from(this.credential.privateKey, "base64").toString());
    const seconds = Math.floor(this.#now() / 1000);
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = { sub: this.uuid, iat: seconds, exp: seconds + 600, jti: randomUUID() };
    const signed = `${part({ alg: "EdDSA", typ: "JWT" })}.${part(claims)}`;
    const signature = sign(null, Buffer.from(signed), createPrivateKey({ key, format: "jwk" }));
    return `Bearer ${signed}.${signature.toString("base64url")}`;
  }
}

async function ask(
  { url, fetch: send = fetch }: AgentOptions,
  method: string,
  path: string,
  authorization: string | undefined,
  body: unknown,
): Promise<unknown> {
  const response = await send(`${url}/api/v3${path}`, {
    method,
    headers: {
      ...(authorization === undefined ? {} : { authorization }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} of an agent: ${response.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}
