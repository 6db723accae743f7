import { assertEquals, assertObjectMatch } from "@std/assert";
import { Deployment } from "../kubernetes/generated/apps_v1.ts";
import { Service } from "../kubernetes/generated/core_v1.ts";
import { mergeRuleAt } from "../kubernetes/schema.ts";
import { compare, contains, type MergeRules, sameJson } from "./compare.ts";

const service: MergeRules = (path) => mergeRuleAt(Service, path);
const deployment: MergeRules = (path) => mergeRuleAt(Deployment, path);

function pods(...containers: object[]) {
  return { spec: { template: { spec: { containers } } } };
}

const cases: readonly {
  readonly title: string;
  readonly rules?: MergeRules;
  readonly desired: unknown;
  readonly live: unknown;
  readonly paths: readonly string[];
}[] = [
  {
    title: "what others added is no difference",
    desired: { spec: { a: 1, b: { c: "x" } } },
    live: { spec: { a: 1, b: { c: "x", d: "default" }, e: 3 }, status: { f: 4 } },
    paths: [],
  },
  {
    title: "changed, missing and wrongly typed values are differences",
    desired: { a: 1, b: { c: true }, d: { e: "x" }, f: ["g"], h: null },
    live: { a: 2, b: {}, d: "text", f: {} },
    paths: ["a", "b.c", "d", "f", "h"],
  },
  {
    title: "keys that are no words stand in brackets",
    desired: { metadata: { annotations: { "example.org/x": "1" } } },
    live: { metadata: { annotations: {} } },
    paths: ["metadata.annotations[example.org/x]"],
  },
  {
    title: "what is desired to be undefined or empty needs nothing",
    desired: { a: undefined, b: {}, c: { d: undefined }, e: [] },
    live: {},
    paths: [],
  },
  {
    title: "a map list is matched by its keys, whatever its order and what others added",
    rules: service,
    desired: { spec: { ports: [{ port: 80, protocol: "TCP", name: "a" }, { port: 90, protocol: "UDP" }] } },
    live: {
      spec: {
        ports: [{ port: 70, protocol: "TCP" }, { port: 90, protocol: "UDP", nodePort: 3 }, {
          port: 80,
          protocol: "TCP",
          name: "a",
        }],
      },
    },
    paths: [],
  },
  {
    title: "a key that is left out has its default",
    rules: service,
    desired: { spec: { ports: [{ port: 80, name: "new" }] } },
    live: { spec: { ports: [{ port: 80, protocol: "TCP", name: "old" }] } },
    paths: ["spec.ports[port=80,protocol=undefined].name"],
  },
  {
    title: "a missing item of a map list is named by its keys",
    rules: deployment,
    desired: pods({ name: "a" }, { name: "b", env: [{ name: "E", value: "1" }] }),
    live: pods({ name: "b", env: [] }),
    paths: [
      "spec.template.spec.containers[name=a]",
      "spec.template.spec.containers[name=b].env[name=E]",
    ],
  },
  {
    title: "an atomic list is compared item by item, in order, and by length",
    rules: deployment,
    desired: pods({ name: "a", args: ["x", "y"], command: ["z"] }),
    live: pods({ name: "a", args: ["y", "x"], command: ["z", "more"] }),
    paths: [
      "spec.template.spec.containers[name=a].args[0]",
      "spec.template.spec.containers[name=a].args[1]",
      "spec.template.spec.containers[name=a].command",
    ],
  },
  {
    title: "an atomic map may have no key but ours",
    rules: service,
    desired: { spec: { selector: { app: "x" } } },
    live: { spec: { selector: { app: "x", more: "y" } } },
    paths: ["spec.selector.more"],
  },
  {
    title: "a set must have our values",
    rules: service,
    desired: { metadata: { finalizers: ["a", "b"] } },
    live: { metadata: { finalizers: ["c", "b"] } },
    paths: ["metadata.finalizers[a]"],
  },
];

