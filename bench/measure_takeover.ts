/**
 * What it takes to take over from the Go operator: a control plane that it made, ready and with its pods running.
 */

import { systemClock } from "../src/clock.ts";
import type { Condition, Parent } from "../src/operator/definition.ts";
import { ControlPlane } from "../src/resources/controlplane/iofog/definition.ts";
import { auditEvents, connectCluster, playKubelet, writeVerbs } from "../tests/cluster/mod.ts";
import { startController } from "../tests/controller/controller.ts";
import { PlayedGoOperator, untilAvailable } from "../tests/e2e/go_operator.ts";
import type { Stage } from "./stage.ts";

/** One take-over. */
export interface TakeOver {
  /** From the spawn of the process to a status of ours that says ready. */
  readonly milliseconds: number;
  /** Requests that changed something until it was at rest, the Lease and Events aside. */
  readonly writes: number;
}

/** Milliseconds until it has to be ready. */
const patienceMs = 60_000;

/** Takes over `runs` control planes, one after the other. */
export async function measureTakeOver(stage: Stage, runs: number): Promise<readonly TakeOver[]> {
  const taken: TakeOver[] = [];
  for (let run = 0; run < runs; run++) taken.push(await takeOver(stage));
  return taken;
}

async function takeOver(stage: Stage): Promise<TakeOver> {
  const { client, cluster } = stage;
  const namespace = await stage.namespace();
  const controller = await startController();
  const kubeletClient = connectCluster(cluster, { userAgent: "played-kubelet" });
  const kubelet = playKubelet(kubeletClient, { namespaces: [namespace] });
  const place = { client, namespace, kubelet, controller };
  try {
    const go = await PlayedGoOperator.of(place, "default-lb", "3.2.0");
    await go.install();
    await untilAvailable(place);
    await stage.settle();
    const startedAt = systemClock.monotonic();
    await using _operator = stage.spawn(namespace, controller.url);
    await untilOurs(stage, namespace, startedAt);
    const milliseconds = systemClock.monotonic() - startedAt;
    await stage.settle();
    const requests = await auditEvents(cluster, {
      userAgent: "iofog-operator/",
      namespace,
      verbs: writeVerbs,
    });
    const writes = requests.filter(({ resource }) => resource !== "leases" && resource !== "events").length;
    return { milliseconds, writes };
  } finally {
    await kubelet.close();
    kubeletClient.transport.close?.();
    await controller.close();
  }
}

/** The Go operator calls it ready too, but for no generation. */
async function untilOurs(stage: Stage, namespace: string, startedAt: number): Promise<void> {
  for (;;) {
    const parent = await stage.client.get(ControlPlane, { namespace, name: "iofog" }) as Parent;
    const { conditions = [] } = (parent.status ?? {}) as { readonly conditions?: readonly Condition[] };
    if (conditions.some(({ type, status }) => type === "Ready" && status === "True")) return;
    if (systemClock.monotonic() - startedAt > patienceMs) throw new Error("it was not taken over");
    await systemClock.sleep(10);
  }
}
