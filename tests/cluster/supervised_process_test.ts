import { assertEquals } from "@std/assert";
import { removeAtExit, startProcess } from "./supervised_process.ts";

const module = new URL("./supervised_process.ts", import.meta.url).href;

/** Processes that have `text` among their arguments. */
async function processesWith(text: string): Promise<number> {
  const { stdout } = await new Deno.Command("ps", { args: ["-A", "-o", "args="] }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line.includes(text)).length;
}

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error("not within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

Deno.test("startProcess() hands over lines of both outputs and the exit code", async () => {
  const lines: string[] = [];
  const process = startProcess({
    command: "sh",
    args: ["-c", "echo one; echo two >&2; printf three; exit 7"],
    output: { onLine: (line) => lines.push(line) },
  });
  assertEquals((await process.ended).code, 7);
  assertEquals(lines, ["one", "two", "three"]);
});

Deno.test("startProcess() passes exactly the environment, directory and arguments given", async () => {
  const lines: string[] = [];
  const process = startProcess({
    command: "sh",
    args: ["-c", 'echo "$A|$HOME|$PWD|$1"', "sh", "a 'b' \"c\" $d"],
    env: { A: "1", PATH: "/usr/bin:/bin" },
    cwd: "/usr",
    output: { onLine: (line) => lines.push(line) },
  });
  await process.ended;
  assertEquals(lines, [`1||/usr|a 'b' "c" $d`]);
});

Deno.test("startProcess() appends to a file", async () => {
  const file = await Deno.makeTempFile();
  for (const text of ["one", "two"]) {
    await startProcess({ command: "echo", args: [text], output: { file } }).ended;
  }
  assertEquals(await Deno.readTextFile(file), "one\ntwo\n");
  await Deno.remove(file);
});

Deno.test("kill() waits for what the child started, and can be called again", async () => {
  const mark = `10${Date.now()}`;
  const ready = Promise.withResolvers<void>();
  const process = startProcess({
    command: "sh",
    args: ["-c", `sleep ${mark} & echo ready; wait`],
    output: { onLine: () => ready.resolve() },
  });
  await ready.promise;
  await Promise.all([process.kill(), process.kill()]);
  assertEquals(await processesWith(mark), 0);
  await process.kill();
  process.signal("SIGTERM");
});

Deno.test("terminate() lets the child end by itself, and kills one that does not", async () => {
  const run = async (script: string) => {
    const ready = Promise.withResolvers<void>();
    const process = startProcess({
      command: "sh",
      args: ["-c", script],
      output: { onLine: () => ready.resolve() },
    });
    await ready.promise;
    return await process.terminate(200);
  };
  assertEquals((await run("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done")).code, 5);
  assertEquals((await run("trap '' TERM; echo ready; while :; do sleep 0.01; done")).signal, "SIGKILL");
});

Deno.test("removeAtExit() removes the directory when called", async () => {
  const directory = await Deno.makeTempDir();
  const remove = removeAtExit(directory);
  await Deno.writeTextFile(`${directory}/file`, "");
  await Promise.all([remove(), remove()]);
  assertEquals(await exists(directory), false);
  assertEquals(await processesWith(directory), 0);
});

Deno.test("nothing of a process that is killed alone stays", async () => {
  const directory = await Deno.makeTempDir();
  const program = `
    import { removeAtExit, startProcess } from ${JSON.stringify(module)};
    removeAtExit(${JSON.stringify(directory)});
    startProcess({
      command: "sh",
      args: ["-c", "sleep 1000 & trap '' TERM INT HUP; while :; do sleep 0.01; done", ${
    JSON.stringify(directory)
  }],
      output: { file: ${JSON.stringify(`${directory}/log`)} },
    });
    await Deno.writeTextFile(${JSON.stringify(`${directory}/ready`)}, "");
    await new Promise((resolve) => setTimeout(resolve, 1e9));`;
  const parent = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdout: "null",
    stderr: "null",
  }).spawn();
  await eventually(() => exists(`${directory}/ready`));
  parent.kill("SIGKILL");
  await parent.status;
  await eventually(async () => !await exists(directory));
  await eventually(async () => await processesWith(directory) === 0);
});
