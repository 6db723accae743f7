/** What Deno itself may lose: sockets, timers and memory over a thousand connections that break. */

import { assert } from "@std/assert";
import { systemClock } from "../../src/clock.ts";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { createFetchTransport } from "../../src/kubernetes/fetch_transport.ts";
import { ConfigMap } from "../../src/kubernetes/generated/core_v1.ts";
import { eventually } from "../e2e/waiting.ts";

const RECONNECTS = 1_000;
/** Connections that a pool may keep, and MiB that come and go by themselves. */
const pooled = 16;
const slackMib = 16;

Deno.test({
  name: "F06 F43 a thousand watches that break leave no socket, timer or memory behind",
  // What is left behind makes the sanitizers fail it.
  sanitizeOps: true,
  sanitizeResources: true,
  async fn() {
    const encoder = new TextEncoder();
    const event = { type: "ADDED", object: { metadata: { name: "a", resourceVersion: "1" } } };
    let opened = 0;
    const sockets = new Set<Deno.Conn>();
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    // In turn: the server ends the watch, breaks the connection in mid-line, and stays silent until the client goes.
    const serve = async (connection: Deno.Conn) => {
      sockets.add(connection);
      const buffer = new Uint8Array(4_096);
      try {
        while (await connection.read(buffer) !== null) {
          const turn = opened++ % 3;
          const line = `${JSON.stringify(event)}\n`;
          const body = `${line.length.toString(16)}\r\n${line}\r\n`;
          const end = turn === 0 ? "0\r\n\r\n" : turn === 1 ? "ff\r\n{" : "";
          await connection.write(
            encoder.encode(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${body}${end}`),
          );
          if (turn === 1) break;
        }
      } catch {
        // The client went first.
      }
      if (sockets.delete(connection)) connection.close();
    };
    const serving: Promise<void>[] = [];
    const accepting = (async () => {
      for await (const connection of listener) serving.push(serve(connection));
    })();
    const transport = createFetchTransport({
      server: `http://127.0.0.1:${listener.addr.port}`,
      source: "test",
      credentials: () => Promise.resolve({}),
    });
    const client = new KubernetesClient(transport, systemClock);
    const watchOnce = async () => {
      const leaving = new AbortController();
      const query = { namespace: "ns", resourceVersion: "1" };
      const turn = opened % 3;
      try {
        for await (const _ of client.watch(ConfigMap, query, { signal: leaving.signal })) {
          if (turn === 2) leaving.abort();
        }
      } catch {
        // A connection that broke.
      }
    };
    for (let warm = 0; warm < 60; warm++) await watchOnce();
    const heap = Deno.memoryUsage().heapUsed;
    for (let count = 0; count < RECONNECTS; count++) await watchOnce();
    await eventually("the connections to be closed", () => sockets.size, (open) => open <= pooled);
    const grownMib = (Deno.memoryUsage().heapUsed - heap) / 2 ** 20;
    assert(grownMib < slackMib, `the heap has grown by ${grownMib} MiB`);
    assert(opened >= RECONNECTS);
    transport.close?.();
    listener.close();
    await accepting;
    for (const socket of [...sockets]) {
      sockets.delete(socket);
      socket.close();
    }
    await Promise.allSettled(serving);
  },
});
