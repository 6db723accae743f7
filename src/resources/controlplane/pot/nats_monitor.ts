/**
 * Asks the NATS servers how they are, while it matters: before one of them leaves.
 *
 * Their monitor, port 8222, is reached through the headless Service, so only from inside of the cluster. Who cannot
 * reach it gets an answer that says so.
 */

import type { Clock } from "../../../clock.ts";
import { ControllerError } from "../../../controller/errors.ts";
import {
  type ControllerTransport,
  createNatsMonitorTransport,
  type TransportOptions,
} from "../../../controller/transport.ts";
import { StatefulSet } from "../../../kubernetes/generated/apps_v1.ts";
import type { Parent, Snapshot } from "../../../operator/definition.ts";
import { NATS } from "./nats.ts";
import { NATS_HEADLESS, natsPorts } from "./nats_configuration.ts";
import { healthOf, type MonitorAnswers, type NatsHealth, serversToAsk } from "./nats_scale.ts";
import { parseSpec } from "./schema.ts";

/** How to ask. */
export interface NatsMonitorOptions {
  readonly clock: Clock;
  readonly onRequest?: TransportOptions["onRequest"];
  /** URL of a server's monitor. @default in the pod's own name, as the cluster resolves it */
  readonly addressOf?: (server: string, namespace: string) => string;
}

/** Milliseconds for each question: a server that is well answers at once. */
const deadlineMs = 3_000;
/** More accounts than a server has: it tells of 1024 otherwise, and what is not told would seem not to be there. */
const MOST_ACCOUNTS = "1000000";

/** Asks the servers of `parent`'s namespace, where one of them is about to leave; never rejects but for `signal`. */
export async function askNatsServers(
  parent: Parent,
  snapshot: Snapshot,
  signal: AbortSignal,
  options: NatsMonitorOptions,
): Promise<NatsHealth> {
  const parsed = parseSpec(parent.spec);
  const live = snapshot.get(StatefulSet, NATS);
  if (!("spec" in parsed) || parsed.spec.replicas.nats >= (live?.spec?.replicas ?? 0)) {
    return { type: "unknown", why: "no server had to be asked" };
  }
  const { addressOf = addressInCluster, clock, onRequest } = options;
  return healthOf(
    await Promise.all(
      serversToAsk(live).map(async (server) => {
        const transport = createNatsMonitorTransport({
          baseUrl: addressOf(server, parent.metadata.namespace),
          deadlineMs,
          clock,
          ...(onRequest && { onRequest }),
        });
        try {
          return await ask(server, transport, signal);
        } finally {
          transport.close();
        }
      }),
    ),
  );
}

async function ask(
  server: string,
  transport: ControllerTransport,
  abortSignal: AbortSignal,
): Promise<MonitorAnswers> {
  const get = (route: string, query?: Readonly<Record<string, string>>) =>
    transport.performRequest({ method: "GET", route, abortSignal, ...(query && { query }) });
  try {
    const jsz = await get("/jsz", { accounts: "1", streams: "1", config: "1", limit: MOST_ACCOUNTS });
    return { server, healthz: await get("/healthz"), jsz };
  } catch (error) {
    abortSignal.throwIfAborted();
    if (!(error instanceof ControllerError)) throw error;
    return { server, failure: error.message };
  }
}

function addressInCluster(server: string, namespace: string): string {
  return `http://${server}.${NATS_HEADLESS}.${namespace}.svc:${natsPorts.monitor}`;
}
