/** docs/faults.md and the tests agree: each fault that the table says is shown has tests of its name, and no others. */

import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** A line of the table. */
interface Row {
  /** What stands before the colon, e.g. `P E`. */
  readonly tiers: readonly string[];
  /** Names of its tests. */
  readonly shown: readonly string[];
}

/** Faults by id. */
async function table(): Promise<ReadonlyMap<string, Row>> {
  const text = await Deno.readTextFile(new URL("docs/faults.md", ROOT));
  const rows = text.split("\n").filter((line) => /^\| F\d\d /.test(line)).map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim())
  );
  return new Map(
    rows.map(([id = "", , promise = "", shown = ""]) => [id, {
      tiers: /^[^:]*/.exec(promise)![0].split(" "),
      shown: [...shown.matchAll(/`([^`]+)`/g)].map((match) => match[1]!),
    }]),
  );
}

/** A name of a test or of a step that begins with ids. */
interface Named {
  readonly name: string;
  /** Whether an API server is started for it. */
  readonly isReal: boolean;
}

/** Names of tests and steps that begin with ids, as they stand in the sources; what a name puts in is left open. */
async function named(folder: URL): Promise<Named[]> {
  const names: Named[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(`${entry.name}${entry.isDirectory ? "/" : ""}`, folder);
    if (entry.isDirectory) names.push(...await named(url));
    else if (entry.name.endsWith("_test.ts")) {
      const text = await Deno.readTextFile(url);
      const isReal = /\bscenario\(|\b(long|pot)Scenario\(|World\.open\(/.test(text);
      for (const match of text.matchAll(/(["`])((?:F\d\d )+.+?)\1/g)) names.push({ name: match[2]!, isReal });
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
  for (const [id, { shown: listed, tiers }] of shown) {
    const found = names.filter(({ name }) => idsOf(name).includes(id));
    const titles = found.map(({ name }) => name.replace(/^(?:F\d\d )+/, ""));
    assertEquals([...listed].sort(), titles.sort(), `docs/faults.md, row ${id}`);
    const really = [found.some(({ isReal }) => !isReal), found.some(({ isReal }) => isReal)];
    if (tiers.includes("P")) assert(really[0], `row ${id}: tier P, and every test needs an API server`);
    if (tiers.includes("E")) assert(really[1], `row ${id}: tier E, and no test has a real API server`);
  }
  const unknown = names.filter(({ name }) => !idsOf(name).every((id) => shown.has(id)));
  assertEquals(unknown, [], "tests with an id that docs/faults.md does not have");
});

Deno.test("docs/faults.md says of each fault either which test shows it or why none does", async () => {
  const ids = Array.from({ length: 55 }, (_, index) => `F${String(index + 1).padStart(2, "0")}`);
  const text = await Deno.readTextFile(new URL("docs/faults.md", ROOT));
  assertEquals([...(await table()).keys()].sort(), ids);
  for (const [id, { shown }] of await table()) {
    const row = text.split("\n").find((line) => line.startsWith(`| ${id} `)) ?? "";
    assert(shown.length > 0 || /not applicable/.test(row), `row ${id} names no test and no reason`);
  }
});
