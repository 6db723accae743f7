/**
 * The typed API: what one can do with the objects of a `Resource`.
 *
 * Guarantees: an answer is either complete or an `ApiError`; a list is never partial; every object returned carries
 * `apiVersion` and `kind`. Assumes nothing but a `Transport`, so the same calls run against a live server, a wrapped
 * one, or a recording.
 */

import * as z from "zod";
import { type Clock, systemClock } from "../clock.ts";
import { isApiStatus } from "./api_status.ts";
import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  ListOptions,
  ListQuery,
  ListResult,
  Patch,
  Selection,
  ServedResource,
  ServerVersion,
  Target,
  WatchQuery,
  WriteOptions,
} from "./calls.ts";
import { ApiError, isStatus } from "./errors.ts";
import { apiVersionOf, type KubeObject, pathOf, type Resource } from "./resource.ts";
import type { RequestOptions, Transport } from "./transport.ts";
import { type WatchEvent, watchEvents } from "./watch.ts";

export type * from "./calls.ts";
export type { WatchEvent } from "./watch.ts";

/** How many times a list begins again because its continue token expired. */
const listAttempts = 4;

const listSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()).nullish(),
});
const versionSchema = z.object({ major: z.string(), minor: z.string(), gitVersion: z.string() });
const resourceListSchema = z.object({
  resources: z.array(z.object({
    name: z.string(),
    kind: z.string(),
    namespaced: z.boolean(),
    verbs: z.array(z.string()),
  })),
});

/**
 * A client of one API server. Every method throws `ApiError` for anything but success.
 */
export class KubernetesClient {
  constructor(readonly transport: Transport, private readonly clock: Clock = systemClock) {}

  /** Reads one object, or the `subresource` of it. */
  async get<T extends KubeObject>(
    resource: Resource<T>,
    target: Target & { readonly subresource?: string | undefined },
    options: CallOptions = {},
  ): Promise<T> {
    return await this.#object(resource, { method: "GET", path: pathOf(resource, target) }, options);
  }

