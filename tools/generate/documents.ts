/**
 * The API server's OpenAPI v3 documents, reduced to what the kinds we use can reach.
 *
 * A schema is in the documents of every group that refers to it; here it is kept once, in the document of the module
 * that its name says (`core_v1`, `apps_v1`, `meta_v1`). Descriptions are cut to their first sentence.
 */

import { z } from "zod";

/** A group and version, the module generated for it, and the kinds that are wanted of it. */
export interface Wanted {
  readonly group: string;
  readonly version: string;
  /** Name of the files without their endings. */
  readonly module: string;
  /** What names of schemas of this group and version begin with. */
  readonly prefix: string;
  readonly kinds: readonly string[];
}

/** Everything that the operator uses. */
export const wanted: readonly Wanted[] = [
  {
    group: "",
    version: "v1",
    module: "core_v1",
    prefix: "io.k8s.api.core.v1.",
    kinds: [
      "ConfigMap",
      "Event",
      "Namespace",
      "Node",
      "PersistentVolumeClaim",
      "Pod",
      "Secret",
      "Service",
      "ServiceAccount",
    ],
  },
  {
    group: "apps",
    version: "v1",
    module: "apps_v1",
    prefix: "io.k8s.api.apps.v1.",
    kinds: ["Deployment", "ReplicaSet", "StatefulSet"],
  },
  {
    group: "rbac.authorization.k8s.io",
    version: "v1",
    module: "rbac_v1",
    prefix: "io.k8s.api.rbac.v1.",
    kinds: ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
  },
  {
    group: "networking.k8s.io",
    version: "v1",
    module: "networking_v1",
    prefix: "io.k8s.api.networking.v1.",
    kinds: ["Ingress", "NetworkPolicy"],
  },
  {
    group: "coordination.k8s.io",
    version: "v1",
    module: "coordination_v1",
    prefix: "io.k8s.api.coordination.v1.",
    kinds: ["Lease"],
  },
  {
    group: "apiextensions.k8s.io",
    version: "v1",
    module: "apiextensions_v1",
    prefix: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.",
    kinds: ["CustomResourceDefinition"],
  },
  {
    group: "authorization.k8s.io",
    version: "v1",
    module: "authorization_v1",
    prefix: "io.k8s.api.authorization.v1.",
    kinds: ["SelfSubjectAccessReview", "SelfSubjectRulesReview"],
  },
  {
    group: "policy",
    version: "v1",
    module: "policy_v1",
    prefix: "io.k8s.api.policy.v1.",
    kinds: ["PodDisruptionBudget"],
  },
];

/** The module of everything that is of no group: `ObjectMeta`, `LabelSelector`, `Quantity` and the like. */
export const metaModule = "meta_v1";

const operation = z.object({
  "x-kubernetes-action": z.string(),
  "x-kubernetes-group-version-kind": z.object({ group: z.string(), version: z.string(), kind: z.string() }),
});

const methods = ["get", "post", "put", "patch", "delete"] as const;

/** The part of a schema that is read. */
export interface Schema {
  description?: string | undefined;
  type?: string | undefined;
  format?: string | undefined;
  enum?: string[] | undefined;
  default?: unknown;
  required?: string[] | undefined;
  $ref?: string | undefined;
  allOf?: Schema[] | undefined;
  oneOf?: Schema[] | undefined;
  items?: Schema | undefined;
  additionalProperties?: Schema | undefined;
  properties?: Record<string, Schema> | undefined;
  "x-kubernetes-list-type"?: string | undefined;
  "x-kubernetes-list-map-keys"?: string[] | undefined;
  "x-kubernetes-map-type"?: string | undefined;
}

const schema: z.ZodType<Schema> = z.lazy(() =>
  z.object({
    "description": z.string().optional().transform((text) =>
      text === undefined ? undefined : firstSentence(text)
    ),
    "type": z.string().optional(),
    "format": z.string().optional(),
    "enum": z.array(z.string()).optional(),
    "default": z.unknown().optional(),
    "required": z.array(z.string()).optional(),
    "$ref": z.string().optional(),
    "allOf": z.array(schema).optional(),
    "oneOf": z.array(schema).optional(),
    "items": schema.optional(),
    "additionalProperties": schema.optional(),
    "properties": z.record(z.string(), schema).optional(),
    "x-kubernetes-list-type": z.string().optional(),
    "x-kubernetes-list-map-keys": z.array(z.string()).optional(),
    "x-kubernetes-map-type": z.string().optional(),
  })
);

