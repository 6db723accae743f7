/** What an Agent should be in the Controller: the agent itself, and the edge resources that are linked to it. */

import { Secret } from "../../../kubernetes/generated/core_v1.ts";
import type {
  DesiredContext,
  ExternalChild,
  GeneratedChild,
  Parent,
  Snapshot,
} from "../../../operator/definition.ts";
import { secretValues } from "../../child.ts";
import {
  type Assessment,
  type Blocked,
  cliOnlyFields,
  dialectOf,
  foundIn,
  isMissing,
} from "../assessment.ts";
import { sizeProblem } from "../body_size.ts";
import { peersIn } from "../peers.ts";
import * as reasons from "../reasons.ts";
import {
  AGENT,
  DEFAULT_NATS_HUB,
  DEFAULT_ROUTER,
  EDGE_RESOURCE,
  EDGE_RESOURCE_LINK,
  sorted,
} from "../world.ts";
import { type AgentSpec, parseAgent } from "./schema.ts";

/** Fields of the configuration that go to the Controller as they are. */
const special = new Set([
  ...["agentType", "routerConfig", "natsConfig", "upstreamRouters", "networkRouter", "upstreamNatsServers"],
]);
/** Those that only PoT's Controller has. */
export const potOnly = new Set([
  ...[
    "networkInterface",
    "containerEngine",
    "deploymentType",
    "natsConfig",
    "upstreamNatsServers",
    "gpsMode",
  ],
  ...["gpsDevice", "gpsScanFrequency", "edgeGuardFrequency"],
]);
const fogTypes = { auto: 0, x86: 1, arm: 2 } as const;

/** Makes a key to provision the agent with this uuid; the values of the Secret. */
export type ProvideKey = (uuid: string, snapshot: Snapshot) => Promise<Readonly<Record<string, string>>>;

/** Milliseconds before its end at which a key is made again. */
const keyMarginMs = 300_000;

/** The name of an Agent in the Controller. */
export function agentName({ metadata, spec }: Parent): string {
  const name = (spec as { name?: unknown } | undefined)?.name;
  return typeof name === "string" && name !== "" ? name : metadata.name;
}

/** See the module. */
export function assessAgent(context: DesiredContext, provideKey?: ProvideKey): Assessment {
  const parsed = parseAgent(context.parent.spec);
  const ignored = parsed.unknownFields.map((field) => `${field} (not known)`);
  if ("problems" in parsed) return { children: [], problems: parsed.problems, ignored };
  const { spec } = parsed;
  const name = agentName(context.parent);
  if (name === DEFAULT_ROUTER) {
    const message = "must not be default-router, which is the router of the control plane";
    return {
      children: [],
      problems: [{ reason: reasons.INVALID_SPEC, field: "spec.name", message }],
      ignored,
    };
  }
  const dialect = dialectOf(context);
  const isOld = dialect.name === "3.0";
  const dropped = Object.keys(spec.config ?? {}).filter((key) => isOld && potOnly.has(key));
  const agent: ExternalChild = {
    type: "external",
    kind: AGENT,
    name,
    fields: fieldsOf(spec, context, isOld),
    singleton: false,
    references: [...upstreamsOf(spec), ...natsServersOf(spec, isOld)].map((name) => ({ kind: AGENT, name })),
    ...(spec.deletionPolicy && { deletionPolicy: spec.deletionPolicy }),
  };
  const blocked = sizeProblem(agent, dialect) ?? upstreamProblem(spec, name, context) ??
    downstreamProblem(spec, name, context) ??
    natsProblem(spec, name, context, isOld) ?? awaited(name, context);
  const key = keySecret(spec, name, context, provideKey);
  return {
    children: [
      { ...agent, ...asBlocked(blocked) },
      ...links(spec, name, context),
      ...(key === undefined ? [] : [key]),
    ],
    problems: [],
    ignored: [
      ...ignored,
      ...cliOnlyFields(spec, ["ssh", "package", "scripts", "container", "controllerEndpoint"]),
      ...dropped.map((field) => `spec.config.${field} (this Controller does not know it)`),
      ...(spec.config?.networkRouter !== undefined && !isWithoutRouter(spec)
        ? ["spec.config.networkRouter (only with routerMode none)"]
        : []),
    ],
  };
}

