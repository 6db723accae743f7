/**
 * What potctl, and people at a terminal, rely on: its Role, labels, Leases, the log, ready by generation, its deletion of
 * everything in one go, the commands; and that flavours come and go while the operator runs.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { Namespace, Pod, Service, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { NetworkPolicy } from "../../src/kubernetes/generated/networking_v1.ts";
import { PodDisruptionBudget } from "../../src/kubernetes/generated/policy_v1.ts";
import type { Resource } from "../../src/kubernetes/resource.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import { PotControlPlane } from "../../src/resources/controlplane/pot/resource.ts";
import { conditionOf, type ControlPlaneObject, installCrd } from "./harness.ts";
import { potCluster, potScenario } from "./pot_harness.ts";
import { potRolesAsFound } from "./roles_as_found.ts";
import { eventually } from "./waiting.ts";

const cluster = await potCluster();
Deno.test.afterAll(() => cluster.stop());

/** How potctl computes the state. */
function stateByPotctl({ metadata, status }: ControlPlaneObject): string {
  const first = status?.conditions?.find(({ status }) => status === "True");
  if (first === undefined) return "deploying";
  return first.observedGeneration === metadata.generation ? first.type : "updating";
}

potScenario(
  "what potctl deploys it finds, calls ready by its generation, and deletes in one go; once, diff and status know it",
  cluster,
  async (pot) => {
    const { controller, scene } = pot;
    const { client, namespace } = scene;
    const look = (command: string) => scene.command(command, [`--controller-url=${controller.url}`]);
    await pot.create({ services: { nats: { type: "ClusterIP" } } });
    const before = await look("diff");
    assertEquals(before.code, 1, before.stderr);
    assertMatch(before.stdout, /^create Deployment controller/m);
    assertEquals(await pot.children(), []);
    const unseen = await look("status");
    assertEquals(unseen.code, 1);
    assertMatch(unseen.stdout, /pot: not ready \(NotSeen\)/);
    await look("once");
    assert(await scene.find(Deployment, "controller"));

    const kubeconfig = await scene.account("iofog-operator", potRolesAsFound.potctl);
    const operator = pot.operate([`--kubeconfig=${kubeconfig}`]);
    const ready = await pot.untilReady();
    assertEquals(stateByPotctl(ready), "ready");
    for (const label of ["datasance.com/component=controller", "name=controller"]) {
      const { items } = await client.list(Pod, { namespace, labelSelector: label });
      assertEquals(items.map(({ status }) => status?.phase), ["Running"], label);
    }
    assert(await scene.find(Lease, "pot.datasance"));
    const log = await eventually(
      "it to work",
      () => Promise.resolve(operator.lines.join("\n")),
      (lines) => lines.includes("Starting workers") && lines.includes("successfully acquired lease"),
      { show: (lines) => lines },
    );
    for (
      const text of ["successfully acquired lease", '"controllerGroup":"datasance.com"', "Starting workers"]
    ) {
      assertStringIncludes(log, text);
    }
    assert(!log.includes("ERROR"));
    assertEquals(await look("diff"), { code: 0, stdout: "", stderr: "" });
    const shown = await look("status");
    assertEquals(shown.code, 0, shown.stdout);
    assertMatch(shown.stdout, /^ControlPlane e2e-\S+\/pot: ready\n/);

    const changed = await pot.change({ services: { controller: { type: "NodePort" } } });
    assertEquals(stateByPotctl(changed), "updating");
    const nodePort = async () =>
      (await scene.get(Service, "controller")).spec?.ports?.find(({ targetPort }) => targetPort === 51121)
        ?.nodePort;
    await eventually("a port at nodes", nodePort, (port) => port !== undefined);
    assertEquals(stateByPotctl(await pot.untilReady()), "ready");
    // Its Role knows no budgets, which is told once they are asked for.
    await pot.change({ podDisruptionBudgets: { enabled: true } });
    const told = await pot.until(
      "what the Role lacks",
      (object) => conditionOf(object, "Ready")?.reason === "ListForbidden",
    );
    assertMatch(
      conditionOf(told, "Ready")?.message ?? "",
      /grant get, list and watch on poddisruptionbudgets/,
    );

    const target = { namespace, name: "iofog-operator" };
    await client.delete(PotControlPlane, { namespace, name: "pot" }, { propagationPolicy: "Background" });
    for (const resource of [ServiceAccount, Role, RoleBinding] as readonly Resource[]) {
      await client.delete(resource, target);
    }
    await client.delete(Namespace, { name: namespace });
    const left = async () => (await client.list(Namespace, {})).items.map(({ metadata }) => metadata?.name);
    await eventually("the namespace to be gone", left, (names) => !names.includes(namespace), {
      withinMs: 60_000,
      show: (names) => names.join(),
    });
    assertEquals(operator.lines.filter((line) => line.includes('"level":"error"')), []);
  },
);

potScenario(
  "flavours come and go while the operator runs, and budgets and policies with the spec",
  cluster,
  async (pot) => {
    const { scene } = pot;
    const { client } = scene;
    const operator = pot.operate(["--resync-interval=1s"]);
    const enabled = { enabled: true };
    await pot.create({ nats: { enabled: false }, podDisruptionBudgets: enabled, networkPolicies: enabled });
    await pot.untilReady();
    for (const resource of [PodDisruptionBudget, NetworkPolicy]) {
      const names = (await scene.list<{ metadata?: { name?: string } }>(resource as never))
        .map(({ metadata }) => metadata?.name).sort();
      assertEquals(names, ["controller", "router"], resource.kind);
    }
    await pot.change({ podDisruptionBudgets: null, networkPolicies: null });
    const left = async () => [...await scene.list(PodDisruptionBudget), ...await scene.list(NetworkPolicy)];
    await eventually("none to be left", left, (all) => all.length === 0, { show: (all) => `${all.length}` });

    const changes = () => operator.logged("other control planes are served than before");
    const until = (count: number) =>
      eventually(`flavours to change ${count} times`, changes, (all) => all.length === count, {
        withinMs: 60_000,
        show: (all) => `${all.length}`,
      });
    const repairs = async () => {
      const before = (await scene.get(Service, "router")).metadata?.uid;
      await client.delete(Service, { namespace: scene.namespace, name: "router" });
      await eventually(
        "the Service to be made again",
        () => scene.find(Service, "router"),
        (found) => found !== undefined && found.metadata?.uid !== before,
        { withinMs: 60_000 },
      );
    };
    await client.delete(CustomResourceDefinition, { name: "controlplanes.iofog.org" });
    await until(1);
    assertEquals(changes().map(({ flavours }) => flavours), [["pot"]]);
    await repairs();
    await installCrd(cluster);
    await until(2);
    assertEquals(changes().at(-1)?.["flavours"], ["iofog", "pot"]);
    await repairs();
    await pot.untilReady();
  },
);
