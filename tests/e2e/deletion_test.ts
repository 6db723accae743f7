/** A ControlPlane that goes: nothing hangs, nothing is written on the way, and it can come again. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Namespace, PersistentVolumeClaim, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { titleOf } from "../golden/recordings.ts";
import { conditionOf, NAME, scenario, type Scene, untilGarbageIsCollected } from "./harness.ts";
import { eventually, pause } from "./waiting.ts";

await untilGarbageIsCollected();

/** Deletes the ControlPlane, and waits until it is gone. */
async function deleteControlPlane(
  scene: Scene,
  propagationPolicy: "Background" | "Foreground" | "Orphan",
): Promise<void> {
  const { namespace } = scene;
  await scene.client.delete(ControlPlane, { namespace, name: NAME }, { propagationPolicy });
  await eventually(
    "the ControlPlane to be gone",
    () => scene.find(ControlPlane, NAME),
    (found) => found === undefined,
  );
}

/** Waits until nothing is left that the operator made. */
async function untilNothingIsLeft(scene: Scene): Promise<void> {
  const titles = async () => (await scene.children()).map(({ object }) => titleOf(object));
  await eventually("the children to be gone", titles, (left) => left.length === 0);
}

for (const policy of ["Background", "Foreground"] as const) {
  scenario(
    `F47 a deletion in the ${policy.toLowerCase()} takes all children along, and the next one converges`,
    async (scene) => {
      scene.operate();
      await scene.create();
      await scene.untilReady();
      await scene.untilAtRest();
      const deletedAt = Date.now();
      scene.controller.forgetRequests();
      await deleteControlPlane(scene, policy);
      await untilNothingIsLeft(scene);
      assertEquals(await scene.writes(deletedAt), []);
      const changes = scene.controller.requests.filter(({ method }) => method !== "GET");
      assertEquals(changes.map(({ method, path }) => `${method} ${path}`), []);

      await scene.create();
      await scene.untilReady();
      assertEquals(scene.controller.state.users.length, 1);
    },
  );
}

scenario(
  "a retained claim outlives the ControlPlane, and only one of the same name takes it again",
  async (scene) => {
    const { namespace } = scene;
    scene.operateHere((_, proceed) => proceed());
    const claimOf = () => scene.get(PersistentVolumeClaim, "controller-sqlite");
    const untilOwned = (owner: string | undefined) =>
      eventually(
        `the claim of ${owner ?? "nobody"}`,
        claimOf,
        ({ metadata }) => metadata?.ownerReferences?.[0]?.uid === owner,
      );
    const { metadata: { uid } } = await scene.create({ deletionPolicy: "Retain" });
    await scene.untilReady();
    const { metadata: { uid: claimUid } = {} } = await untilOwned(undefined);
    await scene.change({ deletionPolicy: null });
    await untilOwned(uid);
    await scene.change({ deletionPolicy: "Retain" });
    await untilOwned(undefined);
    await scene.untilReady();

    await deleteControlPlane(scene, "Background");
    await untilOnlyClaimIsLeft();
    await scene.create({}, "another");
    const refused = await scene.until(
      "a conflict",
      (object) => conditionOf(object, "Stalled")?.status === "True",
      {
        name: "another",
      },
    );
    assertMatch(
      conditionOf(refused, "Stalled")?.message ?? "",
      /PersistentVolumeClaim controller-sqlite exists and is not ours/,
    );
    await scene.client.delete(ControlPlane, { namespace, name: "another" });
    await untilOnlyClaimIsLeft();

    const later = await scene.create();
    await scene.untilReady();
    assertEquals((await untilOwned(later.metadata.uid)).metadata?.uid, claimUid);
    await deleteControlPlane(scene, "Background");
    await untilNothingIsLeft(scene);

    async function untilOnlyClaimIsLeft(): Promise<void> {
      const titles = async () => (await scene.children()).map(({ object }) => titleOf(object));
      await eventually(
        "only the claim to be left",
        titles,
        (left) => left.join() === "PersistentVolumeClaim controller-sqlite",
      );
      assertEquals((await claimOf()).metadata?.deletionTimestamp, undefined);
    }
  },
);

