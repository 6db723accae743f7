/** The routers, and on 3.7.3 the NATS servers, that run on agents, and how they are connected. */

import { type AgentRouterRow, type AgentRow, type EdgeState, nextId } from "./edge_state.ts";
import type { AgentBody } from "./agent_settings.ts";
import { mark, newUuid, type World } from "./route.ts";
import { Failure } from "./validation.ts";

/** What the API calls the router of `PUT /router`. */
export const DEFAULT_ROUTER = "default-router";
const DEFAULT_NATS_HUB = "default-nats-hub";

/** A router's id, and whether it may have others behind it. */
interface Upstream {
  readonly id: number;
  readonly isEdge: boolean;
}

/** Router of its own, if it has one. */
export function routerOf({ agentRouters }: EdgeState, { uuid }: AgentRow): AgentRouterRow | undefined {
  return agentRouters.find(({ iofogUuid }) => iofogUuid === uuid);
}

/** As `routerMode` and its companions are answered. */
export function routerView({ state }: World, agent: AgentRow): Record<string, unknown> {
  const router = routerOf(state, agent);
  const nameOf = (id: number) =>
    id === state.router?.id ? DEFAULT_ROUTER : state.agentRouters.find((other) => other.id === id)?.iofogUuid;
  if (router === undefined) {
    const networkRouter = agent.routerId === null ? undefined : nameOf(agent.routerId);
    return { routerMode: "none", ...(networkRouter === undefined ? {} : { networkRouter }) };
  }
  const { isEdge, messagingPort, interRouterPort, edgeRouterPort } = router;
  return {
    routerMode: isEdge ? "edge" : "interior",
    messagingPort,
    ...(isEdge ? {} : { interRouterPort, edgeRouterPort }),
    upstreamRouters: router.upstream.map(nameOf),
  };
}

/** Ids of the routers that `wanted` names: uuids, `default-router`, and on 3.7.3 names of agents. */
export function upstreamIds(
  { state, version }: World,
  wanted: readonly string[] | undefined,
  isSystem: boolean,
): number[] {
  if (wanted === undefined) {
    if (state.router !== undefined) return [state.router.id];
    if (isSystem) return [];
    throw noRouter(DEFAULT_ROUTER);
  }
  return wanted.map((name) => {
    const agent = state.agents.find((agent) =>
      agent.uuid === name || version === "3.7.3" && agent.name === name
    );
    const router: Upstream | undefined = name === DEFAULT_ROUTER
      ? state.router
      : agent === undefined
      ? undefined
      : routerOf(state, agent);
    if (router === undefined) throw noRouter(name);
    if (router.isEdge) throw new Failure("ValidationError", `Upstream router must be interior '${name}'`);
    return router.id;
  });
}

/** The router that an agent without one of its own uses; by uuid only, although it is answered as `default-router`. */
export function networkRouterId({ state }: World, wanted: string | undefined): number {
  const router = wanted === undefined
    ? state.router
    : state.agentRouters.find(({ iofogUuid }) => iofogUuid === wanted);
  if (router === undefined) throw noRouter(wanted ?? DEFAULT_ROUTER);
  return router.id;
}

/** Makes an agent's router. A system agent's becomes the default one where there is none. */
export function createRouter(
  world: World,
  agent: AgentRow,
  body: AgentBody,
  upstream: number[],
): AgentRouterRow {
  const { state, version } = world;
  const isEdge = body.routerMode === "edge";
  const router: AgentRouterRow = {
    id: nextId(state, "routers"),
    iofogUuid: agent.uuid,
    microserviceUuid: newUuid(version),
    isEdge,
    messagingPort: body.messagingPort ?? defaultMessagingPort[version],
    edgeRouterPort: isEdge ? null : body.edgeRouterPort ?? null,
    interRouterPort: isEdge ? null : body.interRouterPort ?? null,
    host: body.host ?? null,
    upstream,
  };
  state.agentRouters.push(router);
  if (agent.isSystem && state.router === undefined) {
    const { id, messagingPort } = router;
    const { createdAt, updatedAt } = agent;
    const [host, edgeRouterPort, interRouterPort] = [
      router.host ?? "",
      router.edgeRouterPort ?? 0,
      router.interRouterPort ?? 0,
    ];
    state.router = {
      ...{ id, isEdge: false, messagingPort, edgeRouterPort, interRouterPort, host, isDefault: true },
      ...{ createdAt, updatedAt },
    };
  }
  return router;
}

