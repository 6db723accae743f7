/** What a microservice should be in the Controller, be it a custom resource of its own or part of an Application. */

import { DEFAULT_ROLE } from "../../../controller/edge.ts";
import type { DesiredContext, ExternalChild, Parent } from "../../../operator/definition.ts";
import { type Assessment, type Blocked, dialectOf, foundIn, isMissing, resolveValue } from "../assessment.ts";
import { sizeProblem } from "../body_size.ts";
import { SECRET_VALUE } from "../calls.ts";
import * as reasons from "../reasons.ts";
import {
  AGENT,
  APPLICATION,
  by,
  canonical,
  CATALOG_ITEM,
  CONTROLLER_CONFIG_MAP,
  CONTROLLER_SECRET,
  imagesInOrder,
  MICROSERVICE,
  MICROSERVICE_ROLE,
  portsInOrder,
  potContainerFields,
  REGISTRY,
} from "../world.ts";
import { hostState } from "./hosts.ts";
import { portState } from "./ports.ts";
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
  const missing = isMissing(context, APPLICATION, application)
    ? {
      reason: reasons.APPLICATION_MISSING,
      message:
        `application ${application} does not exist in the Controller: create an Application of that name, or ` +
        "correct spec.application",
    }
    : undefined;
  const child = microserviceChild(context, application, wanted, new Map());
  return {
    children: [missing === undefined ? child : { ...child, blocked: missing }],
    problems: [],
    ignored: [...ignored, ...ignoredIn(wanted, context, "spec")],
  };
}

/**
 * The microservice in the Controller.
 *
 * @param siblings Microservices that the same custom resource has, by their names in the Controller: what they hold,
 *   they may be about to give up.
 */
export function microserviceChild(
  context: DesiredContext,
  application: string,
  spec: EmbeddedMicroservice,
  siblings: ReadonlyMap<string, EmbeddedMicroservice>,
): ExternalChild {
  const name = `${application}/${spec.name}`;
  const { container = {} } = spec;
  const dialect = dialectOf(context);
  const isOld = dialect.name === "3.0";
  const environment = environmentOf(context, container.env ?? []);
  const hosts = hostState(context, name, spec, siblings);
  const { x86, arm, catalogItem } = spec.images;
  const catalogId = spec.images.catalogId ?? (catalogItem && numberOf(context, CATALOG_ITEM, catalogItem));
  const pot = Object.fromEntries(
    potContainerFields.map((key) => [key, (container as Record<string, unknown>)[key]] as const)
      .filter(([, value]) => value !== undefined),
  );
  const fields: Record<string, unknown> = {
    complete: true,
    agentName: spec.agent.name,
    ...(catalogId === undefined && catalogItem === undefined
      ? {
        images: imagesInOrder([
          ...(x86 === undefined ? [] : [{ fogTypeId: 1, containerImage: x86 }]),
          ...(arm === undefined ? [] : [{ fogTypeId: 2, containerImage: arm }]),
        ]),
        catalogItemId: null,
      }
      : { catalogItemId: catalogId }),
    ...registryOf(context, spec),
    ...(spec.config !== undefined && { config: canonical(spec.config) }),
    // It takes 0 for what was left out.
    ...(container.logSize !== undefined && { logSize: container.logSize || 1 }),
    ...(isOld && container.rootHostAccess !== undefined && { rootHostAccess: container.rootHostAccess }),
    ports: portsInOrder(
      (container.ports ?? []).map((port) =>
        // The Controller takes whatever says how for public.
        isOld && port.public?.enabled !== false ? port : { ...port, public: undefined }
      ),
    ),
    env: environment.items,
    cmd: container.commands ?? [],
    volumeMappings: (container.volumes ?? []).map(({ type = "bind", ...volume }) => ({ ...volume, type }))
      .sort(by("containerDestination")),
    extraHosts: (container.extraHosts ?? []).filter((each) => !hosts.omitted.has(each.name)).sort(by("name")),
    ...(isOld ? {} : {
      ...pot,
      ...(spec.schedule !== undefined && { schedule: spec.schedule }),
      ...(container.annotations !== undefined && { annotations: canonical(container.annotations) }),
      ...natsFields(spec.natsConfig),
      ...roleField(context, name, spec),
    }),
  };
  const wanted = { agent: spec.agent.name, ports: (container.ports ?? []).map(({ external }) => external) };
  const ports = portState(context, name, wanted, siblings);
  const whole: ExternalChild = {
    type: "external",
    kind: MICROSERVICE,
    name,
    fields,
    ...(Object.keys(environment.secrets).length > 0 && {
      secrets: environment.secrets,
      secretsVersion: environment.version,
    }),
    singleton: false,
  };
  const blocked = environment.blocked ?? sizeProblem(whole, dialect) ?? problemOf(context, spec) ??
    hosts.blocked ??
    ports.blocked;
  const references = [
    ...referencesOf(application, spec, isOld),
    ...hosts.references,
    ...ports.agents.map((name) => ({ kind: AGENT, name })),
  ];
  const found = foundIn(context, MICROSERVICE, name);
  if (blocked === undefined && ports.goesFirst === true && found !== undefined) {
    // Others wait for what it holds, and it for what they hold.
    const given = { agentName: found.fields["agentName"], ports: [] };
    return { type: "external", kind: MICROSERVICE, name, fields: given, singleton: false, references };
  }
  return { ...whole, references, ...(blocked !== undefined && { blocked }) };
}

