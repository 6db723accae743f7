import { assertEquals, assertRejects } from "@std/assert";
import { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import type { KubeObject } from "../kubernetes/resource.ts";
import { answering } from "../kubernetes/testing.ts";
import { parentOf, serviceOf, snapshotOf, user } from "../resources/controlplane/iofog/fixtures.ts";
import { locateController, type LocateOptions } from "./locate_controller.ts";

const unroutable = {
  reason: "NoRouteToController",
  message: "the Controller has no address outside of the cluster; start kubectl -n iofog port-forward " +
    "service/controller 51121 and give --controller-url http://127.0.0.1:51121",
};

const nodePortService = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "controller", namespace: "iofog" },
  spec: {
    type: "NodePort",
    ports: [{ port: 80, targetPort: 80, nodePort: 30080 }, {
      port: 51121,
      targetPort: 51121,
      nodePort: 31121,
    }],
  },
} as KubeObject;

/** Where the Controller is, with these objects; nodes have `addresses`, or reading them fails. */
async function locate(
  objects: readonly KubeObject[],
  options: Partial<Pick<LocateOptions, "url" | "inCluster">> & {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[] | Error;
  } = {},
) {
  const { addresses = [], ...rest } = options;
  const transport = answering(() => {
    if (addresses instanceof Error) throw addresses;
    return { metadata: { resourceVersion: "1" }, items: [{ status: {} }, { status: { addresses } }] };
  });
  const location = await locateController(
    { url: undefined, inCluster: false, client: new KubernetesClient(transport), ...rest },
    parentOf({ user }),
    snapshotOf(objects),
    new AbortController().signal,
  );
  return { location, asked: transport.requests.map(({ path }) => path) };
}

Deno.test("locateController() takes the address that was given, whatever else is known", async () => {
  const objects = [serviceOf("controller", { ip: "192.0.2.1" })];
  const { location, asked } = await locate(objects, { url: "http://given:1/x", inCluster: true });
  assertEquals(location, { url: "http://given:1/x" });
  assertEquals(asked, []);
});

Deno.test("locateController() takes the name of the Service in the cluster", async () => {
  const { location } = await locate([serviceOf("controller", { ip: "192.0.2.1" })], { inCluster: true });
  assertEquals(location, { url: "http://controller.iofog.svc:51121" });
});

for (
  const [ingress, host] of [
    [{ ip: "192.0.2.1" }, "192.0.2.1"],
    [{ ip: "2001:db8::1" }, "[2001:db8::1]"],
    [{ hostname: "lb.example.com" }, "lb.example.com"],
    [{ hostname: "lb.example.com", ip: "192.0.2.1" }, "lb.example.com"],
    [{ hostname: "", ip: "192.0.2.1" }, "192.0.2.1"],
  ] as const
) {
  Deno.test(`locateController() takes the load balancer's ${JSON.stringify(ingress)}`, async () => {
    const { location, asked } = await locate([serviceOf("controller", ingress)]);
    assertEquals(location, { url: `http://${host}:51121` });
    assertEquals(asked, []);
  });
}

for (
  const [addresses, host] of [
    [[{ type: "InternalIP", address: "10.0.0.1" }], "10.0.0.1"],
    [
      [{ type: "InternalIP", address: "10.0.0.1" }, { type: "ExternalIP", address: "198.51.100.1" }],
      "198.51.100.1",
    ],
    [[{ type: "Hostname", address: "n" }, { type: "InternalIP", address: "fd00::1" }], "[fd00::1]"],
  ] as const
) {
  Deno.test(`locateController() takes the node port at ${host}`, async () => {
    const { location, asked } = await locate([nodePortService], { addresses });
    assertEquals(location, { url: `http://${host}:31121` });
    assertEquals(asked, ["/api/v1/nodes"]);
  });
}

Deno.test("locateController() says which port-forward to start where no address is known", async () => {
  assertEquals((await locate([])).location, unroutable);
  assertEquals((await locate([serviceOf("controller", {})])).location, unroutable);
  assertEquals((await locate([nodePortService], { addresses: [] })).location, unroutable);
  const onlyName = [{ type: "Hostname", address: "n" }];
  assertEquals((await locate([nodePortService], { addresses: onlyName })).location, unroutable);
});

Deno.test("locateController() does without nodes that it may not read", async () => {
  const forbidden = new ApiError("GET /api/v1/nodes: 403", { status: 403, reason: "Forbidden" });
  assertEquals((await locate([nodePortService], { addresses: forbidden })).location, unroutable);
  await assertRejects(() => locate([nodePortService], { addresses: new TypeError("a bug") }), TypeError);
});
