/**
 * Agents, as their owner sees them (sources of 3.0.4 and 3.7.3; seen on running servers).
 *
 * 3.7.3 answers a write at once and puts router and NATS in order afterwards; what goes wrong then stands in
 * `warningMessage`.
 */

import {
  createRouter,
  deleteRouter,
  natsPorts,
  networkRouterId,
  routerOf,
  routerPorts,
  routerView,
} from "./agent_routers.ts";
import { dropSystemApplication, dropSystemObjects, ensureSystemObjects } from "./system_objects.ts";
import { putNats, updateRouter, upstreamIds } from "./agent_routers.ts";
import {
  type AgentBody,
  agentSchemas,
  defaultColumns,
  filters,
  newSettings,
  settings,
} from "./agent_settings.ts";
import { edgeResourceView } from "./edge_resource_routes.ts";
import type { AgentRow } from "./edge_state.ts";
import { deleteMicroservice, followAgentHost } from "./microservices.ts";
import {
  authenticated,
  type Call,
  mark,
  newUuid,
  randomText,
  rejectedInvalidOrMissing,
  rejectedOrInvalid,
  rejectedOrMissing,
  type Route,
  timestamp,
  turn,
  type World,
} from "./route.ts";
import { registerSecret } from "../secrets.ts";
import { Failure, validate, validateValue } from "./validation.ts";

export const agentRoutes: readonly Route[] = [
  { method: "GET", path: "/iofog-list", success: 200, failures: rejectedOrInvalid, handle: list },
  {
    method: "POST",
    path: "/iofog",
    success: 201,
    failures: rejectedOrInvalid,
    templated: true,
    handle: create,
  },
  { method: "GET", path: "/iofog/:uuid", success: 200, failures: rejectedOrMissing, handle: read },
  {
    method: "PATCH",
    path: "/iofog/:uuid",
    success: 204,
    failures: rejectedInvalidOrMissing,
    templated: true,
    handle: update,
  },
  { method: "DELETE", path: "/iofog/:uuid", success: 202, failures: rejectedOrMissing, handle: remove },
  {
    method: "GET",
    path: "/iofog/:uuid/provisioning-key",
    success: 201,
    failures: rejectedOrMissing,
    handle: newProvisioningKey,
  },
  {
    method: "POST",
    path: "/iofog/:uuid/version/:versionCommand",
    success: 204,
    failures: rejectedInvalidOrMissing,
    handle: changeVersion,
  },
  {
    method: "POST",
    path: "/iofog/:uuid/reboot",
    success: 204,
    failures: rejectedInvalidOrMissing,
    handle: (world, call) => mark(world, ofCaller(world, call), "reboot"),
  },
  {
    method: "POST",
    path: "/iofog/:uuid/prune",
    success: 204,
    failures: rejectedInvalidOrMissing,
    handle: (world, call) => mark(world, ofCaller(world, call), "prune"),
  },
];

const schemas = { "3.0.4": agentSchemas("3.0.4"), "3.7.3": agentSchemas("3.7.3") };

/** A provisioning key's life. */
const keyTtlMs = 20 * 60_000;

/** An agent as it is answered. */
export function agentView(world: World, agent: AgentRow): Record<string, unknown> {
  const { uuid, name, host, fogTypeId, userId, isSystem, routerId, tags, createdAt, updatedAt } = agent;
  const { state, version } = world;
  const view: Record<string, unknown> = {
    ...agent.columns,
    ...{ uuid, name, host, isSystem, routerId, createdAt, updatedAt, fogTypeId },
    ...(version === "3.0.4" ? { userId } : {}),
    tags: [...tags],
    ...routerView(world, agent),
    // Without tags, `custom` and interface, whatever they are.
    edgeResources: state.edgeResources.filter(({ id }) => agent.edgeResources.includes(id)).map(
      (resource) => {
        const { id: _, ...view } = edgeResourceView(resource);
        return { ...view, orchestrationTags: [], custom: {} };
      },
    ),
  };
  if (version === "3.0.4") return view;
  const volumeMounts = state.volumeMounts.filter(({ agents }) => agents.includes(uuid))
    .map(({ name, version, configMapName, secretName }) => ({ name, version, configMapName, secretName }));
  return { ...view, ...agent.nats, volumeMounts };
}

