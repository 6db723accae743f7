/**
 * The forms of a child that component builders return, and what they read from a live Secret.
 */

import type { AppliedChild } from "../operator/definition.ts";
import type { Snapshot } from "../operator/definition.ts";
import { apiVersionOf, type KubeObject, type ObjectMeta, type Resource } from "../kubernetes/resource.ts";
import { Secret } from "../kubernetes/generated/core_v1.ts";

/** Set by the engine on a `revisioned` Secret whenever its data change; repeated by the pods that read it. */
export const REVISION_ANNOTATION = "iofog.org/revision";

/** Metadata of a child: the engine adds the owner reference. */
export type ChildMeta = ObjectMeta & { readonly name: string; readonly namespace: string };

/** What an object of type `T` says besides its name. */
export type ChildBody<T> = Omit<T, "apiVersion" | "kind" | "metadata" | "status">;

/** A child that is kept equal to `body` by server-side apply. */
export function applied<T extends KubeObject>(
  resource: Resource<T>,
  metadata: ChildMeta,
  body: ChildBody<T>,
  how: Pick<AppliedChild, "absent" | "adopts" | "retained" | "revisioned"> = {},
): AppliedChild {
  return { type: "applied", resource, object: manifest(resource, metadata, body), ...how };
}

/** A complete object of type `resource`. */
export function manifest<T extends KubeObject>(
  resource: Resource<T>,
  metadata: ChildMeta,
  body: ChildBody<T>,
): AppliedChild["object"] {
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata, ...body };
}

/** `data` of a Secret for `values`; an empty text stays, since a pod that refers to a missing key does not start. */
export function secretData(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, encodeBase64(value)]));
}

/** The decoded `data` of a live Secret; undefined where the Secret is not there. */
export function secretValues(snapshot: Snapshot, name: string): Readonly<Record<string, string>> | undefined {
  const secret = snapshot.get(Secret, name);
  if (secret === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, decodeBase64(value)]),
  );
}

/**
 * Annotations of a pod template that make its pods start again when one of these Secrets changes. A Secret that has
 * not changed since its creation adds none, so that a fresh install restarts nothing.
 */
export function revisionAnnotations(
  snapshot: Snapshot,
  secretNames: readonly string[],
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    secretNames.flatMap((name) => {
      const revision = snapshot.get(Secret, name)?.metadata?.annotations?.[REVISION_ANNOTATION];
      return revision === undefined ? [] : [[`${REVISION_ANNOTATION}-${name}`, revision]];
    }),
  );
}

/** Standard base64 of UTF-8 text. */
export function encodeBase64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}

/** UTF-8 text from standard base64; with `fatal` what is no UTF-8 throws. */
export function decodeBase64(encoded: string, options: { readonly fatal?: boolean } = {}): string {
  return new TextDecoder("utf-8", options).decode(Uint8Array.fromBase64(encoded));
}
