/**
 * What a kubelet and a cloud would report, as pure functions of an object and of what the test wants.
 *
 * Every pod says in `status.message` that it is played, since nothing else tells it from a real one.
 */

import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";

/** Stands in the status of every pod. */
export const playedMessage = "played by the local test cluster: no container runs";

/** The node to which pods are bound; there is no Node of that name. */
export const playedNode = "played";

/** `v1.ContainerStatus`, the part that is played. */
export interface ContainerStatus {
  readonly name: string;
  readonly image: string;
  readonly imageID: string;
  readonly ready: boolean;
  readonly started?: boolean | undefined;
  readonly restartCount: number;
  readonly state: {
    readonly running?: { readonly startedAt: string } | undefined;
    readonly waiting?: { readonly reason: string; readonly message: string } | undefined;
    readonly terminated?: { readonly exitCode: number; readonly reason: string } | undefined;
  };
  readonly lastState?: { readonly terminated?: Ended | undefined } | undefined;
}

/** How a container ended: `v1.ContainerStateTerminated`, the part that is played. */
export interface Ended {
  readonly exitCode: number;
  /** @default "Error" */
  readonly reason?: string | undefined;
  /** What it left in its termination message. */
  readonly message?: string | undefined;
}

/** `v1.PodCondition`. */
export interface PodCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly lastTransitionTime?: string | undefined;
}

/** `v1.PodStatus`, the part that is played. */
export interface PodStatus {
  readonly phase?: string | undefined;
  readonly message?: string | undefined;
  readonly podIP?: string | undefined;
  readonly podIPs?: readonly { readonly ip: string }[] | undefined;
  readonly startTime?: string | undefined;
  readonly conditions?: readonly PodCondition[] | undefined;
  readonly containerStatuses?: readonly ContainerStatus[] | undefined;
  readonly initContainerStatuses?: readonly ContainerStatus[] | undefined;
}

interface Container {
  readonly name: string;
  readonly image?: string | undefined;
}

/** `v1.Pod`, the part that is read. */
export interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string | undefined;
    readonly containers?: readonly Container[] | undefined;
    readonly initContainers?: readonly Container[] | undefined;
    readonly volumes?:
      | readonly { readonly persistentVolumeClaim?: { readonly claimName: string } | undefined }[]
      | undefined;
  } | undefined;
  readonly status?: PodStatus | undefined;
}

/** Where a LoadBalancer is reached. */
export type LoadBalancerAddress = { readonly ip: string } | { readonly hostname: string };

/** `v1.Service`, the part that is read. */
export interface Service extends KubeObject {
  readonly spec?: { readonly type?: string | undefined } | undefined;
  readonly status?: {
    readonly loadBalancer?: {
      readonly ingress?:
        | readonly { readonly ip?: string | undefined; readonly hostname?: string | undefined }[]
        | undefined;
    } | undefined;
  } | undefined;
}

/** Pods of the API. */
export const pods: Resource<Pod> = {
  group: "",
  version: "v1",
  kind: "Pod",
  plural: "pods",
  namespaced: true,
};

/** Services of the API. */
export const services: Resource<Service> = {
  group: "",
  version: "v1",
  kind: "Service",
  plural: "services",
  namespaced: true,
};

/** How a pod is played. */
export type PodBehaviour =
  /** Running and ready. */
  | { readonly play: "run" }
  /** Nobody schedules it: Pending. One that is bound already goes on as it is. */
  | { readonly play: "hold"; readonly message?: string | undefined }
  /** Its containers wait, e.g. with `ImagePullBackOff`. */
  | { readonly play: "fail"; readonly reason: string; readonly message: string }
  /** Its containers ended, and wait with `CrashLoopBackOff`. */
  | { readonly play: "crash"; readonly ended: Ended }
  /** Its containers did what they had to, as those of a Job do. */
  | { readonly play: "complete" }
  /** Running, but its readiness probe fails. */
  | { readonly play: "unready" };

/**
 * The status that `pod` shall have.
 *
 * @param podIP For a pod that has none yet.
 * @param now RFC 3339, for what changes now.
 * @returns The current status itself when nothing is to be changed.
 */
