/** A spec that cannot be: one clear condition, nothing changes, and all is well again once it is mended. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ApiError } from "../../src/kubernetes/errors.ts";
import { Event } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { titleOf } from "../golden/recordings.ts";
import {
  conditionOf,
  type ControlPlaneObject,
  type InProcessOperator,
  type Json,
  merged,
  NAME,
  registeredToken,
  scenario,
  type Scene,
  stateOf,
} from "./harness.ts";
import { eventually } from "./waiting.ts";

/** Seven characters: too short for the secret scan, so that it is looked for here. */
const shortPassword = "kurz-7!";
const databasePassword = registeredToken();
const database = {
  provider: "postgres",
  host: "db.example.com",
  port: 5432,
  user: "iofog",
  password: databasePassword,
  databaseName: "iofog",
};

/** An error in a spec, and what the conditions say of it. */
interface BadInput {
  readonly what: string;
  readonly change: Json;
  readonly message: RegExp;
  /** @default "InvalidSpec" */
  readonly reason?: string;
}

const portProblem = /^spec\.(\w+\.)+\w+ must be a port from 1 to 65535$/;

const badInputs: readonly BadInput[] = [
  {
    what: "a first name of two letters",
    change: { user: { name: "Al" } },
    message:
      /^spec\.user\.name must have at least 3 characters, since the Controller refuses a shorter name$/,
  },
  {
    what: "a last name of two letters",
    change: { user: { surname: "Li" } },
    message: /^spec\.user\.surname must have at least 3 characters/,
  },
  {
    what: "no last name",
    change: { user: { surname: "" } },
    message: /^spec\.user\.surname is required, but missing or empty$/,
  },
  {
    what: "an e-mail address that is none",
    change: { user: { email: "somebody" } },
    message: /^spec\.user\.email must be an e-mail address such as admin@example\.com$/,
  },
  {
    what: "a short password",
    change: { user: { password: btoa(shortPassword) } },
    message: /^spec\.user\.password must stand for at least 8 characters.* write the password base64-encoded/,
  },
  {
    what: "a short password as plain text",
    change: { user: { password: shortPassword } },
    message: /^spec\.user\.password must stand for at least 8 characters/,
  },
  ...["controller", "router"].map((name) => ({
    what: `an unknown type of Service ${name}`,
    change: { services: { [name]: { type: "ExternalName" } } },
    message: new RegExp(
      `^spec\\.services\\.${name}\\.type must be one of LoadBalancer, NodePort, ClusterIP$`,
    ),
  })),
  ...[
    { ingresses: { router: { messagePort: 65536 } } },
    { ingresses: { router: { interiorPort: -1 } } },
    { ingresses: { router: { edgePort: 70000 } } },
    { controller: { ecnViewerPort: 100000 } },
    { database: { ...database, port: 65536 } },
  ].map((change) => ({ what: `a port out of range in ${pathOf(change)}`, change, message: portProblem })),
  {
    what: "the Controller's own port for the viewer",
    change: { controller: { ecnViewerPort: 51121 } },
    message: /^spec\.controller\.ecnViewerPort must not be 51121, where the Controller's API listens$/,
  },
  {
    what: "two Controllers on sqlite",
    change: { replicas: { controller: 2 } },
    message: /^spec\.replicas\.controller must be 1 with the embedded sqlite.* or give an external database/,
  },
  {
    what: "a negative number of Controllers",
    change: { replicas: { controller: -1 } },
    message: /^spec\.replicas\.controller must be at least 1$/,
  },
  {
    what: "half a database",
    change: { database: { ...database, host: "", databaseName: "" } },
    message:
      /^spec\.database lacks host, databaseName: an external database needs all six fields; leave all out/,
  },
  {
    what: "sqlite on a host",
    change: { database: { ...database, provider: "sqlite" } },
    message: /^spec\.database\.host must be empty with provider sqlite, which has no host$/,
  },
  {
    what: "an address with a scheme",
    change: { ingresses: { router: { address: "https://router.example.com" } } },
    message:
      /^spec\.ingresses\.router\.address must be a host name or an IP address, without scheme or port$/,
  },
  {
    what: "two errors",
    change: { user: { name: "Al" }, controller: { ecnViewerPort: -5 } },
    message: /^spec\.user\.name must .*; spec\.controller\.ecnViewerPort must be a port from 1 to 65535$/,
  },
];

const changedEmail: BadInput = {
  what: "another e-mail address of a user that exists",
  change: { user: { email: "another@example.com" } },
  message: /^spec\.user\.email cannot be changed: .* Set it back to somebody@example\.com$/,
  reason: "EmailChanged",
};

scenario(
  "a spec that is broken after it was ready changes nothing, until it is mended",
  async (scene, test) => {
    const operator = scene.operateHere((_, proceed) => proceed());
    await scene.create();
    await scene.untilReady();
    for (const input of [...badInputs, changedEmail]) {
      await test.step(input.what, async () => {
        const before = await versionsOf(scene);
        const callsBefore = scene.controller.requests.length;
        const brokenAt = Date.now();
        await scene.change(input.change);
        await expectRefusal(scene, operator, input);
        assertEquals(await writesToChildren(scene, brokenAt), []);
        assertEquals(await versionsOf(scene), before);
        const calls = scene.controller.requests.slice(callsBefore).filter(({ method }) => method !== "GET");
        assertEquals(calls, []);
        await mend(scene);
        await scene.untilReady();
      });
    }
  },
);

