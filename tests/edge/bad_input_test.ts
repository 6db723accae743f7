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
    "a configuration that is too large",
    "Application",
    one({ config: { text: "x".repeat(100_000) } }),
    /spec.microservices\[0\] is too large: it has/,
  ],
  [
    "a version with two digits",
    "EdgeResource",
    { version: "1.10.0", interfaceProtocol: "http" },
    /must be a version such as/,
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
