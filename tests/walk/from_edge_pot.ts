/** The walk over the fields of the edge with the Controller 3.7.3. */

import { installEdgeCrds } from "../e2e/edge_scene.ts";
import { potCluster } from "../e2e/pot_harness.ts";
import { walkEdgeKinds } from "./edge_walk.ts";

const cluster = await potCluster();
Deno.test.afterAll(() => cluster.stop());
await installEdgeCrds(cluster, "datasance.com");
walkEdgeKinds("3.7.3", cluster);
