/**
 * The Controller: its Deployment and Service, the claim of its embedded database, and the Secrets that it reads
 * (as ioFog operator 3.2.0 makes them).
 */

import type { Child } from "../../../operator/definition.ts";
import { applied, revisionAnnotations, secretData } from "../../child.ts";
import { Deployment } from "../../../kubernetes/generated/apps_v1.ts";
import { type EnvVar, Secret } from "../../../kubernetes/generated/core_v1.ts";
import { podTemplate } from "../../pods.ts";
import * as component from "../component.ts";
import type { Inputs } from "./inputs.ts";
import { claimChildren, SQLITE_CLAIM } from "../claim.ts";
import { armVariant } from "./images.ts";
import { CONTROLLER_API_PORT, isSqlite } from "../fields.ts";

/** Name of the Deployment, Service and ServiceAccount, and value of the label `name`. */
export const CONTROLLER = "controller";
export const DATABASE_SECRET = "controller-db-credentials";
export const TOKENS_SECRET = "controller-s2s-tokens";

const labels = { name: CONTROLLER };

/**
 * Where Controller images keep their database: since 3.0.2 the package has a scope. Both paths are the same directory
 * of the claim, or an image of the other age would keep its data in the container.
 */
const SQLITE_PATHS = [
  "/usr/local/lib/node_modules/@iofog/iofogcontroller/src/data/sqlite_files/",
  "/usr/local/lib/node_modules/iofogcontroller/src/data/sqlite_files/",
];

/** Every child of the component, in the order of need. */
export function controllerChildren(inputs: Inputs): Child[] {
  const sqlite = isSqlite(inputs.spec.database);
  return [
    component.serviceAccount(inputs, CONTROLLER, inputs.spec.images),
    databaseSecret(inputs),
    tokensSecret(inputs),
    ...claimChildren(inputs),
    controllerService(inputs),
    controllerDeployment(inputs, sqlite),
    ...component.disruptionBudget(inputs, CONTROLLER, labels),
  ];
}

function databaseSecret(inputs: Inputs): Child {
  const { database } = inputs.spec;
  return applied(Secret, component.metaOf(inputs, DATABASE_SECRET), {
    type: "Opaque",
    data: secretData({
      username: database.user ?? "",
      password: database.password ?? "",
      dbname: database.databaseName ?? "",
      host: database.host ?? "",
      port: String(database.port ?? 0),
    }),
  }, { revisioned: true });
}

function tokensSecret(inputs: Inputs): Child {
  return applied(Secret, component.metaOf(inputs, TOKENS_SECRET), {
    type: "Opaque",
    data: secretData({ "proxy-broker-token": inputs.spec.controller.proxyBrokerToken ?? "" }),
  }, { revisioned: true });
}

function controllerService(inputs: Inputs): Child {
  return component.service(inputs, CONTROLLER, labels, inputs.spec.services.controller, [
    // iofogctl finds the node port of the API by this number.
    { name: `${CONTROLLER}0`, port: CONTROLLER_API_PORT, targetPort: CONTROLLER_API_PORT },
    { name: `${CONTROLLER}1`, port: 80, targetPort: inputs.spec.controller.ecnViewerPort },
  ]);
}

function controllerDeployment(inputs: Inputs, sqlite: boolean): Child {
  const { spec, snapshot } = inputs;
  const replicas = sqlite ? 1 : spec.replicas.controller;
  return applied(Deployment, component.metaOf(inputs, CONTROLLER, labels), {
    spec: {
      ...(replicas !== undefined && { replicas }),
      minReadySeconds: 5,
      selector: { matchLabels: labels },
      strategy: sqlite ? component.recreate : component.rollingUpdate,
      template: podTemplate({
        labels,
        annotations: revisionAnnotations(snapshot, [DATABASE_SECRET, TOKENS_SECRET]),
        container: {
          name: CONTROLLER,
          image: spec.images.controller ?? inputs.images.controller,
          imagePullPolicy: "Always",
          env: controllerEnvironment(inputs),
          readinessProbe: {
            httpGet: { path: "/api/v3/status", port: CONTROLLER_API_PORT },
            initialDelaySeconds: 10,
            timeoutSeconds: 10,
            periodSeconds: 5,
            failureThreshold: 2,
          },
          ...(sqlite && {
            volumeMounts: SQLITE_PATHS.map((mountPath) => ({
              name: SQLITE_CLAIM,
              mountPath,
              subPath: "prod_database.sqlite",
            })),
          }),
        },
        spec: {
          serviceAccountName: CONTROLLER,
          ...(sqlite && {
            volumes: [{ name: SQLITE_CLAIM, persistentVolumeClaim: { claimName: SQLITE_CLAIM } }],
          }),
        },
      }, spec.pods.controller),
    },
  }, sqlite ? { absent: [component.rollingUpdateField] } : {});
}

/** A variable without a value is left out: the Controller takes an empty one for a choice, and forgets its default. */
function controllerEnvironment(inputs: Inputs): EnvVar[] {
  const { database, images, controller } = inputs.spec;
  const { env, envFromSecret } = component;
  return [
    ...env("DB_PROVIDER", database.provider),
    envFromSecret("DB_NAME", DATABASE_SECRET, "dbname"),
    envFromSecret("DB_USERNAME", DATABASE_SECRET, "username"),
    envFromSecret("DB_PASSWORD", DATABASE_SECRET, "password"),
    envFromSecret("DB_HOST", DATABASE_SECRET, "host"),
    envFromSecret("DB_PORT", DATABASE_SECRET, "port"),
    ...env("MSVC_PORT_PROVIDER", controller.portProvider),
    ...env("SystemImages_Proxy_1", images.proxy),
    ...env("SystemImages_Proxy_2", images.proxy && armVariant(images.proxy)),
    ...env("SystemImages_Router_1", images.router),
    ...env("SystemImages_Router_2", images.router),
    ...env("SystemImages_PortRouter_1", images.portRouter),
    ...env("SystemImages_PortRouter_2", images.portRouter),
    ...env("PORT_ALLOC_ADDRESS", controller.portAllocatorHost),
    ...env("ECN_NAME", controller.ecn),
    ...env("PID_BASE", controller.pidBaseDir),
    ...env("VIEWER_PORT", String(controller.ecnViewerPort)),
    ...env("VIEWER_URL", controller.ecnViewerUrl),
    ...env("PROXY_BROKER_URL", controller.proxyBrokerUrl),
    envFromSecret("PROXY_BROKER_TOKEN", TOKENS_SECRET, "proxy-broker-token"),
  ];
}
