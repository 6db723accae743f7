/**
 * The default router, its certificates, and where agents reach it (as ioFog operator 3.2.0 makes them).
 *
 * The certificates follow the address. Their authority, once there, is never replaced by us: whoever trusts it would
 * lose the router.
 */

import type { Child, GeneratedChild, Snapshot } from "../../operator/definition.ts";
import { applied, manifest, secretData, secretValues } from "../child.ts";
import { Deployment } from "../../kubernetes/generated/apps_v1.ts";
import { Secret } from "../../kubernetes/generated/core_v1.ts";
import {
  type CertificateData,
  examineCa,
  examineLeaf,
  inspectCertificate,
  makeCa,
  makeLeaf,
  RENEWAL_MS,
} from "../pki.ts";
import * as component from "./component.ts";
import type { Inputs, Waiting } from "./component.ts";
import * as reasons from "./reasons.ts";
import type { ControlPlaneSpec } from "./schema.ts";

/** Name of the Deployment, Service and ServiceAccount, and value of the label `name`. */
export const ROUTER = "router";
/** Common name of the authority, and name of its Secret. */
export const ROUTER_CA = "router-ca";
/** Secrets with the router's certificates; also the names of the volumes and of the profiles in its configuration. */
export const ROUTER_LEAVES = ["router-internal", "router-amqps"] as const;

const labels = { name: ROUTER, application: "interior-router", "skupper.io/component": "router" };

/** Where the router listens in its pod, and on a LoadBalancer. */
const MESSAGING_PORT = 5672;
const INTER_ROUTER_PORT = 55672;
const EDGE_ROUTER_PORT = 45672;
const HEALTH_PORT = 9090;

/** Where agents and other routers reach the router. */
export interface RouterEndpoint {
  readonly host: string;
  readonly messagingPort: number;
  readonly edgeRouterPort: number;
  readonly interRouterPort: number;
}

/** The endpoint, or undefined while it is not known: see `routerWaiting`. */
export function routerEndpoint(spec: ControlPlaneSpec, snapshot: Snapshot): RouterEndpoint | undefined {
  const { address, messagePort, edgePort, interiorPort } = spec.ingresses.router;
  if (spec.services.router.type === "LoadBalancer") {
    const host = component.loadBalancerAddress(snapshot, ROUTER);
    return host === undefined ? undefined : {
      host,
      messagingPort: MESSAGING_PORT,
      edgeRouterPort: EDGE_ROUTER_PORT,
      interRouterPort: INTER_ROUTER_PORT,
    };
  }
  return address === undefined
    ? undefined
    : { host: address, messagingPort: messagePort, edgeRouterPort: edgePort, interRouterPort: interiorPort };
}

/** Every child of the component, in the order of need. */
export function routerChildren(inputs: Inputs): Child[] {
  return [
    component.serviceAccount(inputs, ROUTER),
    ...component.permissions(inputs, ROUTER, [
      { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] },
    ]),
    component.service(inputs, ROUTER, labels, { type: inputs.spec.services.router.type }, [
      { port: MESSAGING_PORT, targetPort: MESSAGING_PORT },
      { port: INTER_ROUTER_PORT, targetPort: INTER_ROUTER_PORT },
      { port: EDGE_ROUTER_PORT, targetPort: EDGE_ROUTER_PORT },
    ]),
    ...certificateSecrets(inputs),
    routerDeployment(inputs),
  ];
}

function certificateSecrets(inputs: Inputs): Child[] {
  const { snapshot, now } = inputs;
  const authority = certificateSecret(inputs, ROUTER_CA, () => makeCa(ROUTER_CA, now));
  const ca = secretValues(snapshot, ROUTER_CA);
  const host = routerEndpoint(inputs.spec, snapshot)?.host;
  if (ca === undefined || !examineCa(ca, now).usable || host === undefined) {
    // What cannot be judged now is kept as it is.
    const kept = ROUTER_LEAVES.filter((name) => secretValues(snapshot, name) !== undefined);
    return [authority, ...kept.map((name) => certificateSecret(inputs, name, () => refuse(name)))];
  }
  return [authority, ...ROUTER_LEAVES.map((name) => routerLeaf(inputs, name, ca, host))];
}

function routerLeaf(inputs: Inputs, name: string, ca: CertificateData, host: string): Child {
  const live = secretValues(inputs.snapshot, name);
  const verdict = live && examineLeaf(live, ca, [host], inputs.now);
  const reissue = verdict?.usable === false ? verdict.reason : undefined;
  return { ...certificateSecret(inputs, name, () => makeLeaf(ca, [host], inputs.now)), reissue };
}

function certificateSecret(
  inputs: Inputs,
  name: string,
  make: () => Promise<CertificateData>,
): GeneratedChild {
  return {
    type: "generated",
    resource: Secret,
    object: manifest(Secret, component.metaOf(inputs, name), { type: "kubernetes.io/tls" }),
    generate: async () => {
      const made = await make();
      return secretData(Object.fromEntries(Object.entries(made).filter(([, value]) => value !== undefined)));
    },
  };
}

/** Deleted between the snapshot and the write: the next pass knows whether it can be made again. */
function refuse(name: string): Promise<never> {
  return Promise.reject(
    new Error(`Secret ${name} cannot be made before its authority and the router's address are known`),
  );
}

