/**
 * The `iofog.org/v3` ControlPlane, written down once: its types, its check at run time, its defaults, and (through
 * `../crd.ts`) its CRD and reference.
 *
 * The CRD carries the shape only, so that everything that the Go operator's CRDs accept stays accepted. The limits are
 * refinements, which zod leaves out of a JSON schema; so are the defaults, since the stored object is the user's and an
 * image written into it would survive an upgrade. As in Go, null, "" and 0 mean "not set": iofogctl and the Go operator
 * write whole blocks of them.
 */

import { z } from "zod";
import type { Problem } from "../../../operator/definition.ts";
import { podSettings } from "../../pods.ts";
import { compareQuantities } from "../../quantity.ts";
import { quantity } from "../../kubernetes_shape.ts";
import { defaultImages, isImage } from "./images.ts";
import { decodePassword } from "./password.ts";
import * as reasons from "../reasons.ts";

/** The types of Service that can expose a part of the control plane. */
export const serviceTypes = ["LoadBalancer", "NodePort", "ClusterIP"] as const;
export type ServiceType = typeof serviceTypes[number];

/** Where the Controller's API listens in its pod and on its Service. */
export const CONTROLLER_API_PORT = 51121;

/** Fewest characters of a user's names and password: what `POST /user/signup` of Controller 3.0.4 accepts. */
const NAME_LENGTH = 3;
export const PASSWORD_LENGTH = 8;

const text = (description: string) => z.string().optional().meta({ description });

function userName(which: string) {
  return z.string()
    .refine((name) => name.length >= NAME_LENGTH, {
      error: `must have at least ${NAME_LENGTH} characters, since the Controller refuses a shorter name`,
    })
    .meta({ description: `${which} of the user. The Controller wants at least ${NAME_LENGTH} characters.` });
}

/** Secrets that the operator writes: whoever names one of them for input would have it read what it writes. */
export const ownSecrets: readonly string[] = [
  "controller-db-credentials",
  "controller-s2s-tokens",
  "controller-credentials",
  "router-ca",
  "router-internal",
  "router-amqps",
];

const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function nameOf(kind: string) {
  return z.string().refine((name) => name.length <= 253 && OBJECT_NAME.test(name), {
    error: `must be the name of a ${kind}: at most 253 lower case letters, digits, - and .`,
  });
}

const secretName = nameOf("Secret")
  .refine((name) => !ownSecrets.includes(name), {
    error: `must not be one of ${ownSecrets.join(", ")}, which the operator writes itself`,
  });

const secretKey = z.strictObject({
  name: secretName.meta({ description: "Name of the Secret, in the namespace of the control plane." }),
  key: z.string()
    .refine((key) => /^[-._a-zA-Z0-9]{1,253}$/.test(key), {
      error: "must be a key of a Secret: at most 253 letters, digits, -, _ and .",
    })
    .meta({ description: "Key in the Secret's `data`." }),
});

/** A value that is kept in a Secret; `plain` is the field that it wins over. */
function secretRef(what: string, plain: string) {
  return secretKey.optional().meta({
    description:
      `${what} in a Secret, followed when it changes. The value is taken literally, without one line break at its ` +
      `end, and wins over \`${plain}\`.`,
  });
}

const userFields = z.strictObject({
  name: userName("First name"),
  surname: userName("Last name"),
  email: z.string()
    .refine((email) => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email), {
      error: "must be an e-mail address such as admin@example.com",
    })
    .meta({
      description:
        "E-mail address to log in with. It cannot be changed once the user exists in the Controller.",
    }),
  password: text(
    `Password of the user, base64-encoded. Text that is not valid base64 is taken literally. At least ${PASSWORD_LENGTH} ` +
      "characters once decoded. Needed where `passwordSecretRef` is not set.",
  ),
  passwordSecretRef: secretRef("Password of the user", "password"),
});

const user = userFields.superRefine(({ password, passwordSecretRef }, context) => {
  if (passwordSecretRef !== undefined) return;
  const message = password === undefined
    ? "is required, but missing or empty: set it, or name a Secret that holds it in spec.user.passwordSecretRef"
    : decodePassword(password).length < PASSWORD_LENGTH
    ? `must stand for at least ${PASSWORD_LENGTH} characters. Text that is valid base64 is decoded first, so write ` +
      "the password base64-encoded, as iofogctl does"
    : undefined;
  if (message !== undefined) context.addIssue({ code: "custom", path: ["password"], message });
}).meta({ description: "The user that the Controller is operated as; signed up when it does not exist." });

