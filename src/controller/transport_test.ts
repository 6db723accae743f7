import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Clock, systemClock } from "../clock.ts";
import { ControllerError } from "./errors.ts";
import {
  type ControllerRequestRecord,
  type ControllerTransport,
  type ControllerTransportOptions,
  createControllerTransport,
  type FetchFunction,
} from "./transport.ts";

const baseUrl = "http://controller.example:51121";

function answering(body: unknown = {}, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
}

/** Waits for an abort, as fetch does. */
function hanging(signal: AbortSignal | null | undefined): Promise<Response> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason));
  });
}

async function using(
  options: Partial<ControllerTransportOptions> & { readonly fetch: FetchFunction },
  body: (transport: ControllerTransport) => Promise<void>,
): Promise<void> {
  const transport = createControllerTransport({ baseUrl, ...options });
  try {
    await body(transport);
  } finally {
    transport.close();
  }
}

/** A clock whose timers end when the test says so. */
function manualClock(): Clock & { ring(): void } {
  const ends: (() => void)[] = [];
  const sleep = (_ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve) => {
      ends.push(resolve);
      signal?.addEventListener("abort", () => resolve());
    });
  return { ...systemClock, monotonic: () => 0, sleep, ring: () => ends.forEach((end) => end()) };
}

Deno.test("performRequest() fills in the route, sends JSON and the token as they are, and follows no redirect", async () => {
  const sent: unknown[] = [];
  const fetch: FetchFunction = async (url, { method, headers, body, redirect }) => {
    const text = await new Response(body ?? null).text();
    sent.push({ url, method, headers: [...new Headers(headers)], body: text, redirect });
    return answering({ done: true });
  };
  await using({ baseUrl: `${baseUrl}/api/v3/`, fetch }, async (transport) => {
    const answer = await transport.performRequest({
      method: "PUT",
      route: "/config/:key",
      parameters: { key: "a b/c" },
      bodyJson: { value: "{{ x }}", plain: 1 },
      templated: true,
      authorization: "0123",
    });
    assertEquals(answer, { done: true });
  });
  assertEquals(sent, [{
    url: "http://controller.example:51121/api/v3/config/a%20b%2Fc",
    method: "PUT",
    headers: [
      ["accept", "application/json"],
      ["authorization", "0123"],
      ["content-type", "application/json"],
      ["user-agent", "iofog-operator"],
    ],
    body: '{"value":"{{ \\"{\\" }}{ x }}","plain":1}',
    redirect: "manual",
  }]);
});

Deno.test("performRequest() says why it could not connect", async () => {
  const cause = new Error("client error (Connect): tcp connect error: Connection refused (os error 111)");
  const fetch: FetchFunction = () => Promise.reject(new TypeError("fetch failed", { cause }));
  await using({ fetch }, async (transport) => {
    const error = await assertRejects(
      () => transport.performRequest({ method: "GET", route: "/status" }),
      ControllerError,
      "GET /status: cannot use http://controller.example:51121/api/v3: connection refused",
    );
    assertEquals([error.code, error.status, error.retryable], ["Unreachable", 0, true]);
  });
});

Deno.test("performRequest() gives up at its deadline, also while it waits for its turn", async () => {
  const clock = manualClock();
  const fetch: FetchFunction = (_, { signal }) => hanging(signal);
  await using({ fetch, clock, concurrency: 1 }, async (transport) => {
    const requests = ["/router", "/status"].map((route) =>
      assertRejects(
        () => transport.performRequest({ method: "GET", route }),
        ControllerError,
        "within 10000 ms",
      )
    );
    clock.ring();
    for (const error of await Promise.all(requests)) {
      assertEquals([error.code, error.retryable], ["DeadlineExceeded", true]);
    }
  });
});

Deno.test("performRequest() ends when the caller aborts and when the transport is closed", async () => {
  const fetch: FetchFunction = (_, { signal }) => hanging(signal);
  await using({ fetch }, async (transport) => {
    const abort = new AbortController();
    const aborted = assertRejects(
      () => transport.performRequest({ method: "GET", route: "/status", abortSignal: abort.signal }),
      ControllerError,
      "GET /status: aborted",
    );
    abort.abort();
    assertEquals((await aborted).code, "Aborted");
    const closed = assertRejects(
      () => transport.performRequest({ method: "GET", route: "/status" }),
      ControllerError,
      "the client was closed",
    );
    transport.close();
    assertEquals((await closed).retryable, false);
  });
});

Deno.test("performRequest() keeps at most four requests under way and serves the rest in order", async () => {
  const started: string[] = [];
  const answers: (() => void)[] = [];
  const fetch: FetchFunction = (url) => {
    started.push(url.slice(-1));
    return new Promise((resolve) => answers.push(() => resolve(answering())));
  };
  await using({ fetch }, async (transport) => {
    const requests = [..."abcdef"].map((route) =>
      transport.performRequest({ method: "GET", route: `/${route}` })
    );
    await new Promise((resolve) => setTimeout(resolve));
    assertEquals(started, ["a", "b", "c", "d"]);
    answers[2]?.();
    await requests[2];
    await new Promise((resolve) => setTimeout(resolve));
    assertEquals(started, ["a", "b", "c", "d", "e"]);
    while (answers.length < 6) {
      answers.forEach((answer) => answer());
      await new Promise((resolve) => setTimeout(resolve));
    }
    answers.forEach((answer) => answer());
    await Promise.all(requests);
  });
});

Deno.test("performRequest() tells metrics the route, never the parameter", async () => {
  const records: ControllerRequestRecord[] = [];
  const fetch: FetchFunction = () => Promise.resolve(answering({ name: "NotFoundError", message: "x" }, 404));
  const clock = manualClock();
  await using({ fetch, clock, onRequest: (record) => records.push(record) }, async (transport) => {
    const parameters = { key: "some-key" };
    await assertRejects(() => transport.performRequest({ method: "GET", route: "/config/:key", parameters }));
  });
  assertEquals(records, [{ method: "GET", route: "/config/:key", status: 404, durationMs: 0 }]);
});

Deno.test("performRequest() refuses an empty parameter, which would be another route", async () => {
  await using({ fetch: () => Promise.resolve(answering()) }, async (transport) => {
    await assertRejects(
      () => transport.performRequest({ method: "GET", route: "/config/:key", parameters: { key: "" } }),
      TypeError,
      "key must not be empty",
    );
  });
});

Deno.test("createControllerTransport() refuses an address that is none, or that holds credentials", () => {
  for (const address of ["controller:51121", "ftp://x", "", "http://user:secret@x", "http://x?a=1"]) {
    const error = assertThrows(() => createControllerTransport({ baseUrl: address }), TypeError);
    assertEquals(error.message.includes("secret"), false);
  }
});
