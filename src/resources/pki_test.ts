import "reflect-metadata";
import { Buffer } from "node:buffer";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { assert, assertEquals, assertRejects } from "@std/assert";
import * as x509 from "@peculiar/x509";
import {
  type CertificateData,
  examineCa,
  examineLeaf,
  inspectCertificate,
  makeCa,
  makeLeaf,
  RENEWAL_MS,
  type Verdict,
} from "./pki.ts";
import { isIpAddress } from "./ip_address.ts";

const NOW = 1767225600000;
const DAY_MS = 24 * 60 * 60 * 1000;
const END = NOW + 5 * 365 * DAY_MS;
const HOST = "router.example.com";

// Keys are slow to make, so the tests share them.
const ca = await makeCa("router-ca", NOW);
const leaf = await makeLeaf(ca, [HOST], NOW);
const otherCa = await makeCa("router-ca", NOW);

function reasonOf(verdict: Verdict): string {
  return verdict.usable ? "usable" : verdict.reason;
}

Deno.test("makeCa() makes an authority that is usable until its last day", () => {
  assertEquals(examineCa(ca, NOW), { usable: true });
  assertEquals(examineCa(ca, END - 1000), { usable: true });
  assertEquals(reasonOf(examineCa(ca, END)), "its certificate ended on 2030-12-31");
  assertEquals(Object.keys(ca), ["tls.crt", "tls.key"]);
  assertEquals(inspectCertificate(ca["tls.crt"] ?? ""), { names: [], notBefore: NOW, notAfter: END });
});

Deno.test("makeLeaf() makes a certificate that serves until 30 days before its end", () => {
  assertEquals(examineLeaf(leaf, ca, [HOST], NOW), { usable: true });
  assertEquals(examineLeaf(leaf, ca, [HOST], END - RENEWAL_MS - 1), { usable: true });
  assertEquals(
    reasonOf(examineLeaf(leaf, ca, [HOST], END - RENEWAL_MS)),
    "its certificate ends on 2030-12-31",
  );
});

Deno.test("makeLeaf() writes IP addresses and host names as what they are, in any spelling", async () => {
  const made = await makeLeaf(ca, ["192.0.2.20", "2001:DB8:0::1", "a.example.com", "*.b.example.com"], NOW);
  const certificate = new x509.X509Certificate(made["tls.crt"] ?? "");
  assertEquals(certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON(), [
    { type: "ip", value: "192.0.2.20" },
    { type: "ip", value: "2001:db8::1" },
    { type: "dns", value: "a.example.com" },
    { type: "dns", value: "*.b.example.com" },
  ]);
  assertEquals(certificate.subject, "CN=192.0.2.20");
  const names = ["*.b.example.com", "2001:db8::1", "a.example.com", "192.0.2.20"];
  assertEquals(examineLeaf(made, ca, names, NOW), { usable: true });
});

Deno.test("makeLeaf() takes a common name of more than 64 characters, as load balancers have them", async () => {
  const name = `${"a".repeat(60)}.elb.eu-central-1.amazonaws.com`;
  assertEquals(examineLeaf(await makeLeaf(ca, [name], NOW), ca, [name], NOW), { usable: true });
});

Deno.test("makeLeaf() repeats the name of a foreign authority byte by byte, and reads a PKCS#8 key", async () => {
  const keys = await crypto.subtle.generateKey(
    {
      name: "RSASSA-PKCS1-v1_5",
      hash: "SHA-256",
      publicExponent: new Uint8Array([1, 0, 1]),
      modulusLength: 2048,
    },
    true,
    ["sign", "verify"],
  );
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: new x509.Name([{ O: [{ utf8String: "Plant 7" }] }, { CN: [{ utf8String: "router-ca" }] }]),
    keys,
    notBefore: new Date(NOW),
    notAfter: new Date(END),
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  const foreign = {
    "tls.crt": authority.toString("pem"),
    "tls.key": x509.PemConverter.encode(
      await crypto.subtle.exportKey("pkcs8", keys.privateKey),
      "PRIVATE KEY",
    ),
  };
  assertEquals(examineCa(foreign, NOW), { usable: true });
  const made = await makeLeaf(foreign, [HOST], NOW);
  assertEquals(examineLeaf(made, foreign, [HOST], NOW), { usable: true });
  const issuer = new x509.X509Certificate(made["tls.crt"] ?? "").issuerName.toArrayBuffer();
  assertEquals(Buffer.from(issuer), Buffer.from(authority.subjectName.toArrayBuffer()));
});

