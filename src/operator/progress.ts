/**
 * What was as desired when it was last looked at: a later difference is drift, and not a change that somebody wants.
 */

import type { Parent } from "./definition.ts";
import type { Failures } from "./failures.ts";
import type { ParentPlan } from "./plan.ts";
import { describeChild, describeTarget, type Write } from "./write.ts";

/** The reason of a difference that stays although it was written away. */
export const unsettled = "Unsettled";

/** See the module. */
export class Progress {
  readonly #failures: Failures;
  /** For each parent, what its children should be when they last were so. */
  readonly #settled = new Map<string, Map<string, string>>();

  /** For each parent, the resource versions that are answers to our applies. */
  readonly #answers = new Map<string, Map<string, string>>();

  constructor(failures: Failures) {
    this.#failures = failures;
  }

  /** Whether somebody else changed what was as desired. */
  isDrift(write: Write, planned: ParentPlan): boolean {
    const wanted = wantedOf(planned).get(describeTarget(write));
    return wanted !== undefined &&
      this.#settled.get(planned.parent.metadata.uid)?.get(describeTarget(write)) === wanted;
  }

  /** Remembers what is as desired: a later difference is drift, and earlier failures are over. */
  note(planned: ParentPlan): void {
    const { uid } = planned.parent.metadata;
    const settled = this.#settled.get(uid) ?? new Map<string, string>();
    this.#settled.set(uid, settled);
    const wanted = wantedOf(planned);
    for (const target of planned.settled) {
      settled.set(target, wanted.get(target) ?? "");
      this.#failures.clear(uid, target);
    }
  }

  /** A write succeeded; whether it made the difference go away is to be seen. */
  written(parent: Parent, target: string): void {
    if (this.#failures.of(parent).get(target)?.reason !== unsettled) {
      this.#failures.clear(parent.metadata.uid, target);
    }
  }

  /** What is stored of `target` is the answer to our apply of what is desired, and still differs from it. */
  answered(parent: Parent, target: string, resourceVersion: string): void {
    const { uid } = parent.metadata;
    const answers = this.#answers.get(uid) ?? new Map<string, string>();
    this.#answers.set(uid, answers.set(target, resourceVersion));
  }

  /** Such answers, by target. */
  answers({ metadata: { uid } }: Parent): ReadonlyMap<string, string> {
    return this.#answers.get(uid) ?? new Map();
  }

  /** Forgets parents that are gone. */
  keepOnly(parentUids: ReadonlySet<string>): void {
    for (const known of [this.#settled, this.#answers]) {
      for (const uid of [...known.keys()]) if (!parentUids.has(uid)) known.delete(uid);
    }
  }
}

/** What is wanted of each child, as a text that changes when somebody wants something else. */
export function wantedOf(planned: ParentPlan): ReadonlyMap<string, string> {
  const known = wanted.get(planned);
  if (known !== undefined) return known;
  const found = new Map(planned.desired.children.map((child) => {
    if (child.type !== "external") return [describeChild(child), JSON.stringify(child.object)];
    // Secrets are not compared; a change of one is no drift.
    return [describeChild(child), JSON.stringify([child.fields, child.secretsVersion])];
  }));
  wanted.set(planned, found);
  return found;
}

/** Asked for again with each write of a plan. */
const wanted = new WeakMap<ParentPlan, ReadonlyMap<string, string>>();
