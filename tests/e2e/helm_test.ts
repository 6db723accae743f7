/** The chart in `deploy/helm`, with real helm, on a cluster of its own: CRDs come with it. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { parse, parseAll, stringify } from "@std/yaml";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { PersistentVolumeClaim, Pod, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import config from "../../deno.json" with { type: "json" };
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { startCluster } from "../cluster/mod.ts";
import { playOperatorPods } from "./deployed_operator.ts";
import { type Json, NAME, Scene } from "./harness.ts";
import { potScenario } from "./pot_harness.ts";
import { clientsOf } from "./tools.ts";
import { eventually } from "./waiting.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const CHART = `${ROOT}deploy/helm/iofog-operator`;
const CRD = { name: "controlplanes.iofog.org" };

const cluster = await startCluster();
Deno.test.afterAll(() => cluster.stop());
const { helm, kubectl } = await clientsOf(cluster);

/** Objects by kind and name. */
function objectsIn(yaml: string): Map<string, KubeObject> {
  const objects = (parseAll(yaml) as (KubeObject | null)[]).filter((object) => object !== null);
  return new Map(objects.map((object) => [`${object.kind}/${object.metadata?.name}`, object]));
}

/** What the chart renders, without the labels that are helm's own. */
async function rendered(...args: readonly string[]): Promise<Map<string, unknown>> {
  const text = await helm("template", "release", CHART, "--namespace", "iofog", "--include-crds", ...args);
  return new Map([...objectsIn(text)].map(([key, object]) => [key, withoutHelmsLabels(object)]));
}

function withoutHelmsLabels(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutHelmsLabels);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !/^(app\.kubernetes\.io|helm\.sh)\//.test(key))
      .map(([key, each]) => [key, withoutHelmsLabels(each)]),
  );
}

Deno.test("the chart renders what kustomize makes of deploy/base and of its overlays", async () => {
  for (
    const [folder, args] of [
      ["base", []],
      ["overlays/pot", ["--namespace=pot", "--set=flavors.iofog=false", "--set=flavors.pot=true"]],
      ["overlays/ha", ["--set=operator.replicaCount=2"]],
      ["overlays/restricted", [
        "--set=networkPolicy.enabled=true",
        "--set=operator.resources.requests.ephemeral-storage=16Mi",
        "--set-string=operator.resources.limits.cpu=1",
        "--set=operator.resources.limits.ephemeral-storage=128Mi",
      ]],
    ] as const
  ) {
    const expected = objectsIn(await kubectl("kustomize", `${ROOT}deploy/${folder}`));
    const actual = await rendered(...args);
    assertEquals([...actual.keys()].toSorted(), [...expected.keys()].toSorted(), folder);
    for (const [key, object] of expected) assertEquals(actual.get(key), object, `${folder}: ${key}`);
  }
});

Deno.test("the chart passes helm lint, and has the version of the program", async () => {
  await helm("lint", "--strict", CHART);
  await helm("lint", "--strict", CHART, "--set=flavors.iofog=false", "--set=flavors.pot=true");
  const { version, appVersion } = parseAll(await helm("show", "chart", CHART))[0] as Record<string, string>;
  assertEquals([version, appVersion], [config.version, config.version]);
});

Deno.test("the chart refuses values that it does not know", async () => {
  for (
    const [value, message] of [
      ["operator.replicas=2", /additional properties 'replicas' not allowed|Additional property replicas/],
      ["operator.replicaCount=two", /replicaCount/],
      ["operator.image.digest=latest", /digest/],
      ["controlplane.create=true", /user/],
      ["flavors.iofog=false", /flavors/],
      ["controlplane.flavor=kog", /flavor/],
      ["controlplane.flavor=pot", /controlplane\.flavor is pot, which is off: set flavors\.pot=true/],
      ["metrics.podMonitor.interval=often", /interval/],
    ] as const
  ) {
    const error = await assertRejects(() => rendered("--set", value), Error);
    assert(message.test(error.message), error.message);
  }
});

