/** Every single field that was written into an object, and how somebody could change it. */

import type { JsonPatchOperation } from "../../src/kubernetes/client.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { type MergeRule, mergeRuleAt } from "../../src/kubernetes/schema.ts";

/** Leads to a value: a field's name, an index, or the keys of an item of a list that is a map. */
type Step = string | number | Readonly<Record<string, unknown>>;

/** A field that was written, or a whole item of a list that is a map. */
export interface Leaf {
  /** Readable, e.g. `spec.ports[port=80,protocol=TCP].name`. */
  readonly path: string;
  readonly steps: readonly Step[];
  readonly value: unknown;
}

/** All of them in `object`, whose identity is none. */
export function leavesOf(resource: Resource, object: KubeObject): readonly Leaf[] {
  const { apiVersion: _version, kind: _kind, ...rest } = object;
  const { name: _name, namespace: _namespace, uid: _uid, resourceVersion: _rv, ...metadata } =
    object.metadata ?? {};
  return below({ path: "", steps: [], value: { ...rest, metadata } }, [], resource);
}

function below(leaf: Leaf, fields: readonly string[], resource: Resource): readonly Leaf[] {
  const { value } = leaf;
  if (Array.isArray(value)) {
    const rule = mergeRuleAt(resource, fields);
    return value.flatMap((item, index) => {
      const step = stepTo(item, index, rule);
      const next = { path: `${leaf.path}[${describe(step)}]`, steps: [...leaf.steps, step], value: item };
      const inner = below(next, fields, resource);
      return typeof step === "object" ? [...inner, next] : inner;
    });
  }
  if (typeof value !== "object" || value === null) return [leaf];
  return Object.entries(value).filter(([, inner]) => inner !== undefined).flatMap(([name, inner]) =>
    below({ path: `${leaf.path}.${name}`.replace(/^\./, ""), steps: [...leaf.steps, name], value: inner }, [
      ...fields,
      name,
    ], resource)
  );
}

function stepTo(item: unknown, index: number, rule: MergeRule | undefined): Step {
  if (rule?.type !== "map" || typeof item !== "object" || item === null) return index;
  const keys = rule.keys.map((key) => [key, (item as Record<string, unknown>)[key] ?? rule.defaults?.[key]]);
  return Object.fromEntries(keys);
}

function describe(step: Step): string {
  if (typeof step !== "object") return String(step);
  return Object.entries(step).map(([key, value]) => `${key}=${value}`).join(",");
}

/** The JSON patch that changes a leaf of `live` to another value, or removes it. */
export function disturbance(kind: "edit" | "remove", leaf: Leaf, live: KubeObject): JsonPatchOperation {
  let at: unknown = live;
  const pointer = leaf.steps.map((step) => {
    const key = typeof step === "object" ? indexOf(at, step) : step;
    at = (at as Record<string | number, unknown>)[key];
    return `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
  }).join("");
  return kind === "remove"
    ? { op: "remove", path: pointer }
    : { op: "replace", path: pointer, value: otherValue(leaf) };
}

function indexOf(list: unknown, keys: Readonly<Record<string, unknown>>): number {
  return (list as readonly Record<string, unknown>[]).findIndex((item) =>
    Object.entries(keys).every(([key, value]) => item[key] === value)
  );
}

/** Values that the API server takes where not any text does, by the end of the path. */
const alternatives: readonly (readonly [RegExp, unknown])[] = [
  [/\.protocol$/, "UDP"],
  [/^spec\.type$/, "NodePort"],
  [/\.externalTrafficPolicy$/, "Cluster"],
  [/\.imagePullPolicy$/, "IfNotPresent"],
  [/\.fieldPath$/, "metadata.uid"],
  [/^data\./, btoa("other")],
];

function otherValue({ path, value }: Leaf): unknown {
  const alternative = alternatives.find(([pattern]) => pattern.test(path));
  if (alternative !== undefined) return alternative[1];
  if (path.endsWith(".strategy.type")) return value === "Recreate" ? "RollingUpdate" : "Recreate";
  switch (typeof value) {
    case "boolean":
      return !value;
    case "number":
      return value + 1;
    default:
      return `${value}x`;
  }
}
