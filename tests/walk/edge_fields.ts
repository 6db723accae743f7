/**
 * What a change of each field of the edge asks of the Controller: the table that the walk holds against what is asked.
 * Written by hand, from what the API needs; a field of a schema that has no entry fails `edge_schema_test.ts`.
 *
 * A call is `METHOD /path key key ...`, with names for uuids and the keys of the body in order.
 */

import { jsonSchemaOf } from "../../src/resources/structural_schema.ts";
import { type EdgeKind, edgeSchemaOf } from "../../src/resources/edge/crds.ts";
import { type Json, present } from "../json.ts";
import { type Field, fieldsOf } from "./fields.ts";
import type { Known, Step } from "./steps.ts";

/** The two Controllers. */
export type Dialect = "3.0.4" | "3.7.3";

/** A line of the table. */
export interface EdgeWalk extends Known {
  /** Name of the spec that it is walked from. */
  readonly base: string;
  /** What is asked of 3.0.4 when its value becomes another one; none where it is not for the Controller. */
  readonly calls: readonly string[];
  /** The same of 3.7.3. @default `calls` */
  readonly pot?: readonly string[];
  /** What is asked when it becomes again what it was. @default as for any other value */
  readonly back?: readonly string[];
  readonly backPot?: readonly string[];
  /** What is asked when it is taken out of the spec. @default none: what a spec leaves open is left alone */
  readonly removed?: readonly string[];
  /** The same of 3.7.3. @default `removed` */
  readonly removedPot?: readonly string[];
  /** What is asked when it is put in again. @default none, or where `removed` is given as for any other value */
  readonly restored?: readonly string[];
  /** Whether it cannot be another one in the same object: another object is made. */
  readonly isIdentity?: boolean;
  /** Whether the Controller of this dialect does not tell it, so that nobody sees it changed there. */
  readonly isUnread?: Dialect;
  /** Whether the calls may come in any order. */
  readonly isUnordered?: boolean;
  /** Whether it counts only when the object is made. */
  readonly isOnce?: boolean;
}

/** What to walk from. */
export interface EdgeBase {
  readonly kind: EdgeKind;
  readonly spec: Json;
  /** What is asked to make it, in order. */
  readonly created: readonly string[];
  readonly createdPot?: readonly string[];
  /** What is asked when it goes. */
  readonly deleted: readonly string[];
  readonly deletedPot?: readonly string[];
  /** Where the other Controller has no such thing. */
  readonly only?: Dialect;
}

/** Every field below the spec of a kind, those of the items of lists too. */
export function edgeFieldsOf(kind: EdgeKind): readonly Field[] {
  return fieldsOf(present(jsonSchemaOf(edgeSchemaOf(kind)).properties?.["spec"]), [], true)
    .filter(({ isBlock, schema }) => !isBlock || schema.type === "array");
}

/** What others in the same namespace want; the custom resource that is walked has its name from its kind. */
export const surroundings: readonly (readonly [EdgeKind, string, Json])[] = [
  ...["hub", "spare"].map((name, index): [EdgeKind, string, Json] => ["Agent", name, {
    host: `10.0.1.${index}`,
    config: {
      agentType: "x86",
      routerConfig: { routerMode: "interior", edgeRouterPort: 45671, interRouterPort: 55671 },
      natsConfig: { natsMode: "server" },
    },
  }]),
  ...["lamp", "siren"].map((name): [EdgeKind, string, Json] => ["EdgeResource", name, {
    version: "1.0.0",
    interfaceProtocol: "http",
    orchestrationTags: [name],
  }]),
  ["EdgeResource", "lamp-2", { name: "lamp", version: "2.0.0", interfaceProtocol: "http" }],
  // Who is linked to an edge resource, with tags of its own.
  ["Agent", "linked", {
    host: "10.0.1.9",
    tags: ["own"],
    edgeResources: [{ name: "edgeresource", version: "1.0.0" }],
  }],
  ["Application", "house", {
    natsConfig: { natsAccess: true },
    microservices: ["door", "window", "roof"].map((name) => ({
      name,
      agent: { name: "hub" },
      images: { x86: "image" },
    })),
  }],
];

