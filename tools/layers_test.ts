import { assertEquals } from "@std/assert";
import { checkLayers, findCycles, findSwitches } from "./layers.ts";

Deno.test("findCycles() names one shortest circle of each group", () => {
  const graph = new Map([
    ["a", ["b", "d"]],
    ["b", ["c"]],
    ["c", ["a"]],
    ["d", ["d2"]],
    ["d2", []],
    ["x", ["y"]],
    ["y", ["x", "a"]],
    ["z", ["z"]],
  ]);
  assertEquals(findCycles(graph), [["a", "b", "c", "a"], ["x", "y", "x"], ["z", "z"]]);
});

Deno.test("findCycles() finds nothing where imports point one way", () => {
  assertEquals(findCycles(new Map([["a", ["b", "c"]], ["b", ["c"]], ["c", []]])), []);
});

Deno.test("findSwitches() finds comments that switch the rules of the layers off", () => {
  const ignore = "deno-lint" + "-ignore";
  assertEquals(findSwitches("a.ts", `x;\n// ${ignore} layers/effects\n`), [
    "a.ts:2 switches the layers' rules off",
  ]);
  assertEquals(findSwitches("a.ts", `// ${ignore}-file\n`).length, 1);
  assertEquals(
    findSwitches("a.ts", `// ${ignore} no-control-regex\n// ${ignore}-file no-explicit-any\n`),
    [],
  );
});

Deno.test("checkLayers() reads a whole repository, also in a folder with spaces", async () => {
  const folder = await Deno.makeTempDir({ prefix: "layers with space " });
  try {
    const root = new URL(`file://${folder.replaceAll(" ", "%20")}/`);
    await Deno.mkdir(new URL("src/operator/", root), { recursive: true });
    await Deno.writeTextFile(new URL("deno.json", root), "{}");
    await Deno.writeTextFile(
      new URL("src/operator/a.ts", root),
      'import type { B } from "./b.ts";\nexport type A = B;',
    );
    await Deno.writeTextFile(
      new URL("src/operator/b.ts", root),
      'import type { A } from "./a.ts";\nexport type B = { a: A };',
    );
    assertEquals(await checkLayers(root), [
      "imports go round in a circle: src/operator/a.ts -> src/operator/b.ts -> src/operator/a.ts",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("checkLayers() finds nothing in this repository", async () => {
  assertEquals(await checkLayers(new URL("../", import.meta.url)), []);
});
