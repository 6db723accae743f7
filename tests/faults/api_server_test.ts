/** An API server that answers wrongly, late or not at all, for a control plane that is ready: nothing is lost. */

import { assert, assertEquals } from "@std/assert";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Service } from "../../src/kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { Resource } from "../../src/kubernetes/resource.ts";
import { ControlPlane, controlPlaneDefinition } from "../../src/resources/controlplane/iofog/definition.ts";
import { conditionOf, NAME, newPassword, present, type Scene } from "../e2e/harness.ts";
import { eventually, pause } from "../e2e/waiting.ts";
import { type Action, cutShort, dropResponse, expireInMidList, html, missEvent, refuse } from "./actions.ts";
import { childIdentities, operateBehindProxy } from "./behind_proxy.ts";
import { longScenario } from "./long.ts";
import type { Match, Proxy } from "./proxy.ts";

/** What an operator lists and watches. */
const PLURALS = [ControlPlane, ...controlPlaneDefinition().childResources].map(({ plural }) => plural);

/** Lists of a kind that went well. */
function lists(proxy: Proxy, plural: string): number {
  return proxy.seen({ verb: "list", plural, url: /^(?!.*fieldSelector)/ }).filter(({ status }) =>
    status === 200
  ).length;
}

/** Ends the watch of each kind, has the next one answered with 410, and waits for lists that go well and `isEnough`. */
async function relisted(
  proxy: Proxy,
  { plurals = PLURALS, isEnough = () => true }: {
    readonly plurals?: readonly string[];
    readonly isEnough?: (plural: string) => boolean;
  } = {},
): Promise<void> {
  // A watch that lasts for less than a second counts as a failure, after which one waits longer each time.
  await pause(1_100);
  const before = new Map(plurals.map((plural) => [plural, lists(proxy, plural)]));
  for (const plural of plurals) {
    proxy.rule({ on: { verb: "watch", plural }, action: refuse(410, "Expired") });
  }
  const left = () =>
    plurals.filter((plural) => lists(proxy, plural) === before.get(plural) || !isEnough(plural));
  await eventually("these to be listed again", left, (missing) => {
    // Again and again, since one that was just being opened may have passed the rule.
    for (const plural of missing) proxy.endWatches({ plural });
    return missing.length === 0;
  }, { withinMs: 60_000 });
}

async function remove(scene: Scene, resource: Resource, name: string): Promise<void> {
  await scene.client.delete(resource, { namespace: scene.namespace, name });
}

async function untilThere(scene: Scene, resource: Resource, name: string): Promise<void> {
  await eventually(
    `${resource.kind} ${name} to be there`,
    () => scene.find(resource, name),
    (found) => found !== undefined,
    { show: () => "nothing" },
  );
}

async function imageOf(scene: Scene, name: string): Promise<string | undefined> {
  return (await scene.get(Deployment, name)).spec?.template.spec?.containers[0]?.image;
}

