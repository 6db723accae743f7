/**
 * Whose an object is.
 *
 * The controller owner reference decides. An annotation with the owner's uid, which travels with every object that we
 * write, lets an object be recognised whose reference somebody stripped; it never overrides a living controller.
 */

import { apiVersionOf, type KubeObject, type OwnerReference, type Resource } from "../kubernetes/resource.ts";
import type { Parent } from "./definition.ts";
import { appliedFields, type FieldSet, isUpdate } from "./managed_fields.ts";

/** How this operator marks what it writes. */
export interface Identity {
  /** Field manager of every apply. */
  readonly fieldManager: string;
  /** Prefix of annotations, e.g. `iofog.org`. */
  readonly annotationPrefix: string;
  /** Field managers of the operators that this one takes over from, as their creates and updates name them. */
  readonly predecessors: readonly string[];
}

/** What an object is to a parent. */
export type Ownership =
  | { readonly type: "ours" }
  /** Controlled by an earlier incarnation of the parent, at this index of its owner references. */
  | { readonly type: "orphan"; readonly index: number; readonly reference: OwnerReference }
  /** Somebody else's, or nobody's that is known. `owner` names the controller, if there is one. */
  | { readonly type: "foreign"; readonly owner: string | undefined };

/** Annotation with the uid of the custom resource that an object belongs to. */
export function ownerAnnotation(identity: Identity): string {
  return `${identity.annotationPrefix}/owner-uid`;
}

/** Annotation with the name of the custom resource that a retained object belongs to. */
export function ownerNameAnnotation(identity: Identity): string {
  return `${identity.annotationPrefix}/owner-name`;
}

/** Annotation that changes with every write of ours to a Secret that pods read through their environment. */
export function revisionAnnotation(identity: Identity): string {
  return `${identity.annotationPrefix}/revision`;
}

/** Annotation of a custom resource that keeps us from writing anything for it while it says "true". */
export function pauseAnnotation(identity: Identity): string {
  return `${identity.annotationPrefix}/pause`;
}

/** Whether somebody wants nothing to be written for `parent`, its status aside. */
export function isPaused(parent: KubeObject, identity: Identity): boolean {
  return parent.metadata?.annotations?.[pauseAnnotation(identity)] === "true";
}

/** Annotation of a custom resource that lets it take over what somebody else made in the external system. */
export function adoptAnnotation(identity: Identity): string {
  return `${identity.annotationPrefix}/adopt`;
}

/** Whether `parent` may take over what exists in the external system and is recorded for nobody. */
export function mayAdopt(parent: KubeObject, identity: Identity): boolean {
  return parent.metadata?.annotations?.[adoptAnnotation(identity)] === "true";
}

/**
 * Annotation of the custom resource with the inventory that says: what is missing was deleted, be it most of a kind at
 * once.
 */
export function pruneAnnotation(identity: Identity): string {
  return `${identity.annotationPrefix}/prune`;
}

/** Whether what custom resources made is deleted although most of a kind are gone at once. */
export function mayPrune(parent: KubeObject, identity: Identity): boolean {
  return parent.metadata?.annotations?.[pruneAnnotation(identity)] === "true";
}

/**
 * Field manager of patches that correct what no apply can. What it owns the server would keep for ever, so an apply
 * takes it over, and its entry in managedFields is removed.
 */
export function correctionManager(fieldManager: string): string {
  return `${fieldManager}-correction`;
}

/** The owner reference that every child carries. */
export function ownerReference(
  resource: Resource,
  parent: Parent,
  blockOwnerDeletion: boolean,
): OwnerReference {
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    name: parent.metadata.name,
    uid: parent.metadata.uid,
    controller: true,
    ...(blockOwnerDeletion ? { blockOwnerDeletion } : {}),
  };
}

/**
 * What `object` is to `parent`.
 *
 * @param isLiving Whether there is an object of the parent's kind with this uid, to tell an earlier incarnation from a
 *   rival.
 */
export function ownership(
  object: KubeObject,
  resource: Resource,
  parent: Parent,
  isLiving: (uid: string) => boolean,
  identity: Identity,
): Ownership {
  const references = object.metadata?.ownerReferences ?? [];
  const index = references.findIndex((reference) => reference.controller === true);
  const controller = references[index];
  const marked = markOf(object, identity);
  if (controller === undefined) {
    const name = object.metadata?.annotations?.[ownerNameAnnotation(identity)] ?? parent.metadata.name;
    const ours = marked === undefined
      ? isPredecessors(object, identity) || hasLostMark(object, identity)
      : marked === parent.metadata.uid || (!isLiving(marked) && name === parent.metadata.name);
    return ours ? { type: "ours" } : { type: "foreign", owner: undefined };
  }
  if (controller.uid === parent.metadata.uid) return { type: "ours" };
  const sameKind = controller.kind === resource.kind &&
    controller.apiVersion.split("/")[0] === resource.group;
  if (sameKind && controller.name === parent.metadata.name && !isLiving(controller.uid)) {
    return { type: "orphan", index, reference: controller };
  }
  return { type: "foreign", owner: `${controller.kind} ${controller.name}` };
}

/** Whether nobody controls `object`, and it carries no mark of a living custom resource. */
export function isFree(object: KubeObject, isLiving: (uid: string) => boolean, identity: Identity): boolean {
  const controlled = object.metadata?.ownerReferences?.some(({ controller }) => controller === true) ?? false;
  const marked = markOf(object, identity);
  return !controlled && (marked === undefined || !isLiving(marked));
}

/** The uid of the custom resource whose mark `object` carries. */
export function markOf(object: KubeObject, identity: Identity): string | undefined {
  return object.metadata?.annotations?.[ownerAnnotation(identity)];
}

/**
 * Whether a predecessor made `object` and we have not taken it over yet: what it wrote is still there, and our mark is
 * not. Our own creates and updates may have the same name, but they carry the mark.
 */
export function isPredecessors(object: KubeObject, identity: Identity): boolean {
  if (markOf(object, identity) !== undefined) return false;
  const entries = object.metadata?.managedFields ?? [];
  return entries.some((entry) => isUpdate(entry, identity.predecessors) && hasContent(entry.fieldsV1));
}

/**
 * Whether `object` lost our mark but not what we applied: a predecessor that comes back puts its own objects over
 * ours, and where they say the same, nothing tells that it was there.
 */
export function hasLostMark(object: KubeObject, identity: Identity): boolean {
  return markOf(object, identity) === undefined &&
    hasContent(appliedFields(object.metadata?.managedFields, identity.fieldManager));
}

function hasContent(fields: FieldSet = {}): boolean {
  return Object.keys(fields).some((field) => field !== "f:metadata");
}

/** Whether `object` was made for `parent` by us, and may therefore be pruned. */
export function isChildOf(object: KubeObject, parent: Parent, identity: Identity): boolean {
  const controller = object.metadata?.ownerReferences?.find((reference) => reference.controller === true);
  const marked = markOf(object, identity) === parent.metadata.uid;
  return marked && (controller === undefined || controller.uid === parent.metadata.uid);
}
