/**
 * The `datasance.com/v3` ControlPlane, written down once: its types, its check at run time, its defaults, and (through
 * `../../crd.ts`) its CRD and reference. What it shares with the ioFog one stands in `../fields.ts`.
 */

import * as z from "zod";
import { checkSpec, type ParsedSpec } from "../../parse_spec.ts";
import { isPem } from "../../pki.ts";
import { podSettings } from "../../pods.ts";
import { isQuantity } from "../../quantity.ts";
import {
  checkDatabase,
  checkReplicas,
  claimSize,
  controllerReplicas,
  databaseRequired,
  databaseShape,
  deletionPolicy,
  image,
  isHost,
  nameOf,
  optional,
  port,
  secretFields,
  serviceType,
  statusShape,
  storage,
  text,
  viewerPort,
} from "../fields.ts";
import { defaultImages } from "./images.ts";

/**
 * Secrets that the operator writes: whoever names one of them for input would have it read what it writes. The key of
 * JetStream is not among them, since its name has the name of the custom resource in it.
 */
export const ownSecrets: readonly string[] = [
  "controller-db-credentials",
  "controller-auth-credentials",
  "controller-vault-credentials",
  "router-site-ca",
  "default-router-local-ca",
  "router-site-server",
  "router-local-server",
  "nats-site-ca",
  "default-nats-local-ca",
  "nats-site-server",
  "nats-mqtt-server",
  "nats-operator-seed",
  "nats-creds-sys-admin-hub",
];

const secrets = secretFields(ownSecrets);

const required = (description: string) => z.string().meta({ description });

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { hash, password, protocol, search, username } = new URL(text);
  return /^https?:$/.test(protocol) && `${username}${password}${search}${hash}` === "";
}

const auth = z.strictObject({
  url: z.string()
    .refine(isPlainUrl, {
      error: "must be a URL such as https://keycloak.example.com/, without credentials, query or fragment",
    })
    .meta({
      description:
        "Base URL of Keycloak, with or without a slash at its end, and without credentials, query or fragment.",
    }),
  realm: required("Realm of Keycloak that the control plane belongs to."),
  realmKey: required("Public key of the realm, as Keycloak shows it."),
  ssl: required("For which requests Keycloak wants TLS, e.g. `external`."),
  controllerClient: required("Confidential client that the Controller and the operator log in as."),
  controllerSecret: text(
    "Secret of that client, as plain text. Needed where `controllerSecretRef` is not set.",
  ),
  controllerSecretRef: secrets.ref("Secret of that client", "controllerSecret"),
  viewerClient: required("Public client of the ECN Viewer; its root URL is kept right."),
  caSecretRef: secrets.ref(
    "PEM certificates of the authorities that the operator trusts at Keycloak, beside those of the system",
  ),
}).superRefine(({ controllerSecret, controllerSecretRef }, context) => {
  if (controllerSecret !== undefined || controllerSecretRef !== undefined) return;
  context.addIssue({
    code: "custom",
    path: ["controllerSecret"],
    message:
      "is required, but missing or empty: set it, or name a Secret that holds it in spec.auth.controllerSecretRef",
  });
}).meta({ description: "Keycloak, which says who may do what." });

/** Whether `encoded` is base64 of PEM certificates. */
function isEncodedPem(encoded: string): boolean {
  try {
    return isPem(atob(encoded.replaceAll(/\s/g, "")));
  } catch {
    return false;
  }
}

/** Whatever else stands there, Controller 3.7.3 takes for the name of a file, and ends. */
const databaseProviders: readonly string[] = ["sqlite", "mysql", "postgres"];

