/** From the YAML that users of iofogctl and potctl have to custom resources. Pure. */

import type { KubeObject } from "../../kubernetes/resource.ts";
import { isRecord } from "../../operator/compare.ts";
import { structural, type StructuralSchema } from "../structural_schema.ts";
import { type EdgeGroup, edgeGroups, type EdgeKind, edgeSchemaOf } from "./crds.ts";
import { typed } from "./typed.ts";

type Json = Readonly<Record<string, unknown>>;

/** What came of some documents. */
export interface Converted {
  readonly objects: readonly KubeObject[];
  /** What was left out, and why; one sentence each. */
  readonly notes: readonly string[];
}

/** Kinds of the CLIs that are no custom resource here, and what to do instead. */
const otherKinds: Readonly<Record<string, string>> = {
  ApplicationTemplate: "keep it with the CLI, and name it in spec.template of an Application",
  CatalogItem: "keep it with the CLI, and name it in images.catalogItem",
  Registry: "keep it with the CLI, and name its URL in images.registry",
  Volume: "only the CLI copies files to agents",
  KubernetesControlPlane: "its spec is that of a ControlPlane: see docs/migrating.md",
  ControlPlane: "its spec is that of a ControlPlane: see docs/migrating.md",
};

/**
 * Converts the documents of a file. Whatever cannot be converted is a note.
 *
 * @param texts The same documents with every scalar as it stands in the file.
 */
export function convertDocuments(documents: readonly unknown[], texts: readonly unknown[] = []): Converted {
  const notes: string[] = [];
  const agents = new Map<string, { readonly group: EdgeGroup; readonly spec: Json; readonly text: Json }>();
  /** By what it is in the Controller: of two documents for one thing, the CLIs leave the later. */
  const others = new Map<string, Wanted>();
  const add = (wanted: Wanted, ...identity: readonly unknown[]) =>
    others.set([wanted.kind, ...identity].join("/"), wanted);
  for (const [index, document] of documents.entries()) {
    if (document === null || document === undefined) continue;
    if (!isRecord(document)) {
      notes.push("a document that is no object was left out");
      continue;
    }
    const { apiVersion, kind, metadata, spec } = document;
    const group = edgeGroups.find((each) => apiVersion === `${each}/v3`);
    const asText = recordIn(texts[index]);
    const head = { ...recordIn(metadata), ...recordIn(typed(metadataSchema, metadata, asText["metadata"])) };
    const given = typeof head["name"] === "string" ? head["name"] : "";
    const what = `${kind} ${given}`.trim();
    if (group === undefined) {
      notes.push(
        `${what} was left out: apiVersion must be iofog.org/v3 or datasance.com/v3, not ${apiVersion}`,
      );
      continue;
    }
    const fields = isRecord(spec) ? spec : {};
    const tags = Array.isArray(head["tags"]) ? { tags: head["tags"] } : {};
    const [before, after] = splitName(given);
    const own = recordIn(asText["spec"]);
    const fit = (kind: EdgeKind, value: Json, text: Json) => typed(specSchemaOf(kind), value, text) as Json;
    if (given === "" && (kind !== "AgentConfig" || typeof fields["name"] !== "string")) {
      notes.push(`${what} was left out: it has no metadata.name`);
      continue;
    }
    switch (kind) {
      case "Agent":
      case "LocalAgent":
      case "AgentConfig": {
        const name = kind === "AgentConfig" && typeof fields["name"] === "string" ? fields["name"] : given;
        const { spec = {}, text = {} } = agents.get(name) ?? {};
        const part = (fields: Json) => kind === "AgentConfig" ? { config: fields } : fields;
        agents.set(name, {
          group,
          spec: { ...spec, ...agentSpec(part(fields), spec), ...tags },
          text: { ...text, ...agentSpec(part(own), text), ...tags },
        });
        break;
      }
      case "Application": {
        const { microservices } = fields;
        const spec = Array.isArray(microservices)
          ? { ...fields, microservices: microservices.map(microserviceSpec) }
          : fields;
        add({ group, kind, name: given, spec: fit(kind, spec, own) }, given);
        break;
      }
      case "Microservice":
      case "Route": {
        const { application = before, name = after, ...rest } = fit(kind, fields, own);
        if (typeof application !== "string" || application === "") {
          notes.push(`${what} was left out: its name must be APPLICATION/NAME, or spec.application be set`);
          break;
        }
        const spec = { application, ...(kind === "Microservice" ? microserviceSpec(rest) as Json : rest) };
        add({ group, kind, name: `${name}`, spec, wanted: `${application}-${name}` }, application, name);
        break;
      }
      case "EdgeResource": {
        const spec = fit(kind, fields, own);
        add({ group, kind, name: given, spec }, given, spec["version"]);
        break;
      }
      default:
        notes.push(
          `${what} was left out: ${otherKinds[`${kind}`] ?? "there is no custom resource of this kind"}`,
        );
    }
  }
  const all: Wanted[] = [];
  for (const [name, { group, spec: given, text }] of agents) {
    const spec = withArchitecture(name, typed(specSchemaOf("Agent"), given, text) as Json, notes);
    const { config, host } = spec as { readonly host?: unknown; readonly config?: AgentConfig };
    if (host === undefined && config?.routerConfig?.routerMode !== "none") {
      notes.push(`Agent ${name} has no host: set spec.host to the address at which others reach it`);
    }
    all.push({ group, kind: "Agent", name, spec });
  }
  for (const [key, { kind, name, spec }] of others) {
    const { application } = spec;
    const whole = others.get(`Application/${application}`);
    const list = kind === "Microservice" ? "microservices" : kind === "Route" ? "routes" : undefined;
    const merged = list && whole && withPart(whole.spec, list, { ...spec, name });
    if (merged === undefined || whole === undefined) continue;
    others.set(`Application/${application}`, { ...whole, spec: merged });
    others.delete(key);
    notes.push(
      `${kind} ${application}/${name} was put into Application ${application}, which has it in the same file`,
    );
  }
  for (const each of others.values()) {
    const isOneOfSome = each.kind === "EdgeResource" &&
      [...others.values()].some((other) =>
        other !== each && other.kind === each.kind && other.name === each.name
      );
    all.push(isOneOfSome ? { ...each, wanted: `${each.name}-${each.spec["version"]}` } : each);
  }
  const nameFor = kubernetesNames();
  return { objects: all.map((wanted) => objectOf(wanted, nameFor)), notes };
}

