/** What a route should be in the Controller, be it a custom resource of its own or part of an Application. */

import type { DesiredContext, ExternalChild } from "../../../operator/definition.ts";
import { type Assessment, dialectOf, isMissing } from "../assessment.ts";
import * as reasons from "../reasons.ts";
import { MICROSERVICE, ROUTE } from "../world.ts";
import { parseRoute } from "./schema.ts";

/** A Route as a custom resource of its own. */
export function assessRoute(context: DesiredContext): Assessment {
  const { parent } = context;
  const parsed = parseRoute(parent.spec);
  const ignored = parsed.unknownFields.map((field) => `${field} (not known)`);
  if ("problems" in parsed) return { children: [], problems: parsed.problems, ignored };
  if (!dialectOf(context).hasRoutes) {
    const message = "this Controller has no routes: use NATS or a Service, and delete this Route";
    return { children: [], problems: [{ reason: reasons.ROUTES_NOT_SUPPORTED, message }], ignored };
  }
  const { application, from, name = parent.metadata.name, to } = parsed.spec;
  return {
    children: [routeChild(context, application, { name, from, to }, () => false)],
    problems: [],
    ignored,
  };
}

/** @param isMade Whether a microservice of this name is made before the route, by the same custom resource. */
export function routeChild(
  context: DesiredContext,
  application: string,
  { name, from, to }: { readonly name: string; readonly from: string; readonly to: string },
  isMade: (microservice: string) => boolean,
): ExternalChild {
  const missing = [from, to].find((end) =>
    !isMade(end) && isMissing(context, MICROSERVICE, `${application}/${end}`)
  );
  return {
    type: "external",
    kind: ROUTE,
    name: `${application}/${name}`,
    fields: { from, to },
    singleton: false,
    references: [from, to].map((end) => ({ kind: MICROSERVICE, name: `${application}/${end}` })),
    ...(missing !== undefined && {
      blocked: {
        reason: reasons.ROUTE_END_MISSING,
        message:
          `microservice ${missing} of application ${application} does not exist in the Controller: create it, or ` +
          "correct from and to",
      },
    }),
  };
}