Deno.test("compare() tells what is there instead", () => {
  const desired = pods({ name: "a", image: "i", args: ["x"] }, { name: "b" });
  const { differences } = compare(desired, pods({ name: "a", image: "j" }), deployment);
  const fields = ["spec", "template", "spec", "containers"];
  assertEquals(differences, [
    { path: "spec.template.spec.containers[name=a].image", fields: [...fields, "image"], live: "j" },
    { path: "spec.template.spec.containers[name=a].args", fields: [...fields, "args"], live: undefined },
    { path: "spec.template.spec.containers[name=b]", fields, live: undefined },
  ]);
});

for (const { title, rules = () => undefined, desired, live, paths } of cases) {
  Deno.test(`compare(): ${title}`, () => {
    const found = compare(desired, live, rules);
    assertEquals(found.differences.map(({ path }) => path), paths);
    assertEquals([found.paths, found.renamed], [paths, []]);
    assertEquals(contains(live, desired, rules), paths.length === 0);
  });
}

Deno.test("compare() finds a container of ours under another name, and keeps what others added", () => {
  const desired = pods({ name: "ours", image: "i", env: [{ name: "E", value: "1" }] });
  const sidecar = { name: "sidecar", image: "s" };
  const stray = { name: "other", image: "i", env: [{ name: "E", value: "1" }], pullPolicy: "Always" };
  assertObjectMatch(compare(desired, pods(sidecar, stray), deployment), {
    paths: ["spec.template.spec.containers[name=ours]"],
    renamed: [{
      path: ["spec", "template", "spec", "containers"],
      items: [sidecar, ...desired.spec.template.spec.containers],
    }],
  });
});

Deno.test("compare() puts a renamed item right within the items that enclose it", () => {
  const desired = pods({ name: "ours", image: "i", env: [{ name: "E", value: "1" }] });
  const foreign = { name: "F", value: "2" };
  const live = pods(
    { name: "sidecar" },
    { name: "ours", image: "i", extra: true, env: [foreign, { name: "RENAMED", value: "1" }] },
  );
  assertObjectMatch(compare(desired, live, deployment), {
    paths: ["spec.template.spec.containers[name=ours].env[name=E]"],
    renamed: [{
      path: ["spec", "template", "spec", "containers"],
      items: [
        { name: "sidecar" },
        { name: "ours", image: "i", extra: true, env: [foreign, { name: "E", value: "1" }] },
      ],
    }],
  });
});

Deno.test("compare() puts a renamed item back into its place", () => {
  const [first, second, third] = ["A", "B", "C"].map((name) => ({ name, value: `${name} of ours` }));
  const env = [first, { ...second, name: "RENAMED" }, { ...second, name: "TWICE" }, third];
  const [renamed] = compare(
    pods({ name: "ours", env: [first, second, third, { name: "D", value: "new" }] }),
    pods({ name: "ours", env }),
    deployment,
  ).renamed;
  const restored = [first, second, third, { name: "D", value: "new" }];
  assertEquals(renamed?.items, [{ name: "ours", env: restored }]);
});

Deno.test("compare() takes no item for a renamed one that says something else", () => {
  const desired = pods({ name: "ours", image: "i" });
  for (const other of [{ name: "x", image: "j" }, { name: "x" }]) {
    assertEquals(compare(desired, pods(other), deployment).renamed, []);
  }
});

Deno.test("compare() and sameJson() take a field without a value for one that is not there", () => {
  const atomic = () => ({ type: "atomic" }) as const;
  const cases: readonly (readonly [desired: unknown, live: unknown, same: boolean])[] = [
    [{ a: { x: undefined, y: 1 } }, { a: { y: 1 } }, true],
    [{ a: { x: undefined, y: 1 } }, { a: { y: 1, z: 2 } }, false],
    [{ a: { x: undefined, y: 1 } }, { a: { x: 2, y: 1 } }, false],
    [{ a: [{ x: undefined }] }, { a: [{}] }, true],
    [{ a: [{ x: undefined }] }, { a: [{ x: 1 }] }, false],
    [{ a: [1, 2] }, { a: { 0: 1, 1: 2 } }, false],
  ];
  for (const [desired, live, same] of cases) {
    assertEquals(compare(desired, live, atomic).paths.length === 0, same, JSON.stringify([desired, live]));
    assertEquals(sameJson(desired, live), same, JSON.stringify([desired, live]));
  }
});
