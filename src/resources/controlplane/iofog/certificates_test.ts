import { assert, assertEquals } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { registerSecret } from "../../../../tests/secrets.ts";
import { type CertificateData, makeCa, makeLeaf } from "../../pki.ts";
import { assess, desired } from "./desired.ts";
import { contextOf, generatedOf, NOW, secretOf, serviceOf, snapshotOf, user } from "./fixtures.ts";
import { status } from "./status.ts";

const HOST = "router.example.com";
const DAY_MS = 24 * 60 * 60 * 1000;
const YEARS_5_MS = 5 * 365 * DAY_MS;

const known = async (made: Promise<CertificateData>) => {
  const data = await made;
  registerSecret(data["tls.key"] ?? "");
  return data;
};
// Keys are slow to make, so the tests share them.
const [own, given, other] = await Promise.all(
  ["router-ca", "given-ca", "given-ca"].map((name) => known(makeCa(name, NOW))),
);
if (own === undefined || given === undefined || other === undefined) throw new Error("not made");
const ofOwn = await known(makeLeaf(own, [HOST], NOW));
const ofGiven = await known(makeLeaf(given, [HOST], NOW));
const ofOther = await known(makeLeaf(other, [HOST], NOW));

const service = serviceOf("router", { hostname: HOST });
const ours = [
  secretOf("router-ca", { ...own }),
  ...["router-internal", "router-amqps"].map((name) => secretOf(name, { ...ofOwn })),
];
const tls = (name: string, data: CertificateData, type = "kubernetes.io/tls") =>
  ({ ...secretOf(name, { ...data }), type }) as KubeObject;
const { "ca.crt": _, ...withoutCa } = ofGiven;

const specOf = (certificates: Record<string, unknown>) => ({ user, certificates });
const caSpec = specOf({ caSecret: { name: "my-ca" } });
const leafSpec = specOf({ routerAmqpsSecret: { name: "my-leaf" } });
const bothSpec = specOf({ caSecret: { name: "my-ca" }, routerAmqpsSecret: { name: "my-leaf" } });

const nothingOpen = { pending: [], failures: [], lostFields: [], restrictions: [] };

function look(spec: unknown, objects: readonly KubeObject[], now = NOW) {
  const context = contextOf(spec, snapshotOf([service, ...objects]), now);
  const assessment = assess(context);
  const { children, problems } = desired(context);
  assertEquals(problems, []);
  const generated = children.filter((child) => child.type === "generated");
  return {
    children,
    reissues: Object.fromEntries(generated.map((child) => [child.object.metadata.name, child.reissue])),
    waiting: (assessment.accepted ? assessment.waiting : []).filter(({ component }) =>
      component === "router"
    ),
    warnings: assessment.warnings.map(({ message }) => message),
    conditions: status({ ...context, ...nothingOpen, desired: desired(context) }).conditions,
  };
}

async function madeOf(spec: unknown, objects: readonly KubeObject[], name: string) {
  const data = await generatedOf(look(spec, objects).children, `Secret ${name}`).generate();
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, atob(value)]));
}

Deno.test("an authority that the user gives signs new certificates, and ours is kept unused", async () => {
  const { reissues, waiting } = look(caSpec, [tls("my-ca", given), ...ours]);
  assertEquals(reissues, {
    "router-ca": undefined,
    "router-internal": "its certificate was not signed by the certificate authority that is there",
    "router-amqps": "its certificate was not signed by the certificate authority that is there",
  });
  assertEquals(waiting, []);
  assertEquals((await madeOf(caSpec, [tls("my-ca", given)], "router-amqps"))["ca.crt"], given["tls.crt"]);
  assertEquals(Object.keys(look(caSpec, [tls("my-ca", given)]).reissues), [
    "router-internal",
    "router-amqps",
  ]);
});

