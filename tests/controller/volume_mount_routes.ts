/** Secrets and config maps as files on agents; 3.7.3 (from its sources, and recorded answers). */

import type { VolumeMountRow } from "./edge_state.ts";
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
  type World,
} from "./route.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

const table: readonly Omit<Route, "only">[] = [
  { method: "GET", path: "/volumeMounts", success: 200, failures: rejected, handle: list },
  { method: "GET", path: "/volumeMounts/:name", success: 200, failures: rejectedOrMissing, handle: read },
  { method: "POST", path: "/volumeMounts", success: 200, failures: rejectedOrInvalid, handle: create },
  {
    method: "PATCH",
    path: "/volumeMounts/:name",
    success: 200,
    failures: rejectedInvalidOrMissing,
    handle: update,
  },
  {
    method: "DELETE",
    path: "/volumeMounts/:name",
    success: 202,
    failures: rejectedInvalidOrMissing,
    handle: remove,
  },
  {
    method: "GET",
    path: "/volumeMounts/:name/link",
    success: 200,
    failures: rejectedOrInvalid,
    handle: linked,
  },
  {
    method: "POST",
    path: "/volumeMounts/:name/link",
    success: 200,
    failures: rejectedOrInvalid,
    handle: link,
  },
  {
    method: "DELETE",
    path: "/volumeMounts/:name/link",
    success: 200,
    failures: rejectedOrInvalid,
    handle: unlink,
  },
];

export const volumeMountRoutes: readonly Route[] = table.map((route) => ({ ...route, only: "3.7.3" }));

