/**
 * `deploy/base` on a real API server, and in the rights of its ServiceAccount the program as it is shipped: one file,
 * with the permissions of the image.
 */

import { assertEquals } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { bundle, bundleArguments } from "../../tools/compile.ts";
import { auditEvents, kubeconfigForServiceAccount, startProcess } from "../cluster/mod.ts";
import { recordOutput } from "../secrets.ts";
import { playOperatorPods } from "./deployed_operator.ts";
import { inNamespace } from "./document.ts";
import { cluster, scenario, type Scene } from "./harness.ts";
import { containerPermissions, type OperatorProcess } from "./operator_process.ts";
import { clientsOf } from "./tools.ts";
import { eventually } from "./waiting.ts";

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
      args: [
        ...bundleArguments(program, containerPermissions(cluster.dir)),
        ...scene.flags([`--kubeconfig=${kubeconfig}`]),
      ],
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

for (const overlay of ["namespaced", "restricted", "ha", "small"]) {
  scenario(`deploy/overlays/${overlay} runs where only restricted pods are admitted`, async (scene) => {
    const { namespace } = scene;
    const { kubectl } = await clientsOf(cluster);
    await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted");
    const manifests = `${cluster.dir}/${namespace}.yaml`;
    const text = await kubectl("kustomize", `${decodeURIComponent(BASE.pathname)}../overlays/${overlay}`);
    await Deno.writeTextFile(manifests, inNamespace(text, namespace));
    await kubectl("apply", "--filename", manifests);
    const { spec } = await scene.get(Deployment, "iofog-operator");
    const pod = spec?.template?.spec;
    assertEquals([pod?.securityContext?.runAsNonRoot, pod?.volumes], [true, undefined]);
    assertEquals(pod?.containers?.[0]?.securityContext, {
      allowPrivilegeEscalation: false,
      privileged: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    await using operators = playOperatorPods(scene);
    await scene.create();
    await scene.until(
      "the operator to have seen the control plane",
      ({ status }) => status?.observedGeneration !== undefined || (status?.conditions ?? []).length > 0,
      { withinMs: 60_000 },
    );
    const replicas = spec?.replicas ?? 1;
    assertEquals(replicas, overlay === "ha" ? 2 : 1);
    await eventually(
      "the operator's pods to be available",
      () => scene.get(Deployment, "iofog-operator"),
      ({ status }) => status?.availableReplicas === replicas,
    );
    await eventually("its processes", () => operators.running.length, (count) => count === replicas);
    const leads = async (operator: OperatorProcess) =>
      /^leader_election_master_status\{.*\} 1$/m.test((await operator.read("/metrics")).text);
    const leaders = async () => {
      const all = await Promise.all(
        operators.running.map(async (each) => [each, await leads(each)] as const),
      );
      return all.filter(([, isLeader]) => isLeader).map(([operator]) => operator);
    };
    const [leader] = await eventually("one leader", leaders, (found) => found.length === 1, { show: String });
    const refused = (await scene.requests()).filter(({ code }) => code === 403);
    assertEquals(refused.map(({ verb, resource, name }) => `${verb} ${resource} ${name}`), []);
    if (replicas === 1) return;
    await leader?.stop();
    const standby = operators.running.find((each) => each !== leader);
    await eventually(
      "the standby to take over",
      () => standby && leads(standby),
      (isLeader) => isLeader === true,
    );
  });
}
