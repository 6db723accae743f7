/** Ports that are exchanged, and moves to other agents: the calls that this takes, and that none loses a port. */

import { assertEquals, assertMatch } from "@std/assert";
import { EdgeTest } from "./edge_world.ts";

const agent = (number: number) => ({ host: `10.0.0.${number}`, config: { agentType: "x86" } });
const on = (agent: string, ...external: readonly number[]) => ({
  agent: { name: agent },
  images: { x86: "image" },
  container: { ports: external.map((port, index) => ({ internal: 80 + index, external: port })) },
});
/** Calls in short: what they are about, the agent, and the ports. */
const short = (calls: readonly string[]) =>
  calls.map((call) => {
    const [, verb, path, body = "{}"] = /^(\S+) (\S+)(?: (\{.*\}))?(?: -> \d+)?$/.exec(call) ?? [];
    const { agentName, ports } = JSON.parse(body) as { agentName?: string; ports?: { external: number }[] };
    const externals = ports === undefined ? "" : ` [${ports.map(({ external }) => external)}]`;
    return `${verb} ${path?.replace("/microservices/", "")}${
      agentName === undefined ? "" : ` on ${agentName}`
    }${externals}`;
  });
/** `name agent ports` of what is in the Controller. */
const state = ({ controller: { state: { agents, microservices } } }: EdgeTest) =>
  microservices.map(({ iofogUuid, name, ports }) =>
    `${name} ${agents.find(({ uuid }) => uuid === iofogUuid)?.name} ${ports.map(({ external }) => external)}`
  ).filter((line) => !/^(nats|router) /.test(line)).toSorted();

for (const group of ["iofog.org", "datasance.com"] as const) {
  Deno.test(`ports that custom resources of ${group} exchange are given up by one of them first`, async () => {
    await using edge = await EdgeTest.open(group);
    edge.make("Agent", "a", agent(1));
    edge.make("Agent", "b", agent(2));
    edge.make("Application", "one", { microservices: [{ name: "m", ...on("a", 5000) }] });
    edge.make("Application", "two", { microservices: [{ name: "n", ...on("a", 5001) }] });
    edge.make("Microservice", "o", { application: "two", ...on("b", 5000) });
    await edge.converge();
    // Two of them, on one agent.
    edge.change("Application", "one", { microservices: [{ name: "m", ...on("a", 5001) }] });
    assertEquals(await edge.converge(), []);
    assertMatch(
      edge.condition("Application", "one", "Stalled"),
      /^True PortTaken: .*port 5001 of agent a is taken by microservice two\/n of Application two: choose another/,
    );
    edge.change("Application", "two", { microservices: [{ name: "n", ...on("a", 5000) }] });
    assertEquals(short(await edge.converge()), [
      "PATCH <m> on a []",
      "PATCH <n> on a [5000]",
      "PATCH <m> on a [5001]",
    ]);
    assertEquals(await edge.converge(), []);
    assertEquals(state(edge).slice(0, 2), ["m a 5001", "n a 5000"]);
    // Three of them in a circle, over two agents, with a move.
    edge.change("Application", "one", { microservices: [{ name: "m", ...on("a", 5000) }] });
    edge.change("Microservice", "o", { application: "two", ...on("a", 5001) });
    await edge.converge();
    assertMatch(edge.condition("Application", "one"), /^False PortTaken/);
    assertMatch(
      edge.condition("Microservice", "o"),
      /^False PortAwaited: .*still held by microservice one\/m/,
    );
    edge.change("Application", "two", { microservices: [{ name: "n", ...on("b", 5000) }] });
    assertEquals(short(await edge.converge()), [
      "PATCH <m> on a []",
      "PATCH <o> on a []",
      "PATCH <o> on a [5001]",
      "PATCH <n> on b",
      "PATCH <m> on a [5000]",
    ]);
    assertEquals(await edge.converge(), []);
    assertEquals(state(edge).slice(0, 3), ["m a 5000", "n b 5000", "o a 5001"]);
    assertEquals((await edge.told()).filter((line) => line.startsWith("Refused")), []);
  });
}

Deno.test("microservices of one application exchange agents, ports, or both, and none loses a port", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", agent(1));
  edge.make("Agent", "b", agent(2));
  const spec = (m: object, n: object, more: readonly object[] = []) => ({
    microservices: [{ name: "m", ...m }, { name: "n", ...n }, ...more],
  });
  edge.make("Application", "app", spec(on("a", 80), on("b", 80)));
  await edge.converge();
  edge.change("Application", "app", spec(on("b", 80), on("a", 80)));
  assertEquals(short(await edge.converge()), [
    "PATCH <m> on a []",
    "PATCH <n> on a",
    "PATCH <m> on b",
    "PATCH <m> on b [80]",
  ]);
  assertEquals([await edge.converge(), state(edge)], [[], ["m b 80", "n a 80"]]);
  // To a number that another has on the agent that it leaves.
  edge.change("Application", "app", spec(on("b", 80), on("a", 80), [{ name: "o", ...on("b", 81) }]));
  await edge.converge();
  edge.change("Application", "app", spec(on("a", 81), on("a", 80), [{ name: "o", ...on("b", 81) }]));
  assertEquals(short(await edge.converge()), ["PATCH <m> on a []", "PATCH <m> on a [81]"]);
  assertEquals([await edge.converge(), state(edge)], [[], ["m a 81", "n a 80", "o b 81"]]);
  // Another microservice in its place, with its port.
  edge.change("Application", "app", spec(on("a", 81), on("a", 82), [{ name: "p", ...on("b", 81) }]));
  assertEquals(
    short(await edge.converge()),
    ["DELETE <o>", "PATCH <n> on a [82]", "POST  on b [81]"].map((call) =>
      call.replace("POST ", "POST /microservices")
    ),
  );
  assertEquals(await edge.converge(), []);
  assertEquals((await edge.told()).filter((line) => /^(Refused|PortTaken)/.test(line)), []);
  // The agent's own parts have ports too.
  edge.change("Application", "app", spec(on("a", 5672), on("a", 82)));
  assertEquals(await edge.converge(), ["DELETE /microservices/<p>"]);
  assertMatch(
    edge.condition("Application", "app"),
    /^False PortTaken: .*port 5672 of agent a is taken by its router/,
  );
});

Deno.test("of custom resources that want a port that nobody has yet, the oldest gets it, and the others are told once", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", agent(1));
  await edge.converge();
  edge.make("Application", "one", { microservices: [{ name: "m", ...on("a", 7000) }] });
  await edge.clock.advance(1_000);
  edge.make("Microservice", "alone", { application: "one", ...on("a", 7000) });
  edge.make("Application", "two", { microservices: [{ name: "m", ...on("a", 7001, 7000) }] });
  assertEquals(short(await edge.converge()), [
    "POST /application",
    "POST /microservices on a [7000]",
    "POST /application",
  ]);
  const taken = "True PortTaken: Microservice NAME: port 7000 of agent a is taken by microservice one/m of " +
    "Application one: choose another external port";
  assertEquals(edge.condition("Application", "two", "Stalled"), taken.replace("NAME", "two/m"));
  assertEquals(edge.condition("Microservice", "alone", "Stalled"), taken.replace("NAME", "one/alone"));
  const told = (await edge.told()).filter((line) => line.includes("7000"));
  assertEquals(told.map((line) => line.split(":")[0]), ["PortTaken", "PortTaken"]);
  // Whoever had it goes.
  edge.change("Application", "one", { microservices: [] });
  await edge.converge();
  await edge.converge();
  assertEquals(state(edge), ["alone a 7000"]);
});
