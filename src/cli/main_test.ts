import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { parseAll } from "@std/yaml";
import { allCrds } from "../resources/all_crds.ts";
import { MemoryApi } from "../../tests/memory_transport.ts";
import { VirtualClock } from "../../tests/virtual_clock.ts";
import { systemClock } from "../clock.ts";
import { Pod } from "../kubernetes/generated/core_v1.ts";
import { Lease } from "../kubernetes/generated/coordination_v1.ts";
import { ApiError } from "../kubernetes/errors.ts";
import { intercept } from "../kubernetes/intercept.ts";
import { answering } from "../kubernetes/testing.ts";
import type { Transport } from "../kubernetes/transport.ts";
import { ControlPlane, controlPlaneDefinition } from "../resources/controlplane/iofog/definition.ts";
import { version } from "../version.ts";
import { kubeconfig, program, token, type World } from "./testing.ts";

const commands = ["run", "once", "diff", "status"];
const quiet = ["--metrics-addr=0", "--health-addr=0"];

const emptyKinds = [ControlPlane, Pod, Lease, ...controlPlaneDefinition().childResources];

function emptyApi(): MemoryApi {
  return new MemoryApi(systemClock, emptyKinds);
}

/** A server that refuses everything. */
function refusing(error: unknown): Transport {
  return answering(() => {
    throw error;
  });
}

Deno.test("help, version and crds need no cluster", async () => {
  for (const args of [["--help"], ["-h"], ["help"], ["status", "--help"]]) {
    const { code, stdout, stderr } = await program(args, { variables: { KUBECONFIG: "/nowhere" } });
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    assertStringIncludes(stdout, "Usage: iofog-operator [COMMAND] [FLAGS]");
  }
  for (const args of [["version"], ["--version"]]) {
    const expected = { code: 0, stdout: `iofog-operator ${version}\n`, stderr: "" };
    assertEquals(await program(args), expected);
  }
  const { code, stdout } = await program(["crds"]);
  assertEquals(code, 0);
  const names = (parseAll(stdout) as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);
  assertEquals(names, allCrds().map(({ crd }) => crd.metadata.name));
});

for (
  const [args, message] of [
    [["--bogus"], "unknown flag --bogus: see iofog-operator --help"],
    [["status", "extra"], "extra is one argument too many: see iofog-operator --help"],
    [
      ["apply"],
      "unknown command apply: it is one of run, once, diff, status, convert, export, crds, version",
    ],
    [["--resync-interval=x"], "--resync-interval: must be a duration such as 30s or 5m"],
  ] as const
) {
  Deno.test(`${args.join(" ")} is one line and exit code 2`, async () => {
    const stderr = `iofog-operator: ${message}\n`;
    assertEquals(await program(args), { code: 2, stdout: "", stderr });
  });
}

/** Each is a world in which no command can work, and the line that says so. */
const broken: readonly (readonly [what: string, world: World, line: RegExp])[] = [
  [
    "a kubeconfig that is not there",
    { variables: { KUBECONFIG: "/nowhere" } },
    /\/nowhere/,
  ],
  [
    "a kubeconfig that is no YAML",
    { files: { "/kubeconfig": `{[${token}` } },
    /\/kubeconfig/,
  ],
  [
    "insecure-skip-tls-verify",
    { files: { "/kubeconfig": kubeconfig.replace("server:", "insecure-skip-tls-verify: true, server:") } },
    /insecure-skip-tls-verify/,
  ],
  [
    "a pod without its token",
    { variables: { KUBECONFIG: "", KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "443" } },
    /service account/,
  ],
];

for (const [what, world, line] of broken) {
  for (const command of commands) {
    Deno.test(`${command} with ${what} is one clear line`, async () => {
      const { code, stdout, stderr } = await program([command, ...quiet], world);
      assertEquals({ code, stdout }, { code: command === "diff" ? 2 : 1, stdout: "" });
      assertMatch(stderr, /^iofog-operator: [^\n]+\n$/);
      assertMatch(stderr, line);
      assertFalse(stderr.includes(token), stderr);
    });
  }
}

for (
  const [what, world, line] of [
    ["an unreachable server", {}, /127\.0\.0\.1:9/],
    [
      "an expired token",
      { api: refusing(new ApiError("GET /x: 401 Unauthorized", { status: 401, reason: "Unauthorized" })) },
      /401 Unauthorized/,
    ],
    [
      "a CRD that is not installed",
      { api: unservedApi() },
      /controlplanes\.iofog\.org is not installed: .*crds/,
    ],
  ] as readonly (readonly [string, World, RegExp])[]
) {
  for (const command of ["diff", "status"]) {
    Deno.test(`${command} with ${what} is one clear line`, async () => {
      const { code, stdout, stderr } = await program([command], world);
      assertEquals({ code, stdout }, { code: command === "diff" ? 2 : 1, stdout: "" });
      assertMatch(stderr, /^iofog-operator: [^\n]+\n$/);
      assertMatch(stderr, line);
    });
  }
}

function unservedApi(): MemoryApi {
  const api = emptyApi();
  api.unserve(ControlPlane);
  return api;
}

