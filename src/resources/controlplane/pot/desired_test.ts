/** What a PoT spec may say, what is refused, and by which field; and what older releases left in it. */

import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { makeCa, makeLeaf } from "../../pki.ts";
import { NOW, objectOf, secretOf, serviceOf, snapshotOf } from "../iofog/fixtures.ts";
import { assess, desired } from "./desired.ts";
import { facts } from "./external.ts";
import { auth, contextOf, parentOf } from "./fixtures.ts";
import { authVersion } from "./references.ts";
import { inTermsOfSpec } from "./refusals.ts";

function problemsOf(
  spec: object,
  objects: readonly KubeObject[] = [],
): readonly (readonly [string, string])[] {
  const { children, problems } = desired(contextOf({ auth, ...spec }, snapshotOf(objects)));
  // Nothing is changed meanwhile.
  if (problems.length > 0) assertEquals(children, []);
  return problems.map(({ field = "", message }) => [field, message] as const);
}

Deno.test("each field of spec.auth is needed", () => {
  for (const field of Object.keys(auth)) {
    const found = problemsOf({ auth: { ...auth, [field]: "" } });
    assertEquals(found.map(([path]) => path), [`spec.auth.${field}`]);
    assertMatch(found[0]?.[1] ?? "", /required/);
  }
});

const external = {
  provider: "postgres",
  host: "h",
  port: 1,
  user: "u",
  password: "p",
  databaseName: "d",
};

const refused: readonly (readonly [what: string, spec: object, field: string, message: RegExp])[] = [
  ["one NATS server", { replicas: { nats: 1 } }, "spec.replicas.nats", /at least 2/],
  ["a billion NATS servers", { replicas: { nats: 1e9 } }, "spec.replicas.nats", /at most 100/],
  [
    "two Controllers on sqlite",
    { replicas: { controller: 2 } },
    "spec.replicas.controller",
    /external database/,
  ],
  [
    "a Controller inside of the cluster without an Ingress",
    { services: { controller: { type: "ClusterIP" } } },
    "spec.ingresses.controller.host",
    /required .* ClusterIP/,
  ],
  [
    "a router without an address",
    { services: { router: { type: "clusterip" } } },
    "spec.ingresses.router.address",
    /required .* ClusterIP/,
  ],
  ["an unknown vault", { vault: { provider: "safe" } }, "spec.vault.provider", /one of hashicorp/],
  [
    "a vault without its block",
    { vault: { provider: "openbao" } },
    "spec.vault.hashicorp",
    /provider openbao/,
  ],
  [
    "a vault block without a provider",
    { vault: { aws: { region: "x" } } },
    "spec.vault.provider",
    /spec\.vault\.aws/,
  ],
  [
    "a vault with another's block",
    { vault: { provider: "aws", aws: { region: "x" }, azure: { url: "y" } } },
    "spec.vault.azure",
    /another provider than aws/,
  ],
  [
    "an authority of the database that is no PEM",
    {
      database: { ...external, ca: "bm8=" },
    },
    "spec.database.ca",
    /PEM/,
  ],
  [
    "an authority of the database that only looks like PEM",
    { database: { ...external, ca: btoa("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n") } },
    "spec.database.ca",
    /PEM/,
  ],
  [
    "a database that no Controller knows",
    { database: { ...external, provider: "postgresql" } },
    "spec.database.provider",
    /must be one of sqlite, mysql, postgres/,
  ],
  ["half a database", { database: { provider: "mysql", host: "db" } }, "spec.database", /lacks port, user/],
  [
    "HTTPS without a certificate",
    { controller: { https: true } },
    "spec.controller.secretName",
    /required with https/,
  ],
  ["a Keycloak that is no URL", { auth: { ...auth, url: "keycloak" } }, "spec.auth.url", /must be a URL/],
  [
    "a Keycloak with credentials in its URL",
    { auth: { ...auth, url: "https://somebody:secret@keycloak.example.com/" } },
    "spec.auth.url",
    /without credentials/,
  ],
  [
    "a certificate that is not there",
    { controller: { https: true, secretName: "tls" } },
    "spec.controller.secretName",
    /does not exist/,
  ],
];

