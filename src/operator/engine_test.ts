import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Deployment } from "../kubernetes/generated/apps_v1.ts";
import { ConfigMap, Secret, ServiceAccount } from "../kubernetes/generated/core_v1.ts";
import type { RequestHook } from "../kubernetes/intercept.ts";
import type { KubeObject, Resource } from "../kubernetes/resource.ts";
import { FakeBackend, harness, type HarnessOptions, refuse, sentSince } from "../../tests/engine_harness.ts";
import { refusal } from "../../tests/memory_transport.ts";
import { settle } from "../../tests/virtual_clock.ts";
import type { Parent } from "./definition.ts";
import { applied, configMap, external, generatedKey, identity, ownedBy, Widget } from "./fixtures.ts";

const never = new AbortController().signal;

/** A hook that refuses writes of this plural and, if given, name. */
function refusing(plural: string, status: number, reason: string, more: Parameters<typeof refusal>[3] = {}) {
  const broken = { now: true, attempts: 0 };
  const hook: RequestHook = (request, proceed) => {
    if (broken.now && request.plural === plural && !["get", "list", "watch"].includes(request.verb)) {
      broken.attempts++;
      throw refusal(request.options, status, reason, more);
    }
    return proceed();
  };
  return { broken, hook };
}

function specOf({ parent }: { readonly parent: Parent }): Record<string, string> {
  return (parent.spec ?? {}) as Record<string, string>;
}

Deno.test("Engine makes what is desired and the status in one pass, and writes nothing in the next", async () => {
  const { counted, logged, makeWidget, pass, ready, told } = harness({
    desired: () => [
      configMap("a"),
      generatedKey(),
      applied(ServiceAccount, "s", {}),
      applied(Deployment, "d", {
        spec: {
          selector: { matchLabels: { app: "d" } },
          template: { spec: { containers: [{ name: "c", image: "i" }] } },
        },
      }),
    ],
  });
  makeWidget();
  const { sent, ...result } = await pass();
  assertEquals(result, { writes: 5, again: false, settled: true });
  assertEquals([new Set(sent.slice(0, 4)), sent[4]], [
    new Set(["create secrets key", "apply configmaps a", "apply serviceaccounts s", "apply deployments d"]),
    "update widgets w/status",
  ]);
  assertEquals(ready(), "True");
  assertEquals(counted().filter((line) => !line.startsWith("kubernetes")), ["w ready true", "pass success"]);
  assert(logged().some((line) => line.includes("reconciled")));
  assertEquals((await told()).map((line) => line.split(":")[0]), ["Created", "Ready"]);
  assertEquals(await pass(), { writes: 0, again: false, settled: true, sent: [] });
  assertEquals(logged(), []);
});

Deno.test("F39 Engine takes no notice of what a later version left: fields of the status, annotations, objects of kinds that it does not know", async () => {
  const { api, client, makeWidget, pass, ready } = harness({
    desired: () => [configMap("a"), generatedKey()],
    definition: { childResources: [ConfigMap, Secret] },
  });
  const parent = makeWidget();
  await pass();
  const annotated = (object: KubeObject) =>
    object.metadata!.annotations = { ...object.metadata!.annotations, "example.org/later": "1" };
  for (const [resource, name] of [[Widget, "w"], [ConfigMap, "a"], [Secret, "key"]] as const) {
    api.edit(resource as Resource, name, annotated);
  }
  api.edit(Widget, "w", (object) => {
    const { conditions } = (object as Parent).status as { conditions: object[] };
    const later = { type: "Later", status: "True", reason: "Later", message: "", lastTransitionTime: "" };
    Object.assign(object, {
      status: { conditions: [...conditions, later], later: { of: "another version" } },
    });
  });
  const { uid: _, ...metadata } = ownedBy(parent, { name: "later" });
  await client.apply(
    ServiceAccount,
    { metadata: { ...metadata, resourceVersion: "1" } },
    { fieldManager: identity.fieldManager, force: true },
  );
  // The status alone is brought into the form that this version knows, once.
  assertEquals((await pass()).sent, ["update widgets w/status"]);
  assertEquals((await pass()).sent, []);
  assertEquals(ready(), "True");
  assertEquals(api.all(ServiceAccount).map(({ metadata }) => metadata?.name), ["later"]);
  const kept = [api.get(ConfigMap, "a"), api.get(Secret, "key"), api.get(Widget, "w")];
  assertEquals(kept.map((each) => each?.metadata?.annotations?.["example.org/later"]), ["1", "1", "1"]);
});

Deno.test("Engine repairs what was edited, deleted or stripped, and prunes what is no longer wanted", async () => {
  const { api, counted, editWidget, makeWidget, pass, told } = harness({
    desired: (context) =>
      [configMap("a", { key: specOf(context)["value"] ?? "1" })]
        .concat(specOf(context)["more"] === undefined ? [] : [configMap("b")]),
  });
  makeWidget({}, { more: "yes" });
  await pass();
  counted();
  const repairs: readonly (() => void)[] = [
    () => api.edit(ConfigMap, "a", (object) => object.data = { key: "edited", foreign: "x" }),
    () => api.remove(ConfigMap, "a"),
    () => api.edit(ConfigMap, "a", ({ metadata }) => delete metadata!.ownerReferences),
    () => api.edit(ConfigMap, "a", ({ metadata }) => metadata!.annotations = {}),
  ];
  for (const damage of repairs) {
    damage();
    assertEquals((await pass()).sent, ["apply configmaps a"]);
    assertEquals(counted().filter((line) => line.startsWith("drift")), ["drift ConfigMap"]);
    assertEquals(await pass().then(({ sent }) => sent), []);
  }
  counted();
  editWidget({ value: "2" });
  assertEquals((await pass()).sent, ["apply configmaps a", "delete configmaps b", "update widgets w/status"]);
  assertEquals([counted().filter((line) => line.startsWith("drift")), api.all(ConfigMap).length], [[], 1]);
  const reasons = (await told()).map((line) => line.split(":")[0]);
  assertEquals(new Set(reasons), new Set(["Created", "Ready", "Repaired", "Updated", "Deleted"]));
});

Deno.test("Engine calls the first write of what failed before no drift", async () => {
  const { broken, hook } = refusing("configmaps", 500, "InternalError");
  const { clock, counted, makeWidget, pass, ready } = harness({ desired: () => [configMap("a")], hook });
  makeWidget();
  assertEquals((await pass()).writes, 1);
  assertEquals(ready(), "False ConfigMap a");
  assertEquals(counted(), [
    "kubernetes apply ConfigMap error",
    "w ready false",
    "kubernetes update Widget ok",
    "pass error",
  ]);
  assertEquals((await pass()).sent, []);
  broken.now = false;
  await clock.advance(1_000);
  assertEquals((await pass()).sent, ["apply configmaps a", "update widgets w/status"]);
  assertEquals(counted().filter((line) => line.startsWith("drift")), []);
});

