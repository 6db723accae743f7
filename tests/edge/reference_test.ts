/** What is referred to by name in the Controller: templates, items of the catalogue, registries, secrets. */

import { assertEquals, assertMatch } from "@std/assert";
import { registerSecret } from "../secrets.ts";
import { EdgeTest } from "./edge_world.ts";

const verbs = (calls: readonly string[]) => calls.map((call) => call.split(" {")[0]);
const groups = ["iofog.org", "datasance.com"] as const;
const agent = { host: "10.0.0.1", config: { agentType: "x86", natsConfig: { natsMode: "none" } } };

/** Somebody else's write to the Controller. */
function ask(edge: EdgeTest, method: "POST" | "PUT" | "DELETE", route: string, bodyJson?: unknown) {
  return edge.client.edge.change({ method, route, ...(bodyJson === undefined ? {} : { bodyJson }) });
}

const template = {
  name: "press",
  variables: [{ key: "agentname" }, { key: "port", defaultValue: 5080 }],
  application: {
    microservices: [{
      name: "dashboard",
      agentName: "{{ agentname }}",
      images: [{ fogTypeId: 1, containerImage: "dash:{{ tag | default: '1.4' }}" }],
      config: '{"title":"Press on {{ agentname }}","size":"{{ 3 | plus: 1 }}"}',
      ports: [{ internal: 8080, external: "{{ port | toNumber }}" }],
      env: [{ key: "PORT", value: "{{ port | toString }}" }],
    }],
    routes: [],
  },
};

