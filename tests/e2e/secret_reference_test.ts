/** Passwords and tokens in Secrets that the spec names: followed when they change, and told when they are not there. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Event, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { decodedData } from "../golden/recordings.ts";
import { conditionOf, type Json, newPassword, registeredToken, scenario, type Scene } from "./harness.ts";
import { eventually, pause } from "./waiting.ts";

type Values = Readonly<Record<string, string>>;

async function makeSecret(scene: Scene, name: string, stringData: Values, type = "Opaque"): Promise<void> {
  await scene.client.create(Secret, { metadata: { namespace: scene.namespace, name }, type, stringData });
}

async function editSecret(scene: Scene, name: string, patch: Json): Promise<void> {
  await scene.client.patch(Secret, { namespace: scene.namespace, name }, { type: "merge", patch });
}

async function deleteSecret(scene: Scene, name: string): Promise<void> {
  await scene.client.delete(Secret, { namespace: scene.namespace, name });
}

async function valuesOf(scene: Scene, name: string): Promise<Values> {
  return decodedData((await scene.get(Secret, name)).data ?? {});
}

/** How often each Deployment's template or size changed. */
async function generations(scene: Scene): Promise<Readonly<Record<string, number | undefined>>> {
  const names = ["controller", "port-manager", "router"];
  const found = await Promise.all(names.map((name) => scene.get(Deployment, name)));
  return Object.fromEntries(found.map(({ metadata }) => [metadata?.name, metadata?.generation]));
}

async function untilStored(scene: Scene, name: string, key: string, value: string): Promise<void> {
  await eventually(
    `${key} of Secret ${name}`,
    async () => (await valuesOf(scene, name))[key] === value,
    (same) => same,
    { show: () => "another value" },
  );
}

const database = {
  provider: "postgres",
  host: "db.example.com",
  port: 5432,
  user: "iofog",
  databaseName: "iofog",
};
const references = {
  user: { password: null, passwordSecretRef: { name: "login", key: "password" } },
  database: { ...database, passwordSecretRef: { name: "db", key: "pw" } },
  controller: { proxyBrokerTokenSecretRef: { name: "broker", key: "token" } },
};

scenario("passwords and a token come from Secrets, and follow them", async (scene) => {
  const [first, second] = [newPassword(), newPassword()];
  const [broker, nextBroker] = [registeredToken(), registeredToken()];
  const [ofDatabase, nextOfDatabase, foreign] = [registeredToken(), registeredToken(), registeredToken()];
  await makeSecret(scene, "foreign", { password: foreign });
  await makeSecret(scene, "db", { pw: ofDatabase });
  await makeSecret(scene, "broker", { token: broker });
  const operator = scene.operateHere((_, proceed) => proceed());
  await scene.create(references);
  const missing = await scene.until(
    "the missing Secret to be told",
    (object) => conditionOf(object, "Stalled")?.reason === "SecretNotFound",
  );
  assertMatch(
    conditionOf(missing, "Stalled")?.message ?? "",
    /^spec\.user\.passwordSecretRef names Secret login, which does not exist: create it/,
  );
  assertEquals(await scene.children(), []);
  // As `kubectl create secret generic login --from-file=password` leaves it.
  await makeSecret(scene, "login", { password: `${first}\n` });
  await scene.untilReady();
  const { users } = scene.controller.state;
  assertEquals(users.map(({ password }) => password), [first]);
  assertEquals((await valuesOf(scene, "controller-credentials"))["password"], btoa(first));
  assertEquals((await valuesOf(scene, "controller-db-credentials"))["password"], ofDatabase);
  assertEquals((await valuesOf(scene, "controller-s2s-tokens"))["proxy-broker-token"], broker);
  const installed = await generations(scene);
  assertEquals(installed, { controller: 1, "port-manager": 1, router: 1 });

  // Another password: the Controller has it first, and only who reads it starts again.
  await editSecret(scene, "login", { stringData: { password: second } });
  await untilStored(scene, "controller-credentials", "password", btoa(second));
  assertEquals(scene.controller.state.users.map(({ password }) => password), [second]);
  await eventually("the roll", () => generations(scene), (seen) => seen["port-manager"] === 2);
  await scene.untilReady();
  assertEquals(await generations(scene), { ...installed, "port-manager": 2 });

  await editSecret(scene, "broker", { stringData: { token: nextBroker } });
  await untilStored(scene, "controller-s2s-tokens", "proxy-broker-token", nextBroker);
  await eventually("the roll", () => generations(scene), (seen) => seen["controller"] === 2);
  await editSecret(scene, "db", { stringData: { pw: nextOfDatabase } });
  await untilStored(scene, "controller-db-credentials", "password", nextOfDatabase);
  await eventually("the roll", () => generations(scene), (seen) => seen["controller"] === 3);
  await scene.untilReady();
  await scene.untilAtRest();

  // What is not the value changes nothing, nor does a Secret of somebody else's.
  const quietAt = Date.now();
  const asked = scene.controller.requests.length;
  await editSecret(scene, "login", { metadata: { labels: { a: "b" } }, stringData: { other: "value" } });
  await editSecret(scene, "foreign", { stringData: { password: registeredToken() } });
  await pause(1_500);
  const isRest = (write: string) => !write.includes(" events/");
  assertEquals((await scene.writes(quietAt)).filter(isRest), []);
  assertEquals(scene.controller.requests.slice(asked).filter(({ method }) => method !== "GET"), []);
  const read = (await scene.requests()).filter(({ resource, verb }) =>
    resource === "secrets" && verb === "get"
  );
  const own = /^(controller-(credentials|db-credentials|s2s-tokens)|router-(ca|internal|amqps))$/;
  const others = new Set(read.map(({ name = "" }) => name).filter((name) => !own.test(name)));
  assertEquals([...others].sort(), ["broker", "db", "login"]);

  // Back to the plain field.
  await scene.change({ user: { password: btoa(first), passwordSecretRef: null } });
  await untilStored(scene, "controller-credentials", "password", btoa(first));
  await scene.untilReady();
  assertEquals(scene.controller.state.users.map(({ password }) => password), [first]);
  const events = (await scene.list(Event)).map(({ message }) => message);
  const said = [...operator.lines, ...events, JSON.stringify((await scene.controlPlane()).status)];
  for (const secret of [first, second, broker, nextBroker, ofDatabase, nextOfDatabase, foreign]) {
    assert(!said.some((text) => text?.includes(secret)), "a secret was told");
  }
});