Deno.test("Engine hands the objects of an earlier incarnation over, and marks them anew", async () => {
  const { api, makeWidget, pass } = harness({ desired: () => [configMap("a")] });
  makeWidget();
  await pass();
  const uid = api.get(ConfigMap, "a")?.metadata?.uid;
  api.remove(Widget, "w");
  makeWidget({ uid: "second" });
  assertEquals((await pass()).sent, ["patch configmaps a", "apply configmaps a", "update widgets w/status"]);
  const { annotations, ownerReferences = [], ...metadata } = api.get(ConfigMap, "a")?.metadata ?? {};
  assertEquals([metadata.uid, annotations, ownerReferences.map((reference) => reference.uid)], [
    uid,
    { "example.org/owner-uid": "second" },
    ["second"],
  ]);
  assertEquals((await pass()).sent, []);
});

Deno.test("Engine lets a slow key delay no other write", async () => {
  let finish = (_: Record<string, string>) => {};
  let sentBefore: readonly string[] = [];
  const generate = () => {
    sentBefore = sentSince(api);
    return new Promise<Record<string, string>>((resolve) => finish = resolve);
  };
  const { api, engine, makeWidget } = harness({
    desired: () => [
      generatedKey({ generate }),
      configMap("a"),
      applied(Deployment, "d", { spec: { selector: {}, template: {} } }),
    ],
  });
  makeWidget();
  await engine.store.listAll();
  const running = engine.convergeKubernetes(never);
  await settle();
  assertEquals(sentSince(api), ["apply configmaps a", "apply deployments d"]);
  // Nor does it take the processor away from them.
  assertEquals(sentBefore, sentSince(api));
  finish({ "tls.key": "bWFkZQ==" });
  await running;
  assertEquals(sentSince(api).slice(2), ["create secrets key", "update widgets w/status"]);
});

Deno.test("F51 Engine keeps a generated Secret that a list does not show: its POST is a conflict, and it is read", async () => {
  const first = harness({ desired: () => [generatedKey()] });
  first.makeWidget();
  await first.pass();
  const made = first.api.get(Secret, "key");
  let generated = 0;
  const generate = () => Promise.resolve({ "tls.key": btoa(`other ${++generated}`) });
  const second = harness({
    desired: () => [generatedKey({ generate })],
    beside: first,
    hook: async ({ options, plural, verb }, proceed) => {
      const answer = await proceed();
      const isList = verb === "list" && plural === "secrets" && !options.querystring?.has("fieldSelector");
      return isList ? { ...answer as object, items: [] } : answer;
    },
  });
  assertEquals((await second.pass()).sent, ["create secrets key"]);
  assertEquals([generated, first.api.get(Secret, "key")], [1, made]);
  assertEquals(second.ready(), "True");
});

Deno.test("Engine writes no generated value when the fence closes while it is made", async () => {
  const { api, engine, logged, makeWidget, setMayWrite } = harness({
    desired: () => [generatedKey({
      generate: () => {
        setMayWrite(() => false);
        return Promise.resolve({ "tls.key": "bWFkZQ==" });
      },
    })],
  });
  makeWidget();
  await engine.store.listAll();
  await engine.convergeKubernetes(never);
  assertEquals([sentSince(api), logged()], [[], []]);
});

Deno.test("F11 Engine reads again what changed meanwhile, and puts it right in the same pass", async () => {
  let racing = true;
  const { api, counted, makeWidget, pass } = harness({
    desired: () => [configMap("a"), configMap("b")],
    hook: (request, proceed) => {
      if (request.verb === "apply" && request.name === "a" && racing) {
        racing = false;
        // Somebody is quicker: once makes it, once edits it.
        if (api.get(ConfigMap, "a") !== undefined) {
          api.edit(ConfigMap, "a", (object) => object.data = { key: "theirs" });
        }
      }
      return proceed();
    },
  });
  makeWidget();
  await pass();
  racing = true;
  api.edit(ConfigMap, "a", (object) => object.data = { key: "edited" });
  counted();
  assertEquals((await pass()).sent, ["apply configmaps a", "apply configmaps a"]);
  assertEquals(api.get(ConfigMap, "a")?.data, { key: "value" });
  assertEquals(counted().filter((line) => line.includes("ConfigMap")), [
    "kubernetes apply ConfigMap conflict",
    "kubernetes apply ConfigMap ok",
    "drift ConfigMap",
  ]);
});

Deno.test("Engine waits longer and longer for what is outdated each time, instead of looping", async () => {
  const { broken, hook } = refusing("configmaps", 409, "Conflict");
  const { clock, engine, makeWidget, pass, ready } = harness({ desired: () => [configMap("a")], hook });
  makeWidget();
  const { again, settled } = await pass();
  assertEquals([broken.attempts, again, settled, ready()], [3, false, false, "False ConfigMap a"]);
  assertEquals(engine.plan()[0]?.failures[0]?.reason, "Contended");
  await pass();
  assertEquals(broken.attempts, 3);
  for (let minute = 0; minute < 10; minute++) {
    await clock.advance(60_000);
    await pass();
  }
  assertEquals(broken.attempts, 33);
  assertEquals(engine.failures.nextRetryMs(), 22_500);
});

