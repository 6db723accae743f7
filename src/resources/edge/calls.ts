/**
 * From a change to the calls of the Controller's API that make it, and nothing else: pure.
 *
 * Only what changed is sent, because every list that is sent restarts a container, and what the API wants besides: an
 * agent's router settings all together, `agentName` and `logSize` with every change of a microservice.
 */

import type { EdgeDialect } from "../../controller/edge.ts";
import type { ControllerRequest } from "../../controller/transport.ts";
import type { ExternalWrite } from "../../operator/definition.ts";
import {
  AGENT,
  APPLICATION,
  DEFAULT_NATS_HUB,
  DEFAULT_ROUTER,
  EDGE_RESOURCE,
  EDGE_RESOURCE_LINK,
  MICROSERVICE,
  type Port,
  ROUTE,
} from "./world.ts";

type Json = Readonly<Record<string, unknown>>;

/** What a call needs besides the change. */
export interface CallContext {
  readonly dialect: EdgeDialect;
  /** The uuid of an agent; undefined where there is none of that name. */
  readonly uuidOf: (agent: string) => string | undefined;
}

/** The requests for one change, to be sent one after the other. */
export function callsOf(write: ExternalWrite, context: CallContext): readonly ControllerRequest[] {
  switch (write.child.kind) {
    case AGENT:
      return agentCalls(write, context);
    case APPLICATION:
      return applicationCalls(write);
    case MICROSERVICE:
      return microserviceCalls(write);
    case ROUTE:
      return routeCalls(write);
    case EDGE_RESOURCE:
      return edgeResourceCalls(write);
    case EDGE_RESOURCE_LINK:
      return linkCalls(write, context);
    default:
      throw new TypeError(`no such kind at the edge: ${write.child.kind}`);
  }
}

