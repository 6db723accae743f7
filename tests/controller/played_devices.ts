/**
 * Devices that stand ready for agents: each takes the next one that nobody has provisioned, by the key that there is or
 * one of its own, and keeps reporting. So a newcomer sees an application come up.
 */

import { type Clock, systemClock } from "../../src/clock.ts";
import { mintKey } from "./agent_routes.ts";
import type { AgentRow } from "./edge_state.ts";
import { SimulatedAgent } from "./simulated_agent.ts";
import type { World } from "./route.ts";

/** How they are played. */
export interface DeviceOptions {
  /** How many. */
  readonly count: number;
  readonly clock?: Clock | undefined;
  /** Between two looks of each. @default 2000 */
  readonly everyMs?: number | undefined;
  /** Gets what happens, one line each. */
  readonly onAction?: ((line: string) => void) | undefined;
}

/** Plays devices until it is disposed of. */
export function playDevices(world: World, url: string, options: DeviceOptions): AsyncDisposable {
  const { count, clock = systemClock, everyMs = 2_000, onAction = () => {} } = options;
  const devices = new Map<string, SimulatedAgent>();
  const stop = new AbortController();
  const look = async () => {
    const { agents } = world.state;
    for (const [uuid] of devices) if (!agents.some((agent) => agent.uuid === uuid)) devices.delete(uuid);
    for (const agent of agents) {
      if (devices.size >= count || agent.credential !== undefined) continue;
      const device = await provision(world, url, agent, devices.size + 1, clock);
      devices.set(agent.uuid, device);
      onAction(`device ${devices.size} is agent ${agent.name} now`);
    }
    for (const [uuid, device] of devices) {
      const before = device.containers.size;
      await device.turn();
      const { name } = agents.find((agent) => agent.uuid === uuid) ?? {};
      if (device.containers.size !== before) {
        onAction(`agent ${name} runs ${device.containers.size} containers`);
      }
    }
  };
  const running = (async () => {
    while (!stop.signal.aborted) {
      // The Controller is away, or an agent was deleted meanwhile: the next look tells.
      await look().catch(() => {});
      await clock.sleep(everyMs, stop.signal);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

function provision(
  world: World,
  url: string,
  agent: AgentRow,
  number: number,
  clock: Clock,
): Promise<SimulatedAgent> {
  const now = clock.now();
  const valid = agent.provisioning !== undefined && agent.provisioning.expirationTime > now;
  const { key } = valid && agent.provisioning !== undefined ? agent.provisioning : mintKey(world, agent);
  const architecture = agent.fogTypeId === 2 ? "arm" as const : "x86" as const;
  return SimulatedAgent.provision({ url, key, architecture, ipAddress: `10.0.0.${number}`, clock });
}
