/** Why something at the edge is not as it should be: the reasons that stand in conditions and Events of its kinds. */

import { unsettled } from "../../operator/progress.ts";

/** A field of the spec has a wrong type, is missing, or breaks a limit. */
export { INVALID_SPEC } from "../parse_spec.ts";
export { BAD_RESPONSE, CONTROLLER_UNREACHABLE } from "../controlplane/reasons.ts";
/** Everything is as it should be. */
export const READY = "Ready";
/** It is in the Controller; the agent never reported. */
export const NOT_PROVISIONED = "NotProvisioned";
/** The agent does not report. */
export const NOT_RUNNING = "NotRunning";
/** The Controller says what is wrong with the agent. */
export const AGENT_WARNING = "AgentWarning";
/** Something is still to be written. */
export const APPLYING = "Applying";
/** Nothing is written because of an annotation. */
export const PAUSED = "Paused";
/** Microservices are not running yet. */
export const STARTING = "Starting";
/** A microservice failed. */
export const FAILED = "Failed";
/** The Controller has not been asked yet. */
export const NOT_ASKED = "NotAsked";
/** The Controller is not known to be the one that the inventory is about. */
export const NOT_PROVED = "NotProved";
/** An agent that is named does not exist. */
export const AGENT_MISSING = "AgentMissing";
/** What an agent is made of is not known before it was provisioned. */
export const ARCHITECTURE_UNKNOWN = "ArchitectureUnknown";
/** There is no image for the agent's architecture. */
export const IMAGE_MISSING = "ImageMissing";
/** Another microservice has the port. */
export const PORT_TAKEN = "PortTaken";
/** An application that is named does not exist. */
export const APPLICATION_MISSING = "ApplicationMissing";
/** A microservice at an end of a route does not exist. */
export const ROUTE_END_MISSING = "RouteEndMissing";
/** Another route leads from the one microservice to the other. */
export const ROUTE_TAKEN = "RouteTaken";
/** This Controller has no routes. */
export const ROUTES_NOT_SUPPORTED = "RoutesNotSupported";
/** The agent or microservice that an additional host name stands for does not exist. */
export const HOST_MISSING = "HostMissing";
/** An upstream router that is named does not exist. */
export const UPSTREAM_MISSING = "UpstreamMissing";
/** An upstream router that is named is not of mode interior. */
export const UPSTREAM_NOT_INTERIOR = "UpstreamNotInterior";
/** An upstream NATS server that is named is not of mode server. */
export const UPSTREAM_NOT_SERVER = "UpstreamNotServer";
/** Agents connect to a router that is to be one that nobody can connect to. */
export const ROUTERS_BEHIND = "RoutersBehind";
/** Upstream routers, or NATS servers, go round in a circle. */
export const UPSTREAM_CYCLE = "UpstreamCycle";
/** An edge resource that is named does not exist. */
export const EDGE_RESOURCE_MISSING = "EdgeResourceMissing";
/** A Secret or ConfigMap that is named, or its key, is not there. */
export const VALUE_MISSING = "ValueMissing";
/** An application template that is named does not exist. */
export const TEMPLATE_MISSING = "TemplateMissing";
/** A variable that a template uses has no value. */
export const VARIABLE_MISSING = "VariableMissing";
/** What a template gives with these variables is no application. */
export const TEMPLATE_INVALID = "TemplateInvalid";
/** An item of the catalogue that is named does not exist. */
export const CATALOG_ITEM_MISSING = "CatalogItemMissing";
/** A registry that is named does not exist. */
export const REGISTRY_MISSING = "RegistryMissing";
/** More than one registry has the URL that is named. */
export const REGISTRY_AMBIGUOUS = "RegistryAmbiguous";
/** Another microservice has the port, and is about to give it up. */
export const PORT_AWAITED = "PortAwaited";
/** What would have to be sent is more than the Controller takes. */
export const TOO_LARGE = "TooLarge";
/** The Controller refuses what it was asked for. */
export const REFUSED = "Refused";
/** The spec has fields that are not used here. */
export const FIELDS_IGNORED = "FieldsIgnored";
/** The installed CRD drops fields. */
export const FIELDS_DROPPED = "FieldsDropped";
/** Nothing is wrong. */
export const NONE = "None";

/** Only a change of a spec, or of other objects, can end these. */
export const stalling: ReadonlySet<string> = new Set([
  ...["Conflict", "NotOurs", IMAGE_MISSING, PORT_TAKEN, ROUTES_NOT_SUPPORTED, UPSTREAM_CYCLE, REFUSED],
  ...[UPSTREAM_NOT_INTERIOR, UPSTREAM_NOT_SERVER, VALUE_MISSING, VARIABLE_MISSING, TEMPLATE_INVALID],
  ...[REGISTRY_AMBIGUOUS, TOO_LARGE, ROUTE_TAKEN, ROUTERS_BEHIND, unsettled],
]);

/** Something that is named is not there: it may come, or the name is wrong. */
export const awaiting: ReadonlySet<string> = new Set([
  ...[AGENT_MISSING, APPLICATION_MISSING, ROUTE_END_MISSING, UPSTREAM_MISSING, EDGE_RESOURCE_MISSING],
  ...[TEMPLATE_MISSING, CATALOG_ITEM_MISSING, REGISTRY_MISSING, ARCHITECTURE_UNKNOWN, HOST_MISSING],
]);
