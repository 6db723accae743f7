/**
 * What microservices are made of, and what writing one does (sources of 3.0.4 and 3.7.3). Nothing here is undone when a
 * later step fails: so it is in the real ones, and so it has to be.
 */

import { allItems } from "./catalog.ts";
import { natsPorts, routerPorts } from "./agent_routers.ts";
import {
  type AgentRow,
  type ApplicationRow,
  type ExtraHostRow,
  type Image,
  type MicroserviceRow,
  nextId,
  type PortRow,
  type VolumeRow,
} from "./edge_state.ts";
import {
  type MicroserviceBody,
  microserviceSchemas,
  options,
  type PortBody,
  type VolumeBody,
} from "./microservice_schemas.ts";
import { type NatsConfig, natsConfigOf } from "./nats_rules.ts";
import { mark, newUuid, timestamp, type World } from "./route.ts";
import { Failure, validate } from "./validation.ts";

const schemas = { "3.0.4": microserviceSchemas("3.0.4"), "3.7.3": microserviceSchemas("3.7.3") };

/** Ports that the agent keeps for itself. */
const reservedPorts = [54321, 54322];

const invalid = (message: string) => new Failure("ValidationError", message);
const missing = (message: string) => new Failure("NotFoundError", message);
const noValue = (name: string) =>
  new Failure("Error", `WHERE parameter "${name}" has invalid "undefined" value`);

/** As `GET /microservices` answers it; `embedded` is the form in an application. */
export function microserviceView(
  world: World,
  row: MicroserviceRow,
  embedded = false,
): Record<string, unknown> {
  const { state, version } = world;
  const { uuid, config, name, logSize, createdAt, updatedAt, applicationId, catalogItemId, registryId } = row;
  const { iofogUuid, userId } = row;
  const application = state.applications.find(({ id }) => id === applicationId);
  const more = embedded
    ? { rebuild: row.rebuild, imageSnapshot: "", catalog_item_id: catalogItemId, iofog_uuid: iofogUuid }
    : {};
  const status = row.status === undefined ? {} : { status: statusView(world, row) };
  const common = {
    ...{ uuid, config, name, logSize, delete: false, deleteWithCleanup: false, createdAt, updatedAt },
    ...{ applicationId, catalogItemId, registryId, iofogUuid },
    ...more,
    ...row.options,
    ports: row.ports.map((port) => portView(world, port)),
    volumeMappings: row.volumeMappings.map((volume) => ({ ...volume })),
    env: row.env.map((variable) => ({ ...variable })),
    cmd: [...row.cmd],
    extraHosts: row.extraHosts.map(({ name, address, value }) => ({ name, address, value })),
    images: row.images.map(({ containerImage, fogTypeId }) => ({ containerImage, fogTypeId })),
    ...status,
    application: application?.name ?? "",
    flowId: applicationId,
  };
  if (version === "3.0.4") {
    const routes = state.routings.filter(({ sourceMicroserviceUuid }) => sourceMicroserviceUuid === uuid)
      .map(({ destMicroserviceUuid }) => destMicroserviceUuid);
    return { ...common, ...(embedded ? { isNetwork: false, configLastUpdated: null } : {}), userId, routes };
  }
  return {
    ...common,
    ...{
      execEnabled: false,
      isActivated: row.isActivated,
      natsAccountId: null,
      natsUserId: null,
      natsCredsSecretName: null,
    },
    ...(embedded ? {} : { serviceAccount: serviceAccountView(row) }),
    natsAccess: row.nats.natsAccess,
    natsConfig: row.nats,
    ...(row.status === undefined
      ? {}
      : { execStatus: { status: "INACTIVE", execSessionId: null, createdAt, updatedAt } }),
  };
}

/** Each has one, whether it was asked for or not. */
function serviceAccountView({ uuid, name, applicationId, createdAt, role, updatedAt }: MicroserviceRow) {
  const roleRef = { kind: "Role", name: role };
  return {
    ...{ roleRef, id: 1, name, microserviceUuid: uuid, applicationId, roleId: null, createdAt, updatedAt },
    microservice_uuid: uuid,
  };
}

function statusView(
  { version }: World,
  { status, createdAt, updatedAt }: MicroserviceRow,
): Record<string, unknown> {
  const { healthStatus, ipAddress, ...both } = { ...status };
  const added = version === "3.0.4" ? {} : { healthStatus, ipAddress, execSessionIds: [] };
  return { ...both, ...added, createdAt, updatedAt };
}

