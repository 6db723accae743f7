/**
 * An API server in memory, for unit tests of the engine: the few rules of the real one that the engine relies on.
 *
 * It does resourceVersions (unchanged by a write that changes nothing), uids, generations, preconditions, finalizers,
 * the status subresource, server-side apply with managedFields, paged lists, and watches with history. It does no
 * validation, defaulting, authorisation or garbage collection: a test that needs a refusal puts `intercept` around it.
 * What matters is checked on a real API server as well, in the integration suite.
 */

import type { Clock } from "../src/clock.ts";
import { statusError } from "../src/kubernetes/api_status.ts";
import type { JsonPatchOperation } from "../src/kubernetes/client.ts";
import { Secret } from "../src/kubernetes/generated/core_v1.ts";
import type { ApiError } from "../src/kubernetes/errors.ts";
import { describeRequest, type RequestDescription } from "../src/kubernetes/request_description.ts";
import { apiVersionOf, type KubeObject, type ObjectMeta, type Resource } from "../src/kubernetes/resource.ts";
import type { RequestOptions, Transport } from "../src/kubernetes/transport.ts";
import { type Json, mergeApplied, ownedFields } from "./server_side_apply.ts";

type Stored = Json & { metadata: ObjectMeta & { name: string; resourceVersion: string } };

interface Watcher {
  readonly kind: string;
  readonly metadataOnly: boolean;
  send(event: WatchedEvent): void;
  close(): void;
}

interface WatchedEvent {
  readonly kind: string;
  readonly version: number;
  readonly type: string;
  readonly object: Stored;
}

/** Kinds of which a deletion answers with the object, although it is gone. */
const answersDeleted: ReadonlySet<string> = new Set(["ServiceAccount", "Service", "PersistentVolumeClaim"]);

/** See the module. */
export class MemoryApi implements Transport {
  /** Every request, in order. */
  readonly requests: RequestDescription[] = [];
  /** Documents under a path of their own, such as `/openapi/v3/apis/example.org/v1`. */
  readonly documents = new Map<string, unknown>();
  /** Whether the namespace is being deleted: nothing can be created any more. */
  terminating = false;
  /** Called with each object about to be stored, as an admission webhook or a CRD that prunes. */
  admit: (object: Json) => void = () => {};
  readonly #clock: Clock;
  readonly #kinds: Map<string, Resource>;
  readonly #objects = new Map<string, Stored>();
  readonly #watchers = new Set<Watcher>();
  #history: WatchedEvent[] = [];
  #compactedTo = 0;
  #version = 1000;
  #uids = 0;

  /** @param kinds What is served. */
  constructor(clock: Clock, kinds: readonly Resource[]) {
    this.#clock = clock;
    this.#kinds = new Map(kinds.map((resource) => [collectionOf(resource), resource]));
  }

  /** The writes among the requests. */
  get writes(): readonly RequestDescription[] {
    return this.requests.filter(({ verb }) => !["get", "list", "watch"].includes(verb));
  }

  /** How many watches are open. */
  get watching(): number {
    return this.#watchers.size;
  }

  performRequest(
    options: RequestOptions & { readonly expectStream: true },
  ): Promise<ReadableStream<Uint8Array>>;
  performRequest(options: RequestOptions): Promise<unknown>;
  async performRequest(options: RequestOptions): Promise<unknown> {
    const description = describeRequest(options);
    this.requests.push(description);
    await Promise.resolve();
    const document = this.documents.get(options.path);
    if (document !== undefined) return structuredClone(document);
    const match = /^(\/apis?\/.+)\/namespaces\/[^/]+\/([^/]+)/.exec(options.path);
    const resource = this.#kinds.get(`${match?.[1]}/${match?.[2]}`);
    if (resource === undefined) throw refusal(options, 404, "NotFound");
    const answer = this.#answer(resource, description, options);
    return options.expectStream ? answer : structuredClone(answer);
  }

