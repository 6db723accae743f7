/**
 * The reference of the custom resources as Markdown, from the same zod schemas as the CRDs.
 */

import type * as z from "zod";
import { allCrds } from "./all_crds.ts";
import { controlPlaneSchema as potControlPlaneSchema } from "./controlplane/pot/schema.ts";
import { type CustomResourceDefinition, potControlPlaneCrd } from "./crd.ts";
import { type JsonSchema, jsonSchemaOf } from "./structural_schema.ts";

/** `docs/reference.md`. */
export function referenceMarkdown(): string {
  return [
    "# Custom resources",
    "",
    "Written by `deno task crds` from the schemas in `src/resources`; do not edit. In a cluster: `kubectl explain ecn.spec`.",
    "",
    'A field that is null, "" or 0 counts as not set. Defaults are not written into the object.',
    "",
    ...allCrds().flatMap(({ crd, schema }) => chapter(crd, schema)),
    ...chapter(potControlPlaneCrd(), potControlPlaneSchema),
  ].join("\n");
}

function chapter(crd: CustomResourceDefinition, schema: z.ZodType): string[] {
  const { group, names, versions } = crd.spec;
  const storage = versions.find((version) => version.storage)?.name ?? "";
  const json = jsonSchemaOf(schema);
  return [
    `## ${names.kind} (\`${group}/${storage}\`)`,
    "",
    `${json.description ?? ""} Short name \`${names.shortNames.join("`, `")}\`, category \`${
      names.categories.join("`, `")
    }\`.`,
    "",
    "| field | type | default | meaning |",
    "|---|---|---|---|",
    ...rows(json, ""),
    "",
  ];
}

function rows(schema: JsonSchema, parent: string): string[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = parent === "" ? name : `${parent}.${name}`;
    const isList = field.type === "array";
    // What Kubernetes describes is not described again.
    const inner = field.kubernetesType !== undefined ? {} : isList ? field.items ?? {} : field;
    return [
      `| \`${path}\` | ${typeText(field)} | ${defaultText(field, required.has(name))} | ${
        cell(field.description ?? "")
      } |`,
      ...rows(inner, isList ? `${path}[]` : path),
    ];
  });
}

function typeText(field: JsonSchema): string {
  const { kubernetesType, additionalProperties: values } = field;
  if (kubernetesType !== undefined) {
    return field.type === "array" ? `list of ${kubernetesType}` : kubernetesType;
  }
  if (field["x-kubernetes-int-or-string"] === true) return "quantity";
  if (typeof values === "object") return `map of ${typeText(values)}`;
  return field.type === "array" ? `list of ${field.items?.type ?? "values"}` : field.type ?? "";
}

/** An object has no default of its own: its fields have. */
function defaultText(field: JsonSchema, isRequired: boolean): string {
  if (isRequired) return "required";
  return field.default === undefined || field.type === "object" ? "" : `\`${field.default}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
