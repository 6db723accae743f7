/** The walk over a control plane whose passwords are in Secrets. */

import { walkFrom } from "./controlplane_walk.ts";

walkFrom("referenced");
