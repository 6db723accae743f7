import { assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { binaryNames, helmVersion, type ProgramName } from "./binary_source.ts";
import { publishedSource } from "./published.ts";

const archiveName = "envtest-v1.34.10-linux-amd64.tar.gz";
const helmPath = `/helm-v${helmVersion}-linux-amd64.tar.gz`;
const managerPath = "/v1.34.4/bin/linux/amd64/kube-controller-manager";

/** A site with an index, an archive and a release, and what it was asked. */
async function withSite(
  break_: (files: Map<string, string | Uint8Array<ArrayBuffer>>) => void,
  test: (site: {
    readonly requests: string[];
    search(
      missing: readonly ProgramName[],
    ): Promise<{ readonly names: readonly string[]; readonly remark: string }>;
    readonly directory: string;
  }) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const requests: string[] = [];
  const files = new Map<string, string | Uint8Array<ArrayBuffer>>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    requests.push(pathname);
    const body = files.get(pathname);
    return body === undefined ? new Response("no", { status: 404 }) : new Response(body);
  });
  const origin = `http://127.0.0.1:${server.addr.port}`;
  const archive = await makeArchive("controller-tools/envtest", ["etcd", "kube-apiserver", "kubectl"]);
  const helm = await makeArchive("linux-amd64", ["helm"]);
  files.set("/archive", archive);
  files.set(
    "/index.yaml",
    `releases:
  v1.34.9:
    envtest-v1.34.9-linux-amd64.tar.gz: { hash: "", selfLink: "${origin}/older" }
  v1.34.10:
    ${archiveName}: { hash: "${
      createHash("sha512").update(archive).digest("hex")
    }", selfLink: "${origin}/archive" }
  v1.35.0:
    envtest-v1.35.0-linux-amd64.tar.gz: { hash: "", selfLink: "${origin}/newer" }
`,
  );
  files.set(managerPath, "manager");
  files.set(`${managerPath}.sha256`, createHash("sha256").update("manager").digest("hex") + "\n");
  files.set(helmPath, helm);
  files.set(`${helmPath}.sha256sum`, `${createHash("sha256").update(helm).digest("hex")}  helm.tar.gz\n`);
  break_(files);
  const search = publishedSource({
    directory,
    os: "linux",
    arch: "amd64",
    envtestIndex: `${origin}/index.yaml`,
    kubernetesReleases: origin,
    helmReleases: origin,
    unreachable: new Set(),
  });
  try {
    await test({
      requests,
      directory,
      search: async (missing) => {
        const { paths, remark = "" } = await search({ missing });
        return { names: [...paths.keys()], remark };
      },
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function makeArchive(folder: string, names: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const root = await Deno.makeTempDir();
  await Deno.mkdir(`${root}/${folder}`, { recursive: true });
  for (const name of names) await Deno.writeTextFile(`${root}/${folder}/${name}`, name, { mode: 0o755 });
  const { stdout } = await new Deno.Command("tar", { args: ["-czf", "-", "-C", root, folder] }).output();
  await Deno.remove(root, { recursive: true });
  return stdout;
}

function filesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

Deno.test("publishedSource() takes the newest archive of the minor version and the release's manager", async () => {
  await withSite(() => {}, async ({ search, requests, directory }) => {
    const { names, remark } = await search(binaryNames);
    assertEquals({ names, remark }, { names: [...binaryNames], remark: "" });
    assertEquals(requests, ["/index.yaml", "/archive", `${managerPath}.sha256`, managerPath]);
    assertEquals(filesIn(directory), ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"]);
    for (const name of binaryNames) {
      assertEquals((await Deno.stat(`${directory}/${name}`)).mode! & 0o111, 0o111);
    }
  });
});

Deno.test("publishedSource() asks only for what is missing", async () => {
  await withSite(() => {}, async ({ search, requests }) => {
    await search(["kube-controller-manager"]);
    assertEquals(requests, [`${managerPath}.sha256`, managerPath]);
  });
});

Deno.test("publishedSource() takes helm from its own site, and nothing whose digest is another", async () => {
  await withSite(() => {}, async ({ search, requests, directory }) => {
    assertEquals(await search(["helm"]), { names: ["helm"], remark: "" });
    assertEquals(requests, [`${helmPath}.sha256sum`, helmPath]);
    assertEquals(filesIn(directory), ["helm"]);
  });
  await withSite((files) => files.set(helmPath, "spoilt"), async ({ search, directory }) => {
    assertMatch((await search(["helm"])).remark, /sha256 is \w+, but \w+ is published/);
    assertEquals(filesIn(directory), []);
  });
});

Deno.test("publishedSource() keeps nothing whose digest is another", async () => {
  const spoil = (files: Map<string, unknown>) => {
    files.set("/archive", "spoilt");
    files.set(managerPath, "spoilt");
  };
  await withSite(spoil, async ({ search, directory }) => {
    const { names, remark } = await search(binaryNames);
    assertEquals(names, []);
    assertMatch(remark, /archive: sha512 is .* is published.*kube-controller-manager: sha256 is/);
    assertEquals(filesIn(directory), []);
  });
});

Deno.test("publishedSource() falls through when an archive is not published", async () => {
  await withSite((files) => files.delete(managerPath), async ({ search }) => {
    const { names, remark } = await search(binaryNames);
    assertEquals(names, ["etcd", "kube-apiserver"]);
    assertMatch(remark, /kube-controller-manager: HTTP 404$/);
  });
});

Deno.test("publishedSource() asks a site that does not answer only once", async () => {
  let asked = 0;
  const silent = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ signal }) => {
    asked++;
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(new Response())));
  });
  const origin = `http://127.0.0.1:${silent.addr.port}`;
  const unreachable = new Set<string>();
  const search = publishedSource({
    directory: "/nonexistent",
    os: "linux",
    arch: "amd64",
    envtestIndex: `${origin}/index.yaml`,
    kubernetesReleases: origin,
    answerTimeoutMs: 500,
    unreachable,
  });
  const { paths, remark } = await search({ missing: binaryNames });
  await silent.shutdown();
  assertEquals(paths.size, 0);
  assertEquals([...unreachable], [origin]);
  assertEquals(remark, Array(3).fill(`${origin} does not answer`).join("; "));
  assertEquals(asked, 1);
});

Deno.test("publishedSource() tells on macOS that nobody publishes the controller manager", async () => {
  const search = publishedSource({ directory: "/nonexistent", os: "darwin", arch: "arm64" });
  const { remark } = await search({ missing: ["kube-controller-manager"] });
  assertEquals(remark, "nobody publishes kube-controller-manager for darwin");
});
