/**
 * The NATS hub of a PoT control plane (as operator 3.7 makes it): servers, their configuration, keys, certificates and
 * Services.
 *
 * What only the Controller knows (operator, accounts) comes from it at every look; while it does not answer, what
 * stands in the objects is kept. Data and the keys to it are never removed: the claims, JetStream's key, the
 * authorities. The accounts in the JWT bundle are never removed either, since the servers delete the data of whatever
 * account is missing there.
 */

import type { Child, Problem } from "../../../operator/definition.ts";
import { StatefulSet } from "../../../kubernetes/generated/apps_v1.ts";
import { ConfigMap, PersistentVolumeClaim, Secret, Service } from "../../../kubernetes/generated/core_v1.ts";
import type { OwnerReference } from "../../../kubernetes/resource.ts";
import {
  applied,
  type ChildMeta,
  decodeBase64,
  encodeBase64,
  manifest,
  secretData,
  secretValues,
} from "../../child.ts";
import { inspectCertificate, randomKey } from "../../pki.ts";
import { podTemplate } from "../../pods.ts";
import { canonicalQuantity, compareQuantities } from "../../quantity.ts";
import {
  disruptionBudget,
  env,
  envFromField,
  envFromSecret,
  type Exposure,
  loadBalancerAddress,
  metaOf,
  permissions,
  service,
  serviceAccount,
  type Waiting,
} from "../component.ts";
import * as reasons from "../reasons.ts";
import {
  certificateSecretNames,
  certificateSecrets,
  certificatesWaiting,
  issuedAuthorities,
  keptAuthorities,
} from "./certificates.ts";
import { type Inputs, labelsOf } from "./inputs.ts";
import {
  CERTIFICATES_DIRECTORY,
  DATA_DIRECTORY,
  JWT_DIRECTORY,
  MQTT_SERVER,
  NATS_HEADLESS,
  natsPorts,
  ordinals,
  readConfiguration,
  serverConfiguration,
  serverName,
  SITE_SERVER,
  storeSize,
} from "./nats_configuration.ts";
import { type NatsHealth, type NatsScale, nextScale, serversInUse } from "./nats_scale.ts";
import type { ControlPlaneSpec } from "./schema.ts";

/** Name of the StatefulSet, ServiceAccount, Role and of the Service for other clusters and devices. */
export const NATS = "nats" as const;
export const NATS_SERVER = "nats-server";
export const NATS_CONFIG = "iofog-nats-config";
export const JWT_BUNDLE = "iofog-nats-jwt-bundle";
export const OPERATOR_SEED = "nats-operator-seed";
export const SYSTEM_CREDENTIALS = "nats-creds-sys-admin-hub";
const CREDENTIALS_FILE = "admin-hub.creds";
/** Name of the claim template; claims are called `js-data-nats-0` and so on. */
const CLAIM = "js-data";
const DEFAULT_STORAGE = "10Gi";
const DEFAULT_MEMORY = "1G";
const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";

/** Keys of Secrets of NATS whose values nobody may see. */
export const natsSecretKeys: readonly string[] = ["jsk", "seed", CREDENTIALS_FILE];

/** Every child of the component, in the order of need. Where NATS is disabled, what has to survive that. */
export function natsChildren(inputs: Inputs): Child[] {
  const { images, nats, services } = inputs.spec;
  const labels = labelsOf(inputs, NATS);
  if (!nats.enabled) {
    return [...jetStreamKey(inputs, "kept"), ...keptAuthorities(inputs, NATS), ...claims(inputs)];
  }
  return [
    serviceAccount(inputs, NATS, { labels, pullSecret: images.pullSecret }),
    ...permissions(inputs, NATS, [
      { apiGroups: [""], resources: ["configmaps", "secrets"], verbs: ["get", "list", "watch"] },
    ], labels),
    headlessService(inputs),
    service(inputs, NATS, labels, exposure(services.nats), [
      servicePort("cluster"),
      servicePort("leaf"),
      servicePort("mqtt"),
    ]),
    service(inputs, NATS_SERVER, labels, exposure(services.natsServer), [
      servicePort("client"),
      servicePort("monitor"),
    ]),
    ...jetStreamKey(inputs, "needed"),
    ...issuedAuthorities(inputs, NATS),
    ...certificateSecrets(inputs, NATS, certificateNames(inputs)),
    ...bootstrapSecrets(inputs),
    ...configuration(inputs),
    ...jwtBundle(inputs),
    ...statefulSet(inputs),
    ...disruptionBudget(inputs, NATS, labels, labels),
    ...claims(inputs),
  ];
}