const database = z.strictObject({
  ...databaseShape(secrets.ref("Password of the external database", "password")),
  provider: text("Database provider: `mysql` or `postgres`; empty or `sqlite` for the embedded database."),
  ssl: z.boolean().default(false).meta({ description: "Whether the Controller uses TLS to the database." }),
  ca: z.string()
    .refine(isEncodedPem, { error: "must be base64 of a certificate in PEM form" })
    .optional()
    .meta({ description: "Base64 of the PEM certificate of the database's authority." }),
}).superRefine(({ ca: _, ssl: __, ...rest }, context) => {
  checkDatabase(rest, context);
  if (rest.provider === undefined || databaseProviders.includes(rest.provider)) return;
  const message = `must be one of ${databaseProviders.join(", ")}: the Controller starts with no other`;
  context.addIssue({ code: "custom", path: ["provider"], message });
}).meta({
  description:
    "The Controller's database; left out or empty: embedded sqlite. Where it is given, so are the host, port, user, " +
    "password and name.",
  // The Go operator's CRD wants them to be there, and the password, but not to have a value.
  required: databaseRequired,
});

const address = (description: string) =>
  z.string()
    .refine(isHost, { error: "must be a host name or an IP address, without scheme or port" })
    .optional()
    .meta({ description });

const ingresses = z.strictObject({
  controller: z.strictObject({
    annotations: z.record(z.string(), z.string()).default({}).meta({
      description: "Annotations of the Ingress.",
    }),
    ingressClassName: text("Class of the Ingress. Default: the cluster's."),
    host: z.string()
      .refine(
        (host) => /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(host),
        {
          error: "must be a host name in lower case, without scheme or port",
        },
      )
      .optional()
      .meta({ description: "Host name of the Ingress, and of the ECN Viewer." }),
    secretName: nameOf("Secret").optional().meta({
      description: "Secret of type kubernetes.io/tls that the Ingress serves the host with.",
    }),
  }).prefault({}).meta({
    description: "Ingress `pot-controller`, which is there where Service `controller` is of type ClusterIP.",
  }),
  router: z.strictObject({
    address: address(
      "Host name or IP address under which agents reach the router. Needed where Service `router` is not a " +
        "LoadBalancer; not used where it is.",
    ),
    messagePort: port("Port for messages at that address.").default(5671),
    interiorPort: port("Port for interior routers at that address.").default(55671),
    edgePort: port("Port for edge routers at that address.").default(45671),
  }).prefault({}).meta({ description: "How the router is reached where its Service is not a LoadBalancer." }),
  nats: z.strictObject({
    address: address(
      "Host name or IP address under which agents reach NATS where Service `nats` is not a LoadBalancer. Left out " +
        "there: agents cannot use NATS of the control plane.",
    ),
    serverPort: port("Port for clients, as agents see it.").default(4222),
    clusterPort: port("Port for other servers, as agents see it.").default(6222),
    leafPort: port("Port for leaf nodes, as agents see it.").default(7422),
    mqttPort: port("Port for MQTT, as agents see it.").default(8883),
    httpPort: port("Port for monitoring, as agents see it.").default(8222),
  }).prefault({}).meta({ description: "How NATS is reached from outside." }),
}).prefault({}).meta({ description: "Addresses of what forwards traffic into the cluster." });

const trafficPolicy = z.string()
  .transform((written, context): "Local" | "Cluster" => {
    const policy = (["Local", "Cluster"] as const).find((known) =>
      known.toLowerCase() === written.toLowerCase()
    );
    if (policy !== undefined) return policy;
    context.addIssue({ code: "custom", message: "must be Local or Cluster" });
    return z.NEVER;
  })
  .optional()
  .meta({
    description:
      "`externalTrafficPolicy`: Local or Cluster. Default: Local with a LoadBalancer, Cluster with a NodePort; a " +
      "ClusterIP has none.",
  });

function service(name: string, what: string, addressDescription = "Not used.") {
  return z.strictObject({
    type: serviceType(`Type of Service \`${name}\``),
    address: text(addressDescription),
    annotations: z.record(z.string(), z.string()).default({}).meta({
      description: "Annotations of the Service.",
    }),
    externalTrafficPolicy: trafficPolicy,
  }).prefault({}).meta({ description: `Service \`${name}\`: ${what}.` });
}

const services = z.strictObject({
  controller: service(
    "controller",
    "the Controller's API and ECN Viewer",
    "Address to ask of the cloud (`loadBalancerIP`) when the type is LoadBalancer.",
  ),
  router: service("router", "where agents' routers connect"),
  nats: service("nats", "where NATS servers of agents connect, and MQTT"),
  natsServer: service("nats-server", "NATS clients without TLS, and monitoring"),
}).prefault({}).meta({ description: "How the Services of the control plane are exposed." });