const microservice = {
  agent: { name: "hub", config: { cpuLimit: 1 } },
  images: { x86: "reader:1", arm: "reader:1-arm", registry: "remote" },
  config: { sampleHz: 400 },
  schedule: 10,
  natsConfig: { natsAccess: true, natsRule: "default-user" },
  rebuild: false,
  uuid: "u",
  container: {
    commands: ["--profile", "press"],
    env: [{ key: "LEVEL", value: "info" }, { key: "OTHER", value: "1" }],
    volumes: [{ hostDestination: "data", containerDestination: "/b", accessMode: "rw", type: "volume" }],
    ports: [{
      internal: 80,
      external: 5080,
      protocol: "tcp",
      public: {
        schemes: ["https"],
        protocol: "http",
        enabled: true,
        router: { host: "default-router", port: 6001 },
      },
      proxy: false,
    }],
    extraHosts: [{ name: "db.local", address: "10.1.1.1" }],
    rootHostAccess: false,
    logSize: 5,
    hostNetworkMode: false,
    isPrivileged: false,
    pidMode: "host",
    ipcMode: "host",
    runAsUser: "1000",
    platform: "linux/amd64",
    runtime: "runc",
    cpuSetCpus: "0",
    memoryLimit: 64,
    cdiDevices: ["vendor.com/a=1"],
    capAdd: ["NET_ADMIN"],
    capDrop: ["CHOWN"],
    annotations: { a: "b" },
    healthCheck: {
      test: ["CMD", "true"],
      interval: 1,
      timeout: 1,
      startPeriod: 1,
      startInterval: 1,
      retries: 1,
    },
  },
};
const withRole = {
  agent: { name: "hub" },
  images: { x86: "reader:1" },
  serviceAccount: { roleRef: { kind: "Role", name: "sre", apiGroup: "iofog.org" } },
};
const postWithRole =
  "POST /microservices agentName application cmd env extraHosts images name ports serviceAccount volumeMappings";
const endpoint = {
  name: "snapshot",
  description: "One picture",
  method: "GET",
  url: "/snapshot",
  requestType: "none",
  responseType: "image/png",
  requestPayloadExample: "-",
  responsePayloadExample: "+",
};
const postMicroservice =
  "POST /microservices agentName application cmd config env extraHosts images logSize name ports registryId rootHostAccess volumeMappings";
const postPotMicroservice =
  "POST /microservices agentName annotations application capAdd capDrop cdiDevices cmd config cpuSetCpus env extraHosts healthCheck hostNetworkMode images ipcMode isPrivileged logSize memoryLimit name natsConfig pidMode platform ports registryId runAsUser runtime schedule volumeMappings";
const postSecond =
  "POST /microservices agentName application cmd env extraHosts images name ports volumeMappings";
/** The number that the first item of the catalogue gets which a user makes. */
const CATALOG_ITEM = 18;
const putCamera =
  "PUT /edgeResource/edgeresource/1.0.0 custom description display interface interfaceProtocol name orchestrationTags version";

const config = {
  description: "Gateway",
  location: "Hall A",
  latitude: 46.2,
  longitude: 6.14,
  dockerUrl: "unix:///run/docker.sock",
  diskLimit: 10,
  diskDirectory: "/data/",
  memoryLimit: 2048,
  cpuLimit: 50,
  logLimit: 5,
  logDirectory: "/log/",
  logFileCount: 3,
  statusFrequency: 11,
  changeFrequency: 12,
  deviceScanFrequency: 13,
  bluetoothEnabled: false,
  abstractedHardwareEnabled: false,
  watchdogEnabled: false,
  logLevel: "INFO",
  dockerPruningFrequency: 2,
  availableDiskThreshold: 30,
  timeZone: "Europe/Zurich",
};
const potConfig = {
  networkInterface: "eth1",
  containerEngine: "podman",
  deploymentType: "container",
  edgeGuardFrequency: 5,
  gpsMode: "manual",
  gpsScanFrequency: 61,
};
const natsPorts = {
  natsServerPort: 4223,
  natsLeafPort: 7423,
  natsClusterPort: 6223,
  natsMqttPort: 8884,
  natsHttpPort: 8223,
};
const routerKeys = "edgeRouterPort host interRouterPort messagingPort routerMode upstreamRouters";

/** What a microservice can take from elsewhere; the Controller's own are there in the surroundings. */
const sources: readonly (readonly [string, {
  readonly env?: Json;
  readonly images?: Json;
  readonly only?: Dialect;
}])[] = [
  ["catalogItem", { images: { catalogItem: "one" } }],
  ["catalogId", { images: { catalogId: CATALOG_ITEM } }],
  ["secretKeyRef", { env: { valueFrom: { secretKeyRef: { name: "values", key: "one" } } } }],
  ["configMapKeyRef", { env: { valueFrom: { configMapKeyRef: { name: "values", key: "one" } } } }],
  ["valueFromSecret", { env: { valueFromSecret: "values/one" }, only: "3.7.3" }],
  ["valueFromConfigMap", { env: { valueFromConfigMap: "values/one" }, only: "3.7.3" }],
];

