/** What people do at the edge: the scenarios that `edge_plans.ts` breaks at each step. */

import type { EdgeTest } from "../edge/edge_world.ts";
import type { EdgeScenario } from "./edge_plans.ts";

const way = { name: "way", from: "reader", to: "board" };
const back = { name: "way", from: "board", to: "reader" };
const camera = { version: "1.0.0", interfaceProtocol: "http", orchestrationTags: ["gate"] };
const board = { name: "board", agent: { name: "leaf" }, images: { x86: "board:1" } };
const nothing = () => {};

/** What an agent's configuration, an application and a microservice say of NATS, where there is a NATS. */
interface Nats {
  readonly hub?: object;
  readonly leaf?: object;
  readonly access?: object;
}

/** The table: what stands there, and what somebody does. */
function scenariosOf(group: EdgeScenario["group"]): readonly EdgeScenario[] {
  const isPot = group === "datasance.com";
  const nats: Nats = isPot
    ? {
      hub: { natsConfig: { natsMode: "server" } },
      leaf: { natsConfig: { natsMode: "leaf" }, upstreamNatsServers: ["hub"] },
      access: { natsConfig: { natsAccess: true } },
    }
    : {};
  const hub = {
    host: "10.0.0.1",
    tags: ["own"],
    edgeResources: [{ name: "camera", version: "1.0.0" }],
    config: {
      agentType: "x86",
      routerConfig: { routerMode: "interior", edgeRouterPort: 45671, interRouterPort: 55671 },
      ...nats.hub,
    },
  };
  const leaf = (upstreamRouters: readonly string[], more = nats.leaf) => ({
    host: "10.0.0.2",
    config: { agentType: "x86", upstreamRouters, ...more },
  });
  const reader = {
    name: "reader",
    agent: { name: "hub" },
    images: { x86: "reader:1" },
    config: { sampleHz: 400 },
    container: { env: [{ key: "LEVEL", value: "info" }], ports: [{ internal: 80, external: 5000 }] },
    ...nats.access,
  };
  const routes = isPot ? {} : { routes: [way] };
  const application = { description: "first", microservices: [reader, board], ...routes, ...nats.access };
  const make = (edge: EdgeTest) => {
    edge.make("Application", "app", application);
    edge.make("Agent", "leaf", leaf(["hub"]));
    edge.make("Agent", "hub", hub);
    edge.make("EdgeResource", "camera", camera);
  };
  const scenario = (name: string, happens: EdgeScenario["happens"], prepare = make): EdgeScenario => ({
    ...{ name: isPot ? `PoT, ${name}` : name, group, prepare, happens },
  });
  return [
    scenario("agents with an application", make, nothing),
    scenario("a change of each spec", (edge) => {
      edge.change("Agent", "hub", { ...hub, tags: ["other"] });
      edge.change("EdgeResource", "camera", { ...camera, description: "second" });
      edge.change("Application", "app", {
        ...application,
        description: "second",
        microservices: [{ ...reader, images: { x86: "reader:2" }, config: { sampleHz: 800 } }, board],
      });
    }),
    scenario("a move to another agent", (edge) =>
      edge.change("Application", "app", {
        ...application,
        microservices: [{ ...reader, agent: { name: "leaf" } }, board],
      })),
    isPot
      ? scenario("another router and NATS server upstream, and access to NATS taken away", (edge) => {
        edge.change(
          "Agent",
          "leaf",
          leaf(["default-router"], { ...nats.leaf, upstreamNatsServers: ["default-nats-hub"] }),
        );
        const natsConfig = { natsAccess: false };
        edge.change("Application", "app", {
          ...application,
          natsConfig,
          microservices: [{ ...reader, natsConfig }, board],
        });
      })
      : scenario("a route that turns round, and another router upstream", (edge) => {
        edge.change("Agent", "leaf", leaf(["default-router"]));
        edge.change("Application", "app", { ...application, routes: [back] });
      }),
    scenario(
      "a protocol that replaces an edge resource",
      (edge) => edge.change("EdgeResource", "camera", { ...camera, interfaceProtocol: "https" }),
    ),
    scenario(
      "a microservice that goes",
      (edge) => edge.change("Application", "app", { ...application, microservices: [board], routes: [] }),
    ),
    scenario("everything deleted", (edge) => {
      edge.delete("Application", "app");
      edge.delete("EdgeResource", "camera");
      for (const name of ["leaf", "hub"]) edge.delete("Agent", name);
    }),
    scenario("a Controller that lost everything", ({ controller }) => {
      const { config, natsHub, router, tokens, users } = controller.state;
      controller.forgetEverything();
      // The control plane is the first to be there again, and plants the id.
      Object.assign(controller.state, { config, natsHub, router, tokens, users });
    }),
    scenario("a token that has expired, and a key to provision with", (edge) => {
      edge.controller.expireTokens();
      edge.make("Agent", "new", { host: "10.0.0.3", provisioning: { secretName: "new-key" } });
    }),
  ];
}

export const edgeScenarios: readonly EdgeScenario[] = [
  ...scenariosOf("iofog.org"),
  ...scenariosOf("datasance.com"),
];
