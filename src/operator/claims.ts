/**
 * Which custom resources ask for an object in the external system, of whatever kind they are: of those that nobody has
 * made yet, each belongs to the oldest that asks for it. That follows from the custom resources alone, so it is the same
 * in whichever order they were heard of, and for another process.
 */

import type { Resource } from "../kubernetes/resource.ts";
import type { Definition, ExternalState, Parent } from "./definition.ts";
import { inventoryNameOf, keyOfExternal } from "./inventory.ts";
import type { Store } from "./store.ts";

/** Text that is the smaller the older a custom resource is; of two made in one second, their uids decide. */
export function ageOf({ metadata: { creationTimestamp, uid } }: Parent): string {
  return `${creationTimestamp ?? ""} ${uid}`;
}

/** Sorts the oldest first. */
export function byAge(one: Parent, other: Parent): number {
  return ageOf(one).localeCompare(ageOf(other));
}

/** What was taken in of one custom resource. */
interface Claimant {
  readonly parent: Parent;
  readonly external: ExternalState;
  readonly keys: readonly string[];
}

/** See the module. What did not change is asked once. */
export class Claims {
  readonly #store: Pick<Store, "list" | "revision" | "snapshot">;
  /** Of the store, when everything was taken in. */
  #revision: number | undefined;
  readonly #definitions: readonly Definition[];
  readonly #claimants = new Map<string, Claimant>();
  /** Uids by what they ask for. */
  readonly #byKey = new Map<string, Set<string>>();

  constructor(definitions: readonly Definition[], store: Pick<Store, "list" | "revision" | "snapshot">) {
    this.#store = store;
    this.#definitions = definitions.filter(({ claims }) => claims !== undefined);
  }

  /** The oldest that asks for this object; undefined where nobody does. `now` as of a plan. */
  oldest(
    definition: Definition,
    object: { readonly kind: string; readonly name: string },
    now: number,
  ): Parent | undefined {
    if (definition.claims === undefined) return undefined;
    this.#takeIn(now);
    const uids = this.#byKey.get(keyIn(definition, object)) ?? [];
    const parents = [...uids].map((uid) => this.#claimants.get(uid)?.parent).filter((each) =>
      each !== undefined
    );
    return parents.toSorted(byAge)[0];
  }

  #takeIn(now: number): void {
    if (this.#revision === this.#store.revision) return;
    this.#revision = this.#store.revision;
    const snapshot = this.#store.snapshot();
    const gone = new Set(this.#claimants.keys());
    for (const each of this.#definitions) {
      for (const parent of this.#store.list(each.resource as Resource<Parent>)) {
        const { deletionTimestamp, uid } = parent.metadata;
        if (deletionTimestamp !== undefined) continue;
        gone.delete(uid);
        const external = snapshot.external(uid);
        const before = this.#claimants.get(uid);
        if (before?.parent === parent && before.external === external) continue;
        const keys = (each.claims?.({ parent, snapshot, now }) ?? []).map((object) => keyIn(each, object));
        this.#forget(uid);
        this.#claimants.set(uid, { parent, external, keys });
        for (const key of keys) this.#byKey.set(key, (this.#byKey.get(key) ?? new Set()).add(uid));
      }
    }
    for (const uid of gone) this.#forget(uid);
  }

  #forget(uid: string): void {
    for (const key of this.#claimants.get(uid)?.keys ?? []) {
      const uids = this.#byKey.get(key);
      uids?.delete(uid);
      if (uids?.size === 0) this.#byKey.delete(key);
    }
    this.#claimants.delete(uid);
  }
}

function keyIn(definition: Definition, object: { readonly kind: string; readonly name: string }): string {
  return `${inventoryNameOf(definition)} ${keyOfExternal(object)}`;
}