/** The specs by name. */
export const edgeBases: Readonly<Record<string, EdgeBase>> = {
  "an agent": {
    kind: "Agent",
    spec: {
      host: "10.0.0.1",
      tags: ["press"],
      edgeResources: [{ name: "lamp", version: "1.0.0" }],
      config: {
        ...config,
        ...potConfig,
        agentType: "x86",
        upstreamRouters: ["hub"],
        upstreamNatsServers: ["hub"],
        routerConfig: {
          routerMode: "interior",
          messagingPort: 5673,
          edgeRouterPort: 45672,
          interRouterPort: 55672,
        },
        natsConfig: { natsMode: "server", ...natsPorts, jsStorageSize: "10g", jsMemoryStoreSize: "1g" },
      },
      provisioning: { secretName: "key" },
      deletionPolicy: "Delete",
      ssh: { user: "edge" },
      package: { version: "1" },
      scripts: { dir: "x" },
      container: { image: "x" },
      controllerEndpoint: "https://controller.example",
      uuid: "u",
    },
    created: [
      `POST /iofog ${keysOf({ ...config, fogType: 1, name: "", tags: [] })}`,
      "GET /iofog/<agent>/provisioning-key",
      "POST /edgeResource/lamp/1.0.0/link uuid",
    ],
    createdPot: [
      `POST /iofog ${
        keysOf({
          ...config,
          ...potConfig,
          ...natsPorts,
          ...{
            upstreamNatsServers: 1,
            natsMode: 1,
            jsStorageSize: 1,
            jsMemoryStoreSize: 1,
            fogType: 1,
            name: "",
            tags: [],
          },
        })
      }`,
      "GET /iofog/<agent>/provisioning-key",
      "POST /edgeResource/lamp/1.0.0/link uuid",
    ],
    deleted: ["DELETE /edgeResource/lamp/1.0.0/link uuid", "DELETE /iofog/<agent>"],
  },
  "an agent that moves": {
    kind: "Agent",
    spec: { host: "10.0.0.1", config: { gpsMode: "dynamic", gpsDevice: "/dev/gps0" } },
    created: ["POST /iofog fogType host name"],
    createdPot: ["POST /iofog fogType gpsDevice gpsMode host name"],
    deleted: ["DELETE /iofog/<agent>"],
  },
  // 3.7.3 takes the network's router at the creation only: later, the condition says that it cannot be changed.
  "an agent without a router": {
    kind: "Agent",
    only: "3.0.4",
    spec: { config: { routerConfig: { routerMode: "none" }, networkRouter: "hub" } },
    created: ["POST /iofog fogType name networkRouter routerMode"],
    deleted: ["DELETE /iofog/<agent>"],
  },
  "an application": {
    kind: "Application",
    spec: {
      description: "Vibration monitoring",
      isActivated: true,
      natsConfig: { natsAccess: true },
      microservices: [{ name: "m", ...microservice }, {
        name: "n",
        agent: { name: "hub" },
        images: { x86: "dash:1" },
      }],
      routes: [{ name: "readings", from: "n", to: "n" }],
      isSystem: false,
      replicas: 1,
    },
    created: [
      "POST /application description isActivated name",
      postMicroservice,
      "POST /microservices agentName application cmd env extraHosts images name ports volumeMappings",
      "POST /routes application from name to",
    ],
    createdPot: [
      "POST /application description isActivated name natsConfig",
      postPotMicroservice,
      "POST /microservices agentName application cmd env extraHosts images name ports volumeMappings",
    ],
    deleted: ["DELETE /application/application"],
  },
  "an application with access to NATS": {
    kind: "Application",
    spec: { natsConfig: { natsAccess: true, natsRule: "default-account" } },
    created: ["POST /application isActivated name"],
    createdPot: ["POST /application isActivated name natsConfig"],
    deleted: ["DELETE /application/application"],
  },
  "a microservice": {
    kind: "Microservice",
    spec: { name: "m", application: "house", ...microservice },
    created: [
      postMicroservice,
    ],
    createdPot: [
      postPotMicroservice,
    ],
    deleted: ["DELETE /microservices/<m>"],
  },
  "a microservice with a role": {
    kind: "Microservice",
    spec: { name: "m", application: "house", ...withRole },
    created: [postWithRole],
    deleted: ["DELETE /microservices/<m>"],
    only: "3.7.3",
  },
  "an application with a role": {
    kind: "Application",
    spec: { microservices: [{ name: "m", ...withRole }] },
    created: ["POST /application isActivated name", postWithRole],
    deleted: ["DELETE /application/application"],
    only: "3.7.3",
  },
  "an application from a template": {
    kind: "Application",
    spec: { template: { name: "press", variables: [{ key: "port", value: 5080 }] } },
    created: ["POST /application isActivated name", postSecond],
    deleted: ["DELETE /application/application"],
  },
  ...Object.fromEntries(
    sources.flatMap(([source, { env, images = { x86: "reader:1" }, only }]): [string, EdgeBase][] => {
      const container = env === undefined ? {} : { container: { env: [{ key: "A", ...env }] } };
      const given = { agent: { name: "hub" }, images, ...container };
      const body = `POST /microservices ${
        ["agentName application cmd env extraHosts name ports volumeMappings"]
          .flatMap((keys) => [...keys.split(" "), "x86" in images ? "images" : "catalogItemId"]).sort().join(
            " ",
          )
      }`;
      return [
        [`a microservice with a ${source}`, {
          kind: "Microservice",
          spec: { name: "m", application: "house", ...given },
          created: [body],
          deleted: ["DELETE /microservices/<m>"],
          ...(only !== undefined && { only }),
        }],
        [`an application with a ${source}`, {
          kind: "Application",
          spec: { microservices: [{ name: "m", ...given }] },
          created: ["POST /application isActivated name", body],
          deleted: ["DELETE /application/application"],
          ...(only !== undefined && { only }),
        }],
      ];
    }),
  ),
  "a route": {
    kind: "Route",
    spec: { name: "way", application: "house", from: "door", to: "window" },
    created: ["POST /routes application from name to"],
    createdPot: [],
    deleted: ["DELETE /routes/house/way"],
    deletedPot: [],
  },
  "an edge resource": {
    kind: "EdgeResource",
    spec: {
      version: "1.0.0",
      description: "Camera",
      interfaceProtocol: "https",
      interface: { endpoints: [endpoint] },
      display: { name: "Camera", icon: "camera", color: "#336699" },
      orchestrationTags: ["camera"],
      custom: { vendor: "acme" },
    },
    created: [putCamera, "POST /edgeResource/edgeresource/1.0.0/link uuid"],
    // The Controller takes its tags from the agents.
    deleted: ["DELETE /edgeResource/edgeresource/1.0.0"],
  },
};

