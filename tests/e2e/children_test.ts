/** Children that are deleted, disowned, extended by others, or no longer wanted. */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import {
  ConfigMap,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
  ServiceAccount,
} from "../../src/kubernetes/generated/core_v1.ts";
import { Role } from "../../src/kubernetes/generated/rbac_v1.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { titleOf } from "../golden/recordings.ts";
import { conditionOf, NAME, registeredToken, scenario, type Scene } from "./harness.ts";
import { eventually, pause } from "./waiting.ts";

scenario("F29 each child that is deleted is made again", async (scene) => {
  const { namespace } = scene;
  scene.operate();
  await scene.create();
  await scene.untilReady();
  for (const { resource, name, object } of await scene.children()) {
    if (object.kind === "PersistentVolumeClaim") continue;
    await scene.client.delete(resource, { namespace, name }, { propagationPolicy: "Background" });
    await eventually(
      `${titleOf(object)} to be made again`,
      () => scene.find(resource, name),
      (found) => found !== undefined && found.metadata?.uid !== object.metadata?.uid,
      { show: (found) => found?.metadata?.uid ?? "it is gone" },
    );
  }
  await scene.untilReady();
  const { data: authority } = await scene.get(Secret, "router-ca");
  const { data: leaf } = await scene.get(Secret, "router-internal");
  assertEquals(leaf?.["ca.crt"], authority?.["tls.crt"]);
});

scenario("a claim that is deleted while pods use it is made again once they are gone", async (scene) => {
  const { namespace } = scene;
  scene.operate();
  await scene.create();
  await scene.untilReady();
  const { metadata } = await scene.get(PersistentVolumeClaim, "controller-sqlite");
  await scene.client.delete(PersistentVolumeClaim, { namespace, name: "controller-sqlite" });
  const blocked = await scene.until(
    "the condition to tell of it",
    (object) => conditionOf(object, "ObjectsApplied")?.reason === "Terminating",
  );
  assertMatch(
    conditionOf(blocked, "ObjectsApplied")?.message ?? "",
    /PersistentVolumeClaim controller-sqlite is being deleted.*kubernetes\.io\/pvc-protection.*made again once it is gone/,
  );
  // A real scheduler starts no pod on a claim that is being deleted.
  const release = scene.kubelet.pods.hold({ namespace });
  for (const pod of await scene.list(Pod)) {
    if (pod.metadata?.labels?.["name"] !== "controller") continue;
    await scene.client.delete(Pod, { namespace, name: pod.metadata.name ?? "" }, { gracePeriodSeconds: 0 });
  }
  await eventually(
    "another claim",
    () => scene.find(PersistentVolumeClaim, "controller-sqlite"),
    (claim) => claim !== undefined && claim.metadata?.uid !== metadata?.uid,
  );
  release();
  await scene.untilReady();
});

scenario(
  "a child without its owner is taken back, one without any trace of us is a conflict",
  async (scene) => {
    const { namespace } = scene;
    scene.operate();
    const { metadata: { uid } } = await scene.create();
    await scene.untilReady();
    const children = await scene.children();
    for (const { resource, name } of children) {
      const patch = { metadata: { ownerReferences: null } };
      await scene.client.patch(resource, { namespace, name }, { type: "merge", patch });
    }
    for (const { resource, name, object } of children) {
      await eventually(
        `${titleOf(object)} to be owned again`,
        () => scene.get(resource, name),
        ({ metadata }) => metadata?.ownerReferences?.[0]?.uid === uid,
      );
    }

    const target = { namespace, name: "controller-s2s-tokens" };
    const annotations = { "iofog.org/owner-uid": null };
    const token = registeredToken();
    await scene.client.patch(Secret, target, {
      type: "merge",
      patch: {
        metadata: { ownerReferences: null, annotations, managedFields: [{}] },
        data: { "proxy-broker-token": btoa(token) },
      },
    });
    const refused = await scene.until(
      "a conflict",
      (object) => conditionOf(object, "Stalled")?.status === "True",
    );
    assertEquals(conditionOf(refused, "Ready")?.status, "False");
    assertEquals(conditionOf(refused, "Stalled")?.reason, "Conflict");
    assertMatch(
      conditionOf(refused, "Stalled")?.message ?? "",
      /Secret controller-s2s-tokens exists and is not ours; delete or rename it so that it can be made for ControlPlane iofog/,
    );
    await pause(1_000);
    assertEquals((await scene.get(Secret, target.name)).data, { "proxy-broker-token": btoa(token) });
    await scene.client.delete(Secret, target);
    await scene.untilReady();
    assertEquals((await scene.get(Secret, target.name)).data, { "proxy-broker-token": "" });
  },
);