const images = z.strictObject({
  pullSecret: text("Name of a Secret of type kubernetes.io/dockerconfigjson to pull all images with."),
  controller: image(`Image of the Controller. Default: ${defaultImages.controller}.`),
  router: image(`Image of the router, here and at agents. Default: ${defaultImages.router}.`),
  nats: image(`Image of NATS, here and at agents. Default: ${defaultImages.nats}.`),
}).prefault({}).meta({
  description: "Images that replace the default ones. The operator's environment may have other defaults: " +
    "RELATED_IMAGE_POT_CONTROLLER, RELATED_IMAGE_POT_ROUTER and RELATED_IMAGE_POT_NATS.",
});

const controller = z.strictObject({
  pidBaseDir: z.string().default("/home/runner").meta({
    description: "Directory of the Controller's process id files.",
  }),
  ecnViewerPort: viewerPort.default(8008),
  ecnViewerUrl: text("URL under which the ECN Viewer is reached from outside."),
  ecn: text("Name of the edge compute network."),
  https: z.boolean().default(false).meta({
    description: "Whether the Controller serves its API by HTTPS, with the certificate in `secretName`.",
  }),
  secretName: secrets.name.optional().meta({
    description:
      "Secret with the Controller's certificate: `tls.crt`, `tls.key` and, where there is one, `ca.crt`. Needed with `https`.",
  }),
  logLevel: z.string().default("info").meta({ description: "Level of the Controller's log." }),
}).prefault({}).superRefine(({ https, secretName }, context) => {
  if (!https || secretName !== undefined) return;
  context.addIssue({
    code: "custom",
    path: ["secretName"],
    message: "is required with https: name the Secret that holds the Controller's tls.crt and tls.key",
  });
}).meta({ description: "Settings of the Controller." });

/** More names, and routes, than any cluster of NATS is made of. */
export const MOST_NATS_SERVERS = 100;

const replicas = z.strictObject({
  controller: controllerReplicas,
  nats: z.int32()
    .refine((value) => value >= 2, {
      error:
        "must be at least 2, since one NATS server alone is no cluster: set it to 2 or more, or leave it out",
    })
    .refine((value) => value <= MOST_NATS_SERVERS, {
      error: `must be at most ${MOST_NATS_SERVERS}: each certificate has the names of all servers`,
    })
    .default(2)
    .meta({ description: "Number of NATS servers: 2 to 100." }),
}).prefault({}).meta({ description: "Numbers of pods." });

const events = z.strictObject({
  auditEnabled: z.boolean().optional().meta({
    description: "Whether the Controller records who did what. Left out: nothing is told to it of events.",
  }),
  retentionDays: z.int().optional().meta({ description: "Days for which events are kept." }),
  cleanupInterval: z.int().optional().meta({
    description: "Seconds between two times that old events are removed.",
  }),
  captureIpAddress: z.boolean().optional().meta({ description: "Whether events tell IP addresses." }),
}).prefault({}).meta({ description: "Audit events of the Controller." });

const natsSize = (description: string) =>
  z.string()
    .refine((size) => isQuantity(size) || /^\d+\s*[KMGT]B?$/i.test(size), {
      error: "must be a size such as 1Gi, 512Mi or 1G",
    })
    .optional()
    .meta({ description });

const nats = z.strictObject({
  enabled: z.boolean().default(true).meta({ description: "Whether there is NATS." }),
  jetStream: z.strictObject({
    storageSize: claimSize(
      "Size of each server's claim `js-data-nats-<number>`. It can grow only. Default: 10Gi.",
    ),
    memoryStoreSize: natsSize("Most memory that JetStream uses in each server. Default: 1G."),
    storageClassName: nameOf("StorageClass").optional().meta({
      description:
        "StorageClass of the claims. It cannot change once they are there. Default: the cluster's.",
    }),
  }).prefault({}).meta({ description: "Where messages are kept." }),
}).prefault({}).meta({ description: "The NATS servers." });