/** A port as it is answered. */
export function portView({ state }: World, port: PortRow): Record<string, unknown> {
  const { internal, external, protocol } = port;
  if (port.public === undefined) return { internal, external, protocol };
  const { schemes, isTcp, hostId, port: publicPort } = port.public;
  const host = hostId === null
    ? state.config.find(({ key }) => key === "default-proxy-host")?.value ?? "undefined-proxy-host"
    : state.agents.find(({ uuid }) => uuid === hostId)?.host;
  return {
    ...{ internal, external, protocol },
    public: {
      links: schemes.map((scheme) => `${scheme}://${host}:${publicPort}`),
      protocol: isTcp ? "tcp" : "http",
      schemes,
      enabled: true,
      router: { port: publicPort, host: "default-router" },
    },
  };
}

/**
 * Makes a microservice.
 *
 * @throws Failure; a late one leaves the microservice behind, without status.
 */
export function createMicroservice(
  world: World,
  given: unknown,
  userId: number | undefined,
): MicroserviceRow {
  const { state, version } = world;
  const body = validate(given, schemas[version].create) as MicroserviceBody;
  const { name = "" } = body;
  const nats = natsConfigOf(world, "user", body.natsConfig);
  const agent = agentFor(world, body, userId);
  if (agent === undefined) throw invalid(`Invalid ioFog UUID '${body.iofogUuid ?? body.agentName}'`);
  const catalogItem = body.catalogItemId === undefined
    ? undefined
    : catalogItemFor(world, body.catalogItemId, userId);
  if (catalogItem !== undefined) requireSameImages(catalogItem, body.images ?? []);
  const images = catalogItem?.images ?? body.images;
  if (images === undefined) throw new Failure("TypeError", "images is not iterable");
  requireImage(name, agent, images);
  const extraHosts = resolveExtraHosts(world, body.extraHosts ?? [], agent.uuid, userId);
  const ports = body.ports ?? [];
  for (const port of ports) requireFreePort(world, agent, port);
  requireVolumeNames(body.volumeMappings ?? []);
  const registryId = (version === "3.7.3" ? catalogItem?.columns.registryId as number : undefined) ??
    body.registryId ?? 1;
  requireRegistry(world, registryId);
  const application = applicationFor(world, body.application ?? body.flowId, userId);
  if (application === undefined) {
    throw new Failure("TypeError", "Cannot read properties of null (reading 'id')");
  }
  requireNats(nats, application);
  requireFreeName(world, name, application.id);
  const now = timestamp(world);
  const row: MicroserviceRow = {
    uuid: newUuid(version),
    applicationId: application.id,
    userId,
    name,
    config: storedConfig(body.config) ?? "{}",
    rebuild: false,
    logSize: body.logSize || 1,
    options: { ...defaultOptions(world), ...optionsOf(world, body) },
    nats,
    role: defaultRole,
    isActivated: true,
    catalogItemId: body.catalogItemId ?? null,
    registryId,
    iofogUuid: agent.uuid,
    images: catalogItem === undefined ? images.map((image) => ({ ...image })) : [],
    ports: [],
    volumeMappings: [],
    env: [],
    cmd: [],
    extraHosts: [],
    status: undefined,
    createdAt: now,
    updatedAt: now,
  };
  state.microservices.push(row);
  for (const port of ports) addPort(world, row, agent, port);
  row.extraHosts = extraHosts;
  setEnvironment(world, row, body.env ?? []);
  row.cmd = [...body.cmd ?? []];
  row.rebuild ||= row.env.length > 0 || row.cmd.length > 0;
  row.volumeMappings = (body.volumeMappings ?? []).map((volume) => newVolume(world, volume));
  mark(world, agent, "microserviceList");
  row.status = newStatus();
  setRole(world, row, body);
  return row;
}

function newStatus() {
  return {
    ...{ status: "QUEUED", operatingDuration: 0, startTime: 0, cpuUsage: 0, memoryUsage: 0 },
    ...{ containerId: "", percentage: 0, errorMessage: "", healthStatus: "", ipAddress: "" },
  };
}

