/**
 * What a person, and the CLIs, read in the status of a ControlPlane: the parts that both flavours have, and the verdict.
 *
 * `deploying` and `ready` are the contract with the CLIs: they take the type of the first condition that is True for
 * the state, so `deploying` is True and first while the control plane is not ready, and `ready` is the first True one
 * when it is. `Ready`, `Reconciling` and `Stalled` follow kstatus; the rest tells, part by part, what is awaited.
 */

import { conditionsOf } from "../../operator/conditions.ts";
import type {
  Condition,
  ConditionDraft,
  ExternalState,
  Failure,
  StatusContext,
  StatusDraft,
} from "../../operator/definition.ts";
import { secretValues } from "../child.ts";
import { inspectCertificate } from "../pki.ts";
import type { Surroundings, Waiting, Warning } from "./component.ts";
import * as reasons from "./reasons.ts";
import { troubleOf, troubles, type Workload } from "./trouble.ts";

/** One part of the control plane: whether it is as it should be, and what to do if not. */
export type Part = ConditionDraft;

/** Failures that only a change of the spec, of permissions or of other objects can end. */
const stalling: ReadonlySet<string> = new Set([
  "Conflict",
  "Rejected",
  "Forbidden",
  "NotServed",
  reasons.QUOTA_EXCEEDED,
  reasons.INVALID_CREDENTIALS,
  reasons.REFUSED,
  reasons.AUTHORITY_MISMATCH,
]);

/** What somebody may have to do something about, although it can end by itself. */
const alarming: ReadonlySet<string> = new Set([
  ...troubles,
  reasons.ADDRESS_PENDING,
  reasons.ADDRESS_MISSING,
  reasons.BAD_RESPONSE,
  reasons.KEYCLOAK_UNREACHABLE,
]);

/** Failures that leave it open what is there. */
const unknowing: ReadonlySet<string> = new Set(["ListFailed", "ListForbidden", "NotListed"]);

/** What a flavour tells of its control plane. */
export interface Account {
  /** False while the spec cannot be accepted: there are no parts then. */
  readonly accepted: boolean;
  readonly parts: readonly Part[];
  readonly warnings: readonly Warning[];
  readonly fields: Readonly<Record<string, unknown>>;
  /** Secrets with certificates. */
  readonly certificates: readonly string[];
  /** Whether the Go operator called the control plane ready in this condition, which is the first that is True. */
  isReadyOfGo(condition: Condition): boolean;
  /** Whether a ready control plane that is changed is called `updating`, and not `deploying`. */
  readonly tellsUpdating: boolean;
}

/** The status that a ControlPlane should have. */
export function statusOf(context: StatusContext, account: Account): StatusDraft {
  const { accepted, fields, parts } = account;
  const summary = summarise(context, account);
  return {
    conditions: [...summary, ...parts, ...notices(context, account.warnings)],
    fields: accepted ? fields : {},
    certificates: certificatesOf(context, account.certificates),
    alarm: summary.some(({ type, reason }) => type === "Ready" && alarming.has(reason)),
    provisional: isProvisional(context, account),
  };
}

/** Reasons that are over within a moment. */
const momentary: ReadonlySet<string> = new Set([
  reasons.APPLYING,
  reasons.JUST_CHANGED,
  reasons.NOT_ASKED,
]);

/**
 * Whether the Go operator called the control plane ready, and nothing is known yet that says otherwise: the CLIs shall
 * not see it deploying again only because we begin to look.
 */
function isProvisional(context: StatusContext, { isReadyOfGo, parts }: Account): boolean {
  const before = conditionsOf(context.parent.status).find(({ status }) => status === "True");
  if (before?.type !== "ready" || !isReadyOfGo(before)) return false;
  const missing = parts.filter(({ status }) => status !== "True");
  return missing.length > 0 && missing.every(({ reason }) => momentary.has(reason));
}

