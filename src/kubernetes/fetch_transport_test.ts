import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../clock.ts";
import { ConfigError, type ConnectionConfig } from "./connection_config.ts";
import { ApiError } from "./errors.ts";
import { createFetchTransport, type FetchTransportOptions, type RequestRecord } from "./fetch_transport.ts";
import { settle, VirtualClock } from "../../tests/virtual_clock.ts";
import type { Transport } from "./transport.ts";

type Handler = (request: Request) => Response | Promise<Response>;

/** Runs `test` with a transport to a server on this machine that answers with `handler`. */
async function withServer(
  handler: Handler,
  test: (transport: Transport, origin: string) => Promise<void>,
  options: FetchTransportOptions & { readonly credentials?: ConnectionConfig["credentials"] } = {},
): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  const origin = `http://127.0.0.1:${server.addr.port}`;
  const config = { server: `${origin}/`, source: "test", credentials: () => Promise.resolve({}), ...options };
  const transport = createFetchTransport(config, options);
  try {
    await test(transport, origin);
  } finally {
    transport.close?.();
    await server.shutdown();
  }
}

function getJson(
  transport: Transport,
  path = "/api/v1/namespaces/x/pods/a",
  deadlineMs?: number,
): Promise<unknown> {
  return transport.performRequest({ method: "GET", path, expectJson: true, deadlineMs });
}

/** Answers `text`, and never closes when `open`. */
function trickling(text: string): Response {
  return new Response(
    new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(text)) }),
  );
}

Deno.test("performRequest() sends method, query, body and headers, and returns the JSON", async () => {
  const handler = async (request: Request) => {
    const { headers, method, url } = request;
    return Response.json({
      request: `${method} ${new URL(url).pathname}${new URL(url).search}`,
      headers: ["accept", "authorization", "content-type", "user-agent"].map((name) => headers.get(name)),
      body: await request.json(),
    });
  };
  const records: RequestRecord[] = [];
  const options = {
    userAgent: "iofog-operator/1.2.3",
    credentials: () => Promise.resolve({ authorization: "Bearer t" }),
    onRequest: (record: RequestRecord) => records.push(record),
  };
  await withServer(handler, async (transport, origin) => {
    const answer = await transport.performRequest({
      method: "PATCH",
      path: "/x",
      querystring: new URLSearchParams({ force: "true" }),
      bodyJson: { a: 1 },
      contentType: "application/apply-patch+yaml",
      accept: "application/json;as=Table",
      expectJson: true,
    });
    assertEquals(answer, {
      request: "PATCH /x?force=true",
      headers: [
        "application/json;as=Table",
        "Bearer t",
        "application/apply-patch+yaml",
        "iofog-operator/1.2.3",
      ],
      body: { a: 1 },
    });
    const host = new URL(origin).host;
    assertEquals(records.map((record) => ({ ...record, durationMs: 0 })), [
      { method: "PATCH", host, status: 200, durationMs: 0 },
    ]);
  }, options);
});

Deno.test("performRequest() returns text where no JSON is expected", async () => {
  await withServer(() => new Response("ok"), async (transport) => {
    assertEquals(await transport.performRequest({ method: "GET", path: "/readyz" }), "ok");
  });
});

const audited = { "audit-id": "1" };
const date = "Wed, 21 Oct 2026 07:28:00 GMT";
const later = "Wed, 21 Oct 2026 07:28:07 GMT";
const refusals: readonly (readonly [string, () => Response, Partial<ApiError>])[] = [
  [
    "a Status with retryAfterSeconds",
    () =>
      Response.json({
        kind: "Status",
        code: 429,
        reason: "TooManyRequests",
        details: { retryAfterSeconds: 3 },
      }, {
        status: 429,
      }),
    { status: 429, reason: "TooManyRequests", retryAfterMs: 3000 },
  ],
  [
    "Retry-After in seconds",
    () => new Response("Too many requests", { status: 429, headers: { "retry-after": "1", ...audited } }),
    { status: 429, reason: "TooManyRequests", retryAfterMs: 1000 },
  ],
  [
    "Retry-After as a date",
    () => new Response("", { status: 503, headers: { "retry-after": later, date } }),
    { status: 503, reason: "ServiceUnavailable", retryAfterMs: 7000 },
  ],
  [
    "Retry-After that is neither",
    () => new Response("", { status: 503, headers: { "retry-after": "soon" } }),
    { status: 503, reason: "ServiceUnavailable", retryAfterMs: undefined },
  ],
  [
    "the API server's own plain 404",
    () => new Response("404 page not found", { status: 404, headers: audited }),
    { status: 404, reason: "NotFound" },
  ],
  [
    "somebody else's 404",
    () => new Response("<html>hunter2", { status: 404, headers: { "content-type": "text/html" } }),
    { status: 0, reason: "BadResponse" },
  ],
  ["a gateway's 502", () => new Response("<html>hunter2", { status: 502 }), {
    status: 502,
    reason: "InternalError",
  }],
  [
    "a redirect",
    () => new Response(null, { status: 302, headers: { location: "http://127.0.0.1:9/login" } }),
    { status: 0, reason: "BadResponse" },
  ],
  ["HTML for JSON", () => new Response("<html>hunter2"), { status: 0, reason: "BadResponse" }],
  ["JSON that was cut off", () => new Response('{"data":{"a":"hunter2'), {
    status: 0,
    reason: "BadResponse",
  }],
  ["nothing at all", () => new Response(null), { status: 0, reason: "BadResponse" }],
];

