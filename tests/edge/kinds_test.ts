import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { edgeGroups } from "../../src/resources/edge/crds.ts";
import { SimulatedAgent } from "../controller/simulated_agent.ts";
import { registerSecret } from "../secrets.ts";
import { EdgeTest } from "./edge_world.ts";

const verbs = (calls: readonly string[]) => calls.map((call) => call.split(" {")[0]);

Deno.test("routers are connected by the names of agents, those of mode interior first", async () => {
  await using edge = await EdgeTest.open();
  const routerConfig = { routerMode: "interior", edgeRouterPort: 45671, interRouterPort: 55671 };
  edge.make("Agent", "leaf", { host: "10.0.0.2", config: { upstreamRouters: ["hub", "default-router"] } });
  assertEquals(await edge.converge(), []);
  assertMatch(edge.condition("Agent", "leaf"), /^False UpstreamMissing: .*create an Agent of that name/);
  edge.make("Agent", "hub", { name: "hub", host: "10.0.0.1", config: { routerConfig } });
  assertEquals(await edge.converge(), [
    'POST /iofog {"name":"hub","fogType":0,"host":"10.0.0.1","routerMode":"interior","edgeRouterPort":45671,' +
    '"interRouterPort":55671}',
    'POST /iofog {"name":"leaf","fogType":0,"host":"10.0.0.2","upstreamRouters":["default-router","<hub>"]}',
  ]);
  assertEquals(await edge.converge(), []);
  // The router's settings go together, or some would be lost.
  edge.change("Agent", "leaf", {
    host: "10.0.0.3",
    tags: ["b", "a"],
    config: { upstreamRouters: ["hub", "default-router"], description: "" },
  });
  assertEquals(
    await edge.converge(),
    [
      'PATCH /iofog/<leaf> {"tags":["a","b"],"routerMode":"edge","host":"10.0.0.3","messagingPort":5672,' +
      '"upstreamRouters":["default-router","<hub>"]}',
    ].map((call) => call.replace('{"tags"', '{"description":"","tags"')),
  );
  edge.delete("Agent", "hub");
  edge.delete("Agent", "leaf");
  assertEquals(await edge.converge(), ["DELETE /iofog/<leaf>", "DELETE /iofog/<hub>"]);
});

for (const group of edgeGroups) {
  Deno.test(`F36 in ${group}, upstream routers in a circle, and a route to nowhere, are told and change nothing`, async () => {
    await using edge = await EdgeTest.open(group);
    edge.make("Agent", "a", { host: "10.0.0.1", config: { upstreamRouters: ["b"] } });
    edge.make("Agent", "b", { host: "10.0.0.2", config: { upstreamRouters: ["a"] } });
    edge.make("Application", "app", { routes: [{ from: "x", to: "y" }] });
    assertEquals(verbs(await edge.converge()), ["POST /application"]);
    assertMatch(edge.condition("Agent", "a", "Stalled"), /^True UpstreamCycle: .*a -> b -> a/);
    const hasRoutes = group === "iofog.org";
    assertMatch(
      edge.condition("Application", "app", hasRoutes ? "Ready" : "Warning"),
      hasRoutes ? /^False RouteEndMissing: .*microservice x/ : /spec.routes .*no routes/,
    );
  });
}

