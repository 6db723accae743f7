/**
 * The Controller's validation: the part of jsonschema that its schemas use, with the messages that its
 * `schemas/index.js` makes of the first error (3.0.4 with jsonschema 1.2.5).
 */

/** A schema; its keywords are checked in the order in which they stand in the object, as the real one does. */
export interface PropertySchema {
  /** Stands for the whole schema in the validator's own error objects. */
  readonly id?: string;
  readonly type?: "string" | "integer" | "number" | "boolean" | "array" | "object";
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: PropertySchema;
  readonly properties?: Readonly<Record<string, PropertySchema>>;
  readonly anyOf?: readonly PropertySchema[];
  readonly oneOf?: readonly PropertySchema[];
  readonly allOf?: readonly PropertySchema[];
  /** False: nothing but what `properties` names. */
  readonly additionalProperties?: boolean;
  readonly required?: readonly string[];
}

/** A body's schema. */
export interface BodySchema extends PropertySchema {
  readonly properties: Readonly<Record<string, PropertySchema>>;
  readonly required: readonly string[];
}

/** Something that the Controller answers with `{name, message}`. */
export class Failure extends Error {
  constructor(override readonly name: string, message: string) {
    super(message);
  }
}

/** An error as jsonschema tells it, in the order of its keys. */
interface Problem {
  readonly property: string;
  readonly message: string;
  readonly schema: unknown;
  readonly instance: unknown;
  readonly name: string;
  readonly argument: unknown;
  readonly stack: string;
}

/**
 * `body` as an object whose properties are what `schema` says.
 *
 * @throws Failure `ValidationError` with the Controller's text for the first thing that is wrong.
 */
export function validate(body: unknown, schema: BodySchema): Record<string, unknown> {
  const problem = firstProblem("instance", body, { type: "object", ...schema });
  if (problem !== undefined) throw new Failure("ValidationError", textOf(problem));
  return body as Record<string, unknown>;
}

/** The same for what is no object. */
export function validateValue(value: unknown, schema: PropertySchema): void {
  const problem = firstProblem("instance", value, schema);
  if (problem !== undefined) throw new Failure("ValidationError", textOf(problem));
}

/** What is left out is right to every keyword but `required`, which asks its parent. */
function firstProblem(property: string, value: unknown, schema: PropertySchema): Problem | undefined {
  if (value === undefined) return undefined;
  for (const keyword of Object.keys(schema) as (keyof PropertySchema)[]) {
    const problem = problemWith(keyword, property, value, schema);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function problemWith(
  keyword: keyof PropertySchema,
  property: string,
  value: unknown,
  schema: PropertySchema,
): Problem | undefined {
  const wrong = (message: string, argument: unknown = schema[keyword]): Problem => ({
    property,
    message,
    schema: schema.id ?? schema,
    instance: value,
    name: keyword,
    argument,
    stack: `${property} ${message}`,
  });
  const isText = typeof value === "string", isNumber = typeof value === "number";
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const object = isObject ? value as Readonly<Record<string, unknown>> : {};
  const given = <K extends keyof PropertySchema>(key: K) => schema[key] as NonNullable<PropertySchema[K]>;
  switch (keyword) {
    case "type":
      return hasType(value, given("type")) ? undefined : wrong(`is not of a type(s) ${schema.type}`, [
        schema.type,
      ]);
    case "enum":
      if (given("enum").some((one) => one === value)) return undefined;
      return wrong(`is not one of enum values: ${schema.enum}`);
    case "const":
      return value === schema.const ? undefined : wrong(`does not exactly match expected constant`);
    case "pattern":
      if (!isText || new RegExp(given("pattern")).test(value)) return undefined;
      return wrong(`does not match pattern ${JSON.stringify(schema.pattern)}`);
    case "minLength":
      if (!isText || value.length >= given("minLength")) return undefined;
      return wrong(`does not meet minimum length of ${schema.minLength}`);
    case "maxLength":
      if (!isText || value.length <= given("maxLength")) return undefined;
      return wrong(`does not meet maximum length of ${schema.maxLength}`);
    case "minimum":
      if (!isNumber || value >= given("minimum")) return undefined;
      return wrong(`must have a minimum value of ${schema.minimum}`);
    case "maximum":
      if (!isNumber || value <= given("maximum")) return undefined;
      return wrong(`must have a maximum value of ${schema.maximum}`);
    case "minItems":
      if (!Array.isArray(value) || value.length >= given("minItems")) return undefined;
      return wrong(`does not meet minimum length of ${schema.minItems}`);
    case "maxItems":
      if (!Array.isArray(value) || value.length <= given("maxItems")) return undefined;
      return wrong(`does not meet maximum length of ${schema.maxItems}`);
    case "items":
      return first(
        Array.isArray(value) ? value : [],
        (item, index) => firstProblem(`${property}[${index}]`, item, given("items")),
      );
    case "properties":
      return first(
        isObject ? Object.entries(given("properties")) : [],
        ([name, inner]) => firstProblem(`${property}.${name}`, object[name], inner),
      );
    case "required": {
      const missing = isObject ? given("required").find((name) => object[name] === undefined) : undefined;
      return missing === undefined ? undefined : wrong(`requires property "${missing}"`, missing);
    }
    case "additionalProperties": {
      if (schema.additionalProperties !== false || !isObject) return undefined;
      const surplus = Object.keys(object).find((name) => !Object.hasOwn(schema.properties ?? {}, name));
      return surplus === undefined
        ? undefined
        : wrong(`additionalProperty "${surplus}" exists in instance when not allowed`, surplus);
    }
    case "anyOf":
    case "oneOf": {
      const inner = given(keyword);
      const fitting = inner.filter((one) => firstProblem(property, value, one) === undefined).length;
      if (keyword === "anyOf" ? fitting > 0 : fitting === 1) return undefined;
      const labels = inner.map(label);
      return wrong(`${keyword === "anyOf" ? "is not any of" : "is not exactly one from"} ${labels}`, labels);
    }
    case "allOf": {
      const failed = given("allOf").find((one) => firstProblem(property, value, one) !== undefined);
      if (failed === undefined) return undefined;
      const id = label(failed, given("allOf").indexOf(failed));
      return wrong(`does not match allOf schema ${id} with 1 error[s]:`, { id, length: 1 });
    }
    case "id":
      return undefined;
  }
}

function label(schema: PropertySchema, index: number): string {
  return schema.id === undefined ? `[subschema ${index}]` : `<${schema.id}>`;
}

function hasType(value: unknown, type: NonNullable<PropertySchema["type"]>): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  const actual: string = typeof value;
  return actual === type;
}

function first<T, R>(values: readonly T[], find: (value: T, index: number) => R | undefined): R | undefined {
  for (const [index, value] of values.entries()) {
    const found = find(value, index);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Where the Controller has no text of its own it answers the validator's whole error. */
function textOf(problem: Problem): string {
  const field = problem.property.replace("instance.", "");
  const stack = problem.stack.replace("instance.", "");
  switch (problem.name) {
    case "pattern":
      return `Invalid format for field '${field}'`;
    case "required":
      return `Required field '${problem.argument}' is missing`;
    case "minLength":
    case "maxLength":
    case "enum":
      return `Field ${stack}`;
    case "additionalProperties":
      return `Field '${problem.argument}' not allowed`;
    case "type":
      return `Field '${field}' ${problem.message}`;
    case "minimum":
      return stack;
    default:
      return JSON.stringify(problem);
  }
}