/** Names of the Secrets whose content is read here. */
export function natsSecretNames(
  controlPlane: string,
  certificates: ControlPlaneSpec["certificates"],
): string[] {
  return [
    OPERATOR_SEED,
    SYSTEM_CREDENTIALS,
    jetStreamKeyName(controlPlane),
    ...certificateSecretNames(certificates),
  ];
}

/** Where leaf nodes and devices outside reach NATS; undefined where that is nowhere, or not known yet. */
export function natsAddress({ snapshot, spec }: Inputs): string | undefined {
  return spec.services.nats.type === "LoadBalancer"
    ? loadBalancerAddress(snapshot, NATS)
    : spec.ingresses.nats.address;
}

/** How many servers there are to be now. */
export function natsScale({ natsHealth, snapshot, spec }: Inputs): NatsScale {
  const unasked: NatsHealth = { type: "unknown", why: "no server was asked yet" };
  return nextScale(spec.replicas.nats, snapshot.get(StatefulSet, NATS), natsHealth ?? unasked);
}

/** What NATS waits for. */
export function natsWaiting(inputs: Inputs): Waiting[] {
  if (!inputs.spec.nats.enabled) return [];
  const { waiting } = natsScale(inputs);
  const needsBootstrap = inputs.natsBootstrap === undefined && configuration(inputs).length === 0;
  const needsAccounts = !needsBootstrap && jwtBundle(inputs).length === 0;
  return [
    ...(needsBootstrap
      ? [{
        component: NATS,
        reason: reasons.NATS_BOOTSTRAP_PENDING,
        message: "NATS waits for the Controller, which has its operator and accounts",
      }]
      : needsAccounts
      ? [{
        component: NATS,
        reason: reasons.NATS_BOOTSTRAP_PENDING,
        message:
          `ConfigMap ${JWT_BUNDLE} is not there, and waits for the list of accounts from the Controller: servers ` +
          "delete the data of accounts that are missing in it",
      }]
      : []),
    ...(waiting === undefined ? [] : [{ component: NATS, reason: waiting.reason, message: waiting.message }]),
    ...certificatesWaiting(inputs, NATS),
  ];
}

/** What the spec asks of the claims that are there and that cannot be. */
export function natsStorageProblems(inputs: Inputs): Problem[] {
  const { jetStream } = inputs.spec.nats;
  const problem = (field: string, message: string): Problem => ({
    reason: reasons.INVALID_SPEC,
    field: `spec.nats.jetStream.${field}`,
    message,
  });
  if (!inputs.spec.nats.enabled) return [];
  const live = liveClaims(inputs);
  const { storageSize } = jetStream;
  const larger = live.find((claim) =>
    storageSize !== undefined && compareQuantities(storageSize, askedOf(inputs, claim)) < 0
  );
  const shrinking = larger === undefined ? [] : [
    problem(
      "storageSize",
      `must be at least ${
        askedOf(inputs, larger)
      }, as claim ${larger.metadata?.name}: a claim cannot shrink. Set it ` +
        "back; smaller volumes need another control plane, to which the streams are copied",
    ),
  ];
  const other = live.find(({ spec }) =>
    jetStream.storageClassName !== undefined && spec?.storageClassName !== jetStream.storageClassName
  );
  const reclassed = other === undefined ? [] : [
    problem(
      "storageClassName",
      `must be ${
        other.spec?.storageClassName ?? "left out"
      }, as claim ${other.metadata?.name}: the class of a ` +
        `claim cannot change. Set it back${remakingOf(inputs, live)}`,
    ),
  ];
  return [...shrinking, ...reclassed];
}

/** How to have claims of another class where none has a volume, as when there is no such class. */
function remakingOf({ namespace }: Inputs, claims: readonly PersistentVolumeClaim[]): string {
  if (claims.some(({ spec, status }) => Boolean(spec?.volumeName) || status?.phase === "Bound")) return "";
  const names = claims.map(({ metadata }) => `persistentvolumeclaim/${metadata?.name}`);
  return "; or, since no claim has a volume and data yet, delete them with what made them, and they are made again as " +
    `the spec says: kubectl -n ${namespace} delete statefulset/${NATS} ${names.join(" ")}`;
}