scenario(
  "F47 a deletion that orphans leaves the children alone, and the next one takes them over",
  async (scene) => {
    scene.operate();
    await scene.create();
    await scene.untilReady();
    await scene.untilAtRest();
    const before = await scene.children();
    const authority = await scene.get(Secret, "router-ca");
    const deletedAt = Date.now();
    await deleteControlPlane(scene, "Orphan");
    await pause(2_000);
    assertEquals(await scene.writes(deletedAt), []);
    const left = await scene.children();
    assertEquals(left.length, before.length);
    for (const { object } of left) assertEquals(object.metadata?.ownerReferences, undefined, titleOf(object));

    const { metadata: { uid } } = await scene.create();
    await scene.untilReady();
    const after = await scene.children();
    const identities = (children: typeof after) => children.map(({ object }) => object.metadata?.uid).sort();
    assertEquals(identities(after), identities(before));
    for (const { object } of after) {
      assertEquals(
        object.metadata?.ownerReferences?.[0]?.uid,
        uid,
        titleOf(object),
      );
    }
    assertEquals((await scene.get(Secret, "router-ca")).data, authority.data);
  },
);

scenario("F31 a deletion in the middle of an install leaves nothing behind", async (scene) => {
  scene.operate();
  for (const delayMs of [0, 20, 60, 150, 400]) {
    await scene.create();
    await pause(delayMs);
    await deleteControlPlane(scene, "Background");
    await untilNothingIsLeft(scene);
  }
  await scene.create();
  await scene.untilReady();
});

scenario(
  "F32 F48 a namespace goes with the operator at work in it, and another one of its name converges",
  async (scene) => {
    const { namespace } = scene;
    const operator = scene.operate();
    await scene.create();
    await scene.untilReady();
    const changed = () => scene.controller.requests.filter(({ method }) => method !== "GET").length;
    const changedBefore = changed();
    const find = async () => {
      try {
        return await scene.client.get(Namespace, { name: namespace });
      } catch (error) {
        if (isStatus(error, 404)) return undefined;
        throw error;
      }
    };
    await scene.client.delete(Namespace, { name: namespace });
    await eventually("the namespace to be gone", find, (found) => found === undefined, { withinMs: 60_000 });
    assertEquals(changed(), changedBefore, "something was changed in the Controller");
    const errors = operator.lines.filter((line) => line.includes('"level":"error"'));
    assertEquals(errors, []);

    await scene.client.create(Namespace, { metadata: { name: namespace } });
    await scene.create();
    await scene.untilReady({ withinMs: 60_000 });
    assertEquals(await operator.stop(), 0);
  },
);

scenario("F35 a second ControlPlane is refused, and takes over when the first one goes", async (scene) => {
  scene.operate();
  const first = await scene.create();
  await scene.untilReady();
  await scene.untilAtRest();
  const createdAt = Date.now();
  const user = { email: "another@example.com" };
  await scene.create({ user, images: { router: "example.org/router:1" } }, "second");
  const refused = await scene.until(
    "the refusal",
    (object) => conditionOf(object, "Stalled")?.status === "True",
    {
      name: "second",
    },
  );
  assertEquals(conditionOf(refused, "Ready")?.status, "False");
  assertEquals(conditionOf(refused, "Stalled")?.reason, "Conflict");
  assertMatch(
    conditionOf(refused, "Stalled")?.message ?? "",
    /ControlPlane iofog is older and manages this namespace; delete one of the two, or move/,
  );
  assertEquals(refused.status?.conditions?.[0]?.type, "deploying");
  await pause(2_000);
  const writes = (await scene.writes(createdAt)).filter((write) => !write.includes(" events/"));
  assertEquals(writes, ["update controlplanes/second/status 200"]);
  assertEquals(
    (await scene.controlPlane()).metadata.resourceVersion,
    (await scene.untilReady()).metadata.resourceVersion,
  );
  assertEquals(scene.controller.state.users.map(({ email }) => email), ["somebody@example.com"]);

  await deleteControlPlane(scene, "Background");
  await scene.untilReady({ name: "second", withinMs: 60_000 });
  for (const { object } of await scene.children()) {
    const [owner] = object.metadata?.ownerReferences ?? [];
    assert(owner?.name === "second" && owner.uid !== first.metadata.uid, titleOf(object));
  }
  const router = await scene.get(Deployment, "router");
  assertEquals(router.spec?.template.spec?.containers[0]?.image, "example.org/router:1");
});
