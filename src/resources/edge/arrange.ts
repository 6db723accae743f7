/**
 * The order of changes in a Controller that loses nothing: what is made stands on what was made before, what is deleted
 * goes the other way, and a port is given up before another microservice takes it. Pure.
 */

import type { ExternalWrite } from "../../operator/definition.ts";
import {
  AGENT,
  APPLICATION,
  EDGE_RESOURCE,
  EDGE_RESOURCE_LINK,
  MICROSERVICE,
  type Port,
  ROUTE,
} from "./world.ts";

const order = [AGENT, EDGE_RESOURCE, EDGE_RESOURCE_LINK, APPLICATION, MICROSERVICE, ROUTE];

/** See the module. Deletions come first: what is made may need what they free. */
export function arrange(given: readonly ExternalWrite[]): readonly ExternalWrite[] {
  const writes = given.flatMap(replaced);
  const rank = ({ child: { kind } }: ExternalWrite) => order.indexOf(kind);
  const deletions = writes.filter(({ verb }) => verb === "delete")
    .toSorted((one, other) => rank(other) - rank(one) || Number(isInterior(one)) - Number(isInterior(other)));
  const rest = writes.filter(({ verb }) => verb !== "delete")
    .toSorted((one, other) =>
      rank(one) - rank(other) || Number(isInterior(other)) - Number(isInterior(one)) ||
      Number(isNewRoute(one)) - Number(isNewRoute(other))
    );
  const isMoved = (write: ExternalWrite) => write.child.kind === MICROSERVICE && write.verb === "update";
  const before = rest.filter((write) => rank(write) < order.indexOf(MICROSERVICE));
  const moved = withFreedPorts(rest.filter(isMoved));
  const after = rest.filter((write) => rank(write) >= order.indexOf(MICROSERVICE) && !isMoved(write));
  return [...deletions, ...before, ...moved, ...after];
}

/**
 * What cannot be changed in place is deleted and made again: a microservice whose creation failed halfway, which holds
 * its name and ports, or that is to have images instead of an item of the catalogue, which it would keep; and an edge
 * resource of another protocol, which would lose its interface for good.
 */
function replaced(write: ExternalWrite): readonly ExternalWrite[] {
  const { child: { fields, kind }, paths, verb } = write;
  const losesItem = paths.includes("catalogItemId") && fields["catalogItemId"] === null;
  const isReplaced = verb === "update" &&
    ((kind === MICROSERVICE && (paths.includes("complete") || losesItem)) ||
      (kind === EDGE_RESOURCE && paths.includes("interfaceProtocol")));
  if (!isReplaced) return [write];
  return [{ ...write, verb: "delete" }, { ...write, verb: "create", observed: undefined }];
}

/** Others connect to it, so it is made first and deleted last. */
function isInterior({ child, observed }: ExternalWrite): boolean {
  const mode = child.fields["routerMode"] ?? observed?.fields["routerMode"];
  return child.kind === AGENT && mode === "interior";
}

/** There is one for each pair of microservices, so that those that are changed give theirs up first. */
function isNewRoute({ child, verb }: ExternalWrite): boolean {
  return child.kind === ROUTE && verb === "create";
}

/** Each after those that hold a port that it takes; in a circle, one of them gives up its ports first. */
function withFreedPorts(updates: readonly ExternalWrite[]): readonly ExternalWrite[] {
  const open = [...updates];
  const freed = new Set<string>();
  const arranged: ExternalWrite[] = [];
  while (open.length > 0) {
    const held = new Map(
      open.filter(({ child }) => !freed.has(child.name))
        .flatMap((write) => portsOf(write.observed?.fields).map((port) => [port, write.child.name] as const)),
    );
    const index = open.findIndex(({ child }) =>
      portsOf(child.fields).every((port) => [undefined, child.name].includes(held.get(port)))
    );
    const [next] = open.splice(Math.max(index, 0), index < 0 ? 0 : 1);
    if (index >= 0 && next !== undefined) {
      arranged.push(next);
      continue;
    }
    const [first] = open;
    if (first === undefined) break;
    freed.add(first.child.name);
    const agentName = first.observed?.fields["agentName"] ?? first.child.fields["agentName"];
    const fields = { ...first.child.fields, agentName, ports: [] };
    arranged.push({ ...first, child: { ...first.child, fields }, paths: ["ports"] });
    // What it gave up has to come back, be it the same.
    const observed = first.observed && { ...first.observed, fields: { ...first.observed.fields, ports: [] } };
    open[0] = { ...first, observed, paths: [...new Set([...first.paths, "ports"])] };
  }
  return arranged;
}

/** The agent with each port, e.g. `edge-1 5000`. */
function portsOf(fields: Readonly<Record<string, unknown>> = {}): readonly string[] {
  return ((fields["ports"] ?? []) as readonly Port[]).map(({ external }) =>
    `${fields["agentName"]} ${external}`
  );
}