function certificatesOf(
  { snapshot }: StatusContext,
  names: readonly string[],
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const end = inspectCertificate(secretValues(snapshot, name)?.["tls.crt"] ?? "")?.notAfter;
      return end === undefined ? [] : [[name, end]];
    }),
  );
}

/** Kubernetes objects that are still to be written, or cannot be. */
export function objectsPart(context: StatusContext): Part {
  const type = "ObjectsApplied";
  const pending = context.pending.filter((object) => !isExternal(object, context));
  const failure = context.failures.find(({ object }) => !isExternal(object, context));
  if (failure !== undefined) {
    return {
      type,
      status: "False",
      reason: failure.reason,
      message: `${failure.object}: ${failure.message}`,
    };
  }
  if (pending.length > 0 && context.paused !== undefined) {
    return { type, status: "False", reason: reasons.PAUSED, message: pausedMessage(context, context.paused) };
  }
  if (pending.length > 0) {
    return {
      type,
      status: "False",
      reason: reasons.APPLYING,
      message: `to be written: ${pending.join(", ")}`,
    };
  }
  return { type, status: "True", reason: reasons.AVAILABLE, message: "every object is as it should be" };
}

/** What is awaited from outside of the cluster, or from a person. */
export function waitingParts(waiting: readonly Waiting[]): readonly Part[] {
  const parts = new Map<string, Waiting[]>([["AddressesKnown", []]]);
  for (const each of waiting) {
    const type = waitingTypes[each.reason] ?? "AddressesKnown";
    parts.set(type, [...parts.get(type) ?? [], each]);
  }
  return [...parts].map(([type, awaited]) => {
    const [first] = awaited;
    if (first === undefined) {
      return {
        type,
        status: "True",
        reason: reasons.AVAILABLE,
        message: "every address that is needed is known",
      };
    }
    const message = [...new Set(awaited.map((each) => each.message))].join("; ");
    return { type, status: "False", reason: first.reason, message };
  });
}

/** Conditions that are only there while something is awaited; every other reason is about an address. */
const waitingTypes: Readonly<Record<string, string>> = {
  ...Object.fromEntries(reasons.certificateReasons.map((reason) => [reason, "CertificatesUsable"])),
  [reasons.PASSWORD_CHANGING]: "PasswordApplied",
  [reasons.REPLACING]: "WorkloadsReplaced",
  [reasons.NATS_BOOTSTRAP_PENDING]: "NatsBootstrapped",
  [reasons.NATS_SCALING]: "NatsScaled",
  [reasons.NATS_HEALTH_UNKNOWN]: "NatsScaled",
  [reasons.NATS_UNHEALTHY]: "NatsScaled",
  [reasons.NATS_LAST_COPY]: "NatsScaled",
  [reasons.NATS_QUORUM]: "NatsScaled",
};

/** Why the operator is not let in, where only a person can mend it. */
const refusedLogins: ReadonlySet<string> = new Set([
  reasons.INVALID_CREDENTIALS,
  reasons.TOKEN_REFUSED,
  reasons.ACCESS_DENIED,
  reasons.REALM_NOT_FOUND,
  reasons.OTHER_ISSUER,
  reasons.NOT_TRUSTED,
  reasons.REFUSED,
]);

/** Whether a workload is rolled out, and what keeps it from that. */
export function workloadPart(type: string, workload: Workload, inputs: Surroundings): Part {
  const trouble = troubleOf(workload, inputs);
  return trouble === undefined
    ? {
      type,
      status: "True",
      reason: reasons.AVAILABLE,
      message: `${workload.kind} ${workload.name} is available`,
    }
    : { type, status: "False", ...trouble };
}

