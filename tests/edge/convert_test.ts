import { assertEquals, assertMatch } from "@std/assert";
import { parseAll, stringify } from "@std/yaml";
import { convert } from "../../src/cli/convert.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { ConfigMap } from "../../src/kubernetes/generated/core_v1.ts";
import type { EdgeKind } from "../../src/resources/edge/crds.ts";
import { customResourcesOf } from "../../src/resources/edge/export.ts";
import { worldOf } from "../../src/resources/edge/world.ts";
import { edgeDialectOf } from "../../src/controller/edge.ts";
import { EdgeTest } from "./edge_world.ts";

/** A file of iofogctl, with one of each kind. */
const file = `
apiVersion: iofog.org/v3
kind: Agent
metadata: { name: "Press Hall 1!", namespace: plant-7, tags: [press, camera-capable] }
spec:
  host: 10.20.0.11
  ssh: { user: edge, port: 22, keyFile: ~/.ssh/plant7 }
  config:
    description: Gateway next to press 1
    location: Hall A
    latitude: 46.2
    longitude: 6.14
    agentType: x86
    memoryLimit: 2048
    statusFrequency: 10
    upstreamRouters: [default-router]
    routerConfig: { routerMode: edge, messagingPort: 5672 }
---
apiVersion: iofog.org/v3
kind: Application
metadata: { name: press-monitor }
spec:
  description: Vibration monitoring of press 1
  microservices:
    - name: vibration-reader
      agent: { name: "Press Hall 1!" }
      images: { x86: "registry.plant7.example/reader:2.1", arm: "registry.plant7.example/reader:2.1-arm", registry: remote }
      config: { sampleHz: 400, window: 5 }
      container:
        rootHostAccess: false
        volumes: [{ hostDestination: /dev/shm, containerDestination: /dev/shm, accessMode: rw, type: bind }]
        env: [{ key: LOG_LEVEL, value: info }]
        commands: ["--profile", "press"]
    - name: dashboard
      agent: { name: "Press Hall 1!" }
      images: { x86: "registry.plant7.example/dash:1.4" }
      container:
        ports: [{ internal: 8080, external: 5080, protocol: tcp }]
        extraHosts: [{ name: db.local, address: 10.1.1.1 }]
  routes:
    - { name: readings, from: vibration-reader, to: dashboard }
---
apiVersion: iofog.org/v3
kind: Microservice
metadata: { name: press-monitor/archive }
spec:
  agent: { name: "Press Hall 1!" }
  images: { x86: "registry.plant7.example/archive:2.2", registry: remote }
  container:
    ports: [{ internal: 9000, external: 5090 }]
---
apiVersion: iofog.org/v3
kind: Route
metadata: { name: press-monitor/history }
spec: { from: dashboard, to: archive }
---
apiVersion: iofog.org/v3
kind: EdgeResource
metadata: { name: gate-camera }
spec:
  version: v1.2.0
  description: Camera above gate 3
  interfaceProtocol: https
  interface: { endpoints: [{ name: snapshot, method: GET, url: /snapshot }, { name: zoom, method: PUT, url: /zoom }] }
  display: { name: Gate camera, icon: camera, color: "#336699" }
  orchestrationTags: [camera, gate-3]
  custom: { vendor: acme }
---
apiVersion: iofog.org/v3
kind: Volume
metadata: { name: model-files }
spec: { agents: [press-hall-01], source: ./models/, destination: /var/lib/models/, permissions: "644" }
`;

/** What the command prints. */
async function converted(text: string) {
  const said = { out: "", error: "" };
  const code = await convert({
    environment: { readTextFile: () => Promise.resolve(text) },
    path: "file.yaml",
    print: (text) => said.out += text,
    printError: (text) => said.error += text,
  });
  return { code, error: said.error, objects: parseAll(said.out) as KubeObject[] };
}

