/**
 * Checks what `layers_lint.ts` cannot see in one file: that no imports go round in a circle, and that no comment
 * switches the rules of the layers off.
 *
 * `deno run -A tools/layers.ts` prints each violation and exits with 1 when there is one.
 */

/** The parts of `deno info --json` that are read. */
interface ModuleGraph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
    }[];
  }[];
}

/** Which file imports which. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** One shortest circle through each group of files that import each other, as a list that ends where it began. */
export function findCycles(graph: ImportGraph): string[][] {
  const cycles: string[][] = [];
  const reported = new Set<string>();
  for (const start of [...graph.keys()].sort()) {
    if (reported.has(start)) continue;
    const cycle = shortestPath(graph, start);
    if (cycle === undefined) continue;
    for (const file of cycle) reported.add(file);
    cycles.push(cycle);
  }
  return cycles;
}

/** From `start` back to itself. */
function shortestPath(graph: ImportGraph, start: string): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    for (const next of graph.get(file) ?? []) {
      if (next === start) {
        const path = [start];
        for (let step = file; step !== start; step = cameFrom.get(step) ?? start) path.unshift(step);
        return [start, ...path];
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, file);
      queue.push(next);
    }
  }
  return undefined;
}

/** The lines that switch a rule of the layers off, or all rules of a file. */
export function findSwitches(file: string, source: string): string[] {
  return source.split("\n").flatMap((line, index) => {
    const match = /deno-lint-ignore(-file)?\b(.*)/.exec(line);
    if (match === null) return [];
    const everything = match[1] !== undefined && match[2]?.trim() === "";
    return everything || match[2]?.includes("layers/")
      ? [`${file}:${index + 1} switches the layers' rules off`]
      : [];
  });
}

async function sourceFiles(folder: URL): Promise<URL[]> {
  const files: URL[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(entry.isDirectory ? `${entry.name}/` : entry.name, folder);
    if (entry.isDirectory) files.push(...await sourceFiles(url));
    else if (entry.name.endsWith(".ts")) files.push(url);
  }
  return files;
}

async function readGraph(files: readonly URL[], root: URL): Promise<ImportGraph> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(entry, files.map((file) => `import ${JSON.stringify(file.href)};\n`).join(""));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", decodeURIComponent(new URL("deno.json", root).pathname), entry],
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (code !== 0) throw new Error(`deno info failed: ${new TextDecoder().decode(stderr).trim()}`);
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as ModuleGraph;
    const ours = modules.filter((module) => module.specifier.startsWith(root.href));
    return new Map(ours.map((module) => [
      module.specifier.slice(root.href.length),
      (module.dependencies ?? [])
        .map((dependency) => dependency.code?.specifier ?? dependency.type?.specifier ?? "")
        .filter((specifier) => specifier.startsWith(root.href))
        .map((specifier) => specifier.slice(root.href.length)),
    ]));
  } finally {
    await Deno.remove(entry);
  }
}

/** Every violation in the repository at `root`, one line each. */
export async function checkLayers(root: URL): Promise<string[]> {
  const files = await sourceFiles(new URL("src/", root));
  const graph = await readGraph(files, root);
  const problems = findCycles(graph).map((cycle) => `imports go round in a circle: ${cycle.join(" -> ")}`);
  for (const file of files) {
    problems.push(...findSwitches(file.href.slice(root.href.length), await Deno.readTextFile(file)));
  }
  return problems;
}

if (import.meta.main) {
  const problems = await checkLayers(new URL("../", import.meta.url));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) Deno.exit(1);
}