Deno.test("F50 Engine settles what the API server stores otherwise, until somebody changes either side", async () => {
  const { api, clock, editWidget, engine, makeWidget, pass, ready } = harness({
    desired: (context) => [configMap("a", { memory: specOf(context)["memory"] ?? "1024Mi", other: "x" })],
  });
  api.admit = (object) => {
    if (object["kind"] !== "ConfigMap") return;
    const data = object["data"] as Record<string, string>;
    if (data["memory"]?.endsWith("Mi")) data["memory"] = `${parseInt(data["memory"]) / 1024}Gi`;
  };
  const live = () => api.get<ConfigMap>(ConfigMap, "a");
  const pair = () => live()?.metadata?.annotations?.["example.org/settled"];
  makeWidget();
  assertEquals((await pass()).sent, ["apply configmaps a", "apply configmaps a", "update widgets w/status"]);
  assertEquals([ready(), live()?.data?.["memory"], engine.failures.nextRetryMs()], [
    "True",
    "1Gi",
    undefined,
  ]);
  const first = pair();
  for (let minute = 0; minute < 3; minute++) {
    await clock.advance(60_000);
    assertEquals((await pass()).sent, []);
  }
  // Another part of the object: one write, and the same is settled as before.
  api.edit(ConfigMap, "a", (object) => object.data = { ...object.data, other: "edited" });
  await pass();
  assertEquals([live()?.data, pair(), ready()], [{ memory: "1Gi", other: "x" }, first, "True"]);
  // The live side.
  api.edit(ConfigMap, "a", (object) => object.data = { ...object.data, memory: "7Gi" });
  await pass();
  assertEquals([live()?.data?.["memory"], pair()], ["1Gi", first]);
  // The desired side.
  editWidget({ memory: "2048Mi" });
  await pass();
  assertEquals([live()?.data?.["memory"], ready()], ["2Gi", "True"]);
  assert(pair() !== first);
  editWidget({ memory: "2Gi" });
  await pass();
  assertEquals([live()?.data?.["memory"], pair(), ready()], ["2Gi", undefined, "True"]);
  assertEquals((await pass()).sent, []);
});

Deno.test("Engine does not take for settled what somebody else changes after each write", async () => {
  const { api, makeWidget, pass } = harness({ desired: () => [configMap("a", { key: "ours" })] });
  makeWidget();
  await pass();
  for (let round = 0; round < 3; round++) {
    api.edit(ConfigMap, "a", (object) => object.data = { key: "theirs" });
    assertEquals((await pass()).sent, ["apply configmaps a"]);
    assertEquals(api.get(ConfigMap, "a")?.metadata?.annotations, { "example.org/owner-uid": "w-uid" });
  }
});

for (
  const [what, stored] of [
    ["a Secret that the API server stores otherwise", () => ({ memory: btoa("1Gi") })],
    ["what the API server stores otherwise each time", () => ({ memory: crypto.randomUUID() })],
  ] as const
) {
  Deno.test(`Engine does not write again and again ${what}`, async () => {
    const child = what.includes("Secret")
      ? applied(Secret, "key", { data: { memory: btoa("1024Mi") } })
      : configMap("key", { memory: "1024Mi" });
    const { api, clock, engine, logged, makeWidget, pass, ready } = harness({ desired: () => [child] });
    api.admit = (object) => {
      if (object["kind"] === child.resource.kind) object["data"] = stored();
    };
    makeWidget();
    await pass();
    assertEquals(ready(), `False ${child.resource.kind} key`);
    assertStringIncludes(logged().join(), "still differs in data.memory");
    for (let second = 0; second < 60; second++) {
      await clock.advance(1_000);
      await pass();
    }
    const written = sentSince(api).filter((line) => line.startsWith("apply")).length;
    assert(written <= 12, `${written} writes`);
    assertEquals(engine.plan()[0]?.failures[0]?.reason, "Unsettled");
  });
}

Deno.test("F13 Engine tells a rejected write once, waits, and tries at once when the spec is mended", async () => {
  const { api, clock, editWidget, logged, makeWidget, pass, ready, told } = harness({
    desired: (context) => [configMap("a", { key: specOf(context)["key"] ?? "bad" }), configMap("b")],
    hook: (request, proceed) => {
      const { data } = (request.options.bodyJson ?? {}) as ConfigMap;
      if (data?.["key"] === "bad") throw refusal(request.options, 422, "Invalid", { message: "key is bad" });
      return proceed();
    },
  });
  makeWidget();
  assertEquals((await pass()).sent, ["apply configmaps b", "update widgets w/status"]);
  assertEquals(ready(), "False ConfigMap a");
  await clock.advance(10_000);
  await pass();
  const failing = (lines: readonly string[]) => lines.filter((line) => line.includes("key is bad"));
  assertEquals([failing(logged()).length, failing(await told()).length], [1, 1]);
  editWidget({ key: "good" });
  await pass();
  assertEquals([ready(), api.get(ConfigMap, "a")?.data], ["True", { key: "good" }]);
});

Deno.test("F14 Engine stops all writes for as long as the server asks for a pause", async () => {
  const { broken, hook } = refusing("configmaps", 429, "TooManyRequests", { retryAfterSeconds: 5 });
  const { api, clock, engine, makeWidget, pass, ready } = harness({
    desired: () => [configMap("a"), applied(Deployment, "d", { spec: { selector: {}, template: {} } })],
    hook,
  });
  makeWidget();
  assertEquals([(await pass()).sent, engine.failures.nextRetryMs()], [[], 5_000]);
  broken.now = false;
  await clock.advance(4_999);
  assertEquals((await pass()).sent, []);
  await clock.advance(1);
  assertEquals((await pass()).sent, ["apply configmaps a", "apply deployments d", "update widgets w/status"]);
  assertEquals([ready(), api.all(Deployment).length], ["True", 1]);
});

Deno.test("Engine goes without blockOwnerDeletion where it is refused, for Secrets too", async () => {
  const { api, makeWidget, pass, ready } = harness({
    desired: () => [configMap("a"), applied(Secret, "s", {})],
    hook: (request, proceed) => {
      const { metadata } = (request.options.bodyJson ?? {}) as ConfigMap;
      if (metadata?.ownerReferences?.[0]?.blockOwnerDeletion) {
        throw refusal(request.options, 403, "Forbidden", { message: "cannot set blockOwnerDeletion if ..." });
      }
      return proceed();
    },
  });
  makeWidget();
  assertEquals((await pass()).sent, ["apply configmaps a", "apply secrets s", "update widgets w/status"]);
  assertEquals([ready(), api.get(ConfigMap, "a")?.metadata?.ownerReferences?.[0]?.controller], [
    "True",
    true,
  ]);
});

