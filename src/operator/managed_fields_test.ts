import { assertEquals } from "@std/assert";
import { extract, fieldsAt, migrated, obsoleteFields } from "./managed_fields.ts";

Deno.test("obsoleteFields() tells what a manager owns and should give up", () => {
  const owned = {
    "f:metadata": { "f:labels": { "f:kept": {}, "f:example.org/gone": {} }, "f:finalizers": { 'v:"a"': {} } },
    "f:spec": {
      ".": {},
      "f:gone": {},
      "f:ports": {
        'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:port": {}, "f:name": {} },
        'k:{"port":90,"protocol":"UDP"}': { ".": {}, "f:port": {} },
      },
      "f:list": { "i:0": {}, "i:1": {} },
    },
  };
  const desired = {
    metadata: { labels: { kept: "1" }, finalizers: [] },
    spec: { ports: [{ port: 80, protocol: "TCP" }], list: ["x"] },
  };
  assertEquals(obsoleteFields(owned, desired), [
    "metadata.labels[example.org/gone]",
    'metadata.finalizers["a"]',
    "spec.gone",
    "spec.ports[port=80,protocol=TCP].name",
    "spec.ports[port=90,protocol=UDP]",
    "spec.list[1]",
  ]);
});

Deno.test("obsoleteFields() knows an item whose key is left to its default", () => {
  const owned = {
    "f:ports": {
      'k:{"port":53,"protocol":"TCP"}': { ".": {}, "f:port": {}, "f:name": {} },
      'k:{"port":53,"protocol":"UDP"}': { ".": {}, "f:port": {} },
    },
  };
  const ports = [{ port: 53, name: "dns" }, { port: 53, protocol: "UDP" }];
  assertEquals(obsoleteFields(owned, { ports }), []);
  assertEquals(obsoleteFields(owned, { ports: ports.slice(1) }), ["ports[port=53,protocol=TCP]"]);
});

const old = { manager: "old", operation: "Update", apiVersion: "apps/v1", fieldsType: "FieldsV1" } as const;

Deno.test("migrated() makes an apply of ours out of what predecessors wrote, without replicas", () => {
  const foreign = {
    manager: "kubectl-edit",
    operation: "Update",
    fieldsV1: { "f:spec": { "f:paused": {} } },
  };
  const status = { ...old, subresource: "status", fieldsV1: { "f:status": {} } };
  const entries = [
    { ...old, time: "2025-01-01T00:00:00Z", fieldsV1: { "f:spec": { "f:replicas": {}, "f:template": {} } } },
    foreign,
    status,
    { ...old, manager: "ours", operation: "Apply", fieldsV1: { "f:spec": { "f:paused": {} } } },
  ];
  assertEquals(migrated(entries, ["old"], "ours"), [foreign, status, {
    manager: "ours",
    operation: "Apply",
    apiVersion: "apps/v1",
    fieldsType: "FieldsV1",
    time: "2025-01-01T00:00:00Z",
    fieldsV1: { "f:spec": { "f:paused": {}, "f:template": {} } },
  }]);
  assertEquals(migrated([foreign], ["old"], "ours"), [foreign]);
});

Deno.test("extract() says what is owned and nothing else", () => {
  const live = {
    labels: { mine: "1", theirs: "2" },
    empty: {},
    foreign: { deep: true },
    containers: [
      { name: "sidecar", image: "s" },
      {
        name: "mine",
        image: "i",
        env: [{ name: "Z" }, { name: "A" }, { name: "B", value: "2" }],
        resources: { limits: { memory: "1Gi" } },
      },
    ],
    finalizers: ["x", "y"],
    args: ["whole", "list"],
  };
  const owned = {
    "f:labels": { ".": {}, "f:mine": {} },
    "f:empty": { ".": {} },
    "f:foreign": { ".": {} },
    "f:gone": {},
    "f:containers": {
      'k:{"name":"mine"}': {
        ".": {},
        "f:name": {},
        "f:image": {},
        "f:env": {
          ".": {},
          'k:{"name":"A"}': { ".": {}, "f:name": {} },
          'k:{"name":"Z"}': { ".": {}, "f:name": {} },
        },
      },
      'k:{"name":"gone"}': { ".": {}, "f:name": {} },
    },
    "f:finalizers": { 'v:"y"': {} },
    "f:args": {},
  };
  assertEquals(extract(owned, live), {
    labels: { mine: "1" },
    empty: {},
    foreign: {},
    containers: [{ name: "mine", image: "i", env: [{ name: "Z" }, { name: "A" }] }],
    finalizers: ["y"],
    args: ["whole", "list"],
  });
  assertEquals(fieldsAt({ "f:spec": { "f:template": { "f:x": {} } } }, ["spec", "template"]), { "f:x": {} });
  assertEquals(fieldsAt({ "f:spec": {} }, ["spec", "template"]), undefined);
});
