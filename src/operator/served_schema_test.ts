import { assertEquals, assertRejects } from "@std/assert";
import { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import { MemoryApi } from "../../tests/memory_transport.ts";
import { VirtualClock } from "../../tests/virtual_clock.ts";
import { Widget } from "./fixtures.ts";
import { fieldsLost, projected, servedSchema } from "./served_schema.ts";

const text = { type: "string" };

function object(properties: object, more: object = {}): object {
  return { type: "object", properties, ...more };
}

function list(items: object): object {
  return { type: "array", items };
}

const ours = object({
  spec: object({
    size: text,
    images: object({ main: text, side: text }),
    ports: list(object({ name: text, port: text })),
    labels: { type: "object", additionalProperties: text },
  }),
  status: object({ address: text, conditions: list(object({ type: text, observedGeneration: text })) }),
});

const cases: readonly {
  readonly title: string;
  readonly served: unknown;
  readonly lost: readonly string[];
}[] = [
  { title: "the same schema loses nothing", served: ours, lost: [] },
  {
    title: "more fields lose nothing",
    served: object({ spec: object({ ...at(ours, "spec"), more: text }), status: object(at(ours, "status")) }),
    lost: [],
  },
  {
    title: "another operator's CRD of the same name loses what it does not know, outermost first",
    served: object({
      spec: object({
        size: text,
        images: object({ main: text }),
        ports: list(object({ name: text })),
        labels: object({}),
      }),
      status: object({ conditions: list(object({ type: text })) }),
    }),
    lost: [
      "spec.images.side",
      "spec.ports[].port",
      "status.address",
      "status.conditions[].observedGeneration",
    ],
  },
  {
    title: "one without a status loses the status",
    served: object({ spec: at(ours, "spec") && object(at(ours, "spec")) }),
    lost: ["status"],
  },
  {
    title: "a schemaless one keeps everything",
    served: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    lost: [],
  },
  {
    title: "a part that keeps unknown fields keeps everything in it",
    served: object({
      spec: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
      status: { type: "object", additionalProperties: text },
    }),
    lost: [],
  },
];

function at(schema: object, part: string): object {
  const { properties } = schema as { properties: Record<string, { properties: object }> };
  return properties[part]?.properties ?? {};
}

for (const { title, served, lost } of cases) {
  Deno.test(`fieldsLost(): ${title}`, () => assertEquals(fieldsLost(ours, served), lost));
}

Deno.test("projected() leaves out what would be dropped", () => {
  const status = {
    address: "a",
    conditions: [{ type: "Ready", observedGeneration: 1 }, "odd"],
    ports: { a: 1 },
  };
  const lost = [
    "spec.size",
    "status.address",
    "status.conditions[].observedGeneration",
    "status.ports.b",
    "status.none.x",
  ];
  assertEquals(projected(status, lost), { conditions: [{ type: "Ready" }, "odd"], ports: { a: 1 } });
  assertEquals(projected(status, ["status"]), {});
  assertEquals(projected(status, ["status.conditions", "spec.images"]), { address: "a", ports: { a: 1 } });
});

Deno.test("servedSchema() finds the schema of a kind in the group's document", async () => {
  const clock = new VirtualClock();
  const api = new MemoryApi(clock, []);
  const client = new KubernetesClient(api, clock);
  const path = "/openapi/v3/apis/example.org/v1";
  const signal = new AbortController().signal;
  await assertRejects(() => servedSchema(client, Widget, signal), ApiError, "404");
  api.documents.set(path, {});
  assertEquals(await servedSchema(client, Widget, signal), undefined);
  const schema = (kind: string) => ({
    ...ours,
    "x-kubernetes-group-version-kind": [{ group: "example.org", version: "v1", kind }],
  });
  api.documents.set(path, {
    components: { schemas: { other: schema("Other"), plain: {}, widget: schema("Widget") } },
  });
  assertEquals(await servedSchema(client, Widget, signal), schema("Widget"));
});
