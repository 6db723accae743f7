import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import type { GeneratedChild } from "../../../operator/definition.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { registerSecret } from "../../../../tests/secrets.ts";
import { type CertificateData, inspectCertificate, isSignedWith, makeCa, trustedIn } from "../../pki.ts";
import { PROPAGATION_MS } from "../../rotation.ts";
import { NOW, secretOf, snapshotOf } from "../iofog/fixtures.ts";
import {
  certificateSecrets,
  certificatesWaiting,
  certificateWarnings,
  DISTRUST_ANNOTATION,
  issuedAuthorities,
  keptAuthorities,
  TRUSTED_SINCE_ANNOTATION,
} from "./certificates.ts";

type Given = Parameters<typeof certificateSecrets>[0]["spec"]["certificates"];
const names = ["nats-0.nats-headless", "192.0.2.31"];

function inputs(objects: readonly KubeObject[], certificates: Given = {}, now = NOW) {
  const spec = { certificates, deletionPolicy: "Delete" as const };
  return { name: "pot", namespace: "pot", uid: "parent-uid", snapshot: snapshotOf(objects), now, spec };
}

/** The Secrets as an API server would have them after what `certificateSecrets` asks for. */
async function pass(
  objects: readonly KubeObject[],
  certificates: Given = {},
  { now = NOW, served = names }: { now?: number; served?: readonly string[] } = {},
): Promise<{ readonly objects: readonly KubeObject[]; readonly written: readonly string[] }> {
  const known = new Map(objects.map((object) => [object.metadata?.name ?? "", object]));
  const written: string[] = [];
  for (const child of certificateSecrets(inputs(objects, certificates, now), "nats", served)) {
    const { name } = child.object.metadata;
    const live = known.get(name);
    if (live === undefined || child.reissue !== undefined) {
      written.push(name);
      known.set(name, { ...child.object, ...live, data: await generated(child) } as KubeObject);
    } else {
      known.set(name, { ...live, metadata: { ...live.metadata, ...child.object.metadata } });
    }
  }
  return { objects: [...known.values()], written };
}

async function generated(child: GeneratedChild): Promise<Readonly<Record<string, string>>> {
  const data = await child.generate();
  registerSecret(atob(data["tls.key"] ?? ""));
  return data;
}

function valuesOf(objects: readonly KubeObject[], name: string): CertificateData {
  const found = objects.find(({ metadata }) => metadata?.name === name) as { data?: Record<string, string> };
  return Object.fromEntries(Object.entries(found?.data ?? {}).map(([key, value]) => [key, atob(value)]));
}

function annotated(objects: readonly KubeObject[], name: string, annotations: Record<string, string>) {
  return objects.map((object) =>
    object.metadata?.name === name
      ? {
        ...object,
        metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, ...annotations } },
      }
      : object
  );
}

const start = await pass((await pass([])).objects);
const own = valuesOf(start.objects, "nats-site-ca");
const given = await makeCa("company-ca", NOW);
registerSecret(given["tls.key"] ?? "");
const mine = secretOf("my-ca", { ...given }) as KubeObject & { type?: string };
mine.type = "kubernetes.io/tls";
const spec: Given = { natsSiteCaSecret: { name: "my-ca" } };

Deno.test("certificateSecrets() makes authorities first, each for its own name, then what they sign", async () => {
  assertEquals((await pass([])).written, ["nats-site-ca", "default-nats-local-ca"]);
  assertEquals(start.written, ["nats-site-server", "nats-mqtt-server"]);
  assertEquals(inspectCertificate(own["tls.crt"] ?? "")?.names, ["nats-site-ca"]);
  assertEquals(own["ca.crt"], own["tls.crt"]);
  const leaf = valuesOf(start.objects, "nats-site-server");
  assert(isSignedWith(leaf["tls.crt"] ?? "", own["tls.crt"] ?? ""));
  assertEquals(leaf["ca.crt"], own["tls.crt"]);
  assertEquals((await pass(start.objects)).written, [], "nothing is left to do");
});

Deno.test("authorities stay where the Controller's database does, and what they sign is made again", () => {
  const given = inputs([]);
  const kept = (deletionPolicy: "Delete" | "Retain") =>
    certificateSecrets({ ...given, spec: { ...given.spec, deletionPolicy } }, "nats", names)
      .filter(({ retained }) => retained).map(({ object }) => object.metadata.name);
  assertEquals(kept("Delete"), []);
  assertEquals(kept("Retain"), ["nats-site-ca", "default-nats-local-ca"]);
});

Deno.test("certificateSecrets() makes new certificates for other names, with the same authority", async () => {
  const { objects, written } = await pass(start.objects, {}, { served: [...names, "nats-1.nats-headless"] });
  assertEquals(written, ["nats-site-server", "nats-mqtt-server"]);
  assertEquals(valuesOf(objects, "nats-site-ca"), own);
});

