/** The walk over the settings of pods. */

import { walkFrom } from "./controlplane_walk.ts";

walkFrom("pods");