/** The keys of a body for `POST /iofog`. */
function keysOf(more: Json): string {
  const always = { host: 1, routerMode: 1, messagingPort: 1, edgeRouterPort: 1, interRouterPort: 1 };
  return Object.keys({ ...always, upstreamRouters: 1, ...more }).sort().join(" ");
}

/** What only a CLI can do, and what only the cluster is told: none of it is for the Controller. */
const notForTheController = (base: string, names: Readonly<Record<string, readonly unknown[]>>): EdgeWalk[] =>
  Object.entries(names).map(([field, examples]) => ({ field, base, examples, calls: [] }));

const patchAgent = (keys: string) => [`PATCH /iofog/<agent> ${keys}`];
/** 3.7.3 would set what it is not told of NATS to its defaults, whatever it is told. */
const natsKeys = [
  ...Object.keys(natsPorts),
  "natsMode",
  "jsStorageSize",
  "jsMemoryStoreSize",
  "upstreamNatsServers",
];
const patchPotLeaf = (keys: string) =>
  patchPotAgent(keys).map((call) => call.replace(" natsClusterPort", ""));
const patchPotAgent = (keys: string) =>
  patchAgent([...new Set([...keys.split(" "), ...natsKeys])].sort().join(" "));

/** Another edge resource in place of the lamp, and the other way round. */
const linked = (other: string) => [
  "DELETE /edgeResource/lamp/1.0.0/link uuid",
  `POST /edgeResource/${other}/link uuid`,
];
const linkedBack = (other: string) => [
  `DELETE /edgeResource/${other}/link uuid`,
  "POST /edgeResource/lamp/1.0.0/link uuid",
];