/** Changes a microservice as `PATCH` and an application's `PUT` do. */
export function updateMicroservice(
  world: World,
  uuid: string,
  given: unknown,
  userId: number | undefined,
): void {
  const { state, version } = world;
  const body = validate(given, schemas[version].update) as MicroserviceBody;
  const hostsAgent = version === "3.7.3" ? agentFor(world, body, userId)?.uuid : undefined;
  const extraHosts = body.extraHosts && resolveExtraHosts(world, body.extraHosts, hostsAgent, userId);
  const moved = agentFor(world, body, userId);
  const row = state.microservices.find((row) => row.uuid === uuid && row.userId === userId);
  if (row === undefined) throw missing(`Invalid microservice UUID '${uuid}'`);
  const nats = natsConfigOf(world, "user", body.natsConfig, row.nats);
  requireNats(nats, state.applications.find(({ id }) => id === row.applicationId));
  if (version === "3.7.3" && body.name !== undefined && body.name !== row.name) {
    throw invalid("Microservice Resource Name is immutable");
  }
  if (body.registryId) requireRegistry(world, body.registryId);
  const before = state.agents.find(({ uuid }) => uuid === row.iofogUuid);
  if (body.ports !== undefined && before !== undefined) replacePorts(world, row, before, body.ports);
  const agent = moved ?? before;
  if (agent === undefined) throw missing(`Invalid ioFog UUID '${row.iofogUuid}'`);
  const moves = agent.uuid !== row.iofogUuid;
  if (moves) { for (const port of row.ports) requireFreePort(world, agent, port); }
  let { registryId = row.registryId } = body;
  let rebuild = body.rebuild ?? false;
  let images: readonly Image[] | undefined = body.images;
  if (body.catalogItemId !== undefined) {
    const item = catalogItemFor(world, body.catalogItemId, userId);
    requireSameImages(item, body.images ?? []);
    images = item.images;
    if (body.catalogItemId !== row.catalogItemId) {
      rebuild = true;
      row.images = [];
      registryId = item.columns.registryId as number | undefined ?? 1;
    }
  } else if (images !== undefined && !sameImages(images, row.images)) {
    row.images = images.map((image) => ({ ...image }));
    rebuild = true;
  }
  if (body.name !== undefined) requireFreeName(world, body.name, row.applicationId, row);
  images ??= row.catalogItemId === null
    ? row.images
    : catalogItemFor(world, row.catalogItemId, userId).images;
  requireImage(body.name ?? "undefined", agent, images);
  const changed = optionsOf(world, body);
  const always = ["env", "cmd", "volumeMappings", "ports", "extraHosts"];
  rebuild ||= always.some((name) => body[name] !== undefined) || rebuildsFor(world, row, changed);
  Object.assign(row, {
    name: body.name ?? row.name,
    config: storedConfig(body.config) ?? row.config,
    catalogItemId: body.catalogItemId ?? row.catalogItemId,
    iofogUuid: agent.uuid,
    // Left out is not "as it was".
    logSize: body.logSize || 1,
    registryId,
    rebuild,
    options: { ...row.options, ...changed },
    nats,
    updatedAt: timestamp(world),
  });
  if (extraHosts !== undefined) row.extraHosts = extraHosts;
  followMicroservice(world, row, agent);
  if (body.volumeMappings !== undefined) {
    requireVolumeNames(body.volumeMappings);
    row.volumeMappings = body.volumeMappings.map((volume) => newVolume(world, volume));
  }
  if (body.env !== undefined) setEnvironment(world, row, body.env);
  if (body.cmd !== undefined) row.cmd = [...body.cmd];
  if (moves && row.status !== undefined) row.status = newStatus();
  setRole(world, row, body);
  for (const each of new Set([before, agent])) {
    if (each !== undefined) mark(world, each, "routing", "microserviceList", "microserviceConfig");
  }
}

const defaultRole = "microservice";
/** Those that 3.7.3 always has. */
const roles = ["admin", "sre", "developer", "viewer", "agent-admin", defaultRole];

/** One that is left out becomes the default one, also with a change. The rest was done before this is looked at. */
function setRole({ version }: World, row: MicroserviceRow, { serviceAccount }: MicroserviceBody): void {
  if (version === "3.0.4") return;
  const name = serviceAccount?.roleRef?.name || defaultRole;
  if (!roles.includes(name)) throw invalid(`Referenced role '${name}' does not exist`);
  row.role = name;
}

/** Some settings of 3.7.3 ask for a new container whenever they are sent. */
function rebuildsFor({ version }: World, row: MicroserviceRow, changed: Record<string, unknown>): boolean {
  const byValue = version === "3.0.4" ? ["rootHostAccess"] : ["hostNetworkMode", "isPrivileged", "schedule"];
  return Object.entries(changed).some(([name, value]) =>
    name !== "healthCheck" && (byValue.includes(name) ? row.options[name] !== value : Boolean(value))
  );
}

