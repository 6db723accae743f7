/** The CustomResourceDefinitions of the ControlPlanes, from their zod schemas. */

import { controlPlaneSchema } from "./controlplane/iofog/schema.ts";
import { controlPlaneSchema as potControlPlaneSchema } from "./controlplane/pot/schema.ts";
import { structural, type StructuralSchema } from "./structural_schema.ts";

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