/**
 * The spec of an application with one of its parts as a document of its own says it, which the CLIs deploy later;
 * undefined where the application has none of that name.
 */
function withPart(
  whole: Json,
  list: "microservices" | "routes",
  { application: _, ...part }: Json,
): Json | undefined {
  const parts = Array.isArray(whole[list]) ? whole[list] : [];
  const index = parts.findIndex((each) => isRecord(each) && nameOfPart(each) === part["name"]);
  const before = parts[index] as Json | undefined;
  if (before === undefined) return undefined;
  const container = isRecord(before["container"]) ? before["container"] : {};
  // With a document of its own, lists that it leaves out are emptied, and the rest stays.
  const kept = Object.fromEntries(Object.entries(container).filter(([, value]) => !Array.isArray(value)));
  const after = list === "routes" ? { ...before, ...part } : {
    ...before,
    ...part,
    container: { ...kept, ...(isRecord(part["container"]) ? part["container"] : {}) },
  };
  return { ...whole, [list]: parts.with(index, after) };
}

/** Routes may go without a name. */
function nameOfPart({ from, name, to }: Json): unknown {
  return name ?? `r-${from}-${to}`;
}

function recordIn(value: unknown): Json {
  return isRecord(value) ? value : {};
}

const metadataSchema: StructuralSchema = {
  type: "object",
  properties: { name: { type: "string" }, tags: { type: "array", items: { type: "string" } } },
};

function specSchemaOf(kind: EdgeKind): StructuralSchema | undefined {
  return structural(edgeSchemaOf(kind)).properties?.["spec"];
}

