/** What a microservice should be in the Controller, be it a custom resource of its own or part of an Application. */

import type { DesiredContext, ExternalChild, ExternalObject, Parent } from "../../../operator/definition.ts";
import { type Assessment, type Blocked, dialectOf, foundIn, isAsked, resolveValue } from "../assessment.ts";
import { SECRET_VALUE } from "../calls.ts";
import * as reasons from "../reasons.ts";
import {
  AGENT,
  APPLICATION,
  by,
  canonical,
  imagesInOrder,
  MICROSERVICE,
  portsInOrder,
  potContainerFields,
} from "../world.ts";
import { type EmbeddedMicroservice, parseMicroservice } from "./schema.ts";

/** What of a microservice is not used by this Controller. */
const oldContainerFields = ["rootHostAccess"];

/** A Microservice as a custom resource of its own. */
export function assessMicroservice(context: DesiredContext): Assessment {
  const { parent } = context;
  const parsed = parseMicroservice(parent.spec);
  const ignored = parsed.unknownFields.map((field) => `${field} (not known)`);
  if ("problems" in parsed) return { children: [], problems: parsed.problems, ignored };
  const { application, name = parent.metadata.name, ...fields } = parsed.spec;
  const wanted = { ...fields, name };
  const missing = isAsked(context) && foundIn(context, APPLICATION, application) === undefined
    ? {
      reason: reasons.APPLICATION_MISSING,
      message:
        `application ${application} does not exist in the Controller: create an Application of that name, or ` +
        "correct spec.application",
    }
    : undefined;
  const child = microserviceChild(context, application, wanted, new Set());
  return {
    children: [missing === undefined ? child : { ...child, blocked: missing }],
    problems: [],
    ignored: [...ignored, ...ignoredIn(wanted, context, "spec")],
  };
}

/**
 * The microservice in the Controller.
 *
 * @param siblings Names in the Controller of microservices that the same custom resource has: what they hold, they may
 *   be about to give up.
 */
export function microserviceChild(
  context: DesiredContext,
  application: string,
  spec: EmbeddedMicroservice,
  siblings: ReadonlySet<string>,
): ExternalChild {
  const name = `${application}/${spec.name}`;
  const { container = {} } = spec;
  const isOld = dialectOf(context).name === "3.0";
  const environment = environmentOf(context, container.env ?? []);
  const { x86, arm, catalogId, registry } = spec.images;
  const pot = Object.fromEntries(
    potContainerFields.map((key) => [key, (container as Record<string, unknown>)[key]] as const)
      .filter(([, value]) => value !== undefined),
  );
  const fields: Record<string, unknown> = {
    complete: true,
    agentName: spec.agent.name,
    ...(catalogId === undefined
      ? {
        images: imagesInOrder([
          ...(x86 === undefined ? [] : [{ fogTypeId: 1, containerImage: x86 }]),
          ...(arm === undefined ? [] : [{ fogTypeId: 2, containerImage: arm }]),
        ]),
        catalogItemId: null,
      }
      : { catalogItemId: catalogId }),
    ...(registry !== undefined && { registryId: registryOf(registry) }),
    ...(spec.config !== undefined && { config: canonical(spec.config) }),
    ...(container.logSize !== undefined && { logSize: container.logSize }),
    ...(isOld && container.rootHostAccess !== undefined && { rootHostAccess: container.rootHostAccess }),
    ports: portsInOrder((container.ports ?? []).map((port) => isOld ? port : { ...port, public: undefined })),
    env: environment.items,
    cmd: container.commands ?? [],
    volumeMappings: (container.volumes ?? []).map(({ type = "bind", ...volume }) => ({ ...volume, type }))
      .sort(by("containerDestination")),
    extraHosts: [...container.extraHosts ?? []].sort(by("name")),
    ...(isOld ? {} : {
      ...pot,
      ...(spec.schedule !== undefined && { schedule: spec.schedule }),
      ...(container.annotations !== undefined && { annotations: canonical(container.annotations) }),
      ...spec.natsConfig,
    }),
  };
  const blocked = environment.blocked ?? problemOf(context, name, spec, siblings);
  return {
    type: "external",
    kind: MICROSERVICE,
    name,
    fields,
    ...(Object.keys(environment.secrets).length > 0 && {
      secrets: environment.secrets,
      secretsVersion: environment.version,
    }),
    singleton: false,
    ...(blocked !== undefined && { blocked }),
  };
}

