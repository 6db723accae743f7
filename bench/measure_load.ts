/**
 * Many custom resources: the operator of `examples/tenants`, as a process of its own, with 50, 500 and 5,000 Tenants.
 */

import { parse } from "@std/yaml";
import { Tenant } from "../examples/tenants/main.ts";
import { systemClock } from "../src/clock.ts";
import type { KubernetesClient } from "../src/kubernetes/client.ts";
import { CustomResourceDefinition } from "../src/kubernetes/generated/apiextensions_v1.ts";
import { ConfigMap, Namespace } from "../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../src/kubernetes/resource.ts";
import type { Parent } from "../src/operator/definition.ts";
import { auditEvents, type Cluster, startProcess, writeVerbs } from "../tests/cluster/mod.ts";
import { Relay } from "./relay.ts";
import { cpuSeconds, residentMib } from "./process_usage.ts";

/** Milliseconds between two full looks of the operator, as in its source. */
const resyncMs = 30_000;
/** Requests under way while the Tenants are made. */
const width = 20;
const changes = 20;
const patienceMs = 600_000;
const EXAMPLE = new URL("../examples/tenants/", import.meta.url);

/** What so many Tenants cost. */
export interface Load {
  readonly tenants: number;
  /** From the start of the process to the last child and status. */
  readonly first: { readonly seconds: number; readonly cpu: number };
  /** Seconds of CPU for each full look, with all else that goes on at rest. */
  readonly cpuOfPass: number;
  /** Milliseconds from a change of a Tenant to that of its ConfigMap, while full looks go on. */
  readonly changeMs: readonly number[];
  readonly rssMib: readonly number[];
  /** MiB per hour, by the least squares of the samples at rest. */
  readonly rssSlope: number;
  readonly requestsPerHour: number;
  /** The same, by verb and kind. */
  readonly requestsByKind: Readonly<Record<string, number>>;
  readonly mibPerHour: number;
  readonly writesAtRest: number;
  readonly outage: Outage;
}

/** What a while without the API server does. */
export interface Outage {
  readonly seconds: number;
  /** Resident set meanwhile, each second. */
  readonly rssMib: readonly number[];
  /** MiB per hour, of the second half of it. */
  readonly rssSlope: number;
  /** Resident set in the minute after its return, each second or so. */
  readonly rssAfterMib: readonly number[];
  /** Seconds of CPU meanwhile, and in the minute after its return. */
  readonly cpu: number;
  readonly cpuAfter: number;
  /** From its return to the child of a Tenant that was changed meanwhile. */
  readonly backMs: number;
  /** The most requests in any second of the minute after its return. */
  readonly mostRequests: number;
}

/** What is measured, and for how long. */
export interface LoadOptions {
  /** How long the operator is watched at rest; a multiple of the resync interval. */
  readonly restSeconds: number;
  /** How long the API server is away. */
  readonly outageSeconds: number;
  /** Sources whose example is run, as the path of their folder. @default these */
  readonly sources?: string | undefined;
}

