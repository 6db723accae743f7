/**
 * Runs every command of every document, in order, with real kubectl and real helm on a real API server.
 *
 * A document is one scenario: a cluster that its commands may change as they like, a namespace, a played kubelet, a
 * stand-in Controller, and whatever Deployment `iofog-operator` says runs as the program from source. CONTRIBUTING.md
 * tells how to write a document.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { collectSecrets } from "../../tools/secret_collector.ts";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { Flavour } from "../../src/cli/flavours.ts";
import { connectCluster, findTools, startCluster, startProcess } from "../cluster/mod.ts";
import { type Controller, startController } from "../controller/controller.ts";
import { type Keycloak, startKeycloak } from "../keycloak/keycloak.ts";
import { recordOutput, registerSecret } from "../secrets.ts";
import { playOperatorPods } from "./deployed_operator.ts";
import { commandBlocks, inlineCommands, inNamespace, type NotRun, scriptOf } from "./document.ts";
import { goImage, PlayedGoOperator } from "./go_operator.ts";
import { goPotImage, PlayedGoPotOperator } from "./go_pot_operator.ts";
import { Scene } from "./harness.ts";
import { denoDirectory, programArguments } from "./operator_process.ts";
import { eventually } from "./waiting.ts";

/** What there is before the first command of a document. */
type Given =
  | "nothing"
  | "an operator"
  | "a control plane that is ready"
  | "a control plane of the Go operator";

interface Document {
  readonly given: Given;
  /** Whether it is about PoT: then there are a Keycloak and a Controller of PoT. @default "iofog" */
  readonly flavour?: Flavour;
  /** Lines that cannot be run here, each with the reason. */
  readonly notRun?: NotRun;
}

const otherTest = "another test runs it";
const runByCi = "`.ci/run` runs it";
const noContainer = "no container runs";
const noDocker = "there is no Docker and no registry";

/** Every document with commands. */
const documents: Readonly<Record<string, Document>> = {
  "README.md": {
    given: "a control plane that is ready",
    notRun: {
      "npx -y deno@2.9.6 task dev      # a private cluster on this machine with the operator and a control plane in it":
        otherTest,
      "npx -y deno@2.9.6 task test     # the tests, on a real API server": "it is what runs this",
      "npx -y deno@2.9.6 task dev": otherTest,
      "npx -y deno@2.9.6 task compile                     # dist/iofog-operator, for this machine":
        "it downloads Deno's runtime",
      "npx -y deno@2.9.6 task compile --target aarch64-unknown-linux-gnu": "it downloads Deno's runtime",
      "npx -y deno@2.9.6 task compile --container         # with the fewer permissions that the image gives it":
        "it downloads Deno's runtime",
      "npx -y deno@2.9.6 task compile --bundle-only       # dist/iofog-operator.js, for `deno run`":
        otherTest,
      "docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/iofog-operator:0.1.0 --push .":
        noDocker,
    },
  },
  "docs/troubleshooting.md": {
    given: "a control plane that is ready",
    notRun: {
      "kubectl logs deployment/controller -n iofog --previous": "no container runs, so there is no log",
    },
  },
  "docs/migrating.md": {
    given: "a control plane of the Go operator",
    notRun: {
      "kubectl exec deployment/controller -n iofog -- sh -c 'ls -l /usr/local/lib/node_modules/*/*/src/data/sqlite_files /usr/local/lib/node_modules/*/src/data/sqlite_files'":
        noContainer,
      "kubectl exec deployment/controller -n iofog -- sh -c 'cd /usr/local/lib/node_modules && cp -a iofogcontroller/src/data/sqlite_files/. @iofog/iofogcontroller/src/data/sqlite_files/'":
        noContainer,
    },
  },
  "docs/migrating-pot.md": { given: "a control plane of the Go operator", flavour: "pot" },
  "docs/operating.md": { given: "a control plane that is ready" },
  "docs/edge.md": { given: "a control plane that is ready" },
  "docs/pot.md": {
    given: "nothing",
    flavour: "pot",
    notRun: { "potctl deploy -f potctl.yaml --namespace pot": "potctl is not among the tools" },
  },
  "docs/installing.md": {
    given: "nothing",
    notRun: { "iofogctl deploy -f iofogctl.yaml --namespace iofog": "iofogctl is not among the tools" },
  },
  "CONTRIBUTING.md": {
    given: "nothing",
    notRun: {
      "deno task ok      # format, lint, types, layers, generated files, unit tests: before every commit":
        otherTest,
      "deno task test    # the tests, on a real API server, and the secret scan: before every pull request":
        "it is what runs this",
      "deno task walk    # each field of a control plane that is ready, and of the edge, changed to all that it takes, and back":
        runByCi,
      "deno task faults  # each scenario with a crash at each write and a stale answer to each list (docs/faults.md)":
        runByCi,
      "deno task test tests/e2e/install_test.ts      # one file or folder": "it is what runs this",
      "deno task test becomes ready                  # tests with these words in their name":
        "it is what runs this",
      "deno task dev     # a private cluster with the operator in it, started again when a source file changes":
        otherTest,
    },
  },
};

