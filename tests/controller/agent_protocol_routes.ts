/**
 * What an agent says to the Controller (sources of 3.0.4 and 3.7.3; seen on running servers). `simulated_agent.ts`
 * speaks it.
 */

import { Buffer } from "node:buffer";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { routerOf } from "./agent_routers.ts";
import { allItems } from "./catalog.ts";
import { fullView } from "./edge_resource_routes.ts";
import type { AgentRow, MicroserviceRow } from "./edge_state.ts";
import {
  type Call,
  mark,
  randomText,
  rejected,
  rejectedInvalidOrMissing,
  rejectedOrInvalid,
} from "./route.ts";
import { type Route, timestamp, type World } from "./route.ts";
import { registerSecret } from "../secrets.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

export const agentProtocolRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/agent/provision",
    success: 200,
    failures: rejectedInvalidOrMissing,
    handle: provision,
  },
  {
    method: "POST",
    path: "/agent/deprovision",
    success: 204,
    failures: rejectedOrInvalid,
    handle: deprovision,
  },
  { method: "GET", path: "/agent/config", success: 200, failures: rejected, handle: readConfig },
  { method: "PATCH", path: "/agent/config", success: 204, failures: rejectedOrInvalid, handle: writeConfig },
  {
    method: "GET",
    path: "/agent/config/changes",
    success: 200,
    failures: rejectedOrInvalid,
    handle: readChanges,
  },
  {
    method: "PATCH",
    path: "/agent/config/changes",
    success: 200,
    failures: rejectedOrInvalid,
    handle: forgetChanges,
  },
  { method: "PUT", path: "/agent/status", success: 204, failures: rejectedOrInvalid, handle: report },
  {
    method: "GET",
    path: "/agent/edgeResources",
    success: 200,
    failures: rejected,
    handle: listEdgeResources,
  },
  {
    method: "GET",
    path: "/agent/microservices",
    success: 200,
    failures: rejected,
    handle: listMicroservices,
  },
  { method: "GET", path: "/agent/registries", success: 200, failures: rejected, handle: listRegistries },
];

const text: PropertySchema = { type: "string" };
const integer: PropertySchema = { type: "integer" };
const amount: PropertySchema = { type: "integer", minimum: 0 };
const figure: PropertySchema = { type: "number", minimum: 0 };
const flag: PropertySchema = { type: "boolean" };

const provisioning: BodySchema = {
  properties: { type: { type: "integer", minimum: 0, maximum: 2 }, key: text },
  required: ["type", "key"],
};
const deprovisioning: BodySchema = {
  properties: { microserviceUuids: { type: "array", items: text } },
  required: ["microserviceUuids"],
};

/** Settings that an agent is told, and may change itself. */
const configProperties: Readonly<Record<string, PropertySchema>> = {
  ...{ networkInterface: text, dockerUrl: text, diskLimit: amount, diskDirectory: text, memoryLimit: amount },
  ...{
    cpuLimit: amount,
    logLimit: amount,
    logDirectory: text,
    logFileCount: amount,
    statusFrequency: amount,
  },
  ...{ changeFrequency: amount, deviceScanFrequency: amount, watchdogEnabled: flag },
  latitude: { type: "number", minimum: -90, maximum: 90 },
  longitude: { type: "number", minimum: -180, maximum: 180 },
  ...{ gpsMode: text, dockerPruningFrequency: amount, availableDiskThreshold: amount, logLevel: text },
  timeZone: text,
};
const config: BodySchema = { properties: configProperties, required: [] };

/** What an agent reports of itself; each is a column of its name. */
const statusProperties: Readonly<Record<string, PropertySchema>> = {
  ...{ daemonStatus: text, daemonOperatingDuration: amount, daemonLastStart: amount, memoryUsage: figure },
  ...{ diskUsage: figure, cpuUsage: figure, memoryViolation: flag, diskViolation: flag, cpuViolation: flag },
  ...{ systemAvailableDisk: integer, systemAvailableMemory: integer, systemTotalCpu: { type: "number" } },
  ...{ securityStatus: text, securityViolationInfo: text, repositoryCount: amount, repositoryStatus: text },
  ...{ systemTime: amount, lastStatusTime: amount, ipAddress: text, ipAddressExternal: text },
  ...{ processedMessages: amount, messageSpeed: figure, lastCommandTime: amount, version: text },
  ...{ isReadyToUpgrade: flag, isReadyToRollback: flag },
};
const status: BodySchema = { properties: { ...statusProperties, microserviceStatus: text }, required: [] };

