/**
 * The fields of a schema, and the values to try at each: valid, at its limits, beyond them, unset, of a wrong type.
 *
 * Knows no kind of custom resource. A schema's refinements cannot be read, so limits are found by asking: a `Question`
 * says whether a value would be accepted.
 */

import type { JsonSchema } from "../../src/resources/structural_schema.ts";
import { isJson, type Json } from "../json.ts";

/** A place in a spec. */
export interface Field {
  /** E.g. `images.router`. */
  readonly name: string;
  readonly path: readonly string[];
  readonly schema: JsonSchema;
  /** Whether it holds other fields. */
  readonly isBlock: boolean;
}

/** Whether a value is accepted at a field. */
export type Question = (value: unknown) => boolean;

/** The values to try at a field, and where the limits were found. */
export interface Values {
  readonly accepted: readonly unknown[];
  readonly refused: readonly unknown[];
  /** Of a number: the lowest and highest; of text: the fewest and most characters, Infinity where none are too many. */
  readonly limits: readonly [number, number] | undefined;
}

/** Stands for a field that is not there. */
export const absent = Symbol("absent");

/** Text longer than this is not tried. */
const longestText = 4096;
/** Text that some fields cannot take. */
export const oddTexts = [" ", "a b", "ä.example", "-x-", "\u0000", "https://x.example:1/y", "{{x}}", "x\ny"];

/** The first item of a list, as part of a path. */
export const FIRST = "[0]";

/**
 * Every field below `schema`, blocks before what they hold; the schema itself is not among them.
 *
 * @param intoLists Whether the fields of a list's items are fields too, those of its first item, and the list a block.
 */
export function fieldsOf(
  schema: JsonSchema,
  path: readonly string[] = [],
  intoLists = false,
): readonly Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const items = intoLists && Object.keys(inner.items?.properties ?? {}).length > 0
      ? inner.items
      : undefined;
    const place = [...path, key];
    // What has the shape of a part of Kubernetes is one value.
    const isBlock = Object.keys(inner.properties ?? {}).length > 0 && !("kubernetesType" in inner);
    const field = {
      name: nameOf(place),
      path: place,
      schema: inner,
      isBlock: isBlock || items !== undefined,
    };
    if (items !== undefined) return [field, ...fieldsOf(items, [...place, FIRST], intoLists)];
    return isBlock ? [field, ...fieldsOf(inner, place, intoLists)] : [field];
  });
}

/** E.g. `microservices[0].name`. */
function nameOf(path: readonly string[]): string {
  return path.join(".").replaceAll(`.${FIRST}`, FIRST);
}

/** `spec` with `value` at `path`; `absent` takes the field away, and the blocks that it alone filled. */
export function put(spec: Json, [head = "", ...rest]: readonly string[], value: unknown): Json {
  const { [head]: before, ...others } = spec;
  if (rest.length === 0) return value === absent ? others : { ...spec, [head]: value };
  if (rest[0] === FIRST) {
    const [first, ...more] = Array.isArray(before) ? before : [];
    return { ...spec, [head]: [put(isJson(first) ? first : {}, rest.slice(1), value), ...more] };
  }
  const inner = put(isJson(before) ? before : {}, rest, value);
  return value === absent && Object.keys(inner).length === 0 ? others : { ...spec, [head]: inner };
}

/** What stands at `path`; `absent` where there is nothing. */
export function at(spec: unknown, path: readonly string[]): unknown {
  const found = path.reduce(
    (value: unknown, key) =>
      key === FIRST && Array.isArray(value) ? value[0] : isJson(value) ? value[key] : undefined,
    spec,
  );
  return found === undefined ? absent : found;
}

/**
 * Values to try at a field that has no table of its own.
 *
 * @param examples Values that are accepted; lists, maps and free objects have no other.
 */
