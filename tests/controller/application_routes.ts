/** Applications (sources of 3.0.4 and 3.7.3; seen on running servers). */

import { type ApplicationRow, type MicroserviceRow, nextId, reusedId } from "./edge_state.ts";
import { microserviceSchemas, resourceName } from "./microservice_schemas.ts";
import {
  createMicroservice,
  deleteMicroservice,
  microserviceView,
  updateMicroservice,
} from "./microservices.ts";
import { type NatsConfig, natsConfigOf, natsConfigSchema } from "./nats_rules.ts";
import { createRouting, routingCreate, updateRouting } from "./routing_routes.ts";
import {
  authenticated,
  type Call,
  mark,
  rejected,
  rejectedInvalidOrMissing,
  rejectedOrInvalid,
  rejectedOrMissing,
  type Route,
  timestamp,
  turn,
  type Version,
  type World,
} from "./route.ts";
import { fromTemplate } from "./template_routes.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

export const applicationRoutes: readonly Route[] = [
  { method: "GET", path: "/application", success: 200, failures: rejected, handle: list },
  {
    method: "POST",
    path: "/application",
    success: 201,
    failures: rejectedOrInvalid,
    templated: true,
    handle: create,
  },
  {
    method: "GET",
    path: "/application/system",
    only: "3.7.3",
    success: 200,
    failures: rejected,
    handle: (world, call) => list(world, call, true),
  },
  { method: "GET", path: "/application/:name", success: 200, failures: rejectedOrMissing, handle: read },
  {
    method: "PATCH",
    path: "/application/:name",
    success: 204,
    failures: rejectedInvalidOrMissing,
    templated: true,
    handle: patch,
  },
  {
    method: "PUT",
    path: "/application/:name",
    success: 204,
    failures: rejectedInvalidOrMissing,
    templated: true,
    handle: replace,
  },
  { method: "DELETE", path: "/application/:name", success: 204, failures: rejectedOrMissing, handle: remove },
];

const flag: PropertySchema = { type: "boolean" };
const name: PropertySchema = { minLength: 1, ...resourceName };

/** `full` with what is in it, for everything but PATCH. */
function schema(version: Version, id: string, required: readonly string[], full: boolean): BodySchema {
  const microservices: PropertySchema = { type: "array", items: microserviceSchemas(version).create };
  return {
    id,
    properties: {
      name,
      ...(full && version === "3.0.4" ? { routes: { type: "array", items: routingCreate } } : {}),
      ...(full ? { microservices } : {}),
      description: { type: "string" },
      isActivated: flag,
      isSystem: flag,
      ...(version === "3.0.4" ? {} : { natsConfig: natsConfigSchema }),
    },
    required,
  };
}

const schemas = {
  "3.0.4": schemasOf("3.0.4"),
  "3.7.3": schemasOf("3.7.3"),
};

function schemasOf(version: Version) {
  return {
    create: schema(version, "/applicationCreate", ["name"], true),
    update: schema(version, "/applicationUpdate", [], true),
    patch: schema(version, "/applicationPatch", [], false),
  };
}

interface ApplicationBody {
  readonly name?: string;
  readonly description?: string;
  readonly isActivated?: boolean;
  readonly isSystem?: boolean;
  readonly natsConfig?: Partial<NatsConfig>;
  readonly microservices?: readonly Readonly<Record<string, unknown>>[];
  readonly routes?: readonly Readonly<Record<string, unknown>>[];
  readonly template?: { readonly name?: string };
}

const unknown = (name: string) => new Failure("NotFoundError", `Invalid application id '${name}'`);

/** An application as it is answered. */
export function applicationView(world: World, row: ApplicationRow): Record<string, unknown> {
  const { id, name, description, isActivated, isSystem, createdAt, updatedAt, userId, nats } = row;
  const inIt = microservicesOf(world, row);
  const microservices = inIt.map((microservice) => microserviceView(world, microservice, true));
  const common = { id, name, description, isActivated, isSystem, createdAt, updatedAt, microservices };
  if (world.version === "3.7.3") {
    return { ...common, natsAccess: nats.natsAccess, natsConfig: nats };
  }
  const routes = inIt.flatMap((source) =>
    world.state.routings.filter(({ sourceMicroserviceUuid }) => sourceMicroserviceUuid === source.uuid)
      .map((route) => ({
        name: route.name,
        from: source.name,
        to: world.state.microservices.find(({ uuid }) => uuid === route.destMicroserviceUuid)?.name,
      }))
  );
  return { ...common, userId, routes };
}