Deno.test("every value of the chart comes out where it belongs", async () => {
  const values = {
    imagePullSecrets: [{ name: "registry" }],
    operator: {
      image: { repository: "mirror/operator", digest: `sha256:${"0".repeat(64)}`, pullPolicy: "Always" },
      extraArgs: ["--log-level=debug"],
      extraEnv: [{ name: "HTTPS_PROXY", value: "http://proxy:3128" }],
      resources: { limits: { memory: "512Mi" } },
      podLabels: { team: "edge", name: "other" },
      podAnnotations: { note: "text" },
      nodeSelector: { "kubernetes.io/arch": "arm64" },
      tolerations: [{ operator: "Exists" }],
      affinity: { nodeAffinity: {} },
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway" }],
      priorityClassName: "important",
    },
    networkPolicy: { enabled: true, apiServerPorts: [16443], keycloakPorts: [8443] },
    flavors: { iofog: true, pot: true },
    controlplane: {
      create: true,
      name: "other",
      keep: false,
      labels: { a: "b" },
      spec: { user: { name: "x" } },
    },
  };
  const file = `${cluster.dir}/values.yaml`;
  await Deno.writeTextFile(file, stringify(values));
  const objects = await rendered("--values", file);
  const { spec } = objects.get("Deployment/iofog-operator") as Deployment;
  const pod = spec?.template?.spec;
  const [container] = pod?.containers ?? [];
  const { operator } = values;
  assertEquals(container?.image, `mirror/operator@sha256:${"0".repeat(64)}`);
  assertEquals(container?.imagePullPolicy, "Always");
  assertEquals(container?.args, ["--enable-leader-election", "--log-level=debug"]);
  assertEquals(container?.env?.at(-1), operator.extraEnv[0]);
  assertEquals(container?.resources?.limits?.["memory"], "512Mi");
  // The CLIs find the pod by this label.
  assertEquals(spec?.template?.metadata?.labels, { name: "iofog-operator", team: "edge" });
  assertEquals(spec?.template?.metadata?.annotations, operator.podAnnotations);
  for (
    const key of [
      "nodeSelector",
      "tolerations",
      "affinity",
      "topologySpreadConstraints",
      "priorityClassName",
    ] as const
  ) {
    assertEquals(pod?.[key] as unknown, operator[key], key);
  }
  assertEquals(pod?.imagePullSecrets, values.imagePullSecrets);
  const policy = JSON.stringify(objects.get("NetworkPolicy/iofog-operator"));
  for (const part of ['"port":16443', '"port":8443', '"port":8222']) assertStringIncludes(policy, part);
  // The CRDs of both; the control plane is of ioFog where nothing else is said.
  assertEquals([...objects.keys()].filter((key) => key.startsWith("CustomResourceDefinition/")).length, 12);
  assertEquals(objects.get("ControlPlane/other") as unknown, {
    apiVersion: "iofog.org/v3",
    kind: "ControlPlane",
    metadata: { name: "other", namespace: "iofog", labels: { a: "b" } },
    spec: { user: { name: "x" } },
  });
});

Deno.test("PodMonitor and PrometheusRule are off by default, and name ports and metrics that there are", async () => {
  const both = ["PodMonitor/iofog-operator", "PrometheusRule/iofog-operator"];
  const byDefault = await rendered();
  assertEquals(both.filter((key) => byDefault.has(key)), []);
  const objects = await rendered(
    "--set=metrics.podMonitor.enabled=true",
    "--set=metrics.prometheusRule.enabled=true",
    "--set=metrics.prometheusRule.labels.release=prometheus",
  );
  const [monitor, rule] = both.map((key) => objects.get(key)) as [
    { spec: { podMetricsEndpoints: { port: string }[]; selector: unknown } },
    { metadata: { labels: unknown }; spec: { groups: { rules: { expr: string }[] }[] } },
  ];
  const { spec } = objects.get("Deployment/iofog-operator") as Deployment;
  const ports = spec?.template?.spec?.containers?.[0]?.ports?.map(({ name }) => name);
  assertEquals(monitor.spec.podMetricsEndpoints.map(({ port }) => ports?.includes(port)), [true]);
  assertEquals(monitor.spec.selector, spec?.selector);
  assertEquals(rule.metadata.labels, { name: "iofog-operator", release: "prometheus" });
  // `monitoring_test.ts` shows that these work.
  const alerts = new URL("../../deploy/monitoring/alerts.yaml", import.meta.url);
  assertEquals(
    rule.spec.groups as unknown,
    (parse(await Deno.readTextFile(alerts)) as typeof rule.spec).groups,
  );
});

