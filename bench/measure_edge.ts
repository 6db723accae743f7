/**
 * A thousand microservices on a hundred agents: how long until they stand in the Controller, beside the same calls sent
 * bare; what a change and what rest take; and whether the cluster is repaired as fast meanwhile.
 */

import { parse } from "@std/yaml";
import { systemClock } from "../src/clock.ts";
import { createControllerClient } from "../src/controller/client.ts";
import { CustomResourceDefinition } from "../src/kubernetes/generated/apiextensions_v1.ts";
import { ServiceAccount } from "../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../src/kubernetes/resource.ts";
import { type EdgeKind, edgeResourceOf } from "../src/resources/edge/crds.ts";
import { auditEvents, connectCluster, playKubelet, writeVerbs } from "../tests/cluster/mod.ts";
import { type Controller, startController } from "../tests/controller/controller.ts";
import { repairOf } from "./measure_repair.ts";
import { untilReady } from "./measure_rest.ts";
import { cpuSeconds, residentMib } from "./process_usage.ts";
import type { Call } from "./replay.ts";
import type { Stage } from "./stage.ts";

/**
 * Milliseconds that a real Controller 3.0.4 takes at least to make an agent (30.4 p50) or a microservice (34.5), measured
 * on the same kind of machine with its sqlite database; the stand-in takes 1 to 13.
 */
export const ANSWER_MS = 30;
const inEach = 10;
const patienceMs = 600_000;
const pauseMs = 300;
/** What the Controller is asked beside the writes of the edge. */
const ofTheControlPlane = /\/(user|router|config|status)\b/;

/** What so many microservices cost. Times are in milliseconds. */
export interface EdgeLoad {
  readonly calls: number;
  /** From the first call that changes something to the answer to the last. */
  readonly created: readonly number[];
  readonly bare: readonly number[];
  /** The same, where the Controller takes `ANSWER_MS` for each of these calls. */
  readonly createdSlowly: readonly number[];
  readonly bareSlowly: readonly number[];
  /** From the change of one Application to the call that it takes. */
  readonly changed: readonly number[];
  /** Calls in an hour at rest, and those of them that change something; and what is written in the cluster. */
  readonly callsPerHour: number;
  readonly writesAtRest: number;
  /** CPU of one core at rest, in percent. */
  readonly cpuPercent: number;
  readonly rssMib: readonly number[];
  /** From the deletion of a ServiceAccount to the next one, without anything at the edge and while it is made. */
  readonly repairBefore: readonly number[];
  readonly repairMeanwhile: readonly number[];
}

/** @param runs How often everything is made, bare and by an operator in turns. */
export async function measureEdge(
  stage: Stage,
  { agents, restSeconds, runs }: {
    readonly agents: number;
    readonly restSeconds: number;
    readonly runs: number;
  },
): Promise<EdgeLoad> {
  await installCrds(stage);
  const results: EdgeLoad[] = [];
  for (let run = 0; run < runs; run++) {
    results.push(await once(stage, agents, run === 0 ? restSeconds : 0, 0));
  }
  const slowly = await once(stage, agents, 0, ANSWER_MS);
  const [first] = results;
  if (first === undefined) throw new RangeError("no run");
  return {
    ...first,
    created: results.flatMap(({ created }) => created),
    bare: results.flatMap(({ bare }) => bare),
    createdSlowly: slowly.created,
    bareSlowly: slowly.bare,
    changed: results.flatMap(({ changed }) => changed),
    repairBefore: results.flatMap(({ repairBefore }) => repairBefore),
    repairMeanwhile: results.flatMap(({ repairMeanwhile }) => repairMeanwhile),
  };
}