function port(description: string) {
  return z.int()
    .refine((value) => value >= 1 && value <= 65535, { error: "must be a port from 1 to 65535" })
    .meta({ description });
}

const databaseFields = z.strictObject({
  provider: text("Database provider, passed to the Controller: empty or `sqlite` for the embedded database."),
  host: text(
    "Host name of an external database. Empty: sqlite on a PersistentVolumeClaim, with a single Controller.",
  ),
  port: port("Port of the external database.").optional(),
  user: text("User of the external database."),
  password: text("Password of the external database, as plain text."),
  passwordSecretRef: secretRef("Password of the external database", "password"),
  databaseName: text("Name of the database on that host."),
});

type Database = z.output<typeof databaseFields>;

const database = databaseFields.superRefine(checkDatabase).meta({
  description:
    "The Controller's database; left out or empty: embedded sqlite. Where it is given, so are the host, port, user, " +
    "password and name.",
  // The Go operator's CRD wants them to be there, and the password, but not to have a value.
  required: ["databaseName", "host", "port", "provider", "user"],
});

/** Whether the Controller keeps its data in the embedded sqlite, on a claim. An empty host is the switch, as in Go. */
export function isSqlite(database: Database): boolean {
  return database.host === undefined;
}

function checkDatabase(database: Database, context: z.RefinementCtx): void {
  const embedded = database.provider === undefined
    ? Object.values(database).every((value) => value === undefined)
    : database.provider.toLowerCase() === "sqlite";
  if (embedded) {
    if (database.host === undefined) return;
    context.addIssue({
      code: "custom",
      path: ["host"],
      message: "must be empty with provider sqlite, which has no host",
    });
    return;
  }
  const missing = (["provider", "host", "port", "user", "password", "databaseName"] as const)
    .filter((field) => database[field] === undefined)
    .filter((field) => field !== "password" || database.passwordSecretRef === undefined);
  if (missing.length === 0) return;
  context.addIssue({
    code: "custom",
    message: `lacks ${
      missing.join(", ")
    }: an external database needs all six fields; leave all out for sqlite`,
  });
}

function isHost(value: string): boolean {
  return value.length <= 253 &&
    (/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/.test(value) ||
      /^[0-9A-Fa-f]*:[0-9A-Fa-f:.]+$/.test(value));
}

const proxyIngress = (protocol: string) =>
  z.strictObject({
    address: text(
      `Address that the Port Manager registers for ${protocol} proxies. With both proxy addresses set it makes ClusterIP ` +
        "Services for them, else one LoadBalancer Service.",
    ),
  }).prefault({}).meta({ description: `How ${protocol} proxies are reached.` });

const ingresses = z.strictObject({
  router: z.strictObject({
    address: z.string()
      .refine(isHost, { error: "must be a host name or an IP address, without scheme or port" })
      .optional()
      .meta({
        description:
          "Host name or IP address under which agents reach the router. Needed where Service `router` is not a " +
          "LoadBalancer; not used where it is.",
      }),
    messagePort: port("Port for messages at that address.").default(5672),
    interiorPort: port("Port for interior routers at that address.").default(55672),
    edgePort: port("Port for edge routers at that address.").default(45672),
  }).prefault({}).meta({ description: "How the router is reached where its Service is not a LoadBalancer." }),
  httpProxy: proxyIngress("HTTP"),
  tcpProxy: proxyIngress("TCP"),
}).prefault({}).meta({
  description: "Addresses of what forwards traffic into the cluster; the operator does not create it.",
});

function serviceType(description: string) {
  return z.string()
    .transform((written, context): ServiceType => {
      const type = serviceTypes.find((known) => known.toLowerCase() === written.toLowerCase());
      if (type !== undefined) return type;
      context.addIssue({ code: "custom", message: `must be one of ${serviceTypes.join(", ")}` });
      return z.NEVER;
    })
    .prefault("LoadBalancer")
    .meta({ description: `${description}: ${serviceTypes.join(", ")}.` });
}

