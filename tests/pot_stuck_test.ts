/**
 * Ways in which a PoT control plane can be stuck, with a real engine, the stand-in Controller and a real OpenID provider
 * on an API server in memory: what a person then reads is what docs/pot.md shows, word by word. What of this a real API
 * server has a part in stands in `tests/e2e`.
 */

import { assertEquals } from "@std/assert";
import { createKeycloakClient } from "../src/controller/keycloak.ts";
import { createPotControllerClient } from "../src/controller/pot_client.ts";
import { KubernetesClient } from "../src/kubernetes/client.ts";
import { Deployment, StatefulSet } from "../src/kubernetes/generated/apps_v1.ts";
import { Lease } from "../src/kubernetes/generated/coordination_v1.ts";
import { Event, Pod, Secret, Service } from "../src/kubernetes/generated/core_v1.ts";
import type { Condition, Parent } from "../src/operator/definition.ts";
import type { Engine } from "../src/operator/engine.ts";
import { PotBackend } from "../src/resources/controlplane/pot/backend.ts";
import { potDefinition } from "../src/resources/controlplane/pot/definition.ts";
import { Certificate } from "../src/resources/controlplane/pot/issued.ts";
import { PotControlPlane } from "../src/resources/controlplane/pot/resource.ts";
import { generateKeys } from "../src/resources/rsa_keys.ts";
import { createCertificateAuthority } from "./cluster/certificates.ts";
import { type Controller, startController } from "./controller/controller.ts";
import { createEngine } from "./engine_harness.ts";
import { type Json, merged } from "./json.ts";
import type { Realm } from "./controller/bearer.ts";
import { stockRsaKeys } from "./faults/key_stock.ts";
import { type Keycloak, loginAt, startKeycloak } from "./keycloak/keycloak.ts";
import { MemoryApi } from "./memory_transport.ts";
import { VirtualClock } from "./virtual_clock.ts";

const NAMESPACE = "pot";
const documented = await Deno.readTextFile(new URL("../docs/pot.md", import.meta.url));
const never = new AbortController().signal;