/** Fields that this Controller does not know. */
export function ignoredIn(
  spec: EmbeddedMicroservice,
  context: DesiredContext,
  path: string,
): readonly string[] {
  const isOld = dialectOf(context).name === "3.0";
  const container = (spec.container ?? {}) as Record<string, unknown>;
  const unknown = isOld ? [...potContainerFields, "annotations"] : oldContainerFields;
  const ports = !isOld && spec.container?.ports?.some((port) => port.public !== undefined) === true;
  return [
    ...unknown.filter((key) => container[key] !== undefined).map((key) => `${path}.container.${key}`),
    ...(ports ? [`${path}.container.ports[].public`] : []),
    ...(isOld && spec.natsConfig !== undefined ? [`${path}.natsConfig`] : []),
    ...(isOld && spec.schedule !== undefined ? [`${path}.schedule`] : []),
  ].map((field) => `${field} (this Controller does not know it)`);
}

function registryOf(registry: string): number {
  return registry === "remote" ? 1 : registry === "local" ? 2 : Number(registry);
}

type Variables = NonNullable<NonNullable<EmbeddedMicroservice["container"]>["env"]>;

function environmentOf(context: DesiredContext, variables: Variables): {
  readonly items: readonly Readonly<Record<string, unknown>>[];
  readonly secrets: Readonly<Record<string, string>>;
  readonly version: string;
  readonly blocked?: Blocked;
} {
  const secrets: Record<string, string> = {};
  const versions: string[] = [];
  let blocked: Blocked | undefined;
  const items = variables.map(({ key, value, valueFrom, valueFromConfigMap, valueFromSecret }) => {
    if (valueFromSecret !== undefined) return { key, valueFromSecret };
    if (valueFromConfigMap !== undefined) return { key, valueFromConfigMap };
    if (valueFrom === undefined) return { key, value: value ?? "" };
    const found = resolveValue(context, valueFrom);
    if ("reason" in found) {
      blocked ??= { reason: found.reason, message: `variable ${key}: ${found.message}` };
      return { key };
    }
    if (!found.secret) return { key, value: found.value };
    secrets[key] = found.value;
    versions.push(`${key} ${found.version}`);
    return { key, value: SECRET_VALUE };
  });
  return {
    items: items.sort(by("key")),
    secrets,
    version: versions.join(),
    ...(blocked !== undefined && { blocked }),
  };
}

const architectures: Readonly<Record<number, "x86" | "arm">> = { 1: "x86", 2: "arm" };

/** Why the Controller would refuse it, or would do something else than is wanted. */
function problemOf(
  context: DesiredContext,
  name: string,
  spec: EmbeddedMicroservice,
  siblings: ReadonlySet<string>,
): Blocked | undefined {
  if (!isAsked(context)) return undefined;
  const agent = foundIn(context, AGENT, spec.agent.name);
  if (agent === undefined) {
    const message =
      `agent ${spec.agent.name} does not exist in the Controller: create an Agent of that name, or correct ` +
      "agent.name";
    return { reason: reasons.AGENT_MISSING, message };
  }
  if (spec.images.catalogId === undefined) {
    const architecture = architectures[Number(agent.fields["fogType"])];
    if (architecture === undefined) {
      const message = `what agent ${spec.agent.name} is made of is not known yet: provision it, or set ` +
        "spec.config.agentType of the Agent to x86 or arm";
      return { reason: reasons.ARCHITECTURE_UNKNOWN, message };
    }
    if (spec.images[architecture] === undefined) {
      const message = `agent ${spec.agent.name} is ${architecture}, and there is no image for it: set ` +
        `images.${architecture}`;
      return { reason: reasons.IMAGE_MISSING, message };
    }
  }
  return portProblem(agent, name, spec, siblings);
}

function portProblem(
  agent: ExternalObject,
  name: string,
  spec: EmbeddedMicroservice,
  siblings: ReadonlySet<string>,
): Blocked | undefined {
  const holders = (agent.fields["ports"] ?? {}) as Readonly<Record<string, string>>;
  for (const { external } of spec.container?.ports ?? []) {
    const holder = holders[external];
    if (holder === undefined || holder === name || siblings.has(holder)) continue;
    const message =
      `port ${external} of agent ${agent.name} is taken by microservice ${holder}: choose another ` +
      "external port";
    return { reason: reasons.PORT_TAKEN, message };
  }
  return undefined;
}

/** Names of the Secrets that a Microservice, or an Application, takes values from. */
export function secretsOf({ spec }: Parent): readonly string[] {
  const names = new Set<string>();
  JSON.stringify(spec ?? null, (key, value) => {
    const name = key === "secretKeyRef" ? (value as { name?: unknown } | null)?.name : undefined;
    if (typeof name === "string") names.add(name);
    return value;
  });
  return [...names];
}
