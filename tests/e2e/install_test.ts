/** From a new ControlPlane to `ready`, beside what the Go operator made of the same one (tests/golden). */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  ConfigMap,
  Event,
  type Node,
  PersistentVolumeClaim,
  Secret,
  Service,
} from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, ObjectMeta } from "../../src/kubernetes/resource.ts";
import {
  decodedData,
  describedCertificates,
  differencesBetween,
  isMeant,
  readRecording,
  recordingNames,
  titleOf,
} from "../golden/recordings.ts";
import { startController } from "../controller/controller.ts";
import { watchConditions } from "./condition_history.ts";
import { conditionOf, NAME, scenario, type Scene } from "./harness.ts";

for (const recording of recordingNames) {
  scenario(`a new ControlPlane becomes what the Go operator made of it: ${recording}`, async (scene) => {
    const { spec, addresses, children, calls } = await readRecording(recording);
    for (const [name, address] of Object.entries(addresses)) {
      scene.kubelet.cloud.assign({ namespace: scene.namespace, name }, address);
    }
    scene.operate();
    await scene.createAs(spec);
    await scene.untilReady();

    const differences = differencesBetween(await childrenAsRecorded(scene), children);
    assertEquals(differences.filter((difference) => !isMeant(difference)), []);

    const writes = scene.controller.requests.filter(({ method }) => method !== "GET");
    const seen = writes.map(({ method, path, body }) => ({ method, path, body }));
    const { data } = await scene.get(ConfigMap, "iofog-inventory");
    const plantedId = {
      method: "PUT",
      path: "/api/v3/config",
      body: { key: "iofog-inventory", value: data?.["id"] },
    };
    const recorded = calls.filter(({ method }) => method !== "GET")
      .map(({ method, url, body }) => ({ method, path: new URL(url).pathname, body }));
    assertEquals(distinct(seen), distinct([...recorded, plantedId]));
  });
}

scenario("conditions tell what is awaited, in the order that iofogctl reads them", async (scene) => {
  const release = scene.kubelet.pods.hold({ namespace: scene.namespace, name: /^port-manager/ });
  await using history = watchConditions(scene);
  scene.operate();
  await scene.create();
  const parts =
    /^(ObjectsApplied|AddressesKnown|.*Available|ControllerReachable|UserAuthenticated|RouterRegistered)$/;
  const waiting = await scene.until("only the Port Manager to be missing", ({ status }) => {
    const missing = status?.conditions?.filter(({ type, status }) => parts.test(type) && status !== "True");
    return missing?.map(({ type }) => type).join() === "PortManagerAvailable";
  });
  const ready = waiting.status?.conditions?.find(({ type }) => type === "ready");
  assertEquals([ready?.status, ready?.reason], ["False", "Unschedulable"]);
  assertMatch(
    ready?.message ?? "",
    /^Deployment port-manager: no node takes its pod.*spec\.pods\.portManager$/,
  );
  release();
  // What `kubectl wait --for=condition=ready` waits for: it does not mind upper and lower case.
  await scene.until(
    "a condition ready of either case",
    ({ status }) =>
      status?.conditions?.some(({ type, status }) => type.toLowerCase() === "ready" && status === "True") ??
        false,
  );
  const object = await scene.untilReady();

  const states = history.states();
  const firstReady = states.indexOf("ready");
  assertEquals(new Set(states.slice(0, firstReady)), new Set(["deploying"]));
  assertEquals(new Set(states.slice(firstReady)), new Set(["ready"]));
  for (const conditions of history.all()) {
    const verdicts = conditions.filter(({ type }) => type.toLowerCase() === "ready");
    assertEquals(new Set(verdicts.map(({ status }) => status)).size, 1, "ready and Ready differ");
    assert(conditions.every(({ observedGeneration }) => observedGeneration === 1));
    assert(conditions.every(({ reason }) => /^[A-Z][A-Za-z]*$/.test(reason)));
  }
  assertEquals(object.status?.observedGeneration, 1);
  assertEquals(object.status?.controllerVersion, "3.0.4");
  assertMatch(object.status?.controllerEndpoint ?? "", /^http:\/\/192\.0\.2\.\d+:51121$/);
  assertMatch(object.status?.routerAddress ?? "", /^192\.0\.2\.\d+$/);
});

scenario("every child belongs to its ControlPlane, and Events tell what was made", async (scene) => {
  scene.operate();
  const { metadata } = await scene.create();
  await scene.untilReady();
  await scene.untilAtRest();
  const children = (await scene.children()).map(({ object }) => object);
  assertEquals(children.length, 20);
  for (const child of children) {
    assertEquals(child.metadata?.ownerReferences, [{
      apiVersion: "iofog.org/v3",
      kind: "ControlPlane",
      name: NAME,
      uid: metadata.uid,
      controller: true,
      blockOwnerDeletion: true,
    }], titleOf(child));
    assertEquals(child.metadata?.finalizers?.filter((name) => !name.startsWith("kubernetes.io/")) ?? [], []);
  }
  assertEquals((await scene.controlPlane()).metadata.finalizers, undefined);

  const events = (await scene.list(Event)).filter(({ source }) => source?.component === "iofog-operator");
  for (const { involvedObject } of events) assertEquals(involvedObject.uid, metadata.uid);
  const told = events.map(({ type, reason, message }) => `${type} ${reason} ${message}`).join("\n");
  for (const child of children) assert(told.includes(titleOf(child)), `no Event tells of ${titleOf(child)}`);
  assertMatch(told, /Normal Registered Registered .*User somebody@example\.com/);
  assertMatch(told, /Normal Registered Registered .*DefaultRouter default-router/);
  assertMatch(told, /Normal Ready the control plane is up/);
  assertEquals(
    new Set(events.map(({ type, reason, message }) => `${type} ${reason} ${message}`)).size,
    events.length,
  );
  assert(!told.includes("Warning"), told);

  const table = await scene.client.transport.performRequest({
    method: "GET",
    path: `/apis/iofog.org/v3/namespaces/${scene.namespace}/controlplanes`,
    accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
    expectJson: true,
  }) as { columnDefinitions: { name: string; priority: number }[]; rows: { cells: unknown[] }[] };
  const shown = Object.fromEntries(
    table.columnDefinitions.map(({ name }, index) => [name, table.rows[0]?.cells[index]]),
  );
  const { Age: age, Endpoint: endpoint, Router: router, ...rest } = shown;
  assertEquals(rest, {
    Name: NAME,
    Ready: "True",
    Reason: "Ready",
    Version: "3.0.4",
    Message: "the control plane is up and the Controller answers",
  });
  assertMatch(`${age} ${endpoint} ${router}`, /^\d+s http:\/\/192\.0\.2\.\d+:51121 192\.0\.2\.\d+$/);
});