/** Gives each pod its name. */
function headlessService(inputs: Inputs): Child {
  return applied(Service, metadataOf(inputs, NATS_HEADLESS), {
    spec: {
      type: "ClusterIP",
      clusterIP: "None",
      selector: labelsOf(inputs, NATS),
      ports: (["cluster", "leaf", "mqtt", "client", "monitor"] as const)
        .map((name) => ({ protocol: "TCP" as const, ...servicePort(name) })),
    },
  });
}

/** An address may not be asked for: the Go operator does not either. */
function exposure({ annotations, externalTrafficPolicy, type }: Exposure): Exposure {
  return { annotations, externalTrafficPolicy, type };
}

function servicePort(name: keyof typeof natsPorts) {
  return { name, port: natsPorts[name], targetPort: natsPorts[name] };
}

/** Host names and addresses of the servers, also of those that are still to come. */
function certificateNames(inputs: Inputs): readonly string[] {
  const { namespace, spec } = inputs;
  const address = natsAddress(inputs);
  return [
    ...ordinals(Math.max(spec.replicas.nats, servers(inputs))).map(hostName),
    `${NATS}.${namespace}.svc.cluster.local`,
    `${NATS_SERVER}.${namespace}.svc.cluster.local`,
    `*.${NATS_HEADLESS}.${namespace}.svc.cluster.local`,
    ...(address === undefined ? [] : [address]),
  ];
}

function hostName(ordinal: number): string {
  return `${serverName(ordinal)}.${NATS_HEADLESS}`;
}

/** JetStream's data are encrypted with it: it lives as long as the claims, which own it as soon as there are any. */
function jetStreamKey(inputs: Inputs, use: "needed" | "kept"): Child[] {
  const name = jetStreamKeyName(inputs.name);
  if (use === "kept" && inputs.snapshot.get(Secret, name) === undefined) return [];
  const owners = liveClaims(inputs).map(({ metadata }): OwnerReference => ({
    apiVersion: "v1",
    kind: PersistentVolumeClaim.kind,
    name: metadata?.name ?? "",
    uid: metadata?.uid ?? "",
  }));
  const metadata = { ...metadataOf(inputs, name), ...(owners.length > 0 && { ownerReferences: owners }) };
  return [{
    type: "generated",
    resource: Secret,
    object: manifest(Secret, metadata, { type: "Opaque" }),
    ...(owners.length > 0 && { retained: true }),
    generate: () => {
      // A new key would make what is on the claims unreadable for ever.
      if (owners.length === 0) return Promise.resolve(secretData({ jsk: randomKey() }));
      return Promise.reject(
        new Error(
          `Secret ${name} is gone, but claims ${
            owners.map((owner) => owner.name).join(", ")
          } have data that are ` +
            "encrypted with it: restore it from a backup, or delete the claims to start without data",
        ),
      );
    },
  }];
}

/**
 * Whether JetStream's key is there, and not about to be collected with the last claim: beside claims of a new
 * StatefulSet, which hold nothing yet, no other key could be told from one that was lost.
 */
function isKeyToStay(inputs: Inputs): boolean {
  const { metadata } = inputs.snapshot.get(Secret, jetStreamKeyName(inputs.name)) ?? {};
  if (metadata === undefined) return false;
  const owners = metadata.ownerReferences ?? [];
  const claims = new Set(liveClaims(inputs).map((claim) => claim.metadata?.uid));
  return owners.length === 0 ||
    owners.some(({ kind, uid }) => kind !== PersistentVolumeClaim.kind || claims.has(uid));
}

function jetStreamKeyName(controlPlane: string): string {
  return `nats-jetstream-key-${controlPlane}`;
}