/** Agents that the caller's list shows, by name. */
export function agentsOf({ state }: World, userId: number | undefined): AgentRow[] {
  return state.agents.filter((agent) => agent.userId === userId && !(agent.isSystem && userId !== undefined))
    .toSorted((one, other) => one.name < other.name ? -1 : one.name > other.name ? 1 : 0);
}

function list(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const wanted = filtersOf(call.query);
  validateValue(wanted, filters);
  const system = world.version === "3.0.4" && call.query.get("system") === "true";
  const agents = system ? world.state.agents.filter(({ isSystem }) => isSystem) : agentsOf(world, userId);
  const views = agents.map((agent) => agentView(world, agent));
  const fits = (view: Record<string, unknown>, { key, value, condition }: Record<string, string>) => {
    const actual = view[key ?? ""];
    return condition === "equals" ? actual === value : `${actual ?? ""}`.includes(value ?? "");
  };
  return { fogs: views.filter((view) => wanted.every((filter) => fits(view, filter))) };
}

/** `filters[0][key]=name&filters[0][value]=x&filters[0][condition]=equals` */
function filtersOf(query: URLSearchParams): Record<string, string>[] {
  const found: Record<string, string>[] = [];
  for (const [name, value] of query) {
    const [, index, key] = /^filters\[(\d+)\]\[(\w+)\]$/.exec(name) ?? [];
    if (index !== undefined && key !== undefined) (found[Number(index)] ??= {})[key] = value;
  }
  return found;
}

function read(world: World, call: Call) {
  return agentView(world, ofCaller(world, call));
}

/** @throws Failure where there is none, or it is somebody else's. */
function ofCaller(world: World, call: Call): AgentRow {
  const { userId } = authenticated(world, call);
  const { uuid } = call.parameters;
  const agent = world.state.agents.find((agent) => agent.uuid === uuid);
  if (agent === undefined || (!agent.isSystem && agent.userId !== userId)) {
    throw new Failure("NotFoundError", `Invalid ioFog UUID '${uuid}'`);
  }
  return agent;
}

async function create(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const { state, version } = world;
  const body = validate(call.body, schemas[version].create) as AgentBody;
  const { name = "", isSystem = false, routerMode = "edge" } = body;
  if (isSystem && routerMode !== "interior") {
    throw new Failure("ValidationError", `Invalid router mode '${routerMode}'`);
  }
  if (version === "3.7.3" && isSystem && body.natsMode !== "server") {
    throw new Failure("ValidationError", `Invalid NATS mode '${body.natsMode}'`);
  }
  if (version === "3.0.4" && isSystem && state.agents.some((agent) => agent.isSystem)) {
    throw new Failure("ValidationError", "There already is a system fog");
  }
  requireFreeName(state.agents, name);
  const routerId = routerMode === "none" ? networkRouterId(world, body.networkRouter) : null;
  // 3.7.3 looks here as well, but for names that it finds later on.
  const upstream = routerMode === "none" ? [] : upstreamIds(world, body.upstreamRouters, isSystem);
  // Nothing but the look above keeps names apart.
  await turn();
  const now = timestamp(world);
  const agent: AgentRow = {
    uuid: newUuid(version),
    name,
    host: body.host ?? null,
    fogTypeId: body.fogType ?? 0,
    userId,
    isSystem,
    routerId,
    tags: [...new Set(body.tags)],
    columns: { ...defaultColumns(version), ...columnsOf(world, body) },
    nats: version === "3.7.3" ? { natsMode: "none", upstreamNatsServers: [] } : {},
    createdAt: now,
    updatedAt: now,
    edgeResources: [],
    provisioning: undefined,
    credential: undefined,
    usedTokens: [],
    changes: {},
    changedAt: now,
  };
  state.agents.push(agent);
  inOrder(world, agent, () => {
    if (version === "3.7.3") putNats(world, agent, body);
    if (routerMode === "none") return;
    // The row is there by now, and stays.
    if (body.host === undefined || body.host === "") {
      throw new Failure("ValidationError", '"host" is required');
    }
    createRouter(world, agent, { ...body, routerMode }, upstream);
    showParts(world, agent);
  });
  mark(world, agent, "microserviceList", "microserviceConfig");
  return { uuid: agent.uuid };
}

