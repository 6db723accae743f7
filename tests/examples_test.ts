/** `examples/tenants` as somebody runs it: the engine carries an operator that has nothing to do with ioFog. */

import { assertEquals } from "@std/assert";
import { parse } from "@std/yaml";
import { Tenant } from "../examples/tenants/main.ts";
import { isStatus } from "../src/kubernetes/errors.ts";
import { CustomResourceDefinition } from "../src/kubernetes/generated/apiextensions_v1.ts";
import { ConfigMap, Namespace, ServiceAccount } from "../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../src/kubernetes/resource.ts";
import type { Condition } from "../src/operator/definition.ts";
import { connectCluster, sharedCluster, startProcess } from "./cluster/mod.ts";
import { eventually } from "./e2e/waiting.ts";
import { recordOutput } from "./secrets.ts";

const cluster = await sharedCluster();
const FOLDER = new URL("../examples/tenants/", import.meta.url);

async function manifest(file: string): Promise<KubeObject> {
  return parse(await Deno.readTextFile(new URL(file, FOLDER))) as KubeObject;
}

Deno.test("examples/tenants makes what a Tenant wants, repairs it, and imports nothing but mod.ts", async () => {
  const source = await Deno.readTextFile(new URL("main.ts", FOLDER));
  assertEquals([...source.matchAll(/from "([^"]+)"/g)].map(([, from]) => from), ["../../mod.ts"]);

  const client = connectCluster(cluster, { userAgent: "examples-test" });
  const namespace = `examples-${crypto.randomUUID().slice(0, 8)}`;
  await client.create(Namespace, { metadata: { name: namespace } });
  await client.apply(CustomResourceDefinition, await manifest("crd.yaml"), { fieldManager: "examples-test" });
  const permissions = ["--allow-net", "--allow-read", "--allow-env"];
  const operator = startProcess({
    command: Deno.execPath(),
    args: ["run", ...permissions, new URL("main.ts", FOLDER).pathname, namespace],
    env: { KUBECONFIG: cluster.kubeconfigPath },
    output: { onLine: (line) => recordOutput("examples/tenants", line) },
  });
  try {
    const listed = () =>
      client.list(Tenant, { namespace }).catch((error) => isStatus(error, 404) ? undefined : error);
    await eventually("the CRD to be served", listed, Boolean);
    const tenant = await manifest("tenant.yaml");
    await client.create(Tenant, { ...tenant, metadata: { ...tenant.metadata, namespace } });

    const settings = () =>
      client.list(ConfigMap, { namespace }).then(({ items }) => items.find(isSettings)?.data);
    const isSettings = ({ metadata }: KubeObject) => metadata?.name === "blue-settings";
    assertEquals(await eventually("the settings", settings, Boolean), { colour: "blue" });
    const accounts = () => client.list(ServiceAccount, { namespace });
    await eventually(
      "the account",
      accounts,
      ({ items }) => items.some(({ metadata }) => metadata?.name === "blue"),
    );
    await client.delete(ConfigMap, { namespace, name: "blue-settings" });
    assertEquals(await eventually("the settings again", settings, Boolean), { colour: "blue" });

    const ready = async () => {
      const { status } = await client.get(Tenant, { namespace, name: "blue" }) as {
        readonly status?: { readonly conditions?: readonly Condition[] };
      };
      return status?.conditions?.map(({ type, status, reason }) => [type, status, reason].join(" "));
    };
    await eventually("Ready", ready, (seen) => seen?.[0] === "Ready True Ready");
    await client.patch(Tenant, { namespace, name: "blue" }, {
      type: "merge",
      patch: { spec: { owner: null } },
    });
    await eventually("the problem", ready, (seen) => seen?.[0] === "Ready False InvalidSpec");
    assertEquals(await settings(), { colour: "blue" }, "what is there stays");
  } finally {
    await operator.terminate(15_000);
    await client.delete(Namespace, { namespace, name: namespace });
    client.transport.close?.();
  }
});
