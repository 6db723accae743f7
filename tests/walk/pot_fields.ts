/**
 * What each field of a ControlPlane of PoT changes: the table that the walk holds against what happens. Written by
 * hand, from what the fields are for; a field of the schema that has no entry fails `controlplane_schema_test.ts`.
 */

import { PersistentVolumeClaim } from "../../src/kubernetes/generated/core_v1.ts";
import { jsonSchemaOf } from "../../src/resources/structural_schema.ts";
import { controlPlaneSchema } from "../../src/resources/controlplane/pot/schema.ts";
import { present } from "../json.ts";
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
import type { Walk, Walked } from "./walk.ts";

const hashicorp = { address: "https://vault.example.com", token: secret(), mount: "kv" };
const aws = { region: "eu-1", accessKeyId: "id", accessKey: secret() };
const azure = { url: "https://vault.example.com", tenantId: "t", clientId: "c", clientSecret: secret() };
const google = { projectId: "p", credentials: secret() };

const reference = { name: "mine", key: "password" };

/** The certificate of an authority whose key is nowhere. */
const databaseAuthority = `-----BEGIN CERTIFICATE-----
MIIBhDCCASmgAwIBAgIUJUlmRVur4Xm5Am7dmNxkdP+VkHowCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLZGF0YWJhc2UtY2EwIBcNMjYxMTIyMDI0NjIyWhgPMjEyNjEw
MjkwMjQ2MjJaMBYxFDASBgNVBAMMC2RhdGFiYXNlLWNhMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEc/3yRnlN0M4oO3lsSVV3l5q0bLSIHjRUyCDPYwAXJZDHTURK
gSGVdIUiq+MHcMDe7zpBASN9nNsNAAiqKoMMMaNTMFEwHQYDVR0OBBYEFP9DKHF9
N5apKnJLGfQkDwl3tfvfMB8GA1UdIwQYMBaAFP9DKHF9N5apKnJLGfQkDwl3tfvf
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAMTPbwVMTyFg8NRj
YlWBD2daIqjfWEVgF8wpEHirLj5WAiEA33XNoF1SW6JF+u80IUNnP6zTG4rurDOl
pzPE2OuYaa8=
-----END CERTIFICATE-----
`;

const bases: Readonly<Record<string, Base>> = {
  /** The embedded database, and load balancers. */
  plain: { changes: { services: null } },
  /** The same, for what concerns NATS. */
  nats: { changes: { services: null } },
  /** The same, to change the pods. */
  pods: { changes: { services: null } },
  /** The same, for authorities, which cannot be taken back. */
  certificates: { changes: { services: null } },
  /** All that is reached from inside only, or through somebody's proxy; all that is external; and an autoscaler. */
  inside: {
    changes: {
      database,
      services: {
        controller: { type: "ClusterIP" },
        router: { type: "ClusterIP" },
        nats: { type: "ClusterIP" },
      },
      ingresses: {
        controller: { host: "pot.example.com" },
        router: { address: "router.example.com" },
        nats: { address: "nats.example.com" },
      },
      controller: { https: true, secretName: "certificate" },
      events: { auditEnabled: true },
    },
    prepare: autoscale,
  },
  hashicorp: { changes: { vault: { provider: "hashicorp", hashicorp } } },
  aws: { changes: { vault: { provider: "aws", aws } } },
  azure: { changes: { vault: { provider: "azure", azure } } },
  google: { changes: { vault: { provider: "google", google } } },
  /** Every secret value in a Secret of the user's. */
  referenced: {
    changes: {
      auth: {
        controllerSecret: null,
        controllerSecretRef: { name: "client", key: "password" },
        caSecretRef: { name: "keycloak-ca", key: "ca" },
      },
      database: { ...database, password: null, passwordSecretRef: reference },
      vault: { provider: "vault", hashicorp: { tokenSecretRef: reference } },
    },
  },
  referencedAws: { changes: { vault: { provider: "aws", aws: { accessKeySecretRef: reference } } } },
  referencedAzure: { changes: { vault: { provider: "azure", azure: { clientSecretRef: reference } } } },
  referencedGoogle: {
    changes: { vault: { provider: "google", google: { credentialsSecretRef: reference } } },
  },
};

