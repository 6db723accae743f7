import { assertEquals } from "@std/assert";
import { countAll, countCommand, parseSummary, selectTests } from "./test.ts";

const FOLDERS = [
  "src",
  "tools",
  "tests",
  "src/telemetry",
  "tests/e2e/ready_test.ts",
  "src/telemetry/log_test.ts",
];
const exists = (path: string) => FOLDERS.includes(path.replace(/^\.\//, ""));

Deno.test("selectTests() runs everything on a cluster without arguments", () => {
  assertEquals(selectTests([], exists), { paths: ["src", "tools", "tests"], flags: [], needsCluster: true });
});

Deno.test("selectTests() starts no cluster for unit tests", () => {
  for (const path of ["src", "src/telemetry", "./src/telemetry/log_test.ts"]) {
    assertEquals(selectTests([path], exists), { paths: [path], flags: [], needsCluster: false });
  }
  assertEquals(selectTests(["src", "tests/e2e/ready_test.ts"], exists).needsCluster, true);
});

Deno.test("selectTests() takes what is no path as words of a test's name", () => {
  assertEquals(selectTests(["--fail-fast", "becomes", "ready"], exists), {
    paths: ["src", "tools", "tests"],
    flags: ["--fail-fast", "--filter", "becomes ready"],
    needsCluster: true,
  });
  assertEquals(selectTests(["src/telemetry", "redact"], exists).flags, ["--filter", "redact"]);
});

Deno.test("parseSummary() reads the last summary", () => {
  const rows: [string, ReturnType<typeof parseSummary>][] = [
    ["ok | 53 passed | 0 failed (578ms)", { passed: 53, failed: 0 }],
    ["FAILED | 43 passed (7 steps) | 11 failed (1 step) | 2 ignored (1m2s)", { passed: 43, failed: 11 }],
    ["ok | 0 passed | 0 failed | 3 filtered out (5ms)", { passed: 0, failed: 0 }],
    ["12 passed, 3 failed", { passed: 12, failed: 3 }],
    ["a test ... ok (5ms)", undefined],
  ];
  for (const [line, expected] of rows) {
    assertEquals(parseSummary(["ok | 1 passed | 1 failed (1ms)", "", line, ""].slice(1)), expected, line);
  }
});

Deno.test("countAll() counts the scan as a test, and an unexplained exit code as a failure", () => {
  const tests = { passed: 5, failed: 0 };
  assertEquals(countAll([countCommand(tests, 0)], true), { passed: 6, failed: 0 });
  assertEquals(countAll([countCommand(tests, 0)], false), { passed: 5, failed: 1 });
  assertEquals(countAll([countCommand(tests, 1)], true), { passed: 6, failed: 1 });
  assertEquals(countAll([countCommand({ passed: 4, failed: 2 }, 1)], true), { passed: 5, failed: 2 });
  assertEquals(countAll([countCommand(undefined, 1)], true), { passed: 1, failed: 1 });
  assertEquals(countAll([countCommand(tests, 0), countCommand(tests, 1)], true), { passed: 11, failed: 1 });
});