/** What the Controller gives, for the servers and for the operator's own tools. */
function bootstrapSecrets(inputs: Inputs): Child[] {
  const { natsBootstrap: bootstrap } = inputs;
  const wanted: readonly [name: string, key: string, value: string | undefined][] = [
    [OPERATOR_SEED, "seed", bootstrap?.operatorSeed],
    [SYSTEM_CREDENTIALS, CREDENTIALS_FILE, bootstrap && decodeBase64(bootstrap.sysUserCredsBase64)],
  ];
  return wanted.flatMap(([name, key, value]): Child[] => {
    const live = secretValues(inputs.snapshot, name);
    if (value === undefined && live === undefined) return [];
    return [{
      type: "generated",
      resource: Secret,
      object: manifest(Secret, metadataOf(inputs, name), { type: "Opaque" }),
      reissue: value === undefined || live === undefined || live[key] === value
        ? undefined
        : "the Controller has another one",
      generate: () =>
        value === undefined
          ? Promise.reject(new Error(`Secret ${name} cannot be made before the Controller answers`))
          : Promise.resolve({ [key]: encodeBase64(value) }),
    }];
  });
}

/** Shared with the Controller, which adds routes. */
function configuration(inputs: Inputs): Child[] {
  const { name, namespace, natsBootstrap: bootstrap, snapshot, spec } = inputs;
  const live = snapshot.get(ConfigMap, NATS_CONFIG)?.data?.["server.conf"];
  const known = bootstrap === undefined
    ? live === undefined ? undefined : readConfiguration(live)
    : { operatorJwt: bootstrap.operatorJwt, systemAccount: bootstrap.systemAccountPublicKey };
  const key = secretValues(snapshot, jetStreamKeyName(name))?.["jsk"];
  if (known === undefined || key === undefined) {
    return live === undefined ? [] : [configMap(inputs, NATS_CONFIG, { "server.conf": live })];
  }
  const address = natsAddress(inputs);
  const text = serverConfiguration({
    ...known,
    cluster: name,
    domain: namespace,
    jetStreamKey: key,
    memoryStore: storeSize(spec.nats.jetStream.memoryStoreSize ?? DEFAULT_MEMORY) ?? DEFAULT_MEMORY,
    fileStore: storeSize(storageOf(inputs)) ?? storageOf(inputs),
    servers: servers(inputs),
    advertise: address === undefined
      ? undefined
      : `${address.includes(":") ? `[${address}]` : address}:${spec.ingresses.nats.leafPort}`,
  }, live);
  return [configMap(inputs, NATS_CONFIG, { "server.conf": text })];
}

/**
 * Shared with the Controller, which adds accounts. Whatever stands there stays: a server that misses an account deletes
 * its data. So where the bundle is gone, it is made again only from the Controller's whole list.
 */
function jwtBundle(inputs: Inputs): Child[] {
  const { natsAccounts: accounts, natsBootstrap: bootstrap } = inputs;
  const live = inputs.snapshot.get(ConfigMap, JWT_BUNDLE)?.data;
  if (live === undefined && (accounts === undefined || bootstrap === undefined)) return [];
  const listed = (accounts ?? []).filter(({ isLeafSystem }) => isLeafSystem !== true);
  return [configMap(inputs, JWT_BUNDLE, {
    ...live,
    ...Object.fromEntries(listed.map(({ jwt, publicKey }) => [`${publicKey}.jwt`, jwt])),
    ...(bootstrap && { [`${bootstrap.systemAccountPublicKey}.jwt`]: bootstrap.systemAccountJwt }),
  })];
}

function configMap(inputs: Inputs, name: string, data: Record<string, string>): Child {
  return applied(ConfigMap, metadataOf(inputs, name), { data });
}

