/** The walk over a control plane with the embedded database. */

import { walkFrom } from "./controlplane_walk.ts";

walkFrom("sqlite");