/** What the router waits for. */
export function routerWaiting(inputs: Inputs): Waiting[] {
  const { spec, snapshot, now } = inputs;
  const waiting: Waiting[] = [];
  if (routerEndpoint(spec, snapshot) === undefined) waiting.push(addressWaiting(spec));
  const ca = secretValues(snapshot, ROUTER_CA);
  const verdict = ca && examineCa(ca, now);
  if (verdict?.usable === false) {
    waiting.push({
      component: ROUTER,
      reason: reasons.CA_UNUSABLE,
      message:
        `Secret ${ROUTER_CA} cannot be used: ${verdict.reason}. Put a working one there, or delete it to have a ` +
        "new one made, which agents then have to trust",
    });
  }
  return waiting;
}

function addressWaiting(spec: ControlPlaneSpec): Waiting {
  const { type } = spec.services.router;
  return type === "LoadBalancer"
    ? {
      component: ROUTER,
      reason: reasons.ADDRESS_PENDING,
      message: `Service ${ROUTER} has no load balancer address yet. Where the cluster gives none, set ` +
        "spec.services.router.type to NodePort or ClusterIP and spec.ingresses.router.address to where agents reach it",
    }
    : {
      component: ROUTER,
      reason: reasons.ADDRESS_MISSING,
      message:
        `set spec.ingresses.router.address to the host name or IP address where agents reach the router: its ` +
        `Service is of type ${type}, which gives none`,
    };
}

/** What to know about an authority that still works; undefined when there is nothing. */
export function authorityEndsSoon(inputs: Inputs): string | undefined {
  const ca = secretValues(inputs.snapshot, ROUTER_CA);
  if (ca === undefined || !examineCa(ca, inputs.now).usable) return undefined;
  const end = inspectCertificate(ca["tls.crt"] ?? "")?.notAfter;
  if (end === undefined || inputs.now < end - RENEWAL_MS) return undefined;
  return `the certificate authority in Secret ${ROUTER_CA} ends on ${
    new Date(end).toISOString().slice(0, 10)
  }; delete ` +
    "the Secret to have a new one made, which agents then have to trust";
}

function routerDeployment(inputs: Inputs): Child {
  const { env, envFromField } = component;
  return applied(Deployment, component.metaOf(inputs, ROUTER, labels), {
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      strategy: component.rollingUpdate,
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: ROUTER,
          containers: [{
            name: ROUTER,
            image: inputs.spec.images.router ?? inputs.images.router,
            imagePullPolicy: "Always",
            command: ["/qpid-dispatch/launch.sh"],
            env: [
              ...env("APPLICATION_NAME", ROUTER),
              ...env("QDROUTERD_AUTO_MESH_DISCOVERY", "QUERY"),
              ...env("QDROUTERD_CONF", ROUTER_CONFIGURATION),
              envFromField("POD_NAMESPACE", "metadata.namespace"),
              envFromField("POD_IP", "status.podIP"),
            ],
            readinessProbe: {
              httpGet: { path: "/healthz", port: HEALTH_PORT },
              initialDelaySeconds: 10,
              timeoutSeconds: 10,
              periodSeconds: 5,
              failureThreshold: 2,
            },
            // The double slash stands in existing Deployments, where another path would restart the router.
            volumeMounts: ROUTER_LEAVES.map((name) => ({
              name,
              mountPath: `/etc/qpid-dispatch-certs//${name}`,
            })),
          }],
          volumes: ROUTER_LEAVES.map((name) => ({ name, secret: { secretName: name } })),
        },
      },
    },
  });
}

/**
 * The text that the image's launch script writes to a file. No listener refers to a TLS profile: agents expect plain
 * AMQP. Kept to the byte, since another text would restart existing routers.
 */
const ROUTER_CONFIGURATION = `
${entity("router", { mode: "interior", id: "default-router" })}
${entity("listener", { host: "0.0.0.0", port: MESSAGING_PORT, role: "normal" })}
${tlsProfile("router-amqps")}
${
  entity("listener", {
    host: "0.0.0.0",
    port: HEALTH_PORT,
    role: "normal",
    http: true,
    httpRootDir: "disabled",
    websockets: false,
    healthz: true,
    metrics: true,
  })
}
${tlsProfile("router-internal")}
${routerListener("inter-router", INTER_ROUTER_PORT)}
${routerListener("edge", EDGE_ROUTER_PORT)}
`;

function routerListener(role: string, port: number): string {
  return entity("listener", {
    role,
    host: "0.0.0.0",
    port,
    saslMechanisms: "ANONYMOUS",
    authenticatePeer: "no",
  });
}

function tlsProfile(name: string): string {
  const directory = `/etc/qpid-dispatch-certs/${name}`;
  return entity("sslProfile", {
    name,
    certFile: `${directory}/tls.crt`,
    privateKeyFile: `${directory}/tls.key`,
    caCertFile: `${directory}/ca.crt`,
  });
}

function entity(type: string, attributes: Readonly<Record<string, string | number | boolean>>): string {
  const lines = Object.entries(attributes).map(([name, value]) => `    ${name}: ${value}\n`);
  return `${type} {\n${lines.join("")}}\n`;
}
