import { assertEquals } from "@std/assert";
import { revisionAnnotations, secretData, secretValues } from "./child.ts";
import { secretOf, snapshotOf } from "./controlplane/iofog/fixtures.ts";

Deno.test("secretData() keeps empty values, and secretValues() reads every text back", () => {
  const values = { empty: "", plain: "text", unicode: "grün €" };
  const data = secretData(values);
  assertEquals(data["empty"], "");
  const secret = { ...secretOf("s", {}), data };
  assertEquals(secretValues(snapshotOf([secret]), "s"), values);
});

Deno.test("secretValues() tells a Secret without data from no Secret", () => {
  const { data: _, ...bare } = secretOf("s", {}) as ReturnType<typeof secretOf> & { data?: unknown };
  assertEquals(secretValues(snapshotOf([bare]), "s"), {});
  assertEquals(secretValues(snapshotOf(), "s"), undefined);
});

Deno.test("revisionAnnotations() repeats revisions, and says nothing of a Secret without one", () => {
  const snapshot = snapshotOf([secretOf("a", {}, { "iofog.org/revision": "7" }), secretOf("b", {})]);
  assertEquals(revisionAnnotations(snapshot, ["a", "b", "c"]), { "iofog.org/revision-a": "7" });
});
