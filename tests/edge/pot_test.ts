/** The kinds of the edge in `datasance.com`, with a stand-in Controller 3.7.3. */

import { assertEquals, assertMatch } from "@std/assert";
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
  edge.delete("EdgeResource", "camera");
  assertEquals(await edge.converge(), ["DELETE /edgeResource/camera/v1.0.0"]);
});
