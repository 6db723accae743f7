/** What Dockerfile, `.dockerignore` and `deploy/` promise, read from their text: neither Docker nor kubectl is needed. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse } from "@std/yaml";
import config from "../deno.json" with { type: "json" };
import { controlPlaneDefinition } from "../src/resources/controlplane/iofog/definition.ts";
import { desired } from "../src/resources/controlplane/iofog/desired.ts";
import * as fixtures from "../src/resources/controlplane/iofog/fixtures.ts";
import { potDefinition } from "../src/resources/controlplane/pot/definition.ts";
import { desired as potDesired } from "../src/resources/controlplane/pot/desired.ts";
import * as pot from "../src/resources/controlplane/pot/fixtures.ts";
import { HEAP_LIMIT_MIB } from "../tools/compile.ts";

const ROOT = new URL("../", import.meta.url);

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

// deno-lint-ignore no-explicit-any -- the shape is what is tested
async function readYaml(path: string): Promise<any> {
  return parse(await read(path));
}

/** Each right of the rules as `group/resource verb`. */
function rightsOf(rules: readonly Rule[]): Set<string> {
  return new Set(
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${group || "core"}/${resource} ${verb}`))
      )
    ),
  );
}

/** The instructions of a Dockerfile, continuation lines joined. */
function instructionsOf(dockerfile: string): { readonly name: string; readonly text: string }[] {
  return dockerfile.replaceAll(/^#.*\n/gm, "").replaceAll("\\\n", " ").split("\n")
    .map((line) => line.trim()).filter((line) => line !== "")
    .map((line) => ({ name: line.split(" ")[0] ?? "", text: line.slice(line.indexOf(" ") + 1).trim() }));
}

const instructions = instructionsOf(await read("Dockerfile"));
const runtimeStage = instructions.slice(instructions.findLastIndex(({ name }) => name === "FROM"));

Deno.test("the image is built from base images that are arguments, without any digest that nobody looked up", () => {
  const args = instructions.filter(({ name }) => name === "ARG").map(({ text }) => text);
  assertEquals(args, [
    "BUILD_IMAGE=denoland/deno:2.9.6",
    "RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot",
    "TARGETARCH",
  ]);
  const stages = instructions.filter(({ name }) => name === "FROM").map(({ text }) => text);
  assertEquals(stages, ["--platform=${BUILDPLATFORM} ${BUILD_IMAGE} AS build", "${RUNTIME_IMAGE}"]);
  assertEquals(instructions.filter(({ text }) => text.includes("sha256:")), []);
});

Deno.test("the image is built for amd64 and arm64, and refuses the rest", () => {
  const build = instructions.find(({ name }) => name === "RUN")?.text ?? "";
  for (const [arch, code] of [["amd64", 0], ["arm64", 0], ["riscv64", 1]] as const) {
    const script = build.replace("deno task compile", "echo");
    const { stdout, code: actual } = new Deno.Command("sh", {
      args: ["-c", script],
      env: { TARGETARCH: arch },
      stderr: "null",
    }).outputSync();
    assertEquals(actual, code, arch);
    const said = new TextDecoder().decode(stdout).trim();
    const triple = { amd64: "x86_64-unknown-linux-gnu", arm64: "aarch64-unknown-linux-gnu" }[arch as string];
    assertEquals(said, triple === undefined ? "" : `--container --target ${triple}`);
  }
});

Deno.test("the image runs iofog-operator from PATH as nobody in particular, and only after it said its version", () => {
  const find = (wanted: string) => runtimeStage.filter(({ name }) => name === wanted).map(({ text }) => text);
  assertEquals(find("COPY"), [
    "--from=build --chmod=0755 /build/dist/iofog-operator /usr/local/bin/iofog-operator",
  ]);
  assertEquals(find("USER"), ["65532:65532"]);
  assertEquals(find("RUN"), ['["/usr/local/bin/iofog-operator", "version"]']);
  assertEquals(find("ENTRYPOINT"), ['["iofog-operator"]']);
  assertEquals(find("CMD"), []);
  for (const variable of ["DENO_USE_CGROUPS=1", "DENO_NO_PROMPT=1"]) {
    assert(find("ENV").join(" ").includes(variable), variable);
  }
});

Deno.test("the build context of the image is enough to build the program", async () => {
  const context = await Deno.makeTempDir({ prefix: "build context " });
  try {
    const ignored = (await read(".dockerignore")).split("\n");
    const copies = instructions.filter(({ name, text }) => name === "COPY" && !text.startsWith("--from"));
    for (const source of copies.flatMap(({ text }) => text.split(" ").slice(0, -1))) {
      const path = source.replace(/\/$/, "");
      assert(ignored.includes(`!${path}`), `${path} is copied and ignored`);
      await copy(new URL(path, ROOT), `${context}/${path}`);
    }
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "compile", "--bundle-only"],
      cwd: context,
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    assertMatch(
      new TextDecoder().decode(stdout),
      new RegExp(`iofog-operator\\.js .*version ${config.version}\n$`),
    );
  } finally {
    await Deno.remove(context, { recursive: true });
  }
});

/** Copies a file or a folder as the build would see it: without tests. */
async function copy(from: URL, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) {
    await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
    return await Deno.copyFile(from, to);
  }
  for await (const { name } of Deno.readDir(from)) {
    if (!name.endsWith("_test.ts")) await copy(new URL(`${from.href}/${name}`), `${to}/${name}`);
  }
}

Deno.test("each kustomization names every file beside it", async () => {
  const overlays = [...Deno.readDirSync(new URL("deploy/overlays", ROOT))].map(({ name }) =>
    `deploy/overlays/${name}`
  );
  const samples = ["minimal", "ingress", "external"].map((name) => `deploy/samples/pot/${name}`);
  const edge = ["", "/pot"].flatMap((group) => [
    `deploy/edge-addon${group}`,
    ...["", "/single", "/template"].map((sample) => `deploy/samples/edge${group}${sample}`),
  ]);
  const others = ["crds", "crds/pot", "deploy/base", "deploy/samples/iofog"];
  for (const folder of [...others, ...samples, ...edge, ...overlays]) {
    const names = [...Deno.readDirSync(new URL(folder, ROOT))].filter(({ isFile }) => isFile)
      .map(({ name }) => name);
    const { resources, patches = [] } = await readYaml(`${folder}/kustomization.yaml`);
    const patched = (patches as { path?: string }[]).flatMap(({ path }) => path ?? []);
    const local = [...resources as string[], ...patched].filter((path) => !path.startsWith(".."));
    assertEquals(local.toSorted(), names.filter((name) => name !== "kustomization.yaml").sort(), folder);
  }
});

Deno.test("the operator's Role has no wildcard and no right to exceed itself", async () => {
  const { kind, rules } = await readYaml("deploy/base/role.yaml");
  assertEquals(kind, "Role");
  const words = (rules as Rule[]).flatMap((
    { apiGroups, resources, verbs },
  ) => [...apiGroups, ...resources, ...verbs]);
  assertEquals(words.filter((word) => ["*", "escalate", "bind", "impersonate"].includes(word)), []);
});

Deno.test("the operator's Role holds every right that it hands on", async () => {
  const { rules } = await readYaml("deploy/base/role.yaml");
  const held = rightsOf(rules);
  const children = desired(fixtures.contextOf({ user: fixtures.user })).children;
  const roles = children.flatMap((child) =>
    child.type === "applied" && child.resource.kind === "Role"
      ? [child.object as unknown as { rules: Rule[] }]
      : []
  );
  assertEquals(roles.length, 2);
  for (const right of rightsOf(roles.flatMap((role) => role.rules))) assert(held.has(right), right);
});

Deno.test("the Role of overlay pot holds what PoT control planes hand on, and lets the operator write their children", async () => {
  const { rules } = await readYaml("deploy/base/role.yaml");
  const patch = await readYaml("deploy/overlays/pot/role.yaml") as unknown as { value: Rule }[];
  const held = rightsOf([...rules as Rule[], ...patch.map(({ value }) => value)]);
  assertEquals(
    [...held].filter((right) => /\*|escalate|bind |impersonate|persistentvolumeclaims delete/.test(right)),
    [],
  );
  const spec = { auth: pot.auth, nats: { enabled: true } };
  const roles = potDesired(pot.contextOf(spec)).children.flatMap((child) =>
    child.type === "applied" && child.resource.kind === "Role"
      ? [child.object as unknown as { rules: Rule[] }]
      : []
  );
  assertEquals(roles.length, 3);
  for (const right of rightsOf(roles.flatMap((role) => role.rules))) assert(held.has(right), right);
  for (const { group, plural } of potDefinition().childResources) {
    for (const verb of ["get", "list", "watch", "create", "patch"]) {
      assert(held.has(`${group || "core"}/${plural} ${verb}`), `${plural} ${verb}`);
    }
  }
});

Deno.test("the operator's Role lets it list, watch and write every kind of child", async () => {
  const { rules } = await readYaml("deploy/base/role.yaml");
  const held = rightsOf(rules);
  for (const { group, plural } of controlPlaneDefinition().childResources) {
    for (const verb of ["get", "list", "watch", "create", "patch"]) {
      assert(held.has(`${group || "core"}/${plural} ${verb}`), `${plural} ${verb}`);
    }
  }
  assertEquals([...held].filter((right) => right.startsWith("core/persistentvolumeclaims delete")), []);
});

Deno.test("the operator's Deployment is what the CLIs look for", async () => {
  const { metadata, spec } = await readYaml("deploy/base/deployment.yaml");
  assertEquals(metadata.name, "iofog-operator");
  assertEquals(spec.selector.matchLabels, { name: "iofog-operator" });
  assertEquals(spec.template.metadata.labels.name, "iofog-operator");
  const [container] = spec.template.spec.containers;
  assertEquals([container.command, container.args], [["iofog-operator"], ["--enable-leader-election"]]);
  assertEquals(container.env.map(({ name }: { name: string }) => name), [
    "WATCH_NAMESPACE",
    "POD_NAME",
    "OPERATOR_NAME",
  ]);
  assertEquals(container.image, `iofog-operator:${config.version}`);
});

Deno.test("the operator's Deployment meets the restricted pod security standard", async () => {
  const { spec: { template: { spec: pod } } } = await readYaml("deploy/base/deployment.yaml");
  assertEquals(pod.securityContext.runAsNonRoot, true);
  assertEquals(pod.securityContext.seccompProfile, { type: "RuntimeDefault" });
  assertEquals([pod.hostNetwork, pod.hostPID, pod.hostIPC, pod.volumes], Array(4).fill(undefined));
  const [container] = pod.containers;
  assertEquals(container.securityContext, {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  assert(
    container.livenessProbe.httpGet.path === "/healthz" &&
      container.readinessProbe.httpGet.path === "/readyz",
  );
  // Stopping takes ten seconds at most, and the heap leaves room for the rest of the process.
  assert(pod.terminationGracePeriodSeconds > 10);
  assert(HEAP_LIMIT_MIB <= Number.parseInt(container.resources.limits.memory) * 0.7);
});
