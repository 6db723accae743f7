/**
 * What can go wrong around a control plane of PoT beyond what `sieve.ts` tries: others who write what we write, a
 * Controller that is away, tells nonsense or has lost everything, servers that are not well.
 *
 * `deno task faults` runs it.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Deployment, StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import { ConfigMap, PersistentVolumeClaim, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { RequestHook } from "../../src/kubernetes/intercept.ts";
import { conditionOf, type InProcessOperator, type Scene } from "../e2e/harness.ts";
import { potCluster, potScenario, type PotScene } from "../e2e/pot_harness.ts";
import { eventually, pause } from "../e2e/waiting.ts";
import { playNatsMonitors } from "../nats/monitors.ts";
import { LONG_VARIABLE } from "./long.ts";

const ROUTER_CONFIG = "iofog-router";
const NATS_CONFIG = "iofog-nats-config";
const BUNDLE = "iofog-nats-jwt-bundle";
/** Secrets that nothing may ever replace. */
const keys = ["router-site-ca", "default-router-local-ca", "nats-site-ca", "default-nats-local-ca"];
const WAIT_MS = 15_000;

if (Deno.env.has(LONG_VARIABLE)) {
  const cluster = await potCluster();
  Deno.test.afterAll(() => cluster.stop());

  potScenario(
    "F11 F21 F24 F26 F27 F28 F29 F53 PoT: NATS, router and authorities come through what others do",
    cluster,
    async (pot, test) => {
      const { controller, scene } = pot;
      const { client, kubelet, namespace } = scene;
      const monitors = playNatsMonitors();
      scene.atEnd(() => monitors.close());
      let hook: RequestHook = (_, proceed) => proceed();
      const operate = () =>
        scene.operateHere(
          (request, proceed) => hook(request, proceed),
          [`--controller-url=${controller.url}`, "--resync-interval=1s"],
          undefined,
          { natsMonitorAt: () => monitors.url },
        );
      let operator: InProcessOperator = operate();
      const edit = (name: string, key: string, change: (text: string) => string) =>
        editConfig(scene, name, key, change);
      const textOf = async (name: string, key: string) =>
        (await scene.find(ConfigMap, name))?.data?.[key] ?? "";

      await test.step("nothing is written while its pods do not start", async () => {
        const release = kubelet.pods.hold({ namespace });
        await pot.create();
        await pot.until(
          "only pods to be awaited",
          (object) =>
            conditionOf(object, "NatsRegistered")?.status === "True" &&
            ["Controller", "Router", "Nats"].every((part) =>
              conditionOf(object, `${part}Available`)?.reason === "Unschedulable"
            ),
          { withinMs: 60_000 },
        );
        await confirmed(scene);
        await pause(3_000);
        const since = Date.now();
        controller.forgetRequests();
        await pause(WAIT_MS);
        assertEquals(await scene.writes(since), []);
        assertEquals(controller.requests.filter(({ method }) => method !== "GET"), []);
        release();
        await pot.untilReady();
      });

      await test.step("the Controller writes between our look and our write, and neither loses", async () => {
        const { jwt, publicKey } = await controller.addNatsAccount("late");
        const meanwhile: Readonly<Record<string, () => Promise<void>>> = {
          [ROUTER_CONFIG]: () =>
            edit(ROUTER_CONFIG, "skrouterd.json", (text) => {
              const listener = ["tcpListener", { name: "late", port: "1024", address: "late" }];
              return JSON.stringify([...JSON.parse(text), listener]);
            }),
          [NATS_CONFIG]: () =>
            edit(
              NATS_CONFIG,
              "server.conf",
              (text) => text.replace("routes: [", 'routes: ["nats://late:6222", '),
            ),
          [BUNDLE]: () => edit(BUNDLE, "LATE.jwt", () => "late"),
        };
        const met = new Set<string>();
        hook = async ({ name = "", plural, verb }, proceed) => {
          const other = verb === "apply" && plural === "configmaps" ? meanwhile[name] : undefined;
          if (other !== undefined && !met.has(name)) {
            met.add(name);
            await other();
          }
          return await proceed();
        };
        // Something of ours is gone from each.
        await Promise.all([
          edit(ROUTER_CONFIG, "skrouterd.json", (text) => text.replace('"amqps"', '"gone"')),
          edit(
            NATS_CONFIG,
            "server.conf",
            (text) => text.replace("no_advertise: true", "no_advertise: false"),
          ),
          edit(BUNDLE, `${publicKey}.jwt`, () => "wrong"),
        ]);
        await eventually("both", async () => [
          (await textOf(ROUTER_CONFIG, "skrouterd.json")).includes('"late"'),
          (await textOf(ROUTER_CONFIG, "skrouterd.json")).includes('"amqps"'),
          (await textOf(NATS_CONFIG, "server.conf")).includes("nats://late:6222"),
          (await textOf(NATS_CONFIG, "server.conf")).includes("no_advertise: true"),
          await textOf(BUNDLE, "LATE.jwt") === "late",
          await textOf(BUNDLE, `${publicKey}.jwt`) === jwt,
        ], (all) => all.every(Boolean));
        assertEquals([...met].sort(), [NATS_CONFIG, BUNDLE, ROUTER_CONFIG].sort());
        hook = (_, proceed) => proceed();
        await pot.untilReady();
      });

      const kept = await contentsOf(scene);

      await test.step("while the Controller is away children are repaired, and NATS stays as it is", async () => {
        await controller.goDown();
        await client.delete(Deployment, { namespace, name: "router" });
        await operator.stop();
        operator = operate();
        await eventually(
          "the router again",
          () => scene.find(Deployment, "router"),
          (found) => found !== undefined,
        );
        const told = await pot.until(
          "the Controller to be missed",
          (object) => conditionOf(object, "ControllerReachable")?.reason === "ControllerUnreachable",
        );
        assertEquals(conditionOf(told, "Ready")?.status, "False");
        assertEquals(await contentsOf(scene), kept);
        await controller.comeUp();
        await pot.untilReady();
      });

      await test.step("HTML in place of what NATS needs changes nothing, and is told", async () => {
        await operator.stop();
        controller.breakAt({
          path: "/nats/bootstrap",
          action: { type: "answer", status: 200, body: "<html>" },
          times: 1_000,
        });
        operator = operate();
        const told = await pot.until(
          "the nonsense to be told",
          (object) => conditionOf(object, "NatsBootstrapped")?.status === "False",
        );
        assertEquals(conditionOf(told, "NatsBootstrapped")?.reason, "BadResponse");
        assertEquals(await contentsOf(scene), kept);
        controller.clearFaults();
        await pot.untilReady();
      });

      await test.step("NATS grows only while all its servers are well, and one at a time", async () => {
        const release = kubelet.pods.unready({ namespace, name: "nats-1" });
        await eventually(
          "it to be noticed",
          () => scene.get(StatefulSet, "nats"),
          ({ status }) => (status?.readyReplicas ?? 0) === 1,
        );
        await pot.change({ replicas: { nats: 3 } });
        await pot.until(
          "the wait to be told",
          (object) =>
            object.status?.conditions?.some(({ message = "" }) =>
              /on the way from 2 NATS servers to 3, 1 of 2/.test(message)
            ) ??
              false,
        );
        assertEquals((await scene.get(StatefulSet, "nats")).spec?.replicas, 2);
        release();
        await pot.untilReady();
        assertEquals((await scene.get(StatefulSet, "nats")).spec?.replicas, 3);
        await pot.change({ replicas: { nats: 2 } });
        await pot.untilReady();
        // The claim of the server that left stays, with its data.
        assert(await scene.find(PersistentVolumeClaim, "js-data-nats-2"));
      });

      await test.step("a Controller that lost its database has everything again; authorities and accounts stay", async () => {
        const accounts = Object.keys((await scene.get(ConfigMap, BUNDLE)).data ?? {});
        const authorities = await valuesOf(scene, keys);
        controller.forgetEverything();
        await eventually(
          "what it had",
          () => {
            const { certificates, natsHub, router } = controller.state;
            return Promise.resolve([certificates.length, natsHub?.host, router?.host]);
          },
          ([count, ...hosts]) => count === 4 && hosts.every((host) => host !== undefined),
          { withinMs: 60_000 },
        );
        await pot.untilReady();
        assertEquals(await valuesOf(scene, keys), authorities);
        const now = Object.keys((await scene.get(ConfigMap, BUNDLE)).data ?? {});
        assertEquals(accounts.filter((key) => !now.includes(key)), []);
      });
    },
  );

  potScenario(
    "F34 PoT: a storage class that is not there is told, and over once it is mended",
    cluster,
    async (pot) => {
      const { controller, scene } = pot;
      const { client, kubelet, namespace } = scene;
      const release = kubelet.storage.hold({ namespace, name: /^js-data-nats-/ });
      const go = kubelet.pods.hold(
        { namespace, name: /^nats-/ },
        "pod has unbound immediate PersistentVolumeClaims",
      );
      scene.operateHere((_, proceed) => proceed(), [`--controller-url=${controller.url}`]);
      await pot.create({ nats: { jetStream: { storageClassName: "no-such-class" } } });
      const told = await pot.until(
        "the class to be missed",
        (object) => conditionOf(object, "NatsAvailable")?.reason === "ClaimPending",
        { withinMs: 60_000 },
      );
      assertMatch(
        conditionOf(told, "NatsAvailable")?.message ?? "",
        /storage class no-such-class: see .*, and where there is no such class correct spec\.nats\.jetStream\.storageClassName/,
      );
      await pot.change({ nats: { jetStream: { storageClassName: "fast" } } });
      const refused = await pot.until(
        "the remedy",
        (object) => conditionOf(object, "Stalled")?.status === "True",
      );
      const [, command = ""] =
        /kubectl -n \S+ delete (.*)$/.exec(conditionOf(refused, "Stalled")?.message ?? "") ?? [];
      assertEquals(command, "statefulset/nats persistentvolumeclaim/js-data-nats-0");
      release();
      go();
      // As the message says.
      await client.delete(StatefulSet, { namespace, name: "nats" });
      await client.delete(PersistentVolumeClaim, { namespace, name: "js-data-nats-0" });
      await pot.untilReady();
      const claims = (await scene.list(PersistentVolumeClaim)).filter(({ metadata }) =>
        metadata?.name?.startsWith("js-")
      );
      assertEquals(claims.map(({ spec }) => spec?.storageClassName), ["fast", "fast"]);
    },
  );
}

