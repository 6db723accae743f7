/**
 * What a person, and the CLIs, read in the status of a ControlPlane.
 *
 * `deploying` and `ready` are the contract with iofogctl: it takes the type of the first condition that is True for
 * the state, so `deploying` is True and first while the control plane is not ready, and `ready` is the first True one
 * when it is. `Ready`, `Reconciling` and `Stalled` follow kstatus; the rest tells, part by part, what is awaited.
 */

import type {
  Condition,
  ConditionDraft,
  ExternalState,
  Failure,
  StatusContext,
  StatusDraft,
} from "../../../operator/definition.ts";
import { secretValues } from "../../child.ts";
import { inspectCertificate } from "../../pki.ts";
import type { Waiting } from "../component.ts";
import type { Inputs } from "./inputs.ts";
import { CONTROLLER } from "./controller.ts";
import { assess, type Assessment } from "./desired.ts";
import { DEFAULT_ROUTER, USER } from "./external.ts";
import type { Images, SiteImages } from "./images.ts";
import { PORT_MANAGER } from "./port_manager.ts";
import * as reasons from "../reasons.ts";
import { ROUTER_CA, ROUTER_LEAVES } from "./certificates.ts";
import { inTermsOfSpec } from "./refusals.ts";
import { ROUTER } from "./router.ts";
import { troubleOf, troubles } from "./trouble.ts";

/** One part of the control plane: whether it is as it should be, and what to do if not. */
type Part = ConditionDraft;

/** Failures that only a change of the spec, of permissions or of other objects can end. */
const stalling: ReadonlySet<string> = new Set([
  "Conflict",
  "Rejected",
  "Forbidden",
  "NotServed",
  reasons.QUOTA_EXCEEDED,
  reasons.INVALID_CREDENTIALS,
  reasons.REFUSED,
]);

/** What somebody may have to do something about, although it can end by itself. */
const alarming: ReadonlySet<string> = new Set([
  ...troubles,
  reasons.ADDRESS_PENDING,
  reasons.ADDRESS_MISSING,
]);

/** Failures that leave it open what is there. */
const unknowing: ReadonlySet<string> = new Set(["ListFailed", "ListForbidden", "NotListed"]);

/** The status that a ControlPlane should have. */
export function status(given: StatusContext, images?: Images, site?: SiteImages): StatusDraft {
  const context = { ...given, failures: given.failures.map(inTermsOfSpec) };
  const assessment = assess(context, images, site);
  const parts = partsOf(context, assessment);
  const summary = summarise(context, assessment, parts);
  return {
    conditions: [...summary, ...parts, ...notices(context, assessment)],
    fields: fieldsOf(context, assessment),
    certificates: certificatesOf(context),
    alarm: summary.some(({ type, reason }) => type === "Ready" && alarming.has(reason)),
    provisional: isProvisional(context, parts),
  };
}

/** Reasons that are over within a moment. */
const momentary: ReadonlySet<string> = new Set([
  reasons.APPLYING,
  reasons.JUST_CHANGED,
  reasons.NOT_ASKED,
]);

/**
 * Whether the Go operator called the control plane ready, and nothing is known yet that says otherwise: iofogctl shall
 * not see it deploying again only because we begin to look. The Go operator's conditions tell of no generation.
 */
function isProvisional(context: StatusContext, parts: readonly Part[]): boolean {
  const before = conditionsOf(context).find(({ status }) => status === "True");
  if (before?.type !== "ready" || before.observedGeneration !== undefined) return false;
  const missing = parts.filter(({ status }) => status !== "True");
  return missing.length > 0 && missing.every(({ reason }) => momentary.has(reason));
}

function certificatesOf({ snapshot }: StatusContext): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [ROUTER_CA, ...ROUTER_LEAVES].flatMap((name) => {
      const end = inspectCertificate(secretValues(snapshot, name)?.["tls.crt"] ?? "")?.notAfter;
      return end === undefined ? [] : [[name, end]];
    }),
  );
}

function partsOf(context: StatusContext, assessment: Assessment): readonly Part[] {
  if (!assessment.accepted || context.desired.problems.length > 0) return [];
  const external = context.snapshot.external(context.parent.metadata.uid);
  return [
    objectsPart(context),
    ...waitingParts(assessment.waiting),
    ...[
      workloadPart("ControllerAvailable", CONTROLLER, assessment.inputs),
      workloadPart("RouterAvailable", ROUTER, assessment.inputs),
      workloadPart("PortManagerAvailable", PORT_MANAGER, assessment.inputs),
    ],
    ...(external.phase === "unknown" ? rememberedParts(context) : [
      reachablePart(external),
      externalPart("UserAuthenticated", USER, context, external),
      externalPart("RouterRegistered", DEFAULT_ROUTER, context, external),
    ]),
  ];
}

/** Kubernetes objects that are still to be written, or cannot be. */
function objectsPart(context: StatusContext): Part {
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
function waitingParts(waiting: readonly Waiting[]): readonly Part[] {
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
    const message = awaited.map((each) => each.message).join("; ");
    return { type, status: "False", reason: first.reason, message };
  });
}

/** Conditions that are only there while something is awaited; every other reason is about an address. */
const waitingTypes: Readonly<Record<string, string>> = {
  ...Object.fromEntries(reasons.certificateReasons.map((reason) => [reason, "CertificatesUsable"])),
  [reasons.PASSWORD_CHANGING]: "PasswordApplied",
};

