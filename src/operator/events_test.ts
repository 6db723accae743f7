import { assertEquals } from "@std/assert";
import { KubernetesClient } from "../kubernetes/client.ts";
import { Event } from "../kubernetes/generated/core_v1.ts";
import { intercept, type RequestHook } from "../kubernetes/intercept.ts";
import { MemoryApi, refusal } from "../../tests/memory_transport.ts";
import { settle, VirtualClock } from "../../tests/virtual_clock.ts";
import { EventRecorder } from "./events.ts";
import { Widget, widget } from "./fixtures.ts";

const w = widget();
const hourMs = 3_600_000;

/** A recorder, and the API server that it writes to; `hook` may break requests. */
function recording(hook: RequestHook = (_, proceed) => proceed()) {
  const clock = new VirtualClock();
  const api = new MemoryApi(clock, [Event]);
  const said: string[] = [];
  const recorder = new EventRecorder({
    client: new KubernetesClient(intercept(api, hook), clock),
    clock,
    component: "widget-operator",
    clean: (text) => text.replaceAll("secret", "***"),
    onForbidden: () => said.push("forbidden"),
  });
  const record = (message: string, parent = w) =>
    recorder.record(Widget, parent, "Normal", "Created", message);
  /** The Events as they are, in short. */
  const events = () => api.all(Event).map(({ count, message }) => `${count} ${message}`);
  return { api, clock, events, record, recorder, said };
}

Deno.test("EventRecorder writes an Event that names the object, without secrets", async () => {
  const { api, record, recorder } = recording();
  record("made the secret");
  await recorder.flush();
  const [event] = api.all(Event);
  const time = "2025-01-01T00:00:00Z";
  assertEquals(
    { ...event, metadata: event?.metadata?.name },
    {
      apiVersion: "v1",
      kind: "Event",
      metadata: "w.00000001-0000",
      involvedObject: {
        apiVersion: "example.org/v1",
        kind: "Widget",
        namespace: "ns",
        name: "w",
        uid: "w-uid",
        resourceVersion: "1",
      },
      type: "Normal",
      reason: "Created",
      message: "made the ***",
      source: { component: "widget-operator" },
      reportingComponent: "widget-operator",
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    } as unknown as typeof event,
  );
});

Deno.test("EventRecorder writes the same news once an hour, with how often it came up", async () => {
  const { api, clock, events, record, recorder } = recording();
  for (let minute = 0; minute < 60; minute++) {
    record("again");
    await clock.advance(60_000);
  }
  assertEquals([events(), api.writes.length], [["1 again"], 1]);
  record("again");
  await recorder.flush();
  assertEquals([events(), api.writes.map(({ verb }) => verb)], [["61 again"], ["create", "patch"]]);
});

Deno.test("EventRecorder writes an Event anew that the API server has forgotten", async () => {
  const { api, clock, events, record, recorder } = recording();
  record("again");
  await recorder.flush();
  api.remove(Event, api.all(Event)[0]?.metadata?.name ?? "");
  await clock.advance(hourMs);
  record("again");
  await recorder.flush();
  assertEquals(events(), ["2 again"]);
  assertEquals(api.all(Event)[0]?.firstTimestamp, "2025-01-01T00:00:00Z");
});

Deno.test("EventRecorder says once that Events are forbidden, and tries again after an hour", async () => {
  let allowed = false;
  const { clock, events, record, recorder, said } = recording((request, proceed) => {
    if (!allowed) throw refusal(request.options, 403, "Forbidden");
    return proceed();
  });
  for (const message of ["a", "b", "c"]) record(message);
  await recorder.flush();
  await clock.advance(hourMs);
  record("d");
  await recorder.flush();
  allowed = true;
  record("e");
  await clock.advance(hourMs);
  record("d");
  await recorder.flush();
  assertEquals([said, events()], [["forbidden"], ["1 d"]]);
});

Deno.test("EventRecorder is silent in a namespace that goes away, and goes on when that ends", async () => {
  const { api, events, record, recorder, said } = recording();
  api.terminating = true;
  record("a");
  await recorder.flush();
  api.terminating = false;
  record("a");
  await recorder.flush();
  assertEquals([said, events()], [[], ["1 a"]]);
});

Deno.test("EventRecorder never delays its caller, drops what is too much, and ends in time", async () => {
  const { clock, events, record, recorder } = recording(() => new Promise(() => {}));
  for (let news = 0; news < 1_000; news++) record(`${news}`);
  const flushed = recorder.flush();
  await clock.advance(1_999);
  assertEquals(clock.sleepers, 1);
  await clock.advance(1);
  await flushed;
  assertEquals([events(), clock.sleepers], [[], 0]);
});

Deno.test("EventRecorder remembers a bounded amount of news", async () => {
  const { api, record, recorder } = recording();
  for (let news = 0; news <= 1_000; news++) {
    record(`${news}`);
    await settle();
  }
  record("1000");
  record("0");
  await recorder.flush();
  assertEquals(api.writes.length, 1_002);
});

Deno.test("EventRecorder shortens names and messages to what the API server accepts", async () => {
  const { api, record, recorder } = recording();
  record("x".repeat(2_000), widget({ name: `${"a".repeat(199)}.b` }));
  await recorder.flush();
  const [event] = api.all(Event);
  assertEquals([event?.metadata?.name, event?.message?.length], [`${"a".repeat(199)}.00000001-0000`, 1_024]);
});
