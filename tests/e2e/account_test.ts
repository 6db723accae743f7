/** The user in the Controller: signed up once, logged in seldom, with a password that can change. */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Event, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { ApiError } from "../../src/kubernetes/errors.ts";
import { watchConditions } from "./condition_history.ts";
import { dying, freeLease } from "./dying.ts";
import { conditionOf, newPassword, present, scenario, type Scene } from "./harness.ts";
import { eventually, pause } from "./waiting.ts";

/** Requests to the Controller since `from`, such as `POST /user/login 200`. */
function asked(scene: Scene, from = 0): readonly string[] {
  return scene.controller.requests.slice(from)
    .map(({ method, path, answered }) => `${method} ${path.replace("/api/v3", "")} ${answered}`);
}

/** Password in the Secret that the Port Manager reads, as a person would type it. */
async function storedPassword(scene: Scene): Promise<string> {
  const { data } = await scene.get(Secret, "controller-credentials");
  return atob(atob(data?.["password"] ?? ""));
}

scenario("F27 an emptied Controller gets its user and router again", async (scene) => {
  scene.operate();
  await scene.create();
  await scene.untilReady();
  const { state } = scene.controller;
  const { host } = state.router ?? {};
  const planted = state.config.map(({ key, value }) => ({ key, value }));
  scene.controller.forgetEverything();
  await eventually(
    "the user and the router",
    () => ({ users: state.users.length, host: state.router?.host }),
    (seen) => seen.users === 1 && seen.host === host,
  );
  await eventually(
    "the planted id",
    () => state.config.map(({ key, value }) => ({ key, value })),
    (config) => JSON.stringify(config) === JSON.stringify(planted),
  );
  await scene.untilReady();
  assertEquals(state.users.map(({ email, firstName, lastName }) => ({ email, firstName, lastName })), [
    { email: "somebody@example.com", firstName: "Some", lastName: "Body" },
  ]);
  const events = await eventually(
    "the Event that tells it",
    async () => (await scene.list(Event)).filter(({ reason }) => reason === "ControllerReset"),
    (found) => found.length > 0,
    { show: () => "none" },
  );
  assertEquals(events.map(({ count = 1, type }) => [type, count]), [["Warning", 1]]);
  assertMatch(events[0]?.message ?? "", /was emptied.*is made again; nothing is deleted/);
});

scenario("a password is changed in the Controller first, then for the Port Manager", async (scene) => {
  scene.operate();
  await scene.create();
  await scene.untilReady();
  const rolledBefore = (await scene.get(Deployment, "port-manager")).metadata?.generation;
  const password = newPassword();
  const hung = scene.controller.breakAt({
    method: "PATCH",
    path: "/user/password",
    action: { type: "hang", ms: 4_000 },
  });
  const from = scene.controller.requests.length;
  await scene.change({ user: { password: btoa(password) } });
  const waiting = await scene.until(
    "the change to be under way",
    (object) => conditionOf(object, "PasswordApplied")?.status === "False",
  );
  assertEquals(conditionOf(waiting, "Ready")?.status, "False");
  assertMatch(
    conditionOf(waiting, "PasswordApplied")?.message ?? "",
    /^Secret controller-credentials keeps the former login until the Controller accepts the one in spec\.user$/,
  );
  assertEquals(await storedPassword(scene), scene.password);
  await scene.untilReady();
  hung();
  assertEquals(scene.controller.state.users.map((user) => user.password), [password]);
  assertEquals(await storedPassword(scene), password);
  const revision = (await scene.get(Secret, "controller-credentials")).metadata?.annotations
    ?.["iofog.org/revision"];
  const { metadata, spec } = await scene.get(Deployment, "port-manager");
  assertNotEquals(revision, undefined);
  assertEquals(spec?.template.metadata?.annotations, {
    "iofog.org/revision-controller-credentials": revision,
  });
  assertEquals(metadata?.generation, (rolledBefore ?? 0) + 1);
  assertEquals(
    (await scene.get(Deployment, "controller")).metadata?.generation,
    1,
    "the Controller was restarted",
  );
  const changes = asked(scene, from).filter((line) => !line.startsWith("GET"));
  assertEquals(changes, [
    "POST /user/login 401",
    "POST /user/signup 400",
    "POST /user/login 200",
    "PATCH /user/password 204",
    "POST /user/login 200",
    "POST /user/login 200",
  ]);
});