/** Commands that a text names and no block runs, each with the reason. */
const namedOnly: Readonly<Record<string, string>> = {
  "deno lint": runByCi,
  "deno run": "it stands for how a program was run",
  "deno run --cpu-prof": "it stands for how a program was run",
  "deno task bench": "a measurement, which takes minutes",
  "deno task bench --edge": "a measurement, which takes minutes",
  "deno task bench --load": "a measurement, which takes minutes",
  "deno task bench --load --beside=FOLDER": "a measurement, which takes minutes",
  "deno task bench --pot": "a measurement, which takes minutes",
  "deno task contract --url URL": otherTest,
  "deno task crds": runByCi,
  "deno task dev --flavor pot": otherTest,
  "deno task faults --mutants": "it takes an hour",
  "deno task generate": runByCi,
  "git worktree add FOLDER COMMIT": "it stands for a clone of another version",
  "go build": "it is how a tool is made that is missing",
  "iofog-operator crds": otherTest,
  "iofog-operator once": otherTest,
  "iofog-operator run": "it is what runs in every pod of the operator",
  "iofog-operator version": otherTest,
  "kubectl describe certificate": "there is no cert-manager",
  "kubectl get controlplane": "it is what shall not be written",
  "npx -y deno@2.9.6 task operator COMMAND": "it stands for each command",
  "potctl legacy": "it is about what another program does",
  "potctl logs": "it is about what another program does",
};

/** Commands that make what is given. */
const stage: Readonly<Record<Given, string>> = {
  "nothing": "",
  "an operator": "kubectl create namespace iofog\nkubectl apply -k deploy/base\n",
  // `PlayedGoOperator` makes it.
  "a control plane of the Go operator": "",
  "a control plane that is ready": `kubectl create namespace iofog
kubectl apply -k deploy/base
kubectl wait crd/controlplanes.iofog.org --for condition=Established
kubectl apply -k deploy/samples/iofog
kubectl wait ecn/iofog --namespace iofog --for condition=Ready --timeout 90s
`,
};

/** The program's own name stands in texts for what starts it from a clone. */
function asRun(command: string): string {
  return command.replace(/^iofog-operator /, "npx -y deno@2.9.6 task operator ");
}

/** Milliseconds for all commands of one document. */
const deadlineMs = 240_000;

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const tools = await findTools();
// CRDs come and go in documents, so the cluster that other test files share is not for them.
const cluster = await startCluster();
const collector = collectSecrets(connectCluster(cluster, { userAgent: "secret-scan" }), {
  secret: registerSecret,
  output: recordOutput,
});
registerSecret(cluster.adminToken);

/** The collector follows the cluster through all of this file. */
const besideCollector = { sanitizeOps: false, sanitizeResources: false };

Deno.test("every document with commands is in the table of what is run", besideCollector, async () => {
  const paths = ["README.md", "CONTRIBUTING.md"];
  for await (const { name } of Deno.readDir(`${ROOT}docs`)) {
    if (name.endsWith(".md")) paths.push(`docs/${name}`);
  }
  const withCommands: string[] = [];
  const inline: { readonly path: string; readonly command: string }[] = [];
  let run = "";
  for (const path of paths) {
    const text = await Deno.readTextFile(`${ROOT}${path}`);
    inline.push(...inlineCommands(text).map((command) => ({ path, command })));
    run += commandBlocks(text).map((block) => `${block.text}\n`).join("");
    // Commands that are only indented would not be noticed.
    assertEquals(text.match(/^\n {4}\S.*$/gm) ?? [], [], `${path}: write commands as a block of sh`);
    if (commandBlocks(text).length > 0) withCommands.push(path);
  }
  assertEquals(withCommands.sort(), Object.keys(documents).sort());
  const lines = run.split("\n").map((line) => line.trim());
  const isRun = (command: string) => lines.some((line) => `${line} `.startsWith(`${asRun(command)} `));
  const left = inline.filter(({ command }) => !isRun(command));
  assertEquals(
    [...new Set(left.map(({ command }) => command))].toSorted(),
    Object.keys(namedOnly).toSorted(),
    left.map(({ command, path }) => `${path}: ${command}`).join("\n"),
  );
});

