/**
 * What an application template of the Controller stands for with given values.
 *
 * The Controller makes a copy once and forgets where it is from; here the template is read and rendered with every look,
 * so that what it gives is compared, repaired and changed like anything else that a spec says. Expressions are those of
 * the Controller: Liquid, with `toNumber`, `toBoolean` and `toString`, over the variables and `self`. What a template may
 * take is counted, not timed, so that it is refused or not whatever else the machine does.
 */

import type { Context, Liquid } from "liquidjs";
import { isRecord } from "../../operator/compare.ts";
import type { Problem } from "../../operator/definition.ts";
import * as reasons from "./reasons.ts";
import { specOfMicroservice } from "./row_spec.ts";

/** A value for a variable of a template. */
export interface VariableValue {
  readonly key: string;
  readonly value?: unknown;
}

/** A template as it was read. */
export interface Template {
  readonly application?: unknown;
  readonly variables: readonly { readonly key: string; readonly defaultValue?: unknown }[];
}

/** What a template gives: lists as an Application's spec has them, not checked yet. */
export interface Rendered {
  readonly microservices: readonly unknown[];
  readonly routes: readonly unknown[];
}

/** What one application may take: steps of its templates, elements and characters that filters make, and characters. */
const mostSteps = 20_000;
const mostMade = 1_000_000;
const longestText = 100_000;
const longestResult = 1_000_000;

let engine:
  | { readonly liquid: Liquid; readonly contextOf: (scope: object, taken: Taken) => Context }
  | undefined;

/** Loads what rendering needs; it is large, and most do without. */
export async function prepareTemplates(): Promise<void> {
  if (engine !== undefined) return;
  const { Context, Liquid } = await import("liquidjs");
  const made = new Liquid({
    keepOutputType: true,
    strictVariables: true,
    lenientIf: true,
    parseLimit: longestText,
  });
  made.registerFilter("toNumber", parsed);
  made.registerFilter("toBoolean", parsed);
  made.registerFilter("toString", (value: unknown) => `${value}`);
  for (const name of ["findAgent", "findMicroserviceAgent", "findApplication", "findEdgeResource"]) {
    made.registerFilter(name, () => {
      throw new Error(`${name} looks something up that only the Controller has: use a variable`);
    });
  }
  // A template has no files.
  for (const name of ["include", "render", "layout", "block"]) {
    made.registerTag(name, {
      parse() {
        throw new Error(`the tag ${name} cannot be used here`);
      },
      render: () => {},
    });
  }
  const contextOf = (scope: object, taken: Taken) =>
    new Context(
      scope,
      made.options,
      { sync: true },
      taken as unknown as Record<string, Context["renderLimit"]>,
    );
  engine = { liquid: made, contextOf };
}

/** The application that `template` gives, or why it gives none. `prepareTemplates` has to be done. */
export function rendered(
  name: string,
  template: Template,
  values: readonly VariableValue[],
): Rendered | Problem {
  if (engine === undefined) throw new Error("templates were not prepared");
  // One without a value is as good as not given.
  const given = new Map(
    values.filter(({ value }) => (value ?? undefined) !== undefined).map(({ key, value }) => [key, value]),
  );
  const unset = template.variables.find(({ defaultValue, key }) =>
    (given.get(key) ?? defaultValue ?? undefined) === undefined
  );
  if (unset !== undefined) return missingVariable(name, unset.key);
  const defaults = template.variables.map(({ defaultValue, key }) => [key, defaultValue] as const);
  const variables = { ...Object.fromEntries(defaults), ...Object.fromEntries(given) };
  const application = structuredClone(template.application);
  if (!isRecord(application)) return invalid(name, "it has no application");
  try {
    for (const microservice of listIn(application, "microservices")) {
      // It is text in JSON there, of which each part is rendered by itself.
      if (isRecord(microservice) && typeof microservice["config"] === "string") {
        Object.assign(microservice, { config: JSON.parse(microservice["config"] || "{}") });
      }
    }
    renderInside(engine, application, { ...variables, self: application }, takenOf());
    return {
      microservices: listIn(application, "microservices").map(specOfMicroservice),
      routes: listIn(application, "routes"),
    };
  } catch (error) {
    const { message, originalError } = error as Error & { readonly originalError?: Error };
    const variable = /^undefined variable: ([^,]+)/.exec(originalError?.message ?? "")?.[1];
    if (variable !== undefined) return missingVariable(name, variable);
    return invalid(name, (originalError?.message ?? message).split("\n")[0] ?? "");
  }
}

function missingVariable(name: string, variable: string): Problem {
  return {
    reason: reasons.VARIABLE_MISSING,
    field: "spec.template.variables",
    message: `has no value for ${variable}, which template ${name} uses and gives no default: add it`,
  };
}

function invalid(name: string, why: string): Problem {
  return {
    reason: reasons.TEMPLATE_INVALID,
    field: "spec.template",
    message: `${name} gives no application: ${why}; mend the template, or its variables`,
  };
}

function listIn(application: Readonly<Record<string, unknown>>, key: string): readonly unknown[] {
  const list = application[key];
  return Array.isArray(list) ? list : [];
}

/** What an application has taken so far, as liquidjs asks for it: at each step, and before something is made. */
interface Taken {
  readonly renderLimit: { check(): void; use(): void };
  readonly memoryLimit: { check(size: number): void; use(size: number): void };
  readonly take: (length: number) => void;
}

function takenOf(): Taken {
  const counter = (most: number, what: string) => {
    let left = most;
    return (count: number) => {
      left -= Number.isFinite(count) ? Math.max(count, 0) : most + 1;
      if (left < 0) throw new RangeError(`it takes more than ${most} ${what}`);
    };
  };
  const step = counter(mostSteps, "steps");
  const make = counter(mostMade, "elements and characters on the way");
  return {
    renderLimit: { check: () => step(1), use: () => {} },
    memoryLimit: { check: () => {}, use: make },
    take: counter(longestResult, "characters"),
  };
}

function renderInside(
  { contextOf, liquid }: NonNullable<typeof engine>,
  container: unknown,
  scope: object,
  taken: Taken,
): void {
  if (typeof container !== "object" || container === null) return;
  const values = container as Record<string, unknown>;
  for (const key of Object.keys(values)) {
    const value = values[key];
    if (typeof value === "string") {
      const result: unknown = liquid.parseAndRenderSync(value, contextOf(scope, taken));
      if (typeof result === "string") taken.take(result.length);
      values[key] = result;
    } else renderInside({ contextOf, liquid }, value, scope, taken);
  }
}

function parsed(value: unknown): unknown {
  try {
    return JSON.parse(`${value}`);
  } catch {
    return value;
  }
}
