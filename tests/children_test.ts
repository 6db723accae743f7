/**
 * The children of a ControlPlane on a real API server, without an operator: each is taken, and comes back with every
 * field as it was sent. A field that the server writes in another way would be written again at each pass.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Deployment } from "../src/kubernetes/generated/apps_v1.ts";
import { Namespace, Pod } from "../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../src/kubernetes/resource.ts";
import { mergeRuleAt } from "../src/kubernetes/schema.ts";
import { compare } from "../src/operator/compare.ts";
import type { Child, DesiredContext } from "../src/operator/definition.ts";
import { desired } from "../src/resources/controlplane/iofog/desired.ts";
import * as fixtures from "../src/resources/controlplane/iofog/fixtures.ts";
import { connectCluster, sharedCluster } from "./cluster/mod.ts";
import { present } from "./json.ts";
import { registerSecret } from "./secrets.ts";
import { specsOf } from "./walk/arbitrary.ts";
import { iofogTable } from "./walk/iofog_fields.ts";
import { shapesOf, userSecrets } from "./walk/table.ts";

const client = connectCluster(await sharedCluster());
const namespace = `children-${crypto.randomUUID().slice(0, 8)}`;
const user = { ...fixtures.user, password: registerSecret(fixtures.user.password) };
const database = {
  provider: "mysql",
  host: "db.example.com",
  port: 3306,
  user: "controller",
  password: registerSecret("Fake-Db-Pass"),
  databaseName: "iofog",
};

await client.create(Namespace, { metadata: { name: namespace } });
Deno.test.afterAll(async () => {
  await client.delete(Namespace, { name: namespace });
});

/** In other forms than those in which the API server stores them. */
const podSettings = {
  labels: { tier: "" },
  annotations: { note: "n" },
  resources: { requests: { cpu: 0.25, memory: "0.5Gi" }, limits: { cpu: "1000m", "example.org/dongle": 1 } },
  nodeSelector: { disk: "" },
  tolerations: [{ operator: "Exists", effect: "NoExecute", tolerationSeconds: 0 }],
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: "zone", operator: "In", values: ["a"] }] }],
      },
    },
  },
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", labelSelector: {} },
  ],
  podSecurityContext: {
    runAsUser: 0,
    sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }],
  },
  securityContext: { privileged: false, capabilities: { add: ["NET_BIND_SERVICE"], drop: ["ALL"] } },
  priorityClassName: "system-cluster-critical",
};

const specs: readonly [what: string, spec: Record<string, unknown>][] = [
  ["the least spec", {}],
  ["addresses of load balancers", {
    services: { controller: { type: "loadbalancer", address: "192.0.2.9" } },
  }],
  ["an external database", { database, replicas: { controller: 3 } }],
  ["an external database with replicas left open", { database }],
  [
    "all fields",
    {
      ingresses: {
        router: { address: "2001:db8::1", messagePort: 1, interiorPort: 2, edgePort: 3 },
        httpProxy: { address: "http.example.com" },
        tcpProxy: { address: "tcp.example.com" },
      },
      services: { controller: { type: "NodePort" }, router: { type: "ClusterIP" } },
      images: {
        pullSecret: "registry",
        controller: "registry.example.com:5000/c:1",
        router: `r@sha256:${"0123456789abcdef".repeat(4)}`,
        portManager: "m",
        proxy: "p:1",
        portRouter: "pr:1",
      },
      controller: {
        pidBaseDir: "/run",
        ecnViewerPort: 8080,
        ecnViewerUrl: "https://viewer.example.com",
        portProvider: "proxy",
        ecn: "plant7",
        portAllocatorHost: "ports.example.com",
        proxyBrokerUrl: "https://broker.example.com",
        proxyBrokerToken: registerSecret("Fake-Token"),
      },
      pods: { controller: podSettings, router: podSettings, portManager: podSettings },
      storage: { size: "2048Mi", storageClassName: "fast" },
      deletionPolicy: "Retain",
      replicas: { controller: 1, portManager: 3, router: 1 },
      podDisruptionBudgets: { enabled: true },
      networkPolicies: { enabled: true },
    },
  ],
];

for (const [what, spec] of specs) {
  Deno.test(`the API server takes and keeps the children of a ControlPlane with ${what}`, async () => {
    const { children, problems } = desired(contextIn({ user, ...spec }));
    assertEquals(problems, []);
    for (const child of children) {
      assertEquals(await differences(child), [], fixtures.childName(child));
    }
  });
}

Deno.test("F34 the API server takes the children, and their pods, of every spec that is accepted", async () => {
  const secrets = userSecrets.map(({ name, values }) =>
    ({ ...fixtures.secretOf(name, values), type: "Opaque" }) as KubeObject
  );
  const seen = new Set<string>();
  const specs = specsOf(shapesOf(iofogTable, { user }, true));
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(specs, async (spec) => {
      const context = contextIn(spec);
      const { children } = desired({ ...context, snapshot: fixtures.snapshotOf(secrets) });
      accepted += children.length > 0 ? 1 : 0;
      const fresh = children.filter((child) => {
        const text = child.type === "applied" ? JSON.stringify(child.object) : "";
        return text !== "" && !seen.has(text) && seen.add(text);
      });
      await Promise.all(fresh.map(stored));
    }),
    { numRuns: 300 },
  );
  assert(accepted > 60, `${accepted} of 300 specs were accepted`);
});

Deno.test("the API server takes and keeps the router's certificates", async () => {
  const first = contextIn({ user });
  const authority = fixtures.generatedOf(desired(first).children, "Secret router-ca");
  const secret: KubeObject = { ...authority.object, data: await authority.generate() } as KubeObject;
  const snapshot = fixtures.snapshotOf([secret, fixtures.serviceOf("router", { ip: "192.0.2.20" })]);
  const leaves = desired({ ...first, snapshot }).children.filter((child) => child.type === "generated");
  assertEquals(leaves.map(fixtures.childName), [
    "Secret router-ca",
    "Secret router-internal",
    "Secret router-amqps",
  ]);
  for (const leaf of leaves) {
    const object = { ...leaf.object, data: await leaf.generate() } as KubeObject;
    const created = await client.create(leaf.resource, object, { dryRun: true });
    assertEquals((created as { data?: unknown }).data, (object as { data?: unknown }).data);
  }
});

function contextIn(spec: unknown): DesiredContext {
  const context = fixtures.contextOf(spec);
  const metadata = { ...context.parent.metadata, namespace };
  return { ...context, parent: { ...context.parent, metadata } };
}

/** Paths at which the server would store something else than `child` says. */
async function differences(child: Child): Promise<readonly string[]> {
  if (child.type !== "applied") return [];
  return compare(child.object, await stored(child), (path) => mergeRuleAt(child.resource, path)).paths;
}

/** What the API server would store of `child`; rejects where it does not take it, or the pods that come of it. */
async function stored(child: Child): Promise<KubeObject | undefined> {
  if (child.type !== "applied") return undefined;
  if (child.resource.kind === "Deployment") {
    const { metadata, spec } = present((child.object as Deployment).spec?.template);
    // The account is not there.
    const { serviceAccountName: _, ...pod } = present(spec);
    const object = { metadata: { ...metadata, namespace, generateName: "pod-" }, spec: pod };
    await client.create(Pod, object, { dryRun: true });
  }
  return await client.apply(child.resource, child.object, {
    fieldManager: "children-test",
    force: true,
    dryRun: true,
  });
}
