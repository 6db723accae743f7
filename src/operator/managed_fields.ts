/**
 * Who owns which field: reading and rewriting `metadata.managedFields`, as server-side apply keeps them (`fieldsV1`).
 */

import type { ManagedFieldsEntry } from "../kubernetes/resource.ts";
import { isRecord } from "./compare.ts";

/** A set of fields in the form of `fieldsV1`. */
export type FieldSet = Readonly<Record<string, unknown>>;

/** What `manager` owns through its applies. */
export function appliedFields(
  entries: readonly ManagedFieldsEntry[] | undefined,
  manager: string,
): FieldSet {
  return entries?.find((entry) => isApply(entry, manager))?.fieldsV1 ?? {};
}

/** Whether `entry` holds what one of `managers` wrote by other requests than applies. */
export function isUpdate(entry: ManagedFieldsEntry, managers: readonly string[]): boolean {
  return managers.includes(entry.manager ?? "") && entry.operation === "Update" && !entry.subresource;
}

/**
 * Hands what `predecessors` own through updates to the applies of `manager`, so that its next apply removes what it
 * does not want (what csaupgrade of client-go does). Replicas become nobody's: an autoscaler may have them.
 */
export function migrated(
  entries: readonly ManagedFieldsEntry[],
  predecessors: readonly string[],
  manager: string,
): readonly ManagedFieldsEntry[] {
  const theirs = entries.filter((entry) => isUpdate(entry, predecessors));
  const ours = entries.find((entry) => isApply(entry, manager));
  const [first] = theirs;
  if (first === undefined) return entries;
  const fields = theirs.reduce((all, { fieldsV1 = {} }) => union(all, fieldsV1), ours?.fieldsV1 ?? {});
  const entry = { ...first, manager, operation: "Apply", fieldsV1: withoutReplicas(fields) };
  return [...entries.filter((each) => each !== ours && !theirs.includes(each)), entry];
}

/** The part of `live` that is in `fields`: what an apply has to say so that nothing changes. */
export function extract(fields: FieldSet, live: unknown): unknown {
  const inner = Object.entries(fields).filter(([key]) => key !== ".");
  if (inner.length === 0) return "." in fields ? emptied(live) : live;
  if (Array.isArray(live)) {
    const owned = inner.map(([key, rest]) => ({ key, rest, item: select(key, live) }));
    // In the order in which they stand: an apply puts them in the order that it says.
    return live.flatMap((item) => {
      const found = owned.find((each) => each.item === item);
      if (found === undefined) return [];
      const { key, rest } = found;
      // A list is merged by the keys of its items, so each must have them.
      const keys = key.startsWith("k:") ? JSON.parse(key.slice(2)) as Record<string, unknown> : {};
      const said = extract(rest as FieldSet, item);
      return [isRecord(said) ? { ...keys, ...said } : said];
    });
  }
  if (!isRecord(live)) return live;
  return Object.fromEntries(
    inner.map(([key, rest]) => [key.slice(2), select(key, live), rest] as const)
      .filter(([, value]) => value !== undefined)
      .map(([name, value, rest]) => [name, extract(rest as FieldSet, value)]),
  );
}

/** The fields of `fields` below a path of field names; undefined where there are none. */
export function fieldsAt(fields: FieldSet, path: readonly string[]): FieldSet | undefined {
  return path.reduce<FieldSet | undefined>((inner, name) => {
    const next = inner?.[`f:${name}`];
    return isRecord(next) ? next : undefined;
  }, fields);
}

/**
 * Which fields one field manager owns that it should not own any more.
 *
 * `fieldsV1` is the manager's entry in `metadata.managedFields`, `desired` is what it would apply next. Server-side
 * apply removes such fields with the next apply, so each of them is a reason to make one.
 */
export function obsoleteFields(fieldsV1: FieldSet, desired: unknown): string[] {
  return obsoletePaths(fieldsV1, desired).map((path) => path.replace(/^\./, ""));
}

/** Puts a path together only where there is one: mostly there is none. */
function obsoletePaths(fieldsV1: FieldSet, desired: unknown): string[] {
  const found: string[] = [];
  for (const key in fieldsV1) {
    if (key === ".") continue;
    const [value, rest] = [select(key, desired), fieldsV1[key]];
    if (value === undefined) found.push(describeField(key));
    else if (isRecord(rest)) {
      for (const path of obsoletePaths(rest, value)) found.push(`${describeField(key)}${path}`);
    }
  }
  return found;
}

function select(key: string, value: unknown): unknown {
  const name = key.slice(2);
  if (key.startsWith("f:")) return isRecord(value) ? value[name] : undefined;
  if (!Array.isArray(value)) return undefined;
  if (key.startsWith("k:")) {
    const keys = Object.entries(JSON.parse(name) as Record<string, unknown>);
    const items = value.filter(isRecord);
    // The server writes a key's default out, such as a port's protocol, also where the item leaves it out.
    return items.find((item) => keys.every(([k, v]) => item[k] === v)) ??
      items.find((item) => keys.every(([k, v]) => item[k] === undefined || item[k] === v));
  }
  if (key.startsWith("v:")) return value.find((item) => item === JSON.parse(name));
  return value[Number(name)];
}

function describeField(key: string): string {
  const name = key.slice(2);
  if (key.startsWith("f:")) return /^[\w-]+$/.test(name) ? `.${name}` : `[${name}]`;
  if (!key.startsWith("k:")) return `[${name}]`;
  return `[${Object.entries(JSON.parse(name)).map(([k, v]) => `${k}=${v}`).join(",")}]`;
}

function isApply(entry: ManagedFieldsEntry, manager: string): boolean {
  return entry.manager === manager && entry.operation === "Apply" && !entry.subresource;
}

/** Of an object or list that is owned without anything in it. */
function emptied(value: unknown): unknown {
  if (Array.isArray(value)) return [];
  return isRecord(value) ? {} : value;
}

function union(one: FieldSet, other: FieldSet): FieldSet {
  const result: Record<string, unknown> = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const known = result[key];
    result[key] = isRecord(known) && isRecord(value) ? union(known, value) : value;
  }
  return result;
}

function withoutReplicas(fields: FieldSet): FieldSet {
  const spec = fields["f:spec"];
  if (!isRecord(spec)) return fields;
  const { "f:replicas": _, ...rest } = spec;
  return { ...fields, "f:spec": rest };
}
