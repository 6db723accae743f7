/**
 * What we make, beside what the Go operator 3.2.0 made on a real API server (tests/golden/iofog).
 *
 * Everything that differs must be a default that the API server fills in, or a line of docs/differences.md.
 */

import "reflect-metadata";
import { createPrivateKey } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import * as x509 from "@peculiar/x509";
import type { Child, DesiredContext } from "../../operator/definition.ts";
import type { KubeObject } from "../../kubernetes/resource.ts";
import { Secret } from "../../kubernetes/generated/core_v1.ts";
import { desired } from "./desired.ts";
import * as fixtures from "./fixtures.ts";
import type { Images } from "./images.ts";

const RECORDINGS = new URL("../../../tests/golden/iofog/", import.meta.url);
const DIFFERENCES = new URL("../../../docs/differences.md", import.meta.url);

/** What the recorded operator was built with. */
const recordedImages: Images = {
  controller: "gcr.io/focal-freedom-236620/controller:v3.0.0-beta1",
  router: "gcr.io/focal-freedom-236620/router:v3.0.0-beta1",
  portManager: "gcr.io/focal-freedom-236620/port-manager:v3.0.0-beta1",
  proxy: "gcr.io/focal-freedom-236620/proxy:v3.0.0-beta1",
};

/** Differences that are meant: key in docs/differences.md, and where they may stand (`theirs` is the recorded value). */
const meant: readonly { key: string; applies: (path: string, ours: unknown, theirs: unknown) => boolean }[] =
  [
    {
      key: "empty-environment",
      applies: (path, ours, theirs) =>
        /\.env\[name=\w+\]$/.test(path) && ours === undefined &&
        Object.keys(theirs as object).join() === "name",
    },
    {
      key: "sqlite-both-paths",
      applies: (path, _ours, theirs) =>
        path === "Deployment controller.spec.template.spec.containers[name=controller].volumeMounts" +
            "[mountPath=/usr/local/lib/node_modules/iofogcontroller/src/data/sqlite_files/]" &&
        theirs === undefined,
    },
    {
      key: "database-secret-owner",
      applies: (path, _ours, theirs) =>
        path === "Secret controller-db-credentials.metadata.ownerReferences" && theirs === undefined,
    },
    {
      key: "authority-without-name",
      applies: (path, ours, theirs) =>
        path === "Secret router-ca.stringData.tls.crt" &&
        ours === (theirs as string).replace("SANs=[DNS:]", "SANs=[]"),
    },
  ];

/** What the API server fills in, by the end of the path. */
const defaults: Readonly<Record<string, unknown>> = {
  ".terminationMessagePath": "/dev/termination-log",
  ".terminationMessagePolicy": "File",
  ".resources": {},
  ".readinessProbe.successThreshold": 1,
  ".httpGet.scheme": "HTTP",
  ".spec.restartPolicy": "Always",
  ".spec.terminationGracePeriodSeconds": 30,
  ".spec.dnsPolicy": "ClusterFirst",
  ".spec.securityContext": {},
  ".spec.schedulerName": "default-scheduler",
  ".secret.defaultMode": 420,
  ".spec.revisionHistoryLimit": 10,
  ".spec.progressDeadlineSeconds": 600,
  ".spec.volumeMode": "Filesystem",
  ".metadata.finalizers": ["kubernetes.io/pvc-protection"],
  ".spec.sessionAffinity": "None",
  ".spec.ipFamilies": ["IPv4"],
  ".spec.ipFamilyPolicy": "SingleStack",
  ".spec.allocateLoadBalancerNodePorts": true,
  ".spec.internalTrafficPolicy": "Cluster",
};
/** A copy that the API server makes of `serviceAccountName`. */
const COPIED_FIELD = /\.spec\.serviceAccount$/;