/** Begun when all that its pods mount is there or about to be: a kubelet that misses something looks again late. */
function statefulSet(inputs: Inputs): Child[] {
  const live = inputs.snapshot.get(StatefulSet, NATS);
  const mounted = [configuration(inputs), jwtBundle(inputs), bootstrapSecrets(inputs)];
  const isComplete = mounted.every((children) => children.length > 0) && isKeyToStay(inputs);
  if (live === undefined && !isComplete) return [];
  const labels = labelsOf(inputs, NATS);
  const { pullSecret } = inputs.spec.images;
  const restartedAt = live?.spec?.template?.metadata?.annotations?.[RESTARTED_AT];
  const secretVolumes = [SITE_SERVER, MQTT_SERVER];
  return [applied(StatefulSet, metadataOf(inputs, NATS), {
    spec: {
      serviceName: NATS_HEADLESS,
      replicas: certifiedScale(inputs, live),
      selector: { matchLabels: labels },
      template: podTemplate({
        labels,
        // Whoever restarts the servers, as the Controller does, writes it; without it they would restart again.
        annotations: restartedAt === undefined ? {} : { [RESTARTED_AT]: restartedAt },
        container: {
          name: NATS,
          image: inputs.spec.images.nats ?? inputs.images.nats,
          imagePullPolicy: "Always",
          ports: Object.entries(natsPorts).map(([name, containerPort]) => ({
            name,
            containerPort,
            protocol: "TCP" as const,
          })),
          env: [
            ...env("NATS_CONF", "/etc/nats/config/server.conf"),
            ...env("NATS_SERVER_MODE", "server"),
            ...env("NATS_JWT_DIR", JWT_DIRECTORY),
            ...env("NATS_JWT_MOUNT_DIR", "/tmp/nats/jwt"),
            ...env("NATS_CREDS_DIR", "/etc/nats/creds"),
            ...env("NATS_SYS_USER_CRED_PATH", `/etc/nats/creds/${CREDENTIALS_FILE}`),
            ...env("NATS_SSL_DIR", CERTIFICATES_DIRECTORY),
            ...env("NATS_CERT_NAME", SITE_SERVER),
            ...env("NATS_MQTT_CERT_NAME", MQTT_SERVER),
            ...env("NATS_SERVER_PORT", `${natsPorts.client}`),
            ...env("NATS_CLUSTER_PORT", `${natsPorts.cluster}`),
            ...env("NATS_LEAF_PORT", `${natsPorts.leaf}`),
            ...env("NATS_MQTT_PORT", `${natsPorts.mqtt}`),
            ...env("NATS_MONITOR_PORT", `${natsPorts.monitor}`),
            ...env("NATS_JETSTREAM_STORE_DIR", DATA_DIRECTORY),
            ...env("NATS_HTTP_PORT", `${natsPorts.monitor}`),
            envFromSecret("JETSTREAM_KEY", jetStreamKeyName(inputs.name), "jsk"),
            { name: "JETSTREAM_PREV_KEY" },
            envFromField("SELFNAME", "metadata.name"),
          ],
          readinessProbe: { ...probe, periodSeconds: 10 },
          livenessProbe: { ...probe, periodSeconds: 30 },
          volumeMounts: [
            { name: "config", mountPath: "/etc/nats/config" },
            { name: "jwt", mountPath: "/tmp/nats/jwt" },
            ...secretVolumes.map((name) => ({ name, mountPath: `${CERTIFICATES_DIRECTORY}/${name}` })),
            { name: "jetstream-key", mountPath: "/etc/nats/jetstream", readOnly: true },
            { name: "sys-user-creds", mountPath: "/etc/nats/creds", readOnly: true },
            { name: CLAIM, mountPath: DATA_DIRECTORY },
          ],
        },
        spec: {
          serviceAccountName: NATS,
          securityContext: { runAsUser: 10000, runAsGroup: 10000, fsGroup: 10000 },
          ...(pullSecret !== undefined && { imagePullSecrets: [{ name: pullSecret }] }),
          volumes: [
            { name: "config", configMap: { name: NATS_CONFIG } },
            { name: "jwt", configMap: { name: JWT_BUNDLE } },
            ...secretVolumes.map((name) => ({ name, secret: { secretName: name } })),
            { name: "jetstream-key", secret: { secretName: jetStreamKeyName(inputs.name) } },
            {
              name: "sys-user-creds",
              secret: {
                secretName: SYSTEM_CREDENTIALS,
                items: [{ key: CREDENTIALS_FILE, path: CREDENTIALS_FILE }],
              },
            },
          ],
        },
      }, inputs.spec.pods.nats),
      volumeClaimTemplates: claimTemplates(inputs, live),
    },
  })];
}

/** No server before it has a certificate with its name: others would refuse it. */
function certifiedScale(inputs: Inputs, live: StatefulSet | undefined): number {
  const { servers } = natsScale(inputs);
  const now = live?.spec?.replicas;
  if (now === undefined || servers <= now) return servers;
  const names = inspectCertificate(secretValues(inputs.snapshot, SITE_SERVER)?.["tls.crt"] ?? "")?.names ??
    [];
  return names.includes(hostName(servers - 1)) ? servers : now;
}

