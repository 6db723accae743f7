/**
 * What can change under an operator of the edge while it runs: the version of the Controller, and which kinds are
 * served. On a cluster of its own, since CRDs have no namespace.
 *
 * `deno task faults` runs it.
 */

import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../src/clock.ts";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { isStatus } from "../../src/kubernetes/errors.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import type { Condition, Parent } from "../../src/operator/definition.ts";
import { type EdgeGroup, edgeResourceOf } from "../../src/resources/edge/crds.ts";
import type { Controller } from "../controller/controller.ts";
import { contentsOf, differences } from "../controller/edge_contents.ts";
import { edgeOf, installEdgeCrds } from "../e2e/edge_scene.ts";
import { conditionOf, type ControlPlaneObject, scenario, type Scene, untilServed } from "../e2e/harness.ts";
import { potCluster, potScenario } from "../e2e/pot_harness.ts";
import { eventually, pause } from "../e2e/waiting.ts";
import { registerSecret } from "../secrets.ts";
import { LONG_VARIABLE } from "./long.ts";

const flags = ["--resync-interval=1s"];
const board = { name: "board", agent: { name: "press" }, images: { x86: "board:1" } };
const application = (description: string, group: EdgeGroup) => ({
  description,
  microservices: [board],
  ...(group === "iofog.org"
    ? { routes: [{ name: "self", from: "board", to: "board" }] }
    : { natsConfig: { natsAccess: true } }),
});

/** Another version answers while writes are under way, and the one from before again. */
async function changeVersions(
  scene: Scene,
  controller: Controller,
  group: EdgeGroup,
  until: (what: string, accept: (object: ControlPlaneObject) => boolean) => Promise<unknown>,
): Promise<void> {
  const [own, other] = group === "iofog.org" ? ["3.0.4", "3.7.3"] as const : ["3.7.3", "3.0.4"] as const;
  const world = edgeOf(scene, group, controller);
  await world.make("Agent", "press", { host: "10.0.0.1", config: { agentType: "x86" } });
  await world.make("EdgeResource", "camera", { version: "1.0.0", interfaceProtocol: "http" });
  await world.make("Application", "app", application("first", group));
  await world.until("Application", "app", /False Starting/);
  await world.until("EdgeResource", "camera", /True Ready/);
  const before = contentsOf(controller.state);
  const changes = () =>
    controller.requests
      .filter(({ answered, method, path }) => method !== "GET" && answered < 400 && !path.endsWith("/login"))
      .map(({ method, path }) => `${method} ${path}`);

  // In the middle of many writes; some have been answered, some have not.
  for (let number = 0; number < 5; number++) {
    await world.make("Agent", `more-${number}`, { host: "10.0.1.1", config: { agentType: "x86" } });
  }
  await eventually(
    "the first of them",
    () => Promise.resolve(controller.state.agents.length),
    (count) => count > 1,
  );
  controller.speak(other);
  controller.forgetRequests();
  await world.change("Application", "app", { description: "second" });
  await world.delete("EdgeResource", "camera");
  await until("the other version to be told", (object) => {
    const { message = "", status } = conditionOf(object, "Ready") ?? {};
    return status !== "True" && message.includes(`is of version ${other}`);
  });
  await eventually(
    "the application to tell it too",
    () => world.get("Application", "app"),
    ({ status }) =>
      status?.conditions?.some(({ message, reason, status, type }) =>
        type === "Ready" && status === "Unknown" && reason === "ControllerUnreachable" &&
        /is of version .* nothing is changed in it/.test(message)
      ) ?? false,
    { show: ({ status }) => JSON.stringify(status), withinMs: 30_000 },
  );
  // One at a time is on its way.
  assertEquals(changes().filter((call, index) => index > 0 || call !== "POST /api/v3/iofog"), []);
  const kept = (state: unknown) =>
    differences(before, state).filter((line) => !/more-\d| agentRouters /.test(line));
  assertEquals(kept(contentsOf(controller.state)), []);

  controller.speak(own);
  await eventually(
    "what was wanted meanwhile",
    () => Promise.resolve(controller.state),
    ({ agents, applications, edgeResources }) =>
      agents.length === 6 && edgeResources.length === 0 &&
      applications.find(({ name }) => name === "app")?.description === "second",
    { withinMs: 60_000 },
  );
  for (let number = 0; number < 5; number++) {
    await world.until("Agent", `more-${number}`, /True NotProvisioned/);
  }
  await world.until("Application", "app", /False Starting/);
  const conditions = await Promise.all(
    ["press", "app"].map(async (name) =>
      (await world.get(name === "app" ? "Application" : "Agent", name)).status?.conditions
        ?.filter(({ reason }) => /NotOurs|Conflict|Refused/.test(reason))
    ),
  );
  assertEquals(conditions, [[], []]);
  const names = controller.state.agents.map(({ name }) => name).toSorted();
  assertEquals(names, [...[0, 1, 2, 3, 4].map((number) => `more-${number}`), "press"]);
  assertEquals(controller.state.routings.length, group === "iofog.org" ? 1 : 0);
}

