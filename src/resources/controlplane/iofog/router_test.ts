import { assert, assertEquals, assertRejects } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { makeCa, makeLeaf } from "../../pki.ts";
import { assess, desired } from "./desired.ts";
import {
  childName,
  contextOf,
  externalOf,
  generatedOf,
  NOW,
  objectOf,
  secretOf,
  serviceOf,
  snapshotOf,
  user,
} from "./fixtures.ts";

const HOST = "router.example.com";
const clusterIp = {
  user,
  services: { controller: { type: "ClusterIP" }, router: { type: "ClusterIP" } },
  ingresses: { router: { address: HOST } },
};
const YEARS_5_MS = 5 * 365 * 24 * 60 * 60 * 1000;

// Keys are slow to make, so the tests share them.
const ca = await makeCa("router-ca", NOW);
const leaf = await makeLeaf(ca, [HOST], NOW);
const authority = secretOf("router-ca", { ...ca });
const leaves = ["router-internal", "router-amqps"].map((name) => secretOf(name, { ...leaf }));

function childrenOf(spec: unknown, objects: readonly KubeObject[] = [], now = NOW) {
  return desired(contextOf(spec, snapshotOf(objects), now)).children;
}

function waitingOf(spec: unknown, objects: readonly KubeObject[] = [], now = NOW) {
  const assessment = assess(contextOf(spec, snapshotOf(objects), now));
  return assessment.accepted ? assessment.waiting : [];
}

/** Reasons to make a certificate again, by Secret; absent where none is desired. */
function reissues(
  spec: unknown,
  objects: readonly KubeObject[],
  now = NOW,
): Record<string, string | undefined> {
  return Object.fromEntries(
    childrenOf(spec, objects, now).flatMap((child) =>
      child.type === "generated" ? [[child.object.metadata.name, child.reissue]] : []
    ),
  );
}

const endpoints: readonly [
  what: string,
  spec: Record<string, unknown>,
  objects: KubeObject[],
  fields: unknown,
][] = [
  [
    "the host name of a load balancer before its IP address",
    {},
    [serviceOf("router", { hostname: "lb.example.com", ip: "192.0.2.1" })],
    { host: "lb.example.com", messagingPort: 5672, edgeRouterPort: 45672, interRouterPort: 55672 },
  ],
  [
    "the IP address of a load balancer, with its ports",
    {
      ingresses: { router: { address: "ignored.example.com", messagePort: 1, edgePort: 2, interiorPort: 3 } },
    },
    [serviceOf("router", { ip: "192.0.2.1" })],
    { host: "192.0.2.1", messagingPort: 5672, edgeRouterPort: 45672, interRouterPort: 55672 },
  ],
  [
    "the address of the spec for NodePort, with its ports",
    {
      services: { router: { type: "NodePort" } },
      ingresses: { router: { address: HOST, messagePort: 30001, edgePort: 30002, interiorPort: 30003 } },
    },
    [serviceOf("router", { ip: "192.0.2.1" })],
    { host: HOST, messagingPort: 30001, edgeRouterPort: 30002, interRouterPort: 30003 },
  ],
  [
    "the usual ports where the spec leaves them open",
    { services: { router: { type: "ClusterIP" } }, ingresses: { router: { address: HOST, messagePort: 0 } } },
    [],
    { host: HOST, messagingPort: 5672, edgeRouterPort: 45672, interRouterPort: 55672 },
  ],
];

for (const [what, spec, objects, fields] of endpoints) {
  Deno.test(`the default router is registered with ${what}`, () => {
    assertEquals(externalOf(childrenOf({ user, ...spec }, objects), "DefaultRouter").fields, fields);
  });
}

Deno.test("without a load balancer's address all but the certificates and the registration goes out", () => {
  for (const objects of [[], [serviceOf("router", {})], [authority, serviceOf("router", { ip: "" })]]) {
    const names = childrenOf({ user }, objects).map(childName);
    assert(names.includes("Deployment router") && names.includes("Deployment controller"));
    assert(names.includes("Secret router-ca") && names.includes("User admin@example.com"));
    assertEquals(names.filter((name) => /router-amqps|router-internal|DefaultRouter/.test(name)), []);
    assertEquals(waitingOf({ user }, objects).map(({ component, reason }) => [component, reason]), [
      ["controller", "AddressPending"],
      ["router", "AddressPending"],
    ]);
  }
});