function asBlocked(blocked: Blocked | undefined): Pick<ExternalChild, "blocked"> {
  return blocked === undefined ? {} : { blocked };
}

function fieldsOf(
  spec: AgentSpec,
  context: DesiredContext,
  isOld: boolean,
): Readonly<Record<string, unknown>> {
  const { config = {}, host, tags } = spec;
  const plain = Object.fromEntries(
    Object.entries(config).filter(([key, value]) =>
      value !== undefined && !special.has(key) && !(isOld && potOnly.has(key)) &&
      // The Controller forgets the device of all other modes.
      (key !== "gpsDevice" || config.gpsMode === "dynamic")
    ),
  );
  const found = foundIn(context, AGENT, agentName(context.parent));
  const known = found?.fields["fogType"];
  const linkedTags = (found?.fields["linkedTags"] ?? []) as string[];
  const architecture = config.agentType === undefined ? undefined : fogTypes[config.agentType];
  return {
    ...plain,
    ...(host !== undefined && { host }),
    ...routerFields(config.routerConfig),
    ...(isOld ? {} : natsFields(config.natsConfig)),
    ...(config.upstreamRouters !== undefined && !isWithoutRouter(spec) && {
      upstreamRouters: sorted(config.upstreamRouters),
    }),
    ...(!isOld && config.upstreamNatsServers !== undefined && config.natsConfig?.natsMode !== "none" && {
      upstreamNatsServers: sorted(config.upstreamNatsServers),
    }),
    ...(isWithoutRouter(spec) && config.networkRouter !== undefined && {
      networkRouter: config.networkRouter,
    }),
    ...(tags !== undefined && { tags: sorted([...tags, ...linkedTags]) }),
    // The agent says what it is once it has been provisioned.
    ...(architecture !== undefined && (known === undefined || known === 0) && { fogType: architecture }),
  };
}

/** Ports for other routers belong to mode interior; a router of another mode never has them. */
function routerFields(router: NonNullable<AgentSpec["config"]>["routerConfig"] = {}) {
  const { edgeRouterPort, interRouterPort, messagingPort, routerMode } = router;
  const ports = routerMode === "interior" ? { edgeRouterPort, interRouterPort } : {};
  return defined({ routerMode, ...(routerMode === "none" ? {} : { messagingPort }), ...ports });
}

/** The port of the cluster belongs to mode server; without a server there is nothing to set. */
function natsFields(nats: NonNullable<AgentSpec["config"]>["natsConfig"] = {}) {
  const { natsClusterPort, natsMode, ...rest } = nats;
  if (natsMode === "none") return { natsMode };
  return defined({ natsMode, ...rest, ...(natsMode === "server" ? { natsClusterPort } : {}) });
}

