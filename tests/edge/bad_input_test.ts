import { assertEquals, assertMatch } from "@std/assert";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { EdgeKind } from "../../src/resources/edge/crds.ts";
import { registerSecret } from "../secrets.ts";
import { EdgeTest } from "./edge_world.ts";

const on = { agent: { name: "a" }, images: { x86: "image" } };
const one = (changes: Record<string, unknown>) => ({ microservices: [{ name: "m", ...on, ...changes }] });

/** What is wrong, where, and what the condition `Stalled` says of it. */
const cases: readonly (readonly [string, EdgeKind, unknown, RegExp])[] = [
  ["no host", "Agent", {}, /InvalidSpec: spec.host is required unless/],
  ["a reserved name", "Agent", { name: "default-router", host: "x" }, /InvalidSpec: spec.name must not be/],
  [
    "ports of mode interior that are missing",
    "Agent",
    { host: "x", config: { routerConfig: { routerMode: "interior" } } },
    /InvalidSpec: spec.config.routerConfig must have edgeRouterPort/,
  ],
  [
    "a latitude beyond the pole",
    "Agent",
    { host: "x", config: { latitude: 91 } },
    /spec.config.latitude must be from/,
  ],
  [
    "a name that the Controller refuses",
    "Application",
    { name: "My App" },
    /InvalidSpec: spec.name must have at most/,
  ],
  [
    "a name that is too long",
    "Application",
    { name: "a".repeat(256) },
    /InvalidSpec: spec.name must have at most/,
  ],
  [
    "a microservice twice",
    "Application",
    { microservices: [{ name: "m", ...on }, { name: "m", ...on }] },
    /spec.microservices\[1\].name m is there a second time/,
  ],
  [
    "no image at all",
    "Application",
    one({ images: {} }),
    /spec.microservices\[0\].images must name an image/,
  ],
  [
    "a port that the agent reserves",
    "Application",
    one({ container: { ports: [{ internal: 1, external: 54321 }] } }),
    /ports\[0\].external is reserved by the agent/,
  ],
  [
    "a port twice",
    "Application",
    one({ container: { ports: [{ internal: 1, external: 80 }, { internal: 2, external: 80 }] } }),
    /ports\[1\].external is port 80 a second time/,
  ],
  [
    "a variable with two values",
    "Application",
    one({
      container: { env: [{ key: "A", value: "x", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }] },
    }),
    /env\[0\] must have exactly one of value/,
  ],
  [
    "a version with two digits",
    "EdgeResource",
    { version: "1.10.0", interfaceProtocol: "http" },
    /must be a version such as/,
  ],
  [
    "a version of two places",
    "EdgeResource",
    { version: "1.0", interfaceProtocol: "http" },
    /spec.version must be .* three places with one digit in each/,
  ],
  [
    "an endpoint with a name that the Controller refuses",
    "EdgeResource",
    {
      version: "1.0.0",
      interfaceProtocol: "http",
      interface: { endpoints: [{ name: "Take Picture", method: "GET", url: "/" }] },
    },
    /spec.interface.endpoints\[0\].name must have at most/,
  ],
  [
    "a variable twice, once from a Secret",
    "Application",
    one({
      container: {
        env: [{ key: "A", value: "x" }, { key: "A", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }],
      },
    }),
    /env\[1\].key A is there a second time/,
  ],
  [
    "images without a name",
    "Application",
    one({ images: { x86: "", arm: "" } }),
    /images must name an image/,
  ],
  ["a route without an end", "Route", { application: "x", from: "a" }, /spec.to is required/],
];

Deno.test("what cannot be accepted is one condition with its field, told once, and nothing comes to the Controller", async () => {
  await using edge = await EdgeTest.open();
  cases.forEach(([, kind, spec], index) => edge.make(kind, `case-${index}`, spec));
  assertEquals(await edge.converge(), []);
  cases.forEach(([what, kind, , said], index) => {
    const stalled = edge.condition(kind, `case-${index}`, "Stalled");
    assertMatch(stalled, /^True /, what);
    assertMatch(stalled, said, what);
  });
  assertEquals(await edge.converge(), []);
  const warnings = (await edge.told()).filter((line) => line.startsWith("InvalidSpec"));
  assertEquals(warnings.length, cases.length);
  // What is mended goes on.
  edge.change("Agent", "case-0", { host: "10.0.0.1" });
  assertEquals((await edge.converge()).map((call) => call.split(" {")[0]), ["POST /iofog"]);
});

