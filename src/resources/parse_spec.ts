/**
 * The `spec` of a custom resource as it was read, checked against its zod schema: what it says, or every problem in it
 * with the path of its field.
 *
 * As in Go, null, "" and 0 mean "not set" in the outer levels: the CLIs and the Go operators write whole blocks of them.
 */

import type * as z from "zod";
import type { Problem } from "../operator/definition.ts";

/** A field of the spec has a wrong type, is missing, or breaks a limit. */
export const INVALID_SPEC = "InvalidSpec";

/** What a spec says, or why it cannot be accepted. Paths of fields start with `spec`. */
export type ParsedSpec<Spec> =
  & {
    /** Paths of fields that this version does not know, e.g. `spec.images.kubelet`. */
    readonly unknownFields: readonly string[];
  }
  & ({ readonly spec: Spec } | { readonly problems: readonly Problem[] });

/**
 * Checks `raw`. Never throws; messages never hold a value.
 *
 * @param forgotten Paths below `spec` of fields that earlier releases had: they are passed over without a word.
 * @param emptyLevels Levels of objects below `spec` in which "" and 0 mean "not set".
 * @param largest Characters that it may have as JSON.
 */
export function checkSpec<Spec>(
  spec: z.ZodType<Spec>,
  raw: unknown,
  forgotten: readonly (readonly string[])[] = [],
  emptyLevels: number = NESTING,
  largest: number = LARGEST_SPEC,
): ParsedSpec<Spec> {
  if (!isRecord(raw)) return check(spec, raw, forgotten, emptyLevels, largest);
  const known = checked.get(raw);
  if (known?.spec === spec) return known.parsed as ParsedSpec<Spec>;
  const parsed = check(spec, raw, forgotten, emptyLevels, largest);
  checked.set(raw, { spec, parsed });
  return parsed;
}

/** What came of specs: an object that was read never changes, and each plan looks at it again. */
const checked = new WeakMap<object, { readonly spec: z.ZodType; readonly parsed: ParsedSpec<unknown> }>();

function check<Spec>(
  spec: z.ZodType<Spec>,
  raw: unknown,
  forgotten: readonly (readonly string[])[],
  emptyLevels: number,
  largest: number,
): ParsedSpec<Spec> {
  const oversized = oversizedProblem(raw, largest);
  if (oversized !== undefined) return { problems: [oversized], unknownFields: [] };
  const given = forgotten.reduce<unknown>(withoutPath, withoutUnset(raw ?? {}, emptyLevels));
  const first = spec.safeParse(given);
  if (first.success) return { spec: first.data, unknownFields: [] };
  const unknown = first.error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : []
  );
  const unknownFields = unknown.map(pathText).sort();
  const known = unknown.reduce(withoutPath, given);
  const result = spec.safeParse(known);
  if (result.success) return { spec: result.data, unknownFields };
  const problems = result.error.issues.map((issue): Problem => ({
    reason: INVALID_SPEC,
    field: pathText(issue.path),
    message: issueMessage(issue, known),
  }));
  return { problems, unknownFields };
}

/**
 * Characters that a spec may have as JSON: far more than one of use has, and less than would make a Deployment, or the
 * environment of a container, that nobody takes.
 */
const LARGEST_SPEC = 100_000;

function oversizedProblem(raw: unknown, most: number): Problem | undefined {
  const size = sizeOf(raw);
  if (size <= most) return undefined;
  let [path, value] = [["spec"], raw];
  while (isRecord(value)) {
    const [largest] = Object.entries(value).sort(([, one], [, other]) => sizeOf(other) - sizeOf(one));
    if (largest === undefined || sizeOf(largest[1]) < size / 2) break;
    path = [...path, largest[0]];
    value = largest[1];
  }
  return {
    reason: INVALID_SPEC,
    field: path.join("."),
    message: `is too large: the whole spec has ${size} characters, and may have ${most}. Shorten it`,
  };
}

function sizeOf(value: unknown): number {
  return JSON.stringify(value ?? null).length;
}

/** Levels of objects below `spec` in which empty values mean "not set": deeper, in parts of a pod, they mean something. */
const NESTING = 3;

/** Without what is not set; null is never set, however deep. */
function withoutUnset(value: unknown, levels: number): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutUnset(item, 0));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null && (levels < 1 || (field !== "" && field !== 0)))
      .map(([name, field]) => [name, withoutUnset(field, levels - 1)]),
  );
}

function withoutPath(value: unknown, path: readonly PropertyKey[]): unknown {
  const [head, ...rest] = path;
  if (Array.isArray(value)) {
    return value.map((item, index) => index === head ? withoutPath(item, rest) : item);
  }
  if (!isRecord(value) || typeof head !== "string") return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== head || rest.length > 0)
      .map(([name, field]) => [name, name === head ? withoutPath(field, rest) : field]),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => typeof key === "number" ? `${text}[${key}]` : `${text}.${String(key)}`,
    "spec",
  );
}

function issueMessage(issue: z.core.$ZodIssue, input: unknown): string {
  if (issue.code === "too_big" || issue.code === "too_small") {
    return "is not a number that the field can hold";
  }
  const found = issue.path.reduce(
    (value: unknown, key) =>
      Array.isArray(value) ? value[Number(key)] : isRecord(value) ? value[String(key)] : undefined,
    input,
  );
  if (issue.code === "invalid_value") {
    return found === undefined
      ? "is required, but missing or empty"
      : `must be one of ${issue.values.map(String).join(", ")}`;
  }
  if (issue.code !== "invalid_type") return issue.message;
  if (found === undefined) return "is required, but missing or empty";
  return `must be ${TYPE_WORDS[issue.expected] ?? issue.expected}, not ${foundType(found)}`;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a whole number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

function foundType(found: unknown): string {
  if (found === null) return "nothing";
  if (Array.isArray(found)) return "a list";
  if (typeof found === "number") return Number.isInteger(found) ? "a number" : "a fraction";
  return typeof found === "boolean" ? "true or false" : TYPE_WORDS[typeof found] ?? typeof found;
}
