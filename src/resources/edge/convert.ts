/** From the YAML that users of iofogctl and potctl have to custom resources. Pure. */

import type { KubeObject } from "../../kubernetes/resource.ts";
import { isRecord } from "../../operator/compare.ts";
import { type EdgeGroup, edgeGroups } from "./crds.ts";

type Json = Readonly<Record<string, unknown>>;

/** What came of some documents. */
export interface Converted {
  readonly objects: readonly KubeObject[];
  /** What was left out, and why; one sentence each. */
  readonly notes: readonly string[];
}

/** Kinds of the CLIs that are no custom resource here, and what to do instead. */
const others: Readonly<Record<string, string>> = {
  ApplicationTemplate: "keep it with the CLI, and name it in spec.template of an Application",
  CatalogItem: "keep it with the CLI, and name it in images.catalogItem",
  Registry: "keep it with the CLI, and name its URL in images.registry",
  Volume: "only the CLI copies files to agents",
  KubernetesControlPlane: "its spec is that of a ControlPlane: see docs/migrating.md",
  ControlPlane: "its spec is that of a ControlPlane: see docs/migrating.md",
};

/** Converts the documents of a file. Whatever cannot be converted is a note. */
export function convertDocuments(documents: readonly unknown[]): Converted {
  const notes: string[] = [];
  const objects: KubeObject[] = [];
  const agents = new Map<string, { readonly group: EdgeGroup; spec: Json }>();
  for (const document of documents) {
    if (document === null || document === undefined) continue;
    if (!isRecord(document)) {
      notes.push("a document that is no object was left out");
      continue;
    }
    const { apiVersion, kind, metadata, spec } = document;
    const group = edgeGroups.find((each) => apiVersion === `${each}/v3`);
    const given = isRecord(metadata) && typeof metadata["name"] === "string" ? metadata["name"] : "";
    const what = `${kind} ${given}`.trim();
    if (group === undefined) {
      notes.push(
        `${what} was left out: apiVersion must be iofog.org/v3 or datasance.com/v3, not ${apiVersion}`,
      );
      continue;
    }
    const fields = isRecord(spec) ? spec : {};
    const tags = isRecord(metadata) && Array.isArray(metadata["tags"]) ? { tags: metadata["tags"] } : {};
    const [before, after] = splitName(given);
    switch (kind) {
      case "Agent":
      case "LocalAgent":
      case "AgentConfig": {
        const name = kind === "AgentConfig" && typeof fields["name"] === "string" ? fields["name"] : given;
        const known = agents.get(name)?.spec ?? {};
        const own = kind === "AgentConfig" ? { config: fields } : fields;
        agents.set(name, { group, spec: { ...known, ...agentSpec(own, known), ...tags } });
        break;
      }
      case "Application":
        objects.push(objectOf(group, "Application", given, fields));
        break;
      case "Microservice":
      case "Route": {
        const { application = before, name = after, ...rest } = fields;
        if (typeof application !== "string" || application === "") {
          notes.push(`${what} was left out: its name must be APPLICATION/NAME, or spec.application be set`);
          break;
        }
        objects.push(objectOf(group, kind, `${name}`, { application, ...rest }, `${application}-${name}`));
        break;
      }
      case "EdgeResource":
        objects.push(objectOf(group, kind, given, fields));
        break;
      default:
        notes.push(
          `${what} was left out: ${others[`${kind}`] ?? "there is no custom resource of this kind"}`,
        );
    }
  }
  const converted = [...agents].map(([name, { group, spec }]) => objectOf(group, "Agent", name, spec));
  return { objects: [...converted, ...objects], notes };
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

/** @param wanted Name in Kubernetes. @default that in the Controller */
function objectOf(group: EdgeGroup, kind: string, name: string, spec: Json, wanted = name): KubeObject {
  const allowed = kubernetesName(wanted);
  return {
    apiVersion: `${group}/v3`,
    kind,
    metadata: { name: allowed },
    spec: allowed === name ? spec : { name, ...spec },
  } as KubeObject;
}

/** A name that Kubernetes takes, made of one that the Controller takes. */
export function kubernetesName(name: string): string {
  const text = name.toLowerCase().replace(/[^a-z0-9.-]+/g, "-").replace(/\.{2,}/g, ".")
    .replace(/^[-.]+|[-.]+$/g, "").replace(/[-]*\.[-]*/g, ".").slice(0, 253);
  return text === "" ? "unnamed" : text;
}