/** Whether the Controller answers. */
export function reachablePart(external: ExternalState): Part {
  const type = "ControllerReachable";
  if (external.phase === "observed") {
    const version = external.facts["controllerVersion"];
    return { type, status: "True", reason: reasons.ANSWERS, message: `Controller ${version} answers` };
  }
  return {
    type,
    status: "False",
    reason: external.reason ?? reasons.CONTROLLER_UNREACHABLE,
    message: external.message ?? "the Controller does not answer",
  };
}

/** An object in the Controller, or beside it, that is registered or not. */
export function externalPart(
  type: string,
  kind: string,
  { waiting, done }: { readonly waiting: string; readonly done: string },
  context: StatusContext,
): Part {
  const external = context.snapshot.external(context.parent.metadata.uid);
  const failure = context.failures.find(({ object }) => object.startsWith(`${kind} `));
  if (failure !== undefined) {
    return { type, status: "False", reason: failure.reason, message: failure.message };
  }
  const child = context.desired.children.find((each) => each.type === "external" && each.kind === kind);
  const pending = child === undefined || context.pending.some((object) => object.startsWith(`${kind} `)) ||
    external.unread?.includes(kind) === true;
  return external.phase !== "observed" || pending
    ? { type, status: "False", reason: reasons.NOT_REGISTERED, message: waiting }
    : { type, status: "True", reason: reasons.REGISTERED, message: done };
}

/** How the Go operator marks conditions, of any type, that it sets to False beside its own. */
const loweredByGo = "transition_to_";

/** After a restart of the operator nothing was asked yet: what was found before stands until then. */
export function rememberedParts(context: StatusContext, types: readonly string[]): readonly Part[] {
  const before = conditionsOf(context.parent.status);
  return types.map((type) => {
    const known = before.find((condition) =>
      condition.type === type && condition.observedGeneration === context.parent.metadata.generation &&
      !condition.reason.startsWith(loweredByGo)
    );
    if (known !== undefined) {
      return { type, status: known.status, reason: known.reason, message: known.message };
    }
    return {
      type,
      status: "False",
      reason: reasons.NOT_ASKED,
      message: "the Controller has not been asked yet",
    };
  });
}

function summarise(context: StatusContext, account: Account): readonly ConditionDraft[] {
  const { accepted, parts } = account;
  const verdict = verdictOf(context, parts);
  const stalled = context.desired.problems.length > 0 || verdict.reason === reasons.PAUSED ||
    context.failures.some(({ reason }) => stalling.has(reason)) || parts.some(isStuck);
  const ready = verdict.status === "True";
  const message = ready ? "" : verdict.message;
  const updating = !ready && account.tellsUpdating && wasReady(context);
  const when = (type: string, holds: boolean): ConditionDraft => ({
    type,
    status: holds ? "True" : "False",
    reason: verdict.reason,
    message,
  });
  return [
    when("deploying", !ready && !updating),
    ...(account.tellsUpdating ? [when("updating", updating)] : []),
    { ...verdict, type: "ready" },
    { ...verdict, type: "Ready" },
    {
      type: "Reconciling",
      status: ready || stalled || !accepted ? "False" : "True",
      reason: verdict.reason,
      message: ready || stalled ? "" : verdict.message,
    },
    {
      type: "Stalled",
      status: stalled ? "True" : "False",
      reason: stalled ? verdict.reason : reasons.NONE,
      message: stalled ? verdict.message : "",
    },
  ];
}

/** Whether the control plane was ready before the change of its spec that is being made. */
function wasReady(context: StatusContext): boolean {
  const before = conditionsOf(context.parent.status).find(({ status }) => status === "True");
  return before?.type === "updating" ||
    (before?.type === "ready" && before.observedGeneration !== context.parent.metadata.generation);
}

/** Whether only a person can end what a part waits for. */
function isStuck({ reason, status, type }: Part): boolean {
  if (status !== "False") return false;
  return (type === "CertificatesUsable" && reasons.certificateReasons.includes(reason)) ||
    (type === "NatsScaled" && reasons.scaleRefusals.includes(reason)) ||
    (type === "Authenticated" && refusedLogins.has(reason));
}

