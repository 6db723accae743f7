import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { MemoryApi } from "../../tests/memory_transport.ts";
import { systemClock } from "../clock.ts";
import { Deployment } from "../kubernetes/generated/apps_v1.ts";
import { ConfigMap, PersistentVolumeClaim, Pod, Secret } from "../kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../kubernetes/resource.ts";
import type { ExternalWrite, KubernetesWrite } from "../operator/write.ts";
import { ControlPlane, controlPlaneDefinition } from "../resources/controlplane/iofog/definition.ts";
import { parentOf, user } from "../resources/controlplane/iofog/fixtures.ts";
import { render } from "./diff.ts";
import { password, program, token } from "./testing.ts";

/** What is shown of these writes. */
function shown(...writes: readonly (KubernetesWrite | ExternalWrite)[]): string {
  return render({
    waves: [writes.filter((write) => write.world === "kubernetes")],
    external: writes.filter((write) => write.world === "external"),
  });
}

/** An apply that turns `live` into `object`. */
function apply<T extends KubeObject>(
  resource: Resource<T>,
  object: T,
  live: T | undefined,
  paths: readonly string[],
): KubernetesWrite {
  const named = { name: "x", namespace: "iofog" };
  return {
    ...targetOf(resource),
    verb: "apply",
    object: {
      kind: resource.kind,
      ...object,
      metadata: { ...named, ...object.metadata },
    },
    paths,
    ...(live && { live: { kind: resource.kind, ...live, metadata: { ...named, ...live.metadata } } }),
  };
}

function targetOf(resource: Resource) {
  return { world: "kubernetes", resource, namespace: "iofog", name: "x" } as const;
}

Deno.test("render() shows the whole of an object that will be created", () => {
  assertEquals(
    shown(apply(ConfigMap, { data: { key: "value" } }, undefined, ["missing"])),
    `create ConfigMap x
+ kind: ConfigMap
+ data:
+   key: value
+ metadata:
+   name: x
+   namespace: iofog

`,
  );
});

Deno.test("render() shows paths and changed lines of an update, and nothing that is not ours", () => {
  const live: ConfigMap = {
    data: { key: "old", foreign: "kept" },
    metadata: {
      name: "x",
      namespace: "iofog",
      uid: "1",
      resourceVersion: "2",
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" },
      managedFields: [{ manager: "kubectl" }],
    },
  };
  assertEquals(
    shown(apply(ConfigMap, { data: { key: "new", more: "added" } }, live, ["data.key", "data.more"])),
    `update ConfigMap x
~ data.key
~ data.more
-   key: old
+   key: new
+   more: added

`,
  );
});

Deno.test("render() matches items of lists as an apply does, and leaves defaults and side-cars out", () => {
  const pod = (containers: readonly object[]): Deployment =>
    ({ spec: { selector: {}, template: { spec: { containers } } } }) as unknown as Deployment;
  const live = pod([
    { name: "sidecar", image: "s" },
    {
      name: "app",
      image: "a:1",
      terminationMessagePath: "/dev/termination-log",
      ports: [{ containerPort: 80, protocol: "TCP" }],
      env: [{ name: "FOREIGN", value: "f" }, { name: "A", value: "same" }],
    },
  ]);
  const wanted = pod([{
    name: "app",
    image: "a:2",
    ports: [{ containerPort: 80 }],
    env: [{ name: "A", value: "same" }, { name: "B", value: "new" }],
  }]);
  const image = "spec.template.spec.containers[name=app].image";
  assertEquals(
    shown(apply(Deployment, wanted, live, [image])),
    `update Deployment x
~ ${image}
-           image: 'a:1'
+           image: 'a:2'
+             - name: B
+               value: new

`,
  );
});

Deno.test("render() shows a line that moved to a place where the same line stood already", () => {
  const data = (a: string, b: string) => ({ data: { a, b } }) as unknown as ConfigMap;
  const text = shown(
    apply(ConfigMap, data("1", "x\n"), data("1\n2", "x\n"), ["data.a"]),
  );
  assertMatch(text, /^- {3}a: \|-\n- {5}1\n- {5}2\n\+ {3}a: '1'$/m);
});

