/**
 * What a Controller holds for the edge: agents, applications with their microservices and routes, edge resources.
 *
 * One list per kind tells everything that can be compared; unknown properties are kept, since both dialects are read
 * with the same shapes and each has more of them. Shapes: real answers of Controller 3.0.4 and 3.7.3.
 */

import * as z from "zod";
import { type CallOptions, found, type Requests } from "./requests.ts";
import type { ControllerRequest } from "./transport.ts";

const text = z.string().nullish();
const number = z.number().nullish();

const agentSchema = z.looseObject({
  uuid: z.string(),
  name: z.string(),
  /** 0: not known yet, 1: x86, 2: arm. */
  fogTypeId: z.number(),
  isSystem: z.boolean().nullish(),
  daemonStatus: text,
  version: text,
  ipAddress: text,
  ipAddressExternal: text,
  warningMessage: text,
  /** Milliseconds since the epoch on the Controller's clock; 0: never. */
  lastActive: number,
  memoryViolation: text,
  diskViolation: text,
  cpuViolation: text,
  tags: z.array(z.string()).nullish(),
  /** Uuids, or `default-router`. */
  upstreamRouters: z.array(z.string()).nullish(),
  networkRouter: text,
  edgeResources: z.array(z.looseObject({ name: z.string(), version: z.string() })).nullish(),
});
/** One element of `GET /iofog-list`. */
export type AgentRow = z.infer<typeof agentSchema>;

const portSchema = z.looseObject({
  internal: z.number(),
  external: z.number(),
  protocol: text,
  public: z.looseObject({}).nullish(),
});

const microserviceSchema = z.looseObject({
  uuid: z.string(),
  name: z.string(),
  iofogUuid: text,
  config: text,
  logSize: number,
  registryId: number,
  catalogItemId: number,
  images: z.array(z.looseObject({ fogTypeId: z.number(), containerImage: text })).nullish(),
  ports: z.array(portSchema).nullish(),
  env: z.array(z.looseObject({ key: z.string(), value: text })).nullish(),
  cmd: z.array(z.string()).nullish(),
  volumeMappings: z.array(z.looseObject({
    hostDestination: z.string(),
    containerDestination: z.string(),
    accessMode: text,
    type: text,
  })).nullish(),
  extraHosts: z.array(z.looseObject({ name: z.string(), address: text })).nullish(),
  /** Null where its creation failed halfway. */
  status: z.looseObject({ status: text, errorMessage: text }).nullish(),
});
/** A microservice as it stands in `GET /application`. */
export type MicroserviceRow = z.infer<typeof microserviceSchema>;

const applicationSchema = z.looseObject({
  id: z.number(),
  name: z.string(),
  description: text,
  isActivated: z.boolean().nullish(),
  isSystem: z.boolean().nullish(),
  createdAt: text,
  microservices: z.array(microserviceSchema).nullish(),
  routes: z.array(z.looseObject({ name: z.string(), from: z.string(), to: z.string() })).nullish(),
});
/** One element of `GET /application`. */
export type ApplicationRow = z.infer<typeof applicationSchema>;

const edgeResourceSchema = z.looseObject({
  id: z.number(),
  name: z.string(),
  version: z.string(),
  description: text,
  interfaceProtocol: text,
  orchestrationTags: z.array(z.string()).nullish(),
  /** Not in the list; 3.7.3 never tells it. */
  interface: z.looseObject({ endpoints: z.array(z.looseObject({ name: text })).nullish() }).nullish(),
});
/** One element of `GET /edgeResources`, or of `GET /edgeResource/:name`. */
export type EdgeResourceRow = z.infer<typeof edgeResourceSchema>;

const templateSchema = z.looseObject({
  name: z.string(),
  /** What an application may say, with expressions in its texts. */
  application: z.unknown(),
  /** A default is text in JSON here; absent where there is none. */
  variables: z.array(z.looseObject({ key: z.string(), defaultValue: text })).nullish(),
});
/** One element of `GET /applicationTemplates`. */
export type TemplateRow = z.infer<typeof templateSchema>;

