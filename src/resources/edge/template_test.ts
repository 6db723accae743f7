import { assertEquals, assertMatch } from "@std/assert";
import type { Problem } from "../../operator/definition.ts";
import { prepareTemplates, rendered } from "./template.ts";

await prepareTemplates();

/** What becomes of one text in a template. */
function give(text: string, variables: Readonly<Record<string, unknown>> = {}): unknown {
  const result = rendered(
    "t",
    { application: { microservices: [], routes: [{ text }] }, variables: [] },
    Object.entries(variables).map(([key, value]) => ({ key, value })),
  );
  return "reason" in result
    ? `${result.reason}: ${(result as Problem).message}`
    : (result.routes[0] as { text: unknown }).text;
}

Deno.test("rendered() keeps types, and says which variable is missing", () => {
  assertEquals(give("{{ port | toNumber }}", { port: "5000" }), 5000);
  assertEquals(give("{{ list }}", { list: [1] }), [1]);
  assertEquals(give("a {{ flag }}", { flag: false }), "a false");
  assertMatch(`${give("{{ none }}")}`, /^VariableMissing: has no value for none/);
});

Deno.test("rendered() goes through loops over lists, ranges and what they give", () => {
  const hosts = { hosts: [{ name: "a", up: true }, { name: "b", up: false }, { name: "c", up: true }] };
  assertEquals(
    give("{% for h in hosts %}{% if h.up %}{{ h.name }}:{{ forloop.index }};{% endif %}{% endfor %}", hosts),
    "a:1;c:3;",
  );
  assertEquals(give("{% for i in (1..3) reversed %}{{ i }}{% endfor %}"), "321");
  assertEquals(give("{% for i in (1..9) %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}"), "123");
  assertEquals(`${give("{% tablerow i in (1..2) %}{{ i }}{% endtablerow %}")}`.includes("<td"), true);
});

Deno.test("rendered() gives up what takes too much, the same each time, and looks nothing up", () => {
  const long = "x".repeat(50_000);
  for (
    const text of [
      "{% for i in (1..1000000000) %}{% endfor %}",
      "{% for i in (1..9000) %}{% for j in (1..9000) %}{% endfor %}{% endfor %}",
      "{% for i in (1..900) %}{% for j in (1..900) %}{{ j }}{% endfor %}{% endfor %}",
      `{% for i in (1..5000) %}${long}{% endfor %}`,
      `{% assign s = "${long}" %}{% for i in (1..40) %}{% capture s %}{{ s }}{{ s }}{% endcapture %}{% endfor %}{{ s }}`,
      `{% assign s = "${long}" %}{% for i in (1..40) %}{% assign s = s | append: s %}{% endfor %}`,
      `{{ "${"x".repeat(100_001)}" }}`,
    ]
  ) {
    const said = `${give(text)}`;
    assertMatch(
      said,
      /^TemplateInvalid: t gives no application: .*(limit|more than|Invalid string length)/,
      text.slice(0, 80),
    );
    assertEquals(give(text), said);
  }
  assertMatch(`${give('{{ "a" | findAgent }}')}`, /^TemplateInvalid: .*findAgent looks something up/);
  for (const tag of ["include 'x'", "render 'x'", "layout 'x'"]) {
    assertMatch(`${give(`{% ${tag} %}`)}`, /^TemplateInvalid: .*cannot be used here/);
  }
});
