/** What the operator does while it waits for others: nothing. The Go operator makes 73 requests a minute then. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Event } from "../../src/kubernetes/generated/core_v1.ts";
import { conditionOf, type ControlPlaneObject, scenario } from "./harness.ts";
import { pause } from "./waiting.ts";

/** Seconds that are looked at; shorter only where somebody asks for it while working on the tests. */
const waitSeconds = Number(Deno.env.get("IOFOG_TEST_WAIT_SECONDS") ?? 60);

/** Whether it is known of every pod that no node takes it; until then a status has news. */
function holdsPods(object: ControlPlaneObject): boolean {
  return ["Controller", "Router", "PortManager"].every((part) =>
    conditionOf(object, `${part}Available`)?.reason === "Unschedulable"
  );
}

scenario(`nothing is written while pods do not start for ${waitSeconds} seconds`, async (scene) => {
  const { namespace } = scene;
  const release = scene.kubelet.pods.hold({ namespace });
  scene.operate();
  await scene.create();
  await scene.until(
    "only pods to be awaited",
    (object) => conditionOf(object, "RouterRegistered")?.status === "True" && holdsPods(object),
  );
  await scene.untilAtRest();
  const waitsFrom = Date.now();
  await pause(waitSeconds * 1000);
  assertEquals(await scene.writes(waitsFrom), []);
  release();
  await scene.untilReady();
});

scenario("nothing is written while neither addresses nor the Controller nor pods come", async (scene) => {
  const { namespace } = scene;
  const releases = [scene.kubelet.pods.hold({ namespace }), scene.kubelet.cloud.hold({ namespace })];
  await scene.controller.goDown();
  scene.operate();
  await scene.create();
  const waiting = await scene.until(
    "nothing to be left to write",
    (object) =>
      conditionOf(object, "ObjectsApplied")?.status === "True" && holdsPods(object) &&
      conditionOf(object, "ControllerReachable")?.reason === "ControllerUnreachable",
  );
  assertEquals(conditionOf(waiting, "AddressesKnown")?.reason, "AddressPending");
  assertMatch(conditionOf(waiting, "ControllerReachable")?.message ?? "", /127\.0\.0\.1:\d+ cannot be used/);
  await scene.untilAtRest();
  const waitsFrom = Date.now();
  await pause(waitSeconds * 500);
  assertEquals(await scene.writes(waitsFrom), []);
  const messages = (await scene.list(Event)).map(({ message }) => message);
  assert(messages.length < 10, `${messages.length} Events: ${messages.join("; ")}`);
  for (const release of releases) release();
  await scene.controller.comeUp();
  await scene.untilReady();
});
