/** docs/faults.md and the tests agree: each fault that the table says is shown has tests of its name, and no others. */

import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** Faults by id, each with the names of its tests as they stand in the table. */
async function table(): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = await Deno.readTextFile(new URL("docs/faults.md", ROOT));
  const rows = text.split("\n").filter((line) => /^\| F\d\d /.test(line)).map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim())
  );
  return new Map(
    rows.map(([id = "", , , shown = ""]) => [id, [...shown.matchAll(/`([^`]+)`/g)].map((m) => m[1]!)]),
  );
}

/** Names of tests and steps that begin with ids, as they stand in the sources; what a name puts in is left open. */
async function named(folder: URL): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(`${entry.name}${entry.isDirectory ? "/" : ""}`, folder);
    if (entry.isDirectory) names.push(...await named(url));
    else if (entry.name.endsWith("_test.ts")) {
      const text = await Deno.readTextFile(url);
      names.push(...[...text.matchAll(/(["`])((?:F\d\d )+.+?)\1/g)].map((match) => match[2]!));
    }
  }
  return names;
}

function idsOf(name: string): readonly string[] {
  return /^(?:F\d\d )+/.exec(name)![0].trim().split(" ");
}

Deno.test("docs/faults.md names for each fault the tests that show it, and those only", async () => {
  const shown = await table();
  const folders = ["src/", "tests/", "tools/"].map((folder) => named(new URL(folder, ROOT)));
  const names = (await Promise.all(folders)).flat();
  for (const [id, listed] of shown) {
    const found = names.filter((name) => idsOf(name).includes(id)).map((name) =>
      name.replace(/^(?:F\d\d )+/, "")
    );
    assertEquals([...listed].sort(), found.sort(), `docs/faults.md, row ${id}`);
  }
  const unknown = names.filter((name) => !idsOf(name).every((id) => shown.has(id)));
  assertEquals(unknown, [], "tests with an id that docs/faults.md does not have");
});

Deno.test("docs/faults.md says of each fault either which test shows it or why none does", async () => {
  const ids = Array.from({ length: 55 }, (_, index) => `F${String(index + 1).padStart(2, "0")}`);
  const text = await Deno.readTextFile(new URL("docs/faults.md", ROOT));
  assertEquals([...(await table()).keys()].sort(), ids);
  for (const [id, listed] of await table()) {
    const row = text.split("\n").find((line) => line.startsWith(`| ${id} `)) ?? "";
    assert(listed.length > 0 || /not yet|not applicable/.test(row), `row ${id} names no test and no reason`);
  }
});
