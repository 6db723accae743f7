/** What the Controller would refuse is found before it is asked, and said in terms of the spec. */

import { assertEquals, assertMatch } from "@std/assert";
import { EdgeTest } from "./edge_world.ts";

const agent = { host: "10.0.0.1", config: { agentType: "x86" } };
const microservice = (name: string) => ({ name, agent: { name: "a" }, images: { x86: "image" } });
const microservices = ["one", "two", "three"].map(microservice);
const refused = (calls: readonly string[]) => calls.filter((call) => call.includes("->"));
const routes = ({ controller: { state } }: EdgeTest) =>
  state.routings.map(({ destMicroserviceUuid, name, sourceMicroserviceUuid }) => {
    const nameOf = (uuid: string) => state.microservices.find((each) => each.uuid === uuid)?.name;
    return `${name} ${nameOf(sourceMicroserviceUuid)} ${nameOf(destMicroserviceUuid)}`;
  }).toSorted();

Deno.test("a second route between the same microservices is told before it is sent, whoever has the first", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", agent);
  edge.make("Application", "app", { microservices, routes: [{ name: "way", from: "one", to: "two" }] });
  edge.make("Route", "first", { application: "app", from: "two", to: "three" });
  await edge.clock.advance(1_000);
  edge.make("Route", "same", { application: "app", from: "one", to: "two" });
  edge.make("Route", "again", { application: "app", from: "two", to: "three" });
  const calls = [...await edge.converge(), ...await edge.converge()];
  assertEquals(refused(calls), []);
  assertEquals(routes(edge), ["first two three", "way one two"]);
  assertMatch(
    edge.condition("Route", "same", "Stalled"),
    /^True RouteTaken: .*from one to two .*already: way.*correct from and to/,
  );
  assertMatch(edge.condition("Route", "again", "Stalled"), /^True RouteTaken: .*already: first/);
  // An older one gets nothing that is there, and the other one goes on once that is gone.
  edge.change("Application", "app", { microservices, routes: [] });
  edge.delete("Route", "first");
  assertEquals(refused([...await edge.converge(), ...await edge.converge()]), []);
  assertEquals(routes(edge), ["again two three", "same one two"]);
  assertMatch(edge.condition("Route", "same"), /^True Ready/);
});

Deno.test("routes of an application are renamed, and exchange what they connect", async () => {
  await using edge = await EdgeTest.open();
  edge.make("Agent", "a", agent);
  const app = (...given: readonly (readonly [string, string, string])[]) => ({
    microservices,
    routes: given.map(([name, from, to]) => ({ name, from, to })),
  });
  edge.make("Application", "app", app(["r1", "one", "two"], ["r2", "two", "three"]));
  await edge.converge();
  edge.change("Application", "app", app(["r1", "two", "three"], ["r2", "one", "two"]));
  assertEquals(refused(await edge.converge()), []);
  assertEquals(routes(edge), ["r1 two three", "r2 one two"]);
  edge.change("Application", "app", app(["r3", "two", "three"], ["r2", "three", "one"]));
  assertEquals(refused(await edge.converge()), []);
  assertEquals(routes(edge), ["r2 three one", "r3 two three"]);
  edge.change("Application", "app", app(["r4", "two", "three"], ["r3", "two", "one"]));
  assertEquals(refused(await edge.converge()), []);
  assertEquals(routes(edge), ["r3 two one", "r4 two three"]);
  assertEquals(await edge.converge(), []);
});

for (const group of ["iofog.org", "datasance.com"] as const) {
  Deno.test(`an agent of ${group} whose router others connect to stays interior, and an edge router is no upstream`, async () => {
    await using edge = await EdgeTest.open(group);
    const interior = { routerMode: "interior", edgeRouterPort: 45671, interRouterPort: 55671 };
    const hub = (routerConfig: unknown) => ({ host: "10.0.0.1", config: { routerConfig } });
    const leaf = (...upstreamRouters: readonly string[]) => ({
      host: "10.0.0.2",
      config: { upstreamRouters },
    });
    edge.make("Agent", "hub", hub(interior));
    edge.make("Agent", "leaf", leaf("hub"));
    edge.make("Agent", "other", { host: "10.0.0.3" });
    for (let round = 0; round < 3; round++) await edge.converge();
    edge.change("Agent", "hub", hub({ routerMode: "edge" }));
    edge.make("Agent", "second", {
      ...hub(interior),
      config: { routerConfig: interior, upstreamRouters: ["other"] },
    });
    assertEquals(await edge.converge(), []);
    assertMatch(
      edge.condition("Agent", "hub", "Stalled"),
      /^True RoutersBehind: .*agent leaf connects .*spec.config.upstreamRouters .*spec.config.routerConfig.routerMode/,
    );
    assertMatch(edge.condition("Agent", "second", "Stalled"), /^True UpstreamNotInterior: .*other/);
    edge.change("Agent", "leaf", leaf("default-router"));
    edge.change("Agent", "second", hub(interior));
    const calls = [];
    for (let round = 0; round < 3; round++) calls.push(...await edge.converge());
    assertEquals(refused(calls), []);
    assertMatch(edge.condition("Agent", "hub"), /^True NotProvisioned/);
    assertEquals(await edge.converge(), []);
  });
}
