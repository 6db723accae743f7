/** Routes between microservices; only 3.0.4 has them (sources of 3.0.4; seen on a running server). */

import { type MicroserviceRow, reusedId, type RoutingRow } from "./edge_state.ts";
import { resourceName } from "./microservice_schemas.ts";
import { applicationFor } from "./microservices.ts";
import {
  authenticated,
  type Call,
  mark,
  rejectedInvalidOrMissing,
  rejectedOrMissing,
  type Route,
  type World,
} from "./route.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

const table: readonly Omit<Route, "only">[] = [
  { method: "GET", path: "/routes", success: 200, failures: rejectedOrMissing, handle: list },
  {
    method: "POST",
    path: "/routes",
    success: 200,
    failures: { ...rejectedInvalidOrMissing, DuplicatePropertyError: 400 },
    templated: true,
    handle: create,
  },
  { method: "GET", path: "/routes/:appName/:name", success: 200, failures: rejectedOrMissing, handle: read },
  {
    method: "PATCH",
    path: "/routes/:appName/:name",
    success: 204,
    failures: rejectedInvalidOrMissing,
    templated: true,
    handle: update,
  },
  {
    method: "DELETE",
    path: "/routes/:appName/:name",
    success: 204,
    failures: rejectedOrMissing,
    handle: remove,
  },
  {
    method: "POST",
    path: "/microservices/:uuid/routes/:receiverUuid",
    success: 201,
    failures: rejectedInvalidOrMissing,
    handle: createBetween,
  },
  {
    method: "DELETE",
    path: "/microservices/:uuid/routes/:receiverUuid",
    success: 204,
    failures: rejectedInvalidOrMissing,
    handle: removeBetween,
  },
];

export const routingRoutes: readonly Route[] = table.map((route) => ({ ...route, only: "3.0.4" }));

const text: PropertySchema = { type: "string" };
const byNames = { from: resourceName, to: resourceName, application: resourceName };
const byUuids = { sourceMicroserviceUuid: text, destMicroserviceUuid: text };

/** A route in a body: its ends by name or by uuid, never both. */
export const routingCreate: BodySchema = {
  id: "/routingCreate",
  type: "object",
  properties: { name: resourceName },
  oneOf: [
    { properties: byNames, required: ["name", "from", "to"] },
    { properties: byUuids, required: ["name", "sourceMicroserviceUuid", "destMicroserviceUuid"] },
  ],
  required: [],
};
const routingUpdate: BodySchema = {
  id: "/routingUpdate",
  type: "object",
  properties: { name: resourceName },
  oneOf: [
    { properties: byNames, required: ["from", "to", "application"] },
    { properties: byUuids, required: ["sourceMicroserviceUuid", "destMicroserviceUuid"] },
  ],
  required: [],
};

interface RoutingBody {
  readonly name?: string;
  readonly application?: string;
  readonly from?: string;
  readonly to?: string;
  readonly sourceMicroserviceUuid?: string;
  readonly destMicroserviceUuid?: string;
}

const missing = (message: string) => new Failure("NotFoundError", message);

/** Everybody's. */
function list(world: World, call: Call) {
  authenticated(world, call);
  return { routes: world.state.routings.map((route) => view(world, route)) };
}

function view({ state }: World, route: RoutingRow) {
  const { name, sourceMicroserviceUuid, destMicroserviceUuid } = route;
  const nameOf = (wanted: string) => state.microservices.find(({ uuid }) => uuid === wanted)?.name;
  return {
    application: state.applications.find(({ id }) => id === route.applicationId)?.name,
    ...{ name, from: nameOf(sourceMicroserviceUuid), to: nameOf(destMicroserviceUuid) },
    ...{ sourceMicroserviceUuid, destMicroserviceUuid },
  };
}

function read(world: World, call: Call) {
  authenticated(world, call);
  return view(world, named(world, call.parameters.appName, call.parameters.name));
}

/** Of whatever user. */
function named(
  { state }: World,
  appName: string | undefined,
  name: string | undefined,
  unknown?: string,
): RoutingRow {
  const application = state.applications.find((application) => application.name === appName);
  if (application === undefined) throw missing(`Invalid application name '${appName}'`);
  const route = state.routings.find((route) => route.name === name && route.applicationId === application.id);
  if (route === undefined) throw missing(unknown ?? `Invalid route name '${name}'`);
  return route;
}

function create(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  return createRouting(world, call.body, userId);
}

