/**
 * What a Controller holds for the edge, as objects that can be compared: names instead of uuids, lists in one order,
 * nothing that changes by itself but a few words of status. Pure.
 */

import type {
  AgentRow,
  ApplicationRow,
  CatalogItemRow,
  EdgeDialect,
  EdgeResourceRow,
  MicroserviceRow,
  RegistryRow,
  RoleRow,
  TemplateRow,
} from "../../controller/edge.ts";
import type { ExternalObject } from "../../operator/definition.ts";
import { keyOfExternal } from "../../operator/inventory.ts";

/** Kinds of objects in the Controller. */
export const AGENT = "Agent";
export const APPLICATION = "Application";
export const MICROSERVICE = "Microservice";
export const ROUTE = "Route";
export const EDGE_RESOURCE = "EdgeResource";
export const EDGE_RESOURCE_LINK = "EdgeResourceLink";

/** Kinds that are only referred to, and read where somebody does. */
export const TEMPLATE = "ApplicationTemplate";
export const CATALOG_ITEM = "CatalogItem";
export const REGISTRY = "Registry";
export const MICROSERVICE_ROLE = "MicroserviceRole";
export const CONTROLLER_SECRET = "ControllerSecret";
export const CONTROLLER_CONFIG_MAP = "ControllerConfigMap";

/** The name of the router that the control plane has. */
export const DEFAULT_ROUTER = "default-router";
/** The name of the NATS servers that the control plane of PoT has. */
export const DEFAULT_NATS_HUB = "default-nats-hub";

/** What one sweep read. */
export interface EdgeRows {
  readonly dialect: EdgeDialect;
  readonly agents: readonly AgentRow[];
  readonly applications: readonly ApplicationRow[];
  readonly edgeResources: readonly EdgeResourceRow[];
}

/** The objects by `keyOfExternal`. */
export type EdgeWorld = ReadonlyMap<string, ExternalObject>;

/** Fields of an agent that a spec can set and that are read as they are. */
const agentFields = [
  ...["description", "location", "latitude", "longitude", "host", "dockerUrl", "diskLimit", "diskDirectory"],
  ...[
    "memoryLimit",
    "cpuLimit",
    "logLimit",
    "logDirectory",
    "logFileCount",
    "statusFrequency",
    "changeFrequency",
  ],
  ...["deviceScanFrequency", "bluetoothEnabled", "abstractedHardwareEnabled", "watchdogEnabled", "logLevel"],
  ...["dockerPruningFrequency", "availableDiskThreshold", "timeZone", "routerMode", "messagingPort"],
  ...[
    "edgeRouterPort",
    "interRouterPort",
    "networkInterface",
    "containerEngine",
    "deploymentType",
    "natsMode",
  ],
  ...["natsServerPort", "natsLeafPort", "natsClusterPort", "natsMqttPort", "natsHttpPort", "jsStorageSize"],
  ...[
    "jsMemoryStoreSize",
    "gpsMode",
    "gpsDevice",
    "gpsScanFrequency",
    "edgeGuardFrequency",
  ],
] as const;

/** Fields of a container that only 3.7 has, and that are read as they are. */
export const potContainerFields = [
  ...[
    "hostNetworkMode",
    "isPrivileged",
    "pidMode",
    "ipcMode",
    "runAsUser",
    "platform",
    "runtime",
    "cpuSetCpus",
  ],
  ...["memoryLimit", "cdiDevices", "capAdd", "capDrop", "healthCheck", "schedule"],
] as const;

