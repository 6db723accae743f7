/** A PoT control plane on a real API server: from nothing to `ready`, at rest, changed, and beside one of ioFog. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import { systemClock } from "../../src/clock.ts";
import { Deployment, StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import { ConfigMap, Secret, Service } from "../../src/kubernetes/generated/core_v1.ts";
import type { Role } from "../../src/kubernetes/generated/rbac_v1.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import type { Ingress as IngressObject } from "../../src/kubernetes/generated/networking_v1.ts";
import { Ingress } from "../../src/kubernetes/generated/networking_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { PotControlPlane } from "../../src/resources/controlplane/pot/definition.ts";
import { makeCa, makeLeaf } from "../../src/resources/pki.ts";
import { registerSecret } from "../secrets.ts";
import { conditionOf, type ControlPlaneObject, type Json, merged, stateOf } from "./harness.ts";
import { KEYCLOAK_CA, potCluster, potScenario, type PotScene } from "./pot_harness.ts";
import { eventually, pause } from "./waiting.ts";

const cluster = await potCluster();
Deno.test.afterAll(() => cluster.stop());

/** Long enough for the outside world to be looked at again, and for a difference to show. */
const restMs = 11_000;

potScenario("the minimal PoT sample becomes ready, and nothing is written at rest", cluster, async (pot) => {
  const { controller, keycloak, scene } = pot;
  const kubeconfig = await scene.account("iofog-operator", await overlayRules());
  const operator = pot.operate([`--kubeconfig=${kubeconfig}`]);
  await applySample(pot, "minimal");
  const ready = await pot.untilReady();
  assertEquals(stateOf(ready), "ready");
  assertEquals(
    (await pot.children()).map(({ resource, name }) => `${resource.kind} ${name}`).sort(),
    installed,
  );
  // Leases of both flavours, since both are served.
  assertEquals((await scene.list(Lease)).map(({ metadata }) => metadata?.name).sort(), [
    "44586fd0.iofog.org",
    "pot.datasance",
  ]);

  const [router, nats] = await Promise.all(["router", "nats"].map(async (name) => {
    const { status } = await scene.get(Service, name);
    return status?.loadBalancer?.ingress?.[0]?.ip;
  }));
  const asked = (method: string, path: RegExp) =>
    controller.requests.filter((request) => request.method === method && path.test(request.path));
  assertEquals(asked("PUT", /\/router$/).map(({ body }) => body), [
    { host: router, messagingPort: 5671, edgeRouterPort: 45671, interRouterPort: 55671 },
  ]);
  assertEquals(asked("PUT", /\/nats\/hub$/).length, 1);
  assertEquals(asked("POST", /\/certificates\/ca$/).length, 4);
  const { natsAddress, routerAddress } = ready.status as unknown as Record<string, string>;
  assertEquals([routerAddress, natsAddress], [router, nats]);
  const viewer = keycloak.clients.find(({ clientId }) => clientId === keycloak.viewerClient);
  assertMatch(viewer?.rootUrl ?? "", /^http:\/\/192\.0\.2\.\d+$/);

  // What was made is recorded as seen after the next look.
  await eventually(
    "the inventory to be confirmed",
    async () => (await scene.get(ConfigMap, "iofog-inventory")).data?.["entries"] ?? "",
    (entries) => (JSON.parse(entries) as { confirmed?: boolean }[]).every(({ confirmed }) => confirmed),
    { show: (entries) => entries },
  );
  await scene.untilAtRest();
  const since = systemClock.now();
  controller.forgetRequests();
  await pause(restMs);
  assertEquals(await scene.writes(since), []);
  assertEquals(controller.requests.filter(({ method }) => method !== "GET"), []);

  // What the Controller adds to what both write stays, and ours is put back.
  const config = await scene.get(ConfigMap, "iofog-router");
  const entries = JSON.parse(config.data?.["skrouterd.json"] ?? "") as [string, Record<string, unknown>][];
  const bridge: [string, Record<string, unknown>] = ["tcpListener", { name: "shop-listener", port: 1024 }];
  const edited = [...entries.filter(([, { name }]) => name !== "amqps"), bridge];
  await scene.client.patch(ConfigMap, { namespace: scene.namespace, name: "iofog-router" }, {
    type: "merge",
    patch: { data: { "skrouterd.json": JSON.stringify(edited) } },
  });
  await eventually(
    "the router's configuration to be whole again",
    async () =>
      JSON.parse(
        (await scene.get(ConfigMap, "iofog-router")).data?.["skrouterd.json"] ?? "",
      ) as typeof entries,
    (found) => found.filter(([, { name }]) => name === "amqps" || name === "shop-listener").length === 2,
    { show: (found) => JSON.stringify(found) },
  );
  const account = await controller.addNatsAccount("shop");
  await eventually(
    "the account of an application to be in the bundle",
    async () => Object.keys((await scene.get(ConfigMap, "iofog-nats-jwt-bundle")).data ?? {}),
    (keys) => keys.includes(`${account.publicKey}.jwt`),
    { show: (keys) => keys.join() },
  );

  // A second one is refused, whatever its group, and the older is not touched.
  await scene.create({}, "other");
  const rival = await scene.until(
    "the rival to be refused",
    (object) => conditionOf(object, "Stalled")?.reason === "Conflict",
    { name: "other" },
  );
  assertMatch(conditionOf(rival, "Stalled")?.message ?? "", /^ControlPlane pot of datasance\.com is older/);
  await pot.untilReady();
  assertEquals(
    (await scene.requests()).filter(({ code }) => code === 403).map(({ path, verb }) => `${verb} ${path}`),
    [],
  );
  assert(operator.lines.every((line) => !line.includes('"level":"error"')), operator.lines.join("\n"));
});