scenario(
  "with NodePort the Controller is reached at a node, or the condition tells how to reach it",
  async (scene) => {
    const nodes: Node[] = [];
    scene.operateHere(
      (request, proceed) =>
        request.plural === "nodes" && request.verb === "list"
          ? Promise.resolve({ metadata: { resourceVersion: "1" }, items: nodes })
          : proceed(),
      ["--controller-url="],
    );
    const type = "NodePort";
    const ingresses = { router: { address: "router.example.com", edgePort: 30001 } };
    await scene.create({ services: { controller: { type }, router: { type } }, ingresses });
    const lost = await scene.until(
      "the operator to say that it does not reach the Controller",
      (object) => conditionOf(object, "ControllerReachable")?.reason === "NoRouteToController",
    );
    assertMatch(
      conditionOf(lost, "ControllerReachable")?.message ?? "",
      /kubectl -n e2e-\S+ port-forward service\/controller 51121 and give --controller-url http:\/\/127\.0\.0\.1:51121/,
    );
    const { spec } = await scene.get(Service, "controller");
    assertEquals(spec?.type, "NodePort");
    const port = spec?.ports?.find((each) => each.targetPort === 51121)?.nodePort;
    const there = await startController({ port });
    try {
      nodes.push({ status: { addresses: [{ type: "InternalIP", address: "127.0.0.1" }] } });
      const { status } = await scene.untilReady();
      assertEquals(status?.controllerEndpoint, `http://controller.${scene.namespace}.svc:51121`);
      assertEquals(status?.controllerAddress, undefined);
      const { host, messagingPort, edgeRouterPort, interRouterPort } = there.state.router ?? {};
      assertEquals({ host, messagingPort, edgeRouterPort, interRouterPort }, {
        host: "router.example.com",
        messagingPort: 5672,
        edgeRouterPort: 30001,
        interRouterPort: 55672,
      });
    } finally {
      await there.close();
    }
  },
);

/** Our children in the form of the recordings in tests/golden. */
async function childrenAsRecorded(scene: Scene): Promise<readonly unknown[]> {
  const { data } = await scene.get(Secret, "router-ca");
  const ca = decodedData(data ?? {})["tls.crt"] ?? "";
  return await Promise.all((await scene.children()).map(async ({ object: child }) => {
    const { data, ...object } = child as KubeObject & { data?: Record<string, string> };
    const normal = JSON.parse(
      JSON.stringify({ ...normalised(object), metadata: normalisedMetadata(object.metadata ?? {}) })
        .replaceAll(scene.namespace, "iofog"),
    );
    if (child.kind !== "Secret") return { ...normal, ...data === undefined ? {} : { data } };
    const values = decodedData(data ?? {});
    return { ...normal, stringData: "tls.crt" in values ? await describedCertificates(values, ca) : values };
  }));
}

function normalisedMetadata(metadata: ObjectMeta): unknown {
  const { uid: _uid, resourceVersion: _version, creationTimestamp: _time, generation: _generation, ...rest } =
    metadata;
  const { managedFields: _fields, ownerReferences, annotations, ...kept } = rest;
  const { "deployment.kubernetes.io/revision": _revision, ...others } = annotations ?? {};
  return {
    ...kept,
    ...(Object.keys(others).length === 0 ? {} : { annotations: others }),
    ownerReferences: ownerReferences?.map(({ uid: _, ...reference }) => reference),
  };
}

function normalised(object: KubeObject): object {
  const { status: _, ...rest } = object as KubeObject & { status?: unknown };
  if (object.kind === PersistentVolumeClaim.kind) {
    const { volumeName: _, ...spec } = (object as PersistentVolumeClaim).spec ?? {};
    return { ...rest, spec };
  }
  if (object.kind !== Service.kind) return rest;
  const { spec } = object as Service;
  const { clusterIP, clusterIPs: _ips, healthCheckNodePort: _port, ports, ...kept } = spec ?? {};
  return {
    ...rest,
    spec: {
      ...kept,
      ...(clusterIP === "None" ? { clusterIP } : {}),
      ports: ports?.map(({ nodePort: _, ...port }) => port),
    },
  };
}

/** In an order of their own, each once: order and repeats are free. */
function distinct(calls: readonly { method: string; path: string; body?: unknown }[]): readonly unknown[] {
  return [...new Map(calls.map((call) => [`${call.method} ${call.path}`, call]))]
    .sort(([one], [other]) => one.localeCompare(other)).map(([, call]) => call);
}