function agentWalks(): readonly EdgeWalk[] {
  const base = "an agent";
  const plain = Object.keys(config).map((name): EdgeWalk => {
    const examples = name === "latitude" ? [1.5, 90] : name === "longitude" ? [-1.5, 180] : undefined;
    return {
      ...{ field: `config.${name}`, base, calls: patchAgent(name) },
      ...(examples !== undefined && { examples, pot: patchPotAgent("gpsMode latitude longitude") }),
    };
  });
  const router = patchAgent(routerKeys);
  const rows: EdgeWalk[] = [
    { field: "name", base, isIdentity: true, calls: [] },
    { field: "host", base, calls: router },
    { field: "tags", base, examples: [[], ["b", "a"]], calls: patchAgent("tags") },
    {
      field: "edgeResources",
      base,
      examples: [[{ name: "siren", version: "1.0.0" }]],
      calls: linked("siren/1.0.0"),
      back: linkedBack("siren/1.0.0"),
      removed: ["DELETE /edgeResource/lamp/1.0.0/link uuid"],
      restored: ["POST /edgeResource/lamp/1.0.0/link uuid"],
    },
    {
      field: "edgeResources[0].name",
      base,
      examples: ["siren"],
      others: "untried",
      calls: linked("siren/1.0.0"),
      back: linkedBack("siren/1.0.0"),
    },
    {
      field: "edgeResources[0].version",
      base,
      examples: ["2.0.0"],
      others: "untried",
      calls: linked("lamp/2.0.0"),
      back: linkedBack("lamp/2.0.0"),
    },
    ...plain,
    // It tells what it is made of itself, once it is known.
    { field: "config.agentType", base, calls: [], isOnce: true },
    {
      field: "config.upstreamRouters",
      base,
      examples: [["spare"], ["default-router", "hub"]],
      calls: router,
    },
    {
      field: "config.routerConfig.routerMode",
      base,
      examples: ["edge"],
      others: "untried",
      // The ports of mode interior are no use to others.
      calls: patchAgent("host messagingPort routerMode upstreamRouters"),
      back: router,
    },
    ...["messagingPort", "edgeRouterPort", "interRouterPort"].map((name): EdgeWalk => ({
      field: `config.routerConfig.${name}`,
      base,
      examples: [7000],
      calls: router,
    })),
    {
      field: "config.networkRouter",
      base: "an agent without a router",
      examples: ["spare"],
      others: "untried",
      calls: patchAgent("networkRouter routerMode"),
    },
    ...["networkInterface", "edgeGuardFrequency", "containerEngine", "deploymentType"].map((
      name,
    ): EdgeWalk => ({ field: `config.${name}`, base, calls: [], pot: patchPotAgent(name) })),
    ...Object.keys(natsPorts).map((name): EdgeWalk => ({
      field: `config.natsConfig.${name}`,
      base,
      examples: [7100],
      calls: [],
      pot: patchPotAgent(name),
    })),
    {
      field: "config.natsConfig.natsMode",
      base,
      examples: ["leaf"],
      others: "untried",
      calls: [],
      // The port of the cluster belongs to a server.
      pot: patchPotLeaf("natsMode"),
      backPot: patchPotAgent("natsMode"),
    },
    ...["jsStorageSize", "jsMemoryStoreSize"].map((name): EdgeWalk => ({
      field: `config.natsConfig.${name}`,
      base,
      examples: ["20g", "3 mb"],
      others: "untried",
      refused: ["much", ""],
      calls: [],
      pot: patchPotAgent(name),
    })),
    {
      field: "config.upstreamNatsServers",
      base,
      examples: [["spare"]],
      calls: [],
      pot: patchPotAgent("upstreamNatsServers"),
    },
    // Where it stands, how that is known, and with which device, go together.
    {
      field: "config.gpsMode",
      base,
      examples: ["off"],
      others: "untried",
      calls: [],
      pot: patchPotAgent("gpsMode latitude longitude"),
    },
    {
      field: "config.gpsDevice",
      base: "an agent that moves",
      examples: ["/dev/gps1"],
      others: "untried",
      calls: [],
      pot: patchPotLeaf("gpsDevice gpsMode"),
    },
    { field: "config.gpsScanFrequency", base, calls: [], pot: patchPotAgent("gpsScanFrequency") },
    {
      field: "provisioning.secretName",
      base,
      examples: ["another"],
      others: "untried",
      calls: ["GET /iofog/<agent>/provisioning-key"],
      removed: [],
    },
    { field: "deletionPolicy", base, calls: [] },
    ...notForTheController(base, {
      ssh: [{ user: "other" }],
      package: [{}],
      scripts: [{}],
      container: [{}],
      controllerEndpoint: ["x"],
      uuid: ["x"],
    }),
  ];
  return rows.map((row) =>
    row.calls.some((call) => call.startsWith("PATCH")) ? { ...withNats(row), ...row } : row
  );
}

/** What is asked of 3.7.3 for the same. */
function withNats({ back, calls }: EdgeWalk): Pick<EdgeWalk, "pot" | "backPot"> {
  const changed = (given: readonly string[]) =>
    given.flatMap((call) => patchPotAgent(call.split(" ").slice(2).join(" ")));
  return { pot: changed(calls), ...(back === undefined ? {} : { backPot: changed(back) }) };
}

