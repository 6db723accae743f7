/** What can be set on an agent and what it reports: schemas and defaults of both dialects. */

import type { Version } from "./route.ts";
import type { BodySchema, PropertySchema } from "./validation.ts";

const text: PropertySchema = { type: "string" };
const amount: PropertySchema = { type: "integer", minimum: 0 };
const flag: PropertySchema = { type: "boolean" };
const port: PropertySchema = { type: "integer", minimum: 1, maximum: 65535 };
const names: PropertySchema = { type: "array", items: { type: "string", minLength: 1 } };
const size: PropertySchema = {
  type: "string",
  pattern: "^[0-9]+\\s*([mM][bB]?|[gG][bB]?|[tT][bB]?)?$",
  maxLength: 32,
};

/** Settings that are columns: schema, and the default of 3.0.4 and of 3.7.3. */
export const settings: Readonly<Record<string, readonly [PropertySchema, unknown, unknown]>> = {
  location: [text, null, ""],
  latitude: [{ type: "number", minimum: -90, maximum: 90 }, null, null],
  longitude: [{ type: "number", minimum: -180, maximum: 180 }, null, null],
  description: [text, null, ""],
  dockerUrl: [text, "unix:///var/run/docker.sock", "unix:///var/run/docker.sock"],
  diskLimit: [amount, 50, 50],
  diskDirectory: [text, "/var/lib/iofog/", "/var/lib/iofog/"],
  memoryLimit: [amount, 4096, 4096],
  cpuLimit: [amount, 80, 80],
  logLimit: [amount, 10, 10],
  logDirectory: [text, "/var/log/iofog/", "/var/log/iofog/"],
  logFileCount: [amount, 10, 10],
  statusFrequency: [amount, 10, 10],
  changeFrequency: [amount, 20, 20],
  deviceScanFrequency: [amount, 20, 20],
  bluetoothEnabled: [flag, false, false],
  watchdogEnabled: [flag, true, false],
  abstractedHardwareEnabled: [flag, false, false],
  dockerPruningFrequency: [amount, 1, 0],
  availableDiskThreshold: [amount, 20, 20],
  logLevel: [text, "INFO", "INFO"],
  timeZone: [text, null, "Etc/UTC"],
};

/** The same, of 3.7.3 alone. */
export const newSettings: Readonly<Record<string, readonly [PropertySchema, unknown]>> = {
  networkInterface: [text, "dynamic"],
  containerEngine: [{ type: "string", enum: ["docker", "podman"] }, "docker"],
  deploymentType: [{ type: "string", enum: ["native", "container"] }, "native"],
  edgeGuardFrequency: [{}, 0],
  gpsScanFrequency: [{}, 60],
};

/** What is only reported, with the value before the first report. */
const reported: Readonly<Record<string, unknown>> = {
  lastActive: 0,
  daemonOperatingDuration: 0,
  daemonLastStart: 0,
  repositoryCount: 0,
  systemTime: 0,
  lastStatusTime: 0,
  processedMessages: 0,
  lastCommandTime: 0,
  memoryUsage: 0,
  diskUsage: 0,
  cpuUsage: 0,
  memoryViolation: null,
  diskViolation: null,
  cpuViolation: null,
  systemTotalCpu: null,
  securityStatus: "OK",
  securityViolationInfo: "No violation",
  catalogItemStatus: null,
  repositoryStatus: null,
  ipAddress: "0.0.0.0",
  ipAddressExternal: "0.0.0.0",
  catalogItemMessageCounts: null,
  messageSpeed: 0,
  version: null,
  isReadyToUpgrade: true,
  isReadyToRollback: false,
  tunnel: "",
};
const reportedBefore: Readonly<Record<Version, Readonly<Record<string, unknown>>>> = {
  "3.0.4": { daemonStatus: "UNKNOWN", gpsMode: null, networkInterface: "eth0" },
  "3.7.3": {
    daemonStatus: "NOT_PROVISIONED",
    gpsMode: null,
    gpsDevice: null,
    gpsStatus: null,
    activeVolumeMounts: 0,
    volumeMountLastUpdate: 0,
    warningMessage: "HEALTHY",
  },
};

const identity: Readonly<Record<string, PropertySchema>> = {
  name: { type: "string", minLength: 1 },
  ...Object.fromEntries(Object.entries(settings).map(([name, [schema]]) => [name, schema])),
  fogType: { type: "integer", minimum: 0, maximum: 2 },
  isSystem: flag,
  routerMode: { enum: ["none", "edge", "interior"] },
  messagingPort: port,
  interRouterPort: port,
  edgeRouterPort: port,
  host: text,
  tags: { type: "array", items: text },
  upstreamRouters: names,
  networkRouter: text,
};
const nats: Readonly<Record<string, PropertySchema>> = {
  natsMode: { enum: ["none", "leaf", "server"] },
  natsServerPort: port,
  natsLeafPort: port,
  natsClusterPort: port,
  natsMqttPort: port,
  natsHttpPort: port,
  jsStorageSize: size,
  jsMemoryStoreSize: size,
  upstreamNatsServers: names,
};
const properties = {
  "3.0.4": identity,
  "3.7.3": {
    ...identity,
    ...Object.fromEntries(Object.entries(newSettings).map(([name, [schema]]) => [name, schema])),
    ...nats,
  },
};

/** Columns of an agent of which nothing has been said or heard. */
export function defaultColumns(version: Version): Record<string, unknown> {
  const at = version === "3.0.4" ? 1 : 2;
  const both = Object.entries(settings).map(([name, setting]) => [name, setting[at]]);
  const added = version === "3.0.4"
    ? []
    : Object.entries(newSettings).map(([name, [, value]]) => [name, value]);
  return { ...Object.fromEntries([...both, ...added]), ...reported, ...reportedBefore[version] };
}

/** Schemas of a creation and of a change. */
export function agentSchemas(version: Version): { readonly create: BodySchema; readonly update: BodySchema } {
  return {
    create: schemaOf(version, "iofogCreate", ["host"], ["name", "fogType"]),
    update: schemaOf(version, "iofogUpdate", [], []),
  };
}

/** An interior router's ports and host go together with its mode. */
function schemaOf(
  version: Version,
  kind: string,
  edgeNeeds: readonly string[],
  required: readonly string[],
): BodySchema {
  const mode = (mode: string, required: readonly string[] = []): PropertySchema => ({
    properties: { routerMode: { const: mode } },
    required,
  });
  return {
    id: `/${kind}`,
    type: "object",
    properties: properties[version],
    anyOf: [
      mode("interior", ["interRouterPort", "edgeRouterPort", "host"]),
      mode("edge", edgeNeeds),
      mode("none"),
    ],
    required,
  };
}

export const filters: PropertySchema = {
  type: "array",
  items: {
    type: "object",
    properties: { key: text, value: text, condition: { enum: ["has", "equals"] } },
    required: ["key", "value", "condition"],
  },
};

/** A body that has been validated. */
export interface AgentBody {
  readonly name?: string;
  readonly fogType?: number;
  readonly host?: string;
  readonly isSystem?: boolean;
  readonly latitude?: number;
  readonly longitude?: number;
  readonly tags?: readonly string[];
  readonly routerMode?: "none" | "edge" | "interior";
  readonly messagingPort?: number;
  readonly interRouterPort?: number;
  readonly edgeRouterPort?: number;
  readonly upstreamRouters?: readonly string[];
  readonly networkRouter?: string;
  readonly natsMode?: "none" | "leaf" | "server";
  readonly [other: string]: unknown;
}