/** The role, where it is to be another: it cannot be seen where everything else of a microservice is. */
function roleField(context: DesiredContext, name: string, { serviceAccount }: EmbeddedMicroservice) {
  if (serviceAccount === undefined) return {};
  const role = serviceAccount.roleRef?.name ?? DEFAULT_ROLE;
  const found = foundIn(context, MICROSERVICE_ROLE, name)?.fields["role"];
  return role === (found ?? DEFAULT_ROLE) ? {} : { serviceAccount: role };
}

/** Without access there is no rule, whatever was said. */
export function natsFields(
  config: EmbeddedMicroservice["natsConfig"],
): Readonly<Record<string, unknown>> {
  const { natsAccess, natsRule } = config ?? {};
  return {
    ...(natsAccess !== undefined && { natsAccess }),
    ...(natsRule !== undefined && natsAccess !== false && { natsRule }),
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
    ...(isOld && spec.serviceAccount !== undefined ? [`${path}.serviceAccount`] : []),
  ].map((field) => `${field} (this Controller does not know it)`).concat(
    spec.agent.config === undefined ? [] : [`${path}.agent.config (an Agent says how it is configured)`],
    spec.container?.ports?.some(({ proxy }) => proxy !== undefined) === true
      ? [`${path}.container.ports[].proxy (make the port public instead)`]
      : [],
    spec.rebuild === undefined ? [] : [`${path}.rebuild (only iofogctl and potctl can do that)`],
  );
}

/** What has to be known besides it. */
function referencesOf(
  application: string,
  spec: EmbeddedMicroservice,
  isOld: boolean,
) {
  const { agent, container, images } = spec;
  const kept = (container?.env ?? []).flatMap(({ valueFromConfigMap, valueFromSecret }) => [
    ...(valueFromSecret === undefined ? [] : [{ kind: CONTROLLER_SECRET, name: nameIn(valueFromSecret) }]),
    ...(valueFromConfigMap === undefined
      ? []
      : [{ kind: CONTROLLER_CONFIG_MAP, name: nameIn(valueFromConfigMap) }]),
  ]);
  return [
    { kind: AGENT, name: agent.name },
    { kind: APPLICATION, name: application },
    ...(images.catalogItem === undefined ? [] : [{ kind: CATALOG_ITEM, name: images.catalogItem }]),
    ...(isUrl(images.registry) ? [{ kind: REGISTRY, name: images.registry }] : []),
    ...(isOld ? [] : kept),
    ...(isOld || spec.serviceAccount === undefined
      ? []
      : [{ kind: MICROSERVICE_ROLE, name: `${application}/${spec.name}` }]),
  ];
}

/** `name/key` */
function nameIn(reference: string): string {
  return reference.split("/")[0] ?? "";
}

function isUrl(registry: string | undefined): registry is string {
  return registry !== undefined && !/^(remote|local|[0-9]+)$/.test(registry);
}

function numberOf(context: DesiredContext, kind: string, name: string): number | undefined {
  const { id, ids } = foundIn(context, kind, name)?.fields ?? {};
  return (ids as readonly number[] | undefined)?.[0] ?? id as number | undefined;
}

