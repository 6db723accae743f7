/** What the calls of `KubernetesClient` take and return. */

import type { KubeObject } from "./resource.ts";

/** What every call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for each request that the call makes. @default the transport's */
  readonly deadlineMs?: number | undefined;
  /** Waits for no other request: for what must come in time, such as the renewal of a Lease. */
  readonly urgent?: boolean | undefined;
}

/** What every write takes. */
export interface WriteOptions extends CallOptions {
  /** Everything is checked and admitted, nothing is stored. */
  readonly dryRun?: boolean | undefined;
  /** Who owns the fields written. @default the first word of the user agent */
  readonly fieldManager?: string | undefined;
  /** e.g. `status`. */
  readonly subresource?: string | undefined;
}

/** What a server-side apply takes besides. */
export interface ApplyOptions extends WriteOptions {
  readonly fieldManager: string;
  /** Take fields that others own. @default false */
  readonly force?: boolean | undefined;
}

/** What a deletion takes. */
export interface DeleteOptions extends CallOptions {
  readonly dryRun?: boolean | undefined;
  /** A 409 when the object is another incarnation or version by now. */
  readonly preconditions?:
    | { readonly uid?: string | undefined; readonly resourceVersion?: string | undefined }
    | undefined;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan" | undefined;
  readonly gracePeriodSeconds?: number | undefined;
}

/** One object. */
export interface Target {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** Which objects; all of the kind by default. */
export interface Selection {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Only `metadata` of each object (`PartialObjectMetadata`). */
  readonly metadataOnly?: boolean | undefined;
  /** Leaves `metadata.managedFields` out, which is half of a typical object. */
  readonly dropManagedFields?: boolean | undefined;
}

export interface ListQuery extends Selection {
  /** Objects per request. @default 500, the page size of client-go */
  readonly pageSize?: number | undefined;
}

/** How a list is taken in. */
export interface ListOptions<T> extends CallOptions {
  /**
   * What to keep of an object, or instead of it; called as the pages come, so that a long list takes no more room than
   * what is kept of it. A list that begins again calls it again.
   */
  readonly keep?: ((object: T) => T) | undefined;
}

export interface WatchQuery extends Selection {
  /** Where to go on: from a list, a bookmark or the last event. */
  readonly resourceVersion: string;
  /** Milliseconds without an event after which the watch ends. @default 150000 */
  readonly silenceMs?: number | undefined;
  /** Seconds after which the server ends the watch. @default the server's choice */
  readonly timeoutSeconds?: number | undefined;
}

/** What a list returned; `resourceVersion` is where a watch goes on. */
export interface ListResult<T extends KubeObject> {
  readonly items: T[];
  readonly resourceVersion: string;
}

/** The body of a PATCH: an RFC 7386 merge patch or RFC 6902 operations. */
export type Patch =
  | { readonly type: "merge"; readonly patch: object }
  | { readonly type: "json"; readonly operations: readonly JsonPatchOperation[] };

/** One operation of RFC 6902. */
export type JsonPatchOperation =
  | { readonly op: "add" | "replace" | "test"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "move" | "copy"; readonly path: string; readonly from: string };

/** `version.Info`, the part that is read. */
export interface ServerVersion {
  readonly major: string;
  readonly minor: string;
  readonly gitVersion: string;
}

/** A resource that the server serves, from `metav1.APIResourceList`. Subresources have a slash in their name. */
export interface ServedResource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
}
