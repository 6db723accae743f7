/**
 * Tells how custom resources come up: one line for each condition that changed.
 */

import { systemClock } from "../../src/clock.ts";
import type { KubernetesClient } from "../../src/kubernetes/client.ts";
import { ApiError } from "../../src/kubernetes/errors.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";

/** The part of a condition that is shown. */
export interface ShownCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
}

/** A custom resource, the part that is shown. */
export interface WithConditions extends KubeObject {
  readonly status?: { readonly conditions?: readonly ShownCondition[] | undefined } | undefined;
}

/**
 * What is new in `after`, one line each.
 *
 * `Ready`, `Reconciling` and `Stalled` are left out: they say `ready` and `deploying` again, for other readers.
 */
export function describeChanges(
  before: readonly ShownCondition[],
  after: readonly ShownCondition[],
): readonly string[] {
  const shown = (conditions: readonly ShownCondition[]) =>
    conditions.filter(({ type }) => type !== "Ready" && type !== "Reconciling" && type !== "Stalled");
  const width = Math.max(0, ...shown(after).map(({ type }) => type.length));
  const describe = ({ type, status, reason = "", message = "" }: ShownCondition) =>
    `${type.padEnd(width)}  ${status.padEnd(7)}  ${reason}${message === "" ? "" : `: ${message}`}`.trimEnd();
  return shown(after)
    .filter((condition) => {
      const old = before.find(({ type }) => type === condition.type);
      return old?.status !== condition.status || old.reason !== condition.reason ||
        old.message !== condition.message;
    })
    .map(describe);
}

/** Whether the condition `type` is true. */
export function isReady(object: WithConditions, type = "ready"): boolean {
  return object.status?.conditions?.some((each) => each.type === type && each.status === "True") ?? false;
}

/** Milliseconds until a watch that broke is opened again. */
const retryMs = 500;

/**
 * Calls `onChange` with every object of a namespace, at first and whenever it changed, until the signal aborts.
 * A server that does not answer is asked again.
 */
export async function followObjects(
  client: KubernetesClient,
  resource: Resource<WithConditions>,
  namespace: string,
  onChange: (object: WithConditions) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const { items, resourceVersion } = await client.list(resource, { namespace }, { signal });
      items.forEach(onChange);
      for await (const event of client.watch(resource, { namespace, resourceVersion }, { signal })) {
        if (event.type === "ADDED" || event.type === "MODIFIED") onChange(event.object);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      await systemClock.sleep(retryMs, signal);
    }
  }
}
