import { assertEquals, assertFalse } from "@std/assert";
import { createLogger, errorText, type LogFormat, type Logger, type LogLevel } from "./log.ts";
import { createRedactor } from "./redaction.ts";

const NOW = Date.parse("2025-11-21T10:02:03.004Z");

function loggerTo(
  lines: string[],
  format: LogFormat,
  level: LogLevel = "debug",
  secrets: string[] = [],
): Logger {
  const redactor = createRedactor();
  for (const secret of secrets) redactor.learn(secret);
  return createLogger({
    level,
    format,
    write: (line) => lines.push(line),
    redactor,
    clock: { now: () => NOW },
  });
}

Deno.test("createLogger() writes JSON with time, level, logger, message and fields in this order", () => {
  const lines: string[] = [];
  loggerTo(lines, "json").with({ logger: "engine" }).info("Starting workers", { "worker count": 1 });
  assertEquals(lines, [
    '{"time":"2025-11-21T10:02:03.004Z","level":"info","logger":"engine","message":"Starting workers","worker count":1}',
  ]);
});

Deno.test("createLogger() writes text that ends in its fields as JSON", () => {
  const lines: string[] = [];
  const logger = loggerTo(lines, "text");
  logger.with({ logger: "engine", controller: "controlplane" }).info("Starting Controller");
  logger.warn("no fields");
  assertEquals(lines, [
    '2025-11-21T10:02:03.004Z info  engine: Starting Controller {"controller":"controlplane"}',
    "2025-11-21T10:02:03.004Z warn  no fields",
  ]);
});

Deno.test("createLogger() has no level word in capitals, since the CLIs' tests look for ERROR", () => {
  for (const format of ["text", "json"] as const) {
    const lines: string[] = [];
    const logger = loggerTo(lines, format);
    for (const level of ["debug", "info", "warn", "error"] as const) logger[level]("message");
    assertEquals(lines.length, 4);
    assertEquals(lines.filter((line) => /ERROR|WARN|INFO|DEBUG/.test(line)), []);
  }
});

Deno.test("createLogger() drops what is less important than its level", () => {
  const lines: string[] = [];
  const logger = loggerTo(lines, "text", "warn").with({});
  logger.debug("a");
  logger.info("b");
  logger.warn("c");
  logger.error("d");
  assertEquals(lines.map((line) => line.slice(-1)), ["c", "d"]);
});

Deno.test("createLogger() renders an error as the messages of it and its causes, and nothing else of it", () => {
  const cause = Object.assign(new Error("connection refused"), { body: "hunter2" });
  const error = Object.assign(new Error("GET Secret x", { cause }), { request: { password: "hunter2" } });
  const lines: string[] = [];
  loggerTo(lines, "json").error("pass failed", { error, nested: { error } });
  assertEquals(JSON.parse(lines[0] ?? ""), {
    time: "2025-11-21T10:02:03.004Z",
    level: "error",
    message: "pass failed",
    error: "GET Secret x: connection refused",
    nested: { error: "GET Secret x: connection refused" },
  });
});

Deno.test("createLogger() cleans the message, the fields and their names", () => {
  for (const format of ["text", "json"] as const) {
    const lines: string[] = [];
    const secret = 'hunter"2\ttab';
    loggerTo(lines, format, "info", [secret]).info(`password ${secret}`, {
      value: secret,
      encoded: btoa(secret),
      [secret]: 1,
      url: `/x?${new URLSearchParams({ secret })}`,
      error: new Error("no", { cause: new Error(secret) }),
    });
    assertFalse(/hunter|2\\ttab|aHVudG/.test(lines[0] ?? "hunter"), lines[0]);
  }
});

Deno.test("createLogger() writes one line whatever the message holds", () => {
  for (const format of ["text", "json"] as const) {
    const lines: string[] = [];
    loggerTo(lines, format).info("first\nsecond\r\u001b[31m\u009b\u2028", { field: "a\nb\u0085c" });
    assertEquals(lines.length, 1);
    // deno-lint-ignore no-control-regex
    assertFalse(/[\u0000-\u001f\u007f-\u009f\u2028]/.test(lines[0] ?? "\n"), lines[0]);
  }
});

Deno.test("createLogger() renders values that JSON cannot hold", () => {
  const lines: string[] = [];
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  loggerTo(lines, "json").info("values", {
    big: 12n,
    bytes: new Uint8Array(3),
    date: new Date(NOW),
    fn: () => {},
    infinite: Infinity,
    list: [1, undefined, new Error("x")],
    loop,
    map: new Map([["a", 1]]),
    message: "not the message",
    missing: undefined,
    nothing: null,
    set: new Set(["b"]),
  });
  assertEquals(JSON.parse(lines[0] ?? ""), {
    time: "2025-11-21T10:02:03.004Z",
    level: "info",
    message: "values",
    big: "12",
    bytes: "3 bytes",
    date: "2025-11-21T10:02:03.004Z",
    infinite: "Infinity",
    list: [1, null, "x"],
    loop: { self: { self: { self: { self: { self: "..." } } } } },
    map: { a: 1 },
    message_: "not the message",
    nothing: null,
    set: ["b"],
  });
});

Deno.test("createLogger() does not throw when the sink or a field does", () => {
  const redactor = createRedactor();
  const clock = { now: () => NOW };
  const write = () => {
    throw new Error("no space left on device");
  };
  createLogger({ level: "info", format: "json", write, redactor, clock }).info("message");
  const hostile = {
    get field() {
      throw new Error("getter");
    },
  };
  loggerTo([], "json").info("message", hostile);
});

Deno.test("errorText() names what is not an error, and says nothing twice", () => {
  assertEquals(errorText("text"), "text");
  assertEquals(errorText({ password: "hunter2" }), "a thrown object");
  assertEquals(errorText(undefined), "unknown error");
  assertEquals(errorText(new TypeError("")), "TypeError");
  assertEquals(errorText(new Error("a: b", { cause: new Error("b") })), "a: b");
  assertEquals(errorText(new AggregateError([new Error("a"), 1], "all failed")), "all failed (a; number)");
  const loop = new Error("loop");
  loop.cause = loop;
  assertEquals(errorText(loop), "loop");
});
