/** Edge resources (sources of 3.0.4 and 3.7.3; seen on running servers). 3.7.3 cannot read a single one. */

import { type AgentRow, type EdgeResourceRow, nextId } from "./edge_state.ts";
import { resourceName } from "./microservice_schemas.ts";
import {
  authenticated,
  type Call,
  mark,
  rejected,
  rejectedInvalidOrMissing,
  rejectedOrInvalid,
  rejectedOrMissing,
  type Route,
  turn,
  type World,
} from "./route.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

export const edgeResourceRoutes: readonly Route[] = [
  { method: "GET", path: "/edgeResources", success: 200, failures: rejected, handle: list },
  {
    method: "GET",
    path: "/edgeResource/:name",
    success: 200,
    failures: rejectedOrMissing,
    handle: readVersions,
  },
  {
    method: "GET",
    path: "/edgeResource/:name/:version",
    success: 200,
    failures: rejectedOrMissing,
    handle: read,
  },
  {
    method: "POST",
    path: "/edgeResource",
    success: 200,
    failures: rejectedOrInvalid,
    templated: true,
    handle: create,
  },
  {
    method: "PUT",
    path: "/edgeResource/:name/:version",
    success: 200,
    failures: rejectedInvalidOrMissing,
    templated: true,
    handle: put,
  },
  {
    method: "DELETE",
    path: "/edgeResource/:name/:version",
    success: 202,
    failures: rejectedInvalidOrMissing,
    handle: remove,
  },
  {
    method: "POST",
    path: "/edgeResource/:name/:version/link",
    success: 200,
    failures: rejectedOrInvalid,
    handle: link,
  },
  {
    method: "DELETE",
    path: "/edgeResource/:name/:version/link",
    success: 200,
    failures: rejectedOrInvalid,
    handle: unlink,
  },
];

const text: PropertySchema = { type: "string" };
const protocols = ["http", "https", "ws", "wss"];

const endpoint: PropertySchema = {
  type: "object",
  properties: {
    name: resourceName,
    description: text,
    method: { enum: ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] },
    ...{ url: text, requestType: text, responseType: text },
    ...{ requestPayloadExample: text, responsePayloadExample: text },
  },
};

/** As it came to be, without its backslashes: no part may have two digits. */
const semanticVersion = "^v?(0|[1-9]d*).(0|[1-9]d*).(0|[1-9]d*)" +
  "(?:-((?:0|[1-9]d*|d*[a-zA-Z-][0-9a-zA-Z-]*)(?:.(?:0|[1-9]d*|d*[a-zA-Z-][0-9a-zA-Z-]*))*))?" +
  "(?:[+]([0-9a-zA-Z-]+(?:.[0-9a-zA-Z-]+)*))?$";

/** What is wrong in here is told as one error of the whole. */
const edgeResource: PropertySchema = {
  id: "/edgeResource",
  type: "object",
  properties: {
    display: { type: "object", properties: { name: text, color: text, icon: text } },
    name: { minLength: 1, ...resourceName },
    version: { type: "string", minLength: 1, pattern: semanticVersion },
    description: text,
    orchestrationTags: { type: "array", items: text },
    interfaceProtocol: { enum: protocols },
  },
  oneOf: [{
    properties: {
      interfaceProtocol: { enum: protocols },
      interface: { type: "object", properties: { endpoints: { type: "array", items: endpoint } } },
    },
  }],
};
const edgeResourceCreate: BodySchema = {
  id: "/edgeResourceCreate",
  properties: {},
  allOf: [edgeResource],
  required: ["name", "version"],
};
const edgeResourceUpdate: BodySchema = { ...edgeResourceCreate, id: "/edgeResourceUpdate", required: [] };

interface EdgeResourceBody {
  readonly name?: string;
  readonly version?: string;
  readonly description?: string;
  readonly interfaceProtocol?: string;
  readonly interface?: { readonly endpoints?: readonly Readonly<Record<string, unknown>>[] };
  readonly display?: Readonly<Record<string, string>>;
  readonly custom?: unknown;
  readonly orchestrationTags?: readonly string[];
}

/** As the list has it: without interface. */
export function edgeResourceView(row: EdgeResourceRow): Record<string, unknown> {
  const { id, name, version, interfaceProtocol, custom } = row;
  const { name: displayName = null, icon = null, color = null } = row.display;
  return {
    ...{ id, name, description: row.description ?? null, version, interfaceProtocol },
    ...{ display: { name: displayName, icon, color }, custom, orchestrationTags: [...row.orchestrationTags] },
  };
}

