/** Microservices by uuid, their ports and volumes (sources of 3.0.4 and 3.7.3; seen on running servers). */

import type { MicroserviceRow } from "./edge_state.ts";
import { type PortBody, portSchema, type VolumeBody, volumeSchema } from "./microservice_schemas.ts";
import {
  addPort,
  applicationFor,
  createMicroservice,
  deleteMicroservice,
  microserviceView,
  newVolume,
  portView,
  requireFreePort,
  requireVolumeNames,
  updateMicroservice,
} from "./microservices.ts";
import {
  authenticated,
  type Call,
  mark,
  rejected,
  rejectedInvalidOrMissing,
  rejectedOrInvalid,
  rejectedOrMissing,
  type Route,
  type World,
} from "./route.ts";
import { Failure, validate } from "./validation.ts";

export const microserviceRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/microservices/public-ports",
    only: "3.0.4",
    success: 200,
    failures: rejected,
    handle: listPublicPorts,
  },
  { method: "GET", path: "/microservices", success: 200, failures: rejected, handle: list },
  {
    method: "POST",
    path: "/microservices",
    success: 201,
    failures: rejectedOrInvalid,
    templated: true,
    handle: create,
  },
  { method: "GET", path: "/microservices/:uuid", success: 200, failures: rejectedOrMissing, handle: read },
  {
    method: "PATCH",
    path: "/microservices/:uuid",
    success: 204,
    failures: rejectedInvalidOrMissing,
    templated: true,
    handle: update,
  },
  {
    method: "DELETE",
    path: "/microservices/:uuid",
    success: 204,
    failures: rejectedOrMissing,
    handle: remove,
  },
  ...(["rebuild", "start", "stop"] as const).map((verb): Route => ({
    method: "PATCH",
    path: `/microservices/:uuid/${verb}`,
    only: "3.7.3",
    success: 204,
    failures: rejectedInvalidOrMissing,
    handle: (world, call) => act(world, call, verb),
  })),
  {
    method: "GET",
    path: "/microservices/:uuid/port-mapping",
    success: 200,
    failures: rejectedOrMissing,
    handle: (world, call) => ({ ports: ofCaller(world, call).ports.map((port) => portView(world, port)) }),
  },
  {
    method: "POST",
    path: "/microservices/:uuid/port-mapping",
    success: 201,
    failures: rejectedInvalidOrMissing,
    handle: createPort,
  },
  {
    method: "DELETE",
    path: "/microservices/:uuid/port-mapping/:internalPort",
    success: 204,
    failures: rejectedOrMissing,
    handle: deletePort,
  },
  {
    method: "GET",
    path: "/microservices/:uuid/volume-mapping",
    success: 200,
    failures: rejectedOrMissing,
    handle: (world, call) => ({ volumeMappings: ofCaller(world, call).volumeMappings }),
  },
  {
    method: "POST",
    path: "/microservices/:uuid/volume-mapping",
    success: 201,
    failures: rejectedInvalidOrMissing,
    handle: createVolume,
  },
  {
    method: "DELETE",
    path: "/microservices/:uuid/volume-mapping/:id",
    success: 204,
    failures: rejectedInvalidOrMissing,
    handle: deleteVolume,
  },
];

function list(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const application = applicationFor(
    world,
    call.query.get("flowId") ?? call.query.get("application") ?? undefined,
    userId,
  );
  const { microservices, applications } = world.state;
  const shown = microservices.filter((row) =>
    row.userId === userId && (application === undefined || row.applicationId === application.id) &&
    !applications.some(({ id, isSystem }) =>
      id === row.applicationId && isSystem && world.version === "3.7.3"
    )
  ).toSorted((one, other) => one.name < other.name ? -1 : one.name > other.name ? 1 : 0);
  return { microservices: shown.map((row) => microserviceView(world, row)) };
}

function create(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const { uuid, name } = createMicroservice(world, call.body, userId);
  return { uuid, name };
}