scenario("F12 a child that belongs to somebody else is left to them", async (scene) => {
  const { namespace } = scene;
  const owner = await scene.client.create(ConfigMap, { metadata: { namespace, name: "somebody" } });
  const reference = { apiVersion: "v1", kind: "ConfigMap", name: "somebody", uid: owner.metadata?.uid ?? "" };
  const theirs = await scene.client.create(Service, {
    metadata: { namespace, name: "router", ownerReferences: [{ ...reference, controller: true }] },
    spec: { ports: [{ port: 1 }] },
  });
  scene.operate();
  await scene.create();
  const refused = await scene.until(
    "a conflict",
    (object) => conditionOf(object, "Stalled")?.status === "True",
  );
  assertMatch(
    conditionOf(refused, "Stalled")?.message ?? "",
    /Service router exists and belongs to ConfigMap somebody/,
  );
  const untouched = await scene.get(Service, "router");
  assertEquals(untouched.metadata?.resourceVersion, theirs.metadata?.resourceVersion);
  // All that does not depend on it is there.
  assert((await scene.find(Deployment, "controller")) !== undefined);
  await scene.client.delete(Service, { namespace, name: "router" });
  await scene.untilReady();
});

scenario("F30 what others add to children stays, and is no reason to write", async (scene) => {
  const { namespace } = scene;
  scene.operate();
  await scene.create();
  await scene.untilReady();
  await scene.untilAtRest();
  const added = Date.now();
  const foreign = { annotations: { "example.org/note": "mine" }, labels: { "example.org/team": "mine" } };
  for (const { resource, name } of await scene.children()) {
    await scene.client.patch(resource, { namespace, name }, { type: "merge", patch: { metadata: foreign } });
  }
  const owner = await scene.client.create(ConfigMap, { metadata: { namespace, name: "somebody" } });
  const reference = { apiVersion: "v1", kind: "ConfigMap", name: "somebody", uid: owner.metadata?.uid ?? "" };
  const target = { namespace, name: "controller" };
  await scene.client.patch(Service, target, {
    type: "json",
    operations: [{ op: "add", path: "/metadata/ownerReferences/-", value: reference }],
  });
  const sidecar = { name: "sidecar", image: "example.org/sidecar:1" };
  await scene.client.patch(Deployment, target, {
    type: "json",
    operations: [
      { op: "add", path: "/spec/template/spec/containers/-", value: sidecar },
      { op: "add", path: "/spec/template/spec/containers/0/env/-", value: { name: "FOREIGN", value: "1" } },
      { op: "add", path: "/spec/template/spec/containers/0/resources", value: { limits: { memory: "1Gi" } } },
      { op: "add", path: "/spec/template/spec/nodeSelector", value: { disk: "fast" } },
      { op: "add", path: "/spec/template/metadata/annotations", value: { "example.org/restarted": "now" } },
    ],
  });
  await scene.untilReady();
  await pause(1_000);
  assertEquals(await writesToChildren(scene, added), []);

  // A repair of what is ours, beside it.
  await scene.client.patch(Deployment, target, {
    type: "json",
    operations: [
      { op: "replace", path: "/spec/template/spec/containers/0/image", value: "example.org/other:1" },
      { op: "remove", path: "/spec/template/spec/containers/0/env/0" },
    ],
  });
  const repaired = await eventually(
    "the repair of the image",
    () => scene.get(Deployment, "controller"),
    ({ spec }) => spec?.template.spec?.containers[0]?.image === "iofog/controller:3.0.1",
  );
  const { spec: pod, metadata } = repaired.spec?.template ?? {};
  assertEquals(pod?.containers.map(({ name }) => name), ["controller", "sidecar"]);
  assertEquals(pod?.containers[0]?.env?.find(({ name }) => name === "FOREIGN")?.value, "1");
  assertEquals(pod?.containers[0]?.resources, { limits: { memory: "1Gi" } });
  assertEquals(pod?.nodeSelector, { disk: "fast" });
  assertEquals(metadata?.annotations, { "example.org/restarted": "now" });
  assertEquals(repaired.metadata?.annotations?.["example.org/note"], "mine");
  assertEquals(repaired.metadata?.labels, { name: "controller", "example.org/team": "mine" });
});

