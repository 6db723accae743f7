import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { binaryNames, kubernetesVersion } from "./binary_source.ts";
import { buildSource } from "./build.ts";

/** A directory, and in it a program that stands in for go; `body` is a shell script with the output in `$out`. */
async function withGo(
  body: string,
  test: (machine: { readonly directory: string; readonly go: string; files(): string[] }) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  const directory = `${root}/cache`;
  await Deno.mkdir(directory);
  const script = `#!/bin/sh
[ "$1" = version ] && exit 0
while [ "$1" != -o ]; do shift; done
out=$2; package=$3
${body}
`;
  await Deno.writeTextFile(`${root}/go`, script, { mode: 0o755 });
  const files = () => [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  try {
    await test({ directory, go: `${root}/go`, files });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("buildSource() builds what is missing and shows each step", async () => {
  await withGo(`echo "$package $PWD" >"$out"; chmod +x "$out"`, async ({ directory, go, files }) => {
    const steps: string[] = [];
    const { paths, remark } = await buildSource({ directory, go, os: "linux", arch: "amd64" })({
      missing: ["etcd", "kube-apiserver"],
      progress: ({ text, state }) => state === "done" && steps.push(text),
    });
    assertEquals(remark, undefined);
    assertEquals(paths.get("etcd"), `${directory}/etcd`);
    assertEquals(files(), ["etcd", "kube-apiserver"]);
    assertEquals(
      await Deno.readTextFile(`${directory}/etcd`),
      `go.etcd.io/etcd/server/v3 ${import.meta.dirname}/binaries\n`,
    );
    assertEquals(steps, [
      "building kube-apiserver, first time only, about 5 minutes",
      "building etcd, first time only, about 20 seconds",
    ]);
  });
});

Deno.test("buildSource() tells what go said when it fails", async () => {
  const body = `echo "go: downloading x v1"; echo "go.mod requires go >= 1.25" >&2; exit 1`;
  await withGo(body, async ({ directory, go, files }) => {
    const { paths, remark } = await buildSource({ directory, go, os: "linux", arch: "amd64" })({
      missing: binaryNames,
    });
    assertEquals(paths.size, 0);
    assertMatch(remark ?? "", /^go build k8s.io\S+ failed:\n\s+go.mod requires go >= 1.25$/);
    assertEquals(files(), []);
  });
});

Deno.test("buildSource() passes when go is not there", async () => {
  const search = buildSource({
    directory: "/nonexistent",
    go: "/nonexistent/go",
    os: "linux",
    arch: "amd64",
  });
  assertEquals(await search({ missing: binaryNames }), { paths: new Map(), remark: "go is not on PATH" });
});

Deno.test("buildSource() ends the whole build when aborted", async () => {
  await withGo(`echo $$ >"$out"; sleep 1000 & wait`, async ({ directory, go, files }) => {
    const aborting = new AbortController();
    const building = buildSource({ directory, go, os: "linux", arch: "amd64" })({
      missing: ["etcd"],
      signal: aborting.signal,
    });
    while (files().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    aborting.abort(new Error("enough"));
    await assertRejects(() => building, Error, "enough");
    assertEquals(files(), []);
  });
});

Deno.test("go.mod names the versions that the code says", async () => {
  const text = await Deno.readTextFile(`${import.meta.dirname}/binaries/go.mod`);
  assertMatch(text, new RegExp(`k8s.io/kubernetes v${kubernetesVersion.replaceAll(".", "\\.")}\\b`));
});
