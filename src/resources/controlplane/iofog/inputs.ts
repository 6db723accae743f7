/** What the components of an ioFog control plane are built from. */

import type { Surroundings } from "../component.ts";
import type { Images } from "./images.ts";
import type { ControlPlaneSpec } from "./schema.ts";

/** All that a component is built from. */
export interface Inputs extends Surroundings {
  readonly spec: ControlPlaneSpec;
  /** Images for what the spec leaves open. */
  readonly images: Images;
  /** Another text whenever the user's password may be another. */
  readonly passwordVersion: string;
  /** Whether the Controller accepted the password of this very version. */
  readonly passwordProved: boolean;
}