async function once(
  stage: Stage,
  agents: number,
  restSeconds: number,
  answerMs: number,
): Promise<EdgeLoad> {
  const namespace = await stage.namespace();
  const controller = await startSlowController(answerMs);
  const kubeletClient = connectCluster(stage.cluster, { userAgent: "played-kubelet" });
  const kubelet = playKubelet(kubeletClient, { namespaces: [namespace] });
  try {
    await stage.createControlPlane(namespace);
    const repairBefore: number[] = [];
    {
      await using _operator = await stage.operate(namespace, controller.url);
      await untilReady(stage, namespace);
      for (let count = 0; count < 10; count++) {
        await systemClock.sleep(pauseMs);
        repairBefore.push(await repairOf(stage, namespace, account));
      }
    }
    await makeAll(stage, namespace, agents);
    controller.forgetRequests();
    const wanted = agents * (2 + inEach);
    await using operator = stage.spawn(namespace, controller.url);
    const repairMeanwhile: number[] = [];
    const done = timeOf(controller, wanted, operator.lines);
    const repairing = (async () => {
      await done.begun;
      while (!done.isOver()) {
        repairMeanwhile.push(await repairOf(stage, namespace, account));
        await systemClock.sleep(pauseMs);
      }
    })();
    const created = await done.milliseconds;
    await repairing;
    const calls = writesOf(controller);
    const changed = restSeconds === 0 ? [] : await measureChanges(stage, namespace, controller);
    const rest = restSeconds === 0
      ? { callsPerHour: 0, writesAtRest: 0, cpuPercent: 0, rssMib: [] }
      : await measureRestOf(stage, namespace, controller, operator.process.pid, restSeconds);
    const bare = await replay(calls, answerMs);
    return {
      ...{ calls: calls.length, created: [created], bare: [bare], createdSlowly: [], bareSlowly: [] },
      ...{ changed, repairBefore, repairMeanwhile },
      ...rest,
    };
  } finally {
    await kubelet.close();
    kubeletClient.transport.close?.();
    await controller.close();
  }
}

const account = { resource: ServiceAccount, name: "router" };

async function installCrds(stage: Stage): Promise<void> {
  for (const plural of ["agents", "applications", "edgeresources", "microservices", "routes"]) {
    const text = await Deno.readTextFile(new URL(`../crds/${plural}.iofog.org.yaml`, import.meta.url));
    await stage.client.apply(CustomResourceDefinition, parse(text) as CustomResourceDefinition, {
      fieldManager: "bench",
    });
  }
  const isServed = (kind: EdgeKind) =>
    stage.client.list(edgeResourceOf(kind, "iofog.org"), { namespace: "default" }).then(
      () => true,
      () => false,
    );
  for (const kind of ["Agent", "Application"] as const) {
    while (!await isServed(kind)) await systemClock.sleep(50);
  }
}

function microservicesOn(agent: string, version: string): readonly unknown[] {
  return Array.from({ length: inEach }, (_, index) => ({
    name: `m${index}`,
    agent: { name: agent },
    images: { x86: `registry.example/reader:${index === 0 ? version : "1"}` },
    config: { sampleHz: 400 },
    container: {
      env: [{ key: "LEVEL", value: "info" }],
      ports: [{ internal: 80, external: 5000 + index }],
    },
  }));
}

async function makeAll({ client }: Stage, namespace: string, agents: number): Promise<void> {
  const make = (kind: EdgeKind, name: string, spec: unknown) =>
    client.create(edgeResourceOf(kind, "iofog.org"), { metadata: { namespace, name }, spec } as KubeObject);
  for (let from = 0; from < agents; from += 10) {
    await Promise.all(Array.from({ length: Math.min(10, agents - from) }, async (_, at) => {
      const name = `a${from + at}`;
      await make("Agent", name, { host: `10.0.0.${from + at}`, config: { agentType: "x86" } });
      await make("Application", name, { microservices: microservicesOn(name, "1") });
    }));
  }
}

function writesOf(controller: Controller): readonly Call[] {
  return controller.requests.filter(({ method, path }) => method !== "GET" && !ofTheControlPlane.test(path))
    .map(({ body, method, path }) => ({ body, method, path }));
}

