/**
 * A namespace with everything in it that an operator works on, where one fault is tried: a stand-in Controller, and
 * for each operator that is started there two proxies, to the API server and to the Controller.
 *
 * The world is what trials share: one cluster, one played kubelet, and watches that remember what cannot be seen at
 * the end, such as a key that was replaced and an observedGeneration that went back.
 */

import { machine } from "../../src/cli/environment.ts";
import { parseCommandLine } from "../../src/cli/flags.ts";
import { run } from "../../src/cli/run.ts";
import type { KubernetesClient } from "../../src/kubernetes/client.ts";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { Deployment, StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import {
  ConfigMap,
  Namespace,
  PersistentVolumeClaim,
  Secret,
  Service,
} from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { connectCluster, type PlayedKubelet, playKubelet, type SharedCluster } from "../cluster/mod.ts";
import { writeKubeconfig } from "../cluster/mod.ts";
import type { Controller } from "../controller/controller.ts";
import { type ControlPlaneObject, type Json, merged } from "../e2e/harness.ts";
import { present } from "../json.ts";
import { JWT_BUNDLE } from "../../src/resources/controlplane/pot/nats.ts";
import { recordOutput } from "../secrets.ts";
import { type Flavour, GIVEN, type Prepared } from "./flavour.ts";
import { type Exchange, Proxy } from "./proxy.ts";

/** What is kept of the past of one namespace. */
export interface History {
  /** For each object whose contents must not be replaced: its incarnations and contents, in order. */
  readonly contents: ReadonlyMap<string, readonly string[]>;
  /** What must never happen and did. */
  readonly violations: readonly string[];
}

/** See the module. */
export class World implements AsyncDisposable {
  readonly #namespaces: string[] = [];
  readonly #histories = new Map<string, { contents: Map<string, string[]>; violations: string[] }>();
  readonly #generations = new Map<string, number>();
  readonly #accounts = new Map<string, readonly string[]>();
  readonly #ending = new AbortController();
  readonly #watching: Promise<unknown>;

  private constructor(
    readonly cluster: SharedCluster,
    readonly client: KubernetesClient,
    readonly kubelet: PlayedKubelet,
    private readonly kubeletClient: KubernetesClient,
    readonly flavour: Flavour,
    /** For kubeconfigs. */
    readonly folder: string,
    /** Whether namespaces are deleted at the end of their trial: not where the cluster goes anyway. */
    readonly tidy: boolean,
    namespaces: string[],
  ) {
    this.#namespaces = namespaces;
    const watches = [
      this.#watch(flavour.resource, (object) => this.#noteGeneration(object as ControlPlaneObject)),
      this.#watch(Secret, (object) => this.#noteContent("Secret", object, (object as Secret).data)),
      this.#watch(PersistentVolumeClaim, (object) => this.#noteContent("PersistentVolumeClaim", object, {})),
      this.#watch(ConfigMap, (object) => this.#noteAccounts(object as ConfigMap)),
    ];
    this.#watching = Promise.all(watches);
  }

  static async open(cluster: SharedCluster, flavour: Flavour, { tidy = true } = {}): Promise<World> {
    const client = connectCluster(cluster, { userAgent: "fault-test" });
    const namespaces: string[] = [];
    const kubeletClient = connectCluster(cluster, { userAgent: "played-kubelet" });
    // Nobody waits for `minReadySeconds`.
    const kubelet = playKubelet(kubeletClient, { namespaces, clockBehindMs: 60_000 });
    const folder = await Deno.makeTempDir({ prefix: "iofog-operator-faults-" });
    return new World(cluster, client, kubelet, kubeletClient, flavour, folder, tidy, namespaces);
  }

  async openTrial(): Promise<Trial> {
    const namespace = `fault-${crypto.randomUUID().slice(0, 13)}`;
    await this.client.create(Namespace, { metadata: { name: namespace } });
    this.#histories.set(namespace, { contents: new Map(), violations: [] });
    this.#namespaces.push(namespace);
    return await Trial.open(this, namespace);
  }

  historyOf(namespace: string): History {
    return this.#histories.get(namespace) ?? { contents: new Map(), violations: [] };
  }

  async close(namespace: string): Promise<void> {
    this.#histories.delete(namespace);
    if (this.tidy) {
      for (const workload of [Deployment, StatefulSet] as readonly Resource[]) {
        const { items } = await this.client.list(workload, { namespace });
        await Promise.all(
          items.map(({ metadata }) =>
            this.client.delete(workload, { namespace, name: metadata?.name ?? "" }, {
              propagationPolicy: "Foreground",
            }).catch(() => {})
          ),
        );
      }
      await this.client.delete(Namespace, { name: namespace });
    } else {
      // A cluster has 2,768 node ports: those of hundreds of namespaces would be all of them.
      const { items } = await this.client.list(Service, { namespace });
      await Promise.all(
        items.map(({ metadata }) =>
          this.client.delete(Service, { namespace, name: metadata?.name ?? "" }).catch(() => {})
        ),
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#watching;
    await this.kubelet.close();
    this.kubeletClient.transport.close?.();
    this.client.transport.close?.();
    await this.flavour[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }

  async #watch(resource: Resource, note: (object: KubeObject) => void): Promise<void> {
    const call = { signal: this.#ending.signal };
    while (!this.#ending.signal.aborted) {
      try {
        const { items, resourceVersion } = await this.client.list(resource, {}, call);
        for (const object of items) note(object);
        for await (const event of this.client.watch(resource, { resourceVersion }, call)) {
          if (event.type === "ADDED" || event.type === "MODIFIED") note(event.object);
        }
      } catch (error) {
        if (!this.#ending.signal.aborted && isStatus(error, 404)) throw error;
      }
    }
  }

  #noteGeneration(object: ControlPlaneObject): void {
    const { namespace = "", name, uid } = object.metadata;
    const generation = object.status?.observedGeneration ?? 0;
    const before = this.#generations.get(uid) ?? 0;
    if (generation < before) {
      this.#histories.get(namespace)?.violations.push(
        `observedGeneration of ${name} went from ${before} to ${generation}`,
      );
    }
    this.#generations.set(uid, generation);
  }

  /** NATS deletes the data of an account that is missing: whatever was in the bundle stays there. */
  #noteAccounts({ data = {}, metadata: { name, namespace = "", uid = "" } = {} }: ConfigMap): void {
    if (name !== JWT_BUNDLE) return;
    const gone = (this.#accounts.get(uid) ?? []).filter((key) => !(key in data));
    if (gone.length > 0) {
      this.#histories.get(namespace)?.violations.push(
        `accounts were taken from the bundle: ${gone.join(", ")}`,
      );
    }
    this.#accounts.set(uid, Object.keys(data));
  }

  #noteContent(kind: string, { metadata }: KubeObject, data: unknown): void {
    const contents = this.#histories.get(metadata?.namespace ?? "")?.contents;
    if (contents === undefined || metadata?.labels?.[GIVEN] !== undefined) return;
    const key = `${kind} ${metadata?.name}`;
    const content = `${metadata?.uid} ${JSON.stringify(data)}`;
    const known = contents.get(key) ?? [];
    contents.set(key, known);
    if (known.at(-1) !== content) known.push(content);
  }
}

/** An operator of a trial, in this process, behind proxies of its own. */
export interface TriedOperator {
  readonly api: Proxy;
  readonly controller: Proxy;
  readonly lines: readonly string[];
  /** Nothing that it sends arrives any more, and nothing that it waits for comes. */
  die(): void;
  /** Ends it as SIGTERM does; rejects when it did not end well. */
  stop(): Promise<void>;
}

/** See the module. */
export class Trial implements AsyncDisposable {
  readonly operators: TriedOperator[] = [];
  /** Where scenarios keep what they need later. */
  readonly kept = new Map<string, unknown>();

  #prepared: Prepared | undefined;

  private constructor(
    readonly world: World,
    readonly namespace: string,
  ) {}

  static async open(world: World, namespace: string): Promise<Trial> {
    const trial = new Trial(world, namespace);
    trial.#prepared = await world.flavour.prepare({
      client: world.client,
      namespace,
      find: (resource, name) => trial.find(resource, name),
    });
    return trial;
  }

  get client(): KubernetesClient {
    return this.world.client;
  }

  get flavour(): Flavour {
    return this.world.flavour;
  }

  get controller(): Controller {
    return present(this.#prepared).controller;
  }

  /** What there is outside of Kubernetes. */
  outside(): unknown {
    return present(this.#prepared).outside();
  }

  /** A valid spec, with parts replaced. */
  spec(changes: Json = {}): Json {
    return merged(present(this.#prepared).spec, changes);
  }

  async create(changes: Json = {}): Promise<string> {
    const metadata = { namespace: this.namespace, name: this.flavour.object };
    const made = { metadata, spec: this.spec(changes) } as KubeObject;
    return (await this.client.create(this.flavour.resource, made)).metadata?.uid ?? "";
  }

  async change(spec: Json): Promise<void> {
    const target = { namespace: this.namespace, name: this.flavour.object };
    await this.client.patch(this.flavour.resource, target, { type: "merge", patch: { spec } });
  }

  async find<T extends KubeObject>(resource: Resource<T>, name: string): Promise<T | undefined> {
    try {
      return await this.client.get(resource, { namespace: this.namespace, name });
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** None of a kind that is not served. */
  async list<T extends KubeObject>(resource: Resource<T>): Promise<readonly T[]> {
    try {
      return (await this.client.list(resource, { namespace: this.namespace })).items;
    } catch (error) {
      if (isStatus(error, 404)) return [];
      throw error;
    }
  }

  async controlPlane(): Promise<ControlPlaneObject | undefined> {
    return await this.find(this.flavour.resource, this.flavour.object) as ControlPlaneObject | undefined;
  }

  /** Starts an operator; `prepare` sets rules before its first request. */
  async start(prepare: (operator: TriedOperator) => void = () => {}): Promise<TriedOperator> {
    const { cluster, folder } = this.world;
    const api = await Proxy.open({ upstream: cluster.url, caPem: cluster.caPem });
    const controller = await Proxy.open({ upstream: this.controller.url });
    const kubeconfig = `${folder}/${this.namespace}-${this.operators.length}.kubeconfig`;
    await writeKubeconfig(kubeconfig, {
      ...{ url: api.url, caPem: await Proxy.caPem(), user: "operator" },
      credentials: { token: cluster.adminToken },
    });
    const lines: string[] = [];
    const stopping = new AbortController();
    const ended = Promise.withResolvers<number>();
    // Whoever stops it hears of a failure.
    ended.promise.catch(() => {});
    const operator: TriedOperator = {
      api,
      controller,
      lines,
      die() {
        api.goDown();
        controller.goDown();
        stopping.abort();
      },
      async stop() {
        stopping.abort();
        const code = await ended.promise;
        await Promise.all([api[Symbol.asyncDispose](), controller[Symbol.asyncDispose]()]);
        if (code !== 0) throw new Error(`the operator ended with ${code}: ${lines.slice(-5).join("\n")}`);
      },
    };
    prepare(operator);
    const { flags } = parseCommandLine([
      `--kubeconfig=${kubeconfig}`,
      `--namespace=${this.namespace}`,
      `--controller-url=${controller.url}`,
      "--metrics-addr=127.0.0.1:0",
      "--health-addr=127.0.0.1:0",
      "--log-format=json",
    ], () => undefined);
    ended.resolve(run({
      flags,
      environment: {
        ...machine,
        variable: (name) => name === "NO_PROXY" ? machine.variable(name) : undefined,
      },
      stopping: stopping.signal,
      isTerminal: false,
      writeLog: (line) => {
        lines.push(line);
        recordOutput("operator on trial", line);
      },
      ...(this.flavour.natsMonitorAt && { natsMonitorAt: this.flavour.natsMonitorAt }),
    }));
    this.operators.push(operator);
    return operator;
  }

  /** A process that was killed keeps its Lease for 15 s: not waited for here, but in lease_test.ts. */
  async freeLease(): Promise<void> {
    const target = { namespace: this.namespace, name: this.flavour.definition.leaseName };
    await this.client.delete(Lease, target).catch((error) => {
      if (!isStatus(error, 404)) throw error;
    });
  }

  /** What all operators of this trial asked, of both. */
  exchanges(): readonly Exchange[] {
    return this.operators.flatMap(({ api, controller }) => [...api.exchanges, ...controller.exchanges]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.operators.map((operator) => operator.stop()));
    await this.controller.close();
    await this.world.close(this.namespace);
  }
}