Deno.test("data survives install, upgrade, rollback, uninstall and another install by helm", async (test) => {
  await using scene = await Scene.open({ cluster, isNamespaceMade: false });
  await using operators = playOperatorPods(scene);
  const inRelease = ["--namespace", scene.namespace];
  const values = `${cluster.dir}/${scene.namespace}.yaml`;
  const write = async (spec: Json, more: Json = {}) =>
    await Deno.writeTextFile(values, stringify({ controlplane: { create: true, spec, ...more } }));
  const upgrade = async (...args: readonly string[]) =>
    await helm("upgrade", "edge", CHART, ...inRelease, "--values", values, ...args);
  const image = async () =>
    (await scene.find(Deployment, "router"))?.spec?.template?.spec?.containers?.[0]?.image;
  const untilImage = async (wanted: string) =>
    await eventually(`the router's image to be ${wanted}`, image, (actual) => actual === wanted);

  await write(scene.spec({ images: { router: "registry.example.com/router:1" } }));
  const notes = await helm(
    ...["install", "edge", CHART, "--create-namespace", "--wait", "--timeout", "60s", "--values", values],
    ...inRelease,
  );
  assertStringIncludes(notes, `kubectl wait ecn/${NAME} --for condition=Ready`);
  assert(!notes.includes("of another version"), notes);
  await scene.untilReady({ withinMs: 60_000 });
  const before = await dataOf(scene);
  for (const kind of ["ControlPlane", "PersistentVolumeClaim", "Secret", "CustomResourceDefinition"]) {
    assert([...before.keys()].some((key) => key.startsWith(kind)), kind);
  }
  const pods = async () =>
    (await scene.list(Pod)).flatMap(({ metadata }) =>
      metadata?.labels?.["name"] === "controller" ? [metadata.uid] : []
    );
  await test.step("upgrade", async () => {
    await write(scene.spec({ images: { router: "registry.example.com/router:2" } }));
    await upgrade("--set", "operator.extraArgs={--log-level=debug}", "--wait", "--timeout", "60s");
    await untilImage("registry.example.com/router:2");
    await scene.untilReady({ withinMs: 60_000 });
    assertEquals(await dataOf(scene), before);
  });
  await test.step("rollback", async () => {
    await helm("rollback", "edge", "1", ...inRelease, "--wait", "--timeout", "60s");
    await untilImage("registry.example.com/router:1");
    await scene.untilReady({ withinMs: 60_000 });
    assertEquals(await dataOf(scene), before);
  });
  await test.step("an upgrade that would delete the control plane is refused", async () => {
    const target = { namespace: scene.namespace, name: NAME };
    await kubectl("annotate", "ecn", NAME, "helm.sh/resource-policy-", ...inRelease);
    const without = ["upgrade", "edge", CHART, ...inRelease, "--reset-values"];
    const error = await assertRejects(() => helm(...without), Error);
    assertStringIncludes(
      error.message,
      `would be deleted with all its data: set controlplane.create and controlplane.name, or keep it as it is with: ` +
        `kubectl annotate ecn ${NAME} helm.sh/resource-policy=keep --namespace ${scene.namespace}`,
    );
    await kubectl("annotate", "ecn", NAME, "helm.sh/resource-policy=keep", ...inRelease);
    await helm(...without);
    assertEquals((await scene.client.get(ControlPlane, target)).metadata?.deletionTimestamp, undefined);
    assertEquals(await dataOf(scene), before);
  });
  await test.step("an upgrade says when the CRD is of another version", async () => {
    const patch = [{
      op: "add",
      path: "/spec/versions/0/schema/openAPIV3Schema/description",
      value: "Older.",
    }];
    await kubectl("patch", "crd", CRD.name, "--type=json", "--patch", JSON.stringify(patch));
    assertStringIncludes(await upgrade(), `CRD ${CRD.name} is of another version`);
    const crds = `${cluster.dir}/crds.yaml`;
    await Deno.writeTextFile(crds, await helm("show", "crds", `${CHART}/charts/iofog`));
    await kubectl("apply", "--server-side", "--force-conflicts", "--filename", crds);
    const said = await upgrade();
    assert(!said.includes("of another version"), said);
  });
  await test.step("uninstall", async () => {
    await scene.untilReady({ withinMs: 60_000 });
    const controllerPods = await eventually("one Controller", pods, (found) => found.length === 1);
    const said = await helm("uninstall", "edge", ...inRelease, "--wait", "--timeout", "60s");
    assertStringIncludes(said, `kept due to the resource policy:\n[ControlPlane] ${NAME}\n`);
    await eventually("the operator to end", () => operators.running, (running) => running.length === 0);
    assertEquals(await scene.find(Deployment, "iofog-operator"), undefined);
    assertEquals(await dataOf(scene), before);
    assertEquals(await pods(), controllerPods);
  });
  await test.step("install again", async () => {
    const install = [
      ...["install", "edge", CHART, ...inRelease, "--values", values, "--wait", "--timeout", "60s"],
    ];
    await write(scene.spec({ images: { router: "registry.example.com/router:3" } }));
    const said = await helm(...install);
    assertStringIncludes(said, "It was there before this release, and is not as controlplane.spec says");
    await helm("upgrade", "edge", CHART, ...inRelease, "--reuse-values", "--force");
    await untilImage("registry.example.com/router:3");
    await scene.untilReady({ withinMs: 60_000 });
    assertEquals(await dataOf(scene), before);
  });
});