/** Takes it away, with its routes and ports. */
export function deleteMicroservice(world: World, row: MicroserviceRow): void {
  const { state } = world;
  state.routings = state.routings.filter((route) =>
    route.sourceMicroserviceUuid !== row.uuid && route.destMicroserviceUuid !== row.uuid
  );
  state.microservices = state.microservices.filter((other) => other !== row);
  const agent = state.agents.find(({ uuid }) => uuid === row.iofogUuid);
  if (agent !== undefined) mark(world, agent, "microserviceList", "routing");
}

/** By uuid, else by name; undefined where there is none. */
function agentFor(
  { state }: World,
  body: MicroserviceBody,
  userId: number | undefined,
): AgentRow | undefined {
  const { iofogUuid, agentName } = body;
  if (iofogUuid) return state.agents.find(({ uuid }) => uuid === iofogUuid);
  if (agentName === undefined) throw noValue("name");
  return state.agents.find((agent) => agent.name === agentName && agent.userId === userId);
}

/** By name, else by id; undefined where none was asked for. */
export function applicationFor(
  { state }: World,
  wanted: string | number | undefined,
  userId: number | undefined,
): ApplicationRow | undefined {
  if (!wanted) return undefined;
  const own = state.applications.filter((application) => application.userId === userId);
  const found = own.find(({ name }) => name === `${wanted}`) ?? own.find(({ id }) => `${id}` === `${wanted}`);
  if (found === undefined) throw missing(`Invalid application id '${wanted}'`);
  return found;
}

function catalogItemFor(world: World, id: number, userId: number | undefined) {
  const item = allItems(world).find((item) =>
    item.id === id && (item.userId === userId || item.userId === null)
  );
  if (item === undefined) throw missing(`Invalid catalog item id '${id}'`);
  return item;
}

/** The real one compares property `fogType`, which neither side has: so all images must be equal. */
function requireSameImages(
  item: { readonly id: number; readonly images: readonly Image[] },
  given: readonly Image[],
) {
  if (given.every(({ containerImage }) => containerImage === "")) return;
  const differs = given.some((image) =>
    image.containerImage !== "" && item.images.some((other) => other.containerImage !== image.containerImage)
  );
  if (differs) throw invalid(`Catalog item ${item.id} does not match provided images`);
}

function requireImage(name: string, { fogTypeId }: AgentRow, images: readonly Image[]): void {
  if (!images.some((image) => image.fogTypeId === fogTypeId && image.containerImage)) {
    throw invalid(`Microservice ${name} does not have a valid image for its Agent type`);
  }
}

function sameImages(some: readonly Image[], others: readonly Image[]): boolean {
  const texts = (images: readonly Image[]) =>
    JSON.stringify(images.map(({ containerImage }) => containerImage));
  return texts(some) === texts(others);
}

function requireNats({ natsAccess }: NatsConfig, application: ApplicationRow | undefined): void {
  if (natsAccess && !application?.nats.natsAccess) {
    throw invalid("Microservice natsAccess requires application natsAccess=true");
  }
}

function requireRegistry({ state }: World, id: number): void {
  if (!state.registries.some((registry) => registry.id === id)) throw missing(`Invalid registry id '${id}'`);
}

function requireFreeName(
  { state }: World,
  name: string,
  applicationId: number,
  except?: MicroserviceRow,
): void {
  const taken = state.microservices.some((row) =>
    row !== except && row.name === name && row.applicationId === applicationId
  );
  if (taken) throw new Failure("DuplicatePropertyError", `Duplicate name '${name}'`);
}

/** Every `\"` loses its backslash, whatever stands around it. Nothing or an empty text changes nothing. */
function storedConfig(config: string | undefined): string | undefined {
  return config ? config.replaceAll('\\"', '"') : undefined;
}

function defaultOptions({ version }: World): Record<string, unknown> {
  const entries = Object.entries(options[version]).filter(([, [, value]]) => value !== undefined);
  return Object.fromEntries(entries.map(([name, [, value]]) => [name, value]));
}

function optionsOf({ version }: World, body: MicroserviceBody): Record<string, unknown> {
  const names = Object.keys(options[version]).filter((name) => body[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, body[name]]));
}

/** One after the other: what fails leaves those before it in place, and those of old gone. */
function replacePorts(world: World, row: MicroserviceRow, agent: AgentRow, ports: readonly PortBody[]): void {
  row.ports = [];
  row.rebuild = true;
  for (const port of ports) {
    requireFreePort(world, agent, port);
    addPort(world, row, agent, port);
  }
}

