/** Application templates (sources of 3.0.4 and 3.7.3; seen on running servers). */

import { nextId, type TemplateRow, type TemplateVariableRow } from "./edge_state.ts";
import { resourceName } from "./microservice_schemas.ts";
import { findersFor } from "./finders.ts";
import { renderBody } from "./rendering.ts";
import {
  authenticated,
  type Call,
  rejected,
  rejectedInvalidOrMissing,
  rejectedOrInvalid,
  rejectedOrMissing,
  type Route,
  timestamp,
  type World,
} from "./route.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

export const templateRoutes: readonly Route[] = [
  { method: "GET", path: "/applicationTemplates", success: 200, failures: rejected, handle: list },
  { method: "POST", path: "/applicationTemplate", success: 201, failures: rejectedOrInvalid, handle: create },
  {
    method: "GET",
    path: "/applicationTemplate/:name",
    success: 200,
    failures: rejectedOrMissing,
    handle: read,
  },
  {
    method: "PATCH",
    path: "/applicationTemplate/:name",
    success: 204,
    failures: rejectedInvalidOrMissing,
    handle: patch,
  },
  {
    method: "PUT",
    path: "/applicationTemplate/:name",
    success: 200,
    failures: rejectedInvalidOrMissing,
    handle: put,
  },
  {
    method: "DELETE",
    path: "/applicationTemplate/:name",
    success: 204,
    failures: rejectedOrMissing,
    handle: remove,
  },
];

const text: PropertySchema = { type: "string" };
const name: PropertySchema = { minLength: 1, ...resourceName };
const variable: PropertySchema = {
  type: "object",
  properties: { key: name, description: text },
  required: ["key"],
};
/** What is in the application is looked at when it is used. */
const properties = { name, description: text, variables: { type: "array", items: variable } } as const;
const templateCreate: BodySchema = { properties, required: ["name"] };
const templateUpdate: BodySchema = { properties, required: [] };
const templateUse: BodySchema = {
  properties: { name, variables: { type: "array", items: { type: "object" } } },
  required: ["name"],
};

interface TemplateBody {
  readonly name?: string;
  readonly description?: string;
  readonly variables?: readonly {
    readonly key: string;
    readonly description?: string;
    readonly defaultValue?: unknown;
  }[];
  readonly application?: unknown;
}

/** A list tells a default as the JSON that is stored. */
function view(row: TemplateRow, rawDefaults: boolean): Record<string, unknown> {
  const { id, name, description, createdAt, updatedAt, userId } = row;
  const variables = row.variables.map(({ defaultValue, ...variable }) => ({
    ...variable,
    defaultValue: rawDefaults || defaultValue === null ? defaultValue : JSON.parse(defaultValue),
    applicationTemplateId: id,
  }));
  const owner = userId === undefined ? {} : { userId };
  return {
    ...{ id, name, description, schemaVersion: "", createdAt, updatedAt },
    ...owner,
    ...{ variables, application: JSON.parse(row.application) },
  };
}

function list(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const own = world.state.templates.filter((row) => row.userId === userId);
  return { applicationTemplates: own.map((row) => view(row, true)) };
}

function read(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const { name } = call.parameters;
  return view(named(world, name, userId, `Could not find Application Template ${name}`), false);
}

function named(
  world: World,
  name: string | undefined,
  userId: number | undefined,
  unknown: string,
): TemplateRow {
  const row = world.state.templates.find((row) => row.name === name && row.userId === userId);
  if (row === undefined) throw new Failure("NotFoundError", unknown);
  return row;
}

function create(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  return insert(world, call.body as TemplateBody, userId);
}

function insert(world: World, given: TemplateBody, userId: number | undefined) {
  const body = validate(given, templateCreate) as TemplateBody;
  const { name = "", description = "", application } = body;
  requireFreeName(world, name, userId);
  const now = timestamp(world);
  const id = nextId(world.state, "templates");
  world.state.templates.push({
    ...{ id, userId, name, description, application: JSON.stringify(application ?? {}) },
    ...{ variables: variablesOf(world, body), createdAt: now, updatedAt: now },
  });
  return { id, name };
}

function requireFreeName(
  { state }: World,
  name: string,
  userId: number | undefined,
  except?: TemplateRow,
): void {
  if (state.templates.some((row) => row !== except && row.name === name && row.userId === userId)) {
    throw new Failure("DuplicatePropertyError", `Duplicate name '${name}'`);
  }
}

function variablesOf(world: World, { variables = [] }: TemplateBody): TemplateVariableRow[] {
  const now = timestamp(world);
  return variables.map(({ key, description = "", defaultValue }) => ({
    ...{ id: nextId(world.state, "templateVariables"), key, description },
    ...{ defaultValue: defaultValue === undefined ? null : JSON.stringify(defaultValue) },
    ...{ createdAt: now, updatedAt: now },
  }));
}

/** Name and description only. */
function patch(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const body = validate(call.body, templateUpdate) as TemplateBody;
  const row = named(world, call.parameters.name, userId, "Invalid application id '{}'");
  if (body.name !== undefined) requireFreeName(world, body.name, userId, row);
  row.name = body.name ?? row.name;
  row.description = body.description ?? row.description;
  row.updatedAt = timestamp(world);
}

/** An application that is left out becomes an empty one; variables that are left out stay. */
function put(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const body = validate(call.body, templateUpdate) as TemplateBody;
  const { name: pathName = "" } = call.parameters;
  const row = world.state.templates.find((row) => row.name === pathName && row.userId === userId);
  if (row === undefined) return insert(world, { ...body, name: pathName }, userId);
  if (body.name !== undefined) requireFreeName(world, body.name, userId, row);
  row.name = body.name ?? row.name;
  row.description = body.description ?? row.description;
  row.application = JSON.stringify(body.application ?? {});
  if (body.variables !== undefined) row.variables = variablesOf(world, body);
  row.updatedAt = timestamp(world);
  return { id: row.id, name: row.name };
}

function remove(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const { state } = world;
  state.templates = state.templates.filter((row) =>
    row.name !== call.parameters.name || row.userId !== userId
  );
}

/**
 * The application that a template gives with these variables: a copy, that nothing connects to the template.
 *
 * @throws Failure for a template that is not there.
 */
export async function fromTemplate(
  world: World,
  given: unknown,
  userId: number | undefined,
): Promise<Record<string, unknown>> {
  const body = validate(given, templateUse) as {
    readonly name?: string;
    readonly variables?: readonly { readonly key: string; readonly value: unknown }[];
  };
  // The placeholder stays in the text.
  const row = named(world, body.name, userId, "Could not find Application Template {}");
  const application = JSON.parse(row.application) as { microservices?: Record<string, unknown>[] };
  if (application.microservices === undefined) {
    throw new Failure("TypeError", "newApplication.microservices is not iterable");
  }
  const defaults = row.variables.map(({ key, defaultValue }) => [key, JSON.parse(defaultValue ?? "null")]);
  const values = (body.variables ?? []).map(({ key, value }) => [key, value]);
  for (const microservice of application.microservices) {
    const { config } = microservice;
    if (typeof config === "string" && config !== "") microservice.config = JSON.parse(config);
  }
  await renderBody(application, {
    ...Object.fromEntries([...defaults, ...values]),
    ...findersFor(world, userId),
  });
  for (const microservice of application.microservices) {
    if (typeof microservice.config === "object") microservice.config = JSON.stringify(microservice.config);
  }
  return application;
}
