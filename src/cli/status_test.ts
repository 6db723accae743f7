import { parse } from "@std/yaml";
import { assertEquals, assertFalse, assertMatch } from "@std/assert";
import { MemoryApi } from "../../tests/memory_transport.ts";
import { systemClock } from "../clock.ts";
import { Deployment } from "../kubernetes/generated/apps_v1.ts";
import { Pod, Service } from "../kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../kubernetes/resource.ts";
import type { Condition } from "../operator/definition.ts";
import { ControlPlane, controlPlaneDefinition } from "../resources/controlplane/iofog/definition.ts";
import { parentOf, snapshotOf, user } from "../resources/controlplane/iofog/fixtures.ts";
import { draw, type Picture } from "./status.ts";
import { password, program } from "./testing.ts";

function condition(type: string, status: "True" | "False", reason: string, message: string): Condition {
  return { type, status, reason, message, lastTransitionTime: "2026-01-01T00:00:00Z", observedGeneration: 1 };
}

const ready = [
  condition("ready", "True", "Ready", "the control plane is up"),
  condition("Ready", "True", "Ready", "the control plane is up"),
  condition("Stalled", "False", "Ready", "nothing is in the way"),
  condition("RouterRegistered", "True", "Registered", "router.example.com is registered"),
];
const starting = [
  condition("deploying", "True", "PodsNotReady", "pods are starting"),
  condition("Ready", "False", "PodsNotReady", "pods are starting"),
  condition("ControllerAvailable", "False", "PodsNotReady", "0 of 1 pods are available"),
];

const facts = {
  controllerVersion: "3.0.4",
  controllerEndpoint: "http://192.0.2.1:51121",
  routerAddress: "192.0.2.2",
};

/** A ControlPlane of generation 1 with this status. */
function parentWith(status: object | undefined) {
  return { ...parentOf({ user: { ...user, password: btoa(password) } }), ...(status && { status }) };
}

const deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "controller", namespace: "iofog" },
  spec: {
    replicas: 1,
    selector: {},
    template: { spec: { containers: [{ name: "c", image: "controller:3" }] } },
  },
  status: { availableReplicas: 1 },
} as Deployment;

function service(spec: object, ingress?: object): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "controller", namespace: "iofog" },
    spec,
    ...(ingress && { status: { loadBalancer: { ingress: [ingress] } } }),
  } as Service;
}

const ports = [{ port: 51121, nodePort: 31121 }, { port: 80, nodePort: 30080 }];

Deno.test("draw() takes the verdict from the condition Ready of the present generation", () => {
  const verdict = (status: object | undefined, generation = 1) => {
    const parent = parentWith(status);
    const drawn = draw({ ...parent, metadata: { ...parent.metadata, generation } }, snapshotOf());
    return { ready: drawn.ready, reason: drawn.reason, message: drawn.message };
  };
  assertEquals(verdict({ conditions: ready }), {
    ready: true,
    reason: "Ready",
    message: "the control plane is up",
  });
  assertEquals(verdict({ conditions: starting }), {
    ready: false,
    reason: "PodsNotReady",
    message: "pods are starting",
  });
  assertEquals(verdict({ conditions: ready }, 2), {
    ready: false,
    reason: "Ready",
    message: "the operator has not looked at the latest change yet (before it: the control plane is up)",
  });
  for (const status of [undefined, {}, { conditions: [] }]) {
    assertEquals(verdict(status), {
      ready: false,
      reason: "NotSeen",
      message: "no operator has looked at it yet",
    });
  }
});

Deno.test("draw() tells of each component how many pods it has, its image, and its Service", () => {
  const { components } = draw(
    parentWith({ conditions: ready }),
    snapshotOf([deployment, service({ ports })]),
  );
  assertEquals(components.slice(0, 2), [
    {
      name: "controller",
      available: 1,
      wanted: 1,
      image: "controller:3",
      service: "ClusterIP ports 51121, 80",
    },
    { name: "router", available: 0, wanted: 0, image: undefined, service: undefined },
  ]);
});

for (
  const [spec, ingress, text] of [
    [{ type: "LoadBalancer", ports }, { ip: "192.0.2.1" }, "LoadBalancer 192.0.2.1 ports 51121, 80"],
    [{ type: "LoadBalancer", ports }, { hostname: "lb.example" }, "LoadBalancer lb.example ports 51121, 80"],
    [
      { type: "LoadBalancer", ports },
      { hostname: "", ip: "192.0.2.1" },
      "LoadBalancer 192.0.2.1 ports 51121, 80",
    ],
    [{ type: "LoadBalancer", ports }, undefined, "LoadBalancer (no address yet) ports 51121, 80"],
    [{ type: "NodePort", ports }, undefined, "NodePort ports 51121:31121, 80:30080"],
  ] as const
) {
  Deno.test(`draw() describes a Service as ${text}`, () => {
    const drawn = draw(parentWith(undefined), snapshotOf([service(spec, ingress)]));
    assertEquals(drawn.components[0]?.service, text);
  });
}