  /**
   * Reads all objects, page by page. A page that fails fails the list; a continue token that expired (410) starts
   * it afresh, and after several times the 410 is thrown.
   */
  async list<T extends KubeObject>(
    resource: Resource<T>,
    query: ListQuery = {},
    options: ListOptions<T> = {},
  ): Promise<ListResult<T>> {
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#listOnce(resource, query, options);
      } catch (error) {
        if (!isStatus(error, 410) || attempt === listAttempts) throw error;
      }
    }
  }

  async #listOnce<T extends KubeObject>(
    resource: Resource<T>,
    query: ListQuery,
    options: ListOptions<T>,
  ): Promise<ListResult<T>> {
    const { keep = (object) => object } = options;
    const path = pathOf(resource, { namespace: query.namespace });
    const parameters = selectionParameters(query);
    parameters.set("limit", String(query.pageSize ?? 500));
    const items: T[] = [];
    for (;;) {
      const answer = await this.#json({
        method: "GET",
        path,
        querystring: parameters,
        accept: query.metadataOnly ? metadataAccept("PartialObjectMetadataList") : undefined,
      }, options);
      const page = parse(listSchema, answer, `GET ${path}`, "a list");
      for (const item of page.items ?? []) {
        items.push(keep(ofResource(resource, item, `GET ${path}`, query.dropManagedFields)));
      }
      const token = page.metadata.continue;
      if (token === undefined || token === "") {
        return { items, resourceVersion: page.metadata.resourceVersion };
      }
      parameters.set("continue", token);
    }
  }

  /**
   * Follows changes from `query.resourceVersion` on. Ends when the server closes, after `silenceMs` without an event,
   * or when the signal aborts; the connection is released then, and when the consumer stops iterating.
   *
   * @throws ApiError 410 when the version is too old: list again. Any other error: watch again later.
   */
  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    query: WatchQuery,
    options: CallOptions = {},
  ): AsyncGenerator<WatchEvent<T>, void, void> {
    const path = pathOf(resource, { namespace: query.namespace });
    const parameters = selectionParameters(query);
    parameters.set("watch", "true");
    parameters.set("allowWatchBookmarks", "true");
    parameters.set("resourceVersion", query.resourceVersion);
    if (query.timeoutSeconds !== undefined) parameters.set("timeoutSeconds", String(query.timeoutSeconds));
    const subject = `WATCH ${path}`;
    const ended = new AbortController();
    const end = () => ended.abort();
    if (options.signal?.aborted) return;
    options.signal?.addEventListener("abort", end);
    try {
      const stream = await this.transport.performRequest({
        method: "GET",
        path,
        querystring: parameters,
        accept: query.metadataOnly ? metadataAccept("PartialObjectMetadata") : undefined,
        abortSignal: ended.signal,
        deadlineMs: options.deadlineMs,
        expectStream: true,
      });
      for await (const event of watchEvents(stream, subject, query.silenceMs ?? 150_000, this.clock)) {
        yield event.type === "BOOKMARK" ? event : {
          type: event.type,
          object: ofResource(resource, event.object, subject, query.dropManagedFields),
        };
      }
    } catch (error) {
      if (!options.signal?.aborted) throw error;
    } finally {
      options.signal?.removeEventListener("abort", end);
      ended.abort();
    }
  }

  /** POST: a 409 when the object exists. */
  async create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions & { readonly namespace?: string | undefined; readonly name?: string | undefined } =
      {},
  ): Promise<T> {
    const namespace = options.namespace ?? object.metadata?.namespace;
    // A subresource is created on an object (`pods/x/eviction`); anything else in its collection.
    const path = pathOf(resource, {
      namespace,
      name: options.subresource === undefined ? undefined : options.name ?? object.metadata?.name,
      subresource: options.subresource,
    });
    return await this.#write(resource, { method: "POST", path, bodyJson: typed(resource, object) }, options);
  }

  /** PUT: a 409 when `metadata.resourceVersion` is set and no longer the object's. */
  async replace<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    const path = objectPath(resource, object, options.subresource);
    return await this.#write(resource, { method: "PUT", path, bodyJson: typed(resource, object) }, options);
  }

  /**
   * Server-side apply. With `metadata.uid` and `metadata.resourceVersion` it is a 409 unless exactly that version of
   * that incarnation is there; with `resourceVersion: "1"` and no uid it creates, and is a 409 when the object exists.
   */
  async apply<T extends KubeObject>(resource: Resource<T>, object: T, options: ApplyOptions): Promise<T> {
    const path = objectPath(resource, object, options.subresource);
    return await this.#write(resource, {
      method: "PATCH",
      path,
      bodyJson: typed(resource, object),
      contentType: "application/apply-patch+yaml",
      querystring: new URLSearchParams(options.force ? { force: "true" } : {}),
    }, options);
  }

  /** PATCH with a merge patch or JSON patch. */
  async patch<T extends KubeObject>(
    resource: Resource<T>,
    target: Target,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<T> {
    return await this.#write(resource, {
      method: "PATCH",
      path: pathOf(resource, { ...target, subresource: options.subresource }),
      bodyJson: patch.type === "merge" ? patch.patch : patch.operations,
      contentType: patch.type === "merge" ? "application/merge-patch+json" : "application/json-patch+json",
    }, options);
  }

  /**
   * Deletes one object.
   *
   * @returns The object when it is still there, waiting for finalizers or its grace period; undefined when it is gone.
   * @throws ApiError 404 when it does not exist, 409 when a precondition does not hold.
   */
  async delete<T extends KubeObject>(
    resource: Resource<T>,
    target: Target,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const path = pathOf(resource, target);
    const answer = await this.#json({
      method: "DELETE",
      path,
      querystring: new URLSearchParams(options.dryRun ? { dryRun: "All" } : {}),
      bodyJson: {
        apiVersion: "v1",
        kind: "DeleteOptions",
        preconditions: options.preconditions,
        propagationPolicy: options.propagationPolicy,
        gracePeriodSeconds: options.gracePeriodSeconds,
      },
    }, options);
    return isApiStatus(answer) ? undefined : ofResource(resource, answer, `DELETE ${path}`);
  }

  async serverVersion(options: CallOptions = {}): Promise<ServerVersion> {
    return parse(versionSchema, await this.rawGet("/version", options), "GET /version", "a version");
  }

  /** The JSON document at an absolute path, e.g. `/openapi/v3/apis/apps/v1`. */
  async rawGet(path: string, options: CallOptions = {}): Promise<unknown> {
    return await this.#json({ method: "GET", path }, options);
  }

  /** What the server serves under a group and version; undefined when it does not know them. */
  async discover(
    group: string,
    version: string,
    options: CallOptions = {},
  ): Promise<readonly ServedResource[] | undefined> {
    const path = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
    try {
      const list = parse(
        resourceListSchema,
        await this.rawGet(path, options),
        `GET ${path}`,
        "a resource list",
      );
      return list.resources;
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  async #json(request: RequestOptions, options: CallOptions): Promise<unknown> {
    return await this.transport.performRequest({
      ...request,
      abortSignal: options.signal,
      deadlineMs: options.deadlineMs,
      urgent: options.urgent,
      expectJson: true,
    });
  }

  async #object<T extends KubeObject>(
    resource: Resource<T>,
    request: RequestOptions,
    options: CallOptions,
  ): Promise<T> {
    const subject = `${request.method} ${request.path}`;
    const answer = await this.#json(request, options);
    if (isApiStatus(answer)) throw unexpected(subject, "an object");
    const object = asObject(answer, subject) as T;
    object.apiVersion ??= apiVersionOf(resource);
    object.kind ??= resource.kind;
    return object;
  }

  #write<T extends KubeObject>(
    resource: Resource<T>,
    request: RequestOptions,
    options: WriteOptions,
  ): Promise<T> {
    const querystring = new URLSearchParams(request.querystring);
    if (options.dryRun) querystring.set("dryRun", "All");
    if (options.fieldManager !== undefined) querystring.set("fieldManager", options.fieldManager);
    return this.#object(resource, { ...request, querystring }, options);
  }
}

