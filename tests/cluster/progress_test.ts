import { assertEquals, assertRejects } from "@std/assert";
import { formatElapsed, printProgress, type ProgressStep, reportWhile } from "./progress.ts";

Deno.test("formatElapsed() writes minutes and seconds", () => {
  assertEquals([0, 999, 35_000, 61_000, 3_600_000].map(formatElapsed), [
    "0:00",
    "0:00",
    "0:35",
    "1:01",
    "60:00",
  ]);
});

Deno.test("reportWhile() reports beginning and end of a step, and how it ended", async () => {
  const steps: string[] = [];
  const progress = ({ text, state }: ProgressStep) => steps.push(`${text} ${state}`);
  assertEquals(await reportWhile(progress, "one", () => Promise.resolve(1)), 1);
  await assertRejects(() => reportWhile(progress, "two", () => Promise.reject(new Error("no"))), Error, "no");
  assertEquals(steps, ["one running", "one done", "two running", "two failed"]);
});

Deno.test("printProgress() rewrites the line on a terminal and writes few lines elsewhere", () => {
  const run = (isTerminal: boolean) => {
    let written = "";
    const progress = printProgress((text) => written += text, { isTerminal, logEveryMs: 15_000 });
    for (const second of [0, 1, 2, 15, 16, 35]) {
      progress({ text: "building", elapsedMs: second * 1000, state: second === 35 ? "done" : "running" });
    }
    return written;
  };
  assertEquals(run(false), "building ... 0:00\nbuilding ... 0:15\nbuilding done 0:35\n");
  assertEquals(run(true).split("\r\x1b[K").slice(-2), ["building ... 0:16", "building done 0:35\n"]);
});
