import { assertEquals, assertStrictEquals } from "@std/assert";
import {
  playedIngress,
  playedMessage,
  playedPodStatus,
  type Pod,
  type PodBehaviour,
} from "./played_status.ts";

const earlier = "2026-01-01T00:00:00Z";
const now = "2026-01-01T00:01:00Z";
const ip = "10.244.0.1";
const pod: Pod = {
  metadata: { name: "router-1", namespace: "iofog" },
  spec: {
    containers: [{ name: "router", image: "router:3" }],
    initContainers: [{ name: "prepare", image: "busybox" }],
  },
};
const bound: Pod = { ...pod, spec: { ...pod.spec, nodeName: "played" } };
const waiting: PodBehaviour = { play: "fail", reason: "ImagePullBackOff", message: "no such image" };

function readiness(before: Pod, behaviour: PodBehaviour, at = now) {
  const status = playedPodStatus(before, behaviour, ip, at);
  const ready = status.conditions?.find(({ type }) => type === "Ready");
  return {
    phase: status.phase,
    ready: ready?.status,
    since: ready?.lastTransitionTime,
    waiting: status.containerStatuses?.[0]?.state.waiting?.reason,
    pod: { ...before, status },
  };
}

Deno.test("playedPodStatus() of a pod that runs", () => {
  const condition = (type: string) => ({ type, status: "True", lastTransitionTime: now });
  assertEquals(playedPodStatus(pod, { play: "run" }, ip, now), {
    phase: "Running",
    message: playedMessage,
    podIP: ip,
    podIPs: [{ ip }],
    startTime: now,
    conditions: ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition),
    containerStatuses: [{
      name: "router",
      image: "router:3",
      imageID: "",
      restartCount: 0,
      ready: true,
      started: true,
      state: { running: { startedAt: now } },
    }],
    initContainerStatuses: [{
      name: "prepare",
      image: "busybox",
      imageID: "",
      ready: true,
      restartCount: 0,
      state: { terminated: { exitCode: 0, reason: "Completed" } },
    }],
  });
});

Deno.test("playedPodStatus() returns the status itself when it is as it shall be", () => {
  for (
    const behaviour of [{ play: "run" }, { play: "unready" }, { play: "hold" }, waiting] as PodBehaviour[]
  ) {
    const first = readiness(pod, behaviour, earlier).pod;
    assertStrictEquals(playedPodStatus(first, behaviour, "10.244.9.9", now), first.status);
  }
});

Deno.test("playedPodStatus() keeps the address, and the time of what did not change", () => {
  const running = readiness(bound, { play: "run" }, earlier);
  const unready = readiness(running.pod, { play: "unready" });
  assertEquals([unready.phase, unready.ready, unready.since], ["Running", "False", now]);
  const scheduled = unready.pod.status.conditions?.find(({ type }) => type === "PodScheduled");
  assertEquals(scheduled?.lastTransitionTime, earlier);
  assertEquals(playedPodStatus(running.pod, { play: "unready" }, "10.244.9.9", now).podIP, ip);
  assertEquals(readiness(unready.pod, { play: "run" }, now).ready, "True");
});

Deno.test("playedPodStatus() keeps conditions of others", () => {
  const foreign = { type: "DisruptionTarget", status: "True" };
  const status = playedPodStatus({ ...bound, status: { conditions: [foreign] } }, { play: "run" }, ip, now);
  assertEquals(status.conditions?.[0], foreign);
  assertEquals(status.conditions?.length, 5);
});

Deno.test("playedPodStatus() leaves the phase Running when a container fails that ran", () => {
  assertEquals(readiness(pod, waiting).phase, "Pending");
  const failed = readiness(readiness(bound, { play: "run" }, earlier).pod, waiting);
  assertEquals([failed.phase, failed.ready, failed.waiting], ["Running", "False", "ImagePullBackOff"]);
});

Deno.test("playedPodStatus() holds only pods that are not bound", () => {
  const held = playedPodStatus(pod, { play: "hold" }, ip, now);
  assertEquals(held.phase, "Pending");
  assertEquals(held.conditions?.map(({ type, status }) => `${type}=${status}`), ["PodScheduled=False"]);
  const running = readiness(bound, { play: "run" }).pod;
  assertStrictEquals(playedPodStatus(running, { play: "hold" }, ip, now), running.status);
});

Deno.test("playedIngress() gives, changes and takes addresses, and only to load balancers", () => {
  const service = (type: string, ...ingress: { ip?: string; hostname?: string }[]) => ({
    spec: { type },
    status: { loadBalancer: { ingress } },
  });
  assertEquals(playedIngress(service("LoadBalancer"), { ip }), [{ ip }]);
  assertEquals(playedIngress(service("LoadBalancer", { ip }), { ip }), undefined);
  assertEquals(playedIngress(service("LoadBalancer", { ip }), { hostname: "lb" }), [{ hostname: "lb" }]);
  assertEquals(playedIngress(service("LoadBalancer", { hostname: "lb" }), undefined), []);
  assertEquals(playedIngress(service("ClusterIP"), { ip }), undefined);
  assertEquals(playedIngress(service("ClusterIP", { ip }), { ip }), []);
});
