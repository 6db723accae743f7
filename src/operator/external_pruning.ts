/** Deletes in the external systems what custom resources that are gone have left there. */

import type { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import type { Resource } from "../kubernetes/resource.ts";
import type { Definition, ExternalObject } from "./definition.ts";
import { type ExternalBackend, ExternalError } from "./external.ts";
import {
  indexed,
  type Inventory,
  type InventoryEntry,
  inventoryNameOf,
  keyOfExternal,
  readInventory,
} from "./inventory.ts";
import type { InventoryWriter } from "./inventory_writer.ts";
import type { LaneContext, Managed } from "./lane.ts";
import { mayPrune, pruneAnnotation } from "./ownership.ts";
import { deletionsOf } from "./plan_external.ts";
import { describeTarget, type ExternalWrite } from "./write.ts";

/** See the module. */
export class ExternalPruning {
  readonly #context: LaneContext;
  readonly #inventories: InventoryWriter;
  /** For each kind of which most custom resources are gone, since when, in monotonic milliseconds. */
  readonly #doubtedSince = new Map<string, number>();

  constructor(context: LaneContext, inventories: InventoryWriter) {
    this.#context = context;
    this.#inventories = inventories;
  }

  /** What `converge` would delete for custom resources that are gone, and sentences about what is kept. */
  async surplus(
    signal: AbortSignal,
  ): Promise<{ readonly deletions: readonly ExternalWrite[]; readonly held: readonly string[] }> {
    const found = await Promise.all(
      this.#sharing().map((group) => this.#surplusOf(group, signal, () => false)),
    );
    return {
      deletions: found.flatMap((each) => each?.deletions ?? []),
      held: found.flatMap((each) => each?.held ?? []),
    };
  }

  /**
   * Deletes what is recorded for custom resources that are gone and that no other wants, as their deletion policy says;
   * returns how many deletions succeeded. Never where it is not sure that they are gone, or that what is looked at is
   * the system that the inventory is about.
   */
  async prune(signal: AbortSignal): Promise<number> {
    let count = 0;
    for (const group of this.#sharing()) count += await this.#pruneGroup(group, signal);
    return count;
  }

  /** Kinds by the inventory that they share. */
  #sharing(): readonly (readonly Managed[])[] {
    const sharing = Map.groupBy(
      this.#context.options.managed.filter(({ definition }) => definition.sharedInventoryName !== undefined),
      ({ definition }) => definition.sharedInventoryName,
    );
    return [...sharing.values()];
  }

  /**
   * What is recorded for custom resources that are gone and that no other wants; undefined where that cannot be said.
   *
   * @param isDoubtful Whether the list that lacks custom resources of this kind is not believed.
   */
  async #surplusOf(
    group: readonly Managed[],
    signal: AbortSignal,
    isDoubtful: (resource: Resource, orphans: readonly InventoryEntry[]) => boolean,
  ): Promise<Surplus | undefined> {
    const snapshot = this.#context.store.snapshot();
    const [definition] = group.map(({ definition }) => definition);
    const backends = [...new Set(group.map(({ backend }) => backend))].filter((backend) =>
      backend !== undefined
    );
    const [first] = backends;
    if (definition === undefined || first === undefined) return undefined;
    const inventory = readInventory(snapshot, definition);
    if (inventory === undefined || inventory.id === "") return undefined;
    const living = new Set(
      this.#context.options.managed.flatMap(({ definition: { resource } }) =>
        snapshot.list(resource).map(({ metadata }) => metadata?.uid)
      ),
    );
    const orphans = inventory.entries.filter(({ parentUid, singleton }) =>
      !singleton && !living.has(parentUid)
    );
    const none = { definition, backend: first, inventory, gone: [], deletions: [], dropped: [], held: [] };
    if (orphans.length === 0) return none;
    const synced = group.map(({ definition: { resource } }) => resource)
      .filter((resource) => snapshot.kind(resource).phase === "synced");
    const doubted = new Set(synced.filter((resource) => isDoubtful(resource, orphans)));
    const listed = new Set(
      synced.filter((resource) => !doubted.has(resource)).map(({ kind, group }) => `${kind}.${group}`),
    );
    const wanted = new Set(
      group.flatMap(({ definition }) => this.#context.planner.all(definition))
        .flatMap(({ desired }) =>
          desired.children.map((child) => child.type === "external" ? keyOfExternal(child) : "")
        ),
    );
    const gone = orphans
      .filter(({ owner = "" }) => listed.has(owner.split("/")[0] ?? ""))
      .filter((entry) => !wanted.has(keyOfExternal(entry)));
    const doubts = [...doubted].map(({ kind }) =>
      `most objects of kind ${kind} are gone at once: what they made is kept until another list agrees, or the ` +
      `annotation ${pruneAnnotation(this.#context.options.identity)}: "true" says that they were deleted`
    );
    if (gone.length === 0) return { ...none, held: doubts };
    const found = await findIn(backends, (backend) => backend.find?.(gone, inventory.id, snapshot, signal));
    if (found === undefined || signal.aborted) return undefined;
    const { backend, objects } = found;
    const retained = gone.filter(({ deletionPolicy }) => deletionPolicy === "Retain");
    const { given, held } = withoutUsed(gone.filter((entry) => !retained.includes(entry)), objects);
    const { deletions, forgotten } = deletionsOf(given, objects);
    return {
      ...none,
      backend,
      gone,
      deletions: inDeletionOrder(deletions, group),
      dropped: [...retained, ...forgotten],
      held: [...doubts, ...held],
    };
  }

  async #pruneGroup(group: readonly Managed[], signal: AbortSignal): Promise<number> {
    const { client, log, metrics, mayWrite } = this.#context.options;
    if (!mayWrite() || this.#context.halt.active) return 0;
    const snapshot = this.#context.store.snapshot();
    const [first] = group;
    const version = first === undefined ? "" : this.#inventories.version(first.definition);
    const surplus = await this.#surplusOf(
      group,
      signal,
      (resource, orphans) => !this.#isPruningAllowed(group) && this.#isDoubtful(resource, orphans),
    );
    if (surplus === undefined) return 0;
    const { backend, definition, deletions, dropped, gone, inventory } = surplus;
    const held = [...surplus.held];
    const noteKept = () => this.#context.planner.noteKept(inventoryNameOf(definition) ?? "", held);
    noteKept();
    for (const message of held) {
      this.#context.reporter.sayOnce(message, () => log.warn("not deleted", { detail: message }));
    }
    let count = 0;
    if (deletions.length > 0 && await this.#isTerminating(client, signal)) return 0;
    if (deletions.length > 0) {
      const failure = await this.#inventories.write(
        definition,
        { put: [], drop: dropped },
        signal,
        { id: this.#context.options.clock.uuid(), version },
      );
      if (failure !== undefined) return 0;
    } else if (dropped.length > 0) {
      await this.#inventories.write(definition, { put: [], drop: dropped }, signal);
    }
    const removed: InventoryEntry[] = [];
    for (const write of deletions) {
      if (!mayWrite() || this.#context.halt.active || signal.aborted) break;
      this.#context.heartbeat.beat("external");
      const target = describeTarget(write);
      const entry = indexed(inventory).get(keyOfExternal(write.child));
      try {
        await backend.write(undefined, write, snapshot, signal);
      } catch (error) {
        if (!(error instanceof ExternalError)) throw error;
        held.push(`${target} is not deleted: ${error.message}`);
        this.#context.reporter.sayOnce(
          `held ${target}`,
          () => log.warn("not deleted", { object: target, detail: error.message }),
        );
        continue;
      }
      count++;
      this.#context.reporter.over(`held ${target}`);
      metrics.wrote({
        world: "external",
        verb: "delete",
        kind: write.child.kind,
        reason: "unwanted",
        result: "ok",
      });
      log.info("deleted", { world: "external", kind: write.child.kind, name: write.child.name });
      if (entry !== undefined) removed.push(entry);
      const within = new Set(write.observed?.contains ?? []);
      removed.push(...gone.filter((each) => within.has(keyOfExternal(each))));
    }
    if (removed.length > 0) await this.#inventories.write(definition, { put: [], drop: removed }, signal);
    noteKept();
    return count;
  }

  /** Whether somebody says at the custom resource with the inventory that what is gone was deleted. */
  #isPruningAllowed([first]: readonly Managed[]): boolean {
    const { identity, managed } = this.#context.options;
    const name = first?.definition.sharedInventoryName;
    return managed.filter(({ definition }) => definition.inventoryName === name)
      .some(({ definition: { resource } }) =>
        this.#context.store.snapshot().list(resource).some((parent) => mayPrune(parent, identity))
      );
  }

  /**
   * Whether so many custom resources of a kind are gone at once, without a watch having told of it, that the list that
   * lacks them is not believed before another one agrees.
   */
  #isDoubtful(resource: Resource, orphans: readonly InventoryEntry[]): boolean {
    const { clock, log, resyncMs } = this.#context.options;
    const kind = `${resource.kind}.${resource.group}`;
    const missing = new Set(
      orphans.filter(({ owner = "" }) => owner.startsWith(`${kind}/`)).map(({ parentUid }) => parentUid),
    );
    const untold = [...missing].filter((uid) => !this.#context.store.wasDeleted(uid)).length;
    if (untold < 5 || untold <= this.#context.store.list(resource).length) {
      this.#doubtedSince.delete(kind);
      this.#context.reporter.over(`doubt ${kind}`);
      return false;
    }
    const since = this.#doubtedSince.get(kind) ?? clock.monotonic();
    this.#doubtedSince.set(kind, since);
    // By then the list has been taken again.
    if (clock.monotonic() - since > 2 * resyncMs) return false;
    this.#context.reporter.sayOnce(
      `doubt ${kind}`,
      () =>
        log.warn("most custom resources of a kind are gone: nothing is deleted before another list agrees", {
          reason: "PruneGuard",
          kind: resource.kind,
          gone: untold,
        }),
    );
    return true;
  }

  /** Custom resources vanish one by one while their namespace is deleted: then nothing is deleted for them. */
  async #isTerminating(client: KubernetesClient, signal: AbortSignal): Promise<boolean> {
    const { clock, namespace } = this.#context.options;
    const metadata = { namespace, name: `probe-${clock.uuid()}` };
    try {
      await client.create(ConfigMap, { metadata }, { dryRun: true, signal });
      return false;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return true;
    }
  }
}

