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
  return {
    agents: list("Agent").map((parent) => {
      const { address, daemonStatus, version } = statusOf(parent) as Readonly<
        Record<string, string | undefined>
      >;
      const name = agentName(parent);
      return {
        ...shown(parent, name),
        status: daemonStatus,
        version,
        address,
        microservices: microservices.filter(({ agent }) => agent === name)
          .map(({ name, status }) => ({ name, status: status ?? "UNKNOWN" })),
      };
    }),
    applications: list("Application").map((parent) => {
      const { isActivated, running } = statusOf(parent) as { isActivated?: boolean; running?: string };
      return { ...shown(parent, nameOf(parent)), active: isActivated, running };
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

/** Rows for a table: agents, each followed by what runs on it, then applications; none where there is nothing. */
export function edgeRows({ agents, applications }: EdgePicture): readonly (readonly (readonly string[])[])[] {
  const agentRows = agents.flatMap((agent) => [
    [agent.name, agent.status ?? "-", agent.version ?? "-", agent.address ?? "-", stateOf(agent)],
    ...agent.microservices.map(({ name, status }) => [`  ${name}`, status, "", "", ""]),
  ]);
  const applicationRows = applications.map((each) => [
    each.name,
    each.active === undefined ? "-" : each.active ? "yes" : "no",
    each.running ?? "-",
    stateOf(each),
  ]);
  return [
    ...(agentRows.length === 0 ? [] : [[["AGENT", "STATUS", "VERSION", "ADDRESS", "READY"], ...agentRows]]),
    ...(applicationRows.length === 0
      ? []
      : [[["APPLICATION", "ACTIVE", "RUNNING", "READY"], ...applicationRows]]),
  ];
}

function stateOf({ message, ready, reason }: Shown): string {
  return ready ? reason === "Ready" ? "yes" : `yes (${reason})` : `no (${reason}): ${message}`;
}
