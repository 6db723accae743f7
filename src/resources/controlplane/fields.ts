/**
 * Fields that both flavours of a ControlPlane have, with their limits.
 *
 * The CRD carries the shape only, so that everything that the Go operators' CRDs accept stays accepted. The limits are
 * refinements, which zod leaves out of a JSON schema; so are the defaults, since the stored object is the user's and an
 * image written into it would survive an upgrade.
 */

import * as z from "zod";
import { compareQuantities } from "../quantity.ts";
import { quantity } from "../kubernetes_shape.ts";
import { isImage } from "./images.ts";

/** The types of Service that can expose a part of the control plane. */
export const serviceTypes = ["LoadBalancer", "NodePort", "ClusterIP"] as const;
export type ServiceType = typeof serviceTypes[number];

/** Where the Controller's API listens in its pod and on its Service. */
export const CONTROLLER_API_PORT = 51121;

export const text = (description: string) => z.string().optional().meta({ description });

const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export function nameOf(kind: string) {
  return z.string().refine((name) => name.length <= 253 && OBJECT_NAME.test(name), {
    error: `must be the name of a ${kind}: at most 253 lower case letters, digits, - and .`,
  });
}

/**
 * Fields that name a Secret.
 *
 * @param own Secrets that the operator writes: whoever names one of them for input would have it read what it writes.
 */
export function secretFields(own: readonly string[]) {
  const name = nameOf("Secret")
    .refine((given) => !own.includes(given), {
      error: `must not be one of ${own.join(", ")}, which the operator writes itself`,
    });
  const secretKey = z.strictObject({
    name: name.meta({ description: "Name of the Secret, in the namespace of the control plane." }),
    key: z.string()
      .refine((key) => /^[-._a-zA-Z0-9]{1,253}$/.test(key), {
        error: "must be a key of a Secret: at most 253 letters, digits, -, _ and .",
      })
      .meta({ description: "Key in the Secret's `data`." }),
  });
  return {
    name,
    /** A value that is kept in a Secret; `plain` is the field that it wins over, if there is one. */
    ref: (what: string, plain?: string) =>
      secretKey.optional().meta({
        description: plain === undefined
          ? `${what} in a Secret, followed when it changes. The value is taken literally, without one line break at its end.`
          : `${what} in a Secret, followed when it changes. The value is taken literally, without one line break at its ` +
            `end, and wins over \`${plain}\`.`,
      }),
    /** A Secret with a certificate. */
    certificate: (description: string) =>
      z.strictObject({
        name: name.meta({
          description:
            "Name of the Secret, of type kubernetes.io/tls or Opaque, in the namespace of the control plane.",
        }),
      }).optional().meta({ description }),
  };
}

export function port(description: string) {
  return z.int()
    .refine((value) => value >= 1 && value <= 65535, { error: "must be a port from 1 to 65535" })
    .meta({ description });
}

export const viewerPort = port(
  "Port of the ECN Viewer inside the pod; Service `controller` offers it as port 80.",
).refine((value) => value !== CONTROLLER_API_PORT, {
  error: `must not be ${CONTROLLER_API_PORT}, where the Controller's API listens`,
});

/** Fields of the Controller's database. */
export function databaseShape(passwordSecretRef: ReturnType<ReturnType<typeof secretFields>["ref"]>) {
  return {
    provider: text(
      "Database provider, passed to the Controller: empty or `sqlite` for the embedded database.",
    ),
    host: text(
      "Host name of an external database. Empty: sqlite on a PersistentVolumeClaim, with a single Controller.",
    ),
    port: port("Port of the external database.").optional(),
    user: text("User of the external database."),
    password: text("Password of the external database, as plain text."),
    passwordSecretRef,
    databaseName: text("Name of the database on that host."),
  };
}

/** What the fields of `databaseShape` say. */
export interface Database {
  readonly provider?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly passwordSecretRef?: { readonly name: string; readonly key: string } | undefined;
  readonly databaseName?: string | undefined;
}

/** What the Go operators' CRDs want to be there, although not to have a value. */
export const databaseRequired = ["databaseName", "host", "port", "provider", "user"];

/** Whether the Controller keeps its data in the embedded sqlite, on a claim. An empty host is the switch, as in Go. */
export function isSqlite(database: Database): boolean {
  return database.host === undefined;
}

/** Refuses a database that is neither embedded nor complete. */
export function checkDatabase(database: Database, context: z.RefinementCtx): void {
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

/** Whether `value` is a host name or an IP address, by its form. */
export function isHost(value: string): boolean {
  return value.length <= 253 &&
    (/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/.test(value) ||
      /^[0-9A-Fa-f]*:[0-9A-Fa-f:.]+$/.test(value));
}

export function serviceType(description: string) {
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

export const image = (description: string) =>
  z.string()
    .refine(isImage, {
      error: "must be an image such as registry.example.com/name:tag or name@sha256:digest",
    })
    .optional()
    .meta({ description });

/** Number of Controller pods. */
export const controllerReplicas = z.int32()
  .refine((value) => value >= 1, { error: "must be at least 1" })
  .optional()
  .meta({
    description:
      "Number of Controller pods, only 1 with sqlite. Left out: 1 at first, then whatever an autoscaler sets.",
  });

/** Refuses several Controllers with one sqlite. */
export function checkReplicas(
  { database, replicas }: {
    readonly database: Database;
    readonly replicas: { readonly controller?: number | undefined };
  },
  context: z.RefinementCtx,
): void {
  if (!isSqlite(database) || (replicas.controller ?? 1) <= 1) return;
  context.addIssue({
    code: "custom",
    path: ["replicas", "controller"],
    message:
      "must be 1 with the embedded sqlite, which only one Controller can write to: set it to 1, or give an " +
      "external database in spec.database",
  });
}

/** Size of a claim. */
export function claimSize(description: string) {
  return quantity(description)
    .refine((size) => compareQuantities(size, "0") > 0, { error: "must be more than 0" })
    .optional();
}

export const storage = z.strictObject({
  size: claimSize(
    "Size of the claim `controller-sqlite`. It can grow only. Default: 1Gi, and as it is once it is there.",
  ),
  storageClassName: nameOf("StorageClass").optional().meta({
    description:
      "StorageClass of the claim. It cannot change once there is a volume. Default: the cluster's.",
  }),
}).prefault({}).meta({
  description: "Where the embedded sqlite database is kept; not used with an external one.",
});

/** What becomes of the claim with the sqlite database when the custom resource is deleted. */
export const deletionPolicies = ["Delete", "Retain"] as const;

export const deletionPolicy = z.enum(deletionPolicies).default("Delete").meta({
  description:
    "What becomes of the claim with the sqlite database when the ControlPlane is deleted. A retained one is used again " +
    "by a ControlPlane of the same name.",
});

/** Something that is only there where it is asked for. */
export const optional = (description: string) =>
  z.strictObject({
    enabled: z.boolean().default(false).meta({ description: "Whether there are any." }),
  }).prefault({}).meta({ description });

export const condition = z.strictObject({
  type: z.string().meta({ description: "What the condition tells about." }),
  status: z.enum(["True", "False", "Unknown"]).meta({ description: "Whether it holds." }),
  reason: z.string().meta({ description: "One word for why." }),
  message: z.string().meta({ description: "What it waits for, and what to do." }),
  lastTransitionTime: z.string().meta({ description: "When the status last changed.", format: "date-time" }),
  observedGeneration: z.int().optional().meta({
    description: "Generation of the spec that it was found for.",
  }),
}).meta({ description: "One condition." });

/** Fields of the status of both flavours. */
export const statusShape = {
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
};
