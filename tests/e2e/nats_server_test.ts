/**
 * Real servers run what is generated for NATS, clustered, with its certificates and JWTs; a client writes to JetStream
 * and reads it back before and after everything that happens to them.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { connect as connectTls } from "node:tls";
import { jetstream, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect, credsAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "../../src/clock.ts";
import type { StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import type { ConfigMap, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { parentOf, secretOf, snapshotOf } from "../../src/resources/controlplane/iofog/fixtures.ts";
import { auth } from "../../src/resources/controlplane/pot/fixtures.ts";
import { defaultImages } from "../../src/resources/controlplane/pot/images.ts";
import type { Inputs } from "../../src/resources/controlplane/pot/inputs.ts";
import { natsChildren, natsScale } from "../../src/resources/controlplane/pot/nats.ts";
import { askNatsServers } from "../../src/resources/controlplane/pot/nats_monitor.ts";
import type { NatsHealth } from "../../src/resources/controlplane/pot/nats_scale.ts";
import { parseSpec } from "../../src/resources/controlplane/pot/schema.ts";
import { makeCa, trustedIn } from "../../src/resources/pki.ts";
import { PROPAGATION_MS } from "../../src/resources/rotation.ts";
import { addAccount, natsOf } from "../controller/nats_routes.ts";
import { createState } from "../controller/state.ts";
import { find, NatsPods } from "../nats/pods.ts";
import { registerSecret } from "../secrets.ts";

const DAY_MS = 24 * 3_600_000;
/** The first certificates end in 29 days, so that they are due by the clock that the servers go by. */
const YOUNG = Date.now() - 5 * 365 * DAY_MS + 29 * DAY_MS;
const MOST_SERVERS = 3;

/** What stands in the API server, and what the operator makes of it. */
class World {
  objects: readonly KubeObject[] = [];
  now = YOUNG;
  health: Inputs["natsHealth"];
  spec: Record<string, unknown> = {};

  constructor(readonly told: Pick<Inputs, "natsBootstrap" | "natsAccounts">) {}

  get inputs(): Inputs {
    const parsed = parseSpec({
      auth,
      services: { nats: { type: "ClusterIP" } },
      ingresses: { nats: { address: "127.0.0.1" } },
      nats: { jetStream: { memoryStoreSize: "64Mi", storageSize: "256Mi" } },
      ...this.spec,
    });
    if (!("spec" in parsed)) throw new Error(JSON.stringify(parsed));
    return {
      name: "pot",
      // Of digits alone, which would be a number without quotes.
      namespace: "2026",
      uid: "parent-uid",
      spec: parsed.spec as Inputs["spec"],
      images: defaultImages,
      snapshot: snapshotOf(this.objects),
      now: this.now,
      authProved: true,
      natsHealth: this.health,
      ...this.told,
    };
  }

  /** As many passes as it takes until nothing is left to write; the pods of the StatefulSet are ready afterwards. */
  async converge(): Promise<void> {
    const known = new Map(this.objects.map((object) => [`${object.kind} ${object.metadata?.name}`, object]));
    for (let writes = -1; writes !== 0;) {
      writes = 0;
      for (const child of natsChildren(this.inputs)) {
        if (child.type === "external") continue;
        const { metadata } = child.object;
        const key = `${child.resource.kind} ${metadata.name}`;
        const live = known.get(key);
        if (child.type === "generated" && live !== undefined && child.reissue === undefined) {
          if (JSON.stringify(live.metadata) !== JSON.stringify(metadata)) writes++;
          known.set(key, { ...live, metadata });
          continue;
        }
        const object = child.type === "applied"
          ? { ...child.object, ...(live && { status: (live as StatefulSet).status }) }
          : { ...child.object, data: registered(await child.generate()) };
        if (JSON.stringify(live) !== JSON.stringify(object)) writes++;
        known.set(key, object as KubeObject);
      }
      this.objects = [...known.values()];
    }
  }

  /** Says that the pods of the StatefulSet are ready. */
  ready(): void {
    const set = find<StatefulSet>(this.objects, "StatefulSet", "nats");
    const replicas = set.spec?.replicas ?? 0;
    const status = { replicas, readyReplicas: replicas, updatedReplicas: replicas, observedGeneration: 1 };
    this.objects = this.objects.map((object) => object === set ? { ...set, status } as KubeObject : object);
  }

  get replicas(): number {
    return find<StatefulSet>(this.objects, "StatefulSet", "nats").spec?.replicas ?? 0;
  }

  secret(name: string): Record<string, string> {
    const { data = {} } = find<Secret>(this.objects, "Secret", name);
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, atob(value)]));
  }
}

function registered(data: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const key of ["jsk", "tls.key", "seed", "admin-hub.creds"]) {
    const value = data[key];
    if (value !== undefined) registerSecret(atob(value));
  }
  return data;
}