for (const group of groups) {
  Deno.test(`an Application of ${group} is made from a template, follows it, and waits for what is missing`, async () => {
    await using edge = await EdgeTest.open(group);
    edge.make("Agent", "press-1", agent);
    edge.make("Application", "one", { template: { name: "press" } });
    assertEquals(verbs(await edge.converge()), ["POST /iofog"]);
    assertMatch(
      edge.condition("Application", "one", "Reconciling"),
      /^True TemplateMissing: .*template press does not exist.*spec.template.name/,
    );
    assertEquals((await edge.told()).filter((line) => line.startsWith("TemplateMissing")).length, 1);

    await ask(edge, "POST", "/applicationTemplate", template);
    assertEquals(await edge.converge(), []);
    const stalled = edge.condition("Application", "one", "Stalled");
    assertMatch(
      stalled,
      /^True VariableMissing: .*spec.template.variables has no value for agentname.*add it/,
    );
    assertEquals((await edge.told()).filter((line) => line.startsWith("VariableMissing")).length, 1);

    // What has no value gets the template's.
    const variables = [{ key: "agentname", value: "press-1" }, { key: "port" }];
    edge.change("Application", "one", { template: { name: "press", variables } });
    assertEquals(verbs(await edge.converge()), ["POST /application", "POST /microservices"]);
    const [row] = edge.controller.state.microservices.filter(({ name }) => name === "dashboard");
    if (row === undefined) throw new Error("it was not made");
    assertEquals(
      [row.images[0]?.containerImage, row.ports[0]?.external, row.env[0]?.value, JSON.parse(row.config)],
      ["dash:1.4", 5080, "5080", { title: "Press on press-1", size: 4 }],
    );
    assertEquals(await edge.converge(), []);

    // Another value, and another template, change what differs and nothing else.
    edge.change("Application", "one", {
      template: {
        name: "press",
        variables: [{ key: "agentname", value: "press-1" }, { key: "port", value: 5090 }],
      },
    });
    assertEquals(await edge.converge(), [
      'PATCH /microservices/<dashboard> {"agentName":"press-1","logSize":1,"env":[{"key":"PORT","value":"5090"}],' +
      '"ports":[{"internal":8080,"external":5090,"protocol":"tcp"}]}',
    ]);
    const other = structuredClone(template);
    Object.assign(other.application.microservices[0] ?? {}, {
      images: [{ fogTypeId: 1, containerImage: "dash:2" }],
    });
    await ask(edge, "PUT", "/applicationTemplate/press", other);
    assertEquals(await edge.converge(), [
      'PATCH /microservices/<dashboard> {"agentName":"press-1","logSize":1,"images":[{"fogTypeId":1,' +
      '"containerImage":"dash:2"}]}',
    ]);

    // A template that is gone, or that gives nothing of use, takes nothing away.
    await ask(edge, "DELETE", "/applicationTemplate/press");
    assertEquals(await edge.converge(), []);
    assertMatch(edge.condition("Application", "one"), /^False TemplateMissing/);
    Object.assign(other.application.microservices[0] ?? {}, { name: "Not A Name" });
    await ask(edge, "POST", "/applicationTemplate", other);
    assertEquals(await edge.converge(), []);
    const invalid = edge.condition("Application", "one", "Stalled");
    assertMatch(
      invalid,
      /^True TemplateInvalid: .*spec.template press gives what cannot be used: microservices\[0\].name/,
    );
    edge.delete("Application", "one");
    assertEquals(await edge.converge(), ["DELETE /application/one"]);
  });

  Deno.test(`a microservice of ${group} names an item of the catalogue and a registry, and waits for both`, async () => {
    await using edge = await EdgeTest.open(group);
    edge.make("Agent", "a", agent);
    const one = { name: "one", agent: { name: "a" }, images: { catalogItem: "plant-broker" } };
    const two = {
      name: "two",
      agent: { name: "a" },
      images: { x86: "image:1", registry: "registry.plant7.example" },
    };
    edge.make("Application", "app", { microservices: [one, two] });
    assertEquals(verbs(await edge.converge()), ["POST /iofog", "POST /application"]);
    assertMatch(
      edge.condition("Application", "app", "Reconciling"),
      /^True CatalogItemMissing: Microservice app\/one: item plant-broker .*correct images.catalogItem/,
    );
    const image = { fogTypeId: 1, containerImage: "mosquitto:2" };
    await ask(edge, "POST", "/catalog/microservices", {
      name: "plant-broker",
      registryId: 1,
      images: [{ ...image, fogTypeId: 2 }],
    });
    assertEquals(await edge.converge(), []);
    assertMatch(
      edge.condition("Application", "app"),
      /^False ImageMissing: .*agent a is x86, and item plant-broker/,
    );
    const [item] = edge.controller.state.catalogItems;
    if (item !== undefined) item.images = [image];
    const [call = "", ...more] = await edge.converge();
    assertEquals([call.includes(`"catalogItemId":${item?.id}`), call.includes("images"), more], [
      true,
      false,
      [],
    ]);
    assertMatch(
      edge.condition("Application", "app"),
      /^False RegistryMissing: Microservice app\/two: registry registry.plant7.example .*correct images.registry/,
    );
    const password = registerSecret(`Pw-${crypto.randomUUID()}`);
    const registry = {
      url: "registry.plant7.example",
      isPublic: false,
      username: "puller",
      password,
      email: "ops@plant7.example",
    };
    await ask(edge, "POST", "/registries", registry);
    assertEquals(verbs(await edge.converge()), ["POST /microservices"]);
    const [, second] = edge.controller.state.microservices.filter(({ name }) =>
      ["one", "two"].includes(name)
    );
    assertEquals(second?.registryId, 3);
    assertEquals(await edge.converge(), []);
    // Nothing keeps two from having one URL.
    await ask(edge, "POST", "/registries", registry);
    assertEquals(await edge.converge(), []);
    assertMatch(
      edge.condition("Application", "app", "Stalled"),
      /^True RegistryAmbiguous: .*2 registries .*by its number in images.registry \(3, 4\)/,
    );
    // From the catalogue to an image of its own: in place, the Controller would keep the item.
    edge.change("Application", "app", {
      microservices: [{ ...one, images: { x86: "image:1" } }, {
        ...two,
        images: { x86: "image:1", registry: 3 },
      }],
    });
    assertEquals(verbs(await edge.converge()), ["DELETE /microservices/<one>", "POST /microservices"]);
    assertEquals(await edge.converge(), []);
    assertEquals(JSON.stringify(await edge.told()).includes(password), false);
  });
}

