/** What custom resources of the edge ask for in the Controller, by name: whether or not it can be had. */

import type { DesiredContext } from "../../operator/definition.ts";
import { contentOf } from "./application/desired.ts";
import { parseApplication } from "./application/schema.ts";
import type { EdgeKind } from "./crds.ts";
import { routeName } from "./route/desired.ts";
import { AGENT, APPLICATION, EDGE_RESOURCE, EDGE_RESOURCE_LINK, MICROSERVICE, ROUTE } from "./world.ts";

/** What of a spec names something; nothing of it was checked. */
interface NamingSpec {
  readonly name?: unknown;
  readonly application?: unknown;
  readonly version?: unknown;
  readonly edgeResources?: unknown;
  readonly microservices?: unknown;
  readonly routes?: unknown;
  readonly template?: unknown;
}

interface Claim {
  readonly kind: string;
  readonly name: string;
}

/** See the module. */
export function claimsOf(kind: EdgeKind, context: DesiredContext): readonly Claim[] {
  const { metadata, spec } = context.parent;
  const given = (spec ?? {}) as NamingSpec;
  const name = typeof given.name === "string" ? given.name : metadata.name;
  switch (kind) {
    case "Agent":
      return [
        { kind: AGENT, name },
        ...rowsOf(given.edgeResources).map((each) => ({
          kind: EDGE_RESOURCE_LINK,
          name: `${name}/${each["name"]}/${each["version"]}`,
        })),
      ];
    case "EdgeResource":
      return [{ kind: EDGE_RESOURCE, name: `${name}/${given.version}` }];
    case "Application":
      return [{ kind: APPLICATION, name }, ...within(name, contentFor(context, name, given))];
    case "Microservice":
      return [{ kind: MICROSERVICE, name: `${given.application}/${name}` }];
    case "Route":
      return [{ kind: ROUTE, name: `${given.application}/${name}` }];
  }
}

/** Of a template, what it gave when it was read last. */
function contentFor(
  context: DesiredContext,
  name: string,
  given: NamingSpec,
): Pick<NamingSpec, "microservices" | "routes"> {
  if (given.template === undefined) return given;
  const parsed = parseApplication(context.parent.spec);
  return "problems" in parsed ? {} : contentOf(context, name, parsed.spec);
}

function within(
  application: string,
  { microservices, routes }: Pick<NamingSpec, "microservices" | "routes">,
): readonly Claim[] {
  return [
    ...rowsOf(microservices).map(({ name }) => ({ kind: MICROSERVICE, name: `${application}/${name}` })),
    ...rowsOf(routes).map((route) => ({ kind: ROUTE, name: `${application}/${routeName(route)}` })),
  ];
}

function rowsOf(list: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(list) ? list.filter((each) => typeof each === "object" && each !== null) : [];
}
