/**
 * The default router and where agents reach it (as PoT operator 3.7.2 makes them); its configuration is in
 * `router_document.ts`, its certificates in `certificates.ts`.
 */

import type { Child, Problem } from "../../../operator/definition.ts";
import { applied } from "../../child.ts";
import { Deployment } from "../../../kubernetes/generated/apps_v1.ts";
import { ConfigMap } from "../../../kubernetes/generated/core_v1.ts";
import type { PolicyRule } from "../../../kubernetes/generated/rbac_v1.ts";
import { podTemplate } from "../../pods.ts";
import * as component from "../component.ts";
import type { Waiting } from "../component.ts";
import * as reasons from "../reasons.ts";
import { certificateSecrets, certificatesWaiting, issuedAuthorities } from "./certificates.ts";
import { type Inputs, labelsOf } from "./inputs.ts";
import {
  CERTIFICATES_DIRECTORY,
  EDGE_ROUTER_PORT,
  HEALTH_PORT,
  INTER_ROUTER_PORT,
  MESSAGING_PORT,
  ROUTER_ID,
  routerDocument,
} from "./router_document.ts";

/** Name of the Deployment, Service and ServiceAccount. */
export const ROUTER = "router";
/** The ConfigMap that the Controller writes to as well, and its key. */
export const ROUTER_CONFIG = "iofog-router";
/** Its name before 3.7. */
const FORMER_ROUTER_CONFIG = "pot-router";
const CONFIG_FILE = "skrouterd.json";
const CONFIG_VOLUME = "iofog-router-config";
/** Secrets with the router's certificates; also the names of their volumes and of the profiles in its configuration. */
const LEAVES = ["router-site-server", "router-local-server"];

/** Where agents and other routers reach the router. */
export interface RouterEndpoint {
  readonly host: string;
  readonly messagingPort: number;
  readonly edgeRouterPort: number;
  readonly interRouterPort: number;
}

/** The endpoint, or undefined while the cloud has not given an address. */
export function routerEndpoint({ snapshot, spec }: Inputs): RouterEndpoint | undefined {
  const { address, messagePort, edgePort, interiorPort } = spec.ingresses.router;
  if (spec.services.router.type !== "LoadBalancer") {
    return address === undefined ? undefined : {
      host: address,
      messagingPort: messagePort,
      edgeRouterPort: edgePort,
      interRouterPort: interiorPort,
    };
  }
  const host = component.loadBalancerAddress(snapshot, ROUTER);
  return host === undefined ? undefined : {
    host,
    messagingPort: MESSAGING_PORT,
    edgeRouterPort: EDGE_ROUTER_PORT,
    interRouterPort: INTER_ROUTER_PORT,
  };
}

/** Labels of the router's objects and pods. */
export function routerLabels(inputs: Inputs): component.Labels {
  return {
    ...labelsOf(inputs, ROUTER),
    application: "interior-router",
    "skupper.io/component": "router",
    "skupper.io/type": "site",
  };
}

/** Every child of the component, in the order of need. */
export function routerChildren(inputs: Inputs): Child[] {
  const { spec } = inputs;
  const labels = routerLabels(inputs);
  return [
    component.serviceAccount(inputs, ROUTER, { labels, pullSecret: spec.images.pullSecret }),
    ...component.permissions(inputs, ROUTER, rules, labels),
    component.service(inputs, ROUTER, labels, { ...spec.services.router, address: undefined }, [
      { name: "router-message", port: MESSAGING_PORT, targetPort: MESSAGING_PORT },
      { name: "router-interior", port: INTER_ROUTER_PORT, targetPort: INTER_ROUTER_PORT },
      { name: "router-edge", port: EDGE_ROUTER_PORT, targetPort: EDGE_ROUTER_PORT },
    ]),
    ...issuedAuthorities(inputs, ROUTER),
    ...certificateSecrets(inputs, ROUTER, certificateNames(inputs)),
    routerConfiguration(inputs),
    routerDeployment(inputs, labels),
    ...component.disruptionBudget(inputs, ROUTER, labels, labels),
  ];
}

/** What the router waits for. */
export function routerWaiting(inputs: Inputs): Waiting[] {
  const address = routerEndpoint(inputs) !== undefined ? [] : [{
    component: ROUTER,
    reason: reasons.ADDRESS_PENDING,
    message: `Service ${ROUTER} has no load balancer address yet. Where the cluster gives none, set ` +
      "spec.services.router.type to NodePort or ClusterIP and spec.ingresses.router.address to where agents reach it",
  }];
  return [...address, ...certificatesWaiting(inputs, ROUTER)];
}

