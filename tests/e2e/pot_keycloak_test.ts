/**
 * Keycloak and the authorities in the Controller, on a real API server: whatever is wrong with them is one condition with
 * its remedy, changes nothing, is no loop, and is over when it is mended.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../src/clock.ts";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { Certificate } from "../../src/resources/controlplane/pot/issued.ts";
import { makeCa } from "../../src/resources/pki.ts";
import { createCertificateAuthority } from "../cluster/certificates.ts";
import { startController } from "../controller/controller.ts";
import { loginAt } from "../keycloak/keycloak.ts";
import { registerSecret } from "../secrets.ts";
import { conditionOf } from "./harness.ts";
import { certManagerCrd, KEYCLOAK_CA, potCluster, potScenario, type PotScene } from "./pot_harness.ts";
import { eventually, pause } from "./waiting.ts";

const cluster = await potCluster();
Deno.test.afterAll(() => cluster.stop());

/** Without load balancers and NATS, for which nothing here matters. */
const small = {
  services: { controller: { type: "NodePort" }, router: { type: "ClusterIP" }, nats: { type: "ClusterIP" } },
  ingresses: { router: { address: "router.example.com" } },
  nats: { enabled: false },
};

async function untilRefused(pot: PotScene, reason: string, remedy: string): Promise<void> {
  const refused = await pot.until(`Authenticated to be False for ${reason}`, (object) => {
    const condition = conditionOf(object, "Authenticated");
    return condition?.status === "False" && condition.reason === reason;
  });
  assertStringIncludes(conditionOf(refused, "Authenticated")?.message ?? "", remedy);
  assertEquals(conditionOf(refused, "Ready")?.status, "False");
}

