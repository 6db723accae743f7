/**
 * What is, kept up to date: every object of the kinds that matter, in one namespace, by list and watch.
 *
 * Guarantees: a list is taken whole or not at all; an object never goes back to an older version than one that this
 * process has seen or written, unless a consistent read says so (etcd was restored); what could not be listed is
 * said to be unknown and keeps its last state. The watch only makes things faster: each kind is listed again at its
 * own interval, so an event that got lost does no lasting harm.
 */

import type { Clock } from "../clock.ts";
import type { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError, isStatus } from "../kubernetes/errors.ts";
import type { KubeObject, Resource } from "../kubernetes/resource.ts";
import { backoffMs, forbiddenMs } from "./backoff.ts";
import { sameJson } from "./compare.ts";
import {
  type Definition,
  type ExternalState,
  isDenied,
  type KindState,
  type Snapshot,
} from "./definition.ts";
import { correctionManager, hasLostMark, type Identity, isPredecessors, markOf } from "./ownership.ts";

/** A kind to keep. */
export interface StoredKind {
  readonly resource: Resource;
  /** Milliseconds after which the list is taken again. */
  readonly relistMs: number;
  /**
   * Only metadata is listed and watched, and what `keepContentOf` names is read in full: how Secrets are kept, so
   * that those of other people in the namespace never enter this process.
   */
  readonly metadataOnly?: boolean;
  /** Only objects with such labels are listed and watched. */
  readonly labelSelector?: string;
  /** Milliseconds between two looks for the kind while it is not served. @default 5000 */
  readonly absentRetryMs?: number;
}

/** What a store tells whoever runs it. */
export interface StoreObserver {
  /** An object appeared, changed or (`object` undefined) went away. */
  changed(
    resource: Resource,
    name: string,
    object: KubeObject | undefined,
    previous: KubeObject | undefined,
  ): void;
  /** The state of a kind changed. */
  kindChanged(resource: Resource, state: KindState): void;
  /** A list or event was older than what this process knows. */
  stale(resource: Resource): void;
  /** A watch ended and is opened again. */
  watchEnded(resource: Resource, reason: string): void;
}

export interface StoreOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly clock: Clock;
  readonly kinds: readonly StoredKind[];
  /**
   * Of managedFields, only what its field manager applied is kept: it tells which fields to give up. What a
   * predecessor wrote keeps all of them until it is taken over.
   */
  readonly identity: Identity;
  readonly observer: StoreObserver;
}

/** Milliseconds between two looks for a kind that is not served. */
const absentRetryMs = 5_000;
/** Milliseconds that a watch has to last to count as one that works. */
const shortestWatchMs = 1_000;
/** Milliseconds between two looks, at most, whether a server that no kind can be listed from is back. */
const longestAwayMs = 5_000;
/** Milliseconds after which the other kinds look as well. */
const unscoutedMs = 600_000;
/** How many objects that are gone are remembered, for each kind. */
const mostGone = 1_000;

const unobserved: ExternalState = { phase: "unknown", objects: [], facts: {} };

/** The state of the world, as far as it is known. */
export class Store {
  readonly #options: StoreOptions;
  readonly #kinds = new Map<string, Kind>();
  readonly #external = new Map<string, ExternalState>();
  #revision = 0;
  /** While nothing can be listed since the server is out of reach: who looks for it often, and how to wake the others. */
  #away: { readonly scout: Kind; readonly back: AbortController } | undefined;
  /** Kinds that could not be listed while it was away, and have not been tried since. */
  readonly #untried = new Set<Kind>();