  /** What is stored. */
  get<T extends KubeObject>(resource: Resource<T>, name: string): T | undefined {
    return structuredClone(this.#objects.get(keyOf(resource, name))) as unknown as T | undefined;
  }

  /** Every object of a kind. */
  all<T extends KubeObject>(resource: Resource<T>): T[] {
    return [...this.#objects].filter(([key]) => key.startsWith(`${collectionOf(resource)}/`))
      .map(([, object]) => structuredClone(object) as unknown as T);
  }

  /** Somebody else makes an object. */
  make<T extends KubeObject>(resource: Resource<T>, object: T): T {
    return structuredClone(this.#create(resource, object as Json)) as unknown as T;
  }

  /** Somebody else changes an object, status and metadata included. */
  edit<T extends KubeObject>(resource: Resource<T>, name: string, change: (object: T) => void): void {
    const object = structuredClone(this.#existing(resource, name));
    change(object as unknown as T);
    this.#store(resource, object);
  }

  /** Somebody else deletes an object, whatever its finalizers. */
  remove(resource: Resource, name: string): void {
    const object = this.#existing(resource, name);
    this.#objects.delete(keyOf(resource, name));
    this.#tell(resource, "DELETED", { ...object, metadata: { ...object.metadata, ...this.#nextVersion() } });
  }

  /** A kind is served from now on. */
  serve(resource: Resource): void {
    this.#kinds.set(collectionOf(resource), resource);
  }

  /** A kind, its objects and watches are gone. */
  unserve(resource: Resource): void {
    this.#kinds.delete(collectionOf(resource));
    for (const key of [...this.#objects.keys()]) {
      if (key.startsWith(`${collectionOf(resource)}/`)) this.#objects.delete(key);
    }
    this.closeWatches();
  }

  /** The server closes every watch, as it does now and then. */
  closeWatches(): void {
    for (const watcher of [...this.#watchers]) watcher.close();
  }

  /** The history is gone: a watch from before gets a 410. */
  compact(): void {
    this.#history = [];
    this.#compactedTo = this.#version;
  }

  /** A backup of the whole state, and how to go back to it, as etcd is restored. */
  backup(): () => void {
    const [objects, version] = [structuredClone([...this.#objects]), this.#version];
    return () => {
      this.#objects.clear();
      for (const [key, object] of objects) this.#objects.set(key, object);
      this.#version = version;
      this.#history = [];
      this.#compactedTo = 0;
      this.closeWatches();
    };
  }

  #answer(resource: Resource, request: RequestDescription, options: RequestOptions): unknown {
    const metadataOnly = options.accept?.includes("PartialObjectMetadata") ?? false;
    const name = request.name ?? "";
    const live = this.#objects.get(keyOf(resource, name));
    const body = options.bodyJson as Json;
    switch (request.verb) {
      case "list":
        return this.#list(resource, options.querystring, metadataOnly);
      case "watch":
        return this.#watch(resource, options, metadataOnly);
      case "get":
        if (live === undefined) throw refusal(options, 404, "NotFound");
        return live;
      case "create":
        if (this.terminating) throw terminatingRefusal(options);
        if (live !== undefined) throw refusal(options, 409, "AlreadyExists");
        return this.#create(resource, body);
      case "update": {
        if (live === undefined) throw refusal(options, 404, "NotFound");
        this.#checkPrecondition(live, body, options);
        const part = request.subresource === "status";
        return this.#store(
          resource,
          part ? { ...live, status: body["status"] } : {
            ...body,
            status: live["status"],
            metadata: { ...metadataOf(body), ...fixedMetadata(live) },
          } as unknown as Stored,
        );
      }
      case "apply":
        return this.#apply(resource, live, body, options);
      case "patch":
        if (live === undefined) throw refusal(options, 404, "NotFound");
        return this.#patch(resource, live, options);
      case "delete":
        if (live === undefined) throw refusal(options, 404, "NotFound");
        return this.#delete(resource, live, options);
    }
  }

  #list(resource: Resource, query: URLSearchParams | undefined, metadataOnly: boolean): unknown {
    const wanted = /^metadata\.name=(.*)$/.exec(query?.get("fieldSelector") ?? "")?.[1];
    const all = this.all(resource).filter(({ metadata }) =>
      wanted === undefined || metadata?.name === wanted
    );
    const from = Number(query?.get("continue") ?? 0);
    const to = from + Number(query?.get("limit") ?? all.length);
    return {
      metadata: {
        resourceVersion: String(this.#version),
        ...(to < all.length ? { continue: String(to) } : {}),
      },
      items: all.slice(from, to).map((object) => metadataOnly ? { metadata: object.metadata } : object),
    };
  }

  #watch(resource: Resource, options: RequestOptions, metadataOnly: boolean): ReadableStream<Uint8Array> {
    const from = Number(options.querystring?.get("resourceVersion"));
    if (from < this.#compactedTo) throw refusal(options, 410, "Expired");
    const kind = collectionOf(resource);
    const encoder = new TextEncoder();
    let watcher: Watcher;
    return new ReadableStream({
      start: (controller) => {
        watcher = {
          kind,
          metadataOnly,
          send: ({ type, object }) => {
            const shown = metadataOnly ? { metadata: object.metadata } : object;
            controller.enqueue(encoder.encode(`${JSON.stringify({ type, object: shown })}\n`));
          },
          close: () => {
            if (this.#watchers.delete(watcher)) controller.close();
          },
        };
        for (const event of this.#history) {
          if (event.kind === kind && event.version > from) watcher.send(event);
        }
        this.#watchers.add(watcher);
        options.abortSignal?.addEventListener("abort", watcher.close);
      },
      cancel: () => {
        this.#watchers.delete(watcher);
      },
    });
  }

  #create(resource: Resource, body: Json): Stored {
    const { status: _, ...rest } = body;
    return this.#store(resource, {
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      // Every Secret has one.
      ...(resource.kind === Secret.kind ? { type: "Opaque" } : {}),
      ...rest,
      metadata: {
        creationTimestamp: new Date(this.#clock.now()).toISOString(),
        ...metadataOf(body),
        uid: metadataOf(body).uid ?? `uid-${++this.#uids}`,
        resourceVersion: undefined,
        generation: 1,
      },
    } as unknown as Stored);
  }

  #apply(resource: Resource, live: Stored | undefined, body: Json, options: RequestOptions): Stored {
    const { uid, resourceVersion: _, ...metadata } = metadataOf(body);
    if (live === undefined) {
      if (uid !== undefined) throw refusal(options, 409, "Conflict");
      if (this.terminating) throw terminatingRefusal(options);
    } else this.#checkPrecondition(live, body, options);
    const manager = options.querystring?.get("fieldManager") ?? "";
    const isOurs = (entry: { manager?: string | undefined; operation?: string | undefined }) =>
      entry.manager === manager && entry.operation === "Apply";
    const entries = live?.metadata.managedFields ?? [];
    const config = { ...body, metadata } as Json;
    const owned = ownedFields(resource, config);
    const merged = mergeApplied(resource, live, entries.find(isOurs)?.fieldsV1 ?? {}, config, owned);
    const managedFields = [
      ...entries.filter((entry) => !isOurs(entry)),
      { manager, operation: "Apply", fieldsType: "FieldsV1", fieldsV1: owned },
    ];
    const next = { ...merged, metadata: { ...metadataOf(merged), managedFields } };
    if (live === undefined) return this.#create(resource, next);
    return this.#store(resource, {
      ...next,
      metadata: { ...next.metadata, ...fixedMetadata(live) },
    } as unknown as Stored);
  }

  #patch(resource: Resource, live: Stored, options: RequestOptions): Stored {
    if (options.contentType === "application/json-patch+json") {
      const next = structuredClone(live) as Json;
      for (const operation of options.bodyJson as JsonPatchOperation[]) {
        if (!operate(next, operation)) throw refusal(options, 422, "Invalid");
      }
      return this.#store(resource, next as unknown as Stored);
    }
    this.#checkPrecondition(live, options.bodyJson as Json, options);
    const next = mergePatch(live, options.bodyJson) as Json;
    return this.#store(
      resource,
      { ...next, metadata: { ...metadataOf(next), ...fixedMetadata(live) } } as unknown as Stored,
    );
  }

  #delete(resource: Resource, live: Stored, options: RequestOptions): unknown {
    const { preconditions = {} } = options.bodyJson as { preconditions?: Partial<ObjectMeta> };
    this.#checkPrecondition(live, { metadata: preconditions } as Json, options);
    if ((live.metadata.finalizers ?? []).length > 0) {
      const deletionTimestamp = live.metadata.deletionTimestamp ?? new Date(this.#clock.now()).toISOString();
      return this.#store(resource, { ...live, metadata: { ...live.metadata, deletionTimestamp } });
    }
    this.remove(resource, live.metadata.name);
    return answersDeleted.has(resource.kind) ? live : { kind: "Status", status: "Success" };
  }

  #checkPrecondition(live: Stored, body: Json, options: RequestOptions): void {
    const { uid = live.metadata.uid, resourceVersion = live.metadata.resourceVersion } = metadataOf(body);
    if (uid !== live.metadata.uid || resourceVersion !== live.metadata.resourceVersion) {
      throw refusal(options, 409, "Conflict");
    }
  }

  #existing(resource: Resource, name: string): Stored {
    const object = this.#objects.get(keyOf(resource, name));
    if (object === undefined) throw new Error(`no ${resource.kind} ${name}`);
    return object;
  }

