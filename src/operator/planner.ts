/**
 * Makes plans from what the store holds now, and from what was learned of the API server.
 */

import type { Clock } from "../clock.ts";
import type { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import { SelfSubjectAccessReview } from "../kubernetes/generated/authorization_v1.ts";
import { forbiddenMs } from "./backoff.ts";
import { Claims } from "./claims.ts";
import { type Definition, isDenied, type Parent } from "./definition.ts";
import type { Failures } from "./failures.ts";
import type { Identity } from "./ownership.ts";
import { type ParentPlan, plan, type PlanInput, planParent } from "./plan.ts";
import type { Progress } from "./progress.ts";
import { fieldsLost, servedRevision, servedSchemas } from "./served_schema.ts";
import { keyOf, type Store } from "./store.ts";

export interface PlannerOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly definitions: readonly Definition[];
  readonly store: Store;
  readonly failures: Failures;
  readonly progress: Progress;
  readonly namespace: string;
  readonly restrictions: () => readonly string[];
}

/** See the module. */
export class Planner {
  readonly #options: PlannerOptions;
  /** Fields of ours that the served CRDs drop, by kind. */
  readonly #lostFields = new Map<string, readonly string[]>();
  /** Served schemas that were not compared with ours yet, by kind: that takes a while. */
  readonly #uncompared = new Map<string, unknown>();
  /** The revision of the schemas that were read. */
  #learned: string | undefined;
  /** False where the API server refuses `blockOwnerDeletion`. */
  #blockOwnerDeletion = true;
  #refusals = 0;
  /** For each inventory, what of deleted custom resources is kept in the external system, and why. */
  readonly #kept = new Map<string, readonly string[]>();
  #askAt = 0;

  readonly #claims: Claims;

  constructor(options: PlannerOptions) {
    this.#options = options;
    this.#claims = new Claims(options.definitions, options.store);
  }

  /** Plans for every custom resource of one kind. */
  all(definition: Definition): readonly ParentPlan[] {
    return plan(this.#input(definition));
  }

  /** Plans for one custom resource; undefined when it is gone. */
  one(definition: Definition, uid: string): ParentPlan | undefined {
    const parent = this.#options.store.snapshot().byUid(definition.resource, uid);
    return parent === undefined ? undefined : planParent(this.#input(definition), parent as Parent);
  }

  /** Fields of ours that the served CRD drops. */
  lostFields(definition: Definition): readonly string[] {
    const key = keyOf(definition.resource);
    if (this.#uncompared.has(key)) {
      this.#lostFields.set(key, fieldsLost(definition.crdSchema, this.#uncompared.get(key)));
      this.#uncompared.delete(key);
    }
    return this.#lostFields.get(key) ?? [];
  }

  /** Reads the served schemas of the custom resources, to know which fields would be lost; returns whether all were. */
  async learnServedSchemas(signal: AbortSignal): Promise<boolean> {
    let learned = true;
    const groups = Map.groupBy(
      this.#options.definitions,
      ({ resource: { group, version } }) => `${group}/${version}`,
    );
    for (const definitions of groups.values()) {
      try {
        const served = await servedSchemas(
          this.#options.client,
          definitions.map(({ resource }) => resource),
          signal,
        );
        for (const { resource } of definitions) {
          const [key, schema] = [keyOf(resource), served.get(resource)];
          if (schema === undefined) {
            this.#uncompared.delete(key);
            this.#lostFields.delete(key);
          } else this.#uncompared.set(key, schema);
        }
      } catch (error) {
        // Not served yet, or not to be read: nothing is known to be lost.
        if (!(error instanceof ApiError)) throw error;
        learned = false;
      }
    }
    return learned;
  }

  /** Compares the served schemas that nobody asked about yet, so that the first custom resource need not wait for it. */
  compareServedSchemas(): void {
    for (const definition of this.#options.definitions) this.lostFields(definition);
  }

  /** Notes what of deleted custom resources is kept in the external system: one sentence each, with the remedy. */
  noteKept(inventoryName: string, sentences: readonly string[]): void {
    this.#kept.set(inventoryName, sentences);
  }

  /** The same, if others are served than those that were read: somebody replaced a CRD. */
  async refreshServedSchemas(signal: AbortSignal): Promise<void> {
    const { client, definitions } = this.#options;
    const revision = await servedRevision(client, definitions.map(({ resource }) => resource), signal);
    if (revision === this.#learned) return;
    if (await this.learnServedSchemas(signal)) this.#learned = revision;
  }

  /** Owner references go without `blockOwnerDeletion` from now on; returns whether they had it until now. */
  giveUpBlockOwnerDeletion(): boolean {
    if (!this.#blockOwnerDeletion) return false;
    const { clock } = this.#options;
    this.#blockOwnerDeletion = false;
    // Where it is refused although it is allowed, that must not go on for ever.
    this.#askAt = clock.monotonic() + forbiddenMs(this.#refusals++, clock);
    return true;
  }

  /** Asks whether `blockOwnerDeletion` is allowed by now, where it was refused; returns whether that has changed. */
  async refreshPermissions(signal: AbortSignal): Promise<boolean> {
    const { client, clock, definitions, namespace } = this.#options;
    if (this.#blockOwnerDeletion || clock.monotonic() < this.#askAt) return false;
    try {
      const needed = definitions.filter(({ optionalKind }) => optionalKind === undefined);
      for (const { resource: { group, plural: resource } } of needed) {
        const resourceAttributes = { group, resource, subresource: "finalizers", verb: "update", namespace };
        const review = { spec: { resourceAttributes } };
        const { status } = await client.create(SelfSubjectAccessReview, review, { signal });
        if (status?.allowed !== true) return false;
      }
      this.#blockOwnerDeletion = true;
      return true;
    } catch (error) {
      if (error instanceof ApiError) return false;
      throw error;
    }
  }

  /** See `StatusContext`. */
  #restrictions({ observedResources = [], resource }: Definition): readonly string[] {
    const snapshot = this.#options.store.snapshot();
    const unseen = observedResources.map((observed) => observed.resource)
      .filter((observed) => isDenied(snapshot.kind(observed)))
      .map(({ plural }) => `why something does not start is hard to tell: grant list and watch on ${plural}`);
    const finalizers =
      `owner references go without blockOwnerDeletion: grant update on ${resource.plural}/finalizers`;
    return [...this.#options.restrictions(), ...(this.#blockOwnerDeletion ? [] : [finalizers]), ...unseen];
  }

  #input(definition: Definition): PlanInput {
    const { clock, definitions, failures, identity, progress, store } = this.#options;
    const snapshot = store.snapshot();
    const now = clock.now();
    return {
      definition,
      rivals: definitions.filter((each) => each.singleton && each !== definition)
        .map(({ resource }) => resource),
      snapshot,
      now,
      identity,
      blockOwnerDeletion: this.#blockOwnerDeletion,
      failures: (parent) => failures.of(parent),
      answers: (parent) => progress.answers(parent),
      lostFields: this.lostFields(definition),
      restrictions: this.#restrictions(definition),
      kept: this.#kept.get(definition.inventoryName ?? "") ?? [],
      uuid: () => clock.uuid(),
      isLiving: (uid) => definitions.some(({ resource }) => snapshot.byUid(resource, uid) !== undefined),
      oldestClaimant: (child) => this.#claims.oldest(definition, child, now),
    };
  }
}