/** How many reports may be missing before an agent counts as silent. */
const tolerance = 3;

/** What a job of the real one does every 30 s: an agent that says nothing is UNKNOWN, and so is what runs on it. */
export function noticeSilence({ state, clock }: World): void {
  for (const { uuid, columns } of state.agents) {
    if (columns.daemonStatus !== "RUNNING") continue;
    const { statusFrequency, lastStatusTime } = columns as Record<string, number>;
    if (clock.now() - (lastStatusTime ?? 0) <= (statusFrequency ?? 0) * 1000 * tolerance) continue;
    columns.daemonStatus = "UNKNOWN";
    for (const { iofogUuid, status } of state.microservices) {
      if (iofogUuid === uuid && status !== undefined) status.status = "UNKNOWN";
    }
  }
}

function provision(world: World, call: Call) {
  const { type, key } = validate(call.body, provisioning) as { readonly type: number; readonly key: string };
  const { state, version, clock } = world;
  const agent = state.agents.find(({ provisioning }) => provisioning?.key === key);
  if (agent === undefined) throw new Failure("NotFoundError", "Invalid Provisioning Key");
  if ((agent.provisioning?.expirationTime ?? 0) < clock.now()) {
    throw new Failure("AuthenticationError", "Expired provision key");
  }
  const unfit = state.microservices.filter((row) =>
    row.iofogUuid === agent.uuid && !imagesOf(world, row).some(({ fogTypeId }) => fogTypeId === type)
  );
  if (unfit.length > 0) {
    throw new Failure(
      "ValidationError",
      "Some of microservices haven't proper docker images for this ioFog type. " +
        `List of invalid microservices:\n${unfit.map(({ name }) => ` "${name}" microservice\n`).join("")}`,
    );
  }
  agent.fogTypeId = type;
  agent.provisioning = undefined;
  const { uuid } = agent;
  if (version === "3.0.4") {
    agent.credential = registerSecret(randomText(16));
    return { uuid, token: agent.credential };
  }
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  agent.credential = JSON.stringify(publicKey.export({ format: "jwk" }));
  mark(world, agent, "volumeMounts", "registries", "microserviceList", "microserviceConfig");
  const secret = registerSecret(
    Buffer.from(JSON.stringify(privateKey.export({ format: "jwk" }))).toString("base64"),
  );
  return { uuid, privateKey: secret, namespace: "datasance" };
}

function imagesOf(world: World, { images, catalogItemId }: MicroserviceRow) {
  return images.length > 0 ? images : allItems(world).find(({ id }) => id === catalogItemId)?.images ?? [];
}

/** The agent that asks: by its token on 3.0.4, by a token of its own making, used once, on 3.7.3. */
function speaker(world: World, { authorization }: Call): AgentRow {
  const { state, version, clock } = world;
  const refused = new Failure("AuthenticationError", "authorization failed");
  if (version === "3.0.4" && authorization === undefined) {
    throw new Failure("Error", 'WHERE parameter "token" has invalid "undefined" value');
  }
  const agent = version === "3.0.4"
    ? state.agents.find(({ credential }) => credential === authorization)
    : signer(world, authorization ?? "");
  if (agent === undefined) throw refused;
  agent.columns.lastActive = clock.now();
  return agent;
}

