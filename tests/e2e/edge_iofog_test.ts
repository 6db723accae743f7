/** The kinds of the edge on a real API server: `iofog.org/v3` beside a ControlPlane, with a stand-in Controller 3.0.4. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseAll } from "@std/yaml";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { type EdgeKind, edgeResourceOf } from "../../src/resources/edge/crds.ts";
import { edgeOf, installEdgeCrds, provision, untilMetric } from "./edge_scene.ts";
import { cluster, conditionOf, scenario } from "./harness.ts";
import { eventually } from "./waiting.ts";

await installEdgeCrds(cluster, "iofog.org");

scenario(
  "an application comes up on its agent, follows changes, is repaired, and goes with all that it made",
  async (scene) => {
    const { controller } = scene;
    const world = edgeOf(scene);
    // The other way round: references wait for what they name.
    await world.make("Application", "monitor", {
      microservices: [
        {
          name: "reader",
          agent: { name: "press-1" },
          images: { x86: "reader:1" },
          config: { sampleHz: 400 },
        },
        {
          name: "board",
          agent: { name: "press-1" },
          images: { x86: "board:1" },
          container: { ports: [{ internal: 80, external: 5080 }] },
        },
      ],
      routes: [{ name: "readings", from: "reader", to: "board" }],
    });
    await scene.create();
    const operator = scene.operate();
    await world.until("Application", "monitor", /Unknown ControllerUnreachable|False AgentMissing/);
    await scene.untilReady();
    await world.until("Application", "monitor", /False AgentMissing/);
    await world.make("Agent", "press-1", {
      host: "10.20.0.11",
      ssh: { user: "edge" },
      provisioning: { secretName: "press-1-key" },
      config: { agentType: "x86" },
    });
    await world.until("Agent", "press-1", /True NotProvisioned/);
    const warning = (await world.get("Agent", "press-1")).status?.conditions?.find(({ type }) =>
      type === "Warning"
    );
    assertStringIncludes(warning?.message ?? "", "spec.ssh (only iofogctl and potctl can do that)");
    await world.until("Application", "monitor", /False Starting/);
    const device = await provision(scene, "press-1-key");
    await device.turn();
    const up = await world.until("Application", "monitor", /True Ready/);
    assertEquals(up.status?.["running"], "2/2");
    const agent = await world.until("Agent", "press-1", /True Ready/);
    assertEquals([agent.status?.["version"], agent.status?.["architecture"]], ["3.0.1", "x86"]);

    // A change is one call; identity does not change.
    controller.forgetRequests();
    await world.change("Application", "monitor", { description: "Vibrations" });
    await eventually("the change", () => Promise.resolve(world.calls()), (calls) => calls.length > 0, {
      show: (calls) => calls.join(),
    });
    assertEquals(world.calls(), ["PATCH /application/monitor"]);
    const refused = await world.change("Application", "monitor", { name: "other" })
      .then(() => undefined, (error: unknown) => error);
    assert(isStatus(refused, 422));
    assertStringIncludes((refused as Error).message, "name cannot be changed");

    // Somebody else's change is put right.
    await device.turn();
    await world.until("Application", "monitor", /True Ready/);
    controller.forgetRequests();
    const reader = controller.state.microservices.find(({ name }) => name === "reader");
    if (reader !== undefined) reader.cmd = ["--wrong"];
    await eventually("the repair", () => Promise.resolve(world.calls()), (calls) => calls.length > 0, {
      show: (calls) => calls.join(),
    });
    assertEquals(world.calls(), ["PATCH /microservices/UUID"]);
    await untilMetric(operator, /drift_repairs_total\{[^}]*kind="Microservice"[^}]*\} 1/);

    // An agent is kept while microservices run on it, and goes with them.
    controller.forgetRequests();
    await world.delete("Agent", "press-1");
    await eventually(
      "the agent to be kept",
      () => Promise.resolve(operator.lines.join("\n")),
      (text) => text.includes("Agent press-1 is kept"),
      { show: () => "nothing was said" },
    );
    await scene.until("what is kept to be told", (object) => {
      const { message = "", status } = conditionOf(object, "EdgeKept") ?? {};
      return status === "True" && message.includes("Agent press-1 is kept although Agent.iofog.org/press-1");
    });
    // What an operator will delete is a difference too.
    await operator.stop();
    await world.delete("Application", "monitor");
    const { code, stdout } = await scene.command("diff");
    assertEquals(code, 1);
    assertEquals(stdout.trim().split(/\n+/), [
      "delete Application monitor in the Controller",
      "delete Agent press-1 in the Controller",
    ]);
    scene.operate();
    await eventually("all to be gone", () => Promise.resolve(world.calls()), (calls) => calls.length >= 2, {
      show: (calls) => calls.join(),
    });
    assertEquals(world.calls(), ["DELETE /application/monitor", "DELETE /iofog/UUID"]);
    await scene.until("nothing to be kept", (object) => conditionOf(object, "EdgeKept") === undefined);
    await scene.untilReady();
  },
);

/** The objects in a file of the repository, in the namespace of the scene. */
async function objectsIn(file: string, namespace: string): Promise<readonly KubeObject[]> {
  const text = await Deno.readTextFile(new URL(`../../${file}`, import.meta.url));
  return (parseAll(text) as KubeObject[]).map((object) => ({
    ...object,
    metadata: { ...object.metadata, namespace },
  }));
}

