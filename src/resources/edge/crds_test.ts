import { assertEquals } from "@std/assert";
import { edgeCrds, edgeGroups, edgeKinds } from "./crds.ts";

Deno.test("edgeCrds() has every kind in both groups, with the same schema", () => {
  const crds = edgeCrds();
  assertEquals(crds.length, 10);
  for (const kind of edgeKinds) {
    const [one, other] = edgeGroups.map((group) =>
      crds.find(({ spec }) => spec.names.kind === kind && spec.group === group)
    );
    assertEquals(one?.spec.versions, other?.spec.versions);
  }
});
