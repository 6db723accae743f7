/**
 * Breaks the engine on purpose, one way at a time, in a copy of the sources, and shows that a test notices: a fault
 * that no test catches is not tested.
 *
 * `deno task faults --mutants`. The last line is `N passed, N failed`.
 */

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** A mistake, and the test that has to fail with it. */
interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Must stand in the file exactly once. */
  readonly from: string;
  readonly to: string;
  readonly test: { readonly file: string; readonly name: string };
}

const mutants: readonly Mutant[] = [
  {
    name: "no resourceVersion on writes",
    file: "src/operator/apply.ts",
    from: 'let precondition: Partial<ObjectMeta> = write.precondition ?? { resourceVersion: "1" };',
    to: "let precondition: Partial<ObjectMeta> = write.precondition === undefined " +
      '? { resourceVersion: "1" } : { uid: write.precondition.uid };',
    test: {
      file: "src/operator/apply_test.ts",
      name: "F21 applyWrite() updates with uid and resourceVersion",
    },
  },
  {
    name: "prune after a failed list",
    file: "src/operator/plan.ts",
    from: '.filter((resource) => input.snapshot.kind(resource).phase === "synced")',
    to: "",
    test: { file: "src/operator/plan_test.ts", name: "F10 plan() leaves a kind alone that cannot be listed" },
  },
  {
    name: "no intent before a create in the Controller",
    file: "src/operator/external_lane.ts",
    from: "if (inventory !== undefined) {\n      const put = withIntents(",
    to: 'if (inventory?.id === "never") {\n      const put = withIntents(',
    test: { file: "src/operator/engine_test.ts", name: "F31 Engine looks before it writes outside" },
  },
  {
    name: "no look after somebody else's batch in the Controller",
    file: "src/operator/external_lane.ts",
    from: "batch.version !== this.#inventoryVersion(definition)",
    to: 'batch.version === "never"',
    test: { file: "src/operator/engine_test.ts", name: "F21 Engine looks again before it writes outside" },
  },
  {
    name: "overwrite on a create's 409",
    file: "src/operator/apply.ts",
    from: 'write.precondition ?? { resourceVersion: "1" };',
    to: "write.precondition ?? {};",
    test: { file: "src/operator/apply_test.ts", name: "F55 applyWrite() creates with resourceVersion 1" },
  },
  {
    name: "no revision on a Secret",
    file: "src/operator/apply.ts",
    from: "...(write.freshRevision\n",
    to: "...(write.freshRevision && false\n",
    test: {
      file: "src/operator/apply_test.ts",
      name: "applyWrite() sets a fresh revision in the same write",
    },
  },
];

/** Runs the mutant's test on a copy of the sources in `folder`; returns its exit code. */
async function runTest({ test }: Mutant, folder: string): Promise<number> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--no-prompt", "--no-check", "--filter", test.name, test.file],
    cwd: folder,
    stdout: "piped",
    stderr: "piped",
  }).output();
  const said = new TextDecoder().decode(output.stdout);
  if (/ \| 0 passed \| 0 failed/.test(said)) {
    throw new Error(`there is no test "${test.name}" in ${test.file}`);
  }
  return output.code;
}

/** Returns what is wrong: undefined when the test passes on what is right and fails on what is broken. */
async function tryMutant(mutant: Mutant, folder: string): Promise<string | undefined> {
  const path = `${folder}/${mutant.file}`;
  const right = await Deno.readTextFile(path);
  if (right.split(mutant.from).length !== 2) return `${mutant.file} does not hold once: ${mutant.from}`;
  if (await runTest(mutant, folder) !== 0) {
    return `"${mutant.test.name}" fails on sources that are not broken`;
  }
  await Deno.writeTextFile(path, right.replace(mutant.from, () => mutant.to));
  try {
    return await runTest(mutant, folder) === 0 ? `"${mutant.test.name}" does not notice` : undefined;
  } finally {
    await Deno.writeTextFile(path, right);
  }
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { isDirectory, name } of Deno.readDir(from)) {
    if (isDirectory) await copy(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

if (import.meta.main) {
  const folder = await Deno.makeTempDir({ prefix: "iofog-operator-mutants-" });
  let failed = 0;
  try {
    for (const part of ["src", "tests", "crds"]) await copy(`${ROOT}${part}`, `${folder}/${part}`);
    for (const file of ["deno.json", "deno.lock"]) await Deno.copyFile(`${ROOT}${file}`, `${folder}/${file}`);
    for (const mutant of mutants) {
      const problem = await tryMutant(mutant, folder);
      if (problem !== undefined) failed++;
      console.log(
        `${problem === undefined ? "caught" : "FAILED"}  ${mutant.name}: ${problem ?? mutant.test.name}`,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log(`${mutants.length - failed} passed, ${failed} failed`);
  Deno.exit(failed === 0 ? 0 : 1);
}
