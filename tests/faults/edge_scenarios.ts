/** What people do at the edge: the scenarios that `edge_plans.ts` breaks at each step. */

import type { EdgeTest } from "../edge/edge_world.ts";
import type { EdgeScenario } from "./edge_plans.ts";

const hub = {
  host: "10.0.0.1",
  tags: ["own"],
  edgeResources: [{ name: "camera", version: "1.0.0" }],
  config: {
    agentType: "x86",
    routerConfig: { routerMode: "interior", edgeRouterPort: 45671, interRouterPort: 55671 },
  },
};
const leaf = (upstreamRouters: readonly string[]) => ({
  host: "10.0.0.2",
  config: { agentType: "x86", upstreamRouters },
});
const camera = { version: "1.0.0", interfaceProtocol: "http", orchestrationTags: ["gate"] };
const reader = {
  name: "reader",
  agent: { name: "hub" },
  images: { x86: "reader:1" },
  config: { sampleHz: 400 },
  container: { env: [{ key: "LEVEL", value: "info" }], ports: [{ internal: 80, external: 5000 }] },
};
const board = { name: "board", agent: { name: "leaf" }, images: { x86: "board:1" } };
const route = { name: "way", from: "reader", to: "board" };
const application = { description: "first", microservices: [reader, board], routes: [route] };

function make(edge: EdgeTest): void {
  edge.make("Application", "app", application);
  edge.make("Agent", "leaf", leaf(["hub"]));
  edge.make("Agent", "hub", hub);
  edge.make("EdgeResource", "camera", camera);
}

const nothing = () => {};

/** The table: what stands there, and what somebody does. */
export const edgeScenarios: readonly EdgeScenario[] = [
  { name: "agents with an application", prepare: nothing, happens: make },
  {
    name: "a change of each spec",
    prepare: make,
    happens(edge) {
      edge.change("Agent", "hub", { ...hub, tags: ["other"] });
      edge.change("EdgeResource", "camera", { ...camera, description: "second" });
      edge.change("Application", "app", {
        ...application,
        description: "second",
        microservices: [{ ...reader, images: { x86: "reader:2" }, config: { sampleHz: 800 } }, board],
      });
    },
  },
  {
    name: "a move to another agent",
    prepare: make,
    happens: (edge) =>
      edge.change("Application", "app", {
        ...application,
        microservices: [{ ...reader, agent: { name: "leaf" } }, board],
      }),
  },
  {
    name: "a route that turns round, and another router upstream",
    prepare: make,
    happens(edge) {
      edge.change("Agent", "leaf", leaf(["default-router"]));
      edge.change("Application", "app", {
        ...application,
        routes: [{ ...route, from: "board", to: "reader" }],
      });
    },
  },
  {
    name: "a protocol that replaces an edge resource",
    prepare: make,
    happens: (edge) => edge.change("EdgeResource", "camera", { ...camera, interfaceProtocol: "https" }),
  },
  {
    name: "a microservice that goes",
    prepare: make,
    happens: (edge) =>
      edge.change("Application", "app", { ...application, microservices: [board], routes: [] }),
  },
  {
    name: "everything deleted",
    prepare: make,
    happens(edge) {
      edge.delete("Application", "app");
      edge.delete("EdgeResource", "camera");
      for (const name of ["leaf", "hub"]) edge.delete("Agent", name);
    },
  },
  {
    name: "a Controller that lost everything",
    prepare: make,
    empties: true,
    happens({ controller }) {
      const { config, router, tokens, users } = controller.state;
      controller.forgetEverything();
      // The control plane is the first to be there again, and plants the id.
      Object.assign(controller.state, { config, router, tokens, users });
    },
  },
  {
    name: "a token that has expired, and a key to provision with",
    prepare: make,
    happens(edge) {
      edge.controller.expireTokens();
      edge.make("Agent", "new", { host: "10.0.0.3", provisioning: { secretName: "new-key" } });
    },
  },
];
