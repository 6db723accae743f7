/**
 * What differs between an object as it should be and as it is.
 *
 * Guarantees: only fields that are desired are looked at, so whatever others added (defaults of the API server,
 * annotations, side-cars, an autoscaler's replicas) is no difference. Lists are matched as server-side apply matches
 * them. Assumes that both objects were parsed from JSON.
 */

import type { MergeRule } from "../kubernetes/schema.ts";

/** Tells the rule of a path made of field names only (no indices), e.g. `["spec", "ports"]`. */
export type MergeRules = (path: readonly string[]) => MergeRule | undefined;

/** A list, not within another list, that holds items of ours under changed keys, and what it should hold instead. */
export interface RenamedItems {
  readonly path: readonly string[];
  readonly items: readonly unknown[];
}

/** A place where two objects differ. */
export interface Difference {
  /** Readable, e.g. `spec.template.spec.containers[name=controller].image`. */
  readonly path: string;
  /** Names of the fields that lead there, without keys of list items. */
  readonly fields: readonly string[];
  /** What stands there; undefined where nothing does. */
  readonly live: unknown;
}

/** What `compare` found. */
export interface Comparison {
  /** Paths of `differences`. */
  readonly paths: readonly string[];
  readonly differences: readonly Difference[];
  /**
   * Lists in which an item of ours stands under a changed key. An apply would add ours beside it, so that a renamed
   * container would run twice: such a list has to be replaced first.
   */
  readonly renamed: readonly RenamedItems[];
}

/** Compares `desired` with `live`, field by field. */
export function compare(desired: unknown, live: unknown, rules: MergeRules): Comparison {
  const differences: Difference[] = [];
  const renamed: RenamedItems[] = [];
  walk(desired, live, { fields: [], text: "", inList: false, rules, differences, renamed });
  return { paths: differences.map(({ path }) => path), differences, renamed };
}

/** Whether `live` contains everything that `desired` says. */
export function contains(live: unknown, desired: unknown, rules: MergeRules = () => undefined): boolean {
  return compare(desired, live, rules).paths.length === 0;
}

interface Position {
  readonly fields: readonly string[];
  readonly text: string;
  /** Whether a list encloses this place, so that a correction has to be made in that list. */
  readonly inList: boolean;
  readonly rules: MergeRules;
  readonly differences: Difference[];
  readonly renamed: RenamedItems[];
}

/** Records differences; returns `live` with renamed items put right, where a list encloses it and there are any. */
function walk(desired: unknown, live: unknown, at: Position): unknown {
  if (desired === undefined) return undefined;
  if (Array.isArray(desired)) return walkList(desired, live, at);
  if (!isRecord(desired)) {
    if (desired !== live) note(at, live);
    return undefined;
  }
  if (!isRecord(live)) {
    if (Object.values(desired).some((value) => value !== undefined)) note(at, live);
    return undefined;
  }
  const corrected: Record<string, unknown> = {};
  for (const key in desired) {
    // Most of what is compared is equal, and then it does not matter how it would be merged.
    if (isEqual(desired[key], live[key])) continue;
    const inner = walk(desired[key], live[key], below(at, key));
    if (inner !== undefined) corrected[key] = inner;
  }
  if (at.rules(at.fields)?.type === "atomic") {
    for (const key of Object.keys(live)) {
      if (desired[key] === undefined) note(below(at, key), live[key]);
    }
  }
  return Object.keys(corrected).length === 0 ? undefined : { ...live, ...corrected };
}

