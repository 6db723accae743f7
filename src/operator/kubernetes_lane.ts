/**
 * The lane of Kubernetes: writes what a plan says, wave by wave, plans again on what came of it, and stores the
 * status at the end.
 */

import { Secret } from "../kubernetes/generated/core_v1.ts";
import { errorText } from "../telemetry/log.ts";
import type { WriteReason, WriteResult, WriteVerb } from "../telemetry/metrics.ts";
import { inSpan, type SpanAttributes } from "../telemetry/trace.ts";
import { applyWrite, type Outcome } from "./apply.ts";
import type { Definition, Parent } from "./definition.ts";
import { conflictRetries, type LaneContext, mayWriteFor, type PassResult, refresh } from "./lane.ts";
import type { ParentPlan } from "./plan.ts";
import { unsettled, wantedOf } from "./progress.ts";
import type { Done } from "./reporter.ts";
import { StatusWriter } from "./status_writer.ts";
import { describeTarget, type KubernetesWrite } from "./write.ts";

/** A write and what came of it. */
interface Carried extends Done {
  readonly outcome: Outcome;
}

/** How a pass is made. */
export interface Pass {
  /** The parents to look at. @default all */
  readonly only?: ReadonlySet<string>;
  /**
   * Milliseconds after which it goes on without the answer to a write, whose object is then left out until the answer
   * comes. @default it waits for each
   */
  readonly patienceMs?: number;
}

/** See the module. */
export class KubernetesLane {
  readonly #context: LaneContext;
  readonly #status: StatusWriter;
  /** Writes under way, by what is written, oldest first. */
  readonly #underWay = new Map<string, { readonly since: number; readonly answer: Promise<unknown> }>();

  constructor(context: LaneContext) {
    this.#context = context;
    this.#status = new StatusWriter(context);
  }

