/** The kinds of the edge in `datasance.com`, with a stand-in Controller 3.7.3. */

import { assertEquals, assertMatch } from "@std/assert";
import { edgeDialectOf } from "../../src/controller/edge.ts";
import { EdgeTest } from "./edge_world.ts";

const verbs = (calls: readonly string[]) => calls.map((call) => call.split(" {")[0]);

Deno.test("an agent and an application come up on PoT's Controller, and only what it knows is sent", async () => {
  await using edge = await EdgeTest.open("datasance.com");
  const microservice = {
    name: "reader",
    agent: { name: "press-1" },
    images: { x86: "reader:1" },
    schedule: 10,
    container: { rootHostAccess: true, isPrivileged: true, memoryLimit: 128, capAdd: ["NET_ADMIN"] },
  };
  const application = {
    microservices: [microservice],
    routes: [{ from: "reader", to: "reader" }],
    natsConfig: { natsAccess: false },
  };
  edge.make("Agent", "press-1", {
    host: "10.20.0.11",
    config: { agentType: "x86", natsConfig: { natsMode: "leaf" }, containerEngine: "docker" },
  });
  edge.make("Application", "monitor", application);
  edge.make("Route", "way", { application: "monitor", from: "reader", to: "reader" });
  assertEquals(verbs(await edge.converge()), ["POST /iofog", "POST /application", "POST /microservices"]);
  assertEquals(await edge.converge(), []);
  assertMatch(edge.condition("Agent", "press-1"), /^True NotProvisioned/);
  assertMatch(edge.condition("Application", "monitor"), /^False Starting/);
  const ignored = edge.condition("Application", "monitor", "Warning");
  assertMatch(ignored, /spec.routes .*no routes.*spec.microservices\[0\].container.rootHostAccess/);
  assertMatch(edge.condition("Route", "way", "Stalled"), /^True RoutesNotSupported/);
  const container = { ...microservice.container, memoryLimit: 256 };
  edge.change("Application", "monitor", { ...application, microservices: [{ ...microservice, container }] });
  assertEquals(await edge.converge(), [
    'PATCH /microservices/<reader> {"agentName":"press-1","logSize":1,"memoryLimit":256}',
  ]);
  assertEquals(await edge.converge(), []);
  edge.delete("Application", "monitor");
  edge.delete("Agent", "press-1");
  assertEquals(await edge.converge(), ["DELETE /application/monitor", "DELETE /iofog/<press-1>"]);
});

Deno.test("an edge resource whose endpoints cannot be read back is written once, and again only when they change", async () => {
  await using edge = await EdgeTest.open("datasance.com");
  const endpoint = { name: "snapshot", method: "GET", url: "/snapshot" };
  const resource = { version: "v1.0.0", interfaceProtocol: "https", interface: { endpoints: [endpoint] } };
  edge.make("EdgeResource", "camera", resource);
  assertEquals(verbs(await edge.converge()), ["PUT /edgeResource/camera/v1.0.0"]);
  assertEquals(await edge.converge(), []);
  edge.change("EdgeResource", "camera", {
    ...resource,
    interface: { endpoints: [{ ...endpoint, url: "/other" }] },
  });
  assertEquals(verbs(await edge.converge()), ["PUT /edgeResource/camera/v1.0.0"]);
  assertEquals(await edge.converge(), []);
  // What its database has no column for is told, and the rest comes through.
  const typed = { ...endpoint, url: "/other", responseType: "image/png", requestPayloadExample: "{}" };
  edge.change("EdgeResource", "camera", { ...resource, interface: { endpoints: [typed] } });
  assertEquals(await edge.converge(), []);
  assertMatch(edge.condition("EdgeResource", "camera"), /^True Ready/);
  assertMatch(
    edge.condition("EdgeResource", "camera", "Warning"),
    /endpoints\[\].responseType \(this Controller cannot keep it\).*requestPayloadExample/,
  );
  edge.delete("EdgeResource", "camera");
  assertEquals(await edge.converge(), ["DELETE /edgeResource/camera/v1.0.0"]);
});

