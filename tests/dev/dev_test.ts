import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { findBinaries, findTools, startCluster } from "../cluster/mod.ts";
import { denoDirectory } from "../e2e/operator_process.ts";
import { recordOutput } from "../secrets.ts";
import { fileOf } from "./cli_files.ts";

const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const binaries = await findBinaries();

/** `deno task dev` as a child, with a directory of its own for everything temporary. */
interface Dev {
  readonly child: Deno.ChildProcess;
  readonly output: () => string;
  /** Resolves when the output has this. */
  said(pattern: RegExp): Promise<void>;
  /** Resolves when no process of it is left and its temporary directory is empty. */
  gone(): Promise<void>;
}

async function withDev(args: readonly string[], test: (dev: Dev) => Promise<void>): Promise<void> {
  const temporary = await Deno.makeTempDir();
  let output = "";
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "dev", ...args],
    cwd: root,
    env: {
      TMPDIR: temporary,
      KUBEBUILDER_ASSETS: binaries.etcd.replace(/\/[^/]*$/, ""),
      // Nothing between the parts may go through a proxy.
      HTTPS_PROXY: "http://127.0.0.1:1",
      HTTP_PROXY: "http://127.0.0.1:1",
      NO_PROXY: "",
      NO_COLOR: "1",
    },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) output += text;
  };
  const reading = Promise.all([read(child.stdout), read(child.stderr)]);
  const eventually = async (condition: () => boolean | Promise<boolean>) => {
    const deadline = performance.now() + 60_000;
    while (!await condition()) {
      if (performance.now() > deadline) throw new Error(`not within 60 s:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };
  try {
    await test({
      child,
      output: () => output,
      said: (pattern) => eventually(() => pattern.test(output)),
      gone: async () => {
        await reading;
        await eventually(async () => (await processesAt(temporary)).length === 0);
        await eventually(() => [...Deno.readDirSync(temporary)].length === 0);
      },
    });
  } finally {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended, as it should have.
    }
    await child.status;
    await reading;
    recordOutput(`deno task dev ${args.join(" ")}`, output);
    await Deno.remove(temporary, { recursive: true });
  }
}

/**
 * Does what a newcomer does with a file of a CLI: converts it, applies what comes out, and waits for all of it.
 *
 * @param namespace That of the sample, which is named like the flavour.
 */
async function convertAndApply({ output }: Dev, namespace: "iofog" | "pot"): Promise<void> {
  const { kubectl } = await findTools();
  const kubeconfig = output().match(/KUBECONFIG='?([^' ]+)'? /)?.[1] ?? "";
  const home = await Deno.makeTempDir();
  const path = `${home}/plant.yaml`;
  await Deno.writeTextFile(path, fileOf(namespace));
  const run = async (command: string) => {
    const env = { HOME: home, KUBECONFIG: kubeconfig, NO_PROXY: "127.0.0.1", DENO_DIR: denoDirectory() };
    const { success, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", command],
      cwd: root,
      env,
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    recordOutput(command, text);
    assert(success, `${command}: ${text}`);
    return text;
  };
  try {
    const operator = `'${Deno.execPath()}' run -A src/cli/main.ts`;
    const applied = await run(
      `${operator} convert -f ${path} > ${home}/edge.yaml && ${kubectl} apply -n ${namespace} -f ${home}/edge.yaml`,
    );
    const kinds = ["agent", "application", "microservice", "edgeresource"];
    for (const kind of namespace === "iofog" ? [...kinds, "route"] : kinds) {
      assertMatch(applied, new RegExp(`^${kind}[a-z.]*/\\S+ created$`, "m"));
    }
    await run(`${kubectl} wait -n ${namespace} --for=condition=Ready --timeout=60s -f ${home}/edge.yaml`);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** Processes that have `text` among their arguments: each part names its cluster's directory there. */
async function processesAt(text: string): Promise<readonly string[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-A", "-o", "pid=,args="] }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line.includes(text));
}

Deno.test("deno task dev shows the sample coming up to ready, takes a file of iofogctl, and Ctrl-C twice ends all of it", async () => {
  await withDev([], async (dev) => {
    const { child, output, said, gone } = dev;
    await said(/press Ctrl-C/);
    const text = output();
    for (
      const part of [
        /starting kube-apiserver done 0:\d\d/,
        /played +\| kubelet and cloud are played/,
        /ioFog Controller is played too/,
        /operator \| .*Starting iofog-operator/,
        /iofog \| ready +False/,
        /iofog \| ready +True/,
        /ControlPlane iofog\/iofog: ready/,
      ]
    ) assertMatch(text, part);
    const line = text.match(/^ +(KUBECONFIG=.*get controlplane.*)$/m)?.[1];
    if (binaries.kubectl === undefined) assertStringIncludes(text, "kubectl is not on PATH");
    else {
      const look = await new Deno.Command("sh", { args: ["-c", line ?? "false"] }).output();
      assertMatch(
        new TextDecoder().decode(look.stdout),
        /controlplane\.iofog\.org\/iofog\s+True[\s\S]*deployment/,
      );
    }
    await convertAndApply(dev, "iofog");
    child.kill("SIGINT");
    child.kill("SIGINT");
    assertEquals((await child.status).code, 0);
    await gone();
    assertStringIncludes(output(), "nothing of the private cluster is left");
    assertEquals(/password|RmFrZS1QYXNzLTEyMzQ=|Fake-Pass-1234/i.test(output()), false);
  });
});

Deno.test("deno task dev --flavor pot shows the sample of PoT coming up to ready, with a Keycloak that is played, and takes a file of potctl", async () => {
  await withDev(["--flavor", "pot"], async (dev) => {
    const { child, output, said, gone } = dev;
    await said(/press Ctrl-C/);
    for (
      const part of [
        /and so is Keycloak, at https:/,
        /a stand-in for 3\.7\.3/,
        /pot \| ready +True/,
        /ControlPlane pot\/pot: ready/,
      ]
    ) assertMatch(output(), part);
    await convertAndApply(dev, "pot");
    child.kill("SIGINT");
    assertEquals((await child.status).code, 0);
    await gone();
  });
});

Deno.test("deno task dev ends all of it when the signal comes in the middle of a start", async () => {
  for (
    const moment of [/starting kube-apiserver/, /starting kube-controller-manager/, /Starting iofog-operator/]
  ) {
    await withDev([], async ({ child, said, gone }) => {
      await said(moment);
      child.kill("SIGTERM");
      child.kill("SIGINT");
      assertEquals((await child.status).code, 0);
      await gone();
    });
  }
});

Deno.test("deno task dev leaves nothing when what started it is killed alone", async () => {
  await withDev([], async ({ child, said, gone }) => {
    await said(/Starting iofog-operator/);
    child.kill("SIGKILL");
    await child.status;
    await gone();
  });
});

Deno.test("deno task dev --kubeconfig takes an existing cluster and plays nothing", async () => {
  await using cluster = await startCluster({ binaries });
  await withDev(["--kubeconfig", cluster.kubeconfigPath], async ({ child, output, said, gone }) => {
    await said(/iofog \| ready +False/);
    assertStringIncludes(output(), `using the existing cluster ${cluster.url}`);
    assertStringIncludes(output(), "nothing is played");
    assertEquals(/starting etcd|played +\|/.test(output()), false);
    child.kill("SIGINT");
    assertEquals((await child.status).code, 0);
    await gone();
    assertStringIncludes(output(), "the sample stays in the cluster");
  });
});

Deno.test("deno task dev says in one line what is wrong with a kubeconfig", async () => {
  await withDev(["--kubeconfig", "/nonexistent/kubeconfig"], async ({ child, output, gone }) => {
    assertEquals((await child.status).code, 1);
    await gone();
    assertMatch(output(), /^deno task dev: .*\/nonexistent\/kubeconfig.*$/m);
    assertEquals(/ at .*:\d+:\d+/.test(output()), false);
  });
});

Deno.test("deno task dev refuses an argument that it does not know", async () => {
  await withDev(["--fast"], async ({ child, output, gone }) => {
    assertEquals((await child.status).code, 2);
    await gone();
    assertMatch(output(), /unknown argument --fast/);
  });
});