/** Names of the top-level fields that differ. */
function changedOf({ paths }: ExternalWrite): ReadonlySet<string> {
  return new Set(paths.map((path) => path.split(/[.[]/)[0] ?? path));
}

function pick(fields: Json, keys: Iterable<string>): Json {
  return Object.fromEntries(
    [...keys].filter((key) => fields[key] !== undefined).map((key) => [key, fields[key]]),
  );
}

const routerKeys = [
  ...["routerMode", "host", "messagingPort", "edgeRouterPort", "interRouterPort", "upstreamRouters"],
  "networkRouter",
];

/** Of these 3.7 takes some only beside others. */
const positionKeys = ["latitude", "longitude", "gpsMode", "gpsDevice"];

function agentCalls(write: ExternalWrite, context: CallContext): readonly ControllerRequest[] {
  const { child: { name, fields }, observed, verb } = write;
  const parameters = { uuid: observed?.id ?? "" };
  if (verb === "delete") return [{ method: "DELETE", route: "/iofog/:uuid", parameters }];
  if (verb === "create") {
    const bodyJson = { name, fogType: 0, ...withUuids(fields, context) };
    return [{ method: "POST", route: "/iofog", templated: true, bodyJson }];
  }
  const changed = changedOf(write);
  const before = observedOf(observed?.fields);
  const own = [...routerKeys, ...natsKeys];
  const rest = pick(fields, [...changed].filter((key) => !own.includes(key)));
  const router = routerKeys.some((key) => changed.has(key)) ? routerOf({ ...before, ...fields }) : {};
  const nats = context.dialect.name === "3.7" ? natsOf({ ...before, ...fields }) : {};
  const position = context.dialect.name === "3.7" && positionKeys.some((key) => changed.has(key))
    ? pick({ ...before, ...fields }, positionKeys)
    : {};
  const bodyJson = { ...rest, ...position, ...withUuids({ ...router, ...nats }, context) };
  return [{ method: "PATCH", route: "/iofog/:uuid", parameters, templated: true, bodyJson }];
}

/** What there is of an agent; one without a router or NATS server gets one that is connected, as with its creation. */
function observedOf(fields: Json = {}): Json {
  return {
    ...fields,
    ...(fields["routerMode"] === "none" && { upstreamRouters: [DEFAULT_ROUTER] }),
    ...(fields["natsMode"] === "none" && { upstreamNatsServers: [DEFAULT_NATS_HUB] }),
  };
}

/** What is to be seen of an agent's router and NATS server once the Controller has made all of them. */
export function setUpOf({ child: { fields }, observed }: Pick<ExternalWrite, "child" | "observed">): Json {
  const whole = { routerMode: "edge", natsMode: "leaf", ...fields };
  const router = whole.routerMode === "none" ? {} : { upstreamRouters: [DEFAULT_ROUTER], ...fields };
  const keys = ["routerMode", "messagingPort", "edgeRouterPort", "interRouterPort", "natsMode"];
  return observed === undefined
    ? { ...pick(whole, keys), ...pick(router, ["upstreamRouters"]) }
    : pick(fields, [...keys, "upstreamRouters"]);
}

/** The router's settings, all that its mode knows: the Controller loses what is left out. */
function routerOf(fields: Json): Json {
  const mode = fields["routerMode"] ?? "edge";
  if (mode === "none") return { routerMode: mode, ...pick(fields, ["networkRouter"]) };
  const ports = mode === "interior" ? ["edgeRouterPort", "interRouterPort"] : [];
  return { routerMode: mode, ...pick(fields, ["host", "messagingPort", "upstreamRouters", ...ports]) };
}

const natsPorts = ["natsServerPort", "natsLeafPort", "natsMqttPort", "natsHttpPort"];
const natsKeys = [
  ...["natsMode", ...natsPorts, "natsClusterPort", "jsStorageSize", "jsMemoryStoreSize"],
  "upstreamNatsServers",
];

/** The settings of NATS go with every change of an agent: what is left out becomes a leaf with the default ports. */
function natsOf(fields: Json): Json {
  const { natsMode } = fields;
  if (natsMode === "none") return { natsMode };
  return pick(fields, natsKeys.filter((key) => key !== "natsClusterPort" || natsMode === "server"));
}

function withUuids(fields: Json, { uuidOf }: CallContext): Json {
  const { networkRouter, upstreamNatsServers, upstreamRouters, ...rest } = fields;
  const known = (name: string) =>
    name === DEFAULT_ROUTER || name === DEFAULT_NATS_HUB ? name : uuidOf(name) ?? name;
  return {
    ...rest,
    ...(upstreamRouters !== undefined && { upstreamRouters: (upstreamRouters as string[]).map(known) }),
    // It tells that the default router is the one, but does not take that word back.
    ...(networkRouter !== undefined && networkRouter !== DEFAULT_ROUTER && {
      networkRouter: known(`${networkRouter}`),
    }),
    ...(upstreamNatsServers !== undefined && {
      upstreamNatsServers: (upstreamNatsServers as string[]).map(known),
    }),
  };
}

function applicationCalls(write: ExternalWrite): readonly ControllerRequest[] {
  const { child: { name, fields }, verb } = write;
  const parameters = { name };
  if (verb === "delete") return [{ method: "DELETE", route: "/application/:name", parameters }];
  if (verb === "create") {
    const bodyJson = { name, ...withNats(fields) };
    return [{ method: "POST", route: "/application", templated: true, bodyJson }];
  }
  const changed = changedOf(write);
  const nats = changed.has("natsAccess") || changed.has("natsRule")
    ? pick(fields, ["natsAccess", "natsRule"])
    : {};
  const bodyJson = withNats({ ...pick(fields, changed), ...nats });
  return [{ method: "PATCH", route: "/application/:name", parameters, templated: true, bodyJson }];
}

/** Read flat, written nested. */
function withNats({ natsAccess, natsRule, ...rest }: Json): Json {
  if (natsAccess === undefined && natsRule === undefined) return rest;
  return { ...rest, natsConfig: pick({ natsAccess, natsRule }, ["natsAccess", "natsRule"]) };
}

function microserviceCalls(write: ExternalWrite): readonly ControllerRequest[] {
  const { child, observed, verb } = write;
  const { fields } = child;
  const [application = "", name = ""] = splitName(child.name);
  const parameters = { uuid: observed?.id ?? "" };
  const secrets = Object.values(child.secrets ?? {});
  if (verb === "delete") return [{ method: "DELETE", route: "/microservices/:uuid", parameters }];
  const { agentName, complete: _, ...all } = bodyOf(child.fields, child.secrets);
  if (verb === "create") {
    const bodyJson = { name, application, agentName, ...all };
    return [{ method: "POST", route: "/microservices", templated: true, bodyJson, secrets }];
  }
  const changed = changedOf(write);
  const logSize = fields["logSize"] ?? observed?.fields["logSize"] ?? 1;
  const nats = changed.has("natsAccess") || changed.has("natsRule") ? ["natsConfig"] : [];
  const rest = pick(all, [...changed].filter((key) => key !== "agentName" && key !== "ports").concat(nats));
  const ports = changed.has("ports") ? pick(all, ["ports"]) : {};
  // With each change that names none, it gets the default.
  const role = pick(all, ["serviceAccount"]);
  const patch = (body: Json): ControllerRequest => ({
    method: "PATCH",
    route: "/microservices/:uuid",
    parameters,
    templated: true,
    bodyJson: { agentName, logSize, ...role, ...body },
    secrets,
  });
  if (!changed.has("agentName") || !changed.has("ports")) return [patch({ ...rest, ...ports })];
  // The Controller looks for new ports on the agent that it moves from: there, others may have them.
  const held = externalsOf(observed?.fields["ports"]);
  if (externalsOf(fields["ports"]).every((port) => held.includes(port))) {
    return [patch({ ...rest, ...ports })];
  }
  return [patch({ ...rest, ...(held.length === 0 ? {} : { ports: [] }) }), patch(ports)];
}

function externalsOf(ports: unknown): readonly number[] {
  return ((ports ?? []) as readonly Port[]).map(({ external }) => external);
}

/** The marker of a value that stands in `ExternalChild.secrets`, under the name of its variable. */
export const SECRET_VALUE = "from a Secret";

function bodyOf(fields: Json, secrets: Readonly<Record<string, string>> = {}): Json {
  const { catalogItemId, config, env, images, ports, serviceAccount, ...rest } = withNats(fields);
  return {
    ...rest,
    ...(serviceAccount !== undefined && {
      serviceAccount: { roleRef: { kind: "Role", name: serviceAccount } },
    }),
    ...(catalogItemId === null || catalogItemId === undefined ? { images } : { catalogItemId }),
    ...(config !== undefined && { config: safeConfig(`${config}`) }),
    ...(env !== undefined && {
      env: (env as { key: string; value?: unknown }[]).map((item) =>
        item.value === SECRET_VALUE && secrets[item.key] !== undefined
          ? { ...item, value: secrets[item.key] }
          : item
      ),
    }),
    ...(ports !== undefined && {
      ports: (ports as { public: unknown }[]).map(({ public: shown, ...port }) =>
        shown === null ? port : { ...port, public: shown }
      ),
    }),
  };
}

/** The Controller drops the backslash of `\"`, and with that breaks the JSON: such characters go as their codes. */
export function safeConfig(text: string): string {
  return text.replace(/\\(["\\])/g, (_, escaped: string) => escaped === '"' ? "\\u0022" : "\\u005c");
}

function routeCalls(write: ExternalWrite): readonly ControllerRequest[] {
  const { child: { name: whole, fields }, verb } = write;
  const [application = "", name = ""] = splitName(whole);
  const parameters = { application, name };
  if (verb === "delete") return [{ method: "DELETE", route: "/routes/:application/:name", parameters }];
  const bodyJson = { name, application, from: fields["from"], to: fields["to"] };
  if (verb === "create") return [{ method: "POST", route: "/routes", templated: true, bodyJson }];
  return [{ method: "PATCH", route: "/routes/:application/:name", parameters, templated: true, bodyJson }];
}

function edgeResourceCalls(write: ExternalWrite): readonly ControllerRequest[] {
  const { child: { name: whole, fields }, verb } = write;
  const [name = "", version = ""] = splitName(whole);
  const parameters = { name, version };
  const isNew = write.observed === undefined;
  const route = "/edgeResource/:name/:version";
  if (verb === "delete") return [{ method: "DELETE", route, parameters }];
  const { custom, endpoints, written: _, ...rest } = fields;
  const bodyJson = {
    name,
    version,
    ...rest,
    ...(custom !== undefined && { custom: JSON.parse(`${custom}`) }),
    // The Controller wants it of a new one; later, what is left out stays.
    ...(endpoints === undefined && !isNew ? {} : { interface: { endpoints: endpoints ?? [] } }),
  };
  return [{ method: "PUT", route, parameters, templated: true, bodyJson }];
}

function linkCalls(write: ExternalWrite, { uuidOf }: CallContext): readonly ControllerRequest[] {
  const [agent = "", name = "", version = ""] = splitLink(write.child.name);
  return [{
    method: write.verb === "delete" ? "DELETE" : "POST",
    route: "/edgeResource/:name/:version/link",
    parameters: { name, version },
    bodyJson: { uuid: uuidOf(agent) ?? agent },
  }];
}

/** `application/name`, or `name/version`. */
function splitName(whole: string): readonly string[] {
  const at = whole.indexOf("/");
  return [whole.slice(0, at), whole.slice(at + 1)];
}

/** `agent/name/version`; the name of an agent may have slashes itself. */
function splitLink(whole: string): readonly string[] {
  const parts = whole.split("/");
  return [parts.slice(0, -2).join("/"), parts.at(-2) ?? "", parts.at(-1) ?? ""];
}