/** Runs the example for so many Tenants. */
export async function measureLoad(
  cluster: Cluster,
  client: KubernetesClient,
  tenants: number,
  { outageSeconds, restSeconds, sources }: LoadOptions,
): Promise<Load> {
  const example = sources === undefined ? EXAMPLE.pathname : `${sources}/examples/tenants/`;
  const namespace = `load-${tenants}-${crypto.randomUUID().slice(0, 8)}`;
  await client.create(Namespace, { metadata: { name: namespace } });
  await installCrd(client);
  const names = Array.from({ length: tenants }, (_, index) => `t${index}`);
  await inParallel(
    names,
    (name) =>
      client.create(
        Tenant,
        { metadata: { namespace, name }, spec: { owner: name, settings: { value: "1" } } } as Parent,
      ),
  );
  using relay = new Relay(cluster.url);
  const kubeconfig = await Deno.makeTempFile({ suffix: ".kubeconfig" });
  const text = await Deno.readTextFile(cluster.kubeconfigPath);
  await Deno.writeTextFile(kubeconfig, text.replaceAll(cluster.url, relay.url));

  const lines: string[] = [];
  const startedAt = systemClock.monotonic();
  const operator = startProcess({
    command: Deno.execPath(),
    args: ["run", "--allow-net", "--allow-read", "--allow-env", `${example}main.ts`, namespace],
    env: { KUBECONFIG: kubeconfig },
    output: { onLine: (line) => void (lines.length < 100 && lines.push(line)) },
  });
  try {
    const { pid } = operator;
    await untilReady(client, namespace, tenants, lines);
    const first = { seconds: (systemClock.monotonic() - startedAt) / 1_000, cpu: await cpuSeconds(pid) };
    // What was just written comes back through the watches.
    await systemClock.sleep(resyncMs);

    const restAt = systemClock.now();
    const [cpuBefore, bytesBefore] = [await cpuSeconds(pid), relay.received + relay.sent];
    const samples: [seconds: number, mib: number][] = [];
    for (let second = 0; second < restSeconds; second += 1) {
      await systemClock.sleep(restAt + second * 1_000 + 1_000 - systemClock.now());
      samples.push([second, await residentMib(pid)]);
    }
    const cpuOfPass = (await cpuSeconds(pid) - cpuBefore) / (restSeconds * 1_000 / resyncMs);
    const bytes = relay.received + relay.sent - bytesBefore;
    const query = { sinceMs: restAt, userAgent: "tenants", namespace };
    const requests = await auditEvents(cluster, query);
    const writes = requests.filter(({ verb, resource }) =>
      writeVerbs.includes(verb) && resource !== "leases"
    );
    const changeMs = await measureChanges(client, namespace, tenants);
    const outage = await measureOutage(cluster, client, namespace, relay, pid, outageSeconds);
    return {
      tenants,
      first,
      cpuOfPass,
      changeMs,
      rssMib: samples.map(([, mib]) => mib),
      rssSlope: slope(samples) * 3_600,
      requestsPerHour: requests.length / restSeconds * 3_600,
      requestsByKind: Object.fromEntries(
        [...Map.groupBy(requests, ({ resource, verb }) => `${verb} ${resource}`)]
          .map(([what, { length }]) => [what, length / restSeconds * 3_600]),
      ),
      mibPerHour: bytes / 2 ** 20 / restSeconds * 3_600,
      writesAtRest: writes.length,
      outage,
    };
  } finally {
    await operator.terminate(15_000);
    await Deno.remove(kubeconfig);
    await client.delete(Namespace, { namespace, name: namespace });
  }
}

async function installCrd(client: KubernetesClient): Promise<void> {
  const crd = parse(await Deno.readTextFile(new URL("crd.yaml", EXAMPLE))) as CustomResourceDefinition;
  await client.apply(CustomResourceDefinition, crd, { fieldManager: "bench" });
  while (await client.list(Tenant, { namespace: "default" }).catch(() => undefined) === undefined) {
    await systemClock.sleep(50);
  }
}

/** Counts by a watch, since lists of thousands would take the API server's time. */
async function untilReady(
  client: KubernetesClient,
  namespace: string,
  tenants: number,
  lines: readonly string[],
): Promise<void> {
  const ready = new Set<string>();
  const look = ({ metadata, status }: KubeObject & { status?: { conditions?: { status: string }[] } }) => {
    if (status?.conditions?.[0]?.status === "True") ready.add(metadata?.name ?? "");
  };
  const ending = AbortSignal.timeout(patienceMs);
  while (!ending.aborted) {
    const { items, resourceVersion } = await client.list(Tenant, { namespace });
    items.forEach(look);
    if (ready.size >= tenants) return;
    for await (const event of client.watch(Tenant, { namespace, resourceVersion }, { signal: ending })) {
      if (event.type !== "BOOKMARK") look(event.object);
      if (ready.size >= tenants) return;
    }
  }
  throw new Error(`${ready.size} of ${tenants} are ready: ${lines.join("\n")}`);
}