/** The inventory tells a second writer of each batch of writes to the Controller. */
const inventory = "ConfigMap iofog-inventory";
const batchMadeAnew = [`${inventory} data batch`];
const controller = { changes: ["Deployment controller"], restarts: ["controller"] };
const withSecret = (name: string) => ({ ...controller, changes: [...controller.changes, `Secret ${name}`] });
const auth = withSecret("controller-auth-credentials");
/** With what Keycloak does not let the operator in, the Controller is not bothered. */
const unproved = { changes: [] };
const databaseSecret = withSecret("controller-db-credentials");
const vaultSecret = withSecret("controller-vault-credentials");
const viewer = ["ViewerClient ecn-viewer", inventory];
const routerRegistration = ["DefaultRouter default-router", inventory];
const routerLeaves = ["Secret router-site-server", "Secret router-local-server"];
const hub = ["NatsHub nats-hub", inventory];
const natsLeaves = ["Secret nats-site-server", "Secret nats-mqtt-server"];
const natsConfiguration = "ConfigMap iofog-nats-config";
/** Keys are made for the address, and never kept for another day. */
const leavesMadeAnew = ["Secret (router|nats)-(site|local|mqtt)-server data (tls.key|tls.crt)"];
const natsSet = { changes: ["StatefulSet nats"], restarts: ["nats"] };
const claims = ["js-data-nats-0", "js-data-nats-1"].map((name) => `PersistentVolumeClaim ${name}`);

/** What is only there while NATS is. */
const ofNats = [
  "ConfigMap iofog-nats-config",
  "ConfigMap iofog-nats-jwt-bundle",
  "Role nats",
  "RoleBinding nats",
  "Secret nats-creds-sys-admin-hub",
  "Secret nats-mqtt-server",
  "Secret nats-operator-seed",
  "Secret nats-site-server",
  "Service nats",
  "Service nats-headless",
  "Service nats-server",
  "ServiceAccount nats",
  "StatefulSet nats",
];

/** A Service of the control plane, walked from where it is a load balancer. */
function serviceWalks(field: string, base: string, name: string): readonly Walk[] {
  const service = { base, changes: [`Service ${name}`] };
  return [
    {
      field: `services.${field}.annotations`,
      ...service,
      examples: [{ "example.org/a": "b" }, { "example.org/a": "c", d: "" }],
      refused: [{ a: 1 }],
    },
    {
      field: `services.${field}.externalTrafficPolicy`,
      ...service,
      examples: ["Cluster"],
      others: "untried",
      refused: ["Nowhere"],
      limits: [7, 7],
      madeAnew: portsMadeAnew(name),
    },
  ];
}

/** Texts of a block of the vault. */
function vaultWalks(provider: string, fields: readonly string[], secretField: string): readonly Walk[] {
  return [
    ...fields.map((name): Walk => ({ field: `vault.${provider}.${name}`, base: provider, ...vaultSecret })),
    {
      field: `vault.${provider}.${secretField}`,
      base: provider,
      isSecret: true,
      examples: [secret()],
      ...vaultSecret,
    },
    ...referenceWalks(`vault.${provider}.${secretField.replace(/Secret$/, "")}SecretRef`, {
      base: provider,
      referenced: provider === "hashicorp"
        ? "referenced"
        : `referenced${provider.charAt(0).toUpperCase()}${provider.slice(1)}`,
    }, vaultSecret),
  ];
}

/** The Controller's own authority of that name, which somebody removes as the condition says. */
function removeAuthority(name: string) {
  return ({ controller: { state } }: Walked) => {
    state.certificates = state.certificates.filter((each) => each.name !== name);
    state.secrets = state.secrets.filter((each) => each.name !== name);
    return Promise.resolve();
  };
}

