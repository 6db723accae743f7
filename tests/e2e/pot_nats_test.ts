/** NATS of a PoT control plane on a real API server: its claims, keys, servers, accounts, and what others edit in it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { systemClock } from "../../src/clock.ts";
import { StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import { ConfigMap, PersistentVolumeClaim, Pod, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { inspectCertificate, makeCa, trustedIn } from "../../src/resources/pki.ts";
import { registerSecret } from "../secrets.ts";
import { conditionOf, type Scene } from "./harness.ts";
import { potCluster, potScenario, type PotScene } from "./pot_harness.ts";
import { eventually } from "./waiting.ts";

const cluster = await potCluster();
Deno.test.afterAll(() => cluster.stop());

const KEY = "nats-jetstream-key-pot";
const BUNDLE = "iofog-nats-jwt-bundle";
const storageClasses: Resource = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "StorageClass",
  plural: "storageclasses",
  namespaced: false,
};

const claimsOf = async (scene: Scene) =>
  (await scene.list(PersistentVolumeClaim))
    .filter(({ metadata }) => metadata?.name?.startsWith("js-data-nats-"))
    .sort((a, b) => `${a.metadata?.name}`.localeCompare(`${b.metadata?.name}`));
const sizesOf = async (scene: Scene) =>
  (await claimsOf(scene)).map(({ spec }) => spec?.resources?.requests?.["storage"]);
const podsOf = async (scene: Scene) =>
  (await scene.list(Pod)).filter(({ metadata }) => /^nats-\d$/.test(metadata?.name ?? ""))
    .map(({ metadata }) => `${metadata?.name} ${metadata?.uid}`).sort();
const configurationOf = async (scene: Scene) =>
  (await scene.get(ConfigMap, "iofog-nats-config")).data?.["server.conf"] ?? "";

async function valuesOf(scene: Scene, name: string): Promise<Record<string, string>> {
  const { data = {} } = await scene.get(Secret, name);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, atob(value)]));
}

async function refused(pot: PotScene, spec: Record<string, unknown>, message: RegExp): Promise<void> {
  const { metadata } = await pot.change(spec);
  const found = await pot.until("the refusal", (object) => {
    const stalled = conditionOf(object, "Stalled");
    return stalled?.status === "True" && stalled.observedGeneration === metadata.generation;
  });
  assertMatch(conditionOf(found, "Stalled")?.message ?? "", message);
}

potScenario(
  "NATS grows one by one with its claims, and refuses what would lose data",
  cluster,
  async (pot) => {
    const { scene } = pot;
    const { namespace } = scene;
    await scene.client.create(storageClasses, {
      metadata: { name: "pot-nats" },
      provisioner: "example.org/played",
      allowVolumeExpansion: true,
    } as KubeObject);
    scene.operateHere((_, proceed) => proceed(), [`--controller-url=${pot.controller.url}`]);
    await pot.create({ nats: { jetStream: { storageClassName: "pot-nats", storageSize: "1Gi" } } });
    await pot.untilReady();
    const claims = await claimsOf(scene);
    assertEquals(await sizesOf(scene), ["1Gi", "1Gi"]);
    // The key belongs to the claims, and these to nobody: both outlive the control plane.
    const key = await eventually(
      "the key to belong to the claims",
      () => scene.get(Secret, KEY),
      ({ metadata }) =>
        metadata?.ownerReferences?.every(({ kind }) => kind === "PersistentVolumeClaim") ?? false,
      { show: ({ metadata }) => JSON.stringify(metadata?.ownerReferences) },
    );
    assertEquals(
      key.metadata?.ownerReferences?.map(({ uid }) => uid).sort(),
      claims.map(({ metadata }) => metadata?.uid).sort(),
    );
    assertEquals(claims.flatMap(({ metadata }) => metadata?.ownerReferences ?? []), []);

    // Somebody, such as the Controller, edits what both write.
    const edge = "nats://edge-1.example.com:6222";
    const edited = (await configurationOf(scene))
      .replace(/routes: \[(.*)\]/, (_, routes) => `routes: [${routes},"${edge}"]`);
    const target = { namespace, name: "iofog-nats-config" };
    await scene.client.patch(ConfigMap, target, {
      type: "merge",
      patch: { data: { "server.conf": edited } },
    });

    // Larger, and more of them, in one go; no server restarts for it.
    const [set, pods, authority] = await Promise.all([
      scene.get(StatefulSet, "nats"),
      podsOf(scene),
      valuesOf(scene, "nats-site-ca"),
    ]);
    const since = systemClock.now();
    await pot.change({ replicas: { nats: 4 }, nats: { jetStream: { storageSize: "2Gi" } } });
    await pot.untilReady();
    assertEquals(await sizesOf(scene), ["2Gi", "2Gi", "2Gi", "2Gi"]);
    const grown = await scene.get(StatefulSet, "nats");
    assertEquals(grown.metadata?.uid, set.metadata?.uid);
    assertEquals(grown.spec?.volumeClaimTemplates, set.spec?.volumeClaimTemplates);
    assertEquals((await podsOf(scene)).slice(0, 2), pods);
    const steps = (await scene.writes(since)).filter((write) => write.includes("statefulsets/nats 200"));
    assertEquals(steps.length, 2, "one server at a time");
    const configuration = await configurationOf(scene);
    assert(configuration.includes("nats://nats-3.nats-headless:6222") && configuration.includes(edge));
    const leaf = await valuesOf(scene, "nats-site-server");
    assert(inspectCertificate(leaf["tls.crt"] ?? "")?.names.includes("nats-3.nats-headless"));
    assertEquals(await valuesOf(scene, "nats-site-ca"), authority);

    await refused(
      pot,
      { nats: { jetStream: { storageSize: "1Gi" } } },
      /^spec\.nats\.jetStream\.storageSize must be at least 2Gi, as claim js-data-nats-\d: a claim cannot shrink\. Set it back/,
    );
    await refused(
      pot,
      { nats: { jetStream: { storageSize: "2Gi", storageClassName: "other" } } },
      /^spec\.nats\.jetStream\.storageClassName must be pot-nats, as claim js-data-nats-\d/,
    );
    await refused(
      pot,
      { nats: { jetStream: { storageClassName: "pot-nats" } }, replicas: { nats: 1 } },
      /^spec\.replicas\.nats must be at least 2/,
    );
    // Nobody outside of the cluster can ask the servers.
    await refused(
      pot,
      { replicas: { nats: 3 } },
      /^going from 4 NATS servers to 3 waits: whether nats-3 has the only copy of a stream cannot be known, since no server/,
    );
    assertEquals((await scene.get(StatefulSet, "nats")).spec?.replicas, 4);
    await pot.change({ replicas: { nats: 4 } });
    await pot.untilReady();
  },
);

potScenario("NATS keeps its accounts, its restarts and who trusts it", cluster, async (pot) => {
  const { controller, scene } = pot;
  const { namespace } = scene;
  scene.operateHere((_, proceed) => proceed(), [`--controller-url=${controller.url}`]);
  await pot.create();
  await pot.untilReady();

  // A bundle that somebody deleted has every account again, and what the Controller puts there stays.
  const account = await controller.addNatsAccount("shop");
  await scene.client.delete(ConfigMap, { namespace, name: BUNDLE });
  const bundle = await eventually(
    "the bundle with both accounts",
    () => scene.find(ConfigMap, BUNDLE),
    (found) => Object.keys(found?.data ?? {}).length === 2,
    { show: (found) => Object.keys(found?.data ?? {}).join() },
  );
  assertEquals(bundle?.data?.[`${account.publicKey}.jwt`], account.jwt);
  await scene.client.patch(ConfigMap, { namespace, name: BUNDLE }, {
    type: "merge",
    patch: { data: { "AFOREIGN.jwt": "of-the-controller" } },
  });

  // A restart that the Controller asks for happens once, and another authority takes over step by step.
  const restartedAt = "2026-01-01T00:00:00Z";
  const annotations = { "kubectl.kubernetes.io/restartedAt": restartedAt };
  await scene.client.patch(StatefulSet, { namespace, name: "nats" }, {
    type: "merge",
    patch: { spec: { template: { metadata: { annotations } } } },
  });
  const authority = await makeCa("company-ca", systemClock.now());
  registerSecret(authority["tls.key"] ?? "");
  const data = Object.fromEntries(
    Object.entries(authority).flatMap(([name, value]) => value === undefined ? [] : [[name, btoa(value)]]),
  );
  await scene.client.create(Secret, {
    metadata: { namespace, name: "company-ca" },
    type: "kubernetes.io/tls",
    data: { ...data, "tls.key": btoa("none") },
  });
  const own = await valuesOf(scene, "nats-site-server");
  await refused(
    pot,
    { certificates: { natsSiteCaSecret: { name: "company-ca" } } },
    /^spec\.certificates\.natsSiteCaSecret names Secret company-ca, which cannot be used: its tls\.key is not a private key/,
  );
  assertEquals(await valuesOf(scene, "nats-site-server"), own);
  await scene.client.patch(Secret, { namespace, name: "company-ca" }, { type: "merge", patch: { data } });
  const trusting = await eventually(
    "both authorities to be trusted",
    () => valuesOf(scene, "nats-site-server"),
    (found) => trustedIn(found["ca.crt"]).length === 2,
    { show: (found) => `${trustedIn(found["ca.crt"]).length}` },
  );
  assertEquals(trusting["tls.crt"], own["tls.crt"]);
  await eventually(
    "the time of it to be noted",
    async () =>
      (await scene.get(Secret, "nats-site-server")).metadata?.annotations?.["iofog.org/trusted-since"],
    (since) => since !== undefined,
  );
  assertEquals((await valuesOf(scene, "nats-site-ca"))["tls.crt"], authority["tls.crt"]);
  const template = (await scene.get(StatefulSet, "nats")).spec?.template;
  assertEquals(template?.metadata?.annotations, annotations);
  assertEquals((await scene.get(ConfigMap, BUNDLE)).data?.["AFOREIGN.jwt"], "of-the-controller");
});
