/**
 * The Controller's validation: the part of jsonschema 1.2.5 that its schemas use, with the messages that its
 * `schemas/index.js` makes of the first error (3.0.4).
 */

/** A property's schema; its keys are checked in the order in which they stand here. */
export interface PropertySchema {
  readonly type: "string" | "integer" | "boolean";
  readonly pattern?: string;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A body's schema: its properties are checked in order, then what is required, in that order. */
export interface BodySchema {
  readonly properties: Readonly<Record<string, PropertySchema>>;
  readonly required: readonly string[];
}

/** Something that the Controller answers with `{name, message}`. */
export class Failure extends Error {
  constructor(override readonly name: string, message: string) {
    super(message);
  }
}

/**
 * `body` as an object whose properties are what `schema` says.
 *
 * @throws Failure `ValidationError` with the Controller's text for the first thing that is wrong.
 */
export function validate(body: unknown, schema: BodySchema): Record<string, unknown> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Failure("ValidationError", "Field 'instance' is not of a type(s) object");
  }
  const object = body as Record<string, unknown>;
  for (const [name, property] of Object.entries(schema.properties)) {
    const problem = object[name] === undefined ? undefined : problemOf(name, object[name], property);
    if (problem !== undefined) throw new Failure("ValidationError", problem);
  }
  const missing = schema.required.find((name) => object[name] === undefined);
  if (missing !== undefined) throw new Failure("ValidationError", `Required field '${missing}' is missing`);
  return object;
}

function problemOf(name: string, value: unknown, schema: PropertySchema): string | undefined {
  const { type, pattern, minLength, minimum, maximum } = schema;
  const actual = type === "integer" && Number.isInteger(value) ? "integer" : typeof value;
  if (actual !== type) return `Field '${name}' is not of a type(s) ${type}`;
  if (typeof value === "string") {
    if (pattern !== undefined && !new RegExp(pattern).test(value)) {
      return `Invalid format for field '${name}'`;
    }
    if (minLength !== undefined && value.length < minLength) {
      return `Field ${name} does not meet minimum length of ${minLength}`;
    }
  }
  if (typeof value === "number") {
    if (minimum !== undefined && value < minimum) return `${name} must have a minimum value of ${minimum}`;
    if (maximum !== undefined && value > maximum) return maximumDump(name, value, schema, maximum);
  }
  return undefined;
}

/** `maximum` is among the errors that the Controller has no text for: it answers the validator's own object. */
function maximumDump(name: string, value: number, schema: PropertySchema, maximum: number): string {
  const property = `instance.${name}`;
  const message = `must have a maximum value of ${maximum}`;
  return JSON.stringify({
    property,
    message,
    schema,
    instance: value,
    name: "maximum",
    argument: maximum,
    stack: `${property} ${message}`,
  });
}
