import { assert, assertEquals } from "@std/assert";
import { flagTable } from "./flags.ts";
import { commandTable, help } from "./help.ts";

Deno.test("help() tells of every command and flag, with defaults and variables", () => {
  const text = help().replaceAll(/\n {20,}/g, " ");
  for (const { name, text: what } of commandTable) {
    assert(text.includes(`\n  ${name.padEnd(10)}${what}\n`), name);
  }
  for (const { name, alias, value, default: fallback, variable, text: what } of flagTable) {
    const line = text.split("\n").find((each) => each.includes(`--${name}`)) ?? "";
    assert(line.includes(what), name);
    assertEquals(line.startsWith(`  -${alias}, `), alias !== undefined, name);
    assertEquals(line.includes(` ${value} `), value !== undefined, name);
    assertEquals(line.includes(`default ${fallback}`), fallback !== undefined, name);
    assertEquals(line.includes(`env ${variable}`), variable !== undefined, name);
  }
});

Deno.test("help() fits a terminal of 100 columns, without blanks at line ends", () => {
  for (const line of help().split("\n")) {
    assert(line.length <= 100, line);
    assertEquals(line, line.trimEnd());
  }
});

Deno.test("help() wraps what is long below its own column", () => {
  const lines = help().split("\n");
  const start = lines.findIndex((line) => line.includes("--controller-url"));
  assertEquals(lines.slice(start, start + 2), [
    "      --controller-url URL        where the ioFog Controller is reached; else its Service in the",
    "                                  cluster, or its address outside of it (env CONTROLLER_URL)",
  ]);
});
