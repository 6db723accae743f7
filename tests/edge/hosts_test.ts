/** Microservices whose additional host names stand for each other, or for themselves. */

import { assertEquals, assertMatch } from "@std/assert";
import { EdgeTest } from "./edge_world.ts";

const agent = { host: "10.0.0.1", config: { agentType: "x86" } };
const naming = (...others: readonly string[]) => ({
  agent: { name: "a" },
  images: { x86: "image:1" },
  container: {
    extraHosts: [
      { name: "fixed.local", address: "10.9.9.9" },
      ...others.map((other) => ({
        name: `${other.replace("/", "-")}.local`,
        address: `\${Apps.${other.replace("/", ".")}.local}`,
      })),
    ],
  },
});
/** Calls about microservices, with the hosts that they name. */
const hosts = (calls: readonly string[]) =>
  calls.filter((call) => call.includes("/microservices")).map((call) => {
    const [, verb, path, body = "{}", end = ""] = /^(\S+) (\S+)(?: (\{.*\}))?( -> \d+)?$/.exec(call) ?? [];
    const { extraHosts = [], name = "" } = JSON.parse(body) as {
      name?: string;
      extraHosts?: { name: string }[];
    };
    return `${verb} ${path?.replace("/microservices", "")}${name} [${
      extraHosts.map(({ name }) => name)
    }]${end}`;
  });

for (const group of ["iofog.org", "datasance.com"] as const) {
  Deno.test(`microservices of ${group} that name each other are made, one of them at first without the others`, async () => {
    await using edge = await EdgeTest.open(group);
    edge.make("Agent", "a", agent);
    edge.make("Application", "app", {
      microservices: [{ name: "b", ...naming("app/c", "two/d") }, { name: "c", ...naming("app/b", "app/c") }],
    });
    edge.make("Application", "two", {});
    edge.make("Microservice", "d", { application: "two", ...naming("app/b") });
    edge.make("Microservice", "e", { application: "two", ...naming("app/b", "two/e") });
    const calls = hosts([...await edge.converge(), ...await edge.converge(), ...await edge.converge()]);
    assertEquals(calls.filter((call) => call.includes("->")), []);
    assertEquals(calls.slice(0, 1), ["POST b [fixed.local]"]);
    assertEquals(calls.toSorted(), [
      "PATCH /<b> [app-c.local,fixed.local,two-d.local]",
      "PATCH /<c> [app-b.local,app-c.local,fixed.local]",
      "PATCH /<e> [app-b.local,fixed.local,two-e.local]",
      "POST b [fixed.local]",
      "POST c [app-b.local,fixed.local]",
      "POST d [app-b.local,fixed.local]",
      "POST e [app-b.local,fixed.local]",
    ]);
    assertEquals(await edge.converge(), []);
    for (
      const [kind, name] of [["Application", "app"], ["Microservice", "d"], ["Microservice", "e"]] as const
    ) {
      assertMatch(edge.condition(kind, name), /^False Starting/);
    }
  });
}

Deno.test("a microservice in a circle of names that cannot be made keeps the others waiting, and says why", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", agent);
  edge.make("Application", "app", {});
  edge.make("Microservice", "first", { application: "app", ...naming("app/second"), images: { arm: "i" } });
  edge.make("Microservice", "second", { application: "app", ...naming("app/first") });
  assertEquals(hosts(await edge.converge()), []);
  assertMatch(edge.condition("Microservice", "first"), /^False ImageMissing/);
  assertMatch(edge.condition("Microservice", "second"), /^False HostMissing: .*microservice app\/first/);
});
