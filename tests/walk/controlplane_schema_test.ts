/**
 * Every field of a ControlPlane of either flavour, without a cluster: that the table of the walk knows it, where its limits are, and what
 * is said of what a schemaless CRD lets through.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import type { DesiredContext, Snapshot } from "../../src/operator/definition.ts";
import * as iofogDesired from "../../src/resources/controlplane/iofog/desired.ts";
import * as fixtures from "../../src/resources/controlplane/iofog/fixtures.ts";
import * as iofogSchema from "../../src/resources/controlplane/iofog/schema.ts";
import * as iofogStatus from "../../src/resources/controlplane/iofog/status.ts";
import * as potDesired from "../../src/resources/controlplane/pot/desired.ts";
import * as potFixtures from "../../src/resources/controlplane/pot/fixtures.ts";
import * as potSchema from "../../src/resources/controlplane/pot/schema.ts";
import * as potStatus from "../../src/resources/controlplane/pot/status.ts";
import { isJson, type Json, merged, present } from "../json.ts";
import { specsOf } from "./arbitrary.ts";
import { absent, type Field, names, put, valuesOf, wrongTypes } from "./fields.ts";
import { iofogTable } from "./iofog_fields.ts";
import { potTable } from "./pot_fields.ts";
import { shapesOf, type Table, userSecrets } from "./table.ts";

/** What the tests ask of a flavour. */
interface Flavour {
  readonly name: string;
  readonly table: Table;
  /** The least spec. */
  readonly spec: Json;
  /** Bases from which a field of a wrong type, and one that is not set, are tried. */
  readonly wrong: string;
  readonly unset: string;
  readonly parseSpec: typeof iofogSchema.parseSpec | typeof potSchema.parseSpec;
  readonly desired: typeof iofogDesired.desired | typeof potDesired.desired;
  readonly status: typeof iofogStatus.status | typeof potStatus.status;
  readonly contextOf: (spec: unknown, snapshot: Snapshot) => DesiredContext;
}

const flavours: readonly Flavour[] = [
  {
    ...{
      name: "ioFog",
      table: iofogTable,
      spec: { user: fixtures.user },
      wrong: "external",
      unset: "sqlite",
    },
    ...{ ...iofogDesired, ...iofogSchema, ...iofogStatus, contextOf: fixtures.contextOf },
  },
  {
    ...{ name: "PoT", table: potTable, spec: { auth: potFixtures.auth }, wrong: "inside", unset: "plain" },
    ...{ ...potDesired, ...potSchema, ...potStatus, contextOf: potFixtures.contextOf },
  },
];