Deno.test("Engine sets blockOwnerDeletion again when it is allowed, and asks seldom where the answer is wrong", async () => {
  let [refused, allowed, asked] = [true, false, 0];
  const { api, clock, engine, logged, makeWidget, pass } = harness({
    desired: () => [configMap("a")],
    hook: (request, proceed) => {
      if (request.plural === "selfsubjectaccessreviews") {
        asked++;
        const { spec } = request.options.bodyJson as { spec: { resourceAttributes: unknown } };
        assertEquals(spec.resourceAttributes, {
          ...{ group: "example.org", resource: "widgets", subresource: "finalizers" },
          ...{ verb: "update", namespace: "ns" },
        });
        return Promise.resolve({ status: { allowed } });
      }
      const { metadata } = (request.options.bodyJson ?? {}) as ConfigMap;
      if (refused && metadata?.ownerReferences?.[0]?.blockOwnerDeletion) {
        throw refusal(request.options, 403, "Forbidden", { message: "cannot set blockOwnerDeletion if ..." });
      }
      return proceed();
    },
  });
  const never = new AbortController().signal;
  const blocks = () => api.get(ConfigMap, "a")?.metadata?.ownerReferences?.[0]?.blockOwnerDeletion;
  const resync = async () => {
    await clock.advance(30_000);
    await engine.refreshPermissions(never);
    return (await pass()).sent.filter((write) => write.includes("configmaps"));
  };
  makeWidget();
  await engine.refreshPermissions(never);
  await pass();
  assertEquals([await resync(), asked, blocks()], [[], 1, undefined]);
  allowed = true;
  for (let minute = 0; minute < 60; minute++) await resync(), await resync();
  assert(asked < 20, `asked ${asked} times in an hour`);
  assertEquals(logged().filter((line) => line.includes("refuses blockOwnerDeletion")).length, asked);
  refused = false;
  await clock.advance(600_000);
  assertEquals([await resync(), blocks()], [["apply configmaps a"], true]);
  asked = 0;
  assertEquals([await resync(), asked], [[], 0]);
});

