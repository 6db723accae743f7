/**
 * Releases of the PoT operator before 3.7 are replaced by ours, on a cluster of its own, since CRDs have no namespace:
 * selectors change without an end of service, edge routers stay trusted, and what the Controller added is kept.
 */

import { assert, assertEquals } from "@std/assert";
import { Deployment, StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import { ConfigMap, Pod, Secret, Service, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { Role } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { Resource } from "../../src/kubernetes/resource.ts";
import { OWN_ROLE } from "../../src/resources/controlplane/pot/upgrade.ts";
import { isSignedWith } from "../../src/resources/pki.ts";
import { registerSecret } from "../secrets.ts";
import { addedListener, formerLabels, type FormerRelease, installFormer } from "./former_pot.ts";
import type { Scene } from "./harness.ts";
import { potCluster, potScenario } from "./pot_harness.ts";
import { potRolesAsFound } from "./roles_as_found.ts";
import { eventually, pause } from "./waiting.ts";

const cluster = await potCluster();
Deno.test.afterAll(() => cluster.stop());

/** Looks all the time whether each Service leads to a pod that is ready; says when one did not. */
function watchService(scene: Scene, names: readonly string[]): () => Promise<readonly string[]> {
  const gaps = new Set<string>();
  let isOver = false;
  const isReady = ({ metadata, status }: Pod) =>
    metadata?.deletionTimestamp === undefined &&
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
  const look = async () => {
    while (!isOver) {
      // The pods first: one that leaves after that has been replaced by one that the Service leads to already.
      const pods = (await scene.list(Pod)).filter(isReady);
      for (const name of names) {
        const { selector = {} } = (await scene.get(Service, name)).spec ?? {};
        const served = pods.some(({ metadata }) =>
          Object.entries(selector).every(([key, value]) => metadata?.labels?.[key] === value)
        );
        if (!served) gaps.add(`${name} leads to none of ${pods.map(({ metadata }) => metadata?.name)}`);
      }
      await pause(50);
    }
  };
  const looking = look();
  return async () => {
    isOver = true;
    await looking;
    return [...gaps];
  };
}

async function untilAvailable(scene: Scene, count: number): Promise<void> {
  await eventually(
    "the pods of the former operator",
    () => scene.list(Deployment),
    (all) => all.filter(({ status }) => status?.availableReplicas === 1).length === count,
    {
      show: (all) =>
        all.map(({ metadata, status }) => `${metadata?.name} ${status?.availableReplicas}`).join(),
    },
  );
}

async function assertSelected(scene: Scene, name: "controller" | "router"): Promise<void> {
  const labels = formerLabels("3.6", name, "pot");
  assertEquals((await scene.get(Deployment, name)).spec?.selector.matchLabels, labels, name);
  assertEquals((await scene.get(Service, name)).spec?.selector, labels, name);
}

const services = {
  controller: { type: "NodePort" },
  router: { type: "ClusterIP" },
  nats: { type: "ClusterIP" },
  natsServer: { type: "ClusterIP" },
};
const ingresses = {
  router: { address: "router.example.com", messagePort: 5671, interiorPort: 55671, edgePort: 45671 },
};
const database = {
  provider: "postgres",
  host: "db.example.com",
  port: 5432,
  user: "pot",
  password: registerSecret("Fake-Db-Password"),
  databaseName: "pot",
};
for (const release of ["3.5", "3.6"] satisfies FormerRelease[]) {
  potScenario(
    `what PoT ${release} left with a database elsewhere becomes ours without an end of service`,
    cluster,
    async (pot) => {
      const { scene, controller } = pot;
      const { client, namespace } = scene;
      const { metadata } = await pot.create({ services, ingresses, database, nats: { enabled: false } });
      const owner = { name: metadata.name, uid: metadata.uid };
      const trusted = await installFormer(release, { client, namespace, owner, isSqlite: false });
      await untilAvailable(scene, 2);
      const stop = watchService(scene, ["controller", "router"]);
      pot.operate(["--resync-interval=1s"]);
      await pot.untilReady();
      await eventually(
        "nothing to be left of the way",
        () => scene.list(Deployment),
        (all) => all.length === 2,
        {
          show: (all) => all.map(({ metadata }) => metadata?.name).join(),
        },
      );
      assertEquals(await stop(), []);
      await assertSelected(scene, "controller");
      await assertSelected(scene, "router");

      // Edge routers trust the authority under its new name, in the Secret and in the Controller.
      const secretOf = async (name: string) => {
        const data = (await scene.get(Secret, name)).data ?? {};
        return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, atob(value)]));
      };
      const authority = await secretOf("router-site-ca");
      assertEquals(authority["tls.crt"], trusted);
      assert(isSignedWith((await secretOf("router-site-server"))["tls.crt"] ?? "", trusted ?? ""));
      assertEquals(
        controller.state.certificates.map(({ name, subject }) => ({ name, subject })),
        [
          { name: "router-site-ca", subject: "pot-site-ca" },
          { name: "default-router-local-ca", subject: "default-router-local-ca" },
        ],
      );
      const document = (await scene.get(ConfigMap, "iofog-router")).data?.["skrouterd.json"] ?? "";
      const entries = JSON.parse(document) as [string, { name?: string }][];
      assertEquals(entries.filter(([type]) => type === "tcpListener"), [[...addedListener]] as never);
      assertEquals(entries.filter(([, { name }]) => name?.startsWith("pot-router")), []);
      // The way back.
      assert(await scene.find(Secret, "pot-site-ca") && await scene.find(ConfigMap, "pot-router"));
    },
  );
}

potScenario(
  "what PoT 3.4 left with its embedded database, and a Role of an old potctl, becomes ours without two Controllers",
  cluster,
  async (pot) => {
    const { scene } = pot;
    const { client, namespace } = scene;
    const { metadata } = await pot.create({ services, ingresses });
    const owner = { name: metadata.name, uid: metadata.uid };
    await installFormer("3.4", { client, namespace, owner, isSqlite: true });
    await untilAvailable(scene, 3);
    let most = 0;
    let isOver = false;
    const counting = (async () => {
      while (!isOver) {
        // Those that are being deleted too: they still have the database open.
        const pods = (await scene.list(Pod)).filter(({ spec }) => spec?.serviceAccountName === "controller");
        most = Math.max(most, pods.length);
        await pause(50);
      }
    })();
    const kubeconfig = await scene.account("iofog-operator", potRolesAsFound.potctlBefore16);
    pot.operate([`--kubeconfig=${kubeconfig}`, "--resync-interval=1s"]);
    await pot.untilReady();
    isOver = true;
    await counting;
    assertEquals(most, 1);
    await assertSelected(scene, "controller");
    await assertSelected(scene, "router");
    assertEquals((await scene.get(Service, "router")).spec?.ports?.map(({ port }) => port), [
      5671,
      55671,
      45671,
    ]);
    for (const resource of [Deployment, Role, ServiceAccount] as readonly Resource[]) {
      const find = () => scene.find(resource, "port-manager");
      await eventually(`${resource.kind} port-manager to be gone`, find, (found) => found === undefined, {
        show: () => "it is there",
      });
    }
    assert(await scene.find(Role, OWN_ROLE));
    assertEquals((await scene.get(StatefulSet, "nats")).status?.availableReplicas, 2);
  },
);
