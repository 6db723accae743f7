/**
 * The CRDs on a real API server: that it takes them, and what it takes with them.
 *
 * Whatever the Go operators' CRDs take has to be taken here too; limits are the operator's to explain.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { parse } from "@std/yaml";
import { ApiError } from "../src/kubernetes/errors.ts";
import { CustomResourceDefinition } from "../src/kubernetes/generated/apiextensions_v1.ts";
import { Namespace } from "../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../src/kubernetes/resource.ts";
import { type EdgeKind, edgeResourceOf } from "../src/resources/edge/crds.ts";
import { connectCluster } from "./cluster/mod.ts";
import { installEdgeCrds } from "./e2e/edge_scene.ts";
import { cluster } from "./e2e/harness.ts";
import { registerSecret } from "./secrets.ts";

interface ControlPlane extends KubeObject {
  spec?: unknown;
  status?: unknown;
}

const controlPlanes: Resource<ControlPlane> = {
  group: "iofog.org",
  version: "v3",
  kind: "ControlPlane",
  plural: "controlplanes",
  namespaced: true,
};

const client = connectCluster(cluster);
const namespace = `crds-${crypto.randomUUID().slice(0, 8)}`;
const user = {
  name: "Fake",
  surname: "Admin",
  email: "admin@example.com",
  password: registerSecret("RmFrZS1QYXNzLTEyMzQ="),
};

function controlPlane(spec: unknown): ControlPlane {
  return { apiVersion: "iofog.org/v3", kind: "ControlPlane", metadata: { name: "iofog", namespace }, spec };
}

await installEdgeCrds(cluster, "iofog.org");
await client.create(Namespace, { metadata: { name: namespace } });
Deno.test.afterAll(async () => {
  await client.delete(Namespace, { name: namespace });
});

/** What is stored when the API server takes `spec`. */
async function stored(spec: unknown): Promise<unknown> {
  const created = await client.create(controlPlanes, controlPlane(spec), { dryRun: true });
  return created.spec;
}

Deno.test("the API server takes the CRDs as structural, and offers them by short name and category", async () => {
  const crd = await client.get(CustomResourceDefinition, { name: "controlplanes.iofog.org" });
  const conditions = Object.fromEntries(
    (crd?.status?.conditions ?? []).map(({ type, status }) => [type, status]),
  );
  assertEquals(conditions["NamesAccepted"], "True");
  assertEquals(conditions["NonStructuralSchema"] ?? "False", "False");
  assertEquals(crd?.status?.acceptedNames?.shortNames, ["ecn"]);
  assertEquals(crd?.status?.acceptedNames?.categories, ["iofog"]);
});

Deno.test("the API server stores recorded ControlPlanes and the sample as they are", async () => {
  const files = [
    "golden/iofog/default-lb/cr.yaml",
    "golden/iofog/clusterip-ingress/cr.yaml",
    "../deploy/samples/iofog/controlplane.yaml",
  ];
  for (const file of files) {
    const { spec } = parse(await Deno.readTextFile(new URL(file, import.meta.url))) as ControlPlane;
    assertEquals(await stored(spec), spec, file);
  }
});

Deno.test("the API server takes what the Go operators' CRDs take, limits and empty blocks included", async () => {
  const everything = {
    user: { name: "", surname: "x", email: "none", password: "short" },
    database: { provider: "", host: "", port: 0, user: "", password: "", databaseName: "" },
    ingresses: {
      router: { address: "", messagePort: 0, interiorPort: -1, edgePort: 99999999999 },
      httpProxy: { address: "" },
      tcpProxy: {},
    },
    services: {
      controller: { type: "nodeport", address: "any" },
      router: { type: "Anything", address: "any" },
      proxy: { type: "", address: "" },
    },
    replicas: { controller: 0 },
    images: { pullSecret: "p", controller: "c", router: "r", portManager: "m", proxy: "x", portRouter: "y" },
    controller: {
      pidBaseDir: "/tmp",
      ecnViewerPort: 0,
      ecnViewerUrl: "",
      portProvider: "",
      ecn: "",
      portAllocatorHost: "",
      proxyBrokerUrl: "",
      proxyBrokerToken: "",
    },
  };
  assertEquals(await stored(everything), everything);
});

const refused: readonly [what: string, spec: unknown, field: string][] = [
  ["no user", {}, "spec.user"],
  ["a user without e-mail", { user: { ...user, email: undefined } }, "spec.user.email"],
  ["half a database", { user, database: { host: "db.example.com" } }, "spec.database.port"],
  [
    "a port of text",
    { user, ingresses: { router: { edgePort: "45672" } } },
    "spec.ingresses.router.edgePort",
  ],
  ["a list for a text", { user, images: { router: [] } }, "spec.images.router"],
];

for (const [what, spec, field] of refused) {
  Deno.test(`the API server refuses ${what}, and names the field`, async () => {
    const error = await assertRejects(() => stored(spec), ApiError) as ApiError;
    assertEquals(error.status, 422);
    assert(error.causes.some((cause) => cause.field === field), JSON.stringify(error.causes));
  });
}