/** The objects of one sweep. */
export function worldOf(rows: EdgeRows): EdgeWorld {
  const objects = new Map<string, ExternalObject>();
  const add = (object: ExternalObject) => objects.set(keyOfExternal(object), object);
  const names = new Map(rows.agents.map(({ uuid, name }) => [uuid, name]));
  const tags = new Map(
    rows.edgeResources.map((
      { name, version, orchestrationTags },
    ) => [`${name}/${version}`, orchestrationTags ?? []]),
  );
  const applications = rows.applications.filter(({ isSystem }) => isSystem !== true);
  const onAgent = Map.groupBy(
    applications.flatMap(({ name, microservices }) =>
      (microservices ?? []).map((microservice) => ({ application: name, microservice }))
    ),
    ({ microservice }) => microservice.iofogUuid ?? "",
  );
  for (const row of rows.agents) {
    const here = onAgent.get(row.uuid) ?? [];
    const links = (row.edgeResources ?? []).map(({ name, version }) => `${name}/${version}`).sort();
    add({
      kind: AGENT,
      name: row.name,
      id: row.uuid,
      fields: {
        ...set(row, agentFields),
        fogType: row.fogTypeId,
        tags: sorted(row.tags),
        upstreamRouters: sorted(row.upstreamRouters?.map((uuid) => names.get(uuid) ?? uuid)),
        ...(Array.isArray(row["upstreamNatsServers"])
          ? {
            upstreamNatsServers: sorted(
              row["upstreamNatsServers"].map((uuid) => names.get(`${uuid}`) ?? `${uuid}`),
            ),
          }
          : {}),
        ...(row.networkRouter ? { networkRouter: names.get(row.networkRouter) ?? row.networkRouter } : {}),
        ...set(row, [
          "isSystem",
          "daemonStatus",
          "version",
          "ipAddress",
          "ipAddressExternal",
          "warningMessage",
        ]),
        provisioned: isProvisioned(row),
        violations: ["memory", "disk", "cpu"].filter((which) => isViolated(row[`${which}Violation`])),
        behind: sorted(
          rows.agents.filter(({ upstreamRouters, uuid }) =>
            uuid !== row.uuid && upstreamRouters?.includes(row.uuid) === true
          ).map(({ name }) => name),
        ),
        linkedTags: sorted(links.flatMap((link) => tags.get(link) ?? [])),
        links,
        ports: Object.fromEntries([
          ...ownPorts(row),
          ...here.flatMap(({ application, microservice: { name, ports } }) =>
            (ports ?? []).map(({ external }) => [external, `${application}/${name}`])
          ),
        ]),
      },
      contains: here.map(({ application, microservice: { name } }) =>
        keyOfExternal({ kind: MICROSERVICE, name: `${application}/${name}` })
      ),
    });
    for (const link of links) add({ kind: EDGE_RESOURCE_LINK, name: `${row.name}/${link}`, fields: {} });
  }
  for (const row of rows.edgeResources) {
    const linked = rows.agents
      .filter(({ edgeResources }) =>
        edgeResources?.some(({ name, version }) => name === row.name && version === row.version)
      )
      .map(({ name }) => name);
    add(edgeResourceOf(row, sorted(linked)));
  }
  for (const row of applications) {
    const microservices = (row.microservices ?? []).map((each) => microserviceOf(row.name, each, names));
    const routes = (row.routes ?? []).map(({ name, from, to }): ExternalObject => ({
      kind: ROUTE,
      name: `${row.name}/${name}`,
      fields: { from, to },
    }));
    add({
      kind: APPLICATION,
      name: row.name,
      id: `${row.id} ${row.createdAt ?? ""}`,
      fields: {
        description: row.description ?? "",
        isActivated: row.isActivated ?? false,
        routes: Object.fromEntries((row.routes ?? []).map(({ from, name, to }) => [`${from} ${to}`, name])),
        ...natsOf(row),
      },
      contains: [...microservices, ...routes].map(keyOfExternal),
    });
    for (const object of [...microservices, ...routes]) add(object);
  }
  return objects;
}

