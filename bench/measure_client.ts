/** What the client costs beside a bare fetch: reads of one object and small writes, in turns. */

import { systemClock } from "../src/clock.ts";
import { ConfigMap } from "../src/kubernetes/generated/core_v1.ts";
import type { Stage } from "./stage.ts";

/** Milliseconds of each call. */
export interface ClientCost {
  readonly client: readonly number[];
  readonly bare: readonly number[];
}

/** @param runs How often each. */
export async function measureClient(stage: Stage, runs: number): Promise<ClientCost> {
  const namespace = await stage.namespace();
  const { cluster } = stage;
  const name = "measured";
  await stage.client.create(ConfigMap, { metadata: { namespace, name }, data: { key: "value" } });
  using http = Deno.createHttpClient({ caCerts: [cluster.caPem] });
  const url = `${cluster.url}/api/v1/namespaces/${namespace}/configmaps/${name}`;
  const headers = { authorization: `Bearer ${cluster.adminToken}`, accept: "application/json" };
  const bare = async () => {
    const response = await fetch(url, { client: http, headers });
    return await response.json();
  };
  const ours = () => stage.client.get(ConfigMap, { namespace, name });
  const cost = { client: [] as number[], bare: [] as number[] };
  // The first ones open connections.
  for (let run = -10; run < runs; run++) {
    const [clientMs, bareMs] = [await timed(ours), await timed(bare)];
    if (run < 0) continue;
    cost.client.push(clientMs);
    cost.bare.push(bareMs);
  }
  return cost;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = systemClock.monotonic();
  await work();
  return systemClock.monotonic() - startedAt;
}