Deno.test("a file of iofogctl with one of each kind is converted, converges, and is exported as what changes nothing", async () => {
  await using edge = await EdgeTest.open();
  const { code, error, objects } = await converted(file);
  assertEquals([code, error], [0, "Volume model-files was left out: only the CLI copies files to agents\n"]);
  assertEquals(objects.map(({ kind, metadata }) => `${kind} ${metadata?.name}`), [
    "Agent press-hall-1",
    "Application press-monitor",
    "Microservice press-monitor-archive",
    "Route press-monitor-history",
    "EdgeResource gate-camera",
  ]);
  for (const { kind, metadata, ...rest } of objects) {
    edge.make(kind as EdgeKind, metadata?.name ?? "", (rest as { spec?: unknown }).spec);
  }
  assertEquals((await edge.converge()).map((call) => call.split(" {")[0]), [
    "POST /iofog",
    "PUT /edgeResource/gate-camera/v1.2.0",
    "POST /application",
    "POST /microservices",
    "POST /microservices",
    "POST /routes",
    "POST /microservices",
    "POST /routes",
  ]);
  assertMatch(edge.condition("Agent", "press-hall-1"), /^True/);
  assertMatch(edge.condition("Route", "press-monitor-history"), /^True/);

  // What is there by now, as if somebody else had made it.
  const { client } = edge;
  const dialect = edgeDialectOf("3.0.4");
  const world = worldOf({
    dialect,
    agents: await client.edge.agents(dialect),
    applications: await client.edge.applications(),
    edgeResources: await client.edge.edgeResource("gate-camera"),
  });
  const exported = customResourcesOf(world, "iofog.org");
  assertEquals(exported.notes, []);
  for (const { kind, metadata } of objects) edge.delete(kind as EdgeKind, metadata?.name ?? "");
  edge.api.edit(ConfigMap, "iofog-inventory", (object) => {
    (object as ConfigMap & { data: unknown }).data = { id: "planted", entries: "[]" };
  });
  // Through YAML, as a person would.
  for (
    const object of parseAll(
      exported.objects.map((each) => `---\n${stringify(JSON.parse(JSON.stringify(each)))}`).join(""),
    )
  ) {
    const { kind, metadata, spec } = object as KubeObject & { spec: unknown };
    edge.make(kind as EdgeKind, metadata?.name ?? "", spec, metadata?.annotations as Record<string, string>);
  }
  assertEquals(await edge.converge(), []);
  for (const { kind, metadata } of exported.objects) {
    assertMatch(edge.condition(kind as EdgeKind, metadata?.name ?? ""), /^True|^False Starting/);
  }
});

Deno.test("what cannot be converted is told, and a file that is none is an error", async () => {
  const { code, error } = await converted(
    "apiVersion: iofog.org/v1\nkind: Agent\n---\n- a\n---\napiVersion: iofog.org/v3\nkind: Route\nmetadata: { name: x }\nspec: {}\n",
  );
  assertEquals(code, 1);
  assertEquals(error.split("\n").length, 4);
});

Deno.test("a microservice and a route that stand in an application of the same file and by themselves become one", async () => {
  const on = "agent: { name: a }";
  const { error, objects } = await converted(`
apiVersion: iofog.org/v3
kind: Route
metadata: { name: app/r-one-two }
spec: { from: two, to: one }
---
apiVersion: iofog.org/v3
kind: Microservice
metadata: { name: app/one }
spec: { ${on}, images: { x86: "x:2" }, container: { env: [{ key: A, value: b }] } }
---
apiVersion: iofog.org/v3
kind: Application
metadata: { name: app }
spec:
  microservices:
    - { name: one, ${on}, images: { x86: "x:1" }, config: { a: 1 }, container: { logSize: 3, commands: [c] } }
    - { name: two, ${on}, images: { x86: "x:1" } }
  routes: [{ from: one, to: two }]
`);
  assertEquals(error.split("\n").toSorted(), [
    "",
    "Microservice app/one was put into Application app, which has it in the same file",
    "Route app/r-one-two was put into Application app, which has it in the same file",
  ]);
  assertEquals(objects.map((object) => (object as KubeObject & { readonly spec: unknown }).spec), [{
    microservices: [
      {
        name: "one",
        agent: { name: "a" },
        images: { x86: "x:2" },
        config: { a: 1 },
        container: { logSize: 3, env: [{ key: "A", value: "b" }] },
      },
      { name: "two", agent: { name: "a" }, images: { x86: "x:1" } },
    ],
    routes: [{ from: "two", to: "one", name: "r-one-two" }],
  }]);
});