function workloadPart(type: string, name: string, inputs: Inputs): Part {
  const trouble = troubleOf(name, inputs);
  return trouble === undefined
    ? { type, status: "True", reason: reasons.AVAILABLE, message: `Deployment ${name} is available` }
    : { type, status: "False", ...trouble };
}

function reachablePart(external: ExternalState): Part {
  const type = "ControllerReachable";
  if (external.phase === "observed") {
    const version = external.facts["controllerVersion"];
    return { type, status: "True", reason: reasons.ANSWERS, message: `Controller ${version} answers` };
  }
  return {
    type,
    status: "False",
    reason: external.reason ?? "ControllerUnreachable",
    message: external.message ?? "the Controller does not answer",
  };
}

function externalPart(type: string, kind: string, context: StatusContext, external: ExternalState): Part {
  const failure = context.failures.find(({ object }) => object.startsWith(`${kind} `));
  if (failure !== undefined) {
    return { type, status: "False", reason: failure.reason, message: failure.message };
  }
  const child = context.desired.children.find((each) => each.type === "external" && each.kind === kind);
  const pending = child === undefined || context.pending.some((object) => object.startsWith(`${kind} `));
  if (external.phase !== "observed" || pending) {
    const message = kind === USER
      ? "the user is signed up once the Controller answers"
      : "the default router is registered once its address is known and the user is logged in";
    return { type, status: "False", reason: reasons.NOT_REGISTERED, message };
  }
  const message = kind === USER
    ? "the Controller accepts the user"
    : "the Controller has the default router's address";
  return { type, status: "True", reason: reasons.REGISTERED, message };
}

/** How the Go operator marks conditions, of any type, that it sets to False beside its own. */
const loweredByGo = "transition_to_";

/** After a restart of the operator nothing was asked yet: what was found before stands until then. */
function rememberedParts(context: StatusContext): readonly Part[] {
  const before = conditionsOf(context);
  return ["ControllerReachable", "UserAuthenticated", "RouterRegistered"].map((type) => {
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

function summarise(
  context: StatusContext,
  assessment: Assessment,
  parts: readonly Part[],
): readonly ConditionDraft[] {
  const verdict = verdictOf(context, parts);
  const stalled = context.desired.problems.length > 0 || verdict.reason === reasons.PAUSED ||
    context.failures.some(({ reason }) => stalling.has(reason)) || parts.some(isStuck);
  const ready = verdict.status === "True";
  return [
    {
      type: "deploying",
      status: ready ? "False" : "True",
      reason: verdict.reason,
      message: ready ? "" : verdict.message,
    },
    { ...verdict, type: "ready" },
    { ...verdict, type: "Ready" },
    {
      type: "Reconciling",
      status: ready || stalled || !assessment.accepted ? "False" : "True",
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

/** Whether only a person can end what a part waits for. */
function isStuck({ reason, status, type }: Part): boolean {
  return type === "CertificatesUsable" && status === "False" && reasons.certificateReasons.includes(reason);
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

function notices(context: StatusContext, assessment: Assessment): readonly ConditionDraft[] {
  const [warning] = assessment.warnings;
  const drafts: ConditionDraft[] = [];
  if (context.paused !== undefined) {
    const message = pausedMessage(context, context.paused);
    drafts.push({ type: "Paused", status: "True", reason: reasons.PAUSED, message });
  }
  if (warning !== undefined) {
    const message = assessment.warnings.map((each) => each.message).join("; ");
    drafts.push({ type: "Warning", status: "True", reason: warning.reason, message });
  }
  if (context.restrictions.length > 0) {
    const message = `the operator's Role is small: ${context.restrictions.join("; ")}`;
    drafts.push({ type: "Restricted", status: "True", reason: reasons.ROLE_TOO_SMALL, message });
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
  const more = writes.length > mostShown ? ` and ${writes.length - mostShown} more` : "";
  const held = writes.length === 0 ? "nothing" : `${writes.slice(0, mostShown).join("; ")}${more}`;
  return `the annotation ${annotation} stops all writes. Without it would be written: ${held}. To go on: ` +
    `kubectl -n ${namespace} annotate controlplane ${name} ${annotation}-`;
}

function fieldsOf(context: StatusContext, assessment: Assessment): Readonly<Record<string, unknown>> {
  if (!assessment.accepted) return {};
  const external = context.snapshot.external(context.parent.metadata.uid);
  const before = context.parent.status as { controllerVersion?: string } | undefined;
  const version = external.facts["controllerVersion"] ?? before?.controllerVersion;
  const { addresses } = assessment;
  return {
    ...(version === undefined ? {} : { controllerVersion: version }),
    ...(addresses.controller === undefined ? {} : { controllerAddress: addresses.controller }),
    controllerEndpoint: addresses.controllerEndpoint,
    ...(addresses.router === undefined ? {} : { routerAddress: addresses.router.host }),
  };
}

function isExternal(object: string, context: StatusContext): boolean {
  return context.desired.children.some((child) =>
    child.type === "external" && `${child.kind} ${child.name}` === object
  );
}

function conditionsOf(context: StatusContext): readonly Condition[] {
  const conditions = (context.parent.status as { conditions?: readonly Condition[] } | undefined)?.conditions;
  return Array.isArray(conditions) ? conditions : [];
}

function describe(failure: Failure): string {
  return `${failure.object}: ${failure.message}`;
}
