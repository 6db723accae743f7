/** What an Application should be in the Controller: itself, its microservices, and the routes between them. */

import type { DesiredContext, ExternalChild } from "../../../operator/definition.ts";
import { type Assessment, dialectOf } from "../assessment.ts";
import { ignoredIn, microserviceChild } from "../microservice/desired.ts";
import { routeChild } from "../route/desired.ts";
import { APPLICATION } from "../world.ts";
import { parseApplication } from "./schema.ts";

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
  const application: ExternalChild = {
    type: "external",
    kind: APPLICATION,
    name,
    fields: {
      isActivated: spec.isActivated,
      ...(spec.description !== undefined && { description: spec.description }),
      ...(isOld ? {} : spec.natsConfig),
    },
    singleton: false,
  };
  const wanted = spec.microservices ?? [];
  const siblings = new Set(wanted.map((each) => `${name}/${each.name}`));
  const microservices = wanted.map((each) => microserviceChild(context, name, each, siblings));
  const made = new Set(microservices.filter(({ blocked }) => blocked === undefined).map((each) => each.name));
  const routes = (dialect.hasRoutes ? spec.routes ?? [] : []).map((route) =>
    routeChild(
      context,
      name,
      { ...route, name: route.name ?? `r-${route.from}-${route.to}` },
      (end) => made.has(`${name}/${end}`),
    )
  );
  return {
    children: [application, ...microservices, ...routes],
    problems: [],
    ignored: [
      ...ignored,
      ...(spec.isSystem === undefined ? [] : ["spec.isSystem (only the Controller makes such)"]),
      ...(spec.replicas === undefined ? [] : ["spec.replicas (an application has none)"]),
      ...(isOld && spec.natsConfig !== undefined
        ? ["spec.natsConfig (this Controller does not know it)"]
        : []),
      ...(!dialect.hasRoutes && (spec.routes ?? []).length > 0
        ? ["spec.routes (this Controller has no routes: use NATS or a Service)"]
        : []),
      ...wanted.flatMap((each, index) => ignoredIn(each, context, `spec.microservices[${index}]`)),
    ],
  };
}