const defaultMessagingPort = { "3.0.4": 5672, "3.7.3": 5671 };

/** @throws Failure for an interior router that has others behind it and is to become an edge one. */
export function updateRouter(
  world: World,
  agent: AgentRow,
  router: AgentRouterRow,
  change: Pick<AgentRouterRow, "isEdge" | "messagingPort" | "edgeRouterPort" | "interRouterPort" | "host">,
  upstream: number[],
): void {
  if (change.isEdge && !router.isEdge && downstreamOf(world.state, router).length > 0) {
    throw new Failure("ValidationError", `Edge router ${router.id} has, or will have, downstream routers`);
  }
  const ports = change.isEdge ? { edgeRouterPort: null, interRouterPort: null } : {};
  Object.assign(router, change, ports, { upstream });
  mark(world, agent, "routerChanged", "microserviceList", "microserviceConfig");
}

/** Takes an agent's router away; who was behind it is connected to the default router instead. */
export function deleteRouter(world: World, agent: AgentRow): void {
  const { state } = world;
  const router = routerOf(state, agent);
  if (router === undefined) return;
  const fallback = state.router?.id;
  for (const other of downstreamOf(state, router)) {
    other.upstream = other.upstream.filter((id) => id !== router.id);
    if (fallback !== undefined) other.upstream.push(fallback);
    const owner = state.agents.find(({ uuid }) => uuid === other.iofogUuid);
    if (owner !== undefined) mark(world, owner, "routerChanged");
  }
  for (const user of state.agents.filter(({ routerId }) => routerId === router.id)) {
    user.routerId = fallback ?? null;
    mark(world, user, "routerChanged");
  }
  state.agentRouters = state.agentRouters.filter((other) => other !== router);
}

function downstreamOf({ agentRouters }: EdgeState, { id }: AgentRouterRow): AgentRouterRow[] {
  return agentRouters.filter(({ upstream }) => upstream.includes(id));
}

/** External ports that an agent's router takes. */
export function routerPorts({ state }: World, agent: AgentRow): number[] {
  const { messagingPort, edgeRouterPort, interRouterPort } = routerOf(state, agent) ?? {};
  return [messagingPort, edgeRouterPort, interRouterPort].filter((port) => typeof port === "number");
}

/** External ports that its NATS server takes. */
export function natsPorts({ nats }: AgentRow): number[] {
  if (nats.natsMode === undefined || nats.natsMode === "none") return [];
  return Object.keys(natsPortDefaults).map((name) => nats[name]).filter((port) => typeof port === "number");
}

const natsPortDefaults = {
  natsServerPort: 4222,
  natsLeafPort: 7422,
  natsClusterPort: 6222,
  natsMqttPort: 8883,
  natsHttpPort: 8222,
};

/**
 * 3.7.3: an agent's NATS server as `body` says. What is left out is a leaf with the ports' defaults, whatever it was
 * before; only the sizes of JetStream are kept.
 */
export function putNats({ state }: World, agent: AgentRow, body: AgentBody): void {
  if (body.natsMode === "none") {
    agent.nats = { natsMode: "none", upstreamNatsServers: [] };
    return;
  }
  const upstream = body.upstreamNatsServers ?? [DEFAULT_NATS_HUB];
  for (const name of upstream as readonly string[]) {
    const known = name === DEFAULT_NATS_HUB
      ? state.natsHub !== undefined
      : state.agents.some((other) => other.uuid === name && other.nats.natsMode === "server");
    if (!known) throw noRouter(name);
  }
  const ports = Object.entries(natsPortDefaults).map(([name, port]) => [name, body[name] ?? port]);
  agent.nats = {
    natsMode: body.natsMode ?? "leaf",
    ...Object.fromEntries(ports),
    jsStorageSize: body.jsStorageSize ?? agent.nats.jsStorageSize ?? "10g",
    jsMemoryStoreSize: body.jsMemoryStoreSize ?? agent.nats.jsMemoryStoreSize ?? "1g",
    upstreamNatsServers: upstream,
  };
}

function noRouter(name: string): Failure {
  return new Failure("NotFoundError", `Invalid router '${name}'`);
}