potScenario(
  "a PoT control plane is installed, changed and left by helm, in a cluster with that of ioFog too",
  cluster,
  async (pot) => {
    const { scene } = pot;
    await using operators = playOperatorPods(scene, { controllerUrl: pot.controller.url });
    const values = `${cluster.dir}/${scene.namespace}.yaml`;
    const write = async (changes: Json) =>
      await Deno.writeTextFile(
        values,
        stringify({
          flavors: { iofog: false, pot: true },
          controlplane: { create: true, spec: pot.spec({ nats: { enabled: false }, ...changes }) },
        }),
      );
    const run = (verb: string) =>
      helm(
        verb,
        "site",
        CHART,
        "--namespace",
        scene.namespace,
        "--values",
        values,
        "--wait",
        "--timeout=60s",
      );
    await write({});
    assertStringIncludes(await run("install"), "kubectl wait pot/pot --for condition=Ready");
    await pot.untilReady();
    assertEquals(operators.running.length, 1);
    const { metadata: { uid } } = await pot.controlPlane();
    await write({ images: { router: "registry.example.com/router:2" } });
    const said = await run("upgrade");
    assert(!said.includes("of another version"), said);
    await pot.untilReady();
    const image = (await scene.get(Deployment, "router")).spec?.template?.spec?.containers?.[0]?.image;
    assertEquals(image, "registry.example.com/router:2");
    const kept = "helm.sh/resource-policy";
    await kubectl("annotate", "pot", "pot", `${kept}-`, "--namespace", scene.namespace);
    const error = await assertRejects(
      () => helm("upgrade", "site", CHART, "--namespace", scene.namespace, "--set=flavors.pot=true"),
      Error,
    );
    assertStringIncludes(
      error.message,
      `kubectl annotate pot pot ${kept}=keep --namespace ${scene.namespace}`,
    );
    await kubectl("annotate", "pot", "pot", `${kept}=keep`, "--namespace", scene.namespace);
    await helm("uninstall", "site", "--namespace", scene.namespace, "--wait");
    assertEquals((await pot.controlPlane()).metadata.uid, uid);
  },
);

/** What must not be lost: the uid of each object with data, and of what Secrets hold a digest that only this test sees. */
async function dataOf(scene: Scene): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const crd = await scene.client.get(CustomResourceDefinition, CRD);
  found.set("CustomResourceDefinition", crd.metadata?.uid ?? "");
  for (const resource of [ControlPlane, PersistentVolumeClaim, Secret] as const) {
    for (const object of await scene.list<KubeObject>(resource)) {
      const { name = "", uid = "" } = object.metadata ?? {};
      if (name.startsWith("sh.helm.release")) continue;
      const data = new TextEncoder().encode(JSON.stringify((object as { data?: unknown }).data ?? null));
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();
      found.set(`${resource.kind}/${name}`, `${uid} ${digest}`);
    }
  }
  return found;
}
