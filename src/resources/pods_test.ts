import { assertEquals } from "@std/assert";
import { podTemplate } from "./pods.ts";

const parts = {
  labels: { name: "controller" },
  annotations: { "iofog.org/revision-x": "1" },
  container: { name: "controller", image: "i" },
  spec: { serviceAccountName: "controller" },
};

Deno.test("podTemplate() adds nothing for what is not set, or empty", () => {
  const plain = {
    metadata: { labels: { name: "controller" } },
    spec: { serviceAccountName: "controller", containers: [{ name: "controller", image: "i" }] },
  };
  const empty = {
    labels: {},
    annotations: {},
    resources: {},
    nodeSelector: {},
    tolerations: [],
    affinity: {},
  };
  for (const settings of [{}, empty]) {
    assertEquals<unknown>(podTemplate({ ...parts, annotations: {} }, settings), plain);
  }
});

Deno.test("podTemplate() puts each setting where it belongs, beside what the component says", () => {
  const affinity = { nodeAffinity: {} };
  const tolerations = [{ operator: "Exists" as const }];
  const constraint = { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" as const };
  const settings = {
    labels: { tier: "control" },
    annotations: { note: "n" },
    resources: { requests: { cpu: "100m" } },
    nodeSelector: { disk: "fast" },
    tolerations,
    affinity,
    topologySpreadConstraints: [constraint],
    podSecurityContext: { runAsUser: 1 },
    securityContext: { privileged: false },
    priorityClassName: "high",
  };
  assertEquals<unknown>(podTemplate(parts, settings), {
    metadata: {
      labels: { tier: "control", name: "controller" },
      annotations: { note: "n", "iofog.org/revision-x": "1" },
    },
    spec: {
      serviceAccountName: "controller",
      nodeSelector: { disk: "fast" },
      tolerations,
      affinity,
      topologySpreadConstraints: [constraint],
      securityContext: { runAsUser: 1 },
      priorityClassName: "high",
      containers: [{
        name: "controller",
        image: "i",
        resources: { requests: { cpu: "100m" } },
        securityContext: { privileged: false },
      }],
    },
  });
});