for (const [what, answer, expected] of refusals) {
  Deno.test(`performRequest() turns ${what} into an ApiError`, async () => {
    await withServer(answer, async (transport) => {
      const error = await assertRejects(() => getJson(transport), ApiError);
      const { reason, retryAfterMs, status } = error;
      assertEquals({ reason, retryAfterMs, status }, { retryAfterMs: undefined, ...expected });
      assert(error.message.startsWith("GET /api/v1/namespaces/x/pods/a: "));
      assert(!`${error.message}${error.stack}`.includes("hunter2"));
    });
  });
}

Deno.test("performRequest() never shows what a Secret holds", async () => {
  const message = 'Secret "s" is invalid: data: Invalid value: "hunter2"';
  const status = {
    kind: "Status",
    code: 422,
    reason: "Invalid",
    message,
    details: { causes: [{ field: "data", message }] },
  };
  await withServer(() => Response.json(status, { status: 422 }), async (transport) => {
    const error = await assertRejects(
      () =>
        transport.performRequest({
          method: "PUT",
          path: "/api/v1/namespaces/x/secrets/s",
          bodyJson: { data: { a: "hunter2" } },
          expectJson: true,
        }),
      ApiError,
    );
    assertEquals(error.message, "PUT /api/v1/namespaces/x/secrets/s: 422 Invalid: data");
    assert(!Deno.inspect(error).includes("hunter2"));
  });
});

Deno.test("F16 performRequest() gives up at its deadline, before headers and within a body", async () => {
  const late = Promise.withResolvers<Response>();
  const handlers: Handler[] = [() => late.promise, () => trickling('{"a":')];
  for (const handler of handlers) {
    await withServer(handler, async (transport) => {
      const error = await assertRejects(() => getJson(transport, "/x", 50), ApiError);
      assertEquals([error.status, error.reason], [0, "DeadlineExceeded"]);
      late.resolve(new Response());
    });
  }
});

Deno.test("performRequest() throws Unreachable when the connection breaks within a body", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    const connection = await listener.accept();
    await connection.read(new Uint8Array(4096));
    await connection.write(
      new TextEncoder().encode('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"a":"hunter2'),
    );
    connection.close();
    listener.close();
  })();
  const server = `http://127.0.0.1:${listener.addr.port}`;
  const transport = createFetchTransport({ server, source: "test", credentials: () => Promise.resolve({}) });
  const error = await assertRejects(() => getJson(transport), ApiError);
  assertEquals([error.status, error.reason], [0, "Unreachable"]);
  assert(!Deno.inspect(error).includes("hunter2"));
  await served;
  transport.close?.();
});

Deno.test("performRequest() gives up at its deadline while credentials are awaited", async () => {
  const clock = new VirtualClock();
  const credentials = () => new Promise<never>(() => {});
  const transport = createFetchTransport({ server: "http://127.0.0.1:9999", source: "test", credentials }, {
    clock,
  });
  const request = assertRejects(() => getJson(transport), ApiError, "within 30000 ms");
  await settle();
  await clock.advance(30_000);
  await request;
  assertEquals(clock.sleepers, 0);
});

Deno.test("performRequest() stops when the caller aborts, at once when it already has", async () => {
  const controller = new AbortController();
  const handler = () => {
    controller.abort();
    return trickling("{");
  };
  await withServer(handler, async (transport) => {
    const request = { method: "GET", path: "/x", expectJson: true, abortSignal: controller.signal } as const;
    for (let i = 0; i < 2; i++) {
      const error = await assertRejects(() => transport.performRequest(request), ApiError);
      assertEquals(error.reason, "Aborted");
    }
  });
});