const services = z.strictObject({
  controller: z.strictObject({
    type: serviceType("Type of Service `controller`"),
    address: text("Address to ask of the cloud (`loadBalancerIP`) when the type is LoadBalancer."),
  }).prefault({}).meta({ description: "Service `controller`: the Controller's API and ECN Viewer." }),
  router: z.strictObject({
    type: serviceType("Type of Service `router`"),
    address: text("Not used; see spec.ingresses.router.address."),
  }).prefault({}).meta({ description: "Service `router`: where agents' routers connect." }),
  proxy: z.strictObject({
    type: text("Not used; the Port Manager decides, see spec.ingresses."),
    address: text("Not used; see spec.ingresses."),
  }).prefault({}).meta({ description: "Not used; iofogctl writes it." }),
}).prefault({}).meta({ description: "How the Services of the control plane are exposed." });

const image = (description: string) =>
  z.string()
    .refine(isImage, {
      error: "must be an image such as registry.example.com/name:tag or name@sha256:digest",
    })
    .optional()
    .meta({ description });

const images = z.strictObject({
  pullSecret: text("Name of a Secret of type kubernetes.io/dockerconfigjson to pull all images with."),
  controller: image(`Image of the Controller. Default: ${defaultImages.controller}.`),
  router: image(
    `Image of the router; where set, also told to the Controller for agents' routers. Default: ${defaultImages.router}.`,
  ),
  portManager: image(`Image of the Port Manager. Default: ${defaultImages.portManager}.`),
  proxy: image(
    "Image of the proxies that the Port Manager creates; where set, also told to the Controller. Default: " +
      `${defaultImages.proxy}.`,
  ),
  portRouter: image("Image of the port router, told to the Controller where set."),
}).prefault({}).meta({
  description:
    "Images that replace the default ones. The operator's environment may have other defaults: RELATED_IMAGE_CONTROLLER, " +
    "RELATED_IMAGE_ROUTER, RELATED_IMAGE_PORT_MANAGER and RELATED_IMAGE_PROXY.",
});

const controller = z.strictObject({
  pidBaseDir: z.string().default("/tmp").meta({
    description: "Directory of the Controller's process id files.",
  }),
  ecnViewerPort: port("Port of the ECN Viewer inside the pod; Service `controller` offers it as port 80.")
    .refine((value) => value !== CONTROLLER_API_PORT, {
      error: `must not be ${CONTROLLER_API_PORT}, where the Controller's API listens`,
    })
    .default(80),
  ecnViewerUrl: text("URL under which the ECN Viewer is reached from outside."),
  portProvider: text("How the Controller exposes public ports of microservices: `default` or `proxy`."),
  ecn: text("Name of the edge compute network."),
  portAllocatorHost: text("Host of a port allocator."),
  proxyBrokerUrl: text("URL of a proxy broker."),
  proxyBrokerToken: text("Token for the proxy broker; kept in Secret `controller-s2s-tokens`."),
  proxyBrokerTokenSecretRef: secretRef("Token for the proxy broker", "proxyBrokerToken"),
}).prefault({}).meta({ description: "Settings of the Controller." });

const replicas = z.strictObject({
  controller: z.int32()
    .refine((value) => value >= 1, { error: "must be at least 1" })
    .optional()
    .meta({
      description:
        "Number of Controller pods, only 1 with sqlite. Left out: 1 at first, then whatever an autoscaler sets.",
    }),
  portManager: z.int32()
    .refine((value) => value >= 1, { error: "must be at least 1" })
    .default(1)
    .meta({ description: "Number of Port Manager pods." }),
  router: z.int32()
    .refine((value) => value === 1, {
      error:
        "must be 1: the configuration gives every pod of the router the same identity, default-router, and " +
        "routers of one identity throw each other out of the network",
    })
    .optional()
    .meta({ description: "Number of router pods: only 1, since its pods have no identity of their own." }),
}).prefault({}).meta({ description: "Numbers of pods." });

function certificateSecret(description: string) {
  return z.strictObject({
    name: secretName.meta({
      description:
        "Name of the Secret, of type kubernetes.io/tls or Opaque, in the namespace of the control plane.",
    }),
  }).optional().meta({ description });
}