longScenario(
  "F05 F07 F08 F09 F10 F11 F13 F14 F15 F19 F20 F55 what the API server says wrongly breaks nothing",
  async (scene, test) => {
    await using behind = await operateBehindProxy(scene);
    const { operator, proxy } = behind;
    await scene.create();
    await scene.untilReady({ withinMs: 90_000 });
    const installed = await childIdentities(scene);
    const heal = () => proxy.heal();
    const breakAt = (on: Match, action: Action, times = Infinity) => proxy.rule({ on, times, action });
    /** What is written while `body` runs, and at which level things are said. */
    const during = async (body: () => Promise<unknown>) => {
      const since = Date.now();
      const said = operator.lines.length;
      try {
        await body();
        const levels = operator.lines.slice(said).map((line) => String(JSON.parse(line).level));
        return { writes: await scene.writes(since), levels: new Set(levels) };
      } finally {
        heal();
      }
    };
    await scene.untilAtRest();

    await test.step("F07 410 on every watch: everything is listed anew, and nobody is alarmed", async () => {
      const { levels, writes } = await during(() => relisted(proxy));
      assertEquals(writes, []);
      assert(!levels.has("warn") && !levels.has("error"), [...levels].join());
    });

    await test.step("F08 a list whose pages expire half-way is taken from the start, and prunes nothing", async () => {
      for (const plural of ["services", "roles", "serviceaccounts"]) {
        breakAt({ verb: "list", plural }, expireInMidList(), 2);
      }
      const { writes } = await during(() => relisted(proxy));
      assertEquals(writes, []);
    });

    await test.step("F09 lists that are cut off, of another server, or of nobody prune nothing", async () => {
      const broken = new Map([["services", cutShort], ["roles", html(200)], ["deployments", dropResponse]]);
      const { writes } = await during(async () => {
        const asked = (plural: string) => proxy.seen({ verb: "list", plural }).length;
        const before = new Map([...broken.keys()].map((plural) => [plural, asked(plural)]));
        for (const [plural, action] of broken) breakAt({ verb: "list", plural }, action, 2);
        const startedAt = performance.now();
        await relisted(proxy, {
          isEnough: (plural) => asked(plural) > (before.get(plural) ?? -Infinity) + 2,
        });
        assert(performance.now() - startedAt > 1_000, "it asks without a pause");
      });
      // What cannot be listed is told meanwhile.
      assertEquals(writes.filter((write) => !/ (events|controlplanes)\//.test(write)), []);
      await scene.untilReady();
    });

    // As in `relisted`.
    await pause(1_100);
    await test.step("F10 F19 a kind that may not be listed is left alone, and the others are repaired", async () => {
      breakAt({ verb: "list", plural: "roles" }, refuse(403, "Forbidden", { message: "roles is forbidden" }));
      const { writes } = await during(async () => {
        proxy.cutAll();
        await eventually(
          "the refusal to be said",
          () => operator.logged("cannot be listed").length,
          (n) => n > 0,
        );
        await remove(scene, RoleBinding, "router");
        await remove(scene, Role, "router");
        await untilThere(scene, RoleBinding, "router");
        const object = await scene.until(
          "it to be told",
          (found) => conditionOf(found, "Ready")?.message.includes("roles") ?? false,
        );
        assert(conditionOf(object, "Ready")?.status !== "True");
        assertEquals(await scene.find(Role, "router"), undefined);
      });
      assertEquals(operator.logged("cannot be listed").length, 1);
      assert(
        !writes.some((write) => / roles\//.test(write)),
        writes.join(),
      );
      await untilThere(scene, Role, "router");
      await scene.untilReady();
    });

    await test.step("F11 a conflict is read again and written in the same pass", async () => {
      breakAt({ verb: "apply", plural: "deployments", name: "router" }, refuse(409, "Conflict"), 1);
      await scene.change({ images: { router: "registry.example/router:2" } });
      await eventually(
        "the image",
        () => imageOf(scene, "router"),
        (image) => image === "registry.example/router:2",
      );
      await scene.untilReady();
      heal();
    });

    await test.step("F13 what is refused is told, tried seldom, and tried at once when the spec is mended", async () => {
      const refused = { verb: "apply", plural: "deployments", name: "router" };
      breakAt(refused, refuse(422, "Invalid", { message: "spec.template: Invalid value: played" }));
      await scene.change({ images: { router: "registry.example/router:3" } });
      const object = await scene.until(
        "the refusal",
        (found) => conditionOf(found, "Ready")?.message.includes("Invalid value: played") ?? false,
      );
      assertEquals(conditionOf(object, "Stalled")?.status, "True");
      const tried = proxy.seen(refused).length;
      await pause(2_000);
      assert(proxy.seen(refused).length <= tried + 1, "it is tried all the time");
      heal();
      await scene.change({ images: { router: "registry.example/router:4" } });
      await eventually(
        "the image",
        () => imageOf(scene, "router"),
        (image) => image === "registry.example/router:4",
      );
      await scene.untilReady();
    });

    await test.step("F14 429 with Retry-After: nothing is written for so long, then everything", async () => {
      let refusedAt: number | undefined;
      const tooMany = refuse(429, "TooManyRequests", { retryAfterSeconds: 2 });
      breakAt({ verb: "apply" }, (passage) => {
        refusedAt = performance.now();
        return tooMany(passage);
      }, 1);
      await scene.change({
        images: { router: "registry.example/router:5", controller: "registry.example/c:5" },
      });
      await eventually("the refusal", () => refusedAt, (at) => at !== undefined);
      await eventually(
        "the image",
        () => imageOf(scene, "router"),
        (image) => image === "registry.example/router:5",
      );
      assert(performance.now() - (refusedAt ?? Infinity) > 2_000, "it was written before its time");
      await scene.untilReady();
      heal();
    });

    await test.step("F05 an event that gets lost is made up for", async () => {
      const watching = { verb: "watch", plural: "services" };
      const opened = () => [...proxy.watches.values()].filter(({ plural }) => plural === "services");
      const before = opened();
      breakAt(watching, missEvent(({ type }) => type === "DELETED"));
      proxy.endWatches(watching);
      await eventually("another watch", opened, (found) => found.some((each) => !before.includes(each)), {
        show: (found) => `${found.length} watches`,
      });
      await remove(scene, Service, "router");
      await pause(300);
      assertEquals(await scene.find(Service, "router"), undefined);
      heal();
      // At the latest with the next list, here at once.
      await relisted(proxy, { plurals: ["services"] });
      await untilThere(scene, Service, "router");
      heal();
      await scene.untilReady();
    });

    await test.step("F15 a server that is away for a while: the process stays, and goes on", async () => {
      proxy.goDown();
      await remove(scene, RoleBinding, "router");
      await pause(3_000);
      assertEquals((await operator.read("/healthz")).status, 200);
      heal();
      await untilThere(scene, RoleBinding, "router");
    });

    await test.step("F55 a create that arrives late changes nothing of what was made meanwhile", async () => {
      const [sent, arriving] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const creation = { verb: "apply", plural: "rolebindings", name: "router" };
      const late = breakAt(creation, async (passage) => {
        sent.resolve();
        await arriving.promise;
        await passage.stream();
      }, 1);
      const { roleRef, subjects } = present(await scene.find(RoleBinding, "router"));
      const from = proxy.exchanges.length;
      await remove(scene, RoleBinding, "router");
      await sent.promise;
      const made = await scene.client.create(RoleBinding, {
        metadata: { namespace: scene.namespace, name: "router", labels: { made: "by-somebody" } },
        roleRef,
        subjects,
      });
      arriving.resolve();
      const answers = () => proxy.seen(creation).filter((each) => proxy.exchanges.indexOf(each) >= from);
      await eventually("it to arrive", answers, (all) => all.length > 0, { show: () => "nothing" });
      assertEquals(answers()[0]?.status, 409);
      late();
      assertEquals(
        (await scene.get(RoleBinding, "router")).metadata?.resourceVersion,
        made.metadata?.resourceVersion,
      );
      await remove(scene, RoleBinding, "router");
      await eventually(
        "ours",
        () => scene.find(RoleBinding, "router"),
        (found) => found !== undefined && found.metadata?.labels?.["made"] === undefined,
      );
      await scene.untilReady();
    });

    await test.step("F20 without its Lease it writes nothing, stays, and goes on when it has it again", async () => {
      breakAt({ plural: "leases" }, refuse(500, "InternalError"));
      await eventually(
        "the Lease to be lost",
        () => operator.logged("lost the lease: nothing is written until it is held again").length,
        (n) => n > 0,
      );
      const { writes } = await during(async () => {
        await remove(scene, RoleBinding, "router");
        await pause(1_000);
      });
      assertEquals(writes.filter((write) => !write.includes("events")), []);
      await untilThere(scene, RoleBinding, "router");
    });

    const kept = new Set(await childIdentities(scene));
    const replaced = installed.filter((each) => !kept.has(each)).map((each) =>
      each.split(" ").slice(0, 2).join(" ")
    );
    assertEquals(replaced, ["Role router", "RoleBinding router", "Service router"]);
    assertEquals((await scene.controlPlane(NAME)).metadata.name, NAME);
  },
);

longScenario(
  "F10 an operator that begins while Secrets cannot be listed or read restarts no pod",
  async (scene) => {
    const controller = { proxyBrokerUrl: "https://broker.example", proxyBrokerToken: newPassword() };
    const template = async () => (await scene.get(Deployment, "controller")).spec?.template;
    {
      await using _ = await operateBehindProxy(scene);
      await scene.create({ controller });
      await scene.untilReady({ withinMs: 90_000 });
      await scene.change({ controller: { proxyBrokerToken: newPassword() } });
      await eventually(
        "the pods to follow the token",
        template,
        (found) => Object.keys(found?.metadata?.annotations ?? {}).some((key) => key.includes("revision-")),
      );
      await scene.untilReady();
    }
    const before = await template();
    const secrets = (name?: string): Match => ({
      ...{ plural: "secrets", verb: name === undefined ? "list" : "get" },
      ...(name === undefined ? { url: /^(?!.*fieldSelector)/ } : { name }),
    });
    for (const on of [secrets(), secrets("controller-s2s-tokens"), secrets("router-internal")]) {
      const since = Date.now();
      {
        const refused = refuse(500, "InternalError");
        await using next = await operateBehindProxy(scene, {
          prepare: (proxy) => proxy.rule({ on, action: refused, times: 3 }),
        });
        await eventually(
          "an answer at last",
          () => next.proxy.seen(on).map(({ status }) => status),
          (statuses) => statuses.includes(200),
        );
        await scene.untilReady();
      }
      const writes = (await scene.writes(since)).filter((write) => !/ (events|controlplanes)\//.test(write));
      assertEquals(writes, [], JSON.stringify(on));
      assertEquals(await template(), before);
    }
  },
);
