import { assertEquals, assertMatch } from "@std/assert";
import type { EdgeKind } from "../../src/resources/edge/crds.ts";
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
    /is too large/,
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
