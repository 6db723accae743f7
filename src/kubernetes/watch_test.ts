import { assertEquals, assertRejects } from "@std/assert";
import { ApiError } from "./errors.ts";
import { settle, VirtualClock } from "../../tests/virtual_clock.ts";
import { streamOf } from "./testing.ts";
import { type WatchEvent, watchEvents } from "./watch.ts";

const subject = "WATCH /api/v1/namespaces/x/secrets";

function event(name: string): string {
  return `{"type":"MODIFIED","object":{"metadata":{"name":"${name}"}}}\n`;
}

function read(
  chunks: readonly (string | Uint8Array)[],
  stream: { readonly open?: boolean } = {},
  clock = new VirtualClock(),
): Promise<WatchEvent[]> {
  return Array.fromAsync(watchEvents(streamOf(chunks, stream), subject, 1000, clock));
}

function names(events: readonly WatchEvent[]): (string | undefined)[] {
  return events.map((one) => one.type === "BOOKMARK" ? "" : one.object.metadata?.name);
}

Deno.test("watchEvents() puts events together that arrive in pieces, within a character too", async () => {
  const bytes = new TextEncoder().encode(`${event("é")}\n${event("b")}`);
  const events = await read([...bytes].map((byte) => Uint8Array.of(byte)));
  assertEquals(names(events), ["é", "b"]);
});

Deno.test("watchEvents() throws an ERROR event as the server's status", async () => {
  const status = { kind: "Status", code: 410, reason: "Expired", message: "too old" };
  const line = JSON.stringify({ type: "ERROR", object: status });
  const error = await assertRejects(() => read([line]), ApiError);
  assertEquals([error.status, error.reason], [410, "Expired"]);
  const nameless = await assertRejects(() => read(['{"type":"ERROR","object":{}}']), ApiError);
  assertEquals([nameless.status, nameless.retryable], [500, true]);
});

Deno.test("F09 watchEvents() throws BadResponse for what is no event, without quoting it", async () => {
  const lines = [
    "hunter2\n",
    '{"type":"ADDED","object":{"data":"hunter2',
    '{"type":"hunter2","object":{}}\n',
    "[]\n",
  ];
  for (const line of [...lines, '{"type":"BOOKMARK","object":{"metadata":{}}}\n']) {
    const error = await assertRejects(() => read([line]), ApiError);
    assertEquals(error.reason, "BadResponse");
    assertEquals(`${error.message}${error.cause}${error.stack}`.includes("hunter2"), false);
  }
});

Deno.test("watchEvents() ends after silence, and a trickle of bytes is silence", async () => {
  const clock = new VirtualClock();
  let send = (_: string) => {};
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      send = (text) => controller.enqueue(new TextEncoder().encode(text));
    },
    cancel: () => {
      cancelled = true;
    },
  });
  const events = Array.fromAsync(watchEvents(stream, subject, 1000, clock));
  await settle();
  await clock.advance(900);
  send(event("a"));
  await settle();
  await clock.advance(900);
  send('{"type":');
  await settle();
  assertEquals(cancelled, false);
  await clock.advance(100);
  assertEquals(names(await events), ["a"]);
  assertEquals([cancelled, clock.sleepers], [true, 0]);
});

Deno.test("watchEvents() does not count the time that its consumer takes", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  for await (const one of watchEvents(streamOf([event("a"), event("b")]), subject, 1000, clock)) {
    seen.push(one.type);
    await clock.advance(5000);
  }
  assertEquals([seen.length, clock.sleepers], [2, 0]);
});

Deno.test("watchEvents() throws Unreachable when the connection breaks", async () => {
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.error(new TypeError("reset")),
  });
  const events = watchEvents(stream, subject, 1000, new VirtualClock());
  const error = await assertRejects(() => Array.fromAsync(events), ApiError);
  assertEquals(error.reason, "Unreachable");
});