Deno.test("render() shows no value of a Secret, neither as it is nor as it will be", () => {
  const secret = (value: string): Secret => ({ data: { password: btoa(value), user: btoa("me") } });
  const texts = [
    shown(apply(Secret, secret(password), undefined, ["missing"])),
    shown(apply(Secret, secret(password), secret("Other-secret-value"), ["data.password"])),
    shown({
      ...targetOf(Secret),
      verb: "create",
      object: { kind: "Secret", metadata: { name: "x" }, data: { "tls.key": btoa(password) } } as never,
      paths: ["missing"],
    }),
  ];
  for (const text of texts) {
    for (const value of [password, btoa(password), btoa("Other-secret-value"), btoa("me")]) {
      assertFalse(text.includes(value), text);
    }
  }
  assertEquals(texts[1], "update Secret x\n~ data.password\n\n");
  assert(texts[0]?.includes("+   password: '***'\n"), texts[0]);
});

Deno.test("render() tells of what is deleted, made again, handed over, and never makes a key", () => {
  const live = { kind: "Secret", metadata: { name: "x", uid: "1", resourceVersion: "2" } };
  const object = { ...live, data: { "tls.key": btoa(password) } } as never;
  const generate = () => Promise.reject(new Error("diff makes no keys"));
  const precondition = { uid: "1", resourceVersion: "2" };
  assertEquals(
    shown(
      { ...targetOf(Secret), verb: "delete", live, paths: ["no longer wanted"], precondition },
      { ...targetOf(Secret), verb: "replace", live, object, paths: ["it has no tls.key"], generate },
      { ...targetOf(Secret), verb: "adopt", live, operations: [], paths: ["metadata.ownerReferences"] },
    ),
    `delete Secret x

update Secret x
~ made again: it has no tls.key

update Secret x
~ metadata.ownerReferences

`,
  );
});

Deno.test("render() shows objects in the Controller, without what a write needs in secret", () => {
  const child = {
    type: "external",
    kind: "User",
    name: "me@example.com",
    fields: { email: "me@example.com", firstName: "New" },
    secrets: { password },
    singleton: true,
  } as const;
  const observed = {
    kind: "User",
    name: "me@example.com",
    fields: { email: "me@example.com", firstName: "Old", lastName: "x" },
  };
  assertEquals(
    shown(
      { world: "external", verb: "create", child, observed: undefined, paths: ["missing"] },
      { world: "external", verb: "update", child, observed, paths: ["firstName"] },
    ),
    `create User me@example.com in the Controller
+ email: me@example.com
+ firstName: New

update User me@example.com in the Controller
~ firstName
- firstName: Old
+ firstName: New

`,
  );
});

Deno.test("diff prints what would be written, writes nothing, and ends with 1", async () => {
  const api = apiWith({ user: { ...user, password: btoa(password) } });
  const { code, stdout, stderr } = await program(["diff", "--controller-url=http://127.0.0.1:9"], { api });
  assertEquals(code, 1);
  for (const title of ["create Deployment controller", "create Secret router-ca", "create Service router"]) {
    assert(`\n${stdout}`.includes(`\n${title}\n`), title);
  }
  assertMatch(stderr, /^ControlPlane iofog: what is in the Controller is not known: .*127\.0\.0\.1:9/m);
  assertEquals(api.writes, []);
  for (const secret of [password, btoa(password), token]) assertFalse((stdout + stderr).includes(secret));
});

Deno.test("diff tells of a spec that cannot be accepted", async () => {
  const api = apiWith({ user: { ...user, password: "short" } });
  const { code, stdout, stderr } = await program(["diff"], { api });
  assertEquals({ code, stdout }, { code: 2, stdout: "" });
  assertMatch(stderr, /^ControlPlane iofog: spec\.user\.password /m);
});

Deno.test("diff ends with 0 where there is nothing to do, and with 2 where it cannot tell", async () => {
  const api = new MemoryApi(systemClock, [ControlPlane, Pod, ...controlPlaneDefinition().childResources]);
  assertEquals(await program(["diff"], { api }), { code: 0, stdout: "", stderr: "" });
  api.unserve(ControlPlane);
  assertEquals(await program(["diff"], { api }), {
    code: 2,
    stdout: "",
    stderr: "iofog-operator: the CRD controlplanes.iofog.org is not installed: install it with " +
      "iofog-operator crds | kubectl apply -f -\n",
  });
});

/** An API server with a ControlPlane, and with a claim that is somebody else's. */
function apiWith(spec: unknown): MemoryApi {
  const api = new MemoryApi(systemClock, [ControlPlane, Pod, ...controlPlaneDefinition().childResources]);
  api.make(
    ControlPlane,
    { ...parentOf(spec), metadata: { name: "iofog", namespace: "iofog" } } as KubeObject,
  );
  api.make(PersistentVolumeClaim, { metadata: { name: "theirs", namespace: "iofog" } });
  return api;
}