/** Makes a route, and has both ends rebuilt. */
export function createRouting(world: World, given: unknown, userId: number | undefined) {
  const body = validate(given, routingCreate) as RoutingBody;
  const { state } = world;
  const [source, dest] = endsOf(world, body, userId);
  if (source.applicationId !== dest.applicationId) {
    throw new Failure("ValidationError", "microservices on different applications");
  }
  const exists = state.routings.some((route) =>
    route.sourceMicroserviceUuid === source.uuid && route.destMicroserviceUuid === dest.uuid
  );
  if (exists) throw new Failure("DuplicatePropertyError", "route already exists");
  const { applicationId } = source;
  const { name = "" } = body;
  requireUnique(state.routings, applicationId, name);
  const route = {
    ...{ id: reusedId(state.routings), name, applicationId },
    ...{ sourceMicroserviceUuid: source.uuid, destMicroserviceUuid: dest.uuid },
  };
  state.routings.push(route);
  rebuild(world, source, dest);
  return { isNetworkConnection: false, ...route };
}

function endsOf(
  world: World,
  body: RoutingBody,
  userId: number | undefined,
): [MicroserviceRow, MicroserviceRow] {
  const { microservices } = world.state;
  const unknown = (end: string, name: string | undefined) =>
    missing(`Invalid ${end} microservice name '${name}'`);
  const { sourceMicroserviceUuid: sourceUuid, destMicroserviceUuid: destUuid } = body;
  if (sourceUuid !== undefined) {
    const source = microservices.find(({ uuid }) => uuid === sourceUuid);
    if (source === undefined) throw unknown("source", sourceUuid);
    const dest = microservices.find(({ uuid }) => uuid === destUuid);
    if (dest === undefined) throw unknown("destination", destUuid);
    return [source, dest];
  }
  const application = applicationFor(world, body.application, userId);
  if (application === undefined) {
    throw new Failure("Error", 'WHERE parameter "name" has invalid "undefined" value');
  }
  const inIt = microservices.filter(({ applicationId }) => applicationId === application.id);
  const source = inIt.find(({ name }) => name === body.from);
  if (source === undefined) throw unknown("source", body.from);
  const dest = inIt.find(({ name }) => name === body.to);
  if (dest === undefined) throw unknown("destination", body.to);
  return [source, dest];
}

function requireUnique(
  rows: readonly RoutingRow[],
  applicationId: number,
  name: string,
  except?: RoutingRow,
): void {
  if (rows.some((row) => row !== except && row.applicationId === applicationId && row.name === name)) {
    throw new Failure("SequelizeUniqueConstraintError", "Validation error");
  }
}

function rebuild(world: World, ...rows: readonly MicroserviceRow[]): void {
  for (const row of rows) {
    row.rebuild = true;
    const agent = world.state.agents.find(({ uuid }) => uuid === row.iofogUuid);
    if (agent !== undefined) mark(world, agent, "microserviceList", "microserviceConfig", "routing");
  }
}

function update(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const { appName, name } = call.parameters;
  updateRouting(world, appName, name, call.body, userId);
}

/** Changes a route; its application is what the path says, whatever the body does. */
export function updateRouting(
  world: World,
  appName: string | undefined,
  name: string | undefined,
  given: unknown,
  userId: number | undefined,
): void {
  const body = validate(given, routingUpdate) as RoutingBody;
  const route = named(world, appName, name);
  const [source, dest] = endsOf(world, {
    ...body,
    ...(appName === undefined ? {} : { application: appName }),
  }, userId);
  const renamed = body.name ?? route.name;
  requireUnique(world.state.routings, route.applicationId, renamed, route);
  if (source.uuid !== route.sourceMicroserviceUuid) rebuild(world, source);
  if (dest.uuid !== route.destMicroserviceUuid) rebuild(world, dest);
  route.name = renamed;
  route.sourceMicroserviceUuid = source.uuid;
  route.destMicroserviceUuid = dest.uuid;
}

function remove(world: World, call: Call): void {
  authenticated(world, call);
  const { state } = world;
  const route = named(world, call.parameters.appName, call.parameters.name, "Route not found");
  state.routings = state.routings.filter((other) => other !== route);
}

/** The older way, with a name made of the ends'. */
function createBetween(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const { uuid: sourceMicroserviceUuid, receiverUuid: destMicroserviceUuid } = call.parameters;
  const { microservices } = world.state;
  const source = microservices.find(({ uuid }) => uuid === sourceMicroserviceUuid);
  if (source === undefined) throw missing(`Invalid source microservice UUID '${sourceMicroserviceUuid}'`);
  const dest = microservices.find(({ uuid }) => uuid === destMicroserviceUuid);
  if (dest === undefined) throw missing("Invalid source microservice UUID 'null'");
  const name = `r-${source.name}-${dest.name}`;
  return createRouting(world, { name, sourceMicroserviceUuid, destMicroserviceUuid }, userId);
}

function removeBetween(world: World, call: Call): void {
  authenticated(world, call);
  const { state } = world;
  const { uuid, receiverUuid } = call.parameters;
  const route = state.routings.find((route) =>
    route.sourceMicroserviceUuid === uuid && route.destMicroserviceUuid === receiverUuid
  );
  if (route === undefined) throw missing("Route not found");
  state.routings = state.routings.filter((other) => other !== route);
}
