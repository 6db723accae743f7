/** Bodies of microservices, in both dialects. */

import { type NatsConfig, natsConfigSchema } from "./nats_rules.ts";
import type { Version } from "./route.ts";
import type { BodySchema, PropertySchema } from "./validation.ts";

/** What most names have to look like: a DNS-1123 subdomain of any length. */
export const resourceName: PropertySchema = {
  type: "string",
  pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
};

const text: PropertySchema = { type: "string" };
const integer: PropertySchema = { type: "integer" };
const flag: PropertySchema = { type: "boolean" };
const texts: PropertySchema = { type: "array", items: text };

/** Image for an architecture. */
export const imageSchema: PropertySchema = {
  type: "object",
  properties: { containerImage: text, fogTypeId: { type: "integer", minimum: 1, maximum: 2 } },
  required: ["containerImage", "fogTypeId"],
};

const publicPort: PropertySchema = {
  type: "object",
  properties: {
    enabled: flag,
    schemes: texts,
    protocol: { enum: ["tcp", "http"] },
    router: { type: "object", properties: { host: text, port: { type: "number" } } },
  },
  required: ["schemes", "protocol"],
};

/** A port, as a list of them or `port-mapping` takes it. */
export function portSchema(version: Version): BodySchema {
  return {
    type: "object",
    properties: {
      internal: integer,
      external: integer,
      protocol: { enum: ["tcp", "udp"] },
      ...(version === "3.0.4" ? { public: publicPort, proxy: flag } : {}),
    },
    required: ["internal", "external"],
  };
}

/** A volume, as a list of them or `volume-mapping` takes it. */
export function volumeSchema(version: Version): BodySchema {
  return {
    type: "object",
    properties: {
      hostDestination: text,
      containerDestination: text,
      accessMode: text,
      type: { enum: ["volume", "bind", ...(version === "3.0.4" ? [] : ["volumeMount"])] },
    },
    required: ["hostDestination", "containerDestination", "accessMode"],
  };
}

const env: Readonly<Record<Version, PropertySchema>> = {
  "3.0.4": { type: "object", properties: { key: text, value: text }, required: ["key", "value"] },
  "3.7.3": {
    type: "object",
    properties: { key: text, value: text, valueFromSecret: text, valueFromConfigMap: text },
    required: ["key"],
    oneOf: [{ required: ["value"] }, { required: ["valueFromSecret"] }, { required: ["valueFromConfigMap"] }],
  },
};

const extraHost: PropertySchema = {
  type: "object",
  properties: { name: text, address: text },
  required: ["name", "address"],
};

/** Settings that are columns or lists of their own: schema, and what is there when nothing was said. */
export const options: Readonly<
  Record<Version, Readonly<Record<string, readonly [PropertySchema, unknown]>>>
> = {
  "3.0.4": { rootHostAccess: [flag, false] },
  "3.7.3": {
    annotations: [text, "{}"],
    hostNetworkMode: [flag, false],
    isPrivileged: [flag, false],
    runAsUser: [text, ""],
    platform: [text, ""],
    runtime: [text, ""],
    pidMode: [{}, ""],
    ipcMode: [{}, ""],
    schedule: [{ type: "integer", minimum: 0, maximum: 100 }, 50],
    cpuSetCpus: [text, ""],
    memoryLimit: [integer, null],
    cdiDevices: [texts, []],
    capAdd: [texts, []],
    capDrop: [texts, []],
    healthCheck: [{ type: "object" }, undefined],
  },
};

/** Schemas of a creation and of a change. */
export function microserviceSchemas(
  version: Version,
): { readonly create: BodySchema; readonly update: BodySchema } {
  const given = Object.entries(options[version]).map(([name, [schema]]) => [name, schema]);
  const both = {
    config: text,
    iofogUuid: text,
    agentName: text,
    ...Object.fromEntries(given),
    volumeMappings: { type: "array", items: volumeSchema(version) },
    ports: { type: "array", items: portSchema(version) },
    extraHosts: { type: "array", items: extraHost },
    env: { type: "array", items: env[version] },
    cmd: texts,
    ...(version === "3.0.4" ? {} : { natsConfig: natsConfigSchema, serviceAccount: { type: "object" } }),
  } satisfies Record<string, PropertySchema>;
  return {
    create: {
      id: "/microserviceCreate",
      properties: {
        name: resourceName,
        catalogItemId: { type: "integer", minimum: 4 },
        images: { type: "array", maxItems: 2, items: imageSchema },
        registryId: integer,
        application: { anyOf: [text, { type: "number" }] },
        logSize: integer,
        imageSnapshot: text,
        ...both,
      },
      required: ["name"],
    },
    update: {
      id: "/microserviceUpdate",
      properties: {
        name: resourceName,
        rebuild: flag,
        logSize: { type: "integer", minimum: 0 },
        images: { type: "array", maxItems: 2, minItems: 1, items: imageSchema },
        ...both,
      },
      required: [],
    },
  };
}

/** A body that has been validated. */
export interface MicroserviceBody {
  readonly name?: string;
  readonly application?: string | number;
  readonly flowId?: string | number;
  readonly agentName?: string;
  readonly iofogUuid?: string;
  readonly config?: string;
  readonly images?: readonly { readonly fogTypeId: number; readonly containerImage: string }[];
  readonly catalogItemId?: number;
  readonly registryId?: number;
  readonly logSize?: number;
  readonly rebuild?: boolean;
  readonly ports?: readonly PortBody[];
  readonly volumeMappings?: readonly VolumeBody[];
  readonly env?: readonly Readonly<Record<string, string>>[];
  readonly cmd?: readonly string[];
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[];
  readonly natsConfig?: Partial<NatsConfig>;
  readonly serviceAccount?: { readonly roleRef?: { readonly name?: string } } | null;
  readonly [option: string]: unknown;
}

/** A port in a body. */
export interface PortBody {
  readonly internal: number;
  readonly external: number;
  readonly protocol?: "tcp" | "udp";
  readonly public?: {
    readonly schemes: readonly string[];
    readonly protocol: "tcp" | "http";
    readonly router?: { readonly host?: string; readonly port?: number };
  };
}

/** A volume in a body. */
export interface VolumeBody {
  readonly hostDestination: string;
  readonly containerDestination: string;
  readonly accessMode: string;
  readonly type?: string;
}
