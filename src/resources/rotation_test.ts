import { assert, assertEquals } from "@std/assert";
import { registerSecret } from "../../tests/secrets.ts";
import { type CertificateData, makeCa, makeLeaf, RENEWAL_MS, trustedIn } from "./pki.ts";
import { formerAuthorities, PROPAGATION_MS, type RotationStep, rotationStep } from "./rotation.ts";

const NOW = 1767225600000;
const END = NOW + 5 * 365 * 24 * 3_600_000;
const names = ["nats-0.nats-headless", "192.0.2.31"] as const;

async function known(made: Promise<CertificateData>): Promise<CertificateData> {
  const data = await made;
  registerSecret(data["tls.key"] ?? "");
  return data;
}

const [old, fresh] = await Promise.all([known(makeCa("site-ca", NOW)), known(makeCa("site-ca", NOW))]);
const ofOld = await known(makeLeaf(old, names, NOW));
const ofFresh = await known(makeLeaf(fresh, names, NOW));
const [oldPem, freshPem] = [old, fresh].map((ca) => ca["tls.crt"] ?? "") as [string, string];
const fingerprint = (pem: string) => trustedIn(pem)[0]?.fingerprint ?? "";
const both = freshPem + oldPem;

interface Case {
  readonly authority?: CertificateData;
  readonly distrusted?: readonly string[];
  readonly names?: readonly string[];
  readonly since?: number;
  readonly now?: number;
}

function step(live: CertificateData | undefined, of: Case = {}): RotationStep {
  const { authority = fresh, distrusted = [], now = NOW, since } = of;
  return rotationStep({ authority, names: of.names ?? names, distrusted }, live, since, now);
}

const kept: RotationStep = { type: "keep", preparing: false };

Deno.test("rotationStep() trusts both authorities, then changes the certificate, then forgets the old one when told", () => {
  const first = step(ofOld);
  assertEquals(first, {
    type: "trust",
    reason: "another certificate authority signs from now on",
    trusted: both,
  });
  const trusting = { ...ofOld, "ca.crt": both };
  assertEquals(step(trusting), { type: "keep", preparing: true });
  assertEquals(step(trusting, { since: NOW, now: NOW + PROPAGATION_MS - 1 }), {
    type: "keep",
    preparing: true,
  });
  assertEquals(step(trusting, { since: NOW, now: NOW + PROPAGATION_MS }), {
    type: "issue",
    reason: "another certificate authority signs",
    trusted: both,
  });
  const issued = { ...ofFresh, "ca.crt": both };
  assertEquals(step(issued), kept);
  assertEquals(formerAuthorities(issued, fresh).map((each) => each.fingerprint), [fingerprint(oldPem)]);
  const told = step(issued, { distrusted: [fingerprint(oldPem)] });
  assertEquals(told, {
    type: "trust",
    reason: "other certificate authorities are to be trusted",
    trusted: freshPem,
  });
  assertEquals(step(ofFresh, { distrusted: [fingerprint(oldPem)] }), kept);
  assertEquals(step(issued, { now: END + 1 }).type, "issue", "its own end comes first");
});

Deno.test("rotationStep() keeps trusting the old authority when names change in between, and cannot skip a step", () => {
  const issued = { ...ofFresh, "ca.crt": both };
  const renamed = step(issued, { names: ["nats-1.nats-headless"] });
  assert(renamed.type === "issue" && renamed.trusted === both);
  const told = step(ofOld, { distrusted: [fingerprint(oldPem)] });
  assert(told.type === "trust" && told.trusted === both, "who signs what is served stays trusted");
});

Deno.test("rotationStep() makes a certificate for other names, and one that ends soon, at once", () => {
  assertEquals(step(ofFresh), kept);
  assertEquals(step(undefined).type, "issue");
  assertEquals(step(ofFresh, { names: [...names, "nats-1.nats-headless"] }).type, "issue");
  assertEquals(step(ofFresh, { now: END - RENEWAL_MS - 1 }), kept);
  assertEquals(step(ofFresh, { now: END - RENEWAL_MS }).type, "issue");
});

Deno.test("rotationStep() replaces at once what serves nobody", () => {
  for (
    const broken of [
      { ...ofOld, "tls.key": ofFresh["tls.key"] },
      { ...ofOld, "ca.crt": freshPem },
      { ...ofOld, "ca.crt": undefined },
      { ...ofOld, "tls.crt": "none" },
    ]
  ) assertEquals(step(broken).type, "issue");
});

Deno.test("rotationStep() takes no notice of how ca.crt is written", () => {
  assertEquals(step({ ...ofFresh, "ca.crt": `\n# ours\n${freshPem.replaceAll("\n", "\r\n")}` }), kept);
});
