/** Specs for property tests: made from the schema, so that a new field is in them at once. */

import fc from "fast-check";
import type { JsonSchema } from "../../src/resources/structural_schema.ts";
import type { Json } from "../json.ts";
import { absent, type Field, oddTexts, put } from "./fields.ts";

/** Texts that mean something somewhere. */
const texts = [
  ...oddTexts,
  "",
  "walked",
  "Walked.Example",
  "192.0.2.1",
  "2001:db8::1",
  "registry.example.com:5000/image:1@sha256:0",
  " padded ",
  "sqlite",
  "ClusterIP",
  "100m",
  "1Gi",
  "-1",
  "app.kubernetes.io/name",
  "$(HOME)",
  "x".repeat(63),
  "x".repeat(64),
  "x".repeat(254),
  "x".repeat(5000),
];
const numbers = [-1, 0, 1, 2, 80, 65535, 65536, 51121, 2 ** 31 - 1, 2 ** 31, 2 ** 53 - 1];

/** Changes of a spec, and the values that have been tried at a field before. */
export interface Shape {
  readonly spec: Json;
  readonly fields: readonly Field[];
  readonly examples: (field: Field) => readonly unknown[];
  /** Whether the field gets no other values, since only the API server knows which are good. */
  readonly hasOnlyExamples: (field: Field) => boolean;
}

/** Each shape's spec with one to five fields changed or taken away. */
export function specsOf(shapes: readonly Shape[]): fc.Arbitrary<Json> {
  return fc.oneof(...shapes.map(({ spec, fields, examples, hasOnlyExamples }) => {
    const changes = fields.map((field) => {
      const tried = examples(field);
      const change = hasOnlyExamples(field) ? fc.constantFrom(absent, ...tried) : changeOf(field, tried);
      return fc.tuple(fc.constant(field), change);
    });
    return fc.array(fc.oneof(...changes), { minLength: 1, maxLength: 5 })
      .map((list) => list.reduce<Json>((changed, [field, value]) => put(changed, field.path, value), spec));
  }));
}

function changeOf(field: Field, examples: readonly unknown[]): fc.Arbitrary<unknown> {
  const likely = examples.length > 0 ? fc.constantFrom(...examples) : valueOf(field.schema);
  return fc.oneof(
    { weight: 6, arbitrary: likely },
    { weight: 6, arbitrary: valueOf(field.schema) },
    { weight: 2, arbitrary: fc.constantFrom(absent, null) },
    { weight: 1, arbitrary: fc.jsonValue() },
  );
}

/** Any value that `schema` has the form of. */
function valueOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  const options = schema["enum"];
  if (Array.isArray(options)) return fc.constantFrom(...options);
  switch (schema.type) {
    case "boolean":
      return fc.boolean();
    case "integer":
    case "number":
      return fc.oneof(fc.constantFrom(...numbers), fc.integer());
    case "string":
      return anyText;
    case "array":
      return fc.array(valueOf(schema.items ?? {}), { maxLength: 3 });
    case "object":
      return objectOf(schema);
    default:
      return fc.jsonValue();
  }
}

/** No lone surrogates: the API server's JSON decoder lets none through. */
const anyText = fc.oneof(fc.constantFrom(...texts), fc.string({ unit: "grapheme" }));

function objectOf(
  { properties = {}, required = [], additionalProperties }: JsonSchema,
): fc.Arbitrary<unknown> {
  if (typeof additionalProperties === "object") {
    return fc.dictionary(anyText, valueOf(additionalProperties), { maxKeys: 3 });
  }
  if (Object.keys(properties).length === 0) return fc.dictionary(anyText, fc.jsonValue(), { maxKeys: 2 });
  const fields = Object.entries(properties).map(([name, inner]) => [name, valueOf(inner)] as const);
  return fc.record(Object.fromEntries(fields), { requiredKeys: [...required] });
}
