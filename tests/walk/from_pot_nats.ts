/** The walk over a control plane of PoT: base `nats` of `pot_fields.ts`. */

import { potCluster } from "../e2e/pot_harness.ts";
import { walkPotFrom } from "./controlplane_walk.ts";

const cluster = await potCluster();
Deno.test.afterAll(() => cluster.stop());
walkPotFrom("nats", cluster);
