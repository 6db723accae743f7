/** What a person reads in the status of a custom resource of the edge: conditions as kstatus has them. */

import type {
  ConditionDraft,
  ExternalObject,
  StatusContext,
  StatusDraft,
} from "../../operator/definition.ts";
import { type Assessment, foundIn, isMissing } from "./assessment.ts";
import { isOnItsWay } from "./on_its_way.ts";
import { adopting, notOurs } from "../../operator/plan_external.ts";
import * as reasons from "./reasons.ts";

/** Whether what stands in the Controller as desired also works, and what else to tell of it. */
export interface Account {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Why it does not work although it is as desired; undefined where it does. */
  readonly trouble?: Omit<ConditionDraft, "type"> | undefined;
  /** What `Ready` says where nothing is wrong. */
  readonly message: string;
  readonly reason?: string;
}

/** The status that a custom resource should have. */
export function statusOf(context: StatusContext, assessment: Assessment, account: Account): StatusDraft {
  const { ignored } = assessment;
  const { phase } = context.snapshot.external(context.parent.metadata.uid);
  const verdict = verdictOf(context, account);
  const stalled = context.desired.problems.length > 0 || verdict.reason === reasons.PAUSED ||
    context.failures.some(({ reason }) => reasons.stalling.has(reason));
  const done = verdict.status === "True";
  const conditions: ConditionDraft[] = [
    { type: "Ready", ...verdict },
    {
      type: "Reconciling",
      status: done || stalled ? "False" : "True",
      reason: verdict.reason,
      message: done || stalled ? "" : verdict.message,
    },
    {
      type: "Stalled",
      status: stalled ? "True" : "False",
      reason: stalled ? verdict.reason : reasons.NONE,
      message: stalled ? verdict.message : "",
    },
  ];
  if (ignored.length > 0) {
    const message = `not used: ${ignored.slice(0, 10).join(", ")}${ignored.length > 10 ? ", ..." : ""}`;
    conditions.push({ type: "Warning", status: "True", reason: reasons.FIELDS_IGNORED, message });
  }
  if (context.lostFields.length > 0) {
    const shown = context.lostFields.slice(0, 20).join(", ");
    const message = `the installed CRD drops ${shown}: replace it by the one of this version`;
    conditions.push({ type: "CRDOutdated", status: "True", reason: reasons.FIELDS_DROPPED, message });
  }
  const before = (context.parent.status ?? {}) as Readonly<Record<string, unknown>>;
  const { conditions: _, observedGeneration: __, ...remembered } = before;
  const awaits = !stalled && phase === "observed" && reasons.awaiting.has(verdict.reason) &&
    awaitsSomebodyElse(context, assessment);
  return {
    conditions,
    ...(awaits && { alarm: true }),
    // What was found last stands until the Controller answers again.
    fields: phase === "observed" ? account.fields : remembered,
    provisional: phase === "unknown" && context.desired.problems.length === 0 &&
      before["conditions"] !== undefined,
  };
}

/** Whether somebody has to do something: what else is missing is about to be made. */
function awaitsSomebodyElse(context: StatusContext, { children }: Assessment): boolean {
  const blocked = children.filter((child) => child.type === "external" && child.blocked !== undefined);
  const missing = blocked.flatMap((child) =>
    (child.type === "external" ? child.references ?? [] : [])
      .filter(({ kind, name }) => isMissing(context, kind, name))
  );
  return missing.length === 0 || missing.some((reference) => !isOnItsWay(context, reference));
}

function verdictOf(context: StatusContext, account: Account): Omit<ConditionDraft, "type"> {
  const { desired: { problems }, failures, parent, paused, pending, snapshot } = context;
  const [problem] = problems;
  if (problem !== undefined) {
    const message = problems.map(({ field, message }) =>
      field === undefined ? message : `${field} ${message}`
    );
    return { status: "False", reason: problem.reason, message: message.join("; ") };
  }
  const external = snapshot.external(parent.metadata.uid);
  if (external.phase !== "observed") {
    return {
      status: "Unknown",
      reason: external.reason ?? reasons.NOT_ASKED,
      message: external.message ?? "the Controller has not been asked yet",
    };
  }
  const failure = failures.find(({ reason }) => reasons.stalling.has(reason)) ?? failures[0];
  if (failure !== undefined) {
    // What somebody else made is told in full, as far as that goes: it may be taken over next.
    const isOthers = [notOurs, adopting].includes(failure.reason);
    const shown = isOthers
      ? failures.filter(({ reason }) => reason === failure.reason).slice(0, 20)
      : [failure];
    const more = failures.length > shown.length ? ` (and ${failures.length - shown.length} more)` : "";
    const messages = shown.map(({ message, object }) => isOthers ? message : `${object}: ${message}`);
    return { status: "False", reason: failure.reason, message: `${messages.join("; ")}${more}` };
  }
  if (paused !== undefined && paused.writes.length > 0) {
    const message = `the annotation ${paused.annotation} stops all writes. Without it would be written: ` +
      paused.writes.slice(0, 20).join("; ");
    return { status: "False", reason: reasons.PAUSED, message };
  }
  if (pending.length > 0) {
    const message = `to be written: ${pending.slice(0, 10).join(", ")}${pending.length > 10 ? ", ..." : ""}`;
    return { status: "False", reason: reasons.APPLYING, message };
  }
  if (account.trouble !== undefined) return account.trouble;
  return { status: "True", reason: account.reason ?? reasons.READY, message: account.message };
}

/** States that end by themselves. */
const starting = new Set([
  ...["QUEUED", "PULLING", "STARTING", "CREATING", "UPDATING", "RESTARTING", "UNKNOWN", ""],
]);

/** Why microservices do not work; undefined where all of them run. */
export function troubleOfMicroservices(
  microservices: readonly { readonly name: string; readonly object: ExternalObject | undefined }[],
): Omit<ConditionDraft, "type"> | undefined {
  const idle = microservices.filter(({ object }) => object?.fields["status"] !== "RUNNING");
  if (idle.length === 0) return undefined;
  const shown = idle.slice(0, 5).map(({ name, object }) => {
    const { agentName, errorMessage, status } = object?.fields ?? {};
    return `${name} on ${agentName} is ${status || "UNKNOWN"}${errorMessage ? ` (${errorMessage})` : ""}`;
  });
  const failed = idle.some(({ object }) => !starting.has(`${object?.fields["status"] ?? ""}`));
  return {
    status: "False",
    reason: failed ? reasons.FAILED : reasons.STARTING,
    message: shown.join("; ") + (idle.length > 5 ? `; and ${idle.length - 5} more` : ""),
  };
}

/** The object of this kind and name, as the status shows it. */
export function shownObject(context: StatusContext, kind: string, name: string): ExternalObject | undefined {
  return foundIn(context, kind, name);
}
