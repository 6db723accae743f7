/** What custom resources of the same namespace are about to put into the Controller. */

import type { DesiredContext, Parent } from "../../operator/definition.ts";
import { type EdgeGroup, type EdgeKind, edgeResourceOf } from "./crds.ts";
import { AGENT, APPLICATION, EDGE_RESOURCE, MICROSERVICE } from "./world.ts";

/** What of a spec names something in the Controller; nothing of it was checked. */
interface NamingSpec {
  readonly name?: unknown;
  readonly application?: unknown;
  readonly version?: unknown;
  readonly microservices?: unknown;
}

/** Whether `kind` `name` is what a custom resource of the same namespace wants, so that it is there in a moment. */
export function isOnItsWay(
  { parent, snapshot }: DesiredContext,
  { kind, name }: { readonly kind: string; readonly name: string },
): boolean {
  const group = (parent.apiVersion ?? "").split("/")[0] as EdgeGroup;
  const some = (of: EdgeKind, matches: (name: unknown, spec: NamingSpec) => boolean, plural?: string) =>
    (snapshot.list(edgeResourceOf(of, group, plural)) as readonly Parent[]).some(({ metadata, spec }) => {
      const given = (spec ?? {}) as NamingSpec;
      return metadata.deletionTimestamp === undefined && matches(given.name ?? metadata.name, given);
    });
  const someApplication = (matches: (name: unknown, spec: NamingSpec) => boolean) =>
    some("Application", matches) || some("Application", matches, "apps");
  switch (kind) {
    case AGENT:
      return some("Agent", (own) => own === name);
    case EDGE_RESOURCE:
      return some("EdgeResource", (own, { version }) => `${own}/${version}` === name);
    case APPLICATION:
      return someApplication((own) => own === name);
    case MICROSERVICE:
      return some("Microservice", (own, { application }) => `${application}/${own}` === name) ||
        someApplication((own, { microservices }) =>
          Array.isArray(microservices) && microservices.some((each) => `${own}/${each?.name}` === name)
        );
    default:
      return false;
  }
}
