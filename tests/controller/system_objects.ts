/**
 * What 3.7.3 makes for its own use beside an agent: an application with router and NATS, secrets, config maps and
 * volume mounts. They stand in the same lists as everybody's, and belong to nobody who looks there.
 */

import { type AgentRow, type MicroserviceRow, nextId } from "./edge_state.ts";
import { deleteMicroservice } from "./microservices.ts";
import { timestamp, type World } from "./route.ts";

/** A part of an agent that is a microservice. */
type Part = "router" | "nats";

const yearMs = 365 * 86_400_000;
const nats = { natsAccess: false, natsRule: null };

interface Objects {
  /** The first ones are mounted, the rest are only kept. */
  readonly secrets: readonly string[];
  readonly mounted: number;
  readonly configMaps: readonly string[];
  readonly catalogItemId: number;
}

function objectsOf(part: Part, name: string): Objects {
  if (part === "router") {
    const own = ["site-server", "local-server", "local-agent", "local-ca"].map((kind) =>
      `router-${kind}-${name}`
    );
    return { secrets: own, mounted: 3, configMaps: [], catalogItemId: 1 };
  }
  const secrets = ["server", "mqtt-server", "local-ca", "jetstream-key"].map((kind) =>
    `nats-${kind}-${name}`
  );
  const configMaps = ["server-conf", "jwt-bundle", "leaf-creds"].map((kind) => `nats-${kind}-${name}`);
  return { secrets, mounted: 2, configMaps, catalogItemId: 5 };
}

/** Makes what is not there yet. */
export function ensureSystemObjects(
  world: World,
  agent: AgentRow,
  part: Part,
  ports: readonly number[],
): void {
  const { state } = world;
  const { secrets, mounted, configMaps, catalogItemId } = objectsOf(part, agent.name);
  const authority = `${part}-site-ca`;
  if (ensureSecret(world, authority)) {
    // Nobody has imported it: it is the Controller's own from now on.
    const validTo = new Date(world.clock.now() + 5 * yearMs).toISOString();
    state.certificates.push({
      ...{ name: authority, subject: authority, isCA: true, serialNumber: "01" },
      ...{ validFrom: timestamp(world), validTo },
    });
  }
  for (const name of secrets) ensureSecret(world, name);
  for (const name of configMaps) {
    if (state.configMaps.some((configMap) => configMap.name === name)) continue;
    const id = nextId(state, "configMaps");
    state.configMaps.push({ id, name, immutable: false, useVault: true, data: { content: name } });
  }
  const sources = [
    ...secrets.slice(0, mounted).map((name) => ({ name, secretName: name, configMapName: null })),
    ...configMaps.map((name) => ({ name, secretName: null, configMapName: name })),
  ];
  for (const source of sources) {
    const row = state.volumeMounts.find(({ name }) => name === source.name);
    if (row === undefined) {
      state.volumeMounts.push({ uuid: crypto.randomUUID(), ...source, version: 1, agents: [agent.uuid] });
    } else if (!row.agents.includes(agent.uuid)) row.agents.push(agent.uuid);
  }
  const before = systemMicroservice(world, agent, part);
  if (before !== undefined) before.ports = portsOf(ports);
  else state.microservices.push(newMicroservice(world, agent, part, catalogItemId, ports));
}

/** Returns whether it was not there yet. */
function ensureSecret({ state }: World, name: string): boolean {
  if (state.secrets.some((secret) => secret.name === name)) return false;
  const data = { "tls.crt": btoa(name), "tls.key": btoa(name), "ca.crt": btoa(name) };
  state.secrets.push({ id: nextId(state, "secrets"), name, type: "tls", data });
  return true;
}

function portsOf(ports: readonly number[]): MicroserviceRow["ports"] {
  return ports.map((port) => ({ internal: port, external: port, protocol: "tcp", public: undefined }));
}

function systemMicroservice({ state }: World, { uuid }: AgentRow, part: Part): MicroserviceRow | undefined {
  return state.microservices.find((row) =>
    row.iofogUuid === uuid && row.name === part &&
    state.applications.some(({ id, isSystem }) => id === row.applicationId && isSystem)
  );
}

function newMicroservice(
  world: World,
  agent: AgentRow,
  part: Part,
  catalogItemId: number,
  ports: readonly number[],
): MicroserviceRow {
  const now = timestamp(world);
  return {
    ...{ uuid: crypto.randomUUID(), applicationId: systemApplication(world, agent), userId: undefined },
    ...{
      name: part,
      config: "{}",
      rebuild: true,
      logSize: 1,
      options: {},
      nats,
      isActivated: true,
      role: "microservice",
    },
    ...{ catalogItemId, registryId: 1, iofogUuid: agent.uuid, images: [], ports: portsOf(ports) },
    ...{ volumeMappings: [], env: [], cmd: [], extraHosts: [], createdAt: now, updatedAt: now },
    status: {
      ...{
        status: "QUEUED",
        operatingDuration: 0,
        startTime: 0,
        cpuUsage: 0,
        memoryUsage: 0,
        containerId: "",
      },
      ...{ percentage: 0, errorMessage: "", healthStatus: "", ipAddress: "" },
    },
  };
}

function systemApplication(world: World, agent: AgentRow): number {
  const { applications } = world.state;
  const name = `system-${agent.name}`;
  const before = applications.find((application) => application.name === name);
  if (before !== undefined) return before.id;
  const id = nextId(world.state, "applications"), now = timestamp(world);
  applications.push({
    ...{ id, name, description: "", isActivated: true, isSystem: true, nats, userId: undefined },
    ...{ createdAt: now, updatedAt: now },
  });
  return id;
}

/** Takes away what was made for a part; the authorities of the site stay. */
export function dropSystemObjects(world: World, agent: AgentRow, part: Part): void {
  const { state } = world;
  const { secrets, configMaps } = objectsOf(part, agent.name);
  const names = new Set([...secrets, ...configMaps]);
  state.secrets = state.secrets.filter(({ name }) => !names.has(name));
  state.configMaps = state.configMaps.filter(({ name }) => !names.has(name));
  state.volumeMounts = state.volumeMounts.filter(({ name }) => !names.has(name));
  const row = systemMicroservice(world, agent, part);
  if (row !== undefined) deleteMicroservice(world, row);
}

/** Takes away the agent's own application, with everything of its parts. */
export function dropSystemApplication(world: World, agent: AgentRow): void {
  for (const part of ["router", "nats"] as const) dropSystemObjects(world, agent, part);
  const { state } = world;
  state.applications = state.applications.filter(({ name }) => name !== `system-${agent.name}`);
}
