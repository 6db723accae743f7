/**
 * The recordings of the Go operator 3.2.0 (`tests/golden/iofog`), and how our objects are held against them.
 *
 * What differs must be meant: each such difference has a key, which names its line in docs/differences.md.
 */

import "reflect-metadata";
import { createPrivateKey } from "node:crypto";
import { assert } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import * as x509 from "@peculiar/x509";
import type { KubeObject } from "../../src/kubernetes/resource.ts";

/** The recorded cases. */
export const recordingNames = ["default-lb", "clusterip-ingress"] as const;
export type RecordingName = typeof recordingNames[number];

/** A call of the Go operator. */
export interface RecordedCall {
  readonly method: string;
  readonly url: string;
  readonly body?: unknown;
}

/** What a recording says. */
export interface Recording {
  readonly spec: Readonly<Record<string, unknown>>;
  /** What the cloud gave, by the name of the Service. */
  readonly addresses: Readonly<Record<string, { readonly ip: string } | { readonly hostname: string }>>;
  readonly children: readonly KubeObject[];
  readonly calls: readonly RecordedCall[];
}

/** Reads a recording. */
export async function readRecording(name: RecordingName): Promise<Recording> {
  const read = (file: string) => Deno.readTextFile(new URL(`iofog/${name}/${file}`, import.meta.url));
  const { spec } = parse(await read("cr.yaml")) as Pick<Recording, "spec">;
  const { loadBalancerStatus } = parse(await read("given.yaml")) as {
    loadBalancerStatus: Recording["addresses"];
  };
  const children = parseAll(await read("children.yaml")) as KubeObject[];
  const calls = parse(await read("calls.yaml")) as RecordedCall[];
  return { spec, addresses: loadBalancerStatus, children, calls };
}

/** A place where an object of ours is not as recorded. */
export interface Difference {
  /** e.g. `Deployment controller.spec.template.spec.containers[name=controller].image`. */
  readonly path: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

interface MeantDifference {
  readonly key: string;
  readonly applies: (path: string, ours: unknown, theirs: unknown) => boolean;
}

/** Differences that are meant: key in docs/differences.md, and where they may stand. */
export const meant: readonly MeantDifference[] = [
  {
    key: "empty-environment",
    applies: (path, ours, theirs) =>
      /\.env\[name=\w+\]$/.test(path) && ours === undefined && Object.keys(theirs as object).join() === "name",
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
  {
    key: "default-images",
    applies: (path, ours, theirs) =>
      /\.containers\[name=[a-z-]+\](\.image|\.env\[name=PROXY_IMAGE\]\.value)$/.test(path) &&
      `${theirs}`.startsWith("gcr.io/focal-freedom-236620/") && /^iofog\/[a-z-]+:3\.0\.[01]$/.test(`${ours}`),
  },
  {
    key: "owner-annotation",
    applies: (path, ours, theirs) =>
      path.endsWith(".metadata.annotations") && theirs === undefined &&
      Object.keys(ours as object).join() === "iofog.org/owner-uid",
  },
  {
    key: "inventory",
    applies: (path, _ours, theirs) => path === "ConfigMap iofog-inventory" && theirs === undefined,
  },
];

/** Whether a difference is one of `meant`. */
export function isMeant({ path, ours, theirs }: Difference): boolean {
  return meant.some((difference) => difference.applies(path, ours, theirs));
}

/** Everything that differs between our objects and the recorded ones. */
export function differencesBetween(
  ours: readonly unknown[],
  theirs: readonly KubeObject[],
): readonly Difference[] {
  const byTitle = (objects: readonly unknown[]) =>
    new Map((objects as readonly KubeObject[]).map((object) => [titleOf(object), object]));
  const [mine, yours] = [byTitle(ours), byTitle(theirs)];
  const titles = new Set([...mine.keys(), ...yours.keys()]);
  return [...titles].sort().flatMap((title) => differences(title, mine.get(title), yours.get(title)));
}

/** `Deployment controller`. */
export function titleOf(object: KubeObject): string {
  return `${object.kind} ${object.metadata?.name}`;
}

/** Lists whose items have a name of their own, and the field that holds it. */
const ITEM_NAMES: Readonly<Record<string, string>> = {
  env: "name",
  containers: "name",
  volumes: "name",
  volumeMounts: "mountPath",
  ports: "port",
};

function differences(path: string, ours: unknown, theirs: unknown): readonly Difference[] {
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

/** A Secret's `data` as text. */
export function decodedData(data: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, atob(value)]));
}

/**
 * Certificates and keys in the words of the recordings.
 *
 * @param ca `tls.crt` of the Secret `authority`.
 */
export async function describedCertificates(
  values: Readonly<Record<string, string>>,
  ca: string,
  authority = "router-ca",
): Promise<Record<string, string>> {
  const certificate = new x509.X509Certificate(values["tls.crt"] ?? "");
  const key = createPrivateKey(values["tls.key"] ?? "");
  assert((values["tls.key"] ?? "").startsWith("-----BEGIN RSA PRIVATE KEY-----"));
  assert(certificate.toString("pem").length > 0 && key.asymmetricKeyDetails?.modulusLength === 2048);
  return {
    ...(values["ca.crt"] !== undefined && {
      "ca.crt": values["ca.crt"] !== ca
        ? "<another certificate>"
        : values["tls.crt"] === ca
        ? "<same bytes as tls.crt of this Secret>"
        : `<same bytes as tls.crt of Secret ${authority}>`,
    }),
    "tls.crt": await describeCertificate(certificate, ca, authority),
    "tls.key": '<PEM private key: header "RSA PRIVATE KEY" (PKCS#1), RSA 2048; matches tls.crt>',
  };
}

async function describeCertificate(
  certificate: x509.X509Certificate,
  ca: string,
  authority: string,
): Promise<string> {
  const signer = new x509.X509Certificate(ca);
  const isAuthority = certificate.equal(signer);
  assert(await certificate.verify({ publicKey: signer.publicKey, signatureOnly: true }));
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
    `signed by ${isAuthority ? "itself" : `Secret ${authority}`}; ` +
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