/** Somebody else changes what the operator is let in with, and the tokens that there are end. */
async function changePassword(
  scene: Scene,
  controller: Controller,
  group: EdgeGroup,
  { change, logins, mend, until }: {
    readonly change: () => Promise<void>;
    /** How often it was tried so far. */
    readonly logins: () => number;
    readonly mend: () => Promise<unknown>;
    readonly until: (what: string, accept: (object: ControlPlaneObject) => boolean) => Promise<unknown>;
  },
): Promise<void> {
  const world = edgeOf(scene, group, controller);
  const before = contentsOf(controller.state);
  await change();
  controller.expireTokens();
  await world.change("Application", "app", { description: "after the password" });
  await until(
    "the password to be told",
    ({ status }) => status?.conditions?.some(({ reason }) => reason === "InvalidCredentials") ?? false,
  );
  await world.until("Application", "app", /Unknown ControllerUnreachable/);
  await world.until("Agent", "press", /Unknown ControllerUnreachable/);
  const tried = logins();
  await pause(3_000);
  // Looked at each second, tried again less and less.
  assert(logins() - tried <= 1, `${logins() - tried} logins`);
  assertEquals(differences(before, contentsOf(controller.state)), []);
  await mend();
  await eventually(
    "what was wanted meanwhile",
    () => Promise.resolve(controller.state.applications.find(({ name }) => name === "app")),
    (found) => found?.description === "after the password",
    { withinMs: 60_000 },
  );
  await world.until("Application", "app", /False Starting/);
  await world.until("Agent", "press", /True NotProvisioned/);
}