function read(world: World, call: Call) {
  const { userId } = authenticated(world, call);
  const { uuid } = call.parameters;
  const row = world.state.microservices.find((row) => row.uuid === uuid && row.userId === userId);
  if (row === undefined) throw new Failure("NotFoundError", "Invalid microservice user or UUID");
  return microserviceView(world, row);
}

function update(world: World, call: Call): void {
  const { userId } = authenticated(world, call);
  updateMicroservice(world, call.parameters.uuid ?? "", call.body, userId);
}

function remove(world: World, call: Call): void {
  deleteMicroservice(world, ofCaller(world, call));
}

function act(world: World, call: Call, verb: "rebuild" | "start" | "stop"): void {
  const row = ofCaller(world, call);
  if (verb === "rebuild") row.rebuild = true;
  else row.isActivated = verb === "start";
  markAgent(world, row, "microserviceList");
}

function ofCaller(world: World, call: Call): MicroserviceRow {
  const { userId } = authenticated(world, call);
  const { uuid } = call.parameters;
  const row = world.state.microservices.find((row) => row.uuid === uuid && row.userId === userId);
  if (row === undefined) throw new Failure("NotFoundError", `Invalid microservice UUID '${uuid}'`);
  return row;
}

function markAgent(world: World, { iofogUuid }: MicroserviceRow, ...changes: string[]): void {
  const agent = world.state.agents.find(({ uuid }) => uuid === iofogUuid);
  if (agent !== undefined) mark(world, agent, ...changes);
}

function createPort(world: World, call: Call): void {
  authenticated(world, call);
  const port = validate(call.body, portSchema(world.version)) as unknown as PortBody;
  const row = ofCaller(world, call);
  const agent = world.state.agents.find(({ uuid }) => uuid === row.iofogUuid);
  if (agent === undefined) throw new Failure("ValidationError", `Invalid ioFog UUID '${row.iofogUuid}'`);
  requireFreePort(world, agent, port);
  addPort(world, row, agent, port);
}

function deletePort(world: World, call: Call): void {
  const row = ofCaller(world, call);
  const port = row.ports.find(({ internal }) => `${internal}` === call.parameters.internalPort);
  if (port === undefined) throw new Failure("NotFoundError", "port mapping not exists");
  row.ports = row.ports.filter((other) => other !== port);
  row.rebuild = true;
  markAgent(world, row, "microserviceList", "microserviceConfig");
}

/** Tells no agent. */
function createVolume(world: World, call: Call) {
  authenticated(world, call);
  const volume = validate(call.body, volumeSchema(world.version)) as unknown as VolumeBody;
  const row = ofCaller(world, call);
  const { type = "bind" } = volume;
  const exists = row.volumeMappings.some((other) =>
    other.hostDestination === volume.hostDestination && other.type === type &&
    other.containerDestination === volume.containerDestination
  );
  if (exists) throw new Failure("ValidationError", "Volume mapping already exists");
  requireVolumeNames([volume]);
  const added = newVolume(world, volume);
  row.volumeMappings.push(added);
  return { id: added.id };
}

function deleteVolume(world: World, call: Call): void {
  const row = ofCaller(world, call);
  const { id } = call.parameters;
  const before = row.volumeMappings.length;
  row.volumeMappings = row.volumeMappings.filter((volume) => `${volume.id}` !== id);
  if (row.volumeMappings.length === before) {
    throw new Failure("ValidationError", `Invalid volume mapping id '${id}'`);
  }
}

function listPublicPorts(world: World, call: Call) {
  authenticated(world, call);
  return world.state.microservices.flatMap(({ uuid, ports }) =>
    ports.flatMap((port) => {
      if (port.public === undefined) return [];
      const { isTcp, port: publicPort, hostId } = port.public;
      const protocol = isTcp ? "tcp" : "http";
      return [{ microserviceUuid: uuid, publicPort: { protocol, publicPort, isTcp, hostId } }];
    })
  );
}