Deno.test("text with braces and quotes comes through as it was written, and is at rest", async () => {
  await using edge = await EdgeTest.open();
  const text = 'a {{ b }} {% c %} "d" \\ {{ "{" }} \u00e9';
  edge.make("Agent", "a", {
    host: "10.0.0.1",
    config: { agentType: "x86", description: text, location: "{{" },
  });
  edge.make("EdgeResource", "e", {
    version: "1.0.0",
    interfaceProtocol: "http",
    description: text,
    custom: { text },
  });
  edge.make("Application", "app", {
    description: text,
    ...one({
      config: { text, [text]: [text] },
      container: { env: [{ key: "A", value: text }], commands: [text] },
    }),
  });
  await edge.converge();
  assertEquals(await edge.converge(), []);
  const [microservice] = edge.controller.state.microservices;
  assertEquals(JSON.parse(microservice?.config ?? ""), { text, [text]: [text] });
  assertEquals([microservice?.env[0]?.value, microservice?.cmd], [text, [text]]);
  assertEquals(edge.controller.state.applications[0]?.description, text);
});

Deno.test("what the Controller refuses is told once with its words, and tried again less and less", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", { host: "10.0.0.1", config: { agentType: "x86" } });
  edge.make("Application", "app", one({ images: { x86: "image", registry: "99" } }));
  const calls = await edge.converge();
  assertEquals(calls.filter((call) => call.startsWith("POST /microservices")).length, 1);
  assertMatch(
    edge.condition("Application", "app", "Stalled"),
    /^True Refused: Microservice app\/m: .*registry id '99'/,
  );
  await edge.converge();
  const told = (await edge.told()).filter((line) => line.startsWith("Refused"));
  assertEquals(told.length, 1);
  assertEquals(edge.controller.state.microservices, []);
  edge.change("Application", "app", one({}));
  assertEquals((await edge.converge()).map((call) => call.split(" {")[0]), ["POST /microservices"]);
});

/** What the spec alone does not show to be wrong: kind, name, spec, what is said of it, and whether it is stalled. */
const found: readonly (readonly [string, EdgeKind, unknown, RegExp, boolean])[] = [
  [
    "nobody",
    "Application",
    one({ agent: { name: "nobody" } }),
    /AgentMissing: .*agent nobody .*create an Agent of that name, or correct agent.name/,
    false,
  ],
  [
    "auto",
    "Application",
    one({ agent: { name: "auto" } }),
    /ArchitectureUnknown: .*agent auto .*spec.config.agentType of the Agent/,
    false,
  ],
  [
    "arm",
    "Application",
    one({ images: { arm: "image" } }),
    /ImageMissing: .*agent a is x86.*set images.x86/,
    true,
  ],
  [
    "port",
    "Application",
    one({ container: { ports: [{ internal: 1, external: 5000 }] } }),
    /PortTaken: .*port 5000 of agent a is taken by microservice holder\/m of Application holder: choose another/,
    true,
  ],
  [
    "circle",
    "Agent",
    { host: "h", config: { upstreamRouters: ["other-way"] } },
    /UpstreamCycle: .*circle -> other-way -> circle; remove one of them/,
    true,
  ],
  [
    "nowhere",
    "Application",
    { routes: [{ from: "x", to: "y" }] },
    /RouteEndMissing: .*microservice x of application nowhere .*correct from and to/,
    false,
  ],
  [
    "second",
    "Agent",
    { name: "a", host: "h" },
    /Conflict: .*Agent a is kept by Agent.iofog.org\/a: remove it from one of the two/,
    true,
  ],
  [
    "template",
    "Application",
    { template: { name: "none" } },
    /TemplateMissing: .*template none .*correct spec.template.name/,
    false,
  ],
  [
    "key",
    "Application",
    one({ container: { env: [{ key: "A", valueFrom: { secretKeyRef: { name: "login", key: "other" } } }] } }),
    /ValueMissing: .*variable A: Secret login has no key other: add it/,
    true,
  ],
  [
    "large",
    "Application",
    one({ container: { env: [{ key: "A", valueFrom: { secretKeyRef: { name: "login", key: "large" } } }] } }),
    /TooLarge: .*takes \d+ bytes.*102400.*shorten/,
    true,
  ],
  [
    "upstream",
    "Agent",
    { host: "h", config: { upstreamRouters: ["gone"] } },
    /UpstreamMissing: .*gone .*create an Agent of that name/,
    false,
  ],
  [
    "link",
    "Agent",
    { host: "h", edgeResources: [{ name: "gone", version: "1.0.0" }] },
    /EdgeResourceMissing: .*create an EdgeResource, or correct spec.edgeResources/,
    false,
  ],
  [
    "alone",
    "Microservice",
    { application: "gone", ...on },
    /ApplicationMissing: .*application gone .*correct spec.application/,
    false,
  ],
];

