/** The fields of the edge, without a Controller: that the table of the walk knows them, and where their limits are. */

import { assert, assertEquals } from "@std/assert";
import { type EdgeKind, edgeKinds } from "../../src/resources/edge/crds.ts";
import { present } from "../json.ts";
import { edgeBases, edgeFieldsOf, edgeWalks } from "./edge_fields.ts";
import { acceptsEdge } from "./edge_walk.ts";
import { absent, at, put } from "./fields.ts";

for (const kind of edgeKinds) {
  Deno.test(`the table of the walk has every field of ${kind}, each with a place to start from`, () => {
    const known = new Set(edgeWalks[kind].map(({ field }) => field));
    const fields = edgeFieldsOf(kind);
    assertEquals(fields.map(({ name }) => name).filter((name) => !known.has(name)), []);
    assertEquals([...known].filter((name) => !fields.some((field) => field.name === name)), []);
    for (const { base } of edgeWalks[kind]) assertEquals(present(edgeBases[base]).kind, kind);
  });

  Deno.test(`what the table of the walk calls a value of a field of ${kind} is one, and what it does not is none`, () => {
    for (const walk of edgeWalks[kind]) {
      const { path } = present(edgeFieldsOf(kind).find(({ name }) => name === walk.field));
      const { spec } = present(edgeBases[walk.base]);
      const accepts = (value: unknown) => acceptsEdge(kind as EdgeKind, put(spec, path, value));
      const shown = (value: unknown) => `spec.${walk.field} ${JSON.stringify(value)}`;
      assert(acceptsEdge(kind, spec), walk.base);
      for (const value of walk.examples ?? []) assert(accepts(value), shown(value));
      for (const value of walk.refused ?? []) assert(!accepts(value), shown(value));
      // Whoever changes it back has to find something.
      if (walk.isIdentity !== true) {
        assert(at(spec, path) !== absent, `spec.${walk.field} is not in ${walk.base}`);
      }
    }
  });
}
