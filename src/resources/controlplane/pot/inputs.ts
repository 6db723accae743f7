/** What the components of a PoT control plane are built from. */

import type { NatsAccount, NatsBootstrap } from "../../../controller/schemas.ts";
import type { Surroundings } from "../component.ts";
import type { Images } from "./images.ts";
import type { NatsHealth } from "./nats_scale.ts";
import type { ControlPlaneSpec } from "./schema.ts";

/** All that a component is built from. */
export interface Inputs extends Surroundings {
  readonly spec: ControlPlaneSpec;
  /** Images for what the spec leaves open. */
  readonly images: Images;
  /** Whether Keycloak lets the operator in as `spec.auth` says. */
  readonly authProved: boolean;
  /** What the Controller made for NATS; undefined while it was not asked, or does not answer. */
  readonly natsBootstrap: NatsBootstrap | undefined;
  /** The NATS accounts that the Controller knows; undefined while it was not asked, or does not answer. */
  readonly natsAccounts: readonly NatsAccount[] | undefined;
  /** What the NATS servers say of themselves; undefined while none was asked. */
  readonly natsHealth: NatsHealth | undefined;
}

/** Labels of a component's objects and pods, and the selector of its Services and workloads: a contract. */
export function labelsOf({ name }: { readonly name: string }, component: "controller" | "router" | "nats") {
  return {
    "app.kubernetes.io/name": "pot",
    "app.kubernetes.io/instance": name,
    "app.kubernetes.io/component": component,
    "app.kubernetes.io/managed-by": "iofog-operator",
    "datasance.com/component": component,
  };
}
