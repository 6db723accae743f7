import { assert, assertEquals } from "@std/assert";
import { reasonsIn, reasonsMarkdown } from "./reasons.ts";

const ROOT = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

Deno.test("reasonsIn() misses none, since each has a sentence above it", async () => {
  for (const path of ["src/resources/controlplane/reasons.ts", "src/resources/edge/reasons.ts"]) {
    const source = await read(path);
    const defined = [...source.matchAll(/^export const [A-Z_]+ = "(\w+)"/gm)].map(([, reason]) => reason);
    assertEquals([...reasonsIn(source).keys()], defined);
  }
});

Deno.test("the document has what the engine, and other documents, call a reason", async () => {
  const listed = new Set(
    [...(await reasonsMarkdown(read)).matchAll(/^\| `(\w+)`/gm)].map(([, reason = ""]) => reason),
  );
  const pot = (await read("docs/pot.md")).split("## Troubleshooting")[1]?.split("\n## ")[0] ?? "";
  const named = [...pot.matchAll(/^\| (`.*?) +\|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([A-Z]\w+)`/g)].map(([, reason = ""]) => reason)
  );
  const told = [...(await read("docs/troubleshooting.md")).matchAll(/^([A-Z]\w+): /gm)].map((
    [, reason = ""],
  ) => reason);
  assert(named.length >= 15 && told.length >= 10, `${named} ${told}`);
  assertEquals([...named, ...told].filter((reason) => !listed.has(reason)), []);

  let engine = "";
  for await (const { name } of Deno.readDir(new URL("src/operator", ROOT))) {
    if (!name.endsWith("_test.ts")) engine += await read(`src/operator/${name}`);
  }
  const ofEngine = (await reasonsMarkdown(() => Promise.resolve(""))).matchAll(/^\| `(\w+)`/gm);
  assertEquals(
    [...ofEngine].filter(([, reason]) => !engine.includes(`"${reason}"`)).map(([, reason]) => reason),
    [
      "InvalidSpec",
    ],
  );
});