/** Providers of a vault, and which block of `spec.vault` is theirs. */
export const vaultProviders = {
  hashicorp: "hashicorp",
  openbao: "hashicorp",
  vault: "hashicorp",
  aws: "aws",
  "aws-secrets-manager": "aws",
  azure: "azure",
  "azure-key-vault": "azure",
  google: "google",
  "google-secret-manager": "google",
} as const;
const vaultBlocks = ["hashicorp", "aws", "azure", "google"] as const;

const vault = z.strictObject({
  enabled: z.boolean().default(true).meta({ description: "Whether the Controller uses the vault." }),
  provider: text(`Which vault: ${Object.keys(vaultProviders).join(", ")}.`),
  basePath: text("Path in the vault; `$namespace` in it stands for the namespace of the control plane."),
  hashicorp: z.strictObject({
    address: text("URL of the vault."),
    token: text("Token for the vault, as plain text."),
    tokenSecretRef: secrets.ref("Token for the vault", "token"),
    mount: text("Mount of the secrets engine."),
  }).optional().meta({ description: "HashiCorp Vault or OpenBao." }),
  aws: z.strictObject({
    region: text("Region."),
    accessKeyId: text("Id of the access key."),
    accessKey: text("Secret access key, as plain text."),
    accessKeySecretRef: secrets.ref("Secret access key", "accessKey"),
  }).optional().meta({ description: "AWS Secrets Manager." }),
  azure: z.strictObject({
    url: text("URL of the vault."),
    tenantId: text("Tenant."),
    clientId: text("Client."),
    clientSecret: text("Secret of the client, as plain text."),
    clientSecretRef: secrets.ref("Secret of the client", "clientSecret"),
  }).optional().meta({ description: "Azure Key Vault." }),
  google: z.strictObject({
    projectId: text("Project."),
    credentials: text("Credentials of a service account, as plain text."),
    credentialsSecretRef: secrets.ref("Credentials of a service account", "credentials"),
  }).optional().meta({ description: "Google Secret Manager." }),
}).superRefine((given, context) => {
  const issue = (path: string, message: string) =>
    context.addIssue({ code: "custom", path: [path], message });
  const provider = given.provider as keyof typeof vaultProviders | undefined;
  // An empty block says nothing.
  const isGiven = (block: typeof vaultBlocks[number]) =>
    Object.values(given[block] ?? {}).some((value) => value !== undefined);
  const blocks = vaultBlocks.filter(isGiven);
  if (provider === undefined) {
    if (blocks.length > 0) {
      issue(
        "provider",
        `is required with spec.vault.${blocks[0]}: one of ${Object.keys(vaultProviders).join(", ")}`,
      );
    }
    return;
  }
  const wanted = vaultProviders[provider];
  if (wanted === undefined) {
    return issue("provider", `must be one of ${Object.keys(vaultProviders).join(", ")}`);
  }
  if (!isGiven(wanted)) issue(wanted, `is required with provider ${provider}`);
  for (const other of blocks.filter((block) => block !== wanted)) {
    issue(other, `belongs to another provider than ${provider}: remove it, or correct spec.vault.provider`);
  }
}).prefault({}).meta({ description: "The vault in which the Controller keeps secrets of edge nodes." });

const certificates = z.strictObject({
  routerSiteCaSecret: secrets.certificate(
    "A certificate authority of your own, with `tls.crt` and an RSA key in `tls.key`, copied into Secret " +
      "`router-site-ca`: it signs the router's certificate that edge nodes see. The Secret is only read.",
  ),
  routerLocalCaSecret: secrets.certificate("The same for Secret `default-router-local-ca`."),
  natsSiteCaSecret: secrets.certificate("The same for Secret `nats-site-ca`."),
  natsLocalCaSecret: secrets.certificate("The same for Secret `default-nats-local-ca`."),
  issuerRef: z.strictObject({
    name: nameOf("Issuer").optional().meta({ description: "Name of the issuer." }),
    kind: text("`Issuer`, in the namespace of the control plane, or `ClusterIssuer`. Default: Issuer."),
    group: text("API group of the issuer; another one for an external issuer. Default: cert-manager.io."),
  }).optional().meta({
    description:
      "An issuer of cert-manager that makes every authority for which no Secret is named above, by a " +
      "Certificate of the authority's name. It has to make authorities (`isCA`) with RSA keys.",
  }),
}).prefault({}).meta({
  description: "Certificate authorities of your own. What is left out is made by the operator.",
});