/** External ports are one set per agent, whatever the protocol. */
export function requireFreePort(
  world: World,
  agent: AgentRow,
  { internal, external, ...port }: PortBody | PortRow,
): void {
  if (reservedPorts.includes(external)) throw invalid(`Port '${external}' is reserved for internal use`);
  if (takenPorts(world, agent).includes(external)) throw invalid(`Port '${external}' is not available`);
  if (port.public === undefined || !("protocol" in port.public)) return;
  const { schemes, protocol } = port.public;
  const wrong = protocol === "tcp" ? undefined : schemes.find((scheme) => !scheme.startsWith("http"));
  if (wrong !== undefined) {
    throw invalid(`Public port ${internal} has a scheme of ${wrong} and cannot use protocol http`);
  }
}

function takenPorts(world: World, agent: AgentRow): number[] {
  const { microservices } = world.state;
  const own = microservices.filter(({ iofogUuid }) => iofogUuid === agent.uuid)
    .flatMap(({ ports }) => ports.map(({ external }) => external));
  const publicOnes = microservices.flatMap(({ ports }) => ports)
    .filter((port) => port.public?.hostId === agent.uuid).map((port) => port.public?.port ?? 0);
  return [...own, ...routerPorts(world, agent), ...natsPorts(agent), ...publicOnes];
}

/** Adds a port; 3.7.3 looks at none of its own ports any more. */
export function addPort(world: World, row: MicroserviceRow, agent: AgentRow, port: PortBody): void {
  const { internal, external, protocol = "tcp" } = port;
  const own = row.ports.some((other) => other.internal === internal || other.external === external);
  if (own && world.version === "3.0.4") throw invalid("Port mapping already exists");
  row.ports.push({ internal, external, protocol, public: port.public && publicPort(world, port.public) });
  row.rebuild = true;
  mark(world, agent, "microserviceConfig");
}

/** On the system agent, or on the default router where there is none. */
function publicPort(
  { state }: World,
  wanted: NonNullable<PortBody["public"]>,
): NonNullable<PortRow["public"]> {
  const hostId = state.agents.find(({ isSystem }) => isSystem)?.uuid ?? null;
  const taken = state.microservices.flatMap(({ ports }) => ports)
    .filter((port) => port.public?.hostId === hostId).map((port) => port.public?.port);
  let port = wanted.router?.port;
  if (port !== undefined && taken.includes(port)) throw invalid(`Port '${port}' is not available`);
  for (port ??= 6000; taken.includes(port);) port++;
  return { port, hostId, schemes: wanted.schemes, isTcp: wanted.protocol === "tcp" };
}

/** @throws Failure for a named volume with a name that Docker does not take. */
export function requireVolumeNames(volumes: readonly VolumeBody[]): void {
  for (const { type, hostDestination } of volumes) {
    if (type === "volume" && !/^[a-zA-Z0-9_.-]/.test(hostDestination)) {
      throw new Failure(
        "InvalidArgumentError",
        "hostDestination includes invalid characters for a local volume name, only " +
          '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use type: bind',
      );
    }
    if (type === "volumeMount" && hostDestination === "") {
      throw invalid("hostDestination is required when type is volumeMount");
    }
  }
}

/** A row for it. */
export function newVolume({ state }: World, volume: VolumeBody): VolumeRow {
  const { hostDestination, containerDestination, accessMode, type = "bind" } = volume;
  return { hostDestination, containerDestination, accessMode, id: nextId(state, "volumeMappings"), type };
}

/** Values of 3.7.3's secrets and config maps are read once, now, and stand in the clear from then on. */
function setEnvironment(world: World, row: MicroserviceRow, env: NonNullable<MicroserviceBody["env"]>): void {
  // What there was is gone before the first value is looked up.
  row.env = [];
  const variables: MicroserviceRow["env"] = [];
  for (const { key = "", value = "", valueFromSecret, valueFromConfigMap } of env) {
    if (world.version === "3.0.4") variables.push({ key, value });
    else {
      const read = valueFromSecret !== undefined
        ? secretValue(world, valueFromSecret)
        : valueFromConfigMap !== undefined
        ? configMapValue(world, valueFromConfigMap)
        : value;
      variables.push({
        ...{ key, value: read, valueFromSecret: valueFromSecret ?? null },
        valueFromConfigMap: valueFromConfigMap ?? null,
      });
    }
  }
  row.env = variables;
}

