/**
 * Certificate authorities and the server certificates that they sign, for Secrets of type `kubernetes.io/tls`.
 *
 * Guarantees: examination is synchronous and remembers its verdicts, so that it can
 * run at every pass; it never throws. Nothing here reads a clock, and no reason holds anything of a key.
 */

import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { CertificateData, LeafShape } from "./certificate_issuing.ts";
import { canonicalIp, isIpAddress } from "./ip_address.ts";
import { generateKeys } from "./rsa_keys.ts";

export type { CertificateData, LeafShape };

/** Whether something that is there can be used; if not, why. */
export type Verdict = { readonly usable: true } | { readonly usable: false; readonly reason: string };

const DAY_MS = 24 * 60 * 60 * 1000;
/** A server certificate is made again when it ends within this time. */
export const RENEWAL_MS = 30 * DAY_MS;

/**
 * Makes a self-signed certificate authority that is valid from `now` (milliseconds since the epoch).
 *
 * @param hostNames What it is for besides signing: the PoT operator gives its authorities their own name.
 */
export async function makeCa(
  commonName: string,
  now: number,
  hostNames: readonly string[] = [],
): Promise<CertificateData> {
  const keys = await generateKeys();
  return await (await issuing()).issueCa(keys, commonName, now, hostNames);
}

/**
 * Makes a server certificate for `names` (host names or IP addresses; the first is the common name), signed by `ca`
 * and valid from `now` (milliseconds since the epoch). Rejects when `ca` is not usable.
 */
export async function makeLeaf(
  ca: CertificateData,
  names: readonly [string, ...string[]],
  now: number,
  shape: LeafShape = {},
): Promise<CertificateData> {
  const keys = await generateKeys();
  return await (await issuing()).issueLeaf(keys, ca, names, now, shape);
}

/**
 * What makes certificates is loaded with the first one: most processes never make any, and it takes 50 ms and 10 MB.
 * That is after its key was made, so that what needs no key has been sent by then.
 */
function issuing() {
  return import("./certificate_issuing.ts");
}

/** 32 random bytes in base64: a key to encrypt with. */
export function randomKey(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toBase64();
}

/** Whether `data` holds a certificate authority that can sign at `now` (milliseconds since the epoch). */
export function examineCa(data: CertificateData, now: number): Verdict {
  const pair = examinePair(data);
  if (typeof pair === "string") return unusable(pair);
  if (!pair.certificate.ca) return unusable("its certificate is not a certificate authority");
  if (pair.keyType !== "rsa") return unusable(`its key is of type ${pair.keyType}, where RSA is needed`);
  if (now >= pair.notAfter) return unusable(`its certificate ended ${dayOf(pair.notAfter)}`);
  return USABLE;
}

/**
 * Whether `data` holds a server certificate that serves: signed by `ca` (which is usable), for exactly `names`, with
 * its own key, and not within `RENEWAL_MS` of its end at `now` (milliseconds since the epoch).
 */
export function examineLeaf(
  data: CertificateData,
  ca: CertificateData,
  names: readonly string[],
  now: number,
): Verdict {
  const pair = examinePair(data);
  if (typeof pair === "string") return unusable(pair);
  if (!isSignedBy(data["tls.crt"] ?? "", pair.certificate, ca["tls.crt"] ?? "")) {
    return unusable("its certificate was not signed by the certificate authority that is there");
  }
  if (data["ca.crt"] !== ca["tls.crt"]) {
    return unusable("ca.crt is not the certificate authority that is there");
  }
  return examineNames(pair, names, now);
}

/** Whether a certificate is for exactly `names` and not within `RENEWAL_MS` of its end at `now`. */
export function examineNames(facts: CertificateFacts, names: readonly string[], now: number): Verdict {
  const found = facts.names.join(", ");
  const wanted = [...new Set(names.map(canonicalName))].sort().join(", ");
  if (found !== wanted) return unusable(`its certificate is for ${found || "no name"}, not for ${wanted}`);
  if (now >= facts.notAfter - RENEWAL_MS) return unusable(`its certificate ends ${dayOf(facts.notAfter)}`);
  return USABLE;
}

