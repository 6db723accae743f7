import { assertEquals, assertMatch } from "@std/assert";
import { otherGeneration } from "./edge.ts";

Deno.test("otherGeneration() tells ioFog's Controllers from PoT's, and lets pass what tells no number", () => {
  const isOther = (version: string) =>
    (["ioFog", "PoT"] as const).filter((wanted) =>
      otherGeneration(version, wanted, "http://x") !== undefined
    );
  assertEquals(["3.0.4", "3.0.5", "3.1.0", "2.0.1"].map(isOther), Array(4).fill(["PoT"]));
  assertEquals(["3.5.10", "3.7.3", "4.0.0"].map(isOther), Array(3).fill(["ioFog"]));
  assertEquals(["v3.0.4", "develop", "", "3"].map(isOther), Array(4).fill([]));
  assertMatch(
    otherGeneration("3.7.3", "ioFog", "http://x") ?? "",
    /http:\/\/x is of version 3\.7\.3, as PoT has it/,
  );
});
