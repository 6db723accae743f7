import { assertEquals } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { AppliedChild } from "../../../operator/definition.ts";
import { desired } from "./desired.ts";
import { childName, contextOf, objectOf, secretOf, snapshotOf, user } from "./fixtures.ts";

const database = {
  provider: "mysql",
  host: "db.example.com",
  port: 3306,
  user: "controller",
  password: "Fake-Db-Pass",
  databaseName: "iofog",
};

function childrenOf(spec: Record<string, unknown>, objects: readonly KubeObject[] = []) {
  return desired(contextOf({ user, ...spec }, snapshotOf(objects))).children;
}

function environmentOf(spec: Record<string, unknown>): Record<string, unknown> {
  const [container] = objectOf(childrenOf(spec), "Deployment controller").spec.template.spec.containers;
  return Object.fromEntries(
    container.env.map(({ name, value, valueFrom }: Record<string, unknown>) => [name, value ?? valueFrom]),
  );
}

Deno.test("the Controller on sqlite has one pod, which stops before the next starts, and a claim at both paths", () => {
  const children = childrenOf({});
  const deployment = objectOf(children, "Deployment controller");
  assertEquals(deployment.spec.replicas, 1);
  assertEquals(deployment.spec.strategy, { type: "Recreate" });
  const applied = children.find((child) => childName(child) === "Deployment controller") as AppliedChild;
  assertEquals(applied.absent, [["spec", "strategy", "rollingUpdate"]]);
  const mounts = deployment.spec.template.spec.containers[0].volumeMounts;
  assertEquals(mounts.length, 2);
  assertEquals(
    new Set(mounts.map((mount: { subPath: string }) => mount.subPath)),
    new Set(["prod_database.sqlite"]),
  );
  assertEquals(objectOf(children, "PersistentVolumeClaim controller-sqlite").spec, {
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: "1Gi" } },
  });
});

Deno.test("the Controller on an external database has no claim, rolls, and as many pods as the spec says", () => {
  const children = childrenOf({ database, replicas: { controller: 3 } });
  const deployment = objectOf(children, "Deployment controller");
  assertEquals(deployment.spec.replicas, 3);
  assertEquals(deployment.spec.strategy, {
    type: "RollingUpdate",
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
  });
  assertEquals(deployment.spec.template.spec.volumes, undefined);
  assertEquals(deployment.spec.template.spec.containers[0].volumeMounts, undefined);
  assertEquals(
    children.some((child) => childName(child) === "PersistentVolumeClaim controller-sqlite"),
    false,
  );
  assertEquals(
    (children.find((child) => childName(child) === "Deployment controller") as AppliedChild).absent,
    undefined,
  );
  assertEquals(objectOf(children, "Secret controller-db-credentials").data, {
    username: btoa("controller"),
    password: btoa("Fake-Db-Pass"),
    dbname: btoa("iofog"),
    host: btoa("db.example.com"),
    port: btoa("3306"),
  });
});

Deno.test("replicas that the spec leaves open are left open with an external database", () => {
  assertEquals("replicas" in objectOf(childrenOf({ database }), "Deployment controller").spec, false);
});

Deno.test("the Controller is told what the spec sets, and nothing that is empty", () => {
  const told = environmentOf({
    database,
    images: { proxy: "registry:5000/proxy:1", router: "r:2", portRouter: "p:3" },
    controller: {
      portProvider: "proxy",
      ecn: "plant7",
      ecnViewerPort: 8080,
      ecnViewerUrl: "https://viewer.example.com",
      pidBaseDir: "/run",
      portAllocatorHost: "ports.example.com",
      proxyBrokerUrl: "https://broker.example.com",
      proxyBrokerToken: "Fake-Token",
    },
  });
  const plain = Object.fromEntries(Object.entries(told).filter(([, value]) => typeof value === "string"));
  assertEquals(plain, {
    DB_PROVIDER: "mysql",
    MSVC_PORT_PROVIDER: "proxy",
    SystemImages_Proxy_1: "registry:5000/proxy:1",
    SystemImages_Proxy_2: "registry:5000/proxy-arm:1",
    SystemImages_Router_1: "r:2",
    SystemImages_Router_2: "r:2",
    SystemImages_PortRouter_1: "p:3",
    SystemImages_PortRouter_2: "p:3",
    PORT_ALLOC_ADDRESS: "ports.example.com",
    ECN_NAME: "plant7",
    PID_BASE: "/run",
    VIEWER_PORT: "8080",
    VIEWER_URL: "https://viewer.example.com",
    PROXY_BROKER_URL: "https://broker.example.com",
  });
  assertEquals(Object.keys(environmentOf({})), [
    "DB_NAME",
    "DB_USERNAME",
    "DB_PASSWORD",
    "DB_HOST",
    "DB_PORT",
    "PID_BASE",
    "VIEWER_PORT",
    "PROXY_BROKER_TOKEN",
  ]);
});

Deno.test("Service controller leads port 80 to the viewer's port, and asks a cloud for an address", () => {
  const service = (type: string) =>
    objectOf(
      childrenOf({
        services: { controller: { type, address: "192.0.2.9" } },
        controller: { ecnViewerPort: 8080 },
      }),
      "Service controller",
    ).spec;
  assertEquals(service("LoadBalancer"), {
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    loadBalancerIP: "192.0.2.9",
    selector: { name: "controller" },
    ports: [
      { name: "controller0", protocol: "TCP", port: 51121, targetPort: 51121 },
      { name: "controller1", protocol: "TCP", port: 80, targetPort: 8080 },
    ],
  });
  assertEquals(Object.keys(service("NodePort")).sort(), ["ports", "selector", "type"]);
});

Deno.test("the Controller starts again when a Secret that it reads has a new revision, and not before", () => {
  const annotations = (objects: readonly KubeObject[]) =>
    objectOf(childrenOf({}, objects), "Deployment controller").spec.template.metadata.annotations;
  assertEquals(annotations([]), undefined);
  assertEquals(
    annotations([secretOf("controller-db-credentials", {}), secretOf("controller-s2s-tokens", {})]),
    undefined,
  );
  assertEquals(
    annotations([
      secretOf("controller-db-credentials", {}, { "iofog.org/revision": "1" }),
      secretOf("controller-s2s-tokens", {}, { "iofog.org/revision": "2" }),
      secretOf("controller-credentials", {}, { "iofog.org/revision": "3" }),
    ]),
    { "iofog.org/revision-controller-db-credentials": "1", "iofog.org/revision-controller-s2s-tokens": "2" },
  );
});

Deno.test("every component pulls with the Secret of the spec", () => {
  const children = childrenOf({ images: { pullSecret: "registry" } });
  for (const name of ["controller", "router", "port-manager"]) {
    assertEquals(objectOf(children, `ServiceAccount ${name}`).imagePullSecrets, [{ name: "registry" }]);
  }
});