  constructor(options: StoreOptions) {
    this.#options = options;
    for (const stored of options.kinds) {
      const state = { phase: "pending" } as const;
      this.#kinds.set(keyOf(stored.resource), {
        stored,
        state,
        objects: new Map(),
        names: new Map(),
        owned: new Map(),
        gone: new Set(),
        deleted: new Set(),
        contentOf: new Set(),
        complete: new Set(),
      });
    }
  }

  /** Whether every kind was tried at least once, since the server was last out of reach if it was. */
  get ready(): boolean {
    return this.#away === undefined && this.#untried.size === 0 &&
      [...this.#kinds.values()].every((kind) => kind.state.phase !== "pending");
  }

  /** Another number after each change of what is kept. */
  get revision(): number {
    return this.#revision;
  }

  /** The kinds that are kept. */
  get resources(): readonly Resource[] {
    return [...this.#kinds.values()].map((kind) => kind.stored.resource);
  }

  /** Milliseconds for which a kind could not be listed; Infinity where the server never said anything else. */
  failingMs(resource: Resource): number {
    const kind = this.#kinds.get(keyOf(resource));
    if (kind?.state.phase !== "failed") return 0;
    return kind.failedAt === undefined ? Infinity : this.#options.clock.monotonic() - kind.failedAt;
  }

  /** Lists every kind once; failures end up in the state of the kind. */
  async listAll(signal?: AbortSignal): Promise<void> {
    await Promise.all([...this.#kinds.values()].map(async (kind) => {
      try {
        await this.#list(kind, signal);
      } catch (error) {
        this.#failed(kind, error);
      }
    }));
  }

  /** Lists and watches every kind until `signal` aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#kinds.values()].map((kind) => this.#follow(kind, signal)));
  }

  snapshot(): Snapshot {
    const kindOf = (resource: Resource) => this.#kinds.get(keyOf(resource));
    return {
      get: <T extends KubeObject>(resource: Resource<T>, name: string) =>
        kindOf(resource)?.objects.get(name) as T | undefined,
      list: <T extends KubeObject>(resource: Resource<T>) =>
        [...kindOf(resource)?.objects.values() ?? []] as unknown as readonly T[],
      byUid: <T extends KubeObject>(resource: Resource<T>, uid: string) => {
        const kind = kindOf(resource);
        return kind?.objects.get(kind.names.get(uid) ?? "") as T | undefined;
      },
      ownedBy: <T extends KubeObject>(resource: Resource<T>, parentUid: string) => {
        const kind = kindOf(resource);
        const names = [...kind?.owned.get(parentUid) ?? []];
        return names.map((name) => kind?.objects.get(name)) as unknown as readonly T[];
      },
      kind: (resource) => kindOf(resource)?.state ?? { phase: "absent" },
      external: (uid) => this.#external.get(uid) ?? unobserved,
    };
  }

  /** Whether a watch told that the object with this uid was deleted, of whatever kind: not only a list that lacks it. */
  wasDeleted(uid: string): boolean {
    return [...this.#kinds.values()].some(({ deleted }) => deleted.has(uid));
  }

  /** The objects of one kind now: cheaper than a snapshot, which copies all kinds. */
  list<T extends KubeObject>(resource: Resource<T>): readonly T[] {
    return [...this.#kinds.get(keyOf(resource))?.objects.values() ?? []] as unknown as readonly T[];
  }

  /** Takes in the answer to a write or a read of our own, which is newer than what a watch has told so far. */
  observe(resource: Resource, object: KubeObject): void {
    const kind = this.#kinds.get(keyOf(resource));
    if (kind !== undefined) this.#put(kind, object);
  }

  /** Takes in that an object is gone. */
  forget(resource: Resource, name: string): void {
    const kind = this.#kinds.get(keyOf(resource));
    if (kind !== undefined) this.#remove(kind, name);
  }

  /** Reads one object again, consistently, whatever version that gives. */
  async refresh(resource: Resource, name: string, signal?: AbortSignal): Promise<void> {
    const kind = this.#kinds.get(keyOf(resource));
    if (kind !== undefined) await this.#verify(kind, name, signal);
  }

  /**
   * From now on keeps the content of exactly these objects of a kind of which only metadata are listed. Returns the
   * names of those that are there and have to be read first, with `refresh`.
   */
  keepContentOf(resource: Resource, names: ReadonlySet<string>): readonly string[] {
    const kind = this.#kinds.get(keyOf(resource));
    if (kind?.stored.metadataOnly !== true) return [];
    kind.contentOf = names;
    for (const name of [...kind.complete].filter((name) => !names.has(name))) {
      kind.complete.delete(name);
      const known = kind.objects.get(name);
      if (known !== undefined) kind.objects.set(name, metadataOf(known));
      this.#revision++;
    }
    return [...names].filter((name) => kind.objects.has(name) && !kind.complete.has(name));
  }

  /** Takes in what was observed in the external system. Returns whether it differs from before. */
  setExternal(parentUid: string, state: ExternalState): boolean {
    const before = this.#external.get(parentUid) ?? unobserved;
    this.#external.set(parentUid, state);
    this.#revision++;
    return JSON.stringify(before) !== JSON.stringify(state);
  }

  async #follow(kind: Kind, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        // What hangs from before the server came back would keep all the others waiting.
        const until = this.#away === undefined ? signal : AbortSignal.any([signal, this.#away.back.signal]);
        let version: string | undefined = await this.#list(kind, until);
        const relistAt = clock.monotonic() + kind.stored.relistMs;
        while (version !== undefined && clock.monotonic() < relistAt && !signal.aborted) {
          const openedAt = clock.monotonic();
          version = await this.#watch(kind, version, relistAt - openedAt, signal);
          if (clock.monotonic() - openedAt >= shortestWatchMs) failures = 0;
          // A watch that fails at once would otherwise be opened again, or the list be taken, in a tight loop.
          else if (clock.monotonic() < relistAt) await clock.sleep(backoffMs(failures++, clock), signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(kind, error);
        const { state } = kind;
        const denied = isDenied(state);
        const away = isOutOfReach(kind) ? this.#away : undefined;
        if (away !== undefined && away.scout !== kind) {
          // One request is enough to notice that the server is back; then all of them are tried at once.
          await clock.sleep(unscoutedMs, AbortSignal.any([signal, away.back.signal]));
          failures = 0;
          continue;
        }
        const longestMs = away === undefined ? undefined : longestAwayMs;
        const waitMs = denied ? forbiddenMs(failures++, clock) : backoffMs(failures++, clock, longestMs);
        const lookMs = kind.stored.absentRetryMs ?? absentRetryMs;
        await clock.sleep(state.phase === "absent" ? lookMs : waitMs, signal);
      }
    }
  }

  /** Returns the version from which to go on, or undefined when only a new list helps. */
  async #watch(kind: Kind, from: string, forMs: number, signal: AbortSignal): Promise<string | undefined> {
    const { client, clock, namespace, observer } = this.#options;
    const { resource } = kind.stored;
    const ended = new AbortController();
    const end = () => ended.abort();
    signal.addEventListener("abort", end);
    const timer = clock.sleep(forMs, ended.signal).then(end);
    let version = from;
    try {
      const query = { ...selectionOf(kind, namespace), resourceVersion: from };
      for await (const event of client.watch(resource, query, { signal: ended.signal })) {
        if (event.type === "BOOKMARK") version = event.resourceVersion;
        else {
          if (event.type === "DELETED") this.#gone(kind, event.object);
          else await this.#seen(kind, event.object, signal);
          version = event.object.metadata?.resourceVersion ?? version;
        }
      }
      if (!ended.signal.aborted) observer.watchEnded(resource, "Closed");
      return version;
    } catch (error) {
      if (signal.aborted) return undefined;
      observer.watchEnded(resource, error instanceof ApiError ? error.reason : String(error));
      return undefined;
    } finally {
      signal.removeEventListener("abort", end);
      end();
      await timer;
    }
  }

  async #list(kind: Kind, signal: AbortSignal | undefined): Promise<string> {
    const { client, namespace } = this.#options;
    const { resource } = kind.stored;
    const { items, resourceVersion } = await client.list(resource, selectionOf(kind, namespace), {
      signal,
      keep: (object) => this.#keep(kind, object),
    });
    const listed = new Set<string>();
    for (const object of items) {
      const name = object.metadata?.name ?? "";
      listed.add(name);
      const known = kind.objects.get(name);
      if (known !== undefined && isOlder(object.metadata?.resourceVersion, known)) {
        await this.#doubt(kind, name, signal);
      } else await this.#seen(kind, object, signal);
    }
    for (const [name, known] of [...kind.objects]) {
      if (listed.has(name)) continue;
      if (isOlder(resourceVersion, known)) await this.#doubt(kind, name, signal);
      else this.#remove(kind, name);
    }
    this.#returned();
    this.#setState(kind, { phase: "synced" });
    return resourceVersion;
  }

  /** Of a list: what is known already, or what is kept. */
  #keep(kind: Kind, object: KubeObject): KubeObject {
    const known = kind.objects.get(object.metadata?.name ?? "");
    const asBefore = known !== undefined &&
      known.metadata?.uid === object.metadata?.uid &&
      known.metadata?.resourceVersion === object.metadata?.resourceVersion;
    return asBefore ? known : trim(object, this.#options.identity);
  }

  /** The server could be listed from: whatever could not meanwhile is tried at once. */
  #returned(): void {
    const away = this.#away;
    if (away === undefined) return;
    this.#away = undefined;
    for (const kind of this.#kinds.values()) if (isOutOfReach(kind)) this.#untried.add(kind);
    away.back.abort();
  }

  /** Takes in an object from a list or an event. */
  async #seen(kind: Kind, object: KubeObject, signal: AbortSignal | undefined): Promise<void> {
    const name = object.metadata?.name ?? "";
    if (kind.gone.has(object.metadata?.uid ?? "")) await this.#doubt(kind, name, signal);
    else if (kind.stored.metadataOnly !== true || isPartial(kind, name)) this.#put(kind, object);
    else if (!isKnown(object, kind.objects.get(name))) await this.#verify(kind, name, signal);
  }

  /** A list or event is older than what we know of this object: only a read of the object itself can tell. */
  async #doubt(kind: Kind, name: string, signal: AbortSignal | undefined): Promise<void> {
    this.#options.observer.stale(kind.stored.resource);
    await this.#verify(kind, name, signal);
  }

  async #verify(kind: Kind, name: string, signal: AbortSignal | undefined): Promise<void> {
    const before = kind.objects.get(name);
    const partial = isPartial(kind, name);
    const object = await this.#get(kind, name, signal);
    // What came in during the read, such as the answer to a write of ours, may be newer.
    const undisturbed = kind.objects.get(name) === before;
    if (object !== undefined) this.#put(kind, object, { consistent: undisturbed, partial });
    else if (undisturbed) this.#remove(kind, name);
  }

  /** Reads one object consistently; of a Secret whose content is not asked for, the metadata. */
  async #get(kind: Kind, name: string, signal: AbortSignal | undefined): Promise<KubeObject | undefined> {
    const { client, namespace } = this.#options;
    const { resource } = kind.stored;
    if (isPartial(kind, name)) {
      const query = { namespace, fieldSelector: `metadata.name=${name}`, metadataOnly: true };
      return (await client.list(resource, query, { signal })).items[0];
    }
    try {
      return await client.get(resource, { namespace, name }, { signal });
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /**
   * @param how.consistent Whether the object was just read by itself, so that it counts even if it seems older.
   * @param how.partial Whether only its metadata was read, although its content may be asked for by now.
   */
  #put(kind: Kind, object: KubeObject, how: { consistent?: boolean; partial?: boolean } = {}): void {
    const { identity, observer } = this.#options;
    const { name = "", uid = "" } = object.metadata ?? {};
    const previous = kind.objects.get(name);
    const partial = how.partial === true || isPartial(kind, name);
    const asBefore = previous?.metadata?.resourceVersion === object.metadata?.resourceVersion;
    if (previous !== undefined && asBefore && (partial || isComplete(kind, name))) return;
    if (how.consistent === true) kind.gone.delete(uid);
    else if (kind.gone.has(uid) || isKnown(object, previous)) return observer.stale(kind.stored.resource);
    const kept = withKnownSpec(trim(partial ? metadataOf(object) : object, identity), previous);
    this.#unindex(kind, previous);
    kind.objects.set(name, kept);
    this.#revision++;
    kind.names.set(uid, name);
    const mark = markOf(kept, identity);
    if (mark !== undefined) kind.owned.set(mark, (kind.owned.get(mark) ?? new Set()).add(name));
    if (kind.stored.metadataOnly === true && !partial) kind.complete.add(name);
    observer.changed(kind.stored.resource, name, kept, previous);
  }

  /** A deletion that is older than what we know is that of an earlier incarnation. */
  #gone(kind: Kind, object: KubeObject): void {
    const name = object.metadata?.name ?? "";
    const uid = object.metadata?.uid ?? "";
    if (kind.objects.get(name)?.metadata?.uid !== uid) return;
    kind.deleted.add(uid);
    const [oldest] = kind.deleted;
    if (kind.deleted.size > mostGone && oldest !== undefined) kind.deleted.delete(oldest);
    this.#remove(kind, name);
  }

  #remove(kind: Kind, name: string): void {
    const previous = kind.objects.get(name);
    if (previous === undefined) return;
    kind.objects.delete(name);
    this.#revision++;
    kind.complete.delete(name);
    this.#unindex(kind, previous);
    rememberGone(kind, previous);
    this.#external.delete(previous.metadata?.uid ?? "");
    this.#options.observer.changed(kind.stored.resource, name, undefined, previous);
  }

  #unindex(kind: Kind, object: KubeObject | undefined): void {
    if (object === undefined) return;
    const mark = markOf(object, this.#options.identity) ?? "";
    const owned = kind.owned.get(mark);
    owned?.delete(object.metadata?.name ?? "");
    if (owned?.size === 0) kind.owned.delete(mark);
    kind.names.delete(object.metadata?.uid ?? "");
  }

  #failed(kind: Kind, error: unknown): void {
    if (isStatus(error, 404)) {
      for (const name of [...kind.objects.keys()]) this.#remove(kind, name);
      return this.#setState(kind, { phase: "absent" });
    }
    const message = error instanceof Error ? error.message : String(error);
    // What stands before a server that is away says so with one of the last three.
    const server = [0, 401, 502, 503, 504].some((status) => isStatus(error, status));
    const { state } = kind;
    const unlisted = state.phase === "pending" || (state.phase === "failed" && state.unlisted === true);
    this.#setState(kind, {
      ...{ phase: "failed", message, denied: isStatus(error, 403) },
      ...(server ? { server } : {}),
      ...(unlisted ? { unlisted } : {}),
    });
    const isLost = (other: Kind) =>
      isOutOfReach(other) || other.state.phase === "absent" ||
      isDenied(other.state);
    if (isOutOfReach(kind) && [...this.#kinds.values()].every(isLost)) {
      this.#away ??= { scout: kind, back: new AbortController() };
    }
  }

  #setState(kind: Kind, state: KindState): void {
    const before = kind.state;
    kind.state = state;
    if (state.phase !== "failed") kind.failedAt = undefined;
    else if (isAnswer(before) && !(isDenied(before) && state.denied)) {
      kind.failedAt = this.#options.clock.monotonic();
    }
    const isLast = this.#untried.delete(kind) && this.#untried.size === 0;
    if (before.phase !== state.phase || isLast) {
      this.#options.observer.kindChanged(kind.stored.resource, state);
    }
  }
}

