import { assertEquals, assertThrows } from "@std/assert";
import { type Flags, flagTable, parseCommandLine, UsageError } from "./flags.ts";

const defaults: Flags = {
  "resync-interval": 30_000,
  "metrics-addr": ":8080,:60000",
  "health-addr": ":8081",
  "log-level": "info",
  "log-format": "auto",
  "enable-leader-election": false,
  "output": "text",
  "help": false,
  "version": false,
};

/** What comes of a line, without the flags that have no value. */
function parse(line: string, variables: Readonly<Record<string, string>> = {}) {
  const args = line.split(" ").filter((word) => word !== "");
  const { words, flags } = parseCommandLine(args, (name) => variables[name]);
  return {
    words,
    flags: Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)),
  };
}

Deno.test("parseCommandLine() gives the defaults when nothing is said", () => {
  assertEquals(parse(""), { words: [], flags: defaults });
});

const accepted: readonly (readonly [line: string, flags: Partial<Flags>])[] = [
  ["--kubeconfig /k", { kubeconfig: "/k" }],
  ["--kubeconfig=/k", { kubeconfig: "/k" }],
  ["--context kind", { context: "kind" }],
  ["--context=-odd", { context: "-odd" }],
  ["--namespace ns", { namespace: "ns" }],
  ["-n ns", { namespace: "ns" }],
  ["-n=ns", { namespace: "ns" }],
  ["-nns", { namespace: "ns" }],
  ["-namespace ns", { namespace: "ns" }],
  ["--namespace=a --namespace b", { namespace: "b" }],
  ["--controller-url http://127.0.0.1:51121", { "controller-url": "http://127.0.0.1:51121" }],
  ["--controller-url https://[::1]/base", { "controller-url": "https://[::1]/base" }],
  ["--resync-interval 500000ms", { "resync-interval": 500_000 }],
  ["--resync-interval 1s", { "resync-interval": 1_000 }],
  ["--resync-interval 1.5m", { "resync-interval": 90_000 }],
  ["--resync-interval 2h", { "resync-interval": 7_200_000 }],
  ["--metrics-addr :9090", { "metrics-addr": ":9090" }],
  ["-metrics-addr=:9090", { "metrics-addr": ":9090" }],
  ["-metrics-addr :9090", { "metrics-addr": ":9090" }],
  ["--metrics-addr 0", { "metrics-addr": "0" }],
  ["--health-addr=[::1]:1", { "health-addr": "[::1]:1" }],
  ["--log-level debug", { "log-level": "debug" }],
  ["--log-format text", { "log-format": "text" }],
  ["--enable-leader-election", { "enable-leader-election": true }],
  ["-enable-leader-election", { "enable-leader-election": true }],
  ["--enable-leader-election=true", { "enable-leader-election": true }],
  ["-enable-leader-election=true", { "enable-leader-election": true }],
  ["--enable-leader-election=false", { "enable-leader-election": false }],
  ["--output yaml", { output: "yaml" }],
  ["-o json", { output: "json" }],
  ["-ojson", { output: "json" }],
  ["-f file.yaml", { filename: "file.yaml" }],
  ["--help", { help: true }],
  ["-h", { help: true }],
  ["--version", { version: true }],
];

for (const [line, flags] of accepted) {
  Deno.test(`parseCommandLine() takes ${line}`, () => {
    assertEquals(parse(line), { words: [], flags: { ...defaults, ...flags } });
  });
}

Deno.test("every flag is among the ones tested here", () => {
  const tested = new Set(accepted.flatMap(([, flags]) => Object.keys(flags)));
  assertEquals(flagTable.map(({ name }) => name).filter((name) => !tested.has(name)), []);
});

const refused: readonly (readonly [line: string, message: string])[] = [
  ["--bogus", "unknown flag --bogus: see iofog-operator --help"],
  ["--bogus=1", "unknown flag --bogus=1: see iofog-operator --help"],
  ["-x", "unknown flag -x: see iofog-operator --help"],
  ["--no-help", "unknown flag --no-help: see iofog-operator --help"],
  ["--kubeconfig", "--kubeconfig needs a value (FILE)"],
  ["--kubeconfig --help", "--kubeconfig needs a value (FILE)"],
  ["--namespace=", "--namespace needs a value (NAME)"],
  ["--namespace Upper", "--namespace: must be the name of a namespace"],
  ["--namespace a,b", "--namespace: must be the name of a namespace"],
  [`--namespace ${"a".repeat(64)}`, "--namespace: must be the name of a namespace"],
  ["--resync-interval 30", "--resync-interval: must be a duration such as 30s or 5m"],
  ["--resync-interval soon", "--resync-interval: must be a duration such as 30s or 5m"],
  ["--resync-interval=-5s", "--resync-interval: must be a duration such as 30s or 5m"],
  ["--resync-interval 100ms", "--resync-interval: must be at least 1s"],
  ["--log-level loud", "--log-level: must be one of debug, info, warn, error"],
  ["--log-format xml", "--log-format: must be one of text, json, auto"],
  ["-o xml", "--output: must be one of text, json, yaml"],
  ...["127.0.0.1:51121", "ftp://host", "http://", "http://user:pass@host", "http://host/?token=x"].map((
    url,
  ) =>
    [
      `--controller-url ${url}`,
      "--controller-url: must be an http or https address such as http://127.0.0.1:51121",
    ] as const
  ),
];

for (const [line, message] of refused) {
  Deno.test(`parseCommandLine() refuses ${line}`, () => {
    const error = assertThrows(() => parse(line), UsageError);
    assertEquals(error.message, message);
  });
}

Deno.test("parseCommandLine() takes defaults from the environment, and flags win over them", () => {
  const variables = { WATCH_NAMESPACE: "watched", CONTROLLER_URL: "http://c:1", KUBECONFIG: "/a:/b" };
  const { flags } = parse("", variables);
  // KUBECONFIG may name several files: whoever loads the configuration reads it.
  assertEquals(flags, { ...defaults, namespace: "watched", "controller-url": "http://c:1" });
  assertEquals(parse("-n other --controller-url http://d:2", variables).flags, {
    ...defaults,
    namespace: "other",
    "controller-url": "http://d:2",
  });
});

Deno.test("parseCommandLine() takes an empty variable for one that is not set", () => {
  assertEquals(parse("", { WATCH_NAMESPACE: "", CONTROLLER_URL: "" }).flags, defaults);
});

Deno.test("parseCommandLine() names the variable that is at fault", () => {
  const error = assertThrows(() => parse("", { WATCH_NAMESPACE: "a,b" }), UsageError);
  assertEquals(error.message, "WATCH_NAMESPACE: must be the name of a namespace");
});

Deno.test("parseCommandLine() leaves words in their order", () => {
  assertEquals(parse("status -o json extra").words, ["status", "extra"]);
  assertEquals(parse("once -- --namespace").words, ["once", "--namespace"]);
  assertEquals(parse("123").words, ["123"]);
});