const LABELS = [
  "app.kubernetes.io/name",
  "app.kubernetes.io/instance",
  "app.kubernetes.io/component",
  "app.kubernetes.io/managed-by",
  "datasance.com/component",
];

const pods = z.strictObject({
  controller: podSettings("the Controller", [...LABELS, "name"]),
  router: podSettings("the router", [...LABELS, "application", "skupper.io/component", "skupper.io/type"]),
  nats: podSettings("NATS", LABELS),
}).prefault({}).meta({
  description: "Scheduling, resources and security of the pods, component by component.",
});

const spec = z.strictObject({
  auth,
  database: database.prefault({}),
  ingresses,
  services,
  replicas,
  images,
  controller,
  events,
  nats,
  vault,
  certificates,
  pods,
  storage,
  deletionPolicy: deletionPolicy.meta({
    description:
      "What becomes of the claim with the sqlite database, and of the certificate authorities, of which the Controller " +
      "has copies in its database, when the ControlPlane is deleted. Retained ones are used again by a ControlPlane of " +
      "the same name; with an external database that is kept, set Retain.",
  }),
  podDisruptionBudgets: optional(
    "PodDisruptionBudgets of the components: at most one pod of each may be evicted at a time.",
  ),
  networkPolicies: optional(
    "NetworkPolicies that let through only what the components need: see docs/network-policies.md.",
  ),
})
  .superRefine(checkReplicas)
  .superRefine(({ services: { controller, router }, ingresses }, context) => {
    const issue = (path: string[], message: string) =>
      context.addIssue({ code: "custom", path: ["ingresses", ...path], message });
    if (controller.type === "ClusterIP" && ingresses.controller.host === undefined) {
      issue(
        ["controller", "host"],
        "is required where spec.services.controller.type is ClusterIP: set the host name under which the Ingress serves " +
          "the Controller, or choose LoadBalancer or NodePort",
      );
    }
    if (router.type !== "LoadBalancer" && ingresses.router.address === undefined) {
      issue(
        ["router", "address"],
        `is required where spec.services.router.type is ${router.type}, which gives none: set the host name or IP ` +
          "address where agents reach the router, or choose LoadBalancer",
      );
    }
  })
  .meta({ description: "The control plane as it should be." });

/** Fields of PoT 3.4 and 3.5 that may still be stored. */
const forgotten = [
  ["router"],
  ["proxy"],
  ["services", "proxy"],
  ["images", "portManager"],
  ["images", "proxy"],
  ["images", "routerAdaptor"],
  ["ingresses", "httpProxy"],
  ["ingresses", "tcpProxy"],
];

const status = z.strictObject({
  ...statusShape,
  natsAddress: text("Host name or IP address under which NATS is registered for agents."),
  viewerUrl: text("URL under which the ECN Viewer is reached, as its client in Keycloak has it."),
}).meta({ description: "The control plane as it is." });

/** The custom resource without `apiVersion`, `kind` and `metadata`. */
export const controlPlaneSchema = z.strictObject({
  spec: spec.optional(),
  status: status.optional(),
}).meta({
  description: "A Datasance PoT control plane: Controller, default router and NATS. One per namespace.",
});

/** A checked spec with its defaults; what is not set is undefined. */
export type AcceptedSpec = z.output<typeof spec>;
/** The same with each value that a Secret holds in place of its plain field. */
export type ControlPlaneSpec = Omit<AcceptedSpec, "auth"> & {
  readonly auth: AcceptedSpec["auth"] & {
    readonly controllerSecret: string;
    /** PEM certificates to trust at Keycloak. */
    readonly ca?: string | undefined;
  };
};
export type ControlPlaneStatus = z.output<typeof status>;

/** Checks `raw`, the `spec` of a ControlPlane as it was read. Never throws; messages never hold a value. */
export function parseSpec(raw: unknown): ParsedSpec<AcceptedSpec> {
  return checkSpec(spec, raw, forgotten);
}
