/** `ready` says what is true now: it is lowered when something stops working, and raised when it works again. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ApiError } from "../../src/kubernetes/errors.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Event, Service } from "../../src/kubernetes/generated/core_v1.ts";
import { RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { Resource } from "../../src/kubernetes/resource.ts";
import { watchConditions } from "./condition_history.ts";
import { conditionOf, type ControlPlaneObject, present, scenario, type Scene, stateOf } from "./harness.ts";
import { eventually, pause } from "./waiting.ts";

/** Waits until the control plane is not ready for `reason`; returns the message. */
async function untilNotReady(scene: Scene, reason: string): Promise<string> {
  const isSo = (object: ControlPlaneObject) => conditionOf(object, "Ready")?.reason === reason;
  const object = await scene.until(`it not to be ready for ${reason}`, isSo);
  assertEquals(["ready", "Ready"].map((type) => conditionOf(object, type)?.status), ["False", "False"]);
  assertEquals(stateOf(object), "deploying");
  return conditionOf(object, "Ready")?.message ?? "";
}

/** What Events tell, e.g. `Warning PodsUnavailable`. */
async function told(scene: Scene): Promise<readonly string[]> {
  return (await scene.list(Event)).filter(({ source }) => source?.component === "iofog-operator")
    .map(({ type, reason }) => `${type} ${reason}`);
}

scenario("a component that loses its pods lowers ready, one after the other", async (scene) => {
  const { namespace } = scene;
  const operator = scene.operate();
  await scene.create();
  await scene.untilReady();
  for (const name of ["router", "controller", "port-manager"]) {
    const release = scene.kubelet.pods.unready({ namespace, name: new RegExp(`^${name}-`) });
    assertMatch(
      await untilNotReady(scene, "PodsUnavailable"),
      new RegExp(`^Deployment ${name} has 0 of 1 pods available.*describe pods -l name=${name}$`),
    );
    release();
    await scene.untilReady();
  }
  assert((await told(scene)).includes("Warning PodsUnavailable"));
  const { text } = await operator.read("/metrics");
  assertMatch(
    text,
    new RegExp(
      `iofog_operator_condition\\{kind="ControlPlane",namespace="${namespace}",name="iofog",type="Ready"\\} 1`,
    ),
  );
});

scenario(
  "a router that does not start again lowers ready, and leaves the old one at work",
  async (scene) => {
    const { namespace } = scene;
    scene.operate();
    await scene.create();
    await scene.untilReady();
    const release = scene.kubelet.pods.hold({ namespace, name: /^router-/ });
    await scene.change({ images: { router: "example.org/router:9" } });
    await scene.until(
      "the router not to be ready",
      (object) => conditionOf(object, "RouterAvailable")?.reason === "Unschedulable",
    );
    assertEquals((await scene.get(Deployment, "router")).status?.availableReplicas, 1);
    release();
    await scene.untilReady();
  },
);

scenario("F24 a Controller that goes down lowers ready until it is back", async (scene) => {
  scene.operate();
  await scene.create();
  await scene.untilReady();
  await scene.controller.goDown();
  const message = await untilNotReady(scene, "ControllerUnreachable");
  assertMatch(message, /^the Controller at http:\/\/127\.0\.0\.1:\d+ cannot be used: /);
  // The message is stable, so that it is written once.
  await scene.untilAtRest();
  const downFrom = Date.now();
  await pause(4_000);
  assertEquals(await scene.writes(downFrom), []);
  await scene.controller.comeUp();
  await scene.untilReady();
  assert((await told(scene)).includes("Warning ControllerUnreachable"));
});

scenario("F26 an answer that is not the Controller's is no reason to change anything", async (scene) => {
  scene.operate();
  await scene.create();
  await scene.untilReady();
  const { controller } = scene;
  const before = structuredClone({ ...controller.state, tokens: [] });
  const removals = [/./, "/status"].map((path) =>
    controller.breakAt({ path, times: Infinity, action: { type: "answer", status: 200, body: "<html>" } })
  );
  assertMatch(await untilNotReady(scene, "BadResponse"), /cannot be used/);
  for (const remove of removals) remove();
  await scene.untilReady();
  for (
    const [path, action] of [
      ["/router", { type: "cut" }],
      ["/user/profile", { type: "answer", status: 502 }],
      ["/user/profile", { type: "answer", status: 302, location: "http://127.0.0.1:1/" }],
      ["/config/iofog-inventory", { type: "answer", status: 404 }],
    ] as const
  ) {
    const remove = controller.breakAt({ path, method: "GET", times: Infinity, action });
    assertMatch(await untilNotReady(scene, "BadResponse"), new RegExp(`GET ${path}: unusable answer`));
    remove();
    await scene.untilReady();
  }
  assertEquals({ ...controller.state, tokens: [] }, before);
});

