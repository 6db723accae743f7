/**
 * `deploy/monitoring`: the alert rules by Prometheus' own checks, and every query against what an operator exposes.
 *
 * A real Prometheus is used where one is on the PATH (Debian's package `prometheus` has it and promtool).
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse } from "@std/yaml";
import { startProcess } from "./cluster/mod.ts";
import { scenario } from "./e2e/harness.ts";
import { startProgram } from "./e2e/operator_process.ts";
import { eventually } from "./e2e/waiting.ts";

const FOLDER = new URL("../deploy/monitoring/", import.meta.url).pathname;
/** What only happens when something goes wrong: in a run where nothing does, these queries find nothing. */
const ONLY_IN_TROUBLE = [/result!="ok"/, /stale_reads/, /drift_repairs/, /watch_restarts/];

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

function isInstalled(command: string): boolean {
  try {
    return new Deno.Command(command, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

async function queriesOfDashboard(): Promise<string[]> {
  const { panels } = JSON.parse(await Deno.readTextFile(`${FOLDER}dashboard.json`)) as Dashboard;
  return panels.flatMap(({ targets }) =>
    targets.map(({ expr }) => expr.replaceAll("$namespace", ".*").replaceAll("$__rate_interval", "1m"))
  );
}

async function queriesOfAlerts(): Promise<string[]> {
  const { groups } = parse(await Deno.readTextFile(`${FOLDER}alerts.yaml`)) as Rules;
  return groups.flatMap(({ rules }) => rules.map(({ expr }) => expr));
}

/** Names that are looked up in `expr`. */
function metricsIn(expr: string): string[] {
  return [...expr.matchAll(/\b(\w+)(?=\{)|\b(iofog_operator_\w+|leader_election_\w+|rest_client_\w+)/g)]
    .map((match) => match[0].replace(/_bucket$/, ""));
}

Deno.test({
  name: "the alert rules fire when they should and not else (needs promtool)",
  ignore: !isInstalled("promtool"),
  async fn() {
    for (const args of [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]]) {
      const { success, stdout, stderr } = await new Deno.Command("promtool", { args, cwd: FOLDER }).output();
      const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assert(success, said);
    }
  },
});

scenario(
  "every metric that a rule or the dashboard asks for is exposed, and Prometheus finds it",
  async (scene) => {
    const operator = startProgram({ args: [...scene.flags(), "--metrics-addr=127.0.0.1:0"] });
    try {
      await scene.create();
      await scene.untilReady();
      const { text } = await operator.read("/metrics");
      assertMatch(text, /^controller_runtime_active_workers\{controller="controlplane"\} 0$/m);
      const exposed = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name));
      const queries = [...await queriesOfDashboard(), ...await queriesOfAlerts()];
      for (const query of queries) {
        for (const metric of metricsIn(query)) assert(exposed.has(metric), `${metric} in ${query}`);
      }
      for (const [, name] of text.matchAll(/^# TYPE (\w+) /gm)) {
        assert(new RegExp(`^# HELP ${name} \\S`, "m").test(text), `${name} has no help`);
        const isSet = new RegExp(`^${name}(_count)?(\\{.*\\})? `, "m").test(text);
        assert(isSet || ONLY_IN_TROUBLE.some((pattern) => pattern.test(name ?? "")), `${name} is never set`);
      }
      if (!isInstalled("prometheus")) return;

      const { metrics } = await operator.servers();
      const folder = await Deno.makeTempDir();
      await Deno.writeTextFile(
        `${folder}/prometheus.yml`,
        JSON.stringify({
          global: { scrape_interval: "1s" },
          scrape_configs: [{
            job_name: "iofog-operator",
            // As a PodMonitor says where a pod is; the operator's own label names whose condition it is.
            honor_labels: true,
            static_configs: [{ targets: [new URL(metrics).host], labels: { namespace: scene.namespace } }],
          }],
        }),
      );
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr as Deno.NetAddr;
      listener.close();
      const prometheus = startProcess({
        command: "prometheus",
        args: [
          `--config.file=${folder}/prometheus.yml`,
          `--storage.tsdb.path=${folder}/data`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        output: { onLine: () => {} },
      });
      try {
        const ask = async (query: string) => {
          const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
          return await (await fetch(url)).json() as {
            readonly status: string;
            readonly error?: string;
            readonly data?: { readonly result: readonly unknown[] };
          };
        };
        const scrapes = `count_over_time(up{job="iofog-operator"}[1m])`;
        await eventually(
          "three scrapes",
          () => ask(scrapes).catch(() => undefined),
          (seen) => Number((seen?.data?.result[0] as { value?: string[] } | undefined)?.value?.[1]) >= 3,
        );
        for (const query of await queriesOfDashboard()) {
          const { status, error, data } = await ask(query);
          assertEquals(status, "success", `${query}: ${error}`);
          const mayBeEmpty = ONLY_IN_TROUBLE.some((pattern) => pattern.test(query));
          assert(mayBeEmpty || (data?.result.length ?? 0) > 0, `nothing is found by ${query}`);
        }
      } finally {
        await prometheus.terminate(10_000);
        await Deno.remove(folder, { recursive: true });
      }
    } finally {
      await operator.stop();
    }
  },
);