/** A port at which nothing listens. */
function closedPort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/** The control plane of docs/pot.md, whose Keycloak is called keycloak.example.com there. */
class Site implements AsyncDisposable {
  readonly clock = new VirtualClock(Date.now());
  readonly engine: Engine;
  /** Names of workloads whose pods do not start. */
  readonly held = new Set<string>();
  /** What a NATS server's monitor answers to `/jsz`; undefined: nothing listens. */
  jsz: Json | undefined;
  readonly #backend: PotBackend;
  readonly #monitor = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ url }) => Response.json(url.includes("/healthz") ? { status: "ok" } : this.jsz ?? {}),
  );

  readonly #closedPort = closedPort();

  private constructor(
    readonly keycloak: Keycloak,
    readonly controller: Controller,
    /** What the Controller trusts. */
    readonly realm: { -readonly [Key in keyof Realm]: Realm[Key] },
    readonly api: MemoryApi,
  ) {
    const { clock } = this;
    this.#backend = new PotBackend({
      clock,
      locate: () => Promise.resolve({ url: controller.url }),
      connectKeycloak: (options) => createKeycloakClient({ ...options, clock }),
      connect: (options) => createPotControllerClient({ ...options, clock }),
      natsMonitorAt: () =>
        `http://127.0.0.1:${this.jsz === undefined ? this.#closedPort : this.#monitor.addr.port}`,
    });
    this.engine = createEngine({
      client: new KubernetesClient(api, clock),
      namespace: NAMESPACE,
      clock,
      managed: [{ definition: potDefinition(), backend: this.#backend }],
    }).engine;
  }

  static async open(): Promise<Site> {
    const keycloak = await startKeycloak();
    const kinds = [PotControlPlane, ...potDefinition().childResources, Pod, Event, Lease];
    const api = new MemoryApi(new VirtualClock(Date.now()), kinds.filter((kind) => kind !== Certificate));
    const readSecret = (name: string) => Promise.resolve(api.get(Secret, name)?.data);
    const realm = { ...keycloak.trusted };
    const controller = await startController({ version: "3.7.3", realm, readSecret });
    const site = new Site(keycloak, controller, realm, api);
    site.keep("keycloak", keycloak.caPem);
    api.make(PotControlPlane, {
      apiVersion: "datasance.com/v3",
      kind: "ControlPlane",
      metadata: { namespace: NAMESPACE, name: "pot" },
      spec: site.spec(),
    } as Parent);
    return site;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#backend.close();
    await Promise.all([this.#monitor.shutdown(), this.controller.close(), this.keycloak.close()]);
  }

  spec(changes: Json = {}): Json {
    const auth = { ...this.keycloak.auth(), caSecretRef: { name: "keycloak", key: "ca.crt" } };
    const type = "LoadBalancer";
    return merged({ auth, services: { controller: { type }, router: { type }, nats: { type } } }, changes);
  }

  /** Replaces the spec by the usual one with these changes. */
  change(changes: Json = {}): void {
    this.api.edit(PotControlPlane, "pot", (object) => {
      Object.assign(object, { spec: this.spec(changes) });
    });
  }

  /** A Secret with an authority. */
  keep(name: string, pem: string): void {
    const secret = { metadata: { namespace: NAMESPACE, name }, data: { "ca.crt": btoa(pem) } };
    if (this.api.get(Secret, name) !== undefined) this.api.remove(Secret, name);
    this.api.make(Secret, secret as Secret);
  }

  /** Passes of both lanes until nothing is left to do; what others have a part in is played in between. */
  async settle(): Promise<void> {
    // Longer than anything waits before it is tried again.
    await this.clock.advance(600_000);
    for (let pass = 0; pass < 20; pass++) {
      await this.engine.store.listAll();
      const external = await this.engine.convergeExternal(never);
      const kubernetes = await this.engine.convergeKubernetes(never);
      if (!this.#play() && kubernetes.writes + external.writes === 0 && !external.again) return;
    }
    throw new Error("it does not come to rest");
  }

  /** Addresses come, and pods run; returns whether there was anything to play. */
  #play(): boolean {
    let played = false;
    for (const { metadata, spec, status } of this.api.all(Service)) {
      if (spec?.type !== "LoadBalancer" || status?.loadBalancer !== undefined) continue;
      played = true;
      this.api.edit(Service, metadata?.name ?? "", (service) => {
        Object.assign(service, { status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } } });
      });
    }
    for (const resource of [Deployment, StatefulSet]) {
      for (const { metadata, spec, status } of this.api.all<Deployment | StatefulSet>(resource)) {
        const replicas = spec?.replicas ?? 1;
        if (this.held.has(metadata?.name ?? "")) continue;
        if (status?.observedGeneration === metadata?.generation && status?.replicas === replicas) continue;
        played = true;
        const all = {
          replicas,
          readyReplicas: replicas,
          availableReplicas: replicas,
          updatedReplicas: replicas,
        };
        this.api.edit<Deployment | StatefulSet>(resource, metadata?.name ?? "", (workload) => {
          Object.assign(workload, { status: { ...all, observedGeneration: metadata?.generation } });
        });
      }
    }
    return played;
  }

  condition(type: string): Condition | undefined {
    const { status } = this.api.get(PotControlPlane, "pot") as Parent;
    const { conditions = [] } = (status ?? {}) as { conditions?: readonly Condition[] };
    return conditions.find((condition) => condition.type === type);
  }

  /** As docs/pot.md shows it. */
  told(type = "Ready"): string {
    const { message, reason } = this.condition(type) ?? { message: "", reason: "none" };
    return `${reason}: ${message}`
      .replaceAll(this.keycloak.url.slice(0, -1), "https://keycloak.example.com")
      .replaceAll(`http://127.0.0.1:${this.#closedPort}`, "http://nats-0.nats-headless.pot.svc:8222");
  }
}