const certificates = z.strictObject({
  caSecret: certificateSecret(
    "A certificate authority of your own, with `tls.crt` and an RSA key in `tls.key`: the router's certificates are " +
      "signed by it, and made again when it changes. The Secret is only read.",
  ),
  routerAmqpsSecret: certificateSecret(
    "A certificate of your own for the router, with `tls.crt`, `tls.key` and, where there is one, `ca.crt`: copied " +
      "into Secret `router-amqps`, again when it changes. The Secret is only read.",
  ),
  routerInternalSecret: certificateSecret("The same for Secret `router-internal`."),
}).prefault({}).meta({ description: "Certificates of your own. What is left out is made by the operator." });
const pods = z.strictObject({
  controller: podSettings("the Controller", ["name"]),
  router: podSettings("the router", ["name", "application", "skupper.io/component"]),
  portManager: podSettings("the Port Manager", ["name"]),
}).prefault({}).meta({
  description: "Scheduling, resources and security of the pods, component by component.",
});

const storage = z.strictObject({
  size: quantity(
    "Size of the claim `controller-sqlite`. It can grow only. Default: 1Gi, and as it is once it is there.",
  )
    .refine((size) => compareQuantities(size, "0") > 0, { error: "must be more than 0" })
    .optional(),
  storageClassName: nameOf("StorageClass").optional().meta({
    description:
      "StorageClass of the claim. It cannot change once there is a volume. Default: the cluster's.",
  }),
}).prefault({}).meta({
  description: "Where the embedded sqlite database is kept; not used with an external one.",
});

/** What becomes of the claim with the sqlite database when the custom resource is deleted. */
export const deletionPolicies = ["Delete", "Retain"] as const;

const optional = (description: string) =>
  z.strictObject({
    enabled: z.boolean().default(false).meta({ description: "Whether there are any." }),
  }).prefault({}).meta({ description });

const spec = z.strictObject({
  user,
  database: database.prefault({}),
  ingresses,
  services,
  replicas,
  images,
  controller,
  certificates,
  pods,
  storage,
  deletionPolicy: z.enum(deletionPolicies).default("Delete").meta({
    description:
      "What becomes of the claim with the sqlite database when the ControlPlane is deleted. A retained one is used again " +
      "by a ControlPlane of the same name.",
  }),
  podDisruptionBudgets: optional(
    "PodDisruptionBudgets of the components: at most one pod of each may be evicted at a time.",
  ),
  networkPolicies: optional(
    "NetworkPolicies that let through only what the components need: see docs/network-policies.md.",
  ),
})
  .superRefine((value, context) => {
    if (!isSqlite(value.database) || (value.replicas.controller ?? 1) <= 1) return;
    context.addIssue({
      code: "custom",
      path: ["replicas", "controller"],
      message:
        "must be 1 with the embedded sqlite, which only one Controller can write to: set it to 1, or give an " +
        "external database in spec.database",
    });
  })
  .meta({ description: "The control plane as it should be." });

const condition = z.strictObject({
  type: z.string().meta({ description: "What the condition tells about." }),
  status: z.enum(["True", "False", "Unknown"]).meta({ description: "Whether it holds." }),
  reason: z.string().meta({ description: "One word for why." }),
  message: z.string().meta({ description: "What it waits for, and what to do." }),
  lastTransitionTime: z.string().meta({ description: "When the status last changed.", format: "date-time" }),
  observedGeneration: z.int().optional().meta({
    description: "Generation of the spec that it was found for.",
  }),
}).meta({ description: "One condition." });

const status = z.strictObject({
  conditions: z.array(condition).optional().meta({
    description:
      "The state of the control plane. While it comes up `deploying` is the first that is True, then `ready`.",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
  }),
  observedGeneration: z.int().optional().meta({
    description: "Generation of the spec that this status is about.",
  }),
  controllerVersion: text("Version that the Controller reports."),
  controllerAddress: text(
    "Host name or IP address of the Controller outside of the cluster, where one is known.",
  ),
  controllerEndpoint: text(
    "URL of the Controller's API: outside of the cluster where an address is known, else inside.",
  ),
  routerAddress: text("Host name or IP address under which the router is registered for agents."),
}).meta({ description: "The control plane as it is." });

/** The custom resource without `apiVersion`, `kind` and `metadata`. */
export const controlPlaneSchema = z.strictObject({
  spec: spec.optional(),
  status: status.optional(),
}).meta({
  description: "An ioFog control plane: Controller, default router and Port Manager. One per namespace.",
});

/** A checked spec with its defaults; what is not set is undefined. */
export type AcceptedSpec = z.output<typeof spec>;
/** The same with each value that a Secret holds in place of its plain field. */
export type ControlPlaneSpec = Omit<AcceptedSpec, "user"> & {
  readonly user: AcceptedSpec["user"] & { readonly password: string };
};
export type ControlPlaneStatus = z.output<typeof status>;

