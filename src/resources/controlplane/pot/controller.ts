/**
 * The Controller of a PoT control plane: its Deployment, Service and Ingress, the claim of its embedded database, and
 * the Secrets that it reads (as PoT operator 3.7.2 makes them).
 */

import type { Child, Parent, Problem, Snapshot } from "../../../operator/definition.ts";
import { applied, decodeBase64, revisionAnnotations, secretData, secretValues } from "../../child.ts";
import { Deployment } from "../../../kubernetes/generated/apps_v1.ts";
import { type EnvVar, Secret, Service } from "../../../kubernetes/generated/core_v1.ts";
import { Ingress } from "../../../kubernetes/generated/networking_v1.ts";
import type { PolicyRule } from "../../../kubernetes/generated/rbac_v1.ts";
import { isIpAddress } from "../../ip_address.ts";
import { inspectCertificate, isFor } from "../../pki.ts";
import { podTemplate } from "../../pods.ts";
import { claimChildren, SQLITE_CLAIM } from "../claim.ts";
import * as component from "../component.ts";
import { CONTROLLER_API_PORT, isSqlite } from "../fields.ts";
import * as reasons from "../reasons.ts";
import { type Inputs, labelsOf } from "./inputs.ts";
import { type AcceptedSpec, parseSpec, vaultProviders } from "./schema.ts";

/** Name of the Deployment, Service and ServiceAccount. */
export const CONTROLLER = "controller";
export const DATABASE_SECRET = "controller-db-credentials";
export const AUTH_SECRET = "controller-auth-credentials";
export const VAULT_SECRET = "controller-vault-credentials";
/** potctl reads the host of the Ingress with this name. */
export const INGRESS = "pot-controller";

const SQLITE_PATH =
  "/home/runner/.npm-global/lib/node_modules/@datasance/iofogcontroller/src/data/sqlite_files/";
const CERTIFICATE_VOLUME = "controller-cert";
const CERTIFICATE_PATH = "/etc/pot/controller-cert/";

/** Every child of the component, in the order of need. */
export function controllerChildren(inputs: Inputs): Child[] {
  const { spec } = inputs;
  const labels = labelsOf(inputs, CONTROLLER);
  return [
    component.serviceAccount(inputs, CONTROLLER, { labels, pullSecret: spec.images.pullSecret }),
    ...component.permissions(inputs, CONTROLLER, rules, labels),
    databaseSecret(inputs),
    authSecret(inputs),
    ...vaultSecret(inputs),
    ...claimChildren(inputs, labels),
    component.service(inputs, CONTROLLER, labels, controllerExposure(inputs), [
      { name: "controller-api", port: CONTROLLER_API_PORT, targetPort: CONTROLLER_API_PORT },
      { name: "ecn-viewer", port: 80, targetPort: spec.controller.ecnViewerPort },
    ]),
    ...ingress(inputs),
    controllerDeployment(inputs),
    ...component.disruptionBudget(inputs, CONTROLLER, labels, labels),
  ];
}

/** What the Controller does in the namespace: Services of microservices, the router's and NATS's configuration. */
const rules: PolicyRule[] = [
  {
    apiGroups: [""],
    resources: ["configmaps"],
    verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
  },
  { apiGroups: [""], resources: ["secrets"], verbs: ["get", "list", "watch"] },
  {
    apiGroups: [""],
    resources: ["services"],
    verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
  },
  { apiGroups: ["apps"], resources: ["statefulsets"], verbs: ["get", "list", "watch"] },
  { apiGroups: ["apps"], resources: ["statefulsets"], verbs: ["update", "patch"], resourceNames: ["nats"] },
];

function databaseSecret(inputs: Inputs): Child {
  const { database } = inputs.spec;
  return secret(inputs, DATABASE_SECRET, {
    username: database.user ?? "",
    password: database.password ?? "",
    dbname: database.databaseName ?? "",
    host: database.host ?? "",
    port: String(database.port ?? 0),
    ssl: String(database.ssl),
    ca: database.ca ?? "",
  });
}

