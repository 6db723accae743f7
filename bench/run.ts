/**
 * `deno task bench [--quick] [--pot] [--edge] [--load [--minutes=N] [--away=N] [--counts=50,500] [--beside=FOLDER]]`: how fast the operator is, on a fresh local cluster, beside what is
 * possible at all; with `--load`, how it does with thousands of custom resources, watched at rest for some minutes (2), and
 * without the API server for as long or for others; with `--pot`, a PoT control plane; with `--edge`, a thousand
 * microservices on a hundred agents; with `--beside`, the same by other sources in turns, such as those of an earlier
 * commit (`git worktree add FOLDER COMMIT`).
 *
 * Prints a table and writes it to `bench/results/`. Aims that are missed are marked; the exit code is 0 all the same.
 */

import "reflect-metadata";
import { parseArgs } from "@std/cli";
import { findBinaries, printProgress, startCluster } from "../tests/cluster/mod.ts";
import { describeMachine } from "./machine.ts";
import { measureInstall } from "./measure_install.ts";
import { measureClient } from "./measure_client.ts";
import { ANSWER_MS, type EdgeLoad, measureEdge } from "./measure_edge.ts";
import { type Load, measureLoad } from "./measure_load.ts";
import { measurePot } from "./measure_pot.ts";
import { measureRepair } from "./measure_repair.ts";
import { measureRest } from "./measure_rest.ts";
import { measureStart } from "./measure_start.ts";
import { measureTakeOver } from "./measure_takeover.ts";
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
  "take-over: from the spawn of the process, beside a control plane that the played Go operator 3.2.0 made and that is " +
  "ready, to a status of ours that says so; writes until it is at rest.",
  "client: a GET of a small ConfigMap; the floor is the same by a bare fetch, in turns.",
  "at rest: a ControlPlane that is ready, with a played kubelet and a stand-in for the Controller.",
];

/** What a report with `--pot` is about. */
const POT = "a PoT control plane";

const busy = "this machine had other work to do: only the ratios tell something";

const keyed = "a new key";

async function measure(stage: Stage, quick: boolean, say: (text: string) => void): Promise<readonly Row[]> {
  say("install");
  const install = await measureInstall(stage, quick ? 5 : 20);
  say("start");
  const start = await measureStart(stage, quick ? 5 : 20);
  say("repair");
  const repairs = await measureRepair(stage, quick ? 4 : 12);
  say("take-over");
  const taken = await measureTakeOver(stage, quick ? 2 : 6);
  say("client");
  const client = await measureClient(stage, quick ? 100 : 500);
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
    ms("take-over from the Go operator", taken.map(({ milliseconds }) => milliseconds)),
    {
      what: "take-over: writes",
      unit: "",
      figures: distribution(taken.map(({ writes }) => writes)),
    },
    ms("client: one read", client.client, { floor: distribution(client.bare) }),
    { what: "at rest: memory (RSS)", unit: "MiB", figures: distribution(rest.rssMib), aim: { below: 100 } },
    { what: "at rest: CPU of one core", unit: "%", figures: distribution([rest.cpuPercent]) },
  ];
}

const potNotes = [
  "install: from the moment at which the ControlPlane is sent to that at which a watch tells of the last child. One " +
  "operator process for each run, started before and at rest; every address is known; a stand-in for the Controller " +
  "and a Keycloak answer, without which NATS cannot be made.",
  "floor: a bare client writes copies of the same children at once, makes as many RSA-2048 keys meanwhile, and writes " +
  "the status once; taken in turns with the operator. It asks neither the Controller nor Keycloak.",
  "repair: from the moment at which a watch tells that the object is gone to that at which it tells of the next one.",
];

async function measureOfPot(
  stage: Stage,
  quick: boolean,
  say: (text: string) => void,
): Promise<readonly Row[]> {
  say("install and repair of a PoT control plane");
  const pot = await measurePot(stage, quick ? 5 : 20, quick ? 4 : 12);
  return [
    {
      what: `install: all ${pot.children} children, ${pot.keys} of them with a new key`,
      unit: "ms",
      figures: distribution(pot.operator),
      floor: distribution(pot.floor),
      aim: { timesFloor: 2 },
    },
    ...pot.repairs.map(({ kind, milliseconds, needsKey }): Row => ({
      what: `repair: ${kind}${needsKey ? `, ${keyed}` : ""}`,
      unit: "ms",
      figures: distribution(milliseconds),
      ...(needsKey ? {} : { aim: { below: 250 } }),
    })),
  ];
}

