/**
 * What each field of a ControlPlane changes: the table that the walk holds against what happens. Written by hand, from
 * what the fields are for; a field of the schema that has no entry fails `controlplane_schema_test.ts`.
 */

import { systemClock } from "../../src/clock.ts";
import { makeCa, makeLeaf } from "../../src/resources/pki.ts";
import { jsonSchemaOf } from "../../src/resources/structural_schema.ts";
import { controlPlaneSchema } from "../../src/resources/controlplane/iofog/schema.ts";
import { type Json, merged, present } from "../json.ts";
import type { Shape } from "./arbitrary.ts";
import { type Field, fieldsOf } from "./fields.ts";
import { registerSecret } from "../secrets.ts";
import { eventually } from "../e2e/waiting.ts";
import type { Scene } from "../e2e/harness.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { Walk } from "./walk.ts";

/** Every field below the spec of a ControlPlane. */
export const fields: readonly Field[] = fieldsOf(
  present(jsonSchemaOf(controlPlaneSchema).properties?.["spec"]),
);

/** What to walk from: changes of the least spec, and what others do once it is ready. */
export interface Base {
  readonly changes: Json;
  readonly prepare?: (scene: Scene) => Promise<void>;
}

const database = {
  provider: "postgres",
  host: "db.example.com",
  port: 5432,
  user: "iofog",
  password: secret(),
  databaseName: "iofog",
};

export const bases: Readonly<Record<string, Base>> = {
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
/** The API server takes another free one. */
const portsMadeAnew = (name: string) => [
  `Service ${name} spec (ports \\d+ nodePort|healthCheckNodePort)`,
];
const port = [1, 65535] as const;
const image = [1, 512] as const;

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
const whole = {
  examples: ["mine", "other"].map((name) => ({ name, key: "password" })),
  refused: [{ name: "mine" }, { key: "password" }, { name: "mine", key: "nothing" }, {
    name: "nobody",
    key: "password",
  }],
};
/** Fields of the pods of a component, with values to be taken and to be refused. */
const podFields: readonly [field: string, examples: readonly unknown[], refused: readonly unknown[]][] = [
  ["labels", [{ tier: "edge" }, { tier: "core", "example.org/a": "b" }], [{ name: "x" }, { tier: 1 }]],
  ["annotations", [{ "example.org/a": "b c" }], [{ "iofog.org/revision": "1" }]],
  ["resources.requests", [{ cpu: "100m" }, { memory: "64Mi", cpu: "0.5" }], [{ cpu: "much" }]],
  ["resources.limits", [{ cpu: "2" }], [{ cpu: "-1" }]],
  ["nodeSelector", [{ disk: "fast" }], [{ disk: true }]],
  ["tolerations", [[{ key: "edge", operator: "Exists", effect: "NoExecute", tolerationSeconds: 0 }]], [[
    "x",
  ]]],
  ["affinity", [{
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{
        weight: 1,
        podAffinityTerm: { topologyKey: "zone", labelSelector: { matchLabels: { name: "router" } } },
      }],
    },
  }], [{ nodeAffinity: "x" }]],
  [
    "topologySpreadConstraints",
    [[{
      maxSkew: 1,
      topologyKey: "zone",
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels: { name: "router" } },
    }]],
    [[{ maxSkew: 1 }]],
  ],
  ["podSecurityContext", [{ fsGroup: 10000, seccompProfile: { type: "RuntimeDefault" } }], [{
    fsGroup: "x",
  }]],
  ["securityContext", [{ readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } }], [{
    runAsUser: "x",
  }]],
  ["priorityClassName", ["system-cluster-critical"], []],
];
/** Nothing else of that name is there. */
const part = { examples: ["other"], others: "refused" } as const;

