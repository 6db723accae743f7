import { assert, assertEquals, assertThrows } from "@std/assert";
import * as z from "zod";
import { controlPlaneCrd } from "./crd.ts";
import { SchemaError, structural } from "./structural_schema.ts";

const text = z.string().meta({ description: "A text." });
const objectOf = (field: z.ZodType) => z.strictObject({ field }).meta({ description: "An object." });

Deno.test("structural() writes shape and description, and leaves limits to the check at run time", () => {
  const schema = z.strictObject({
    small: z.int32().refine((value) => value > 0).meta({ description: "Small." }),
    large: z.int().min(3).prefault(5).meta({ description: "Large." }),
    choice: z.enum(["A", "B"]).meta({ description: "A choice." }),
    words: z.record(z.string(), text).optional().meta({ description: "Words." }),
    anything: z.looseObject({}).optional().meta({ description: "Anything." }),
    items: z.array(objectOf(text.min(3))).meta({
      description: "Items.",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["field"],
    }),
  }).meta({ description: "All." });
  assertEquals(structural(schema), {
    description: "All.",
    type: "object",
    required: ["choice", "items", "small"],
    properties: {
      anything: { description: "Anything.", type: "object", "x-kubernetes-preserve-unknown-fields": true },
      choice: { description: "A choice.", type: "string", enum: ["A", "B"] },
      items: {
        description: "Items.",
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["field"],
        items: {
          description: "An object.",
          type: "object",
          required: ["field"],
          properties: { field: { description: "A text.", type: "string" } },
        },
      },
      large: { description: "Large. Default: 5.", type: "integer", format: "int64" },
      small: { description: "Small.", type: "integer", format: "int32" },
      words: {
        description: "Words.",
        type: "object",
        additionalProperties: { description: "A text.", type: "string" },
      },
    },
  });
});

interface Tree {
  readonly [key: string]: unknown;
}
const recursive: z.ZodType = z.strictObject({
  get child() {
    return recursive.optional();
  },
}).meta({ description: "Recursive." });

const refused: readonly [what: string, schema: z.ZodType, says: string][] = [
  [
    "a union",
    objectOf(z.union([z.string(), z.number()]).meta({ description: "A union." })),
    "field has no single type",
  ],
  [
    "a discriminated union",
    objectOf(
      z.discriminatedUnion("type", [z.object({ type: z.literal("a") }), z.object({ type: z.literal("b") })])
        .meta({ description: "A union." }),
    ),
    "field",
  ],
  ["a recursive type", objectOf(recursive), "definitions"],
  ["a date", objectOf(z.date().meta({ description: "A date." })), "Date"],
  ["a field without description", objectOf(z.string()), "field has no description"],
  ["a tuple", objectOf(z.tuple([z.string()]).meta({ description: "A tuple." })), "field"],
];

for (const [what, schema, says] of refused) {
  Deno.test(`structural() refuses ${what}, and says where`, () => {
    assertThrows(() => structural(schema), SchemaError, says);
  });
}

Deno.test("the ControlPlane's CRD takes all fields of the Go operator's CRD, and requires no more of them", () => {
  const { versions } = controlPlaneCrd().spec;
  const schema = versions[0]?.schema.openAPIV3Schema as Tree;
  const spec = (schema["properties"] as Tree)["spec"] as Tree;
  assertEquals(spec["required"], ["user"]);
  const requirements = Object.entries(spec["properties"] as Record<string, Tree>)
    .map(([name, field]) => [name, field["required"] ?? []]);
  assertEquals(Object.fromEntries(requirements), {
    certificates: [],
    controller: [],
    // Passwords are not: a Secret may hold them.
    database: ["databaseName", "host", "port", "provider", "user"],
    deletionPolicy: [],
    images: [],
    ingresses: [],
    networkPolicies: [],
    podDisruptionBudgets: [],
    pods: [],
    replicas: [],
    services: [],
    storage: [],
    user: ["email", "name", "surname"],
  });
  assert(!/"(minimum|maximum|minLength|pattern|default)"/.test(JSON.stringify(schema)));
});

Deno.test("the ControlPlane's CRD has the shapes of Kubernetes, and leaves room for kubectl apply", () => {
  const crd = controlPlaneCrd();
  const schema = crd.spec.versions[0]?.schema.openAPIV3Schema;
  const at = (path: string) =>
    path.split(".").reduce((inner, name) => inner?.properties?.[name], schema) as Tree | undefined;
  const tolerations = at("spec.pods.router.tolerations");
  assertEquals(
    tolerations?.["description"],
    "Taints of nodes that the pods tolerate. As in a pod: core/v1 Toleration.",
  );
  const fields = Object.entries((tolerations?.["items"] as Tree)["properties"] as Record<string, Tree>);
  assertEquals(Object.fromEntries(fields.map(([name, { description: _, ...shape }]) => [name, shape])), {
    effect: { type: "string", enum: ["NoExecute", "NoSchedule", "PreferNoSchedule"] },
    key: { type: "string" },
    operator: { type: "string", enum: ["Equal", "Exists"] },
    tolerationSeconds: { type: "integer", format: "int64" },
    value: { type: "string" },
  });
  assertEquals(
    (at("spec.pods.router.resources.limits")?.["additionalProperties"] as Tree)["x-kubernetes-int-or-string"],
    true,
  );
  assert(!JSON.stringify(at("spec.pods")).includes("preserve-unknown-fields"));
  // kubectl apply writes the whole CRD into an annotation, and 256 KiB is all that annotations may hold.
  assert(JSON.stringify(crd).length < 128 * 1024);
});

Deno.test("the ControlPlane's CRD serves v2 without a schema and stores v3", () => {
  const { versions } = controlPlaneCrd().spec;
  assertEquals(versions.map(({ name, served, storage }) => [name, served, storage]), [
    ["v3", true, true],
    ["v2", true, false],
  ]);
  assertEquals(versions[1]?.schema.openAPIV3Schema["x-kubernetes-preserve-unknown-fields"], true);
});