  /** One pass: children first, then the status. */
  async converge(signal: AbortSignal, pass: Pass = {}): Promise<PassResult> {
    const { only } = pass;
    const { planner, reporter, store } = this.#context;
    reporter.lacking(store.snapshot());
    const planned = this.#context.options.managed.flatMap(({ definition }) => {
      const plans = only === undefined
        ? planner.all(definition)
        : [...only].map((uid) => planner.one(definition, uid)).filter((each) => each !== undefined);
      return plans.map((each) => ({ definition, each }));
    });
    return await inSpan(
      "pass",
      { "iofog.lane": "kubernetes", "iofog.parents": planned.length },
      async (span) => {
        const result = await this.#carryOutPlans(planned, pass, signal);
        span.setAttribute("iofog.writes", result.writes);
        return result;
      },
    );
  }

  async #carryOutPlans(
    planned: readonly { readonly definition: Definition; readonly each: ParentPlan }[],
    pass: Pass,
    signal: AbortSignal,
  ): Promise<PassResult> {
    const { clock, metrics } = this.#context.options;
    const results = await all(planned.map(async ({ definition, each }) => {
      const startedAt = clock.monotonic();
      const controller = definition.resource.kind.toLowerCase();
      const converge = () => this.#convergeParent(definition, each, pass, signal);
      let failed = true;
      metrics.reconciling(controller);
      try {
        // Thousands that are as they should be would hide the others.
        const result = each.waves.length === 0
          ? await converge()
          : await inSpan("reconcile", attributesOf(each), converge);
        failed = result.failed;
        return result;
      } finally {
        const seconds = (clock.monotonic() - startedAt) / 1000;
        metrics.reconciled(controller, failed ? "error" : "success", seconds);
      }
    }));
    return {
      writes: results.reduce((sum, { writes }) => sum + writes, 0),
      again: results.some(({ again }) => again),
      settled: results.every(({ settled }) => settled),
    };
  }

  /** Resolves when no write is under way. */
  async answered(): Promise<void> {
    await Promise.allSettled([...this.#underWay.values()].map(({ answer }) => answer));
  }

  /** Gives a sign of life, unless a write waits for what never comes. */
  beat(): void {
    const [oldest] = this.#underWay.values();
    const { clock } = this.#context.options;
    if (oldest !== undefined && clock.monotonic() - oldest.since > longestWriteMs) return;
    this.#context.heartbeat.beat("kubernetes");
  }

  /**
   * Carries out `work`, which writes `target` for a parent. Undefined where its answer takes too long, or that of an
   * earlier one does: then nothing else is written to `target`, and with the answer the parent is looked at again.
   *
   * @param work Tells when it is about to be sent: making a key takes its time.
   * @param late Told of an answer for which nobody waited.
   */
  async #patiently<T>(
    { metadata: { uid } }: Parent,
    target: string,
    { patienceMs }: Pass,
    work: (sending: () => void) => Promise<T>,
    late: (answer: T) => void = () => {},
  ): Promise<T | undefined> {
    const { clock, log } = this.#context.options;
    const key = `${uid} ${target}`;
    if (this.#underWay.has(key)) return undefined;
    const sent = Promise.withResolvers<void>();
    const answer = work(sent.resolve).finally(() => {
      this.#underWay.delete(key);
      this.beat();
    });
    this.#underWay.set(key, { since: clock.monotonic(), answer });
    if (patienceMs === undefined) return await answer;
    const over = new AbortController();
    const patience = sent.promise.then(() => clock.sleep(patienceMs, over.signal)).then(() => tooLong);
    const first = await Promise.race([answer, patience]).finally(() => over.abort());
    if (first !== tooLong) return first as T;
    answer.then(late, (error) => log.error("pass failed", { lane: "kubernetes", error: errorText(error) }))
      .then(() => this.#context.changed(uid));
    return undefined;
  }

  /** Forgets parents that are gone. */
  keepOnly(parentUids: ReadonlySet<string>): void {
    this.#status.keepOnly(parentUids);
  }

  async #convergeParent(
    definition: Definition,
    planned: ParentPlan,
    pass: Pass,
    signal: AbortSignal,
  ): Promise<PassResult & { readonly failed: boolean }> {
    const uid = planned.parent.metadata.uid;
    let current = planned;
    let writes = 0;
    let again = false;
    if (planned.paused) this.#context.failures.forget(uid);
    for (let attempt = 1; attempt <= conflictRetries; attempt++) {
      again = false;
      if (current.paused || current.waves.length === 0 || this.#context.halt.active) break;
      if (mayHaveVanished(current)) {
        // The garbage collector may have taken it, and what it does may be heard before what the person did.
        await refresh(this.#context, definition.resource, planned.parent.metadata.name, signal);
        const now = this.#context.planner.one(definition, uid);
        if (now === undefined) return { writes, again: false, settled: false, failed: false };
        current = now;
      }
      const carried = await this.#carryOutAll(definition, current, pass, signal);
      const done = carried.filter(({ outcome }) => outcome.type === "written");
      const outdated = carried.filter(({ outcome }) => outcome.type === "outdated");
      writes += done.length;
      this.#context.reporter.wrote(definition, current, done);
      const refused = carried.some(({ outcome }) => outcome.type === "blockOwnerDeletionRefused");
      if (refused) this.#clearForbidden(current.parent, carried);
      // What was handed over is brought in order at once.
      again = refused || done.some(({ write }) => write.verb === "adopt");
      if (attempt === conflictRetries) this.#noteContended(current.parent, outdated);
      else again ||= outdated.length > 0;
      let next = this.#context.planner.one(definition, uid);
      // The parent is gone: so is whatever there was to do.
      if (next === undefined) return { writes, again: false, settled: false, failed: false };
      const stays = this.#noteUnsettled(current, next, done);
      if (stays !== "nothing") next = this.#context.planner.one(definition, uid) ?? next;
      again ||= stays === "toSettle";
      current = next;
      if (!again) break;
    }
    this.#context.progress.note(current);
    const { parent, status } = current;
    if (status !== undefined) {
      const write = async (sending: () => void) => {
        sending();
        return await this.#status.write(definition, parent, status, signal);
      };
      if (await this.#patiently(parent, "status", pass, write)) writes += 1;
    }
    const failed = current.failures.length > 0;
    return { writes, again, settled: current.waves.length === 0 && !failed, failed };
  }

  /**
   * Carries out every write of a plan, wave by wave. Making a key takes long and keeps a core busy, which the API
   * server may need for all the others: what needs one comes last.
   */
  async #carryOutAll(
    definition: Definition,
    planned: ParentPlan,
    pass: Pass,
    signal: AbortSignal,
  ): Promise<readonly Carried[]> {
    const carryOut = async (write: KubernetesWrite): Promise<readonly Carried[]> => {
      const drift = this.#context.progress.isDrift(write, planned);
      const carried = await this.#patiently(
        planned.parent,
        describeTarget(write),
        pass,
        async (sending) => {
          if (!generates(write)) sending();
          return { write, drift, outcome: await this.#carryOut(write, planned, { drift, sending }, signal) };
        },
        (late) =>
          late.outcome.type === "written" && this.#context.reporter.wrote(definition, planned, [late]),
      );
      return carried === undefined ? [] : [carried];
    };
    const carried: Carried[] = [];
    try {
      for (const wave of planned.waves) {
        carried.push(...(await all(wave.filter((write) => !generates(write)).map(carryOut))).flat());
      }
    } finally {
      carried.push(...(await all(planned.waves.flat().filter(generates).map(carryOut))).flat());
    }
    return carried;
  }

  /** What was outdated each time that it was tried waits a little, or a pass would follow the other without end. */
  #noteContended(parent: Parent, outdated: readonly Carried[]): void {
    for (const { write } of outdated) {
      const message = "is changed, or cannot be read again, each time before it is written";
      this.#context.reporter.failed(parent, write, {
        object: describeTarget(write),
        reason: "Contended",
        message,
      }, {
        retryable: true,
      });
    }
  }

  /**
   * Notes what differs as before although it was just written as desired, since the server stores something else. It
   * is settled by the next plan; what cannot be, such as a Secret, waits, or it would be written again for ever.
   */
  #noteUnsettled(
    before: ParentPlan,
    after: ParentPlan,
    done: readonly Carried[],
  ): "toSettle" | "waits" | "nothing" {
    const [wantedBefore, wantedAfter] = [wantedOf(before), wantedOf(after)];
    let found: "toSettle" | "waits" | "nothing" = "nothing";
    for (const { write, outcome } of done) {
      const target = describeTarget(write);
      const next = after.waves.flat().find((each) => describeTarget(each) === target);
      const stored = outcome.type === "written" ? outcome.object?.metadata?.resourceVersion : undefined;
      if (next?.verb !== write.verb || next.live?.metadata?.resourceVersion !== stored) continue;
      if (wantedBefore.get(target) !== wantedAfter.get(target)) continue;
      if (write.verb === "apply" && write.settles !== true && write.resource.kind !== Secret.kind) {
        this.#context.progress.answered(after.parent, target, stored ?? "");
        found = "toSettle";
        continue;
      }
      const message = `was written and still differs in ${
        next.paths.join(", ")
      }: the API server stores something else`;
      this.#context.reporter.failed(after.parent, write, { object: target, reason: unsettled, message }, {
        retryable: false,
      });
      if (found === "nothing") found = "waits";
    }
    return found;
  }

  /** What was forbidden beside a refused blockOwnerDeletion may have been so for the same reason. */
  #clearForbidden(parent: Parent, carried: readonly Carried[]): void {
    for (const { outcome } of carried) {
      if (outcome.type !== "failed" || outcome.failure.reason !== "Forbidden") continue;
      this.#context.failures.clear(parent.metadata.uid, outcome.failure.object);
    }
  }

  async #carryOut(
    write: KubernetesWrite,
    planned: ParentPlan,
    { drift, sending }: { readonly drift: boolean; readonly sending: () => void },
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { client, clock, identity, metrics, log } = this.#context.options;
    const { parent } = planned;
    const target = {
      "iofog.verb": write.verb,
      "k8s.object.kind": write.resource.kind,
      "k8s.object.name": write.name,
    };
    const outcome = this.#context.halt.active
      ? { type: "fenced" } as const
      : await inSpan("write", target, async (span) => {
        const outcome = await applyWrite(write, {
          client,
          clock,
          identity,
          mayWrite: () => mayWriteFor(this.#context, parent),
          signal,
          onGenerated: (resource, object) => {
            this.#context.secrets.learn(resource, object);
            sending();
          },
        });
        span.setAttribute("iofog.outcome", outcome.type);
        return outcome;
      });
    const verb = metricVerb(write);
    const count = (result: WriteResult) =>
      metrics.wrote({
        world: "kubernetes",
        verb,
        kind: write.resource.kind,
        reason: reasonOf(write, drift),
        result,
      });
    switch (outcome.type) {
      case "written":
        count("ok");
        if (drift) metrics.driftRepaired(write.resource.kind);
        this.#context.progress.written(parent, describeTarget(write));
        if (outcome.object === undefined) this.#context.store.forget(write.resource, write.name);
        else this.#context.store.observe(write.resource, outcome.object);
        log.info(
          write.live === undefined
            ? "created"
            : write.verb === "delete"
            ? "deleted"
            : drift
            ? "repaired"
            : "updated",
          {
            verb: write.verb,
            kind: write.resource.kind,
            name: write.name,
            ...(write.live === undefined ? {} : { paths: write.paths }),
          },
        );
        return outcome;
      case "outdated":
        count("conflict");
        await refresh(this.#context, write.resource, write.name, signal);
        return outcome;
      case "fenced":
        return outcome;
      case "terminating":
        this.#context.halt.terminating();
        this.#context.reporter.sayOnce(
          "terminating",
          () => log.info("the namespace is being deleted: nothing more is written"),
        );
        return outcome;
      case "blockOwnerDeletionRefused":
        if (!this.#context.planner.giveUpBlockOwnerDeletion()) return outcome;
        log.info("the API server refuses blockOwnerDeletion: owner references go without it", {
          remedy: "grant update on the finalizers subresource of the custom resources",
        });
        return outcome;
      case "failed": {
        const { failure, retryable, retryAfterMs } = outcome;
        count(
          failure.reason === "Forbidden" ? "forbidden" : failure.reason === "Rejected" ? "rejected" : "error",
        );
        this.#context.reporter.failed(parent, write, failure, { retryable, retryAfterMs });
        if (retryAfterMs !== undefined) this.#context.halt.for(retryAfterMs);
        return outcome;
      }
    }
  }
}

const tooLong = Symbol();

/** Milliseconds after which a write without an answer is no work any more; each request of it has half of them. */
const longestWriteMs = 60_000;

/** Like `Promise.all`, but nothing goes on behind the back of whoever hears of a failure. */
async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return await Promise.all(work);
}

/** Whether something is to be made for a parent that was looked at before: it may have stood already. */
function mayHaveVanished({ parent, waves }: ParentPlan): boolean {
  return parent.status !== undefined && waves.flat().some(({ live }) => live === undefined);
}

function generates(write: KubernetesWrite): boolean {
  return "generate" in write && write.generate !== undefined;
}

function attributesOf({ parent }: ParentPlan): SpanAttributes {
  return { "k8s.object.kind": parent.kind ?? "", "k8s.object.name": parent.metadata.name };
}

function reasonOf(write: KubernetesWrite, drift: boolean): WriteReason {
  if (drift) return "drift";
  if (write.verb === "delete") return "unwanted";
  if (write.verb === "adopt") return "takeover";
  return write.live === undefined ? "missing" : "change";
}

function metricVerb(write: KubernetesWrite): WriteVerb {
  switch (write.verb) {
    case "replace":
      return "update";
    case "adopt":
      return "patch";
    default:
      return write.verb;
  }
}
