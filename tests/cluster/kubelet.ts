/**
 * Plays the kubelet and the cloud: makes pods run, gives Services of type LoadBalancer an address and claims a volume,
 * as the test wants it.
 *
 * Level-based: whenever a rule or an object changes, what shall be is compared with what is. Rules name a namespace,
 * so that tests that share a cluster do not meet. The last rule that matches an object wins; an object without a rule
 * works at once, and a Job is done at once.
 */

import { systemClock } from "../../src/clock.ts";
import type { KubernetesClient } from "../../src/kubernetes/client.ts";
import { ApiError, isStatus } from "../../src/kubernetes/errors.ts";
import {
  type PersistentVolumeClaim,
  PersistentVolumeClaim as claims,
} from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import {
  type Ended,
  type LoadBalancerAddress,
  playedIngress,
  playedNode,
  playedPodStatus,
  type Pod,
  type PodBehaviour,
  pods,
  type Service,
  services,
} from "./played_status.ts";

/** Which objects a rule is about: all that agree with everything given. */
export interface Match {
  readonly namespace?: string | undefined;
  /** The whole name, or a pattern somewhere in it. */
  readonly name?: string | RegExp | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Takes a rule back; may be called many times. */
export type Release = () => void;

/** The pods under control. */
export interface PlayedPods {
  /** New pods stay Pending, as if no node had room; `message` is what the scheduler says. */
  hold(match: Match, message?: string): Release;
  /** Containers wait for ever with this reason, also those that ran. */
  fail(match: Match, waiting: { readonly reason: string; readonly message: string }): Release;
  /** Containers have ended like this and wait before they are started again, also those that ran. */
  crash(match: Match, ended: Ended): Release;
  /** Pods run, but their readiness probes fail. */
  unready(match: Match): Release;
}

/** The cloud under control. */
export interface PlayedCloud {
  /** Services get no address, and lose the one that they have. */
  hold(match: Match): Release;
  /** Services get this address instead of one from 192.0.2.0/24. */
  assign(match: Match, address: LoadBalancerAddress): Release;
}

/** The storage under control. */
export interface PlayedStorage {
  /** New claims stay Pending, as if nothing made volumes of their class. */
  hold(match: Match): Release;
}

/** The played parts; they act until closed. */
export interface PlayedKubelet extends AsyncDisposable {
  readonly pods: PlayedPods;
  readonly cloud: PlayedCloud;
  readonly storage: PlayedStorage;
  /** Stops acting; everything stays as it is. Resolves when no request is under way. */
  close(): Promise<void>;
}

/** Options of `playKubelet`. */
export interface PlayKubeletOptions {
  /** Others are left alone. @default all namespaces */
  readonly namespaces?: readonly string[] | undefined;
  /** What happens, one line each, e.g. `pod iofog/router-x runs (played)`. */
  readonly onAction?: ((line: string) => void) | undefined;
  /**
   * Milliseconds that its clock is behind. A pod that becomes ready then looks as if it had been so for that long, and
   * nobody waits for `minReadySeconds`. @default 0
   */
  readonly clockBehindMs?: number | undefined;
}

/** Milliseconds until what failed is tried again. */
const retryMs = 100;

/**
 * Begins to play. The client should have a user agent of its own, which tells these writes from others in the audit
 * log; it is not closed.
 */
export function playKubelet(client: KubernetesClient, options: PlayKubeletOptions = {}): PlayedKubelet {
  const closing = new AbortController();
  const call = { signal: closing.signal };
  const podRules = new Rules<PodBehaviour>();
  const cloudRules = new Rules<LoadBalancerAddress | "none">();
  const claimRules = new Rules<"hold">();
  const say = options.onAction ?? (() => {});
  let podCount = 1;
  let serviceCount = 0;

  /** As for the scheduler: on a node, the pod would keep a claim that is being deleted for ever. */
  const claimsToStay = async ({ metadata, spec }: Pod) => {
    const namespace = metadata?.namespace ?? "";
    for (const { persistentVolumeClaim } of spec?.volumes ?? []) {
      if (persistentVolumeClaim === undefined) continue;
      const name = persistentVolumeClaim.claimName;
      const claim = await client.get(claims, { namespace, name }, call).catch((error: unknown) => {
        if (!isStatus(error, 404)) throw error;
      });
      if (claim?.metadata?.deletionTimestamp === undefined) continue;
      throw new ApiError(`claim ${name} is being deleted`, { status: 0, reason: "Unschedulable" });
    }
  };

  const actOnPod = async (pod: Pod) => {
    const { name = "", namespace = "", uid, deletionTimestamp } = pod.metadata ?? {};
    if (deletionTimestamp !== undefined) {
      await client.delete(pods, { namespace, name }, {
        ...call,
        gracePeriodSeconds: 0,
        preconditions: { uid },
      });
      return say(`pod ${namespace}/${name} is gone (played)`);
    }
    const behaviour = podRules.of(pod) ?? { play: isOfJob(pod) ? "complete" : "run" };
    if (pod.spec?.nodeName === undefined && behaviour.play !== "hold") {
      await claimsToStay(pod);
      await client.create(pods, {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { name, namespace, uid },
        target: { apiVersion: "v1", kind: "Node", name: playedNode },
      } as Pod, { ...call, subresource: "binding" });
    }
    const now = new Date(systemClock.now() - (options.clockBehindMs ?? 0)).toISOString().replace(/\.\d+/, "");
    const status = playedPodStatus(pod, behaviour, `10.244.${podCount >> 8 & 255}.${podCount & 255}`, now);
    if (status === pod.status) return;
    podCount++;
    const patch = { metadata: { uid }, status };
    await client.patch(pods, { namespace, name }, { type: "merge", patch }, {
      ...call,
      subresource: "status",
    });
    say(`pod ${namespace}/${name}: ${behaviour.play} (played)`);
  };

  const actOnService = async (service: Service) => {
    const { name = "", namespace = "", uid, deletionTimestamp } = service.metadata ?? {};
    if (deletionTimestamp !== undefined) return;
    const rule = cloudRules.of(service);
    const given = service.status?.loadBalancer?.ingress?.[0]?.ip;
    const address = rule === "none"
      ? undefined
      : rule ?? { ip: given?.startsWith("192.0.2.") ? given : `192.0.2.${serviceCount % 254 + 1}` };
    const ingress = playedIngress(service, address);
    if (ingress === undefined) return;
    serviceCount++;
    const patch = { metadata: { uid }, status: { loadBalancer: { ingress } } };
    await client.patch(services, { namespace, name }, { type: "merge", patch }, {
      ...call,
      subresource: "status",
    });
    say(`service ${namespace}/${name}: address ${JSON.stringify(ingress)} (played)`);
  };

  const actOnClaim = async (claim: PersistentVolumeClaim) => {
    const { name = "", namespace = "", uid, deletionTimestamp } = claim.metadata ?? {};
    if (deletionTimestamp !== undefined) return;
    const isBound = claim.spec?.volumeName !== undefined;
    if (!isBound && claimRules.of(claim) === "hold") return;
    if (!isBound) {
      const patch = { metadata: { uid }, spec: { volumeName: `played-${uid}` } };
      await client.patch(claims, { namespace, name }, { type: "merge", patch }, call);
    }
    const capacity = claim.spec?.resources?.requests?.["storage"];
    if (claim.status?.phase === "Bound" && claim.status.capacity?.["storage"] === capacity) return;
    const { accessModes } = claim.spec ?? {};
    const patch = {
      metadata: { uid },
      status: { phase: "Bound", accessModes, capacity: { storage: capacity } },
    };
    await client.patch(claims, { namespace, name }, { type: "merge", patch }, {
      ...call,
      subresource: "status",
    });
    say(`claim ${namespace}/${name}: bound, ${capacity} (played)`);
  };

  const podActor = new Actor(client, pods, actOnPod, closing.signal, options.namespaces);
  const serviceActor = new Actor(client, services, actOnService, closing.signal, options.namespaces);
  const claimActor = new Actor(client, claims, actOnClaim, closing.signal, options.namespaces);
  podRules.onChange = () => podActor.actOnAll();
  cloudRules.onChange = () => serviceActor.actOnAll();
  claimRules.onChange = () => claimActor.actOnAll();
  const done = Promise.all([podActor.run(), serviceActor.run(), claimActor.run()]);
  const close = async () => {
    closing.abort();
    await done;
  };
  return {
    pods: {
      hold: (match, message) => podRules.add(match, { play: "hold", message }),
      crash: (match, ended) => podRules.add(match, { play: "crash", ended }),
      fail: (match, waiting) => podRules.add(match, { play: "fail", ...waiting }),
      unready: (match) => podRules.add(match, { play: "unready" }),
    },
    cloud: {
      hold: (match) => cloudRules.add(match, "none"),
      assign: (match, address) => cloudRules.add(match, address),
    },
    storage: { hold: (match) => claimRules.add(match, "hold") },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function isOfJob({ metadata }: Pod): boolean {
  return metadata?.ownerReferences?.some(({ kind }) => kind === "Job") ?? false;
}

/** What the test wants. */
class Rules<T> {
  #rules: { readonly match: Match; readonly value: T }[] = [];
  onChange: () => void = () => {};

  add(match: Match, value: T): Release {
    const rule = { match, value };
    this.#rules.push(rule);
    this.onChange();
    return () => {
      if (!this.#rules.includes(rule)) return;
      this.#rules = this.#rules.filter((other) => other !== rule);
      this.onChange();
    };
  }

  of(object: KubeObject): T | undefined {
    return this.#rules.findLast(({ match }) => matches(object, match))?.value;
  }
}

function matches({ metadata = {} }: KubeObject, { namespace, name, labels = {} }: Match): boolean {
  if (namespace !== undefined && metadata.namespace !== namespace) return false;
  if (typeof name === "string" && metadata.name !== name) return false;
  if (name instanceof RegExp && !name.test(metadata.name ?? "")) return false;
  return Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value);
}

/** Follows the objects of one kind and acts on each, one action per object at a time. */
class Actor<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #acting = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();

  constructor(
    private readonly client: KubernetesClient,
    private readonly resource: Resource<T>,
    private readonly act: (object: T) => Promise<void>,
    private readonly signal: AbortSignal,
    private readonly namespaces: readonly string[] | undefined,
  ) {}

  async run(): Promise<void> {
    while (!this.signal.aborted) {
      try {
        await this.#follow();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        await systemClock.sleep(retryMs, this.signal);
      }
    }
    await Promise.all(this.#acting.values());
  }

  actOnAll(): void {
    for (const key of this.#objects.keys()) this.#actOn(key);
  }

  async #follow(): Promise<void> {
    const selection = { dropManagedFields: true };
    const list = await this.client.list(this.resource, selection, { signal: this.signal });
    this.#objects.clear();
    for (const object of list.items) this.#put(object);
    const query = { ...selection, resourceVersion: list.resourceVersion };
    for await (const event of this.client.watch(this.resource, query, { signal: this.signal })) {
      if (event.type === "DELETED") this.#objects.delete(keyOf(event.object));
      else if (event.type !== "BOOKMARK") this.#put(event.object);
    }
  }

  #put(object: T): void {
    const namespace = object.metadata?.namespace ?? "";
    if (this.namespaces !== undefined && !this.namespaces.includes(namespace)) return;
    const key = keyOf(object);
    this.#objects.set(key, object);
    this.#actOn(key);
  }

  #actOn(key: string): void {
    if (this.#acting.has(key)) return void this.#again.add(key);
    this.#acting.set(key, this.#actUntilDone(key));
  }

  /** Takes itself out of `#acting` in the same turn in which it last looked at `#again`, so no call is lost. */
  async #actUntilDone(key: string): Promise<void> {
    do {
      this.#again.delete(key);
      await this.#actOnce(key);
    } while (this.#again.has(key));
    this.#acting.delete(key);
  }

  async #actOnce(key: string): Promise<void> {
    const object = this.#objects.get(key);
    if (object === undefined || this.signal.aborted) return;
    try {
      await this.act(object);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // It is gone, or not what we saw: the watch will tell.
      if (isStatus(error, 404) || isStatus(error, 409)) return;
      await systemClock.sleep(retryMs, this.signal);
      this.#again.add(key);
    }
  }
}

function keyOf({ metadata = {} }: KubeObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}
