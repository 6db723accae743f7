/**
 * What an application template of the Controller stands for with given values.
 *
 * The Controller makes a copy once and forgets where it is from; here the template is read and rendered with every look,
 * so that what it gives is compared, repaired and changed like anything else that a spec says. Expressions are those of
 * the Controller: Liquid, with `toNumber`, `toBoolean` and `toString`, over the variables and `self`.
 */

import type { Liquid } from "liquidjs";
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

let engine: Liquid | undefined;

/** Loads what rendering needs; it is large, and most do without. */
export async function prepareTemplates(): Promise<void> {
  if (engine !== undefined) return;
  const { Liquid } = await import("liquidjs");
  const made = new Liquid({ keepOutputType: true, strictVariables: true, lenientIf: true });
  made.registerFilter("toNumber", parsed);
  made.registerFilter("toBoolean", parsed);
  made.registerFilter("toString", (value: unknown) => `${value}`);
  for (const name of ["findAgent", "findMicroserviceAgent", "findApplication", "findEdgeResource"]) {
    made.registerFilter(name, () => {
      throw new Error(`${name} looks something up that only the Controller has: use a variable`);
    });
  }
  // A template has no files, and no need of loops that never end.
  for (const name of ["for", "tablerow", "include", "render", "layout", "block"]) {
    made.registerTag(name, {
      parse() {
        throw new Error(`the tag ${name} cannot be used here`);
      },
      render: () => {},
    });
  }
  engine = made;
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
    renderInside(engine, application, { ...variables, self: application });
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

function renderInside(liquid: Liquid, container: unknown, scope: object): void {
  if (typeof container !== "object" || container === null) return;
  const values = container as Record<string, unknown>;
  for (const key of Object.keys(values)) {
    const value = values[key];
    if (typeof value === "string") values[key] = liquid.parseAndRenderSync(value, scope);
    else renderInside(liquid, value, scope);
  }
}

function parsed(value: unknown): unknown {
  try {
    return JSON.parse(`${value}`);
  } catch {
    return value;
  }
}