/** What a spec says, or why it cannot be accepted. Paths of fields start with `spec`. */
export type ParsedSpec =
  & {
    /** Paths of fields that this version does not know, e.g. `spec.images.kubelet`. */
    readonly unknownFields: readonly string[];
  }
  & ({ readonly spec: AcceptedSpec } | { readonly problems: readonly Problem[] });

/** Checks `raw`, the `spec` of a ControlPlane as it was read. Never throws; messages never hold a value. */
export function parseSpec(raw: unknown): ParsedSpec {
  const oversized = oversizedProblem(raw);
  if (oversized !== undefined) return { problems: [oversized], unknownFields: [] };
  const given = withoutUnset(raw ?? {}, NESTING);
  const unknown = (spec.safeParse(given).error?.issues ?? []).flatMap((issue) =>
    issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : []
  );
  const unknownFields = unknown.map(pathText).sort();
  const known = unknown.reduce(withoutPath, given);
  const result = spec.safeParse(known);
  if (result.success) return { spec: result.data, unknownFields };
  const problems = result.error.issues.map((issue): Problem => ({
    reason: reasons.INVALID_SPEC,
    field: pathText(issue.path),
    message: issueMessage(issue, known),
  }));
  return { problems, unknownFields };
}

/**
 * Characters that a spec may have as JSON: far more than one of use has, and less than would make a Deployment, or the
 * environment of a container, that nobody takes.
 */
const LARGEST_SPEC = 100_000;

function oversizedProblem(raw: unknown): Problem | undefined {
  const size = sizeOf(raw);
  if (size <= LARGEST_SPEC) return undefined;
  let [path, value] = [["spec"], raw];
  while (isRecord(value)) {
    const [largest] = Object.entries(value).sort(([, one], [, other]) => sizeOf(other) - sizeOf(one));
    if (largest === undefined || sizeOf(largest[1]) < size / 2) break;
    path = [...path, largest[0]];
    value = largest[1];
  }
  return {
    reason: reasons.INVALID_SPEC,
    field: path.join("."),
    message: `is too large: the whole spec has ${size} characters, and may have ${LARGEST_SPEC}. Shorten it`,
  };
}

function sizeOf(value: unknown): number {
  return JSON.stringify(value ?? null).length;
}

/** Levels of objects below `spec` in which empty values mean "not set": deeper, in parts of a pod, they mean something. */
const NESTING = 3;

/** Without what is not set; null is never set, however deep. */
function withoutUnset(value: unknown, levels: number): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutUnset(item, 0));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null && (levels < 1 || (field !== "" && field !== 0)))
      .map(([name, field]) => [name, withoutUnset(field, levels - 1)]),
  );
}

function withoutPath(value: unknown, path: readonly PropertyKey[]): unknown {
  const [head, ...rest] = path;
  if (Array.isArray(value)) {
    return value.map((item, index) => index === head ? withoutPath(item, rest) : item);
  }
  if (!isRecord(value) || typeof head !== "string") return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== head || rest.length > 0)
      .map(([name, field]) => [name, name === head ? withoutPath(field, rest) : field]),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => typeof key === "number" ? `${text}[${key}]` : `${text}.${String(key)}`,
    "spec",
  );
}

function issueMessage(issue: z.core.$ZodIssue, input: unknown): string {
  if (issue.code === "too_big" || issue.code === "too_small") {
    return "is not a number that the field can hold";
  }
  const found = issue.path.reduce(
    (value: unknown, key) =>
      Array.isArray(value) ? value[Number(key)] : isRecord(value) ? value[String(key)] : undefined,
    input,
  );
  if (issue.code === "invalid_value") {
    return found === undefined
      ? "is required, but missing or empty"
      : `must be one of ${issue.values.map(String).join(", ")}`;
  }
  if (issue.code !== "invalid_type") return issue.message;
  if (found === undefined) return "is required, but missing or empty";
  return `must be ${TYPE_WORDS[issue.expected] ?? issue.expected}, not ${foundType(found)}`;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a whole number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

function foundType(found: unknown): string {
  if (Array.isArray(found)) return "a list";
  if (typeof found === "number") return Number.isInteger(found) ? "a number" : "a fraction";
  return typeof found === "boolean" ? "true or false" : TYPE_WORDS[typeof found] ?? typeof found;
}