async function editConfig(
  scene: Scene,
  name: string,
  key: string,
  change: (text: string) => string,
): Promise<void> {
  const data = { [key]: change((await scene.get(ConfigMap, name)).data?.[key] ?? "") };
  await scene.client.patch(ConfigMap, { namespace: scene.namespace, name }, {
    type: "merge",
    patch: { data },
  });
}

async function confirmed(scene: PotScene["scene"]): Promise<void> {
  await eventually(
    "the inventory to be confirmed",
    async () => (await scene.get(ConfigMap, "iofog-inventory")).data?.["entries"] ?? "",
    (entries) => (JSON.parse(entries) as { confirmed?: boolean }[]).every((entry) => entry.confirmed),
    { show: (entries) => entries },
  );
}

async function valuesOf(scene: Scene, names: readonly string[]): Promise<readonly unknown[]> {
  return await Promise.all(names.map(async (name) => (await scene.get(Secret, name)).data));
}

/** What nobody may change while the Controller tells nothing. */
async function contentsOf(scene: Scene): Promise<readonly unknown[]> {
  const secrets = [...keys, "nats-operator-seed", "nats-creds-sys-admin-hub", "nats-jetstream-key-pot"];
  const configs = await Promise.all(
    [ROUTER_CONFIG, NATS_CONFIG, BUNDLE].map(async (name) => (await scene.get(ConfigMap, name)).data),
  );
  return [...await valuesOf(scene, secrets), ...configs];
}