const readyStatus = {
  observedGeneration: 1,
  controllerVersion: "3.0.4",
  controllerAddress: "192.0.2.9",
  controllerEndpoint: "http://192.0.2.9:51121",
  routerAddress: "192.0.2.20",
  conditions: ["ready", "Ready"].map((type) => ({
    type,
    status: "True",
    reason: "Available",
    message: "",
    lastTransitionTime: "2026-01-01T00:00:00Z",
    observedGeneration: 1,
  })),
};

/** A stored ControlPlane with `readyStatus`; deleted at the end. */
async function withReadyControlPlane(check: (object: ControlPlane) => Promise<void>): Promise<void> {
  const created = await client.create(controlPlanes, controlPlane({ user, images: { kubelet: "unknown" } }));
  try {
    await check(
      await client.replace(controlPlanes, { ...created, status: readyStatus }, { subresource: "status" }),
    );
  } finally {
    await client.delete(controlPlanes, { namespace, name: "iofog" });
  }
}

Deno.test("a ControlPlane keeps its status, loses unknown fields, and is the same object in v2", async () => {
  await withReadyControlPlane(async (object) => {
    assertEquals([object.spec, object.status], [{ user, images: {} }, readyStatus]);
    const old = await client.get({ ...controlPlanes, version: "v2" }, { namespace, name: "iofog" });
    assertEquals([old?.spec, old?.status], [object.spec, object.status]);
  });
});

/** What `kubectl get` shows of the first object of a kind, its age aside: columns and cells. */
async function shown(plural: string): Promise<Record<string, unknown>> {
  const table = await client.transport.performRequest({
    method: "GET",
    path: `/apis/iofog.org/v3/namespaces/${namespace}/${plural}`,
    accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
    expectJson: true,
  }) as { columnDefinitions: { name: string; priority: number }[]; rows: { cells: unknown[] }[] };
  return Object.fromEntries(
    table.columnDefinitions
      .map(({ name, priority }, index) => ({ name, priority, cell: table.rows[0]?.cells[index] }))
      .filter(({ priority, name }) => priority === 0 && name !== "Age")
      .map(({ name, cell }) => [name, cell]),
  );
}

Deno.test("kubectl get shows whether a ControlPlane is ready, and where it is", async () => {
  await withReadyControlPlane(async () => {
    assertEquals(await shown("controlplanes"), {
      Name: "iofog",
      Ready: "True",
      Reason: "Available",
      Version: "3.0.4",
      Endpoint: "http://192.0.2.9:51121",
    });
  });
});

/** By kind: a spec, a status, and what `kubectl get` has of them. */
const edge: Readonly<
  Record<EdgeKind, { readonly spec: unknown; readonly status: object; readonly columns: object }>
> = {
  Agent: {
    spec: { host: "10.0.0.1" },
    status: { daemonStatus: "RUNNING", version: "3.0.1", address: "10.0.0.1" },
    columns: { Status: "RUNNING", Version: "3.0.1", Address: "10.0.0.1" },
  },
  EdgeResource: {
    spec: { version: "v1.0.0", interfaceProtocol: "https" },
    status: { linked: ["press-1", "press-2"], linkedTo: "press-1, press-2" },
    columns: { Version: "v1.0.0", Linked: "press-1, press-2" },
  },
  Application: {
    spec: { microservices: [] },
    status: { isActivated: true, running: "1/2" },
    columns: { Active: "true", Running: "1/2" },
  },
  Microservice: {
    spec: { application: "line", agent: { name: "press-1" }, images: { x86: "reader:1" } },
    status: { agent: "press-1", status: "RUNNING", image: "reader:1" },
    columns: { Agent: "press-1", Status: "RUNNING", Image: "reader:1" },
  },
  Route: {
    spec: { application: "line", from: "reader", to: "writer" },
    status: {},
    columns: { From: "reader", To: "writer" },
  },
};

for (const [kind, { columns, spec, status }] of Object.entries(edge)) {
  Deno.test(`kubectl get shows what a person asks first of a kind of the edge: ${kind}`, async () => {
    const resource = edgeResourceOf(kind as EdgeKind, "iofog.org");
    const object = { metadata: { namespace, name: "one" }, spec } as KubeObject;
    const created = await client.create(resource, object);
    const conditions = readyStatus.conditions.filter(({ type }) => type === "Ready");
    const ready = { ...created, status: { ...status, conditions, observedGeneration: 1 } };
    await client.replace(resource, ready, { subresource: "status" });
    assertEquals(await shown(resource.plural), {
      Name: "one",
      Ready: "True",
      Reason: "Available",
      ...columns,
    });
  });
}

Deno.test("kubectl explain has a text for each field", async () => {
  const document = await client.rawGet("/openapi/v3/apis/iofog.org/v3") as {
    components: { schemas: Record<string, Record<string, unknown>> };
  };
  const schema = document.components.schemas["org.iofog.v3.ControlPlane"];
  const silent: string[] = [];
  walk(schema ?? {}, "");
  assertEquals(silent, []);

  function walk(schema: Record<string, unknown>, path: string): void {
    const properties = (schema["properties"] ?? {}) as Record<string, Record<string, unknown>>;
    for (const [name, field] of Object.entries(properties)) {
      if (path === "" && !["spec", "status"].includes(name)) continue;
      if (!field["description"]) silent.push(`${path}.${name}`);
      walk((field["items"] ?? field) as Record<string, unknown>, `${path}.${name}`);
    }
    if (path === "" && Object.keys(properties).length === 0) silent.push("no schema");
  }
});