export function playedPodStatus(pod: Pod, behaviour: PodBehaviour, podIP: string, now: string): PodStatus {
  const current = pod.status ?? {};
  if (behaviour.play === "hold") {
    return pod.spec?.nodeName !== undefined ? current : changed(current, {
      phase: "Pending",
      message: playedMessage,
      conditions: conditions(current, now, {
        PodScheduled: {
          status: "False",
          reason: "Unschedulable",
          message: behaviour.message ?? "played: the test holds this pod",
        },
      }),
    });
  }
  const containers = pod.spec?.containers ?? [];
  const ip = current.podIP ?? podIP;
  const ready = behaviour.play === "run" ? "True" : "False";
  const unready = behaviour.play === "run"
    ? {}
    : { reason: "ContainersNotReady", message: `containers with unready status: ${names(containers)}` };
  return changed(current, {
    // A container that fails after all ran leaves the phase Running.
    phase: behaviour.play === "complete"
      ? "Succeeded"
      : behaviour.play === "fail" && current.phase !== "Running"
      ? "Pending"
      : "Running",
    message: playedMessage,
    podIP: ip,
    podIPs: [{ ip }],
    startTime: current.startTime ?? now,
    conditions: conditions(current, now, {
      PodScheduled: { status: "True" },
      Initialized: { status: "True" },
      ContainersReady: { status: ready, ...unready },
      Ready: { status: ready, ...unready },
    }),
    containerStatuses: containers.map((container) => containerStatus(container, behaviour, current, now)),
    ...(pod.spec?.initContainers ?? []).length === 0 ? {} : {
      initContainerStatuses: (pod.spec?.initContainers ?? []).map(finishedStatus),
    },
  });
}

/** The addresses that `service` shall have; undefined when it has them already. */
export function playedIngress(
  service: Service,
  address: LoadBalancerAddress | undefined,
): readonly LoadBalancerAddress[] | undefined {
  const wanted = service.spec?.type === "LoadBalancer" && address !== undefined ? [address] : [];
  const current = (service.status?.loadBalancer?.ingress ?? [])
    .map(({ ip, hostname }) => ip ?? hostname).join();
  const target = wanted.map((one) => "ip" in one ? one.ip : one.hostname).join();
  return current === target ? undefined : wanted;
}

function containerStatus(
  { name, image = "" }: Container,
  behaviour: Exclude<PodBehaviour, { play: "hold" }>,
  current: PodStatus,
  now: string,
): ContainerStatus {
  const before = current.containerStatuses?.find((status) => status.name === name);
  const base = { name, image, imageID: "", restartCount: before?.restartCount ?? 0 };
  if (behaviour.play === "fail") {
    const { reason, message } = behaviour;
    return { ...base, ready: false, started: false, state: { waiting: { reason, message } } };
  }
  if (behaviour.play === "complete") {
    return finishedStatus({ name, image });
  }
  if (behaviour.play === "crash") {
    const message = `back-off 5m0s restarting failed container=${name}`;
    return {
      ...base,
      restartCount: Math.max(base.restartCount, 1),
      ready: false,
      started: false,
      state: { waiting: { reason: "CrashLoopBackOff", message } },
      lastState: { terminated: { reason: "Error", ...behaviour.ended } },
    };
  }
  const startedAt = before?.state.running?.startedAt ?? now;
  return { ...base, ready: behaviour.play === "run", started: true, state: { running: { startedAt } } };
}

function finishedStatus({ name, image = "" }: Container): ContainerStatus {
  const state = { terminated: { exitCode: 0, reason: "Completed" } };
  return { name, image, imageID: "", ready: true, restartCount: 0, state };
}

/** Ours, with the times of those that stay, after those that others wrote. */
function conditions(
  current: PodStatus,
  now: string,
  ours: Readonly<Record<string, Omit<PodCondition, "type" | "lastTransitionTime">>>,
): readonly PodCondition[] {
  const before = current.conditions ?? [];
  return [
    ...before.filter(({ type }) => !(type in ours)),
    ...Object.entries(ours).map(([type, condition]) => {
      const old = before.find((condition) => condition.type === type);
      const lastTransitionTime = old?.status === condition.status ? old.lastTransitionTime ?? now : now;
      return { type, ...condition, lastTransitionTime };
    }),
  ];
}

/** `wanted`, or `current` itself when it says the same already. */
function changed(current: PodStatus, wanted: PodStatus): PodStatus {
  return contains(current, wanted) ? current : wanted;
}

/** Whether all that `part` says is in `whole`, which may say more; conditions are compared regardless of order. */
function contains(whole: unknown, part: unknown): boolean {
  if (part === undefined) return true;
  if (Array.isArray(part)) {
    return Array.isArray(whole) && whole.length === part.length &&
      part.every((item) => whole.some((other) => contains(other, item)));
  }
  if (typeof part === "object" && part !== null) {
    return typeof whole === "object" && whole !== null &&
      Object.entries(part).every(([key, value]) => contains((whole as Record<string, unknown>)[key], value));
  }
  return whole === part || (part === "" && whole === undefined);
}

function names(containers: readonly Container[]): string {
  return `[${containers.map(({ name }) => name).join(" ")}]`;
}
