/** Server-side apply as `memory_transport.ts` does it: merging by the real merge rules, and `fieldsV1`. */

import { mergeRuleAt } from "../src/kubernetes/schema.ts";
import type { Resource } from "../src/kubernetes/resource.ts";

/** A JSON object. */
export type Json = Record<string, unknown>;

/** The `fieldsV1` of whoever applies `config`, whose metadata says nothing that identifies a version. */
export function ownedFields(resource: Resource, config: Json): Json {
  const { apiVersion: _, kind: __, metadata, ...rest } = config;
  const { name: ___, namespace: ____, managedFields: _____, ...said } = (metadata ?? {}) as Json;
  const fields = fieldsOf(resource, [], { ...rest, metadata: said }) as Json;
  if (Object.keys(said).length === 0) delete fields["f:metadata"];
  return fields;
}

/** `live` with `config` merged into it, less what `before` owned and `owned` does not. */
export function mergeApplied(
  resource: Resource,
  live: object | undefined,
  before: Json,
  config: Json,
  owned: Json,
): Json {
  const merged = merge(resource, [], live, config);
  return removeOld(merged, before, owned) as Json;
}

function fieldsOf(resource: Resource, path: readonly string[], value: unknown): unknown {
  const rule = mergeRuleAt(resource, path);
  if (rule?.type === "atomic") return {};
  if (Array.isArray(value)) {
    if (rule?.type === "set") {
      return Object.fromEntries(value.map((item) => [`v:${JSON.stringify(item)}`, {}]));
    }
    if (rule?.type !== "map") return {};
    return Object.fromEntries(value.map((item) => [
      `k:${JSON.stringify(keysOf(item as Json, rule))}`,
      { ".": {}, ...mapFields(resource, path, item as Json) },
    ]));
  }
  return isJson(value) ? mapFields(resource, path, value) : {};
}

function mapFields(resource: Resource, path: readonly string[], value: Json): Json {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([key, inner]) => [`f:${key}`, fieldsOf(resource, [...path, key], inner)]),
  );
}

interface MapRule {
  readonly keys: readonly string[];
  readonly defaults?: Readonly<Record<string, unknown>>;
}

function keysOf(item: Json, rule: MapRule): Json {
  return Object.fromEntries(rule.keys.map((key) => [key, item[key] ?? rule.defaults?.[key]]));
}

function merge(resource: Resource, path: readonly string[], live: unknown, config: unknown): unknown {
  const rule = mergeRuleAt(resource, path);
  if (rule?.type === "atomic") return config;
  if (Array.isArray(config)) {
    if (!Array.isArray(live) || rule === undefined) return config;
    if (rule.type === "set") return [...new Set([...live, ...config])];
    const sameKeys = (a: unknown, b: unknown) =>
      JSON.stringify(keysOf(a as Json, rule)) === JSON.stringify(keysOf(b as Json, rule));
    return [
      ...live.map((item) => {
        const ours = config.find((each) => sameKeys(each, item));
        return ours === undefined ? item : merge(resource, path, item, ours);
      }),
      ...config.filter((item) => !live.some((each) => sameKeys(each, item))),
    ];
  }
  if (!isJson(config)) return config;
  const result: Json = isJson(live) ? { ...live } : {};
  for (const [key, value] of Object.entries(config)) {
    if (value !== undefined) result[key] = merge(resource, [...path, key], result[key], value);
  }
  return result;
}

function removeOld(value: unknown, before: Json, owned: Json): unknown {
  let result = value;
  for (const [key, inner] of Object.entries(before)) {
    if (key === ".") continue;
    const kept = owned[key] as Json | undefined;
    result = change(
      result,
      key,
      (found) => kept === undefined ? undefined : removeOld(found, inner as Json, kept),
    );
  }
  return result;
}

function change(value: unknown, key: string, how: (inner: unknown) => unknown): unknown {
  const name = key.slice(2);
  if (key.startsWith("f:")) {
    if (!isJson(value) || !(name in value)) return value;
    const inner = how(value[name]);
    const { [name]: _, ...rest } = value;
    return inner === undefined ? rest : { ...rest, [name]: inner };
  }
  if (!Array.isArray(value)) return value;
  const matches = key.startsWith("v:")
    ? (item: unknown) => item === JSON.parse(name)
    : (item: unknown) => Object.entries(JSON.parse(name)).every(([k, v]) => ((item as Json)[k] ?? v) === v);
  return value.flatMap((item) => {
    if (!matches(item)) return [item];
    const inner = how(item);
    return inner === undefined ? [] : [inner];
  });
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