const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.object(Object.fromEntries(methods.map((method) => [method, operation.optional().catch(undefined)]))),
  ),
  components: z.object({ schemas: z.record(z.string(), schema) }),
});

/** A document as it is kept in `tools/openapi/`. */
export type OpenApiDocument = z.infer<typeof documentSchema>;

/** Module name to document. */
export type Documents = ReadonlyMap<string, OpenApiDocument>;

/** @throws Error when `value` is not an OpenAPI document; `where` begins its message. */
export function parseDocument(value: unknown, where: string): OpenApiDocument {
  const parsed = documentSchema.safeParse(value);
  if (!parsed.success) throw new Error(`${where}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** What is reachable from the wanted kinds in `served` (one complete document for each entry of `wanted`). */
export function trim(served: ReadonlyMap<Wanted, OpenApiDocument>): Documents {
  const all: Record<string, Schema> = Object.assign(
    {},
    ...[...served.values()].map((document) => document.components.schemas),
  );
  const roots = [...served.keys()].flatMap(({ kinds, prefix }) => kinds.map((kind) => prefix + kind));
  const trimmed = new Map<string, OpenApiDocument>(
    [metaModule, ...[...served.keys()].map(({ module }) => module)].map((module) => [
      module,
      { paths: {}, components: { schemas: {} } },
    ]),
  );
  for (const name of [...reachable(roots, all)].sort()) {
    trimmed.get(moduleOf(name))!.components.schemas[name] = all[name]!;
  }
  for (const [entry, document] of served) {
    trimmed.get(entry.module)!.paths = wantedPaths(entry, document);
  }
  return trimmed;
}

/** The module in which a schema is kept. */
export function moduleOf(schemaName: string): string {
  return wanted.find(({ prefix }) => schemaName.startsWith(prefix))?.module ?? metaModule;
}

/** The name that a `$ref` refers to. */
export function nameOf(ref: string): string {
  return ref.slice(ref.lastIndexOf("/") + 1);
}

function reachable(roots: readonly string[], all: Readonly<Record<string, Schema>>): ReadonlySet<string> {
  const reached = new Set<string>();
  const ahead = [...roots];
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    if (reached.has(name)) continue;
    reached.add(name);
    const found = all[name];
    if (found === undefined) throw new Error(`no document has the schema ${name}`);
    ahead.push(...references(found));
  }
  return reached;
}

function references(from: Schema): string[] {
  const inner = [
    ...(from.allOf ?? []),
    ...(from.oneOf ?? []),
    ...Object.values(from.properties ?? {}),
    from.items,
    from.additionalProperties,
  ];
  const own = from.$ref === undefined ? [] : [nameOf(from.$ref)];
  return [...own, ...inner.flatMap((one) => one === undefined ? [] : references(one))];
}

/** Collections and objects of the wanted kinds, without subresources and the old `/watch/` paths. */
function wantedPaths(
  { group, kinds, version }: Wanted,
  { paths }: OpenApiDocument,
): OpenApiDocument["paths"] {
  const root = group === "" ? `/api/${version}/` : `/apis/${group}/${version}/`;
  const kept: OpenApiDocument["paths"] = {};
  for (const path of Object.keys(paths).sort()) {
    const rest = path.slice(root.length).replace(/^namespaces\/\{namespace\}\//, "");
    if (!path.startsWith(root) || !/^[a-z]+(\/\{name\})?$/.test(rest)) continue;
    const operations = Object.entries(paths[path]!).filter(([, one]) => {
      const type = one?.["x-kubernetes-group-version-kind"];
      return type?.group === group && type.version === version && kinds.includes(type.kind);
    });
    if (operations.length > 0) kept[path] = Object.fromEntries(operations);
  }
  return kept;
}

function firstSentence(text: string): string {
  const [first = ""] = text.trim().split(/(?<!\b(?:e\.g|i\.e|etc|vs))\.\s|\n\s*\n/);
  return first.replaceAll(/\s+/g, " ").replace(/[.:]$/, "");
}
