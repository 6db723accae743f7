import { assertEquals } from "@std/assert";
import plugin, { importProblem } from "./layers_lint.ts";

/** What the plugin says of `source` if it stood in `file`: the ids of the rules. */
function findings(file: string, source: string): string[] {
  const path = decodeURIComponent(new URL(`../${file}`, import.meta.url).pathname);
  return Deno.lint.runPlugin(plugin, path, source).map((diagnostic) => diagnostic.id);
}

Deno.test("layers/order refuses every import that points upwards or sideways", () => {
  const refused: [string, string][] = [
    ["src/telemetry/log.ts", "../operator/plan.ts"],
    ["src/telemetry/log.ts", "../kubernetes/client.ts"],
    ["src/kubernetes/client.ts", "../controller/session.ts"],
    ["src/controller/session.ts", "../kubernetes/client.ts"],
    ["src/kubernetes/client.ts", "../operator/plan.ts"],
    ["src/operator/plan.ts", "../resources/kinds.ts"],
    ["src/operator/plan.ts", "../controller/session.ts"],
    ["src/operator/plan_test.ts", "../resources/kinds.ts"],
    ["src/resources/controlplane/component.ts", "../../cli/main.ts"],
    ["src/clock.ts", "./telemetry/log.ts"],
    ["src/operator/plan.ts", "../../tests/secrets.ts"],
    ["src/operator/plan.ts", "../../mod.ts"],
    ["src/surprise/plan.ts", "../clock.ts"],
    ["mod.ts", "./src/resources/kinds.ts"],
    ["mod.ts", "./src/cli/main.ts"],
    ["src/operator/plan.ts", "https://deno.land/x/y.ts"],
    ["src/operator/plan.ts", "node:fs"],
    ["src/operator/plan.ts", "node:crypto"],
  ];
  for (const [file, specifier] of refused) {
    const problem = importProblem(file, specifier);
    assertEquals(problem?.startsWith(file), true, `${file} -> ${specifier}`);
    assertEquals(findings(file, `import { x } from "${specifier}"; export { x };`), ["layers/order"], file);
  }
});

Deno.test("layers/order lets imports point downwards", () => {
  const allowed: [string, string][] = [
    ["src/cli/main.ts", "../resources/kinds.ts"],
    ["src/cli/main.ts", "../version.ts"],
    ["src/cli/main.ts", "node:fs"],
    ["src/resources/controlplane/desired.ts", "../pki.ts"],
    ["src/resources/controlplane/external.ts", "../../controller/session.ts"],
    ["src/operator/plan.ts", "../kubernetes/client.ts"],
    ["src/operator/plan_test.ts", "../../tests/cluster/shared.ts"],
    ["src/kubernetes/client.ts", "../clock.ts"],
    ["src/kubernetes/kubeconfig.ts", "node:path"],
    ["src/version.ts", "../deno.json"],
    ["mod.ts", "./src/operator/plan.ts"],
    ["tools/ok.ts", "../src/cli/main.ts"],
    ["src/operator/plan.ts", "zod"],
  ];
  for (const [file, specifier] of allowed) assertEquals(importProblem(file, specifier), undefined, file);
});

Deno.test("layers/order sees imports of types, re-exports and inline types", () => {
  for (
    const source of [
      'import type { X } from "../operator/plan.ts"; export type Y = X;',
      'export * from "../operator/plan.ts";',
      'export { x } from "../operator/plan.ts";',
      'export type Y = import("../operator/plan.ts").X;',
    ]
  ) assertEquals(findings("src/telemetry/log.ts", source), ["layers/order"], source);
});

Deno.test("layers/effects refuses network, time, randomness, files and terminal outside their files", () => {
  const sources = [
    "await fetch(url);",
    "await globalThis.fetch(url);",
    "const get = fetch;",
    "const get = { get: fetch };",
    "fetch.call(null, url);",
    "const now = Date.now();",
    'const now = Date["now"]();',
    "const clock = { now: Date.now };",
    "const now = new Date();",
    "const now = Date();",
    "const now = performance.now();",
    "const p = performance;",
    "const n = Math.random();",
    "const n = crypto.randomUUID();",
    "const n = crypto.getRandomValues(new Uint8Array(1));",
    "setTimeout(f, 1);",
    "globalThis.setInterval(f, 1);",
    "const signal = AbortSignal.timeout(1);",
    "const args = Deno.args;",
    'const home = Deno.env.get("HOME");',
    'const text = await Deno.readTextFile("x");',
    'new Deno.Command("x");',
    "const client = Deno.createHttpClient({});",
    "Deno.serve(f);",
    "const { env } = Deno;",
    "const e = process.env;",
    'console.log("x");',
  ];
  for (const source of sources) {
    assertEquals(findings("src/operator/plan.ts", source), ["layers/effects"], source);
    assertEquals(findings("src/cli/run.ts", source), [], source);
    assertEquals(findings("src/operator/plan_test.ts", source), [], source);
    assertEquals(findings("tools/ok.ts", source), [], source);
  }
});

Deno.test("layers/effects lets each file do what it is there for", () => {
  const rows: [string, string][] = [
    ["src/kubernetes/fetch_transport.ts", "await fetch(url);"],
    ["src/controller/transport.ts", "await fetch(url);"],
    ["src/clock.ts", "Date.now(); performance.now(); Math.random(); setTimeout(f, 1); crypto.randomUUID();"],
    ["src/resources/pki.ts", "crypto.getRandomValues(a); await crypto.subtle.generateKey(b, true, []);"],
    ["src/telemetry/health.ts", "Deno.serve(f);"],
    ["src/kubernetes/kubeconfig.ts", "error instanceof Deno.errors.NotFound;"],
  ];
  for (const [file, source] of rows) assertEquals(findings(file, source), [], file);
});

Deno.test("layers/effects does not take properties, types and pure functions for effects", () => {
  const sources = [
    "const time = new Date(0).toISOString();",
    "const time = Date.parse(text);",
    "const isDate = value instanceof Date;",
    "const big = Math.max(1, 2);",
    "const key = await crypto.subtle.importKey(a, b, c, d, e);",
    "const options = { fetch: 1, process: 2 };",
    "await transport.fetch(url);",
    "clock.performance();",
    "interface A { fetch(url: string): void; readonly client: Deno.HttpClient; readonly time: Date }",
    "class B { fetch() {} }",
    "const signal = AbortSignal.any([a]);",
  ];
  for (const source of sources) assertEquals(findings("src/operator/plan.ts", source), [], source);
});

Deno.test("layers/dynamic-import refuses import() of a name that is not written out in the program", () => {
  const source = "const module = await import(`./${name}.ts`);";
  assertEquals(findings("src/cli/run.ts", source), ["layers/dynamic-import"]);
  assertEquals(findings("tools/ok.ts", source), []);
  assertEquals(findings("src/cli/run.ts", 'const module = await import("./once.ts");'), []);
  assertEquals(findings("src/operator/plan.ts", 'await import("../cli/once.ts");'), ["layers/order"]);
});
