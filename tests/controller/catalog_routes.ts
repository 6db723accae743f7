/** Catalogue items and registries (sources of 3.0.4 and 3.7.3; seen on running servers). */

import { type CatalogItemRow, type Image, nextId, type RegistryRow } from "./edge_state.ts";
import { allItems } from "./catalog.ts";
import { imageSchema } from "./microservice_schemas.ts";
import {
  authenticated,
  type Call,
  rejected,
  rejectedInvalidOrMissing,
  rejectedOrInvalid,
  rejectedOrMissing,
  type Route,
  type World,
} from "./route.ts";
import { registerSecret, SHORTEST_SECRET } from "../secrets.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

const taken = { DuplicatePropertyError: 409 };

export const catalogRoutes: readonly Route[] = [
  { method: "GET", path: "/catalog/microservices", success: 200, failures: rejected, handle: listItems },
  {
    method: "POST",
    path: "/catalog/microservices",
    success: 201,
    failures: { ...rejectedOrInvalid, ...taken },
    templated: true,
    handle: createItem,
  },
  {
    method: "GET",
    path: "/catalog/microservices/:id",
    success: 200,
    failures: rejectedOrMissing,
    handle: readItem,
  },
  {
    method: "PATCH",
    path: "/catalog/microservices/:id",
    success: 204,
    failures: { ...rejectedInvalidOrMissing, ...taken },
    templated: true,
    handle: updateItem,
  },
  {
    method: "DELETE",
    path: "/catalog/microservices/:id",
    success: 204,
    failures: rejectedOrMissing,
    handle: deleteItem,
  },
  { method: "GET", path: "/registries", success: 200, failures: rejectedOrInvalid, handle: listRegistries },
  {
    method: "GET",
    path: "/registries/:id",
    only: "3.7.3",
    success: 200,
    failures: rejectedInvalidOrMissing,
    handle: readRegistry,
  },
  {
    method: "POST",
    path: "/registries",
    success: 201,
    failures: rejectedOrInvalid,
    templated: true,
    handle: createRegistry,
  },
  {
    method: "PATCH",
    path: "/registries/:id",
    success: 204,
    failures: rejectedInvalidOrMissing,
    templated: true,
    handle: updateRegistry,
  },
  {
    method: "DELETE",
    path: "/registries/:id",
    success: 204,
    failures: rejectedInvalidOrMissing,
    handle: deleteRegistry,
  },
];

const text: PropertySchema = { type: "string" };
const name: PropertySchema = { type: "string", minLength: 1 };
const integer: PropertySchema = { type: "integer" };
const flag: PropertySchema = { type: "boolean" };
const kind: PropertySchema = { type: "object", properties: { infoType: text, infoFormat: text } };

/** Columns of an item: schema, and what is there when nothing was said. */
const itemColumns: Readonly<Record<string, readonly [PropertySchema, unknown]>> = {
  name: [name, null],
  description: [text, ""],
  category: [text, null],
  publisher: [text, null],
  diskRequired: [integer, 0],
  ramRequired: [integer, 0],
  picture: [text, "images/shared/default.png"],
  isPublic: [flag, false],
  registryId: [integer, null],
  configExample: [text, "{}"],
};
const itemProperties = Object.fromEntries(
  Object.entries(itemColumns).map(([name, [schema]]) => [name, schema]),
);
const types = { inputType: kind, outputType: kind };
const itemCreate: BodySchema = {
  properties: {
    ...itemProperties,
    images: { type: "array", minItems: 1, maxItems: 2, items: imageSchema },
    ...types,
  },
  required: ["name", "registryId", "images"],
};
const itemUpdate: BodySchema = {
  properties: { ...itemProperties, images: { type: "array", maxItems: 2, items: imageSchema }, ...types },
  required: [],
};

interface ItemBody {
  readonly name?: string;
  readonly publisher?: string;
  readonly registryId?: number;
  readonly images?: readonly Image[];
  readonly inputType?: Readonly<Record<string, unknown>>;
  readonly outputType?: Readonly<Record<string, unknown>>;
  readonly [column: string]: unknown;
}

const noItem = (id: unknown) => new Failure("NotFoundError", `Invalid catalog item id '${id}'`);

