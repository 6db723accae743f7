/** The edge in the picture that `iofog-operator status` draws: agents with what runs on them, and applications. */

import type { Condition, Parent, Snapshot } from "../operator/definition.ts";
import { agentName } from "../resources/edge/agent/desired.ts";
import { type EdgeGroup, type EdgeKind, edgeResourceOf } from "../resources/edge/crds.ts";

interface Shown {
  readonly name: string;
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
}

/** See the module. */
export interface EdgePicture {
  readonly agents: readonly (Shown & {
    readonly status?: string | undefined;
    readonly version?: string | undefined;
    readonly address?: string | undefined;
    /** `application/name` and what the agent says of it. */
    readonly microservices: readonly { readonly name: string; readonly status: string }[];
  })[];
  readonly applications: readonly (Shown & {
    readonly active?: boolean | undefined;
    /** E.g. `2/3`. */
    readonly running?: string | undefined;
    /** Names of microservices that are on no agent yet. */
    readonly waiting: readonly string[];
  })[];
  readonly edgeResources: readonly (Shown & {
    readonly version?: string | undefined;
    /** Agents that it is linked to. */
    readonly linked: readonly string[];
  })[];
}

/**
 * What the status of the custom resources of the edge tells.
 *
 * @param applications Plural of the Applications, where another is served.
 */
export function drawEdge(snapshot: Snapshot, group: EdgeGroup, applications?: string): EdgePicture {
  const list = (kind: EdgeKind) =>
    snapshot.list(
      edgeResourceOf(kind, group, kind === "Application" ? applications : undefined),
    ) as readonly Parent[];
  const microservices = [
    ...list("Application").flatMap((parent) =>
      (statusOf(parent)["microservices"] as readonly MicroserviceStatus[] | undefined ?? [])
        .map((each) => ({ ...each, name: `${nameOf(parent)}/${each.name}` }))
    ),
    ...list("Microservice").map((parent) => {
      const { agent, status } = statusOf(parent) as { agent?: string; status?: string };
      const { application } = (parent.spec ?? {}) as { application?: string };
      return { name: `${application}/${nameOf(parent)}`, agent, status };
    }),
  ];
  const on = (agent: string) =>
    microservices.filter((each) => each.agent === agent)
      .map(({ name, status }) => ({ name, status: status ?? "UNKNOWN" }));
  const known = new Set(list("Agent").map(agentName));
  const others = new Set(
    microservices.flatMap(({ agent }) => agent === undefined || known.has(agent) ? [] : [agent]),
  );
  return {
    agents: list("Agent").map((parent): EdgePicture["agents"][number] => {
      const { address, daemonStatus, version } = statusOf(parent) as Readonly<
        Record<string, string | undefined>
      >;
      const name = agentName(parent);
      return {
        ...shown(parent, name),
        status: daemonStatus,
        version,
        address,
        microservices: on(name),
      };
    }).concat(
      [...others].toSorted().map((name) => ({
        name,
        ready: false,
        reason: "NoAgent",
        message: "somebody else's: no Agent of this namespace has this name",
        microservices: on(name),
      })),
    ),
    applications: list("Application").map((parent) => {
      const { isActivated, running } = statusOf(parent) as { isActivated?: boolean; running?: string };
      const waiting = microservices.filter(({ agent, name }) =>
        agent === undefined && name.startsWith(`${nameOf(parent)}/`)
      );
      return {
        ...shown(parent, nameOf(parent)),
        active: isActivated,
        running,
        waiting: waiting.map(({ name }) => name),
      };
    }),
    edgeResources: list("EdgeResource").map((parent) => {
      const { linked = [] } = statusOf(parent) as { readonly linked?: readonly string[] };
      const { version } = (parent.spec ?? {}) as { readonly version?: string };
      return { ...shown(parent, nameOf(parent)), version, linked };
    }),
  };
}

interface MicroserviceStatus {
  readonly name: string;
  readonly agent?: string | undefined;
  readonly status?: string | undefined;
}

function statusOf({ status }: Parent): Readonly<Record<string, unknown>> {
  return (status ?? {}) as Readonly<Record<string, unknown>>;
}

function nameOf({ metadata, spec }: Parent): string {
  const { name } = (spec ?? {}) as { readonly name?: string };
  return name ?? metadata.name;
}

function shown(parent: Parent, name: string): Shown {
  const conditions = (statusOf(parent)["conditions"] ?? []) as readonly Condition[];
  const ready = conditions.find(({ type }) => type === "Ready");
  const current = ready?.observedGeneration === parent.metadata.generation;
  return {
    name,
    ready: ready?.status === "True" && current,
    reason: ready?.reason ?? "NotSeen",
    message: ready?.message ?? "no operator has looked at it yet",
  };
}

/**
 * Rows for tables: agents, each followed by what runs on it, then applications, each followed by what is on no agent,
 * then edge resources; none where there is nothing.
 */
export function edgeRows(
  { agents, applications, edgeResources }: EdgePicture,
): readonly (readonly (readonly string[])[])[] {
  const agentRows = agents.flatMap((agent) => [
    [agent.name, agent.status ?? "-", agent.version ?? "-", agent.address ?? "-", stateOf(agent)],
    ...agent.microservices.map(({ name, status }) => [`  ${name}`, status, "", "", ""]),
  ]);
  const applicationRows = applications.flatMap((each) => [
    [
      each.name,
      each.active === undefined ? "-" : each.active ? "yes" : "no",
      each.running ?? "-",
      stateOf(each),
    ],
    ...each.waiting.map((name) => [`  ${name}`, "", "", "on no agent yet"]),
  ]);
  const resourceRows = edgeResources.map((each) => [
    each.name,
    each.version ?? "-",
    each.linked.join(", ") || "-",
    stateOf(each),
  ]);
  return [
    ...(agentRows.length === 0 ? [] : [[["AGENT", "STATUS", "VERSION", "ADDRESS", "READY"], ...agentRows]]),
    ...(applicationRows.length === 0
      ? []
      : [[["APPLICATION", "ACTIVE", "RUNNING", "READY"], ...applicationRows]]),
    ...(resourceRows.length === 0
      ? []
      : [[["EDGE RESOURCE", "VERSION", "LINKED TO", "READY"], ...resourceRows]]),
  ];
}

function stateOf({ message, ready, reason }: Shown): string {
  return ready ? reason === "Ready" ? "yes" : `yes (${reason})` : `no (${reason}): ${message}`;
}