  #store(resource: Resource, object: Stored): Stored {
    const key = keyOf(resource, object.metadata.name);
    const before = this.#objects.get(key);
    this.admit(object);
    const next = JSON.parse(JSON.stringify(object)) as Stored;
    if (before !== undefined) {
      const changed = text(content(before)) !== text(content(next));
      next.metadata.generation = (before.metadata.generation ?? 1) + (changed ? 1 : 0);
      if (text(before) === text(next)) return before;
    }
    Object.assign(next.metadata, this.#nextVersion());
    const { metadata } = next;
    if (metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0) {
      this.#objects.delete(key);
      this.#tell(resource, "DELETED", next);
    } else {
      this.#objects.set(key, next);
      this.#tell(resource, before === undefined ? "ADDED" : "MODIFIED", next);
    }
    return next;
  }

  #nextVersion(): { resourceVersion: string } {
    return { resourceVersion: String(++this.#version) };
  }

  #tell(resource: Resource, type: string, object: Stored): void {
    const kind = collectionOf(resource);
    const event = { kind, version: this.#version, type, object: structuredClone(object) };
    this.#history.push(event);
    for (const watcher of [...this.#watchers]) if (watcher.kind === kind) watcher.send(event);
  }
}

/** What the server says when it refuses `request`. */
export function refusal(
  request: Pick<RequestOptions, "method" | "path">,
  status: number,
  reason: string,
  more: { readonly message?: string; readonly causes?: object[]; readonly retryAfterSeconds?: number } = {},
): ApiError {
  const { message = reason, ...details } = more;
  return statusError({ kind: "Status", code: status, reason, message, details }, {
    subject: `${request.method} ${request.path}`,
    status,
  });
}

function terminatingRefusal(request: RequestOptions): ApiError {
  return refusal(request, 403, "Forbidden", { causes: [{ reason: "NamespaceTerminating" }] });
}

function collectionOf(resource: Resource): string {
  const root = resource.group === "" ? "/api" : `/apis/${resource.group}`;
  return `${root}/${resource.version}/${resource.plural}`;
}

function keyOf(resource: Resource, name: string): string {
  return `${collectionOf(resource)}/${name}`;
}

function metadataOf(object: Json): ObjectMeta {
  return (object["metadata"] ?? {}) as ObjectMeta;
}

/** What a write cannot change. */
function fixedMetadata({ metadata }: Stored): Partial<ObjectMeta> {
  const { name, namespace, uid, creationTimestamp, deletionTimestamp, resourceVersion, generation } =
    metadata;
  return { name, namespace, uid, creationTimestamp, deletionTimestamp, resourceVersion, generation };
}

/** What the generation counts changes of. */
function content(object: Stored): Json {
  const { metadata: _, status: __, ...rest } = object;
  return rest;
}

/** A text that is the same for equal values, whatever the order of their keys. */
function text(value: unknown): string {
  return JSON.stringify(
    value,
    (_, inner) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
        : inner,
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Json = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** RFC 6902 `test`, `add` and `replace`, without appending to lists; returns whether it could be done. */
function operate(target: Json, operation: JsonPatchOperation): boolean {
  const path = operation.path.split("/").slice(1).map((step) => step.replace(/~1/g, "/").replace(/~0/g, "~"));
  const last = path.pop() ?? "";
  const place = path.reduce<Json | undefined>((inner, key) => inner?.[key] as Json | undefined, target);
  if (place === undefined) return false;
  switch (operation.op) {
    case "test":
      return text(place[last]) === text(operation.value);
    case "add":
    case "replace":
      place[last] = operation.value;
      return true;
    default:
      throw new Error(`${operation.op} is not done here`);
  }
}
