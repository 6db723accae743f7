/**
 * From zod schemas to the schemas of CustomResourceDefinitions.
 *
 * Guarantees: the schemas are structural (apiextensions.k8s.io/v1), every field has a description, and the same zod
 * schema gives the same one. What a structural schema cannot say fails here, at build time, with the path of the
 * field. Limits and defaults of the zod schema are left out on purpose: see controlplane/fields.ts. Defaults are told in
 * the description.
 */

import * as z from "zod";

/** The part of `apiextensions.k8s.io/v1` JSONSchemaProps that our CRDs use. */
export type StructuralSchema = {
  readonly description?: string;
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly [extension: `x-kubernetes-${string}`]: unknown;
};

/** A zod schema cannot be written as a structural schema. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
}

/**
 * The structural schema of what a person may write, i.e. of the input of `schema`.
 *
 * Errors: `SchemaError` for unions, references, tuples and all else that Kubernetes refuses, and for a field without a
 * description.
 */
export function structural(schema: z.ZodType): StructuralSchema {
  return convert(jsonSchemaOf(schema), "", true);
}

/** The JSON schema of the input of `schema`, with `default` at each field that has one. */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  try {
    return z.toJSONSchema(schema, { io: "input", target: "openapi-3.0", reused: "inline" }) as JsonSchema;
  } catch (cause) {
    throw new SchemaError(`the schema cannot be written as JSON schema: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** What zod writes; only the keys below are understood. */
export interface JsonSchema {
  readonly [key: string]: unknown;
  /** Type of Kubernetes that the field, or each of its items, has. */
  readonly kubernetesType?: string;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: boolean | JsonSchema;
}

const TYPES = ["object", "array", "string", "integer", "number", "boolean"];
/** Copied as they are. */
const COPIED = /^(description|format|enum|nullable|x-kubernetes-.*)$/;
/** Handled below, or left out: limits and defaults belong to the check at run time. */
const UNDERSTOOD =
  /^(type|properties|required|items|additionalProperties|minimum|maximum|default|minLength|maxLength|pattern|kubernetesType)$/;
const INT_OR_STRING = "x-kubernetes-int-or-string";

function convert(schema: JsonSchema, path: string, described: boolean): StructuralSchema {
  const place = path === "" ? "the schema" : path;
  const { type, description } = schema;
  if (described && (typeof description !== "string" || description === "")) {
    throw new SchemaError(`${place} has no description`);
  }
  const text = description === undefined ? {} : { description: describe(description, schema) };
  if (schema[INT_OR_STRING] === true) return { ...text, [INT_OR_STRING]: true };
  const preserved = "x-kubernetes-preserve-unknown-fields";
  if (type === undefined && schema[preserved] === true) return { ...text, [preserved]: true };
  if (type === undefined || !TYPES.includes(type)) {
    throw new SchemaError(`${place} has no single type: a structural schema knows no union and no reference`);
  }
  for (const key of Object.keys(schema)) {
    if (!COPIED.test(key) && !UNDERSTOOD.test(key)) {
      throw new SchemaError(`${place} has ${key}, which a structural schema may not have`);
    }
  }
  return {
    ...text,
    type,
    ...(type === "integer" && { format: integerFormat(schema) }),
    ...Object.fromEntries(
      Object.entries(schema).filter(([key]) => key !== "description" && COPIED.test(key)),
    ),
    ...(type === "object" && convertObject(schema, place, path)),
    ...(type === "array" && { items: convertItems(schema, place, path) }),
  };
}

/** The default is only told: writing it into objects would keep it there when it changes. */
function describe(description: string, { default: value, kubernetesType }: JsonSchema): string {
  const text = kubernetesType === undefined
    ? description
    : `${description} As in a pod: core/v1 ${kubernetesType}.`;
  return value === undefined || typeof value === "object" ? text : `${text} Default: ${value}.`;
}

function convertObject(schema: JsonSchema, place: string, path: string): Partial<StructuralSchema> {
  const { properties = {}, additionalProperties } = schema;
  const names = Object.keys(properties).sort();
  if (typeof additionalProperties === "object") {
    if (names.length > 0) throw new SchemaError(`${place} has both properties and additionalProperties`);
    if (Object.keys(additionalProperties).length > 0) {
      return {
        additionalProperties: convert(additionalProperties, `${path}.*`, false),
      };
    }
  }
  if (names.length === 0) return { "x-kubernetes-preserve-unknown-fields": true };
  const required = [...(schema.required ?? [])].sort();
  return {
    ...(required.length > 0 && { required }),
    properties: Object.fromEntries(
      names.map((name) => [
        name,
        convert(properties[name] ?? {}, path === "" ? name : `${path}.${name}`, true),
      ]),
    ),
  };
}

function convertItems(schema: JsonSchema, place: string, path: string): StructuralSchema {
  if (schema.items === undefined) throw new SchemaError(`${place} is a list without a type for its items`);
  return convert(schema.items, `${path}[]`, false);
}

/** zod's int32 and int write their range as limits; Kubernetes has formats for it. */
function integerFormat(schema: JsonSchema): string {
  return schema["maximum"] === 2 ** 31 - 1 ? "int32" : "int64";
}