function verdictOf(context: StatusContext, parts: readonly Part[]): Omit<ConditionDraft, "type"> {
  const [problem] = context.desired.problems;
  if (problem !== undefined) {
    const message = context.desired.problems
      .map((each) => each.field === undefined ? each.message : `${each.field} ${each.message}`)
      .join("; ");
    return { status: "False", reason: problem.reason, message };
  }
  const blind = context.failures.find(({ reason }) => unknowing.has(reason));
  if (blind !== undefined) return { status: "Unknown", reason: blind.reason, message: describe(blind) };
  const grave = context.failures.find(({ reason }) => stalling.has(reason));
  if (grave !== undefined) return { status: "False", reason: grave.reason, message: describe(grave) };
  if (context.paused !== undefined && context.paused.writes.length > 0) {
    return { status: "False", reason: reasons.PAUSED, message: pausedMessage(context, context.paused) };
  }
  const missing = parts.find(isStuck) ??
    // What keeps pods from working before what is only awaited.
    parts.find((part) => part.status !== "True" && troubles.has(part.reason)) ??
    parts.find((part) => part.status !== "True");
  if (missing !== undefined) return { status: "False", reason: missing.reason, message: missing.message };
  return {
    status: "True",
    reason: reasons.READY,
    message: "the control plane is up and the Controller answers",
  };
}

function notices(context: StatusContext, warnings: readonly Warning[]): readonly ConditionDraft[] {
  const [warning] = warnings;
  const drafts: ConditionDraft[] = [];
  if (context.paused !== undefined) {
    const message = pausedMessage(context, context.paused);
    drafts.push({ type: "Paused", status: "True", reason: reasons.PAUSED, message });
  }
  if (warning !== undefined) {
    const message = warnings.map((each) => each.message).join("; ");
    drafts.push({ type: "Warning", status: "True", reason: warning.reason, message });
  }
  if (context.restrictions.length > 0) {
    const message = `the operator's Role is small: ${context.restrictions.join("; ")}`;
    drafts.push({ type: "Restricted", status: "True", reason: reasons.ROLE_TOO_SMALL, message });
  }
  if (context.kept !== undefined && context.kept.length > 0) {
    const message = context.kept.slice(0, 10).join("; ");
    drafts.push({ type: "EdgeKept", status: "True", reason: reasons.STILL_USED, message });
  }
  if (context.lostFields.length > 0) {
    const shown = context.lostFields.slice(0, 20).join(", ");
    drafts.push({
      type: "CRDOutdated",
      status: "True",
      reason: reasons.FIELDS_DROPPED,
      message: `the installed CRD drops ${shown}: replace it by the one of this version`,
    });
  }
  return drafts;
}

/** Most writes that the message of a pause names. */
const mostShown = 20;

function pausedMessage({ parent }: StatusContext, paused: NonNullable<StatusContext["paused"]>): string {
  const { annotation, writes } = paused;
  const { name, namespace } = parent.metadata;
  // Where both groups are served the bare name means only one of them.
  const [group] = parent.apiVersion?.split("/") ?? [];
  const kind = group === "iofog.org" ? "controlplane" : `controlplane.${group}`;
  const more = writes.length > mostShown ? ` and ${writes.length - mostShown} more` : "";
  const held = writes.length === 0 ? "nothing" : `${writes.slice(0, mostShown).join("; ")}${more}`;
  return `the annotation ${annotation} stops all writes. Without it would be written: ${held}. To go on: ` +
    `kubectl -n ${namespace} annotate ${kind} ${name} ${annotation}-`;
}

function isExternal(object: string, context: StatusContext): boolean {
  return context.desired.children.some((child) =>
    child.type === "external" && `${child.kind} ${child.name}` === object
  );
}

function describe(failure: Failure): string {
  return `${failure.object}: ${failure.message}`;
}
