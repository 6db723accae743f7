/** Certificates as the Go operator makes them: its authority has one empty name. */

import "reflect-metadata";
import { createPrivateKey } from "node:crypto";
import { Buffer } from "node:buffer";
import * as x509 from "@peculiar/x509";
import { registerSecret } from "../secrets.ts";

/** `data` of a Secret, decoded. */
export type SecretValues = Readonly<Record<string, string>>;

const algorithm = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
} as const;

/** The values of Secret `router-ca`, and of a certificate that it signed for `host` from now on. */
export async function goCertificates(
  host: string,
): Promise<{ readonly ca: SecretValues; readonly leaf: SecretValues }> {
  const [caKeys, leafKeys] = await Promise.all([newKeys(), newKeys()]);
  const now = new Date();
  const validity = { notBefore: now, notAfter: new Date(now.getTime() + 5 * 365 * 24 * 3_600_000) };
  const usages = (more: number) =>
    new x509.KeyUsagesExtension(
      x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment | more,
      true,
    );
  const purposes = new x509.ExtendedKeyUsageExtension([
    x509.ExtendedKeyUsage.serverAuth,
    x509.ExtendedKeyUsage.clientAuth,
  ]);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: "CN=router-ca",
    keys: caKeys,
    signingAlgorithm: algorithm,
    extensions: [
      usages(x509.KeyUsageFlags.keyCertSign),
      purposes,
      new x509.BasicConstraintsExtension(true, undefined, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: "" }]),
    ],
  });
  const isAddress = /^[\d.]+$/.test(host);
  const leaf = await x509.X509CertificateGenerator.create({
    ...validity,
    subject: `CN=${host}`,
    issuer: ca.subject,
    publicKey: leafKeys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      usages(0),
      purposes,
      new x509.BasicConstraintsExtension(false, undefined, true),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
      new x509.SubjectAlternativeNameExtension([{ type: isAddress ? "ip" : "dns", value: host }]),
    ],
  });
  const caPem = `${ca.toString("pem")}\n`;
  return {
    ca: { "tls.crt": caPem, "tls.key": await keyPem(caKeys.privateKey) },
    leaf: {
      "ca.crt": caPem,
      "tls.crt": `${leaf.toString("pem")}\n`,
      "tls.key": await keyPem(leafKeys.privateKey),
    },
  };
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

async function keyPem(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", key));
  const pem = createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs1" }).toString();
  return registerSecret(pem);
}