/** The fields that a microservice has, wherever it stands. */
function microserviceWalks(base: string, at: string): readonly EdgeWalk[] {
  const patch = (keys: string) => [
    `PATCH /microservices/<m> ${["agentName", "logSize", keys].sort().join(" ")}`,
  ];
  const list = (
    field: string,
    key: string,
    examples: readonly unknown[],
    parts: Readonly<Record<string, readonly unknown[]>>,
  ): EdgeWalk[] => [
    { field: `${at}container.${field}`, base, examples, calls: patch(key), removed: patch(key) },
    ...Object.entries(parts).map(([part, values]): EdgeWalk => ({
      field: `${at}container.${field}[0].${part}`,
      base,
      ...(values.length > 0 && { examples: values }),
      calls: patch(key),
    })),
  ];
  const pot = (field: string, examples?: readonly unknown[], key = field): EdgeWalk => ({
    field: `${at}container.${field}`,
    base,
    ...(examples !== undefined && { examples }),
    calls: [],
    pot: patch(key.split(".")[0] ?? ""),
  });
  return [
    {
      field: `${at}agent.name`,
      base,
      examples: ["spare"],
      others: "untried",
      calls: ["PATCH /microservices/<m> agentName logSize"],
    },
    ...notForTheController(base, {
      [`${at}agent.config`]: [{}],
      [`${at}rebuild`]: [],
      [`${at}container.ports[0].proxy`]: [],
      [`${at}uuid`]: [],
    }),
    { field: `${at}images.x86`, base, calls: patch("images") },
    { field: `${at}images.arm`, base, calls: patch("images"), removed: patch("images") },
    {
      field: `${at}images.registry`,
      base,
      examples: ["local"],
      others: "untried",
      calls: patch("registryId"),
    },
    { field: `${at}config`, base, examples: [{}, { a: [1, { b: 'c"' }] }], calls: patch("config") },
    {
      field: `${at}container.commands`,
      base,
      examples: [["a", "b"], []],
      calls: patch("cmd"),
      removed: patch("cmd"),
    },
    ...list("env", "env", [[], [{ key: "A", value: 5 }]], { key: ["A", "Z"] }),
    { field: `${at}container.env[0].value`, base, examples: ["debug", 7, ""], calls: patch("env") },
    ...list("volumes", "volumeMappings", [[]], {
      hostDestination: [],
      containerDestination: [],
      accessMode: ["ro"],
    }),
    {
      field: `${at}container.volumes[0].type`,
      base,
      examples: ["bind"],
      others: "untried",
      calls: patch("volumeMappings"),
      removed: patch("volumeMappings"),
    },
    ...list("ports", "ports", [[], [{ internal: 81, external: 5081 }]], {
      internal: [81],
      external: [5081],
      protocol: ["udp"],
    }),
    ...["schemes", "protocol", "enabled", "router.port", "router.host"].map((part): EdgeWalk => ({
      field: `${at}container.ports[0].public.${part}`,
      base,
      examples:
        { schemes: [["http"]], protocol: ["tcp"], enabled: [], "router.port": [6002], "router.host": [] }[
          part
        ] ?? [],
      others: part === "router.host" ? "untried" : "accepted",
      calls: patch("ports"),
      pot: [],
    })),
    ...list("extraHosts", "extraHosts", [[]], { name: ["other.local"], address: ["10.1.1.2"] }),
    { field: `${at}container.rootHostAccess`, base, calls: patch("rootHostAccess"), pot: [] },
    { field: `${at}container.logSize`, base, calls: ["PATCH /microservices/<m> agentName logSize"] },
    ...["hostNetworkMode", "isPrivileged", "pidMode", "ipcMode", "runAsUser", "platform", "runtime"].map(
      (name) => pot(name),
    ),
    ...["cpuSetCpus", "memoryLimit"].map((name) => pot(name)),
    pot("cdiDevices", [[], ["vendor.com/b=2"]]),
    pot("capAdd", [[], ["SYS_TIME"]]),
    pot("capDrop", [[], ["KILL"]]),
    pot("annotations", [{}, { c: "d" }]),
    pot("healthCheck.test", [["CMD", "false"]], "healthCheck"),
    ...["interval", "timeout", "startPeriod", "startInterval", "retries"].map((name) =>
      pot(`healthCheck.${name}`, undefined, "healthCheck")
    ),
    { field: `${at}schedule`, base, calls: [], pot: patch("schedule") },
    { field: `${at}natsConfig.natsAccess`, base, calls: [], pot: patch("natsConfig") },
    {
      field: `${at}natsConfig.natsRule`,
      base,
      examples: ["default-mqtt-user"],
      others: "untried",
      calls: [],
      pot: patch("natsConfig"),
    },
  ];
}

