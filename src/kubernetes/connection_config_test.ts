import { assertEquals } from "@std/assert";
import { noProxyForLoopback } from "./connection_config.ts";

Deno.test("noProxyForLoopback() adds loopback addresses only, once", () => {
  const cases = [
    ["https://127.0.0.1:6443", undefined, "127.0.0.1"],
    ["https://localhost:6443", "10.0.0.0/8, .svc", "10.0.0.0/8,.svc,localhost"],
    ["https://[::1]:6443", "", "::1"],
    ["https://127.0.0.1:6443", "a,127.0.0.1", undefined],
    ["https://10.0.0.1:6443", undefined, undefined],
    ["https://127.example.org", undefined, undefined],
  ] as const;
  for (const [server, before, after] of cases) {
    assertEquals(noProxyForLoopback(server, before), after, server);
  }
});