function requireFreeName(agents: readonly AgentRow[], name: string): void {
  if (agents.some((agent) => agent.name === name)) {
    throw new Failure("ValidationError", `Duplicate name '${name}'`);
  }
}

/** At once on 3.0.4; on 3.7.3 after the answer, and what goes wrong is told by the agent. */
function inOrder({ version, state, clock, background }: World, agent: AgentRow, work: () => void): void {
  if (version === "3.0.4") return work();
  void (async () => {
    const { ms, ended } = background;
    if (ms > 0) await clock.sleep(ms, ended);
    if (ended.aborted || !state.agents.includes(agent)) return;
    try {
      work();
      agent.columns.warningMessage = "HEALTHY";
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      agent.columns.daemonStatus = "WARNING";
      agent.columns.warningMessage = `Background orchestration error: ${error.message}`;
    }
  })();
}

/** The columns that a body sets. */
function columnsOf({ version }: World, body: AgentBody): Record<string, unknown> {
  const names = Object.keys(version === "3.0.4" ? settings : { ...settings, ...newSettings });
  const given = Object.fromEntries(
    names.filter((name) => body[name] !== undefined).map((name) => [name, body[name]]),
  );
  const placed = Boolean(body.latitude) || Boolean(body.longitude);
  const { gpsMode, gpsDevice } = body;
  if (version === "3.0.4") return placed ? { ...given, gpsMode: "manual" } : given;
  if (placed && gpsMode !== "dynamic" && gpsMode !== "off") return { ...given, gpsMode: "manual" };
  if (gpsMode === "dynamic" && gpsDevice) return { ...given, gpsMode, gpsDevice };
  return gpsMode === "off" || gpsMode === "auto" && !placed ? { ...given, gpsMode } : given;
}

function update(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const { state, version } = world;
  const body = validate(call.body, schemas[version].update) as AgentBody;
  const { uuid } = call.parameters;
  const agent = state.agents.find((agent) => agent.uuid === uuid);
  const unknown = new Failure("NotFoundError", `Invalid ioFog UUID '${uuid}'`);
  if (agent === undefined) throw unknown;
  const renamed = body.name !== undefined && body.name !== agent.name;
  if (version === "3.7.3") {
    if (renamed) throw new Failure("ValidationError", "Agent Resource Name is immutable");
    if (body.isSystem !== undefined && body.isSystem !== agent.isSystem) {
      throw new Failure("ValidationError", "System fog can't be changed");
    }
  }
  // Before anybody asks whose agent it is, and before what is refused below.
  if (body.tags !== undefined) agent.tags = [...new Set(body.tags)];
  if (!agent.isSystem && agent.userId !== userId) throw unknown;
  if (renamed) requireFreeName(state.agents.filter((other) => other !== agent), body.name ?? "");
  if (version === "3.0.4") updateRouting(world, agent, body);
  const { host: before } = agent;
  const detected = version === "3.7.3" && body.fogType === 0 && agent.fogTypeId > 0;
  Object.assign(agent, {
    name: body.name ?? agent.name,
    host: body.host ?? agent.host,
    fogTypeId: detected ? agent.fogTypeId : body.fogType ?? agent.fogTypeId,
    isSystem: body.isSystem ?? agent.isSystem,
    updatedAt: timestamp(world),
  });
  Object.assign(agent.columns, columnsOf(world, body));
  // Whether anything changed or not.
  mark(world, agent, "config", "routerChanged", "microserviceList");
  if (version === "3.7.3") {
    inOrder(world, agent, () => {
      putNats(world, agent, body);
      updateRouting(world, agent, body);
      showParts(world, agent);
    });
  }
  if (agent.host !== before) followAgentHost(world, agent);
}

