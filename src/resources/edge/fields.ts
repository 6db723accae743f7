/**
 * Fields that the kinds of the edge share, with the Controller's limits. They follow the YAML of iofogctl and potctl; the
 * CRDs carry the shape only, the limits are refinements.
 */

import * as z from "zod";
import { checkSpec } from "../parse_spec.ts";

/** Names that the Controller accepts for applications, microservices, routes and edge resources. */
const CONTROLLER_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** The Controller's database keeps no more. */
const LONGEST_NAME = 255;

export const text = (description: string) => z.string().optional().meta({ description });

/** Text that is as good as left out where it is empty, as files of the CLIs have it. */
export const filled = (description: string) =>
  z.string().transform((value) => value === "" ? undefined : value).optional().meta({ description });

export const flag = (description: string) => z.boolean().optional().meta({ description });

/** A whole number from `least` to `most`. */
export function whole(description: string, least = 0, most = 2 ** 31 - 1) {
  return z.int32()
    .refine((value) => value >= least && value <= most, {
      error: most === 2 ** 31 - 1 ? `must not be less than ${least}` : `must be from ${least} to ${most}`,
    })
    .optional().meta({ description });
}

export const port = (description: string) => whole(description, 1, 65535);

/** A name as the Controller checks it. */
export function controllerName(description: string) {
  return z.string()
    .refine((name) => name.length <= LONGEST_NAME && CONTROLLER_NAME.test(name), {
      error:
        `must have at most ${LONGEST_NAME} lower case letters, digits, - and ., as the Controller wants it`,
    })
    .meta({ description });
}

/** The name in the Controller, where it is not `metadata.name`. */
export const ownName = controllerName(
  "Name in the Controller. It cannot be changed. Left out: `metadata.name`.",
).optional();

/** Text; a number is taken as its digits, as the CLIs do. */
export const looseText = (description: string) =>
  z.union([z.string(), z.number()]).transform(String).meta({
    description,
    "x-kubernetes-int-or-string": true,
  });

/** A value of any type. */
export const anything = (description: string) =>
  z.unknown().optional().meta({ description, "x-kubernetes-preserve-unknown-fields": true });

export const strings = (description: string) => z.array(z.string()).optional().meta({ description });

/** What only a CLI can do: accepted, and reported as ignored. */
export const cliOnly = (what: string) =>
  z.record(z.string(), z.unknown()).optional().meta({
    description:
      `${what} Only iofogctl and potctl can do that: it is not used here, and a condition says so.`,
    "x-kubernetes-preserve-unknown-fields": true,
  });

const keyOf = (kind: string) =>
  z.strictObject({
    name: z.string().meta({ description: `Name of the ${kind}, in the namespace of this object.` }),
    key: z.string().meta({ description: "Key in its `data`." }),
  }).optional();

export const valueFrom = z.strictObject({
  secretKeyRef: keyOf("Secret").meta({
    description: "A key of a Secret of Kubernetes; followed when it changes.",
  }),
  configMapKeyRef: keyOf("ConfigMap").meta({
    description: "A key of a ConfigMap of Kubernetes; followed when it changes.",
  }),
}).refine((value) => (value.secretKeyRef === undefined) !== (value.configMapKeyRef === undefined), {
  error: "must have exactly one of secretKeyRef and configMapKeyRef",
}).optional().meta({ description: "Where the value stands, instead of `value`." });

/** Conditions and observedGeneration, and what else `more` says, all optional. */
export function statusOf(more: Readonly<Record<string, z.ZodType>>) {
  return z.strictObject({
    conditions: z.array(z.strictObject({
      type: z.string().meta({ description: "Type of the condition." }),
      status: z.string().meta({ description: "True, False or Unknown." }),
      reason: z.string().meta({ description: "Why, in one word." }),
      message: z.string().meta({ description: "Why, and what to do." }),
      lastTransitionTime: z.string().meta({
        description: "When the status changed last.",
        format: "date-time",
      }),
      observedGeneration: whole("Generation of the spec that it is about."),
    })).optional().meta({
      description: "`Ready`, `Reconciling` and `Stalled` as kstatus has them, then others.",
    }),
    observedGeneration: whole("Generation of the spec that the status is about."),
    ...more,
  }).optional().meta({ description: "What was observed; written by the operator." });
}

/** Keeps fields from being changed, set or removed once the object exists. */
export function immutable(...fields: readonly string[]) {
  return {
    "x-kubernetes-validations": fields.map((field) => ({
      rule:
        `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
      message: `${field} cannot be changed: delete the object and make another`,
    })),
  };
}

/** Characters of a spec: what is sent goes piece by piece, and each is measured by itself. */
const LARGEST_SPEC = 1_000_000;

/** A spec of the edge as it was read; "" and 0 mean what they say. */
export const checkEdgeSpec = <Spec>(spec: z.ZodType<Spec>, raw: unknown) =>
  checkSpec(spec, raw, [], 0, LARGEST_SPEC);
