/** What the spec says of pods, replicas and what goes around them, on an external database. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Deployment, ReplicaSet } from "../../src/kubernetes/generated/apps_v1.ts";
import { PersistentVolumeClaim, Secret, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { NetworkPolicy } from "../../src/kubernetes/generated/networking_v1.ts";
import { PodDisruptionBudget } from "../../src/kubernetes/generated/policy_v1.ts";
import { conditionOf, registeredToken, scenario, type Scene } from "./harness.ts";
import { runProgram } from "./operator_process.ts";
import { eventually } from "./waiting.ts";

const names = ["controller", "port-manager", "router"];

const settings = {
  labels: { "example.org/tier": "control" },
  annotations: { "example.org/note": "" },
  // Each in another form than the API server stores.
  resources: { requests: { cpu: 1, memory: "1024Mi" }, limits: { cpu: "1500m", memory: "0.0015T" } },
  nodeSelector: { disk: "fast" },
  tolerations: [{ key: "edge", operator: "Exists", effect: "NoExecute", tolerationSeconds: 0 }],
  affinity: {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{
        weight: 1,
        podAffinityTerm: {
          topologyKey: "kubernetes.io/hostname",
          labelSelector: { matchLabels: { "example.org/tier": "control" } },
        },
      }],
    },
  },
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway" }],
  podSecurityContext: { runAsUser: 0, fsGroup: 10000, seccompProfile: { type: "RuntimeDefault" } },
  securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
  priorityClassName: "system-cluster-critical",
};

async function deployments(scene: Scene): Promise<readonly Deployment[]> {
  return await Promise.all(names.map((name) => scene.get(Deployment, name)));
}

/** The condition of a spec that the API server, or we, refuse. */
async function refusalOf(scene: Scene): Promise<string> {
  const refused = await scene.until("the refusal", (object) => {
    const stalled = conditionOf(object, "Stalled");
    return stalled?.status === "True" && stalled.observedGeneration === object.metadata.generation;
  });
  return conditionOf(refused, "Stalled")?.message ?? "";
}