scenario(
  "of a new ControlPlane with a broken spec nothing is made, until it is mended",
  async (scene, test) => {
    const operator = scene.operateHere((_, proceed) => proceed());
    for (const input of badInputs) {
      await test.step(input.what, async () => {
        const createdAt = Date.now();
        await scene.create(input.change);
        await expectRefusal(scene, operator, input);
        assertEquals(await writesToChildren(scene, createdAt), []);
        assertEquals(await scene.children(), []);
        assertEquals(scene.controller.requests.length, 0);
        await scene.client.delete(ControlPlane, { namespace: scene.namespace, name: NAME });
      });
    }
    await scene.create(badInputs[0]?.change);
    await scene.until("the refusal", (object) => conditionOf(object, "Stalled")?.status === "True");
    await mend(scene);
    await scene.untilReady();
  },
);

for (const type of ["ClusterIP", "NodePort"]) {
  scenario(
    `without the router's address, ${type} leaves only its certificates out, and says so`,
    async (scene) => {
      scene.operateHere((_, proceed) => proceed());
      await scene.create({ services: { router: { type } } });
      const waiting = await scene.until(
        "only the address to be missing",
        (object) => conditionOf(object, "ControllerReachable")?.status === "True" && isWaitedFor(object),
      );
      const condition = conditionOf(waiting, "AddressesKnown");
      assertEquals([condition?.status, condition?.reason], ["False", "AddressMissing"]);
      assertMatch(condition?.message ?? "", /spec\.ingresses\.router\.address/);
      assertEquals(stateOf(waiting), "deploying");
      const names = (await scene.children()).map(({ object }) => titleOf(object));
      for (const name of ["Service router", "Deployment router", "Deployment controller"]) {
        assert(names.includes(name), `${name} is not among ${names}`);
      }
      assert(!names.includes("Secret router-internal"), `${names}`);
      await scene.change({ ingresses: { router: { address: "router.example.com" } } });
      await scene.untilReady();
      assertEquals(scene.controller.state.router?.host, "router.example.com");
    },
  );
}

function isWaitedFor(object: ControlPlaneObject): boolean {
  const ready = conditionOf(object, "Ready");
  return ready?.status === "False" && ready.reason === "AddressMissing";
}

scenario("the API server refuses wrong types, and drops fields that nobody knows", async (scene) => {
  const wrong: readonly (readonly [Json, RegExp])[] = [
    [{ user: { name: 5 } }, /spec\.user\.name.*must be of type string/],
    [{ user: "me" }, /spec\.user.*must be of type object/],
    [{ replicas: { controller: "two" } }, /spec\.replicas\.controller.*must be of type integer/],
    [{ replicas: { controller: 1.5 } }, /spec\.replicas\.controller.*must be of type integer/],
    [
      { ingresses: { router: { edgePort: "45672" } } },
      /spec\.ingresses\.router\.edgePort.*must be of type integer/,
    ],
    [{ images: ["x"] }, /spec\.images.*must be of type object/],
  ];
  for (const [change, message] of wrong) {
    const refusal = await assertRejects(() => scene.create(change), ApiError);
    assertEquals(refusal.status, 422);
    assertMatch(refusal.message, message);
  }
  scene.operateHere((_, proceed) => proceed());
  await scene.create({ imgaes: { router: "typo" }, images: { kubelet: "of an older version" } });
  const object = await scene.untilReady();
  assertEquals(JSON.stringify(object.spec).includes("typo"), false);
  assertEquals(conditionOf(object, "Warning"), undefined);
});

/** All that the refusal of a spec has to say, and may not. */
async function expectRefusal(scene: Scene, operator: InProcessOperator, input: BadInput): Promise<void> {
  const object = await scene.until("the spec to be refused", (seen) => {
    const stalled = conditionOf(seen, "Stalled");
    return stalled?.status === "True" && stalled.observedGeneration === seen.metadata.generation;
  });
  const { reason = "InvalidSpec" } = input;
  const conditions = object.status?.conditions ?? [];
  const { message = "" } = conditionOf(object, "Stalled") ?? {};
  assertMatch(message, input.message);
  assertEquals(
    conditions.map(({ type, status, reason, message }) => ({ type, status, reason, message })),
    [
      { type: "deploying", status: "True", reason, message },
      { type: "ready", status: "False", reason, message },
      { type: "Ready", status: "False", reason, message },
      { type: "Reconciling", status: "False", reason, message: "" },
      { type: "Stalled", status: "True", reason, message },
    ],
  );
  assertEquals(object.status?.observedGeneration, object.metadata.generation);
  const warnings = await eventually(
    "an Event that says the same",
    async () =>
      (await scene.list(Event)).filter(({ involvedObject }) => involvedObject.uid === object.metadata.uid),
    (events) =>
      events.some((event) =>
        event.type === "Warning" && event.reason === reason && event.message === message
      ),
    { show: (events) => events.map((event) => `${event.type} ${event.reason} ${event.message}`).join("\n") },
  );
  const said = [JSON.stringify(object.status), ...warnings.map(({ message }) => message), ...operator.lines];
  for (const secret of [shortPassword, btoa(shortPassword), databasePassword, scene.password]) {
    assert(!said.some((text) => text?.includes(secret)), "a password was told");
  }
}