/** What a microservice takes from somewhere else. */
function referenceWalks(what: "a microservice" | "an application", at: string): readonly EdgeWalk[] {
  const patch = (keys: string) => [`PATCH /microservices/<m> ${keys}`];
  const row = (source: string, field: string, example: unknown, keys: string): EdgeWalk => ({
    field: `${at}${field}`,
    base: `${what} with a ${source}`,
    examples: [example],
    others: "untried",
    calls: patch(keys),
  });
  const env = "container.env[0]";
  const role = `${at}serviceAccount.roleRef`;
  const base = `${what} with a role`;
  const changed = patch("agentName logSize serviceAccount");
  return [
    {
      field: `${role}.name`,
      base,
      examples: ["viewer"],
      others: "untried",
      calls: changed,
      removed: changed,
    },
    ...notForTheController(base, { [`${role}.kind`]: [], [`${role}.apiGroup`]: [] }),
    row("catalogItem", "images.catalogItem", "two", "agentName catalogItemId logSize"),
    row("catalogId", "images.catalogId", CATALOG_ITEM + 1, "agentName catalogItemId logSize"),
    ...["secretKeyRef", "configMapKeyRef"].flatMap((source) => [
      row(source, `${env}.valueFrom.${source}.name`, "others", "agentName env logSize"),
      row(source, `${env}.valueFrom.${source}.key`, "two", "agentName env logSize"),
    ]),
    ...["valueFromSecret", "valueFromConfigMap"].map((source) =>
      row(source, `${env}.${source}`, "values/two", "agentName env logSize")
    ),
  ];
}

const patchApplication = (keys: string) => [`PATCH /application/application ${keys}`];
const fromTo = ["PATCH /routes/application/readings application from name to"];

