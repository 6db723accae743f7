/**
 * What each field of a ControlPlane of ioFog changes: the table that the walk holds against what happens. Written by
 * hand, from what the fields are for; a field of the schema that has no entry fails `controlplane_schema_test.ts`.
 */

import { jsonSchemaOf } from "../../src/resources/structural_schema.ts";
import { controlPlaneSchema } from "../../src/resources/controlplane/iofog/schema.ts";
import { present } from "../json.ts";
import { registerSecret } from "../secrets.ts";
import { fieldsOf } from "./fields.ts";
import {
  autoscale,
  type Base,
  componentWalks,
  database,
  image,
  podWalks,
  port,
  portsMadeAnew,
  referenceWalks,
  secret,
  storageWalks,
  type Table,
} from "./table.ts";
import type { Walk } from "./walk.ts";

const bases: Readonly<Record<string, Base>> = {
  /** The embedded database, and load balancers. */
  sqlite: { changes: { services: null } },
  /** The same, to change the pods. */
  pods: { changes: { services: null } },
  /** An external database, a router without a load balancer, and an autoscaler. */
  external: {
    changes: {
      database,
      services: { controller: null, router: { type: "ClusterIP" } },
      ingresses: { router: { address: "router.example.com" } },
    },
    prepare: autoscale,
  },
  /** Every secret value in a Secret of the user's. */
  referenced: {
    changes: {
      services: null,
      user: { password: null, passwordSecretRef: { name: "mine", key: "password" } },
      database: { ...database, password: null, passwordSecretRef: { name: "mine", key: "password" } },
      controller: { proxyBrokerTokenSecretRef: { name: "mine", key: "password" } },
    },
  },
};