Deno.test("an agent is linked to edge resources, and keeps its tags and theirs", async () => {
  await using edge = await EdgeTest.open();
  const resource = {
    version: "v1.2.0",
    description: "Camera above gate 3",
    interfaceProtocol: "https",
    interface: { endpoints: [{ name: "snapshot", method: "GET", url: "/snapshot" }] },
    display: { name: "Gate camera", icon: "camera", color: "#336699" },
    orchestrationTags: ["gate-3", "camera"],
    custom: { vendor: "acme" },
  };
  edge.make("Agent", "gate", {
    host: "10.0.0.1",
    tags: ["mine"],
    edgeResources: [{ name: "camera", version: "v1.2.0" }],
  });
  assertEquals(verbs(await edge.converge()), ["POST /iofog"]);
  assertMatch(edge.condition("Agent", "gate"), /^False EdgeResourceMissing/);
  edge.make("EdgeResource", "camera", resource);
  assertEquals(verbs(await edge.converge()), [
    "PUT /edgeResource/camera/v1.2.0",
    "POST /edgeResource/camera/v1.2.0/link",
  ]);
  assertEquals(edge.controller.state.agents[0]?.tags.toSorted(), ["camera", "gate-3", "mine"]);
  assertEquals(await edge.converge(), []);
  const shown = () => {
    const { linked, linkedTo } = edge.get("EdgeResource", "camera").status as Record<string, unknown>;
    return [linked, linkedTo];
  };
  assertEquals(shown(), [["gate"], "gate"]);
  const others = ["a", "b", "c"];
  const edgeResources = [{ name: "camera", version: "v1.2.0" }];
  for (const name of others) edge.make("Agent", name, { host: "10.0.0.2", edgeResources });
  await edge.converge();
  await edge.converge();
  assertEquals(shown(), [["a", "b", "c", "gate"], "4 agents"]);
  for (const name of others) edge.delete("Agent", name);
  await edge.converge();
  await edge.converge();
  assertEquals(shown(), [["gate"], "gate"]);
  edge.change("EdgeResource", "camera", { ...resource, interface: { endpoints: [] } });
  assertEquals(verbs(await edge.converge()), ["PUT /edgeResource/camera/v1.2.0"]);
  // Changed in place, the Controller would lose its interface for good.
  edge.change("EdgeResource", "camera", { ...resource, interfaceProtocol: "http" });
  assertEquals(verbs(await edge.converge()), [
    "DELETE /edgeResource/camera/v1.2.0",
    "PUT /edgeResource/camera/v1.2.0",
    "POST /edgeResource/camera/v1.2.0/link",
  ]);
  edge.change("Agent", "gate", { host: "10.0.0.1", tags: ["mine"] });
  assertEquals(verbs(await edge.converge()), ["DELETE /edgeResource/camera/v1.2.0/link"]);
  assertEquals(edge.controller.state.agents[0]?.tags, ["mine"]);
  edge.delete("EdgeResource", "camera");
  assertEquals(await edge.converge(), ["DELETE /edgeResource/camera/v1.2.0"]);
  edge.make("EdgeResource", "old", { ...resource, version: "1.10.0" });
  await edge.converge();
  assertMatch(
    edge.condition("EdgeResource", "old", "Stalled"),
    /^True InvalidSpec: spec.version must be a version/,
  );
});

for (const group of edgeGroups) {
  Deno.test(`F31 F33 in ${group}, what was deleted while no operator ran goes from the Controller when one is back, and nothing else`, async () => {
    await using edge = await EdgeTest.open(group);
    const on = { agent: { name: "a" }, images: { x86: "image:1" } };
    for (const name of ["a", "b"]) {
      edge.make("Agent", name, { host: "10.0.0.1", config: { agentType: "x86" } });
    }
    for (const name of ["app", "stays"]) {
      edge.make("Application", name, { microservices: [{ name: `${name}-one`, ...on }] });
    }
    await edge.converge();
    edge.delete("Application", "app");
    edge.delete("Agent", "b");
    // Another process, which never saw what is gone: the inventory alone tells of it.
    edge.restart();
    assertEquals(verbs(await edge.converge()).toSorted(), ["DELETE /application/app", "DELETE /iofog/<b>"]);
    assertEquals(edge.controller.state.agents.map(({ name }) => name), ["a"]);
    edge.restart();
    assertEquals(await edge.converge(), []);
  });
}