function microserviceOf(
  application: string,
  row: MicroserviceRow,
  names: ReadonlyMap<string, string>,
): ExternalObject {
  return {
    kind: MICROSERVICE,
    name: `${application}/${row.name}`,
    id: row.uuid,
    fields: {
      complete: row.status !== null && row.status !== undefined,
      agentName: names.get(row.iofogUuid ?? "") ?? "",
      images: imagesInOrder(
        (row.images ?? []).flatMap(({ fogTypeId, containerImage }) =>
          containerImage ? [{ fogTypeId, containerImage }] : []
        ),
      ),
      catalogItemId: row.catalogItemId ?? null,
      registryId: row.registryId ?? 1,
      config: canonicalConfig(row.config ?? "{}"),
      logSize: row.logSize ?? 0,
      ...set(row, ["rootHostAccess"]),
      ports: portsInOrder(row.ports ?? []),
      env: (row.env ?? []).map(variableOf).sort(by("key")),
      cmd: row.cmd ?? [],
      volumeMappings: (row.volumeMappings ?? []).map((each) => ({
        hostDestination: each.hostDestination,
        containerDestination: each.containerDestination,
        accessMode: each.accessMode ?? "",
        type: each.type ?? "bind",
      })).sort(by("containerDestination")),
      extraHosts: (row.extraHosts ?? []).map(({ name, address }) => ({ name, address: address ?? "" }))
        .sort(by("name")),
      ...set(row, potContainerFields),
      ...(typeof row["annotations"] === "string" ? { annotations: canonicalConfig(row["annotations"]) } : {}),
      ...natsOf(row),
      status: row.status?.status ?? "",
      errorMessage: row.status?.errorMessage ?? "",
    },
  };
}

/** The access to NATS, part of which stands twice. */
function natsOf(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { natsConfig } = row;
  const nested = typeof natsConfig === "object" && natsConfig !== null
    ? natsConfig as Readonly<Record<string, unknown>>
    : {};
  return { ...set(nested, ["natsAccess", "natsRule"]), ...set(row, ["natsAccess", "natsRule"]) };
}

/** 3.7 tells the value that a reference stood for when it was written; what counts is the reference. */
function variableOf(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { value, ...reference } = set(row, ["key", "value", "valueFromSecret", "valueFromConfigMap"]);
  return Object.keys(reference).length > 1 || value === undefined ? reference : { ...reference, value };
}

/** Application templates, as they are referred to. */
export function templatesOf(rows: readonly TemplateRow[]): readonly ExternalObject[] {
  return rows.map(({ application, name, variables }) => ({
    kind: TEMPLATE,
    name,
    fields: {
      application,
      variables: (variables ?? []).map(({ defaultValue, key }) => ({
        key,
        ...(typeof defaultValue === "string" ? { defaultValue: JSON.parse(defaultValue) } : {}),
      })),
    },
  }));
}

/** The roles that microservices have, each under the name of its microservice. */
export function rolesOf(rows: readonly RoleRow[]): readonly ExternalObject[] {
  return rows.map(({ application, name, role }) => ({
    kind: MICROSERVICE_ROLE,
    name: `${application}/${name}`,
    fields: { role },
  }));
}

/** Items of the catalogue, as they are referred to. */
export function catalogItemsOf(rows: readonly CatalogItemRow[]): readonly ExternalObject[] {
  return rows.map(({ id, images, name }) => ({
    kind: CATALOG_ITEM,
    name,
    fields: {
      id,
      fogTypes: (images ?? []).flatMap(({ containerImage, fogTypeId }) => containerImage ? [fogTypeId] : []),
    },
  }));
}

/** Registries by their URL, with the numbers of all that have it. */
export function registriesOf(rows: readonly RegistryRow[]): readonly ExternalObject[] {
  return [...Map.groupBy(rows, ({ url }) => url)].map(([url, same]) => ({
    kind: REGISTRY,
    name: url,
    fields: { ids: same.map(({ id }) => id).toSorted((one, other) => one - other) },
  }));
}