const walks: readonly Walk[] = [
  // Nothing asks what the Controller makes of these two.
  ...["realmKey", "ssl"].map((name): Walk => ({ field: `auth.${name}`, base: "plain", ...auth })),
  {
    field: "auth.url",
    base: "plain",
    told: ["https://127.0.0.1:9/"],
    others: "told",
    limits: [9, Infinity],
    ...unproved,
  },
  { field: "auth.realm", base: "plain", others: "told", ...unproved },
  { field: "auth.controllerClient", base: "plain", others: "told", ...unproved },
  {
    field: "auth.controllerSecret",
    base: "plain",
    isSecret: true,
    told: [secret()],
    others: "told",
    ...unproved,
  },
  {
    field: "auth.viewerClient",
    base: "plain",
    told: ["nobody"],
    others: "told",
    ...auth,
  },
  {
    // The same value in another place.
    field: "auth.controllerSecretRef",
    base: "plain",
    examples: ["client", "another-client"].map((name) => ({ name, key: "password" })),
    refused: [{ name: "client" }, { key: "password" }, { name: "client", key: "nothing" }],
    changes: [],
  },
  {
    field: "auth.controllerSecretRef.name",
    base: "referenced",
    examples: ["another-client"],
    others: "refused",
    limits: [1, 253],
    changes: [],
  },
  {
    field: "auth.controllerSecretRef.key",
    base: "referenced",
    told: ["wrong"],
    others: "refused",
    limits: [1, 253],
    ...unproved,
  },
  {
    field: "auth.caSecretRef.name",
    base: "referenced",
    examples: ["another-ca"],
    others: "refused",
    refused: ["nobody"],
    limits: [1, 253],
    changes: [],
  },
  {
    field: "auth.caSecretRef.key",
    base: "referenced",
    told: ["wrong"],
    others: "refused",
    limits: [1, 253],
    changes: [],
  },

  {
    field: "database",
    base: "plain",
    examples: [database, { ...database, provider: "mysql", ssl: true }],
    refused: [{ host: "db.example.com" }, { provider: "mysql" }],
    ...databaseSecret,
  },
  {
    field: "database.provider",
    base: "inside",
    examples: ["mysql"],
    others: "refused",
    refused: ["sqlite", "oracle"],
    limits: [5, 5],
    ...controller,
  },
  ...["host", "user", "databaseName"].map((name): Walk => ({
    field: `database.${name}`,
    base: "inside",
    ...databaseSecret,
  })),
  { field: "database.port", base: "inside", examples: [3306], limits: port, ...databaseSecret },
  { field: "database.password", base: "inside", isSecret: true, examples: [secret()], ...databaseSecret },
  ...referenceWalks(
    "database.passwordSecretRef",
    { base: "inside", referenced: "referenced" },
    databaseSecret,
  ),
  { field: "database.ssl", base: "inside", examples: [true], others: "untried", ...databaseSecret },
  {
    field: "database.ca",
    base: "inside",
    examples: [btoa(databaseAuthority)],
    others: "untried",
    refused: [btoa("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"), "no base64 %"],
    limits: [782, 784],
    ...databaseSecret,
  },

  ...["annotations", "ingressClassName"].map((name): Walk => ({
    field: `ingresses.controller.${name}`,
    base: "inside",
    examples: name === "annotations" ? [{ "example.org/a": "b" }] : ["nginx"],
    others: "untried",
    changes: ["Ingress pot-controller"],
  })),
  {
    field: "ingresses.controller.host",
    base: "inside",
    examples: ["other.example.com", "*.example.com"],
    others: "untried",
    refused: ["Pot.example.com", "a..b"],
    changes: ["Ingress pot-controller", ...viewer],
    madeAnew: batchMadeAnew,
  },
  {
    field: "ingresses.controller.secretName",
    base: "inside",
    limits: [1, 253],
    changes: ["Ingress pot-controller"],
  },
  // A load balancer has an address, and ports, of its own.
  {
    field: "ingresses.router.address",
    base: "plain",
    examples: ["192.0.2.7"],
    limits: [1, 253],
    changes: [],
  },
  {
    field: "ingresses.router.address",
    base: "inside",
    examples: ["edge.example.com", "2001:db8::1"],
    limits: [1, 253],
    changes: [...routerLeaves, ...routerRegistration],
    madeAnew: [...leavesMadeAnew, ...batchMadeAnew],
  },
  ...["messagePort", "interiorPort", "edgePort"].map((name): Walk => ({
    field: `ingresses.router.${name}`,
    base: "inside",
    examples: [7000],
    limits: port,
    changes: routerRegistration,
    madeAnew: batchMadeAnew,
  })),
  {
    field: "ingresses.nats.address",
    base: "inside",
    examples: ["edge.example.com", "2001:db8::1"],
    limits: [1, 253],
    changes: [...natsLeaves, natsConfiguration, ...hub],
    // The Controller forgets no hub.
    unlessRemoved: hub,
    madeAnew: [...leavesMadeAnew, ...batchMadeAnew],
  },
  ...["serverPort", "clusterPort", "leafPort", "mqttPort", "httpPort"].map((name): Walk => ({
    field: `ingresses.nats.${name}`,
    base: "inside",
    examples: [7000],
    limits: port,
    changes: [...hub, ...name === "leafPort" ? [natsConfiguration] : []],
    madeAnew: batchMadeAnew,
  })),

  {
    field: "services.controller.type",
    base: "plain",
    examples: ["nodeport"],
    others: "untried",
    refused: ["ClusterIP", "Somewhere"],
    limits: [8, 8],
    changes: ["Service controller"],
    madeAnew: portsMadeAnew("controller"),
  },
  {
    field: "services.controller.type",
    base: "inside",
    examples: ["LoadBalancer"],
    others: "untried",
    limits: [12, 12],
    changes: ["Service controller", "Ingress pot-controller", ...viewer],
    madeAnew: ["Ingress pot-controller metadata (uid|creationTimestamp)", ...batchMadeAnew],
  },
  {
    field: "services.controller.address",
    base: "plain",
    examples: ["192.0.2.9"],
    changes: ["Service controller"],
  },
  ...serviceWalks("controller", "plain", "controller"),
  {
    field: "services.router.type",
    base: "inside",
    examples: ["LoadBalancer"],
    others: "untried",
    limits: [12, 12],
    changes: ["Service router", ...routerLeaves, ...routerRegistration],
    madeAnew: [...leavesMadeAnew, ...batchMadeAnew],
  },
  { field: "services.router.address", base: "plain", changes: [] },
  ...serviceWalks("router", "plain", "router"),
  {
    field: "services.nats.type",
    base: "inside",
    examples: ["LoadBalancer"],
    others: "untried",
    limits: [12, 12],
    changes: ["Service nats", ...natsLeaves, natsConfiguration, ...hub],
    madeAnew: [...leavesMadeAnew, ...batchMadeAnew],
  },
  { field: "services.nats.address", base: "nats", changes: [] },
  ...serviceWalks("nats", "nats", "nats"),
  {
    field: "services.natsServer.type",
    base: "nats",
    examples: ["NodePort", "clusterip"],
    others: "untried",
    limits: [8, 8],
    changes: ["Service nats-server"],
    madeAnew: portsMadeAnew("nats-server"),
  },
  { field: "services.natsServer.address", base: "nats", changes: [] },
  ...serviceWalks("natsServer", "nats", "nats-server"),

  {
    field: "replicas.controller",
    base: "inside",
    examples: [1, 3],
    // The API server takes as many; two billion pods are too many for a test.
    others: "untried",
    limits: [1, 2 ** 31 - 1],
    changes: ["Deployment controller"],
    // The field is the autoscaler's again, which brings its own number.
    afterwards: ({ scene }) => autoscale(scene),
  },
  { field: "replicas.controller", base: "plain", examples: [1], limits: [1, 1], changes: [] },

  { field: "images.controller", base: "plain", limits: image, ...controller },
  {
    field: "images.router",
    base: "plain",
    limits: image,
    changes: ["Deployment controller", "Deployment router"],
    restarts: ["controller", "router"],
  },
  {
    field: "images.nats",
    base: "nats",
    limits: image,
    changes: ["Deployment controller", "StatefulSet nats"],
    restarts: ["controller", "nats"],
  },
  {
    field: "images.pullSecret",
    base: "nats",
    // The API server takes longer names than a Secret can have; NATS has it in its pods.
    examples: ["registry"],
    others: "untried",
    changes: [
      ...["controller", "nats", "router"].map((name) => `ServiceAccount ${name}`),
      "StatefulSet nats",
    ],
    restarts: ["nats"],
  },

  ...["ecn", "ecnViewerUrl", "logLevel", "pidBaseDir"].map((name): Walk => ({
    field: `controller.${name}`,
    base: "plain",
    ...controller,
  })),
  {
    field: "controller.ecnViewerPort",
    base: "plain",
    examples: [8080],
    limits: port,
    refused: [51121],
    changes: ["Deployment controller", "Service controller"],
    restarts: ["controller"],
  },
  {
    field: "controller.https",
    base: "inside",
    examples: [false],
    others: "untried",
    changes: ["Deployment controller", ...viewer],
    restarts: ["controller"],
    madeAnew: batchMadeAnew,
  },
  {
    field: "controller.secretName",
    base: "inside",
    examples: ["another-certificate"],
    others: "refused",
    refused: ["mine", "router-site-ca"],
    limits: [1, 253],
    ...controller,
  },

  { field: "events.auditEnabled", base: "plain", ...controller },
  ...["retentionDays", "cleanupInterval"].map((name): Walk => ({
    field: `events.${name}`,
    base: "inside",
    examples: [7],
    others: "untried",
    limits: [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ...controller,
  })),
  { field: "events.captureIpAddress", base: "inside", ...controller },

  {
    field: "vault",
    base: "plain",
    examples: [
      { provider: "hashicorp", hashicorp },
      { provider: "aws", aws },
      { provider: "azure", azure },
      { provider: "google", google },
    ],
    refused: [{ provider: "aws", azure }, { provider: "aws" }, { provider: "aws", aws, google }],
    ...vaultSecret,
  },
  { field: "vault.enabled", base: "hashicorp", examples: [false], others: "untried", ...controller },
  {
    field: "vault.provider",
    base: "hashicorp",
    examples: ["vault", "openbao"],
    refused: ["aws", "safe"],
    limits: [5, 5],
    ...controller,
  },
  { field: "vault.basePath", base: "hashicorp", examples: ["pot/$namespace"], ...controller },
  ...vaultWalks("hashicorp", ["address", "mount"], "token"),
  ...vaultWalks("aws", ["region", "accessKeyId"], "accessKey"),
  ...vaultWalks("azure", ["url", "tenantId", "clientId"], "clientSecret"),
  ...vaultWalks("google", ["projectId"], "credentials"),

  // cert-manager is not there, so nothing comes of an issuer but a condition.
  {
    field: "certificates.issuerRef.name",
    base: "certificates",
    limits: [1, 253],
    told: ["issuer"],
    others: "told",
    changes: [],
  },
  ...["kind", "group"].map((name): Walk => ({
    field: `certificates.issuerRef.${name}`,
    base: "certificates",
    changes: [],
  })),
  ...([
    ["routerSiteCaSecret", "router-site-ca", "router-site-server"],
    ["routerLocalCaSecret", "default-router-local-ca", "router-local-server"],
    ["natsSiteCaSecret", "nats-site-ca", "nats-site-server"],
    ["natsLocalCaSecret", "default-nats-local-ca", "nats-mqtt-server"],
  ] as const).map(([name, authority, leaf]): Walk => {
    // What the Controller has of it is another one until somebody removes that: then ours is imported.
    const changes = [`Secret ${authority}`, `Secret ${leaf}`];
    return {
      field: `certificates.${name}.name`,
      base: "certificates",
      limits: [1, 253],
      told: ["authority"],
      others: "refused",
      refused: ["mine", authority],
      mend: removeAuthority(authority),
      changes,
      stays: changes,
      madeAnew: [
        `Secret (${authority}|${leaf}) (data .*|metadata annotations.*|owners.*)`,
        `CertificateAuthority ${authority} spec`,
        ...batchMadeAnew,
      ],
    };
  }),

  ...podWalks("controller", "Deployment controller", "controller", "datasance.com/component"),
  ...podWalks("router", "Deployment router", "router", "datasance.com/component"),
  ...podWalks("nats", "StatefulSet nats", "nats", "datasance.com/component"),

  ...storageWalks("plain"),
  {
    field: "deletionPolicy",
    base: "plain",
    examples: ["Retain"],
    others: "untried",
    changes: [
      "PersistentVolumeClaim controller-sqlite",
      ...["default-nats-local-ca", "default-router-local-ca", "nats-site-ca", "router-site-ca"].map((name) =>
        `Secret ${name}`
      ),
    ],
    // Made by POST, and from then on its metadata by apply.
    madeAnew: ["Secret (default-)?(nats|router)-(site|local)-ca owners.*"],
  },
  ...componentWalks("plain", ["controller", "router", "nats"]),

  {
    field: "nats.jetStream.memoryStoreSize",
    base: "nats",
    examples: ["2G", "512Mi"],
    others: "untried",
    refused: ["much"],
    limits: [1, 2],
    changes: [natsConfiguration],
  },
  // It cannot change once the claims are there.
  {
    field: "nats.jetStream.storageClassName",
    base: "nats",
    limits: [1, 253],
    others: "refused",
    changes: [],
  },
  {
    field: "nats.enabled",
    base: "nats",
    examples: [false],
    others: "untried",
    changes: ["Deployment controller", ...ofNats],
    restarts: ["controller"],
    madeAnew: [
      `(${
        ofNats.join("|")
      }) (metadata (uid|creationTimestamp)|spec (clusterIPs?.*|ports.*|healthCheckNodePort)|data.*|status.*)`,
      ...batchMadeAnew,
    ],
  },
  {
    field: "replicas.nats",
    base: "nats",
    examples: [3],
    others: "untried",
    refused: [1],
    limits: [2, 100],
    changes: [
      ...natsSet.changes,
      natsConfiguration,
      ...natsLeaves,
      "PersistentVolumeClaim js-data-nats-2",
      "Secret nats-jetstream-key-pot",
    ],
    // A server that comes again has its data again.
    stays: ["PersistentVolumeClaim js-data-nats-2", "Secret nats-jetstream-key-pot"],
    madeAnew: leavesMadeAnew,
    afterwards: async ({ scene: { client, namespace } }) => {
      await client.delete(PersistentVolumeClaim, { namespace, name: "js-data-nats-2" });
    },
  },
  // What was asked for last stays written on the claims.
  {
    field: "nats.jetStream.storageSize",
    base: "nats",
    examples: ["20Gi"],
    others: "untried",
    refused: ["9Gi", "much", "0"],
    changes: [...claims, natsConfiguration],
    stays: claims,
    madeAnew: [`(${claims.join("|")}) (metadata annotations.*|owners.*)`],
  },
];

/** Every field below the spec of a ControlPlane of PoT. */
export const potTable: Table = {
  fields: fieldsOf(present(jsonSchemaOf(controlPlaneSchema).properties?.["spec"])),
  bases,
  walks,
};
