/**
 * What iofogctl does and looks for, step by step as its sources have it: a control plane that it deployed, looked at
 * and deleted; and the Lease, given from hand to hand between this operator and client-go's leader election, which
 * the Go operator uses. For that one a real kube-controller-manager stands in.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { Namespace, Pod, Service, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { Condition } from "../../src/operator/definition.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { findBinaries, startProcess, type SupervisedProcess } from "../cluster/mod.ts";
import { registerSecret } from "../secrets.ts";
import { watchConditions } from "./condition_history.ts";
import { type ControlPlaneObject, NAME, present, scenario, type Scene } from "./harness.ts";
import { type OperatorProcess, startProgram } from "./operator_process.ts";
import { rolesAsFound } from "./roles_as_found.ts";
import { eventually, pause, timed } from "./waiting.ts";

const OPERATOR = "iofog-operator";
const LEASE = "44586fd0.iofog.org";

/** The Deployment that iofogctl makes; here it only shows a pod to look for, the program runs beside it. */
async function deployOperator(scene: Scene): Promise<OperatorProcess> {
  const { namespace } = scene;
  const kubeconfig = await scene.account(OPERATOR, rolesAsFound.iofogctl);
  const labels = { name: OPERATOR };
  const fieldRef = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
  await scene.client.create(Deployment, {
    metadata: { namespace, name: OPERATOR, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: OPERATOR,
          containers: [{
            name: OPERATOR,
            image: "iofog/operator:3.2.0",
            imagePullPolicy: "Always",
            command: ["iofog-operator"],
            args: ["--enable-leader-election"],
            env: [
              { name: "WATCH_NAMESPACE", ...fieldRef("metadata.namespace") },
              { name: "POD_NAME", ...fieldRef("metadata.name") },
              { name: "OPERATOR_NAME", value: OPERATOR },
            ],
            ports: [{ name: "metrics", containerPort: 60000 }],
          }],
        },
      },
    },
  });
  const ready = await eventually("the operator's pod", () => readyPod(scene), (pod) => pod !== undefined);
  return startProgram({
    // Beyond what the Deployment gives: ports of this machine that are free.
    args: ["--enable-leader-election", "--metrics-addr=127.0.0.1:0", "--health-addr=127.0.0.1:0"],
    env: {
      WATCH_NAMESPACE: namespace,
      POD_NAME: ready?.metadata?.name ?? "",
      OPERATOR_NAME: OPERATOR,
      KUBECONFIG: kubeconfig,
      CONTROLLER_URL: scene.controller.url,
    },
  });
}

/** The pod whose log iofogctl reads while it waits; it gives up where there is none at all. */
async function readyPod(scene: Scene): Promise<Pod | undefined> {
  const pods = await podsOf(scene, OPERATOR);
  return pods.find(({ status }) =>
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True")
  );
}

async function podsOf(scene: Scene, name: string): Promise<readonly Pod[]> {
  const { items } = await scene.client.list(Pod, {
    namespace: scene.namespace,
    labelSelector: `name=${name}`,
  });
  return items;
}

/** The state of a control plane, as the code that iofogctl shares with the Go operator computes it. */
function stateByIofogctl(conditions: readonly Condition[]): string {
  for (const { status, type } of conditions) if (status === "True") return type;
  return "deploying";
}

/** Waits as `iofogctl deploy` does. */
async function untilDeployed(scene: Scene): Promise<ControlPlaneObject> {
  return await eventually(
    "what iofogctl calls ready",
    async () => {
      assert((await podsOf(scene, OPERATOR)).length > 0, "Could not find any Operator Pods");
      return (await readyPod(scene)) === undefined ? undefined : await scene.controlPlane();
    },
    (object) => object !== undefined && stateByIofogctl(object.status?.conditions ?? []) === "ready",
    { withinMs: 240_000 },
  ) as ControlPlaneObject;
}

/** Where iofogctl finds the Controller; `node` is an address of any node. */
function endpointByIofogctl({ spec, status }: Service, node: string): string {
  if (spec?.type === "LoadBalancer") {
    const [ingress] = status?.loadBalancer?.ingress ?? [];
    return `http://${ingress?.hostname || ingress?.ip}:51121`;
  }
  const nodePort = spec?.ports?.find(({ targetPort }) => targetPort === 51121)?.nodePort;
  if (!nodePort) throw new Error("Could not get node port");
  return `http://${node}:${nodePort}`;
}