Deno.test("a Microservice and a Route of their own live in an Application that somebody else made, and F35 one owns each", async () => {
  await using edge = await EdgeTest.open();
  const images = { x86: "image:1" };
  const on = { agent: { name: "a" }, images };
  edge.make("Microservice", "one", { application: "app", ...on });
  edge.make("Route", "way", { application: "app", from: "one", to: "two" });
  assertEquals(await edge.converge(), []);
  assertMatch(edge.condition("Microservice", "one"), /^False ApplicationMissing/);
  edge.make("Agent", "a", { host: "10.0.0.1", config: { agentType: "x86" } });
  edge.make("Application", "app", { microservices: [{ name: "two", ...on }] });
  assertEquals(verbs(await edge.converge()), [
    "POST /iofog",
    "POST /application",
    "POST /microservices",
    "POST /microservices",
    "POST /routes",
  ]);
  assertEquals(await edge.converge(), []);
  edge.change("Application", "app", { microservices: [{ name: "two", ...on }, { name: "one", ...on }] });
  assertEquals(await edge.converge(), []);
  assertMatch(edge.condition("Application", "app"), /^False Conflict: .*kept by Microservice.iofog.org\/one/);
  // What the application does not own keeps it from being deleted.
  edge.delete("Application", "app");
  assertEquals(verbs(await edge.converge()), ["DELETE /microservices/<two>"]);
  edge.delete("Microservice", "one");
  edge.delete("Route", "way");
  assertEquals(verbs(await edge.converge()), ["DELETE /application/app"]);
});

Deno.test("a value from a Secret is written and compared, shown nowhere, and followed when it changes", async () => {
  await using edge = await EdgeTest.open();
  const [first, second] = ["one", "two"].map((which) => registerSecret(`${which}-${crypto.randomUUID()}`));
  const env = [{ key: "TOKEN", valueFrom: { secretKeyRef: { name: "login", key: "token" } } }];
  edge.make("Agent", "a", { host: "10.0.0.1", config: { agentType: "x86" } });
  edge.make("Application", "app", {
    microservices: [{ name: "m", agent: { name: "a" }, images: { x86: "image" }, container: { env } }],
  });
  await edge.converge();
  assertMatch(
    edge.condition("Application", "app"),
    /^False ValueMissing: .*TOKEN: Secret login is not there/,
  );
  const data = (value = "") => ({ token: btoa(value) });
  edge.api.make(Secret, { metadata: { namespace: "ns", name: "login" }, data: data(first) } as Secret);
  await edge.converge();
  const value = () => edge.controller.state.microservices[0]?.env.map(({ value }) => value).join();
  assertEquals(value(), first);
  assertEquals(await edge.converge(), []);
  edge.api.edit(Secret, "login", (object) => Object.assign(object, { data: data(second) }));
  assertEquals(verbs(await edge.converge()), ["PATCH /microservices/<m>"]);
  assertEquals(value(), second);
  const said = JSON.stringify([
    edge.lines,
    await edge.told(),
    edge.get("Application", "app"),
    edge.engine.plan(),
  ]);
  assertEquals(
    [first, second].filter((secret) => said.replaceAll(/"secrets":\{[^}]*\}/g, "").includes(secret ?? "")),
    [],
  );
});

Deno.test("a key to provision an agent with is made once, and goes when the agent has come", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", { host: "10.0.0.1", provisioning: { secretName: "a-key" } });
  const calls = await edge.converge();
  assertEquals(verbs(calls), ["POST /iofog", "GET /iofog/<a>/provisioning-key"]);
  const key = edge.api.get(Secret, "a-key") as Secret;
  assertEquals(Object.keys(key.data ?? {}).toSorted(), [
    "controllerURL",
    "expirationTime",
    "provisioningKey",
    "uuid",
  ]);
  registerSecret(atob(key.data?.["provisioningKey"] ?? ""));
  assertEquals(await edge.converge(), []);
  const device = await SimulatedAgent.provision({
    url: edge.controller.url,
    key: atob(key.data?.["provisioningKey"] ?? ""),
  });
  await device.turn();
  assertEquals(await edge.converge(), []);
  assertEquals(edge.api.get(Secret, "a-key"), undefined);
  assertEquals(edge.condition("Agent", "a"), "True Ready: agent a is running");
});