for (const [path, { flavour = "iofog", given, notRun = {} }] of Object.entries(documents)) {
  Deno.test(`every command of ${path} works`, besideCollector, async () => {
    const blocks = commandBlocks(await Deno.readTextFile(`${ROOT}${path}`));
    const script = stage[given] + scriptOf(path, blocks, notRun);
    // Nobody waits for `minReadySeconds`.
    await using scene = await Scene.open({ cluster, isNamespaceMade: false, clockBehindMs: 60_000 });
    const played: Played = flavour === "pot" ? await playPot(scene) : { controller: scene.controller };
    await using workplace = await prepareWorkplace(scene, script, played);
    if (given === "a control plane of the Go operator") {
      const { controller, keycloak } = played;
      await (keycloak === undefined
        ? PlayedGoOperator.installAll(scene)
        : PlayedGoPotOperator.installAll({ scene, controller, keycloak }));
    }
    await using _operators = playOperatorPods(scene, {
      isOurs: (image) => image !== goImage && image !== goPotImage,
      controllerUrl: played.controller.url,
    });
    const said: string[] = [];
    const process = startProcess({
      command: "bash",
      args: ["script"],
      cwd: workplace.folder,
      env: workplace.environment,
      output: { onLine: (line) => said.push(line) },
    });
    const timer = setTimeout(() => {
      said.push(`not done after ${deadlineMs / 1000} s`);
      process.kill();
    }, deadlineMs);
    const { code } = await process.ended;
    clearTimeout(timer);
    recordOutput(`iofog-operator in ${path}`, await Deno.readTextFile(workplace.transcript));
    assertEquals(code, 0, said.slice(-40).join("\n"));
  });
}

Deno.test("commandBlocks() finds what is to be run, in order", besideCollector, () => {
  const markdown = [
    "Text",
    "<!-- run",
    "kubectl delete pod x",
    "-->",
    "```sh",
    "cat <<EOF",
    "  a",
    "EOF",
    "```",
    "1. In a list:",
    "   ```sh",
    "   one \\",
    "     two",
    "   ```",
    "```yaml",
    "kind: Shown",
    "```",
    "```yaml",
    "# a.yaml",
    "kind: Written",
    "```",
  ].join("\n");
  assertEquals(commandBlocks(markdown), [
    { line: 3, text: "kubectl delete pod x" },
    { line: 6, text: "cat <<EOF\n  a\nEOF" },
    { line: 12, text: "one \\\n  two" },
    { line: 19, text: "cat > a.yaml <<'END_OF_FILE'\n# a.yaml\nkind: Written\nEND_OF_FILE" },
  ]);
  for (const text of ["```\nkubectl\n```", "```bash\nkubectl\n```", "```sh\nkubectl"]) {
    assertThrows(() => commandBlocks(text), Error, "line 1");
  }
});

Deno.test(
  "scriptOf() leaves out only what is listed, and notices what is listed in vain",
  besideCollector,
  async () => {
    const blocks = [{ line: 7, text: "docker build .\necho one\nexit_3 # exits with 3, since" }, {
      line: 12,
      text: "echo two; false\necho three",
    }];
    const script = scriptOf("docs/x.md", blocks, { "docker build .": "no Docker" });
    const { code, stdout } = await new Deno.Command("bash", {
      args: ["-c", `exit_3() { return 3; }\n${script}`],
      stderr: "null",
    }).output();
    assertEquals(code, 1);
    assertEquals(new TextDecoder().decode(stdout).split("\n"), [
      "one",
      "two",
      "FAILED in docs/x.md:12: exit code 1: false",
      "",
    ]);
    assertThrows(() => scriptOf("docs/x.md", blocks, { "docker": "no Docker" }), Error, 'no line "docker"');
  },
);

Deno.test("inNamespace() changes the namespace and nothing else of that name", besideCollector, () => {
  const namespaced = (name: string) =>
    `kubectl get ecn iofog -n ${name}; kubectl create namespace ${name}; X --namespace=${name}\n` +
    `  name: iofog\n  namespace: ${name}\nNAMESPACE=${name}; kubectl -n ${name} get iofog`;
  assertEquals(inNamespace(namespaced("iofog"), "other"), namespaced("other"));
  assertEquals(
    inNamespace("kubectl get pot pot -n pot --namespace pot", "other"),
    "kubectl get pot pot -n other --namespace other",
  );
});

Deno.test.afterAll(async () => {
  await collector.stop();
  await cluster.stop();
});

/** Who answers beside Kubernetes. */
interface Played {
  readonly controller: Controller;
  readonly keycloak?: Keycloak;
}

