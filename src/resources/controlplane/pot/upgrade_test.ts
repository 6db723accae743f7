import { assertEquals, assertStringIncludes } from "@std/assert";
import { Role } from "../../../kubernetes/generated/rbac_v1.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { KindState } from "../../../operator/definition.ts";
import { NOW, objectOf, snapshotOf } from "../iofog/fixtures.ts";
import { desired } from "./desired.ts";
import { auth, contextOf } from "./fixtures.ts";
import { status } from "./status.ts";
import { OWN_ROLE, ownPermissions } from "./upgrade.ts";

function surroundings(statefulSets: KindState, objects: readonly KubeObject[] = []) {
  const snapshot = { ...snapshotOf(objects), kind: () => statefulSets };
  return { name: "pot", namespace: "pot", uid: "parent-uid", snapshot, now: NOW };
}

const denied: KindState = { phase: "failed", message: "forbidden", denied: true };

Deno.test("ownPermissions() gives the operator the right to StatefulSets where its Role lacks it, and keeps it", () => {
  const children = ownPermissions(surroundings(denied), "iofog-operator");
  assertEquals(children.map((child) => child.type === "applied" && child.resource.kind), [
    "Role",
    "RoleBinding",
  ]);
  assertEquals(objectOf(children, `Role ${OWN_ROLE}`).rules, [
    { apiGroups: ["apps"], resources: ["statefulsets"], verbs: ["*"] },
  ]);
  assertEquals(objectOf(children, `RoleBinding ${OWN_ROLE}`).subjects, [
    { kind: "ServiceAccount", name: "iofog-operator", namespace: "pot" },
  ]);
  const made = { apiVersion: "rbac.authorization.k8s.io/v1", kind: Role.kind, metadata: { name: OWN_ROLE } };
  assertEquals(ownPermissions(surroundings({ phase: "synced" }, [made]), "iofog-operator").length, 2);
});

Deno.test("ownPermissions() makes nothing where the right is there, or nobody is known to give it to", () => {
  assertEquals(ownPermissions(surroundings({ phase: "synced" }), "iofog-operator"), []);
  assertEquals(ownPermissions(surroundings(denied), undefined), []);
  const down: KindState = { phase: "failed", message: "no answer", denied: false };
  assertEquals(ownPermissions(surroundings(down), "iofog-operator"), []);
});

Deno.test("desired() copies what the Controller added to the router's configuration before 3.7, until ours is there", () => {
  const listener = ["tcpListener", { name: "press-listener", port: "10024", address: "press" }];
  const before = [
    ["router", { id: "default-router", mode: "interior" }],
    ["sslProfile", { name: "pot-router-site-server", certFile: "/etc/skupper-router-certs/x/tls.crt" }],
    ["listener", { name: "pot-router-edge", port: 45671, sslProfile: "pot-router-site-server" }],
    listener,
  ];
  const map = (name: string, document: unknown) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "pot" },
    data: { "skrouterd.json": typeof document === "string" ? document : JSON.stringify(document) },
  });
  const documentOf = (...objects: KubeObject[]) => {
    const { children } = desired(contextOf({ auth }, snapshotOf(objects)));
    const entries = JSON.parse(objectOf(children, "ConfigMap iofog-router").data["skrouterd.json"]);
    return entries as [string, { name?: string }][];
  };
  const copied = documentOf(map("pot-router", before));
  assertEquals(copied.filter(([type]) => type === "tcpListener"), [listener]);
  const names = copied.map(([, { name }]) => name).filter((name) => name?.startsWith("pot-router"));
  assertEquals(names, []);
  // Later it is the Controller that says what is in ours.
  assertEquals(
    documentOf(map("pot-router", before), map("iofog-router", copied.slice(0, -1))).length,
    copied.length - 1,
  );
  const [problem] = desired(contextOf({ auth }, snapshotOf([map("pot-router", "[")]))).problems;
  assertStringIncludes(
    problem?.message ?? "",
    "ConfigMap pot-router has a skrouterd.json that cannot be read",
  );
});

Deno.test("desired() deletes the Port Manager of releases before 3.5", () => {
  assertEquals(retiredWith({}).slice(0, 4), [
    "Deployment port-manager",
    "RoleBinding port-manager",
    "Role port-manager",
    "ServiceAccount port-manager",
  ]);
});

Deno.test("desired() deletes what the Go operator left of NATS, the vault and the Ingress, but no key, authority or claim", () => {
  const vault = { provider: "vault", hashicorp: { address: "https://vault.example.com", token: "token" } };
  const inside = {
    services: { controller: { type: "ClusterIP" } },
    ingresses: { controller: { host: "pot.example.com" } },
  };
  assertEquals(retiredWith({ vault, ...inside }).slice(4), []);
  assertEquals(retiredWith({}).slice(4), ["Ingress pot-controller", "Secret controller-vault-credentials"]);
  const claim = objectOf(desired(contextOf({ auth })).children, "PersistentVolumeClaim controller-sqlite");
  const labels = {
    ...claim.metadata.labels,
    "app.kubernetes.io/component": "nats",
    "datasance.com/component": "nats",
  };
  const live = (kind: string, name: string, more = {}) => ({
    apiVersion: { StatefulSet: "apps/v1" }[kind] ?? "v1",
    kind,
    metadata: { name, namespace: "pot", labels, uid: `${name}-uid` },
    ...more,
  });
  const left = [
    live("StatefulSet", "nats", { spec: { replicas: 2 } }),
    live("ConfigMap", "iofog-nats-config", { data: { "server.conf": "" } }),
    live("ConfigMap", "iofog-nats-jwt-bundle", { data: {} }),
    ...["nats-operator-seed", "nats-creds-sys-admin-hub"]
      .map((name) => live("Secret", name, { type: "Opaque", data: {} })),
    ...["nats-jetstream-key-pot", "nats-site-ca", "default-nats-local-ca"]
      .map((name) => live("Secret", name, { type: "Opaque", data: {} })),
    live("PersistentVolumeClaim", "js-data-nats-0", { spec: {} }),
  ];
  assertEquals(retiredWith({ vault, ...inside, nats: { enabled: false } }, left).slice(4).toSorted(), [
    "ConfigMap iofog-nats-config",
    "ConfigMap iofog-nats-jwt-bundle",
    "Role nats",
    "RoleBinding nats",
    "Secret nats-creds-sys-admin-hub",
    "Secret nats-operator-seed",
    "Service nats",
    "Service nats-headless",
    "Service nats-server",
    "ServiceAccount nats",
    "StatefulSet nats",
  ]);
});

function retiredWith(spec: Record<string, unknown>, objects: readonly KubeObject[] = []): readonly string[] {
  const { retired = [] } = desired(contextOf({ auth, ...spec }, snapshotOf(objects)));
  return retired.map(({ name, resource }) => `${resource.kind} ${name}`);
}

Deno.test("status() is not ready, and says why, while a workload is made again for its labels", () => {
  const old = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "router", namespace: "pot" },
    spec: { selector: { matchLabels: { name: "router" } } },
  };
  const context = contextOf({ auth }, snapshotOf([old]));
  const given = { desired: desired(context), pending: [], failures: [], lostFields: [], restrictions: [] };
  const { conditions } = status({ ...context, ...given });
  const found = conditions.find(({ type }) => type === "WorkloadsReplaced");
  assertEquals([found?.status, found?.reason], ["False", "Replacing"]);
  assertStringIncludes(found?.message ?? "", "Deployment router serves until Deployment router-interim does");
  assertEquals(conditions.find(({ type }) => type === "Ready")?.status, "False");
});
