/** The CRDs of this version, and the schemas that they were made from. */

import type { z } from "zod";
import { controlPlaneSchema } from "./controlplane/iofog/schema.ts";
import { controlPlaneCrd, type CustomResourceDefinition } from "./crd.ts";
import { edgeCrds, type EdgeKind, edgeSchemaOf } from "./edge/crds.ts";

/** A CRD and the schema of its storage version. */
export interface Described {
  readonly crd: CustomResourceDefinition;
  readonly schema: z.ZodType;
}

/** All of them, in the order in which they are documented. */
export function allCrds(): readonly Described[] {
  return [
    { crd: controlPlaneCrd(), schema: controlPlaneSchema },
    ...edgeCrds(["iofog.org"]).map((crd) => ({ crd, schema: edgeSchemaOf(crd.spec.names.kind as EdgeKind) })),
  ];
}