scenario("a password that only changes how it is written is no change for the Controller", async (scene) => {
  scene.operate();
  await scene.create();
  await scene.untilReady();
  await scene.untilAtRest();
  const from = scene.controller.requests.length;
  await scene.change({ user: { password: scene.password } });
  await scene.untilReady();
  const { data } = await eventually(
    "the Secret to be written so",
    () => scene.get(Secret, "controller-credentials"),
    ({ data }) => atob(data?.["password"] ?? "") === scene.password,
  );
  assertEquals(atob(data?.["email"] ?? ""), "somebody@example.com");
  assertEquals(asked(scene, from).filter((line) => !line.startsWith("GET")), []);
});

scenario(
  "F25 a password that somebody else changed is one condition with its remedy, and no loop",
  async (scene) => {
    scene.operate();
    await scene.create();
    await scene.untilReady();
    const user = present(scene.controller.state.users[0]);
    const password = user.password = newPassword();
    scene.controller.state.tokens = [];
    const from = scene.controller.requests.length;
    const refused = await scene.until(
      "the condition",
      (object) => conditionOf(object, "Stalled")?.status === "True",
    );
    assertEquals(conditionOf(refused, "Ready")?.reason, "InvalidCredentials");
    assertMatch(
      conditionOf(refused, "Ready")?.message ?? "",
      /the Controller has a user somebody@example\.com with another password: set spec\.user\.password to that one, or change it in the Controller to the one in spec\.user\.password$/,
    );
    await pause(5_000);
    const logins = () => asked(scene, from).filter((line) => line.startsWith("POST /user/login")).length;
    const burst = logins();
    assert(burst <= 6, `${burst} logins at once`);
    await pause(10_000);
    assert(logins() - burst <= 2, `${logins() - burst} logins in 10 s`);
    assertEquals(scene.controller.state.users.map((each) => each.password), [password]);
    const parts = (await scene.controlPlane()).status?.conditions?.filter(({ type }) =>
      !/^(deploying|ready|Ready|Reconciling|Stalled)$/.test(type)
    );
    assertEquals(parts?.filter(({ status }) => status !== "True").map(({ type }) => type), [
      "UserAuthenticated",
      // Which cannot be looked at without the user.
      "RouterRegistered",
    ]);

    await scene.change({ user: { password: btoa(password) } });
    await scene.untilReady();
    assertEquals(await storedPassword(scene), password);
  },
);

scenario("tokens that ran out cost one login, and nobody notices", async (scene) => {
  scene.operate();
  await scene.create();
  await scene.untilReady();
  await using history = watchConditions(scene);
  const from = scene.controller.requests.length;
  scene.controller.expireTokens();
  await eventually(
    "a request with a new token",
    () => asked(scene, from),
    (lines) => lines.filter((line) => line === "GET /router 200").length >= 2,
  );
  assertEquals(asked(scene, from).filter((line) => line.startsWith("POST")), ["POST /user/login 200"]);
  assertEquals(new Set(history.states()), new Set(["ready"]));
});

scenario("F02 an answer of the Controller that gets lost is no reason to do it twice", async (scene) => {
  const { controller } = scene;
  const drop = { type: "drop" } as const;
  controller.breakAt({ method: "POST", path: "/user/signup", action: drop });
  controller.breakAt({ method: "PUT", path: "/router", action: drop });
  controller.breakAt({ method: "PUT", path: "/config", action: drop });
  controller.breakAt({ method: "POST", path: "/user/login", nth: 2, action: drop });
  controller.breakAt({ method: "PATCH", path: "/user/password", action: drop });
  scene.operate();
  await scene.create();
  await scene.untilReady({ withinMs: 60_000 });
  assertEquals(controller.state.lastIds, { users: 1, config: 1 });

  const password = newPassword();
  await scene.change({ user: { password: btoa(password) } });
  await scene.untilReady({ withinMs: 60_000 });
  assertEquals(controller.state.users.map((each) => each.password), [password]);
  assertEquals(await storedPassword(scene), password);
});