const edgeNotes = [
  "1,000 microservices of 100 applications on 100 agents, which stand in the cluster before the operator starts; a " +
  "stand-in for the Controller 3.0.4 in the process that measures.",
  "made: from the first call that changes something in the Controller to the last; floor: the same calls, sent one " +
  "after the other by a bare fetch in a process of its own to another stand-in.",
  "a change: from the request that changes an Application to the call that it takes.",
  "at rest: calls to the Controller in an hour; writes are those to the Controller and to the cluster, the Lease apart.",
  "repair: of a ServiceAccount, with nothing at the edge (floor) and while everything there is made.",
];

async function measureTheEdge(
  stage: Stage,
  quick: boolean,
  say: (text: string) => void,
): Promise<readonly Row[]> {
  const agents = quick ? 20 : 100;
  say(`the edge: ${agents} agents`);
  const edge = await measureEdge(stage, { agents, restSeconds: quick ? 30 : 120, runs: quick ? 1 : 3 });
  return rowsOfEdge(edge);
}

function rowsOfEdge(edge: EdgeLoad): readonly Row[] {
  const row = (what: string, unit: Row["unit"], values: readonly number[], more: Partial<Row> = {}): Row => ({
    what,
    unit,
    figures: distribution(values),
    ...more,
  });
  return [
    row(`made: ${edge.calls} calls`, "ms", edge.created, {
      floor: distribution(edge.bare),
      aim: { timesFloor: 1.2 },
    }),
    row(`the same, ${ANSWER_MS} ms for each`, "ms", edge.createdSlowly, {
      floor: distribution(edge.bareSlowly),
      aim: { timesFloor: 1.2 },
    }),
    row("a change of one microservice", "ms", edge.changed, { aim: { below: 500 } }),
    row("at rest: calls per hour", "", [edge.callsPerHour]),
    row("at rest: writes", "", [edge.writesAtRest], { aim: { below: 1 } }),
    row("at rest: CPU of one core", "%", [edge.cpuPercent]),
    row("at rest: memory (RSS)", "MiB", edge.rssMib),
    row("repair meanwhile", "ms", edge.repairMeanwhile, {
      floor: distribution(edge.repairBefore),
      aim: { below: 250 },
    }),
  ];
}

const loadNotes = [
  "examples/tenants: two children for each custom resource, both kinds listed and watched; a full look every 30 s.",
  "first convergence: from the spawn of the process to the last child and status.",
  "a pass at rest: CPU of all that happens in 30 s, the full look among it.",
  "a change: from the request that changes a Tenant to the watch event that tells of its ConfigMap.",
  "bytes are those on the wire, TLS included.",
];

/** What `--load` measures. */
interface LoadChoice {
  readonly counts: readonly number[];
  /** Minutes at rest, and without the API server. */
  readonly minutes: number;
  readonly away: number;
  /** Folder of other sources. */
  readonly beside: string | undefined;
}

async function measureLoads(
  stage: Stage,
  { away, beside, counts, minutes }: LoadChoice,
  say: (text: string) => void,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const count of counts) {
    const run = async (sources?: string) => {
      say(`${count} custom resources${sources === undefined ? "" : ` by ${sources}`}`);
      const options = { restSeconds: minutes * 60, outageSeconds: away * 60, sources };
      return rowsOf(await measureLoad(stage.cluster, stage.client, count, options));
    };
    const floor = beside === undefined ? [] : await run(beside);
    const ours = await run();
    rows.push(...ours.map((row, index): Row => ({ ...row, floor: floor[index]?.figures })));
  }
  return rows;
}