scenario(
  "the Role of a CLI does without the edge and says once how to get it; with the addition, the samples come up",
  async (scene) => {
    const { client, controller, namespace } = scene;
    const world = edgeOf(scene);
    const [role] = await objectsIn("deploy/base/role.yaml", namespace) as readonly Role[];
    const rules = (role?.rules ?? []).filter(({ resources = [] }) =>
      !resources.some((each) => /^agents/.test(each))
    );
    const kubeconfig = await scene.account("cli", rules);
    await scene.create();
    const samples = ["agents", "application", "edge_resource"].map((name) =>
      `deploy/samples/edge/${name}.yaml`
    );
    for (const object of (await Promise.all(samples.map((file) => objectsIn(file, namespace)))).flat()) {
      await client.create(edgeResourceOf(object.kind as EdgeKind, "iofog.org"), object);
    }
    const before = scene.operate([`--kubeconfig=${kubeconfig}`]);
    await scene.untilReady();
    const told = before.lines.filter((line) => line.includes("deploy/edge-addon"));
    assertEquals(told.length, 1);
    assertEquals(controller.state.agents, []);
    await before.stop();

    const [added] = await objectsIn("deploy/edge-addon/role.yaml", namespace) as readonly Role[];
    await client.create(Role, added as Role);
    await client.create(RoleBinding, {
      metadata: { namespace, name: "edge" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: added?.metadata?.name ?? "" },
      subjects: [{ kind: "ServiceAccount", name: "cli", namespace }],
    });
    scene.operate([`--kubeconfig=${kubeconfig}`]);
    await world.until("Agent", "mill-01", /True NotProvisioned/);
    await world.until("Agent", "office-01", /True NotProvisioned/);
    await world.until("Application", "mill-monitor", /False Starting/);
    await world.until("EdgeResource", "mill-camera", /True Ready/);
    const camera = await world.get("EdgeResource", "mill-camera");
    assertEquals([camera.status?.["linked"], camera.status?.["linkedTo"]], [["mill-01"], "mill-01"]);
    const device = await provision(scene, "office-01-provisioning");
    await device.turn();
    const status = await eventually(
      "the picture to show it",
      () => scene.command("status"),
      ({ stdout }) => /office-01 +RUNNING/.test(stdout),
      { show: ({ stdout }) => stdout },
    );
    assertMatch(status.stdout, /office-01 +RUNNING +3\.0\.1 .*\n +mill-monitor\/dashboard +RUNNING/);
    const nothing = await eventually(
      "nothing to differ",
      () => scene.command("diff"),
      ({ code }) => code === 0,
      { show: ({ stdout }) => stdout },
    );
    assertEquals(nothing.stdout, "");
  },
);

/** A valid spec of each kind, and the fields that say which object of the Controller it is. */
const identities: Readonly<
  Record<EdgeKind, readonly [spec: Record<string, unknown>, fields: readonly string[]]>
> = {
  Agent: [{ name: "one", host: "10.0.0.1" }, ["name"]],
  Application: [{ name: "one", microservices: [] }, ["name"]],
  Microservice: [
    { name: "one", application: "line", agent: { name: "press-1" }, images: { x86: "reader:1" } },
    ["name", "application"],
  ],
  Route: [{ name: "one", application: "line", from: "reader", to: "writer" }, ["name", "application"]],
  EdgeResource: [{ name: "one", version: "v1.0.0", interfaceProtocol: "https" }, ["name", "version"]],
};

scenario(
  "what an object at the edge is in the Controller cannot be changed, whichever kind it is",
  async (scene) => {
    const world = edgeOf(scene);
    for (
      const [kind, [spec, fields]] of Object.entries(identities) as [EdgeKind, typeof identities["Agent"]][]
    ) {
      await world.make(kind, "named", spec);
      await world.make(kind, "unnamed", { ...spec, name: undefined });
      const refusal = (name: string, changes: unknown) =>
        world.change(kind, name, changes).then(
          () => "accepted",
          (error: unknown) => isStatus(error, 422) ? (error as Error).message : String(error),
        );
      for (const field of fields) {
        const other = field === "version" ? "v1.0.1" : "another";
        assertStringIncludes(await refusal("named", { [field]: other }), `${field} cannot be changed`, kind);
      }
      assertStringIncludes(await refusal("named", { name: null }), "name cannot be changed", kind);
      assertStringIncludes(await refusal("unnamed", { name: "one" }), "name cannot be changed", kind);
      assertEquals(await refusal("named", spec), "accepted", kind);
    }
  },
);
