/**
 * Keys and certificates of the local cluster: a CA, and leaves that it signs.
 *
 * The server's certificate is never the CA itself, which rustls would refuse as `CaUsedAsEndEntity`. Elliptic keys,
 * since an RSA key takes 200 ms.
 */

import "reflect-metadata";
import * as x509 from "@peculiar/x509";

/** A private key and what belongs to it, as PEM. */
export interface KeyPair {
  readonly keyPem: string;
  readonly certificatePem: string;
}

/** A CA that lives as long as the cluster. */
export interface CertificateAuthority {
  readonly certificatePem: string;
  /** A certificate for a server under these names. */
  issueServer(names: { readonly dns: readonly string[]; readonly ip: readonly string[] }): Promise<KeyPair>;
  /** A certificate that authenticates a user (CN) in groups (O). */
  issueClient(user: string, groups: readonly string[]): Promise<KeyPair>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const validityMs = 365 * 24 * 3600 * 1000;

/** Makes a CA with a fresh key. */
export async function createCertificateAuthority(name: string): Promise<CertificateAuthority> {
  const keys = await generateKeys();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    serialNumber: serialNumber(),
    name: [{ CN: [name] }],
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const issue = async (
    subject: x509.JsonName,
    usage: x509.ExtendedKeyUsageType,
    extensions: x509.Extension[],
  ) => {
    const leafKeys = await generateKeys();
    const leaf = await x509.X509CertificateGenerator.create({
      ...validity(),
      serialNumber: serialNumber(),
      subject,
      issuer: ca.subject,
      publicKey: leafKeys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage]),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ...extensions,
      ],
    });
    return { keyPem: await exportKey(leafKeys.privateKey), certificatePem: `${leaf.toString("pem")}\n` };
  };
  return {
    certificatePem: `${ca.toString("pem")}\n`,
    issueServer: ({ dns, ip }) =>
      issue([{ CN: [dns[0] ?? ip[0] ?? "server"] }], x509.ExtendedKeyUsage.serverAuth, [
        new x509.SubjectAlternativeNameExtension([
          ...dns.map((value) => ({ type: "dns" as const, value })),
          ...ip.map((value) => ({ type: "ip" as const, value })),
        ]),
      ]),
    issueClient: (user, groups) =>
      issue(
        [...groups.map((group) => ({ O: [group] })), { CN: [user] }],
        x509.ExtendedKeyUsage.clientAuth,
        [],
      ),
  };
}

/** A pair of keys as PEM, e.g. to sign the tokens of ServiceAccounts and to check them. */
export async function generateSigningKeys(): Promise<
  { readonly keyPem: string; readonly publicKeyPem: string }
> {
  const { privateKey, publicKey } = await generateKeys();
  const spki = await crypto.subtle.exportKey("spki", publicKey);
  return {
    keyPem: await exportKey(privateKey),
    publicKeyPem: `${x509.PemConverter.encode(spki, "PUBLIC KEY")}\n`,
  };
}

async function generateKeys(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
}

async function exportKey(key: CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

/** An hour back: the clocks of two processes need not agree. */
function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 3600_000), notAfter: new Date(now + validityMs) };
}

function serialNumber(): string {
  return `01${crypto.randomUUID().replaceAll("-", "")}`;
}
