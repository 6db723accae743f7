/** The program as people and pods call it: each command in a process of its own, with the permissions of the binary. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import config from "../../deno.json" with { type: "json" };
import { flagTable } from "../../src/cli/flags.ts";
import { commandTable } from "../../src/cli/help.ts";
import { ApiError } from "../../src/kubernetes/errors.ts";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Namespace, Secret, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { kubeconfigForServiceAccount, writeKubeconfig } from "../cluster/mod.ts";
import { recordOutput } from "../secrets.ts";
import { cluster, conditionOf, NAME, registeredToken, scenario, type Scene } from "./harness.ts";
import { type CommandResult, type OperatorProcess, runProgram, startProgram } from "./operator_process.ts";
import { eventually } from "./waiting.ts";

/** Commands that need an API server, and their exit code when they cannot do their work. */
const commands = [["once", 1], ["diff", 2], ["status", 1]] as const;

scenario("version, help and crds ask nobody", async (scene) => {
  for (const args of [["version"], ["--version"]]) {
    assertEquals(await runProgram({ args }), {
      code: 0,
      stdout: `iofog-operator ${config.version}\n`,
      stderr: "",
    });
  }
  for (const args of [["--help"], ["help"]]) {
    const { code, stdout, stderr } = await runProgram({ args });
    assertEquals([code, stderr], [0, ""]);
    for (const { name } of commandTable) assertMatch(stdout, new RegExp(`^  ${name} `, "m"));
    for (const { name } of flagTable) assertStringIncludes(stdout, `--${name}`);
  }
  const { code, stdout } = await runProgram({ args: ["crds"] });
  assertEquals(code, 0);
  for (const crd of parseAll(stdout) as CustomResourceDefinition[]) {
    await scene.client.apply(CustomResourceDefinition, crd, {
      fieldManager: "kubectl",
      force: true,
      dryRun: true,
    });
  }
});

Deno.test("a command line that cannot be understood is one line and exit code 2", async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["--bogus"], /unknown flag --bogus: see iofog-operator --help/],
    [
      ["apply"],
      /unknown command apply: it is one of run, once, diff, status, convert, export, crds, version/,
    ],
    [["run", "--resync-interval=5"], /--resync-interval: must be a duration such as 30s or 5m/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await runProgram({ args });
    assertEquals([code, stdout], [2, ""]);
    assertOneLine(stderr, message);
  }
});