function itemView({ id, columns, images, inputType, outputType }: CatalogItemRow): Record<string, unknown> {
  const paired = images.map(({ containerImage, fogTypeId }) => ({ containerImage, fogTypeId }));
  return { ...columns, id, images: paired, inputType, outputType };
}

/** Those that the caller sees, with what is built in: nobody's business on 3.0.4, except where it can be used. */
function itemsOf(world: World, userId: number | undefined): CatalogItemRow[] {
  return allItems(world).filter((item) => item.userId === userId || item.userId === null);
}

function listItems(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  return { catalogItems: itemsOf(world, userId).map(itemView) };
}

function readItem(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const { id } = call.parameters;
  const item = itemsOf(world, userId).find((item) => `${item.id}` === id);
  if (item === undefined) throw noItem(id);
  return itemView(item);
}

function createItem(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const body = validate(call.body, itemCreate) as ItemBody;
  const { state } = world;
  requireFreeName(world, body.name, userId);
  if (body.publisher === "Eclipse ioFog") {
    throw new Failure(
      "ValidationError",
      "You are not allowed to add catalog item as 'Eclipse ioFog' publisher",
    );
  }
  requireRegistry(world, body.registryId);
  const item: CatalogItemRow = {
    id: nextId(state, "catalogItems"),
    userId,
    columns: columnsOf(itemColumns, body, true),
    // One for each architecture, given or not.
    images: [1, 2].map((fogTypeId) => ({
      fogTypeId,
      containerImage: body.images?.findLast((image) => image.fogTypeId === fogTypeId)?.containerImage ?? null,
    })),
    inputType: body.inputType ?? { infoType: null, infoFormat: null },
    outputType: body.outputType ?? { infoType: null, infoFormat: null },
  };
  state.catalogItems.push(item);
  return { id: item.id };
}

function columnsOf(
  columns: Readonly<Record<string, readonly [PropertySchema, unknown]>>,
  body: Readonly<Record<string, unknown>>,
  withDefaults: boolean,
): Record<string, unknown> {
  const given = Object.keys(columns).filter((name) => body[name] !== undefined).map((
    name,
  ) => [name, body[name]]);
  const defaults = Object.entries(columns).map(([name, [, value]]) => [name, value]);
  return Object.fromEntries(withDefaults ? [...defaults, ...given] : given);
}

function requireFreeName(
  world: World,
  name: unknown,
  userId: number | undefined,
  except?: CatalogItemRow,
): void {
  const taken = allItems(world).some((item) =>
    item !== except && item.columns.name === name && (item.userId === userId || item.userId === null)
  );
  if (taken) throw new Failure("DuplicatePropertyError", `Duplicate name '${name}'`);
}

function requireRegistry({ state }: World, id: number | undefined): void {
  if (id && !state.registries.some((registry) => registry.id === id)) {
    throw new Failure("NotFoundError", `Invalid registry id '${id}'`);
  }
}

function updateItem(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const body = validate(call.body, itemUpdate) as ItemBody;
  const { state } = world;
  requireRegistry(world, body.registryId);
  const item = ownItem(world, call.parameters.id, userId);
  requireFreeName(world, body.name, userId, item);
  Object.assign(item.columns, columnsOf(itemColumns, body, false));
  const isRunning = state.microservices.some((row) =>
    row.catalogItemId === item.id && row.status?.status === "RUNNING"
  );
  if (body.images === undefined) return;
  if (isRunning && world.version === "3.0.4") {
    throw frozen();
  }
  const given = body.images;
  item.images = item.images.map((image) =>
    given.findLast(({ fogTypeId }) => fogTypeId === image.fogTypeId) ?? image
  );
}

function ownItem(world: World, id: string | undefined, userId: number | undefined): CatalogItemRow {
  const item = world.state.catalogItems.find((item) => `${item.id}` === id && item.userId === userId);
  if (item !== undefined) return item;
  const builtIn = world.version === "3.7.3" && allItems(world).some((item) => `${item.id}` === id);
  if (builtIn) throw new Failure("ValidationError", `Catalog item id ${id} is system and can't be updated`);
  throw noItem(id);
}

function deleteItem(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const { state } = world;
  const item = ownItem(world, call.parameters.id, userId);
  if (state.microservices.some((row) => row.catalogItemId === item.id)) {
    throw world.version === "3.0.4" ? inUse() : frozen();
  }
  state.catalogItems = state.catalogItems.filter((other) => other !== item);
}

