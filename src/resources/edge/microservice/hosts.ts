/**
 * What additional host names of a container stand for: the Controller refuses a name for something that does not exist,
 * so each waits for what it names. Where some wait for each other in a circle, one of them is made without these names
 * first, and gets them once the others are there. Pure.
 */

import type { DesiredContext } from "../../../operator/definition.ts";
import { type Blocked, foundIn, isMissing } from "../assessment.ts";
import * as reasons from "../reasons.ts";
import { AGENT, MICROSERVICE } from "../world.ts";
import { ownersIn, type Stated, statedBy } from "./stated.ts";

/** Something that a host name stands for. */
interface Named {
  /** The host name. */
  readonly host: string;
  readonly kind: string;
  /** In the Controller. */
  readonly name: string;
}

/** What keeps a microservice from its host names, and what has to be known to say so. */
export interface HostState {
  readonly blocked?: Blocked;
  /** Host names to make it without. */
  readonly omitted: ReadonlySet<string>;
  readonly references: readonly { readonly kind: string; readonly name: string }[];
}

/**
 * Looks at the host names of the microservice `name`, of an application too, in the Controller.
 *
 * @param siblings Microservices that the same custom resource has, by their names in the Controller.
 */
export function hostState(
  context: DesiredContext,
  name: string,
  spec: Stated,
  siblings: ReadonlyMap<string, Stated>,
): HostState {
  const hosts = hostsOf(spec);
  const references = hosts.map(({ kind, name }) => ({ kind, name }));
  const missing = hosts.filter((each) => isMissing(context, each.kind, each.name));
  const isNew = foundIn(context, MICROSERVICE, name) === undefined;
  const circle = isNew && missing.length > 0 ? circleOf(context, name, spec, siblings) : [];
  // All of them agree on which goes first; none can wait for itself.
  const isFirst = circle.toSorted()[0] === name;
  const isAwaited = (target: Named) =>
    target.kind !== MICROSERVICE || !(isFirst ? circle.includes(target.name) : target.name === name);
  const awaited = isNew ? missing.filter(isAwaited) : missing;
  const omitted = new Set(missing.filter((each) => !awaited.includes(each)).map(({ host }) => host));
  const known = {
    omitted,
    references: [...references, ...circle.map((name) => ({ kind: MICROSERVICE, name }))],
  };
  const [first] = awaited;
  if (first === undefined) return known;
  const message =
    `host ${first.host}: ${first.kind.toLowerCase()} ${first.name} does not exist in the Controller: create ` +
    "it, or correct container.extraHosts";
  return { ...known, blocked: { reason: reasons.HOST_MISSING, message } };
}

/** `${Agents.NAME}`, `${Apps.APPLICATION.MICROSERVICE.local}` or `...public.PORT`. */
function hostsOf({ container }: Stated): readonly Named[] {
  const rows = container?.extraHosts;
  return (Array.isArray(rows) ? rows : []).flatMap((row): readonly Named[] => {
    const { address, name: host } = (row ?? {}) as { readonly address?: unknown; readonly name?: unknown };
    const [type, ...names] = /^\$\{(.+)\}$/.exec(`${address}`)?.[1]?.split(".") ?? [];
    const [first = "", second = ""] = names;
    if (type === "Agents" && names.length === 1) return [{ host: `${host}`, kind: AGENT, name: first }];
    if (type !== "Apps" || names.length < 3) return [];
    return [{ host: `${host}`, kind: MICROSERVICE, name: `${first}/${second}` }];
  });
}

/** The microservice, and those not made yet that it waits for and that wait for it. */
function circleOf(
  context: DesiredContext,
  name: string,
  spec: Stated,
  siblings: ReadonlyMap<string, Stated>,
): readonly string[] {
  const others = new Map(ownersIn(context).flatMap(statedBy));
  const specOf = (each: string) => each === name ? spec : siblings.get(each) ?? others.get(each) ?? {};
  const reachable = (from: string): ReadonlySet<string> => {
    const seen = new Set<string>();
    const open = [from];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const target of hostsOf(specOf(next))) {
        const isMade = foundIn(context, MICROSERVICE, target.name) !== undefined;
        if (target.kind !== MICROSERVICE || isMade || seen.has(target.name)) continue;
        seen.add(target.name);
        open.push(target.name);
      }
    }
    return seen;
  };
  return [name, ...[...reachable(name)].filter((each) => each !== name && reachable(each).has(name))];
}
