/** Gives conditions their times, as `metav1.Condition` wants: the time changes when the status does, and only then. */

import type { Condition, ConditionDraft, StatusDraft } from "./definition.ts";
import { isRecord } from "./compare.ts";

/** What a CRD allows in `message`: the API server refuses longer ones. */
const longestMessage = 32_768;

/**
 * The conditions to store.
 *
 * @param before The conditions as they are, of whatever shape.
 * @param generation `metadata.generation` of the object that the drafts were made from.
 * @param now Milliseconds since the epoch; stored in whole seconds.
 */
export function dateConditions(
  drafts: readonly ConditionDraft[],
  before: unknown,
  generation: number,
  now: number,
): readonly Condition[] {
  const known = Array.isArray(before) ? before.filter(isRecord) : [];
  return drafts.map((draft) => {
    const previous = known.find((condition) => condition["type"] === draft.type);
    const unchanged = previous !== undefined && previous["status"] === draft.status;
    const time = unchanged ? previous["lastTransitionTime"] : undefined;
    return {
      type: draft.type,
      status: draft.status,
      reason: draft.reason,
      message: draft.message.slice(0, longestMessage),
      lastTransitionTime: typeof time === "string" ? time : timestamp(now),
      observedGeneration: generation,
    };
  });
}

/** The conditions in a status, of whatever shape that is. */
export function conditionsOf(status: unknown): readonly Condition[] {
  const conditions = isRecord(status) ? status["conditions"] : undefined;
  return Array.isArray(conditions) ? conditions : [];
}

/** The whole status to store for a draft. */
export function datedStatus(
  draft: StatusDraft,
  before: unknown,
  generation: number,
  now: number,
): Readonly<Record<string, unknown>> {
  return {
    ...draft.fields,
    observedGeneration: generation,
    conditions: dateConditions(draft.conditions, conditionsOf(before), generation, now),
  };
}

/** RFC 3339 in whole seconds. */
export function timestamp(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString().replace(".000Z", "Z");
}