Deno.test("an authority of the user's takes over in steps, and the old one goes when the user says so", async () => {
  const copied = await pass([...start.objects, mine], spec);
  assertEquals(copied.written, ["nats-site-ca"]);
  assertEquals(valuesOf(copied.objects, "nats-site-ca")["tls.crt"], given["tls.crt"]);
  const trusting = await pass(copied.objects, spec);
  assertEquals(trusting.written, ["nats-site-server"]);
  const leaf = valuesOf(trusting.objects, "nats-site-server");
  assertEquals(leaf["tls.crt"], valuesOf(start.objects, "nats-site-server")["tls.crt"]);
  assertEquals(trustedIn(leaf["ca.crt"]).length, 2);
  const marked = await pass(trusting.objects, spec);
  assertEquals(marked.written, []);
  const since = marked.objects.find(({ metadata }) => metadata?.name === "nats-site-server");
  assertEquals(since?.metadata?.annotations?.[TRUSTED_SINCE_ANNOTATION], new Date(NOW).toISOString());
  assertEquals((await pass(marked.objects, spec, { now: NOW + PROPAGATION_MS - 1 })).written, []);
  const issued = await pass(marked.objects, spec, { now: NOW + PROPAGATION_MS });
  assertEquals(issued.written, ["nats-site-server"]);
  assert(isSignedWith(valuesOf(issued.objects, "nats-site-server")["tls.crt"] ?? "", given["tls.crt"] ?? ""));
  assertEquals(trustedIn(valuesOf(issued.objects, "nats-site-server")["ca.crt"]).length, 2);
  const [warning] = certificateWarnings(inputs(issued.objects, spec), "nats");
  const [, command, fingerprint = ""] =
    /(iofog\.org\/distrust)=([0-9a-f]{64})$/.exec(warning?.message ?? "") ?? [];
  assertEquals(command, DISTRUST_ANNOTATION);
  const told = await pass(
    annotated(issued.objects, "nats-site-ca", { [DISTRUST_ANNOTATION]: fingerprint }),
    spec,
  );
  assertEquals(told.written, ["nats-site-server"]);
  assertEquals(valuesOf(told.objects, "nats-site-server")["ca.crt"], given["tls.crt"]);
  assertEquals(certificateWarnings(inputs(told.objects, spec), "nats"), []);
});

Deno.test("an authority that somebody deleted is made anew, and the one that signed is trusted meanwhile", async () => {
  const without = start.objects.filter(({ metadata }) => metadata?.name !== "nats-site-ca");
  const made = await pass(without);
  assertEquals(made.written, ["nats-site-ca"]);
  const trusting = await pass(made.objects);
  assertEquals(trusting.written, ["nats-site-server"]);
  assertEquals(trustedIn(valuesOf(trusting.objects, "nats-site-server")["ca.crt"]).length, 2);
});

Deno.test("the spec naming no authority any more leaves the copy where it is", async () => {
  const copied = await pass([...start.objects, mine], spec);
  assertEquals((await pass(copied.objects, {})).written, ["nats-site-server"]);
  assertEquals(
    valuesOf((await pass(copied.objects, {})).objects, "nats-site-ca")["tls.crt"],
    given["tls.crt"],
  );
});

Deno.test("an authority that cannot be used is one condition, and everything stays as it is", async () => {
  const other = valuesOf(start.objects, "default-nats-local-ca");
  for (
    const [values, says] of [
      [
        { ...given, "tls.crt": "none" },
        /^spec\.certificates\.natsSiteCaSecret names Secret my-ca, .* not a certificate/,
      ],
      [{ ...given, "tls.key": other["tls.key"] }, /tls\.key does not belong to its tls\.crt\. Put/],
      [valuesOf(start.objects, "nats-site-server"), /is not a certificate authority/],
      [{ "tls.crt": given["tls.crt"] }, /has no tls\.key/],
    ] as const
  ) {
    const bad = { ...secretOf("my-ca", { ...values }), type: "Opaque" } as KubeObject;
    assertEquals((await pass([...start.objects, bad], spec)).written, []);
    const waiting = certificatesWaiting(inputs([...start.objects, bad], spec), "nats");
    assertEquals(waiting.length, 1);
    assertMatch(waiting[0]?.message ?? "", says);
  }
  const broken = start.objects.map((object) =>
    object.metadata?.name === "nats-site-ca"
      ? secretOf("nats-site-ca", { "tls.crt": "x", "tls.key": "y" })
      : object
  );
  assertEquals((await pass(broken)).written, []);
  assertMatch(
    certificatesWaiting(inputs(broken), "nats")[0]?.message ?? "",
    /^Secret nats-site-ca cannot be used/,
  );
});

Deno.test("what has to wait for names is kept until then, and authorities stay where nothing needs them", () => {
  const named = (children: readonly GeneratedChild[]) => children.map(({ object }) => object.metadata.name);
  assertEquals(named(certificateSecrets(inputs([]), "router", undefined)), [
    "router-site-ca",
    "default-router-local-ca",
  ]);
  assertEquals(named(certificateSecrets(inputs(start.objects), "nats", undefined)).length, 4);
  assertEquals(named(keptAuthorities(inputs(start.objects), "nats")), [
    "nats-site-ca",
    "default-nats-local-ca",
  ]);
  assertEquals(keptAuthorities(inputs([]), "nats"), []);
});