scenario(
  "F52 an operator that ends between the Controller's new password and its own Secret finishes later",
  async (scene) => {
    const first = scene.operate();
    await scene.create();
    await scene.untilReady();
    await first.stop();
    const password = newPassword();
    const user = present(scene.controller.state.users[0]);
    user.password = password;
    scene.controller.state.tokens = [];
    await scene.change({ user: { password: btoa(password) } });
    assertEquals(await storedPassword(scene), scene.password);
    scene.operate();
    await scene.untilReady();
    assertEquals(await storedPassword(scene), password);
  },
);

for (const when of ["before", "after"] as const) {
  scenario(`a password changes although operators die ${when} each of their writes`, async (scene) => {
    const target = { namespace: scene.namespace, name: "login" };
    await scene.client.create(Secret, { metadata: target, stringData: { password: scene.password } });
    const first = scene.operateHere((_, proceed) => proceed());
    await scene.create({ user: { passwordSecretRef: { name: "login", key: "password" } } });
    await scene.untilReady();
    await first.stop();
    const password = newPassword();
    await scene.client.patch(Secret, target, { type: "merge", patch: { stringData: { password } } });
    const diedAt = new Set<string>();
    for (let done = false; !done;) {
      const { hook, dead } = dying(when, (write) => !diedAt.has(write) && diedAt.add(write).size > 0);
      const operator = scene.operateHere(hook);
      await eventually(
        "its death, or the end of its work",
        async () => {
          const { metadata, status } = await scene.get(Deployment, "port-manager");
          const rolled = metadata?.generation === 2 && status?.observedGeneration === 2;
          const ready = conditionOf(await scene.controlPlane(), "Ready")?.status === "True";
          done = !dead() && rolled && ready;
          return done || dead();
        },
        (over) => over,
      );
      await operator.stop();
      await freeLease(scene);
    }
    assertEquals(scene.controller.state.users.map((user) => user.password), [password]);
    assertEquals(await storedPassword(scene), password);
    const { metadata: { annotations } = {} } = await scene.get(Secret, "controller-credentials");
    const { metadata: rolled, spec } = await scene.get(Deployment, "port-manager");
    assertEquals(
      spec?.template.metadata?.annotations?.["iofog.org/revision-controller-credentials"],
      annotations?.["iofog.org/revision"],
    );
    assertEquals(rolled?.generation, 2, "the Port Manager was started again more than once");
    for (const write of ["update configmaps iofog-inventory ", "apply secrets controller-credentials "]) {
      assert(diedAt.has(write), `${write} is not among ${[...diedAt].join(", ")}`);
    }
  });
}

scenario(
  "a second change of a password that comes before the first is stored starts from the first",
  async (scene) => {
    // The first change reaches the Controller, and our own Secret cannot be written.
    let broken = false;
    scene.operateHere(async ({ name, plural, verb }, proceed) => {
      if (broken && plural === "secrets" && name === "controller-credentials" && verb === "apply") {
        throw new ApiError("no answer", { status: 0, reason: "Unreachable" });
      }
      return await proceed();
    });
    await scene.create();
    await scene.untilReady();
    broken = true;
    const [first, second] = [newPassword(), newPassword()];
    await scene.change({ user: { password: btoa(first) } });
    const { users } = scene.controller.state;
    await eventually(
      "the first",
      () => users.map(({ password }) => password === first),
      ([same]) => same === true,
    );
    await scene.change({ user: { password: btoa(second) } });
    await eventually(
      "the second",
      () => users.map(({ password }) => password === second),
      ([same]) => same === true,
    );
    broken = false;
    await scene.untilReady();
    assertEquals(await storedPassword(scene), second);
  },
);

scenario("the user's names follow the spec", async (scene) => {
  scene.operate();
  await scene.create();
  await scene.untilReady();
  await scene.change({ user: { name: "Other", surname: "Person" } });
  await eventually(
    "the names",
    () => scene.controller.state.users.map(({ firstName, lastName }) => `${firstName} ${lastName}`),
    (names) => names.join() === "Other Person",
  );
  await scene.untilReady();
  const user = present(scene.controller.state.users[0]);
  user.firstName = "Drifted";
  await eventually("the repair", () => user.firstName, (name) => name === "Other");
});