potScenario(
  "what Keycloak has against the operator is a condition, and over when it is mended",
  cluster,
  async (pot) => {
    const { controller, keycloak, scene } = pot;
    const { client, namespace } = scene;
    pot.operate(["--resync-interval=1s"]);
    await pot.create(small);
    await pot.untilReady();
    const made = async () => (await scene.list(Deployment)).map(({ metadata }) => metadata?.uid);
    const before = await made();
    let looks = 0;
    /** A change of the spec that changes nothing else, so that the operator looks at once. */
    const look = async () => void await pot.change({ events: { retentionDays: ++looks } });
    /** From now on no token that the operator has is any good. */
    const forget = async () => {
      controller.expireTokens();
      keycloak.forgetRequests();
      await look();
    };

    await keycloak.answerAs("other");
    await forget();
    await untilRefused(
      pot,
      "OtherIssuer",
      "Set spec.auth.url and spec.auth.realm to what Keycloak calls itself",
    );
    await keycloak.answerAs(undefined);
    await look();

    // Asked once, and not again for 30 s, however often the operator looks.
    const right = keycloak.issuing.clientSecret;
    await keycloak.changeSecret(`another-${crypto.randomUUID()}`);
    await client.patch(Secret, { namespace, name: KEYCLOAK_CA }, {
      type: "merge",
      patch: { data: { ca: btoa(`${keycloak.caPem}\n`) } },
    });
    await forget();
    await untilRefused(
      pot,
      "InvalidCredentials",
      "Correct spec.auth.controllerClient and spec.auth.controllerSecret",
    );
    const asked = keycloak.requests.length;
    await pause(3_000);
    assertEquals(keycloak.requests.length, asked);
    assert(asked <= 2, `${asked} requests`);
    // Mended in the spec: at once.
    await pot.change({ auth: { controllerSecret: keycloak.issuing.clientSecret } });
    await pot.untilReady();
    await keycloak.changeSecret(right);
    await pot.change({ auth: { controllerSecret: right } });
    await pot.untilReady();

    // The Controller goes on with what it has, until Keycloak lets the operator in with what it is to get.
    const toldOfKeycloak = async () => {
      const [secret, deployment] = await Promise.all([
        scene.get(Secret, "controller-auth-credentials"),
        scene.get(Deployment, "controller"),
      ]);
      return [secret.metadata?.resourceVersion, deployment.metadata?.generation];
    };
    const { url } = keycloak;
    const standing = await toldOfKeycloak();
    await using page = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response("<html></html>", { headers: { "content-type": "text/html" } }),
    );
    await pot.change({ auth: { url: `http://127.0.0.1:${page.addr.port}/` } });
    await untilRefused(pot, "BadResponse", "Check that spec.auth.url is the address of a Keycloak");
    await pot.change({ auth: { url, realm: "nowhere" } });
    await untilRefused(pot, "RealmNotFound", "Correct spec.auth.realm");
    assertEquals(await toldOfKeycloak(), standing);
    await pot.change({ auth: { realm: keycloak.realm } });
    await pot.untilReady();
    assertEquals(await toldOfKeycloak(), standing);

    keycloak.breakAt({
      path: /\/token$/,
      action: { type: "answer", status: 200, body: "<form>" },
      times: 1_000,
    });
    await forget();
    // A token that was just given, and not used yet, would do for another hour.
    const expiring = setInterval(() => controller.expireTokens(), 500);
    await untilRefused(pot, "BadResponse", "Check that spec.auth.url is the address of a Keycloak")
      .finally(() => clearInterval(expiring));
    keycloak.clearFaults();
    await look();
    await pot.untilReady();

    keycloak.issuing.roles = ["viewer"];
    await forget();
    await pot.change({ ingresses: { router: { messagePort: 5679 } } });
    await pot.until(
      "the right to be missed",
      (object) =>
        object.status?.conditions?.some(({ message, reason, status }) =>
          status === "False" && reason === "AccessDenied" &&
          message.includes("spec.auth.controllerClient the role")
        ) ?? false,
    );
    assertEquals(controller.state.router?.messagingPort, 5671);
    keycloak.issuing.roles = ["admin"];
    await forget();
    await pot.change({ ingresses: { router: { messagePort: 5671 } } });
    await pot.untilReady();

    const stranger = await createCertificateAuthority("another-ca");
    const trust = async (pem: string) => {
      const patch = { data: { ca: btoa(pem) } };
      await client.patch(Secret, { namespace, name: KEYCLOAK_CA }, { type: "merge", patch });
    };
    await trust(stranger.certificatePem);
    await look();
    await untilRefused(
      pot,
      "CertificateNotTrusted",
      "Name the authority of Keycloak's certificate in spec.auth.caSecretRef",
    );
    await trust(keycloak.caPem);
    await look();
    await pot.untilReady();

    await keycloak.goDown();
    await forget();
    await pot.change({ auth: { viewerClient: "no-such-viewer" } });
    await untilRefused(pot, "KeycloakUnreachable", "check that it runs");
    await keycloak.comeUp();
    await look();
    await pot.untilReady();
    assertEquals(await made(), before);
    assertEquals(controller.state.router?.messagingPort, 5671);
  },
);