/**
 * Whether `data` holds a certificate of somebody else's that serves at `now` (milliseconds since the epoch): with its
 * own key, in its time, and signed, with what else stands in its `tls.crt`, by each of `authorities` (PEM texts).
 */
export function examineGiven(
  data: CertificateData,
  authorities: readonly string[],
  now: number,
): Verdict {
  const pair = examinePair(data);
  if (typeof pair === "string") return unusable(pair);
  if (data["ca.crt"] !== undefined && readCertificate(data["ca.crt"]) === undefined) {
    return unusable("its ca.crt is not a certificate in PEM form");
  }
  if (now >= pair.notAfter) return unusable(`its certificate ended ${dayOf(pair.notAfter)}`);
  if (now < pair.notBefore) return unusable(`its certificate only begins ${dayOf(pair.notBefore)}`);
  if (!authorities.every((authority) => isChainedTo(data["tls.crt"] ?? "", authority))) {
    return unusable("its certificate was not signed by the certificate authority that is given");
  }
  return USABLE;
}

/** Whether the first certificate of a PEM text is for `host`, a host name or an IP address. */
export function isFor(pemText: string, host: string): boolean {
  const certificate = readCertificate(pemText);
  if (certificate === undefined) return false;
  return (isIpAddress(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined;
}

/** What a certificate says of itself. */
export interface CertificateFacts {
  /** Host names and IP addresses that it is for, in canonical form, sorted. */
  readonly names: readonly string[];
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Reads the first certificate of a PEM text; undefined when there is none. */
export function inspectCertificate(pemText: string): CertificateFacts | undefined {
  const certificate = readCertificate(pemText);
  return certificate && {
    names: subjectNames(certificate),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
}

/** A certificate among those that something trusts. */
export interface Trusted {
  /** PEM text of it alone. */
  readonly text: string;
  /** SHA-256 of the certificate, in lower case hexadecimal digits: what openssl calls its fingerprint, without colons. */
  readonly fingerprint: string;
  /** SHA-256 of its name and public key: whoever trusts one certificate trusts what another of the same signer signs. */
  readonly signer: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** The certificates in PEM texts, each once; what cannot be read is left out. */
export function trustedIn(...pemTexts: readonly (string | undefined)[]): readonly Trusted[] {
  const found = pemTexts.flatMap((text) =>
    text === undefined ? [] : bundles.remember(text, () => readBundle(text))
  );
  return [...new Map(found.map((each) => [each.fingerprint, each])).values()];
}

/** Whether a text holds certificates in PEM form, and each of them can be read. */
export function isPem(text: string): boolean {
  return texts.remember(text, () => {
    const blocks = text.split("-----BEGIN CERTIFICATE-----").length - 1;
    return blocks > 0 && certificatesIn(text).length === blocks;
  });
}

function readBundle(pemText: string): readonly Trusted[] {
  return certificatesIn(pemText).map((certificate) => ({
    text: `${certificate.toString().trimEnd()}\n`,
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    signer: signerOf(certificate),
    notAfter: Date.parse(certificate.validTo),
  }));
}

function signerOf({ publicKey, subject }: X509Certificate): string {
  return createHash("sha256").update(subject).update("\0")
    .update(publicKey.export({ type: "spki", format: "der" })).digest("hex");
}

/** Whether the first certificate of `pemText` was signed by that of `authority`. */
export function isSignedWith(pemText: string, authority: string): boolean {
  const certificate = readCertificate(pemText);
  return certificate !== undefined && isSignedBy(pemText, certificate, authority);
}

interface Pair extends CertificateFacts {
  readonly certificate: X509Certificate;
  readonly keyType: string;
}

/** The certificate and key in `data`, when they belong together; else what is wrong. */
function examinePair(data: CertificateData): Pair | string {
  const { "tls.crt": certificatePem, "tls.key": keyPem } = data;
  if (certificatePem === undefined || certificatePem === "") return "it has no tls.crt";
  if (keyPem === undefined || keyPem === "") return "it has no tls.key";
  return pairs.remember(`${certificatePem}\n${keyPem}`, () => {
    const certificate = readCertificate(certificatePem);
    const facts = inspectCertificate(certificatePem);
    if (certificate === undefined || facts === undefined) {
      return "its tls.crt is not a certificate in PEM form";
    }
    const key = readPrivateKey(keyPem);
    if (key === undefined) return "its tls.key is not a private key in PEM form";
    if (!attempt(() => certificate.checkPrivateKey(key))) return "its tls.key does not belong to its tls.crt";
    return { ...facts, certificate, keyType: key.asymmetricKeyType ?? "unknown" };
  });
}

/** By name and signature: `checkIssued` of Deno 2.9.6 says no where the authority has no key identifier. */
function isSignedBy(certificatePem: string, certificate: X509Certificate, caPem: string): boolean {
  return signatures.remember(`${certificatePem}\n${caPem}`, () => {
    const authority = readCertificate(caPem);
    return authority !== undefined && hasSigned(authority, certificate);
  });
}

/** Whether one of the certificates in `authorityPem` signed the first of `chainPem`, or signed who signed it. */
function isChainedTo(chainPem: string, authorityPem: string): boolean {
  return chains.remember(`${chainPem}\n${authorityPem}`, () => {
    const authorities = certificatesIn(authorityPem);
    const [leaf, ...between] = certificatesIn(chainPem);
    let current = leaf;
    for (let steps = 0; current !== undefined && steps <= between.length; steps++) {
      const signed = current;
      if (authorities.some((authority) => hasSigned(authority, signed))) return true;
      current = between.find((other) => hasSigned(other, signed));
    }
    return false;
  });
}

function hasSigned(authority: X509Certificate, certificate: X509Certificate): boolean {
  if (certificate.issuer !== authority.subject) return false;
  return attempt(() => certificate.verify(authority.publicKey)) ?? false;
}

function certificatesIn(pemText: string): readonly X509Certificate[] {
  const blocks = pemText.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => readCertificate(block) ?? []);
}

/** Remembers what was computed for the last few keys. */
class Memory<T> {
  readonly #values = new Map<string, T>();
  constructor(readonly size: number) {}

  remember(key: string, compute: () => T): T {
    const known = this.#values.get(key);
    const value = known ?? compute();
    this.#values.delete(key);
    this.#values.set(key, value);
    const oldest = this.#values.keys().next();
    if (this.#values.size > this.size && !oldest.done) this.#values.delete(oldest.value);
    return value;
  }
}

/** More certificates than one control plane has. */
const REMEMBERED = 32;
const pairs = new Memory<Pair | string>(REMEMBERED);
const signatures = new Memory<boolean>(REMEMBERED);
const chains = new Memory<boolean>(REMEMBERED);
const bundles = new Memory<readonly Trusted[]>(REMEMBERED);
const texts = new Memory<boolean>(REMEMBERED);

const USABLE: Verdict = { usable: true };

function unusable(reason: string): Verdict {
  return { usable: false, reason };
}

function readCertificate(pemText: string): X509Certificate | undefined {
  return attempt(() => new X509Certificate(pemText));
}

function readPrivateKey(pemText: string): KeyObject | undefined {
  return attempt(() => createPrivateKey(pemText));
}

/** What `read` returns; undefined where it throws, as `node:crypto` does for what it cannot read. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** From `subjectAltName`, e.g. `DNS:a.example, IP Address:2001:DB8:0:0:0:0:0:1`. */
function subjectNames(certificate: X509Certificate): string[] {
  const entries = (certificate.subjectAltName ?? "").split(", ").filter((entry) => entry !== "");
  const names = entries.map((entry) => canonicalName(entry.replace(/^(DNS|IP Address):/, "")));
  return [...new Set(names)].sort();
}

function canonicalName(name: string): string {
  return canonicalIp(name) ?? name;
}

function dayOf(milliseconds: number): string {
  return `on ${new Date(milliseconds).toISOString().slice(0, 10)}`;
}
