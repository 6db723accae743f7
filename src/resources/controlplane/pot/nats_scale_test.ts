import { assertEquals, assertMatch } from "@std/assert";
import type { StatefulSet } from "../../../kubernetes/generated/apps_v1.ts";
import { healthOf, type NatsHealth, nextScale, serversInUse } from "./nats_scale.ts";

function set(replicas: number, status: StatefulSet["status"] = ready(replicas)): StatefulSet {
  return { metadata: { generation: 3 }, spec: { replicas } as StatefulSet["spec"], status };
}

function ready(replicas: number): NonNullable<StatefulSet["status"]> {
  return { observedGeneration: 3, replicas, readyReplicas: replicas, updatedReplicas: replicas };
}

const unknown: NatsHealth = { type: "unknown", why: "port 8222 of nats-0 does not answer" };
const well: NatsHealth = { type: "known", unwell: [], members: 3, streams: [] };

const scale = (wanted: number, live: StatefulSet | undefined, health: NatsHealth = well) => {
  const { servers, waiting } = nextScale(wanted, live, health);
  return { servers, reason: waiting?.reason, message: waiting?.message ?? "" };
};

Deno.test("nextScale() begins with what is wanted, and goes one at a time", () => {
  assertEquals(scale(3, undefined).servers, 3);
  assertEquals(scale(5, set(2)).servers, 3);
  assertEquals(scale(2, set(5), { ...well, members: 5 }).servers, 4);
  assertEquals(scale(2, set(2)).reason, undefined);
});

Deno.test("nextScale() comes back from none at all, as after somebody scaled the StatefulSet to 0", () => {
  const live: StatefulSet = { ...set(0), status: { observedGeneration: 3, replicas: 0 } };
  assertEquals(scale(2, live).servers, 1);
  // And from a billion, without a name for each.
  assertEquals(scale(2, set(1e9)).servers, 100);
});

Deno.test("nextScale() waits until every server is ready and runs what it should", () => {
  for (
    const status of [
      { ...ready(2), readyReplicas: 1 },
      { ...ready(2), replicas: 3 },
      { ...ready(2), updatedReplicas: 1 },
      { ...ready(2), observedGeneration: 2 },
      undefined,
    ]
  ) {
    const live: StatefulSet = { ...set(2), status };
    assertEquals([scale(4, live).servers, scale(4, live).reason], [2, "NatsScaling"]);
  }
});

Deno.test("nextScale() adds a server without asking the others, and takes none where they cannot be asked", () => {
  assertEquals(scale(3, set(2), unknown).servers, 3);
  const { message, reason, servers } = scale(2, set(3), unknown);
  assertEquals([servers, reason], [3, "NatsHealthUnknown"]);
  assertMatch(message, /only copy of a stream cannot be known, since port 8222 of nats-0 does not answer/);
  const ill: NatsHealth = { ...well, unwell: [{ server: "nats-1", why: "it says no quorum" }] };
  assertEquals(scale(2, set(3), ill).reason, "NatsUnhealthy");
});

Deno.test("nextScale() keeps a server that has the only copy of a stream, or one that a majority needs", () => {
  const stream = (wanted: number, ...servers: string[]): NatsHealth => ({
    ...well,
    streams: [{ account: "ACME", name: "orders", wanted, servers }],
  });
  const only = scale(2, set(3), stream(1, "nats-2"));
  assertEquals([only.servers, only.reason], [3, "NatsLastCopy"]);
  assertMatch(
    only.message,
    /nats-2 has a copy without which these streams are lost: orders \(account ACME\)\./,
  );
  assertEquals(scale(2, set(3), stream(1, "nats-0")).servers, 2);
  assertEquals(scale(2, set(3), stream(2, "nats-0", "nats-2")).reason, "NatsLastCopy");
  assertEquals(scale(2, set(3), stream(3, "nats-0", "nats-1", "nats-2")).servers, 2);
  // One that is behind counts for nothing.
  assertEquals(scale(2, set(3), stream(3, "nats-0", "nats-2")).reason, "NatsLastCopy");
});

Deno.test("nextScale() leaves as many servers as JetStream needs to decide", () => {
  assertEquals(scale(2, set(3), { ...well, members: 5 }).reason, "NatsQuorum");
  assertEquals(scale(2, set(3), { ...well, members: 3 }).servers, 2);
});

Deno.test("serversInUse() counts a pod that is still leaving", () => {
  assertEquals(serversInUse(2, set(2, ready(3))), 3);
  assertEquals(serversInUse(3, undefined), 3);
});

const jsz = (streams: readonly unknown[], size = 3) => ({
  meta_cluster: { name: "pot", leader: "nats-0", cluster_size: size },
  account_details: [{ name: "ACME", id: "AACME", stream_detail: streams }],
});

Deno.test("healthOf() puts together who has which stream; a copy that the leader calls old is none", () => {
  const config = { num_replicas: 3 };
  const led = {
    name: "orders",
    config,
    cluster: {
      leader: "nats-0",
      replicas: [{ name: "nats-1", current: true }, { name: "nats-2", current: false }],
    },
  };
  const followed = { name: "orders", config, cluster: { leader: "nats-0" } };
  const health = healthOf([
    { server: "nats-0", healthz: { status: "ok" }, jsz: jsz([led]) },
    {
      server: "nats-1",
      healthz: { status: "ok" },
      jsz: jsz([followed, { name: "own", config: { num_replicas: 1 } }]),
    },
    { server: "nats-2", healthz: { status: "unavailable", error: "not ready" }, jsz: jsz([followed]) },
  ]);
  assertEquals(health, {
    type: "known",
    unwell: [{ server: "nats-2", why: "it says not ready" }],
    members: 3,
    streams: [
      { account: "ACME", name: "orders", wanted: 3, servers: ["nats-0", "nats-1"] },
      { account: "ACME", name: "own", wanted: 1, servers: ["nats-1"] },
    ],
  });
});

Deno.test("healthOf() knows nothing where nobody answers, and names who does not", () => {
  assertEquals(healthOf([{ server: "nats-0", failure: "refused" }]).type, "unknown");
  const health = healthOf([
    { server: "nats-0", failure: "refused" },
    { server: "nats-1", healthz: { status: "ok" }, jsz: jsz([], 2) },
  ]);
  assertEquals(health.type === "known" ? health.unwell : [], [{ server: "nats-0", why: "refused" }]);
});
