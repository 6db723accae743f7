/**
 * How server-side apply merges each field of the kinds we use, from their OpenAPI documents.
 *
 * The generated table holds only what leads to a list or an atomic map, type by type; a path is walked through it.
 */

import { type FieldRule, kindTypes, typeFields } from "./generated/merge_rules.ts";
import type { Resource } from "./resource.ts";

/** How server-side apply treats a value as a whole; one without a rule is merged field by field. */
export type MergeRule =
  /** A list whose items are matched by these fields; an item that leaves one out has its default. */
  | {
    readonly type: "map";
    readonly keys: readonly string[];
    readonly defaults?: Readonly<Record<string, unknown>>;
  }
  /** A list of which each value is owned by itself. */
  | { readonly type: "set" }
  /** A list or map that is replaced as a whole. */
  | { readonly type: "atomic" };

/**
 * The rule of the field at `path`.
 *
 * @param path Field names from the object's root, without anything for the items of lists, e.g.
 * `["spec", "template", "spec", "containers", "ports"]`.
 * @returns Undefined for a field that is merged field by field, and for anything within an atomic one or in a kind
 * that is not generated; of custom resources only `metadata` is known.
 */
export function mergeRuleAt(resource: Resource, path: readonly string[]): MergeRule | undefined {
  let type = kindTypes[`${resource.group}/${resource.version}/${resource.kind}`];
  let rule: FieldRule | undefined;
  for (let at = 0; at < path.length; at++) {
    rule = at === 0 && path[at] === "metadata" ? { of: "meta_v1.ObjectMeta" } : fieldOf(type, path[at]!);
    if (rule === undefined) return undefined;
    type = rule.of;
  }
  if (rule?.merge === "map") {
    const { defaults, keys = [] } = rule;
    return { type: "map", keys, ...(defaults === undefined ? {} : { defaults }) };
  }
  return rule?.merge === undefined ? undefined : { type: rule.merge };
}

function fieldOf(type: string | undefined, field: string): FieldRule | undefined {
  const fields = type === undefined ? undefined : typeFields[type];
  return fields !== undefined && Object.hasOwn(fields, field) ? fields[field] : undefined;
}