function secretValue({ state }: World, reference: string): string {
  const [name = "", key = ""] = reference.split("/");
  if (name === "" || key === "") throw invalid(`Invalid secret reference: ${reference}`);
  const secret = state.secrets.find((secret) => secret.name === name);
  if (secret === undefined) throw missing(`Secret with name "${name}" not found`);
  const value = secret.data[key];
  if (!value) throw invalid(`Secret key ${key} not found in secret ${name}`);
  return secret.type === "tls" ? atob(value) : value;
}

function configMapValue({ state }: World, reference: string): string {
  const [name = "", key = ""] = reference.split("/");
  if (name === "" || key === "") throw invalid(`Invalid configmap reference: ${reference}`);
  const configMap = state.configMaps.find((configMap) => configMap.name === name);
  if (configMap === undefined) throw missing(`ConfigMap with name ${name} not found`);
  const value = configMap.data[key];
  if (!value) throw invalid(`Configmap key ${key} not found in configmap ${name}`);
  return value;
}

/** Addresses like `${Agents.edge-1}` and `${Apps.app.microservice.local}` become hosts. */
function resolveExtraHosts(
  world: World,
  given: NonNullable<MicroserviceBody["extraHosts"]>,
  ownAgent: string | undefined,
  userId: number | undefined,
): ExtraHostRow[] {
  return given.map(({ name, address }) => {
    const literal: ExtraHostRow = {
      ...{ name, address, value: address },
      ...{ targetAgent: undefined, targetMicroservice: undefined, publicPort: undefined },
    };
    if (!address.startsWith("${") || !address.endsWith("}")) return literal;
    const expression = address.slice(2, -1);
    const parts = expression.split(".");
    const notThere = (what: string | undefined) => invalid(`Could not find ${what} host template`);
    const { state } = world;
    if (parts[0] === "Agents" && parts.length === 2) {
      const agent = state.agents.find((agent) => agent.name === parts[1] && agent.userId === userId);
      if (agent === undefined) throw notThere(parts[1]);
      return { ...literal, value: agent.host, targetAgent: agent.uuid };
    }
    if (parts[0] !== "Apps" || parts.length < 4) throw invalid(`${expression} is not a valid host template`);
    const application = state.applications.find(({ name, userId: owner }) =>
      name === parts[1] && owner === userId
    );
    if (application === undefined) throw notThere(parts[1]);
    const target = state.microservices.find((row) =>
      row.applicationId === application.id && row.name === parts[2]
    );
    if (target === undefined) throw notThere(parts[2]);
    const found = { ...literal, targetMicroservice: target.uuid };
    if (parts[3] === "local" && parts.length === 4) {
      const agent = state.agents.find(({ uuid }) => uuid === target.iofogUuid);
      if (agent === undefined) throw notThere(parts[2]);
      const targetAgent = agent.uuid;
      if (world.version === "3.0.4") {
        return { ...found, value: agent.host ?? `${agent.columns.ipAddress}`, targetAgent };
      }
      if (ownAgent === targetAgent) return { ...found, value: `iofog_${target.uuid}`, targetAgent };
      throw invalid(
        "The microservice you would like to add as an extra host is not in the same fog as the microservice you " +
          "are adding it to",
      );
    }
    if (parts[3] === "public" && parts.length === 5) {
      const publicPort = Number(parts[4]);
      const port = target.ports.find((port) => port.public?.port === publicPort);
      const host = state.agents.find(({ uuid }) => uuid === port?.public?.hostId);
      if (host === undefined) throw notThere(parts[4]);
      return { ...found, value: host.host, targetAgent: host.uuid, publicPort };
    }
    throw invalid(`${expression} is not a valid host template`);
  });
}

/** Whoever names a microservice by its agent's address hears of the new agent. */
function followMicroservice(world: World, { uuid }: MicroserviceRow, agent: AgentRow): void {
  const { microservices } = world.state;
  for (const [index, owner] of microservices.entries()) {
    for (const [at, host] of owner.extraHosts.entries()) {
      if (
        host.targetMicroservice !== uuid || host.publicPort !== undefined || host.targetAgent === agent.uuid
      ) continue;
      owner.extraHosts[at] = { ...host, targetAgent: agent.uuid, value: agent.host };
      microservices[index]!.rebuild = true;
    }
  }
}

/** Whoever names an agent by its address hears of the new one. */
export function followAgentHost(world: World, agent: AgentRow): void {
  for (const owner of world.state.microservices) {
    for (const host of owner.extraHosts.filter(({ targetAgent }) => targetAgent === agent.uuid)) {
      host.value = agent.host;
    }
  }
}