Deno.test("Engine tells in the log what a status would say that may not be written, and says once why", async () => {
  let forbidden = true;
  let [works, tried] = [false, 0];
  const { clock, logged, makeWidget, pass, ready } = harness({
    desired: () => works ? [configMap("a")] : [applied(Secret, "s", {})],
    hook: (request, proceed) => {
      if (request.plural === "secrets" && !works) throw refusal(request.options, 403, "Forbidden");
      if (request.options.path.endsWith("/status")) {
        tried++;
        if (forbidden) throw refusal(request.options, 403, "Forbidden");
      }
      return proceed();
    },
  });
  makeWidget();
  for (let second = 0; second < 600; second++) {
    if (second === 300) works = true;
    await pass();
    await clock.advance(1_000);
  }
  assert(tried > 3 && tried < 12, `tried ${tried} times`);
  const lines = logged().map((line) => line.replace(/ \{.*/, "").trim());
  const told = lines.filter((line) => /status|ready/.test(line));
  assertEquals(told, [
    "warn  status cannot be written: the log tells what it would say",
    "info  not ready yet",
    "info  ready",
  ]);
  assertEquals(ready(), "");
  forbidden = false;
  await clock.advance(600_000);
  await pass();
  assertEquals(ready(), "True");
});

Deno.test("F48 Engine is quiet in a namespace that goes away", async () => {
  const backend = new FakeBackend();
  const { api, clock, counted, engine, externalPass, logged, makeWidget, pass, told } = harness({
    desired: () => [configMap("a"), configMap("b"), external("Thing", "t")],
    backend,
  });
  makeWidget();
  await pass();
  await externalPass();
  api.terminating = true;
  api.remove(ConfigMap, "a");
  backend.objects.clear();
  const events = (await told()).length;
  counted();
  logged();
  for (let second = 0; second < 120; second++) {
    await pass();
    await externalPass();
    await clock.advance(1_000);
  }
  assertEquals(logged(), ["info  the namespace is being deleted: nothing more is written"]);
  assertEquals([(await told()).length, engine.failures.nextRetryMs()], [events, undefined]);
  assertEquals(backend.asked.filter((what) => what !== "look"), ["create Thing t"]);
  assertEquals(api.writes.filter(({ name, verb }) => name === "a" && verb === "apply").length, 1 + 4);
});

Deno.test("Engine begins at once in a namespace that is there again", async () => {
  const { api, makeWidget, pass } = harness({ desired: () => [configMap("a"), configMap("b")] });
  makeWidget();
  await pass();
  api.terminating = true;
  api.remove(ConfigMap, "a");
  await pass();
  api.remove(ConfigMap, "b");
  api.remove(Widget, "w");
  await pass();
  api.terminating = false;
  makeWidget();
  assertEquals((await pass()).sent.slice(0, 2), ["apply configmaps a", "apply configmaps b"]);
});

Deno.test("Engine writes nothing while the fence is closed", async () => {
  const backend = new FakeBackend();
  const { api, externalPass, makeWidget, pass, setMayWrite } = harness({
    desired: () => [configMap("a"), external("Thing", "t")],
    backend,
  });
  makeWidget();
  setMayWrite(() => false);
  await pass();
  await externalPass();
  assertEquals([sentSince(api), backend.asked], [[], ["look"]]);
});

Deno.test("F05 Engine does not make again what the garbage collector took before the parent's end was heard", async () => {
  const never = new AbortController().signal;
  const { api, editWidget, engine, logged, makeWidget, pass } = harness({ desired: () => [configMap("a")] });
  const heardOnlyOfTheChild = async () => {
    const before = api.writes.length;
    engine.store.forget(ConfigMap, "a");
    await engine.convergeKubernetes(never);
    return sentSince(api, before);
  };
  makeWidget();
  await pass();
  await pass();
  // Somebody deleted the child alone.
  api.remove(ConfigMap, "a");
  assertEquals(await heardOnlyOfTheChild(), ["apply configmaps a"]);
  await pass();
  // The parent is being deleted, and its children go first.
  const deletion = { deletionTimestamp: "2025-01-01T00:00:00Z", finalizers: ["foregroundDeletion"] };
  api.edit(Widget, "w", ({ metadata }) => Object.assign(metadata ?? {}, deletion));
  api.remove(ConfigMap, "a");
  assertEquals(await heardOnlyOfTheChild(), []);
  // It is gone.
  api.remove(Widget, "w");
  assertEquals(await heardOnlyOfTheChild(), []);
  // Another one of its name is none of its.
  makeWidget({ uid: "other-uid" } as Partial<Parent["metadata"]>);
  editWidget({});
  logged();
  assertEquals((await pass()).sent.filter((line) => line.startsWith("apply")), ["apply configmaps a"]);
});

Deno.test("F31 Engine makes nothing for a parent that vanishes during the pass", async () => {
  let vanish = () => {};
  const { api, engine, makeWidget, pass } = harness({
    desired: () => [configMap("a")],
    hook: (request, proceed) => {
      if (request.verb !== "apply") return proceed();
      vanish();
      throw refusal(request.options, 409, "Conflict");
    },
  });
  makeWidget();
  vanish = () => {
    api.remove(Widget, "w");
    // As the watch tells.
    engine.store.forget(Widget, "w");
  };
  const { sent, ...result } = await pass();
  assertEquals([sent, result], [[], { writes: 0, again: false, settled: false }]);
});

Deno.test("Engine leaves a parent that is being deleted alone, its children and status too", async () => {
  const backend = new FakeBackend();
  const { api, externalPass, makeWidget, pass } = harness({
    desired: () => [configMap("a"), external("Thing", "t")],
    backend,
  });
  makeWidget({ finalizers: ["foregroundDeletion"] });
  await pass();
  api.edit(Widget, "w", ({ metadata }) => metadata!.deletionTimestamp = "2025-01-01T00:00:00Z");
  api.remove(ConfigMap, "a");
  assertEquals([(await pass()).sent, backend.asked], [[], []]);
  await externalPass();
  assertEquals(backend.asked, []);
});

Deno.test("Engine lets the other parents converge when one makes it throw, and says so at the end", async () => {
  const { api, engine, makeWidget } = harness({
    desired: ({ parent }) => [configMap(parent.metadata.name)],
    definition: {
      singleton: false,
      secretsIn: (resource, { metadata }) => {
        if (resource.kind === "ConfigMap" && metadata?.name === "bad") throw new TypeError("mistake");
        return [];
      },
    },
    hook: async (request, proceed) => {
      if (request.name === "good") await settle();
      return await proceed();
    },
  });
  for (const name of ["bad", "good"]) makeWidget({ name });
  await engine.store.listAll();
  await assertRejects(() => engine.convergeKubernetes(never), TypeError, "mistake");
  assert(sentSince(api).includes("update widgets good/status"));
});

Deno.test("Engine hears of no failure behind its back while a key is made", async () => {
  let fail = (_: Error) => {};
  const { engine, makeWidget } = harness({
    desired: () => [
      generatedKey({ generate: () => new Promise((_, reject) => fail = reject) }),
      configMap("bad"),
    ],
    definition: {
      secretsIn: (resource) => {
        if (resource.kind === "ConfigMap") throw new TypeError("mistake");
        return [];
      },
    },
  });
  makeWidget();
  await engine.store.listAll();
  const running = assertRejects(() => engine.convergeKubernetes(never), TypeError, "mistake");
  await settle();
  fail(new Error("no entropy"));
  await running;
  assertEquals(engine.plan()[0]?.failures[0]?.message, "no entropy");
});

Deno.test("Engine looks at the dirty parents only, if asked to", async () => {
  const { api, engine, makeWidget } = harness({
    desired: ({ parent }) => [configMap(parent.metadata.name)],
    definition: { singleton: false },
  });
  for (const name of ["x", "y"]) makeWidget({ name });
  await engine.store.listAll();
  await engine.convergeKubernetes(never, { only: new Set(["y-uid"]) });
  assertEquals(sentSince(api), ["apply configmaps y", "update widgets y/status"]);
});

/** A harness whose served CRD knows these properties of the status. */
function withServedStatus(properties: object, options: HarnessOptions = {}) {
  const text = { type: "string" };
  const condition = { type: text, status: text, reason: text, message: text, lastTransitionTime: text };
  const ours = {
    properties: {
      status: {
        properties: {
          observedGeneration: { type: "integer" },
          conditions: { items: { properties: { ...condition, observedGeneration: { type: "integer" } } } },
        },
      },
    },
  };
  const parts = harness({ ...options, definition: { crdSchema: ours, ...options.definition } });
  const serve = (status: object) => {
    const serverRelativeURL = `/openapi/v3/apis/example.org/v1?hash=${crypto.randomUUID()}`;
    parts.api.documents.set("/openapi/v3", { paths: { "apis/example.org/v1": { serverRelativeURL } } });
    parts.api.documents.set("/openapi/v3/apis/example.org/v1", {
      components: {
        schemas: {
          widget: {
            "x-kubernetes-group-version-kind": [{ group: "example.org", version: "v1", kind: "Widget" }],
            properties: { status: { properties: status } },
          },
        },
      },
    });
  };
  serve(properties);
  return { ...parts, condition, serve, whole: ours.properties.status.properties };
}

Deno.test("F49 Engine writes of the status what the served CRD keeps, and learns when another one is installed", async () => {
  const { api, clock, condition, engine, makeWidget, pass, serve, whole } = withServedStatus({});
  serve({ conditions: { items: { properties: condition } } });
  api.admit = (object) => {
    if (object["kind"] === "Widget") {
      delete (object["status"] as Record<string, unknown>)?.["observedGeneration"];
    }
  };
  makeWidget();
  await engine.refreshServedSchemas(never);
  await pass();
  const status = () => (api.get(Widget, "w") as Parent).status as Record<string, unknown>;
  assertEquals(Object.keys(status()), ["conditions"]);
  assertEquals((await pass()).sent, []);
  api.admit = () => {};
  serve(whole);
  await clock.advance(30_000);
  await engine.refreshServedSchemas(never);
  assertEquals((await pass()).sent, ["update widgets w/status"]);
  assertEquals(Object.keys(status()).sort(), ["conditions", "observedGeneration"]);
});

Deno.test("Engine reads the served schemas only when others are served", async () => {
  const { api, condition, engine, serve, whole } = withServedStatus({});
  const schemas = () => api.requests.filter(({ plural }) => plural.endsWith("example.org/v1")).length;
  const look = async () => {
    for (let time = 0; time < 3; time++) await engine.refreshServedSchemas(never);
    return schemas();
  };
  assertEquals(await look(), 1);
  serve({ conditions: { items: { properties: condition } } });
  assertEquals(await look(), 2);
  serve(whole);
  assertEquals(await look(), 3);
  // Where that is not told, they are read once.
  api.documents.delete("/openapi/v3");
  assertEquals(await look(), 4);
});

Deno.test("Engine does not write a status for ever that is dropped without a word", async () => {
  const { api, clock, editWidget, makeWidget, pass } = harness({ desired: () => [] });
  api.admit = (object) => {
    if (object["kind"] === "Widget") delete object["status"];
  };
  makeWidget();
  assertEquals((await pass()).sent, ["update widgets w/status"]);
  for (let hour = 0; hour < 5; hour++) {
    await clock.advance(3_600_000);
    assertEquals((await pass()).sent, []);
  }
  editWidget({ changed: "yes" });
  assertEquals((await pass()).sent, ["update widgets w/status"]);
});

Deno.test("Engine writes the status again when somebody was quicker, in the same pass", async () => {
  const { api, makeWidget, pass, ready } = harness({
    desired: () => [],
    hook: (request, proceed) => {
      if (request.subresource === "status" && request.count === 1) {
        api.edit(Widget, "w", ({ metadata }) => metadata!.labels = { theirs: "x" });
      }
      return proceed();
    },
  });
  makeWidget();
  assertEquals((await pass()).sent, ["update widgets w/status", "update widgets w/status"]);
  assertEquals([ready(), api.get(Widget, "w")?.metadata?.labels], ["True", { theirs: "x" }]);
});

Deno.test("Engine keeps transition times, and tells when a parent becomes ready and stops being so", async () => {
  const { api, clock, makeWidget, pass, told } = harness({ desired: () => [configMap("a")] });
  makeWidget();
  await pass();
  const times = () =>
    ((api.get(Widget, "w") as Parent).status as { conditions: { lastTransitionTime: string }[] }).conditions
      .map(({ lastTransitionTime }) => lastTransitionTime);
  await clock.advance(60_000);
  api.edit(ConfigMap, "a", ({ metadata }) => {
    metadata!.ownerReferences = [{ apiVersion: "v1", kind: "Other", name: "o", uid: "o", controller: true }];
  });
  await pass();
  assertEquals(times(), ["2025-01-01T00:01:00Z"]);
  await clock.advance(60_000);
  await pass();
  assertEquals(times(), ["2025-01-01T00:01:00Z"]);
  assertEquals(await told(), ["Created: Created ConfigMap a", "Ready: ", "Conflict: ConfigMap a"]);
});

Deno.test("Engine forgets parents that are gone", async () => {
  const { api, counted, engine, makeWidget, pass } = harness({ desired: () => [configMap("a")] });
  makeWidget();
  await pass();
  engine.failures.note(api.get(Widget, "w") as Parent, { object: "x", reason: "r", message: "m" }, {
    retryable: true,
  });
  counted();
  api.unserve(Widget);
  await pass();
  assertEquals([counted(), engine.failures.nextRetryMs()], [["forget w"], undefined]);
  assertEquals(api.all(ConfigMap).length, 1);
});

Deno.test("Engine tells observers whose object changed, and nothing when no plan depends on it", async () => {
  const { api, engine, makeWidget } = harness({ desired: () => [] });
  const told: (string | undefined)[] = [];
  const stop = engine.observe({ changed: (uid) => told.push(uid) });
  const news = async () => {
    await engine.store.listAll();
    return told.splice(0);
  };
  makeWidget();
  await news();
  api.edit(Widget, "w", ({ metadata }) => metadata!.managedFields = [{ manager: "kubectl" }]);
  assertEquals(await news(), []);
  api.edit(Widget, "w", ({ metadata }) => metadata!.labels = { a: "b" });
  assertEquals(await news(), ["w-uid"]);
  const owner = { apiVersion: "example.org/v1", kind: "Widget", name: "w", uid: "w-uid", controller: true };
  api.make(ConfigMap, { metadata: { name: "ours", ownerReferences: [owner] } });
  api.make(ConfigMap, { metadata: { name: "theirs" } });
  assertEquals(await news(), ["w-uid", undefined]);
  api.remove(ConfigMap, "ours");
  assertEquals(await news(), ["w-uid"]);
  stop();
  api.remove(ConfigMap, "theirs");
  assertEquals(await news(), []);
});

const inventory = { definition: { inventoryName: "inventory" } };

/** The inventory's entries, such as `Thing a true` for a confirmed one. */
function entriesOf(api: ReturnType<typeof harness>["api"]): readonly string[] {
  const { data } = api.get(ConfigMap, "inventory") ?? {};
  return (JSON.parse(data?.["entries"] ?? "[]") as { kind: string; name: string; confirmed: boolean }[])
    .map(({ confirmed, kind, name }) => `${kind} ${name} ${confirmed}`);
}

Deno.test("F31 Engine looks before it writes outside, records first what it is about to make, and confirms it", async () => {
  const backend = new FakeBackend();
  const { api, counted, externalPass, makeWidget, pass, ready, told } = harness({
    ...inventory,
    desired: () => [external("Thing", "a", { x: 1 }), external("Thing", "b", { x: 1 })],
    backend,
  });
  makeWidget();
  backend.before = (what) => {
    if (what === "create Thing a") assertEquals(entriesOf(api), ["Thing a false", "Thing b false"]);
  };
  assertEquals(await externalPass(), { writes: 0, again: false, settled: false });
  await pass();
  backend.asked.splice(0);
  assertEquals(await externalPass(), { writes: 3, again: true, settled: false });
  assertEquals(backend.asked, [
    "look",
    "create Thing a",
    "create Thing b",
    "create Marker inventory",
    "look",
  ]);
  backend.before = () => {};
  assertEquals(await externalPass(), { writes: 0, again: false, settled: true });
  assertEquals(entriesOf(api), ["Thing a true", "Thing b true"]);
  await pass();
  assertEquals(ready(), "True");
  assertEquals(counted().filter((line) => line.startsWith("drift")), []);

  const before = api.writes.length;
  assertEquals(await externalPass(), { writes: 0, again: false, settled: true });
  assertEquals(sentSince(api, before), []);
  backend.objects.delete("Thing a");
  assertEquals((await externalPass()).writes, 1);
  assertEquals(sentSince(api, before), ["update configmaps inventory"]);
  assertEquals(counted().filter((line) => line.startsWith("drift")), ["drift Thing"]);
  assertEquals((await told()).filter((line) => line.startsWith("Repaired")).length, 1);

  // Whatever it takes, it is one piece of news.
  await pass();
  backend.objects.delete("Thing b");
  backend.objects.set("Thing a", { kind: "Thing", name: "a", fields: { x: 7 } });
  assertEquals((await externalPass()).writes, 2);
  const [, ...repaired] = (await told()).filter((line) => line.startsWith("Repaired"));
  assertEquals(repaired, ["Repaired: Registered Thing b; Updated Thing a (x)"]);
});

Deno.test("Engine writes nothing outside when another process has written the inventory", async () => {
  const backend = new FakeBackend();
  const { api, clock, engine, externalPass, makeWidget, pass } = harness({
    ...inventory,
    desired: () => [external("Thing", "a")],
    backend,
  });
  makeWidget();
  await pass();
  backend.before = (what) => {
    if (what !== "look") return;
    api.edit(ConfigMap, "inventory", (object) => object.data = { ...object.data, batch: "theirs" });
  };
  const result = await externalPass();
  assertEquals([result.writes, result.again], [0, false]);
  assertEquals(engine.plan()[0]?.failures[0]?.reason, "NotRecorded");
  backend.before = () => {};
  await clock.advance(1_000);
  assertEquals((await externalPass()).writes, 2);
});

Deno.test("Engine writes nothing outside that it has not looked for", async () => {
  const backend = new FakeBackend();
  const { editWidget, externalPass, engine, makeWidget, pass } = harness({
    desired: (context) => [
      external("Thing", "a"),
      ...(specOf(context)["more"] === undefined ? [] : [external("Thing", "b", { x: 1 })]),
    ],
    backend,
  });
  makeWidget();
  await pass();
  backend.objects.set("Thing b", { kind: "Thing", name: "b", fields: { x: 1 } });
  backend.before = async (what) => {
    if (what !== "look") return;
    // While the system is asked, more becomes wanted.
    editWidget({ more: "yes" });
    await engine.store.listAll();
  };
  assertEquals(await externalPass(), { writes: 0, again: true, settled: false });
  assertEquals((await externalPass()).writes, 1);
  assertEquals(backend.asked, ["look", "look", "create Thing a", "look"]);
});

Deno.test("Engine calls nothing drift that the other lane saw as soon as it was made", async () => {
  const { counted, engine, makeWidget, pass, told } = harness({
    desired: () => [configMap("a"), external("Thing", "t")],
    backend: new FakeBackend(),
    hook: async (request, proceed) => {
      // While the status is being written, and before the pass tells what it did, the other lane makes its own.
      if (request.verb === "apply") {
        const answer = await proceed();
        engine.store.observe(ConfigMap, structuredClone(answer) as ConfigMap);
        await engine.convergeExternal(never);
        return answer;
      }
      return await proceed();
    },
  });
  makeWidget();
  await pass();
  assertEquals(counted().filter((line) => line.startsWith("drift")), []);
  assertEquals((await told()).filter((line) => line.startsWith("Repaired")), []);
});

Deno.test("F21 Engine writes late to the outside only under an inventory that is still the one it read", async () => {
  const backend = new FakeBackend();
  const { api, engine, externalPass, makeWidget, pass } = harness({
    ...inventory,
    desired: () => [external("Thing", "a", { x: 1 })],
    backend,
  });
  makeWidget();
  await pass();
  await externalPass();
  await externalPass();
  const asked = backend.asked.length;
  // This process was paused; its successor has made a batch since.
  backend.objects.set("Thing a", { kind: "Thing", name: "a", fields: { x: 2 } });
  api.edit(ConfigMap, "inventory", (object) => object.data = { ...object.data, batch: "successor" });
  await engine.convergeExternal(never);
  assertEquals(backend.asked.slice(asked), ["look"]);
});

Deno.test("F21 Engine looks again before it writes outside where somebody else has written the inventory since", async () => {
  const backend = new FakeBackend();
  const { api, clock, engine, externalPass, makeWidget, pass } = harness({
    ...inventory,
    desired: () => [external("Thing", "a", { x: 1 })],
    backend,
  });
  makeWidget();
  await pass();
  // This process sleeps right after its look; its successor makes the thing, and a watch tells of the inventory.
  const observe = backend.observe.bind(backend);
  backend.observe = async (...args) => {
    const state = await observe(...args);
    backend.observe = observe;
    backend.objects.set("Thing a", { kind: "Thing", name: "a", fields: { x: 1 } });
    api.edit(ConfigMap, "inventory", (object) => object.data = { ...object.data, batch: "successor" });
    engine.store.observe(ConfigMap, api.get(ConfigMap, "inventory")!);
    return state;
  };
  await engine.store.listAll();
  await engine.convergeExternal(never);
  assertEquals(backend.asked, ["look"]);
  await clock.advance(5_000);
  await externalPass();
  await externalPass();
  assert(!backend.asked.includes("create Thing a"), backend.asked.join());
});

Deno.test("Engine stops a batch at its first failure, tells it, and waits before the next", async () => {
  const backend = new FakeBackend();
  const { clock, engine, externalPass, makeWidget, pass, ready, told } = harness({
    desired: () => [external("Thing", "a"), external("Thing", "b")],
    backend,
  });
  makeWidget();
  backend.before = (what) => what === "create Thing a" && refuse("Refused", "not today", false);
  await pass();
  assertEquals(await externalPass(), { writes: 0, again: false, settled: false });
  assertEquals(backend.asked, ["look", "create Thing a"]);
  await pass();
  assertEquals([ready(), engine.plan()[0]?.failures.map(({ message }) => message)], [
    "False Thing a, Thing b",
    ["not today"],
  ]);
  assertEquals((await externalPass()).writes, 1);
  assertEquals(backend.asked.slice(2), ["look", "create Thing b", "look"]);
  assertEquals((await told()).filter((line) => line.includes("not today")).length, 1);
  backend.before = () => {};
  await clock.advance(300_000);
  await externalPass();
  assertEquals(await externalPass(), { writes: 0, again: false, settled: true });
});

Deno.test("F02 Engine takes for done what failed and is there all the same", async () => {
  const backend = new FakeBackend();
  const { api, engine, externalPass, makeWidget, pass } = harness({
    ...inventory,
    desired: () => [external("Thing", "a")],
    backend,
  });
  makeWidget();
  await pass();
  backend.before = (what) => {
    if (what !== "create Thing a") return;
    backend.objects.set("Thing a", { kind: "Thing", name: "a", fields: {} });
    refuse("ControllerUnreachable", "the answer was lost");
  };
  await externalPass();
  await externalPass();
  assertEquals(await externalPass(), { writes: 0, again: false, settled: true });
  assertEquals([entriesOf(api), engine.failures.nextRetryMs()], [["Thing a true"], undefined]);
});

Deno.test("Engine does not write again and again what the external system stores otherwise", async () => {
  const backend = new FakeBackend();
  const { clock, engine, externalPass, makeWidget, pass } = harness({
    desired: () => [external("Thing", "a", { size: "1024Mi" })],
    backend,
  });
  makeWidget();
  await pass();
  backend.before = (what) => {
    const thing = backend.objects.get("Thing a");
    if (what === "look" && thing !== undefined) {
      backend.objects.set("Thing a", { ...thing, fields: { size: "1Gi" } });
    }
  };
  for (let turn = 0; turn < 240; turn++) {
    await externalPass();
    await clock.advance(250);
  }
  const writes = backend.asked.filter((what) => what.endsWith("Thing a")).length;
  assert(writes > 2 && writes < 12, `${writes} writes`);
  assertEquals(engine.plan()[0]?.failures[0]?.message, "was written and still differs in size");
});

Deno.test("Engine confirms only what was seen as it should be", async () => {
  const backend = new FakeBackend();
  const { api, externalPass, makeWidget, pass } = harness({
    ...inventory,
    desired: () => [external("Thing", "a"), external("Hidden", "h")],
    backend,
  });
  makeWidget();
  backend.unread = ["Hidden"];
  await pass();
  await externalPass();
  assertEquals((await externalPass()).settled, false);
  assertEquals(entriesOf(api), ["Thing a true"]);
});

Deno.test("Engine lets no secret into a status, whoever put it into the message", async () => {
  const { api, makeWidget, pass, redactor } = harness({
    definition: {
      status: () => ({
        conditions: [{ type: "Ready", status: "False", reason: "Invalid", message: "hunter2 is no number" }],
        fields: {},
      }),
    },
  });
  redactor.learn("hunter2");
  makeWidget();
  await pass();
  const { status } = api.get(Widget, "w") as Parent<unknown, { conditions: { message: string }[] }>;
  assertEquals(status?.conditions[0]?.message, "*** is no number");
});

Deno.test("Engine learns secrets before anything is said, and cleans what an external system says", async () => {
  const backend = new FakeBackend();
  const { api, engine, externalPass, logged, makeWidget, pass, ready, told } = harness({
    desired: () => [{ ...external("Thing", "a"), secrets: { password: "hunter22" } }, generatedKey()],
    backend,
  });
  makeWidget();
  backend.secrets = ["seed-of-theirs"];
  backend.before = (what) =>
    what !== "look" && refuse("Refused", "the password hunter22 is too short for seed-of-theirs", false);
  await pass();
  await externalPass();
  await pass();
  const said = [...logged(), ...await told(), ready(), JSON.stringify(engine.plan()[0]?.failures)].join("\n");
  assertStringIncludes(said, "the password *** is too short for ***");
  assert(!said.includes("hunter22") && !said.includes("bWFkZQ=="));
  assertEquals(api.get(Secret, "key")?.data, { "tls.key": "bWFkZQ==" });
});

Deno.test("Engine keeps what an external system said out of the store when the parent is gone", async () => {
  const backend = new FakeBackend();
  const { api, engine, makeWidget } = harness({ desired: () => [external("Thing", "a")], backend });
  makeWidget();
  await engine.store.listAll();
  backend.before = async () => {
    api.remove(Widget, "w");
    await engine.store.listAll();
  };
  assertEquals(await engine.convergeExternal(never), { writes: 0, again: false, settled: false });
  assertEquals(engine.store.snapshot().external("w-uid").phase, "unknown");
});

Deno.test("Engine keeps the children right while the external system hangs", async () => {
  const backend = new FakeBackend();
  const { engine, makeWidget, pass } = harness({
    desired: () => [configMap("a"), external("Thing", "t")],
    backend,
  });
  makeWidget();
  await engine.store.listAll();
  let answer = () => {};
  backend.before = () => new Promise<void>((resolve) => answer = resolve);
  const hanging = engine.convergeExternal(never);
  assertEquals((await pass()).sent, ["apply configmaps a", "update widgets w/status"]);
  backend.before = () => {};
  answer();
  assertEquals((await hanging).writes, 1);
});

Deno.test("Engine.observeExternal() looks and writes nothing", async () => {
  const backend = new FakeBackend();
  const { engine, makeWidget } = harness({ desired: () => [external("Thing", "t")], backend });
  makeWidget();
  await engine.store.listAll();
  await engine.observeExternal(never);
  assertEquals([backend.asked, engine.plan()[0]?.external.length], [["look"], 1]);
});

Deno.test("Engine writes nothing for a paused parent, its status aside, and tries anew what failed before", async () => {
  const backend = new FakeBackend();
  const { broken, hook } = refusing("configmaps", 422, "Invalid");
  const { api, engine, events, externalPass, makeWidget, pass, ready } = harness({
    desired: () => [configMap("a"), external("Thing", "t", { x: 1 })],
    backend,
    hook,
  });
  const setPause = (value: string | undefined) =>
    api.edit(Widget, "w", (object) => {
      Object.assign(object.metadata ?? {}, { annotations: { "example.org/pause": value } });
    });
  const widgets = (sent: readonly string[]) => sent.filter((line) => !line.startsWith("update widgets"));
  makeWidget();
  await pass();
  assertEquals(broken.attempts, 1);
  setPause("true");
  assertEquals(widgets((await pass()).sent), []);
  await externalPass();
  await pass();
  assertEquals(backend.asked, ["look"]);
  assertEquals(engine.plan().map(({ paused }) => paused), [true]);
  assertEquals(ready(), "False ConfigMap a, Thing t");
  broken.now = false;
  setPause("no");
  assertEquals(widgets((await pass()).sent), ["apply configmaps a"]);
  assertEquals((await externalPass()).writes, 1);
  await pass();
  assertEquals(ready(), "True");
  await events.flush();
});

Deno.test("Engine stops in the middle of a pass when somebody pauses its parent", async () => {
  const { api, engine, makeWidget, pass } = harness({
    desired: () => [configMap("a"), applied(Deployment, "d", {})],
    hook: async (request, proceed) => {
      const answer = await proceed();
      if (request.plural === "configmaps" && request.verb === "apply") {
        api.edit(Widget, "w", (object) => {
          Object.assign(object.metadata ?? {}, { annotations: { "example.org/pause": "true" } });
        });
        await engine.store.refresh(Widget, "w");
      }
      return answer;
    },
  });
  makeWidget();
  assertEquals((await pass()).sent.filter((line) => !line.includes("widgets")), ["apply configmaps a"]);
  assertEquals((await pass()).sent.filter((line) => !line.includes("widgets")), []);
});

Deno.test("Engine warns where a custom resource is ready no more, unless that comes of a change of its spec", async () => {
  let reason = "Ready";
  const { editWidget, makeWidget, pass, told } = harness({
    definition: {
      status: () => ({
        conditions: [{ type: "Ready", status: reason === "Ready" ? "True" : "False", reason, message: "" }],
        fields: {},
      }),
    },
  });
  const becomes = async (next: string) => {
    reason = next;
    await pass();
    return (await told()).map((event) => event.split(":")[0]);
  };
  makeWidget();
  assertEquals(await becomes("Ready"), ["Ready"]);
  editWidget({ key: "changed" });
  assertEquals(await becomes("Applying"), ["Ready"]);
  await becomes("Ready");
  assertEquals(await becomes("PodsUnavailable"), ["Ready", "PodsUnavailable"]);
});