function defined(fields: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/**
 * Until the Controller is done with an agent, what it says of its router and NATS server is not what comes of them: a
 * change meanwhile would be made of that, and stay.
 */
function awaited(name: string, context: DesiredContext): Blocked | undefined {
  if (foundIn(context, AGENT, name)?.fields["isBeingSetUp"] !== true) return undefined;
  const message = `waits until the Controller has set up the router and NATS server of agent ${name}`;
  return { reason: reasons.APPLYING, message };
}

/** Only then it uses the router of another agent; otherwise its own is connected to others. */
function isWithoutRouter({ config }: Pick<AgentSpec, "config">): boolean {
  return config?.routerConfig?.routerMode === "none";
}

function upstreamsOf(spec: Pick<AgentSpec, "config">): readonly string[] {
  const { networkRouter, upstreamRouters = [] } = spec.config ?? {};
  const wanted = isWithoutRouter(spec) ? networkRouter === undefined ? [] : [networkRouter] : upstreamRouters;
  return wanted.filter((name) => name !== DEFAULT_ROUTER);
}

/** Why the agent cannot be connected to the routers that it names. */
function upstreamProblem(spec: AgentSpec, name: string, context: DesiredContext): Blocked | undefined {
  const wanted = upstreamsOf(spec);
  if (wanted.length === 0) return undefined;
  const cycle = cycleFrom(name, wanted, context, ({ upstreamRouters }) => upstreamRouters);
  if (cycle !== undefined) return cycleProblem("upstream routers go", cycle);
  for (const upstream of wanted) {
    const found = foundIn(context, AGENT, upstream);
    if (isMissing(context, AGENT, upstream)) {
      const waiting = mutualWait(name, upstream, context);
      if (waiting !== undefined) return waiting;
      const message =
        `upstream router ${upstream} does not exist in the Controller: create an Agent of that name, or ` +
        "correct spec.config";
      return { reason: reasons.UPSTREAM_MISSING, message };
    }
    const waits = awaited(upstream, context);
    if (waits !== undefined) return waits;
    if (found !== undefined && found.fields["routerMode"] !== "interior") {
      const message = `upstream router ${upstream} is not of mode interior: set ` +
        "spec.config.routerConfig.routerMode of that Agent to interior, or name another";
      return { reason: reasons.UPSTREAM_NOT_INTERIOR, message };
    }
  }
  return undefined;
}

/** Why the agent's router cannot become one that no other connects to. */
function downstreamProblem(
  { config }: AgentSpec,
  name: string,
  context: DesiredContext,
): Blocked | undefined {
  const { behind = [], routerMode } = foundIn(context, AGENT, name)?.fields ?? {};
  const names = behind as readonly string[];
  if (config?.routerConfig?.routerMode !== "edge" || routerMode !== "interior" || names.length === 0) {
    return undefined;
  }
  const shown = names.slice(0, 5).join(", ") + (names.length > 5 ? ", ..." : "");
  const message =
    `${
      names.length === 1 ? `agent ${shown} connects` : `agents ${shown} connect`
    } to its router, which only one ` +
    "of mode interior takes: name another router in spec.config.upstreamRouters there first, or keep " +
    "spec.config.routerConfig.routerMode interior here";
  return { reason: reasons.ROUTERS_BEHIND, message };
}

function natsServersOf({ config = {} }: AgentSpec, isOld: boolean): readonly string[] {
  return isOld ? [] : (config.upstreamNatsServers ?? []).filter((name) => name !== DEFAULT_NATS_HUB);
}

/** Why the agent cannot be connected to the NATS servers that it names. */
function natsProblem(
  spec: AgentSpec,
  own: string,
  context: DesiredContext,
  isOld: boolean,
): Blocked | undefined {
  for (const name of natsServersOf(spec, isOld)) {
    const found = foundIn(context, AGENT, name);
    if (isMissing(context, AGENT, name)) {
      const waiting = mutualWait(own, name, context);
      if (waiting !== undefined) return waiting;
      const message =
        `upstream NATS server ${name} does not exist in the Controller: create an Agent of that ` +
        "name, or correct spec.config.upstreamNatsServers";
      return { reason: reasons.UPSTREAM_MISSING, message };
    }
    const waits = awaited(name, context);
    if (waits !== undefined) return waits;
    if (found !== undefined && found.fields["natsMode"] !== "server") {
      const message = `upstream NATS server ${name} is not of mode server: set ` +
        "spec.config.natsConfig.natsMode of that Agent to server, or name another";
      return { reason: reasons.UPSTREAM_NOT_SERVER, message };
    }
  }
  return undefined;
}

/** Why an agent that waits for another one waits for ever. */
function mutualWait(name: string, other: string, context: DesiredContext): Blocked | undefined {
  const isOld = dialectOf(context).name === "3.0";
  const cycle = cycleFrom(name, [other], context, ({ upstreamNatsServers, upstreamRouters }) => [
    ...listed(upstreamRouters),
    ...(isOld ? [] : listed(upstreamNatsServers)),
  ]);
  return cycle && cycleProblem("upstream routers and NATS servers go", cycle);
}

function cycleProblem(what: string, cycle: readonly string[]): Blocked {
  const message = `${what} round in a circle: ${cycle.join(" -> ")}; remove one of them`;
  return { reason: reasons.UPSTREAM_CYCLE, message };
}

/** Names in a list that was not checked. */
function listed(names: unknown): readonly string[] {
  return Array.isArray(names) ? names : [];
}

/** A way from the agent through what the Agents of this namespace name, as `next` says, back to itself. */
function cycleFrom(
  name: string,
  wanted: readonly string[],
  context: DesiredContext,
  next: (config: NonNullable<AgentSpec["config"]>) => unknown,
): readonly string[] | undefined {
  const agents = new Map(
    peersIn(context, "Agent").map((parent) => [agentName(parent), parent.spec as Pick<AgentSpec, "config">]),
  );
  const seen = new Set<string>();
  const open = wanted.map((next) => [name, next]);
  for (let way = open.pop(); way !== undefined; way = open.pop()) {
    const last = way.at(-1) ?? "";
    if (last === name) return way;
    if (seen.has(last)) continue;
    seen.add(last);
    for (const each of listed(next(agents.get(last)?.config ?? {}))) open.push([...way, each]);
  }
  return undefined;
}

function links(spec: AgentSpec, agent: string, context: DesiredContext): readonly ExternalChild[] {
  return (spec.edgeResources ?? []).map(({ name, version }) => {
    const resource = { kind: EDGE_RESOURCE, name: `${name}/${version}` };
    const missing = isMissing(context, EDGE_RESOURCE, resource.name)
      ? {
        reason: reasons.EDGE_RESOURCE_MISSING,
        message:
          `edge resource ${name} of version ${version} does not exist in the Controller: create an EdgeResource, ` +
          "or correct spec.edgeResources",
      }
      : isMissing(context, AGENT, agent)
      ? { reason: reasons.APPLYING, message: "waits until the agent is there" }
      : undefined;
    return {
      type: "external",
      kind: EDGE_RESOURCE_LINK,
      name: `${agent}/${name}/${version}`,
      fields: {},
      singleton: false,
      references: [{ kind: AGENT, name: agent }, resource],
      partOf: { kind: AGENT, name: agent },
      ...asBlocked(missing),
    };
  });
}

/** The Secret with a key, while the agent has none to come with. */
function keySecret(
  spec: AgentSpec,
  name: string,
  context: DesiredContext,
  provideKey: ProvideKey | undefined,
): GeneratedChild | undefined {
  const { snapshot, now } = context;
  const secretName = spec.provisioning?.secretName;
  const agent = foundIn(context, AGENT, name);
  if (secretName === undefined || provideKey === undefined) return undefined;
  const values = secretValues(snapshot, secretName);
  if (agent?.id === undefined || agent.fields["provisioned"] === true) {
    // What was made stays until then; what is spent is removed.
    return agent === undefined && snapshot.get(Secret, secretName) !== undefined
      ? keyChild(context, secretName, { name, uuid: "" }, provideKey)
      : undefined;
  }
  const isOver = Number(values?.["expirationTime"] ?? 0) - now < keyMarginMs;
  const isOther = values !== undefined && values["uuid"] !== agent.id;
  const child = keyChild(context, secretName, { name, uuid: agent.id }, provideKey);
  return values !== undefined && (isOver || isOther)
    ? { ...child, reissue: isOther ? "data.uuid" : "data.expirationTime" }
    : child;
}

function keyChild(
  { parent, snapshot }: DesiredContext,
  secretName: string,
  agent: { readonly name: string; readonly uuid: string },
  provideKey: ProvideKey,
): GeneratedChild {
  const object = {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: { name: secretName, namespace: parent.metadata.namespace },
  };
  return {
    type: "generated",
    resource: Secret,
    object,
    // A key for an agent of somebody else would make theirs useless.
    partOf: { kind: AGENT, name: agent.name },
    generate: () => provideKey(agent.uuid, snapshot),
  };
}
