/** What an operator takes of the machine while nothing happens: a ControlPlane that is ready. */

import { systemClock } from "../src/clock.ts";
import type { Parent } from "../src/operator/definition.ts";
import type { Condition } from "../src/operator/definition.ts";
import { ControlPlane } from "../src/resources/controlplane/iofog/definition.ts";
import { connectCluster, playKubelet } from "../tests/cluster/mod.ts";
import { startController } from "../tests/controller/controller.ts";
import { cpuSeconds, residentMib } from "./process_usage.ts";
import type { Stage } from "./stage.ts";

/** Milliseconds until the control plane has to be ready. */
const patienceMs = 60_000;

/** At rest. */
export interface Rest {
  /** Samples of the resident set, in MiB. */
  readonly rssMib: readonly number[];
  /** Share of one core, in percent. */
  readonly cpuPercent: number;
}

/** Watches an operator at rest for `seconds`, after it has been so for as long again. */
export async function measureRest(stage: Stage, seconds: number): Promise<Rest> {
  const namespace = await stage.namespace();
  const controller = await startController();
  const kubeletClient = connectCluster(stage.cluster, { userAgent: "played-kubelet" });
  const kubelet = playKubelet(kubeletClient, { namespaces: [namespace] });
  try {
    await stage.createControlPlane(namespace);
    await using operator = await stage.operate(namespace, controller.url);
    await untilReady(stage, namespace);
    await systemClock.sleep(seconds * 1_000);
    const { pid } = operator.process;
    const before = await cpuSeconds(pid);
    const rssMib: number[] = [];
    for (let second = 0; second < seconds; second++) {
      await systemClock.sleep(1_000);
      rssMib.push(await residentMib(pid));
    }
    return { rssMib, cpuPercent: (await cpuSeconds(pid) - before) / seconds * 100 };
  } finally {
    await kubelet.close();
    kubeletClient.transport.close?.();
    await controller.close();
  }
}

export async function untilReady(stage: Stage, namespace: string): Promise<void> {
  const startedAt = systemClock.monotonic();
  for (;;) {
    const parent = await stage.client.get(ControlPlane, { namespace, name: "iofog" }) as Parent;
    const { conditions = [] } = (parent.status ?? {}) as { readonly conditions?: readonly Condition[] };
    if (conditions.some(({ type, status }) => type === "Ready" && status === "True")) return;
    if (systemClock.monotonic() - startedAt > patienceMs) throw new Error("the control plane is not ready");
    await systemClock.sleep(100);
  }
}
