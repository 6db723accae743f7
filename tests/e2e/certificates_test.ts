/** The router's certificates: made again in time, and those that the user brings. */

import "reflect-metadata";
import { assert, assertEquals, assertMatch } from "@std/assert";
import * as x509 from "@peculiar/x509";
import { systemClock } from "../../src/clock.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { type CertificateData, makeCa, makeLeaf } from "../../src/resources/pki.ts";
import { decodedData } from "../golden/recordings.ts";
import { registerSecret } from "../secrets.ts";
import { conditionOf, present, scenario, type Scene } from "./harness.ts";
import { eventually } from "./waiting.ts";

const HOST = "router.example.com";
const DAY_MS = 24 * 60 * 60 * 1000;
const YEARS_5_MS = 5 * 365 * DAY_MS;
const clusterIp = {
  services: { controller: { type: "ClusterIP" }, router: { type: "ClusterIP" } },
  ingresses: { router: { address: HOST } },
};

type Values = Readonly<Record<string, string>>;

async function known(made: Promise<CertificateData>): Promise<CertificateData> {
  const data = await made;
  registerSecret(data["tls.key"] ?? "");
  return data;
}

async function valuesOf(scene: Scene, name: string): Promise<Values> {
  return decodedData((await scene.get(Secret, name)).data ?? {});
}

async function putSecret(scene: Scene, name: string, data: CertificateData, type = "Opaque"): Promise<void> {
  const target = { namespace: scene.namespace, name };
  if (await scene.find(Secret, name) !== undefined) await scene.client.delete(Secret, target);
  await scene.client.create(Secret, { metadata: target, type, stringData: { ...data } as Values });
}

async function isSignedBy(leaf: Values, authority: CertificateData): Promise<boolean> {
  const { publicKey } = new x509.X509Certificate(present(authority["tls.crt"]));
  return await new x509.X509Certificate(present(leaf["tls.crt"])).verify({ publicKey, signatureOnly: true });
}

/** Waits until the Secret holds this. */
async function untilHolds(
  scene: Scene,
  name: string,
  accept: (values: Values) => boolean | Promise<boolean>,
) {
  await eventually(
    `Secret ${name} to hold what it should`,
    async () => await accept(await valuesOf(scene, name)),
    (accepted) => accepted,
    { show: () => "something else" },
  );
}

scenario(
  "certificates are made again 30 days before they end, and their authority is kept",
  async (scene) => {
    const first = scene.operateHere((_, proceed) => proceed());
    await scene.create(clusterIp);
    await scene.untilReady();
    await first.stop();
    const [authority, before] = [await valuesOf(scene, "router-ca"), await valuesOf(scene, "router-amqps")];
    const operate = (days: number) => {
      const now = () => systemClock.now() + YEARS_5_MS - days * DAY_MS;
      return scene.operateHere((_, proceed) => proceed(), [], { ...systemClock, now });
    };

    const startedAt = Date.now();
    const early = operate(31);
    await eventually(
      "a pass",
      () => early.lines.filter((line) => line.includes("acquired lease")),
      (found) => found.length > 0,
    );
    await scene.untilReady();
    await early.stop();
    assertEquals(await valuesOf(scene, "router-amqps"), before);
    assertEquals(
      (await scene.writes(startedAt)).filter((write) => write.includes("secrets/")),
      [],
    );

    operate(29);
    for (const name of ["router-amqps", "router-internal"]) {
      await untilHolds(scene, name, (values) => values["tls.crt"] !== before["tls.crt"]);
    }
    const ready = await scene.until("the warning", (object) => conditionOf(object, "Warning") !== undefined);
    assertEquals(conditionOf(ready, "Ready")?.status, "True");
    assertMatch(
      conditionOf(ready, "Warning")?.message ?? "",
      /^the certificate authority in Secret router-ca ends on 20\d\d-\d\d-\d\d; delete the Secret to have a new one made/,
    );
    assertEquals(await valuesOf(scene, "router-ca"), authority);
    const after = await valuesOf(scene, "router-amqps");
    assertEquals(after["ca.crt"], authority["tls.crt"]);
    const { notAfter } = new x509.X509Certificate(present(after["tls.crt"]));
    assert(notAfter.getTime() > Date.now() + 2 * YEARS_5_MS - 30 * DAY_MS, `${notAfter}`);
    assertEquals((await scene.get(Deployment, "router")).metadata?.generation, 1, "the router was restarted");
  },
);

