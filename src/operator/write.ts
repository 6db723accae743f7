/**
 * A write as data: what the plan asks for, what `diff` prints, and what `apply` carries out.
 */

import type { JsonPatchOperation } from "../kubernetes/client.ts";
import type { KubeObject, ObjectMeta, Resource } from "../kubernetes/resource.ts";
import type { Child, ExternalWrite } from "./definition.ts";

export type { ExternalWrite } from "./definition.ts";

/** What a write changes of an object that exists; the object as it was read. */
export interface Precondition {
  readonly uid: string;
  readonly resourceVersion: string;
}

interface KubernetesWriteBase {
  readonly world: "kubernetes";
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
  /** Why: field paths that differ, or one word such as `missing`. */
  readonly paths: readonly string[];
  /** The object as it is, for `diff`; absent when it will be created. */
  readonly live?: KubeObject | undefined;
}

/** A write to the Kubernetes API. */
export type KubernetesWrite =
  /** Server-side apply; without `precondition` it creates and never overwrites. */
  | KubernetesWriteBase & {
    readonly verb: "apply";
    readonly object: KubeObject & { readonly metadata: ObjectMeta };
    readonly precondition?: Precondition | undefined;
    /** Merge patch that has to come first, e.g. to null what an apply cannot remove. */
    readonly before?: Readonly<Record<string, unknown>> | undefined;
    /** Records differences that stay; see `settled.ts`. */
    readonly settles?: boolean | undefined;
    /** Set a fresh revision annotation in the same write. */
    readonly freshRevision?: boolean | undefined;
  }
  /** POST; a 409 means that it exists. */
  | KubernetesWriteBase & {
    readonly verb: "create";
    readonly object: KubeObject & { readonly metadata: ObjectMeta };
    readonly generate?: (() => Promise<Readonly<Record<string, string>>>) | undefined;
  }
  /** PUT of the live object with other `data`. */
  | KubernetesWriteBase & {
    readonly verb: "replace";
    readonly object: KubeObject & { readonly metadata: ObjectMeta };
    readonly generate: () => Promise<Readonly<Record<string, string>>>;
  }
  /** JSON patch that hands over an object of a dead parent, or of the operator that was here before. */
  | KubernetesWriteBase & {
    readonly verb: "adopt";
    readonly operations: readonly JsonPatchOperation[];
  }
  | KubernetesWriteBase & {
    readonly verb: "delete";
    readonly precondition: Precondition;
    /** Stays until what it made, such as pods, is gone. */
    readonly isAwaited?: boolean | undefined;
  };

export type Write = KubernetesWrite | ExternalWrite;

/** `Deployment controller`: how a write's object is called in logs, Events and conditions. */
export function describeTarget(write: Write): string {
  return write.world === "external"
    ? `${write.child.kind} ${write.child.name}`
    : `${write.resource.kind} ${write.name}`;
}

/** The same for what is desired, so that a child and the write of it can be found by each other. */
export function describeChild(child: Child): string {
  return child.type === "external"
    ? `${child.kind} ${child.name}`
    : `${child.resource.kind} ${child.object.metadata.name}`;
}

/** `update Deployment controller (spec.replicas)`: a write in words, as a person would say it. */
export function describeWrite(write: Write): string {
  const isNew = (write.world === "external" ? write.observed : write.live) === undefined;
  if (isNew) return `create ${describeTarget(write)}`;
  if (write.verb === "delete") return `delete ${describeTarget(write)}`;
  const shown = write.paths.slice(0, 3).join(", ");
  return `update ${describeTarget(write)} (${shown}${write.paths.length > 3 ? ", ..." : ""})`;
}