/** A stored configuration that cannot be read: what the Controller added to it would be lost. */
export function routerProblems(inputs: Inputs): Problem[] {
  try {
    routerDocument(inputs.namespace, storedDocument(inputs));
    return [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return [{
      reason: reasons.ROUTER_CONFIGURATION_UNREADABLE,
      message:
        `ConfigMap ${
          storedIn(inputs)?.metadata?.name
        } has a ${CONFIG_FILE} that cannot be read (${error.message}): mend it, or ` +
        "delete the ConfigMap to have it made again without what the Controller added to it",
    }];
  }
}

const rules: PolicyRule[] = [
  ...["pods", "configmaps", "secrets"].map((resource) => ({
    apiGroups: [""],
    resources: [resource],
    verbs: ["get", "list", "watch"],
  })),
  {
    apiGroups: ["coordination.k8s.io"],
    resources: ["leases"],
    verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
  },
  { apiGroups: ["apps"], resources: ["deployments"], verbs: ["get"] },
  { apiGroups: [""], resources: ["services"], verbs: ["get", "list", "watch"] },
];

/** The names that the router's certificates are for; undefined while its address is not known. */
function certificateNames(inputs: Inputs): readonly string[] | undefined {
  const host = routerEndpoint(inputs)?.host;
  return host === undefined ? undefined : [`${ROUTER}.${inputs.namespace}.svc.cluster.local`, host];
}

/** What stands there, or where releases before 3.7 had it: the Controller added to that too. */
function storedIn({ snapshot }: Inputs): ConfigMap | undefined {
  return snapshot.get(ConfigMap, ROUTER_CONFIG) ?? snapshot.get(ConfigMap, FORMER_ROUTER_CONFIG);
}

function storedDocument(inputs: Inputs): string | undefined {
  return storedIn(inputs)?.data?.[CONFIG_FILE];
}

/** Computed from what is stored: the engine writes it under the version that was read, or not at all. */
function routerConfiguration(inputs: Inputs): Child {
  return applied(ConfigMap, component.metaOf(inputs, ROUTER_CONFIG, labelsOf(inputs, ROUTER)), {
    data: { [CONFIG_FILE]: routerDocument(inputs.namespace, storedDocument(inputs)) },
  });
}

function routerDeployment(inputs: Inputs, labels: component.Labels): Child {
  const { env, envFromField } = component;
  const { spec } = inputs;
  return applied(Deployment, component.metaOf(inputs, ROUTER, labels), {
    spec: {
      replicas: 1,
      selector: { matchLabels: { ...labels } },
      strategy: component.rollingUpdate,
      template: podTemplate({
        labels,
        annotations: {},
        container: {
          name: ROUTER,
          image: spec.images.router ?? inputs.images.router,
          imagePullPolicy: "Always",
          command: ["/home/skrouterd/bin/router"],
          ports: [
            { name: "amqps", containerPort: MESSAGING_PORT, protocol: "TCP" },
            { name: "http", containerPort: HEALTH_PORT, protocol: "TCP" },
            { name: "inter-router", containerPort: INTER_ROUTER_PORT, protocol: "TCP" },
            { name: "edge", containerPort: EDGE_ROUTER_PORT, protocol: "TCP" },
          ],
          env: [
            ...env("APPLICATION_NAME", ROUTER),
            ...env("QDROUTERD_AUTO_MESH_DISCOVERY", "QUERY"),
            ...env("QDROUTERD_CONF", `/tmp/${CONFIG_FILE}`),
            ...env("QDROUTERD_CONF_TYPE", "json"),
            ...env("SSL_PROFILE_PATH", CERTIFICATES_DIRECTORY),
            ...env("SKUPPER_SITE_ID", ROUTER_ID),
            ...env("SKUPPER_PLATFORM", "kubernetes"),
            envFromField("POD_NAMESPACE", "metadata.namespace"),
            envFromField("POD_IP", "status.podIP"),
          ],
          livenessProbe: { ...probe, initialDelaySeconds: 60 },
          readinessProbe: { ...probe, initialDelaySeconds: 1 },
          volumeMounts: [
            { name: CONFIG_VOLUME, mountPath: "/tmp" },
            ...LEAVES.map((name) => ({ name, mountPath: `${CERTIFICATES_DIRECTORY}/${name}` })),
          ],
        },
        spec: {
          serviceAccountName: ROUTER,
          volumes: [
            {
              name: CONFIG_VOLUME,
              configMap: { name: ROUTER_CONFIG, items: [{ key: CONFIG_FILE, path: CONFIG_FILE }] },
            },
            ...LEAVES.map((name) => ({ name, secret: { secretName: name } })),
          ],
        },
      }, spec.pods.router),
    },
  });
}

const probe = {
  httpGet: { path: "/healthz", port: HEALTH_PORT },
  timeoutSeconds: 1,
  periodSeconds: 10,
  failureThreshold: 3,
};
