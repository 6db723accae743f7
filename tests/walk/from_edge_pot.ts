/** The walk over the fields of the edge with the Controller 3.7.3. */

import { walkEdgeKinds } from "./edge_walk.ts";

walkEdgeKinds("3.7.3");