Deno.test("certificateSecrets() carries the authority of releases before 3.7 over under its new name, once", async () => {
  const former = await makeCa("pot-site-ca", NOW);
  registerSecret(former["tls.key"] ?? "");
  const old = secretOf("pot-site-ca", { ...former, "ca.crt": former["tls.crt"] ?? "" });
  const site = (objects: readonly KubeObject[]) =>
    certificateSecrets(inputs(objects), "router", names)
      .find(({ object }) => object.metadata.name === "router-site-ca")!;
  const certificateOf = async (objects: readonly KubeObject[]) =>
    atob((await generated(site(objects)))["tls.crt"] ?? "");
  assertEquals(await certificateOf([old]), former["tls.crt"]);
  // Where what it holds could not be read, nothing is made in its place.
  const unread = { ...old, data: undefined } as KubeObject;
  await assertRejects(() => site([unread]).generate(), Error, "cannot be made before");
  // What cannot sign is of no use, and one that is deleted later is followed by a new one.
  const broken = secretOf("pot-site-ca", { "tls.crt": "", "tls.key": "" });
  assertNotEquals(await certificateOf([broken]), former["tls.crt"]);
  const leaf = secretOf("router-site-server", { "tls.crt": "" });
  assertNotEquals(await certificateOf([old, leaf]), former["tls.crt"]);
  const others = certificateSecrets(inputs([old]), "router", names).map(({ object }) => object.metadata.name);
  assertEquals(others, ["router-site-ca", "default-router-local-ca"]);
});

const issuerRef = { name: "site", kind: "ClusterIssuer", group: "cert-manager.io" };

Deno.test("issuedAuthorities() asks cert-manager for each authority that no Secret is named for", () => {
  const given = inputs([], { issuerRef, natsLocalCaSecret: { name: "mine" } });
  assertEquals(
    issuedAuthorities(given, "nats").map((child) =>
      child.type === "applied" ? [child.object.kind, child.object.metadata.name, child.object] : []
    ).map(([kind, name, object]) => [kind, name, (object as unknown as { spec: unknown }).spec]),
    [["Certificate", "nats-site-ca", {
      secretName: "nats-site-ca-issued",
      isCA: true,
      commonName: "nats-site-ca",
      duration: "43800h0m0s",
      privateKey: { algorithm: "RSA", size: 2048, rotationPolicy: "Never" },
      issuerRef,
    }]],
  );
  assertEquals(issuedAuthorities(inputs([]), "nats"), []);
});

Deno.test("certificatesWaiting() says why cert-manager has made no authority yet, and what to do", async () => {
  const without = inputs([], { issuerRef });
  const absent = { ...without.snapshot, kind: () => ({ phase: "absent" as const }) };
  const missing = { ...without, snapshot: absent };
  assertEquals(issuedAuthorities(missing, "router"), []);
  const [waiting] = certificatesWaiting(missing, "router");
  assertEquals(waiting?.reason, "CertManagerMissing");
  assertMatch(
    waiting?.message ?? "",
    /^spec\.certificates\.issuerRef\.name needs cert-manager, which is not installed here/,
  );

  const conditions = [{ type: "Ready", status: "False", message: "issuer site not found" }];
  const asked = {
    apiVersion: "cert-manager.io/v1",
    kind: "Certificate",
    metadata: { name: "router-site-ca", namespace: "pot" },
    status: { conditions },
  } as KubeObject;
  const [site] = certificatesWaiting(inputs([asked], { issuerRef }), "router");
  assertEquals(site?.reason, "CertificatePending");
  assertMatch(site?.message ?? "", /issuer site not found\. Correct the issuer's name and kind/);
  assertEquals((await pass([], { issuerRef })).written, []);

  // Its authority is used as soon as it is there, and one that is of no use is told.
  const made = await makeCa("site", NOW);
  registerSecret(made["tls.key"] ?? "");
  const issued = { ...secretOf("nats-site-ca-issued", { ...made }), type: "kubernetes.io/tls" } as KubeObject;
  const first = await pass([issued], { issuerRef });
  assertEquals(first.written, ["nats-site-ca"]);
  const { objects, written } = await pass(first.objects, { issuerRef });
  assertEquals(written, ["nats-site-server"]);
  assert(isSignedWith(valuesOf(objects, "nats-site-server")["tls.crt"] ?? "", made["tls.crt"] ?? ""));
  const useless = {
    ...secretOf("router-site-ca-issued", { ...made, "tls.key": "" }),
    type: "kubernetes.io/tls",
  } as KubeObject;
  const told = certificatesWaiting(inputs([useless], { issuerRef }), "router")[0];
  assertEquals(told?.reason, "SecretKeyMissing");
});