function rowsOf(load: Load): readonly Row[] {
  const one = (what: string, unit: Row["unit"], value: number, aim?: Row["aim"]): Row => ({
    what: `${load.tenants}: ${what}`,
    unit,
    figures: distribution([value]),
    aim,
  });
  const many = (what: string, unit: Row["unit"], values: readonly number[], aim: Row["aim"]): Row => ({
    ...one(what, unit, 0, aim),
    figures: distribution(values),
  });
  return [
    one("first convergence", "s", load.first.seconds),
    one("first convergence, CPU", "s", load.first.cpu),
    one("a pass at rest, CPU", "s", load.cpuOfPass, { below: 2 }),
    many("a change", "ms", load.changeMs, { below: 250 }),
    many("memory (RSS)", "MiB", load.rssMib, { below: 200 }),
    one("memory, slope", "MiB/h", load.rssSlope),
    one("requests per hour at rest", "", load.requestsPerHour),
    ...Object.entries(load.requestsByKind).map(([what, perHour]) => one(`of these, ${what}`, "", perHour)),
    one("bytes per hour at rest", "MiB/h", load.mibPerHour),
    one("writes at rest", "", load.writesAtRest, { below: 1 }),
    many(`API server away for ${load.outage.seconds} s, memory`, "MiB", load.outage.rssMib, { below: 200 }),
    one("meanwhile, slope of the memory in the second half", "MiB/h", load.outage.rssSlope),
    one("meanwhile, CPU", "s", load.outage.cpu),
    many("in the minute after its return, memory", "MiB", load.outage.rssAfterMib, { below: 200 }),
    one("in the minute after its return, CPU", "s", load.outage.cpuAfter),
    one("after its return, until a change is carried out", "s", load.outage.backMs / 1_000, { below: 30 }),
    one("after its return, most requests in a second", "", load.outage.mostRequests),
  ];
}

/** Writes the report, and returns its text. */
async function save(report: Report): Promise<string> {
  const folder = new URL("results/", import.meta.url);
  await Deno.mkdir(folder, { recursive: true });
  const cpu = report.machine.cpu.toLowerCase().replace(/\W+/g, "-").replace(/^-|-$/g, "");
  const { subject, quick } = report;
  const suffix = `${
    subject === undefined ? "" : subject === "the edge" ? "-edge" : subject === POT ? "-pot" : "-load"
  }${subject?.includes("beside") ? "-beside" : ""}${quick ? "-quick" : ""}`;
  const name = `${report.date}-${cpu}${suffix}`;
  const text = renderMarkdown(report);
  const files = [`${name}.md`, `${name}.json`];
  await Deno.writeTextFile(new URL(`${name}.md`, folder), text);
  await Deno.writeTextFile(new URL(`${name}.json`, folder), JSON.stringify(report));
  // As `deno task ok` wants them.
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", ...files], cwd: folder }).output();
  return text;
}

/** The commit of a checkout. */
async function commitOf(folder: string): Promise<string> {
  const args = ["-C", folder, "rev-parse", "--short", "HEAD"];
  const { stdout } = await new Deno.Command("git", { args }).output();
  return new TextDecoder().decode(stdout).trim();
}

if (import.meta.main) {
  const {
    away,
    beside,
    counts,
    edge: atTheEdge,
    load: underLoad,
    minutes,
    pot,
    quick,
    _: unknown,
    ...others
  } = parseArgs(
    Deno.args,
    {
      boolean: ["quick", "load", "edge", "pot"],
      string: ["away", "beside", "counts", "minutes"],
      default: { minutes: "2" },
    },
  );
  const surprise = [...unknown, ...Object.keys(others)][0];
  if (surprise !== undefined || !(Number(minutes) > 0 && Number(away ?? minutes) > 0)) {
    console.error(
      `what is ${
        surprise ?? `--minutes=${minutes} --away=${away}`
      }? deno task bench [--quick] [--pot] [--edge] [--load [--minutes=N] [--away=N] [--counts=N,N] [--beside=FOLDER]]`,
    );
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
  await using stage = await Stage.open(cluster, pot ? "pot" : "iofog");
  const say = (text: string) => console.error(`measuring: ${text}`);
  const rows = underLoad
    ? await measureLoads(stage, {
      counts: (counts ?? (quick ? "50,500" : "50,500,5000")).split(",").map(Number),
      minutes: Number(minutes),
      away: Number(away ?? minutes),
      beside,
    }, say)
    : pot
    ? await measureOfPot(stage, quick, say)
    : atTheEdge
    ? await measureTheEdge(stage, quick, say)
    : await measure(stage, quick, say);
  const [loadAfter = NaN] = Deno.loadavg();
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    machine: await describeMachine(stage.client),
    program: underLoad ? "examples/tenants" : stage.program.description,
    quick,
    subject: pot
      ? POT
      : atTheEdge
      ? "the edge"
      : underLoad
      ? `many custom resources${beside === undefined ? "" : ", beside others"}`
      : undefined,
    load: [loadBefore, loadAfter],
    notes: [
      ...underLoad ? loadNotes : pot ? potNotes : atTheEdge ? edgeNotes : notes,
      ...beside === undefined
        ? []
        : [`floor: the same by the sources of ${await commitOf(beside)}, in turns.`],
      ...isBusy ? [busy] : [],
    ],
    rows,
  };
  console.log(await save(report));
}