Deno.test("what keeps a PoT control plane from being ready is told as docs/pot.md shows it", async (test) => {
  const stranger = await createCertificateAuthority("another-ca");
  const anothersKey = await crypto.subtle.exportKey("spki", (await generateKeys()).publicKey);
  stockRsaKeys();
  await using site = await Site.open();
  const { api, controller, keycloak } = site;
  const seen: string[] = [];
  /** Brings it about, notes what is told, and ends it. */
  const stuck = async (
    what: string,
    cause: () => unknown,
    { mend = () => site.change(), type = "Ready" }: {
      readonly mend?: () => unknown;
      readonly type?: string;
    } = {},
  ) => {
    await test.step(what, async () => {
      await cause();
      await site.settle();
      seen.push(site.told(type));
      await mend();
      controller.expireTokens();
      await site.settle();
      assertEquals(site.condition("Ready")?.status, "True", site.told());
    });
  };
  /** From now on no token that the operator has is any good. */
  const afterwards = (cause: () => unknown) => () => {
    controller.expireTokens();
    return cause();
  };

  // `Ready` tells why the Controller does not answer.
  await stuck("no Controller yet", () => controller.goDown(), {
    mend: () => controller.comeUp(),
    type: "NatsBootstrapped",
  });
  const right = keycloak.issuing.clientSecret;
  await stuck("another secret", afterwards(() => keycloak.changeSecret(`${right}2`)), {
    mend: () => keycloak.changeSecret(right),
  });
  await stuck("no such realm", () => site.change({ auth: { realm: "other" } }));
  await stuck("no such client", () => site.change({ auth: { viewerClient: "viewer" } }), { type: "Warning" });
  await stuck("another authority", () => site.keep("keycloak", stranger.certificatePem), {
    mend: () => site.keep("keycloak", keycloak.caPem),
  });
  await stuck("another issuer", afterwards(() => keycloak.answerAs("other")), {
    mend: () => keycloak.answerAs(undefined),
  });
  await stuck(
    "another key",
    afterwards(() => site.realm.publicKey = new Uint8Array(anothersKey).toBase64()),
    {
      mend: () => site.realm.publicKey = keycloak.trusted.publicKey,
    },
  );
  await stuck("no role", afterwards(() => keycloak.issuing.roles = ["viewer"]), {
    mend: () => keycloak.issuing.roles = ["admin"],
  });
  await stuck("no Keycloak", afterwards(() => keycloak.goDown()), { mend: () => keycloak.comeUp() });
  const html = {
    path: /\/token$/,
    action: { type: "answer", status: 200, body: "<form>" },
    times: 1_000,
  } as const;
  await stuck("a page instead of a token", afterwards(() => keycloak.breakAt(html)), {
    mend: () => keycloak.clearFaults(),
  });
  const issued = () =>
    site.change({ certificates: { issuerRef: { name: "site" } }, nats: { enabled: false } });
  await stuck("no cert-manager", issued);
  api.serve(Certificate);
  await stuck("an issuer that does not answer", issued);
  await stuck(
    "a vault without its block",
    () => site.change({ vault: { provider: "hashicorp", basePath: "pot" } }),
  );
  site.change({ replicas: { nats: 3 } });
  await site.settle();
  const shrink = () => site.change({ replicas: { nats: 2 } });
  const grow = { mend: () => site.change({ replicas: { nats: 3 } }) };
  await stuck("monitors out of reach", shrink, grow);
  const behind = ["nats-0", "nats-1"].map((name) => ({ name, current: false }));
  const cluster = { leader: "nats-2", replicas: behind };
  const stream = { name: "orders", config: { num_replicas: 1 }, cluster };
  site.jsz = {
    account_details: [{ name: "shop", stream_detail: [stream] }],
    meta_cluster: { cluster_size: 3 },
  };
  await stuck("the only copy", shrink, grow);
  site.jsz = { meta_cluster: { cluster_size: 5 } };
  await stuck("no majority", shrink, grow);
  site.held.add("router-interim");
  await stuck("labels of an earlier release", () => {
    const { metadata, spec } = api.get(Deployment, "router") as Deployment;
    const { name, namespace, ownerReferences = [] } = metadata ?? {};
    api.remove(Deployment, "router");
    api.make(Deployment, {
      metadata: { name: `${name}`, namespace: `${namespace}`, ownerReferences },
      spec: { ...spec, selector: { matchLabels: { name: "router" } } },
    } as Deployment);
  }, { mend: () => site.held.clear() });
  await stuck("an authority that is another than before", () => api.remove(Secret, "router-site-ca"), {
    mend: async () => {
      const token = await loginAt(keycloak);
      const url = `${controller.url}/api/v3/certificates/ca/router-site-ca`;
      const answer = await fetch(url, { method: "DELETE", headers: { authorization: `Bearer ${token}` } });
      await answer.body?.cancel();
    },
  });

  const [, section = ""] = documented.split("\n## Troubleshooting\n");
  const [, shown = ""] = /^```text\n(.*?)\n```$/ms.exec(section) ?? [];
  assertEquals(shown.split("\n"), seen);
  const rows = [...section.matchAll(/^\| (`.*?) +\|/gm)].flatMap(([, cell = ""]) => [
    ...cell.matchAll(/`([A-Z]\w+)`/g),
  ]);
  const reasons = seen.map((line) => line.split(":")[0]);
  assertEquals(rows.map(([, reason]) => reason).toSorted(), reasons.toSorted());
});
