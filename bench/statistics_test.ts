import { assertEquals, assertThrows } from "@std/assert";
import { distribution } from "./statistics.ts";

Deno.test("distribution() takes the nearest rank", () => {
  const twenty = Array.from({ length: 20 }, (_, index) => 20 - index);
  assertEquals(distribution(twenty), { count: 20, p50: 10, p95: 19 });
  assertEquals(distribution([7]), { count: 1, p50: 7, p95: 7 });
  assertThrows(() => distribution([]), RangeError, "nothing was measured");
});
