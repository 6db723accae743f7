/** What the documents promise and can be checked against the code. */

import { assert, assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { flagTable } from "../src/cli/flags.ts";
import { commandTable } from "../src/cli/help.ts";
import { createMetrics } from "../src/telemetry/metrics.ts";
import { ENVIRONMENT_VARIABLES } from "../tools/permissions.ts";

const ROOT = new URL("../", import.meta.url);
const DOCUMENTS = [
  "README.md",
  "CONTRIBUTING.md",
  ...[...Deno.readDirSync(new URL("docs", ROOT))].map(({ name }) => `docs/${name}`).filter((path) =>
    path.endsWith(".md")
  ).sort(),
];

const readme = await Deno.readTextFile(new URL("README.md", ROOT));

/** The rows below the table head that begins with `head`, each as its cells. */
function tableRows(text: string, head: string): string[][] {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith("|") && cellsOf(line)[0] === head);
  assert(start >= 0, `no table with "${head}"`);
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"));
  return lines.slice(start + 2, end).map(cellsOf);
}

function cellsOf(line: string): string[] {
  return line.split("|").slice(1, -1).map((cell) => cell.trim());
}

/** The anchors that GitHub makes of the headings. */
function anchorsOf(text: string): string[] {
  return text.split("\n").filter((line) => /^#+ /.test(line)).map((line) =>
    line.replace(/^#+ /, "").toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  );
}

for (const path of DOCUMENTS) {
  Deno.test(`every link in ${path} leads somewhere`, async () => {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
    for (const link of links.filter((each) => !/^https?:/.test(each))) {
      const [target = "", anchor] = link.split("#");
      const file = target === "" ? new URL(path, ROOT) : new URL(target, new URL(path, ROOT));
      const stat = await Deno.stat(file).catch(() => undefined);
      assert(stat !== undefined, `${path}: ${link}`);
      if (anchor !== undefined) {
        assert(anchorsOf(await Deno.readTextFile(file)).includes(anchor), `${path}: ${link}`);
      }
    }
  });

  Deno.test(`every task and file that ${path} names is there`, async () => {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const [, task = ""] of text.matchAll(/(?:deno(?:@[\d.]+)?|`) ?task (\w+)/g)) {
      assert(Object.hasOwn(config.tasks, task), `${path}: task ${task}`);
    }
    for (const [, file = ""] of text.matchAll(/`((?:src|tools|tests|deploy|docs|crds)\/[\w./-]*)`/g)) {
      assert(await Deno.stat(new URL(file, ROOT)).catch(() => undefined), `${path}: ${file}`);
    }
  });
}

Deno.test("the README's version of Deno is the one of CI and of the image", async () => {
  const versions = new Set<string>();
  for (const path of ["README.md", "CONTRIBUTING.md", "Dockerfile", ".ci/run"]) {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const [, version = ""] of text.matchAll(/deno[@:](\d+\.\d+\.\d+)/g)) versions.add(version);
  }
  assertEquals([...versions], ["2.9.6"]);
});

Deno.test("the README's flags are the program's", () => {
  assertEquals(
    tableRows(readme, "flag"),
    flagTable.map((flag) => [
      `${flag.alias === undefined ? "" : `\`-${flag.alias}\`, `}\`--${flag.name}${
        flag.value === undefined ? "" : ` ${flag.value}`
      }\``,
      flag.default === undefined ? "" : `\`${flag.default}\``,
      flag.variable === undefined ? "" : `\`${flag.variable}\``,
      flag.text,
    ]),
  );
});

Deno.test("the README's commands are the program's", () => {
  assertEquals(
    tableRows(readme, "command"),
    commandTable.map(({ name, text }) => [`\`iofog-operator ${name}\``, text]),
  );
});

Deno.test("the README names every environment variable that the program reads", () => {
  const names = ENVIRONMENT_VARIABLES.filter((name) => name === name.toUpperCase());
  assertEquals(names.filter((name) => !readme.includes(`\`${name}\``)), []);
});

Deno.test("the README's metrics are the program's, with their labels", async () => {
  const metrics = createMetrics({ version: "1.0.0", clock: { now: () => 0, monotonic: () => 0 } });
  metrics.reconciled("controlplane", "success", 1);
  metrics.reconciling("controlplane");
  metrics.queueDepth("controlplane", 1);
  metrics.queued("controlplane", 1);
  metrics.apiRequest({ method: "GET", host: "host", code: 200 });
  metrics.leader("lease", true);
  metrics.wrote({ world: "kubernetes", verb: "apply", kind: "Service", reason: "drift", result: "ok" });
  metrics.driftRepaired("Service");
  metrics.staleRead("Service");
  metrics.watchRestarted("Service", "gone");
  metrics.observed({ kind: "ControlPlane", namespace: "namespace", name: "name" }, {
    conditions: [{ type: "Ready", status: "True" }],
    certificates: { "router-ca": 0 },
  });
  metrics.externalRequest({ method: "GET", path: "/api/v3/status", code: 200 });
  const exposition = await metrics.text();
  const actual = [...exposition.matchAll(/^# TYPE (\w+) \w+$/gm)].map(([, name = ""]) => {
    const sample = new RegExp(`^${name}(?:_count)?\\{([^}]*)\\}`, "m").exec(exposition)?.[1] ?? "";
    return [
      `\`${name}\``,
      [...sample.matchAll(/(\w+)="/g)].map(([, label]) => `\`${label}\``).sort().join(" "),
    ];
  });
  const documented = tableRows(readme, "metric").map(([name = "", labels = ""]) => [
    name,
    labels.split(" ").sort().join(" "),
  ]);
  assertEquals(documented.toSorted(), actual.toSorted());
});

Deno.test("the README names each kind of custom resource with its short name", async () => {
  const rows = tableRows(readme, "kind").map(([kind, short]) => [kind, short]);
  const expected: string[][] = [];
  const folders = ["crds", "crds/pot"];
  const files = folders.flatMap((folder) =>
    [...Deno.readDirSync(new URL(folder, ROOT))].map(({ name }) => `${folder}/${name}`)
  );
  for (const file of files.filter((path) => path.endsWith(".org.yaml") || path.endsWith(".com.yaml"))) {
    const text = await Deno.readTextFile(new URL(file, ROOT));
    const find = (pattern: RegExp) => pattern.exec(text)?.[1] ?? "";
    const version = find(/^ +- name: (v\w+)$/m) || find(/^ {4}name: (v\w+)$/m);
    expected.push([
      `\`${find(/^ {4}kind: (\w+)$/m)}\` (\`${find(/^ {2}group: (\S+)$/m)}/${version}\`)`,
      `\`${find(/shortNames:\n +- (\w+)/)}\``,
    ]);
  }
  assertEquals(rows.toSorted(), expected.toSorted());
});