Deno.test("makeLeaf() rejects what is no authority", async () => {
  await assertRejects(() => makeLeaf({}, [HOST], NOW));
  await assertRejects(() => makeLeaf({ ...ca, "tls.key": "broken" }, [HOST], NOW));
});

const elliptic = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
  type: "pkcs8",
  format: "pem",
});

const brokenPairs: readonly [what: string, data: CertificateData, reason: string][] = [
  ["nothing", {}, "it has no tls.crt"],
  ["an empty certificate", { "tls.crt": "", "tls.key": "x" }, "it has no tls.crt"],
  ["no key", { "tls.crt": leaf["tls.crt"] }, "it has no tls.key"],
  ["a certificate that is none", { ...leaf, "tls.crt": "x" }, "its tls.crt is not a certificate in PEM form"],
  [
    "a certificate that was cut",
    { ...leaf, "tls.crt": leaf["tls.crt"]?.slice(0, 400) },
    "its tls.crt is not a certificate in PEM form",
  ],
  ["a key that is none", { ...leaf, "tls.key": "x" }, "its tls.key is not a private key in PEM form"],
  ["the key of another", { ...leaf, "tls.key": ca["tls.key"] }, "its tls.key does not belong to its tls.crt"],
  [
    "a key of another type",
    { ...leaf, "tls.key": String(elliptic) },
    "its tls.key does not belong to its tls.crt",
  ],
];

for (const [what, data, reason] of brokenPairs) {
  Deno.test(`examineLeaf() and examineCa() refuse ${what}`, () => {
    assertEquals(reasonOf(examineLeaf(data, ca, [HOST], NOW)), reason);
    assertEquals(reasonOf(examineCa(data, NOW)), reason);
  });
}

const unfitLeaves: readonly [
  what: string,
  data: CertificateData,
  authority: CertificateData,
  names: string[],
  reason: string,
][] = [
  [
    "a certificate of another authority with the same name",
    leaf,
    otherCa,
    [HOST],
    "its certificate was not signed by the certificate authority that is there",
  ],
  [
    "another ca.crt",
    { ...leaf, "ca.crt": otherCa["tls.crt"] },
    ca,
    [HOST],
    "ca.crt is not the certificate authority that is there",
  ],
  [
    "no ca.crt",
    { ...leaf, "ca.crt": undefined },
    ca,
    [HOST],
    "ca.crt is not the certificate authority that is there",
  ],
  ["another name", leaf, ca, ["192.0.2.1"], "its certificate is for router.example.com, not for 192.0.2.1"],
  [
    "a name too few",
    leaf,
    ca,
    [HOST, "b.example.com"],
    "its certificate is for router.example.com, not for b.example.com, router.example.com",
  ],
  [
    "a certificate without names",
    { ...ca, "ca.crt": ca["tls.crt"] },
    ca,
    [HOST],
    "its certificate is for no name, not for router.example.com",
  ],
];

for (const [what, data, authority, names, reason] of unfitLeaves) {
  Deno.test(`examineLeaf() refuses ${what}`, () => {
    assertEquals(reasonOf(examineLeaf(data, authority, names, NOW)), reason);
    assertEquals(reasonOf(examineLeaf(data, authority, names, NOW)), reason);
  });
}

Deno.test("examineCa() refuses a server certificate and a key that is not RSA", async () => {
  assertEquals(reasonOf(examineCa(leaf, NOW)), "its certificate is not a certificate authority");
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=router-ca",
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    notBefore: new Date(NOW),
    notAfter: new Date(END),
    extensions: [new x509.BasicConstraintsExtension(true)],
  });
  const key = createPrivateKey({
    key: Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)),
    format: "der",
    type: "pkcs8",
  });
  const data = {
    "tls.crt": certificate.toString("pem"),
    "tls.key": key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
  assertEquals(reasonOf(examineCa(data, NOW)), "its key is of type ec, where RSA is needed");
});

Deno.test("reasons hold nothing of a key", () => {
  const reasons = brokenPairs.map(([, data]) => reasonOf(examineLeaf(data, ca, [HOST], NOW))).join("\n");
  assert(!reasons.includes("PRIVATE"));
});

Deno.test("isIpAddress() knows IPv4 and IPv6, and nothing else", () => {
  const names = [
    "192.0.2.1",
    "::",
    "::1",
    "2001:db8::1",
    "::ffff:192.0.2.1",
    "256.1.1.1",
    "1.2.3",
    "a",
    "a:1",
    "",
    ":::",
  ];
  assertEquals(names.filter(isIpAddress), names.slice(0, 5));
});