scenario("an authority that the user brings signs, is never written, and can go again", async (scene) => {
  const [mine, renewed] = await Promise.all([
    known(makeCa("my-ca", Date.now())),
    known(makeCa("my-ca", Date.now())),
  ]);
  await putSecret(scene, "my-ca", mine, "kubernetes.io/tls");
  const { metadata } = await scene.get(Secret, "my-ca");
  scene.operateHere((_, proceed) => proceed());
  await scene.create({ ...clusterIp, certificates: { caSecret: { name: "my-ca" } } });
  await scene.untilReady();
  for (const name of ["router-amqps", "router-internal"]) {
    const leaf = await valuesOf(scene, name);
    assertEquals(leaf["ca.crt"], mine["tls.crt"]);
    assert(await isSignedBy(leaf, mine));
  }
  assertEquals(await scene.find(Secret, "router-ca"), undefined);
  assertEquals((await scene.get(Secret, "my-ca")).metadata?.resourceVersion, metadata?.resourceVersion);

  const leaf = await valuesOf(scene, "router-amqps");
  for (
    const [data, reason, message] of [
      [
        { ...mine, "tls.crt": "no PEM" },
        "CertificateAuthorityUnusable",
        /tls\.crt is not a certificate in PEM form\. Put/,
      ],
      [{ "tls.crt": present(mine["tls.crt"]) }, "SecretKeyMissing", /has no tls\.key/],
      [
        { ...mine, "tls.key": present(renewed["tls.key"]) },
        "CertificateAuthorityUnusable",
        /does not belong/,
      ],
    ] as const
  ) {
    await putSecret(scene, "my-ca", data);
    const told = await scene.until(
      reason,
      (object) => message.test(conditionOf(object, "Stalled")?.message ?? ""),
    );
    assertEquals(conditionOf(told, "Stalled")?.reason, reason);
    assertMatch(
      conditionOf(told, "CertificatesUsable")?.message ?? "",
      /^spec\.certificates\.caSecret names Secret my-ca,/,
    );
    assertEquals(await valuesOf(scene, "router-amqps"), leaf);
  }
  await putSecret(scene, "my-ca", renewed);
  await untilHolds(scene, "router-amqps", (values) => isSignedBy(values, renewed));
  await scene.untilReady();

  // Ours is made, and nobody's is left.
  await scene.change({ certificates: null });
  await untilHolds(scene, "router-amqps", async (values) => !await isSignedBy(values, renewed));
  await scene.untilReady();
  const own = await valuesOf(scene, "router-ca");
  await untilHolds(scene, "router-internal", (values) => isSignedBy(values, own));
  // And stays while another one signs once more.
  await scene.change({ certificates: { caSecret: { name: "my-ca" } } });
  await untilHolds(scene, "router-amqps", (values) => isSignedBy(values, renewed));
  await scene.change({ certificates: null });
  await untilHolds(scene, "router-amqps", (values) => isSignedBy(values, own));
  assertEquals(await valuesOf(scene, "router-ca"), own);
  assertEquals((await scene.get(Deployment, "router")).metadata?.generation, 1);
});

scenario(
  "a certificate that the user brings is used, renewed, and kept when a bad one follows",
  async (scene) => {
    const ca = await known(makeCa("my-ca", Date.now()));
    const [leaf, renewed, old] = await Promise.all([
      known(makeLeaf(ca, [HOST], Date.now())),
      known(makeLeaf(ca, [HOST], Date.now())),
      known(makeLeaf(ca, [HOST], Date.now() - YEARS_5_MS - DAY_MS)),
    ]);
    scene.operateHere((_, proceed) => proceed());
    await scene.create(clusterIp);
    await scene.untilReady();
    const own = await valuesOf(scene, "router-amqps");
    await putSecret(scene, "my-leaf", leaf, "kubernetes.io/tls");
    await scene.change({ certificates: { routerAmqpsSecret: { name: "my-leaf" } } });
    const holds = (data: CertificateData) => (values: Values) =>
      ["tls.crt", "tls.key", "ca.crt"].every((key) => values[key] === data[key as keyof CertificateData]);
    await untilHolds(scene, "router-amqps", holds(leaf));
    await scene.untilReady();
    await putSecret(scene, "my-leaf", renewed, "kubernetes.io/tls");
    await untilHolds(scene, "router-amqps", holds(renewed));
    const kept = await valuesOf(scene, "router-amqps");
    const spec = { routerAmqpsSecret: { name: "my-leaf" } };
    for (
      const [data, certificates, message] of [
        [
          { ...leaf, "tls.key": present(renewed["tls.key"]) },
          spec,
          /its tls\.key does not belong to its tls\.crt\. Put/,
        ],
        [
          { "tls.crt": present(leaf["tls.crt"]) },
          spec,
          /which has no tls\.key: a certificate is needed with its key/,
        ],
        [old, spec, /its certificate ended on 20\d\d-\d\d-\d\d\. Put a certificate there that works/],
        [
          leaf,
          { ...spec, caSecret: { name: "other-ca" } },
          /was not signed by the certificate authority that is given/,
        ],
      ] as const
    ) {
      await putSecret(scene, "other-ca", await known(makeCa("my-ca", Date.now())));
      // Before the certificate, which may be a good one for the spec before.
      await scene.change({ certificates });
      await putSecret(scene, "my-leaf", data);
      const told = await scene.until(
        "the bad certificate to be told",
        (object) => message.test(conditionOf(object, "CertificatesUsable")?.message ?? ""),
      );
      assertMatch(
        conditionOf(told, "Stalled")?.message ?? "",
        /^spec\.certificates\.routerAmqpsSecret names Secret my-leaf/,
      );
      assertEquals(await valuesOf(scene, "router-amqps"), kept);
    }
    await scene.change({ certificates: { caSecret: null } });
    await putSecret(scene, "my-leaf", leaf);
    await untilHolds(scene, "router-amqps", holds(leaf));
    await scene.untilReady();
    await scene.change({ certificates: null });
    await untilHolds(scene, "router-amqps", (values) => values["ca.crt"] === own["ca.crt"]);
    await scene.untilReady();
    assertEquals(decodedData((await scene.get(Secret, "my-leaf")).data ?? {}), { ...leaf } as Values);
  },
);