Deno.test("a router that is no load balancer waits for spec.ingresses.router.address, and says so", () => {
  const spec = { user, services: { controller: { type: "ClusterIP" }, router: { type: "NodePort" } } };
  const [waiting, ...rest] = waitingOf(spec);
  assertEquals([waiting?.reason, rest], ["AddressMissing", []]);
  assert(waiting?.message.includes("spec.ingresses.router.address"));
});

Deno.test("certificates wait for their authority, then are made for the address, then are left alone", async () => {
  assertEquals(reissues(clusterIp, []), { "router-ca": undefined });
  const made = generatedOf(childrenOf(clusterIp, [authority]), "Secret router-amqps");
  assertEquals(reissues(clusterIp, [authority]), {
    "router-ca": undefined,
    "router-internal": undefined,
    "router-amqps": undefined,
  });
  const secret = { ...made.object, data: await made.generate() } as KubeObject;
  assertEquals(reissues(clusterIp, [authority, secret])["router-amqps"], undefined);
  assertEquals(Object.keys(await made.generate()), ["tls.crt", "tls.key", "ca.crt"]);
  assertEquals((made.object as { type?: string }).type, "kubernetes.io/tls");
});

Deno.test("certificates are made again when the address changes and before they end", () => {
  const objects = [authority, ...leaves];
  assertEquals(Object.values(reissues(clusterIp, objects)), [undefined, undefined, undefined]);
  const moved = { ...clusterIp, ingresses: { router: { address: "192.0.2.77" } } };
  assertEquals(
    reissues(moved, objects)["router-internal"],
    "its certificate is for router.example.com, not for 192.0.2.77",
  );
  const late = NOW + YEARS_5_MS - 29 * 24 * 60 * 60 * 1000;
  assertEquals(reissues(clusterIp, objects, late)["router-amqps"], "its certificate ends on 2030-12-31");
});

Deno.test("certificates stay while they cannot be judged, and are not made", async () => {
  const noAddress = { user };
  const broken = secretOf("router-ca", { ...ca, "tls.key": leaf["tls.key"] });
  for (const objects of [leaves, [broken, ...leaves]]) {
    assertEquals(Object.keys(reissues(clusterIp, objects)), ["router-ca", "router-internal", "router-amqps"]);
    assertEquals(Object.values(reissues(clusterIp, objects)), [undefined, undefined, undefined]);
  }
  assertEquals(Object.values(reissues(noAddress, [authority, ...leaves])), [undefined, undefined, undefined]);
  await assertRejects(() => generatedOf(childrenOf(clusterIp, leaves), "Secret router-amqps").generate());
});

Deno.test("an authority that cannot be used is never replaced, and the router says what to do", () => {
  const broken = [secretOf("router-ca", { "tls.crt": "x", "tls.key": "y" }), secretOf("router-ca", {})];
  for (const secret of broken) {
    assertEquals(reissues(clusterIp, [secret]), { "router-ca": undefined });
    const [waiting] = waitingOf(clusterIp, [secret]);
    assertEquals(waiting?.reason, "CertificateAuthorityUnusable");
    assert(waiting?.message.includes("delete it to have a new one made"));
  }
  const [ended] = waitingOf(clusterIp, [authority], NOW + YEARS_5_MS);
  assert(ended?.message.includes("ended on 2030-12-31"));
});

Deno.test("an authority that ends within 30 days is a warning", () => {
  const warnings = (now: number) => assess(contextOf(clusterIp, snapshotOf([authority]), now)).warnings;
  assertEquals(warnings(NOW), []);
  assertEquals(
    warnings(NOW + YEARS_5_MS - 1000).map(({ reason }) => reason),
    ["CertificateAuthorityEndsSoon"],
  );
});

Deno.test("the router's Deployment is the same whatever its address is", () => {
  assertEquals(
    objectOf(childrenOf({ user }), "Deployment router"),
    objectOf(childrenOf(clusterIp, [authority, ...leaves]), "Deployment router"),
  );
});