/** With interface, where it still has one. */
export function fullView(row: EdgeResourceRow): Record<string, unknown> {
  const view = edgeResourceView(row);
  if (row.interface === undefined) return view;
  const { id, endpoints } = row.interface;
  return { ...view, interface: { id, edgeResourceId: row.id, endpoints } };
}

/** Right after it was made, before the tags were read again. */
function newView(row: EdgeResourceRow): Record<string, unknown> {
  const { id, name, description, version, interfaceProtocol, display, custom } = row;
  return { id, name, description, version, interfaceProtocol, display, custom, orchestrationTags: [] };
}

function list(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const own = world.state.edgeResources.filter((row) => row.userId === userId);
  // The order of the tags is not the one of the other answers.
  return {
    edgeResources: own.map((row) =>
      edgeResourceView({ ...row, orchestrationTags: row.orchestrationTags.toReversed() })
    ),
  };
}

function readVersions(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const rows = world.state.edgeResources.filter((row) =>
    row.name === call.parameters.name && row.userId === userId
  );
  if (rows.length > 0) requireReadable(world);
  if (rows.some((row) => row.interface === undefined)) {
    throw new Failure("TypeError", "Cannot read properties of null (reading 'toJSON')");
  }
  return { edgeResources: rows.map(fullView) };
}

function read(world: World, call: Call) {
  const row = ofCaller(world, call);
  requireReadable(world);
  return fullView(row);
}

/** The database of 3.7.3 lacks columns. */
function requireReadable({ version }: World): void {
  if (version === "3.0.4") return;
  throw new Failure("SequelizeDatabaseError", "SQLITE_ERROR: no such column: endpoints.request_type");
}

function ofCaller(world: World, call: Call): EdgeResourceRow {
  const { userId } = authenticated(world, call);
  const { name, version } = call.parameters;
  const row = find(world, name, version, userId);
  if (row === undefined) {
    throw new Failure("NotFoundError", `Could not find resource ${name} version ${version}`);
  }
  return row;
}

function find(
  { state }: World,
  name: string | undefined,
  version: string | undefined,
  userId: number | undefined,
) {
  return state.edgeResources.find((row) =>
    row.name === name && row.version === version && row.userId === userId
  );
}

async function create(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  return await insert(world, call.body, userId);
}

async function insert(world: World, given: unknown, userId: number | undefined) {
  const body = validate(given, edgeResourceCreate) as EdgeResourceBody;
  const { name = "", version = "", interfaceProtocol } = body;
  if (find(world, name, version, userId) !== undefined) {
    throw new Failure("ValidationError", `Resource ${name} version ${version} already exists`);
  }
  // Nothing but the look above keeps names apart.
  await turn();
  const id = nextId(world.state, "edgeResources");
  // A row whose interface cannot be made is taken away again; its id is not given twice.
  if (interfaceProtocol === undefined) {
    throw new Failure("TypeError", "Cannot read properties of undefined (reading 'id')");
  }
  const row: EdgeResourceRow = {
    ...{ id, userId, name, version, description: body.description, interfaceProtocol },
    ...{ display: body.display ?? {}, custom: body.custom ?? {} },
    orchestrationTags: [...new Set(body.orchestrationTags)],
    interface: newInterface(world, body),
  };
  world.state.edgeResources.push(row);
  return newView(row);
}

function newInterface(world: World, body: EdgeResourceBody): NonNullable<EdgeResourceRow["interface"]> {
  if (body.interface === undefined) {
    throw new Failure(
      "TypeError",
      "Cannot destructure property 'endpoints' of 'undefined' as it is undefined.",
    );
  }
  const id = nextId(world.state, "interfaces");
  return { id, endpoints: endpointsOf(world, body, id) };
}

const emptyEndpoint = {
  ...{ name: null, description: null, method: null, url: null, requestType: null, responseType: null },
  ...{ requestPayloadExample: null, responsePayloadExample: null },
};

/** Names of columns that the database of 3.7.3 lacks. */
const lackingColumns = {
  requestType: "request_type",
  responseType: "response_type",
  requestPayloadExample: "request_payload_example",
  responsePayloadExample: "response_payload_example",
};