const catalogItemSchema = z.looseObject({
  id: z.number(),
  name: z.string(),
  images: z.array(z.looseObject({ fogTypeId: z.number(), containerImage: text })).nullish(),
});
/** One element of `GET /catalog/microservices`; built-in ones too. */
export type CatalogItemRow = z.infer<typeof catalogItemSchema>;

const registrySchema = z.looseObject({ id: z.number(), url: z.string() });
/** One element of `GET /registries`; nothing keeps two from having one URL. */
export type RegistryRow = z.infer<typeof registrySchema>;

/** A secret or config map of the Controller, without its values. */
const keptSchema = z.object({
  name: z.string(),
  data: z.record(z.string(), z.unknown()).transform((data) => Object.keys(data)),
});

/** A microservice as only 3.7 has it, where it is asked for by itself. */
const roleSchema = z.object({
  name: z.string(),
  application: z.string(),
  serviceAccount: z.object({ roleRef: z.object({ name: z.string() }).nullish() }).nullish(),
}).transform(({ serviceAccount, ...rest }) => ({
  ...rest,
  role: serviceAccount?.roleRef?.name ?? DEFAULT_ROLE,
}));
/** The role of a microservice. */
export type RoleRow = z.infer<typeof roleSchema>;

/** What a microservice has with which no role was named, and gets with each change that names none. */
export const DEFAULT_ROLE = "microservice";

const provisioningKeySchema = z.object({
  key: z.string().min(1),
  /** Milliseconds since the epoch. */
  expirationTime: z.number(),
  /** Base64 PEM of the Controller's authority; 3.7.3 only. */
  caCert: z.string().optional(),
});
export type ProvisioningKey = z.infer<typeof provisioningKeySchema>;

/** The calls; each ends within the deadline and throws nothing but `ControllerError`. */
export interface EdgeCalls {
  /** All of them, those of the system too. */
  agents(dialect: EdgeDialect, options?: CallOptions): Promise<readonly AgentRow[]>;
  /** With microservices and routes. */
  applications(options?: CallOptions): Promise<readonly ApplicationRow[]>;
  /** Without their interfaces. */
  edgeResources(options?: CallOptions): Promise<readonly EdgeResourceRow[]>;
  /** All versions of one, with their interfaces; 3.7.3 cannot tell. */
  edgeResource(name: string, options?: CallOptions): Promise<readonly EdgeResourceRow[]>;
  templates(options?: CallOptions): Promise<readonly TemplateRow[]>;
  catalogItems(options?: CallOptions): Promise<readonly CatalogItemRow[]>;
  registries(options?: CallOptions): Promise<readonly RegistryRow[]>;
  /** Keys of a secret, or of a config map, of the Controller; undefined where there is none. 3.7 only. */
  keysOf(kind: "secret" | "configMap", name: string, options?: CallOptions): Promise<
    readonly string[] | undefined
  >;
  /** Roles of all microservices. 3.7 only. */
  roles(options?: CallOptions): Promise<readonly RoleRow[]>;
  /** The role of one microservice; undefined where there is none. 3.7 only. */
  roleOf(uuid: string, options?: CallOptions): Promise<string | undefined>;
  /** Makes a new key, and with that the one before useless. */
  provisioningKey(uuid: string, options?: CallOptions): Promise<ProvisioningKey>;
  /** A write; what it answers is dropped, since the lists tell. */
  change(request: ControllerRequest): Promise<void>;
}

/** What differs between the two generations. */
export interface EdgeDialect {
  readonly name: "3.0" | "3.7";
  /** Whether there are routes, public ports and `rootHostAccess`. */
  readonly hasRoutes: boolean;
  /** Whether system agents have a list of their own. */
  readonly hasSystemQuery: boolean;
  /** Whether one edge resource can be read, with its interface. */
  readonly readsEdgeResources: boolean;
  /** Whether the router and NATS server of an agent are made, or changed, after the answer: for seconds it has none. */
  readonly setsUpLater: boolean;
}