scenario("F50 settings of pods roll each component once, and once back to what it was", async (scene) => {
  const { namespace } = scene;
  scene.operateHere((_, proceed) => proceed());
  const dockerConfig = btoa(JSON.stringify({ auths: {} }));
  await scene.client.create(Secret, {
    metadata: { namespace, name: "pull" },
    type: "kubernetes.io/dockerconfigjson",
    data: { ".dockerconfigjson": dockerConfig },
  });
  const database = {
    provider: "mysql",
    host: "192.0.2.44",
    port: 3306,
    user: "iofog",
    password: registeredToken(),
    databaseName: "iofog",
  };
  await scene.create({
    database,
    replicas: { controller: 2, portManager: 2 },
    images: { pullSecret: "pull" },
  });
  await scene.untilReady();
  assertEquals(await scene.list(PersistentVolumeClaim), []);
  for (const name of names) {
    assertEquals((await scene.get(ServiceAccount, name)).imagePullSecrets, [{ name: "pull" }]);
  }
  const before = await deployments(scene);
  assertEquals(before.map(({ spec }) => [spec?.replicas, spec?.strategy?.type]), [
    [2, "RollingUpdate"],
    [2, "Recreate"],
    [1, "RollingUpdate"],
  ]);

  await scene.change({
    pods: { controller: settings, portManager: settings, router: settings },
    podDisruptionBudgets: { enabled: true },
    networkPolicies: { enabled: true },
  });
  await scene.untilReady();
  const changed = await deployments(scene);
  for (const [index, { metadata, spec }] of changed.entries()) {
    const was = before[index];
    assertEquals(metadata?.generation, (was?.metadata?.generation ?? 0) + 1);
    assertEquals(spec?.replicas, was?.spec?.replicas);
    const pod = spec?.template.spec;
    assertEquals(pod?.containers[0]?.resources, {
      requests: { cpu: "1", memory: "1Gi" },
      limits: { cpu: "1500m", memory: "1500M" },
    });
    assertEquals<unknown>(
      [
        pod?.nodeSelector,
        pod?.tolerations,
        pod?.affinity,
        pod?.topologySpreadConstraints,
        pod?.securityContext,
        pod?.containers[0]?.securityContext,
        pod?.priorityClassName,
        spec?.template.metadata?.annotations?.["example.org/note"],
        spec?.template.metadata?.labels?.["example.org/tier"],
      ],
      [
        settings.nodeSelector,
        settings.tolerations,
        settings.affinity,
        settings.topologySpreadConstraints,
        settings.podSecurityContext,
        settings.securityContext,
        settings.priorityClassName,
        "",
        "control",
      ],
    );
  }
  const titles = async () =>
    (await Promise.all([scene.list(NetworkPolicy), scene.list(PodDisruptionBudget)]))
      .map((objects) => objects.map(({ metadata }) => metadata?.name).sort());
  assertEquals(await titles(), [names, names]);
  const { spec: policy } = await scene.get(NetworkPolicy, "controller");
  assertEquals(policy?.egress?.[1]?.to, [{ ipBlock: { cidr: "192.0.2.44/32" } }]);
  await scene.untilAtRest();

  await scene.change({ pods: null, podDisruptionBudgets: null, networkPolicies: null });
  await eventually("no policy and no budget", titles, (left) => left.flat().length === 0);
  await scene.untilReady();
  const after = await deployments(scene);
  assertEquals(after.map(({ spec }) => spec), before.map(({ spec }) => spec));
  assertEquals(
    after.map(({ metadata }) => metadata?.generation),
    before.map(({ metadata }) => (metadata?.generation ?? 0) + 2),
  );
  assertEquals((await scene.list(ReplicaSet)).length, 6);

  await scene.change({ pods: { router: { resources: { requests: { cpu: 2 }, limits: { cpu: 1 } } } } });
  assertMatch(
    await refusalOf(scene),
    /^Deployment router: .*spec\.pods\.router\.resources\.requests: Invalid value/,
  );
  await scene.change({ pods: null, replicas: { router: 2 } });
  assertMatch(await refusalOf(scene), /^spec\.replicas\.router must be 1: .*the same identity/);
  await scene.change({ replicas: { router: 1 } });
  await scene.untilReady();
  assertEquals((await deployments(scene)).map(({ spec }) => spec), before.map(({ spec }) => spec));
});

scenario(
  "images of the operator's environment run, and one that is none stops it at the start",
  async (scene) => {
    const registry = "registry.example.com:5000/iofog";
    const digest = `${registry}/router@sha256:${"0123456789abcdef".repeat(4)}`;
    scene.operate([], {
      RELATED_IMAGE_CONTROLLER: `${registry}/controller:3.0.4`,
      RELATED_IMAGE_ROUTER: digest,
      RELATED_IMAGE_PORT_MANAGER: `${registry}/port-manager:3`,
      RELATED_IMAGE_PROXY: `${registry}/proxy:3`,
    });
    await scene.create({ images: { portManager: "own/port-manager:1" } });
    await eventually("the Deployments", () => scene.list(Deployment), (found) => found.length === 3);
    const containers = (await deployments(scene)).map(({ spec }) => spec?.template.spec?.containers[0]);
    assertEquals(containers.map((container) => container?.image), [
      `${registry}/controller:3.0.4`,
      "own/port-manager:1",
      digest,
    ]);
    const valueOf = (index: number, name: string) =>
      containers[index]?.env?.find((variable) => variable.name === name)?.value;
    assertEquals(valueOf(1, "PROXY_IMAGE"), `${registry}/proxy:3`);
    assertEquals(valueOf(0, "SystemImages_Router_1"), digest);

    const refused = await runProgram({
      args: ["run", ...scene.flags()],
      env: { RELATED_IMAGE_PROXY: "https://registry.example.com/proxy" },
    });
    assertEquals(refused.code, 1);
    assert(
      refused.stderr.includes("RELATED_IMAGE_PROXY") && refused.stderr.includes("is no image"),
      refused.stderr,
    );
  },
);