Deno.test("what only the Controller shows to be wrong is one condition and one Event each, and nothing half made is left", async () => {
  await using edge = await EdgeTest.open();
  const [token, large] = [registerSecret(`token-${crypto.randomUUID()}`), "x".repeat(120_000)];
  edge.api.make(Secret, {
    metadata: { namespace: "ns", name: "login" },
    data: { token: btoa(token), large: btoa(large) },
  } as Secret);
  edge.make("Agent", "a", { host: "10.0.0.1", config: { agentType: "x86" } });
  edge.make("Agent", "auto", { host: "10.0.0.2" });
  edge.make("Agent", "other-way", { host: "h", config: { upstreamRouters: ["circle"] } });
  edge.make("Application", "holder", one({ container: { ports: [{ internal: 80, external: 5000 }] } }));
  await edge.converge();
  await edge.clock.advance(1_000);
  for (const [name, kind, spec] of found) edge.make(kind, name, spec);
  await edge.converge();
  assertEquals(await edge.converge(), []);
  const told = await edge.told();
  for (const [name, kind, , said, stalls] of found) {
    const [stalled, reconciling] = [
      edge.condition(kind, name, "Stalled"),
      edge.condition(kind, name, "Reconciling"),
    ];
    assertMatch(stalls ? stalled : reconciling, said, name);
    assertMatch(stalls ? stalled : reconciling, /^True/, name);
    assertEquals(told.filter((line) => said.test(line)).length, 1, `${name}: ${told.join("\n")}`);
  }
  const { agents, microservices, routings } = edge.controller.state;
  // Linked to nothing, an agent is whole.
  assertEquals(agents.map(({ name }) => name).toSorted(), ["a", "auto", "link"]);
  assertEquals([microservices.length, routings], [1, []]);
});

Deno.test("what the Controller keeps in another form than a spec has it comes to rest, with nothing refused", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", { host: "10.0.0.1", config: { agentType: "x86" }, tags: ["x", "y", "x"] });
  const none = { routerConfig: { routerMode: "none" }, networkRouter: "default-router" };
  edge.make("Agent", "without-router", { config: none });
  const twice = { networkRouter: "nobody", upstreamRouters: ["default-router", "default-router"] };
  edge.make("Agent", "other", { host: "10.0.0.2", config: twice });
  const resource = { version: "v1.0.0-rc.1", interfaceProtocol: "http" };
  edge.make("EdgeResource", "camera", { ...resource, orchestrationTags: ["b", "a", "b"] });
  const microservice = one({ images: { x86: "i", arm: "" }, container: { logSize: 0 } });
  edge.make("Application", "app", microservice);
  const calls = await edge.converge();
  assertEquals(calls.filter((call) => / -> [45]/.test(call)), []);
  assertEquals([await edge.converge(), await edge.converge(40_000)], [[], []]);
  assertMatch(edge.condition("Agent", "without-router"), /^True NotProvisioned/);
  assertMatch(edge.condition("Agent", "other"), /^True NotProvisioned/);
  assertMatch(
    edge.condition("Agent", "other", "Warning"),
    /config.networkRouter \(only with routerMode none\)/,
  );
  assertMatch(edge.condition("EdgeResource", "camera"), /^True Ready/);
  assertMatch(edge.condition("Application", "app"), /^False Starting/);
  // Back from the router of another agent.
  const interior = { routerMode: "interior", edgeRouterPort: 45671, interRouterPort: 55671 };
  edge.make("Agent", "hub", { host: "10.0.0.3", config: { routerConfig: interior } });
  edge.change("Agent", "without-router", { config: { ...none, networkRouter: "hub" } });
  await edge.converge();
  edge.change("Agent", "without-router", { config: none });
  assertEquals(await edge.converge(), ['PATCH /iofog/<without-router> {"routerMode":"none"}']);
  assertEquals(await edge.converge(), []);
});