scenario("once converges and then writes nothing, diff and status write nothing at all", async (scene) => {
  const viewer = await viewerOf(scene);
  const look = async (command: string, ...args: readonly string[]) =>
    await scene.command(command, [`--kubeconfig=${viewer}`, ...args]);

  const empty = await look("status");
  assertEquals(empty.code, 1);
  assertOneLine(
    empty.stderr,
    /there is no ControlPlane in namespace \S+: apply one, or choose another with --namespace/,
  );
  await scene.create();
  const unseen = await look("status");
  assertEquals(unseen.code, 1);
  assertMatch(unseen.stdout, /iofog: not ready \(NotSeen\)\n +no operator has looked at it yet/);

  const before = await look("diff");
  assertEquals(before.code, 1);
  for (const what of ["Deployment controller", "Secret router-ca", "Service router", "User somebody@"]) {
    assertMatch(before.stdout, new RegExp(`^create ${what}`, "m"));
  }
  assertEquals(await scene.children(), []);

  const first = await scene.command("once");
  assertEquals(first.code, 0, first.stderr);
  assertEquals((await scene.children()).length, 20);
  await eventually(
    "pods",
    () => scene.list(Deployment),
    (all) => all.length === 3 && all.every(({ status }) => status?.availableReplicas === 1),
    { show: (all) => `${all.length} Deployments` },
  );
  assertEquals((await scene.command("once")).code, 0);
  assertEquals(conditionOf(await scene.controlPlane(), "Ready")?.status, "True");
  const restsFrom = Date.now();
  const callsBefore = scene.controller.requests.length;
  assertEquals((await scene.command("once")).code, 0);
  assertEquals(await scene.writes(restsFrom), []);
  const calls = scene.controller.requests.slice(callsBefore);
  assertEquals(calls.filter(({ method, path }) => method !== "GET" && !path.endsWith("/login")), []);

  const text = await look("status");
  assertEquals(text.code, 0, text.stdout);
  assertMatch(text.stdout, /^ControlPlane e2e-\S+\/iofog: ready\n/);
  for (const line of [/Controller +3\.0\.4/, /router +1\/1 +iofog\/router/, /RouterRegistered +True/]) {
    assertMatch(text.stdout, line);
  }
  const [json, yaml] = [await look("status", "-o", "json"), await look("status", "-oyaml")];
  assertEquals([json.code, yaml.code], [0, 0]);
  const [picture] = JSON.parse(json.stdout);
  assertEquals([picture.name, picture.ready, picture.components.length], [NAME, true, 3]);
  assertEquals(parse(yaml.stdout), JSON.parse(json.stdout));
  assertEquals(await look("diff"), { code: 0, stdout: "", stderr: "" });

  const password = registeredToken();
  await scene.change({ images: { router: "example.org/router:1" }, user: { password: btoa(password) } });
  const changed = await look("diff");
  assertEquals(changed.code, 1);
  assertMatch(changed.stdout, /^update Deployment router\n/m);
  assertMatch(changed.stdout, /^- +image: .*iofog\/router:.*\n\+ +image: .*example\.org\/router:1/m);
  const behind = await look("status");
  assertEquals(behind.code, 1);
  assertStringIncludes(behind.stdout, "the operator has not looked at the latest change yet");

  await scene.change({ user: { name: "Al" } });
  const refused = await scene.command("once");
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.stderr, "spec.user.name must have at least 3 characters");
  assertMatch((await look("diff")).stderr, /^ControlPlane iofog: spec\.user\.name must have at least 3/);

  const shown = [before, changed, text, json, yaml].map(({ stdout, stderr }) => stdout + stderr).join("");
  const keys = (await scene.list(Secret)).flatMap(({ data }) => Object.values(data ?? {}))
    .filter((value) => value.length > 8);
  for (const secret of [scene.password, btoa(scene.password), password, btoa(password), ...keys]) {
    assert(!shown.includes(secret), "a secret was shown");
  }
  const asked = (await scene.requests()).filter(({ user }) => user.endsWith(":viewer"));
  assert(asked.length > 0);
  // Whether an empty namespace is there at all is asked, and may be refused; not every kind is installed.
  const others = asked.filter(({ verb, resource, code }) =>
    !["get", "list"].includes(verb) ||
    (code !== 200 && resource !== "namespaces" && !(verb === "list" && code === 404))
  );
  assertEquals(others.map(({ verb, resource, code }) => `${verb} ${resource} ${code}`), []);
});

scenario("without a command it runs, with the flags and variables of the Go operator", async (scene) => {
  const kubeconfig = await kubeconfigOf(scene, cluster.adminToken);
  await using operator = startProgram({
    args: [
      "--enable-leader-election",
      "-metrics-addr=127.0.0.1:0",
      "--health-addr=127.0.0.1:0",
      "--log-format=text",
    ],
    env: {
      KUBECONFIG: kubeconfig,
      WATCH_NAMESPACE: "",
      OPERATOR_NAME: "iofog-operator",
      CONTROLLER_URL: scene.controller.url,
    },
  });
  await scene.create();
  await scene.untilReady({ withinMs: 60_000 });
  assertEquals(await operator.stop(), 0);
  const text = operator.lines.join("\n");
  for (const line of ["successfully acquired lease", "Starting Controller", "Starting workers"]) {
    assertStringIncludes(text, line);
  }
  assert(!text.includes("ERROR"), "iofogctl takes this word for a failure");
  const said = operator.lines.filter((line) => line.includes("WATCH_NAMESPACE is empty"));
  assertEquals(said.length, 1);
  assertStringIncludes(said[0] ?? "", scene.namespace);
});

