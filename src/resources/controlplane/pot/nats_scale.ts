/**
 * How many NATS servers there should be now: one more or one fewer at a time, and only while the cluster is well.
 *
 * A server that leaves takes its copies of streams along. What the servers say of themselves (`nats_monitor.ts`) tells
 * whether it may go; where they cannot be asked, it stays.
 */

import type { StatefulSet } from "../../../kubernetes/generated/apps_v1.ts";
import * as reasons from "../reasons.ts";
import { ordinals, serverName } from "./nats_configuration.ts";
import { MOST_NATS_SERVERS } from "./schema.ts";

/** A stream, as the servers that have copies of it tell. */
export interface StreamCopies {
  readonly account: string;
  readonly name: string;
  /** How many copies its configuration asks for. */
  readonly wanted: number;
  /** Servers with an up-to-date copy. */
  readonly servers: readonly string[];
}

/** What the servers say. */
export type NatsHealth =
  | { readonly type: "unknown"; readonly why: string }
  | {
    readonly type: "known";
    /** Servers that do not answer, or say that they are not well, and why. */
    readonly unwell: readonly { readonly server: string; readonly why: string }[];
    /** Members of the group that decides for JetStream, those that are gone included. */
    readonly members: number;
    readonly streams: readonly StreamCopies[];
  };

/** The number of servers now, and why it is not the wanted one yet. */
export interface NatsScale {
  readonly servers: number;
  readonly waiting?: { readonly reason: string; readonly message: string } | undefined;
}

/** The next number of servers on the way to `wanted`. */
export function nextScale(wanted: number, live: StatefulSet | undefined, health: NatsHealth): NatsScale {
  // Somebody may have scaled it to a billion.
  const now = live?.spec?.replicas && Math.min(live.spec.replicas, MOST_NATS_SERVERS);
  if (live === undefined || now === undefined || now === wanted) return { servers: wanted };
  const wait = (reason: string, message: string): NatsScale => ({
    servers: now,
    waiting: { reason, message },
  });
  const way = `from ${now} NATS servers to ${wanted}`;
  if (!isSettled(live, now)) {
    const ready = live.status?.readyReplicas ?? 0;
    return wait(
      reasons.NATS_SCALING,
      `on the way ${way}, ${ready} of ${now} are ready: the next step waits for the rest`,
    );
  }
  if (wanted > now) return { servers: now + 1 };
  const leaving = serverName(now - 1);
  if (health.type === "unknown") {
    return wait(
      reasons.NATS_HEALTH_UNKNOWN,
      `going ${way} waits: whether ${leaving} has the only copy of a stream cannot be known, since ${health.why}. ` +
        "The operator has to reach port 8222 of the pods, which it can only inside of the cluster",
    );
  }
  const [unwell] = health.unwell;
  if (unwell !== undefined) {
    return wait(reasons.NATS_UNHEALTHY, `going ${way} waits until ${unwell.server} is well: ${unwell.why}`);
  }
  const held = health.streams.filter((stream) => isNeeded(stream, leaving));
  if (held.length > 0) {
    const named = held.slice(0, 3).map(({ account, name }) => `${name} (account ${account})`);
    const more = held.length > 3 ? ` and ${held.length - 3} more` : "";
    return wait(
      reasons.NATS_LAST_COPY,
      `going ${way} is refused: ${leaving} has a copy without which these streams are lost: ${
        named.join(", ")
      }${more}. ` +
        `Give them copies on other servers (nats stream edit --replicas), move or delete them, or set ` +
        `spec.replicas.nats back to ${now}`,
    );
  }
  const needed = Math.floor(health.members / 2) + 1;
  if (now - 1 < needed) {
    return wait(
      reasons.NATS_QUORUM,
      `going ${way} is refused: JetStream counts ${health.members} servers, and would stop with ${
        now - 1
      }. Have it ` +
        "forget those that are gone (nats server cluster peer-remove), or set spec.replicas.nats back to " +
        now,
    );
  }
  return { servers: now - 1 };
}