const probe = {
  httpGet: { path: "/healthz?js-enabled-only=true", port: natsPorts.monitor },
  initialDelaySeconds: 10,
  timeoutSeconds: 5,
  successThreshold: 1,
  failureThreshold: 3,
};

/** How much each server may store: where the spec does not say, what it said when the servers were made. */
function storageOf({ snapshot, spec }: Inputs): string {
  const [template] = snapshot.get(StatefulSet, NATS)?.spec?.volumeClaimTemplates ?? [];
  return spec.nats.jetStream.storageSize ?? (template === undefined ? DEFAULT_STORAGE : requestOf(template));
}

/** What the StatefulSet that is there says, since it cannot change: the claims themselves grow. */
function claimTemplates({ spec }: Inputs, live: StatefulSet | undefined): PersistentVolumeClaim[] {
  const there = live?.spec?.volumeClaimTemplates;
  if (there !== undefined) return there;
  const { storageClassName, storageSize = DEFAULT_STORAGE } = spec.nats.jetStream;
  return [{
    metadata: { name: CLAIM },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: storageSize } },
      ...(storageClassName !== undefined && { storageClassName }),
    },
  }];
}

/** The claims that are there, as large as the spec says. New ones come from the StatefulSet. */
function claims(inputs: Inputs): Child[] {
  const { enabled, jetStream } = inputs.spec.nats;
  return liveClaims(inputs).map((live) => {
    const has = requestOf(live);
    const wanted = jetStream.storageSize === undefined ? has : canonicalQuantity(jetStream.storageSize);
    // Before there is a volume the API server lets nothing grow.
    const grows = enabled && live.status?.phase === "Bound" && compareQuantities(wanted, has) > 0;
    const asked = jetStream.storageSize ?? live.metadata?.annotations?.[SIZE_ANNOTATION];
    return applied(PersistentVolumeClaim, {
      name: live.metadata?.name ?? "",
      namespace: inputs.namespace,
      ...(asked !== undefined && { annotations: { [SIZE_ANNOTATION]: asked } }),
    }, {
      spec: { resources: { requests: { storage: grows ? wanted : has } } },
    }, { retained: true, adopts: true });
  });
}

/** What the spec said when the claim was last written. */
const SIZE_ANNOTATION = "iofog.org/storage-size";

/**
 * What a claim was made to have: somebody else may have made it larger, and meant it; and what was asked and never
 * reached, as where the class lets nothing grow, may be taken back.
 */
function askedOf(inputs: Inputs, claim: PersistentVolumeClaim): string {
  const [template] = inputs.snapshot.get(StatefulSet, NATS)?.spec?.volumeClaimTemplates ?? [];
  // One that is new has no annotation yet; the template may be older than that of the others.
  const asked = [claim, ...liveClaims(inputs)].map(({ metadata }) => metadata?.annotations?.[SIZE_ANNOTATION])
    .find((size) => size !== undefined) ?? requestOf(template ?? claim);
  const has = requestOf(claim);
  return compareQuantities(asked, has) < 0 ? asked : has;
}

function requestOf({ spec }: PersistentVolumeClaim): string {
  return canonicalQuantity(String(spec?.resources?.requests?.["storage"] ?? "0"));
}

/** Claims that the StatefulSet made, also of servers that are gone: the next one of that name takes them again. */
function liveClaims(inputs: Inputs): readonly PersistentVolumeClaim[] {
  const labels = Object.entries(labelsOf(inputs, NATS));
  return inputs.snapshot.list(PersistentVolumeClaim)
    .filter(({ metadata }) => new RegExp(`^${CLAIM}-${NATS}-\\d+$`).test(metadata?.name ?? ""))
    .filter(({ metadata }) => labels.every(([key, value]) => metadata?.labels?.[key] === value));
}

/** Servers that have a route. */
function servers(inputs: Inputs): number {
  return serversInUse(natsScale(inputs).servers, inputs.snapshot.get(StatefulSet, NATS));
}

function metadataOf(inputs: Inputs, name: string): ChildMeta {
  return metaOf(inputs, name, labelsOf(inputs, NATS));
}