export function valuesOf({ schema }: Field, accepts: Question, examples: readonly unknown[] = []): Values {
  const options = schema["enum"];
  if (Array.isArray(options)) return sorted(["no-such-word", ...options, ...examples], accepts);
  if (schema.type === "boolean") return sorted([true, false], accepts);
  if (schema.type === "integer" || schema.type === "number") return numbers(accepts, examples);
  if (schema.type === "string") return texts(accepts, examples);
  return sorted(examples, accepts);
}

/** Values of all other types than the field's. */
export function wrongTypes({ schema }: Field): readonly unknown[] {
  const samples: Readonly<Record<string, readonly unknown[]>> = {
    string: ["text", "12"],
    integer: [12, -3],
    number: [0.5],
    boolean: [true],
    array: [[], ["text"]],
    object: [{}, { key: "value" }],
  };
  const own = "x-kubernetes-int-or-string" in schema
    ? ["string", "number", "integer"]
    : schema.type === "number"
    ? ["number", "integer"]
    : [schema.type];
  return Object.entries(samples).filter(([type]) => !own.includes(type)).flatMap(([, values]) => values);
}

/** Whether `message` has the path of the field, or that of a block around it and the rest as words, such as "names". */
export function names(message: string, { path }: Field): boolean {
  return path.some((_, index) => {
    const [block, rest] = [path.slice(0, index + 1), path.slice(index + 1)];
    const place = nameOf(block).replaceAll(/[.[\]]/g, "\\$&");
    return new RegExp(`\\bspec\\.${place}(?!\\w)`).test(message) &&
      rest.filter((word) => word !== FIRST).every((word) => new RegExp(`\\b${word}s?\\b`).test(message));
  });
}

function numbers(accepts: Question, examples: readonly unknown[]): Values {
  const start = [...examples, 1, 2, 1024].find(accepts);
  if (typeof start !== "number") return sorted(examples, accepts);
  const limit = Number.MAX_SAFE_INTEGER;
  const highest = furthest(start, limit, accepts);
  // 0 means "not set" and lies below a limit of 1.
  const lowest = accepts(-1) ? furthest(-1, -limit, accepts) : furthest(start, 1, accepts);
  const beyond = [lowest - 1 === 0 ? -1 : lowest - 1, ...highest < limit ? [highest + 1] : []];
  return { ...sorted([...examples, lowest, highest, ...beyond], accepts), limits: [lowest, highest] };
}

function texts(accepts: Question, examples: readonly unknown[]): Values {
  const start = [...examples, "walked"].find(accepts);
  if (typeof start !== "string") return sorted([...examples, ...oddTexts], accepts);
  const shorter = Array.from({ length: start.length }, (_, index) => start.slice(0, index + 1));
  const shortest = shorter.find(accepts) ?? start;
  const length = furthest(start.length, longestText, (total) => accepts(lengthened(start, total as number)));
  const beyond = [
    ...shortest.length > 1 ? [shortest.slice(0, -1)] : [],
    ...length < longestText ? [lengthened(start, length + 1)] : [],
  ];
  const odd = oddTexts.filter((text) => !accepts(text));
  const values = [...examples, shortest, lengthened(start, length), ...beyond, ...odd];
  return {
    ...sorted(values, accepts),
    limits: [shortest.length, length === longestText ? Infinity : length],
  };
}

function lengthened(text: string, length: number): string {
  return text + "x".repeat(length - text.length);
}

/** The number furthest from `from`, towards `to`, that is accepted, where all up to it are. */
function furthest(from: number, to: number, accepts: Question): number {
  if (accepts(to)) return to;
  let [inside, outside] = [from, to];
  while (Math.abs(outside - inside) > 1) {
    const middle = Math.trunc(inside / 2 + outside / 2);
    if (middle === inside || middle === outside) break;
    if (accepts(middle)) inside = middle;
    else outside = middle;
  }
  return inside;
}

function sorted(values: readonly unknown[], accepts: Question): Values {
  const distinct = [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
  return {
    accepted: distinct.filter(accepts),
    refused: distinct.filter((value) => !accepts(value)),
    limits: undefined,
  };
}