Deno.test("a renewed authority of the user's has the certificates made again", () => {
  const signed = ["router-internal", "router-amqps"].map((name) => secretOf(name, { ...ofGiven }));
  const objects = [...signed, ...ours.slice(0, 1)];
  assertEquals(Object.values(look(caSpec, [tls("my-ca", given), ...objects]).reissues), [
    undefined,
    undefined,
    undefined,
  ]);
  assert(look(caSpec, [tls("my-ca", other), ...objects]).reissues["router-amqps"]);
  assert(look({ user }, objects).reissues["router-amqps"], "going back");
});

Deno.test("a certificate that the user gives is copied, and again when it changes, whatever its names", async () => {
  const objects = [tls("my-leaf", ofGiven), ...ours];
  assertEquals(look(leafSpec, objects).reissues, {
    "router-ca": undefined,
    "router-internal": undefined,
    "router-amqps": "Secret my-leaf has another certificate",
  });
  assertEquals(await madeOf(leafSpec, objects, "router-amqps"), { ...ofGiven } as Record<string, string>);
  const copied = [secretOf("router-amqps", { ...ofGiven }), ...ours.slice(0, 2)];
  assertEquals(look(leafSpec, [tls("my-leaf", ofGiven), ...copied]).reissues["router-amqps"], undefined);
  assert(look(leafSpec, [tls("my-leaf", ofOther), ...copied]).reissues["router-amqps"]);
  assert(look({ user }, copied).reissues["router-amqps"], "going back");
});

Deno.test("a copied certificate has a ca.crt: its own, else the given authority's, else itself", async () => {
  const objects = [tls("my-ca", given), tls("my-leaf", withoutCa, "Opaque")];
  assertEquals((await madeOf(bothSpec, objects, "router-amqps"))["ca.crt"], given["tls.crt"]);
  assertEquals((await madeOf(leafSpec, objects, "router-amqps"))["ca.crt"], ofGiven["tls.crt"]);
});

Deno.test("a certificate that is copied needs no address of the router", () => {
  const context = contextOf(leafSpec, snapshotOf([tls("my-leaf", ofGiven)]));
  const names = desired(context).children.flatMap((child) =>
    child.type === "generated" ? [child.object.metadata.name] : []
  );
  assertEquals(names, ["router-ca", "router-amqps"]);
});

