/** The walk over the fields of the edge with the Controller 3.0.4. */

import { installEdgeCrds } from "../e2e/edge_scene.ts";
import { cluster } from "../e2e/harness.ts";
import { walkEdgeKinds } from "./edge_walk.ts";

await installEdgeCrds(cluster, "iofog.org");
walkEdgeKinds("3.0.4", cluster);
