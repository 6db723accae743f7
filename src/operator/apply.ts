/**
 * Carries out one write to the Kubernetes API.
 *
 * Guarantees: a write that arrives late, from a process that was paused or has lost its Lease, changes nothing, since
 * each carries the uid and resourceVersion of what the plan saw, or may only create. The fence is looked at before
 * each request as well, to be quick about it. Never throws for what a server may answer: failures are values.
 */

import type { Clock } from "../clock.ts";
import type { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError, isStatus } from "../kubernetes/errors.ts";
import type { KubeObject, ObjectMeta, Resource } from "../kubernetes/resource.ts";
import type { Failure } from "./definition.ts";
import { correctionManager, type Identity, revisionAnnotation } from "./ownership.ts";
import { describeTarget, type KubernetesWrite } from "./write.ts";

/** What came of a write. */
export type Outcome =
  /** `object` is what the server stored; undefined after a deletion. */
  | { readonly type: "written"; readonly object: KubeObject | undefined }
  /** The object is not what the plan saw: read it again and plan anew. */
  | { readonly type: "outdated" }
  /** Writing is not allowed to this process now; nothing was sent. */
  | { readonly type: "fenced" }
  /** The namespace is going away: everything ends. */
  | { readonly type: "terminating" }
  /** The server refuses `blockOwnerDeletion` from us. */
  | { readonly type: "blockOwnerDeletionRefused" }
  | {
    readonly type: "failed";
    readonly failure: Failure;
    /** False when only a change of the desired object or of permissions can help: wait long. */
    readonly retryable: boolean;
    readonly retryAfterMs?: number | undefined;
  };

export interface ApplyContext {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly identity: Identity;
  /** Whether this process may write now. */
  readonly mayWrite: () => boolean;
  readonly signal: AbortSignal;
  /** Told of each object with generated values before it is sent, so that no text can hold them. */
  readonly onGenerated: (resource: Resource, object: KubeObject) => void;
}

/** Carries out `write`. */
export async function applyWrite(write: KubernetesWrite, context: ApplyContext): Promise<Outcome> {
  if (!context.mayWrite()) return { type: "fenced" };
  try {
    const object = await send(write, context);
    return object === "fenced" ? { type: "fenced" } : { type: "written", object };
  } catch (error) {
    return outcomeOf(error, write);
  }
}

async function send(
  write: KubernetesWrite,
  context: ApplyContext,
): Promise<KubeObject | undefined | "fenced"> {
  const { client, identity, signal } = context;
  const { resource, namespace, name } = write;
  const fieldManager = identity.fieldManager;
  switch (write.verb) {
    case "apply": {
      let precondition: Partial<ObjectMeta> = write.precondition ?? { resourceVersion: "1" };
      if (write.before !== undefined && write.precondition !== undefined) {
        const patch = {
          ...write.before,
          metadata: { ...write.before["metadata"] as object | undefined, ...write.precondition },
        };
        const patched = await client.patch(resource, { namespace, name }, { type: "merge", patch }, {
          fieldManager: correctionManager(fieldManager),
          signal,
        });
        if (!context.mayWrite()) return "fenced";
        precondition = { uid: write.precondition.uid, resourceVersion: patched.metadata?.resourceVersion };
      } else if (write.precondition !== undefined && isCorrected(write.live, identity)) {
        // First: what a correction still owns would stay when the apply gives it up.
        const { resourceVersion } = write.precondition;
        const seen = await client.get(resource, { namespace, name }, { signal });
        if (seen.metadata?.resourceVersion !== resourceVersion) throw changedMeanwhile(write);
        const freed = await withoutCorrections(seen, write, context);
        precondition = { uid: write.precondition.uid, resourceVersion: freed.metadata?.resourceVersion };
        if (!context.mayWrite()) return "fenced";
      }
      const object = withMetadata(write.object, {
        ...precondition,
        ...(write.freshRevision
          ? {
            annotations: {
              ...write.object.metadata.annotations,
              [revisionAnnotation(identity)]: context.clock.uuid(),
            },
          }
          : {}),
      });
      const applied = await client.apply(resource, object, { fieldManager, force: true, signal });
      return await withoutCorrections(applied, write, context);
    }
    case "create":
    case "replace": {
      const data = await write.generate?.();
      // Making a key takes long enough for a Lease to be lost.
      if (!context.mayWrite()) return "fenced";
      const object = { ...write.object, ...(data === undefined ? {} : { data }) } as KubeObject;
      if (data !== undefined) context.onGenerated(resource, object);
      return write.verb === "create"
        ? await client.create(resource, object, { fieldManager, signal })
        : await client.replace(resource, object, { fieldManager, signal });
    }
    case "adopt":
      return await client.patch(
        resource,
        { namespace, name },
        { type: "json", operations: write.operations },
        { fieldManager: correctionManager(fieldManager), signal },
      );
    case "delete":
      try {
        const left = await client.delete(resource, { namespace, name }, {
          preconditions: write.precondition,
          propagationPolicy: write.isAwaited ? "Foreground" : "Background",
          signal,
        });
        // Some kinds answer with the object although it is gone.
        return left?.metadata?.deletionTimestamp === undefined ? undefined : left;
      } catch (error) {
        if (isStatus(error, 404)) return undefined;
        throw error;
      }
  }
}

