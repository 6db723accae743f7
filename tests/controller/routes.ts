/**
 * The routes of the Controller's API that a control plane meets, in both dialects.
 *
 * Source: the sources of Controller 3.0.4, compared with a running 3.0.4 by `contract_test.ts`; of 3.7.3, requests and
 * answers that were recorded from a running one.
 */

import { agentProtocolRoutes } from "./agent_protocol_routes.ts";
import { agentRoutes } from "./agent_routes.ts";
import { applicationRoutes } from "./application_routes.ts";
import { catalogRoutes } from "./catalog_routes.ts";
import { edgeResourceRoutes } from "./edge_resource_routes.ts";
import { microserviceRoutes } from "./microservice_routes.ts";
import { natsRuleRoutes } from "./nats_rules.ts";
import { routingRoutes } from "./routing_routes.ts";
import { templateRoutes } from "./template_routes.ts";
import { volumeMountRoutes } from "./volume_mount_routes.ts";
import { authenticated, type Call, rejected, rejectedOrInvalid, type Route, type World } from "./route.ts";
import type { RouterRow } from "./state.ts";
import { keycloakUserRoutes } from "./keycloak_user_routes.ts";
import { natsRoutes } from "./nats_routes.ts";
import { certificateRoutes } from "./certificate_routes.ts";
import { userRoutes } from "./user_routes.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

/** The first that fits answers: a fixed path stands before one with a parameter in its place. */
export const routes: readonly Route[] = [
  ...userRoutes,
  ...agentProtocolRoutes,
  ...agentRoutes,
  ...applicationRoutes,
  ...catalogRoutes,
  ...edgeResourceRoutes,
  ...microserviceRoutes,
  ...natsRuleRoutes,
  ...routingRoutes,
  ...templateRoutes,
  ...volumeMountRoutes,
  ...keycloakUserRoutes,
  ...natsRoutes,
  ...certificateRoutes,
  { method: "HEAD", path: "/capabilities/edgeResources", success: 204, handle: capability },
  { method: "HEAD", path: "/capabilities/applicationTemplates", success: 204, handle: capability },
  { method: "HEAD", path: "/capabilities/nats", only: "3.7.3", success: 204, handle: capability },
  { method: "GET", path: "/config", success: 200, failures: rejected, handle: listConfig },
  {
    method: "GET",
    path: "/config/:key",
    success: 200,
    failures: { ...rejected, NotFoundError: 404 },
    handle: readConfig,
  },
  {
    method: "PUT",
    path: "/config",
    success: 200,
    failures: rejectedOrInvalid,
    templated: true,
    handle: writeConfig,
  },
  { method: "GET", path: "/status", success: 200, handle: status },
  {
    method: "GET",
    path: "/email-activation",
    only: "3.0.4",
    success: 200,
    handle: () => ({ isEmailActivationEnabled: false }),
  },
  { method: "GET", path: "/fog-types", success: 200, handle: () => ({ fogTypes }) },
  {
    method: "GET",
    path: "/router",
    success: 200,
    failures: { ...rejected, NotFoundError: 404 },
    handle: readRouter,
  },
  {
    method: "PUT",
    path: "/router",
    success: 200,
    failures: rejectedOrInvalid,
    templated: true,
    handle: writeRouter,
  },
];

const fogTypes = [
  {
    id: 0,
    name: "Unspecified",
    image: "iointegrator0.png",
    description: "Unspecified device. Fog Type will be selected on provision",
  },
  {
    id: 1,
    name: "Standard Linux (x86)",
    image: "iointegrator1.png",
    description: "A standard Linux server of at least moderate processing power and capacity. " +
      "Compatible with common Linux types such as Ubuntu, Red Hat, and CentOS.",
  },
  {
    id: 2,
    name: "ARM Linux",
    image: "iointegrator2.png",
    description: "A version of ioFog meant to run on Linux systems with ARM processors. " +
      "Microservices for this ioFog type will be tailored to ARM systems.",
  },
];

/** What a router gets that is written without its ports. */
const defaultPorts = {
  "3.0.4": { messagingPort: 5672, edgeRouterPort: 56722, interRouterPort: 56721 },
  "3.7.3": { messagingPort: 5671, edgeRouterPort: 45671, interRouterPort: 55671 },
};

const text: PropertySchema = { type: "string" };
const port: PropertySchema = { type: "integer", minimum: 1, maximum: 65535 };

const schemas = {
  router: {
    properties: { messagingPort: port, interRouterPort: port, edgeRouterPort: port, host: text },
    required: ["host"],
  },
  config: { properties: { key: { type: "string", minLength: 1 }, value: text }, required: ["key", "value"] },
} satisfies Record<string, BodySchema>;

function status({ clock, version, startedAt }: World) {
  const uptimeSec = (clock.monotonic() - startedAt) / 1000;
  const versions = { controller: version, ...(version === "3.0.4" ? { ecnViewer: "3.0.2" } : {}) };
  return { status: "online", timestamp: clock.now(), uptimeSec, versions };
}

/** 3.0.4 asks nobody who they are. */
function capability(world: World, call: Call): void {
  if (world.version === "3.7.3") authenticated(world, call);
}

function readRouter(world: World, call: Call) {
  authenticated(world, call);
  const { router } = world.state;
  if (router === undefined) throw new Failure("NotFoundError", "Invalid router 'default-router'");
  const { host, messagingPort, edgeRouterPort, interRouterPort } = router;
  return { host, messagingPort, edgeRouterPort, interRouterPort };
}

/** Ports that are left out go back to their defaults. */
function writeRouter(world: World, call: Call) {
  authenticated(world, call);
  const given = validate(call.body, schemas.router) as Partial<RouterRow>;
  const before = world.state.router;
  const now = new Date(world.clock.now()).toISOString();
  const defaults = defaultPorts[world.version];
  const messagingPort = given.messagingPort ?? defaults.messagingPort;
  const edgeRouterPort = given.edgeRouterPort ?? defaults.edgeRouterPort;
  const interRouterPort = given.interRouterPort ?? defaults.interRouterPort;
  const host = `${given.host}`;
  const row: RouterRow = {
    id: before?.id ?? 1,
    isEdge: false,
    messagingPort,
    edgeRouterPort,
    interRouterPort,
    host,
    isDefault: true,
    createdAt: before?.createdAt ?? now,
    updatedAt: now,
  };
  world.state.router = row;
  // A row that was read back carries the agent's reference twice; a new one does not.
  return before === undefined ? row : { ...row, iofog_uuid: null, iofogUuid: null };
}

function listConfig(world: World, call: Call) {
  authenticated(world, call);
  return { config: world.state.config.map(({ key, value }) => ({ key, value })) };
}

function readConfig(world: World, call: Call) {
  authenticated(world, call);
  const wanted = call.parameters.key;
  const row = world.state.config.find(({ key }) => key === wanted);
  if (row === undefined) throw new Failure("NotFoundError", `Unkown config key '${wanted}'`);
  return { key: row.key, value: row.value };
}

function writeConfig(world: World, call: Call) {
  authenticated(world, call);
  const { state } = world;
  const given = validate(call.body, schemas.config);
  const key = `${given.key}`;
  const now = new Date(world.clock.now()).toISOString();
  const before = state.config.find((row) => row.key === key);
  const id = before?.id ?? ++state.lastIds.config;
  const row = { id, key, value: `${given.value}`, createdAt: before?.createdAt ?? now, updatedAt: now };
  state.config = before === undefined
    ? [...state.config, row]
    : state.config.map((other) => other === before ? row : other);
  return row;
}
