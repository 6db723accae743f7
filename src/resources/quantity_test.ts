import { assertEquals } from "@std/assert";
import { canonicalQuantity, compareQuantities, isQuantity } from "./quantity.ts";

// As the API server 1.34 stores them; tests/e2e/pods_test.ts writes some of them there.
const stored: readonly (readonly [given: string, stored: string])[] = [
  ["0", "0"],
  ["0Mi", "0"],
  ["1", "1"],
  ["+1", "1"],
  ["1000", "1k"],
  ["1500", "1500"],
  ["100", "100"],
  ["0.1", "100m"],
  [".5", "500m"],
  ["2.", "2"],
  ["1000m", "1"],
  ["1500m", "1500m"],
  ["0.0001m", "100n"],
  ["0.00000000001", "1n"],
  ["1024Mi", "1Gi"],
  ["1.5Gi", "1536Mi"],
  ["0.5Ki", "512"],
  ["0.9765625Ki", "1k"],
  ["0.5Gi", "512Mi"],
  ["1000Ki", "1000Ki"],
  ["1Ki", "1Ki"],
  ["1e3", "1e3"],
  ["12E2", "1200"],
  ["1e-3", "1e-3"],
  ["3E", "3E"],
  ["1G", "1G"],
];

Deno.test("canonicalQuantity() writes an amount as the API server stores it", () => {
  for (const [given, expected] of stored) assertEquals(canonicalQuantity(given), expected, given);
  for (const [, expected] of stored) assertEquals(canonicalQuantity(expected), expected);
});

Deno.test("isQuantity() refuses what the API server refuses, and negative amounts", () => {
  for (const [given] of stored) assertEquals(isQuantity(given), true, given);
  for (const given of ["", ".", "-1", "1 Gi", "1gi", "1Gb", "Gi", "1e", "1K", "one", "1.2.3", "1mi"]) {
    assertEquals(isQuantity(given), false, given);
  }
});

Deno.test("compareQuantities() compares amounts, whatever their form", () => {
  assertEquals(compareQuantities("1024Mi", "1Gi"), 0);
  assertEquals(compareQuantities("1G", "1Gi"), -1);
  assertEquals(compareQuantities("1500m", "1"), 1);
  assertEquals(compareQuantities("9007199254740993", "9007199254740992"), 1);
});
