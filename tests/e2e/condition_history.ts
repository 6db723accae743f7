/** Every status that a ControlPlane ever had, in order. */

import type { Condition } from "../../src/operator/definition.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { type ControlPlaneObject, NAME, type Scene, stateOf } from "./harness.ts";

/** What was seen; ends when disposed of. */
export interface ConditionHistory extends AsyncDisposable {
  /** The conditions of each status that had any. */
  all(): readonly (readonly Condition[])[];
  /** What iofogctl would have read each time. */
  states(): readonly string[];
}

/** Watches the ControlPlane of a scene, which need not be there yet. */
export function watchConditions(scene: Scene): ConditionHistory {
  const seen: ControlPlaneObject[] = [];
  const ending = new AbortController();
  const { signal } = ending;
  const follow = async () => {
    const { namespace } = scene;
    const { items, resourceVersion } = await scene.client.list(ControlPlane, { namespace }, { signal });
    for (const item of items) seen.push(item as ControlPlaneObject);
    for await (const event of scene.client.watch(ControlPlane, { namespace, resourceVersion }, { signal })) {
      if (event.type !== "BOOKMARK" && event.object.metadata?.name === NAME) {
        seen.push(event.object as ControlPlaneObject);
      }
    }
  };
  const ended = follow();
  const withConditions = () => seen.filter(({ status }) => (status?.conditions ?? []).length > 0);
  return {
    all: () => withConditions().map(({ status }) => status?.conditions ?? []),
    states: () => withConditions().map(stateOf),
    async [Symbol.asyncDispose]() {
      ending.abort();
      await ended;
    },
  };
}