/** The table. */
export const edgeWalks: Readonly<Record<EdgeKind, readonly EdgeWalk[]>> = {
  Agent: agentWalks(),
  EdgeResource: [
    { field: "name", base: "an edge resource", isIdentity: true, calls: [] },
    { field: "version", base: "an edge resource", isIdentity: true, calls: [] },
    { field: "description", base: "an edge resource", calls: [putCamera] },
    {
      field: "interfaceProtocol",
      base: "an edge resource",
      // Changed in place, it would lose its interface for good.
      calls: [
        "DELETE /edgeResource/edgeresource/1.0.0",
        putCamera,
        "POST /edgeResource/edgeresource/1.0.0/link uuid",
      ],
    },
    {
      field: "interface.endpoints",
      base: "an edge resource",
      examples: [[], [{ name: "zoom", method: "PUT", url: "/zoom" }]],
      calls: [putCamera],
      isUnread: "3.7.3",
    },
    // The list belongs to the spec whole.
    ...Object.keys(endpoint).map((name): EdgeWalk => {
      // Its database has no columns for the others.
      const pot = ["name", "description", "method", "url"].includes(name) ? [putCamera] : [];
      return {
        field: `interface.endpoints[0].${name}`,
        base: "an edge resource",
        calls: [putCamera],
        pot,
        // What cannot be read is compared with what was written last, whole.
        removedPot: pot,
        isUnread: "3.7.3",
      };
    }),
    ...["name", "icon", "color"].map((name): EdgeWalk => ({
      field: `display.${name}`,
      base: "an edge resource",
      calls: [putCamera],
    })),
    {
      field: "orchestrationTags",
      base: "an edge resource",
      examples: [["gate"], []],
      // The Controller gives the tags to the agents itself.
      calls: [putCamera],
    },
    { field: "custom", base: "an edge resource", examples: [{}, { a: { b: ["c"] } }], calls: [putCamera] },
  ],
  Application: [
    { field: "name", base: "an application", isIdentity: true, calls: [] },
    { field: "description", base: "an application", calls: patchApplication("description") },
    { field: "isActivated", base: "an application", calls: patchApplication("isActivated") },
    {
      field: "microservices[0].name",
      base: "an application",
      examples: ["q"],
      others: "untried",
      calls: ["DELETE /microservices/<m>", postMicroservice],
      back: ["DELETE /microservices/<q>", postMicroservice],
      pot: ["DELETE /microservices/<m>", postPotMicroservice],
      backPot: ["DELETE /microservices/<q>", postPotMicroservice],
    },
    ...microserviceWalks("an application", "microservices[0]."),
    ...referenceWalks("an application", "microservices[0]."),
    {
      field: "microservices",
      base: "an application",
      examples: [[]],
      // Without the route, which had an end there.
      isUnordered: true,
      calls: ["DELETE /microservices/<n>", "DELETE /microservices/<m>"],
      back: [postMicroservice, postSecond, "POST /routes application from name to"],
      backPot: [postPotMicroservice, postSecond],
      removed: ["DELETE /microservices/<n>", "DELETE /microservices/<m>"],
    },
    {
      field: "template.name",
      base: "an application from a template",
      examples: ["press-2"],
      others: "untried",
      calls: ["PATCH /microservices/<dashboard> agentName images logSize"],
    },
    {
      field: "template.variables",
      base: "an application from a template",
      examples: [[{ key: "port", value: 5090 }]],
      calls: ["PATCH /microservices/<dashboard> agentName logSize ports"],
      // The template has a default for it.
      removed: ["PATCH /microservices/<dashboard> agentName logSize ports"],
    },
    {
      field: "template.variables[0].value",
      base: "an application from a template",
      examples: [5090],
      others: "untried",
      calls: ["PATCH /microservices/<dashboard> agentName logSize ports"],
      // As if the variable were not given.
      removed: ["PATCH /microservices/<dashboard> agentName logSize ports"],
    },
    // Without a variable of that name, the port is that of the template.
    {
      field: "template.variables[0].key",
      base: "an application from a template",
      examples: ["other"],
      others: "untried",
      calls: ["PATCH /microservices/<dashboard> agentName logSize ports"],
    },
    {
      field: "routes",
      base: "an application",
      examples: [[]],
      calls: ["DELETE /routes/application/readings"],
      back: ["POST /routes application from name to"],
      removed: ["DELETE /routes/application/readings"],
      restored: ["POST /routes application from name to"],
      pot: [],
      backPot: [],
    },
    {
      field: "routes[0].name",
      base: "an application",
      examples: ["ways"],
      others: "untried",
      calls: ["DELETE /routes/application/readings", "POST /routes application from name to"],
      back: ["DELETE /routes/application/ways", "POST /routes application from name to"],
      // Its name is made of those of its ends then.
      removed: ["DELETE /routes/application/readings", "POST /routes application from name to"],
      restored: ["DELETE /routes/application/r-n-n", "POST /routes application from name to"],
      pot: [],
      backPot: [],
    },
    ...["from", "to"].map((end): EdgeWalk => ({
      field: `routes[0].${end}`,
      base: "an application",
      examples: ["m"],
      others: "untried",
      calls: fromTo,
      pot: [],
    })),
    {
      field: "natsConfig.natsAccess",
      base: "an application with access to NATS",
      calls: [],
      pot: patchApplication("natsConfig"),
    },
    {
      field: "natsConfig.natsRule",
      base: "an application with access to NATS",
      examples: ["account-monitoring-streams"],
      others: "untried",
      calls: [],
      pot: patchApplication("natsConfig"),
    },
    ...notForTheController("an application", { isSystem: [], replicas: [] }),
  ],
  Microservice: [
    { field: "name", base: "a microservice", isIdentity: true, calls: [] },
    { field: "application", base: "a microservice", isIdentity: true, calls: [] },
    ...microserviceWalks("a microservice", ""),
    ...referenceWalks("a microservice", ""),
  ],
  Route: [
    { field: "name", base: "a route", isIdentity: true, calls: [] },
    { field: "application", base: "a route", isIdentity: true, calls: [] },
    {
      field: "from",
      base: "a route",
      examples: ["roof"],
      others: "untried",
      calls: ["PATCH /routes/house/way application from name to"],
      pot: [],
    },
    {
      field: "to",
      base: "a route",
      examples: ["roof"],
      others: "untried",
      calls: ["PATCH /routes/house/way application from name to"],
      pot: [],
    },
  ],
};

/** What a line says of a step, for a dialect. */
export function callsFor(
  walk: EdgeWalk,
  dialect: Dialect,
  step: Step["type"] | "restore",
): readonly string[] {
  const isPot = dialect === "3.7.3";
  const change = isPot ? walk.pot ?? walk.calls : walk.calls;
  const back = isPot ? walk.backPot ?? walk.back ?? change : walk.back ?? change;
  // What is not for a Controller is so whichever way it is changed.
  if (change.length === 0) return [];
  const removed = isPot ? walk.removedPot ?? walk.removed : walk.removed;
  switch (step) {
    case "remove":
      return removed ?? [];
    case "restore":
      return walk.restored ?? (removed === undefined ? [] : back);
    case "return":
      return back;
    default:
      return change;
  }
}
