/**
 * From zod schemas to CustomResourceDefinitions.
 *
 * Guarantees: the schemas are structural (apiextensions.k8s.io/v1), every field has a description, and the same zod
 * schema gives the same YAML. What a structural schema cannot say fails here, at build time, with the path of the
 * field. Limits and defaults of the zod schema are left out on purpose: see controlplane/fields.ts. Defaults are told in
 * the description.
 */

import { z } from "zod";
import { controlPlaneSchema } from "./controlplane/iofog/schema.ts";
import { controlPlaneSchema as potControlPlaneSchema } from "./controlplane/pot/schema.ts";

/** The part of `apiextensions.k8s.io/v1` JSONSchemaProps that our CRDs use. */
export type StructuralSchema = {
  readonly description?: string;
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly [extension: `x-kubernetes-${string}`]: unknown;
};

/** A zod schema cannot be written as a structural schema. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
}

/**
 * The structural schema of what a person may write, i.e. of the input of `schema`.
 *
 * Errors: `SchemaError` for unions, references, tuples and all else that Kubernetes refuses, and for a field without a
 * description.
 */
export function structural(schema: z.ZodType): StructuralSchema {
  return convert(jsonSchemaOf(schema), "", true);
}

/** The JSON schema of the input of `schema`, with `default` at each field that has one. */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  try {
    return z.toJSONSchema(schema, { io: "input", target: "openapi-3.0", reused: "inline" }) as JsonSchema;
  } catch (cause) {
    throw new SchemaError(`the schema cannot be written as JSON schema: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** What zod writes; only the keys below are understood. */
export interface JsonSchema {
  readonly [key: string]: unknown;
  /** Type of Kubernetes that the field, or each of its items, has. */
  readonly kubernetesType?: string;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: boolean | JsonSchema;
}

const TYPES = ["object", "array", "string", "integer", "number", "boolean"];
/** Copied as they are. */
const COPIED = /^(description|format|enum|nullable|x-kubernetes-.*)$/;
/** Handled below, or left out: limits and defaults belong to the check at run time. */
const UNDERSTOOD =
  /^(type|properties|required|items|additionalProperties|minimum|maximum|default|minLength|maxLength|pattern|kubernetesType)$/;
const INT_OR_STRING = "x-kubernetes-int-or-string";

function convert(schema: JsonSchema, path: string, described: boolean): StructuralSchema {
  const place = path === "" ? "the schema" : path;
  const { type, description } = schema;
  if (described && (typeof description !== "string" || description === "")) {
    throw new SchemaError(`${place} has no description`);
  }
  const text = description === undefined ? {} : { description: describe(description, schema) };
  if (schema[INT_OR_STRING] === true) return { ...text, [INT_OR_STRING]: true };
  if (type === undefined || !TYPES.includes(type)) {
    throw new SchemaError(`${place} has no single type: a structural schema knows no union and no reference`);
  }
  for (const key of Object.keys(schema)) {
    if (!COPIED.test(key) && !UNDERSTOOD.test(key)) {
      throw new SchemaError(`${place} has ${key}, which a structural schema may not have`);
    }
  }
  return {
    ...text,
    type,
    ...(type === "integer" && { format: integerFormat(schema) }),
    ...Object.fromEntries(
      Object.entries(schema).filter(([key]) => key !== "description" && COPIED.test(key)),
    ),
    ...(type === "object" && convertObject(schema, place, path)),
    ...(type === "array" && { items: convertItems(schema, place, path) }),
  };
}

/** The default is only told: writing it into objects would keep it there when it changes. */
function describe(description: string, { default: value, kubernetesType }: JsonSchema): string {
  const text = kubernetesType === undefined
    ? description
    : `${description} As in a pod: core/v1 ${kubernetesType}.`;
  return value === undefined || typeof value === "object" ? text : `${text} Default: ${value}.`;
}

function convertObject(schema: JsonSchema, place: string, path: string): Partial<StructuralSchema> {
  const { properties = {}, additionalProperties } = schema;
  const names = Object.keys(properties).sort();
  if (typeof additionalProperties === "object") {
    if (names.length > 0) throw new SchemaError(`${place} has both properties and additionalProperties`);
    if (Object.keys(additionalProperties).length > 0) {
      return {
        additionalProperties: convert(additionalProperties, `${path}.*`, false),
      };
    }
  }
  if (names.length === 0) return { "x-kubernetes-preserve-unknown-fields": true };
  const required = [...(schema.required ?? [])].sort();
  return {
    ...(required.length > 0 && { required }),
    properties: Object.fromEntries(
      names.map((name) => [
        name,
        convert(properties[name] ?? {}, path === "" ? name : `${path}.${name}`, true),
      ]),
    ),
  };
}

function convertItems(schema: JsonSchema, place: string, path: string): StructuralSchema {
  if (schema.items === undefined) throw new SchemaError(`${place} is a list without a type for its items`);
  return convert(schema.items, `${path}[]`, false);
}

/** zod's int32 and int write their range as limits; Kubernetes has formats for it. */
function integerFormat(schema: JsonSchema): string {
  return schema["maximum"] === 2 ** 31 - 1 ? "int32" : "int64";
}

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly description: string;
  readonly jsonPath: string;
  /** 0: always shown; 1: only with `-o wide`. */
  readonly priority?: number;
}

/** A CustomResourceDefinition, ready to be written as YAML. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: {
      readonly kind: string;
      readonly listKind: string;
      readonly plural: string;
      readonly singular: string;
      readonly shortNames: readonly string[];
      readonly categories: readonly string[];
    };
    readonly scope: "Namespaced";
    readonly versions: readonly CrdVersion[];
  };
}

interface CrdVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly deprecated?: boolean;
  readonly deprecationWarning?: string;
  readonly subresources: { readonly status: Readonly<Record<string, never>> };
  readonly additionalPrinterColumns: readonly PrinterColumn[];
  readonly schema: { readonly openAPIV3Schema: StructuralSchema };
}

function conditionColumn(name: string, description: string, field: string, priority = 0): PrinterColumn {
  return {
    name,
    type: "string",
    description,
    jsonPath: `.status.conditions[?(@.type=="Ready")].${field}`,
    ...(priority > 0 && { priority }),
  };
}

/**
 * The CRD `controlplanes.datasance.com`: one version, as the Go operator's.
 *
 * It has a short name of its own, since `kubectl get controlplanes` means only one of the two where both are served.
 */
export function potControlPlaneCrd(): CustomResourceDefinition {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "controlplanes.datasance.com" },
    spec: {
      group: "datasance.com",
      names: {
        kind: "ControlPlane",
        listKind: "ControlPlaneList",
        plural: "controlplanes",
        singular: "controlplane",
        shortNames: ["pot"],
        categories: ["pot"],
      },
      scope: "Namespaced",
      versions: [{
        name: "v3",
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: controlPlaneColumns(),
        schema: { openAPIV3Schema: structural(potControlPlaneSchema) },
      }],
    },
  };
}

/** New objects at each call: a YAML writer makes anchors of shared ones. */
function controlPlaneColumns(): readonly PrinterColumn[] {
  return [
    conditionColumn("Ready", "Whether the control plane works.", "status"),
    conditionColumn("Reason", "Why, or what it waits for, in one word.", "reason"),
    {
      name: "Version",
      type: "string",
      description: "Version that the Controller reports.",
      jsonPath: ".status.controllerVersion",
    },
    {
      name: "Endpoint",
      type: "string",
      description: "URL of the Controller's API.",
      jsonPath: ".status.controllerEndpoint",
    },
    {
      name: "Router",
      type: "string",
      description: "Where agents reach the router.",
      jsonPath: ".status.routerAddress",
      priority: 1,
    },
    {
      name: "Age",
      type: "date",
      description: "Time since its creation.",
      jsonPath: ".metadata.creationTimestamp",
    },
    conditionColumn("Message", "What it waits for, and what to do.", "message", 1),
  ];
}

/**
 * The CRD `controlplanes.iofog.org`.
 *
 * `v2` stays served, without a schema and as the same stored object: clusters that once stored it list it in
 * `status.storedVersions` and refuse a CRD without it, and iofogctl writes over a CRD that lacks it.
 */
export function controlPlaneCrd(): CustomResourceDefinition {
  const schema = structural(controlPlaneSchema);
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "controlplanes.iofog.org" },
    spec: {
      group: "iofog.org",
      names: {
        kind: "ControlPlane",
        listKind: "ControlPlaneList",
        plural: "controlplanes",
        singular: "controlplane",
        shortNames: ["ecn"],
        categories: ["iofog"],
      },
      scope: "Namespaced",
      versions: [
        {
          name: "v3",
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: controlPlaneColumns(),
          schema: { openAPIV3Schema: schema },
        },
        {
          name: "v2",
          served: true,
          storage: false,
          deprecated: true,
          deprecationWarning: "iofog.org/v2 ControlPlane is the same object as iofog.org/v3: use v3",
          subresources: { status: {} },
          additionalPrinterColumns: controlPlaneColumns(),
          schema: {
            openAPIV3Schema: {
              description: "The ControlPlane of iofog.org/v3, without a schema.",
              type: "object",
              "x-kubernetes-preserve-unknown-fields": true,
            },
          },
        },
      ],
    },
  };
}
