import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type EdgeGroup, edgeGroups } from "../../src/resources/edge/crds.ts";
import { EdgeTest } from "./edge_world.ts";

const agent = { host: "10.20.0.11", config: { agentType: "x86", memoryLimit: 2048 } };
const reader = {
  name: "reader",
  agent: { name: "press-1" },
  images: { x86: "registry.example/reader:2.1", registry: "remote" },
  config: { sampleHz: 400, text: 'he said "hi" \\ {{ x }}' },
  container: {
    env: [{ key: "LOG_LEVEL", value: "info" }, { key: "COUNT", value: 3 }],
    commands: ["--profile", "press"],
  },
};
const dashboard = {
  name: "dashboard",
  agent: { name: "press-1" },
  images: { x86: "registry.example/dash:1.4" },
  container: { ports: [{ internal: 8080, external: 5080 }] },
};
const application = {
  description: "Vibration monitoring",
  microservices: [reader, dashboard],
  routes: [{ name: "readings", from: "reader", to: "dashboard" }],
};

/** The stand-in with an agent and an application on it, at rest. */
async function running(group?: EdgeGroup): Promise<EdgeTest> {
  const edge = await EdgeTest.open(group);
  edge.make("Agent", "press-1", agent);
  edge.make("Application", "monitor", application);
  await edge.converge();
  return edge;
}

Deno.test("an application waits for its agent, and is made when that is there; at rest nothing is asked but lists", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Application", "monitor", application);
  assertEquals(await edge.converge(), [
    'POST /application {"name":"monitor","isActivated":true,"description":"Vibration monitoring"}',
  ]);
  assertMatch(
    edge.condition("Application", "monitor"),
    /^False AgentMissing: .*create an Agent of that name/,
  );
  edge.make("Agent", "press-1", agent);
  const calls = await edge.converge();
  assertEquals(calls.map((call) => call.split(" {")[0]), [
    "POST /iofog",
    "POST /microservices",
    "POST /microservices",
    "POST /routes",
  ]);
  assertMatch(edge.condition("Agent", "press-1"), /^True NotProvisioned/);
  assertMatch(edge.condition("Application", "monitor"), /^False Starting: reader on press-1 is QUEUED/);
  assertEquals(await edge.converge(), []);
  const asked = edge.controller.requests.map(({ method, path, answered }) =>
    `${method} ${path.slice(7)} ${answered}`
  );
  assertEquals(asked, [
    "GET /iofog-list 304",
    "GET /iofog-list 304",
    "GET /application 304",
    "GET /edgeResources 304",
    "GET /config/iofog-inventory 200",
  ]);
});

Deno.test("a Controller that has just got its mark is written to within a second or two", async () => {
  await using edge = await EdgeTest.open();
  const { config } = edge.controller.state;
  const marks = config.splice(0);
  edge.make("Agent", "press-1", agent);
  assertEquals(await edge.converge(), []);
  config.push(...marks);
  assertEquals((await edge.converge(1_500)).map((call) => call.split(" {")[0]), ["POST /iofog"]);
});

Deno.test("nobody is warned of what is missing while custom resources are about to make it", async () => {
  await using edge = await EdgeTest.open();
  const { microservices, ...without } = application;
  edge.make("Application", "monitor", { ...without, microservices: [reader] });
  edge.make("Microservice", "dashboard", { ...microservices[1], application: "monitor" });
  edge.make("Agent", "press-1", {
    ...agent,
    config: { upstreamRouters: ["hall"] },
    edgeResources: [{ name: "camera", version: "v1.0.0" }],
  });
  edge.make("Agent", "hall", { ...agent, config: { routerConfig: { routerMode: "interior" } } });
  const display = { name: "Camera", icon: "", color: "" };
  edge.make("EdgeResource", "camera", { version: "v1.0.0", display, interfaceProtocol: "https" });
  await edge.converge();
  const warned = (await edge.told()).filter((text) => /Missing/.test(text));
  assertEquals(warned, []);
  edge.make("Microservice", "other", { ...dashboard, application: "nowhere" });
  await edge.converge();
  assertMatch((await edge.told()).join(), /ApplicationMissing: .*nowhere/);
});