for (const [what, spec, field, message] of refused) {
  Deno.test(`desired() refuses ${what}, and changes nothing`, () => {
    const found = problemsOf(spec);
    assertEquals(found.map(([path]) => path), [field]);
    assertMatch(found[0]?.[1] ?? "", message);
  });
}

Deno.test("desired() refuses a certificate of the Controller whose key is another's", async () => {
  const ca = await makeCa("ca", NOW);
  const [one, other] = await Promise.all([
    makeLeaf(ca, ["controller"], NOW),
    makeLeaf(ca, ["controller"], NOW),
  ]);
  const tls = (key: string | undefined) =>
    ({
      ...secretOf("tls", { "tls.crt": one["tls.crt"], "tls.key": key }),
      type: "kubernetes.io/tls",
    }) as KubeObject;
  const spec = { controller: { https: true, secretName: "tls" } };
  assertEquals(problemsOf(spec, [tls(other["tls.key"])]).map(([field]) => field), [
    "spec.controller.secretName",
  ]);
  assertEquals(problemsOf(spec, [tls(one["tls.key"])]), []);
});

Deno.test("desired() refuses an authority of Keycloak that is no PEM, until the Secret holds one", async () => {
  const secret = (ca: string, type: string) => ({ ...secretOf("keycloak", { ca }), type }) as KubeObject;
  const spec = { auth: { ...auth, caSecretRef: { name: "keycloak", key: "ca" } } };
  const { "tls.crt": pem = "" } = await makeCa("keycloak", NOW);
  for (const none of ["no PEM", `${pem}-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n`]) {
    const [problem] = problemsOf(spec, [secret(none, "Opaque")]);
    assertEquals(problem?.[0], "spec.auth.caSecretRef");
    assertMatch(
      problem?.[1] ?? "",
      /key ca of Secret keycloak, whose value is no certificate in PEM form: store/,
    );
  }
  // As cert-manager keeps it.
  for (const type of ["Opaque", "kubernetes.io/tls"]) assertEquals(problemsOf(spec, [secret(pem, type)]), []);
  assertMatch(
    problemsOf(spec, [secret(pem, "kubernetes.io/basic-auth")])[0]?.[1] ?? "",
    /type Opaque or kubernetes\.io\/tls/,
  );
});

Deno.test("desired() refuses an Ingress host that another Ingress of the namespace serves", () => {
  const ingress = (name: string, path: string) =>
    ({
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name, namespace: "pot" },
      spec: { rules: [{ host: "pot.example.com", http: { paths: [{ path, pathType: "Prefix" }] } }] },
    }) as unknown as KubeObject;
  const spec = {
    services: { controller: { type: "ClusterIP" } },
    ingresses: { controller: { host: "pot.example.com" } },
  };
  const [problem] = problemsOf(spec, [ingress("shop", "/")]);
  assertEquals(problem?.[0], "spec.ingresses.controller.host");
  assertMatch(problem?.[1] ?? "", /Ingress shop/);
  assertEquals(problemsOf(spec, [ingress("shop", "/shop"), ingress("pot-controller", "/")]), []);
});

Deno.test("the Controller stays reachable as it was until its Ingress serves the host, and nobody is told of one that does not", () => {
  const host = "pot.example.com";
  const service = (type: string) =>
    ({
      ...serviceOf("controller", { ip: "192.0.2.1" }),
      spec: { type, loadBalancerIP: "192.0.2.1", externalTrafficPolicy: "Local" },
    }) as KubeObject;
  const ingress = (host: string) =>
    ({
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name: "pot-controller", namespace: "pot" },
      spec: { rules: [{ host }] },
    }) as KubeObject;
  const spec = {
    auth,
    services: { controller: { type: "ClusterIP" } },
    ingresses: { controller: { host, secretName: "tls" } },
  };
  const now = (...objects: KubeObject[]) => {
    const { children } = desired(contextOf(spec, snapshotOf(objects)));
    const { loadBalancerIP, type } = objectOf(children, "Service controller").spec;
    const viewer = children.find((child) => child.type === "external" && child.kind === "ViewerClient");
    return [type, loadBalancerIP, viewer?.type === "external" ? viewer.fields["rootUrl"] : undefined];
  };
  // At first there is nothing to keep.
  assertEquals(now(), ["ClusterIP", undefined, undefined]);
  assertEquals(now(service("LoadBalancer")), ["LoadBalancer", "192.0.2.1", "http://192.0.2.1"]);
  assertEquals(now(service("NodePort"))[0], "NodePort");
  const done = ["ClusterIP", undefined, `https://${host}`];
  assertEquals(now(service("LoadBalancer"), ingress(host)), done);
  assertEquals(now(service("ClusterIP"), ingress(host)), done);
  // Another host, which the API server does not take.
  assertEquals(now(service("ClusterIP"), ingress("before.example.com"))[2], "https://before.example.com");
});

