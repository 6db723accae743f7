import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { cacheDirectory, findBinaries, findTools, type Surroundings } from "./binaries.ts";
import { binaryNames, type BinarySource, type ProgramName } from "./binary_source.ts";

/** A machine of our own: a directory for assets, one for the cache, and places that get programs, as told. */
async function withMachine(
  test: (machine: {
    readonly root: string;
    readonly cache: string;
    surroundings(variables: Record<string, string>, ...sources: BinarySource[]): Surroundings;
  }) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  const surroundings = (variables: Record<string, string>, ...sources: BinarySource[]): Surroundings => ({
    env: (name) => ({ XDG_CACHE_HOME: `${root}/cache`, ...variables })[name],
    os: "linux",
    arch: "amd64",
    sourcesInto: () => sources,
  });
  try {
    await test({ root, cache: cacheDirectory(surroundings({})), surroundings });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function place(directory: string, ...names: string[]): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  for (const name of names) await Deno.writeTextFile(`${directory}/${name}`, "#!/bin/sh\n", { mode: 0o755 });
}

function source(asked: string[], label: string, ...names: ProgramName[]): BinarySource {
  return ({ missing }) => {
    asked.push(`${label}: ${missing.join()}`);
    const paths = new Map(
      names.filter((name) => missing.includes(name)).map((name) => [name, `/${label}/${name}`]),
    );
    return Promise.resolve({ paths, remark: `${label} has no more` });
  };
}

Deno.test("findBinaries() takes each program from the first place that has it", async () => {
  await withMachine(async ({ root, cache, surroundings }) => {
    await place(`${root}/assets`, "etcd");
    await place(cache, "etcd", "kube-apiserver", "kubectl");
    const asked: string[] = [];
    const found = await findBinaries({
      surroundings: surroundings(
        { KUBEBUILDER_ASSETS: `${root}/assets` },
        source(asked, "archives"),
        source(asked, "go", ...binaryNames),
        source(asked, "never"),
      ),
    });
    assertEquals(found, {
      etcd: `${root}/assets/etcd`,
      kubeApiserver: `${cache}/kube-apiserver`,
      kubeControllerManager: "/go/kube-controller-manager",
      kubectl: `${cache}/kubectl`,
    });
    assertEquals(asked, ["archives: kube-controller-manager", "go: kube-controller-manager"]);
  });
});

Deno.test("findTools() takes a program from PATH and gets the others, and says when they are not to be had", async () => {
  await withMachine(async ({ root, surroundings }) => {
    await place(`${root}/path`, "kubectl");
    const asked: string[] = [];
    const found = await findTools({
      surroundings: surroundings(
        { PATH: `/none:${root}/path` },
        source(asked, "go", "helm", "nats-server"),
      ),
    });
    assertEquals(found, {
      kubectl: `${root}/path/kubectl`,
      helm: "/go/helm",
      "nats-server": "/go/nats-server",
    });
    assertEquals(asked, ["go: helm,nats-server"]);
    const error = await assertRejects(
      () => findTools({ surroundings: surroundings({ PATH: `${root}/path` }, source([], "go")) }),
      Error,
    );
    assertMatch(
      error.message,
      /^The tests lack helm, nats-server .*\n.*\n.*\n +- go has no more\nInstall Go/,
    );
  });
});

Deno.test("findBinaries() asks nobody and makes no directory when all assets are there", async () => {
  await withMachine(async ({ root, cache, surroundings }) => {
    await place(`${root}/assets`, ...binaryNames);
    const asked: string[] = [];
    await findBinaries({
      surroundings: surroundings({ KUBEBUILDER_ASSETS: `${root}/assets` }, source(asked, "archives")),
    });
    assertEquals(asked, []);
    await assertRejects(() => Deno.stat(cache), Deno.errors.NotFound);
  });
});

Deno.test("findBinaries() takes no file that cannot be executed", async () => {
  await withMachine(async ({ root, surroundings }) => {
    await place(`${root}/assets`, ...binaryNames);
    await Deno.chmod(`${root}/assets/etcd`, 0o644);
    const found = await findBinaries({
      surroundings: surroundings({ KUBEBUILDER_ASSETS: `${root}/assets` }, source([], "go", ...binaryNames)),
    });
    assertEquals(found.etcd, "/go/etcd");
  });
});

Deno.test("findBinaries() says once where it looked and what to do", async () => {
  await withMachine(async ({ cache, surroundings }) => {
    const sources = [source([], "archives", "etcd"), source([], "go")];
    const error = await assertRejects(
      () => findBinaries({ surroundings: surroundings({}, ...sources) }),
      Error,
    );
    assertEquals(error.message.split("\n").slice(0, -1), [
      "The local test cluster lacks kube-apiserver, kube-controller-manager (Kubernetes 1.34.4).",
      "  - KUBEBUILDER_ASSETS is not set",
      `  - ${cache} has no etcd, kube-apiserver, kube-controller-manager`,
      "  - archives has no more",
      "  - go has no more",
    ]);
    assertMatch(error.message, /Install Go .* set KUBEBUILDER_ASSETS/);
  });
});

Deno.test("findBinaries() removes what a killed process left half written", async () => {
  await withMachine(async ({ cache, surroundings }) => {
    await place(cache, ".partial-etcd-1");
    await place(`${cache}/.partial-envtest-2`, "etcd");
    await findBinaries({ surroundings: surroundings({}, source([], "go", ...binaryNames)) });
    assertEquals([...Deno.readDirSync(cache)].map(({ name }) => name), [".lock"]);
  });
});

Deno.test("findBinaries() lets only one of two get the programs", async () => {
  await withMachine(async ({ cache, surroundings }) => {
    const begun = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    const slow: BinarySource = async ({ missing }) => {
      begun.resolve();
      await finish.promise;
      await place(cache, ...missing);
      return { paths: new Map(missing.map((name) => [name, `${cache}/${name}`])) };
    };
    const first = findBinaries({ surroundings: surroundings({}, slow) });
    await begun.promise;
    const asked: string[] = [];
    const waiting = Promise.withResolvers<void>();
    const second = findBinaries({
      surroundings: surroundings({}, source(asked, "go", ...binaryNames)),
      progress: ({ text }) => text.startsWith("waiting for another process") && waiting.resolve(),
    });
    await waiting.promise;
    finish.resolve();
    assertEquals(await second, await first);
    assertEquals(asked, []);
  });
});

Deno.test("findBinaries() ends at once when aborted", async () => {
  await withMachine(async ({ surroundings }) => {
    const signal = AbortSignal.abort(new Error("enough"));
    await assertRejects(() => findBinaries({ signal, surroundings: surroundings({}) }), Error, "enough");
  });
});

Deno.test("cacheDirectory() follows XDG, then HOME, then says what to set", () => {
  const at = (variables: Record<string, string>) =>
    cacheDirectory({ env: (name) => variables[name], os: "darwin", arch: "arm64", sourcesInto: () => [] });
  const name = "iofog-operator/kubernetes-v1.34.4-darwin-arm64";
  assertEquals(at({ XDG_CACHE_HOME: "/x", HOME: "/h" }), `/x/${name}`);
  assertEquals(at({ XDG_CACHE_HOME: "relative", HOME: "/h" }), `/h/.cache/${name}`);
  let message = "";
  try {
    at({});
  } catch (error) {
    message = String(error);
  }
  assertStringIncludes(message, "set HOME or XDG_CACHE_HOME");
});