/** What is changed of the application, and the calls that this takes; written by hand. */
const changes: readonly (readonly [string, Record<string, unknown>, readonly string[]])[] = [
  ["the description", { description: "other" }, ['PATCH /application/monitor {"description":"other"}']],
  ["activation", { isActivated: false }, ['PATCH /application/monitor {"isActivated":false}']],
  [
    "an image",
    { microservices: [{ ...reader, images: { x86: "registry.example/reader:2.2" } }, dashboard] },
    [
      'PATCH /microservices/<reader> {"agentName":"press-1","logSize":1,"images":[{"fogTypeId":1,' +
      '"containerImage":"registry.example/reader:2.2"}]}',
    ],
  ],
  [
    "a port",
    { microservices: [reader, { ...dashboard, container: { ports: [{ internal: 8080, external: 5081 }] } }] },
    [
      'PATCH /microservices/<dashboard> {"agentName":"press-1","logSize":1,"ports":[{"internal":8080,' +
      '"external":5081,"protocol":"tcp"}]}',
    ],
  ],
  [
    "the configuration",
    { microservices: [{ ...reader, config: { sampleHz: 800 } }, dashboard] },
    ['PATCH /microservices/<reader> {"agentName":"press-1","logSize":1,"config":"{\\"sampleHz\\":800}"}'],
  ],
  [
    "a variable",
    {
      microservices: [
        { ...reader, container: { ...reader.container, env: [{ key: "A", value: "1" }] } },
        dashboard,
      ],
    },
    ['PATCH /microservices/<reader> {"agentName":"press-1","logSize":1,"env":[{"key":"A","value":"1"}]}'],
  ],
  [
    "the log size",
    { microservices: [{ ...reader, container: { ...reader.container, logSize: 9 } }, dashboard] },
    ['PATCH /microservices/<reader> {"agentName":"press-1","logSize":9}'],
  ],
  ["a route that goes", { routes: [] }, ["DELETE /routes/monitor/readings"]],
  [
    "a route that turns round",
    { routes: [{ name: "readings", from: "dashboard", to: "reader" }] },
    ['PATCH /routes/monitor/readings {"name":"readings","application":"monitor","from":"dashboard","to":"reader"}'],
  ],
  [
    "a microservice that goes, with its route",
    { microservices: [reader], routes: [] },
    ["DELETE /routes/monitor/readings", "DELETE /microservices/<dashboard>"],
  ],
];

for (const [what, change, expected] of changes) {
  Deno.test(`a change of ${what} takes the calls of the table`, async () => {
    await using edge = await running();
    edge.change("Application", "monitor", { ...application, ...change });
    assertEquals(await edge.converge(), expected);
    assertEquals(await edge.converge(), []);
  });
}

Deno.test("ports that two microservices exchange are given up first", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "press-1", agent);
  const spec = (one: number, other: number) => ({
    microservices: [["one", one], ["other", other]].map(([name, external]) => ({
      name,
      agent: { name: "press-1" },
      images: { x86: "image" },
      container: { ports: [{ internal: 80, external }] },
    })),
  });
  edge.make("Application", "swap", spec(5000, 5001));
  await edge.converge();
  edge.change("Application", "swap", spec(5001, 5000));
  const calls = await edge.converge();
  assertEquals(calls.map((call) => call.replace(/"agentName".*"ports"/, '"ports"')), [
    'PATCH /microservices/<one> {"ports":[]}',
    'PATCH /microservices/<other> {"ports":[{"internal":80,"external":5000,"protocol":"tcp"}]}',
    'PATCH /microservices/<one> {"ports":[{"internal":80,"external":5001,"protocol":"tcp"}]}',
  ]);
});

const natsLeaf = ',"natsMode":"leaf","natsServerPort":4222,"natsLeafPort":7422,"natsMqttPort":8883,' +
  '"natsHttpPort":8222,"jsStorageSize":"10g","jsMemoryStoreSize":"1g","upstreamNatsServers":["default-nats-hub"]';

