/**
 * The flags and environment variables of every command, in one table: parsing, help and the README go by it.
 *
 * A flag may also be written with one dash, as Go's flags may, since people carry over what they gave to the Go
 * operator.
 */

import { parseArgs } from "@std/cli";
import * as z from "zod";
import { LOG_FORMATS, LOG_LEVELS } from "../telemetry/log.ts";

/** Milliseconds from `30s`, `5m`, `1h`, `500ms`. */
const duration = z.string().transform((text, context) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match?.[2] ?? ""];
  if (match === null || unit === undefined) {
    context.addIssue({ code: "custom", message: "must be a duration such as 30s or 5m" });
    return z.NEVER;
  }
  return Number(match[1]) * unit;
});

const httpUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.search === "";
}, { error: "must be an http or https address such as http://127.0.0.1:51121" });

function oneOf<const T extends string>(values: readonly T[]) {
  return z.enum(values, { error: `must be one of ${values.join(", ")}` });
}

/** What the flags give, defaults included. */
export const flagsSchema = z.object({
  "kubeconfig": z.string().optional(),
  "context": z.string().optional(),
  "namespace": z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "must be the name of a namespace")
    .optional(),
  "controller-url": httpUrl.optional(),
  "resync-interval": duration.refine((ms) => ms >= 1_000, { error: "must be at least 1s" }),
  "metrics-addr": z.string(),
  "health-addr": z.string(),
  "log-level": oneOf(LOG_LEVELS),
  "log-format": oneOf([...LOG_FORMATS, "auto"]),
  "enable-leader-election": z.boolean(),
  "output": oneOf(["text", "json", "yaml"]),
  "filename": z.string().optional(),
  "help": z.boolean(),
  "version": z.boolean(),
});
export type Flags = z.infer<typeof flagsSchema>;

/** A flag as help and README show it. */
export interface FlagHelp {
  readonly name: keyof Flags;
  readonly alias?: string;
  /** Placeholder of the value; a flag without one is a switch. */
  readonly value?: string;
  /** Environment variable that gives the default. */
  readonly variable?: string;
  readonly default?: string;
  readonly text: string;
}

/** Every flag. */
export const flagTable: readonly FlagHelp[] = [
  {
    name: "kubeconfig",
    value: "FILE",
    variable: "KUBECONFIG",
    text: "kubeconfig to use; in a pod its service account is used instead",
  },
  { name: "context", value: "NAME", text: "context of the kubeconfig; else its current one" },
  {
    name: "namespace",
    alias: "n",
    value: "NAME",
    variable: "WATCH_NAMESPACE",
    text: "namespace to manage; else the pod's, else the context's",
  },
  {
    name: "controller-url",
    value: "URL",
    variable: "CONTROLLER_URL",
    text:
      "where the ioFog Controller is reached; else its Service in the cluster, or its address outside of it",
  },
  {
    name: "resync-interval",
    value: "DURATION",
    default: "30s",
    text: "time between two looks at every custom resource",
  },
  {
    name: "metrics-addr",
    value: "ADDR",
    // 60000 is what iofogctl declares as the port `metrics` of the operator's pod.
    default: ":8080,:60000",
    text: "addresses of /metrics, as host:port,host:port; 0 for none",
  },
  {
    name: "health-addr",
    value: "ADDR",
    default: ":8081",
    text: "address of /healthz and /readyz, as host:port; 0 for none",
  },
  { name: "log-level", value: "LEVEL", default: "info", text: `one of ${LOG_LEVELS.join(", ")}` },
  {
    name: "log-format",
    value: "FORMAT",
    default: "auto",
    text: "json, text, or auto: text on a terminal, else json",
  },
  { name: "output", alias: "o", value: "FORMAT", default: "text", text: "of status: text, json or yaml" },
  { name: "filename", alias: "f", value: "FILE", text: "of convert: a file of iofogctl or potctl" },
  { name: "enable-leader-election", text: "accepted for compatibility: a Lease is always used" },
  { name: "help", alias: "h", text: "show help" },
  { name: "version", text: "show the version" },
];

/** The command line cannot be understood; the message is one line that says what to do. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A parsed command line. */
export interface CommandLine {
  readonly words: readonly string[];
  readonly flags: Flags;
}

/**
 * Reads a command line.
 *
 * @param variable Reads an environment variable.
 * @throws UsageError
 */
export function parseCommandLine(
  args: readonly string[],
  variable: (name: string) => string | undefined,
): CommandLine {
  const switches = flagTable.filter((flag) => flag.value === undefined);
  const valued = flagTable.filter((flag) => flag.value !== undefined);
  const unknown: string[] = [];
  const parsed = parseArgs(args.map(inLongForm), {
    boolean: switches.map((flag) => flag.name),
    string: valued.map((flag) => flag.name),
    alias: Object.fromEntries(
      flagTable.flatMap((flag) => flag.alias === undefined ? [] : [[flag.alias, flag.name]]),
    ),
    unknown: (argument: string, key?: string) => {
      if (key !== undefined) unknown.push(argument);
      return key === undefined;
    },
  }) as Record<string, unknown> & { _: (string | number)[] };
  if (unknown.length > 0) throw new UsageError(`unknown flag ${unknown[0]}: see iofog-operator --help`);
  const fromVariable = (flag: FlagHelp) =>
    // A kubeconfig variable may name several files: `kubernetes/` reads it.
    flag.variable === undefined || flag.name === "kubeconfig"
      ? undefined
      : variable(flag.variable) || undefined;
  const given = Object.fromEntries(flagTable.map((flag) => {
    const value = parsed[flag.name];
    if (flag.value === undefined) return [flag.name, value === true];
    if (value === "") throw new UsageError(`--${flag.name} needs a value (${flag.value})`);
    return [flag.name, value ?? fromVariable(flag) ?? flag.default];
  }));
  const result = flagsSchema.safeParse(given);
  if (!result.success) {
    const [issue] = result.error.issues;
    const flag = flagTable.find(({ name }) => name === issue?.path[0]);
    const isGiven = parsed[flag?.name ?? ""] !== undefined;
    throw new UsageError(`${isGiven ? `--${flag?.name}` : flag?.variable}: ${issue?.message}`);
  }
  return { words: parsed._.map(String), flags: result.data };
}

/** `-metrics-addr=x`, as Go's flags may be written, and `-ojson`, as kubectl's may. */
function inLongForm(argument: string): string {
  const name = /^-([a-z-]+)/.exec(argument)?.[1];
  if (flagTable.some((flag) => flag.name === name)) return `-${argument}`;
  const short = flagTable.find((flag) =>
    flag.alias !== undefined && flag.value !== undefined &&
    argument.startsWith(`-${flag.alias}`) && /^[^=]/.test(argument.slice(2))
  );
  return short === undefined ? argument : `--${short.name}=${argument.slice(2)}`;
}