function signer({ state, clock }: World, authorization: string): AgentRow | undefined {
  const [header = "", payload = "", signature = ""] =
    /^Bearer (\S+)$/i.exec(authorization)?.[1]?.split(".") ?? [];
  try {
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
    const agent = state.agents.find(({ uuid }) => uuid === claims.sub);
    if (agent?.credential === undefined || claims.exp * 1000 <= clock.now()) return undefined;
    const key = createPublicKey({ key: JSON.parse(agent.credential), format: "jwk" });
    const isSigned = verify(
      null,
      Buffer.from(`${header}.${payload}`),
      key,
      Buffer.from(signature, "base64url"),
    );
    if (!isSigned || agent.usedTokens.includes(claims.jti)) return undefined;
    agent.usedTokens.push(claims.jti);
    return agent;
  } catch {
    return undefined;
  }
}

/** On 3.0.4 the token goes on working. */
function deprovision(world: World, call: Call): void {
  const agent = speaker(world, call);
  const { microserviceUuids } = validate(call.body, deprovisioning) as { microserviceUuids: string[] };
  for (const { uuid, status } of world.state.microservices) {
    if (microserviceUuids.includes(uuid) && status !== undefined) status.status = "DELETING";
  }
  const isOld = world.version === "3.0.4";
  Object.assign(agent.columns, {
    daemonStatus: isOld ? "UNKNOWN" : "DEPROVISIONED",
    ipAddress: "0.0.0.0",
    ipAddressExternal: "0.0.0.0",
  });
  if (!isOld) agent.credential = undefined;
}

function readConfig(world: World, call: Call) {
  const agent = speaker(world, call);
  const { state, version } = world;
  const names = Object.keys(configProperties).filter((name) => name !== "gpsMode");
  const told = Object.fromEntries(names.map((name) => [name, agent.columns[name] ?? null]));
  if (version === "3.7.3") {
    const { gpsDevice, gpsScanFrequency, edgeGuardFrequency } = agent.columns;
    return { ...told, gpsMode: agent.columns.gpsMode, gpsDevice, gpsScanFrequency, edgeGuardFrequency };
  }
  const router = agent.routerId === null
    ? routerOf(state, agent)
    : [...state.agentRouters, ...state.router === undefined ? [] : [state.router]]
      .find(({ id }) => id === agent.routerId);
  const routerHost = router?.host === agent.host ? "localhost" : router?.host;
  return { ...told, routerHost, routerPort: router?.messagingPort };
}

function writeConfig(world: World, call: Call): void {
  const agent = speaker(world, call);
  const body = validate(call.body, config);
  const given = Object.keys(configProperties).filter((name) => body[name] !== undefined);
  Object.assign(agent.columns, Object.fromEntries(given.map((name) => [name, body[name]])));
  agent.updatedAt = timestamp(world);
}

const changeNames = [
  ...["config", "version", "reboot", "deleteNode", "microserviceList", "microserviceConfig", "routing"],
  ...[
    "registries",
    "tunnel",
    "diagnostics",
    "isImageSnapshot",
    "prune",
    "routerChanged",
    "linkedEdgeResources",
  ],
];
const newChangeNames = [...changeNames.filter((name) => name !== "routing"), "volumeMounts", "execSessions"];

function readChanges(world: World, call: Call) {
  const agent = speaker(world, call);
  const names = world.version === "3.0.4" ? changeNames : newChangeNames;
  const flags = Object.fromEntries(names.map((name) => [name, agent.changes[name] ?? false]));
  return { ...flags, lastUpdated: agent.changedAt };
}

/** Those that were there when the agent looked. */
function forgetChanges(world: World, call: Call) {
  const agent = speaker(world, call);
  const { lastUpdated } = call.body as { readonly lastUpdated?: string };
  if (lastUpdated !== undefined && agent.changedAt <= lastUpdated) agent.changes = {};
  return {};
}

