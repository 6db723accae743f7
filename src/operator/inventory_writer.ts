/** Writes the inventory of external objects: only over what was read, and only what changed. */

import { ApiError, isStatus } from "../kubernetes/errors.ts";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";
import type { Definition } from "./definition.ts";
import { changedShards, type InventoryChange, inventoryNameOf, shardsOf } from "./inventory.ts";
import { type LaneContext, refresh } from "./lane.ts";

/** See the module. */
export class InventoryWriter {
  readonly #context: LaneContext;

  constructor(context: LaneContext) {
    this.#context = context;
  }

  /** Another one whenever somebody has written it. */
  version(definition: Definition): string {
    return shardsOf(this.#context.store.snapshot(), definition)
      .map(({ metadata }) => `${metadata?.uid} ${metadata?.resourceVersion}`).join();
  }

  /**
   * Returns why it could not be stored; undefined when it was.
   *
   * @param batch Before writing outside: only under the version that was there when it was looked at what there is. A
   * process that slept meanwhile may have heard of a later one, and not of what was made under it.
   */
  async write(
    definition: Definition,
    change: InventoryChange,
    signal: AbortSignal,
    batch?: { readonly id: string; readonly version: string },
  ): Promise<unknown> {
    const { client, identity, metrics } = this.#context.options;
    const name = inventoryNameOf(definition) ?? "";
    const shards = shardsOf(this.#context.store.snapshot(), definition);
    if (shards.length === 0) return new Error(`ConfigMap ${name} does not exist`);
    if (batch !== undefined && batch.version !== this.version(definition)) {
      return new ApiError(`ConfigMap ${name} was written meanwhile`, { status: 409, reason: "Conflict" });
    }
    for (const shard of changedShards(shards, change, batch?.id)) {
      const isNew = shard.metadata?.resourceVersion === undefined;
      try {
        const how = { fieldManager: identity.fieldManager, signal };
        const stored = isNew
          ? await client.create(ConfigMap, shard, how)
          : await client.replace(ConfigMap, shard, how);
        metrics.wrote({
          world: "kubernetes",
          verb: isNew ? "create" : "update",
          kind: "ConfigMap",
          reason: "inventory",
          result: "ok",
        });
        this.#context.store.observe(ConfigMap, stored);
      } catch (error) {
        const name = shard.metadata?.name ?? "";
        if (isStatus(error, 409) || isStatus(error, 404)) {
          await refresh(this.#context, ConfigMap, name, signal);
        }
        return error;
      }
    }
    return undefined;
  }
}
