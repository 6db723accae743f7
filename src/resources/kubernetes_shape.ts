/**
 * Fields of a custom resource that have the shape of a part of a pod: their zod schemas, made from the API server's
 * own OpenAPI documents.
 *
 * Shape only: what the API server refuses besides (a label that is none, a limit below its request) it refuses at the
 * child that the field ends up in.
 */

import * as z from "zod";
import { type Shape, shapes } from "../kubernetes/generated/shapes.ts";
import { canonicalQuantity, isQuantity } from "./quantity.ts";

/** A field of the type `name` of Kubernetes, such as `Affinity`; `T` is the generated type of that name. */
export function kubernetesShape<T>(name: string, description: string): z.ZodType<T> {
  return zodOf({ of: name }).meta({ description, kubernetesType: name }) as z.ZodType<T>;
}

/** A list of them. */
export function kubernetesShapes<T>(name: string, description: string): z.ZodType<T[]> {
  return z.array(zodOf({ of: name })).meta({ description, kubernetesType: name }) as unknown as z.ZodType<
    T[]
  >;
}

/** An amount, as text or number; its value is what the API server would store. */
export function quantity(description: string): z.ZodType<string> {
  return z.union([z.string(), z.number()], { error: "must be a quantity such as 500m, 1 or 2Gi" })
    .transform(String)
    .refine(isQuantity, { error: "must be a quantity that is not negative, such as 500m, 1 or 2Gi" })
    .transform(canonicalQuantity)
    .meta({ description, "x-kubernetes-int-or-string": true });
}

function zodOf(shape: Shape): z.ZodType {
  const type = undescribed(shape);
  return shape.description === undefined ? type : type.meta({ description: shape.description });
}

/** Of the named types: there are many uses, and a schema is slow to make. */
const made = new Map<string, z.ZodType>();

function undescribed(shape: Shape): z.ZodType {
  if (shape.of !== undefined) {
    const type = made.get(shape.of) ?? zodOf(shapes[shape.of]!);
    made.set(shape.of, type);
    return type;
  }
  switch (shape.type) {
    case "string":
      return shape.enum === undefined ? z.string() : z.enum(shape.enum as [string]);
    case "boolean":
      return z.boolean();
    case "integer":
      return shape.format === "int32" ? z.int32() : z.int();
    case "array":
      return z.array(zodOf(shape.items!));
    default:
      return shape.values === undefined ? objectOf(shape) : z.record(z.string(), zodOf(shape.values));
  }
}

function objectOf({ properties = {}, required = [] }: Shape): z.ZodType {
  return z.strictObject(
    Object.fromEntries(
      Object.entries(properties).map(([name, field]) => {
        const type = zodOf({ ...field, description: field.description ?? `${name}.` });
        return [name, required.includes(name) ? type : type.optional()];
      }),
    ),
  );
}
