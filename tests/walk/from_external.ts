/** The walk over a control plane with an external database and an autoscaler. */

import { walkFrom } from "./controlplane_walk.ts";

walkFrom("external");