interface Kind {
  readonly stored: StoredKind;
  state: KindState;
  /** When a list failed first, after one that did not, or that was refused for a lasting reason. */
  failedAt?: number | undefined;
  readonly objects: Map<string, KubeObject>;
  /** Names by uid. */
  readonly names: Map<string, string>;
  /** Names by the uid of the custom resource whose mark the objects carry. */
  readonly owned: Map<string, Set<string>>;
  /**
   * Uids of objects that are known to be gone, since an answer or a list may come later than the news of a deletion.
   * A uid never comes back, unless etcd was restored.
   */
  readonly gone: Set<string>;
  /** Uids of those of them whose deletion a watch told of. */
  readonly deleted: Set<string>;
  /** Where only metadata are listed: the names of what is read in full, and of what has been so. */
  contentOf: ReadonlySet<string>;
  readonly complete: Set<string>;
}

/** Whether the server has said how it is about a kind. */
function isAnswer(state: KindState): boolean {
  return state.phase === "synced" || state.phase === "absent" || isDenied(state);
}

/** Whether it could not be listed for no reason of its own. */
function isOutOfReach({ state }: Kind): boolean {
  return state.phase === "failed" && state.server === true;
}

function selectionOf({ stored }: Kind, namespace: string) {
  const { labelSelector, metadataOnly = false } = stored;
  return { namespace, metadataOnly, ...(labelSelector === undefined ? {} : { labelSelector }) };
}