/** The dialect of a version, as `GET /status` tells it. */
export function edgeDialectOf(version: string): EdgeDialect {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isOld = major < 3 || (major === 3 && minor < 5);
  return {
    name: isOld ? "3.0" : "3.7",
    hasRoutes: isOld,
    hasSystemQuery: isOld,
    readsEdgeResources: isOld,
    setsUpLater: !isOld,
  };
}

/** Why a Controller of this version cannot be the one of a ControlPlane; undefined where it can, or tells no number. */
export function otherGeneration(version: string, wanted: "ioFog" | "PoT", url: string): string | undefined {
  const [, major = NaN, minor = NaN] = (/^(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  const isOther = wanted === "ioFog"
    ? major > 3 || (major === 3 && minor >= 5)
    : major < 3 || (major === 3 && minor < 4);
  if (!isOther) return undefined;
  const other = wanted === "ioFog" ? "PoT" : "ioFog";
  return `the Controller at ${url} is of version ${version}, as ${other} has it, and ${wanted}'s is wanted: nothing is ` +
    "changed in it. Put the former image of the Controller back";
}

export function createEdgeCalls({ read, write }: Requests): EdgeCalls {
  const list = <T>(schema: z.ZodType<T>, route: string, call?: CallOptions, query?: Record<string, string>) =>
    read(schema, { ...call, method: "GET", route, query, cached: true });
  const fogs = z.object({ fogs: z.array(agentSchema) });
  return {
    agents: async (dialect, call) => {
      const [own, system] = await Promise.all([
        list(fogs, "/iofog-list", call),
        dialect.hasSystemQuery ? list(fogs, "/iofog-list", call, { system: "true" }) : undefined,
      ]);
      return [...own.fogs, ...system?.fogs ?? []];
    },
    applications: async (call) =>
      (await list(z.object({ applications: z.array(applicationSchema) }), "/application", call)).applications,
    edgeResources: async (call) =>
      (await list(z.object({ edgeResources: z.array(edgeResourceSchema) }), "/edgeResources", call))
        .edgeResources,
    edgeResource: async (name, call) => {
      const { edgeResources } = await read(z.object({ edgeResources: z.array(edgeResourceSchema) }), {
        ...call,
        method: "GET",
        route: "/edgeResource/:name",
        parameters: { name },
        cached: true,
      });
      return edgeResources;
    },
    templates: async (call) =>
      (await list(z.object({ applicationTemplates: z.array(templateSchema) }), "/applicationTemplates", call))
        .applicationTemplates,
    catalogItems: async (call) =>
      (await list(z.object({ catalogItems: z.array(catalogItemSchema) }), "/catalog/microservices", call))
        .catalogItems,
    registries: async (call) =>
      (await list(z.object({ registries: z.array(registrySchema) }), "/registries", call)).registries,
    keysOf: async (kind, name, call) => {
      const route = kind === "secret" ? "/secrets/:name" : "/configmaps/:name";
      const kept = await found(read(keptSchema, { ...call, method: "GET", route, parameters: { name } }));
      return kept?.data;
    },
    roles: async (call) =>
      (await list(z.object({ microservices: z.array(roleSchema) }), "/microservices", call)).microservices,
    roleOf: async (uuid, call) => {
      const route = "/microservices/:uuid";
      return (await found(read(roleSchema, { ...call, method: "GET", route, parameters: { uuid } })))?.role;
    },
    provisioningKey: (uuid, call) =>
      read(provisioningKeySchema, {
        ...call,
        method: "GET",
        route: "/iofog/:uuid/provisioning-key",
        parameters: { uuid },
        isWrite: true,
      }),
    change: (request) => write(request),
  };
}
