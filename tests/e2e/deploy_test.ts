/**
 * `deploy/base` on a real API server, and in the rights of its ServiceAccount the program as it is shipped: one file,
 * with the permissions of the binary.
 */

import { assertEquals } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Namespace, Pod, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { bundle, bundleArguments } from "../../tools/compile.ts";
import { auditEvents, kubeconfigForServiceAccount, startProcess } from "../cluster/mod.ts";
import { recordOutput } from "../secrets.ts";
import { cluster, scenario, type Scene } from "./harness.ts";

const BASE = new URL("../../deploy/base/", import.meta.url);
const KINDS: Readonly<Record<string, Resource>> = { Deployment, Role, RoleBinding, ServiceAccount };

/** The objects of the base, CRDs aside, as kustomize makes them for `namespace`. */
async function baseIn(namespace: string): Promise<KubeObject[]> {
  const { resources } = parse(await Deno.readTextFile(new URL("kustomization.yaml", BASE)));
  const files = (resources as string[]).filter((path) => path.endsWith(".yaml"));
  const texts = await Promise.all(files.map((path) => Deno.readTextFile(new URL(path, BASE))));
  return texts.flatMap((text) =>
    parseAll(text.replaceAll("namespace: iofog\n", `namespace: ${namespace}\n`)) as KubeObject[]
  );
}

async function install(scene: Scene): Promise<void> {
  for (const object of await baseIn(scene.namespace)) {
    const resource = KINDS[object.kind ?? ""];
    if (resource === undefined) {
      throw new Error(`deploy/base has a ${object.kind}, which this test does not know`);
    }
    await scene.client.apply(resource, object, { fieldManager: "e2e-test" });
  }
}

scenario(
  "deploy/base gives the program the rights that it needs, and it asks for no others",
  async (scene) => {
    await install(scene);
    const folder = await Deno.makeTempDir();
    const program = `${folder}/iofog-operator.js`;
    await bundle(program);
    const kubeconfig = await kubeconfigForServiceAccount(cluster, scene.namespace, "iofog-operator");
    const operator = startProcess({
      command: Deno.execPath(),
      args: [...bundleArguments(program), ...scene.flags([`--kubeconfig=${kubeconfig}`])],
      cwd: folder,
      output: { onLine: (line) => recordOutput("shipped operator", line) },
    });
    try {
      await scene.create();
      await scene.untilReady({ withinMs: 60_000 });
      const requests = await auditEvents(cluster, {
        userAgent: "iofog-operator/",
        namespace: scene.namespace,
      });
      assertEquals(requests.length > 0, true);
      const refused = requests.filter(({ code }) => code === 403);
      assertEquals(refused.map(({ verb, resource, name }) => `${verb} ${resource} ${name}`), []);
    } finally {
      assertEquals((await operator.terminate(15_000)).code, 0);
      await Deno.remove(folder, { recursive: true });
    }
  },
);

scenario("the operator's pod is admitted where only restricted pods are", async (scene) => {
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  await scene.client.patch(Namespace, { name: scene.namespace }, {
    type: "merge",
    patch: { metadata: { labels } },
  });
  await install(scene);
  const { spec } = await scene.get(Deployment, "iofog-operator");
  const pod = { metadata: { namespace: scene.namespace, name: "operator" }, spec: spec?.template?.spec };
  await scene.client.create(Pod, pod as KubeObject, { dryRun: true });
});
