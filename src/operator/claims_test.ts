import { assertEquals } from "@std/assert";
import { Claims } from "./claims.ts";
import type { ExternalState, Parent } from "./definition.ts";
import { definitionOf, observed, snapshotOf, Widget, widget } from "./fixtures.ts";

const names = ({ spec }: Parent) => Object.keys(spec as object);

/** Custom resources in a store that says when it changes. */
function stored(parents: readonly Parent[]) {
  const asked: string[] = [];
  let external: ExternalState = observed();
  const store = {
    revision: 0,
    list: () => parents as never,
    snapshot: () => snapshotOf(parents.map((parent) => [Widget, parent] as const), { external }),
  };
  const definition = definitionOf(() => [], {
    sharedInventoryName: "inventory",
    claims: ({ parent }) => {
      asked.push(parent.metadata.name);
      return names(parent).map((name) => ({ kind: "Thing", name }));
    },
  });
  const elsewhere = { ...definition, sharedInventoryName: "other" };
  const claims = new Claims([definition], store);
  const oldest = (name: string, of = definition) =>
    claims.oldest(of, { kind: "Thing", name }, 0)?.metadata.name;
  const change = (next: readonly Parent[], look = false) => {
    parents = next;
    if (look) external = observed();
    store.revision++;
  };
  return { asked, change, elsewhere, oldest };
}

const on = (day: number) => ({ creationTimestamp: `2025-01-0${day}T00:00:00Z` });

Deno.test("Claims.oldest() is the first by age, then by uid, of those that are not being deleted", () => {
  const [a, b] = [widget({ name: "a", ...on(2) }, { x: 1 }), widget({ name: "b", ...on(1) }, { x: 1, y: 1 })];
  const { change, elsewhere, oldest } = stored([a, b]);
  assertEquals([oldest("x"), oldest("y"), oldest("z")], ["b", "b", undefined]);
  assertEquals(oldest("x", elsewhere), undefined);
  change([a, widget({ name: "c", ...on(2) }, { x: 1 }), { ...b, spec: { y: 1 } }]);
  assertEquals([oldest("x"), oldest("y")], ["a", "b"]);
  change([a, widget({ name: "b", ...on(1), deletionTimestamp: "2025-01-03T00:00:00Z" }, { x: 1 })]);
  assertEquals([oldest("x"), oldest("y")], ["a", undefined]);
});

Deno.test("Claims asks each custom resource once, and again only when it or what is known outside of it changes", () => {
  const many = Array.from({ length: 100 }, (_, index) => widget({ name: `w${index}` }, { [`t${index}`]: 1 }));
  const { asked, change, oldest } = stored(many);
  for (const { metadata: { name } } of many) assertEquals(oldest(name.replace("w", "t")), name);
  assertEquals(asked.length, 100);
  change([widget({ name: "w0", resourceVersion: "2" }, { other: 1 }), ...many.slice(1)]);
  assertEquals([oldest("t0"), oldest("other"), oldest("t1")], [undefined, "w0", "w1"]);
  assertEquals(asked.length, 101);
  change(many.slice(1), true);
  assertEquals(oldest("t1"), "w1");
  assertEquals(asked.length, 200);
});
