/**
 * The walk over the fields of the edge: a custom resource is made, each of its fields is changed to all that it takes and
 * back, by its owner and behind its back, and it is deleted; what is asked of the Controller has to be what the table in
 * `edge_fields.ts` says, and what stands there in the end what a first creation would have made.
 */

import { assert, assertEquals } from "@std/assert";
import { ConfigMap, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { type EdgeGroup, type EdgeKind, edgeKinds } from "../../src/resources/edge/crds.ts";
import { parseAgent } from "../../src/resources/edge/agent/schema.ts";
import { parseApplication } from "../../src/resources/edge/application/schema.ts";
import { parseEdgeResource } from "../../src/resources/edge/edge_resource/schema.ts";
import { parseMicroservice } from "../../src/resources/edge/microservice/schema.ts";
import { parseRoute } from "../../src/resources/edge/route/schema.ts";
import type { SharedCluster } from "../cluster/shared.ts";
import { contentsOf, differences } from "../controller/edge_contents.ts";
import { EdgeTest } from "../edge/edge_world.ts";
import { type Json, present } from "../json.ts";
import { registerSecret } from "../secrets.ts";
import {
  callsFor,
  type Dialect,
  edgeBases,
  edgeFieldsOf,
  type EdgeWalk,
  edgeWalks,
  surroundings,
} from "./edge_fields.ts";
import { absent, at, type Field, names, put } from "./fields.ts";
import { stepsOf } from "./steps.ts";

const parsers = {
  Agent: parseAgent,
  Application: parseApplication,
  EdgeResource: parseEdgeResource,
  Microservice: parseMicroservice,
  Route: parseRoute,
} satisfies Record<EdgeKind, (raw: unknown) => object>;

/** Whether a spec of this kind is accepted. */
export const acceptsEdge = (kind: EdgeKind, spec: unknown): boolean => "spec" in parsers[kind](spec);

const groups: Readonly<Record<Dialect, EdgeGroup>> = { "3.0.4": "iofog.org", "3.7.3": "datasance.com" };
const secretValues = registerSecret(`value-${crypto.randomUUID()}`);

/** A Controller with the surroundings; where no cluster is given, on an API server in memory. */
async function openWith(dialect: Dialect, cluster?: SharedCluster): Promise<EdgeTest> {
  const edge = await EdgeTest.open(groups[dialect], cluster && { cluster });
  for (const [kind, name, given] of surroundings) edge.make(kind, name, given);
  for (const [name, more] of [["values", ""], ["others", "-other"]] as const) {
    const data = { one: btoa(`${secretValues}${more}`), two: btoa(`${secretValues}-two`) };
    edge.api.make(Secret, { metadata: { namespace: "ns", name }, data } as Secret);
    edge.api.make(ConfigMap, { metadata: { namespace: "ns", name }, data: { one: name, two: "two" } });
  }
  await fillController(edge, dialect);
  await edge.converge();
  await edge.converge();
  return edge;
}

/** What others keep in the Controller. */
async function fillController({ client }: EdgeTest, dialect: Dialect): Promise<void> {
  const make = (route: string, bodyJson: unknown) =>
    client.edge.change({ method: "POST", route, bodyJson, secrets: [secretValues] });
  for (const name of ["one", "two"]) {
    await make("/catalog/microservices", {
      ...{ name, registryId: 1 },
      images: [{ fogTypeId: 1, containerImage: `${name}:1` }],
    });
  }
  for (const [name, image] of [["press", "dash:1"], ["press-2", "dash:2"]]) {
    await make("/applicationTemplate", {
      name,
      variables: [{ key: "port", defaultValue: 5070 }],
      application: {
        microservices: [{
          name: "dashboard",
          agentName: "hub",
          images: [{ fogTypeId: 1, containerImage: image }],
          ports: [{ internal: 8080, external: "{{ port | toNumber }}" }],
        }],
        routes: [],
      },
    });
  }
  if (dialect === "3.0.4") return;
  const data = { one: btoa(secretValues), two: btoa(`${secretValues}-two`) };
  await make("/secrets", { name: "values", type: "Opaque", data });
  await make("/configmaps", { name: "values", data: { one: "1", two: "2" } });
}

/** The custom resource that is walked. */
const nameOf = (kind: EdgeKind) => kind.toLowerCase();

/** Calls without the values of their bodies. */
function brief(calls: readonly string[]): readonly string[] {
  return calls.map((call) => {
    const [, head = "", body, tail = ""] = /^(\S+ \S+)(?: (\{.*\}))?( -> \d+)?$/.exec(call) ?? [];
    const keys = body === undefined ? [] : Object.keys(JSON.parse(body)).sort();
    return `${[head, ...keys].join(" ")}${tail}`;
  });
}

/** Walks all fields of a base; every field is a step of `test`. */
async function walkEdge(
  base: string,
  dialect: Dialect,
  test: Deno.TestContext,
  cluster: SharedCluster,
): Promise<void> {
  const { created, createdPot = created, deleted, deletedPot = deleted, kind, spec } = present(
    edgeBases[base],
  );
  const isPot = dialect === "3.7.3";
  await using edge = await openWith(dialect, cluster);
  await using twin = await openWith(dialect);
  const empty = contentsOf(edge.controller.state);
  edge.make(kind, nameOf(kind), spec);
  await test.step("made", async () => {
    assertEquals(brief(await edge.converge()), isPot ? createdPot : created);
    assertEquals(brief(await edge.converge()), []);
  });
  const fields = edgeFieldsOf(kind);
  for (const walk of edgeWalks[kind].filter((each) => each.base === base && each.isIdentity !== true)) {
    const field = present(fields.find(({ name }) => name === walk.field));
    const passed = await test.step(walk.field, () => walkEdgeField(edge, twin, base, dialect, walk, field));
    // The next one starts from the same all the same.
    if (!passed) {
      edge.change(kind, nameOf(kind), spec);
      await edge.converge();
      await edge.converge();
    }
  }
  edge.delete(kind, nameOf(kind));
  await test.step("deleted", async () => {
    assertEquals(brief(await edge.converge()), isPot ? deletedPot : deleted);
    assertEquals(brief(await edge.converge()), []);
    assertEquals(differences(empty, contentsOf(edge.controller.state)), []);
  });
}

/** @param twin Where the same is made anew, to be compared. */
async function walkEdgeField(
  edge: EdgeTest,
  twin: EdgeTest,
  base: string,
  dialect: Dialect,
  walk: EdgeWalk,
  field: Field,
): Promise<void> {
  const { kind, spec } = present(edgeBases[base]);
  const name = nameOf(kind);
  const before = at(spec, field.path);
  const calls = callsFor(walk, dialect, "change");
  const accepts = (value: unknown) => acceptsEdge(kind, put(spec, field.path, value));
  const base0 = contentsOf(edge.controller.state);
  const { steps } = stepsOf(walk, field, before, accepts, false);
  let current: unknown = before;
  let compared = false;
  let wasRemoved = false;
  for (const { type, value } of steps) {
    const what = `spec.${walk.field} ${type} ${String(JSON.stringify(value)).slice(0, 60)}`;
    const next = put(spec, field.path, value);
    edge.change(kind, name, next);
    const asked = brief(await edge.converge());
    if (type === "refuse") {
      assertEquals(asked, [], what);
      await edge.look();
      const said = present(edge.refusal(kind, name));
      assert(value === absent || names(said, field), `${what}: ${said}`);
      continue;
    }
    const isSame = JSON.stringify(value) === JSON.stringify(current) && typeof value === typeof current;
    const expected = isSame && !wasRemoved ? [] : callsFor(walk, dialect, wasRemoved ? "restore" : type);
    if (walk.isUnordered) assertEquals(asked.toSorted(), expected.toSorted(), what);
    else assertEquals(asked, expected, what);
    if (type === "change" && !isSame && !compared) {
      compared = true;
      assertEquals(brief(await edge.converge()), [], `${what}: not at rest`);
      if (walk.isOnce !== true && calls.length > 0) {
        twin.make(kind, name, next);
        await twin.converge();
        assertEquals(
          differences(contentsOf(edge.controller.state), contentsOf(twin.controller.state)),
          [],
          `${what}: not as if made so`,
        );
        twin.delete(kind, name);
        await twin.converge();
      }
      if (walk.isUnread !== dialect && calls.every((call) => call.startsWith("P"))) {
        await expectDrift(edge, kind, name, spec, next, callsFor(walk, dialect, "return"));
      }
    }
    if (type === "return") {
      assertEquals(differences(base0, contentsOf(edge.controller.state)), [], `${what}: not as it was`);
    }
    current = value;
    wasRemoved = type === "remove";
  }
}

/** What the Controller holds becomes, behind our back, what it would be with another spec. */
async function expectDrift(
  edge: EdgeTest,
  kind: EdgeKind,
  name: string,
  spec: Json,
  other: Json,
  calls: readonly string[],
) {
  const changed = structuredClone(edge.controller.state);
  edge.change(kind, name, spec);
  await edge.converge();
  const right = contentsOf(edge.controller.state);
  edge.controller.replaceBy(changed);
  assertEquals(brief(await edge.converge()), calls, "drift");
  assertEquals(differences(right, contentsOf(edge.controller.state)), [], "drift is not repaired");
  edge.change(kind, name, other);
  await edge.converge();
}

/** A test for each base of each kind, on a cluster that serves them. */
export function walkEdgeKinds(dialect: Dialect, cluster: SharedCluster): void {
  for (const kind of edgeKinds) {
    const bases = Object.entries(edgeBases).filter(([, { kind: of, only = dialect }]) =>
      of === kind && only === dialect
    );
    for (const [base] of bases) {
      Deno.test(`every field of ${base}, changed and back, asks the Controller ${dialect} for what it should`, (test) =>
        walkEdge(base, dialect, test, cluster));
    }
  }
}
