/** The kinds of the edge, put together with the Controller of the ControlPlane in the same namespace. */

import type { Clock } from "../../clock.ts";
import type { Resource } from "../../kubernetes/resource.ts";
import { byAge } from "../../operator/claims.ts";
import type { Definition, Parent, Snapshot } from "../../operator/definition.ts";
import type { ExternalBackend } from "../../operator/external.ts";
import { type ControllerAccess, EdgeBackend, type NoAccess } from "./backend.ts";
import type { EdgeGroup } from "./crds.ts";
import { edgeDefinitions } from "./definition.ts";
import * as reasons from "./reasons.ts";

export interface EdgeOptions {
  readonly clock: Clock;
  readonly group: EdgeGroup;
  /** The ControlPlane of this group, which keeps the inventory. */
  readonly controlPlane: Pick<Definition, "resource" | "leaseName" | "inventoryName">;
  /** Its Controller, once there was a login. */
  readonly access: (controlPlaneUid: string) => ControllerAccess | NoAccess | undefined;
  /** Plural of the Applications, where another is served. */
  readonly applications?: string | undefined;
}

/** What an operator manages besides ControlPlanes; it belongs after them. */
export function edgeManaged(
  options: EdgeOptions,
): readonly { readonly definition: Definition; readonly backend: ExternalBackend }[] {
  const { clock, group, controlPlane: { inventoryName = "", leaseName, resource } } = options;
  const backend = new EdgeBackend({
    clock,
    markerKey: inventoryName,
    access: (snapshot) => accessIn(snapshot, resource, options.access),
  });
  const { applications } = options;
  const never = new AbortController().signal;
  const provideKey = (uuid: string, snapshot: Snapshot) => backend.provideKey(uuid, snapshot, never);
  return edgeDefinitions({ group, leaseName, inventoryName, applications, provideKey })
    .map((definition) => ({ definition, backend }));
}

/** The Controller of the ControlPlane that manages the namespace, as the engine chooses it: the oldest. */
function accessIn(
  snapshot: Snapshot,
  controlPlane: Resource,
  access: EdgeOptions["access"],
): ControllerAccess | NoAccess {
  const [oldest] = (snapshot.list(controlPlane) as readonly Parent[])
    .toSorted(byAge);
  if (oldest === undefined || oldest.metadata.deletionTimestamp !== undefined) {
    return {
      reason: "NoControlPlane",
      message:
        `there is no ControlPlane (${controlPlane.group}) in this namespace, so that there is no Controller to ` +
        "keep this in: create one",
    };
  }
  const found = access(oldest.metadata.uid);
  if (found === undefined) {
    const { message = "nobody has logged in to it yet" } = snapshot.external(oldest.metadata.uid);
    return {
      reason: reasons.CONTROLLER_UNREACHABLE,
      message: `the Controller of ControlPlane ${oldest.metadata.name} cannot be used: ${message}`,
    };
  }
  if (!("client" in found)) return found;
  const { controllerEndpoint } = (oldest.status ?? {}) as { readonly controllerEndpoint?: string };
  return { ...found, ...(controllerEndpoint === undefined ? {} : { endpoint: controllerEndpoint }) };
}
