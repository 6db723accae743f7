import { assertEquals } from "@std/assert";
import { escapeLiquid } from "./liquid.ts";

Deno.test("escapeLiquid() replaces braces that start an expression, in every string of a body, and copies the rest", () => {
  const body = {
    host: "router.example",
    text: "{{ x }} {% raw %} {{{ } { a {",
    list: ["{%", 5, null, { deep: "{{" }],
    port: 5672,
    on: true,
    nothing: null,
  };
  assertEquals(escapeLiquid(body), {
    host: "router.example",
    text: '{{ "{" }}{ x }} {{ "{" }}% raw %} {{ "{" }}{{ "{" }}{ } { a {',
    list: ['{{ "{" }}%', 5, null, { deep: '{{ "{" }}{' }],
    port: 5672,
    on: true,
    nothing: null,
  });
});
