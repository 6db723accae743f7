/**
 * From an applied ControlPlane to its last child, beside the floor.
 *
 * Each run has a namespace and an operator process of its own, which was started before and is at rest: nothing is
 * warm but what a first install has warm. The floor, taken in turns with it, is what no operator can beat: a bare
 * client that knows every request beforehand, sends all of them at once, makes the same number of keys meanwhile,
 * and writes the status once.
 */

import { systemClock } from "../src/clock.ts";
import { KubernetesClient } from "../src/kubernetes/client.ts";
import { createFetchTransport } from "../src/kubernetes/fetch_transport.ts";
import { Secret } from "../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../src/kubernetes/resource.ts";
import { datedStatus } from "../src/operator/conditions.ts";
import type { KubernetesWrite } from "../src/operator/write.ts";
import { ControlPlane } from "../src/resources/controlplane/iofog/definition.ts";
import { makeCa } from "../src/resources/pki.ts";
import { keySecrets, type Stage } from "./stage.ts";

/** Milliseconds of one run. */
export interface InstallTimes {
  /** Until the last child that needs no new key was seen. */
  readonly quick: number;
  /** Until the last child of all was seen. */
  readonly all: number;
}

/** All runs, and the time that one key took in each. */
export interface InstallResult {
  readonly operator: readonly InstallTimes[];
  readonly floor: readonly InstallTimes[];
  readonly key: readonly number[];
  readonly children: number;
}

/** Measures both in turns. */
export async function measureInstall(stage: Stage, runs: number): Promise<InstallResult> {
  const client = bareClient(stage);
  const operator: InstallTimes[] = [];
  const floor: InstallTimes[] = [];
  const key: number[] = [];
  // The first answers of a fresh API server are slow, and whoever comes first would pay for them.
  let children = (await runFloor(stage, client)).children;
  for (let run = 0; run < runs; run++) {
    const bare = await runFloor(stage, client);
    children = bare.children;
    floor.push(bare.times);
    await stage.settle();
    operator.push(await runOperator(stage, children));
    await stage.settle();
    const startedAt = systemClock.monotonic();
    await makeCa("bench", systemClock.now());
    key.push(systemClock.monotonic() - startedAt);
  }
  client.transport.close?.();
  return { operator, floor, key, children: children.length };
}

async function runOperator(stage: Stage, children: readonly string[]): Promise<InstallTimes> {
  const namespace = await stage.namespace();
  await using _operator = await stage.operate(namespace);
  const startedAt = systemClock.monotonic();
  await stage.createControlPlane(namespace);
  return await untilAllSeen(stage, namespace, children, startedAt);
}

async function runFloor(
  stage: Stage,
  client: KubernetesClient,
): Promise<{ readonly times: InstallTimes; readonly children: readonly string[] }> {
  const namespace = await stage.namespace();
  const parent = await stage.createControlPlane(namespace);
  const { waves, status } = await stage.plan(namespace);
  const writes = waves.flat().filter(({ name }) => !keySecrets.includes(name));
  const children = [
    ...writes.map(({ resource, name }) => `${resource.kind} ${name}`),
    ...keySecrets.map(secretNamed),
  ];
  await stage.settle();
  const startedAt = systemClock.monotonic();
  const draft = datedStatus(status ?? { conditions: [], fields: {} }, undefined, 1, systemClock.now());
  const done = Promise.all([
    ...writes.map((write) => send(client, write)),
    ...keySecrets.map((name) => sendKey(client, namespace, name)),
    client.replace(ControlPlane, { ...parent, status: draft } as KubeObject, { subresource: "status" }),
  ]);
  const times = await untilAllSeen(stage, namespace, children, startedAt);
  await done;
  return { times, children };
}

async function untilAllSeen(
  stage: Stage,
  namespace: string,
  children: readonly string[],
  startedAt: number,
): Promise<InstallTimes> {
  return await stage.sightings.until("the last child", () => {
    const seen = new Map(
      stage.sightings.in(namespace).map(({ kind, name, seenAt }) => [`${kind} ${name}`, seenAt - startedAt]),
    );
    if (!children.every((child) => seen.has(child))) return undefined;
    const latest = (of: readonly string[]) => Math.max(...of.map((child) => seen.get(child) ?? NaN));
    const withKey = keySecrets.map(secretNamed);
    return { quick: latest(children.filter((child) => !withKey.includes(child))), all: latest(children) };
  });
}

/** A client without a bound on requests under way. */
export function bareClient({ cluster }: Stage): KubernetesClient {
  const authorization = `Bearer ${cluster.adminToken}`;
  return new KubernetesClient(createFetchTransport({
    server: cluster.url,
    source: "the local cluster",
    authorities: () => Promise.resolve(cluster.caPem),
    credentials: () => Promise.resolve({ authorization }),
  }, { userAgent: "bench-floor", concurrency: 1_000 }));
}

async function send(client: KubernetesClient, write: KubernetesWrite): Promise<void> {
  const fieldManager = "bench-floor";
  switch (write.verb) {
    case "apply":
      return void await client.apply(write.resource, write.object, { fieldManager, force: true });
    case "create":
      return void await client.create(write.resource, write.object, { fieldManager });
    default:
      throw new Error(`a first install has no ${write.verb}`);
  }
}

async function sendKey(client: KubernetesClient, namespace: string, name: string): Promise<void> {
  const made = await makeCa(name, systemClock.now());
  const data = Object.fromEntries(Object.entries(made).map(([key, value]) => [key, btoa(value ?? "")]));
  await client.create(Secret, { metadata: { namespace, name }, type: "kubernetes.io/tls", data });
}

function secretNamed(name: string): string {
  return `${Secret.kind} ${name}`;
}