/** A Controller of PoT and the Keycloak that it trusts, until the scene ends. */
async function playPot(scene: Scene): Promise<Played> {
  const keycloak = await startKeycloak();
  const controller = await startController({
    version: "3.7.3",
    realm: keycloak.trusted,
    readSecret: async (name) => (await scene.find(Secret, name))?.data,
  });
  scene.atEnd(() => Promise.all([controller.close(), keycloak.close()]));
  return { controller, keycloak };
}

interface Workplace extends AsyncDisposable {
  readonly folder: string;
  /** File with all that `iofog-operator` said; what kubectl shows is the reader's own. */
  readonly transcript: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** A folder with what a reader has who cloned the repository, in which `script` can be run; no CRD is installed. */
async function prepareWorkplace(
  scene: Scene,
  script: string,
  { controller, keycloak }: Played,
): Promise<Workplace> {
  const folder = await Deno.makeTempDir({ prefix: "iofog-operator-document-" });
  const { namespace } = scene;
  for (const name of ["deploy", "crds"]) await copyInto(`${folder}/${name}`, `${ROOT}${name}`, namespace);
  const bin = `${folder}/.bin`;
  await Deno.mkdir(bin);
  await Deno.symlink(tools.kubectl, `${bin}/kubectl`);
  await Deno.symlink(tools.helm, `${bin}/helm`);
  const home = Deno.env.get("HOME") ?? "";
  const program = programArguments({ args: [] });
  const transcript = `${bin}/transcript`;
  await Deno.writeTextFile(transcript, "");
  await writeProgram(
    `${bin}/iofog-operator`,
    // All is written, to a file too, before it ends.
    `HOME='${home}' '${Deno.execPath()}' ${
      program.map((arg) => `'${arg}'`).join(" ")
    } "$@" 2> >(tee -a '${transcript}' >&2) | tee -a '${transcript}'
exit "\${PIPESTATUS[0]}"`,
  );
  await writeProgram(
    `${bin}/npx`,
    `[ "$1 $2 $3 $4" = "-y deno@2.9.6 task operator" ] || { echo "npx $*: list it as not run" >&2; exit 1; }
shift 4; exec iofog-operator "$@"`,
  );
  const inScene = inNamespace(script, namespace);
  if (keycloak !== undefined) await Deno.writeTextFile(`${folder}/keycloak.crt`, keycloak.caPem);
  await Deno.writeTextFile(
    `${folder}/script`,
    keycloak === undefined ? inScene : inScene
      .replaceAll("https://keycloak.example.com/", keycloak.url)
      .replaceAll("PUBLIC-KEY-OF-THE-REALM", keycloak.realmKey),
  );
  await removeCrds(scene);
  return {
    folder,
    transcript,
    environment: {
      PATH: `${bin}:${Deno.env.get("PATH") ?? ""}`,
      HOME: folder,
      DENO_DIR: denoDirectory(),
      KUBECONFIG: cluster.kubeconfigPath,
      NO_PROXY: "127.0.0.1",
      NO_COLOR: "1",
      NAMESPACE: namespace,
      CONTROLLER_URL: controller.url,
      // What a reader has from an administrator.
      ...(keycloak && {
        KEYCLOAK_SECRET: keycloak.issuing.clientSecret,
        VAULT_TOKEN: registerSecret(`vault-${crypto.randomUUID()}`),
      }),
    },
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function writeProgram(path: string, body: string): Promise<void> {
  await Deno.writeTextFile(path, `#!/usr/bin/env bash\n${body}\n`, { mode: 0o755 });
}

async function copyInto(target: string, source: string, namespace: string): Promise<void> {
  if ((await Deno.stat(source)).isFile) {
    return await Deno.writeTextFile(target, inNamespace(await Deno.readTextFile(source), namespace));
  }
  await Deno.mkdir(target);
  for await (const { name } of Deno.readDir(source)) {
    await copyInto(`${target}/${name}`, `${source}/${name}`, namespace);
  }
}

/** What an earlier document left: only this file uses the cluster. */
async function removeCrds({ client }: Scene): Promise<void> {
  const all = async () => (await client.list(CustomResourceDefinition, {})).items;
  for (const { metadata } of await all()) {
    try {
      await client.delete(CustomResourceDefinition, { name: metadata?.name ?? "" });
    } catch (error) {
      assert(isStatus(error, 404), String(error));
    }
  }
  await eventually("no CRD to be left", all, (crds) => crds.length === 0, {
    show: (crds) => crds.map(({ metadata }) => metadata?.name).join(", "),
  });
}
