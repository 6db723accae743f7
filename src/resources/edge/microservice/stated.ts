/** What the custom resources of a namespace say of microservices, whatever their kind; nothing of it was checked. */

import type { DesiredContext, Parent } from "../../../operator/definition.ts";
import { peersIn } from "../peers.ts";

/** Of the spec of a microservice, what others of the namespace have to know. */
export interface Stated {
  readonly name?: unknown;
  readonly agent?: { readonly name?: unknown } | undefined;
  readonly container?: { readonly extraHosts?: unknown; readonly ports?: unknown } | undefined;
}

/** Whatever has microservices. */
export function ownersIn(context: DesiredContext): readonly Parent[] {
  return peersIn(context, "Application", "Microservice");
}

/** The microservices of one of them, by their names in the Controller. */
export function statedBy({ kind, metadata, spec }: Parent): readonly (readonly [string, Stated])[] {
  const given = (spec ?? {}) as {
    readonly name?: string;
    readonly application?: string;
    readonly microservices?: readonly (Stated | null)[];
  };
  const { application, microservices, name = metadata.name } = given;
  if (kind === "Microservice") return [[`${application}/${name}`, given as Stated]];
  return (Array.isArray(microservices) ? microservices : []).map((each) =>
    [`${name}/${each?.name}`, each ?? {}] as const
  );
}