function edgeResourceOf(row: EdgeResourceRow, linked: readonly string[]): ExternalObject {
  return {
    kind: EDGE_RESOURCE,
    name: `${row.name}/${row.version}`,
    id: `${row.id}`,
    fields: {
      description: row.description ?? "",
      interfaceProtocol: row.interfaceProtocol ?? "",
      orchestrationTags: sorted(row.orchestrationTags),
      display: withoutNull(row["display"]),
      linked,
      // As text, since it is replaced as a whole.
      custom: canonical(row["custom"] ?? {}),
      ...(row.interface === undefined || row.interface === null
        ? {}
        : { endpoints: (row.interface.endpoints ?? []).map(endpointOf).sort(by("name")) }),
    },
  };
}

const endpointKeys = [
  ...["name", "description", "method", "url", "requestType", "responseType", "requestPayloadExample"],
  "responsePayloadExample",
];

function endpointOf(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return set(row, endpointKeys);
}

/** Ports that the parts of an agent itself have. */
function ownPorts(row: AgentRow): readonly (readonly [number, string])[] {
  const parts = [
    ["routerMode", "its router", ["messagingPort", "edgeRouterPort", "interRouterPort"]],
    [
      "natsMode",
      "its NATS server",
      ["natsServerPort", "natsLeafPort", "natsClusterPort", "natsMqttPort", "natsHttpPort"],
    ],
  ] as const;
  return parts.flatMap(([mode, part, keys]) =>
    row[mode] === undefined || row[mode] === null || row[mode] === "none" ? [] : keys.flatMap((key) => {
      const port = row[key];
      return typeof port === "number" ? [[port, part] as const] : [];
    })
  );
}

/** 3.7 says it; before, only whether it ever reported. */
function isProvisioned(row: AgentRow): boolean {
  if (row.daemonStatus === "NOT_PROVISIONED" || row.daemonStatus === "DEPROVISIONED") return false;
  return (row.lastActive ?? 0) > 0 || (row.daemonStatus ?? "UNKNOWN") === "RUNNING";
}

function isViolated(value: unknown): boolean {
  return value === "1" || value === true || value === 1;
}

/** Those of `keys` that have a value. */
function set(row: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    keys.filter((key) => row[key] !== undefined && row[key] !== null).map((key) => [key, row[key]]),
  );
}

function withoutNull(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) return {};
  return set(value as Record<string, unknown>, Object.keys(value));
}

/** Tags and routers have no order, and each counts once. */
export function sorted(texts: readonly string[] | null | undefined): readonly string[] {
  return [...new Set(texts ?? [])].sort();
}

/** For lists whose order means nothing. */
export function by<Key extends string>(key: Key) {
  return (one: { readonly [K in Key]?: unknown }, other: { readonly [K in Key]?: unknown }) =>
    String(one[key]) < String(other[key]) ? -1 : String(one[key]) > String(other[key]) ? 1 : 0;
}

/** A port, with what a spec can say of it. */
export interface Port {
  readonly internal: number;
  readonly external: number;
  readonly protocol: string;
  /** Null where it is not public. */
  readonly public: Readonly<Record<string, unknown>> | null;
}

export function portsInOrder(
  ports: readonly {
    readonly internal: number;
    readonly external: number;
    readonly protocol?: string | null | undefined;
    readonly public?: Readonly<Record<string, unknown>> | null | undefined;
  }[],
): readonly Port[] {
  return ports.map((port) => {
    const { links: _, ...shown } = port.public ?? {};
    return {
      internal: port.internal,
      external: port.external,
      protocol: port.protocol ?? "tcp",
      public: port.public === undefined || port.public === null ? null : shown,
    };
  }).sort((one, other) => one.internal - other.internal);
}

/** An image for one architecture. */
export interface Image {
  readonly fogTypeId: number;
  readonly containerImage: string;
}

export function imagesInOrder(images: readonly Image[]): readonly Image[] {
  return [...images].sort((one, other) => one.fogTypeId - other.fogTypeId);
}

/** JSON text in one form; text that is no JSON stays as it is. */
export function canonicalConfig(text: string): string {
  try {
    return canonical(JSON.parse(text));
  } catch {
    return text;
  }
}

/** JSON with the keys in order. */
export function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (_, inner) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => one < other ? -1 : 1))
        : inner,
  );
}
