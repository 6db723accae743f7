/**
 * The API server of a test of the edge, as the people see it who use it: one in memory, or a namespace of a real one.
 */

import type { KubernetesClient } from "../../src/kubernetes/client.ts";
import { type ApiError, isStatus } from "../../src/kubernetes/errors.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import type { RequestOptions, Transport } from "../../src/kubernetes/transport.ts";
import { keyOf } from "../../src/operator/store.ts";

/** What somebody other than the operator does there. None of it waits. */
export interface EdgeApi extends Transport {
  make<T extends KubeObject>(resource: Resource<T>, object: T): void;
  edit<T extends KubeObject>(resource: Resource<T>, name: string, change: (object: T) => void): void;
  remove(resource: Resource, name: string): void;
  get<T extends KubeObject>(resource: Resource<T>, name: string): T | undefined;
  all<T extends KubeObject>(resource: Resource<T>): T[];
  /** Where that takes its time: carries out what was done so far. */
  carryOut?(): Promise<void>;
  /** Where that takes its time: reads what there is, for `get` and `all`. */
  read?(): Promise<void>;
  /** What was said to the last edit of an object, where it was refused. */
  refusal?(resource: Resource, name: string): string | undefined;
}

/** A namespace of a real API server. */
export class ClusterApi implements EdgeApi {
  readonly #client: KubernetesClient;
  readonly #namespace: string;
  readonly #kinds: readonly Resource[];
  #undone: (() => Promise<unknown>)[] = [];
  readonly #objects = new Map<string, KubeObject[]>();
  readonly #refusals = new Map<string, string>();

  /** @param kinds What can be read. */
  constructor(client: KubernetesClient, namespace: string, kinds: readonly Resource[]) {
    this.#client = client;
    this.#namespace = namespace;
    this.#kinds = kinds;
  }

  performRequest(
    options: RequestOptions & { readonly expectStream: true },
  ): Promise<ReadableStream<Uint8Array>>;
  performRequest(options: RequestOptions): Promise<unknown>;
  performRequest(options: RequestOptions): Promise<unknown> {
    return this.#client.transport.performRequest(options);
  }

  make<T extends KubeObject>(resource: Resource<T>, object: T): void {
    const metadata = { ...object.metadata, namespace: this.#namespace };
    this.#undone.push(() => this.#client.create(resource, { ...object, metadata }));
  }

  edit<T extends KubeObject>(resource: Resource<T>, name: string, change: (object: T) => void): void {
    const key = `${keyOf(resource)}/${name}`;
    this.#undone.push(async () => {
      this.#refusals.delete(key);
      const object = await this.#client.get(resource, { namespace: this.#namespace, name });
      change(object);
      try {
        await this.#client.replace(resource, object);
      } catch (error) {
        if (!isStatus(error, 422)) throw error;
        this.#refusals.set(key, (error as ApiError).message);
      }
    });
  }

  remove(resource: Resource, name: string): void {
    this.#undone.push(() => this.#client.delete(resource, { namespace: this.#namespace, name }));
  }

  get<T extends KubeObject>(resource: Resource<T>, name: string): T | undefined {
    return this.all(resource).find(({ metadata }) => metadata?.name === name);
  }

  all<T extends KubeObject>(resource: Resource<T>): T[] {
    return structuredClone(this.#objects.get(keyOf(resource)) ?? []) as T[];
  }

  async carryOut(): Promise<void> {
    const undone = this.#undone;
    this.#undone = [];
    for (const each of undone) await each();
  }

  async read(): Promise<void> {
    const namespace = this.#namespace;
    await Promise.all(this.#kinds.map(async (resource) => {
      const { items } = await this.#client.list(resource, { namespace });
      this.#objects.set(keyOf(resource), items);
    }));
  }

  refusal(resource: Resource, name: string): string | undefined {
    return this.#refusals.get(`${keyOf(resource)}/${name}`);
  }
}
