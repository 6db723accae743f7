import { assert, assertEquals } from "@std/assert";
import { flagTable } from "../src/cli/flags.ts";
import { relatedImages } from "../src/cli/related_images.ts";
import { ENVIRONMENT_VARIABLES, operatorPermissions } from "./permissions.ts";

const ROOT = new URL("../", import.meta.url);

async function* programFiles(folder: URL): AsyncGenerator<URL> {
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory) yield* programFiles(new URL(`${entry.name}/`, folder));
    else if (entry.name.endsWith(".ts") && !entry.name.endsWith("_test.ts")) {
      yield new URL(entry.name, folder);
    }
  }
}

Deno.test("operatorPermissions() names exactly the environment variables that the program reads", async () => {
  const read = new Set<string>();
  for (const { variable } of [...flagTable, ...relatedImages]) if (variable !== undefined) read.add(variable);
  for await (const file of programFiles(new URL("src/", ROOT))) {
    const source = await Deno.readTextFile(file);
    for (const match of source.matchAll(/(?:\bvariable|env\.[gs]et)\(\s*"(\w+)"/g)) read.add(match[1] ?? "");
    for (const match of source.matchAll(/"(https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY)"/g)) {
      read.add(match[1] ?? "");
    }
  }
  assertEquals(
    [...read].filter((name) => !ENVIRONMENT_VARIABLES.includes(name)),
    [],
    "missing from the list",
  );
  const unused = ENVIRONMENT_VARIABLES.filter((name) => !read.has(name));
  assertEquals(unused, [], "listed and never read");
});

Deno.test("F44 operatorPermissions() gives no right to write, to load native code or to look at the system", () => {
  for (const variant of ["local", "container"] as const) {
    const flags = operatorPermissions(variant);
    assert(flags.includes("--no-prompt"));
    assertEquals(flags.filter((flag) => /^(-A|--allow-(all|write|ffi|sys|import))/.test(flag)), []);
    assertEquals(flags.filter((flag) => /\s/.test(flag)), [], "the task splits its output at spaces");
  }
});

Deno.test("operatorPermissions() gives a container less: no program, no file but what is mounted", () => {
  const flags = operatorPermissions("container");
  assertEquals(flags.filter((flag) => /^--allow-(read|run)/.test(flag)), ["--allow-read=/var/run/secrets"]);
  assertEquals(flags.filter((flag) => /HOME|KUBECONFIG|(HTTPS|NO)_PROXY/i.test(flag)), []);
});

Deno.test("deno task operator runs the source with these permissions", async () => {
  const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  assertEquals(config.tasks.operator, "deno run $(deno run tools/permissions.ts) src/cli/main.ts");
});
