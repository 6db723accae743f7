/**
 * What a person is told of the work of the engine: log lines and Events, cleaned of secrets.
 */

import type { Resource } from "../kubernetes/resource.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Redactor } from "../telemetry/redaction.ts";
import { conditionsOf } from "./conditions.ts";
import {
  type Definition,
  type Failure,
  isDenied,
  type KindState,
  type Parent,
  type Snapshot,
  type StatusDraft,
} from "./definition.ts";
import type { EventRecorder } from "./events.ts";
import type { Failures } from "./failures.ts";
import type { ParentPlan } from "./plan.ts";
import { isOptional } from "./store.ts";
import { describeTarget, type ExternalWrite, type KubernetesWrite, type Write } from "./write.ts";

export interface ReporterOptions {
  readonly log: Logger;
  readonly redactor: Redactor;
  readonly events: EventRecorder;
  readonly definitions: readonly Definition[];
  readonly failures: Failures;
}

/** A write that succeeded. */
export interface Done {
  readonly write: KubernetesWrite;
  /** Whether somebody else had changed what was as desired. */
  readonly drift: boolean;
}

/** See the module. */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #said = new Set<string>();

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** A write failed: noted, and said when that is news. */
  failed(
    parent: Parent,
    write: Write,
    failure: Failure,
    options: { readonly retryable: boolean; readonly retryAfterMs?: number | undefined },
  ): void {
    const told = this.#definitionOf(parent)?.inTermsOfSpec?.(failure) ?? failure;
    const clean = { ...told, message: this.#options.redactor.clean(told.message) };
    if (!this.#options.failures.note(parent, clean, options)) return;
    this.#options.log.warn("write failed", {
      verb: write.verb,
      object: clean.object,
      reason: clean.reason,
      detail: clean.message,
    });
    this.event(parent, "Warning", clean.reason, `${clean.object}: ${clean.message}`);
  }

  /** Writes to Kubernetes succeeded. */
  wrote(definition: Definition, planned: ParentPlan, done: readonly Done[]): void {
    if (done.length === 0) return;
    const changes = (writes: readonly KubernetesWrite[]) =>
      writes.map((write) => `${describeTarget(write)} (${write.paths.slice(0, 3).join(", ")})`).join(", ");
    const drift = done.filter((each) => each.drift).map(({ write }) => write);
    const rest = done.filter((each) => !each.drift).map(({ write }) => write);
    const created = rest.filter((write) => write.live === undefined);
    const deleted = rest.filter((write) => write.verb === "delete");
    const adopted = rest.filter((write) => write.verb === "adopt");
    const updated = rest.filter((write) =>
      write.live !== undefined && write.verb !== "delete" && write.verb !== "adopt"
    );
    if (created.length > 0) this.event(planned.parent, "Normal", "Created", `Created ${names(created)}`);
    if (adopted.length > 0) {
      const message = `Took over ${names(adopted)}; pod templates stay as they are until they have to change`;
      this.event(planned.parent, "Normal", "TakenOver", message);
    }
    if (updated.length > 0) this.event(planned.parent, "Normal", "Updated", `Updated ${changes(updated)}`);
    if (deleted.length > 0) this.event(planned.parent, "Normal", "Deleted", `Deleted ${names(deleted)}`);
    if (drift.length > 0) this.event(planned.parent, "Normal", "Repaired", `Put right ${changes(drift)}`);
    this.#options.log.info("reconciled", {
      kind: definition.resource.kind,
      name: planned.parent.metadata.name,
      writes: done.length,
    });
  }

  /** Writes to an external system succeeded: one Event for all of a sort, and one for all that was put right. */
  wroteExternals(
    parent: Parent,
    done: readonly { readonly drift: boolean; readonly write: ExternalWrite }[],
  ): void {
    const changes = (writes: readonly ExternalWrite[]) =>
      writes.map((write) => `${describeTarget(write)} (${write.paths.join(", ")})`).join(", ");
    const of = (verb: ExternalWrite["verb"], isDrift: boolean) =>
      done.filter(({ drift, write }) => drift === isDrift && write.verb === verb).map(({ write }) => write);
    const texts = (isDrift: boolean) => ({
      made: said("Registered", of("create", isDrift), names),
      changed: said("Updated", of("update", isDrift), changes),
      deleted: said("Deleted", of("delete", isDrift), names),
    });
    const { made, changed, deleted } = texts(false);
    for (const text of [...made, ...changed]) this.event(parent, "Normal", "Registered", text);
    for (const text of deleted) this.event(parent, "Normal", "Deleted", text);
    const drift = Object.values(texts(true)).flat();
    if (drift.length > 0) this.event(parent, "Normal", "Repaired", drift.join("; "));
  }

  /**
   * Says in an Event and a log line when a custom resource becomes ready or stops being so.
   *
   * @param before The status that was told last.
   */
  readiness(definition: Definition, before: unknown, parent: Parent, draft: StatusDraft): void {
    const was = conditionsOf(before).find(({ type }) => type === "Ready");
    const is = draft.conditions.find(({ type }) => type === "Ready");
    const stalled = draft.conditions.some(({ type, status }) => type === "Stalled" && status === "True");
    const same = was?.status === is?.status && was?.reason === is?.reason;
    // What stalls is told again in other words; what is only awaited changes its words all the time.
    if (is === undefined || (same && (!stalled || was?.message === is.message))) return;
    // Whoever changes a spec knows that it takes a moment.
    const isLost = was?.status === "True" && was.observedGeneration === parent.metadata.generation;
    const name = parent.metadata.name;
    const fields = { kind: definition.resource.kind, name, reason: is.reason, detail: is.message };
    if (is.status === "True") {
      this.#options.log.info("ready", fields);
      this.event(parent, "Normal", is.reason, is.message);
    } else if (isLost || stalled || draft.alarm === true) {
      this.#options.log.warn("not ready", fields);
      this.event(parent, "Warning", is.reason, is.message);
    } else this.#options.log.info("not ready yet", fields);
  }

  /** Tells once how to get the kinds that nobody needs to have, where some of them are not served or denied. */
  lacking(snapshot: Snapshot): void {
    for (const { optionalKind: remedy, resource } of this.#options.definitions) {
      const state = snapshot.kind(resource);
      const denied = isDenied(state);
      if (remedy === undefined || !denied && state.phase !== "absent") continue;
      this.sayOnce(`optional ${remedy}`, () =>
        this.#options.log.info(
          `a kind that is optional ${
            denied ? "cannot be listed" : "is not served"
          }: the rest goes on without it`,
          { kind: resource.kind, remedy },
        ));
    }
  }

  /** The state of a kind changed. */
  kind(resource: Resource, state: KindState): void {
    const { log } = this.#options;
    const what = { kind: resource.kind };
    const optional = isOptional(this.#options.definitions, resource);
    switch (state.phase) {
      case "synced":
        if (this.#said.delete("server")) log.info("the API server can be used again");
        log.debug("listed", what);
        break;
      case "absent":
        log[optional ? "debug" : "warn"]("not served by the API server", {
          ...what,
          remedy: `install the CRD ${resource.plural}.${resource.group}`,
        });
        break;
      case "failed":
        if (state.server) {
          const { message } = state;
          this.sayOnce("server", () => log.warn("the API server cannot be used", { detail: message }));
        } else {
          log[optional && state.denied ? "debug" : "warn"]("cannot be listed", {
            ...what,
            detail: state.message,
          });
        }
        break;
      case "pending":
        break;
    }
  }

  event(parent: Parent, type: "Normal" | "Warning", reason: string, message: string): void {
    const definition = this.#definitionOf(parent);
    if (definition === undefined) return;
    this.#options.events.record(definition.resource, parent, type, reason, message);
  }

  #definitionOf({ apiVersion, kind }: Parent): Definition | undefined {
    return this.#options.definitions.find(({ resource }) =>
      resource.kind === kind && resource.group === (apiVersion ?? "").split("/")[0]
    );
  }

  sayOnce(key: string, say: () => void): void {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    say();
  }

  /** What was said once may be said again. */
  over(key: string): void {
    this.#said.delete(key);
  }
}

function said<T>(
  what: string,
  writes: readonly T[],
  shown: (writes: readonly T[]) => string,
): readonly string[] {
  return writes.length === 0 ? [] : [`${what} ${shown(writes)}`];
}

/** e.g. `Service router, Deployment router`. */
function names(writes: readonly Write[]): string {
  return writes.map(describeTarget).join(", ");
}