/** An item of the catalogue brings its own. */
function registryOf(context: DesiredContext, { images }: EmbeddedMicroservice): { registryId?: number } {
  const { catalogId, catalogItem, registry } = images;
  if (registry === undefined || catalogItem !== undefined || catalogId !== undefined) return {};
  if (registry === "remote") return { registryId: 1 };
  if (registry === "local") return { registryId: 2 };
  const number = isUrl(registry) ? numberOf(context, REGISTRY, registry) : Number(registry);
  return number === undefined ? {} : { registryId: number };
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
function problemOf(context: DesiredContext, spec: EmbeddedMicroservice): Blocked | undefined {
  const agent = foundIn(context, AGENT, spec.agent.name);
  if (isMissing(context, AGENT, spec.agent.name)) {
    const message =
      `agent ${spec.agent.name} does not exist in the Controller: create an Agent of that name, or correct ` +
      "agent.name";
    return { reason: reasons.AGENT_MISSING, message };
  }
  const referred = referenceProblem(context, spec);
  if (referred !== undefined || agent === undefined) return referred;
  const { catalogId, catalogItem } = spec.images;
  if (catalogId === undefined) {
    const architecture = architectures[Number(agent.fields["fogType"])];
    if (architecture === undefined) {
      const message = `what agent ${spec.agent.name} is made of is not known yet: provision it, or set ` +
        "spec.config.agentType of the Agent to x86 or arm";
      return { reason: reasons.ARCHITECTURE_UNKNOWN, message };
    }
    const item = catalogItem === undefined ? undefined : foundIn(context, CATALOG_ITEM, catalogItem);
    const fogTypes = item?.fields["fogTypes"] as readonly unknown[] | undefined;
    if (fogTypes?.includes(agent.fields["fogType"]) === false) {
      const message =
        `agent ${spec.agent.name} is ${architecture}, and item ${catalogItem} of the catalogue has ` +
        "no image for it: add one to the item, or choose another agent";
      return { reason: reasons.IMAGE_MISSING, message };
    }
    if (catalogItem === undefined && spec.images[architecture] === undefined) {
      const message = `agent ${spec.agent.name} is ${architecture}, and there is no image for it: set ` +
        `images.${architecture}`;
      return { reason: reasons.IMAGE_MISSING, message };
    }
  }
  return undefined;
}

/** Why something that it names cannot be used. */
function referenceProblem(context: DesiredContext, spec: EmbeddedMicroservice): Blocked | undefined {
  const { catalogItem, registry } = spec.images;
  if (catalogItem !== undefined && isMissing(context, CATALOG_ITEM, catalogItem)) {
    const message = `item ${catalogItem} is not in the Controller's catalogue: add it there, or correct ` +
      "images.catalogItem";
    return { reason: reasons.CATALOG_ITEM_MISSING, message };
  }
  if (isUrl(registry) && catalogItem === undefined) {
    const numbers = (foundIn(context, REGISTRY, registry)?.fields["ids"] ?? []) as readonly number[];
    if (isMissing(context, REGISTRY, registry)) {
      const message = `registry ${registry} does not exist in the Controller: add it there, or correct ` +
        "images.registry";
      return { reason: reasons.REGISTRY_MISSING, message };
    }
    if (numbers.length > 1) {
      const message =
        `the Controller has ${numbers.length} registries ${registry}: name one by its number in ` +
        `images.registry (${numbers.join(", ")})`;
      return { reason: reasons.REGISTRY_AMBIGUOUS, message };
    }
  }
  if (dialectOf(context).name === "3.0") return undefined;
  for (const { key, valueFromConfigMap, valueFromSecret } of spec.container?.env ?? []) {
    const reference = valueFromSecret ?? valueFromConfigMap;
    if (reference === undefined) continue;
    const isSecret = valueFromSecret !== undefined;
    const [kind, shown] = isSecret
      ? [CONTROLLER_SECRET, "secret"] as const
      : [CONTROLLER_CONFIG_MAP, "config map"] as const;
    const [name = "", wanted = ""] = reference.split("/");
    const keys = foundIn(context, kind, name)?.fields["keys"] as readonly string[] | undefined;
    // The Controller would empty the whole list of variables before it refuses.
    if (isMissing(context, kind, name)) {
      const message =
        `variable ${key}: ${shown} ${name} does not exist in the Controller: add it there, or ` +
        `correct container.env[].valueFrom${isSecret ? "Secret" : "ConfigMap"}`;
      return { reason: reasons.VALUE_MISSING, message };
    }
    if (keys?.includes(wanted) === false) {
      const message = `variable ${key}: ${shown} ${name} of the Controller has no key ${wanted}: add it`;
      return { reason: reasons.VALUE_MISSING, message };
    }
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