function frozen(): Failure {
  return new Failure(
    "ValidationError",
    "Can't update catalog item images for item used for running microservices",
  );
}

function inUse(): Failure {
  return new Failure(
    "SequelizeForeignKeyConstraintError",
    "SQLITE_CONSTRAINT: FOREIGN KEY constraint failed",
  );
}

const email: PropertySchema = {
  type: "string",
  pattern: '^[^<>()\\[\\]\\\\.,;:\\s@"]+(\\.[^<>()\\[\\]\\\\.,;:\\s@"]+)*@([a-zA-Z\\-0-9]+\\.)+[a-zA-Z]{2,}$',
};
const registryProperties = {
  url: name,
  isPublic: flag,
  username: name,
  password: text,
  email,
} satisfies Record<string, PropertySchema>;
const certificates = { requiresCert: flag, certificate: text };
const registrySchemas = {
  "3.0.4": { ...registryProperties, ...certificates },
  "3.7.3": registryProperties,
};

interface RegistryBody {
  readonly url?: string;
  readonly isPublic?: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly email?: string;
  readonly requiresCert?: boolean;
  readonly certificate?: string;
}

/** Without the password. */
function registryView({ version }: World, { id, columns, userId }: RegistryRow): Record<string, unknown> {
  const { isSecure, certificate, requiresCert, ...both } = columns;
  if (version === "3.7.3") return { id, ...both };
  return { id, ...both, isSecure, certificate, requiresCert, userId };
}

function listRegistries(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const shown = world.state.registries.filter((row) => row.userId === userId || row.columns.isPublic);
  return { registries: shown.map((row) => registryView(world, row)) };
}

/** With the password, in the clear. */
function readRegistry(world: World, call: Call) {
  authenticated(world, call);
  const { id } = call.parameters;
  const row = world.state.registries.find((row) => `${row.id}` === id);
  if (row === undefined) throw new Failure("NotFoundError", `Invalid registry id '${id}'`);
  return { password: row.password, ...registryView(world, row) };
}

/** As many times as it is asked for. */
function createRegistry(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const body = validate(call.body, {
    properties: registrySchemas[world.version],
    required: ["url", "isPublic", "username", "password", "email"],
  }) as RegistryBody;
  requireCertificate(body);
  const id = nextId(world.state, "registries");
  const { url, isPublic, username, email, requiresCert = null, certificate = null } = body;
  const columns = { url, isPublic, username, userEmail: email, isSecure: null, requiresCert, certificate };
  world.state.registries.push({ id, userId, columns, password: keep(body.password ?? "") });
  return { id };
}

function keep(password: string): string {
  return password.length < SHORTEST_SECRET ? password : registerSecret(password);
}

function requireCertificate({ requiresCert, certificate }: RegistryBody): void {
  if (requiresCert && certificate === undefined) {
    throw new Failure(
      "ValidationError",
      'Property "certificate" is required if property "requiresCert" is set to true',
    );
  }
}

/** One that is built in or somebody else's is left as it is, with the same answer. */
function updateRegistry(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const body = validate(call.body, {
    properties: registrySchemas[world.version],
    required: [],
  }) as RegistryBody;
  requireCertificate(body);
  const row = world.state.registries.find(({ id }) => `${id}` === call.parameters.id);
  if (row === undefined) throw new Failure("NotFoundError", "Registry not found");
  if (row.userId !== userId) return;
  const { email, password, ...columns } = body;
  Object.assign(row.columns, columns, email === undefined ? {} : { userEmail: email });
  if (password !== undefined) row.password = keep(password);
}

function deleteRegistry(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  const { state } = world;
  const id = Number(call.parameters.id);
  validate({ id: Number.isNaN(id) ? call.parameters.id : id }, {
    properties: { id: integer },
    required: ["id"],
  });
  const row = state.registries.find((row) => row.id === id && row.userId === userId);
  if (row === undefined) throw new Failure("NotFoundError", `Invalid registry id '${id}'`);
  const used = state.microservices.some(({ registryId }) => registryId === id) ||
    state.catalogItems.some(({ columns }) => columns.registryId === id);
  if (used) throw inUse();
  state.registries = state.registries.filter((other) => other !== row);
}
