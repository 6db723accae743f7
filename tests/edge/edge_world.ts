/**
 * An engine with the kinds of the edge, and a stand-in Controller over HTTP: for tests of what is asked of the
 * Controller. The API server is one in memory, or a namespace of a real one; time passes only as a test has it.
 */

import { systemClock } from "../../src/clock.ts";
import type { CommonCalls } from "../../src/controller/calls.ts";
import { createControllerClient } from "../../src/controller/client.ts";
import { createKeycloakClient } from "../../src/controller/keycloak.ts";
import { createPotControllerClient } from "../../src/controller/pot_client.ts";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { ConfigMap, Event, Namespace, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { Condition, Parent } from "../../src/operator/definition.ts";
import type { Engine } from "../../src/operator/engine.ts";
import type { EventRecorder } from "../../src/operator/events.ts";
import { definitionOf } from "../../src/operator/fixtures.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { type EdgeGroup, type EdgeKind, edgeKinds, edgeResourceOf } from "../../src/resources/edge/crds.ts";
import { edgeManaged } from "../../src/resources/edge/managed.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import type { Transport } from "../../src/kubernetes/transport.ts";
import { connectCluster } from "../cluster/cluster.ts";
import type { SharedCluster } from "../cluster/shared.ts";
import { type Controller, startController } from "../controller/controller.ts";
import { createEngine } from "../engine_harness.ts";
import { startKeycloak } from "../keycloak/keycloak.ts";
import { MemoryApi } from "../memory_transport.ts";
import { registerSecret } from "../secrets.ts";
import { VirtualClock } from "../virtual_clock.ts";
import { ClusterApi, type EdgeApi } from "./edge_api.ts";

/** A custom resource of the edge as it is read. */
export type EdgeObject = Parent<Record<string, unknown>, { readonly conditions?: readonly Condition[] }>;

/** A Controller with somebody logged in to it. */
interface Started {
  readonly client: CommonCalls;
  readonly controller: Controller;
  readonly version: string;
  readonly close: () => Promise<void>;
}

async function startOld(): Promise<Started> {
  const controller = await startController();
  const client = createControllerClient({ baseUrl: controller.url });
  const password = registerSecret(`Pw-${crypto.randomUUID()}`);
  const user = { firstName: "Some", lastName: "Body", email: "somebody@example.com", password };
  await client.signUp(user);
  await client.login(user);
  const close = async () => {
    client.close();
    await controller.close();
  };
  return { client, controller, version: "3.0.4", close };
}

/** @param later What is done behind an answer waits among these until it is called; at once where there is none. */
async function startPot(later: (() => void)[] | undefined): Promise<Started> {
  const held = later && {
    backgroundMs: 1,
    clock: { ...systemClock, sleep: () => new Promise<void>((resolve) => void later.push(resolve)) },
  };
  const keycloak = await startKeycloak();
  const controller = await startController({ version: "3.7.3", realm: keycloak.trusted, ...held });
  const { url, caPem, realm, clientId, issuing: { clientSecret } } = keycloak;
  const login = createKeycloakClient({ url, caPem, realm, clientId, clientSecret });
  const client = createPotControllerClient({ baseUrl: controller.url, keycloak: login });
  const hub = { serverPort: 4222, clusterPort: 6222, leafPort: 7422, mqttPort: 8883, httpPort: 8222 };
  await client.setNatsHub({ host: "10.0.0.2", ...hub });
  const close = async () => {
    client.close();
    login.close();
    await Promise.all([controller.close(), keycloak.close()]);
  };
  return { client, controller, version: "3.7.3", close };
}

/** What one process has. */
type RunningEngine = ReturnType<typeof createEngine>;

function startEngine(
  { client, clock, group, lines, namespace, transport, url, version }: {
    readonly group: EdgeGroup;
    readonly namespace: string;
    readonly clock: VirtualClock;
    readonly transport: Transport;
    readonly client: CommonCalls;
    readonly url: string;
    readonly version: string;
    readonly lines: string[];
  },
): RunningEngine {
  const access = () => ({ client, url, version });
  const controlPlane = definitionOf(() => [], {
    resource: ControlPlane,
    childResources: [ConfigMap, Secret],
    leaseName: "lease",
    inventoryName: "unused",
  });
  return createEngine({
    client: new KubernetesClient(transport, clock),
    namespace,
    clock,
    managed: [
      { definition: controlPlane },
      ...edgeManaged({
        clock,
        group,
        controlPlane: { ...controlPlane, inventoryName: "iofog-inventory" },
        access,
      }),
    ],
    write: (line) => lines.push(line),
  });
}

/** Where a test is, what it is written with, and how to leave. */
interface Place {
  readonly api: EdgeApi;
  readonly clock: VirtualClock;
  readonly namespace: string;
  readonly close: () => void;
}

const others = [ControlPlane, ConfigMap, Secret, Event];

function placeInMemory(kinds: readonly Resource[]): Place {
  const clock = new VirtualClock();
  const api = new MemoryApi(clock, [...kinds, ...others, Lease]);
  return { api, clock, namespace: "ns", close: () => {} };
}

/** A namespace that goes with its cluster, which serves all these kinds. */
async function placeOn(cluster: SharedCluster, kinds: readonly Resource[]): Promise<Place> {
  const client = connectCluster(cluster, { userAgent: "edge-test" });
  const namespace = `edge-${crypto.randomUUID().slice(0, 13)}`;
  await client.create(Namespace, { metadata: { name: namespace } });
  const api = new ClusterApi(client, namespace, [...kinds, ...others]);
  return { api, clock: new VirtualClock(), namespace, close: () => client.transport.close?.() };
}

/** See the module. */
export class EdgeTest implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #close: () => Promise<void>;
  /** What the Controller has still to do behind its answers. */
  readonly #later: (() => void)[];
  /** Names by uuid, also of what is gone. */
  readonly #names = new Map<string, string>();

  private constructor(
    readonly group: EdgeGroup,
    private readonly place: Place,
    readonly controller: Controller,
    private running: RunningEngine,
    readonly client: CommonCalls,
    private readonly version: string,
    lines: string[],
    later: (() => void)[],
    close: () => Promise<void>,
  ) {
    this.lines = lines;
    this.#later = later;
    this.#close = close;
  }

  /**
   * @param group Decides which Controller there is: 3.0.4, or 3.7.3 with a Keycloak.
   * @param more.isHeld Whether 3.7.3 leaves what it does behind its answers until `settle` is called. @default false
   * @param more.cluster Serves the kinds of this group and a ControlPlane. @default an API server in memory
   */
  static async open(
    group: EdgeGroup = "iofog.org",
    { cluster, isHeld = false }: { readonly cluster?: SharedCluster; readonly isHeld?: boolean } = {},
  ): Promise<EdgeTest> {
    const later: (() => void)[] = [];
    const { client, close, controller, version } = group === "iofog.org"
      ? await startOld()
      : await startPot(isHeld ? later : undefined);
    const kinds = edgeKinds.map((kind) => edgeResourceOf(kind, group));
    const place = cluster === undefined ? placeInMemory(kinds) : await placeOn(cluster, kinds);
    const { api, clock, namespace } = place;
    const ports = { messagingPort: 5671, edgeRouterPort: 45671, interRouterPort: 55671 };
    await client.setRouter({ host: "10.0.0.1", ...ports });
    await client.setConfig("iofog-inventory", "planted");
    const lines: string[] = [];
    const user = { name: "Some", surname: "Body", email: "somebody@example.com" };
    api.make(ControlPlane, { metadata: { namespace, name: "ecn" }, spec: { user } } as KubeObject);
    api.make(ConfigMap, {
      metadata: { namespace, name: "iofog-inventory" },
      data: { id: "planted", entries: "[]" },
    });
    controller.forgetRequests();
    const running = startEngine({
      group,
      namespace,
      clock,
      transport: api,
      client,
      url: controller.url,
      version,
      lines,
    });
    return new EdgeTest(group, place, controller, running, client, version, lines, later, async () => {
      place.close();
      await close();
    });
  }

  get api(): EdgeApi {
    return this.place.api;
  }

  get clock(): VirtualClock {
    return this.place.clock;
  }

  get engine(): Engine {
    return this.running.engine;
  }

  get events(): EventRecorder {
    return this.running.events;
  }

  /** Another process takes over, which knows nothing but what it reads; `through` what it does to both servers. */
  restart(through: { readonly transport?: Transport; readonly client?: CommonCalls } = {}): void {
    const { controller: { url }, group, lines, place: { clock, namespace }, version } = this;
    const { client = this.client, transport = this.api } = through;
    this.running = startEngine({ group, namespace, clock, transport, client, url, version, lines });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  /** Makes a custom resource. */
  make(kind: EdgeKind, name: string, spec: unknown, annotations: Record<string, string> = {}): void {
    this.api.make(edgeResourceOf(kind, this.group), {
      apiVersion: `${this.group}/v3`,
      kind,
      metadata: { namespace: this.place.namespace, name, annotations },
      spec,
    } as Parent);
  }

  /** Replaces its spec. */
  change(kind: EdgeKind, name: string, spec: unknown): void {
    this.api.edit(edgeResourceOf(kind, this.group), name, (object) => Object.assign(object, { spec }));
  }

  delete(kind: EdgeKind, name: string): void {
    this.api.remove(edgeResourceOf(kind, this.group), name);
  }

  get(kind: EdgeKind, name: string): EdgeObject {
    return this.api.get(edgeResourceOf(kind, this.group), name) as EdgeObject;
  }

  /** `True Ready: message` of a condition. */
  condition(kind: EdgeKind, name: string, type = "Ready"): string {
    const found = this.get(kind, name).status?.conditions?.find((each) => each.type === type);
    return found === undefined ? "none" : `${found.status} ${found.reason}: ${found.message}`;
  }

  /** Reads what there is on the API server; before, only one in memory knows that. */
  async look(): Promise<void> {
    await this.api.read?.();
  }

  /** What says that the last spec is not accepted: the API server, or the condition; undefined where it is. */
  refusal(kind: EdgeKind, name: string): string | undefined {
    const said = this.condition(kind, name, "Stalled");
    return this.api.refusal?.(edgeResourceOf(kind, this.group), name) ??
      (said.startsWith("True ") ? said : undefined);
  }

  /** Passes until nothing is left to do; gives the calls that changed something, with their bodies. */
  async converge(afterMs = 11_000): Promise<readonly string[]> {
    const never = new AbortController().signal;
    await this.api.carryOut?.();
    await this.clock.advance(afterMs);
    this.calls();
    this.controller.forgetRequests();
    for (let pass = 0; pass < 20; pass++) {
      await this.engine.store.listAll();
      const { writes, again } = await this.engine.convergeExternal(never);
      const kubernetes = await this.engine.convergeKubernetes(never);
      if (writes + kubernetes.writes === 0 && !again && !kubernetes.again) break;
    }
    await this.events.flush();
    return this.calls();
  }

  /** The Controller does what it has still to do behind its answers; gives how much that was. */
  async settle(): Promise<number> {
    const due = this.#later.splice(0);
    for (const work of due) work();
    if (due.length > 0) await new Promise((resolve) => setTimeout(resolve));
    return due.length;
  }

  /** What was asked of the Controller that is no question. */
  calls(): readonly string[] {
    return this.controller.requests
      .filter(({ method, path }) => method !== "GET" || path.endsWith("provisioning-key"))
      .map(({ body, method, path, answered }) =>
        `${method} ${this.#named(path.replace("/api/v3", ""))}${
          body === undefined ? "" : ` ${this.#named(JSON.stringify(body))}`
        }${answered >= 400 ? ` -> ${answered}` : ""}`
      );
  }

  /** Uuids by names. */
  #named(text: string): string {
    const { agents, microservices } = this.controller.state;
    for (const { name, uuid } of [...agents, ...microservices]) this.#names.set(uuid, name);
    return [...this.#names].reduce((shown, [uuid, name]) => shown.replaceAll(uuid, `<${name}>`), text);
  }

  /** Events so far. */
  async told(): Promise<readonly string[]> {
    await this.events.flush();
    await this.look();
    return this.api.all(Event).map(({ message, reason }) => `${reason}: ${message}`);
  }
}