/** What `look` finds or, since servers may be choosing a leader, does not fail to find any more. */
async function eventually<T>(what: string, pods: NatsPods, look: () => Promise<T | undefined>): Promise<T> {
  let cause: unknown;
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      cause = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited for ${what}\n${pods.logs}`, { cause });
}

interface Jsz {
  readonly meta_cluster?: { readonly leader?: string; readonly cluster_size?: number };
}

/** Every server has the routes and the leader that it needs. */
async function clustered(pods: NatsPods): Promise<void> {
  const servers = pods.names.length;
  await eventually(`a cluster of ${servers}`, pods, async () => {
    for (let ordinal = 0; ordinal < servers; ordinal++) {
      const health = await pods.monitor(ordinal, "/healthz") as { status?: string } | undefined;
      const routez = await pods.monitor(ordinal, "/routez") as
        | { routes?: { remote_name: string }[] }
        | undefined;
      const jsz = await pods.monitor(ordinal, "/jsz") as Jsz | undefined;
      const others = new Set((routez?.routes ?? []).map(({ remote_name }) => remote_name));
      if (health?.status !== "ok" || others.size < servers - 1 || !jsz?.meta_cluster?.leader) {
        return undefined;
      }
    }
    return true;
  });
}

/** What the servers say of themselves, as the operator asks. */
function health({ objects }: World, pods: NatsPods, wanted: number): Promise<NatsHealth> {
  const parent = { ...parentOf({ auth, replicas: { nats: wanted } }) };
  return askNatsServers(parent, snapshotOf(objects), new AbortController().signal, {
    clock: systemClock,
    addressOf: (server) => `http://127.0.0.1:${pods.port(Number(server.slice("nats-".length)), "monitor")}`,
  });
}

function connectWith(creds: string, pods: NatsPods): Promise<NatsConnection> {
  return connect({
    servers: `127.0.0.1:${pods.port(0, "client")}`,
    authenticator: credsAuthenticator(new TextEncoder().encode(creds)),
    ignoreClusterUpdates: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  });
}

/** A client of an application's account. */
class Client implements AsyncDisposable {
  private constructor(
    readonly connection: NatsConnection,
    readonly manager: JetStreamManager,
    readonly pods: NatsPods,
  ) {}

  static async connect(creds: string, pods: NatsPods): Promise<Client> {
    const connection = await connectWith(creds, pods);
    // A server may know an account before it has what JetStream keeps of it.
    const manager = await eventually(
      "JetStream",
      pods,
      () => jetstreamManager(connection, { timeout: 20_000 }),
    );
    return new Client(connection, manager, pods);
  }

  /** Writes one message, and returns all that are there. While a stream has no leader nobody answers. */
  async exchange(text: string): Promise<readonly string[]> {
    const js = jetstream(this.connection, { timeout: 2_000 });
    await eventually("a write", this.pods, () => js.publish("orders.new", text, { msgID: text }));
    return await eventually("what was written", this.pods, () => this.#read());
  }

  async #read(): Promise<readonly string[]> {
    const consumer = await jetstream(this.connection, { timeout: 2_000 }).consumers.get("orders");
    const found: string[] = [];
    for await (const message of await consumer.fetch({ max_messages: 100, expires: 2_000 })) {
      found.push(message.string());
      if (message.info.pending === 0) break;
    }
    return found;
  }