const text: PropertySchema = { type: "string" };
/** One of the two, never both. */
const properties = {
  name: { type: "string", pattern: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" },
  secretName: text,
  configMapName: text,
} as const;
const oneSource = [{ required: ["secretName"] }, { required: ["configMapName"] }];
const schemas = {
  create: {
    ...{ id: "/volumeMountCreate", type: "object", properties, required: ["name"], oneOf: oneSource },
    additionalProperties: false,
  },
  update: {
    ...{ id: "/volumeMountUpdate", type: "object", properties, oneOf: oneSource, required: [] },
    additionalProperties: false,
  },
  link: {
    properties: { fogUuids: { type: "array", items: text, minItems: 1 } },
    required: ["fogUuids"],
    additionalProperties: false,
  },
} satisfies Record<string, BodySchema>;

interface MountBody {
  readonly name?: string;
  readonly secretName?: string;
  readonly configMapName?: string;
}

const missing = (message: string) => new Failure("NotFoundError", message);

function view({ uuid, name, configMapName, secretName, version }: VolumeMountRow) {
  return { uuid, name, configMapName, secretName, version };
}

function list(world: World, call: Call) {
  authenticated(world, call);
  return world.state.volumeMounts.map(view);
}

function read(world: World, call: Call) {
  return view(named(world, call));
}

function named(world: World, call: Call): VolumeMountRow {
  authenticated(world, call);
  const { name } = call.parameters;
  const row = world.state.volumeMounts.find((row) => row.name === name);
  if (row === undefined) throw missing(`Volume mount with name ${name} not found`);
  return row;
}

function create(world: World, call: Call) {
  authenticated(world, call);
  const body = validate(call.body, schemas.create) as MountBody;
  const { name = "", secretName, configMapName } = body;
  const { volumeMounts } = world.state;
  if (volumeMounts.some((row) => row.name === name)) {
    throw new Failure("ValidationError", `Duplicate name '${name}'`);
  }
  requireSource(world, body);
  const row: VolumeMountRow = {
    ...{ uuid: crypto.randomUUID(), name, version: 1, agents: [] },
    ...{ secretName: secretName ?? null, configMapName: configMapName ?? null },
  };
  volumeMounts.push(row);
  const now = timestamp(world);
  return { uuid: row.uuid, version: 1, name, secretName, configMapName, createdAt: now, updatedAt: now };
}

function requireSource({ state }: World, { secretName, configMapName }: MountBody): void {
  if (secretName !== undefined && !state.secrets.some(({ name }) => name === secretName)) {
    throw missing(`Secret with name "${secretName}" not found`);
  }
  if (configMapName !== undefined && !state.configMaps.some(({ name }) => name === configMapName)) {
    throw missing(`ConfigMap with name ${configMapName} not found`);
  }
}

/** The other source stays beside the new one. */
function update(world: World, call: Call) {
  authenticated(world, call);
  const body = validate(call.body, schemas.update) as MountBody;
  const row = named(world, call);
  requireSource(world, body);
  row.secretName = body.secretName ?? row.secretName;
  row.configMapName = body.configMapName ?? row.configMapName;
  renew(world, row);
  return view(row);
}

function renew(world: World, row: VolumeMountRow): void {
  row.version++;
  tell(world, row.agents, "volumeMounts");
}

function tell({ state, ...world }: World, uuids: readonly string[], change: string): void {
  for (const agent of state.agents.filter(({ uuid }) => uuids.includes(uuid))) {
    mark({ state, ...world }, agent, change);
  }
}

function remove(world: World, call: Call) {
  drop(world, named(world, call));
  return {};
}

function drop(world: World, row: VolumeMountRow): void {
  tell(world, row.agents, "volumeMounts");
  world.state.volumeMounts = world.state.volumeMounts.filter((other) => other !== row);
}

function linked(world: World, call: Call) {
  return { fogUuids: [...named(world, call).agents] };
}

function link(world: World, call: Call) {
  const { row, fogUuids } = ends(world, call);
  row.agents = [...new Set([...row.agents, ...fogUuids])];
  tell(world, fogUuids, "volumeMounts");
  return view(row);
}

function unlink(world: World, call: Call) {
  const { row, fogUuids } = ends(world, call);
  row.agents = row.agents.filter((uuid) => !fogUuids.includes(uuid));
  tell(world, fogUuids, "volumeMounts");
  return {};
}

function ends(
  world: World,
  call: Call,
): { readonly row: VolumeMountRow; readonly fogUuids: readonly string[] } {
  authenticated(world, call);
  const { fogUuids } = validate(call.body, schemas.link) as { readonly fogUuids: readonly string[] };
  const row = named(world, call);
  const unknown = fogUuids.find((wanted) => !world.state.agents.some(({ uuid }) => uuid === wanted));
  if (unknown !== undefined) throw missing(`Could not find agent ${unknown}`);
  return { row, fogUuids };
}

/** A secret's or config map's new content reaches mounts and environments; no container is rebuilt for it. */
export function followData(
  world: World,
  kind: "secret" | "configMap",
  source: { readonly name: string; readonly type?: string; readonly data: Readonly<Record<string, string>> },
): void {
  const { state } = world;
  const [nameKey, referenceKey] = kind === "secret"
    ? ["secretName", "valueFromSecret"] as const
    : ["configMapName", "valueFromConfigMap"] as const;
  for (const row of state.volumeMounts.filter((row) => row[nameKey] === source.name)) renew(world, row);
  for (const microservice of state.microservices) {
    const uses = microservice.env.some((variable) => variable[referenceKey]?.split("/")[0] === source.name);
    if (!uses) continue;
    microservice.env = microservice.env.map((variable) => {
      const [name, key = ""] = variable[referenceKey]?.split("/") ?? [];
      const value = name === source.name ? source.data[key] : undefined;
      if (value === undefined || value === "") return variable;
      return { ...variable, value: source.type === "tls" ? atob(value) : value };
    });
    tell(world, [microservice.iofogUuid], "microserviceConfig");
  }
}

/** Mounts go with what they mount. */
export function dropMountsOf(world: World, kind: "secret" | "configMap", name: string): void {
  const nameKey = kind === "secret" ? "secretName" : "configMapName";
  for (const row of world.state.volumeMounts.filter((row) => row[nameKey] === name)) drop(world, row);
}