potScenario(
  "a PoT control plane follows its spec, and gives up what it no longer asks for",
  cluster,
  async (pot) => {
    const { keycloak, scene } = pot;
    pot.operate();
    await pot.create({ services: { controller: { type: "LoadBalancer" } } });
    await pot.untilReady();
    const changed = await pot.change({
      vault: {
        provider: "hashicorp",
        basePath: "pot/$namespace",
        hashicorp: { address: "https://vault", token: "t" },
      },
      services: { controller: { type: "ClusterIP", annotations: { a: "b" } } },
      ingresses: {
        controller: { host: "pot.example.com", secretName: "pot-tls", ingressClassName: "nginx" },
      },
      nats: { enabled: false },
    });
    const states = new Set<string>();
    await pot.until("the change to be made", (object) => {
      states.add(potState(object));
      return potState(object) === "ready" && object.metadata.generation === changed.metadata.generation;
    }, { withinMs: 60_000 });
    assert(states.has("updating") && !states.has("deploying"), [...states].join());
    const ingress = await scene.get<IngressObject>(Ingress, "pot-controller");
    assertEquals(ingress.spec?.rules?.[0]?.host, "pot.example.com");
    assertEquals((await scene.get(Service, "controller")).spec?.type, "ClusterIP");
    assertEquals(await scene.find(StatefulSet, "nats"), undefined);
    const left = (await pot.children()).map(({ resource, name }) => `${resource.kind} ${name}`).sort();
    assertEquals(left.filter((name) => /nats/.test(name)), [
      "PersistentVolumeClaim js-data-nats-0",
      "PersistentVolumeClaim js-data-nats-1",
      "Secret default-nats-local-ca",
      "Secret nats-jetstream-key-pot",
      "Secret nats-site-ca",
    ]);
    assert(await scene.find(Secret, "controller-vault-credentials"));
    const viewer = keycloak.clients.find(({ clientId }) => clientId === keycloak.viewerClient);
    assertEquals(viewer?.rootUrl, "https://pot.example.com");

    await pot.change({
      vault: null,
      services: { controller: { type: "NodePort" } },
      nats: { enabled: true },
    });
    await pot.untilReady();
    assertEquals(await scene.find(Ingress, "pot-controller"), undefined);
    assertEquals(await scene.find(Secret, "controller-vault-credentials"), undefined);
  },
);