Deno.test("what is too large for the Controller is told before it is sent, whatever its characters take on the way", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", { host: "10.0.0.1", config: { agentType: "x86" } });
  edge.make("Application", "app", {});
  await edge.converge();
  const large: readonly (readonly [EdgeKind, unknown])[] = [
    ["Agent", { host: "x", config: { description: "ä".repeat(60_000) } }],
    ["Application", { description: "ä".repeat(60_000) }],
    ["EdgeResource", { version: "1.0.0", interfaceProtocol: "ws", custom: { text: "ä".repeat(60_000) } }],
    ["EdgeResource", { version: "1.0.0", interfaceProtocol: "ws", custom: { text: "{{".repeat(10_000) } }],
    ["Microservice", { application: "app", ...on, config: { text: "{{".repeat(10_000) } }],
    ["Microservice", { application: "app", ...on, config: { text: '"'.repeat(22_000) } }],
    ["Application", one({ config: { text: "x".repeat(110_000) } })],
  ];
  large.forEach(([kind, spec], index) => edge.make(kind, `large-${index}`, spec));
  // As large as may be, to the byte: what stands around the text takes the rest.
  const around =
    '{"name":"most","application":"app","agentName":"a","config":"{\\"text\\":\\"\\"}","cmd":[],' +
    '"volumeMappings":[],"extraHosts":[],"images":[{"fogTypeId":1,"containerImage":"image"}],"env":[],"ports":[]}';
  const most = (more: number) => ({
    ...{ application: "app", ...on, name: "most" },
    config: { text: "x".repeat(102_400 - around.length + more) },
  });
  edge.make("Microservice", "most", most(1));
  // What else an application has does not wait for it.
  assertEquals(await edge.converge(), ['POST /application {"name":"large-6","isActivated":true}']);
  large.forEach(([kind], index) =>
    assertMatch(
      edge.condition(kind, `large-${index}`, "Stalled"),
      /^True TooLarge: .* takes 1[0-9]{5} bytes|^True TooLarge: .* takes 220/,
    )
  );
  assertMatch(edge.condition("Microservice", "most", "Stalled"), /^True TooLarge: .* takes 102401 bytes/);
  edge.change("Microservice", "most", most(0));
  assertEquals((await edge.converge()).map((call) => call.split(" {")[0]), ["POST /microservices"]);
});

/** As CRDs without a schema let them through. */
const shapeless: readonly (readonly [EdgeKind, unknown])[] = [
  ["Application", { microservices: "x" }],
  ["Application", { microservices: [null, 5, { name: 5 }] }],
  ["Application", { microservices: [{ name: "m", agent: null, container: { ports: {}, env: "x" } }] }],
  ["Application", one({ container: { ports: [null, { external: "80", internal: 1 }], extraHosts: [null] } })],
  ["Application", { name: 5, template: "x" }],
  ["Application", []],
  ["Microservice", null],
  ["Microservice", {
    application: 5,
    agent: "a",
    images: [],
    container: { ports: [5, null], extraHosts: "x" },
  }],
  ["Agent", { host: 5, config: "x", tags: "y", edgeResources: [null] }],
  ["Agent", { host: "h", config: { upstreamRouters: "x", upstreamNatsServers: [5], routerConfig: 5 } }],
  ["Agent", { host: "h", provisioning: { secretName: 5 } }],
  ["EdgeResource", { version: 1, interfaceProtocol: "http" }],
  ["Route", { application: {}, from: [], to: 5 }],
];

Deno.test("specs of any shape, where a CRD has no schema, are told, and disturb no others", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", { host: "10.0.0.1", config: { agentType: "x86" } });
  shapeless.forEach(([kind, spec], index) => edge.make(kind, `shape-${index}`, spec));
  const container = { ports: [{ internal: 80, external: 5000 }] };
  const extraHosts = [{ name: "other", address: "${Apps.sound.n.local}" }];
  edge.make("Application", "sound", {
    microservices: [{ name: "m", ...on, container: { ...container, extraHosts } }, { name: "n", ...on }],
  });
  edge.make("Agent", "below", { host: "10.0.0.2", config: { upstreamRouters: ["shape-9"] } });
  await edge.converge();
  shapeless.forEach(([kind], index) =>
    assertMatch(edge.condition(kind, `shape-${index}`, "Stalled"), /^True InvalidSpec: spec/, `${index}`)
  );
  assertMatch(
    edge.condition("Application", "shape-1", "Stalled"),
    /microservices\[0\] must be an object, not nothing/,
  );
  assertEquals(edge.controller.state.microservices.map(({ name }) => name).toSorted(), ["m", "n"]);
  assertEquals(await edge.converge(), []);
});

Deno.test("names of 253 characters, and an application beyond what one body may hold, come through", async () => {
  await using edge = await EdgeTest.open();
  const name = "n".repeat(253);
  edge.make("Agent", name, { host: "10.0.0.1", config: { agentType: "x86" } });
  edge.make("Application", name, {
    microservices: [1, 2, 3].map((number) => ({
      ...{ name: `${number}${"m".repeat(250)}`, agent: { name }, images: { x86: "image" } },
      config: { text: "x".repeat(60_000) },
    })),
  });
  await edge.converge();
  assertEquals(await edge.converge(), []);
  assertMatch(edge.condition("Application", name), /^False Starting/);
  edge.delete("Application", name);
  assertEquals((await edge.converge()).length, 1);
});
