/**
 * The default router and where agents reach it (as ioFog operator 3.2.0 makes them); its certificates are in
 * `certificates.ts`.
 */

import type { Child, Snapshot } from "../../../operator/definition.ts";
import { applied } from "../../child.ts";
import { Deployment } from "../../../kubernetes/generated/apps_v1.ts";
import { podTemplate } from "../../pods.ts";
import { certificateSecrets, certificatesWaiting, ROUTER_LEAVES } from "./certificates.ts";
import * as component from "../component.ts";
import type { Waiting } from "../component.ts";
import type { Inputs } from "./inputs.ts";
import * as reasons from "../reasons.ts";
import type { ControlPlaneSpec } from "./schema.ts";

/** Name of the Deployment, Service and ServiceAccount, and value of the label `name`. */
export const ROUTER = "router";
const labels = { name: ROUTER, application: "interior-router", "skupper.io/component": "router" };

/** Where the router listens in its pod, and on a LoadBalancer. */
const MESSAGING_PORT = 5672;
const INTER_ROUTER_PORT = 55672;
const EDGE_ROUTER_PORT = 45672;
const HEALTH_PORT = 9090;
export const ROUTER_PORTS = [MESSAGING_PORT, INTER_ROUTER_PORT, EDGE_ROUTER_PORT];

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
    component.serviceAccount(inputs, ROUTER, inputs.spec.images),
    ...component.permissions(inputs, ROUTER, [
      { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] },
    ]),
    component.service(inputs, ROUTER, labels, { type: inputs.spec.services.router.type }, [
      ...ROUTER_PORTS.map((port, index) => ({ name: `${ROUTER}${index}`, port, targetPort: port })),
    ]),
    ...certificateSecrets(inputs, routerEndpoint(inputs.spec, inputs.snapshot)?.host),
    routerDeployment(inputs),
    ...component.disruptionBudget(inputs, ROUTER, { name: ROUTER }),
  ];
}

/** What the router waits for. */
export function routerWaiting(inputs: Inputs): Waiting[] {
  const address = routerEndpoint(inputs.spec, inputs.snapshot) === undefined
    ? [addressWaiting(inputs.spec)]
    : [];
  return [...address, ...certificatesWaiting(inputs, ROUTER)];
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

function routerDeployment(inputs: Inputs): Child {
  const { env, envFromField } = component;
  const { spec } = inputs;
  return applied(Deployment, component.metaOf(inputs, ROUTER, labels), {
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      strategy: component.rollingUpdate,
      template: podTemplate({
        labels,
        annotations: {},
        container: {
          name: ROUTER,
          image: spec.images.router ?? inputs.images.router,
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
        },
        spec: {
          serviceAccountName: ROUTER,
          volumes: ROUTER_LEAVES.map((name) => ({ name, secret: { secretName: name } })),
        },
      }, spec.pods.router),
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
