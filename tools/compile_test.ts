import { assert, assertEquals, assertRejects } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { bundle, bundleArguments, checkVersion, compileArguments, explainFailure } from "./compile.ts";
import { operatorPermissions } from "./permissions.ts";

Deno.test("compileArguments() bakes in the operator's permissions and a heap limit", () => {
  const args = compileArguments("aarch64-unknown-linux-gnu", "local");
  for (const variant of ["local", "container"] as const) {
    const baked = compileArguments(undefined, variant);
    for (const flag of operatorPermissions(variant)) assert(baked.includes(flag), flag);
    const granted = baked.filter((arg) => arg.startsWith("--allow-"));
    assertEquals(granted, operatorPermissions(variant).filter((arg) => arg.startsWith("--allow-")));
  }
  assert(args.includes("--v8-flags=--max-old-space-size=160,--max-semi-space-size=2"));
  assertEquals(args[args.indexOf("--target") + 1], "aarch64-unknown-linux-gnu");
  assertEquals(compileArguments(undefined, "local").includes("--target"), false);
});

Deno.test("explainFailure() says in one sentence that the runtime cannot be downloaded", () => {
  const said = "Download https://dl.deno.land/release/v2.9.6/denort-x86_64-unknown-linux-gnu.zip\n" +
    "error: error sending request for url\n  0: client error (Connect)\n  1: dns error\n\nStack backtrace:\n 0: x";
  const sentence = explainFailure(said);
  assert(
    sentence.startsWith("the runtime that goes into the binary (denort) cannot be downloaded"),
    sentence,
  );
  assertEquals(sentence.split("\n").length, 1);
  assertEquals(
    explainFailure("error: Module not found\n\nStack backtrace:\n 0: x"),
    "deno compile failed: error: Module not found",
  );
});

Deno.test("checkVersion() refuses a program that says something else, such as a REPL", async () => {
  await checkVersion("sh", ["-c", `echo "iofog-operator ${config.version}"`]);
  await assertRejects(() => checkVersion("sh", ["-c", "echo Deno 2.9.6"]), Error, 'said "Deno 2.9.6"');
  await assertRejects(
    () => checkVersion("sh", ["-c", `echo "iofog-operator ${config.version}"; exit 1`]),
    Error,
  );
});

Deno.test("the bundled program says its version with the operator's permissions, wherever it lies", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/iofog-operator.js`;
  await bundle(path);
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...bundleArguments(path), "version"],
    // Anywhere: it needs nothing of the repository.
    cwd: "/",
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, `iofog-operator ${config.version}\n`]);
  await Deno.remove(folder, { recursive: true });
});
