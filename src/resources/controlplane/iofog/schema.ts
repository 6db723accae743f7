/**
 * The `iofog.org/v3` ControlPlane, written down once: its types, its check at run time, its defaults, and (through
 * `../crd.ts`) its CRD and reference.
 *
 * The CRD carries the shape only, so that everything that the Go operator's CRDs accept stays accepted. The limits are
 * refinements, which zod leaves out of a JSON schema; so are the defaults, since the stored object is the user's and an
 * image written into it would survive an upgrade. As in Go, null, "" and 0 mean "not set": iofogctl and the Go operator
 * write whole blocks of them.
 */

import * as z from "zod";
import { checkSpec, type ParsedSpec } from "../../parse_spec.ts";
import { podSettings } from "../../pods.ts";
import {
  checkDatabase,
  checkReplicas,
  controllerReplicas,
  databaseRequired,
  databaseShape,
  deletionPolicy,
  image,
  isHost,
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
import { decodePassword } from "./password.ts";

/** Fewest characters of a user's names and password: what `POST /user/signup` of Controller 3.0.4 accepts. */
const NAME_LENGTH = 3;
export const PASSWORD_LENGTH = 8;

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

const secrets = secretFields(ownSecrets);

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
  passwordSecretRef: secrets.ref("Password of the user", "password"),
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

const database = z.strictObject(
  databaseShape(secrets.ref("Password of the external database", "password")),
).superRefine(checkDatabase).meta({
  description:
    "The Controller's database; left out or empty: embedded sqlite. Where it is given, so are the host, port, user, " +
    "password and name.",
  // The Go operator's CRD wants them to be there, and the password, but not to have a value.
  required: databaseRequired,
});

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
  ecnViewerPort: viewerPort.default(80),
  ecnViewerUrl: text("URL under which the ECN Viewer is reached from outside."),
  portProvider: text("How the Controller exposes public ports of microservices: `default` or `proxy`."),
  ecn: text("Name of the edge compute network."),
  portAllocatorHost: text("Host of a port allocator."),
  proxyBrokerUrl: text("URL of a proxy broker."),
  proxyBrokerToken: text("Token for the proxy broker; kept in Secret `controller-s2s-tokens`."),
  proxyBrokerTokenSecretRef: secrets.ref("Token for the proxy broker", "proxyBrokerToken"),
}).prefault({}).meta({ description: "Settings of the Controller." });

const replicas = z.strictObject({
  controller: controllerReplicas,
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

const certificates = z.strictObject({
  caSecret: secrets.certificate(
    "A certificate authority of your own, with `tls.crt` and an RSA key in `tls.key`: the router's certificates are " +
      "signed by it, and made again when it changes. The Secret is only read.",
  ),
  routerAmqpsSecret: secrets.certificate(
    "A certificate of your own for the router, with `tls.crt`, `tls.key` and, where there is one, `ca.crt`: copied " +
      "into Secret `router-amqps`, again when it changes. The Secret is only read.",
  ),
  routerInternalSecret: secrets.certificate("The same for Secret `router-internal`."),
}).prefault({}).meta({ description: "Certificates of your own. What is left out is made by the operator." });
const pods = z.strictObject({
  controller: podSettings("the Controller", ["name"]),
  router: podSettings("the router", ["name", "application", "skupper.io/component"]),
  portManager: podSettings("the Port Manager", ["name"]),
}).prefault({}).meta({
  description: "Scheduling, resources and security of the pods, component by component.",
});

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
  deletionPolicy,
  podDisruptionBudgets: optional(
    "PodDisruptionBudgets of the components: at most one pod of each may be evicted at a time.",
  ),
  networkPolicies: optional(
    "NetworkPolicies that let through only what the components need: see docs/network-policies.md.",
  ),
})
  .superRefine(checkReplicas)
  .meta({ description: "The control plane as it should be." });

const status = z.strictObject(statusShape).meta({ description: "The control plane as it is." });

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

/** Checks `raw`, the `spec` of a ControlPlane as it was read. Never throws; messages never hold a value. */
export function parseSpec(raw: unknown): ParsedSpec<AcceptedSpec> {
  return checkSpec(spec, raw);
}
