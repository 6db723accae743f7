/** The walk over a control plane of PoT with each vault, and with its secret values in Secrets. */

import { potCluster } from "../e2e/pot_harness.ts";
import { walkPotFrom } from "./controlplane_walk.ts";

const cluster = await potCluster();
Deno.test.afterAll(() => cluster.stop());
const vaults = ["hashicorp", "aws", "azure", "google"];
for (const base of [...vaults, "referenced", "referencedAws", "referencedAzure", "referencedGoogle"]) {
  walkPotFrom(base, cluster);
}
