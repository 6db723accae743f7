/**
 * `deno task bench [--quick]`: how fast the operator is, on a fresh local cluster, beside what is possible at all.
 *
 * Prints a table and writes it to `bench/results/`. Aims that are missed are marked; the exit code is 0 all the same.
 */

import "reflect-metadata";
import { findBinaries, printProgress, startCluster } from "../tests/cluster/mod.ts";
import { describeMachine } from "./machine.ts";
import { measureInstall } from "./measure_install.ts";
import { measureRepair } from "./measure_repair.ts";
import { measureRest } from "./measure_rest.ts";
import { measureStart } from "./measure_start.ts";
import { renderMarkdown, type Report, type Row } from "./report.ts";
import { Stage } from "./stage.ts";
import { distribution } from "./statistics.ts";

const notes = [
  "install: from the moment at which the ControlPlane is sent to that at which a watch tells of the last child. One " +
  "operator process for each run, started before and at rest; every address is known (ClusterIP and ingress " +
  "address); nothing answers for the Controller, as in a first install.",
  "floor: a bare client sends the same writes at once, makes as many RSA-2048 keys meanwhile, and writes the status " +
  "once; taken in turns with the operator.",
  "repair: from the moment at which a watch tells that the object is gone to that at which it tells of the next one.",
  "start: from the spawn of the process, where a ControlPlane waits for it.",
  "at rest: a ControlPlane that is ready, with a played kubelet and a stand-in for the Controller.",
];

const busy = "this machine had other work to do: only the ratios tell something";

const keyed = "a new key";

async function measure(stage: Stage, quick: boolean, say: (text: string) => void): Promise<readonly Row[]> {
  say("install");
  const install = await measureInstall(stage, quick ? 5 : 20);
  say("start");
  const start = await measureStart(stage, quick ? 5 : 20);
  say("repair");
  const repairs = await measureRepair(stage, quick ? 4 : 12);
  say("rest");
  const rest = await measureRest(stage, quick ? 10 : 35);
  const ms = (what: string, values: readonly number[], more: Partial<Row> = {}): Row => ({
    what,
    unit: "ms",
    figures: distribution(values),
    ...more,
  });
  return [
    ms(`install: all ${install.children} children`, install.operator.map(({ all }) => all), {
      floor: distribution(install.floor.map(({ all }) => all)),
      aim: { timesFloor: 2 },
    }),
    ms("install: those without a new key", install.operator.map(({ quick }) => quick), {
      floor: distribution(install.floor.map(({ quick }) => quick)),
      aim: { below: 150 },
    }),
    ms("one RSA-2048 key, alone", install.key),
    ...repairs.map(({ kind, needsKey, milliseconds }) =>
      ms(
        `repair: ${kind}${needsKey ? `, ${keyed}` : ""}`,
        milliseconds,
        needsKey ? {} : { aim: { below: 250 } },
      )
    ),
    ms("start: first write (Lease)", start.map(({ lease }) => lease), { aim: { below: 300 } }),
    ms("start: first child", start.map(({ child }) => child)),
    { what: "at rest: memory (RSS)", unit: "MiB", figures: distribution(rest.rssMib), aim: { below: 100 } },
    { what: "at rest: CPU of one core", unit: "%", figures: distribution([rest.cpuPercent]) },
  ];
}

/** Writes the report, and returns its text. */
async function save(report: Report): Promise<string> {
  const folder = new URL("results/", import.meta.url);
  await Deno.mkdir(folder, { recursive: true });
  const cpu = report.machine.cpu.toLowerCase().replace(/\W+/g, "-").replace(/^-|-$/g, "");
  const name = `${report.date}-${cpu}${report.quick ? "-quick" : ""}`;
  const text = renderMarkdown(report);
  const files = [`${name}.md`, `${name}.json`];
  await Deno.writeTextFile(new URL(`${name}.md`, folder), text);
  await Deno.writeTextFile(new URL(`${name}.json`, folder), JSON.stringify(report));
  // As `deno task ok` wants them.
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", ...files], cwd: folder }).output();
  return text;
}

if (import.meta.main) {
  const quick = Deno.args.includes("--quick");
  const unknown = Deno.args.find((argument) => argument !== "--quick");
  if (unknown !== undefined) {
    console.error(`unknown argument ${unknown}: deno task bench [--quick]`);
    Deno.exit(2);
  }
  const progress = printProgress((text) => Deno.stderr.writeSync(new TextEncoder().encode(text)), {
    isTerminal: Deno.stderr.isTerminal(),
  });
  const binaries = await findBinaries({ progress });
  const [loadBefore = NaN] = Deno.loadavg();
  const isBusy = loadBefore > navigator.hardwareConcurrency / 4;
  if (isBusy) console.error(`load average ${loadBefore.toFixed(2)}: ${busy}`);
  await using cluster = await startCluster({ binaries, progress });
  await using stage = await Stage.open(cluster);
  const rows = await measure(stage, quick, (text) => console.error(`measuring: ${text}`));
  const [loadAfter = NaN] = Deno.loadavg();
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    machine: await describeMachine(stage.client),
    program: stage.program.description,
    quick,
    load: [loadBefore, loadAfter],
    notes: isBusy ? [...notes, busy] : notes,
    rows,
  };
  console.log(await save(report));
}
