/** The kinds of the edge on a real API server: `datasance.com/v3` beside a ControlPlane, with a stand-in Controller 3.7.3. */

import { assertEquals } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import type { Role } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { type EdgeKind, edgeResourceOf } from "../../src/resources/edge/crds.ts";
import { edgeOf, installEdgeCrds, provision, untilMetric } from "./edge_scene.ts";
import { potCluster, potScenario } from "./pot_harness.ts";
import { eventually } from "./waiting.ts";

const read = (path: string) => Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
const samples = ["agents", "application", "edge_resource"].map((name) =>
  `deploy/samples/edge/pot/${name}.yaml`
);
const cluster = await potCluster();
await installEdgeCrds(cluster, "datasance.com");

/** What an operator that potctl installed may do, with what `deploy/edge-addon/pot` adds. */
async function rulesOfPotctl(): Promise<Role["rules"]> {
  const base = parse(await read("deploy/base/role.yaml")) as Role;
  const patch = parse(await read("deploy/overlays/pot/role.yaml")) as readonly {
    readonly value: NonNullable<Role["rules"]>[number];
  }[];
  const added = parse(await read("deploy/edge-addon/pot/role.yaml")) as Role;
  const ofControlPlane = [...base.rules ?? [], ...patch.map(({ value }) => value)].map((rule) =>
    rule.apiGroups?.some((group) => group === "datasance.com" || group === "iofog.org")
      ? { ...rule, resources: (rule.resources ?? []).filter((each) => each.startsWith("controlplanes")) }
      : rule
  );
  return [...ofControlPlane.filter(({ resources }) => resources?.length !== 0), ...added.rules ?? []];
}

potScenario(
  "beside a PoT control plane the samples of the edge come up, follow changes, are repaired, and go",
  cluster,
  async (pot) => {
    const { controller, scene } = pot;
    const { client, namespace } = scene;
    const world = edgeOf(scene, "datasance.com", controller);
    const untilCalls = async (count: number) => {
      await eventually("the calls", () => Promise.resolve(world.calls()), (made) => made.length >= count, {
        show: (made) => made.join(),
      });
      return world.calls();
    };

    const kubeconfig = await scene.account("potctl", await rulesOfPotctl());
    await pot.create();
    for (const text of await Promise.all(samples.map(read))) {
      for (const object of parseAll(text) as KubeObject[]) {
        const metadata = { ...object.metadata, namespace };
        await client.create(edgeResourceOf(object.kind as EdgeKind, "datasance.com"), {
          ...object,
          metadata,
        });
      }
    }
    const operator = pot.operate([`--kubeconfig=${kubeconfig}`]);
    await pot.untilReady();
    await world.until("Agent", "mill-01", /True NotProvisioned/);
    await world.until("EdgeResource", "mill-camera", /True Ready/);
    await world.until("Application", "mill-monitor", /False Starting/);
    const device = await provision(scene, "office-01-provisioning", controller);
    await device.turn();
    await world.until("Agent", "office-01", /True Ready/);

    controller.forgetRequests();
    await world.change("Application", "mill-monitor", { description: "Vibrations" });
    assertEquals(await untilCalls(1), ["PATCH /application/mill-monitor"]);
    await world.until("Application", "mill-monitor", /False Starting/);

    controller.forgetRequests();
    const dashboard = controller.state.microservices.find(({ name }) => name === "dashboard");
    if (dashboard !== undefined) dashboard.cmd = ["--wrong"];
    assertEquals(await untilCalls(1), ["PATCH /microservices/UUID"]);
    await untilMetric(operator, /drift_repairs_total\{[^}]*kind="Microservice"[^}]*\} 1/);
    // The kinds of the other flavour are not served, and not in the Role.
    const refused = (await scene.requests()).filter(({ code, group }) =>
      code === 403 && group !== "iofog.org"
    );
    assertEquals(refused.map(({ resource, verb }) => `${verb} ${resource}`), []);

    controller.forgetRequests();
    await world.delete("Application", "mill-monitor");
    assertEquals(await untilCalls(1), ["DELETE /application/mill-monitor"]);
  },
);