/** What of deleted custom resources is in an external system. */
interface Surplus {
  readonly definition: Definition;
  readonly backend: ExternalBackend;
  readonly inventory: Inventory;
  /** What is recorded of them. */
  readonly gone: readonly InventoryEntry[];
  /** In the order in which it loses nothing. */
  readonly deletions: readonly ExternalWrite[];
  /** What is only to be forgotten. */
  readonly dropped: readonly InventoryEntry[];
  /** A sentence about each that is kept. */
  readonly held: readonly string[];
}

/**
 * What may be deleted: not what holds something that is not deleted with it, unless its policy says so. And a sentence
 * about each of the others.
 */
function withoutUsed(
  gone: readonly InventoryEntry[],
  objects: readonly ExternalObject[],
): { readonly given: readonly InventoryEntry[]; readonly held: string[] } {
  const byKey = new Map(objects.map((object) => [keyOfExternal(object), object]));
  const keys = new Set(gone.map(keyOfExternal));
  const held: string[] = [];
  const given = gone.filter((entry) => {
    const inside = (byKey.get(keyOfExternal(entry))?.contains ?? []).filter((key) => !keys.has(key));
    if (entry.deletionPolicy === "Delete" || inside.length === 0) return true;
    held.push(
      `${keyOfExternal(entry)} is kept although ${
        entry.owner ?? "its custom resource"
      } was deleted, since it still ` +
        `holds ${inside.slice(0, 3).join(", ")}${inside.length > 3 ? ", ..." : ""}: remove that first`,
    );
    return false;
  });
  return { given, held };
}

/** Backwards: what was made last goes first. */
function inDeletionOrder(
  deletions: readonly ExternalWrite[],
  group: readonly Managed[],
): readonly ExternalWrite[] {
  const arrange = group.find(({ definition }) => definition.arrange !== undefined)?.definition.arrange;
  return arrange?.(deletions) ?? deletions;
}

/** What the first backend finds that has a system to look at: of those that share an inventory, one has. */
async function findIn(
  backends: readonly ExternalBackend[],
  find: (backend: ExternalBackend) => Promise<readonly ExternalObject[] | undefined> | undefined,
): Promise<{ readonly backend: ExternalBackend; readonly objects: readonly ExternalObject[] } | undefined> {
  for (const backend of backends) {
    const objects = await find(backend);
    if (objects !== undefined) return { backend, objects };
  }
  return undefined;
}
