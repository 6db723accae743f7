/**
 * The Port Manager, which makes Services for public ports of microservices, and the Secret that it logs in with
 * (as ioFog operator 3.2.0 makes them).
 */

import type { Child } from "../../../operator/definition.ts";
import { applied, revisionAnnotations, secretData, secretValues } from "../../child.ts";
import { Deployment } from "../../../kubernetes/generated/apps_v1.ts";
import { Secret } from "../../../kubernetes/generated/core_v1.ts";
import { podTemplate } from "../../pods.ts";
import * as component from "../component.ts";
import type { Waiting } from "../component.ts";
import type { Inputs } from "./inputs.ts";
import { decodePassword } from "./password.ts";
import * as reasons from "../reasons.ts";
import { ROUTER } from "./router.ts";

/** Name of the Deployment (the Port Manager looks for it), of the ServiceAccount, and value of the label `name`. */
export const PORT_MANAGER = "port-manager";
export const CREDENTIALS_SECRET = "controller-credentials";

const labels = { name: PORT_MANAGER };

/** Every child of the component, in the order of need. */
export function portManagerChildren(inputs: Inputs): Child[] {
  return [
    component.serviceAccount(inputs, PORT_MANAGER, inputs.spec.images),
    ...component.permissions(inputs, PORT_MANAGER, [{
      apiGroups: ["", "apps"],
      resources: ["deployments", "services", "pods", "configmaps"],
      verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
    }]),
    credentialsSecret(inputs),
    portManagerDeployment(inputs),
    ...component.disruptionBudget(inputs, PORT_MANAGER, labels),
  ];
}

/** E-mail and password as the Port Manager reads them: the password is the text of the spec, base64 included. */
interface Credentials {
  readonly email: string;
  readonly password: string;
}

function specCredentials(inputs: Inputs): Credentials {
  return { email: inputs.spec.user.email, password: inputs.spec.user.password };
}

function liveCredentials(inputs: Inputs): Credentials | undefined {
  const { email, password } = secretValues(inputs.snapshot, CREDENTIALS_SECRET) ?? {};
  return email && password ? { email, password } : undefined;
}

function isSameLogin(one: Credentials, other: Credentials): boolean {
  return one.email === other.email && decodePassword(one.password) === decodePassword(other.password);
}

/** The credentials to keep until those of the spec are proved; undefined when there is nothing to keep. */
function keptCredentials(inputs: Inputs): Credentials | undefined {
  const live = liveCredentials(inputs);
  if (live === undefined || inputs.passwordProved || isSameLogin(live, specCredentials(inputs))) {
    return undefined;
  }
  return live;
}

/** The old password is the way back to a user whose password could not be changed, so it stays until then. */
function credentialsSecret(inputs: Inputs): Child {
  const { email, password } = keptCredentials(inputs) ?? specCredentials(inputs);
  return applied(Secret, component.metaOf(inputs, CREDENTIALS_SECRET), {
    type: "Opaque",
    data: secretData({ email, password }),
  }, { revisioned: true });
}

/** The password that the Controller may still have, decoded; undefined when it is the one of the spec. */
export function previousPassword(inputs: Inputs): string | undefined {
  const live = liveCredentials(inputs);
  if (live === undefined) return undefined;
  const password = decodePassword(live.password);
  return password === decodePassword(inputs.spec.user.password) ? undefined : password;
}

/** Whether the Port Manager still waits for new credentials. */
export function portManagerWaiting(inputs: Inputs): Waiting[] {
  if (keptCredentials(inputs) === undefined) return [];
  return [{
    component: PORT_MANAGER,
    reason: reasons.PASSWORD_CHANGING,
    message:
      `Secret ${CREDENTIALS_SECRET} keeps the former login until the Controller accepts the one in spec.user`,
  }];
}

function portManagerDeployment(inputs: Inputs): Child {
  const { spec, images, snapshot } = inputs;
  const { env, envFromField, envFromSecret } = component;
  return applied(Deployment, component.metaOf(inputs, PORT_MANAGER, labels), {
    spec: {
      replicas: spec.replicas.portManager,
      selector: { matchLabels: labels },
      strategy: component.recreate,
      template: podTemplate({
        labels,
        annotations: revisionAnnotations(snapshot, [CREDENTIALS_SECRET]),
        container: {
          name: PORT_MANAGER,
          image: spec.images.portManager ?? images.portManager,
          imagePullPolicy: "Always",
          env: [
            ...env("WATCH_NAMESPACE", inputs.namespace),
            envFromField("POD_NAME", "metadata.name"),
            ...env("OPERATOR_NAME", PORT_MANAGER),
            envFromSecret("IOFOG_USER_EMAIL", CREDENTIALS_SECRET, "email"),
            envFromSecret("IOFOG_USER_PASS", CREDENTIALS_SECRET, "password"),
            ...env("PROXY_IMAGE", spec.images.proxy ?? images.proxy),
            ...env("HTTP_PROXY_ADDRESS", spec.ingresses.httpProxy.address),
            ...env("TCP_PROXY_ADDRESS", spec.ingresses.tcpProxy.address),
            ...env("ROUTER_ADDRESS", ROUTER),
          ],
          readinessProbe: {
            exec: { command: ["stat", "/tmp/operator-sdk-ready"] },
            initialDelaySeconds: 4,
            timeoutSeconds: 10,
            periodSeconds: 5,
            failureThreshold: 2,
          },
        },
        spec: { serviceAccountName: PORT_MANAGER },
      }, spec.pods.portManager),
    },
  }, { absent: [component.rollingUpdateField] });
}
