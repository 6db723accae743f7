/** What templates may look up, as the caller would read it. */

import { agentsOf, agentView } from "./agent_routes.ts";
import { applicationView } from "./application_routes.ts";
import { fullView } from "./edge_resource_routes.ts";
import type { Finders } from "./rendering.ts";
import type { World } from "./route.ts";
import { Failure } from "./validation.ts";

/** A scope for `renderBody`, with which its `find...` filters answer. */
export function findersFor(world: World, userId: number | undefined): { readonly finders: Finders } {
  const { state } = world;
  return {
    finders: {
      /** All of them for the empty name. */
      findAgent(name) {
        const agents = agentsOf(world, userId);
        if (name === "") return agents.map((agent) => agentView(world, agent));
        const agent = agents.find((agent) => agent.name === name);
        if (agent === undefined) throw new Failure("NotFoundError", "Invalid ioFog UUID 'undefined'");
        return agentView(world, agent);
      },
      findMicroserviceAgent(microservice) {
        const agent = state.agents.find(({ uuid }) =>
          uuid === (microservice as { iofogUuid?: string }).iofogUuid
        );
        return agent && agentView(world, agent);
      },
      findApplication(name) {
        const row = state.applications.find((row) => row.name === name && row.userId === userId);
        return row && applicationView(world, row);
      },
      findEdgeResource(name, version) {
        const rows = state.edgeResources.filter((row) => row.name === name && row.userId === userId);
        if (version === undefined) return rows.map(fullView);
        const row = rows.find((row) => row.version === version);
        if (row === undefined) {
          throw new Failure("NotFoundError", `Could not find resource ${name} version ${version}`);
        }
        return fullView(row);
      },
    },
  };
}