Deno.test("while PoT's Controller sets an agent up behind its answer, nothing is changed of it, and nothing is lost", async () => {
  await using edge = await EdgeTest.open("datasance.com", { isHeld: true });
  const agents = () => edge.controller.state.agents.map(({ name, nats }) => `${name} ${nats["natsMode"]}`);
  const edgeRouter = { routerConfig: { routerMode: "edge", messagingPort: 5673 } };
  const ports = { edgeRouterPort: 45672, interRouterPort: 55672 };
  edge.make("EdgeResource", "camera", {
    version: "1.0.0",
    interfaceProtocol: "http",
    orchestrationTags: ["gate"],
  });
  const links = { tags: ["own"], edgeResources: [{ name: "camera", version: "1.0.0" }] };
  edge.make("Agent", "leaf", { host: "10.0.0.1", config: edgeRouter, ...links });
  edge.make("Agent", "hub", {
    host: "10.0.0.2",
    config: { routerConfig: { routerMode: "interior", ...ports }, natsConfig: { natsMode: "server" } },
  });
  edge.make("Agent", "behind", { host: "10.0.0.3", config: { upstreamRouters: ["hub"] } });
  const made = (await edge.converge()).map((call) => call.split(" {")[0]);
  assertEquals(made.toSorted(), [
    "POST /edgeResource/camera/1.0.0/link",
    "POST /iofog",
    "POST /iofog",
    "PUT /edgeResource/camera/1.0.0",
  ]);
  assertMatch(edge.condition("Agent", "leaf"), /^False Applying: .*waits until the Controller has set up/);
  assertMatch(edge.condition("Agent", "behind"), /^False Applying: .*set up .* of agent hub/);
  // Another process knows it from the inventory.
  edge.restart();
  edge.change("Agent", "leaf", {
    host: "10.0.0.1",
    config: { ...edgeRouter, location: "Hall A" },
    ...links,
  });
  assertEquals(await edge.converge(1_100), []);
  assertMatch(edge.condition("Agent", "leaf"), /^False Applying: .*waits until the Controller has set up/);
  await edge.settle();
  assertEquals((await edge.converge(1_100)).toSorted(), [
    'PATCH /iofog/<leaf> {"location":"Hall A","natsMode":"leaf","natsServerPort":4222,"natsLeafPort":7422,' +
    '"natsMqttPort":8883,"natsHttpPort":8222,"jsStorageSize":"10g","jsMemoryStoreSize":"1g",' +
    '"upstreamNatsServers":["default-nats-hub"]}',
    'POST /iofog {"name":"behind","fogType":0,"host":"10.0.0.3","upstreamRouters":["<hub>"]}',
  ]);
  await edge.settle();
  assertEquals(await edge.converge(1_100), []);
  assertEquals(agents(), ["leaf leaf", "hub server", "behind leaf"]);
  const [leaf] = await edge.client.edge.agents(edgeDialectOf("3.7.3")).then((rows) =>
    rows.filter(({ name }) => name === "leaf")
  );
  assertEquals([leaf?.upstreamRouters, leaf?.tags], [["default-router"], ["own", "gate"]]);
  const warned = (await edge.told()).filter((line) => /^(Unsettled|Upstream|Applying)/.test(line));
  assertEquals(warned, []);

  // An agent without a router that is to have one is connected like a new one.
  edge.make("Agent", "bare", {
    host: "10.0.0.4",
    config: { routerConfig: { routerMode: "none" }, natsConfig: { natsMode: "none" } },
  });
  await edge.converge();
  await edge.settle();
  await edge.converge();
  edge.change("Agent", "bare", { host: "10.0.0.4", config: { routerConfig: { routerMode: "edge" } } });
  edge.change("Agent", "behind", {
    host: "10.0.0.3",
    config: { upstreamRouters: ["hub"], natsConfig: { natsMode: "none" } },
  });
  assertEquals((await edge.converge()).toSorted(), [
    'PATCH /iofog/<bare> {"routerMode":"edge","host":"10.0.0.4","natsMode":"none","upstreamRouters":["default-router"]}',
    'PATCH /iofog/<behind> {"natsMode":"none"}',
  ]);
  await edge.settle();
  await edge.converge();
  edge.change("Agent", "behind", {
    host: "10.0.0.3",
    config: { upstreamRouters: ["hub"], natsConfig: { natsMode: "leaf" } },
  });
  assertEquals(await edge.converge(), [
    'PATCH /iofog/<behind> {"natsMode":"leaf","upstreamNatsServers":["default-nats-hub"]}',
  ]);
  await edge.settle();
  assertEquals(await edge.converge(1_100), []);
});

