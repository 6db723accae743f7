/**
 * Makes certificate authorities and server certificates.
 *
 * What is made has the shape that the Go operators made: RSA 2048, SHA-256, a random serial number of up to 128 bits,
 * five years of 365 days, PKCS#1 keys.
 */

import "reflect-metadata";
import { Buffer } from "node:buffer";
import { createPrivateKey } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { isIpAddress } from "./ip_address.ts";
import { KEY_ALGORITHM } from "./rsa_keys.ts";

/** Decoded `data` of a Secret that holds a certificate: PEM text by key. */
export interface CertificateData {
  readonly "tls.crt"?: string | undefined;
  readonly "tls.key"?: string | undefined;
  readonly "ca.crt"?: string | undefined;
}

/** How a server certificate may differ from the plainest. */
export interface LeafShape {
  /** @default the first name */
  readonly commonName?: string;
  /** Whether IP addresses are also written as host names, as the PoT operator does. @default false */
  readonly addressesAsNames?: boolean;
}

const VALIDITY_MS = 5 * 365 * 24 * 60 * 60 * 1000;

/** See `makeCa`. */
export async function issueCa(
  keys: CryptoKeyPair,
  commonName: string,
  now: number,
  hostNames: readonly string[],
): Promise<CertificateData> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validFrom(now),
    name: new x509.Name([{ CN: [commonName] }]),
    keys,
    signingAlgorithm: KEY_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      keyUsage(x509.KeyUsageFlags.keyCertSign),
      extendedKeyUsage(),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(hostNames.length === 0 ? [] : [alternativeNames(hostNames)]),
    ],
  });
  return { "tls.crt": pem(certificate), "tls.key": await privateKeyPem(keys.privateKey) };
}

/** See `makeLeaf`. */
export async function issueLeaf(
  keys: CryptoKeyPair,
  ca: CertificateData,
  names: readonly [string, ...string[]],
  now: number,
  { commonName = names[0], addressesAsNames = false }: LeafShape,
): Promise<CertificateData> {
  const authority = new x509.X509Certificate(ca["tls.crt"] ?? "");
  const signingKey = await importPrivateKey(ca["tls.key"] ?? "");
  const certificate = await x509.X509CertificateGenerator.create({
    ...validFrom(now),
    subject: new x509.Name([{ CN: [commonName] }]),
    // The name as it is encoded in the authority: TLS libraries compare the bytes.
    issuer: authority.subjectName,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: KEY_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      keyUsage(0),
      extendedKeyUsage(),
      await authorityKeyIdentifier(authority),
      alternativeNames(names, addressesAsNames),
    ],
  });
  return {
    "tls.crt": pem(certificate),
    "tls.key": await privateKeyPem(keys.privateKey),
    "ca.crt": ca["tls.crt"],
  };
}

function validFrom(now: number): { notBefore: Date; notAfter: Date } {
  const start = Math.floor(now / 1000) * 1000;
  return {
    notBefore: new Date(start),
    notAfter: new Date(start + VALIDITY_MS),
  };
}

function keyUsage(more: x509.KeyUsageFlags | 0): x509.KeyUsagesExtension {
  const flags = x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment | more;
  return new x509.KeyUsagesExtension(flags, true);
}

function alternativeNames(
  names: readonly string[],
  addressesAsNames = false,
): x509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension(
    [...new Set(names)].flatMap((value) => {
      const dns = { type: "dns" as const, value };
      if (!isIpAddress(value)) return [dns];
      return [...(addressesAsNames ? [dns] : []), { type: "ip" as const, value }];
    }),
  );
}

function extendedKeyUsage(): x509.ExtendedKeyUsageExtension {
  return new x509.ExtendedKeyUsageExtension([
    x509.ExtendedKeyUsage.serverAuth,
    x509.ExtendedKeyUsage.clientAuth,
  ]);
}

/** The identifier that the authority gives itself, or else the one computed from its key. */
function authorityKeyIdentifier(
  authority: x509.X509Certificate,
): Promise<x509.AuthorityKeyIdentifierExtension> {
  const own = authority.getExtension(x509.SubjectKeyIdentifierExtension);
  return own === null
    ? x509.AuthorityKeyIdentifierExtension.create(authority.publicKey)
    : Promise.resolve(new x509.AuthorityKeyIdentifierExtension(own.keyId));
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem").trimEnd()}\n`;
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs1" })
    .toString();
}

function importPrivateKey(pemText: string): Promise<CryptoKey> {
  const pkcs8 = new Uint8Array(createPrivateKey(pemText).export({ format: "der", type: "pkcs8" }));
  return crypto.subtle.importKey("pkcs8", pkcs8, KEY_ALGORITHM, false, ["sign"]);
}
