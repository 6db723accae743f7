/**
 * When objects were first seen, and when they were gone, by the clock of this process.
 *
 * Creation timestamps have whole seconds only, so each kind is watched, in all namespaces at once and before anything
 * is measured: a time is that at which the watch event arrived.
 */

import { systemClock } from "../src/clock.ts";
import type { KubernetesClient } from "../src/kubernetes/client.ts";
import type { KubeObject, Resource } from "../src/kubernetes/resource.ts";

/** One incarnation of an object. Times are those of `Clock.monotonic`. */
export interface Sighting {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly seenAt: number;
  goneAt?: number;
}

/** How long anything that is awaited may take. */
const patienceMs = 60_000;

/** What the watches have told. */
export class Sightings implements AsyncDisposable {
  readonly #seen = new Map<string, Sighting>();
  readonly #ending = new AbortController();
  readonly #waiting = new Set<() => void>();
  #watches: Promise<unknown> = Promise.resolve();

  private constructor(private readonly client: KubernetesClient) {}

  /** Watches `resources`; objects that are there already count as seen now. */
  static async start(client: KubernetesClient, resources: readonly Resource[]): Promise<Sightings> {
    const sightings = new Sightings(client);
    const versions = await Promise.all(resources.map((resource) => sightings.#list(resource)));
    sightings.#watches = Promise.all(
      resources.map((resource, index) => sightings.#watch(resource, versions[index] ?? "")),
    );
    return sightings;
  }

  /** What was seen in a namespace, latest incarnations last. */
  in(namespace: string): readonly Sighting[] {
    return [...this.#seen.values()].filter((sighting) => sighting.namespace === namespace);
  }

  /** Waits until `look` finds something, looking again at each event. */
  async until<T>(what: string, look: () => T | undefined): Promise<T> {
    const timeout = AbortSignal.timeout(patienceMs);
    for (let found = look();; found = look()) {
      if (found !== undefined) return found;
      if (timeout.aborted) throw new Error(`waited ${patienceMs / 1000} s for ${what}`);
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
        timeout.addEventListener("abort", () => resolve());
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#watches;
  }

  async #list(resource: Resource): Promise<string> {
    const { items, resourceVersion } = await this.client.list(resource, { metadataOnly: true });
    for (const object of items) this.#see(resource, object);
    return resourceVersion;
  }

  async #watch(resource: Resource, from: string): Promise<void> {
    const { signal } = this.#ending;
    for (let resourceVersion = from; !signal.aborted;) {
      const query = { resourceVersion, metadataOnly: true };
      for await (const event of this.client.watch(resource, query, { signal })) {
        resourceVersion = event.type === "BOOKMARK"
          ? event.resourceVersion
          : event.object.metadata?.resourceVersion ?? resourceVersion;
        if (event.type === "DELETED") this.#lose(event.object);
        else if (event.type !== "BOOKMARK") this.#see(resource, event.object);
      }
    }
  }

  #see({ kind }: Resource, { metadata: { uid = "", name = "", namespace = "" } = {} }: KubeObject): void {
    if (this.#seen.has(uid)) return;
    this.#seen.set(uid, { kind, namespace, name, uid, seenAt: systemClock.monotonic() });
    this.#wake();
  }

  #lose({ metadata: { uid = "" } = {} }: KubeObject): void {
    const sighting = this.#seen.get(uid);
    if (sighting !== undefined) sighting.goneAt = systemClock.monotonic();
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
