import { assert, assertEquals, assertThrows } from "@std/assert";
import { systemClock } from "../clock.ts";
import {
  type HealthCheck,
  type HealthServer,
  type HealthServerOptions,
  ListenError,
  parseListenAddress,
  startHealthServer,
} from "./health.ts";
import { createRedactor } from "./redaction.ts";

function start(options: Partial<HealthServerOptions>): HealthServer {
  return startHealthServer({
    metricsAddress: "0",
    healthAddress: "0",
    live: [],
    ready: [],
    metrics: { contentType: "text/plain; version=0.0.4", text: () => Promise.resolve("metric 1\n") },
    redactor: createRedactor(),
    clock: systemClock,
    ...options,
  });
}

async function get(url: string, init?: RequestInit): Promise<[number, string]> {
  const response = await fetch(url, init);
  return [response.status, await response.text()];
}

/** A port that was free a moment ago. */
function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

Deno.test("parseListenAddress() reads every form", () => {
  const rows: [string, ReturnType<typeof parseListenAddress>][] = [
    ["", undefined],
    ["0", undefined],
    [" ", undefined],
    [":8080", { hostname: undefined, port: 8080 }],
    ["127.0.0.1:8080", { hostname: "127.0.0.1", port: 8080 }],
    ["localhost:1", { hostname: "localhost", port: 1 }],
    ["[::1]:8080", { hostname: "::1", port: 8080 }],
    ["[::]:65535", { hostname: "::", port: 65535 }],
  ];
  for (const [text, expected] of rows) {
    assertEquals(parseListenAddress(text, "--metrics-addr"), expected, text);
  }
});

Deno.test("parseListenAddress() refuses the rest in one line that names flag, value and remedy", () => {
  for (const text of ["8080", "::1:8080", ":65536", "host", "host:", "http://x:1", ":-1", "a b:1"]) {
    const error = assertThrows(() => parseListenAddress(text, "--health-addr"), ListenError);
    assertEquals(
      error.message,
      `--health-addr: "${text}" is not an address; write host:port, :port, or 0 for none`,
    );
  }
});

Deno.test("startHealthServer() answers on one shared address", async () => {
  const address = `127.0.0.1:${freePort()}`;
  const server = start({ metricsAddress: address, healthAddress: address });
  assertEquals(server.metricsUrl, `http://${address}`);
  assertEquals(server.healthUrl, `http://${address}`);
  assertEquals(await get(`http://${address}/metrics`), [200, "metric 1\n"]);
  assertEquals(await get(`http://${address}/healthz`), [200, "ok\n"]);
  assertEquals(await get(`http://${address}/readyz?verbose`), [200, "ok\n"]);
  assertEquals(await get(`http://${address}/`), [404, "not found\n"]);
  assertEquals(await get(`http://${address}/constructor`), [404, "not found\n"]);
  await server.close();
});

Deno.test("startHealthServer() keeps probes and metrics apart on two addresses", async () => {
  const server = start({ metricsAddress: "127.0.0.1:0", healthAddress: "127.0.0.1:0" });
  assertEquals((await get(`${server.metricsUrl}/metrics`))[0], 200);
  assertEquals((await get(`${server.metricsUrl}/readyz`))[0], 404);
  assertEquals((await get(`${server.healthUrl}/readyz`))[0], 200);
  assertEquals((await get(`${server.healthUrl}/metrics`))[0], 404);
  await server.close();
});

Deno.test("startHealthServer() serves metrics on several addresses, one of them shared with the probes", async () => {
  const [first, second] = [`127.0.0.1:${freePort()}`, `127.0.0.1:${freePort()}`];
  const server = start({ metricsAddress: `${first},${second}`, healthAddress: second });
  assertEquals([server.metricsUrl, server.healthUrl], [`http://${first}`, `http://${second}`]);
  for (const address of [first, second]) assertEquals((await get(`http://${address}/metrics`))[0], 200);
  assertEquals((await get(`http://${first}/healthz`))[0], 404);
  assertEquals((await get(`http://${second}/healthz`))[0], 200);
  await server.close();
});

Deno.test("startHealthServer() listens on every interface without a host", async () => {
  const server = start({ healthAddress: ":0" });
  assertEquals(server.metricsUrl, undefined);
  assertEquals(await get(`${server.healthUrl}/healthz`), [200, "ok\n"]);
  await server.close();
});