/** The time in which `wanted` calls are made, looked at every few milliseconds. */
function timeOf(controller: Controller, wanted: number, lines: readonly string[]) {
  const begun = Promise.withResolvers<void>();
  let over = false;
  const milliseconds = (async () => {
    const deadline = systemClock.monotonic() + patienceMs;
    let firstAt: number | undefined;
    try {
      for (;;) {
        const count = writesOf(controller).length;
        const now = systemClock.monotonic();
        if (count > 0 && firstAt === undefined) {
          firstAt = now;
          begun.resolve();
        }
        if (count >= wanted && firstAt !== undefined) return now - firstAt;
        if (now > deadline) throw new Error(`${count} of ${wanted} calls: ${lines.slice(-10).join("\n")}`);
        await systemClock.sleep(count > wanted * 0.95 || count === 0 ? 5 : 50);
      }
    } finally {
      over = true;
      begun.resolve();
    }
  })();
  return { begun: begun.promise, isOver: () => over, milliseconds };
}

async function measureChanges(stage: Stage, namespace: string, controller: Controller) {
  const changed: number[] = [];
  // What was made is recorded, and its statuses are written.
  await systemClock.sleep(20_000);
  for (let count = 0; count < 10; count++) {
    controller.forgetRequests();
    const name = `a${count}`;
    const spec = { microservices: microservicesOn(name, "2") };
    const startedAt = systemClock.monotonic();
    await stage.client.patch(edgeResourceOf("Application", "iofog.org"), { namespace, name }, {
      type: "merge",
      patch: { spec },
    });
    while (writesOf(controller).length === 0) await systemClock.sleep(2);
    changed.push(systemClock.monotonic() - startedAt);
    await systemClock.sleep(1_000);
  }
  return changed;
}

async function measureRestOf(
  stage: Stage,
  namespace: string,
  controller: Controller,
  pid: number,
  seconds: number,
) {
  await systemClock.sleep(20_000);
  controller.forgetRequests();
  const sinceMs = systemClock.now();
  const cpu = await cpuSeconds(pid);
  const rssMib: number[] = [];
  for (let second = 0; second < seconds; second++) {
    await systemClock.sleep(1_000);
    rssMib.push(await residentMib(pid));
  }
  const asked = controller.requests.length;
  const audited = await auditEvents(stage.cluster, { sinceMs, userAgent: "iofog-operator", namespace });
  const written = audited.filter(({ resource, verb }) => writeVerbs.includes(verb) && resource !== "leases");
  return {
    callsPerHour: asked / seconds * 3_600,
    writesAtRest: writesOf(controller).length + written.length,
    cpuPercent: (await cpuSeconds(pid) - cpu) / seconds * 100,
    rssMib,
  };
}

/** A stand-in that takes so much longer for each call that makes something. */
async function startSlowController(answerMs: number): Promise<Controller> {
  const controller = await startController();
  if (answerMs > 0) {
    controller.breakAt({
      method: "POST",
      path: /^\/(iofog|application|microservices)$/,
      times: Infinity,
      action: { type: "hang", ms: answerMs },
    });
  }
  return controller;
}

/** The same calls to an empty Controller, by a process of their own. */
async function replay(calls: readonly Call[], answerMs: number): Promise<number> {
  const controller = await startSlowController(answerMs);
  const file = await Deno.makeTempFile({ suffix: ".json" });
  const client = createControllerClient({ baseUrl: controller.url });
  try {
    const user = {
      firstName: "Some",
      lastName: "Body",
      email: "somebody@example.com",
      password: crypto.randomUUID(),
    };
    await client.signUp(user);
    await client.login(user);
    const ports = { messagingPort: 5671, edgeRouterPort: 45671, interRouterPort: 55671 };
    await client.setRouter({ host: "10.0.0.1", ...ports });
    await Deno.writeTextFile(file, JSON.stringify(calls));
    const script = decodeURIComponent(new URL("replay.ts", import.meta.url).pathname);
    const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", "--allow-read", script, file, controller.url, user.email, user.password],
    }).output();
    if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
    return Number(new TextDecoder().decode(stdout));
  } finally {
    client.close();
    await Deno.remove(file);
    await controller.close();
  }
}
