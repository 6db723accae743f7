/**
 * What the Controller does to the bodies of its templated routes before it looks at them: every string is rendered
 * with LiquidJS, a result that is not text keeps its type, and the text of an error becomes the value
 * (`helpers/template-helper.js` of 3.0.4, which carries a LiquidJS 9.17 of its own).
 */

import { Context, type Emitter, Liquid, toPromise } from "liquidjs";

const engine = new Liquid({ keepOutputType: true });
engine.registerFilter("toNumber", parsed);
engine.registerFilter("toBoolean", parsed);
engine.registerFilter("toString", (value: unknown) => `${value}`);

/** Filters that look something up. */
export type Finders = Readonly<
  Record<
    "findAgent" | "findMicroserviceAgent" | "findApplication" | "findEdgeResource",
    (name: unknown, version?: unknown) => unknown
  >
>;

for (const name of ["findAgent", "findMicroserviceAgent", "findApplication", "findEdgeResource"] as const) {
  engine.registerFilter(name, function (this: { context: Context }, value: unknown, version: unknown) {
    const { finders } = this.context.environments as { finders?: Finders };
    return finders?.[name](value, version);
  });
}

/** Renders the strings in `body` in place; `self` in a template is the body, as far as it has been rendered. */
export async function renderBody(body: unknown, scope: { readonly finders?: Finders } = {}): Promise<void> {
  await renderInside(body, { ...scope, self: body });
}

async function renderInside(container: unknown, scope: object): Promise<void> {
  if (typeof container !== "object" || container === null) return;
  const values = container as Record<string, unknown>;
  for (const key of Object.keys(values)) {
    const value = values[key];
    if (typeof value === "string") values[key] = await render(value, scope).catch((error) => `${error}`);
    else await renderInside(value, scope);
  }
}

async function render(template: string, scope: object): Promise<unknown> {
  const emitter = new TypeKeepingEmitter();
  const context = new Context(scope, engine.options);
  // `parse` throws at once.
  const steps = engine.renderer.renderTemplates(
    engine.parse(template),
    context,
    emitter as unknown as Emitter,
  );
  await toPromise(steps);
  return emitter.buffer;
}

/** The emitter of the Controller's LiquidJS: within text an undefined value prints "undefined", not nothing. */
class TypeKeepingEmitter {
  buffer: unknown = "";

  write(value: unknown): void {
    const keepsType = typeof value !== "string" && this.buffer === "";
    this.buffer = keepsType ? value : `${this.buffer}${value}`;
  }
}

function parsed(value: unknown): unknown {
  try {
    return JSON.parse(`${value}`);
  } catch {
    return value;
  }
}