Deno.test("startHealthServer() listens on nothing when both are off", async () => {
  const server = start({});
  assertEquals([server.metricsUrl, server.healthUrl], [undefined, undefined]);
  await server.close();
});

Deno.test("/readyz says why not, as text and as JSON, without secrets", async () => {
  const redactor = createRedactor();
  redactor.learn("hunter2");
  let failure: string | undefined = "401 for\ntoken hunter2";
  const ready: HealthCheck[] = [
    { name: "kubernetes", failure: () => failure },
    { name: "lease", failure: () => undefined },
  ];
  const server = start({ healthAddress: "127.0.0.1:0", ready, redactor });
  assertEquals(await get(`${server.healthUrl}/readyz`), [
    503,
    "[-] kubernetes: 401 for token ***\n[+] lease: ok\n",
  ]);
  assertEquals(await get(`${server.healthUrl}/readyz`, { headers: { accept: "application/json" } }), [
    503,
    '{"ok":false,"checks":[{"name":"kubernetes","ok":false,"message":"401 for\\ntoken ***"},{"name":"lease","ok":true}]}\n',
  ]);
  assertEquals((await get(`${server.healthUrl}/healthz`))[0], 200);
  failure = undefined;
  assertEquals(await get(`${server.healthUrl}/readyz`), [200, "ok\n"]);
  await server.close();
});

Deno.test("startHealthServer() answers GET and HEAD only", async () => {
  const server = start({ healthAddress: "127.0.0.1:0" });
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const response = await fetch(`${server.healthUrl}/healthz`, { method });
    assertEquals([response.status, response.headers.get("allow")], [405, "GET, HEAD"]);
    await response.body?.cancel();
  }
  const response = await fetch(`${server.healthUrl}/healthz`, { method: "HEAD" });
  assertEquals([response.status, await response.text()], [200, ""]);
  await server.close();
});

Deno.test("startHealthServer() answers 500 without a stack when a check throws", async () => {
  const ready: HealthCheck[] = [{
    name: "broken",
    failure: () => {
      throw new Error("hunter2");
    },
  }];
  const server = start({ healthAddress: "127.0.0.1:0", ready });
  assertEquals(await get(`${server.healthUrl}/readyz`), [500, "internal error\n"]);
  await server.close();
});

Deno.test("startHealthServer() says in one line that a port is in use, and leaves nothing open", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const free = freePort();
  const error = assertThrows(
    () => start({ metricsAddress: `127.0.0.1:${free}`, healthAddress: `127.0.0.1:${taken.addr.port}` }),
    ListenError,
  );
  assertEquals(
    error.message,
    `--health-addr: cannot listen on 127.0.0.1:${taken.addr.port}: another process listens there; ` +
      "give another address, or 0 for none",
  );
  taken.close();
  await systemClock.sleep(50);
  const again = start({ metricsAddress: `127.0.0.1:${free}` });
  await again.close();
});

Deno.test("F45 startHealthServer() answers others while a slow client holds a connection, and closes all the same", async () => {
  const server = start({ healthAddress: "127.0.0.1:0" });
  const { hostname, port } = new URL(server.healthUrl ?? "");
  const slow = await Deno.connect({ hostname, port: Number(port) });
  await slow.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "));
  assertEquals((await get(`${server.healthUrl}/healthz`))[0], 200);
  const start_ = performance.now();
  await server.close();
  assert(performance.now() - start_ < 3_000);
  slow.close();
});

Deno.test("close() does not wait longer than its grace for an answer that never comes", async () => {
  const text = Promise.withResolvers<string>();
  const sleeps: number[] = [];
  const clock = {
    sleep: (ms: number) => {
      sleeps.push(ms);
      return Promise.resolve();
    },
  };
  const metrics = { contentType: "text/plain", text: () => text.promise };
  const server = start({ metricsAddress: "127.0.0.1:0", metrics, clock });
  const { hostname, port } = new URL(server.metricsUrl ?? "");
  const client = await Deno.connect({ hostname, port: Number(port) });
  await client.write(new TextEncoder().encode("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
  await systemClock.sleep(20);
  await server.close();
  assertEquals(sleeps, [1_000]);
  assertEquals(await client.read(new Uint8Array(1)), null);
  text.resolve("");
  client.close();
});