Deno.test("inTermsOfSpec() tells what to do about a host that is served elsewhere", () => {
  const told = (message: string) =>
    inTermsOfSpec({ object: "Ingress pot-controller", reason: "Rejected", message }).message;
  assertMatch(
    told('denied the request: host "a.example" and path "/" is already defined in ingress other/shop'),
    /other\/shop: choose another host in spec\.ingresses\.controller\.host, or remove it there$/,
  );
  assertMatch(told("denied: no such class"), /; see spec\.ingresses\.controller$/);
  assertMatch(
    told("spec.rules[0].host: Invalid value"),
    /^spec\.ingresses\.controller\.host: Invalid value$/,
  );
});

Deno.test("assess() understands the empty blocks that the Go operator wrote, and fields of older releases", () => {
  const spec = {
    auth,
    database: { provider: "", host: "", port: 0, user: "", password: "", databaseName: "", ssl: null },
    events: {},
    images: { portManager: "old", proxy: "old" },
    ingresses: {
      controller: {},
      router: { address: "", messagePort: 0 },
      nats: {},
      httpProxy: { address: "a" },
    },
    services: { controller: {}, router: {}, nats: {}, natsServer: {}, proxy: { type: "LoadBalancer" } },
    replicas: { controller: 0, nats: 0 },
    router: { internalSecret: "x" },
    proxy: { serverName: "y" },
    controller: { pidBaseDir: "", ecnViewerPort: 0, https: null, logLevel: "" },
  };
  const assessment = assess(contextOf(spec));
  assertEquals(assessment.accepted, true);
  assertEquals(assessment.warnings.filter(({ reason }) => reason === "UnknownFields"), []);
  if (assessment.accepted) assertEquals(assessment.inputs.spec.replicas.nats, 2);
});

Deno.test("desired() tells the Controller of every vault by the block of its provider", () => {
  const variables = (vault: object) => {
    const { children } = desired(contextOf({ auth, vault }));
    const { env } = objectOf(children, "Deployment controller").spec.template.spec.containers[0];
    const names = (env as { name: string }[]).map(({ name }) => name).filter((name) =>
      name.startsWith("VAULT_")
    );
    return [names, Object.keys(objectOf(children, "Secret controller-vault-credentials").data)];
  };
  assertEquals(variables({ provider: "vault", hashicorp: { address: "a", token: "t", mount: "m" } }), [
    [
      "VAULT_ENABLED",
      "VAULT_PROVIDER",
      "VAULT_HASHICORP_ADDRESS",
      "VAULT_HASHICORP_TOKEN",
      "VAULT_HASHICORP_MOUNT",
    ],
    ["address", "token", "mount"],
  ]);
  assertEquals(
    variables({ provider: "aws-secrets-manager", aws: { region: "r", accessKeyId: "i", accessKey: "k" } })[0],
    [
      "VAULT_ENABLED",
      "VAULT_PROVIDER",
      "VAULT_AWS_REGION",
      "VAULT_AWS_ACCESS_KEY_ID",
      "VAULT_AWS_ACCESS_KEY",
    ],
  );
  assertEquals(
    variables({
      provider: "azure-key-vault",
      azure: { url: "u", tenantId: "t", clientId: "c", clientSecret: "s" },
    })[1],
    ["url", "tenantId", "clientId", "clientSecret"],
  );
  assertEquals(variables({ provider: "google", google: { projectId: "p", credentials: "c" } })[0], [
    "VAULT_ENABLED",
    "VAULT_PROVIDER",
    "VAULT_GOOGLE_PROJECT_ID",
    "VAULT_GOOGLE_CREDENTIALS",
  ]);
});