function microservicesOf({ state }: World, { id }: ApplicationRow): MicroserviceRow[] {
  return state.microservices.filter(({ applicationId }) => applicationId === id);
}

function list(world: World, call: Call, system = false) {
  const { userId } = authenticated(world, call);
  const rows = world.state.applications.filter((row) => row.userId === userId && row.isSystem === system);
  return { applications: rows.map((row) => applicationView(world, row)) };
}

function read(world: World, call: Call) {
  return applicationView(world, ofCaller(world, call));
}

function ofCaller(world: World, call: Call): ApplicationRow {
  const { userId } = authenticated(world, call);
  const { name = "" } = call.parameters;
  const row = world.state.applications.find((row) => row.name === name && row.userId === userId);
  const hidden = world.version === "3.7.3" && row?.isSystem;
  if (row === undefined || hidden) throw unknown(name);
  return row;
}

async function create(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const { state, version } = world;
  const given = await completed(world, call.body as ApplicationBody, undefined, userId);
  const body = validate(given, schemas[version].create) as ApplicationBody;
  const { name = "" } = body;
  requireFreeName(world, name, userId);
  // Nothing but the look above keeps names apart on 3.0.4; 3.7.3's database does.
  await turn();
  if (version === "3.7.3" && state.applications.some((other) => other.name === name)) {
    throw new Failure("SequelizeUniqueConstraintError", "Validation error");
  }
  const now = timestamp(world);
  const row: ApplicationRow = {
    id: version === "3.0.4" ? reusedId(state.applications) : nextId(state, "applications"),
    name,
    description: body.description ?? "",
    isActivated: body.isActivated ?? false,
    isSystem: body.isSystem ?? false,
    nats: natsConfigOf(world, "account", body.natsConfig),
    userId,
    createdAt: now,
    updatedAt: now,
  };
  state.applications.push(row);
  try {
    for (const microservice of body.microservices ?? []) createMicroservice(world, microservice, userId);
    if (version === "3.0.4") { for (const route of body.routes ?? []) createRouting(world, route, userId); }
  } catch (error) {
    deleteNamed(world, name, userId);
    throw error;
  }
  return { id: row.id, name };
}

/** The template's content where one is named; every microservice and route gets the application's name. */
async function completed(
  world: World,
  body: ApplicationBody,
  pathName: string | undefined,
  userId: number | undefined,
): Promise<ApplicationBody> {
  const { name = pathName, description, isActivated, isSystem } = body;
  const content = body.template?.name
    ? {
      ...await fromTemplate(world, body.template, userId),
      ...{ name, description, isActivated, isSystem },
    } as ApplicationBody
    : body;
  const { microservices, routes } = content;
  return {
    ...content,
    ...(Array.isArray(microservices)
      ? { microservices: microservices.map((microservice) => ({ ...microservice, application: name })) }
      : {}),
    ...(Array.isArray(routes)
      ? {
        routes: routes.map((route) => ({
          ...route,
          name: route.name || `r-${route.from}-${route.to}`,
          application: name,
        })),
      }
      : {}),
  };
}

function requireFreeName(
  { state }: World,
  name: string,
  userId: number | undefined,
  except?: ApplicationRow,
): void {
  const taken = state.applications.some((row) =>
    row !== except && row.name === name && row.userId === userId
  );
  if (taken) throw new Failure("DuplicatePropertyError", `Duplicate name '${name}'`);
}

/** Only what describes it. */
function patch(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const body = validate(call.body, schemas[world.version].patch) as ApplicationBody;
  const row = world.state.applications.find((row) =>
    row.name === call.parameters.name && row.userId === userId
  );
  // The placeholder stays in the text.
  if (row === undefined) throw unknown("{}");
  describe(world, row, body);
}