Deno.test("variables from a secret or config map of PoT's Controller wait for it and its key, so that none is lost", async () => {
  await using edge = await EdgeTest.open("datasance.com");
  edge.make("Agent", "a", agent);
  const spec = (...env: readonly object[]) => ({
    microservices: [{ name: "m", agent: { name: "a" }, images: { x86: "image" }, container: { env } }],
  });
  const plain = { key: "A", value: "1" };
  edge.make("Application", "app", spec(plain));
  await edge.converge();
  const secret = { key: "B", valueFromSecret: "login/token" };
  edge.change("Application", "app", spec(plain, secret));
  assertEquals(await edge.converge(), []);
  assertMatch(
    edge.condition("Application", "app"),
    /^False ValueMissing: .*variable B: secret login does not exist/,
  );
  const token = registerSecret(`token-${crypto.randomUUID()}`);
  await ask(edge, "POST", "/secrets", { name: "login", type: "Opaque", data: { other: token } });
  assertEquals(await edge.converge(), []);
  assertMatch(edge.condition("Application", "app"), /^False ValueMissing: .*has no key token: add it/);
  const names = () => edge.controller.state.microservices.find(({ name }) => name === "m")?.env;
  assertEquals(names()?.map(({ key }) => key), ["A"]);
  await ask(edge, "DELETE", "/secrets/login");
  await ask(edge, "POST", "/secrets", { name: "login", type: "Opaque", data: { token } });
  assertEquals(verbs(await edge.converge()), ["PATCH /microservices/<m>"]);
  assertEquals(names()?.map(({ value }) => value), ["1", token]);
  assertEquals(await edge.converge(), []);
  assertEquals(JSON.stringify([edge.engine.plan(), edge.lines, await edge.told()]).includes(token), false);
});

Deno.test("every change of an agent of PoT carries its NATS settings, or they would be lost", async () => {
  await using edge = await EdgeTest.open("datasance.com");
  edge.make("Agent", "none", agent);
  const natsConfig = { natsMode: "leaf", natsServerPort: 14222 };
  edge.make("Agent", "leaf", { host: "10.0.0.2", config: { natsConfig } });
  await edge.converge();
  await edge.converge();
  const nats = () =>
    edge.controller.state.agents.map(({ name, nats }) => [name, nats["natsMode"], nats["natsServerPort"]]);
  const before = nats();
  assertEquals(before.toSorted(), [["leaf", "leaf", 14222], ["none", "none", undefined]]);
  edge.change("Agent", "none", { ...agent, config: { ...agent.config, description: "other" } });
  edge.change("Agent", "leaf", { host: "10.0.0.2", config: { description: "other" } });
  assertEquals(await edge.converge(), [
    'PATCH /iofog/<none> {"description":"other","natsMode":"none"}',
    'PATCH /iofog/<leaf> {"description":"other","natsMode":"leaf","natsServerPort":14222,"natsLeafPort":7422,' +
    '"natsMqttPort":8883,"natsHttpPort":8222,"jsStorageSize":"10g","jsMemoryStoreSize":"1g",' +
    '"upstreamNatsServers":["default-nats-hub"]}',
  ]);
  await edge.converge();
  assertEquals(nats(), before);
});

Deno.test("what PoT's Controller could not do after its answer is told, also of an agent that was not provisioned", async () => {
  await using edge = await EdgeTest.open("datasance.com");
  edge.make("Agent", "a", agent);
  await edge.converge();
  const [row] = edge.controller.state.agents;
  const message = "Background orchestration error: Invalid router 'nope'";
  Object.assign(row?.columns ?? {}, { daemonStatus: "WARNING", warningMessage: message });
  await edge.converge();
  assertMatch(edge.condition("Agent", "a"), /^False AgentWarning: .*Background orchestration error/);
});
