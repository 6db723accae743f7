/**
 * An API server that is slow, silent, or refuses everything for a while. Takes minutes, since it waits for what the
 * operator waits for: deadlines of 30 s, and lists every 30 s.
 */

import { assert, assertEquals } from "@std/assert";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { Scene } from "../e2e/harness.ts";
import { eventually, pause, timed } from "../e2e/waiting.ts";
import { type Action, delay, hang, refuse, reset, silence, trickle } from "./actions.ts";
import { childIdentities, operateBehindProxy } from "./behind_proxy.ts";
import { longScenario } from "./long.ts";
import type { Match } from "./proxy.ts";

/** Gives the router another image, and waits until its Deployment has it. */
async function changeImage(scene: Scene, image: string, withinMs = 60_000): Promise<void> {
  await scene.change({ images: { router: image } });
  await eventually(
    image,
    async () => (await scene.get(Deployment, "router")).spec?.template.spec?.containers[0]?.image,
    (found) => found === image,
    { withinMs },
  );
}

/** Milliseconds until a RoleBinding that is deleted is there again. */
async function repairMs(scene: Scene): Promise<number> {
  await scene.client.delete(RoleBinding, { namespace: scene.namespace, name: "router" });
  return await timed(() =>
    eventually("the repair", () => scene.find(RoleBinding, "router"), (found) => found !== undefined, {
      withinMs: 60_000,
    })
  );
}

/** Does so with the first request of each URL, and lets the others through. */
function firstOfEach(action: Action): Action {
  const seen = new Set<string>();
  return (passage) => {
    const { method, url } = passage.request;
    if (seen.has(`${method} ${url}`)) return passage.stream();
    seen.add(`${method} ${url}`);
    return action(passage);
  };
}

longScenario(
  "F06 F15 F16 F17 an API server that is slow, silent, or refuses everything for a while delays what it must, and no more",
  async (scene, test) => {
    await using behind = await operateBehindProxy(scene);
    const { operator, proxy } = behind;
    await scene.create();
    await scene.untilReady({ withinMs: 90_000 });
    const identities = async () =>
      (await childIdentities(scene)).filter((each) => !each.startsWith("RoleBinding router "));
    const installed = await identities();
    const breakAt = (on: Match, action: Action, times = Infinity) => proxy.rule({ on, times, action });
    const step = (name: string, body: () => Promise<unknown>) =>
      test.step(name, async () => {
        try {
          await body();
        } finally {
          proxy.heal();
          // Those that are silent would stay so.
          proxy.endWatches();
        }
        await scene.untilReady({ withinMs: 90_000 });
      });
    const writes = /^(apply|create|update|patch|delete)$/;

    await step("F17 a single 401 at each turn is no reason to say or to lose anything", async () => {
      const said = operator.lines.length;
      breakAt({ verb: /^(list|apply|update)$/ }, firstOfEach(refuse(401, "Unauthorized")));
      proxy.endWatches();
      await changeImage(scene, "registry.example/router:401");
      assertEquals(operator.lines.slice(said).filter((line) => /"level":"(warn|error)"/.test(line)), []);
    });

    await step(
      "F15 503 to every request is said once, told by no status, and over at the first answer",
      async () => {
        const said = operator.lines.length;
        breakAt({ url: /^(?!.*leases)/ }, refuse(503, "ServiceUnavailable"));
        const sinceMs = Date.now();
        proxy.cutAll();
        await scene.change({ images: { router: "registry.example/router:503" } });
        await pause(8_000);
        assertEquals((await scene.writes(sinceMs)).filter((write) => !write.includes("leases")), []);
        assertEquals((await operator.read("/healthz")).status, 200);
        const alarms = operator.lines.slice(said).filter((line) => /"level":"(warn|error)"/.test(line));
        assert(alarms.length <= 2, alarms.join("\n"));
        proxy.heal();
        await changeImage(scene, "registry.example/router:200", 20_000);
      },
    );

    await step("F15 writes whose connection breaks, or that get 500, are made a little later", async () => {
      breakAt({ verb: writes, plural: "deployments" }, reset, 2);
      breakAt({ verb: writes, plural: "deployments" }, refuse(500, "InternalError"), 2);
      await changeImage(scene, "registry.example/router:500");
    });

    await step("F16 a write that hangs and a list that takes 30 s delay nothing else", async () => {
      breakAt({ verb: "list", plural: "services" }, delay(30_000), 1);
      let hanging = 0;
      breakAt({ verb: "apply", plural: "deployments", name: "router" }, (passage) => {
        hanging++;
        return hang(passage);
      }, 1);
      proxy.endWatches({ plural: "services" });
      await scene.change({ images: { router: "registry.example/router:slow" } });
      await eventually("the write to hang", () => hanging, Boolean);
      const ms = await repairMs(scene);
      // The deadline of the one that hangs is 30 s.
      assert(ms < 20_000, `${ms} ms`);
      await changeImage(scene, "registry.example/router:done", 90_000);
    });

    await step("F16 lists that trickle are taken whole", async () => {
      const sinceMs = Date.now();
      breakAt({ verb: "list", plural: /^(roles|services)$/ }, trickle(256, 20));
      const listed = () => proxy.seen({ verb: "list", plural: "roles" }).length;
      const before = listed();
      breakAt({ verb: "watch", plural: /^(roles|services)$/ }, refuse(410, "Expired"), 2);
      proxy.endWatches();
      await eventually("the list", listed, (count) => count > before, { withinMs: 60_000 });
      await pause(1_000);
      assertEquals(
        (await scene.writes(sinceMs)).filter((write) => !/leases|controlplanes|events/.test(write)),
        [],
      );
    });

    await step("F06 watches that are open and silent delay a change until the next list", async () => {
      breakAt({ verb: "watch" }, silence);
      proxy.endWatches();
      await pause(2_000);
      await changeImage(scene, "registry.example/router:silent", 45_000);
    });

    assertEquals(await identities(), installed);
  },
);