scenario(
  "a referenced Secret that goes bad is one condition, changes nothing, and is mended",
  async (scene) => {
    const password = newPassword();
    const operator = scene.operateHere((_, proceed) => proceed());
    await makeSecret(scene, "login", { password });
    await scene.create({ user: references.user });
    await scene.untilReady();
    const bad: readonly [reason: string, message: RegExp, break_: () => Promise<unknown>][] = [
      [
        "SecretKeyMissing",
        /key password of Secret login, which has no such key: add it/,
        () => editSecret(scene, "login", { data: { password: null } }),
      ],
      [
        "SecretKeyMissing",
        /which is empty there/,
        () => editSecret(scene, "login", { data: { password: "" } }),
      ],
      [
        "SecretValueUnusable",
        /fewer than 8 characters/,
        () => editSecret(scene, "login", { stringData: { password: "kurz" } }),
      ],
      [
        "SecretValueUnusable",
        /not UTF-8 text/,
        () => editSecret(scene, "login", { data: { password: new Uint8Array([255, 0, 255]).toBase64() } }),
      ],
      ["SecretNotFound", /does not exist: create it/, () => deleteSecret(scene, "login")],
      ["SecretTypeWrong", /is of type kubernetes\.io\/ssh-auth: use one of type Opaque/, async () => {
        await deleteSecret(scene, "login");
        await makeSecret(
          scene,
          "login",
          { password, "ssh-privatekey": registeredToken() },
          "kubernetes.io/ssh-auth",
        );
      }],
    ];
    for (const [reason, message, breakIt] of bad) {
      const versions = async () =>
        (await scene.children()).map(({ object }) =>
          `${object.metadata?.uid} ${object.metadata?.resourceVersion}`
        );
      const [before, asked] = [await versions(), scene.controller.requests.length];
      await breakIt();
      const refused = await scene.until(
        `${reason} to be told`,
        (object) =>
          conditionOf(object, "Stalled")?.reason === reason &&
          message.test(conditionOf(object, "Stalled")?.message ?? ""),
      );
      const conditions = refused.status?.conditions ?? [];
      assertEquals(
        conditions.filter(({ status }) => status === "True").map(({ type }) => type),
        ["deploying", "Stalled"],
      );
      assertMatch(conditionOf(refused, "Stalled")?.message ?? "", /^spec\.user\.passwordSecretRef /);
      assertEquals(await versions(), before);
      assertEquals(
        scene.controller.requests.slice(asked).filter(({ method }) => method !== "GET"),
        [],
      );
      if (await scene.find(Secret, "login") !== undefined) {
        await deleteSecret(scene, "login");
      }
      await makeSecret(scene, "login", { password });
      await scene.untilReady();
    }
    const events = (await scene.list(Event)).map(({ reason }) => reason);
    for (const [reason] of bad) {
      assert(events.includes(reason), `${reason} is not among ${events}`);
    }
    assert(![...operator.lines].some((line) => line.includes(password)));
  },
);

scenario("diff says that a password will be changed, and shows none", async (scene) => {
  await makeSecret(scene, "login", { password: scene.password });
  const operator = scene.operate();
  await scene.create({ user: references.user });
  await scene.untilReady();
  await operator.stop();
  const password = newPassword();
  await editSecret(scene, "login", { stringData: { password } });
  const { code, stdout } = await scene.command("diff");
  assertEquals(
    stdout,
    [
      "update User somebody@example.com in the Controller",
      "~ password",
      "- password: refused",
      "+ password: accepted",
      "",
      "",
    ].join("\n"),
  );
  assertEquals(code, 1);
  assertEquals(scene.controller.state.users.map((user) => user.password), [scene.password]);
});
