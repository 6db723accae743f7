import { assertEquals } from "@std/assert";
import { z } from "zod";
import { jsonSchemaOf } from "../../src/resources/structural_schema.ts";
import { absent, at, fieldsOf, names, put, valuesOf, wrongTypes } from "./fields.ts";

const schema = jsonSchemaOf(z.strictObject({
  port: z.int().optional(),
  block: z.strictObject({ text: z.string(), labels: z.record(z.string(), z.string()).optional() }).prefault({
    text: "x",
  }),
  mode: z.enum(["A", "B"]).optional(),
}));
const field = (name: string) => fieldsOf(schema).find((each) => each.name === name) ?? fail(name);

function fail(name: string): never {
  throw new Error(`no field ${name}`);
}

Deno.test("fieldsOf() finds every field, blocks included", () => {
  assertEquals(fieldsOf(schema).map(({ name, isBlock }) => [name, isBlock]), [
    ["port", false],
    ["block", true],
    ["block.text", false],
    ["block.labels", false],
    ["mode", false],
  ]);
});

Deno.test("put() sets a field, and takes it away with the blocks that it alone filled", () => {
  assertEquals(put({ a: 1 }, ["b", "c"], 2), { a: 1, b: { c: 2 } });
  assertEquals(put({ a: 1, b: { c: 2 } }, ["b", "c"], absent), { a: 1 });
  assertEquals(put({ b: { c: 2, d: 3 } }, ["b", "c"], absent), { b: { d: 3 } });
  assertEquals([at({ b: { c: 2 } }, ["b", "c"]), at({}, ["b", "c"])], [2, absent]);
});

Deno.test("valuesOf() finds the limits of numbers by asking", () => {
  const accepts = (value: unknown) => typeof value === "number" && value >= 1 && value <= 65535;
  assertEquals(valuesOf(field("port"), accepts), {
    accepted: [1, 65535],
    refused: [-1, 65536],
    limits: [1, 65535],
  });
  const anything = (value: unknown) => typeof value === "number" && Math.abs(value) <= 2 ** 31;
  assertEquals(valuesOf(field("port"), anything).limits, [-(2 ** 31), 2 ** 31]);
});

Deno.test("valuesOf() finds the limits of text by asking", () => {
  const accepts = (value: unknown) => typeof value === "string" && /^[a-z]{3,63}$/.test(value);
  const { accepted, refused, limits } = valuesOf(field("block.text"), accepts, ["walking"]);
  assertEquals(limits, [3, 63]);
  assertEquals(accepted.map((value) => String(value).length), [7, 3, 63]);
  assertEquals(refused.slice(0, 2).map((value) => String(value).length), [2, 64]);
  assertEquals(valuesOf(field("block.text"), () => true).limits, [1, Infinity]);
});

Deno.test("valuesOf() tries every word of an enumeration, and one that is none", () => {
  const accepts = (value: unknown) => value === "A" || value === "B";
  const { accepted, refused } = valuesOf(field("mode"), accepts);
  assertEquals([accepted, refused], [["A", "B"], ["no-such-word"]]);
});

Deno.test("wrongTypes() leaves the field's own type out", () => {
  assertEquals(wrongTypes(field("port")).includes(12), false);
  assertEquals(wrongTypes(field("port")).includes("12"), true);
  assertEquals(
    wrongTypes(field("block")).some((value) => typeof value === "object" && !Array.isArray(value)),
    false,
  );
});

Deno.test("fieldsOf() goes into lists where it should, and put() and at() into their first item", () => {
  const text = { type: "string" };
  const schema = {
    properties: { list: { type: "array", items: { properties: { name: text, more: text } } } },
  };
  assertEquals(fieldsOf(schema).map(({ name }) => name), ["list"]);
  assertEquals(fieldsOf(schema, [], true).map(({ name, isBlock }) => [name, isBlock]), [
    ["list", true],
    ["list[0].name", false],
    ["list[0].more", false],
  ]);
  const [, field] = fieldsOf(schema, [], true);
  const path = field?.path ?? [];
  const spec = put({ list: [{ name: "a", more: "b" }, { name: "c" }] }, path, "d");
  assertEquals(spec, { list: [{ more: "b", name: "d" }, { name: "c" }] });
  assertEquals([at(spec, path), at({}, path)], ["d", absent]);
  assertEquals(put(spec, path, absent), { list: [{ more: "b" }, { name: "c" }] });
  assertEquals(
    ["spec.list[0].name is wrong", "spec.name is wrong"].map((said) => names(said, field!)),
    [
      true,
      false,
    ],
  );
});
