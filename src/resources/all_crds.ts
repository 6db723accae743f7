/** The CRDs of this version, and the schemas that they were made from. */

import type * as z from "zod";
import { controlPlaneSchema } from "./controlplane/iofog/schema.ts";
import { controlPlaneSchema as potControlPlaneSchema } from "./controlplane/pot/schema.ts";
import { controlPlaneCrd, type CustomResourceDefinition, potControlPlaneCrd } from "./crd.ts";
import { edgeCrds, type EdgeKind, edgeSchemaOf } from "./edge/crds.ts";

/** A CRD and the schema of its storage version. */
export interface Described {
  readonly crd: CustomResourceDefinition;
  readonly schema: z.ZodType;
}

/**
 * All of a flavour, in the order in which they are documented. Nobody gets those of the other unasked: where both groups
 * are served, `kubectl get controlplanes` means only one of them.
 */
export function allCrds(flavour: "iofog" | "pot" = "iofog"): readonly Described[] {
  const isPot = flavour === "pot";
  return [
    isPot
      ? { crd: potControlPlaneCrd(), schema: potControlPlaneSchema }
      : { crd: controlPlaneCrd(), schema: controlPlaneSchema },
    ...edgeCrds([isPot ? "datasance.com" : "iofog.org"])
      .map((crd) => ({ crd, schema: edgeSchemaOf(crd.spec.names.kind as EdgeKind) })),
  ];
}