Deno.test("F43 performRequest() keeps the number of requests under way bounded, streams apart", async () => {
  let underWay = 0;
  let most = 0;
  const handler = async (request: Request) => {
    if (request.url.endsWith("/watch")) return trickling("x");
    most = Math.max(most, ++underWay);
    await settle();
    underWay--;
    return Response.json({});
  };
  await withServer(handler, async (transport) => {
    const streams: ReadableStream<Uint8Array>[] = [];
    for (let i = 0; i < 4; i++) {
      streams.push(await transport.performRequest({ method: "GET", path: "/watch", expectStream: true }));
    }
    await Promise.all(Array.from({ length: 20 }, () => getJson(transport, "/x")));
    assertEquals(most, 3);
    for (const stream of streams) await stream.cancel();
  }, { concurrency: 3 });
});

Deno.test("F14 F20 performRequest() lets what is urgent pass while every slot is taken", async () => {
  const slow = Promise.withResolvers<Response>();
  const handler = (request: Request) =>
    request.url.includes("leases")
      ? Response.json({ lease: true })
      : slow.promise.then((each) => each.clone());
  await withServer(handler, async (transport) => {
    const others = [1, 2, 3].map(() => getJson(transport, "/x"));
    const path = "/apis/coordination.k8s.io/v1/namespaces/x/leases/a";
    const request = { method: "GET", path, expectJson: true, urgent: true } as const;
    assertEquals(await transport.performRequest(request), { lease: true });
    slow.resolve(Response.json({}));
    await Promise.all(others);
  }, { concurrency: 1 });
});

Deno.test("F43 performRequest() gets every slot back from what never answers", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open: Deno.Conn[] = [];
  // Takes connections and says nothing: neither a handshake nor an answer comes.
  const accepting = (async () => {
    for await (const connection of silent) open.push(connection);
  })();
  const deadline = { reason: "DeadlineExceeded" };
  const cases = [
    [`http://127.0.0.1:${silent.addr.port}`, deadline],
    [`https://127.0.0.1:${silent.addr.port}`, deadline],
    ["https://no-such-host.invalid:6443", { reason: "Unreachable" }],
  ] as const;
  for (const [server, { reason }] of cases) {
    const config = { server, source: "test", credentials: () => Promise.resolve({}) };
    const transport = createFetchTransport(config, { concurrency: 4 });
    // Three times as many as there are slots: those that wait for one have the same deadline.
    const failed = () => assertRejects(() => getJson(transport, "/x", 200), ApiError);
    for (const error of await Promise.all(Array.from({ length: 12 }, failed))) {
      const isNameUnknown = reason === "Unreachable" && error.reason === "DeadlineExceeded";
      assert(error.reason === reason || isNameUnknown, `${server}: ${error.message}`);
      assert(error.message.includes(new URL(server).host.replace(/:.*/, "")), error.message);
    }
    const startedAt = performance.now();
    await failed();
    assert(performance.now() - startedAt < 2_000, `${server}: the slots are gone`);
    transport.close?.();
  }
  silent.close();
  await accepting;
  for (const connection of open) connection.close();
});

Deno.test("performRequest() gives its slot back after an error", async () => {
  await withServer(() => new Response("", { status: 500 }), async (transport) => {
    for (let i = 0; i < 3; i++) await assertRejects(() => getJson(transport), ApiError);
  }, { concurrency: 1 });
});

Deno.test("performRequest() applies the deadline to a stream only until its headers", async () => {
  const clock = new VirtualClock();
  await withServer(() => trickling("hello"), async (transport) => {
    const controller = new AbortController();
    const stream = await transport.performRequest({
      method: "GET",
      path: "/x",
      expectStream: true,
      abortSignal: controller.signal,
    });
    assertEquals(clock.sleepers, 0);
    await clock.advance(1_000_000);
    const reader = stream.getReader();
    assertEquals(new TextDecoder().decode((await reader.read()).value), "hello");
    controller.abort();
    const error = await assertRejects(() => reader.read(), ApiError);
    assertEquals(error.reason, "Aborted");
  }, { clock });
});

Deno.test("performRequest() ends a stream whose server closed it", async () => {
  await withServer(() => new Response("all of it"), async (transport) => {
    const stream = await transport.performRequest({ method: "GET", path: "/x", expectStream: true });
    assertEquals(await new Response(stream).text(), "all of it");
  });
});