/** What a condition must look like for the Go operator's CRD and for the Go operator itself, should it come back. */
function assertReadableByGo(conditions: readonly Condition[]): void {
  const state = stateByIofogctl(conditions);
  const isReady = conditions.find(({ type }) => type === "Ready")?.status === "True";
  assertEquals(state, isReady ? "ready" : "deploying");
  for (const { lastTransitionTime, message, reason, type } of conditions) {
    assertMatch(reason, /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/, type);
    assertEquals(typeof message, "string");
    assertMatch(lastTransitionTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  }
}

scenario("what iofogctl deploys it finds, calls ready, and deletes in one go", async (scene) => {
  const { namespace } = scene;
  await using history = watchConditions(scene);
  const images = { controller: "iofog/controller:3.0.1", router: "iofog/router:3.0.0" };
  await using operator = await deployOperator(scene);
  await scene.create({ images, replicas: { controller: 1 }, services: { proxy: { type: "LoadBalancer" } } });
  await untilDeployed(scene);

  await findsItsPods(scene);
  await findsTheController(scene);
  await readsTheState(scene);
  assert(history.all().length > 3);
  history.all().forEach(assertReadableByGo);
  readsTheLog(operator);

  const target = { namespace, name: OPERATOR };
  const deletedAt = Date.now();
  await scene.client.delete(ControlPlane, { namespace, name: NAME }, { propagationPolicy: "Background" });
  await scene.client.delete(ServiceAccount, target);
  await scene.client.delete(Role, target);
  await scene.client.delete(RoleBinding, target);
  await scene.client.delete(Deployment, target);
  await scene.client.delete(Namespace, { name: namespace });
  await eventually("the namespace to be gone", () => isThere(scene), (there) => !there, { withinMs: 60_000 });
  const after = await scene.requests(deletedAt);
  const written = after.filter(({ code = 0, resource, verb }) =>
    !["get", "list", "watch"].includes(verb) && code < 300 && resource !== "leases"
  );
  assertEquals(written.map(({ name, resource, verb }) => `${verb} ${resource}/${name}`), []);
  const seconds = Math.ceil((Date.now() - deletedAt) / 1_000);
  assert(after.length < 40 + 10 * seconds, `${after.length} requests in ${seconds} s`);
  assertEquals(operator.lines.filter((line) => line.includes('"level":"error"')), []);
  assertEquals(await operator.stop(), 0);
});

/** `get controllers`, `logs`, and the waits of its functional tests. */
async function findsItsPods(scene: Scene): Promise<void> {
  for (const name of ["controller", "router", "port-manager"]) {
    const [pod, ...more] = await podsOf(scene, name);
    assertEquals([pod?.status?.phase, more.length], ["Running", 0], name);
  }
  const { items } = await scene.client.list(Service, {
    namespace: scene.namespace,
    labelSelector: "name=controller",
  });
  assertEquals(items.map(({ metadata }) => metadata?.name), ["controller"]);
}

/** The end of `deploy`, and `connect`. */
async function findsTheController(scene: Scene): Promise<void> {
  const service = () => scene.get(Service, "controller");
  const { status } = await service();
  const address = present(status?.loadBalancer?.ingress?.[0]?.ip);
  assertEquals(endpointByIofogctl(await service(), ""), `http://${address}:51121`);
  await scene.change({ services: { controller: { type: "NodePort" } } });
  await eventually("a Service of type NodePort", service, ({ spec }) => spec?.type === "NodePort");
  await scene.untilReady();
  assertMatch(endpointByIofogctl(await service(), "192.0.2.1"), /^http:\/\/192\.0\.2\.1:3\d{4}$/);

  const login = await fetch(`${scene.controller.url}/api/v3/user/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: "somebody@example.com", password: scene.password }),
  });
  const { accessToken } = await login.json();
  registerSecret(accessToken);
  assertEquals([login.status, typeof accessToken], [200, "string"]);
}

/** A failure, a spec that is refused, and the way back, with what iofogctl would say. */
async function readsTheState(scene: Scene): Promise<void> {
  const state = (wanted: string) =>
    scene.until(
      `the state ${wanted}`,
      ({ status }) => stateByIofogctl(status?.conditions ?? []) === wanted,
    );
  const mend = scene.kubelet.pods.unready({ namespace: scene.namespace, name: /^router/ });
  await state("deploying");
  mend();
  await state("ready");
  await scene.change({ user: { surname: "B" } });
  await state("deploying");
  await scene.change({ user: { surname: "Body" } });
  const { status } = await state("ready");
  assert(status?.conditions?.some(({ status, type }) => type === "ready" && status === "True"));
}

/** What its functional tests look for in the log, which is no terminal. */
function readsTheLog({ lines }: OperatorProcess): void {
  const log = lines.join("\n");
  const names = '"controller":"controlplane","controllerGroup":"iofog.org","controllerKind":"ControlPlane"';
  for (
    const text of [
      "successfully acquired lease",
      `"message":"Starting Controller",${names}}`,
      `"message":"Starting workers",${names},"worker count":1}`,
    ]
  ) assertStringIncludes(log, text);
  assert(!log.includes("ERROR"));
}

scenario("the Lease goes from client-go's leader election to this operator and back", async (scene) => {
  await using first = await startElected(scene);
  const holder = await eventually(
    "client-go to hold the Lease",
    () => holderOf(scene),
    (name) => name !== "",
  );
  const operator = scene.operate();
  await scene.create();
  const [waits] = await eventually(
    "the operator to wait",
    () => operator.logged("waiting for the lease"),
    (lines) => lines.length > 0,
  );
  assertEquals(waits?.["holder"], holder);
  assertEquals(await scene.children(), []);

  await first.kill();
  const takenAfterMs = await timed(() => untilHeldByAnother(scene, holder));
  // It has not given the Lease back, which lasts 15 s from its last renewal.
  assert(takenAfterMs > 5_000 && takenAfterMs < 24_000, `taken over after ${takenAfterMs} ms`);
  await scene.untilReady({ withinMs: 60_000 });

  await using second = await startElected(scene);
  await eventually(
    "client-go to try",
    () => second.lines.join("\n"),
    (text) => text.includes("attempting to acquire"),
  );
  const ours = await holderOf(scene);
  await pause(3_000);
  assertEquals(await holderOf(scene), ours);
  assertEquals(await operator.stop(), 0);
  const givenAfterMs = await timed(() => untilHeldByAnother(scene, ours));
  // client-go looks every 2 s; without the release it would have waited for 15 s.
  assert(givenAfterMs < 8_000, `taken back after ${givenAfterMs} ms`);
  assertEquals((await scene.get(Lease, LEASE)).spec?.leaseTransitions, 2);
});

/** client-go's leader election at work, with the Go operator's Lease. */
interface Elected extends AsyncDisposable {
  readonly lines: readonly string[];
  kill: SupervisedProcess["kill"];
}

async function startElected({ cluster, namespace }: Scene): Promise<Elected> {
  const { kubeControllerManager } = await findBinaries();
  const lines: string[] = [];
  const process = startProcess({
    command: kubeControllerManager,
    args: [
      `--kubeconfig=${cluster.kubeconfigPath}`,
      "--leader-elect",
      `--leader-elect-resource-name=${LEASE}`,
      `--leader-elect-resource-namespace=${namespace}`,
      // Nothing to do for it in here.
      "--controllers=ttl-after-finished-controller",
      "--secure-port=0",
    ],
    cwd: cluster.dir,
    output: { onLine: (line) => lines.push(line) },
  });
  const kill = () => process.kill();
  return { lines, kill, [Symbol.asyncDispose]: async () => void await kill() };
}

async function holderOf(scene: Scene): Promise<string> {
  return (await scene.find(Lease, LEASE))?.spec?.holderIdentity ?? "";
}

async function untilHeldByAnother(scene: Scene, after: string): Promise<void> {
  await eventually(
    "another holder",
    () => holderOf(scene),
    (holder) => holder !== "" && holder !== after,
  );
}

async function isThere({ client, namespace }: Scene): Promise<boolean> {
  try {
    await client.get(Namespace, { name: namespace });
    return true;
  } catch (error) {
    if (isStatus(error, 404)) return false;
    throw error;
  }
}