for (const name of ["default-lb", "clusterip-ingress"]) {
  Deno.test(`desired() makes the children of recording ${name}`, async () => {
    const recorded = parseAll(await read(name, "children.yaml")) as KubeObject[];
    const ours = await children(name);
    assertEquals(
      [...ours.keys()].sort(),
      recorded.map((object) => `${object.kind} ${object.metadata?.name}`).sort(),
    );
    const unexplained: string[] = [];
    for (const theirs of recorded) {
      const title = `${theirs.kind} ${theirs.metadata?.name}`;
      for (const difference of differences(title, ours.get(title), theirs)) {
        if (!isExplained(difference)) unexplained.push(JSON.stringify(difference));
      }
    }
    assertEquals(unexplained, []);
  });

  Deno.test(`desired() writes into the Controller what recording ${name} wrote`, async () => {
    const calls = parse(await read(name, "calls.yaml")) as { method: string; url: string; body?: unknown }[];
    const { children } = desired(await settled(name), recordedImages);
    const user = fixtures.externalOf(children, "User");
    const { authenticated, ...profile } = user.fields;
    assertEquals({ ...profile, password: user.secrets?.["password"] }, bodyOf("POST", "/user/signup"));
    assertEquals(authenticated, true);
    assertEquals(fixtures.externalOf(children, "DefaultRouter").fields, bodyOf("PUT", "/router"));

    function bodyOf(method: string, path: string): unknown {
      return calls.find((call) => call.method === method && call.url.endsWith(path))?.body;
    }
  });
}

Deno.test("docs/differences.md explains each difference that the recordings show", async () => {
  const text = await Deno.readTextFile(DIFFERENCES);
  assertEquals(meant.filter(({ key }) => !text.includes(`\`${key}\``)).map(({ key }) => key), []);
});

function read(recording: string, file: string): Promise<string> {
  return Deno.readTextFile(new URL(`${recording}/${file}`, RECORDINGS));
}

/** The snapshot in which nothing is missing that children depend on: addresses, and the authority. */
async function settled(recording: string): Promise<DesiredContext> {
  const { spec } = parse(await read(recording, "cr.yaml")) as { spec: unknown };
  const { loadBalancerStatus } = parse(await read(recording, "given.yaml")) as {
    loadBalancerStatus: Record<string, Record<string, string>>;
  };
  const authority = fixtures.generatedOf(desired(fixtures.contextOf(spec)).children, "Secret router-ca");
  const objects = [
    ...Object.entries(loadBalancerStatus).map(([name, ingress]) => fixtures.serviceOf(name, ingress)),
    { ...authority.object, data: await authority.generate() } as KubeObject,
  ];
  return fixtures.contextOf(spec, fixtures.snapshotOf(objects));
}

/** Our children in the form of the recordings. */
async function children(recording: string): Promise<Map<string, unknown>> {
  const context = await settled(recording);
  const found = new Map<string, unknown>();
  for (const child of desired(context, recordedImages).children) {
    if (child.type === "external") continue;
    found.set(fixtures.childName(child), await asRecorded(child, context));
  }
  return found;
}

async function asRecorded(
  child: Exclude<Child, { type: "external" }>,
  context: DesiredContext,
): Promise<unknown> {
  const { data, ...object } = child.object as KubeObject & { data?: Record<string, string> };
  const metadata = {
    ...object.metadata,
    ownerReferences: [{
      apiVersion: "iofog.org/v3",
      kind: "ControlPlane",
      name: "iofog",
      controller: true,
      blockOwnerDeletion: true,
    }],
  };
  if (child.type === "applied" && data === undefined) return { ...object, metadata };
  const live = child.object.metadata.name === "router-ca"
    ? context.snapshot.list({
      group: "",
      version: "v1",
      kind: "Secret",
      plural: "secrets",
      namespaced: true,
    })[0]
    : undefined;
  const ca = context.snapshot.list(Secret)
    .map((secret) => decoded((secret as { data?: Record<string, string> }).data ?? {})["tls.crt"])[0];
  const values = child.type === "applied" ? decoded(data ?? {}) : await described(
    decoded((live as { data?: Record<string, string> })?.data ?? await child.generate()),
    ca,
  );
  return { ...object, metadata, stringData: values };
}

function decoded(data: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, atob(value)]));
}

/** Certificates and keys in the words of the recordings. */
async function described(
  values: Record<string, string>,
  ca: string | undefined,
): Promise<Record<string, string>> {
  const certificate = new x509.X509Certificate(values["tls.crt"] ?? "");
  const key = createPrivateKey(values["tls.key"] ?? "");
  assert((values["tls.key"] ?? "").startsWith("-----BEGIN RSA PRIVATE KEY-----"));
  assert(certificate.toString("pem").length > 0 && key.asymmetricKeyDetails?.modulusLength === 2048);
  return {
    ...(values["ca.crt"] !== undefined && {
      "ca.crt": values["ca.crt"] === ca
        ? "<same bytes as tls.crt of Secret router-ca>"
        : "<another certificate>",
    }),
    "tls.crt": await describeCertificate(certificate, ca ?? ""),
    "tls.key": '<PEM private key: header "RSA PRIVATE KEY" (PKCS#1), RSA 2048; matches tls.crt>',
  };
}