const garbage = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n";
const bad: readonly [
  what: string,
  spec: Record<string, unknown>,
  objects: readonly KubeObject[],
  reason: string,
  says: RegExp,
  now?: number,
][] = [
  [
    "an authority that is not there",
    caSpec,
    [],
    "SecretNotFound",
    /^spec\.certificates\.caSecret names Secret my-ca, which does not exist: create it/,
  ],
  [
    "an authority that is not PEM",
    caSpec,
    [tls("my-ca", { ...given, "tls.crt": garbage })],
    "CertificateAuthorityUnusable",
    /^spec\.certificates\.caSecret names Secret my-ca, .*tls\.crt is not a certificate in PEM form\. Put/,
  ],
  [
    "an authority without its key",
    caSpec,
    [tls("my-ca", { "tls.crt": given["tls.crt"] })],
    "SecretKeyMissing",
    /has no tls\.key/,
  ],
  [
    "an authority with the key of another",
    caSpec,
    [tls("my-ca", { ...given, "tls.key": other["tls.key"] })],
    "CertificateAuthorityUnusable",
    /tls\.key does not belong/,
  ],
  [
    "an authority that is none",
    caSpec,
    [tls("my-ca", ofGiven)],
    "CertificateAuthorityUnusable",
    /is not a certificate authority/,
  ],
  [
    "an authority of a wrong type",
    caSpec,
    [tls("my-ca", given, "kubernetes.io/dockerconfigjson")],
    "SecretTypeWrong",
    /of type kubernetes\.io\/dockerconfigjson: use one of type kubernetes\.io\/tls or Opaque/,
  ],
  [
    "an authority that ended",
    caSpec,
    [tls("my-ca", given)],
    "CertificateAuthorityUnusable",
    /ended on 2030-12-31/,
    NOW + YEARS_5_MS,
  ],
  [
    "a certificate that is not there",
    leafSpec,
    [],
    "SecretNotFound",
    /^spec\.certificates\.routerAmqpsSecret names Secret my-leaf/,
  ],
  [
    "a certificate without its key",
    leafSpec,
    [tls("my-leaf", { "tls.crt": ofGiven["tls.crt"] })],
    "SecretKeyMissing",
    /has no tls\.key: a certificate is needed with its key/,
  ],
  [
    "a certificate with the key of another",
    leafSpec,
    [tls("my-leaf", { ...ofGiven, "tls.key": ofOther["tls.key"] })],
    "CertificateUnusable",
    /tls\.key does not belong to its tls\.crt/,
  ],
  [
    "a certificate that ended",
    leafSpec,
    [tls("my-leaf", ofGiven)],
    "CertificateUnusable",
    /ended on 2030-12-31\. Put a certificate there/,
    NOW + YEARS_5_MS,
  ],
  [
    "a certificate that has not begun",
    leafSpec,
    [tls("my-leaf", ofGiven)],
    "CertificateUnusable",
    /only begins on 2026-01-01/,
    NOW - DAY_MS,
  ],
  [
    "a certificate of another authority than the given one",
    bothSpec,
    [tls("my-ca", given), tls("my-leaf", ofOther)],
    "CertificateUnusable",
    /not signed by the certificate authority that is given/,
  ],
  [
    "a certificate of another authority than its ca.crt",
    leafSpec,
    [tls("my-leaf", { ...ofGiven, "ca.crt": other["tls.crt"] })],
    "CertificateUnusable",
    /not signed/,
  ],
  [
    "a certificate whose ca.crt is not PEM",
    leafSpec,
    [tls("my-leaf", { ...ofGiven, "ca.crt": "x" })],
    "CertificateUnusable",
    /ca\.crt is not a certificate/,
  ],
];

for (const [what, spec, objects, reason, says, now] of bad) {
  Deno.test(`${what} is one condition with its field and remedy, and what is there is kept`, () => {
    const { conditions, reissues, waiting } = look(spec, [...objects, ...ours], now);
    // Our own are not old enough to be at their end: only what was given is looked at.
    assertEquals(reissues["router-amqps"], undefined);
    const mine = waiting.filter(({ message }) => message.startsWith("spec."));
    assertEquals(mine.map((each) => each.reason), [reason]);
    assert(says.test(mine[0]?.message ?? ""), mine[0]?.message);
    const of = (type: string) => conditions.find((condition) => condition.type === type);
    assertEquals(of("CertificatesUsable")?.status, "False");
    assertEquals([of("Stalled")?.status, of("Ready")?.status], ["True", "False"]);
    assert(of("Ready")?.message.includes(mine[0]?.message ?? "?"));
    assert(!JSON.stringify(conditions).includes("PRIVATE"));
  });
}

Deno.test("a given certificate for another name, and what ends soon, is a warning", () => {
  const spec = specOf({ caSecret: { name: "my-ca" }, routerInternalSecret: { name: "my-leaf" } });
  const objects = [tls("my-ca", given), tls("my-leaf", ofGiven), ...ours];
  assertEquals(look(spec, objects).warnings, []);
  assertEquals(look(spec, objects, NOW + YEARS_5_MS - 29 * DAY_MS).warnings, [
    "the certificate authority in Secret my-ca, named in spec.certificates.caSecret, ends on 2030-12-31: renew it",
    "the certificate in Secret my-leaf, named in spec.certificates.routerInternalSecret, ends on 2030-12-31: renew it",
  ]);
  const moved = snapshotOf([...objects, serviceOf("router", { ip: "192.0.2.9" })]);
  assertEquals(assess(contextOf(spec, moved)).warnings.map(({ message }) => message), [
    "the certificate in Secret my-leaf, named in spec.certificates.routerInternalSecret, is not for 192.0.2.9, where " +
    "agents reach the router: add that name to it",
  ]);
});