async function mend(scene: Scene): Promise<void> {
  await scene.client.patch(ControlPlane, { namespace: scene.namespace, name: NAME }, {
    type: "json",
    operations: [{ op: "replace", path: "/spec", value: scene.spec() }],
  });
}

/** Writes of the operator, save status and Events. */
async function writesToChildren(scene: Scene, sinceMs: number): Promise<readonly string[]> {
  const writes = await scene.writes(sinceMs);
  return writes.filter((write) =>
    !write.startsWith(`update ${ControlPlane.plural}/${NAME}/status `) && !write.includes(" events/")
  );
}

async function versionsOf(scene: Scene): Promise<readonly string[]> {
  const children: readonly KubeObject[] = (await scene.children()).map(({ object }) => object);
  return children.map((child) =>
    `${titleOf(child)} ${child.metadata?.uid} ${child.metadata?.resourceVersion}`
  );
}

/** Where the only value in a change stands, or the port among many. */
function pathOf(change: Json): string {
  const [[name, value] = ["", undefined]] = Object.entries(change).filter(([key, inner]) =>
    typeof inner === "object" || /port/i.test(key)
  );
  return typeof value === "object" && value !== null ? `${name}.${pathOf(value as Json)}` : name;
}

/** What the CLIs' CRDs let through, which have no schema: version `v2` of ours has none either. */
const schemaless = { ...ControlPlane, version: "v2" };

scenario(
  "what a CRD without a schema lets through is refused by field, or means what it looks like",
  async (scene, test) => {
    const operator = scene.operateHere((_, proceed) => proceed());
    const put = async (changes: Json) => {
      const { metadata } = await scene.get(schemaless, NAME);
      const { resourceVersion } = metadata ?? {};
      await scene.client.replace(schemaless, {
        metadata: { namespace: scene.namespace, name: NAME, resourceVersion },
        spec: merged(scene.spec(), changes),
      } as KubeObject);
    };
    const unset = {
      database: { provider: null, host: "", port: 0, user: null, password: null, databaseName: null },
      ingresses: { router: null, httpProxy: { address: null } },
      replicas: { controller: null },
      images: null,
      controller: { ecn: null, ecnViewerPort: 0 },
    };
    await scene.client.create(schemaless, {
      metadata: { namespace: scene.namespace, name: NAME },
      spec: { ...scene.spec(), ...unset },
    } as KubeObject);
    await scene.untilReady();
    const accepted = await versionsOf(scene);
    const wrong: readonly BadInput[] = [
      {
        what: "numbers as text",
        change: { replicas: { controller: "1" }, ingresses: { router: { edgePort: "45672" } } },
        message:
          /^spec\.ingresses\.router\.edgePort must be a whole number, not text; spec\.replicas\.controller must be a whole number, not text$/,
      },
      {
        what: "text as a number, a list and an object",
        change: { user: { name: 5 }, images: ["x"], controller: { ecn: { a: 1 } } },
        message:
          /^spec\.user\.name must be text, not a number; spec\.images must be an object, not a list; spec\.controller\.ecn must be text, not an object$/,
      },
      {
        what: "a megabyte",
        change: { controller: { ecn: "x".repeat(1_000_000) } },
        message:
          /^spec\.controller\.ecn is too large: the whole spec has 1\d{6} characters, and may have 100000\. Shorten it$/,
      },
    ];
    for (const input of wrong) {
      await test.step(input.what, async () => {
        await put(input.change);
        await expectRefusal(scene, operator, input);
        assertEquals(await versionsOf(scene), accepted);
        await put({});
        await scene.untilReady();
      });
    }
  },
);

scenario("names of the greatest length and of every script are taken as they are", async (scene) => {
  scene.operateHere((_, proceed) => proceed());
  const name = "n".repeat(253);
  const user = { name: "Zoë 東京 🦊", surname: "Ω\u200dñandú" };
  await scene.create({ user, controller: { ecn: "Kälte–Netz ❄" } }, name);
  await scene.untilReady({ name });
  const [signedUp] = scene.controller.state.users;
  assertEquals([signedUp?.firstName, signedUp?.lastName], [user.name, user.surname]);
  await eventually(
    "an Event that names it",
    async () => (await scene.list(Event)).filter(({ involvedObject }) => involvedObject.name === name),
    (events) => events.some(({ reason }) => reason === "Ready"),
    { show: (events) => events.map(({ reason }) => reason).join() },
  );
});
