/**
 * Which fields of ours a served CRD does not know.
 *
 * Other installers bring CRDs of the same name with fewer fields, and the API server drops what they lack without an
 * error and without a new resourceVersion. Knowing it first keeps the operator from writing such fields for ever.
 */

import type { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import type { Resource } from "../kubernetes/resource.ts";
import { isRecord } from "./compare.ts";

/**
 * The schemas that the API server serves for `resources`, all of one group and version; without those that it does not
 * serve.
 *
 * @throws ApiError
 */
export async function servedSchemas(
  client: KubernetesClient,
  resources: readonly Resource[],
  signal: AbortSignal,
): Promise<ReadonlyMap<Resource, unknown>> {
  const [{ group, version } = { group: "", version: "" }] = resources;
  const document = await client.rawGet(`/openapi/v3/apis/${group}/${version}`, { signal });
  const schemas = at(document, "components", "schemas");
  if (!isRecord(schemas)) return new Map();
  return new Map(
    resources.flatMap((resource) => {
      const found = Object.values(schemas).find((schema) => {
        const kinds = at(schema, "x-kubernetes-group-version-kind");
        return Array.isArray(kinds) &&
          kinds.some((kind) => at(kind, "kind") === resource.kind && at(kind, "version") === version);
      });
      return found === undefined ? [] : [[resource, found] as const];
    }),
  );
}

/** Of one of them; undefined where it is not served. See `servedSchemas`. */
export async function servedSchema(
  client: KubernetesClient,
  resource: Resource,
  signal: AbortSignal,
): Promise<unknown> {
  return (await servedSchemas(client, [resource], signal)).get(resource);
}

/** A text that changes when the API server serves another schema of one of `resources`. */
export async function servedRevision(
  client: KubernetesClient,
  resources: readonly Resource[],
  signal: AbortSignal,
): Promise<string> {
  try {
    const index = await client.rawGet("/openapi/v3", { signal });
    // Each document has an address with its hash in it.
    return resources.map(({ group, version }) => {
      const url = at(index, "paths", `apis/${group}/${version}`, "serverRelativeURL");
      return `${group}/${version} ${String(url)}`;
    }).join();
  } catch (error) {
    if (error instanceof ApiError) return "unknown";
    throw error;
  }
}

/** Paths of `ours` that `served` would drop, e.g. `spec.images.portRouter`; the outermost one of each branch. */
export function fieldsLost(ours: unknown, served: unknown): readonly string[] {
  return ["spec", "status"].flatMap((part) =>
    lost(at(ours, "properties", part), at(served, "properties", part), part, keepsUnknown(served))
  );
}

function lost(ours: unknown, served: unknown, path: string, kept: boolean): readonly string[] {
  if (served === undefined) return kept || ours === undefined ? [] : [path];
  if (keepsUnknown(served)) return [];
  const items = at(ours, "items");
  if (items !== undefined) return lost(items, at(served, "items"), `${path}[]`, false);
  const properties = at(ours, "properties");
  if (!isRecord(properties)) return [];
  if (isRecord(at(served, "additionalProperties")) || at(served, "additionalProperties") === true) return [];
  return Object.entries(properties).flatMap(([key, inner]) =>
    lost(inner, at(served, "properties", key), `${path}.${key}`, false)
  );
}

function keepsUnknown(schema: unknown): boolean {
  return at(schema, "x-kubernetes-preserve-unknown-fields") === true;
}

/** `status` without the fields that the served CRD drops. */
export function projected(
  status: Readonly<Record<string, unknown>>,
  lostFields: readonly string[],
): Readonly<Record<string, unknown>> {
  if (lostFields.includes("status")) return {};
  let result = status;
  for (const path of lostFields) {
    if (path.startsWith("status.")) result = without(result, path.slice("status.".length).split("."));
  }
  return result;
}

function without(
  value: Readonly<Record<string, unknown>>,
  path: readonly string[],
): Readonly<Record<string, unknown>> {
  const [step = "", ...rest] = path;
  const list = step.endsWith("[]");
  const key = list ? step.slice(0, -2) : step;
  if (!(key in value)) return value;
  if (rest.length === 0) {
    const { [key]: _, ...others } = value;
    return others;
  }
  const inner = value[key];
  if (list && Array.isArray(inner)) {
    return { ...value, [key]: inner.map((item) => isRecord(item) ? without(item, rest) : item) };
  }
  return isRecord(inner) ? { ...value, [key]: without(inner, rest) } : value;
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => isRecord(inner) ? inner[key] : undefined, value);
}
