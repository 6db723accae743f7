/**
 * Differences that stay: what the API server stores otherwise than it was applied (1024Mi as 1Gi), and a pod template
 * of the operator that was here before, which is not to be changed only because we would write it otherwise.
 *
 * Such a difference is recorded in an annotation of the object as a pair: a hash of what is desired, and a hash of
 * what is there instead. As long as both are the same, the difference is no reason to write. The pod template has a
 * pair of its own, since only its changes restart pods.
 */

import { createHash } from "node:crypto";
import type { KubeObject } from "../kubernetes/resource.ts";
import { type Difference, isRecord } from "./compare.ts";
import type { Identity } from "./ownership.ts";

/** A part of an object that is settled by itself. */
export type Part = "template" | "rest";
export const parts: readonly Part[] = ["template", "rest"];

/** Where workloads have their pod template. */
export const templatePath = ["spec", "template"] as const;

/** Annotation that holds the pair of a part. */
export function settledAnnotation(identity: Identity, part: Part): string {
  return `${identity.annotationPrefix}/settled${part === "template" ? "-template" : ""}`;
}

/** The differences in one part. */
export function differencesIn(part: Part, differences: readonly Difference[]): readonly Difference[] {
  return differences.filter(({ fields }) => isInTemplate(fields) === (part === "template"));
}

/** The pair of a part: `desired` as a whole object without the annotations of this module, and what differs in it. */
export function pairOf(part: Part, desired: KubeObject, differences: readonly Difference[]): string {
  const wanted = part === "template" ? templateOf(desired) : withTemplate(desired, undefined);
  const found = differencesIn(part, differences).map(({ path, live }) => [path, live ?? null]);
  return `${hash(wanted)}-${hash(found)}`;
}

/** The pod template; undefined for what is no workload. */
export function templateOf(object: KubeObject): Record<string, unknown> | undefined {
  const { spec } = object as { spec?: unknown };
  const template = isRecord(spec) ? spec["template"] : undefined;
  return isRecord(template) ? template : undefined;
}

/** The object with another pod template, where it has one. */
export function withTemplate<T extends KubeObject>(object: T, template: unknown): T {
  if (templateOf(object) === undefined) return object;
  return { ...object, spec: { ...(object as unknown as { spec: object }).spec, template } };
}

/** Whether a path of field names leads into the pod template. */
export function isInTemplate(fields: readonly string[]): boolean {
  return templatePath.every((name, index) => fields[index] === name);
}

/** Of JSON, whatever the order of its keys; short, since nobody attacks it. */
function hash(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(sorted(value)) ?? "").digest("hex").slice(0, 16);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}
