/**
 * The Secrets whose content is needed: read when a custom resource names them, kept out of every text, and forgotten
 * when none names them any more.
 */

import { Secret } from "../kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../kubernetes/resource.ts";
import { errorText, type Logger } from "../telemetry/log.ts";
import type { Redactor } from "../telemetry/redaction.ts";
import { sameJson } from "./compare.ts";
import type { Definition, Parent } from "./definition.ts";
import type { Failures } from "./failures.ts";
import { keyOf, type Store } from "./store.ts";
import { contentOf } from "./unknown.ts";

export interface SecretsOptions {
  readonly definitions: readonly Definition[];
  readonly store: Store;
  readonly failures: Failures;
  readonly redactor: Redactor;
  readonly log: Logger;
}

/** See the module. */
export class Secrets {
  readonly #options: SecretsOptions;
  /** What each custom resource names, as it is now. */
  readonly #named = new WeakMap<Parent, readonly string[]>();

  constructor(options: SecretsOptions) {
    this.#options = options;
  }

  /** Reads what is needed and not known yet. What cannot be read is tried again, later each time. */
  async read(signal: AbortSignal): Promise<void> {
    const { failures, log, store } = this.#options;
    const needs = this.#needs();
    const unread = store.keepContentOf(Secret, new Set(needs.flatMap(({ names }) => names)));
    await Promise.all(unread.map(async (name) => {
      // Not as a write is called, since none has to wait for it.
      const object = contentOf(name);
      const uids = needs.filter(({ names }) => names.includes(name)).map(({ parent }) => parent);
      try {
        await store.refresh(Secret, name, signal);
        for (const { metadata } of uids) failures.clear(metadata.uid, object);
      } catch (error) {
        const message = errorText(error);
        log.debug("could not be read", { object, detail: message });
        for (const parent of uids) {
          failures.note(parent, { object, reason: "Unreadable", message }, { retryable: true });
        }
      }
    }));
  }

  /** Keeps the secrets of an object out of every later text. */
  learn(resource: Resource, object: KubeObject): void {
    const { definitions, redactor, store } = this.#options;
    for (const definition of definitions) {
      const parents = keyOf(resource) === keyOf(Secret) ? this.#parents(definition) : [];
      const secrets = definition.secretsIn(resource, object, parents);
      for (const secret of secrets) redactor.learn(secret);
      if (keyOf(resource) !== keyOf(definition.resource)) continue;
      // What a custom resource names may have been read before it was known what for.
      for (const name of this.#namesOf(definition, object as Parent)) {
        const named = store.snapshot().get(Secret, name);
        if (named !== undefined) this.learn(Secret, named);
      }
    }
  }

  /** Whoever mends a Secret that a custom resource names need not wait, as with the custom resource itself. */
  changed(object: KubeObject | undefined, previous: KubeObject | undefined): void {
    const dataOf = (secret: KubeObject | undefined) => (secret as Secret | undefined)?.data ?? {};
    if (sameJson(dataOf(object), dataOf(previous))) return;
    const name = (object ?? previous)?.metadata?.name ?? "";
    for (const { names, parent } of this.#needs()) {
      if (names.includes(name)) this.#options.failures.forget(parent.metadata.uid);
    }
  }

  #needs(): readonly { readonly parent: Parent; readonly names: readonly string[] }[] {
    return this.#options.definitions.flatMap((definition) =>
      this.#parents(definition).map((parent) => ({ parent, names: this.#namesOf(definition, parent) }))
        .filter(({ names }) => names.length > 0)
    );
  }

  #namesOf(definition: Definition, parent: Parent): readonly string[] {
    const names = this.#named.get(parent) ?? definition.secretNames(parent);
    this.#named.set(parent, names);
    return names;
  }

  #parents(definition: Definition): readonly Parent[] {
    return this.#options.store.list(definition.resource) as readonly Parent[];
  }
}