function endpointsOf({ state, version }: World, body: EdgeResourceBody, interfaceId: number) {
  for (const [key, column] of version === "3.7.3" ? Object.entries(lackingColumns) : []) {
    if (!body.interface?.endpoints?.some((endpoint) => endpoint[key] !== undefined)) continue;
    const table = "table HTTPBasedResourceInterfaceEndpoints";
    throw new Failure("SequelizeDatabaseError", `SQLITE_ERROR: ${table} has no column named ${column}`);
  }
  return (body.interface?.endpoints ?? []).map((endpoint) => {
    const known = Object.keys(emptyEndpoint).filter((name) => endpoint[name] !== undefined);
    const given = Object.fromEntries(known.map((name) => [name, endpoint[name]]));
    return { id: nextId(state, "endpoints"), ...emptyEndpoint, ...given, interfaceId };
  });
}

/** Answers what it made, and nothing where it changed something. A new protocol costs the interface, for good. */
async function put(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const body = validate(call.body, edgeResourceUpdate) as EdgeResourceBody;
  const { name: pathName = "", version = "" } = call.parameters;
  const row = find(world, pathName, version, userId);
  if (row === undefined) {
    return await insert(
      world,
      { ...body, name: body.name ?? pathName, version: body.version ?? version },
      userId,
    );
  }
  if (body.version !== undefined && body.version !== row.version) {
    throw new Failure(
      "ValidationError",
      "Cannot update resource version using update route. Please use the create new resource route.",
    );
  }
  const { name = row.name, interfaceProtocol = row.interfaceProtocol } = body;
  if (name !== row.name && find(world, name, version, userId) !== undefined) {
    throw new Failure("DuplicatePropertyError", `Resource ${name} version ${version} already exists`);
  }
  const changesProtocol = interfaceProtocol !== row.interfaceProtocol;
  Object.assign(row, { name, interfaceProtocol });
  row.description = body.description ?? row.description;
  row.display = body.display ?? row.display;
  row.custom = body.custom ?? row.custom;
  if (body.orchestrationTags !== undefined) retag(world, row, [...new Set(body.orchestrationTags)]);
  if (changesProtocol) {
    row.interface = undefined;
    newInterface(world, body);
  } else if (body.interface !== undefined && row.interface !== undefined) {
    row.interface.endpoints = endpointsOf(world, body, row.interface.id);
  }
}

function retag(world: World, row: EdgeResourceRow, tags: string[]): void {
  for (const agent of linked(world, row)) {
    removeTags(agent, row.orchestrationTags);
    agent.tags = [...new Set([...agent.tags, ...tags])];
    mark(world, agent, "linkedEdgeResources");
  }
  row.orchestrationTags = tags;
}

function linked({ state }: World, { id }: EdgeResourceRow): AgentRow[] {
  return state.agents.filter(({ edgeResources }) => edgeResources.includes(id));
}

/** Those that the agent had on its own as well. */
function removeTags(agent: AgentRow, tags: readonly string[]): void {
  agent.tags = agent.tags.filter((tag) => !tags.includes(tag));
}

function remove(world: World, call: Call): void {
  const row = ofCaller(world, call);
  const { state } = world;
  for (const agent of linked(world, row)) {
    removeTags(agent, row.orchestrationTags);
    agent.edgeResources = agent.edgeResources.filter((id) => id !== row.id);
    mark(world, agent, "linkedEdgeResources");
  }
  state.edgeResources = state.edgeResources.filter((other) => other !== row);
}

function link(world: World, call: Call): void {
  const { row, agent } = ends(world, call);
  if (!agent.edgeResources.includes(row.id)) agent.edgeResources.push(row.id);
  agent.tags = [...new Set([...agent.tags, ...row.orchestrationTags])];
  mark(world, agent, "linkedEdgeResources");
}

function unlink(world: World, call: Call): void {
  const { row, agent } = ends(world, call);
  agent.edgeResources = agent.edgeResources.filter((id) => id !== row.id);
  removeTags(agent, row.orchestrationTags);
  mark(world, agent, "linkedEdgeResources");
}

function ends(world: World, call: Call): { readonly row: EdgeResourceRow; readonly agent: AgentRow } {
  const { userId } = authenticated(world, call);
  const row = ofCaller(world, call);
  const { uuid } = call.body as { readonly uuid?: string };
  if (uuid === undefined) throw new Failure("Error", 'WHERE parameter "uuid" has invalid "undefined" value');
  const agent = world.state.agents.find((agent) => agent.uuid === uuid && agent.userId === userId);
  if (agent === undefined) throw new Failure("NotFoundError", `Could not find agent ${uuid}`);
  return { row, agent };
}
