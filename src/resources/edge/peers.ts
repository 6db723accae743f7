/** The other custom resources of the edge in a namespace. */

import type { DesiredContext, Parent } from "../../operator/definition.ts";
import { type EdgeGroup, type EdgeKind, edgeResourceOf } from "./crds.ts";

/** Those of these kinds, in the group of the one that is looked at; nothing of them was checked. */
export function peersIn(
  { parent, snapshot }: DesiredContext,
  ...kinds: readonly EdgeKind[]
): readonly Parent[] {
  const group = parent.apiVersion?.split("/")[0] as EdgeGroup;
  const resourcesOf = (kind: EdgeKind) => [
    edgeResourceOf(kind, group),
    // Where the CRDs of the CLIs serve it so.
    ...(kind === "Application" ? [edgeResourceOf(kind, group, "apps")] : []),
  ];
  return kinds.flatMap(resourcesOf).flatMap((resource) => snapshot.list(resource) as readonly Parent[]);
}