Deno.test("once beside another operator names it and ends with 1", async () => {
  const api = emptyApi();
  const now = new Date(systemClock.now()).toISOString().replace("Z", "000Z");
  api.make(Lease, {
    metadata: { name: "44586fd0.iofog.org", namespace: "iofog" },
    spec: { holderIdentity: "other_1", leaseDurationSeconds: 15, renewTime: now, acquireTime: now },
  });
  const { code, stderr } = await program(["once"], { api });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "another operator (other_1) holds the lease 44586fd0.iofog.org");
  assertEquals(api.writes, []);
});

Deno.test("once with nothing to do writes only its Lease, gives it back, and ends with 0", async () => {
  const api = emptyApi();
  const { code } = await program(["once"], { api });
  assertEquals(code, 0);
  assertEquals([...new Set(api.writes.map(({ kind }) => kind))], ["Lease"]);
  assertEquals(api.get(Lease, "44586fd0.iofog.org")?.spec?.holderIdentity, "");
});

Deno.test("run says so when the address of its server cannot be listened at", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const { code, stderr } = await program(["run", "--metrics-addr=0", `--health-addr=127.0.0.1:${port}`], {
    api: emptyApi(),
  });
  assertEquals(code, 1);
  assertMatch(stderr, new RegExp(`^iofog-operator: [^\\n]*${port}[^\\n]*\\n$`));
});

Deno.test("run until it is stopped ends with 0, whatever flags of the Go operator it has", async () => {
  const stop = new AbortController();
  const api = emptyApi();
  const { code, stdout, stderr } = await program(
    ["--enable-leader-election", ...quiet, "--log-format=json"],
    {
      api,
      stopping: stop.signal,
      variables: { WATCH_NAMESPACE: "" },
      onError: (text) => {
        if (text.includes("successfully acquired lease")) stop.abort();
      },
    },
  );
  assertEquals({ code, stdout }, { code: 0, stdout: "" });
  const lines = stderr.trim().split("\n").map((line) => JSON.parse(line).message);
  assert(lines.includes("Starting iofog-operator"), stderr);
  assertEquals(lines.filter((line) => line.startsWith("WATCH_NAMESPACE is empty")).length, 1);
  assertEquals(lines.at(-1), "stopped");
  assertEquals(api.get(Lease, "44586fd0.iofog.org")?.spec?.holderIdentity, "");
  assertFalse(stderr.includes(token));
});

Deno.test("/readyz is false after three intervals without a pass, and /healthz only when the loop is stuck", async () => {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const api = new MemoryApi(clock, emptyKinds);
  let how: "right" | "away" | "stuck" = "right";
  let goOn = () => {};
  const broken = intercept(api, async ({ options: { path } }, proceed) => {
    if (how === "away") throw new ApiError("nobody answers", { status: 0, reason: "Unreachable" });
    if (how === "stuck" && path === "/openapi/v3") await new Promise<void>((resolve) => goOn = resolve);
    return await proceed();
  });
  const health = Promise.withResolvers<string>();
  const ended = program(["run", "--metrics-addr=0", "--health-addr=127.0.0.1:0", "--log-format=json"], {
    api: broken,
    clock,
    stopping: stop.signal,
    onError: (text) => {
      // What is loaded before that takes no time of the clock.
      if (text.includes("acquired lease")) health.resolve(/"health":"([^"]+)"/.exec(text)?.[1] ?? "");
    },
  });
  const url = await health.promise;
  const probes = async () => {
    const answers = await Promise.all(["healthz", "readyz"].map((path) => fetch(`${url}/${path}`)));
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    return answers.map(({ status }, index) => `${status} ${texts[index]?.trim()}`);
  };
  await clock.advance(1_000);
  assertEquals(await probes(), ["200 ok", "200 ok"]);

  how = "away";
  api.closeWatches();
  await clock.advance(85_000);
  assertEquals(await probes(), ["200 ok", "200 ok"]);
  await clock.advance(3_600_000);
  const [alive, unready] = await probes();
  assertEquals(alive, "200 ok");
  assertMatch(unready ?? "", /^503 .*nobody answers/);

  how = "right";
  await clock.advance(60_000);
  assertEquals(await probes(), ["200 ok", "200 ok"]);

  how = "stuck";
  await clock.advance(125_000);
  const [stillAlive, silent] = await probes();
  assertEquals(stillAlive, "200 ok");
  assertMatch(silent ?? "", /^503 .*\[-\] reconcile: no pass for \d+ s/s);
  await clock.advance(600_000);
  assertMatch((await probes())[0] ?? "", /^503 \[-\] loop: the kubernetes lane has not gone on for \d+ s$/);

  how = "right";
  goOn();
  stop.abort();
  await clock.advance(20_000);
  assertEquals((await ended).code, 0);
});

Deno.test("a command that is interrupted ends with 130 and says nothing", async () => {
  const stopping = AbortSignal.abort();
  for (const command of ["diff", "status"]) {
    assertEquals(await program([command], { stopping }), { code: 130, stdout: "", stderr: "" });
  }
});

Deno.test("an internal error is told by its place, not by what it quotes", async () => {
  const api = refusing(new RangeError("a bug"));
  const { code, stderr } = await program(["status"], { api });
  assertEquals(code, 1);
  assertMatch(stderr, /^iofog-operator: .*a bug/);
});