Deno.test("what exists already is taken over only when that is asked for, after the difference was told", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", { host: "10.0.0.1", config: { cpuLimit: 50 } });
  await edge.converge();
  // As if somebody else had made it.
  edge.api.edit(
    { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true },
    "iofog-inventory",
    (object) => Object.assign(object, { data: { id: "planted", entries: "[]" } }),
  );
  edge.change("Agent", "a", { host: "10.0.0.1", config: { cpuLimit: 60 } });
  assertEquals(await edge.converge(), []);
  assertMatch(
    edge.condition("Agent", "a"),
    /^False NotOurs: .*would change cpuLimit.*iofog.org\/adopt: "true"/,
  );
  edge.make("Agent", "b", { name: "a", host: "10.0.0.1", config: { cpuLimit: 60 } }, {
    "iofog.org/adopt": "true",
  });
  edge.delete("Agent", "a");
  assertEquals(await edge.converge(), ['PATCH /iofog/<a> {"cpuLimit":60}']);
  assertStringIncludes(edge.condition("Agent", "b"), "True");
});

Deno.test("nothing is put into an agent or application that is somebody else's, and no key is made for it", async () => {
  await using edge = await EdgeTest.open();
  const ask = (route: string, bodyJson: Record<string, unknown>) =>
    edge.client.edge.change({ method: "POST", route, bodyJson });
  await ask("/iofog", { name: "a", fogType: 1, host: "10.0.0.1" });
  await ask("/application", { name: "app" });
  const resource = { version: "1.0.0", interfaceProtocol: "http" };
  const link = { edgeResources: [{ name: "camera", version: "1.0.0" }] };
  const agent = { host: "10.0.0.1", provisioning: { secretName: "a-key" }, ...link };
  const application = (name: string) => ({
    microservices: [{ name, agent: { name: "a" }, images: { x86: "image" } }],
    routes: [{ from: name, to: name }],
  });
  edge.make("EdgeResource", "camera", resource);
  edge.make("Agent", "a", agent);
  edge.make("Application", "app", application("one"));
  assertEquals(verbs(await edge.converge()), ["PUT /edgeResource/camera/1.0.0"]);
  assertMatch(
    edge.condition("Agent", "a"),
    /^False NotOurs: .*EdgeResourceLink a\/camera\/1.0.0 would be made in Agent a; Secret a-key would be made/,
  );
  assertMatch(
    edge.condition("Application", "app"),
    /^False NotOurs: .*Microservice app\/one would be made in Application app; Route app\/r-one-one would/,
  );
  // What is taken over is filled; a second one of the same name is not.
  edge.delete("Agent", "a");
  edge.delete("Application", "app");
  const adopt = { "iofog.org/adopt": "true" };
  edge.make("Agent", "own-a", { name: "a", ...agent }, adopt);
  edge.make("Application", "own-app", { name: "app", ...application("one") }, adopt);
  assertEquals(verbs(await edge.converge()).toSorted(), [
    "GET /iofog/<a>/provisioning-key",
    "PATCH /application/app",
    "POST /edgeResource/camera/1.0.0/link",
    "POST /microservices",
    "POST /routes",
  ]);
  await edge.clock.advance(2_000);
  edge.make("Agent", "second", { name: "a", ...agent, provisioning: { secretName: "b-key" } });
  edge.make("Application", "second", { name: "app", ...application("two") });
  assertEquals(await edge.converge(), []);
  assertMatch(edge.condition("Agent", "second"), /^False Conflict: .*kept by Agent.iofog.org\/own-a:/);
  assertMatch(edge.condition("Application", "second"), /^False Conflict: .*\/own-app:/);
  assertEquals(edge.api.get(Secret, "b-key"), undefined);
});