/** Removes what corrections own, now that the same is applied; if that fails, the next plan finds it. */
async function withoutCorrections(
  object: KubeObject,
  { resource, namespace, name }: KubernetesWrite,
  { client, identity, mayWrite, signal }: ApplyContext,
): Promise<KubeObject> {
  const manager = correctionManager(identity.fieldManager);
  const index = object.metadata?.managedFields?.findIndex((entry) => entry.manager === manager) ?? -1;
  if (index < 0 || !mayWrite()) return object;
  const path = `/metadata/managedFields/${index}`;
  // Not by resourceVersion: a Deployment's status changes all the time just after its template did.
  const operations = [
    { op: "test", path: "/metadata/uid", value: object.metadata?.uid },
    { op: "test", path: `${path}/manager`, value: manager },
    { op: "remove", path },
  ] as const;
  try {
    return await client.patch(resource, { namespace, name }, { type: "json", operations }, {
      fieldManager: manager,
      signal,
    });
  } catch (error) {
    if (error instanceof ApiError) return object;
    throw error;
  }
}

function isCorrected(live: KubeObject | undefined, identity: Identity): boolean {
  const manager = correctionManager(identity.fieldManager);
  return live?.metadata?.managedFields?.some((entry) => entry.manager === manager) ?? false;
}

function changedMeanwhile(write: KubernetesWrite): ApiError {
  return new ApiError(`${describeTarget(write)} was changed meanwhile`, { status: 409, reason: "Conflict" });
}

function withMetadata(
  object: KubeObject & { readonly metadata: ObjectMeta },
  more: Partial<ObjectMeta>,
): KubeObject {
  return { ...object, metadata: { ...object.metadata, ...more } };
}

function outcomeOf(error: unknown, write: KubernetesWrite): Outcome {
  if (!(error instanceof ApiError)) {
    return failed(write, "InternalError", error instanceof Error ? error.message : String(error), true);
  }
  if (error.hasCause("NamespaceTerminating")) return { type: "terminating" };
  if (error.status === 409 || error.status === 404) return { type: "outdated" };
  // A JSON patch whose `test` does not hold is a 422 that says nothing about the desired object.
  if (error.status === 422 && write.verb === "adopt") return { type: "outdated" };
  if (error.status === 403 && error.message.includes("blockOwnerDeletion")) {
    return { type: "blockOwnerDeletionRefused" };
  }
  const [, quota] = error.status === 403 ? /exceeded quota: ([^,:\s]+)/.exec(error.message) ?? [] : [];
  if (quota !== undefined) {
    const remedy = `raise ResourceQuota ${quota}, or free what it counts`;
    return failed(write, "QuotaExceeded", `${error.message}; ${remedy}`, true);
  }
  if (error.status === 403 && !isAdmission(error)) {
    // OwnerReferencesPermissionEnforcement: whoever changes the owner of an object could have it collected.
    const isOwner = error.message.includes("cannot set an ownerRef on a resource you can't delete");
    const what = isOwner ? `delete on ${write.resource.plural}` : "it";
    return failed(write, "Forbidden", `${error.message}; grant ${what} in the operator's Role`, false);
  }
  if ([400, 403, 422].includes(error.status)) return failed(write, "Rejected", error.message, false);
  if (error.reason === "Aborted") return { type: "fenced" };
  const reason = error.status < 500 ? error.reason : "ServerError";
  // A token that ran out is read again by the transport.
  const retryable = error.retryable || error.status === 401;
  return { ...failed(write, reason, error.message, retryable), retryAfterMs: error.retryAfterMs };
}

/** Whether it was not a Role that forbade this: webhooks and policies answer with 403 too. */
function isAdmission(error: ApiError): boolean {
  return /admission webhook|violates PodSecurity|denied (the )?request|pvc can be resized/
    .test(error.message);
}

function failed(write: KubernetesWrite, reason: string, message: string, retryable: boolean) {
  return { type: "failed", failure: { object: describeTarget(write), reason, message }, retryable } as const;
}
