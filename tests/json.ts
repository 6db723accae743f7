/** JSON that tests take apart and put together. */

/** JSON that replaces parts of other JSON; null removes. */
export type Json = { readonly [key: string]: unknown };

/** `base` with parts replaced as a merge patch replaces them. */
export function merged(base: Json, changes: Json): Json {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete result[key];
    else if (isJson(value)) result[key] = merged(isJson(result[key]) ? result[key] : {}, value);
    else result[key] = value;
  }
  return result;
}

/** Whether `value` is an object, and no list. */
export function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value that must be there. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a value is missing that must be there");
  return value;
}