async function describeCertificate(certificate: x509.X509Certificate, ca: string): Promise<string> {
  const authority = new x509.X509Certificate(ca);
  const isAuthority = certificate.equal(authority);
  assert(await certificate.verify({ publicKey: authority.publicKey, signatureOnly: true }));
  const constraints = certificate.getExtension(x509.BasicConstraintsExtension);
  const usages = certificate.getExtension(x509.KeyUsagesExtension);
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  const purposes = certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [];
  const has = (type: { new (...args: never[]): x509.Extension }) =>
    certificate.getExtension(type as never) === null ? "absent" : "present";
  assert(certificate.serialNumber.length <= 32 && certificate.serialNumber.length > 20);
  const validity = (certificate.notAfter.getTime() - certificate.notBefore.getTime()) /
    (365 * 24 * 3600 * 1000);
  const usageNames = [
    [x509.KeyUsageFlags.digitalSignature, "digital_signature"],
    [x509.KeyUsageFlags.keyEncipherment, "key_encipherment"],
    [x509.KeyUsageFlags.keyCertSign, "key_cert_sign"],
  ] as const;
  const purposeNames: Record<string, string> = {
    [x509.ExtendedKeyUsage.serverAuth]: "serverAuth",
    [x509.ExtendedKeyUsage.clientAuth]: "clientAuth",
  };
  const algorithm = certificate.signatureAlgorithm;
  const signature = algorithm.name === "RSASSA-PKCS1-v1_5" && algorithm.hash.name === "SHA-256"
    ? "sha256WithRSAEncryption"
    : "another";
  return `<PEM certificate: subject ${certificate.subject}; issuer ${certificate.issuer}; ` +
    `signed by ${isAuthority ? "itself" : "Secret router-ca"}; ` +
    `SANs=[${names.map((name) => `${name.type.toUpperCase()}:${name.value}`).join(", ")}]; ` +
    `basicConstraints CA=${constraints?.ca}${constraints?.critical ? " critical" : ""}; ` +
    `keyUsage${usages?.critical ? " critical" : ""}=[${
      usageNames.filter(([flag]) => ((usages?.usages ?? 0) & flag) !== 0).map(([, name]) => name).join(", ")
    }]; ` +
    `extKeyUsage=[${purposes.map((purpose) => purposeNames[String(purpose)]).join(", ")}]; ` +
    `SKI ${has(x509.SubjectKeyIdentifierExtension)}; AKI ${has(x509.AuthorityKeyIdentifierExtension)}; ` +
    `serial 128 bits or fewer random; valid ${validity.toFixed(2)} x 365 days from creation; ` +
    `signature ${signature}; key RSA 2048; 1 certificate(s) in the file>`;
}

interface Difference {
  readonly path: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

/** Lists whose items have a name of their own, and the field that holds it. */
const ITEM_NAMES: Readonly<Record<string, string>> = {
  env: "name",
  containers: "name",
  volumes: "name",
  volumeMounts: "mountPath",
  ports: "port",
};

function differences(path: string, ours: unknown, theirs: unknown): Difference[] {
  const [mine, yours] = [itemsByName(path, ours), itemsByName(path, theirs)];
  if (!isObject(mine) || !isObject(yours)) {
    return JSON.stringify(mine) === JSON.stringify(yours) ? [] : [{ path, ours, theirs }];
  }
  const keys = new Set([...Object.keys(mine), ...Object.keys(yours)]);
  const isList = Array.isArray(ours);
  return [...keys].flatMap((key) =>
    differences(isList ? `${path}${key}` : `${path}.${key}`, mine[key], yours[key])
  );
}

function itemsByName(path: string, value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const field = ITEM_NAMES[path.slice(path.lastIndexOf(".") + 1)];
  return Object.fromEntries(
    value.map((item, index) => [field === undefined ? `[${index}]` : `[${field}=${item[field]}]`, item]),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isExplained({ path, ours, theirs }: Difference): boolean {
  if (meant.some((difference) => difference.applies(path, ours, theirs))) return true;
  if (ours !== undefined) return false;
  if (COPIED_FIELD.test(path)) return true;
  return Object.entries(defaults).some(([end, value]) =>
    path.endsWith(end) && JSON.stringify(value) === JSON.stringify(theirs)
  );
}