scenario("probes and metrics answer as the README says, and each line of the log is JSON", async (scene) => {
  const operator = scene.operate();
  await scene.create();
  await scene.untilReady({ withinMs: 60_000 });
  assertEquals(await operator.read("/healthz"), { status: 200, text: "ok\n" });
  assertEquals(await operator.read("/readyz"), { status: 200, text: "ok\n" });
  const { text } = await operator.read("/metrics");
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const names = [...readme.matchAll(/^\| `((?:\w+_)+\w+)` /gm)].map((match) => match[1] ?? "");
  assert(names.includes("controller_runtime_reconcile_total"), `${names}`);
  for (const name of names) {
    assertMatch(text, new RegExp(`^# TYPE ${name} `, "m"));
  }
  assertMatch(text, /^iofog_operator_condition\{.*type="Ready"\} 1$/m);
  assertMatch(text, /^leader_election_master_status\{.*\} 1$/m);
  assertEquals(await operator.stop(), 0);
  for (const line of operator.lines) {
    const { time, level, message } = JSON.parse(line);
    assertMatch(`${time} ${level}`, /^\d{4}-\d\d-\d\dT\S+Z (debug|info|warn|error)$/);
    assert(typeof message === "string" && message !== "");
  }
});

scenario("what keeps a command from its work is one clear line", async (scene) => {
  const folder = await Deno.makeTempDir();
  const broken = `${folder}/broken`;
  await Deno.writeTextFile(broken, "clusters: [\n");
  const withoutCrd = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.json({ kind: "Status", apiVersion: "v1", code: 404, reason: "NotFound" }, { status: 404 }),
  );
  const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  nobody.close();
  const refused = await kubeconfigOf(scene, registeredToken());
  // Every command reads these in the same way.
  const unreadable: readonly (readonly [string, string, number, RegExp])[] = [
    ["run", `--kubeconfig=${folder}/none`, 1, /cannot read \S+none .*check the path and its permissions/],
    ["once", `--kubeconfig=${broken}`, 1, /broken: is not YAML.*; mend or replace it/],
    ["diff", "--context=other", 2, /no context other; there is \S+/],
  ];
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [
      [`--kubeconfig=${await kubeconfigOf(
        scene,
        registeredToken(),
        `https://127.0.0.1:${nobody.addr.port}`,
      )}`],
      /cannot use https:\/\/127\.0\.0\.1:\d+: connection refused; check that it runs, the port/,
    ],
    [
      [`--kubeconfig=${refused}`],
      /401 Unauthorized: the server does not accept the credentials: renew the token or client certificate/,
    ],
    [
      [`--namespace=${scene.namespace}-missing`],
      /namespace \S+-missing does not exist: create it, or choose another with --namespace/,
    ],
    [
      [`--kubeconfig=${await kubeconfigOf(
        scene,
        registeredToken(),
        `http://127.0.0.1:${withoutCrd.addr.port}`,
      )}`],
      /the CRD controlplanes\.iofog\.org is not installed: install it with iofog-operator crds \| kubectl apply/,
    ],
  ];
  try {
    for (const [args, message] of cases) {
      const results = await Promise.all(commands.map(([command]) => scene.command(command, args)));
      for (const [index, [command, expected]] of commands.entries()) {
        const { code, stdout, stderr } = results[index] as CommandResult;
        assertEquals([code, stdout], [expected, ""], `${command} ${args}: ${stderr}`);
        assertOneLine(stderr, message);
      }
    }
    for (const [command, arg, expected, message] of unreadable) {
      const { code, stderr } = await scene.command(command, [arg]);
      assertEquals(code, expected, stderr);
      assertOneLine(stderr, message);
    }
  } finally {
    await withoutCrd.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});

scenario("F17 refused credentials are said once, and read again until they are accepted", async (scene) => {
  const tokenFile = `${cluster.dir}/${scene.namespace}.token`;
  await Deno.writeTextFile(tokenFile, registeredToken(), { mode: 0o600 });
  const kubeconfig = `${cluster.dir}/${scene.namespace}-file.kubeconfig`;
  const user = { name: "someone", user: { tokenFile } };
  const text = await Deno.readTextFile(await kubeconfigOf(scene, cluster.adminToken));
  await Deno.writeTextFile(kubeconfig, JSON.stringify({ ...parse(text) as object, users: [user] }));
  const operator = scene.operate([`--kubeconfig=${kubeconfig}`]);
  await untilReadyz(operator, 503, /401 Unauthorized: the server does not accept the credentials/);
  assertEquals((await operator.read("/healthz")).status, 200);
  // At once, as a kubelet does it: a file that is half written is another problem.
  await Deno.writeTextFile(`${tokenFile}.new`, cluster.adminToken, { mode: 0o600 });
  await Deno.rename(`${tokenFile}.new`, tokenFile);
  await untilReadyz(operator, 200, /ok/);
  await scene.create();
  await scene.untilReady({ withinMs: 60_000 });
  const said = operator.logged("the API server cannot be used");
  assertEquals(said.length, 1, JSON.stringify(said));
  assertEquals(operator.logged("the API server can be used again").length, 1);
  assertEquals(await operator.stop(), 0);
  await Deno.remove(tokenFile);
});

scenario("a namespace that is not there is said once, and awaited", async (scene) => {
  const name = `${scene.namespace}-late`;
  const operator = scene.operate([`--namespace=${name}`]);
  await untilReadyz(operator, 503, /namespace \S+-late does not exist: create it, or choose another/);
  await scene.client.create(Namespace, { metadata: { name } });
  await untilReadyz(operator, 200, /ok/);
  const said = operator.logged("the lease cannot be acquired");
  assertEquals(said.map(({ level }) => level), ["warn"]);
  assertEquals(await operator.stop(), 0);
  await scene.client.delete(Namespace, { name });
});

for (
  const [what, error, message] of [
    [
      "a CRD that is not installed",
      () => new ApiError("no such path", { status: 404, reason: "NotFound" }),
      /not served by the API server.*install the CRD controlplanes\.iofog\.org/,
    ],
    [
      "a server that is out of reach",
      () => new ApiError("connection refused; check the port", { status: 0, reason: "Unreachable" }),
      /the API server cannot be used.*connection refused; check the port/,
    ],
  ] as const
) {
  scenario(`F15 F37 ${what} is said once, and awaited`, async (scene) => {
    let isBroken = true;
    const operator = scene.operateHere(async (request, proceed) => {
      if (isBroken && request.plural === "controlplanes") throw error();
      return await proceed();
    });
    const [first] = await eventually(
      "the first line",
      () => operator.lines,
      (lines) => lines.some((line) => message.test(line)),
    );
    const { health } = JSON.parse(first ?? "");
    const readyz = await fetch(`${health}/readyz`);
    const text = await readyz.text();
    recordOutput("operator in process /readyz", text);
    assertEquals(readyz.status, 503);
    assertMatch(text, /controlplanes\.iofog\.org is not installed: iofog-operator crds|connection refused/);
    await scene.create();
    isBroken = false;
    await scene.untilReady({ withinMs: 60_000 });
    assertEquals(operator.lines.filter((line) => message.test(line)).length, 1);
    assertEquals(await operator.stop(), 0);
  });
}

/** A kubeconfig of a ServiceAccount that may read what the operator reads, and write nothing. */
async function viewerOf(scene: Scene): Promise<string> {
  const { client, namespace } = scene;
  const metadata = { namespace, name: "viewer" };
  const text = await Deno.readTextFile(new URL("../../deploy/base/role.yaml", import.meta.url));
  const rules = ((parse(text) as Role).rules ?? []).map((rule) => ({
    ...rule,
    verbs: rule.verbs.filter((verb) => ["get", "list", "watch"].includes(verb)),
  }));
  await client.create(ServiceAccount, { metadata });
  await client.create(Role, { metadata, rules: rules.filter(({ verbs }) => verbs.length > 0) } as KubeObject);
  await client.create(RoleBinding, {
    metadata,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "viewer" },
    subjects: [{ kind: "ServiceAccount", name: "viewer", namespace }],
  });
  return await kubeconfigForServiceAccount(cluster, namespace, "viewer");
}

/** Where `deno task test` finds the tokens that it looks for. */
async function kubeconfigOf(scene: Scene, token: string, url = cluster.url): Promise<string> {
  const { namespace } = scene;
  const path = `${cluster.dir}/${namespace}-${crypto.randomUUID()}.kubeconfig`;
  const { caPem } = cluster;
  await writeKubeconfig(path, { url, caPem, user: "someone", credentials: { token }, namespace });
  return path;
}

async function untilReadyz(operator: OperatorProcess, status: number, text: RegExp): Promise<void> {
  await eventually(
    `/readyz to answer ${status} and ${text}`,
    () => operator.read("/readyz"),
    (answer) => answer.status === status && text.test(answer.text),
    { withinMs: 60_000 },
  );
}

function assertOneLine(text: string, expected: RegExp): void {
  assertMatch(text, expected);
  assertEquals(text.trimEnd().split("\n").length, 1, text);
  assertMatch(text, /^iofog-operator: /);
}
