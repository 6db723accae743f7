/** The rows of the edge: agents and what runs on them. Part of `ControllerState`. */

import { builtInRules, type NatsConfig } from "./nats_rules.ts";

/** A row of the Fogs table, and what hangs on it. */
export interface AgentRow {
  readonly uuid: string;
  name: string;
  host: string | null;
  fogTypeId: number;
  /** Undefined on 3.7.3, where nobody owns anything. */
  userId: number | undefined;
  isSystem: boolean;
  /** The network's router of an agent that has none of its own. */
  routerId: number | null;
  tags: string[];
  /** Settings and what the agent reports, by the names of the API. */
  columns: Record<string, unknown>;
  /** 3.7.3: its NATS server, by the names of the API. */
  nats: Record<string, unknown>;
  readonly createdAt: string;
  updatedAt: string;
  /** Ids of the edge resources linked to it. */
  edgeResources: number[];
  provisioning: { readonly key: string; readonly expirationTime: number } | undefined;
  /** What it proves itself with: the token of 3.0.4, the public key (base64 of the raw 32 bytes) of 3.7.3. */
  credential: string | undefined;
  /** Identifiers of the signed tokens of 3.7.3 that have been used. */
  usedTokens: string[];
  /** What it has to read again, as `/agent/config/changes` names it, and the time of the last such mark. */
  changes: Record<string, true>;
  changedAt: string;
}

/** A router that runs on an agent; the one of `PUT /router` is `ControllerState.router`. */
export interface AgentRouterRow {
  readonly id: number;
  readonly iofogUuid: string;
  /** Of the hidden microservice that is the router. */
  readonly microserviceUuid: string;
  isEdge: boolean;
  messagingPort: number;
  edgeRouterPort: number | null;
  interRouterPort: number | null;
  host: string | null;
  /** Ids of the routers that it connects to. */
  upstream: number[];
}

/** A row of the Flows table. */
export interface ApplicationRow {
  readonly id: number;
  name: string;
  description: string;
  isActivated: boolean;
  isSystem: boolean;
  nats: NatsConfig;
  readonly userId: number | undefined;
  readonly createdAt: string;
  updatedAt: string;
}

/** An image for one architecture: 1 is x86, 2 is ARM. */
export interface Image {
  readonly fogTypeId: number;
  readonly containerImage: string | null;
}

/** A port of a microservice. */
export interface PortRow {
  readonly internal: number;
  readonly external: number;
  readonly protocol: "tcp" | "udp";
  /** 3.0.4: where it is reached from outside; `hostId` is the system agent, null for the default router. */
  readonly public:
    | {
      readonly port: number;
      readonly hostId: string | null;
      readonly schemes: readonly string[];
      readonly isTcp: boolean;
    }
    | undefined;
}

/** A row of VolumeMappings. */
export interface VolumeRow {
  readonly id: number;
  readonly hostDestination: string;
  readonly containerDestination: string;
  readonly accessMode: string;
  readonly type: string;
}

/** A name that a container resolves. */
export interface ExtraHostRow {
  readonly name: string;
  /** As given: an address, or an expression. */
  readonly address: string;
  value: string | null;
  readonly targetAgent: string | undefined;
  readonly targetMicroservice: string | undefined;
  readonly publicPort: number | undefined;
}

/** What a container was last said to do. */
export interface MicroserviceStatus {
  status: string;
  operatingDuration: number;
  startTime: number;
  cpuUsage: number;
  memoryUsage: number;
  containerId: string;
  percentage: number;
  errorMessage: string;
  /** 3.7.3 */
  healthStatus: string;
  ipAddress: string;
}

/** A row of Microservices, and what hangs on it. */
export interface MicroserviceRow {
  readonly uuid: string;
  readonly applicationId: number;
  readonly userId: number | undefined;
  name: string;
  config: string;
  rebuild: boolean;
  logSize: number;
  /** What only one dialect has: `rootHostAccess` of 3.0.4, some twenty of 3.7.3. */
  options: Record<string, unknown>;
  nats: NatsConfig;
  /** 3.7.3: of its service account. */
  role: string;
  /** 3.7.3: not stopped by hand. */
  isActivated: boolean;
  catalogItemId: number | null;
  registryId: number;
  iofogUuid: string;
  images: Image[];
  ports: PortRow[];
  volumeMappings: VolumeRow[];
  /** As stored; `valueFromSecret` and `valueFromConfigMap` of 3.7.3 beside the value that was read then. */
  env: Readonly<Record<string, string | null>>[];
  cmd: string[];
  extraHosts: ExtraHostRow[];
  /** Undefined for one whose creation failed midway. */
  status: MicroserviceStatus | undefined;
  readonly createdAt: string;
  updatedAt: string;
}

