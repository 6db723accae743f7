/** The results as a table for people, as Markdown and as JSON. */

import type { Machine } from "./machine.ts";
import type { Distribution } from "./statistics.ts";

/** One line of the table. */
export interface Row {
  readonly what: string;
  readonly unit: "ms" | "s" | "MiB" | "MiB/h" | "%" | "";
  readonly figures: Distribution;
  readonly floor?: Distribution | undefined;
  readonly aim?: Aim | undefined;
}

/** What the figure should not exceed: a number in its unit, or a multiple of the floor. */
export type Aim = { readonly below: number } | { readonly timesFloor: number };

/** One run of the benchmark. */
export interface Report {
  /** Date, e.g. `2026-11-21`. */
  readonly date: string;
  readonly machine: Machine;
  readonly program: string;
  readonly quick: boolean;
  /** What it is about, where not a single control plane. */
  readonly subject?: string | undefined;
  /** Load average over a minute, before and after: other work on the machine spoils the figures, ratios less so. */
  readonly load: readonly [before: number, after: number];
  readonly notes: readonly string[];
  readonly rows: readonly Row[];
}

/** p50 over that of the floor. */
export function ratio({ figures, floor }: Row): number | undefined {
  return floor === undefined ? undefined : figures.p50 / floor.p50;
}

/** Whether the median reaches the aim; undefined where there is none. */
export function isReached(row: Row): boolean | undefined {
  if (row.aim === undefined) return undefined;
  return "below" in row.aim
    ? row.figures.p50 < row.aim.below
    : (ratio(row) ?? Infinity) <= row.aim.timesFloor;
}

const header = ["", "n", "p50", "p95", "floor p50", "floor p95", "ratio", "aim", ""];

/** The table as Markdown that is aligned, so that it also reads well on a terminal. */
export function renderTable(rows: readonly Row[]): string {
  const cells = [header, ...rows.map(cellsOf)];
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${
      row.map((cell, at) => at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)).join(
        " | ",
      )
    } |`;
  const rule = `|${
    widths.map((width, at) => at === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`).join("|")
  }|`;
  return [line(cells[0] ?? []), rule, ...cells.slice(1).map(line)].join("\n") + "\n";
}

/** The whole report as Markdown. */
export function renderMarkdown(report: Report): string {
  const { date, machine, program, quick, subject, load, notes, rows } = report;
  const { cpu, cores, memoryGib, os, deno, v8, kubernetes, operator } = machine;
  return `# Benchmark of ${date}${subject === undefined ? "" : `: ${subject}`}${quick ? " (quick)" : ""}

${cpu}, ${cores} cores, ${memoryGib} GiB, ${os}; Deno ${deno} (V8 ${v8}), kube-apiserver ${kubernetes}, iofog-operator
${operator} (${program}). Load average ${load[0].toFixed(2)} before, ${load[1].toFixed(2)} after.

${renderTable(rows)}
${notes.map((note) => `- ${note}\n`).join("")}`;
}

function cellsOf(row: Row): string[] {
  const { what, unit, figures, floor, aim } = row;
  const show = (value: number | undefined) =>
    value === undefined
      ? ""
      : `${unit === "ms" && value >= 10 ? value.toFixed(0) : value.toFixed(1)} ${unit}`.trim();
  const times = ratio(row);
  const reached = isReached(row);
  return [
    what,
    String(figures.count),
    show(figures.p50),
    show(figures.p95),
    show(floor?.p50),
    show(floor?.p95),
    times === undefined ? "" : times.toFixed(2),
    aim === undefined ? "" : "below" in aim ? `< ${aim.below} ${unit}` : `<= ${aim.timesFloor}x floor`,
    reached === undefined ? "" : reached ? "ok" : "MISSED",
  ];
}
