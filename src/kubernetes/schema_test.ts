import { assertEquals } from "@std/assert";
import { CustomResourceDefinition } from "./generated/apiextensions_v1.ts";
import { Deployment, StatefulSet } from "./generated/apps_v1.ts";
import { ConfigMap, Service } from "./generated/core_v1.ts";
import type { Resource } from "./resource.ts";
import { type MergeRule, mergeRuleAt } from "./schema.ts";

const containers = "spec.template.spec.containers";
const tcp = { protocol: "TCP" };

const cases: readonly (readonly [Resource, string, MergeRule | undefined])[] = [
  [Deployment, containers, { type: "map", keys: ["name"] }],
  [Deployment, `${containers}.ports`, { type: "map", keys: ["containerPort", "protocol"], defaults: tcp }],
  [Deployment, `${containers}.args`, { type: "atomic" }],
  [Deployment, `${containers}.env.valueFrom.secretKeyRef`, { type: "atomic" }],
  [Deployment, "spec.selector", { type: "atomic" }],
  [Deployment, "spec.selector.matchLabels", undefined],
  [Deployment, "spec.replicas", undefined],
  [Deployment, "spec.nope.more", undefined],
  [Deployment, "constructor.prototype", undefined],
  [StatefulSet, "spec.volumeClaimTemplates", { type: "atomic" }],
  [Service, "spec.ports", { type: "map", keys: ["port", "protocol"], defaults: tcp }],
  [Service, "spec.selector", { type: "atomic" }],
  [Service, "metadata.finalizers", { type: "set" }],
  [Service, "metadata.ownerReferences", { type: "map", keys: ["uid"] }],
  [Service, "metadata.labels.app", undefined],
  [ConfigMap, "data.spec", undefined],
  [CustomResourceDefinition, "spec.versions", { type: "atomic" }],
  [CustomResourceDefinition, "spec.versions.schema", undefined],
];

Deno.test("mergeRuleAt() tells how server-side apply merges a field", () => {
  for (const [resource, path, expected] of cases) {
    assertEquals(mergeRuleAt(resource, path.split(".")), expected, `${resource.kind} ${path}`);
  }
});

Deno.test("mergeRuleAt() knows the metadata of custom resources only", () => {
  const widgets = {
    group: "example.org",
    version: "v1",
    kind: "Widget",
    plural: "widgets",
    namespaced: true,
  };
  assertEquals(mergeRuleAt(widgets, ["metadata", "finalizers"]), { type: "set" });
  assertEquals(mergeRuleAt(widgets, ["spec", "ports"]), undefined);
});