  /** Makes streams of one copy until one is on `server`; returns its name. */
  async addStreamOn(server: string): Promise<string> {
    for (let number = 0; number < 20; number++) {
      const name = `lonely-${number}`;
      await this.manager.streams.add({ name, subjects: [`${name}.>`], num_replicas: 1 });
      if ((await this.manager.streams.info(name)).cluster?.leader === server) return name;
    }
    throw new Error(`no stream was put on ${server}\n${this.pods.logs}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close();
  }
}

/** Serial number of the certificate that a server shows to other servers. */
function shownSerial(pods: NatsPods, ordinal: number, secret: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host: "127.0.0.1",
      port: pods.port(ordinal, "cluster"),
      ca: secret["ca.crt"] ?? "",
      cert: secret["tls.crt"] ?? "",
      key: secret["tls.key"] ?? "",
    }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

Deno.test("nats-server runs what is generated, through a change of scale, a renewal and another authority", async () => {
  const nats = await natsOf(createState());
  await addAccount(nats, "shop");
  const system = nats.accounts.find(({ isSystem }) => isSystem);
  const creds = (name: string) => nats.users.find((user) => user.name === name)?.creds ?? "";
  if (system === undefined) throw new Error("no system account");
  const world = new World({
    natsBootstrap: {
      operatorJwt: nats.operator.jwt,
      operatorPublicKey: nats.operator.publicKey,
      operatorSeed: nats.operator.seed,
      systemAccountJwt: system.jwt,
      systemAccountPublicKey: system.publicKey,
      sysUserCredsBase64: btoa(creds("admin-hub")),
    },
    natsAccounts: nats.accounts,
  });
  await using pods = await NatsPods.prepare(MOST_SERVERS);
  const follow = async (lagging: readonly string[] = []) => {
    await world.converge();
    await pods.follow(world.objects, lagging);
    await clustered(pods);
    world.ready();
  };

  await follow();
  assertEquals(pods.names, ["nats-0", "nats-1"]);
  await using client = await Client.connect(creds("shop-user"), pods);
  await client.manager.streams.add({ name: "orders", subjects: ["orders.>"], num_replicas: 2 });
  assertEquals(await client.exchange("first"), ["first"]);
  // JetStream's domain, and the credentials that the servers' image has for itself.
  assertEquals((await client.manager.getAccountInfo()).domain, "2026");
  const admin = await connectWith(world.secret("nats-creds-sys-admin-hub")["admin-hub.creds"] ?? "", pods);
  const pong = await admin.request("$SYS.REQ.SERVER.PING", "", { timeout: 5_000 });
  assertMatch(pong.string(), /"name":"nats-[01]"/);
  await admin.close();

  // Another server, while the others run on.
  world.spec = { replicas: { nats: 3 } };
  await follow();
  assertEquals(pods.names.length, 3);
  assertEquals(await client.exchange("second"), ["first", "second"]);

  // The certificates are due.
  const due = world.secret("nats-site-server");
  world.now = Date.now() - PROPAGATION_MS;
  await follow();
  const renewed = world.secret("nats-site-server");
  assert(due["tls.crt"] !== renewed["tls.crt"] && due["ca.crt"] === renewed["ca.crt"]);
  await shown(pods, [0, 1, 2], renewed);
  assertEquals((await client.exchange("third")).length, 3);

  // Another authority, with a kubelet that is late: servers with the old and the new certificate accept each other.
  world.objects = [...world.objects, await ownAuthority("company-ca")];
  world.spec = { ...world.spec, certificates: { natsSiteCaSecret: { name: "company-ca" } } };
  await follow();
  const trusting = world.secret("nats-site-server");
  assertEquals(trusting["tls.crt"], renewed["tls.crt"]);
  assertEquals(trustedIn(trusting["ca.crt"]).length, 2);
  world.now = Date.now();
  await world.converge();
  const issued = world.secret("nats-site-server");
  assert(issued["tls.crt"] !== renewed["tls.crt"]);
  await pods.follow(world.objects, ["nats-1"]);
  await shown(pods, [0, 2], issued);
  await pods.restart(0);
  await clustered(pods);
  await shown(pods, [1], renewed);
  await follow();
  await shown(pods, [1], issued);
  assertEquals((await client.exchange("fourth")).length, 4);

  // A server that has the only copy of a stream stays, and goes when it has none.
  await client.manager.streams.update("orders", { num_replicas: 3 });
  const lonely = await client.addStreamOn("nats-2");
  world.spec = { ...world.spec, replicas: { nats: 2 } };
  const refused = await eventually("the refusal", pods, async () => {
    world.health = await health(world, pods, 2);
    const { waiting } = natsScale(world.inputs);
    return waiting?.reason === "NatsLastCopy" ? waiting : undefined;
  });
  assertMatch(refused.message, new RegExp(`${lonely} \\(account shop\\)`));
  await world.converge();
  assertEquals(world.replicas, 3);
  await client.manager.streams.delete(lonely);
  await eventually("every copy", pods, async () => {
    world.health = await health(world, pods, 2);
    return natsScale(world.inputs).servers === 2 ? true : undefined;
  });
  await follow();
  assertEquals(pods.names, ["nats-0", "nats-1"]);
  // Now that it is gone, its route goes.
  await follow();
  assert(
    !find<ConfigMap>(world.objects, "ConfigMap", "iofog-nats-config").data?.["server.conf"]?.includes(
      "nats-2",
    ),
  );
  assertEquals(await client.exchange("fifth"), ["first", "second", "third", "fourth", "fifth"]);
});

/** Waits until servers show a certificate to others. */
async function shown(
  pods: NatsPods,
  ordinals: readonly number[],
  secret: Record<string, string>,
): Promise<void> {
  const serial = new X509Certificate(secret["tls.crt"] ?? "").serialNumber;
  for (const ordinal of ordinals) {
    await eventually(
      `the certificate of nats-${ordinal}`,
      pods,
      async () => await shownSerial(pods, ordinal, secret) === serial ? true : undefined,
    );
  }
}

/** A Secret of the user's. */
async function ownAuthority(name: string): Promise<KubeObject> {
  const values = await makeCa(name, YOUNG);
  registerSecret(values["tls.key"] ?? "");
  return { ...secretOf(name, { ...values }), type: "kubernetes.io/tls" } as KubeObject;
}