Deno.test("desired() tells the Controller of Keycloak's address with a slash, which one that was taken over gets with the next change", () => {
  const urlOf = (changes: object, live?: object) => {
    const objects = live === undefined ? [] : [secretOf("controller-auth-credentials", { ...live })];
    const spec = { auth: { ...auth, ...changes } };
    const proved = { [facts.provedAuth]: authVersion(parentOf(spec), spec, snapshotOf()) };
    const { children } = desired(contextOf(spec, snapshotOf(objects, proved)));
    return atob(objectOf(children, "Secret controller-auth-credentials").data["auth-url"]);
  };
  const withSlash = "https://keycloak.example.com/";
  const url = "https://keycloak.example.com";
  assertEquals([urlOf({}), urlOf({ url }), urlOf({ url: `${url}//` })], [withSlash, withSlash, withSlash]);
  const left = {
    "auth-url": url,
    "auth-realm": auth.realm,
    "auth-realm-key": auth.realmKey,
    "auth-ssl-req": auth.ssl,
    "auth-controller-client": auth.controllerClient,
    "auth-controller-client-secret": auth.controllerSecret,
    "auth-viewer-client": auth.viewerClient,
  };
  assertEquals(urlOf({ url }, left), url);
  assertEquals(urlOf({}, left), withSlash);
  assertEquals(urlOf({ url, controllerSecret: "another" }, left), withSlash);
  assertEquals(urlOf({ url }, { ...left, "auth-url": withSlash }), withSlash);
});

Deno.test("desired() leaves the Controller what it was told of Keycloak until that lets the operator in another way", () => {
  const name = "controller-auth-credentials";
  const changed = { ...auth, realm: "another", controllerSecretRef: { name: "client", key: "secret" } };
  const { controllerSecret: _, ...spec } = changed;
  const client = { ...secretOf("client", { secret: "of-the-other-realm" }), type: "Opaque" } as KubeObject;
  const before = { "auth-realm": "fake-realm", "auth-controller-client-secret": "fake-client-secret" };
  const whole = {
    ...before,
    ...{ "auth-url": `${auth.url}kept`, "auth-realm-key": "k", "auth-ssl-req": "none" },
    ...{ "auth-controller-client": "c", "auth-viewer-client": "v" },
  };
  const toldTo = (live: object | undefined, proof: string | undefined) => {
    const objects = [client, ...(live === undefined ? [] : [secretOf(name, { ...live })])];
    const proved = proof === undefined ? {} : { [facts.provedAuth]: proof };
    const { children } = desired(contextOf({ auth: spec }, snapshotOf(objects, proved)));
    const data: Record<string, string> = objectOf(children, `Secret ${name}`).data;
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, atob(value)]));
  };
  const given = authVersion(parentOf({}), { auth: changed }, snapshotOf([client]));
  const after = { realm: "another", secret: "of-the-other-realm" };
  const shown = (data: Record<string, string>) => ({
    realm: data["auth-realm"],
    secret: data["auth-controller-client-secret"],
  });
  assertEquals(toldTo(whole, undefined), whole);
  // As it was before the spec, or the Secret that it names, changed.
  assertEquals(toldTo(whole, given.replace("1", "0")), whole);
  assertEquals(toldTo(whole, `${given}7`), whole);
  const { metadata } = client;
  for (const other of [{ uid: "another" }, { resourceVersion: "another" }]) {
    const rotated = { ...client, metadata: { ...metadata, ...other } };
    assertNotEquals(authVersion(parentOf({}), { auth: changed }, snapshotOf([rotated])), given);
  }
  assertEquals(shown(toldTo(whole, given)), after);
  // Where nothing stands, or not all that the pods read, there is nothing to keep.
  assertEquals(shown(toldTo(undefined, undefined)), after);
  assertEquals(shown(toldTo(before, undefined)), after);
});
