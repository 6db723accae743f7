/** From the start of the process to its first writes, where a ControlPlane waits for it. */

import { systemClock } from "../src/clock.ts";
import { Lease } from "../src/kubernetes/generated/coordination_v1.ts";
import type { Stage } from "./stage.ts";

/** Milliseconds from the start of the process. */
export interface StartTimes {
  /** Until its Lease was seen: the first write of all. */
  readonly lease: number;
  /** Until the first child was seen. */
  readonly child: number;
}

/** Starts `runs` operators, one after another, each in a namespace of its own. */
export async function measureStart(stage: Stage, runs: number): Promise<readonly StartTimes[]> {
  const times: StartTimes[] = [];
  for (let run = 0; run < runs; run++) {
    const namespace = await stage.namespace();
    await stage.createControlPlane(namespace);
    await stage.settle();
    const known = new Set(stage.sightings.in(namespace).map(({ uid }) => uid));
    const startedAt = systemClock.monotonic();
    await using _operator = stage.spawn(namespace);
    times.push(
      await stage.sightings.until("the first child", () => {
        const lease = stage.lease(namespace);
        const child = stage.sightings.in(namespace).find(({ kind, uid }) =>
          kind !== Lease.kind && !known.has(uid)
        );
        if (lease === undefined || child === undefined) return undefined;
        return { lease: lease.seenAt - startedAt, child: child.seenAt - startedAt };
      }),
    );
    await stage.settle();
  }
  return times;
}