/** What the Controller is told of Keycloak, as the spec says it. */
function authValues({ snapshot, spec: { auth } }: Inputs): Readonly<Record<string, string>> {
  const written = {
    "auth-url": auth.url,
    "auth-realm": auth.realm,
    "auth-realm-key": auth.realmKey,
    "auth-ssl-req": auth.ssl,
    "auth-controller-client": auth.controllerClient,
    "auth-controller-client-secret": auth.controllerSecret,
    "auth-viewer-client": auth.viewerClient,
  };
  const live = secretValues(snapshot, AUTH_SECRET);
  // As the Go operator left it: it works but for people's logins, and is no reason to start the Controller again.
  const isLeft = Object.entries(written).every(([key, value]) => live?.[key] === value);
  // For these Controller 3.7.3 appends `realms/` to it.
  return { ...written, "auth-url": isLeft ? auth.url : auth.url.replace(/\/*$/, "/") };
}

/**
 * What the Controller keeps of what it was told of Keycloak, since that has not let the operator in yet as the spec says:
 * nobody could log in to it with what is wrong. Undefined where nothing is kept.
 */
export function keptAuth(inputs: Inputs): Readonly<Record<string, string>> | undefined {
  const live = secretValues(inputs.snapshot, AUTH_SECRET);
  const wanted = Object.entries(authValues(inputs));
  // What the pods read has to be there.
  if (inputs.authProved || live === undefined || wanted.some(([key]) => live[key] === undefined)) {
    return undefined;
  }
  if (wanted.every(([key, value]) => live[key] === value)) return undefined;
  return Object.fromEntries(wanted.map(([key]) => [key, live[key] ?? ""]));
}

function authSecret(inputs: Inputs): Child {
  return secret(inputs, AUTH_SECRET, keptAuth(inputs) ?? authValues(inputs));
}

/** What the Controller is told of its vault: the keys of our Secret, and the variables that they end up in. */
const vaultVariables = {
  hashicorp: {
    address: "VAULT_HASHICORP_ADDRESS",
    token: "VAULT_HASHICORP_TOKEN",
    mount: "VAULT_HASHICORP_MOUNT",
  },
  aws: {
    region: "VAULT_AWS_REGION",
    accessKeyId: "VAULT_AWS_ACCESS_KEY_ID",
    accessKey: "VAULT_AWS_ACCESS_KEY",
  },
  azure: {
    url: "VAULT_AZURE_URL",
    tenantId: "VAULT_AZURE_TENANT_ID",
    clientId: "VAULT_AZURE_CLIENT_ID",
    clientSecret: "VAULT_AZURE_CLIENT_SECRET",
  },
  google: { projectId: "VAULT_GOOGLE_PROJECT_ID", credentials: "VAULT_GOOGLE_CREDENTIALS" },
} as const;

/** The block of the provider that the spec names; undefined where there is no vault. */
function vaultBlock({ spec: { vault } }: Inputs) {
  if (vault.provider === undefined) return undefined;
  const block = vaultProviders[vault.provider as keyof typeof vaultProviders];
  const values: Readonly<Record<string, unknown>> = vault[block] ?? {};
  return Object.entries(vaultVariables[block]).map(([key, variable]) => ({
    key,
    variable,
    value: String(values[key] ?? ""),
  }));
}

function vaultSecret(inputs: Inputs): Child[] {
  const block = vaultBlock(inputs);
  if (block === undefined) return [];
  return [secret(inputs, VAULT_SECRET, Object.fromEntries(block.map(({ key, value }) => [key, value])))];
}

function secret(inputs: Inputs, name: string, values: Readonly<Record<string, string>>): Child {
  return applied(Secret, component.metaOf(inputs, name, labelsOf(inputs, CONTROLLER)), {
    type: "Opaque",
    data: secretData(values),
  }, { revisioned: true });
}

/** The way in where the Service is only reached inside of the cluster. */
function ingress(inputs: Inputs): Child[] {
  const { ingresses, services } = inputs.spec;
  const { annotations, host, ingressClassName, secretName } = ingresses.controller;
  if (services.controller.type !== "ClusterIP" || host === undefined) return [];
  const path = (from: string, port: string) => ({
    path: from,
    pathType: "Prefix" as const,
    backend: { service: { name: CONTROLLER, port: { name: port } } },
  });
  const metadata = {
    ...component.metaOf(inputs, INGRESS, labelsOf(inputs, CONTROLLER)),
    ...(Object.keys(annotations).length > 0 && { annotations: { ...annotations } }),
  };
  return [applied(Ingress, metadata, {
    spec: {
      ...(ingressClassName !== undefined && { ingressClassName }),
      // Without a Secret the class may have a certificate of its own.
      tls: [{ hosts: [host], ...(secretName !== undefined && { secretName }) }],
      rules: [{ host, http: { paths: [path("/", "ecn-viewer"), path("/api/v3", "controller-api")] } }],
    },
  })];
}

/** The host that the Ingress serves now; undefined where there is none. */
export function servedHost({ snapshot }: Inputs): string | undefined {
  return snapshot.get(Ingress, INGRESS)?.spec?.rules?.[0]?.host;
}

/** How Service `controller` is reached now: it stays open to the outside until the Ingress takes its place. */
export function controllerExposure(inputs: Inputs): component.Exposure {
  const { ingresses, services: { controller: wanted } } = inputs.spec;
  if (wanted.type !== "ClusterIP" || servedHost(inputs) === ingresses.controller.host) return wanted;
  const { externalTrafficPolicy, loadBalancerIP, type } = inputs.snapshot.get(Service, CONTROLLER)?.spec ??
    {};
  if (type !== "LoadBalancer" && type !== "NodePort") return wanted;
  return { ...wanted, type, externalTrafficPolicy, address: loadBalancerIP };
}

/** Another Ingress of the namespace that serves the host already: whoever comes first gets the requests. */
export function ingressProblems(inputs: Inputs): Problem[] {
  const { ingresses, services } = inputs.spec;
  const { host } = ingresses.controller;
  if (services.controller.type !== "ClusterIP" || host === undefined) return [];
  const other = inputs.snapshot.list(Ingress).find(({ metadata, spec }) =>
    metadata?.name !== INGRESS &&
    spec?.rules?.some((rule) =>
      rule.host === host && rule.http?.paths?.some(({ path }) => taken.has(path ?? "/"))
    )
  );
  if (other === undefined) return [];
  return [{
    reason: reasons.INVALID_SPEC,
    field: "spec.ingresses.controller.host",
    message:
      `is ${host}, which Ingress ${other.metadata?.name} of this namespace serves already: choose another host, ` +
      "or remove it there",
  }];
}

const taken: ReadonlySet<string> = new Set(["/", "/api/v3"]);

/** How the Controller's API is reached inside of the cluster. */
export function controllerScheme(
  { spec }: { readonly spec: Pick<AcceptedSpec, "controller"> },
): "http" | "https" {
  return spec.controller.https ? "https" : "http";
}

/** Certificates that the Controller's own is verified with, from the Secret that the spec names. */
export function controllerCa({ spec }: Parent, snapshot: Snapshot): string | undefined {
  const data = httpsSecret(spec, snapshot)?.data ?? {};
  const texts = ["ca.crt", "tls.crt"].map((key) => data[key]).filter((encoded) => encoded !== undefined);
  return texts.length === 0 ? undefined : texts.map((encoded) => decodeBase64(encoded)).join("\n");
}

/** Address of the Controller's API inside of the cluster: under a name that its certificate is for, if there is one. */
export function controllerAddress({ metadata: { namespace }, spec }: Parent, snapshot: Snapshot): string {
  const parsed = parseSpec(spec);
  const scheme = "spec" in parsed ? controllerScheme(parsed) : "http";
  const names = ["svc", "svc.cluster.local"].map((domain) => `${CONTROLLER}.${namespace}.${domain}`);
  const certificate = decodeBase64(httpsSecret(spec, snapshot)?.data?.["tls.crt"] ?? "");
  const name = names.find((each) => isFor(certificate, each)) ?? names[0];
  return `${scheme}://${name}:${CONTROLLER_API_PORT}`;
}

/**
 * The name that the certificate of the Controller at `url` has to be for, where that is not its host, as behind a
 * port-forward or at a node's address: one that the certificate in the Secret of the spec is for.
 */
export function controllerServerName(
  { metadata: { namespace }, spec }: Parent,
  snapshot: Snapshot,
  url: string,
): string | undefined {
  const certificate = decodeBase64(httpsSecret(spec, snapshot)?.data?.["tls.crt"] ?? "");
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  if (certificate === "" || isFor(certificate, host)) return undefined;
  const inside = `${CONTROLLER}.${namespace}.svc`;
  if (isFor(certificate, inside)) return inside;
  return inspectCertificate(certificate)?.names.find((name) => !name.includes("*") && !isIpAddress(name));
}

function httpsSecret(raw: unknown, snapshot: Snapshot): Secret | undefined {
  const parsed = parseSpec(raw);
  if (!("spec" in parsed)) return undefined;
  const { https, secretName } = parsed.spec.controller;
  return https && secretName !== undefined ? snapshot.get(Secret, secretName) : undefined;
}

/** Where the Controller's certificate is in its pod; undefined without HTTPS. */
function certificateOf({ snapshot, spec: { controller } }: Inputs) {
  if (!controller.https || controller.secretName === undefined) return undefined;
  const { data } = snapshot.get(Secret, controller.secretName) ?? {};
  return { secretName: controller.secretName, hasAuthority: (data?.["ca.crt"] ?? "") !== "" };
}

function controllerDeployment(inputs: Inputs): Child {
  const { spec, snapshot } = inputs;
  const sqlite = isSqlite(spec.database);
  const certificate = certificateOf(inputs);
  const labels = labelsOf(inputs, CONTROLLER);
  const replicas = sqlite ? 1 : spec.replicas.controller;
  const volumes = [
    ...(sqlite ? [{ name: SQLITE_CLAIM, persistentVolumeClaim: { claimName: SQLITE_CLAIM } }] : []),
    ...(certificate ? [{ name: CERTIFICATE_VOLUME, secret: { secretName: certificate.secretName } }] : []),
  ];
  const volumeMounts = [
    ...(sqlite ? [{ name: SQLITE_CLAIM, mountPath: SQLITE_PATH }] : []),
    ...(certificate ? [{ name: CERTIFICATE_VOLUME, mountPath: CERTIFICATE_PATH }] : []),
  ];
  return applied(Deployment, component.metaOf(inputs, CONTROLLER, labels), {
    spec: {
      ...(replicas !== undefined && { replicas }),
      minReadySeconds: 5,
      selector: { matchLabels: labels },
      strategy: sqlite ? component.recreate : component.rollingUpdate,
      template: podTemplate({
        // `potctl logs` and `potctl legacy` look for `name`.
        labels: { ...labels, name: CONTROLLER },
        annotations: revisionAnnotations(snapshot, [DATABASE_SECRET, AUTH_SECRET, VAULT_SECRET]),
        container: {
          name: CONTROLLER,
          image: spec.images.controller ?? inputs.images.controller,
          imagePullPolicy: "Always",
          env: controllerEnvironment(inputs),
          readinessProbe: {
            httpGet: {
              path: "/api/v3/status",
              port: CONTROLLER_API_PORT,
              scheme: spec.controller.https ? "HTTPS" : "HTTP",
            },
            initialDelaySeconds: 10,
            timeoutSeconds: 10,
            periodSeconds: 5,
            failureThreshold: 2,
          },
          ...(volumeMounts.length > 0 && { volumeMounts }),
        },
        spec: {
          serviceAccountName: CONTROLLER,
          securityContext: { runAsUser: 10000, runAsGroup: 10000, fsGroup: 10000 },
          ...(volumes.length > 0 && { volumes }),
        },
      }, spec.pods.controller),
    },
  }, sqlite ? { absent: [component.rollingUpdateField] } : {});
}

function controllerEnvironment(inputs: Inputs): EnvVar[] {
  const { env, envFromSecret } = component;
  const { controller, database, images, nats } = inputs.spec;
  const fromAuth = (name: string, key: string) => envFromSecret(name, AUTH_SECRET, key);
  const fromDatabase = (name: string, key: string) => envFromSecret(name, DATABASE_SECRET, key);
  const router = images.router ?? inputs.images.router;
  const natsImage = images.nats ?? inputs.images.nats;
  return [
    fromAuth("KC_URL", "auth-url"),
    fromAuth("KC_REALM", "auth-realm"),
    fromAuth("KC_REALM_KEY", "auth-realm-key"),
    fromAuth("KC_SSL_REQ", "auth-ssl-req"),
    fromAuth("KC_CLIENT", "auth-controller-client"),
    fromAuth("KC_CLIENT_SECRET", "auth-controller-client-secret"),
    fromAuth("KC_VIEWER_CLIENT", "auth-viewer-client"),
    ...env("DB_PROVIDER", database.provider),
    fromDatabase("DB_NAME", "dbname"),
    fromDatabase("DB_USERNAME", "username"),
    fromDatabase("DB_PASSWORD", "password"),
    fromDatabase("DB_HOST", "host"),
    fromDatabase("DB_PORT", "port"),
    fromDatabase("DB_USE_SSL", "ssl"),
    fromDatabase("DB_SSL_CA", "ca"),
    // What Controller 3.7.3 reads; the name before it is that of earlier ones.
    ...(database.ca === undefined ? [] : [fromDatabase("DB_SSL_CA_B64", "ca")]),
    ...env("CONTROL_PLANE", "Kubernetes"),
    ...env("CONTROLLER_NAME", inputs.name),
    ...env("CONTROLLER_NAMESPACE", inputs.namespace),
    ...env("ROUTER_IMAGE_1", router),
    ...env("ROUTER_IMAGE_2", router),
    ...env("NATS_ENABLED", String(nats.enabled)),
    ...env("NATS_IMAGE_1", natsImage),
    ...env("NATS_IMAGE_2", natsImage),
    ...env("ECN_NAME", controller.ecn),
    ...env("PID_BASE", controller.pidBaseDir),
    ...env("VIEWER_PORT", String(controller.ecnViewerPort)),
    ...env("VIEWER_URL", controller.ecnViewerUrl),
    ...env("LOG_LEVEL", controller.logLevel),
    ...certificateEnvironment(inputs),
    ...eventsEnvironment(inputs),
    ...vaultEnvironment(inputs),
  ];
}

function certificateEnvironment(inputs: Inputs): readonly EnvVar[] {
  const certificate = certificateOf(inputs);
  if (certificate === undefined) return [];
  const { env } = component;
  return [
    ...env("SERVER_DEV_MODE", "false"),
    ...env("SSL_PATH_CERT", `${CERTIFICATE_PATH}tls.crt`),
    ...env("SSL_PATH_KEY", `${CERTIFICATE_PATH}tls.key`),
    // The Controller does not start where it is told of a file that is not there.
    ...env("SSL_PATH_INTERMEDIATE_CERT", certificate.hasAuthority ? `${CERTIFICATE_PATH}ca.crt` : undefined),
  ];
}

function eventsEnvironment({ spec: { events } }: Inputs): readonly EnvVar[] {
  const { env } = component;
  const text = (value: boolean | number | undefined) => value === undefined ? undefined : String(value);
  if (events.auditEnabled === undefined) return [];
  const kept = events.auditEnabled;
  return [
    ...env("EVENT_AUDIT_ENABLED", text(events.auditEnabled)),
    ...env("EVENT_RETENTION_DAYS", kept ? text(events.retentionDays) : undefined),
    ...env("EVENT_CLEANUP_INTERVAL", kept ? text(events.cleanupInterval) : undefined),
    ...env("EVENT_CAPTURE_IP_ADDRESS", text(events.captureIpAddress)),
  ];
}

function vaultEnvironment(inputs: Inputs): readonly EnvVar[] {
  const block = vaultBlock(inputs);
  const { vault } = inputs.spec;
  if (block === undefined) return [];
  const { env, envFromSecret } = component;
  return [
    ...env("VAULT_ENABLED", String(vault.enabled)),
    ...env("VAULT_PROVIDER", vault.provider),
    ...env("VAULT_BASE_PATH", vault.basePath?.replaceAll("$namespace", inputs.namespace)),
    ...block.filter(({ value }) => value !== "").map(({ key, variable }) =>
      envFromSecret(variable, VAULT_SECRET, key)
    ),
  ];
}