/** 3.7.3: what router and NATS are made of stands beside everything else. */
function showParts(world: World, agent: AgentRow): void {
  if (world.version === "3.0.4") return;
  const router = routerPorts(world, agent), nats = natsPorts(agent);
  if (router.length > 0) ensureSystemObjects(world, agent, "router", router);
  if (nats.length > 0) ensureSystemObjects(world, agent, "nats", nats);
  else dropSystemObjects(world, agent, "nats");
}

function updateRouting(world: World, agent: AgentRow, body: AgentBody): void {
  const { state } = world;
  const router = routerOf(state, agent);
  const mode = body.routerMode ?? (router === undefined ? "none" : router.isEdge ? "edge" : "interior");
  const isOld = world.version === "3.0.4";
  if (mode === "none") {
    const id = networkRouterId(world, body.networkRouter);
    // 3.7.3 wrote the row before it knew.
    if (isOld) agent.routerId = id;
    deleteRouter(world, agent);
    return;
  }
  const wanted = body.upstreamRouters;
  const upstream = wanted === undefined
    ? [...router?.upstream ?? []]
    : upstreamIds(world, wanted, agent.isSystem);
  if (router === undefined) {
    const { id } = createRouter(world, agent, { ...body, routerMode: mode }, upstream);
    if (isOld) agent.routerId = id;
    return;
  }
  updateRouter(world, agent, router, {
    isEdge: mode === "edge",
    messagingPort: body.messagingPort ?? router.messagingPort,
    edgeRouterPort: body.edgeRouterPort ?? router.edgeRouterPort,
    interRouterPort: body.interRouterPort ?? router.interRouterPort,
    host: body.host ?? router.host,
  }, upstream);
}

/** What runs on it goes as well; its applications stay. */
function remove(world: World, call: Call): void {
  const agent = ofCaller(world, call);
  const { state } = world;
  deleteRouter(world, agent);
  if (world.version === "3.7.3") dropSystemApplication(world, agent);
  const onIt = state.microservices.filter(({ iofogUuid }) => iofogUuid === agent.uuid);
  for (const microservice of onIt) deleteMicroservice(world, microservice);
  for (const mount of state.volumeMounts) mount.agents = mount.agents.filter((uuid) => uuid !== agent.uuid);
  state.agents = state.agents.filter((other) => other !== agent);
}

function newProvisioningKey(world: World, call: Call) {
  return mintKey(world, ofCaller(world, call));
}

/** Each time another, and the one before is void. */
export function mintKey(world: World, agent: AgentRow) {
  const key = registerSecret(world.version === "3.0.4" ? randomText(8) : crypto.randomUUID());
  const expirationTime = world.clock.now() + keyTtlMs;
  agent.provisioning = { key, expirationTime };
  return { key, expirationTime, ...(world.version === "3.0.4" ? {} : { caCert: "" }) };
}

function changeVersion(world: World, call: Call): void {
  const { versionCommand } = call.parameters;
  validate({ versionCommand }, {
    properties: { versionCommand: { enum: ["upgrade", "rollback"] } },
    required: ["versionCommand"],
  });
  const agent = ofCaller(world, call);
  if (versionCommand === "rollback" && !agent.columns.isReadyToRollback) {
    throw new Failure("ValidationError", "Can't rollback version now. There are no backups on agent");
  }
  if (versionCommand === "upgrade" && !agent.columns.isReadyToUpgrade) {
    throw new Failure("ValidationError", "Can't upgrade version now. Latest is already installed");
  }
  newProvisioningKey(world, call);
  mark(world, agent, "version");
}
