/**
 * Every field of a ControlPlane, without a cluster: that the table of the walk knows it, where its limits are, and what
 * is said of what a schemaless CRD lets through.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import type { Snapshot } from "../../src/operator/definition.ts";
import { desired } from "../../src/resources/controlplane/iofog/desired.ts";
import * as fixtures from "../../src/resources/controlplane/iofog/fixtures.ts";
import { parseSpec } from "../../src/resources/controlplane/iofog/schema.ts";
import { status } from "../../src/resources/controlplane/iofog/status.ts";
import { isJson, type Json, merged, present } from "../json.ts";
import { specsOf } from "./arbitrary.ts";
import { bases, fields, shapesOf, userSecrets, walks } from "./controlplane_fields.ts";
import { absent, type Field, names, put, valuesOf, wrongTypes } from "./fields.ts";

const leaves = fields.filter(({ isBlock }) => !isBlock);
const specOf = (base: string) => merged({ user: fixtures.user }, bases[base]?.changes ?? {});

Deno.test("the table of the walk has every field of a ControlPlane, and no other", () => {
  const known = new Set(walks.map(({ field }) => field));
  assertEquals(leaves.map(({ name }) => name).filter((name) => !known.has(name)), []);
  assertEquals([...known].filter((name) => !fields.some((field) => field.name === name)), []);
});

for (const walk of walks) {
  Deno.test(`the limits of spec.${walk.field} are those of the table (${walk.base})`, () => {
    const field = present(fields.find(({ name }) => name === walk.field));
    const accepts = (value: unknown) => "spec" in parseSpec(put(specOf(walk.base), field.path, value));
    const { accepted, limits } = valuesOf(field, accepts, walk.examples);
    assert(accepted.length > 0, "nothing is accepted");
    const unlimited = field.schema.type === "string" && !("enum" in field.schema) ? [1, Infinity] : undefined;
    assertEquals(limits, walk.limits ?? unlimited);
    for (const value of walk.examples ?? []) assert(accepts(value), `refused: ${JSON.stringify(value)}`);
  });
}

for (const field of fields) {
  Deno.test(`spec.${field.name} of a wrong type is refused with its name, and nothing is made`, () => {
    for (const value of wrongTypes(field)) {
      // As in Go, 0 and "" are not set.
      const message = refusalOf(put(specOf("external"), field.path, value));
      assert(message?.includes(`spec.${field.name} `), `${JSON.stringify(value)}: ${message ?? "accepted"}`);
    }
  });

  Deno.test(`spec.${field.name} is not set by null, "" and 0`, () => {
    const expected = parseSpec(put(specOf("sqlite"), field.path, absent));
    // Deeper, in parts of a pod, empty values mean something.
    const empty = field.isBlock ? [{}] : field.path.length <= 3 ? ["", 0] : [];
    for (const value of [null, ...empty]) {
      const spec = put(specOf("sqlite"), field.path, value);
      const message = refusalOf(spec);
      if (message === undefined) {
        // An empty block says nothing.
        assertEquals(withoutEmpty(parseSpec(spec)), withoutEmpty(expected), JSON.stringify(value));
      } else {
        assert("problems" in expected || isNeeded(field), `refused: ${message}`);
        assert(names(message, field), `${JSON.stringify(value)}: ${message}`);
      }
    }
  });
}

function withoutEmpty(value: unknown): unknown {
  if (!isJson(value)) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, withoutEmpty(inner)] as const)
    .filter(([, inner]) => !isJson(inner) || Object.keys(inner).length > 0);
  return Object.fromEntries(entries);
}

/** Whether the field, or one in it, is needed where the block around it is there. */
function isNeeded({ path, schema }: Field): boolean {
  const around = fields.find(({ name }) => name === path.slice(0, -1).join("."));
  return (schema.required ?? []).length > 0 || (around?.schema.required ?? []).includes(path.at(-1) ?? "");
}

Deno.test("F34 desired() and status() never throw, and what is refused is refused by the name of a field", () => {
  const snapshot = fixtures.snapshotOf([
    ...userSecrets.map((
      { name, values },
    ) => ({ ...fixtures.secretOf(name, values), type: "Opaque" } as KubeObject)),
    fixtures.serviceOf("router", { ip: "192.0.2.1" }),
  ]);
  let accepted = 0;
  fc.assert(
    fc.property(specsOf(shapesOf({ user: fixtures.user }, false)), (spec) => {
      const { children, message = "", problems } = verdictOn(spec, snapshot);
      accepted += message === "" ? 1 : 0;
      if (problems.length > 0) return children.length === 0 && message.startsWith("spec.");
      // Without a usable certificate all else goes on.
      return children.length > 0 && (message === "" || message.startsWith("spec.certificates."));
    }),
    { numRuns: 2000 },
  );
  assert(accepted > 200 && accepted < 1800, `${accepted} of 2000 specs were accepted`);
});

/** What the condition `Stalled` says of a spec; undefined where it is accepted. */
function refusalOf(spec: Json): string | undefined {
  const { children, message } = verdictOn(spec);
  if (message !== undefined) assertEquals(children, []);
  return message;
}

function verdictOn(spec: Json, snapshot: Snapshot = fixtures.snapshotOf()) {
  const context = fixtures.contextOf(spec, snapshot);
  const wanted = desired(context);
  const said = { pending: [], failures: [], lostFields: [], restrictions: [] };
  const { conditions } = status({ ...context, ...said, desired: wanted });
  const stalled = conditions.find(({ type }) => type === "Stalled");
  return {
    ...wanted,
    message: stalled?.status === "True" ? stalled.message : undefined,
  };
}
