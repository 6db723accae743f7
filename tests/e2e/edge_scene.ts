/** What tests of the kinds of the edge start from, beside a scene: their CRDs, their objects, and devices. */

import { assertEquals } from "@std/assert";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import type { Condition, Parent } from "../../src/operator/definition.ts";
import { type EdgeGroup, type EdgeKind, edgeKinds, edgeResourceOf } from "../../src/resources/edge/crds.ts";
import type { SharedCluster } from "../cluster/mod.ts";
import type { Controller } from "../controller/controller.ts";
import { SimulatedAgent } from "../controller/simulated_agent.ts";
import { registerSecret } from "../secrets.ts";
import { installCrd, type Scene } from "./harness.ts";
import type { OperatorProcess } from "./operator_process.ts";
import { eventually } from "./waiting.ts";

type EdgeObject = Parent<
  Record<string, unknown>,
  Record<string, unknown> & { readonly conditions?: readonly Condition[] }
>;

/** Makes a cluster serve the kinds of the edge in a group. */
export async function installEdgeCrds(on: SharedCluster, group: EdgeGroup): Promise<void> {
  for (const kind of edgeKinds) await installCrd(on, edgeResourceOf(kind, group));
}

/** The custom resources of the edge in a scene, and what comes of them in its Controller. */
export function edgeOf(
  scene: Scene,
  group: EdgeGroup = "iofog.org",
  controller: Controller = scene.controller,
) {
  const { client, namespace } = scene;
  const resourceOf = (kind: EdgeKind) => edgeResourceOf(kind, group);
  const get = (kind: EdgeKind, name: string) => scene.get(resourceOf(kind), name) as Promise<EdgeObject>;
  return {
    get,
    make: (kind: EdgeKind, name: string, spec: unknown) =>
      client.create(resourceOf(kind), { metadata: { namespace, name }, spec } as KubeObject),
    change: (kind: EdgeKind, name: string, spec: unknown) =>
      client.patch(resourceOf(kind), { namespace, name }, { type: "merge", patch: { spec } }),
    delete: (kind: EdgeKind, name: string) => client.delete(resourceOf(kind), { namespace, name }),
    /** Waits until `Ready` is so, for the present generation. */
    until: (kind: EdgeKind, name: string, state: RegExp) =>
      eventually(
        `${kind} ${name} to be ${state}`,
        () => get(kind, name),
        (object) => {
          const ready = object.status?.conditions?.find(({ type }) => type === "Ready");
          return ready?.observedGeneration === object.metadata.generation &&
            state.test(`${ready?.status} ${ready?.reason}`);
        },
        { show: ({ status }) => JSON.stringify(status) },
      ),
    /** What changed something in the Controller, logins aside. */
    calls: () =>
      controller.requests.filter(({ method, path }) => method !== "GET" && !path.endsWith("/login")).map((
        { method, path },
      ) => `${method} ${path.replace("/api/v3", "").replace(/[A-Za-z0-9]{32}|[0-9a-f-]{36}/, "UUID")}`),
  };
}

/** Waits until an operator counts so. */
export async function untilMetric(operator: OperatorProcess, line: RegExp): Promise<void> {
  const text = async () => (await operator.read("/metrics")).text;
  await eventually(`the metric ${line}`, text, (metrics) => line.test(metrics), { show: () => "another" });
}

/** Provisions an agent with the key that the operator put into a Secret, as a person would on the device. */
export async function provision(
  scene: Scene,
  secret: string,
  controller: Controller = scene.controller,
): Promise<SimulatedAgent> {
  const { data = {} } = await eventually(
    `Secret ${secret}`,
    () => scene.find(Secret, secret),
    (found) => found?.data?.["provisioningKey"] !== undefined,
    { show: () => "it is not there" },
  ) as Secret;
  const key = registerSecret(atob(data["provisioningKey"] ?? ""));
  assertEquals(Object.keys(data).toSorted(), ["controllerURL", "expirationTime", "provisioningKey", "uuid"]);
  return await SimulatedAgent.provision({ url: controller.url, key });
}