for (const group of edgeGroups) {
  const isPot = group === "datasance.com";
  Deno.test(`F28 in ${group}, what somebody else changes is put right within one sweep, what a spec leaves open is left alone`, async () => {
    await using edge = await running(group);
    const [press] = edge.controller.state.agents;
    const first = edge.controller.state.microservices.find(({ name }) => name === "reader");
    if (press === undefined || first === undefined) throw new Error("nothing there");
    // The agent changes its own settings.
    press.columns["cpuLimit"] = 55;
    press.columns["memoryLimit"] = 1;
    Object.assign(first, { logSize: 77, cmd: [] });
    const calls = await edge.converge();
    assertEquals(calls, [
      // Every change of an agent of PoT carries its NATS settings.
      `PATCH /iofog/<press-1> {"memoryLimit":2048${isPot ? natsLeaf : ""}}`,
      'PATCH /microservices/<reader> {"agentName":"press-1","logSize":77,"cmd":["--profile","press"]}',
    ]);
    const repaired = (await edge.told()).filter((line) => line.startsWith("Repaired"));
    assertEquals(repaired.length, 2);
    assertStringIncludes(repaired.join(), "Updated Microservice monitor/reader (cmd)");
    assertEquals(await edge.converge(), []);
  });

  Deno.test(`F27 F53 in ${group}, a Controller that lost everything is filled again, but only once the inventory's id is planted`, async () => {
    await using edge = await running(group);
    const { config, natsHub, router, users, tokens } = edge.controller.state;
    edge.controller.forgetEverything();
    Object.assign(edge.controller.state, { natsHub, router, users, tokens });
    edge.delete("Agent", "press-1");
    assertEquals(await edge.converge(), []);
    assertMatch(edge.condition("Application", "monitor"), /^False Applying/);
    Object.assign(edge.controller.state, { config });
    edge.make("Agent", "press-1", agent);
    const calls = await edge.converge();
    assertEquals(calls.map((call) => call.split(" {")[0]).toSorted(), [
      "POST /application",
      "POST /iofog",
      "POST /microservices",
      "POST /microservices",
      ...(isPot ? [] : ["POST /routes"]),
    ]);
  });

  Deno.test(`F24 in ${group}, a Controller that does not answer makes everything Unknown, and nothing is forgotten`, async () => {
    await using edge = await running(group);
    await edge.controller.goDown();
    edge.delete("Agent", "press-1");
    await edge.converge();
    assertMatch(edge.condition("Application", "monitor"), /^Unknown ControllerUnreachable/);
    await edge.controller.comeUp();
    // The agent is kept: microservices of an application that is still wanted run on it.
    assertEquals(await edge.converge(), []);
    assertStringIncludes(edge.lines.join("\n"), "still holds Microservice monitor/reader");
    edge.delete("Application", "monitor");
    assertEquals(await edge.converge(), ["DELETE /application/monitor", "DELETE /iofog/<press-1>"]);
  });

  Deno.test(`F26 in ${group}, answers that are not the Controller's lose nothing at the edge, whichever list they stand for`, async () => {
    await using edge = await running(group);
    const before = structuredClone(edge.controller.state.microservices);
    const json = "application/json";
    const actions = [
      { type: "answer", status: 200, body: "<form>log in</form>" },
      { type: "answer", status: 200, contentType: json, body: "{}" },
      { type: "answer", status: 302, location: "http://elsewhere.example/" },
      { type: "cut" },
    ] as const;
    for (const path of ["/iofog-list", "/application", "/edgeResources"]) {
      for (const action of actions) {
        const mended = edge.controller.breakAt({ action, method: "GET", path, times: Infinity });
        assertEquals(await edge.converge(), [], `${path} ${JSON.stringify(action)}`);
        // Half an answer may look like a connection that broke.
        const reason = action.type === "cut"
          ? /^Unknown (BadResponse|ControllerUnreachable)/
          : /^Unknown BadResponse/;
        assertMatch(edge.condition("Application", "monitor"), reason);
        mended();
        assertEquals(await edge.converge(), []);
        assertMatch(edge.condition("Application", "monitor"), /^(True|False) (Ready|Starting)/);
      }
    }
    assertEquals(edge.controller.state.microservices, before);
  });
}

