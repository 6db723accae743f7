/** A file's values in the types that a custom resource has, as the CLIs read them. Pure. */

import { isRecord } from "../../operator/compare.ts";
import type { StructuralSchema } from "../structural_schema.ts";

/** What a CLI takes for a truth value, beyond what YAML 1.2 has. */
const truth: Readonly<Record<string, boolean>> = {
  ...{ yes: true, Yes: true, YES: true, y: true, Y: true, on: true, On: true, ON: true },
  ...{ no: false, No: false, NO: false, n: false, N: false, off: false, Off: false, OFF: false },
};

/**
 * `value` as `schema` wants it: a number or truth value where there is to be text is the text that the file has, a word
 * for a truth value is one, and null is left out.
 *
 * @param text The same with every scalar as the text in the file: `1.0` is a number that is written as `1`.
 */
export function typed(schema: StructuralSchema | undefined, value: unknown, text: unknown): unknown {
  if (value === null || value === undefined) return undefined;
  if (schema === undefined || schema["x-kubernetes-preserve-unknown-fields"] === true) return value;
  if (Array.isArray(value)) {
    const texts = Array.isArray(text) ? text : [];
    return value.map((item, index) => typed(schema.items, item, texts[index]))
      .filter((item) => item !== undefined);
  }
  if (isRecord(value) && !(value instanceof Date)) {
    const texts = isRecord(text) ? text : {};
    const fields = Object.entries(value).map(([key, field]) => {
      const known = schema.properties?.[key] ?? schema.additionalProperties;
      return [key, typed(known, field, texts[key])] as const;
    });
    return Object.fromEntries(fields.filter(([, field]) => field !== undefined));
  }
  if (schema.type === "string" && typeof value !== "string") {
    return typeof text === "string" ? text : `${value}`;
  }
  if (schema.type === "boolean" && typeof value === "string") return truth[value] ?? value;
  return value;
}
