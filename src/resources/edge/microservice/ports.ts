/**
 * Who has a port of an agent, who is about to give it up, and who goes first where some wait for each other in a circle:
 * over all custom resources of the namespace, since ports are the agent's. Pure.
 */

import type { DesiredContext, ExternalChild, Parent } from "../../../operator/definition.ts";
import { isRecord } from "../../../operator/compare.ts";
import { ageOf } from "../../../operator/claims.ts";
import { type Blocked, foundIn } from "../assessment.ts";
import * as reasons from "../reasons.ts";
import { AGENT, MICROSERVICE, type Port } from "../world.ts";
import { ownersIn, statedBy } from "./stated.ts";

/** What a custom resource says of a microservice. */
interface Claim {
  readonly agent: string;
  readonly ports: readonly number[];
  /** `Kind name` of the custom resource. */
  readonly owner: string;
  /** Of the custom resource, as `ageOf` has it. */
  readonly age: string;
}

/** What keeps a microservice from its ports, and what has to be known to say more of it. */
export interface PortState {
  readonly blocked?: Blocked;
  /** Whether it has to give up its own ports first, since others wait for these. */
  readonly goesFirst?: boolean;
  readonly agents: readonly string[];
}

/**
 * Looks at the ports of a microservice.
 *
 * @param siblings Names in the Controller of microservices that the same custom resource has: what these hold, they give
 *   up in the same batch of writes.
 */
export function portState(
  context: DesiredContext,
  name: string,
  wanted: Pick<Claim, "agent" | "ports">,
  siblings: Pick<ReadonlyMap<string, unknown>, "has">,
): PortState {
  const all = wanted.ports.map((port) => ({ port, holder: holderOf(context, wanted.agent, port) }));
  const free = all.filter(({ holder }) => holder === undefined).map(({ port }) => port);
  const taker = free.length === 0 ? undefined : takerOf(context, name, wanted.agent, free);
  if (taker !== undefined) return taken(taker.port, wanted.agent, taker.name, taker.claim);
  const held = all.flatMap(({ holder = name, port }) => holder === name ? [] : [{ port, holder }]);
  if (held.length === 0) return { agents: [] };
  const claims = claimsIn(context);
  // What the custom resource itself had and wants no more is deleted before.
  const isGoing = (holder: string) =>
    !claims.has(holder) && foundIn(context, MICROSERVICE, holder) !== undefined;
  const others = held.filter(({ holder }) => !siblings.has(holder) && !isGoing(holder));
  for (const { holder, port } of others) {
    const claim = claims.get(holder);
    if (claim === undefined || (claim.agent === wanted.agent && claim.ports.includes(port))) {
      return taken(port, wanted.agent, holder, claim);
    }
  }
  const agents = new Set<string>();
  const circle = wayBack(context, name, [name], wanted, claims, agents);
  // One of a circle over custom resources goes first; all of them agree on which.
  const isOurs = circle?.every((each) => each === name || siblings.has(each)) ?? true;
  if (circle?.toSorted()[0] === name && !isOurs) return { goesFirst: true, agents: [...agents] };
  const [first] = others;
  if (first === undefined) return { agents: [...agents] };
  const message =
    `port ${first.port} of agent ${wanted.agent} is still held by microservice ${first.holder}, which ` +
    "is about to give it up";
  return { blocked: { reason: reasons.PORT_AWAITED, message }, agents: [...agents] };
}

function taken(port: number, agent: string, holder: string, claim: Claim | undefined): PortState {
  const by = claim === undefined ? "" : ` of ${claim.owner}`;
  // The agent's own parts have no name in an application.
  const shown = holder.includes("/") ? `microservice ${holder}${by}` : holder;
  const message = `port ${port} of agent ${agent} is taken by ${shown}: choose another external port`;
  return { blocked: { reason: reasons.PORT_TAKEN, message }, agents: [] };
}

/** Who gets a port that nobody has yet although this custom resource wants it: an older one that wants it too. */
function takerOf(context: DesiredContext, own: string, agent: string, ports: readonly number[]) {
  const age = ageOf(context.parent);
  for (const parent of ownersIn(context)) {
    for (const [name, claim] of claimsOf(parent)) {
      if (claim.ports.length === 0 || claim.agent !== agent || claim.age >= age || name === own) continue;
      const port = ports.find((each) => claim.ports.includes(each));
      if (port !== undefined) return { name, claim, port };
    }
  }
  return undefined;
}

function holderOf(context: DesiredContext, agent: string, port: number): string | undefined {
  const holders = foundIn(context, AGENT, agent)?.fields["ports"] as
    | Readonly<Record<string, string>>
    | undefined;
  return holders?.[port];
}

/** The microservices on a way from the last of `way` over those that hold what is wanted, back to `name`. */
function wayBack(
  context: DesiredContext,
  name: string,
  way: readonly string[],
  { agent, ports }: Pick<Claim, "agent" | "ports">,
  claims: ReadonlyMap<string, Claim>,
  agents: Set<string>,
): readonly string[] | undefined {
  agents.add(agent);
  for (const port of ports) {
    const holder = holderOf(context, agent, port);
    const claim = holder === undefined ? undefined : claims.get(holder);
    if (holder === undefined || claim === undefined || holder === way.at(-1)) continue;
    if (claim.agent === agent && claim.ports.includes(port)) continue;
    if (holder === name) return way;
    if (way.includes(holder)) continue;
    const found = wayBack(context, name, [...way, holder], claim, claims, agents);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What all custom resources of the namespace want, by the names that microservices have in the Controller. */
function claimsIn(context: DesiredContext): ReadonlyMap<string, Claim> {
  return new Map(ownersIn(context).flatMap(claimsOf));
}

/** What a custom resource wants, by name; an object that was read never changes, and each plan looks at all. */
function claimsOf(parent: Parent): readonly (readonly [string, Claim])[] {
  const known = claimsMade.get(parent);
  if (known !== undefined) return known;
  const made = statedBy(parent).map(([name, { agent, container }]) => {
    const ports: readonly unknown[] = Array.isArray(container?.ports) ? container.ports : [];
    return [name, {
      agent: `${agent?.name}`,
      ports: ports.filter(isRecord).map(({ external }) => external as number),
      owner: `${parent.kind} ${parent.metadata.name}`,
      age: ageOf(parent),
    }] as const;
  });
  claimsMade.set(parent, made);
  return made;
}

const claimsMade = new WeakMap<Parent, readonly (readonly [string, Claim])[]>();

/** Each that takes a port from another of them waits while that one cannot give it up. */
export function withPortsAwaited(
  context: DesiredContext,
  microservices: readonly ExternalChild[],
): readonly ExternalChild[] {
  const blocked = new Set(microservices.filter((each) => each.blocked !== undefined).map(({ name }) => name));
  if (blocked.size === 0) return microservices;
  let all = microservices;
  for (let before = -1; before !== blocked.size;) {
    before = blocked.size;
    all = all.map((child) => {
      if (child.blocked !== undefined) return child;
      const agent = `${child.fields["agentName"]}`;
      for (const { external } of (child.fields["ports"] ?? []) as readonly Port[]) {
        const holder = holderOf(context, agent, external);
        if (holder === undefined || holder === child.name || !blocked.has(holder)) continue;
        blocked.add(child.name);
        const message =
          `port ${external} of agent ${agent} is still held by microservice ${holder}, which is ` +
          "about to give it up";
        return { ...child, blocked: { reason: reasons.PORT_AWAITED, message } };
      }
      return child;
    });
  }
  return all;
}
