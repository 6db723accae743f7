/**
 * Stores the status of a custom resource where it differs.
 *
 * Guarantees: nothing is written that the server is known to drop or to store otherwise, and nothing for a while
 * where a Role forbids it.
 */

import { isStatus } from "../kubernetes/errors.ts";
import type { KubeObject } from "../kubernetes/resource.ts";
import { errorText } from "../telemetry/log.ts";
import { forbiddenMs } from "./backoff.ts";
import { sameJson } from "./compare.ts";
import { datedStatus } from "./conditions.ts";
import type { Definition, Parent, StatusDraft } from "./definition.ts";
import { conflictRetries, type LaneContext, refresh } from "./lane.ts";
import { projected } from "./served_schema.ts";

/** See the module. */
export class StatusWriter {
  readonly #context: LaneContext;
  /** For each parent, a status that the server did not store as it was written, and what it stored instead. */
  readonly #altered = new Map<string, { readonly wanted: string; readonly stored: unknown }>();
  /** For each parent, the status that a Role kept from being written. */
  readonly #unwritten = new Map<string, unknown>();
  #forbidden = 0;
  #forbiddenUntil = 0;

  constructor(context: LaneContext) {
    this.#context = context;
  }

  /** Stores the status, where it differs; returns whether it was written. */
  async write(
    definition: Definition,
    planned: Parent,
    draft: StatusDraft,
    signal: AbortSignal,
  ): Promise<boolean> {
    for (let attempt = 1; attempt <= conflictRetries; attempt++) {
      const outcome = await this.#try(definition, planned, draft, signal);
      if (outcome !== "outdated") return outcome === "written";
      await refresh(this.#context, definition.resource, planned.metadata.name, signal);
    }
    return false;
  }

  async #try(
    definition: Definition,
    planned: Parent,
    draft: StatusDraft,
    signal: AbortSignal,
  ): Promise<"written" | "unwritten" | "outdated"> {
    const { client, clock, identity, log, mayWrite, metrics, redactor } = this.#context.options;
    const { resource } = definition;
    const live = this.#context.store.snapshot().get(resource, planned.metadata.name) as Parent | undefined;
    const { uid, generation = 0 } = planned.metadata;
    if (live?.metadata.uid !== uid || live.metadata.deletionTimestamp !== undefined) return "unwritten";
    if (!mayWrite() || this.#context.halt.active) return "unwritten";
    const clean: StatusDraft = {
      ...draft,
      conditions: draft.conditions.map((each) => ({ ...each, message: redactor.clean(each.message) })),
    };
    const whole = datedStatus(clean, live.status, generation, clock.now());
    const status = projected(whole, this.#context.planner.lostFields(definition));
    const { namespace, name } = live.metadata;
    const { certificates = {}, conditions } = clean;
    metrics.observed({ kind: resource.kind, namespace, name }, { conditions, certificates });
    if (draft.provisional === true || sameJson(status, live.status ?? {})) return "unwritten";
    if (clock.monotonic() < this.#forbiddenUntil) {
      this.#tellUnwritten(definition, live, clean, status);
      return "unwritten";
    }
    // What the server stored otherwise than it was written is not written again, until either side changes.
    const wanted = JSON.stringify([clean, generation]);
    const altered = this.#altered.get(uid);
    if (altered?.wanted === wanted && sameJson(altered.stored, live.status ?? {})) return "unwritten";
    try {
      const { managedFields: _, ...metadata } = live.metadata;
      const next = { ...live, metadata, status } as KubeObject;
      const stored = await client.replace(resource, next, {
        subresource: "status",
        fieldManager: identity.fieldManager,
        signal,
      }) as Parent;
      metrics.wrote({
        world: "kubernetes",
        verb: "update",
        kind: resource.kind,
        reason: "status",
        result: "ok",
      });
      this.#context.store.observe(resource, stored);
      this.#forbidden = 0;
      this.#context.reporter.over("status");
      this.#context.reporter.readiness(definition, this.#unwritten.get(uid) ?? live.status, live, clean);
      this.#unwritten.delete(uid);
      if (sameJson(stored.status ?? {}, status)) this.#altered.delete(uid);
      else {
        this.#altered.set(uid, { wanted, stored: stored.status ?? {} });
        await this.#context.planner.learnServedSchemas(signal);
      }
      return "written";
    } catch (error) {
      if (isStatus(error, 409) || isStatus(error, 404)) return "outdated";
      if (isStatus(error, 403) && !error.hasCause("NamespaceTerminating")) {
        this.#forbiddenUntil = clock.monotonic() + forbiddenMs(this.#forbidden++, clock);
        this.#context.reporter.sayOnce(
          "status",
          () =>
            log.warn("status cannot be written: the log tells what it would say", {
              remedy: `grant update on ${resource.plural}/status in the operator's Role`,
              detail: errorText(error),
            }),
        );
        this.#tellUnwritten(definition, live, clean, status);
      } else {
        log.warn("status not written", { name: live.metadata.name, detail: errorText(error) });
      }
      return "unwritten";
    }
  }

  /** What a status would say is said in the log. */
  #tellUnwritten(definition: Definition, live: Parent, draft: StatusDraft, status: unknown): void {
    const { uid } = live.metadata;
    this.#context.reporter.readiness(definition, this.#unwritten.get(uid) ?? live.status, live, draft);
    this.#unwritten.set(uid, status);
  }

  /** Forgets parents that are gone. */
  keepOnly(parentUids: ReadonlySet<string>): void {
    for (const known of [this.#altered, this.#unwritten]) {
      for (const uid of [...known.keys()]) if (!parentUids.has(uid)) known.delete(uid);
    }
  }
}