/** Spread over the time between two full looks, so that some of them happen during one. */
async function measureChanges(
  client: KubernetesClient,
  namespace: string,
  tenants: number,
): Promise<readonly number[]> {
  const times: number[] = [];
  for (let change = 0; change < changes; change++) {
    const name = `t${Math.floor(change * tenants / changes)}`;
    const child = `${name}-settings`;
    const { resourceVersion } = await client.list(ConfigMap, {
      namespace,
      fieldSelector: `metadata.name=${child}`,
    });
    const ending = new AbortController();
    const query = { namespace, fieldSelector: `metadata.name=${child}`, resourceVersion };
    const seen = (async () => {
      for await (const event of client.watch(ConfigMap, query, { signal: ending.signal })) {
        if (event.type === "MODIFIED" && event.object.data?.["value"] === `change ${change}`) {
          return systemClock.monotonic();
        }
      }
      throw new Error(`the watch of ${child} ended`);
    })();
    const patch = { spec: { settings: { value: `change ${change}` } } };
    const sentAt = systemClock.monotonic();
    await client.patch(Tenant, { namespace, name }, { type: "merge", patch });
    times.push(await seen - sentAt);
    ending.abort();
    await systemClock.sleep(resyncMs / changes);
  }
  return times;
}

async function measureOutage(
  cluster: Cluster,
  client: KubernetesClient,
  namespace: string,
  relay: Relay,
  pid: number,
  seconds: number,
): Promise<Outage> {
  relay.cut();
  const cpuBefore = await cpuSeconds(pid);
  const samples: [seconds: number, mib: number][] = [];
  await client.patch(Tenant, { namespace, name: "t0" }, {
    type: "merge",
    patch: { spec: { settings: { value: "changed during the outage" } } },
  });
  for (let second = 0; second < seconds; second++) {
    await systemClock.sleep(1_000);
    samples.push([second, await residentMib(pid)]);
  }
  relay.restore();
  const [sinceMs, restoredAt] = [systemClock.now(), systemClock.monotonic()];
  const cpuReturned = await cpuSeconds(pid);
  const rssAfterMib: number[] = [];
  const watched = (async () => {
    while (systemClock.monotonic() - restoredAt < 60_000) {
      rssAfterMib.push(await residentMib(pid));
      await systemClock.sleep(1_000);
    }
  })();
  const isBack = async () => {
    const { data } = await client.get(ConfigMap, { namespace, name: "t0-settings" });
    return data?.["value"] === "changed during the outage";
  };
  while (!await isBack()) {
    if (systemClock.monotonic() - restoredAt > patienceMs) throw new Error("it does not come back");
    await systemClock.sleep(50);
  }
  const backMs = systemClock.monotonic() - restoredAt;
  await watched;
  const requests = await auditEvents(cluster, { sinceMs, userAgent: "tenants", namespace });
  const bySecond = Map.groupBy(requests, ({ receivedMs }) => Math.floor(receivedMs / 1_000));
  return {
    seconds,
    rssMib: samples.map(([, mib]) => mib),
    rssSlope: slope(samples.slice(samples.length / 2)) * 3_600,
    rssAfterMib,
    cpu: cpuReturned - cpuBefore,
    cpuAfter: await cpuSeconds(pid) - cpuReturned,
    backMs,
    mostRequests: Math.max(...[...bySecond.values()].map(({ length }) => length)),
  };
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values();
  await Promise.all(Array.from({ length: width }, async () => {
    for (const item of left) await work(item);
  }));
}

/** Of the line that fits best, in y per x. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([each]) => each), mean(([, each]) => each)];
  const spread = mean(([each]) => (each - x) ** 2);
  return spread === 0 ? 0 : mean(([eachX, eachY]) => (eachX - x) * (eachY - y)) / spread;
}
