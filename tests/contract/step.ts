/** The language of the contract: requests, and what a Controller has to answer. */

import type { Conversation } from "./conversation.ts";

/** The generations that differ. */
export type Generation = "3.0" | "3.7";

/**
 * One request and its answer. `<name>` in path, body and answer stands for a value that an earlier answer gave, or for
 * `<run>`, which begins every name that the contract gives, so that it can be held to a Controller in use.
 */
export interface Exchange {
  /** The only generation that it is said to. @default both */
  readonly only?: Generation;
  /** E.g. `GET /iofog/<edge>`, below `/api/v3`. */
  readonly ask: string;
  readonly body?: unknown;
  readonly status: number;
  /** What has to be in the answer: more in objects is fine, more in lists is not. */
  readonly answer?: unknown;
  /** Values of the answer to keep, by the names that they get: `{ edge: "uuid" }`. */
  readonly keep?: Readonly<Record<string, string>>;
  /** Asked again until it is answered so: the Controller works behind its answer. */
  readonly eventually?: boolean;
}

/** Something that takes more than one request. */
export interface Scene {
  readonly only?: Generation;
  readonly scene: string;
  run(conversation: Conversation): Promise<void>;
}

export type Step = Exchange | Scene;

/** Steps that belong together, in order; a chapter builds on the ones before it. */
export interface Chapter {
  readonly title: string;
  readonly steps: readonly Step[];
}

/** Matches whatever is there, null too. */
export const anything = Symbol("anything");
/** Matches nothing but absence. */
export const absent = Symbol("absent");

/** A list that has these elements, in any order, and maybe more. */
export class Has {
  constructor(readonly elements: readonly unknown[]) {}
}
export const has = (...elements: readonly unknown[]): Has => new Has(elements);

/** The same elements in any order. */
export class Sameish {
  constructor(readonly elements: readonly unknown[]) {}
}
export const inAnyOrder = (...elements: readonly unknown[]): Sameish => new Sameish(elements);

/** A failure as both generations answer it. */
export const failure = (name: string, message: string | RegExp) => ({ name, message });
export const invalid = (message: string | RegExp) => failure("ValidationError", message);
export const notFound = (message: string | RegExp) => failure("NotFoundError", message);

/** Says where `actual` is not as expected; undefined where it is. */
export function difference(actual: unknown, expected: unknown, at = "answer"): string | undefined {
  if (expected === anything) return undefined;
  if (expected === absent) return actual === undefined ? undefined : `${at} is there: ${show(actual)}`;
  if (expected instanceof RegExp) {
    return typeof actual === "string" && expected.test(actual)
      ? undefined
      : differs(at, actual, `${expected}`);
  }
  if (expected instanceof Has) {
    if (!Array.isArray(actual)) return differs(at, actual, "a list");
    const missing = expected.elements.find((one) =>
      !actual.some((other) => difference(other, one) === undefined)
    );
    return missing === undefined ? undefined : `${at} lacks ${show(missing)}`;
  }
  if (expected instanceof Sameish) {
    if (!Array.isArray(actual) || actual.length !== expected.elements.length) {
      return differs(at, actual, show(expected.elements));
    }
    return difference(actual, new Has(expected.elements), at);
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) {
      return differs(at, actual, show(expected));
    }
    return expected.map((one, index) => difference(actual[index], one, `${at}[${index}]`)).find(Boolean);
  }
  if (typeof expected === "object" && expected !== null) {
    if (typeof actual !== "object" || actual === null) return differs(at, actual, show(expected));
    const object = actual as Readonly<Record<string, unknown>>;
    return Object.entries(expected).map(([key, one]) => difference(object[key], one, `${at}.${key}`)).find(
      Boolean,
    );
  }
  return actual === expected ? undefined : differs(at, actual, show(expected));
}

function differs(at: string, actual: unknown, expected: string): string {
  return `${at} is ${show(actual)}, not ${expected}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? `${value}`;
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}