export const walks: readonly Walk[] = [
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

  ...Object.entries(references).flatMap(([field, effect]): Walk[] => [
    // A value in place of a plain one, and back.
    { field, base: field.startsWith("database") ? "external" : "sqlite", ...whole, ...effect },
    { field: `${field}.name`, base: "referenced", limits: [1, 253], ...part, ...effect },
    { field: `${field}.key`, base: "referenced", limits: [1, 253], ...part, ...effect },
  ]),

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
    afterwards: autoscale,
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
  ) =>
    podFields.map(([field, examples, refused]): Walk => ({
      field: `pods.${component}.${field}`,
      base: "pods",
      examples,
      // What they may name, and how they fit together, only the API server knows.
      others: "untried",
      refused,
      changes: [`Deployment ${name}`],
      restarts: [name],
    }))
  ),

  // What was asked for is written on the claim; without a volume it cannot grow.
  {
    field: "storage.size",
    base: "sqlite",
    examples: ["1Gi", "2Gi"],
    refused: ["512Mi", "much", "-1Gi", "0"],
    changes: ["PersistentVolumeClaim controller-sqlite"],
  },
  // It cannot change once the claim is there.
  { field: "storage.storageClassName", base: "sqlite", limits: [1, 253], others: "refused", changes: [] },
  {
    field: "deletionPolicy",
    base: "sqlite",
    examples: ["Retain"],
    others: "untried",
    changes: ["PersistentVolumeClaim controller-sqlite"],
  },
  ...([["podDisruptionBudgets", "PodDisruptionBudget"], ["networkPolicies", "NetworkPolicy"]] as const).map((
    [field, kind],
  ): Walk => ({
    field: `${field}.enabled`,
    base: "sqlite",
    examples: [true],
    others: "untried",
    changes: ["controller", "router", "port-manager"].map((name) => `${kind} ${name}`),
  })),

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

/**
 * For specs of a property test: the bases over `spec`, with the examples of the table.
 *
 * @param areTaken Whether the API server should take what comes of them: of parts of pods only the examples then.
 */
export function shapesOf(spec: Json, areTaken: boolean): readonly Shape[] {
  const of = (field: Field) => walks.filter((walk) => walk.field === field.name);
  const isPartOfPods = ({ name }: Field) => /^pods\b/.test(name);
  return Object.values(bases).map(({ changes }) => ({
    spec: merged(spec, changes),
    fields,
    examples: (field) => of(field).flatMap((walk) => walk.examples ?? []),
    hasOnlyExamples: (field) => areTaken && isPartOfPods(field),
  }));
}

/** What the user keeps in Secrets. */
export const userSecrets = ["mine", "other"].map((name) => ({
  name,
  values: { password: secret(), other: secret() },
}));

/** Makes `userSecrets`, and certificates of the user's. */
export async function makeSecrets(scene: Scene): Promise<void> {
  const { namespace } = scene;
  for (const { name, values } of userSecrets) {
    await scene.client.create(Secret, { metadata: { namespace, name }, stringData: { ...values } });
  }
  const now = systemClock.now();
  const authority = await makeCa("authority", now);
  const certificate = await makeLeaf(authority, ["192.0.2.2"], now);
  for (const [name, values] of Object.entries({ authority, certificate })) {
    await scene.client.create(Secret, {
      metadata: { namespace, name },
      type: "kubernetes.io/tls",
      stringData: { ...values } as Record<string, string>,
    });
  }
}

/** What a HorizontalPodAutoscaler does. */
async function autoscale(scene: Scene): Promise<void> {
  const target = { namespace: scene.namespace, name: "controller" };
  const patch = { spec: { replicas: 2 } };
  await scene.client.patch(Deployment, target, { type: "merge", patch }, { subresource: "scale" });
  await eventually(
    "two Controllers",
    () => scene.get(Deployment, "controller"),
    ({ status }) => status?.availableReplicas === 2 && status.replicas === 2,
  );
}

function secret(): string {
  return registerSecret(`Walk-${crypto.randomUUID()}`);
}