/** Whatever else a CLI reads as the type of an agent, it sends as `auto`. */
function withArchitecture(name: string, spec: Json, notes: string[]): Json {
  const config = recordIn(spec["config"]);
  const { agentType } = config;
  if (agentType === undefined || ["auto", "x86", "arm"].includes(`${agentType}`)) return spec;
  notes.push(
    `Agent ${name}: agentType ${agentType} became auto, as with the CLI; those that count are x86 and arm`,
  );
  return { ...spec, config: { ...config, agentType: "auto" } };
}

interface AgentConfig {
  readonly routerConfig?: { readonly routerMode?: unknown };
}

/** As the Controller reads the YAML of a CLI: variables are text, and item 0 of the catalogue is none. */
function microserviceSpec(given: unknown): unknown {
  if (!isRecord(given)) return given;
  const { container, images } = given;
  const { catalogId, ...rest } = isRecord(images) ? images : {};
  const env = isRecord(container) && Array.isArray(container["env"]) ? container["env"] : undefined;
  return {
    ...given,
    ...(isRecord(images) && { images: catalogId === 0 ? rest : images }),
    ...(isRecord(container) && env !== undefined && { container: { ...container, env: env.map(variable) } }),
  };
}

function variable(given: unknown): unknown {
  if (!isRecord(given)) return given;
  const text = Object.entries(given).filter(([key, value]) =>
    ["key", "value"].includes(key) && ["number", "boolean"].includes(typeof value)
  );
  return { ...given, ...Object.fromEntries(text.map(([key, value]) => [key, `${value}`])) };
}

/** The configuration of a CLI's file has some of what stands beside it here. */
function agentSpec(fields: Json, known: Json): Json {
  const { config, ...rest } = fields;
  if (!isRecord(config)) return rest;
  const { host, name: _, tags, ...settings } = config;
  const before = isRecord(known["config"]) ? known["config"] : {};
  return {
    ...rest,
    ...(host === undefined ? {} : { host }),
    ...(tags === undefined ? {} : { tags }),
    config: { ...before, ...settings },
  };
}

/** `application/name`; without a slash only the name. */
function splitName(name: string): readonly [string | undefined, string] {
  const at = name.indexOf("/");
  return at < 0 ? [undefined, name] : [name.slice(0, at), name.slice(at + 1)];
}

/** A custom resource to be. */
export interface Wanted {
  readonly group: EdgeGroup;
  readonly kind: string;
  /** In the Controller. */
  readonly name: string;
  readonly spec: Json;
  /** Name in Kubernetes, as far as that takes it. @default `name` */
  readonly wanted?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The custom resource; `nameFor` from `kubernetesNames`. */
export function objectOf(
  { annotations, group, kind, name, spec, wanted = name }: Wanted,
  nameFor: (kind: string, wanted: string) => string,
): KubeObject {
  const own = nameFor(kind, wanted);
  return {
    apiVersion: `${group}/v3`,
    kind,
    metadata: { name: own, ...(annotations && { annotations }) },
    spec: own === name ? spec : { name, ...spec },
  } as KubeObject;
}

/** Names that Kubernetes takes, for a kind and a name: never one twice, since two names may be one to Kubernetes. */
export function kubernetesNames(): (kind: string, wanted: string) => string {
  const taken = new Set<string>();
  return (kind, wanted) => {
    const allowed = kubernetesName(wanted);
    let own = allowed;
    for (let number = 2; taken.has(`${kind} ${own}`); number++) {
      own = `${allowed.slice(0, 248).replace(/[.-]+$/, "")}-${number}`;
    }
    taken.add(`${kind} ${own}`);
    return own;
  };
}

/** A name that Kubernetes takes, made of one that the Controller takes. */
export function kubernetesName(name: string): string {
  const text = name.toLowerCase().replace(/[^a-z0-9.-]+/g, "-").replace(/\.{2,}/g, ".")
    .replace(/^[-.]+|[-.]+$/g, "").replace(/[-]*\.[-]*/g, ".").slice(0, 253);
  return text === "" ? "unnamed" : text;
}