scenario("what is no longer wanted goes, and data stay", async (scene) => {
  const { namespace } = scene;
  scene.operate();
  const { metadata } = await scene.create({ images: { pullSecret: "pull", proxy: "example.org/proxy:1" } });
  await scene.untilReady();
  const proxies = async () =>
    (await scene.get(Deployment, "controller")).spec?.template.spec?.containers[0]?.env
      ?.filter(({ name }) => name.startsWith("SystemImages_Proxy")).map(({ value }) => value);
  assertEquals(await proxies(), ["example.org/proxy:1", "example.org/proxy-arm:1"]);
  assertEquals((await scene.get(ServiceAccount, "router")).imagePullSecrets, [{ name: "pull" }]);

  // Left by an earlier version of the operator; and something that only refers to the same owner.
  const owned = {
    ownerReferences: [{
      apiVersion: "iofog.org/v3",
      kind: "ControlPlane",
      name: NAME,
      uid: metadata.uid,
      controller: true,
    }],
  };
  const annotations = { "iofog.org/owner-uid": metadata.uid };
  await scene.client.create(ConfigMap, { metadata: { namespace, name: "theirs", ...owned } });
  await scene.client.create(ConfigMap, { metadata: { namespace, name: "old", annotations, ...owned } });
  await scene.client.create(Role, { metadata: { namespace, name: "old", annotations, ...owned } });

  const database = {
    provider: "postgres",
    host: "db.example.com",
    port: 5432,
    user: "iofog",
    password: registeredToken(),
    databaseName: "iofog",
  };
  await scene.change({ database, images: null });
  await eventually(
    "pruning",
    async () => [await scene.find(ConfigMap, "old"), await scene.find(Role, "old")],
    (found) => found.every((each) => each === undefined),
  );
  const deployment = await eventually(
    "a Controller with another database",
    () => scene.get(Deployment, "controller"),
    ({ spec }) => spec?.strategy?.type === "RollingUpdate",
  );
  assertEquals(deployment.spec?.template.spec?.volumes ?? [], []);
  assertEquals(deployment.spec?.template.spec?.containers[0]?.volumeMounts ?? [], []);
  assertEquals(await proxies(), []);
  assertEquals((await scene.get(ServiceAccount, "router")).imagePullSecrets ?? [], []);
  const claim = await scene.get(PersistentVolumeClaim, "controller-sqlite");
  assertEquals(claim.metadata?.deletionTimestamp, undefined);
  assertNotEquals(await scene.find(ConfigMap, "theirs"), undefined);
  await scene.untilReady();

  // And back: Recreate beside the defaulted `rollingUpdate` block is what a plain apply cannot write.
  await scene.change({ database: null });
  const back = await eventually(
    "a Controller on sqlite",
    () => scene.get(Deployment, "controller"),
    ({ spec }) => spec?.template.spec?.containers[0]?.volumeMounts?.length === 2,
  );
  assertEquals(back.spec?.strategy, { type: "Recreate" });
  assertEquals(
    (await scene.get(PersistentVolumeClaim, "controller-sqlite")).metadata?.uid,
    claim.metadata?.uid,
  );
  await scene.untilReady();
});

scenario("a variable that somebody renamed still goes when it is no longer wanted", async (scene) => {
  const target = { namespace: scene.namespace, name: "controller" };
  scene.operate();
  await scene.create({ images: { proxy: "example.org/proxy:1" } });
  await scene.untilReady();
  const names = async () => {
    const { spec } = await scene.get(Deployment, "controller");
    return spec?.template.spec?.containers[0]?.env?.map(({ name }) => name) ?? [];
  };
  const before = await names();
  const index = before.indexOf("SystemImages_Proxy_1");
  const path = `/spec/template/spec/containers/0/env/${index}/name`;
  const operations = [{ op: "replace", path, value: "RENAMED" }] as const;
  await scene.client.patch(Deployment, target, { type: "json", operations });
  await eventually("the repair", names, (now) => now.join() === before.join());
  await scene.change({ images: null });
  await eventually(
    "the variables of the default images",
    names,
    (now) => now.every((name) => !name.startsWith("SystemImages_")),
  );
});

scenario("Services change with the spec, from LoadBalancer to ClusterIP and back", async (scene) => {
  scene.operate();
  await scene.create({ ingresses: { router: { address: "router.example.com" } } });
  await scene.untilReady();
  const services = { controller: { type: "ClusterIP" }, router: { type: "ClusterIP" } };
  await scene.change({ services });
  await scene.untilReady();
  for (const name of ["controller", "router"]) {
    const { spec } = await scene.get(Service, name);
    assertEquals([spec?.type, spec?.externalTrafficPolicy], ["ClusterIP", undefined]);
  }
  assertEquals(scene.controller.state.router?.host, "router.example.com");
  await scene.change({ services: null });
  await scene.untilReady();
  const { spec } = await scene.get(Service, "router");
  assertEquals([spec?.type, spec?.externalTrafficPolicy], ["LoadBalancer", "Local"]);
  assertMatch(scene.controller.state.router?.host ?? "", /^192\.0\.2\.\d+$/);
});

/** Writes of the operator save status and Events. */
async function writesToChildren(scene: Scene, sinceMs: number): Promise<readonly string[]> {
  const writes = await scene.writes(sinceMs);
  return writes.filter((write) => !write.includes(` ${ControlPlane.plural}/`) && !write.includes(" events/"));
}