scenario("F28 a router that somebody registers elsewhere is put right", async (scene) => {
  const operator = scene.operate();
  await scene.create();
  await scene.untilReady();
  const { state } = scene.controller;
  const right = present(state.router);
  for (const change of [{ host: "evil.example.com" }, { edgeRouterPort: 1 }, { messagingPort: 2 }]) {
    state.router = { ...right, ...change };
    await eventually(
      "the registration to be as before",
      () => state.router,
      (router) =>
        router?.host === right.host && router.edgeRouterPort === right.edgeRouterPort &&
        router.messagingPort === right.messagingPort,
    );
  }
  state.router = undefined;
  await eventually("a registration", () => state.router?.host, (host) => host === right.host);
  await scene.untilReady();
  assert((await told(scene)).includes("Normal Repaired"));
  const { text } = await operator.read("/metrics");
  assertMatch(text, /iofog_operator_drift_repairs_total\{kind="DefaultRouter"\} [1-9]/);
});

scenario("a Controller that does not answer in time does not delay a repair in Kubernetes", async (scene) => {
  const { namespace } = scene;
  scene.operate();
  await scene.create();
  await scene.untilReady();
  const { requests } = scene.controller;
  scene.controller.breakAt({ times: Infinity, action: { type: "hang", ms: 120_000 } });
  for (const resource of [Service, RoleBinding] as readonly Resource[]) {
    const { metadata } = await scene.get(resource, "router");
    const before = requests.length;
    // One that has just begun: it is given up after 10 s, and the next one comes later.
    await eventually("a request that hangs", () => requests.length, (count) => count > before);
    const hanging = requests.length;
    await scene.client.delete(resource, { namespace, name: "router" });
    await eventually(
      "its return",
      () => scene.find(resource, "router"),
      (found) => found !== undefined && found.metadata?.uid !== metadata?.uid,
    );
    assertEquals(requests.length, hanging, `the repair of ${resource.kind} router waited for the Controller`);
  }
  assertMatch(
    await untilNotReady(scene, "ControllerUnreachable"),
    /within 10 s|deadline|10000|did not answer/,
  );
  scene.controller.clearFaults();
  await scene.untilReady({ withinMs: 60_000 });
});

scenario("a restarted operator does not lower ready while it looks around", async (scene) => {
  const first = scene.operate();
  await scene.create();
  await scene.untilReady();
  await scene.untilAtRest();
  await first.stop();
  await using history = watchConditions(scene);
  const restartedAt = Date.now();
  const second = scene.operate();
  await eventually(
    "the second operator to have looked",
    () => second.read("/readyz"),
    ({ status }) => status === 200,
  );
  await pause(3_000);
  assertEquals(new Set(history.states()), new Set(["ready"]));
  assertEquals(await scene.writes(restartedAt), []);
});

scenario("a list that fails makes the operator unready only after three intervals", async (scene) => {
  let isBroken = false;
  let brokenAt: number | undefined;
  const operator = scene.operateHere(async (request, proceed) => {
    if (isBroken && request.plural === "controlplanes" && ["list", "watch"].includes(request.verb)) {
      brokenAt ??= performance.now();
      throw new ApiError("etcd has no leader", { status: 500, reason: "InternalError" });
    }
    return await proceed();
  }, ["--resync-interval=1s"]);
  const { health } = await eventually(
    "the address of the probes",
    () => operator.lines.map((line) => JSON.parse(line)).find((line) => "health" in line),
    (line) => line !== undefined,
  );
  const probe = async () => {
    const answer = await fetch(`${health}/readyz`);
    return { status: answer.status, text: await answer.text() };
  };
  await eventually("it to be ready", probe, ({ status }) => status === 200);
  isBroken = true;
  await eventually(
    "the failure to be noticed",
    () => operator.lines.some((line) => line.includes("etcd has no leader")),
    Boolean,
  );
  await eventually(
    "it to be unready",
    probe,
    ({ status, text }) => status === 503 && text.includes("etcd has no leader"),
  );
  const tookMs = performance.now() - (brokenAt ?? Infinity);
  assert(tookMs > 3_000, `it was unready ${tookMs} ms after the first list that failed`);
  isBroken = false;
  await eventually("it to be ready again", probe, ({ status }) => status === 200);
});