/** A row of Routings (3.0.4). */
export interface RoutingRow {
  readonly id: number;
  readonly applicationId: number;
  name: string;
  sourceMicroserviceUuid: string;
  destMicroserviceUuid: string;
}

/** A row of EdgeResources, and what hangs on it. */
export interface EdgeResourceRow {
  readonly id: number;
  readonly userId: number | undefined;
  name: string;
  readonly version: string;
  description: string | null | undefined;
  interfaceProtocol: string | undefined;
  display: Readonly<Record<string, string | null | undefined>>;
  custom: unknown;
  orchestrationTags: string[];
  /** Undefined once the protocol was changed: the row that the id points to is gone. */
  interface: { readonly id: number; endpoints: Readonly<Record<string, unknown>>[] } | undefined;
}

/** A row of ApplicationTemplates. */
export interface TemplateRow {
  readonly id: number;
  readonly userId: number | undefined;
  name: string;
  description: string;
  /** JSON, as stored. */
  application: string;
  variables: TemplateVariableRow[];
  readonly createdAt: string;
  updatedAt: string;
}

/** A variable of a template; the default is JSON. */
export interface TemplateVariableRow {
  readonly id: number;
  readonly key: string;
  readonly description: string;
  readonly defaultValue: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A row of CatalogItems; nobody owns the built-in ones. */
export interface CatalogItemRow {
  readonly id: number;
  readonly userId: number | null | undefined;
  /** By the names of the API. */
  columns: Record<string, unknown>;
  images: Image[];
  inputType: Readonly<Record<string, unknown>> | null;
  outputType: Readonly<Record<string, unknown>> | null;
}

/** A row of Registries. */
export interface RegistryRow {
  readonly id: number;
  readonly userId: number | null | undefined;
  columns: Record<string, unknown>;
  password: string;
}

/** A row of Secrets (3.7.3). */
export interface SecretRow {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  data: Readonly<Record<string, string>>;
}

/** A row of ConfigMaps (3.7.3). */
export interface ConfigMapRow {
  readonly id: number;
  readonly name: string;
  immutable: boolean;
  useVault: boolean;
  data: Readonly<Record<string, string>>;
}

/** A row of VolumeMounts (3.7.3). */
export interface VolumeMountRow {
  readonly uuid: string;
  readonly name: string;
  configMapName: string | null;
  secretName: string | null;
  version: number;
  /** Uuids of the agents that it is linked to. */
  agents: string[];
}

/** The tables of the edge. */
export interface EdgeState {
  agents: AgentRow[];
  agentRouters: AgentRouterRow[];
  applications: ApplicationRow[];
  microservices: MicroserviceRow[];
  routings: RoutingRow[];
  edgeResources: EdgeResourceRow[];
  templates: TemplateRow[];
  catalogItems: CatalogItemRow[];
  registries: RegistryRow[];
  secrets: SecretRow[];
  configMaps: ConfigMapRow[];
  volumeMounts: VolumeMountRow[];
  /** Names of the rules that 3.7.3 knows. */
  natsRules: { readonly account: readonly string[]; readonly user: readonly string[] };
  /** The last id of each table that never gives one twice. */
  lastEdgeIds: Record<string, number>;
}

/** Tables as after the first start: with what is built in. */
export function createEdgeState(): EdgeState {
  return {
    agents: [],
    agentRouters: [],
    applications: [],
    microservices: [],
    routings: [],
    edgeResources: [],
    templates: [],
    catalogItems: [],
    registries: [
      { id: 1, userId: null, columns: builtInRegistry("registry.hub.docker.com"), password: "" },
      { id: 2, userId: null, columns: builtInRegistry("from_cache"), password: "" },
    ],
    secrets: [],
    configMaps: [],
    volumeMounts: [],
    natsRules: builtInRules,
    // 1 is the router of `PUT /router`; the rest is taken by what is built in.
    lastEdgeIds: { routers: 1, registries: 2, catalogItems: 17 },
  };
}

function builtInRegistry(url: string): Record<string, unknown> {
  return {
    url,
    isPublic: true,
    isSecure: true,
    certificate: "",
    requiresCert: false,
    username: "",
    userEmail: "",
  };
}

/** The next id of a table that never gives one twice. */
export function nextId(state: EdgeState, table: string): number {
  const id = (state.lastEdgeIds[table] ?? 0) + 1;
  state.lastEdgeIds[table] = id;
  return id;
}

/** The next id of a table that gives the last one again once its row is gone. */
export function reusedId(rows: readonly { readonly id: number }[]): number {
  return Math.max(0, ...rows.map(({ id }) => id)) + 1;
}
