/** The router's address: what waits for it, what does not, and what follows it. */

import "reflect-metadata";
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import * as x509 from "@peculiar/x509";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { decodedData, titleOf } from "../golden/recordings.ts";
import { conditionOf, present, scenario, type Scene } from "./harness.ts";
import { eventually, pause, timed } from "./waiting.ts";

const LEAVES = ["router-internal", "router-amqps"] as const;
/** Milliseconds from the address to certificates and registration: two keys, of 200 ms each on an idle machine. */
const followsWithinMs = 1_000;
/** Milliseconds of a machine under load. */
const slackMs = 5_000;

/** Names and addresses in a certificate. */
async function namesIn(scene: Scene, secret: string): Promise<readonly string[] | undefined> {
  const { data } = await scene.find(Secret, secret) ?? {};
  if (data === undefined) return undefined;
  const certificate = new x509.X509Certificate(decodedData(data)["tls.crt"] ?? "");
  return certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map(({ value }) =>
    value
  );
}

/** Waits until both certificates and the registration are for `host`, and nothing else. */
async function untilServedAt(scene: Scene, host: string): Promise<void> {
  await eventually(
    `certificates and registration for ${host}`,
    async () => [
      ...await Promise.all(LEAVES.map((name) => namesIn(scene, name))),
      [scene.controller.state.router?.host],
    ],
    (found) => found.every((names) => names?.join() === host),
  );
}

async function certificateOf(scene: Scene, secret: string): Promise<Readonly<Record<string, string>>> {
  return decodedData((await scene.get(Secret, secret)).data ?? {});
}

scenario("without the router's address everything is there but its certificates", async (scene) => {
  const { namespace } = scene;
  const release = scene.kubelet.cloud.hold({ namespace, name: "router" });
  scene.operate();
  await scene.create();
  const waiting = await scene.until(
    "only the address to be awaited",
    (object) =>
      conditionOf(object, "Ready")?.reason === "AddressPending" &&
      ["ControllerAvailable", "PortManagerAvailable", "UserAuthenticated", "ObjectsApplied"].every((type) =>
        conditionOf(object, type)?.status === "True"
      ),
  );
  assertMatch(
    conditionOf(waiting, "AddressesKnown")?.message ?? "",
    /^Service router has no load balancer address yet\. Where the cluster gives none, set spec\.services\.router\.type to NodePort or ClusterIP and spec\.ingresses\.router\.address/,
  );
  const titles = (await scene.children()).map(({ object }) => titleOf(object));
  assertEquals(titles.length, 18);
  for (const name of LEAVES) assert(!titles.includes(`Secret ${name}`));
  assertEquals(scene.controller.state.router, undefined);
  assertEquals(scene.controller.state.users.length, 1);

  scene.kubelet.cloud.assign({ namespace, name: "router" }, { ip: "192.0.2.33" });
  const took = await timed(async () => {
    release();
    await untilServedAt(scene, "192.0.2.33");
  });
  assert(took < followsWithinMs + slackMs, `it took ${Math.round(took)} ms`);
  const { status } = await scene.untilReady();
  assertEquals(status?.routerAddress, "192.0.2.33");
});

scenario(
  "another address means other certificates of the same authority, and another registration",
  async (scene) => {
    const { namespace } = scene;
    const service = { namespace, name: "router" };
    scene.kubelet.cloud.assign(service, { ip: "192.0.2.40" });
    scene.operate();
    await scene.create();
    await scene.untilReady();
    const authority = await certificateOf(scene, "router-ca");
    const before = await certificateOf(scene, "router-amqps");

    scene.kubelet.cloud.assign(service, { hostname: "lb.example.com" });
    await untilServedAt(scene, "lb.example.com");
    await scene.untilReady();
    assertEquals(await certificateOf(scene, "router-ca"), authority);
    for (const name of LEAVES) {
      const leaf = await certificateOf(scene, name);
      assertEquals(leaf["ca.crt"], authority["tls.crt"]);
      assertNotEquals(leaf["tls.crt"], before["tls.crt"]);
      const issuer = new x509.X509Certificate(authority["tls.crt"] ?? "");
      assert(await new x509.X509Certificate(leaf["tls.crt"] ?? "").verify({ publicKey: issuer.publicKey }));
    }
    assertEquals((await scene.get(Deployment, "router")).metadata?.generation, 1);

    // An address that is lost again changes nothing: agents still know the router by it.
    const kept = await Promise.all(LEAVES.map((name) => certificateOf(scene, name)));
    const restore = scene.kubelet.cloud.hold(service);
    await scene.until(
      "the loss to be told",
      (object) => conditionOf(object, "Ready")?.reason === "AddressPending",
    );
    await pause(1_000);
    assertEquals(
      await Promise.all(LEAVES.map((name) => certificateOf(scene, name))),
      kept,
    );
    assertEquals(scene.controller.state.router?.host, "lb.example.com");
    restore();
    await scene.untilReady();
    assertEquals(await Promise.all(LEAVES.map((name) => certificateOf(scene, name))), kept);
  },
);