if (Deno.env.has(LONG_VARIABLE)) {
  const cluster = await potCluster();
  Deno.test.afterAll(() => cluster.stop());
  await installEdgeCrds(cluster, "iofog.org");

  scenario(
    "F25 F53 a Controller that answers as PoT's, or lets nobody in, is left alone and told, and converges when it is mended",
    async (scene) => {
      await scene.create();
      scene.operateHere((_, proceed) => proceed(), flags);
      await scene.untilReady();
      await changeVersions(
        scene,
        scene.controller,
        "iofog.org",
        (what, accept) => scene.until(what, accept, { withinMs: 60_000 }),
      );
      await scene.untilReady({ withinMs: 60_000 });

      // A later one of its own generation is served as before.
      const { controller } = scene;
      const versions = { controller: "3.0.5", ecnViewer: "3.0.2" };
      const body = JSON.stringify({ status: "online", timestamp: 1, uptimeSec: 1, versions });
      const action = { type: "answer", status: 200, contentType: "application/json", body } as const;
      controller.breakAt({ path: "/status", action, times: Infinity });
      await scene.until("the other version", ({ status }) => status?.controllerVersion === "3.0.5");
      controller.forgetRequests();
      const world = edgeOf(scene);
      await world.change("Application", "app", { description: "third" });
      await eventually("the change", () => Promise.resolve(world.calls()), (calls) => calls.length > 0);
      assertEquals(world.calls(), ["PATCH /application/app"]);
      await scene.untilReady();

      const password = registerSecret(`Pw-${crypto.randomUUID()}`);
      await changePassword(scene, controller, "iofog.org", {
        change() {
          for (const user of controller.state.users) user.password = password;
          return Promise.resolve();
        },
        logins: () => controller.requests.filter(({ path }) => path.endsWith("/user/login")).length,
        mend: () => scene.change({ user: { password: btoa(password) } }),
        until: (what, accept) => scene.until(what, accept),
      });
      await scene.untilReady();
    },
    { cluster },
  );

  potScenario(
    "F25 F37 F53 PoT: its kinds of the edge come long after the start; a Controller that answers as ioFog's, or lets nobody in, is left alone",
    cluster,
    async (pot) => {
      const { controller, keycloak, scene } = pot;
      await pot.create();
      const operator = scene.operateHere((_, proceed) => proceed(), [
        ...flags,
        `--controller-url=${controller.url}`,
      ]);
      await pot.untilReady();
      assertEquals(operator.lines.filter((line) => line.includes("deploy/edge-addon/pot")).length, 1);
      await installEdgeCrds(cluster, "datasance.com");
      await changeVersions(
        scene,
        controller,
        "datasance.com",
        (what, accept) => pot.until(what, accept, { withinMs: 60_000 }),
      );
      await pot.untilReady();
      await changePassword(scene, controller, "datasance.com", {
        change: () => keycloak.changeSecret(`another-${crypto.randomUUID()}`),
        logins: () => keycloak.requests.length,
        mend: () => pot.change({ auth: { controllerSecret: keycloak.issuing.clientSecret } }),
        until: pot.until,
      });
      await pot.untilReady();
      assertEquals(operator.lines.filter((line) => line.includes("deploy/edge-addon/pot")).length, 1);
    },
  );

  scenario(
    "F37 Applications are served as apps instead of applications, and the other way: they are kept under either",
    async (scene) => {
      const { client, controller, namespace } = scene;
      await scene.create();
      // It looks every 30 s what is served.
      const sleep: Clock["sleep"] = (ms, signal) => systemClock.sleep(Math.min(ms, 2_000), signal);
      scene.operateHere((_, proceed) => proceed(), flags, { ...systemClock, sleep });
      await scene.untilReady();
      const world = edgeOf(scene);
      const crd = await client.get(CustomResourceDefinition, { name: "applications.iofog.org" });
      await world.make("Agent", "press", { host: "10.0.0.1", config: { agentType: "x86" } });
      await world.make("Application", "app", application("first", "iofog.org"));
      await world.until("Application", "app", /False Starting/);
      for (const plural of ["apps", "applications"]) {
        const former = plural === "apps" ? "applications" : "apps";
        const name = `${former}.iofog.org`;
        const resource = edgeResourceOf("Application", "iofog.org", plural);
        await client.delete(CustomResourceDefinition, { name });
        await eventually(
          `${name} to be gone`,
          async () => {
            try {
              return await client.get(CustomResourceDefinition, { name });
            } catch (error) {
              if (isStatus(error, 404)) return undefined;
              throw error;
            }
          },
          (found) => found === undefined,
          { withinMs: 30_000 },
        );
        const metadata = { name: `${plural}.iofog.org` };
        const spec = { ...crd.spec, names: { ...crd.spec.names, plural } };
        await client.create(CustomResourceDefinition, { metadata, spec });
        await untilServed(client, resource);
        await client.create(
          resource,
          { metadata: { namespace, name: "app" }, spec: application(plural, "iofog.org") } as KubeObject,
        );
        await eventually(
          `the application to be kept as one of ${plural}`,
          () => scene.get(resource, "app") as Promise<Parent<unknown, { conditions?: readonly Condition[] }>>,
          ({ status }) =>
            status?.conditions?.some(({ reason, type }) => type === "Ready" && reason === "Starting") ??
              false,
          { show: ({ status }) => JSON.stringify(status), withinMs: 90_000 },
        );
        assertEquals(controller.state.applications.map(({ description }) => description), [plural]);
        assertEquals(controller.state.microservices.map((each) => each.name), ["board"]);
        assertEquals(controller.state.agents.map((each) => each.name), ["press"]);
      }
      await scene.untilReady();
    },
    { cluster },
  );
}