Deno.test("after a creation without an answer it looks before it tries again, and what is half made is made anew", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "press-1", agent);
  edge.controller.breakAt({ action: { type: "drop" }, method: "POST", path: "/microservices", times: 1 });
  edge.controller.breakAt({ action: { type: "drop" }, method: "POST", path: "/iofog", times: 1 });
  edge.make("Application", "monitor", application);
  await edge.converge();
  await edge.converge();
  await edge.converge();
  assertEquals(edge.controller.state.agents.length, 1);
  assertEquals(edge.controller.state.microservices.map(({ name }) => name).toSorted(), [
    "dashboard",
    "reader",
  ]);
  const half = edge.controller.state.microservices.find(({ name }) => name === "reader");
  if (half !== undefined) half.status = undefined;
  const calls = await edge.converge();
  assertEquals(calls.map((call) => call.split(" {")[0]).slice(0, 2), [
    "DELETE /microservices/<reader>",
    "POST /microservices",
  ]);
  assertEquals(edge.controller.state.microservices.every(({ status }) => status !== undefined), true);
});

Deno.test("a port that another microservice has is named, and nothing is asked of the Controller", async () => {
  await using edge = await running();
  edge.make("Application", "second", { microservices: [{ ...dashboard, name: "taken" }] });
  assertEquals((await edge.converge()).map((call) => call.split(" {")[0]), ["POST /application"]);
  const condition = edge.condition("Application", "second", "Stalled");
  assertMatch(
    condition,
    /^True PortTaken: .*port 5080 of agent press-1 is taken by microservice monitor\/dashboard/,
  );
  const port = { ports: [{ internal: 8080, external: 5090 }] };
  edge.change("Application", "second", { microservices: [{ ...dashboard, name: "taken", container: port }] });
  assertEquals((await edge.converge()).map((call) => call.split(" {")[0]), ["POST /microservices"]);
});

Deno.test("a name for another microservice or agent waits for it, and nothing is refused meanwhile", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "press-1", agent);
  const naming = (name: string, address: string) => ({
    ...dashboard,
    name,
    container: { extraHosts: [{ name: "other.local", address }] },
  });
  edge.make("Application", "app", {
    microservices: [
      naming("first", "${Apps.app.second.local}"),
      naming("second", "${Agents.press-2}"),
      naming("third", "10.1.1.1"),
    ],
  });
  const verbs = (calls: readonly string[]) =>
    calls.map((call) => call.replace(/ \{"name":("[^"]+").*\}/, " $1"));
  assertEquals(verbs(await edge.converge()), [
    'POST /iofog "press-1"',
    'POST /application "app"',
    'POST /microservices "third"',
  ]);
  assertMatch(
    edge.condition("Application", "app"),
    /^False HostMissing: .*host other.local: microservice app\/second does not exist.*correct container.extraHosts/,
  );
  edge.make("Agent", "press-2", { host: "10.20.0.12" });
  assertEquals(verbs(await edge.converge()), [
    'POST /iofog "press-2"',
    'POST /microservices "second"',
    'POST /microservices "first"',
  ]);
  assertEquals(await edge.converge(), []);
  const changed = [
    naming("first", "${Agents.gone}"),
    naming("second", "10.1.1.2"),
    naming("third", "10.1.1.1"),
  ];
  edge.change("Application", "app", { microservices: changed });
  assertEquals(verbs(await edge.converge()), [
    'PATCH /microservices/<second> {"agentName":"press-1","logSize":1,"extraHosts":[{"name":"other.local",' +
    '"address":"10.1.1.2"}]}',
  ]);
  assertMatch(edge.condition("Application", "app"), /^False HostMissing: .*agent gone does not exist/);
});