potScenario(
  "the PoT samples with an Ingress, and with all that is external, become ready",
  cluster,
  async (pot) => {
    const { scene } = pot;
    const { namespace } = scene;
    const ca = await makeCa("controller-ca", Date.now());
    const leaf = await makeLeaf(ca, [`controller.${namespace}.svc`], Date.now());
    registerSecret(leaf["tls.key"] ?? "");
    await scene.client.create(Secret, {
      metadata: { namespace, name: "controller-tls" },
      stringData: {
        "tls.crt": leaf["tls.crt"],
        "tls.key": leaf["tls.key"],
        "ca.crt": ca["tls.crt"],
      } as Record<string, string>,
    });
    pot.operate();
    await applySample(pot, "ingress");
    const byIngress = await pot.untilReady();
    assertEquals((byIngress.status as unknown as { viewerUrl: string }).viewerUrl, "https://pot.example.com");
    const environment = async () => {
      const { spec } = await scene.get(Deployment, "controller");
      const { env = [] } = spec?.template.spec?.containers[0] ?? {};
      return new Map(env.map(({ name, value, valueFrom }) => [name, value ?? valueFrom?.secretKeyRef?.key]));
    };
    assertEquals((await environment()).get("SSL_PATH_INTERMEDIATE_CERT"), "/etc/pot/controller-cert/ca.crt");

    await applySample(pot, "external");
    const external = await pot.untilReady();
    assertEquals(external.spec?.["controller"], undefined);
    const env = await environment();
    assertEquals(
      ["DB_USE_SSL", "VAULT_PROVIDER", "VAULT_BASE_PATH", "EVENT_RETENTION_DAYS", "SSL_PATH_CERT"].map((
        key,
      ) => env.get(key)),
      ["ssl", "hashicorp", `pot/${namespace}`, "14", undefined],
    );
    const database = await scene.get(Secret, "controller-db-credentials");
    assertEquals(atob(database.data?.["password"] ?? ""), "made-up-database-password");
    assertEquals((await scene.get(StatefulSet, "nats")).spec?.replicas, 3);
    assertEquals((await scene.get(Deployment, "controller")).spec?.replicas, 2);
  },
);

/** The rights of deploy/overlays/pot. */
async function overlayRules(): Promise<Role["rules"]> {
  const read = async (path: string) =>
    parse(await Deno.readTextFile(new URL(`../../deploy/${path}`, import.meta.url)));
  const { rules } = await read("base/role.yaml") as { rules: NonNullable<Role["rules"]> };
  const patch = await read("overlays/pot/role.yaml") as { value: NonNullable<Role["rules"]>[number] }[];
  return [...rules, ...patch.map(({ value }) => value)];
}

/** Applies a sample as it is, but for the namespace, and the Keycloak that is played. */
async function applySample({ keycloak, scene }: PotScene, name: string): Promise<void> {
  const text = await Deno.readTextFile(
    new URL(`../../deploy/samples/pot/${name}/controlplane.yaml`, import.meta.url),
  );
  const { namespace } = scene;
  const { controllerSecret, ...auth } = keycloak.auth();
  for (
    const object of parseAll(text) as (KubeObject & { spec?: Json; stringData?: Record<string, string> })[]
  ) {
    const metadata = { ...object.metadata, namespace };
    if (object.kind === "Secret") {
      for (const value of Object.values(object.stringData ?? {})) registerSecret(value);
      await scene.client.apply(
        Secret,
        { ...object, metadata, stringData: { ...object.stringData, client: controllerSecret } } as never,
        { fieldManager: "e2e-test" },
      );
      continue;
    }
    const isPlain = (object.spec?.["auth"] as Json)["controllerSecret"] !== undefined;
    const played = {
      ...auth,
      ...(isPlain && { controllerSecret }),
      caSecretRef: { name: KEYCLOAK_CA, key: "ca" },
    };
    await scene.client.apply(
      PotControlPlane,
      { ...object, metadata, spec: merged(object.spec ?? {}, { auth: played }) } as never,
      { fieldManager: "e2e-test" },
    );
  }
}

/** How potctl computes the state. */
function potState(object: ControlPlaneObject): string {
  const first = object.status?.conditions?.find(({ status }) => status === "True");
  if (first === undefined) return "deploying";
  return first.observedGeneration === object.metadata.generation ? first.type : "updating";
}

const installed = [
  "ConfigMap iofog-inventory",
  "ConfigMap iofog-nats-config",
  "ConfigMap iofog-nats-jwt-bundle",
  "ConfigMap iofog-router",
  "Deployment controller",
  "Deployment router",
  "PersistentVolumeClaim controller-sqlite",
  "PersistentVolumeClaim js-data-nats-0",
  "PersistentVolumeClaim js-data-nats-1",
  "Role controller",
  "Role nats",
  "Role router",
  "RoleBinding controller",
  "RoleBinding nats",
  "RoleBinding router",
  "Secret controller-auth-credentials",
  "Secret controller-db-credentials",
  "Secret default-nats-local-ca",
  "Secret default-router-local-ca",
  "Secret nats-creds-sys-admin-hub",
  "Secret nats-jetstream-key-pot",
  "Secret nats-mqtt-server",
  "Secret nats-operator-seed",
  "Secret nats-site-ca",
  "Secret nats-site-server",
  "Secret router-local-server",
  "Secret router-site-ca",
  "Secret router-site-server",
  "Service controller",
  "Service nats",
  "Service nats-headless",
  "Service nats-server",
  "Service router",
  "ServiceAccount controller",
  "ServiceAccount nats",
  "ServiceAccount router",
  "StatefulSet nats",
];
