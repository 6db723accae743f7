/** Operators that die at a write. */

import { ApiError } from "../../src/kubernetes/errors.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import type { RequestHook } from "../../src/kubernetes/intercept.ts";
import type { Scene } from "./harness.ts";

/** The operator's Lease. */
const LEASE = "44586fd0.iofog.org";

/** A process that was killed keeps its Lease for 15 s: not waited for here, but in lease_test.ts. */
export async function freeLease(scene: Scene): Promise<void> {
  const target = { namespace: scene.namespace, name: LEASE };
  if (await scene.find(Lease, LEASE) !== undefined) await scene.client.delete(Lease, target);
}

/** The requests of a process that dies at a write: before that is sent, or before its answer comes. */
export function dying(
  when: "before" | "after",
  diesAt: (write: string) => boolean,
): { readonly hook: RequestHook; readonly dead: () => boolean } {
  let dead = false;
  const hook: RequestHook = async ({ verb, plural, name, subresource = "" }, proceed) => {
    if (dead) throw new ApiError("it is dead", { status: 0, reason: "Unreachable" });
    const isWrite = !["get", "list", "watch"].includes(verb) && plural !== "leases" && plural !== "events";
    if (!isWrite || !diesAt([verb, plural, name, subresource].join(" "))) return await proceed();
    dead = true;
    if (when === "after") await proceed();
    throw new ApiError("it died", { status: 0, reason: "Unreachable" });
  };
  return { hook, dead: () => dead };
}