Deno.test("what the CLIs make of a file is made of it here: text of numbers, names that Kubernetes refuses, things named twice", async () => {
  const { code, error, objects } = await converted(`
apiVersion: datasance.com/v3
kind: LocalAgent
metadata: { name: "Edge 1!" }
spec: { container: { image: agent:3 } }
---
apiVersion: datasance.com/v3
kind: Agent
metadata: { name: edge-1 }
spec: { host: 10.0.0.1 }
---
apiVersion: datasance.com/v3
kind: Application
metadata: { name: app }
spec: { description: the earlier }
---
apiVersion: datasance.com/v3
kind: Application
metadata: { name: app }
spec:
  microservices:
    - name: one
      agent: { name: edge-1 }
      images: { x86: "x:1", catalogId: 0 }
      container: { env: [{ key: DEBUG, value: true }, { key: 7, value: 1.5 }, { key: T, value: "" }] }
---
apiVersion: datasance.com/v3
kind: EdgeResource
metadata: { name: camera }
spec: { version: 1.0.0, interfaceProtocol: http }
---
apiVersion: datasance.com/v3
kind: EdgeResource
metadata: { name: camera }
spec: { version: 2.0.0, interfaceProtocol: http }
`);
  assertEquals([code, error], [
    0,
    "Agent Edge 1! has no host: set spec.host to the address at which others reach it\n",
  ]);
  assertEquals(
    objects.map((object) => {
      const { kind, metadata, spec } = object as KubeObject & { readonly spec: { readonly name?: string } };
      return `${kind} ${metadata?.name} ${spec.name ?? "-"}`;
    }),
    [
      "Agent edge-1 Edge 1!",
      "Agent edge-1-2 edge-1",
      "Application app -",
      "EdgeResource camera-1.0.0 camera",
      "EdgeResource camera-2.0.0 camera",
    ],
  );
  const [one] = (objects[2] as KubeObject & { spec: { microservices: Record<string, unknown>[] } }).spec
    .microservices;
  assertEquals([one?.["images"], one?.["container"]], [{ x86: "x:1" }, {
    env: [{ key: "DEBUG", value: "true" }, { key: "7", value: "1.5" }, { key: "T", value: "" }],
  }]);
});

Deno.test("values come as the CLIs read them: text that looks like a number, words for truth values, nothing for null", async () => {
  const { code, error, objects } = await converted(`
apiVersion: iofog.org/v3
kind: Agent
metadata: { name: 7, tags: [12, north] }
spec:
  uuid:
  host: 10.0.0.1
  package: { version: 3.0, repo: }
  config: { description: 42, location: 1.10, agentType: arm64, bluetoothEnabled: yes, watchdogEnabled: Off, timeZone: }
---
apiVersion: iofog.org/v3
kind: AgentConfig
metadata: { name: 7 }
spec: { logLevel: 0x10, latitude: 47 }
---
apiVersion: iofog.org/v3
kind: EdgeResource
metadata: { name: door }
spec:
  version: 1.0
  interfaceProtocol: https
  interface: { endpoints: [{ name: open, method: POST, url: /open, description: }] }
  display: { name: 77, color: 336699 }
  orchestrationTags: [smart, 2.0]
  custom: { size: 1.0, none: null }
---
apiVersion: iofog.org/v3
kind: Application
metadata: { name: app }
spec:
  description:
  microservices:
    - { name: m, agent: { name: 7 }, images: { x86: i, arm: }, container: { ports: , env: [{ key: A, value: 1.10 }] }, config: { none: null } }
---
apiVersion: iofog.org/v3
kind: Route
spec: { from: a, to: b }
`);
  assertEquals([code, error.split("\n")], [0, [
    "Route was left out: it has no metadata.name",
    "Agent 7: agentType arm64 became auto, as with the CLI; those that count are x86 and arm",
    "",
  ]]);
  const specs = objects.map((object) => (object as KubeObject & { readonly spec: unknown }).spec);
  assertEquals(specs, [
    {
      host: "10.0.0.1",
      package: { version: 3, repo: null },
      config: {
        ...{ description: "42", location: "1.10", agentType: "auto", bluetoothEnabled: true },
        ...{ watchdogEnabled: false, logLevel: "0x10", latitude: 47 },
      },
      tags: ["12", "north"],
    },
    {
      version: "1.0",
      interfaceProtocol: "https",
      interface: { endpoints: [{ name: "open", method: "POST", url: "/open" }] },
      display: { name: "77", color: "336699" },
      orchestrationTags: ["smart", "2.0"],
      custom: { size: 1, none: null },
    },
    {
      microservices: [{
        name: "m",
        agent: { name: "7" },
        images: { x86: "i" },
        // As the Controller reads it.
        container: { env: [{ key: "A", value: "1.1" }] },
        config: { none: null },
      }],
    },
  ]);
});