Deno.test("an older list that still shows what PoT's Controller lost does not tell that an agent is set up", async () => {
  await using edge = await EdgeTest.open("datasance.com", { isHeld: true });
  edge.make("Agent", "leaf", { host: "10.0.0.1", config: { agentType: "x86" } });
  await edge.converge();
  await edge.settle();
  await edge.converge();
  const former = await edge.client.edge.agents(edgeDialectOf("3.7.3"));
  const { config, natsHub, router, tokens, users } = edge.controller.state;
  edge.controller.forgetEverything();
  Object.assign(edge.controller.state, { config, natsHub, router, tokens, users });
  let isOlder = false;
  const agents: typeof edge.client.edge.agents = (...given) =>
    isOlder ? Promise.resolve(former) : edge.client.edge.agents(...given);
  edge.restart({ client: { ...edge.client, edge: { ...edge.client.edge, agents } } });
  assertEquals((await edge.converge()).map((call) => call.split(" {")[0]), ["POST /iofog"]);
  isOlder = true;
  assertEquals(await edge.converge(1_100), []);
  isOlder = false;
  // Another change would take what there is of its router and NATS server for what is wanted.
  edge.change("Agent", "leaf", { host: "10.0.0.1", config: { agentType: "x86", location: "Hall A" } });
  assertEquals(await edge.converge(), []);
  await edge.settle();
  assertEquals(
    (await edge.converge(1_100)).map((call) => JSON.parse(call.replace(/^.*? \{/, "{")).natsMode),
    [
      "leaf",
    ],
  );
});

Deno.test("a microservice keeps its role with every change, whoever gave it that", async () => {
  await using edge = await EdgeTest.open("datasance.com");
  edge.make("Agent", "a", { host: "10.0.0.1", config: { agentType: "x86" } });
  const on = { agent: { name: "a" }, images: { x86: "image" } };
  const reads = { serviceAccount: { roleRef: { kind: "Role", name: "sre" } } };
  const app = (changes: Record<string, unknown>, other: Record<string, unknown> = {}) => ({
    microservices: [{ name: "m", ...on, ...changes }, { name: "open", ...on, ...other }],
  });
  edge.make("Application", "app", app(reads));
  const short = async () =>
    (await edge.converge()).filter((call) => call.includes("/microservices"))
      .map((call) => /"serviceAccount":\{"roleRef":\{"kind":"Role","name":"(.*?)"/.exec(call)?.[1] ?? "none");
  assertEquals(await short(), ["sre", "none"]);
  assertEquals(await edge.converge(), []);
  const roles = () =>
    edge.controller.state.microservices.filter(({ name }) => ["m", "open"].includes(name))
      .map(({ role }) => role);
  // Somebody gives the other one a role, which the spec leaves open.
  const open = edge.controller.state.microservices.find(({ name }) => name === "open");
  if (open !== undefined) open.role = "viewer";
  assertEquals(await edge.converge(), []);
  const arguments_ = { container: { commands: ["-v"] } };
  edge.change("Application", "app", app({ ...reads, ...arguments_ }, arguments_));
  assertEquals([await short(), roles()], [["sre", "viewer"], ["sre", "viewer"]]);
  // Somebody takes the role away that the spec gives.
  const row = edge.controller.state.microservices.find(({ name }) => name === "m");
  if (row !== undefined) row.role = "microservice";
  assertEquals([await short(), roles()], [["sre"], ["sre", "viewer"]]);
  edge.change("Application", "app", app({ serviceAccount: {}, ...arguments_ }, arguments_));
  assertEquals([await short(), roles()], [["microservice"], ["microservice", "viewer"]]);
  assertEquals(await edge.converge(), []);
  edge.change(
    "Application",
    "app",
    app({ serviceAccount: { roleRef: { kind: "Role", name: "x" } } }, arguments_),
  );
  await edge.converge();
  assertMatch(edge.condition("Application", "app", "Stalled"), /Refused: .*role 'x' does not exist/);
});

Deno.test("agents whose NATS servers, or routers and NATS servers, wait for each other are told of the circle", async () => {
  await using edge = await EdgeTest.open("datasance.com");
  const natsConfig = { natsMode: "server" };
  const routerConfig = { routerMode: "interior", edgeRouterPort: 45671, interRouterPort: 55671 };
  edge.make("Agent", "a", { host: "h", config: { natsConfig, upstreamNatsServers: ["b"] } });
  edge.make("Agent", "b", { host: "h", config: { natsConfig, upstreamNatsServers: ["a"] } });
  edge.make("Agent", "c", { host: "h", config: { routerConfig, upstreamNatsServers: ["d"] } });
  edge.make("Agent", "d", { host: "h", config: { natsConfig, upstreamRouters: ["c"] } });
  assertEquals(await edge.converge(), []);
  for (const circle of ["a -> b -> a", "b -> a -> b", "c -> d -> c", "d -> c -> d"]) {
    assertMatch(
      edge.condition("Agent", circle.slice(0, 1), "Stalled"),
      new RegExp(`^True UpstreamCycle: .*go round in a circle: ${circle}; remove one of them`),
    );
  }
  edge.change("Agent", "b", { host: "h", config: { natsConfig } });
  edge.change("Agent", "d", { host: "h", config: { natsConfig } });
  await edge.converge();
  await edge.converge();
  for (const name of ["a", "b", "c", "d"]) assertMatch(edge.condition("Agent", name), /^True NotProvisioned/);
});
