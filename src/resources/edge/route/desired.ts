/** What a route should be in the Controller, be it a custom resource of its own or part of an Application. */

import { ageOf } from "../../../operator/claims.ts";
import type { DesiredContext, ExternalChild, Parent } from "../../../operator/definition.ts";
import { type Assessment, dialectOf, foundIn, isMissing } from "../assessment.ts";
import { peersIn } from "../peers.ts";
import * as reasons from "../reasons.ts";
import { APPLICATION, MICROSERVICE, ROUTE } from "../world.ts";
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
    children: [routeChild(context, application, { name, from, to }, new Set(), () => false)],
    problems: [],
    ignored,
  };
}

/** The name of a route that may have been given none. */
export function routeName({ from, name, to }: Stated): string {
  return `${name ?? `r-${from}-${to}`}`;
}

/** What of a route was stated; nothing of it was checked. */
interface Stated {
  readonly name?: unknown;
  readonly from?: unknown;
  readonly to?: unknown;
}

/**
 * @param siblings Names of routes that the same custom resource has: what these connect, they may be about to give up.
 * @param isMade Whether a microservice of this name is made before the route, by the same custom resource.
 */
export function routeChild(
  context: DesiredContext,
  application: string,
  { name, from, to }: { readonly name: string; readonly from: string; readonly to: string },
  siblings: ReadonlySet<string>,
  isMade: (microservice: string) => boolean,
): ExternalChild {
  const missing = [from, to].find((end) =>
    !isMade(end) && isMissing(context, MICROSERVICE, `${application}/${end}`)
  );
  const rival = rivalOf(context, application, { name, from, to }, siblings);
  const blocked = rival !== undefined
    ? {
      reason: reasons.ROUTE_TAKEN,
      message:
        `from ${from} to ${to} of application ${application} leads a route already: ${rival}; remove one ` +
        "of the two, or correct from and to",
    }
    : missing !== undefined
    ? {
      reason: reasons.ROUTE_END_MISSING,
      message:
        `microservice ${missing} of application ${application} does not exist in the Controller: create it, or ` +
        "correct from and to",
    }
    : undefined;
  return {
    type: "external",
    kind: ROUTE,
    name: `${application}/${name}`,
    fields: { from, to },
    singleton: false,
    references: [
      ...[from, to].map((end) => ({ kind: MICROSERVICE, name: `${application}/${end}` })),
      { kind: APPLICATION, name: application },
    ],
    ...(blocked !== undefined && { blocked }),
  };
}

/** The route under another name that connects the same: one that is there, or that an older custom resource wants. */
function rivalOf(
  context: DesiredContext,
  application: string,
  { name, from, to }: { readonly name: string; readonly from: string; readonly to: string },
  siblings: ReadonlySet<string>,
): string | undefined {
  const { parent } = context;
  const pairs = foundIn(context, APPLICATION, application)?.fields["routes"] as
    | Readonly<Record<string, string>>
    | undefined;
  const holder = pairs?.[`${from} ${to}`];
  // What is there stays, and of those that are not, the oldest is made.
  if (holder === name) return undefined;
  const wanted = peersIn(context, "Application", "Route")
    .flatMap((owner) => statedBy(owner).map((each) => ({ ...each, owner })))
    .filter((each) => each.application === application && each.name !== name);
  if (holder !== undefined) {
    const claim = wanted.find((each) => each.name === holder);
    // What the custom resource itself had and wants no more is deleted before, what it changes is changed before.
    const isGoing = siblings.has(holder) ||
      (claim === undefined && foundIn(context, ROUTE, `${application}/${holder}`) !== undefined);
    if (!isGoing) return claim === undefined ? holder : `${holder} of ${shownOwner(claim.owner)}`;
  }
  const older = wanted.find((each) =>
    each.from === from && each.to === to && each.owner !== parent && ageOf(each.owner) < ageOf(parent)
  );
  return older && `${older.name} of ${shownOwner(older.owner)}`;
}

function shownOwner({ kind, metadata: { name } }: Parent): string {
  return `${kind} ${name}`;
}

/** The routes that a custom resource asks for. */
function statedBy({ kind, metadata, spec }: Parent) {
  const given = (spec ?? {}) as Stated & { readonly application?: unknown; readonly routes?: unknown };
  const name = given.name ?? metadata.name;
  if (kind === "Route") return [{ ...given, name, application: given.application }];
  const routes = Array.isArray(given.routes) ? given.routes as readonly (Stated | null)[] : [];
  return routes.map((each) => ({ ...each, name: routeName(each ?? {}), application: name }));
}
