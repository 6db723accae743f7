/** What an EdgeResource should be in the Controller. */

import type { DesiredContext, ExternalChild } from "../../../operator/definition.ts";
import { type Assessment, dialectOf } from "../assessment.ts";
import { sizeProblem } from "../body_size.ts";
import { by, canonical, EDGE_RESOURCE, sorted } from "../world.ts";
import { parseEdgeResource } from "./schema.ts";

/** What 3.7.3 has no columns for, so that it refuses an endpoint that has any of them. */
const withoutColumn = [
  "requestType",
  "responseType",
  "requestPayloadExample",
  "responsePayloadExample",
] as const;

/** See the module. */
export function assessEdgeResource(context: DesiredContext): Assessment {
  const { parent } = context;
  const parsed = parseEdgeResource(parent.spec);
  const ignored = parsed.unknownFields.map((field) => `${field} (not known)`);
  if ("problems" in parsed) return { children: [], problems: parsed.problems, ignored };
  const { custom, description, display, interfaceProtocol, name, orchestrationTags, version } = parsed.spec;
  const given = parsed.spec.interface?.endpoints;
  const dialect = dialectOf(context);
  const dropped = dialect.readsEdgeResources
    ? []
    : withoutColumn.filter((key) => given?.some((endpoint) => endpoint[key] !== undefined));
  const endpoints = (given ?? []).map((endpoint) =>
    Object.fromEntries(Object.entries(endpoint).filter(([key]) => !dropped.some((each) => each === key)))
  ).sort(by("name"));
  const child: ExternalChild = {
    type: "external",
    kind: EDGE_RESOURCE,
    name: `${name ?? parent.metadata.name}/${version}`,
    fields: {
      interfaceProtocol,
      ...(description !== undefined && { description }),
      ...(display !== undefined && { display }),
      ...(orchestrationTags !== undefined && { orchestrationTags: sorted(orchestrationTags) }),
      ...(custom !== undefined && { custom: canonical(custom) }),
      // What cannot be read back is compared with what was written last.
      ...(given === undefined
        ? {}
        : dialect.readsEdgeResources
        ? { endpoints }
        : { endpoints, written: canonical(endpoints) }),
    },
    singleton: false,
  };
  const blocked = sizeProblem(child, dialect);
  return {
    children: [{ ...child, ...(blocked !== undefined && { blocked }) }],
    problems: [],
    ignored: [
      ...ignored,
      ...dropped.map((key) => `spec.interface.endpoints[].${key} (this Controller cannot keep it)`),
    ],
  };
}