function metadataAccept(as: string): string {
  return `application/json;as=${as};g=meta.k8s.io;v=v1`;
}

function selectionParameters(selection: Selection): URLSearchParams {
  const parameters = new URLSearchParams();
  if (selection.labelSelector !== undefined) parameters.set("labelSelector", selection.labelSelector);
  if (selection.fieldSelector !== undefined) parameters.set("fieldSelector", selection.fieldSelector);
  return parameters;
}

function objectPath(resource: Resource, object: KubeObject, subresource: string | undefined): string {
  const { name, namespace } = object.metadata ?? {};
  if (name === undefined) throw new TypeError(`${resource.kind} has no metadata.name`);
  return pathOf(resource, { namespace, name, subresource });
}

function typed<T extends KubeObject>(resource: Resource<T>, object: T): T {
  return {
    ...object,
    apiVersion: object.apiVersion ?? apiVersionOf(resource),
    kind: object.kind ?? resource.kind,
  };
}

/** Items of lists lack apiVersion and kind, and partial ones carry those of PartialObjectMetadata. */
function ofResource<T extends KubeObject>(
  resource: Resource<T>,
  value: unknown,
  subject: string,
  dropManagedFields = false,
): T {
  const object = asObject(value, subject);
  object.apiVersion = apiVersionOf(resource);
  object.kind = resource.kind;
  if (dropManagedFields) delete object.metadata?.managedFields;
  return object as T;
}

/** The only check of an object's shape: its own fields are the server's business and typed by generated code. */
function asObject(value: unknown, subject: string): KubeObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw unexpected(subject, "an object");
  }
  return value;
}

function parse<T>(schema: z.ZodType<T>, value: unknown, subject: string, what: string): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw unexpected(subject, what);
  return parsed.data;
}

function unexpected(subject: string, what: string): ApiError {
  return new ApiError(`${subject}: the answer is not ${what}`, { status: 0, reason: "BadResponse" });
}