const controller = { changes: ["Deployment controller"], restarts: ["controller"] };
const routerLeaves = ["Secret router-amqps", "Secret router-internal"];
/** Keys are made for the address, and never kept for another day. */
const leavesMadeAnew = ["Secret router-(amqps|internal) data (tls.key|tls.crt)"];
/** The inventory tells a second writer of each batch of writes to the Controller. */
const inventory = "ConfigMap iofog-inventory";
const batchMadeAnew = [`${inventory} data batch`];
const registration = ["DefaultRouter default-router", inventory];
const user = ["User somebody@example.com", inventory];
const databaseSecret = {
  changes: ["Deployment controller", "Secret controller-db-credentials"],
  restarts: ["controller"],
};
/** Fields that name a key of a Secret, and what another value in it changes. */
const references: Readonly<Record<string, Pick<Walk, "changes" | "restarts" | "madeAnew">>> = {
  "user.passwordSecretRef": {
    changes: ["Deployment port-manager", "Secret controller-credentials", ...user],
    restarts: ["port-manager"],
    madeAnew: batchMadeAnew,
  },
  "database.passwordSecretRef": databaseSecret,
  "controller.proxyBrokerTokenSecretRef": {
    changes: ["Deployment controller", "Secret controller-s2s-tokens"],
    restarts: ["controller"],
  },
};
const walks: readonly Walk[] = [
  ...["ecn", "ecnViewerUrl", "pidBaseDir", "portAllocatorHost", "portProvider", "proxyBrokerUrl"].map((
    name,
  ): Walk => ({ field: `controller.${name}`, base: "sqlite", ...controller })),
  {
    field: "controller.ecnViewerPort",
    base: "sqlite",
    examples: [8080],
    limits: port,
    refused: [51121],
    changes: ["Deployment controller", "Service controller"],
    restarts: ["controller"],
  },
  {
    field: "controller.proxyBrokerToken",
    base: "sqlite",
    isSecret: true,
    examples: [secret()],
    changes: ["Deployment controller", "Secret controller-s2s-tokens"],
    restarts: ["controller"],
  },

  { field: "database.provider", base: "external", examples: ["mysql"], ...controller, refused: ["sqlite"] },
  ...["host", "user", "databaseName"].map((
    name,
  ): Walk => ({ field: `database.${name}`, base: "external", ...databaseSecret })),
  { field: "database.port", base: "external", examples: [3306], limits: port, ...databaseSecret },
  { field: "database.password", base: "external", isSecret: true, examples: [secret()], ...databaseSecret },

  ...Object.entries(references).flatMap(([field, effect]) =>
    referenceWalks(
      field,
      { base: field.startsWith("database") ? "external" : "sqlite", referenced: "referenced" },
      effect,
    )
  ),

  ...([
    ["caSecret", ["authority"], routerLeaves],
    ["routerAmqpsSecret", ["certificate"], ["Secret router-amqps"]],
    ["routerInternalSecret", ["certificate"], ["Secret router-internal"]],
  ] as const).map(([name, examples, changes]): Walk => ({
    field: `certificates.${name}.name`,
    base: "sqlite",
    limits: [1, 253],
    examples,
    // Nothing else that can be used is there.
    others: "refused",
    refused: ["mine"],
    changes,
    madeAnew: leavesMadeAnew,
  })),

  { field: "images.controller", base: "sqlite", limits: image, ...controller },
  { field: "images.portRouter", base: "sqlite", limits: image, ...controller },
  {
    field: "images.router",
    base: "sqlite",
    limits: image,
    changes: ["Deployment controller", "Deployment router"],
    restarts: ["controller", "router"],
  },
  {
    field: "images.portManager",
    base: "sqlite",
    limits: image,
    changes: ["Deployment port-manager"],
    restarts: ["port-manager"],
  },
  {
    field: "images.proxy",
    base: "sqlite",
    examples: ["registry.example.com:5000/proxy:1"],
    // A tag has at most 128 characters.
    limits: [1, 160],
    changes: ["Deployment controller", "Deployment port-manager"],
    restarts: ["controller", "port-manager"],
  },
  {
    field: "images.pullSecret",
    base: "sqlite",
    changes: ["controller", "port-manager", "router"].map((name) => `ServiceAccount ${name}`),
  },

  ...["httpProxy", "tcpProxy"].map((name): Walk => ({
    field: `ingresses.${name}.address`,
    base: "sqlite",
    changes: ["Deployment port-manager"],
    restarts: ["port-manager"],
  })),
  // A load balancer has an address, and ports, of its own.
  {
    field: "ingresses.router.address",
    base: "sqlite",
    examples: ["192.0.2.7"],
    limits: [1, 253],
    changes: [],
  },
  {
    field: "ingresses.router.address",
    base: "external",
    examples: ["edge.example.com", "2001:db8::1"],
    limits: [1, 253],
    changes: [...routerLeaves, ...registration],
    isAwaited: true,
    madeAnew: [...leavesMadeAnew, ...batchMadeAnew],
  },
  ...["messagePort", "interiorPort", "edgePort"].map((name): Walk => ({
    field: `ingresses.router.${name}`,
    base: "external",
    examples: [7000],
    limits: port,
    changes: registration,
    madeAnew: batchMadeAnew,
  })),

  {
    field: "replicas.controller",
    base: "external",
    examples: [1, 3],
    // The API server takes as many; two billion pods are too many for a test.
    others: "untried",
    limits: [1, 2 ** 31 - 1],
    changes: ["Deployment controller"],
    // The field is the autoscaler's again, which brings its own number.
    afterwards: ({ scene }) => autoscale(scene),
  },
  {
    field: "replicas.controller",
    base: "sqlite",
    examples: [1],
    limits: [1, 1],
    changes: [],
  },

  {
    field: "services.controller.type",
    base: "sqlite",
    examples: ["NodePort", "clusterip"],
    others: "untried",
    limits: [8, 8],
    changes: ["Service controller"],
    madeAnew: portsMadeAnew("controller"),
  },
  {
    field: "services.controller.address",
    base: "sqlite",
    examples: ["192.0.2.9"],
    changes: ["Service controller"],
  },
  {
    field: "services.router.type",
    base: "external",
    examples: ["LoadBalancer"],
    others: "untried",
    limits: [12, 12],
    changes: ["Service router", ...routerLeaves, ...registration],
    madeAnew: [...leavesMadeAnew, ...batchMadeAnew],
  },
  {
    field: "replicas.portManager",
    base: "sqlite",
    examples: [2],
    others: "untried",
    limits: [1, 2 ** 31 - 1],
    changes: ["Deployment port-manager"],
  },
  { field: "replicas.router", base: "sqlite", examples: [1], limits: [1, 1], changes: [] },

  ...Object.entries({ controller: "controller", router: "router", portManager: "port-manager" }).flatMap((
    [component, name],
  ) => podWalks(component, `Deployment ${name}`, name, "name")),

  ...storageWalks("sqlite"),
  {
    field: "deletionPolicy",
    base: "sqlite",
    examples: ["Retain"],
    others: "untried",
    changes: ["PersistentVolumeClaim controller-sqlite"],
  },
  ...componentWalks("sqlite", ["controller", "router", "port-manager"]),

  { field: "services.router.address", base: "sqlite", changes: [] },
  { field: "services.proxy.type", base: "sqlite", changes: [] },
  { field: "services.proxy.address", base: "sqlite", changes: [] },

  ...["name", "surname"].map((name): Walk => ({
    field: `user.${name}`,
    base: "sqlite",
    limits: [3, Infinity],
    changes: user,
    madeAnew: batchMadeAnew,
  })),
  {
    field: "user.email",
    base: "sqlite",
    examples: ["somebody@example.com"],
    limits: [18, Infinity],
    // It cannot change once the user exists.
    others: "refused",
    changes: [],
  },
  {
    field: "user.password",
    base: "sqlite",
    isSecret: true,
    examples: [secret(), registerSecret(btoa(secret()))],
    limits: [8, Infinity],
    changes: ["Deployment port-manager", "Secret controller-credentials", ...user],
    restarts: ["port-manager"],
    madeAnew: batchMadeAnew,
  },
];

/** Every field below the spec of a ControlPlane of ioFog. */
export const iofogTable: Table = {
  fields: fieldsOf(present(jsonSchemaOf(controlPlaneSchema).properties?.["spec"])),
  bases,
  walks,
};
