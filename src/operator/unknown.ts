/**
 * What is not known yet. What is desired follows in part from what there is (the address that a Service got, the
 * revision of a Secret): where that could never be read, it would be taken for missing.
 */

import { Secret } from "../kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../kubernetes/resource.ts";
import {
  type Child,
  type Definition,
  type Failure,
  isDenied,
  type Parent,
  type Snapshot,
} from "./definition.ts";

/** A snapshot that remembers what was read of it. */
export interface NotedReads {
  readonly snapshot: Snapshot;
  /**
   * Why what was read so far, or is among `children`, cannot be told: one for each kind or Secret.
   *
   * @param failures What failed lately, by what it was about.
   */
  unknown(children: readonly Child[], failures: ReadonlyMap<string, Failure>): readonly Failure[];
}

/** See `NotedReads`; `desired` of `definition` reads it for `parent`. */
export function noteReads(snapshot: Snapshot, definition: Definition, parent: Parent): NotedReads {
  const kinds = new Set<Resource>();
  const secrets = new Set<string>();
  const noted = (resource: Resource, object: KubeObject | undefined) => {
    kinds.add(resource);
    if (isPartial(resource, object)) secrets.add(object?.metadata?.name ?? "");
  };
  return {
    snapshot: {
      ...snapshot,
      get(resource, name) {
        const found = snapshot.get(resource, name);
        noted(resource as Resource, found);
        return found;
      },
      byUid(resource, uid) {
        const found = snapshot.byUid(resource, uid);
        noted(resource as Resource, found);
        return found;
      },
      list(resource) {
        kinds.add(resource as Resource);
        return snapshot.list(resource);
      },
      ownedBy(resource, parentUid) {
        kinds.add(resource as Resource);
        return snapshot.ownedBy(resource, parentUid);
      },
    },
    unknown(children, failures) {
      for (const child of children) {
        if (child.type === "external" || child.resource.kind !== Secret.kind) continue;
        const { name } = child.object.metadata;
        if (isPartial(child.resource, snapshot.get(child.resource, name))) secrets.add(name);
      }
      const awaited = secrets.size === 0
        ? []
        : definition.secretNames(parent).filter((name) => secrets.has(name));
      return [
        ...[...kinds].flatMap((resource) => neverListed(snapshot, definition, resource)),
        ...awaited.map((name) => ({
          object: `Secret ${name}`,
          reason: "Unreadable",
          message: `${failures.get(contentOf(name))?.message ?? "it was not read yet"}; until then, ${stays}`,
        })),
      ];
    },
  };
}

const stays = "everything stays as it is";

/** What a failure to read the content of a Secret is about. */
export function contentOf(name: string): string {
  return `content of Secret ${name}`;
}

/** Every Secret that was read in full has a type. */
function isPartial(resource: Resource, object: KubeObject | undefined): boolean {
  return resource.kind === Secret.kind && object !== undefined && !("type" in object);
}

/** A kind of which nothing is known. What was listed once is kept as it was then. */
function neverListed(
  snapshot: Snapshot,
  { childResources, optional = [] }: Definition,
  resource: Resource,
): readonly Failure[] {
  const state = snapshot.kind(resource);
  const isOpen = state.phase === "pending" || (state.phase === "failed" && state.unlisted === true);
  const why = isOpen ? unavailableKind(snapshot, resource) : undefined;
  if (why === undefined) return [];
  // Some Roles do without it, for good.
  const isMissed = childResources.includes(resource) && !optional.includes(resource);
  if (isDenied(state) && !isMissed) return [];
  return [{
    object: resource.plural,
    reason: why.reason,
    message: `${why.message}; until then, ${stays}`,
  }];
}

/** Why a kind cannot be judged now; undefined when it is listed. */
export function unavailableKind(snapshot: Snapshot, resource: Resource): Omit<Failure, "object"> | undefined {
  const state = snapshot.kind(resource);
  switch (state.phase) {
    case "synced":
      return undefined;
    case "pending":
      return { reason: "NotListed", message: `${resource.plural} have not been listed yet` };
    case "absent":
      return {
        reason: "NotServed",
        message: `the API server does not serve ${resource.plural} (${resource.group})`,
      };
    case "failed":
      if (!state.denied) return { reason: "ListFailed", message: state.message };
      return {
        reason: "ListForbidden",
        message: `${state.message}; grant get, list and watch on ${resource.plural} in the operator's Role`,
      };
  }
}
