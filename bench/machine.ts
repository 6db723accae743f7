/** The machine that was measured on, without anything that tells whose it is. */

import type { KubernetesClient } from "../src/kubernetes/client.ts";
import { version } from "../src/version.ts";

/** What figures depend on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly os: string;
  readonly deno: string;
  readonly v8: string;
  readonly kubernetes: string;
  readonly operator: string;
}

/** Describes this machine. */
export async function describeMachine(client: KubernetesClient): Promise<Machine> {
  const cpuInfo = await Deno.readTextFile("/proc/cpuinfo");
  const { gitVersion } = await client.serverVersion();
  return {
    cpu: /^model name\s*:\s*(.+)$/m.exec(cpuInfo)?.[1]?.trim() ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    memoryGib: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    os: `${Deno.build.os} ${Deno.build.arch}`,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    kubernetes: gitVersion,
    operator: version,
  };
}
