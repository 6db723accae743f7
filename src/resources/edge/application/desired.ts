/** What an Application should be in the Controller: itself, its microservices, and the routes between them. */

import type { DesiredContext, ExternalChild, Problem } from "../../../operator/definition.ts";
import { type Assessment, type Blocked, dialectOf, foundIn, isMissing } from "../assessment.ts";
import { sizeProblem } from "../body_size.ts";
import * as reasons from "../reasons.ts";
import { ignoredIn, microserviceChild, natsFields } from "../microservice/desired.ts";
import { withPortsAwaited } from "../microservice/ports.ts";
import { routeChild, routeName } from "../route/desired.ts";
import { APPLICATION, MICROSERVICE, ROUTE, TEMPLATE } from "../world.ts";
import { rendered, type Template } from "../template.ts";
import { type ApplicationSpec, parseApplication, parseRendered } from "./schema.ts";

/** See the module. */
export function assessApplication(context: DesiredContext): Assessment {
  const { parent } = context;
  const parsed = parseApplication(parent.spec);
  const ignored = parsed.unknownFields.map((field) => `${field} (not known)`);
  if ("problems" in parsed) return { children: [], problems: parsed.problems, ignored };
  const { spec } = parsed;
  const name = spec.name ?? parent.metadata.name;
  const dialect = dialectOf(context);
  const isOld = dialect.name === "3.0";
  const content = contentOf(context, name, spec);
  const application: ExternalChild = {
    type: "external",
    kind: APPLICATION,
    name,
    fields: {
      isActivated: spec.isActivated,
      ...(spec.description !== undefined && { description: spec.description }),
      ...(isOld ? {} : natsFields(spec.natsConfig)),
    },
    singleton: false,
    ...(spec.template !== undefined && { references: [{ kind: TEMPLATE, name: spec.template.name }] }),
  };
  const blocked = content.blocked ?? sizeProblem(application, dialect);
  const wanted = content.microservices ?? [];
  const siblings = new Map(wanted.map((each) => [`${name}/${each.name}`, each]));
  const microservices = withPortsAwaited(
    context,
    wanted.map((each) => microserviceChild(context, name, each, siblings)),
  );
  const made = new Set(microservices.filter(({ blocked }) => blocked === undefined).map((each) => each.name));
  const wantedRoutes = (dialect.hasRoutes ? content.routes ?? [] : []).map((route) => ({
    ...route,
    name: routeName(route),
  }));
  const own = new Set(wantedRoutes.map((route) => route.name));
  const routes = wantedRoutes.map((route) =>
    routeChild(context, name, route, own, (end) => made.has(`${name}/${end}`))
  );
  return {
    children: [
      { ...application, ...(blocked !== undefined && { blocked }) },
      ...[...microservices, ...routes].map((child) => ({ ...child, partOf: { kind: APPLICATION, name } })),
      ...content.kept,
    ],
    problems: [],
    ignored: [
      ...ignored,
      ...(spec.isSystem === undefined ? [] : ["spec.isSystem (only the Controller makes such)"]),
      ...(spec.replicas === undefined ? [] : ["spec.replicas (an application has none)"]),
      ...(isOld && spec.natsConfig !== undefined
        ? ["spec.natsConfig (this Controller does not know it)"]
        : []),
      ...(!dialect.hasRoutes && (content.routes ?? []).length > 0
        ? ["spec.routes (this Controller has no routes: use NATS or a Service)"]
        : []),
      ...wanted.flatMap((each, index) => ignoredIn(each, context, `spec.microservices[${index}]`)),
    ],
  };
}

interface Content extends Pick<ApplicationSpec, "microservices" | "routes"> {
  /** What there is, where it is not known what is wanted: nothing goes because a template cannot be used. */
  readonly kept: readonly ExternalChild[];
  readonly blocked?: Blocked;
}

/** Microservices and routes, from the spec or from the template that it names. */
export function contentOf(
  context: DesiredContext,
  application: string,
  { microservices, routes, template }: ApplicationSpec,
): Content {
  if (template === undefined) return { microservices, routes, kept: [] };
  const { name, variables = [] } = template;
  const kept = keptOf(context, application);
  const found = foundIn(context, TEMPLATE, name);
  if (found === undefined) {
    const message =
      `application template ${name} does not exist in the Controller: create it there, or correct ` +
      "spec.template.name";
    const isKnown = isMissing(context, TEMPLATE, name);
    return { kept, ...(isKnown ? { blocked: { reason: reasons.TEMPLATE_MISSING, message } } : {}) };
  }
  const given = rendered(name, found.fields as unknown as Template, variables);
  if ("reason" in given) return { kept, blocked: asBlocked([given]) };
  const checked = parseRendered(given);
  if (!("problems" in checked)) return { ...checked.spec, kept: [] };
  const problems = checked.problems.map(({ field = "", message }) => ({
    reason: reasons.TEMPLATE_INVALID,
    field: "spec.template",
    message: `${name} gives what cannot be used: ${field.replace(/^spec\.?/, "")} ${message}`,
  }));
  return { kept, blocked: asBlocked(problems) };
}

function asBlocked(problems: readonly Problem[]): Blocked {
  const message = problems.map(({ field, message }) => `${field} ${message}`).join("; ");
  return { reason: problems[0]?.reason ?? reasons.TEMPLATE_INVALID, message };
}

/** Whatever there is of the application, as it is. */
function keptOf({ parent, snapshot }: DesiredContext, application: string): readonly ExternalChild[] {
  return snapshot.external(parent.metadata.uid).objects
    .filter(({ kind, name }) => [MICROSERVICE, ROUTE].includes(kind) && name.startsWith(`${application}/`))
    .map(({ kind, name }) => ({ type: "external", kind, name, fields: {}, singleton: false }));
}
