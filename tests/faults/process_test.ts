/** What happens to the process itself: no file system to write to, floods on its ports, too little memory. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ConfigMap } from "../../src/kubernetes/generated/core_v1.ts";
import { RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { operatorPermissions } from "../../tools/permissions.ts";
import { freeLease } from "../e2e/dying.ts";
import { NAME, type Scene, untilGarbageIsCollected } from "../e2e/harness.ts";
import { eventually, timed } from "../e2e/waiting.ts";
import { longScenario } from "./long.ts";

/** Mounts the root once more, read-only and with what is below, and changes into it. */
const READ_ONLY = `
root=/mnt/iofog-operator-read-only
mkdir -p "$root"
mount --rbind / "$root" && mount -o remount,bind,ro "$root" || exit 1
exec chroot "$root" "$@"
`;

/** A command that runs others on a read-only root; none where this machine does not allow that. */
async function readOnlyRoot(): Promise<readonly string[] | undefined> {
  const through = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh"];
  const [command = "", ...args] = [...through, "sh", "-c", "! touch /tmp/written 2>/dev/null"];
  const tried = await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()
    .catch(() => undefined);
  return tried?.success === true ? through : undefined;
}

/** Milliseconds until a RoleBinding that is deleted is there again. */
async function repairMs(scene: Scene): Promise<number> {
  const deleted = await scene.get(RoleBinding, "router");
  await scene.client.delete(RoleBinding, { namespace: scene.namespace, name: "router" });
  return await timed(() =>
    eventually(
      "the repair",
      () => scene.find(RoleBinding, "router"),
      (found) => found !== undefined && found.metadata?.uid !== deleted.metadata?.uid,
      { show: () => "nothing" },
    )
  );
}

longScenario(
  "F44 F45 on a read-only root without a temporary directory it works, also while its ports are flooded",
  async (scene, test) => {
    const through = await readOnlyRoot();
    if (through === undefined) console.log("no read-only root on this machine: only TMPDIR is missing");
    const operator = scene.operate([], { TMPDIR: "/nonexistent", HOME: "/nonexistent" }, {
      ...(through === undefined ? {} : { through }),
    });
    await scene.create();
    await scene.untilReady({ withinMs: 90_000 });
    assertEquals(operator.lines.filter((line) => /os error|read-only|denied/i.test(line)), []);

    await test.step("F45 slow clients and a flood on both ports do not keep it from its work", async () => {
      const { health, metrics } = await operator.servers();
      const slow = await Promise.all(
        [health, metrics].flatMap((url) =>
          Array.from({ length: 150 }, async () => {
            const { hostname, port } = new URL(url);
            const connection = await Deno.connect({ hostname, port: Number(port) });
            await connection.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "));
            return connection;
          })
        ),
      );
      const calmMs = await repairMs(scene);
      let isOver = false;
      let answered = 0;
      const flood = Promise.all(Array.from({ length: 16 }, async (_, index) => {
        while (!isOver) {
          const response = await fetch(index % 2 === 0 ? `${metrics}/metrics` : `${health}/readyz`);
          await response.body?.cancel();
          if (response.ok) answered++;
        }
      }));
      const repairs: number[] = [];
      for (let round = 0; round < 5; round++) repairs.push(await repairMs(scene));
      isOver = true;
      await flood;
      assert(Math.max(...repairs) < 5_000, `repairs took ${repairs} ms, and ${calmMs} ms without a flood`);
      assert(answered > 100, `${answered} answers`);
      for (const connection of slow) connection.close();
      assertEquals((await operator.read("/readyz")).status, 200);
      assertMatch((await operator.read("/metrics")).text, /workqueue_depth\S* 0$/m);
    });
    assertEquals(await operator.stop(), 0);
  },
);

longScenario(
  "F42 with less memory than it needs it ends, and goes on where it was when it is started again",
  async (scene) => {
    await scene.create();
    // What others keep in the namespace counts too.
    const value = "x".repeat(900_000);
    await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        scene.client.create(ConfigMap, {
          metadata: { namespace: scene.namespace, name: `large-${index}` },
          data: { value },
        })),
    );
    const small = scene.operate([], {}, {
      permissions: [...operatorPermissions(), "--v8-flags=--max-old-space-size=48"],
    });
    const { code, signal } = await small.process.ended;
    assert(code !== 0 || signal !== null, "it had enough");
    assert(small.lines.some((line) => /heap|memory/i.test(line)), small.lines.slice(-5).join("\n"));
    await freeLease(scene);
    scene.operate();
    await scene.untilReady({ withinMs: 90_000 });
    const created = (await scene.requests())
      .filter(({ code, resource }) => code === 201 && resource !== "events" && resource !== "leases")
      .map(({ name, resource }) => `${resource}/${name}`);
    assertEquals(new Set(created).size, created.length, created.join());
  },
);

longScenario(
  "F33 a custom resource that outlives its operator goes at once, and the next operator begins where that one ended",
  async (scene) => {
    const { namespace } = scene;
    await untilGarbageIsCollected();
    const first = scene.operateHere((_, proceed) => proceed());
    await scene.create();
    await scene.untilReady({ withinMs: 60_000 });
    await first.stop();
    const left = structuredClone({ ...scene.controller.state, tokens: [] });
    await scene.client.delete(ControlPlane, { namespace, name: NAME });
    await eventually(
      "the ControlPlane and its children to be gone",
      async () => [await scene.find(ControlPlane, NAME), ...await scene.children()].filter(Boolean).length,
      (count) => count === 0,
    );
    assertEquals({ ...scene.controller.state, tokens: [] }, left);
    await scene.create();
    scene.operateHere((_, proceed) => proceed());
    await scene.untilReady({ withinMs: 60_000 });
    assertEquals(scene.controller.state.users.length, 1);
  },
);
