import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError, type Environment } from "./connection_config.ts";
import { type ExecCluster, execCredentials, execSchema } from "./exec_credentials.ts";
import { VirtualClock } from "../../tests/virtual_clock.ts";
import { machine } from "./testing.ts";

const cluster: ExecCluster = { server: "https://10.0.0.1", config: { audience: "a" } };

function plugin(fields: Record<string, unknown> = {}) {
  return execSchema.parse({ apiVersion: "client.authentication.k8s.io/v1", command: "aws", ...fields });
}

function provider(run: Environment["run"], fields: Record<string, unknown> = {}, clock = new VirtualClock()) {
  const context = {
    environment: machine({ run }),
    label: "file, context c",
    directory: "/kube",
    cluster,
    clock,
  };
  return execCredentials(plugin(fields), context);
}

function printed(status: Record<string, unknown>, apiVersion = "client.authentication.k8s.io/v1"): string {
  return JSON.stringify({ apiVersion, kind: "ExecCredential", status });
}

Deno.test("execCredentials() runs the plugin with its arguments, variables and the cluster", async () => {
  const runs: unknown[] = [];
  const run: Environment["run"] = (command, args, variables) => {
    runs.push([command, args, variables]);
    return Promise.resolve(printed({ token: "t" }));
  };
  const fields = {
    args: ["eks"],
    env: [{ name: "P", value: "q" }],
    command: "./bin/aws",
    provideClusterInfo: true,
  };
  assertEquals(await provider(run, fields)({ rejected: false }), {
    authorization: "Bearer t",
    clientCertificate: undefined,
  });
  const info = {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    spec: { interactive: false, cluster },
  };
  assertEquals(runs, [["/kube/bin/aws", ["eks"], { P: "q", KUBERNETES_EXEC_INFO: JSON.stringify(info) }]]);
});

Deno.test("execCredentials() keeps credentials until they expire or are rejected", async () => {
  const clock = new VirtualClock();
  let runs = 0;
  const expirationTimestamp = new Date(clock.now() + 60_000).toISOString();
  const get = provider(
    () => Promise.resolve(printed({ token: `${++runs}`, expirationTimestamp })),
    {},
    clock,
  );
  const tokens = [];
  for (const [ms, rejected] of [[0, false], [59_000, false], [0, true], [1_000, false]] as const) {
    await clock.advance(ms);
    tokens.push((await get({ rejected })).authorization);
  }
  assertEquals(tokens, ["Bearer 1", "Bearer 1", "Bearer 2", "Bearer 3"]);
});

Deno.test("execCredentials() takes a client certificate", async () => {
  const get = provider(() => Promise.resolve(printed({ clientCertificateData: "C", clientKeyData: "K" })));
  assertEquals(await get({ rejected: false }), {
    authorization: undefined,
    clientCertificate: { certificate: "C", key: "K" },
  });
});

const secret = "sesame-open";
const failures: readonly (readonly [string, Environment["run"], string, Record<string, unknown>?])[] = [
  ["is missing", () => Promise.reject(new Deno.errors.NotFound()), "aws was not found; install it"],
  [
    "is missing and has a hint",
    () => Promise.reject(new Deno.errors.NotFound()),
    "aws was not found; get it from example.org",
    { installHint: "get it\n  from example.org\n" },
  ],
  ["fails", () => Promise.reject(new Error("exit 1")), "aws failed; run it by hand to see why"],
  ["prints no JSON", () => Promise.resolve(`token: ${secret}`), "printed no valid ExecCredential"],
  ["prints another kind", () => Promise.resolve(`{"token":"${secret}"}`), "printed no valid ExecCredential"],
  [
    "prints another version",
    () => Promise.resolve(printed({ token: secret }, "client.authentication.k8s.io/v1beta1")),
    "printed another apiVersion than client.authentication.k8s.io/v1",
  ],
  ["prints nothing of use", () => Promise.resolve(printed({})), "printed neither a token nor a certificate"],
  [
    "prints a certificate alone",
    () => Promise.resolve(printed({ token: secret, clientCertificateData: secret })),
    "printed neither a token nor a certificate with its key",
  ],
];

for (const [what, run, expected, fields] of failures) {
  Deno.test(`execCredentials() says in one line that a plugin ${what}`, async () => {
    const error = await assertRejects(() => provider(run, fields)({ rejected: false }), ConfigError);
    assert(
      error.message.startsWith("file, context c: exec: ") && error.message.includes(expected),
      error.message,
    );
    assert(!error.message.includes("\n") && !Deno.inspect(error).includes(secret));
  });
}