function walkList(desired: readonly unknown[], live: unknown, at: Position): unknown {
  const rule = at.rules(at.fields);
  if (!Array.isArray(live)) {
    if (desired.length > 0) note(at, live);
    return undefined;
  }
  if (rule?.type === "set") {
    for (const item of desired) {
      if (!live.includes(item)) note({ ...at, text: `${at.text}[${item}]` }, undefined);
    }
    return undefined;
  }
  if (rule?.type !== "map") {
    if (desired.length !== live.length) note(at, live);
    else {
      desired.forEach((item, index) =>
        walk(item, live[index], { ...at, inList: true, text: `${at.text}[${index}]` })
      );
    }
    return undefined;
  }
  const missing: unknown[] = [];
  const corrected = new Map<unknown, unknown>();
  for (const item of desired) {
    const found = live.find((candidate) => sameKeys(item, candidate, rule));
    const text = `${at.text}[${describeKeys(item, rule.keys)}]`;
    if (found === undefined) {
      note({ ...at, text }, undefined);
      missing.push(item);
      continue;
    }
    const inner = walk(item, found, { ...at, inList: true, text });
    if (inner !== undefined) corrected.set(found, inner);
  }
  // Each in the place where it was: the order of containers and variables means something.
  const restored = new Map<unknown, unknown>();
  for (const candidate of live) {
    if (desired.some((item) => sameKeys(item, candidate, rule))) continue;
    const matching = missing.filter((item) => isSameUnderOtherKey(item, candidate, rule.keys, at));
    if (matching.length === 0) continue;
    restored.set(candidate, matching.find((item) => ![...restored.values()].includes(item)));
  }
  if (restored.size === 0 && corrected.size === 0) return undefined;
  const items = [
    ...live.map((item) => restored.has(item) ? restored.get(item) : corrected.get(item) ?? item)
      .filter((item) => item !== undefined),
    ...(restored.size === 0 ? [] : missing.filter((item) => ![...restored.values()].includes(item))),
  ];
  if (at.inList) return items;
  at.renamed.push({ path: at.fields, items });
  return undefined;
}

function isSameUnderOtherKey(
  desired: unknown,
  live: unknown,
  keys: readonly string[],
  at: Position,
): boolean {
  if (!isRecord(desired) || !isRecord(live)) return false;
  const rest = Object.entries(desired).filter(([key]) => !keys.includes(key));
  if (rest.length === 0) return false;
  const nested: Position = { ...at, differences: [], renamed: [] };
  for (const [key, value] of rest) walk(value, live[key], below(nested, key));
  return nested.differences.length === 0;
}

function note(at: Position, live: unknown): void {
  at.differences.push({ path: at.text, fields: at.fields, live });
}

function below(at: Position, key: string): Position {
  const step = /^[\w-]+$/.test(key) ? `${at.text === "" ? "" : "."}${key}` : `[${key}]`;
  return { ...at, fields: [...at.fields, key], text: `${at.text}${step}` };
}

function sameKeys(desired: unknown, live: unknown, rule: MergeRule & { readonly type: "map" }): boolean {
  if (!isRecord(desired) || !isRecord(live)) return false;
  const keyOf = (item: Record<string, unknown>, key: string) => item[key] ?? rule.defaults?.[key];
  return rule.keys.every((key) => keyOf(desired, key) === keyOf(live, key));
}

function describeKeys(item: unknown, keys: readonly string[]): string {
  return isRecord(item) ? keys.map((key) => `${key}=${item[key]}`).join(",") : String(item);
}

/** Whether `value` is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether two JSON values have the same fields and items; makes nothing, since it is asked all the time. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let index = 0; index < a.length; index++) if (!isEqual(a[index], b[index])) return false;
    return true;
  }
  if (!isRecord(a) || !isRecord(b)) return false;
  let fields = 0;
  for (const key in a) {
    if (a[key] === undefined) continue;
    if (!isEqual(a[key], b[key])) return false;
    fields++;
  }
  for (const key in b) if (b[key] !== undefined) fields--;
  return fields === 0;
}

/** Whether two JSON values are equal, whatever the order of their keys. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (isEqual(a, b)) return true;
  const exact: MergeRules = () => ({ type: "atomic" });
  return compare(a, b, exact).paths.length === 0 && compare(b, a, exact).paths.length === 0;
}
