/**
 * Log lines: one line each, without any secret.
 *
 * Guarantees: one call is one line; the redactor runs over the whole line; an Error in a field is its message and
 * those of its causes, never its other properties; no call throws, whatever the fields hold or the sink does.
 *
 * Not on LogTape: its configuration is one registry per process, so that two operators in one process (tests, users of
 * `mod.ts`) would share sinks and levels, and it reads the time from `Date` and not from the `Clock`.
 */

import type { Clock } from "../clock.ts";
import type { Redactor } from "./redaction.ts";

/** In rising order of importance. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `text` is for a terminal, `json` for a log collector. */
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What a line says beside its message; the field `logger` names the part of the program that speaks. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes log lines. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to each of its lines. */
  with(fields: LogFields): Logger;
}

/** What a logger needs. */
export interface LoggerOptions {
  /** The least important level that is written. */
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Takes one line without its line break. */
  readonly write: (line: string) => void;
  readonly redactor: Pick<Redactor, "clean">;
  readonly clock: Pick<Clock, "now">;
}

/** A logger that writes every line to `options.write`. */
export function createLogger(options: LoggerOptions): Logger {
  return loggerWith(options, {});
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLogger,
};

/** The message of an error and of what caused it, joined by colons; what is not an Error is shortly named. */
export function errorText(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current !== undefined && current !== null; depth++) {
    const text = oneErrorText(current);
    // A wrapper often repeats what it wraps.
    if (!parts.some((part) => part.includes(text))) parts.push(text);
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.length === 0 ? "unknown error" : parts.join(": ");
}

function oneErrorText(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    const inner = error.errors.map((each) => each instanceof Error ? each.message : typeof each).join("; ");
    return error.message === "" ? inner : `${error.message} (${inner})`;
  }
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  return typeof error === "string" ? error : `a thrown ${typeof error}`;
}

function loggerWith(options: LoggerOptions, bound: LogFields): Logger {
  const threshold = LOG_LEVELS.indexOf(options.level);
  const logAt = (level: LogLevel) => (message: string, fields: LogFields = {}) => {
    if (LOG_LEVELS.indexOf(level) < threshold) return;
    try {
      const plain = plainFields({ ...bound, ...fields });
      const render = options.format === "json" ? jsonLine : textLine;
      // Also before anything is escaped, since a line mixes texts that are and texts that are not.
      const line = render(options.clock.now(), level, options.redactor.clean(message), plain);
      options.write(options.redactor.clean(oneLine(line)));
    } catch {
      // A log that cannot be written is no reason to stop working.
    }
  };
  return {
    debug: logAt("debug"),
    info: logAt("info"),
    warn: logAt("warn"),
    error: logAt("error"),
    with: (fields) => loggerWith(options, { ...bound, ...fields }),
  };
}

function jsonLine(now: number, level: LogLevel, message: string, fields: Record<string, unknown>): string {
  const { logger, ...rest } = fields;
  const fixed = ["time", "level", "message"];
  // A field must not stand in for one of the fixed ones.
  const renamed = Object.entries(rest).map(([key, value]) => [fixed.includes(key) ? `${key}_` : key, value]);
  return JSON.stringify({
    time: new Date(now).toISOString(),
    level,
    ...(logger === undefined ? {} : { logger }),
    message,
    ...Object.fromEntries(renamed),
  });
}

/** `2025-11-21T10:02:03.004Z info  engine: message {"field":1}`; the words of the levels are in lower case. */
function textLine(now: number, level: LogLevel, message: string, fields: Record<string, unknown>): string {
  const { logger, ...rest } = fields;
  const who = logger === undefined ? "" : `${String(logger)}: `;
  const tail = Object.keys(rest).length === 0 ? "" : ` ${JSON.stringify(rest)}`;
  return `${new Date(now).toISOString()} ${level.padEnd(5)} ${who}${message}${tail}`;
}

/** Line breaks and other control characters escaped: they could forge a line, or drive a terminal. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\r") return "\\r";
    if (character === "\t") return "\\t";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

const MAX_DEPTH = 5;

function plainFields(fields: LogFields): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    const rendered = plainValue(value, 0);
    if (rendered !== undefined) plain[key] = rendered;
  }
  return plain;
}

/** What JSON can hold of `value`; undefined where there is nothing to say. */
function plainValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
      return value.toString();
    case "undefined":
    case "function":
    case "symbol":
      return undefined;
    case "object":
      return value === null ? null : plainObject(value, depth);
  }
}

function plainObject(value: object, depth: number): unknown {
  if (value instanceof Error) return errorText(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString();
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `${value.byteLength} bytes`;
  // Also ends what refers to itself.
  if (depth >= MAX_DEPTH) return "...";
  if (value instanceof Map) return plainObject(Object.fromEntries(value), depth);
  if (value instanceof Set) return plainObject([...value], depth);
  if (Array.isArray(value)) return value.map((each) => plainValue(each, depth + 1) ?? null);
  const plain: Record<string, unknown> = {};
  for (const [key, each] of Object.entries(value)) {
    const rendered = plainValue(each, depth + 1);
    if (rendered !== undefined) plain[key] = rendered;
  }
  return plain;
}