/** Servers whose names, routes and claims are needed: a pod that is still leaving is one of them. */
export function serversInUse(scale: number, live: StatefulSet | undefined): number {
  return Math.max(scale, live?.status?.replicas ?? 0);
}

/** Every server is ready, and runs what the StatefulSet says. */
function isSettled({ metadata, status }: StatefulSet, servers: number): boolean {
  // Numbers that are 0 are left out.
  const { observedGeneration = 0, readyReplicas = 0, replicas = 0, updatedReplicas = servers } = status ?? {};
  return observedGeneration >= (metadata?.generation ?? 0) &&
    [replicas, readyReplicas, updatedReplicas].every((number) => number === servers);
}

/** Whether a stream would be lost, or could not be written any more, without what `server` has of it. */
function isNeeded({ servers, wanted }: StreamCopies, server: string): boolean {
  if (!servers.includes(server)) return false;
  const left = servers.filter((each) => each !== server).length;
  return left < Math.floor(wanted / 2) + 1;
}

/** The answers of one server's monitor, as far as they are read: `null` where it did not answer. */
export interface MonitorAnswers {
  readonly server: string;
  /** Why it cannot be asked; undefined where it answered. */
  readonly failure?: string | undefined;
  /** Of `/healthz`. */
  readonly healthz?: unknown;
  /** Of `/jsz?accounts=1&streams=1&config=1`. */
  readonly jsz?: unknown;
}

/** Puts together what the servers answered. */
export function healthOf(answers: readonly MonitorAnswers[]): NatsHealth {
  if (answers.length === 0) return { type: "unknown", why: "no server was asked yet" };
  if (answers.every(({ failure }) => failure !== undefined)) {
    return { type: "unknown", why: `no server answers: ${answers[0]?.failure}` };
  }
  const streams = new Map<string, { account: string; name: string; wanted: number; servers: Set<string> }>();
  const behind = new Map<string, Set<string>>();
  let members = 0;
  const unwell: { server: string; why: string }[] = [];
  for (const { failure, healthz, jsz, server } of answers) {
    const status = recordOf(healthz)["status"];
    if (failure !== undefined) unwell.push({ server, why: failure });
    else if (status !== "ok") {
      unwell.push({ server, why: `it says ${String(recordOf(healthz)["error"] ?? status)}` });
    }
    const meta = recordOf(recordOf(jsz)["meta_cluster"]);
    members = Math.max(members, numberOf(meta["cluster_size"]));
    for (const account of listOf(recordOf(jsz)["account_details"])) {
      for (const stream of listOf(account["stream_detail"])) {
        const key = `${String(account["id"] ?? account["name"])}/${String(stream["name"])}`;
        const known = streams.get(key) ?? {
          account: String(account["name"]),
          name: String(stream["name"]),
          wanted: 1,
          servers: new Set<string>(),
        };
        known.servers.add(server);
        known.wanted = Math.max(known.wanted, numberOf(recordOf(stream["config"])["num_replicas"]));
        streams.set(key, known);
        // Only the leader knows how far the others are.
        const cluster = recordOf(stream["cluster"]);
        if (cluster["leader"] !== server) continue;
        const late = listOf(cluster["replicas"]).filter(({ current, offline }) =>
          current !== true || offline === true
        );
        behind.set(key, new Set(late.map(({ name }) => String(name))));
      }
    }
  }
  return {
    type: "known",
    unwell,
    members: Math.max(members, answers.length),
    streams: [...streams].map(([key, { account, name, servers, wanted }]) => ({
      account,
      name,
      wanted,
      servers: [...servers].filter((server) => behind.get(key)?.has(server) !== true),
    })),
  };
}

/** Names of the servers to ask. */
export function serversToAsk(live: StatefulSet | undefined): readonly string[] {
  return ordinals(Math.min(live?.spec?.replicas ?? 0, MOST_NATS_SERVERS)).map(serverName);
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function listOf(value: unknown): readonly Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
