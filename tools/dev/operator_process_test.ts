import { assertEquals, assertMatch } from "@std/assert";
import { concernsOperator, keepOperatorRunning } from "./operator_process.ts";

/** A repository with a program of a few lines in place of the operator. */
async function withRepository(
  program: string,
  test: (repository: {
    readonly lines: readonly string[];
    write(program: string): Promise<void>;
    said(pattern: RegExp): Promise<void>;
    readonly running: Promise<void>;
    stop(): void;
  }) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  await Deno.mkdir(`${root}/src/cli`, { recursive: true });
  const write = (text: string) => Deno.writeTextFile(`${root}/src/cli/main.ts`, text);
  await write(program);
  const lines: string[] = [];
  const stopping = new AbortController();
  let heard = () => {};
  const hear = (line: string) => {
    lines.push(line);
    heard();
  };
  const running = keepOperatorRunning(
    { args: ["run"], root, onLine: hear, onEvent: hear },
    stopping.signal,
  );
  try {
    await test({
      lines,
      write,
      running,
      stop: () => stopping.abort(),
      said: async (pattern) => {
        while (!lines.some((line) => pattern.test(line))) {
          await new Promise<void>((resolve) => heard = resolve);
        }
      },
    });
  } finally {
    stopping.abort();
    await running;
    await Deno.remove(root, { recursive: true });
  }
}

const patient = (name: string) => `
Deno.addSignalListener("SIGTERM", () => { console.log("${name} ends"); Deno.exit(0); });
console.log("${name}", ...Deno.args);
setInterval(() => {}, 1000);
`;

Deno.test("keepOperatorRunning() starts the operator again when a source file changed", async () => {
  await withRepository(patient("first"), async ({ said, write, lines, stop, running }) => {
    await said(/^first run$/);
    await write(patient("second"));
    await said(/^second run$/);
    stop();
    await running;
    assertEquals(lines, [
      "first run",
      "a source file changed: starting the operator again",
      "first ends",
      "second run",
      "second ends",
    ]);
  });
});

Deno.test("keepOperatorRunning() waits for a change when the operator ends by itself", async () => {
  await withRepository(`console.log("oops"); Deno.exit(3);`, async ({ said, write, lines }) => {
    await said(/ended with code 3/);
    await write(patient("mended"));
    await said(/^mended run$/);
    assertMatch(
      lines[1] ?? "",
      /^the operator ended with code 3; it starts again when a file under src\/ changes$/,
    );
  });
});

Deno.test("concernsOperator() leaves tests and other files out", () => {
  assertEquals(["/src/a.ts", "/src/a_test.ts", "/src/.a.ts.swp", "/src/a.md"].map(concernsOperator), [
    true,
    false,
    false,
    false,
  ]);
});
