/** Custom resources that ask for the same thing in the Controller: the older one gets what nobody has made yet. */

import { assertEquals, assertMatch } from "@std/assert";
import type { Parent } from "../../src/operator/definition.ts";
import { type EdgeKind, edgeResourceOf } from "../../src/resources/edge/crds.ts";
import { EdgeTest } from "./edge_world.ts";

const on = { agent: { name: "a" }, images: { x86: "image:1" } };
const agent = { host: "10.0.0.1", config: { agentType: "x86" } };

interface Claimant {
  readonly kind: EdgeKind;
  readonly name: string;
  readonly spec: unknown;
}

/** Two that ask for one thing, and what else has to be there. */
interface Rivalry {
  readonly what: string;
  readonly rivals: readonly [Claimant, Claimant];
  /** What keeps both of them from making it while it is missing. */
  readonly needed: Claimant;
  readonly besides?: readonly Claimant[];
}

const web = { name: "web", ...on };
const needed: Claimant = { kind: "Agent", name: "a", spec: agent };
const rivalries: readonly Rivalry[] = [
  {
    what: "a microservice",
    rivals: [
      { kind: "Application", name: "app", spec: { microservices: [web] } },
      { kind: "Microservice", name: "web", spec: { application: "app", ...on } },
    ],
    needed,
  },
  {
    what: "a route",
    rivals: [
      {
        kind: "Application",
        name: "app",
        spec: {
          microservices: [web, { ...web, name: "db" }],
          routes: [{ from: "web", to: "db" }],
        },
      },
      { kind: "Route", name: "r-web-db", spec: { application: "app", from: "web", to: "db" } },
    ],
    needed,
  },
  {
    what: "an edge resource",
    rivals: ["one", "two"].map((name) => ({
      kind: "EdgeResource",
      name,
      spec: { name: "camera", version: "1.0.0", interfaceProtocol: "https" },
    })) as unknown as readonly [Claimant, Claimant],
    needed,
  },
  {
    what: "an agent",
    rivals: ["one", "two"].map((name) => ({
      kind: "Agent",
      name,
      spec: { name: "edge", ...agent, config: { agentType: "x86", upstreamRouters: ["hub"] } },
    })) as unknown as readonly [Claimant, Claimant],
    needed: {
      kind: "Agent",
      name: "hub",
      spec: {
        host: "10.0.0.9",
        config: { routerConfig: { routerMode: "interior", edgeRouterPort: 45671, interRouterPort: 55671 } },
      },
    },
  },
];

function make({ api, group }: EdgeTest, { kind, name, spec }: Claimant, creationTimestamp: string): void {
  api.make(edgeResourceOf(kind, group), {
    apiVersion: `${group}/v3`,
    kind,
    metadata: { namespace: "ns", name, creationTimestamp },
    spec,
  } as unknown as Parent);
}

for (const { needed, rivals, what } of rivalries) {
  for (const [older, younger] of [rivals, [rivals[1], rivals[0]] as const]) {
    Deno.test(`of two that ask for ${what}, ${older.kind} ${older.name} gets it where it is older, whichever comes first`, async () => {
      for (const comesFirst of ["older", "younger", "both"]) {
        for (const restarts of [false, true]) {
          await using edge = await EdgeTest.open();
          const add = {
            older: () => make(edge, older, "2025-01-01T00:00:00Z"),
            younger: () => make(edge, younger, "2025-01-02T00:00:00Z"),
          };
          const pass = async () => {
            const calls = await edge.converge();
            if (restarts) edge.restart();
            return calls;
          };
          const isAgentNeeded = what !== "an edge resource";
          if (comesFirst !== "both" && isAgentNeeded) {
            add[comesFirst as "older" | "younger"]();
            await pass();
            add[comesFirst === "older" ? "younger" : "older"]();
          } else {
            add.younger();
            add.older();
          }
          if (isAgentNeeded) await pass();
          make(edge, needed, "2025-01-03T00:00:00Z");
          const calls = [...await pass(), ...await pass()];
          assertEquals(calls.filter((call) => call.includes("->")), []);
          assertMatch(
            edge.condition(younger.kind, younger.name),
            new RegExp(`^False Conflict: .*${older.kind}\\.iofog\\.org/${older.name}`),
          );
          const said = edge.condition(older.kind, older.name);
          assertMatch(said, /^(True|False (Starting|NotProvisioned|RouteEndMissing|ApplicationMissing))/);
          assertEquals(await pass(), []);
          // Once it is made, nobody who is older takes it away.
          edge.delete(younger.kind, younger.name);
          await pass();
          const spec = { name: younger.name, ...younger.spec as object };
          make(edge, { ...younger, name: `${younger.name}-late`, spec }, "2024-01-01T00:00:00Z");
          assertEquals((await pass()).filter((call) => call.startsWith("DELETE")), []);
        }
      }
    });
  }
}

Deno.test("what the template of an older Application gives is not made for a younger Microservice", async () => {
  await using edge = await EdgeTest.open();
  const template = {
    name: "shop",
    variables: [],
    application: {
      microservices: [{ name: "web", agentName: "a", images: [{ fogTypeId: 1, containerImage: "image:1" }] }],
      routes: [],
    },
  };
  await edge.client.edge.change({ method: "POST", route: "/applicationTemplate", bodyJson: template });
  const older = { kind: "Application", name: "app", spec: { template: { name: "shop" } } } as const;
  const younger = { kind: "Microservice", name: "web", spec: { application: "app", ...on } } as const;
  // Both wait for the agent.
  make(edge, younger, "2025-01-02T00:00:00Z");
  make(edge, older, "2025-01-01T00:00:00Z");
  await edge.converge();
  edge.restart();
  make(edge, needed, "2025-01-03T00:00:00Z");
  await edge.converge();
  assertMatch(edge.condition("Microservice", "web"), /^False Conflict: .*Application\.iofog\.org\/app/);
  assertMatch(edge.condition("Application", "app"), /^False Starting: web on a/);
});