/** An API server with these ControlPlanes, a Deployment and a Service. */
function apiWith(...parents: readonly KubeObject[]): MemoryApi {
  const api = new MemoryApi(systemClock, [ControlPlane, Pod, ...controlPlaneDefinition().childResources]);
  const put = (resource: Resource, object: KubeObject) => {
    const { name } = object.metadata ?? {};
    api.make(resource, { ...object, metadata: { name, namespace: "iofog" } });
    // As with a real one, it takes a second request.
    api.edit(resource, name ?? "", (stored) => {
      Object.assign(stored, { status: (object as { readonly status?: unknown }).status });
    });
  };
  put(Deployment, deployment);
  put(Service, service({ type: "LoadBalancer", ports }, { ip: "192.0.2.1" }));
  for (const parent of parents) put(ControlPlane, parent);
  return api;
}

Deno.test("status prints one picture, and ends with 0 when all is ready", async () => {
  const api = apiWith(parentWith({ conditions: ready, ...facts }));
  assertEquals(await program(["status"], { api }), {
    code: 0,
    stderr: "",
    stdout: `ControlPlane iofog/iofog: ready
  the control plane is up
  Controller  3.0.4
  Endpoint    http://192.0.2.1:51121
  Router      192.0.2.2

  COMPONENT     PODS  IMAGE         SERVICE
  controller    1/1   controller:3  LoadBalancer 192.0.2.1 ports 51121, 80
  router        0/0   -             -
  port-manager  0/0   -             -

  CONDITION         STATUS  REASON      MESSAGE
  RouterRegistered  True    Registered  router.example.com is registered
`,
  });
  assertEquals(api.writes, []);
});

Deno.test("status says what is awaited, and ends with 1 when something is not ready", async () => {
  const { code, stdout } = await program(["status"], { api: apiWith(parentWith({ conditions: starting })) });
  assertEquals(code, 1);
  assertEquals(stdout.split("\n").slice(0, 3), [
    "ControlPlane iofog/iofog: not ready (PodsNotReady)",
    "  pods are starting",
    "",
  ]);
  assertMatch(stdout, /^ {2}ControllerAvailable {2}False {3}PodsNotReady {2}0 of 1 pods are available$/m);
  const [one, other] = [parentWith({ conditions: ready }), parentOf({ user })];
  const both = await program(["status"], {
    api: apiWith(one, { ...other, metadata: { ...other.metadata, name: "other" } }),
  });
  assertEquals(both.code, 1);
  assertMatch(both.stdout, /^ControlPlane iofog\/iofog: ready$/m);
  assertMatch(both.stdout, /^ControlPlane iofog\/other: not ready \(NotSeen\)$/m);
});

Deno.test("status -o json and -o yaml give the same picture to machines", async () => {
  const api = apiWith(parentWith({ conditions: ready, ...facts }));
  const json = await program(["status", "-o", "json"], { api });
  const [picture, ...more] = JSON.parse(json.stdout) as [Picture, ...Picture[]];
  assertEquals(more, []);
  const { components, conditions, ...rest } = picture;
  assertEquals(rest, {
    name: "iofog",
    namespace: "iofog",
    ready: true,
    reason: "Ready",
    message: "the control plane is up",
    ...facts,
    edge: { agents: [], applications: [], edgeResources: [] },
  });
  assertEquals(conditions, ready);
  assertEquals(components.map(({ name }) => name), ["controller", "router", "port-manager"]);
  const yaml = await program(["status", "-o", "yaml"], { api });
  assertEquals(parse(yaml.stdout), JSON.parse(json.stdout));
  assertEquals([json.code, yaml.code], [0, 0]);
});

Deno.test("status shows no password, also where a condition quotes one", async () => {
  const quoting = [condition("Ready", "False", "Refused", `the password ${password} was refused`)];
  for (const format of ["text", "json", "yaml"]) {
    const api = apiWith(parentWith({ conditions: quoting }));
    const { stdout, stderr } = await program(["status", "-o", format], { api });
    assertMatch(stdout, /the password \*\*\* was refused/);
    assertFalse(`${stdout}${stderr}`.includes(password));
  }
});

Deno.test("status without a ControlPlane is one clear line, or an empty list for machines", async () => {
  const api = apiWith();
  assertEquals(await program(["status"], { api }), {
    code: 1,
    stdout: "",
    stderr:
      "iofog-operator: there is no ControlPlane in namespace iofog: apply one, or choose another with " +
      "--namespace\n",
  });
  assertEquals(await program(["status", "-ojson"], { api }), { code: 1, stdout: "[]\n", stderr: "" });
});
