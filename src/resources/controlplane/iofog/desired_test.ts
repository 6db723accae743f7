import { assert, assertEquals } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { assess, desired, secretNames } from "./desired.ts";
import {
  childName,
  contextOf,
  NAMESPACE,
  objectOf,
  parentOf,
  serviceOf,
  snapshotOf,
  user,
} from "./fixtures.ts";

/** The inventory as the engine writes it once it saw the user in the Controller. */
function inventoryOf(email: string, confirmed: boolean): KubeObject {
  const entries = [{ kind: "User", name: email, parentUid: "parent-uid", singleton: true, confirmed }];
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "iofog-inventory", namespace: NAMESPACE },
    data: { id: "some-id", entries: JSON.stringify(entries) },
  } as KubeObject;
}

Deno.test("desired() makes each child once, with a name and the parent's namespace", () => {
  const { children, problems } = desired(contextOf({ user }));
  const names = children.map(childName);
  assertEquals(problems, []);
  assertEquals(names.length, new Set(names).size);
  for (const child of children) {
    if (child.type !== "external") assertEquals(child.object.metadata.namespace, NAMESPACE);
  }
});

Deno.test("desired() is the same for the same snapshot", () => {
  const context = contextOf({ user }, snapshotOf([serviceOf("router", { ip: "192.0.2.1" })]));
  assertEquals(JSON.stringify(desired(context)), JSON.stringify(desired(context)));
});

Deno.test("desired() names no secret in what the engine may print", () => {
  const { children } = desired(contextOf({ user }));
  const visible = children.map((child) =>
    child.type === "external" ? [child.name, child.fields] : child.object.metadata
  );
  const text = JSON.stringify(visible);
  assert(!text.includes("Fake-Pass-1234") && !text.includes(user.password));
});

Deno.test("desired() wants no change while the spec cannot be accepted", () => {
  const { children, problems } = desired(contextOf({ user: { ...user, name: "Al" } }));
  assertEquals(children, []);
  assertEquals(problems.map(({ field }) => field), ["spec.user.name"]);
});

Deno.test("desired() refuses another e-mail once the user was seen in the Controller, and not before", () => {
  const look = (confirmed: boolean) =>
    desired(contextOf({ user }, snapshotOf([inventoryOf("old@example.com", confirmed)])));
  const { children, problems } = look(true);
  assertEquals(children, []);
  assertEquals(problems.map(({ reason, field }) => [reason, field]), [["EmailChanged", "spec.user.email"]]);
  assert(problems[0]?.message.includes("Set it back to old@example.com"));
  assertEquals(look(false).problems, []);
  assertEquals(desired(contextOf({ user }, snapshotOf([inventoryOf(user.email, true)]))).problems, []);
});

Deno.test("every Secret whose content counts is among secretNames", () => {
  const snapshot = snapshotOf([serviceOf("router", { ip: "192.0.2.1" })]);
  const asked = new Set<string>();
  const watched = {
    ...snapshot,
    get: ((resource, name) => {
      if (resource.kind === "Secret") asked.add(name);
      return snapshot.get(resource, name);
    }) as typeof snapshot.get,
  };
  desired(contextOf({ user }, watched));
  const ofChildren = desired(contextOf({ user }, snapshot)).children
    .filter((child) => child.type !== "external" && child.object.kind === "Secret")
    .map((child) => childName(child).replace("Secret ", ""));
  const names = secretNames(parentOf({ user }));
  assertEquals([...asked, ...ofChildren].filter((name) => !names.includes(name)), []);
});

Deno.test("assess() tells where the control plane is reached", () => {
  const look = (spec: Record<string, unknown>, objects: readonly KubeObject[]) => {
    const assessment = assess(contextOf({ user, ...spec }, snapshotOf(objects)));
    if (!assessment.accepted) throw new Error("not accepted");
    const { controller, controllerEndpoint } = assessment.addresses;
    return [controller, controllerEndpoint];
  };
  const inside = "http://controller.iofog.svc:51121";
  assertEquals(look({}, []), [undefined, inside]);
  assertEquals(look({}, [serviceOf("controller", { hostname: "lb.example.com" })]), [
    "lb.example.com",
    "http://lb.example.com:51121",
  ]);
  assertEquals(look({}, [serviceOf("controller", { ip: "2001:db8::1" })]), [
    "2001:db8::1",
    "http://[2001:db8::1]:51121",
  ]);
  const nodePort = { services: { controller: { type: "NodePort" } } };
  assertEquals(look(nodePort, [serviceOf("controller", { ip: "192.0.2.1" })]), [undefined, inside]);
});

Deno.test("assess() warns of unknown fields and of a pull Secret that is not there", () => {
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`extra${index}`, 1]));
  const { warnings } = assess(contextOf({ user, ...many, images: { pullSecret: "registry" } }));
  assertEquals(warnings.map(({ reason }) => reason), ["UnknownFields", "PullSecretMissing"]);
  assert(warnings[0]?.message.includes("spec.extra0, spec.extra1, spec.extra10"));
  assert(warnings[0]?.message.includes(", ...") && !warnings[0].message.includes("spec.extra9"));
});

Deno.test("assess() waits for a load balancer's address of the Controller only where it is one", () => {
  const components = (type: string) => {
    const assessment = assess(contextOf({ user, services: { controller: { type } } }));
    return assessment.accepted ? assessment.waiting.map(({ component }) => component) : [];
  };
  assertEquals(components("LoadBalancer"), ["controller", "router"]);
  assertEquals(components("ClusterIP"), ["router"]);
});

Deno.test("images of the site run where the spec names none, and are told to the Controller as if it named them", () => {
  const site = { controller: "mirror/controller:1", router: "mirror/router:1", proxy: "mirror/proxy:1" };
  const { children } = desired(contextOf({ user, images: { router: "own/router:2" } }), undefined, site);
  const containerOf = (name: string) =>
    objectOf(children, `Deployment ${name}`).spec.template.spec.containers[0];
  const valueOf = (name: string, variable: string) =>
    containerOf(name).env.find((each: { name: string }) => each.name === variable)?.value;
  assertEquals(containerOf("controller").image, "mirror/controller:1");
  assertEquals(containerOf("router").image, "own/router:2");
  assertEquals(containerOf("port-manager").image, "iofog/port-manager:3.0.0");
  assertEquals(valueOf("port-manager", "PROXY_IMAGE"), "mirror/proxy:1");
  assertEquals(valueOf("controller", "SystemImages_Proxy_1"), "mirror/proxy:1");
  assertEquals(valueOf("controller", "SystemImages_Proxy_2"), "mirror/proxy-arm:1");
  assertEquals(valueOf("controller", "SystemImages_Router_1"), "own/router:2");
});