potScenario(
  "an authority that the Controller made before ours was imported is found and told, and replaced by hand",
  cluster,
  async (pot) => {
    const { controller, keycloak, scene } = pot;
    const { client, namespace } = scene;
    await controller.makeAuthority("router-site-ca");
    const own = controller.state.secrets[0]?.data["tls.crt"];
    const operator = pot.operate(["--resync-interval=1s"]);
    await pot.create(small);
    const told = await pot.until(
      "the mismatch to be told",
      (object) => conditionOf(object, "AuthoritiesImported")?.reason === "CertificateAuthorityMismatch",
    );
    assertStringIncludes(
      conditionOf(told, "AuthoritiesImported")?.message ?? "",
      "DELETE /api/v3/certificates/ca/router-site-ca",
    );
    assertEquals(conditionOf(told, "Ready")?.status, "False");
    // The other one is imported all the same, and nothing that the Controller has is touched.
    await eventually(
      "the other authority to be imported",
      () => Promise.resolve(controller.state.certificates.map(({ name }) => name).join()),
      (names) => names === "router-site-ca,default-router-local-ca",
      { show: (names) => names },
    );
    assertEquals(controller.state.secrets[0]?.data["tls.crt"], own);

    // Neither here nor there is anything written while it waits, also where something else gives reason to try again.
    const looks = async (count: number) => {
      const seen = controller.requests.length;
      await eventually(
        "it to look again",
        () => Promise.resolve(controller.requests.slice(seen)),
        (requests) => requests.filter(({ path }) => path.endsWith("/certificates/ca")).length >= count,
        { show: (requests) => `${requests.length} requests` },
      );
    };
    await looks(2);
    const waitsFrom = Date.now();
    await client.patch(Secret, { namespace, name: KEYCLOAK_CA }, {
      type: "merge",
      patch: { data: { ca: btoa(`${keycloak.caPem}\n`) } },
    });
    await looks(3);
    assertEquals(await scene.writes(waitsFrom), []);

    const token = await loginAt(keycloak);
    const removed = await fetch(`${controller.url}/api/v3/certificates/ca/router-site-ca`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${token}` },
    });
    await removed.body?.cancel();
    assertEquals(removed.status, 200);
    await pot.untilReady();
    const ours = (await scene.get(Secret, "router-site-ca")).data?.["tls.crt"];
    const imported = controller.state.secrets.find(({ name }) => name === "router-site-ca")?.data["tls.crt"];
    assertEquals(imported, ours);

    // Somebody else changes the root URL of the viewer's client, where it is known.
    await pot.change({ services: { controller: { type: "LoadBalancer" } } });
    await pot.untilReady();
    const viewer = keycloak.clients.find(({ clientId }) => clientId === keycloak.viewerClient);
    const rootUrl = async (accept: (url: string) => boolean) =>
      await eventually("the root URL", () => Promise.resolve(viewer?.rootUrl ?? ""), accept, {
        show: (url) => url,
      });
    const url = await rootUrl((url) => url.startsWith("http://"));
    viewer!.rootUrl = "https://elsewhere.example.com";
    await rootUrl((now) => now === url);
    // Where Keycloak does not show the client, that is told, and nothing is tried.
    const hidden = await pot.change({ auth: { viewerClient: "no-such-viewer" } });
    await pot.until(
      "the client to be missed",
      ({ status }) =>
        status?.conditions?.some(({ observedGeneration, reason, type }) =>
          type === "Warning" && reason === "ClientNotFound" &&
          observedGeneration === hidden.metadata.generation
        ) ?? false,
    );
    await pot.untilReady();
    await looks(1);
    const hiddenFrom = Date.now();
    await client.patch(Secret, { namespace, name: KEYCLOAK_CA }, {
      type: "merge",
      patch: { data: { ca: btoa(`${keycloak.caPem}\n\n`) } },
    });
    await looks(3);
    assertEquals(await scene.writes(hiddenFrom), []);
    assertEquals(operator.lines.filter((line) => line.includes(token)), []);
  },
);

potScenario(
  "a Controller with HTTPS is verified by the authority in its own Secret and by the name in its certificate, wherever it is reached, and one that cannot be verified is told",
  cluster,
  async (pot) => {
    const { keycloak, scene } = pot;
    const { client, namespace } = scene;
    const authority = await createCertificateAuthority("controller-ca");
    const tls = await authority.issueServer({ dns: [`controller.${namespace}.svc`], ip: [] });
    // Its address here is 127.0.0.1, as behind a port-forward.
    const stranger = await createCertificateAuthority("another-ca");
    const secret = { namespace, name: "controller-tls" };
    const data = (ca: string) => ({
      "tls.crt": btoa(tls.certificatePem),
      "tls.key": btoa(registerSecret(tls.keyPem)),
      "ca.crt": btoa(ca),
    });
    await client.create(Secret, { metadata: secret, data: data(authority.certificatePem) });
    const controller = await startController({
      version: "3.7.3",
      realm: keycloak.trusted,
      tls,
      readSecret: async (name) => (await scene.find(Secret, name))?.data,
    });
    scene.atEnd(() => controller.close());
    pot.operate([`--controller-url=${controller.url}`, "--resync-interval=1s"]);
    await pot.create({ ...small, controller: { https: true, secretName: "controller-tls" } });
    await pot.untilReady();
    assertEquals(controller.state.certificates.map(({ name }) => name), [
      "router-site-ca",
      "default-router-local-ca",
    ]);

    await client.patch(Secret, secret, { type: "merge", patch: { data: data(stranger.certificatePem) } });
    const told = await pot.until(
      "the Controller not to be trusted",
      (object) => conditionOf(object, "ControllerReachable")?.reason === "CertificateNotTrusted",
    );
    assertStringIncludes(
      conditionOf(told, "ControllerReachable")?.message ?? "",
      "Put the authority of its certificate",
    );
    await client.patch(Secret, secret, { type: "merge", patch: { data: data(authority.certificatePem) } });
    await pot.untilReady();
  },
);

// The last one here: from now on the cluster has cert-manager's CRD.
potScenario(
  "an issuer of cert-manager makes the authorities, and it is told when there is none, and what it waits for",
  cluster,
  async (pot) => {
    const { controller, scene } = pot;
    const { client, namespace } = scene;
    pot.operate(["--resync-interval=1s"]);
    await pot.create({ ...small, certificates: { issuerRef: { name: "site", kind: "ClusterIssuer" } } });
    const told = async (reason: string) => {
      const object = await pot.until(
        `${reason} to be told`,
        (seen) => conditionOf(seen, "Ready")?.reason === reason,
        { withinMs: 60_000 },
      );
      return conditionOf(object, "Ready")?.message ?? "";
    };
    assertStringIncludes(
      await told("CertManagerMissing"),
      "spec.certificates.issuerRef.name needs cert-manager",
    );
    assertEquals(await scene.find(Secret, "router-site-ca"), undefined);

    await client.create(CustomResourceDefinition, certManagerCrd);
    assertStringIncludes(await told("CertificatePending"), "kubectl describe certificate");
    const asked = await eventually(
      "both authorities to be asked for",
      () => scene.list(Certificate),
      (all) => all.length === 2,
      { show: (all) => all.map(({ metadata }) => metadata?.name).join() },
    );
    const made = new Map<string, string>();
    for (const { metadata, spec } of asked) {
      assertEquals(spec?.issuerRef, { name: "site", kind: "ClusterIssuer", group: "cert-manager.io" });
      const { "tls.crt": certificate = "", "tls.key": key = "" } = await makeCa("site", systemClock.now());
      made.set(metadata?.name ?? "", certificate);
      await client.create(Secret, {
        metadata: { namespace, name: spec?.secretName ?? "" },
        type: "kubernetes.io/tls",
        data: {
          "tls.crt": btoa(certificate),
          "tls.key": btoa(registerSecret(key)),
          "ca.crt": btoa(certificate),
        },
      });
    }
    await pot.untilReady();
    for (const name of ["router-site-ca", "default-router-local-ca"]) {
      assertEquals(atob((await scene.get(Secret, name)).data?.["tls.crt"] ?? ""), made.get(name));
    }
    assertEquals(controller.state.certificates.map(({ name }) => name).sort(), [...made.keys()].sort());

    await pot.change({ certificates: null });
    await eventually("nothing to be asked for", () => scene.list(Certificate), (all) => all.length === 0, {
      show: (all) => all.map(({ metadata }) => metadata?.name).join(),
    });
    await pot.untilReady();
  },
);