scenario("where the Service gives no address, the condition asks for one in the spec", async (scene) => {
  scene.operate();
  await scene.create({ services: { controller: { type: "ClusterIP" }, router: { type: "ClusterIP" } } });
  const waiting = await scene.until(
    "the condition",
    (object) => conditionOf(object, "Ready")?.reason === "AddressMissing",
  );
  assertMatch(
    conditionOf(waiting, "Ready")?.message ?? "",
    /^set spec\.ingresses\.router\.address to the host name or IP address where agents reach the router: its Service is of type ClusterIP/,
  );
  await scene.change({ ingresses: { router: { address: "router.example.com", edgePort: 30045 } } });
  await untilServedAt(scene, "router.example.com");
  await scene.untilReady();
  assertEquals(scene.controller.state.router?.edgeRouterPort, 30045);
  await scene.change({ ingresses: { router: { address: "2001:db8::1" } } });
  await eventually(
    "the other address",
    () => scene.controller.state.router?.host,
    (host) => host === "2001:db8::1",
  );
  await scene.untilReady();
  assertEquals((await namesIn(scene, "router-amqps"))?.length, 1);
});

scenario("a certificate that somebody spoils is made again, an authority is not", async (scene) => {
  const { namespace } = scene;
  scene.operate();
  await scene.create();
  await scene.untilReady();
  const authority = await certificateOf(scene, "router-ca");
  const host = present(scene.controller.state.router?.host);
  const spoil = async (name: string, data: Record<string, string | null>) => {
    await scene.client.patch(Secret, { namespace, name }, { type: "merge", patch: { data } });
  };
  for (
    const data of [
      { "tls.crt": btoa("nonsense") },
      { "tls.key": "" },
      { "ca.crt": btoa(present((await certificateOf(scene, "router-amqps"))["tls.crt"])) },
      { "tls.crt": btoa(present((await certificateOf(scene, "router-internal"))["tls.crt"])) },
    ]
  ) {
    const before = await scene.get(Secret, "router-amqps");
    await spoil("router-amqps", data);
    await eventually(
      `a repair of ${Object.keys(data).join()}`,
      async () => (await certificateOf(scene, "router-amqps"))["tls.crt"],
      (text) =>
        text?.startsWith("-----BEGIN CERTIFICATE") === true && btoa(text) !== before.data?.["tls.crt"] &&
        btoa(text) !== data["tls.crt"],
      { show: () => "the spoiled one" },
    );
    await untilServedAt(scene, host);
    assertEquals((await certificateOf(scene, "router-amqps"))["ca.crt"], authority["tls.crt"]);
  }

  const leaves = await Promise.all(LEAVES.map((name) => certificateOf(scene, name)));
  await spoil("router-ca", { "tls.crt": btoa("nonsense") });
  const told = await scene.until(
    "the condition",
    (object) => conditionOf(object, "CertificatesUsable")?.status === "False",
  );
  assertEquals(conditionOf(told, "Ready")?.status, "False");
  assertMatch(
    conditionOf(told, "CertificatesUsable")?.message ?? "",
    /^Secret router-ca cannot be used: .*Put a working one there, or delete it to have a new one made/,
  );
  await pause(1_000);
  assertEquals(await Promise.all(LEAVES.map((name) => certificateOf(scene, name))), leaves);
  await spoil("router-ca", { "tls.crt": btoa(authority["tls.crt"] ?? "") });
  await scene.untilReady();
  assertEquals(await Promise.all(LEAVES.map((name) => certificateOf(scene, name))), leaves);

  await scene.client.delete(Secret, { namespace, name: "router-ca" });
  await eventually("certificates of the new authority", async () => {
    const { "tls.crt": root } = decodedData((await scene.find(Secret, "router-ca"))?.data ?? {});
    const { "ca.crt": trusted } = await certificateOf(scene, "router-internal");
    return root !== undefined && root !== authority["tls.crt"] && root === trusted;
  }, Boolean);
  await scene.untilReady();
});