for (const flavour of flavours) {
  const { name: flavourName, parseSpec, table: { bases, fields, walks } } = flavour;
  const leaves = fields.filter(({ isBlock }) => !isBlock);
  const specOf = (base: string) => merged(flavour.spec, bases[base]?.changes ?? {});

  Deno.test(`the table of the walk has every field of a ControlPlane of ${flavourName}, and no other`, () => {
    const known = new Set(walks.map(({ field }) => field));
    assertEquals(leaves.map(({ name }) => name).filter((name) => !known.has(name)), []);
    assertEquals([...known].filter((name) => !fields.some((field) => field.name === name)), []);
  });

  for (const walk of walks) {
    Deno.test(`the limits of spec.${walk.field} are those of the table (${flavourName}, ${walk.base})`, () => {
      const field = present(fields.find(({ name }) => name === walk.field));
      const accepts = (value: unknown) => "spec" in parseSpec(put(specOf(walk.base), field.path, value));
      const examples = [...walk.examples ?? [], ...walk.told ?? []];
      const { accepted, limits } = valuesOf(field, accepts, examples);
      assert(accepted.length > 0, "nothing is accepted");
      const unlimited = field.schema.type === "string" && !("enum" in field.schema)
        ? [1, Infinity]
        : undefined;
      assertEquals(limits, walk.limits ?? unlimited);
      for (const value of examples) assert(accepts(value), `refused: ${JSON.stringify(value)}`);
    });
  }

  for (const field of fields) {
    Deno.test(`spec.${field.name} of a wrong type is refused with its name, and nothing is made (${flavourName})`, () => {
      for (const value of wrongTypes(field)) {
        // As in Go, 0 and "" are not set.
        const message = refusalOf(flavour, put(specOf(flavour.wrong), field.path, value));
        assert(
          message?.includes(`spec.${field.name} `),
          `${JSON.stringify(value)}: ${message ?? "accepted"}`,
        );
      }
    });

    Deno.test(`spec.${field.name} is not set by null, "" and 0 (${flavourName})`, () => {
      const expected = parseSpec(put(specOf(flavour.unset), field.path, absent));
      // Deeper, in parts of a pod, empty values mean something.
      const empty = field.isBlock ? [{}] : field.path.length <= 3 ? ["", 0] : [];
      for (const value of [null, ...empty]) {
        const spec = put(specOf(flavour.unset), field.path, value);
        const message = refusalOf(flavour, spec);
        if (message === undefined) {
          // An empty block says nothing.
          assertEquals(withoutEmpty(parseSpec(spec)), withoutEmpty(expected), JSON.stringify(value));
        } else {
          assert("problems" in expected || isNeeded(fields, field), `refused: ${message}`);
          assert(names(message, field), `${JSON.stringify(value)}: ${message}`);
        }
      }
    });
  }

  Deno.test(`F34 desired() and status() of ${flavourName} never throw, and what is refused is refused by the name of a field`, () => {
    const snapshot = fixtures.snapshotOf([
      ...userSecrets.map((
        { name, values },
      ) => ({ ...fixtures.secretOf(name, values), type: "Opaque" } as KubeObject)),
      fixtures.serviceOf("router", { ip: "192.0.2.1" }),
    ]);
    let accepted = 0;
    fc.assert(
      fc.property(specsOf(shapesOf(flavour.table, flavour.spec, false)), (spec) => {
        const { children, message = "", problems } = verdictOn(flavour, spec, snapshot);
        accepted += message === "" ? 1 : 0;
        if (problems.length > 0) return children.length === 0 && message.startsWith("spec.");
        // Without a usable certificate all else goes on.
        return children.length > 0 && (message === "" || message.startsWith("spec.certificates."));
      }),
      { numRuns: 1000 },
    );
    assert(accepted > 100 && accepted < 900, `${accepted} of 1000 specs were accepted`);
  });
}

function withoutEmpty(value: unknown): unknown {
  if (!isJson(value)) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, withoutEmpty(inner)] as const)
    .filter(([, inner]) => !isJson(inner) || Object.keys(inner).length > 0);
  return Object.fromEntries(entries);
}

/** Whether the field, or one in it, is needed where the block around it is there. */
function isNeeded(fields: readonly Field[], { path, schema }: Field): boolean {
  const around = fields.find(({ name }) => name === path.slice(0, -1).join("."));
  return (schema.required ?? []).length > 0 || (around?.schema.required ?? []).includes(path.at(-1) ?? "");
}

/** What the condition `Stalled` says of a spec; undefined where it is accepted. */
function refusalOf(flavour: Flavour, spec: Json): string | undefined {
  const { children, message } = verdictOn(flavour, spec);
  if (message !== undefined) assertEquals(children, []);
  return message;
}

function verdictOn(
  { contextOf, desired, status }: Flavour,
  spec: Json,
  snapshot: Snapshot = fixtures.snapshotOf(),
) {
  const context = contextOf(spec, snapshot);
  const wanted = desired(context);
  const said = { pending: [], failures: [], lostFields: [], restrictions: [] };
  const { conditions } = status({ ...context, ...said, desired: wanted });
  const stalled = conditions.find(({ type }) => type === "Stalled");
  return {
    ...wanted,
    message: stalled?.status === "True" ? stalled.message : undefined,
  };
}