/** Whether only the metadata of this object may be read. */
function isPartial({ contentOf, stored }: Kind, name: string): boolean {
  return stored.metadataOnly === true && !contentOf.has(name);
}

function isComplete({ complete, stored }: Kind, name: string): boolean {
  return stored.metadataOnly !== true || complete.has(name);
}

function rememberGone({ gone }: Kind, object: KubeObject): void {
  gone.add(object.metadata?.uid ?? "");
  const [oldest] = gone;
  if (gone.size > mostGone && oldest !== undefined) gone.delete(oldest);
}

/** `group/plural`, unique among the kinds of one API server. */
export function keyOf(resource: Resource): string {
  return `${resource.group}/${resource.plural}`;
}

/** Whether nothing is wrong with `definitions` in general where this kind is not served, or may not be listed. */
export function isOptional(definitions: readonly Definition[], resource: Resource): boolean {
  return definitions.some(({ optional = [], optionalKind, resource: own }) =>
    optional.some((each) => keyOf(each) === keyOf(resource)) ||
    (optionalKind !== undefined && keyOf(own) === keyOf(resource))
  );
}

/** Resource versions of one API server are decimal numbers that grow (KEP-5504); others are never called older. */
function isOlder(version: string | undefined, known: KubeObject): boolean {
  const than = known.metadata?.resourceVersion;
  if (version === undefined || than === undefined) return false;
  if (!/^\d+$/.test(version) || !/^\d+$/.test(than)) return false;
  return BigInt(version) < BigInt(than);
}