scenario(
  "the Controller's address is told as it comes, changes and goes, and nothing waits for it",
  async (scene) => {
    const { namespace } = scene;
    const service = { namespace, name: "controller" };
    const release = scene.kubelet.cloud.hold(service);
    scene.operateHere((_, proceed) => proceed());
    await scene.create();
    const inside = `http://controller.${namespace}.svc:51121`;
    const waiting = await scene.until(
      "all but the address",
      (object) =>
        conditionOf(object, "Ready")?.reason === "AddressPending" &&
        ["ControllerAvailable", "UserAuthenticated", "RouterRegistered"].every((type) =>
          conditionOf(object, type)?.status === "True"
        ),
    );
    assertMatch(
      conditionOf(waiting, "Ready")?.message ?? "",
      /^Service controller has no load balancer address yet/,
    );
    assertEquals([waiting.status?.controllerAddress, waiting.status?.controllerEndpoint], [
      undefined,
      inside,
    ]);
    const followed = async (address: string | undefined, endpoint: string, change: () => void) => {
      const took = await timed(async () => {
        change();
        await scene.until(
          `the address ${address}`,
          ({ status }) => status?.controllerAddress === address && status?.controllerEndpoint === endpoint,
        );
      });
      assert(took < followsWithinMs + slackMs, `it took ${Math.round(took)} ms`);
    };
    await followed("192.0.2.50", "http://192.0.2.50:51121", () => {
      scene.kubelet.cloud.assign(service, { ip: "192.0.2.50" });
      release();
    });
    await scene.untilReady();
    await followed("2001:db8::7", "http://[2001:db8::7]:51121", () => {
      scene.kubelet.cloud.assign(service, { ip: "2001:db8::7" });
    });
    await followed(undefined, inside, () => void scene.kubelet.cloud.hold(service));
  },
);

scenario(
  "a router that is moved from its load balancer to an address of the spec, and to another, is registered within a second",
  async (scene) => {
    scene.operateHere((_, proceed) => proceed());
    await scene.create();
    await scene.untilReady();
    const authority = await certificateOf(scene, "router-ca");
    for (const address of ["router.example.com", "edge.example.com"]) {
      const took = await timed(async () => {
        await scene.change({
          services: { router: { type: "ClusterIP" } },
          ingresses: { router: { address } },
        });
        await untilServedAt(scene, address);
      });
      assert(took < followsWithinMs + slackMs, `it took ${Math.round(took)} ms`);
      await scene.untilReady();
    }
    // Taken away: agents still know the router by the last one, and only that it is missing is told.
    const kept = await Promise.all(LEAVES.map((name) => certificateOf(scene, name)));
    await scene.change({ ingresses: { router: { address: null } } });
    await scene.until(
      "the loss to be told",
      (object) => conditionOf(object, "Ready")?.reason === "AddressMissing",
    );
    await scene.change({ services: { router: { type: "LoadBalancer" } } });
    await eventually(
      "the load balancer's address",
      () => scene.controller.state.router?.host,
      (host) => host !== undefined && /^192\.0\.2\./.test(host),
    );
    await scene.untilReady();
    assertEquals(await certificateOf(scene, "router-ca"), authority);
    for (const [index, name] of LEAVES.entries()) {
      assertNotEquals(await certificateOf(scene, name), kept[index]);
    }
  },
);