/** 3.7.3 falls over a report without `warningMessage`, and stays at WARNING while work of its own has failed. */
function report(world: World, call: Call): void {
  const agent = speaker(world, call);
  const body = validate(call.body, status);
  const { columns, uuid } = agent;
  const given = Object.keys(statusProperties).filter((name) => body[name] !== undefined);
  const reported = Object.fromEntries(given.map((name) => {
    const value = body[name];
    return [name, typeof value === "boolean" && name.endsWith("Violation") ? value ? "1" : "0" : value];
  }));
  if (world.version === "3.7.3") {
    const { warningMessage } = body;
    if (typeof warningMessage !== "string") {
      throw new Failure("TypeError", "Cannot read properties of undefined (reading 'includes')");
    }
    const failed = `${columns.warningMessage}`.includes("Background orchestration");
    if (failed) reported.daemonStatus = "WARNING";
    const tampered = /HW signature (changed|mismatch)/.test(warningMessage);
    reported.securityStatus = tampered ? "WARNING" : "OK";
    reported.securityViolationInfo = tampered
      ? "Auto deprovisioned by Agent. HW signature mismatch"
      : "No violation";
  }
  Object.assign(columns, reported);
  agent.updatedAt = timestamp(world);
  const names = [
    "containerId",
    "status",
    "startTime",
    "operatingDuration",
    "cpuUsage",
    "memoryUsage",
    "percentage",
  ];
  names.push("errorMessage", ...world.version === "3.0.4" ? [] : ["healthStatus", "ipAddress"]);
  for (const one of JSON.parse(`${body.microserviceStatus ?? "[]"}`) as Record<string, unknown>[]) {
    const row = world.state.microservices.find((row) => row.uuid === one.id && row.iofogUuid === uuid);
    if (row?.status === undefined) continue;
    const told = names.filter((name) => one[name] !== undefined).map((name) => [name, one[name]]);
    Object.assign(row.status, Object.fromEntries(told));
  }
}

function listEdgeResources(world: World, call: Call) {
  const agent = speaker(world, call);
  const linked = world.state.edgeResources.filter(({ id }) => agent.edgeResources.includes(id));
  if (linked.some((row) => row.interface === undefined)) {
    throw new Failure("TypeError", "Cannot read properties of null (reading 'toJSON')");
  }
  return { edgeResources: linked.map(fullView) };
}

/** Those of applications that run, and its router. Reading it is what ends `rebuild`. */
function listMicroservices(world: World, call: Call) {
  const agent = speaker(world, call);
  const { state } = world;
  const active = state.applications.filter(({ isActivated }) => isActivated).map(({ id }) => id);
  const rows = state.microservices.filter((row) =>
    row.iofogUuid === agent.uuid && active.includes(row.applicationId) && row.isActivated
  );
  const told = rows.flatMap((row) => {
    const imageId = imagesOf(world, row).find(({ fogTypeId }) => fogTypeId === agent.fogTypeId)
      ?.containerImage;
    if (!imageId) return [];
    const { uuid, name, config, rebuild, logSize, registryId, options, volumeMappings, env, cmd } = row;
    row.rebuild = false;
    return [{
      ...{ uuid, name, imageId, config, rebuild, logSize, registryId, ...options, volumeMappings, cmd },
      application: state.applications.find(({ id }) => id === row.applicationId)?.name,
      portMappings: row.ports.map(({ internal, external, protocol }) => ({
        ...{ portInternal: internal, portExternal: external, isUdp: protocol === "udp" },
      })),
      env: env.map(({ key, value }) => ({ key, value })),
      extraHosts: row.extraHosts.map(({ name, value }) => `${name}:${value}`),
      routes: state.routings.filter(({ sourceMicroserviceUuid }) => sourceMicroserviceUuid === uuid)
        .map(({ destMicroserviceUuid }) => destMicroserviceUuid),
    }];
  });
  const router = routerOf(state, agent);
  // On 3.7.3 it is a microservice like the others.
  if (router === undefined || world.version === "3.7.3") return { microservices: told };
  const routerMicroservice = {
    ...{ uuid: router.microserviceUuid, name: "router", imageId: "iofog/router:latest", rebuild: false },
    ...{ config: JSON.stringify({ mode: router.isEdge ? "edge" : "interior", id: agent.uuid }) },
  };
  return { microservices: [routerMicroservice, ...told] };
}

function listRegistries(world: World, call: Call) {
  const agent = speaker(world, call);
  const shown = world.state.registries.filter(({ userId, columns }) =>
    userId === agent.userId || columns.isPublic
  );
  return { registries: shown.map(({ id, columns, password }) => ({ id, ...columns, password })) };
}