/** Whether `known` is at least as new as `object`. */
function isKnown(object: KubeObject, known: KubeObject | undefined): boolean {
  const version = object.metadata?.resourceVersion;
  return known !== undefined && (known.metadata?.resourceVersion === version || isOlder(version, known));
}

function metadataOf({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  return { apiVersion, kind, metadata };
}

/** With the spec that is known already where it is the same: what was found out about that need not be found out again. */
function withKnownSpec(object: KubeObject, known: KubeObject | undefined): KubeObject {
  const [before, now] = [known, object].map((each) =>
    (each as { readonly spec?: unknown } | undefined)?.spec
  );
  return before !== undefined && sameJson(before, now) ? { ...object, spec: before } as KubeObject : object;
}

function trim(object: KubeObject, identity: Identity): KubeObject {
  const { fieldManager } = identity;
  const entries = object.metadata?.managedFields;
  if (entries === undefined) return object;
  if (isPredecessors(object, identity) || hasLostMark(object, identity)) return object;
  const ours = entries.filter((entry) =>
    (entry.manager === fieldManager && entry.operation === "Apply" && !entry.subresource) ||
    entry.manager === correctionManager(fieldManager)
  );
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  return { ...object, metadata: ours.length === 0 ? metadata : { ...metadata, managedFields: ours } };
}
