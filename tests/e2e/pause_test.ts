/** The annotation `iofog.org/pause`: nothing is written, what would be is shown, and it goes on where it stopped. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Event } from "../../src/kubernetes/generated/core_v1.ts";
import { RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { conditionOf, describeStatus, NAME, present, scenario, type Scene, stateOf } from "./harness.ts";
import { eventually, pause, timed } from "./waiting.ts";

/** Milliseconds of a machine under load beyond the second that going on may take. */
const slackMs = 5_000;

async function setPause(scene: Scene, value: string | null): Promise<void> {
  const patch = { metadata: { annotations: { "iofog.org/pause": value } } };
  await scene.client.patch(ControlPlane, { namespace: scene.namespace, name: NAME }, {
    type: "merge",
    patch,
  });
}

/** Writes of the operator, save status and Events. */
async function writesSince(scene: Scene, sinceMs: number): Promise<readonly string[]> {
  return (await scene.writes(sinceMs)).filter((write) =>
    !write.includes(`${ControlPlane.plural}/${NAME}/status `) && !write.includes(" events/")
  );
}

/** What was asked of the Controller that changes something: not reading, and not logging in to read. */
function changesAtController(scene: Scene): number {
  return scene.controller.requests
    .filter(({ method, path }) => method !== "GET" && !path.endsWith("/user/login")).length;
}

scenario(
  "while paused nothing is written in either world, and all of it within a second after",
  async (scene) => {
    const { namespace } = scene;
    scene.operateHere((_, proceed) => proceed());
    await scene.create();
    await scene.untilReady();

    const calls = changesAtController(scene);
    await setPause(scene, "true");
    const quiet = await scene.until(
      "the pause to be told",
      (object) => conditionOf(object, "Paused")?.status === "True",
    );
    assertEquals(conditionOf(quiet, "Ready")?.status, "True", "nothing is missing yet");
    assertEquals(stateOf(quiet), "ready");
    assertMatch(
      present(conditionOf(quiet, "Paused")).message,
      new RegExp(
        "^the annotation iofog\\.org/pause stops all writes\\. Without it would be written: nothing\\. " +
          `To go on: kubectl -n ${namespace} annotate controlplane ${NAME} iofog\\.org/pause-$`,
      ),
    );

    const pausedAt = Date.now();
    await scene.client.delete(RoleBinding, { namespace, name: "port-manager" });
    const { state } = scene.controller;
    const router = present(state.router);
    state.router = { ...router, host: "elsewhere.example.com" };
    await scene.change({ images: { router: "example.org/router:9" }, user: { name: "Other" } });
    const told = await scene.until("what is held back in both worlds", (object) => {
      const message = conditionOf(object, "Paused")?.message ?? "";
      return object.status?.observedGeneration === object.metadata.generation &&
        [
          "create RoleBinding port-manager",
          "update Deployment router (spec.template",
          "update DefaultRouter",
          "update User",
        ]
          .every((write) => message.includes(write));
    });
    for (const type of ["Ready", "ready", "ObjectsApplied", "Paused"]) {
      assertEquals(conditionOf(told, type)?.reason, "Paused", type);
    }
    assertEquals([conditionOf(told, "Stalled")?.status, stateOf(told)], ["True", "deploying"]);
    const { message } = present(conditionOf(told, "Paused"));
    const { code, stdout } = await scene.command("status");
    assertEquals(code, 1);
    assert(stdout.includes(message), stdout);
    const diff = await scene.command("diff");
    assertEquals(diff.code, 1);
    assertMatch(diff.stdout, /^create RoleBinding port-manager$/m);
    assertMatch(diff.stderr, /paused by its annotation/);
    await eventually(
      "an Event",
      async () => (await scene.list(Event)).map(({ reason, type }) => `${type} ${reason}`),
      (events) => events.includes("Warning Paused"),
    );
    await pause(1_000);
    assertEquals(await writesSince(scene, pausedAt), []);
    assertEquals(changesAtController(scene), calls);

    const took = await timed(async () => {
      await setPause(scene, null);
      await eventually("both worlds to be right", async () => [
        (await scene.find(RoleBinding, "port-manager")) !== undefined,
        (await scene.get(Deployment, "router")).spec?.template.spec?.containers[0]?.image,
        state.router?.host,
      ], (seen) => seen.join() === `true,example.org/router:9,${router.host}`);
    });
    assert(took < 1_000 + slackMs, `it took ${Math.round(took)} ms`);
    const after = await scene.untilReady();
    assertEquals(conditionOf(after, "Paused"), undefined, describeStatus(after));
  },
);

scenario("a new ControlPlane that is paused is only looked at, and can be deleted", async (scene) => {
  scene.operateHere((_, proceed) => proceed());
  const metadata = { namespace: scene.namespace, name: NAME, annotations: { "iofog.org/pause": "true" } };
  await scene.client.create(ControlPlane, { metadata, spec: scene.spec() } as never);
  const object = await scene.until(
    "the pause to be told",
    (seen) => conditionOf(seen, "Ready")?.reason === "Paused",
  );
  assertMatch(present(conditionOf(object, "Paused")).message, /: create .*Deployment controller/);
  assertEquals(await scene.children(), []);
  assertEquals(scene.controller.state.users, []);
  const { code, stderr } = await scene.command("once", ["--log-level=error"]);
  assert(code !== 0, stderr);

  await scene.client.delete(ControlPlane, { namespace: scene.namespace, name: NAME });
  await eventually("it to be gone", () => scene.find(ControlPlane, NAME), (seen) => seen === undefined);
  assertEquals(await writesSince(scene, 0), []);

  // Any other value is no pause.
  await scene.client.create(ControlPlane, {
    metadata: { ...metadata, annotations: { "iofog.org/pause": "false" } },
    spec: scene.spec(),
  } as never);
  await scene.untilReady();
});