Deno.test("F17 performRequest() reads the token again on 401 and tries once more", async () => {
  const rejections: boolean[] = [];
  const credentials: ConnectionConfig["credentials"] = ({ rejected }) => {
    rejections.push(rejected);
    return Promise.resolve({ authorization: rejected ? "Bearer new" : "Bearer old" });
  };
  const handler = (request: Request) =>
    request.headers.get("authorization") === "Bearer new"
      ? Response.json({ fine: true })
      : Response.json({ kind: "Status", code: 401, reason: "Unauthorized" }, { status: 401 });
  await withServer(handler, async (transport) => {
    const answers = await Promise.all([1, 2, 3].map(() => getJson(transport)));
    assertEquals(answers, [{ fine: true }, { fine: true }, { fine: true }]);
    await getJson(transport);
    assertEquals(rejections.filter((rejected) => rejected).length, 1);
  }, { credentials });
});

Deno.test("performRequest() reports a 401 that stays, and one without other credentials", async () => {
  let sent = 0;
  const handler = () => {
    sent++;
    return Response.json({ kind: "Status", code: 401, reason: "Unauthorized" }, { status: 401 });
  };
  const failing: ConnectionConfig["credentials"] = ({ rejected }) =>
    rejected ? Promise.reject(new ConfigError("tokenFile: gone")) : Promise.resolve({});
  for (const [credentials, requests] of [[undefined, 2], [failing, 1]] as const) {
    sent = 0;
    await withServer(handler, async (transport) => {
      const error = await assertRejects(() => getJson(transport), ApiError);
      assertEquals([error.status, sent], [401, requests]);
      assertEquals(error.message.includes("tokenFile: gone"), credentials !== undefined);
    }, credentials === undefined ? {} : { credentials });
  }
});

Deno.test("performRequest() reads credentials again after a minute, and keeps the old ones when that fails", async () => {
  const clock: VirtualClock & Clock = new VirtualClock();
  // The network needs the real time for its deadline.
  clock.sleep = (ms, signal) => systemClock.sleep(ms, signal);
  let reads = 0;
  const credentials = () => {
    if (++reads === 2) return Promise.reject(new ConfigError("being rotated"));
    return Promise.resolve({ authorization: `Bearer ${reads}` });
  };
  const handler = (request: Request) => Response.json(request.headers.get("authorization"));
  await withServer(handler, async (transport) => {
    const seen = [];
    for (const ms of [0, 59_000, 2_000, 61_000]) {
      await clock.advance(ms);
      seen.push(await getJson(transport));
    }
    assertEquals(seen, ["Bearer 1", "Bearer 1", "Bearer 1", "Bearer 3"]);
  }, { clock, credentials });
});

Deno.test("performRequest() throws ConfigError when credentials were never readable", async () => {
  const credentials = () => Promise.reject(new ConfigError("token: missing"));
  await withServer(() => new Response(), async (transport) => {
    await assertRejects(() => getJson(transport), ConfigError, "token: missing");
  }, { credentials });
});

Deno.test("performRequest() says what to do when nothing listens, and on close()", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  const transport = createFetchTransport({ server, source: "test", credentials: () => Promise.resolve({}) });
  const error = await assertRejects(() => getJson(transport), ApiError);
  assertEquals([error.status, error.reason, error.retryable], [0, "Unreachable", true]);
  assert(
    error.message.includes(`cannot use ${server}: connection refused; check that it runs`),
    error.message,
  );
  transport.close?.();
  await assertRejects(() => getJson(transport), ApiError, "closed");
});

Deno.test("close() aborts requests under way", async () => {
  const arrived = Promise.withResolvers<void>();
  const handler = () => {
    arrived.resolve();
    return trickling("{");
  };
  await withServer(handler, async (transport) => {
    const request = assertRejects(() => getJson(transport), ApiError, "closed");
    await arrived.promise;
    transport.close?.();
    await request;
  });
});

Deno.test("F14 performRequest() has fewer requests under way after a 429, and as many as before in the end", async () => {
  let [busy, most, refuse] = [0, 0, true];
  await withServer(async () => {
    most = Math.max(most, ++busy);
    await new Promise((resolve) => setTimeout(resolve, 2));
    busy--;
    return refuse ? new Response("too many", { status: 429, headers: audited }) : Response.json({});
  }, async (transport) => {
    const burst = async (count: number) => {
      most = 0;
      const get = { method: "GET", path: "/", expectJson: true } as const;
      await Promise.allSettled(Array.from({ length: count }, () => transport.performRequest(get)));
      return most;
    };
    assertEquals(await burst(40), 16);
    refuse = false;
    const after = await burst(10);
    assert(after < 8, `${after} at once`);
    await burst(400);
    assertEquals(await burst(40), 16);
  });
});