function describe(world: World, row: ApplicationRow, body: ApplicationBody): void {
  if (body.name !== undefined && body.name !== row.name) {
    if (world.version === "3.7.3") {
      throw new Failure("ValidationError", "Application Resource Name is immutable");
    }
    requireFreeName(world, body.name, row.userId, row);
  }
  Object.assign(row, {
    name: body.name ?? row.name,
    description: body.description ?? row.description,
    isActivated: body.isActivated ?? row.isActivated,
    isSystem: body.isSystem ?? row.isSystem,
    nats: natsConfigOf(world, "account", body.natsConfig, row.nats),
    updatedAt: timestamp(world),
  });
  markAgents(world, microservicesOf(world, row));
}

function markAgents(world: World, microservices: readonly MicroserviceRow[]): void {
  const on = new Set(microservices.map(({ iofogUuid }) => iofogUuid));
  for (const agent of world.state.agents.filter(({ uuid }) => on.has(uuid))) {
    mark(world, agent, "microserviceList", "microserviceConfig", "routing");
  }
}

/** Each step is done by the time the next one fails. */
async function replace(world: World, call: Call): Promise<void> {
  const { userId } = authenticated(world, call);
  const { version } = world;
  const { name: pathName } = call.parameters;
  const given = await completed(world, call.body as ApplicationBody, pathName, userId);
  const body = validate(given, schemas[version].update) as ApplicationBody;
  const row = ofCaller(world, call);
  describe(world, row, body);
  if (body.microservices !== undefined) replaceMicroservices(world, row, body.microservices, userId);
  if (body.routes !== undefined && version === "3.0.4") replaceRoutes(world, row, body.routes, userId);
}

function replaceMicroservices(
  world: World,
  row: ApplicationRow,
  wanted: readonly Readonly<Record<string, unknown>>[],
  userId: number | undefined,
): void {
  const left = [...wanted];
  for (const existing of microservicesOf(world, row)) {
    const at = left.findIndex(({ name }) => name === existing.name);
    if (at < 0) deleteMicroservice(world, existing);
    else updateMicroservice(world, existing.uuid, left.splice(at, 1)[0], userId);
  }
  for (const microservice of left) createMicroservice(world, microservice, userId);
}

function replaceRoutes(
  world: World,
  row: ApplicationRow,
  wanted: readonly Readonly<Record<string, unknown>>[],
  userId: number | undefined,
): void {
  const left = [...wanted];
  for (const existing of world.state.routings.filter(({ applicationId }) => applicationId === row.id)) {
    const at = left.findIndex(({ name }) => name === existing.name);
    // The real one takes the route's name for the application's here.
    if (at < 0) throw new Failure("NotFoundError", `Invalid application name '${existing.name}'`);
    updateRouting(world, row.name, existing.name, left.splice(at, 1)[0], userId);
  }
  for (const route of left) createRouting(world, route, userId);
}

function remove(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const { name = "" } = call.parameters;
  const row = world.state.applications.find((row) => row.name === name && row.userId === userId);
  if (world.version === "3.7.3") {
    if (row === undefined) {
      throw new Failure("TypeError", "Cannot read properties of null (reading 'isSystem')");
    }
    if (row.isSystem) throw new Failure("ValidationError", "Cannot delete system application.");
  }
  deleteNamed(world, name, userId);
}

/** The microservices of the first application of that name, whoever owns it; the caller's applications of that name. */
function deleteNamed(world: World, name: string, userId: number | undefined): void {
  const { state } = world;
  const firstOne = state.applications.find((row) => row.name === name);
  const owned = state.applications.filter((row) => row.name === name && row.userId === userId);
  for (const row of new Set([...firstOne === undefined ? [] : [firstOne], ...owned])) {
    const inIt = microservicesOf(world, row);
    markAgents(world, inIt);
    for (const microservice of inIt) deleteMicroservice(world, microservice);
  }
  state.applications = state.applications.filter((row) => !owned.includes(row));
}
