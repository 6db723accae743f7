/** The kinds of the edge on a real API server: `datasance.com/v3` beside a ControlPlane, with a stand-in Controller 3.7.3. */

import { assertEquals, assertMatch } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { Role } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { edgeCrds, type EdgeKind, edgeResourceOf } from "../../src/resources/edge/crds.ts";
import { connectCluster } from "../cluster/mod.ts";
import { SimulatedAgent } from "../controller/simulated_agent.ts";
import { registerSecret } from "../secrets.ts";
import { conditionOf, type ControlPlaneObject } from "./harness.ts";
import { potCluster, potScenario } from "./pot_harness.ts";
import { eventually } from "./waiting.ts";

const read = (path: string) => Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
const samples = ["agents", "application", "edge_resource"].map((name) =>
  `deploy/samples/edge/pot/${name}.yaml`
);
const cluster = await potCluster();
{
  const client = connectCluster(cluster, { userAgent: "e2e-test" });
  for (const { metadata } of edgeCrds(["datasance.com"])) {
    await client.create(
      CustomResourceDefinition,
      parse(await read(`crds/pot/${metadata.name}.yaml`)) as CustomResourceDefinition,
    );
    await eventually(
      `${metadata.name} to be served`,
      () => client.get(CustomResourceDefinition, { name: metadata.name }),
      ({ status }) => status?.conditions?.some(({ type }) => type === "Established") ?? false,
    );
  }
  client.transport.close?.();
}

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
    const resourceOf = (kind: EdgeKind) => edgeResourceOf(kind, "datasance.com");
    const until = (kind: EdgeKind, name: string, state: RegExp) =>
      eventually(
        `${kind} ${name} to be ${state}`,
        () => scene.get(resourceOf(kind), name) as unknown as Promise<ControlPlaneObject>,
        (object) => {
          const ready = conditionOf(object, "Ready");
          return ready?.observedGeneration === object.metadata.generation &&
            state.test(`${ready?.status} ${ready?.reason}`);
        },
        { show: ({ status }) => JSON.stringify(status), withinMs: 30_000 },
      );
    const calls = () =>
      controller.requests.filter(({ method, path }) =>
        method !== "GET" && /\/(iofog|application|micro|edge)/.test(path)
      )
        .map(({ method, path }) =>
          `${method} ${path.replace("/api/v3", "").replace(/[\w-]{32,36}$/, "UUID")}`
        );
    const untilCalls = async (count: number) => {
      await eventually("the calls", () => Promise.resolve(calls()), (made) => made.length >= count, {
        show: (made) => made.join(),
      });
      return calls();
    };

    const kubeconfig = await scene.account("potctl", await rulesOfPotctl());
    await pot.create();
    for (const text of await Promise.all(samples.map(read))) {
      for (const object of parseAll(text) as KubeObject[]) {
        const metadata = { ...object.metadata, namespace };
        await client.create(resourceOf(object.kind as EdgeKind), { ...object, metadata });
      }
    }
    const operator = pot.operate([`--kubeconfig=${kubeconfig}`]);
    await pot.untilReady();
    await until("Agent", "press-hall-01", /True NotProvisioned/);
    await until("EdgeResource", "gate-camera", /True Ready/);
    await until("Application", "press-monitor", /False Starting/);
    const { data = {} } = await scene.get(Secret, "office-01-provisioning");
    const key = registerSecret(atob(data["provisioningKey"] ?? ""));
    const device = await SimulatedAgent.provision({ url: controller.url, key });
    await device.turn();
    await until("Agent", "office-01", /True Ready/);

    controller.forgetRequests();
    await client.patch(resourceOf("Application"), { namespace, name: "press-monitor" }, {
      type: "merge",
      patch: { spec: { description: "Vibrations" } },
    });
    assertEquals(await untilCalls(1), ["PATCH /application/press-monitor"]);

    controller.forgetRequests();
    const dashboard = controller.state.microservices.find(({ name }) => name === "dashboard");
    if (dashboard !== undefined) dashboard.cmd = ["--wrong"];
    assertEquals(await untilCalls(1), ["PATCH /microservices/UUID"]);
    assertMatch(
      (await operator.read("/metrics")).text,
      /drift_repairs_total\{[^}]*kind="Microservice"[^}]*\} 1/,
    );
    // The kinds of the other flavour are not served, and not in the Role.
    const refused = (await scene.requests()).filter(({ code, group }) =>
      code === 403 && group !== "iofog.org"
    );
    assertEquals(refused.map(({ resource, verb }) => `${verb} ${resource}`), []);

    controller.forgetRequests();
    await client.delete(resourceOf("Application"), { namespace, name: "press-monitor" });
    assertEquals(await untilCalls(1), ["DELETE /application/press-monitor"]);
  },
);
