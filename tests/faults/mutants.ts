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
    file: "src/operator/inventory_writer.ts",
    from: "batch.version !== this.version(definition)",
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
  {
    name: "PoT: the Controller's entries dropped from the router's configuration",
    file: "src/resources/controlplane/pot/router_document.ts",
    from: "const wanted = [...own, ...foreign.values()];",
    to: "const wanted = [...own];",
    test: {
      file: "src/resources/controlplane/pot/router_document_test.ts",
      name: "routerDocument() puts ours back and keeps what the Controller added",
    },
  },
  {
    name: "PoT: the Controller's routes dropped from NATS",
    file: "src/resources/controlplane/pot/nats_configuration.ts",
    from: "const routes = [...new Set([...own, ...foreign])];",
    to: "const routes = [...new Set([...own])];",
    test: {
      file: "src/resources/controlplane/pot/nats_configuration_test.ts",
      name: "serverConfiguration() and the Controller edit the routes",
    },
  },
  {
    name: "PoT: accounts removed from the JWT bundle",
    file: "src/resources/controlplane/pot/nats.ts",
    from: "    ...live,\n    ...Object.fromEntries(listed",
    to: "    ...Object.fromEntries(listed",
    test: {
      file: "src/resources/controlplane/pot/nats_test.ts",
      name: "the JWT bundle keeps what the Controller added",
    },
  },
  {
    name: "PoT: a JWT bundle made anew without the Controller's list",
    file: "src/resources/controlplane/pot/nats.ts",
    from: "if (live === undefined && (accounts === undefined || bootstrap === undefined)) return [];",
    to: "if (live === undefined && bootstrap === undefined) return [];",
    test: {
      file: "src/resources/controlplane/pot/nats_test.ts",
      name: "a JWT bundle that is gone is made only from the whole list of accounts",
    },
  },
  {
    name: "PoT: a new JetStream key beside claims with data",
    file: "src/resources/controlplane/pot/nats.ts",
    from: "if (owners.length === 0) return Promise.resolve",
    to: "if (owners.length >= 0) return Promise.resolve",
    test: {
      file: "src/resources/controlplane/pot/nats_test.ts",
      name: "JetStream's key belongs to the claims, and is never made anew beside data",
    },
  },
  {
    name: "PoT: the authority replaced with its certificates",
    file: "src/resources/controlplane/pot/certificates.ts",
    from: 'return { ...made, "ca.crt": made["tls.crt"] };\n  })];',
    to: 'return { ...made, "ca.crt": made["tls.crt"] };\n  }, live && "renewed")];',
    test: {
      file: "src/resources/controlplane/pot/certificates_test.ts",
      name: "certificateSecrets() makes new certificates for other names, with the same authority",
    },
  },
  {
    name: "PoT: NATS scaled by two at a time",
    file: "src/resources/controlplane/pot/nats_scale.ts",
    from: "if (wanted > now) return { servers: now + 1 };",
    to: "if (wanted > now) return { servers: now + 2 };",
    test: {
      file: "src/resources/controlplane/pot/nats_scale_test.ts",
      name: "nextScale() begins with what is wanted, and goes one at a time",
    },
  },
  {
    name: "PoT: the server with the only copy of a stream leaves",
    file: "src/resources/controlplane/pot/nats_scale.ts",
    from: "return left < Math.floor(wanted / 2) + 1;",
    to: "return left < 0;",
    test: {
      file: "src/resources/controlplane/pot/nats_scale_test.ts",
      name: "nextScale() keeps a server that has the only copy of a stream",
    },
  },
  {
    name: "PoT: data and keys given up with NATS",
    file: "src/resources/controlplane/pot/nats.ts",
    from: 'return [...jetStreamKey(inputs, "kept"), ...keptAuthorities(inputs, NATS), ...claims(inputs)];',
    to: "return [];",
    test: {
      file: "src/resources/controlplane/pot/nats_test.ts",
      name: "disabled, only data and the keys to it stay; enabled again, they are found",
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
