/** The CRDs of the kinds of the edge, in both groups from one set of schemas. */

import type * as z from "zod";
import type { Resource } from "../../kubernetes/resource.ts";
import type { CustomResourceDefinition, PrinterColumn } from "../crd.ts";
import { structural } from "../structural_schema.ts";
import { agentSchema } from "./agent/schema.ts";
import { applicationSchema } from "./application/schema.ts";
import { edgeResourceSchema } from "./edge_resource/schema.ts";
import { microserviceSchema } from "./microservice/schema.ts";
import { routeSchema } from "./route/schema.ts";

/** The groups; each has a CLI, and a Controller, of its own. */
export const edgeGroups = ["iofog.org", "datasance.com"] as const;
export type EdgeGroup = typeof edgeGroups[number];

/** The kinds, in the order in which they are written. */
export const edgeKinds = ["Agent", "EdgeResource", "Application", "Microservice", "Route"] as const;
export type EdgeKind = typeof edgeKinds[number];

interface Described {
  readonly plural: string;
  readonly shortName: string;
  readonly schema: z.ZodType;
  /** Name, path and description of the columns between Ready and Age. */
  readonly columns: readonly (readonly [string, string, string])[];
}

const kinds: Readonly<Record<EdgeKind, Described>> = {
  Agent: {
    plural: "agents",
    shortName: "iagent",
    schema: agentSchema,
    columns: [
      ["Status", ".status.daemonStatus", "What the Controller says of its process."],
      ["Version", ".status.version", "Version of the agent's software."],
      ["Address", ".status.address", "Where it is reached."],
    ],
  },
  EdgeResource: {
    plural: "edgeresources",
    shortName: "ier",
    schema: edgeResourceSchema,
    columns: [
      ["Version", ".spec.version", "Version."],
      ["Linked", ".status.linkedTo", "Agents that it is linked to, or how many."],
    ],
  },
  Application: {
    plural: "applications",
    shortName: "iapp",
    schema: applicationSchema,
    columns: [
      ["Active", ".status.isActivated", "Whether agents run it."],
      ["Running", ".status.running", "Microservices that run, of all."],
    ],
  },
  Microservice: {
    plural: "microservices",
    shortName: "ims",
    schema: microserviceSchema,
    columns: [
      ["Agent", ".status.agent", "Agent that it is on."],
      ["Status", ".status.status", "What the agent says of it."],
      ["Image", ".status.image", "Image that it should run there."],
    ],
  },
  Route: {
    plural: "routes",
    shortName: "iroute",
    schema: routeSchema,
    columns: [["From", ".spec.from", "Who sends."], ["To", ".spec.to", "Who receives."]],
  },
};

/** The custom resource `kind` of `group`. */
export function edgeResourceOf(
  kind: EdgeKind,
  group: EdgeGroup,
  plural: string = kinds[kind].plural,
): Resource {
  return { group, version: "v3", kind, plural, namespaced: true };
}

/** The zod schema of a kind. */
export function edgeSchemaOf(kind: EdgeKind): z.ZodType {
  return kinds[kind].schema;
}

function column(name: string, jsonPath: string, description: string, priority = 0): PrinterColumn {
  const type = jsonPath.endsWith("creationTimestamp") ? "date" : "string";
  return { name, type, description, jsonPath, ...(priority > 0 && { priority }) };
}

const ready = (field: string) => `.status.conditions[?(@.type=="Ready")].${field}`;

/** The CRD of `kind` in `group`. */
export function edgeCrd(kind: EdgeKind, group: EdgeGroup): CustomResourceDefinition {
  const { plural, shortName, schema, columns } = kinds[kind];
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [shortName],
        categories: ["iofog"],
      },
      scope: "Namespaced",
      versions: [{
        name: "v3",
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          column("Ready", ready("status"), "Whether it is in the Controller as it should be, and works."),
          column("Reason", ready("reason"), "Why, or what it waits for, in one word."),
          ...columns.map(([name, jsonPath, description]) => column(name, jsonPath, description)),
          column("Age", ".metadata.creationTimestamp", "Time since its creation."),
          column("Message", ready("message"), "What it waits for, and what to do.", 1),
        ],
        schema: { openAPIV3Schema: structural(schema) },
      }],
    },
  };
}

/** The CRDs of all kinds of these groups. */
export function edgeCrds(groups: readonly EdgeGroup[] = edgeGroups): readonly CustomResourceDefinition[] {
  return groups.flatMap((group) => edgeKinds.map((kind) => edgeCrd(kind, group)));
}
