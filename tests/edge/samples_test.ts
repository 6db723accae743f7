/** What stands in `deploy/samples/edge` and in the CLIs' files, for both groups, with the Controller of each. */

import { assertEquals, assertMatch } from "@std/assert";
import { parseAll } from "@std/yaml";
import { convert } from "../../src/cli/convert.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { type EdgeGroup, edgeGroups, type EdgeKind } from "../../src/resources/edge/crds.ts";
import { EdgeTest } from "./edge_world.ts";

const ROOT = new URL("../../", import.meta.url);
const folders: Readonly<Record<EdgeGroup, string>> = {
  "iofog.org": "deploy/samples/edge",
  "datasance.com": "deploy/samples/edge/pot",
};

/** The objects in the files that a kustomization names. */
async function objectsOf(folder: string): Promise<readonly KubeObject[]> {
  const read = (name: string) => Deno.readTextFile(new URL(`${folder}/${name}`, ROOT));
  const [{ resources }] = parseAll(await read("kustomization.yaml")) as [{ resources: readonly string[] }];
  return (await Promise.all(resources.map(async (name) => parseAll(await read(name)) as KubeObject[])))
    .flat();
}

function make(edge: EdgeTest, objects: readonly KubeObject[]): void {
  for (const { kind, metadata, ...rest } of objects) {
    edge.make(kind as EdgeKind, metadata?.name ?? "", (rest as { spec?: unknown }).spec);
  }
}

/** Everything is in the Controller, and waits for devices only. */
function assertMade(edge: EdgeTest, objects: readonly KubeObject[]): void {
  for (const { kind, metadata } of objects) {
    const name = metadata?.name ?? "";
    assertMatch(edge.condition(kind as EdgeKind, name), /^True|^False Starting/, `${kind} ${name}`);
    // Fields that are not used would stand there.
    assertEquals(edge.condition(kind as EdgeKind, name, "Warning"), "none", `${kind} ${name}`);
  }
}

for (const group of edgeGroups) {
  const folder = folders[group];

  Deno.test(`the samples of ${folder} come up, and change nothing once they stand`, async () => {
    await using edge = await EdgeTest.open(group);
    const [single, several] = await Promise.all([objectsOf(`${folder}/single`), objectsOf(folder)]);
    for (const { apiVersion } of [...single, ...several]) assertEquals(apiVersion, `${group}/v3`);
    make(edge, [...single, ...several]);
    await edge.converge();
    assertEquals(await edge.converge(), []);
    assertMade(edge, [...single, ...several]);
    assertEquals(edge.controller.state.agents.map(({ name }) => name).toSorted(), [
      "gateway",
      "mill-01",
      "office-01",
    ]);
  });

  Deno.test(`the sample of ${folder}/template waits for the template that its comment shows, and is made from it`, async () => {
    await using edge = await EdgeTest.open(group);
    const objects = await objectsOf(`${folder}/template`);
    make(edge, [...await objectsOf(folder), ...objects]);
    await edge.converge();
    assertMatch(edge.condition("Application", "press-2"), /^False TemplateMissing/);
    // The document in the comment, in the form of the API.
    const text = await Deno.readTextFile(new URL(`${folder}/template/application.yaml`, ROOT));
    const comment = text.split("\n").filter((line) => line.startsWith("#   ")).map((line) => line.slice(4))
      .join(
        "\n",
      );
    const [{ kind, metadata, spec }] = parseAll(comment) as [
      { kind: string; metadata: { name: string }; spec: { variables: unknown; application: unknown } },
    ];
    assertEquals(kind, "ApplicationTemplate");
    const { microservices } = spec.application as { microservices: readonly Record<string, unknown>[] };
    await edge.client.edge.change({
      method: "POST",
      route: "/applicationTemplate",
      bodyJson: {
        name: metadata.name,
        variables: spec.variables,
        application: {
          microservices: microservices.map(({ agent, container, images, name }) => ({
            name,
            agentName: (agent as { name: string }).name,
            images: [{ fogTypeId: 1, containerImage: (images as { x86: string }).x86 }],
            ports: (container as { ports: unknown }).ports,
          })),
          routes: [],
        },
      },
    });
    await edge.converge();
    assertEquals(await edge.converge(), []);
    assertMade(edge, objects);
    const [made] = edge.controller.state.microservices.filter(({ name }) => name === "dashboard")
      .filter(({ ports }) => ports.some(({ external }) => external === 5090));
    assertEquals(made?.images[0]?.containerImage, "registry.plant7.example/dash:1.4");
  });
}

Deno.test("a file of potctl with one of each kind is converted and converges", async () => {
  const file = `
apiVersion: datasance.com/v3
kind: Agent
metadata: { name: press-hall-01, tags: [press] }
spec:
  host: 10.20.0.11
  ssh: { user: edge, port: 22, keyFile: ~/.ssh/plant7 }
  package: { version: 3.7.0, container: { image: ghcr.io/datasance/agent:3.7.0 } }
  config:
    agentType: x86
    containerEngine: docker
    deploymentType: native
    timeZone: Europe/Zurich
    upstreamRouters: [default-router]
    routerConfig: { routerMode: edge, messagingPort: 5671 }
    natsConfig: { natsMode: leaf, natsLeafPort: 7422, jsStorageSize: 10g }
---
apiVersion: datasance.com/v3
kind: Application
metadata: { name: press-monitor }
spec:
  natsConfig: { natsAccess: true }
  microservices:
    - name: vibration-reader
      agent: { name: press-hall-01 }
      images: { x86: "registry.plant7.example/reader:2.1", registry: remote }
      config: { sampleHz: 400 }
      schedule: 10
      container:
        isPrivileged: false
        memoryLimit: 128
        capAdd: [NET_ADMIN]
        annotations: { team: press }
        healthCheck: { test: ["CMD", "true"], interval: 30 }
---
apiVersion: datasance.com/v3
kind: Microservice
metadata: { name: press-monitor/archive }
spec:
  agent: { name: press-hall-01 }
  images: { x86: "registry.plant7.example/archive:2.2" }
  natsConfig: { natsAccess: true }
---
apiVersion: datasance.com/v3
kind: EdgeResource
metadata: { name: gate-camera }
spec:
  version: v1.2.0
  interfaceProtocol: https
  interface: { endpoints: [{ name: snapshot, method: GET, url: /snapshot }] }
  display: { name: Gate camera, icon: camera, color: "#336699" }
  orchestrationTags: [camera]
`;
  const said = { out: "", error: "" };
  const code = await convert({
    environment: { readTextFile: () => Promise.resolve(file) },
    path: "file.yaml",
    print: (text) => said.out += text,
    printError: (text) => said.error += text,
  });
  assertEquals([code, said.error], [0, ""]);
  await using edge = await EdgeTest.open("datasance.com");
  const objects = parseAll(said.out) as KubeObject[];
  make(edge, objects);
  await edge.converge();
  assertEquals(await edge.converge(), []);
  for (const { kind, metadata } of objects) {
    const name = metadata?.name ?? "";
    assertMatch(edge.condition(kind as EdgeKind, name), /^True|^False Starting/, `${kind} ${name}`);
  }
  assertMatch(edge.condition("Agent", "press-hall-01", "Warning"), /spec.ssh.*spec.package/);
});
