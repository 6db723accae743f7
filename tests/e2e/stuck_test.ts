/**
 * Twelve ways in which a control plane can be stuck: each says what is wrong and what to do, in one line, which is the
 * same in the conditions, in one Event, in `iofog-operator status`, and in docs/troubleshooting.md.
 */

import { assert, assertEquals } from "@std/assert";
import { parse } from "@std/yaml";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Event, Pod, Secret, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { machine } from "../../src/cli/environment.ts";
import { parseCommandLine } from "../../src/cli/flags.ts";
import { status } from "../../src/cli/status.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { secretData } from "../../src/resources/child.ts";
import { makeCa } from "../../src/resources/pki.ts";
import { kubeconfigForServiceAccount } from "../cluster/mod.ts";
import { recordOutput, registerSecret } from "../secrets.ts";
import { conditionOf, NAME, newPassword, present, registeredToken, scenario, type Scene } from "./harness.ts";
import { eventually } from "./waiting.ts";

const ResourceQuota: Resource<
  KubeObject & { readonly spec: unknown; readonly status?: { readonly used?: { readonly pods?: string } } }
> = {
  group: "",
  version: "v1",
  kind: "ResourceQuota",
  plural: "resourcequotas",
  namespaced: true,
};

const documented = await Deno.readTextFile(new URL("../../docs/troubleshooting.md", import.meta.url));

/** A way to be stuck: the reason in `Ready`, and the condition of the part at fault, if it is one of a part. */
interface Stuck {
  readonly reason: string;
  readonly part?: string;
  /** @default that of the scene */
  readonly name?: string;
}

/** Waits until it is told as it shall be, everywhere; returns the message. */
async function expectTold(scene: Scene, { reason, part, name = NAME }: Stuck): Promise<string> {
  const object = await scene.until(`it to be stuck for ${reason}`, (seen) => {
    const ready = conditionOf(seen, "Ready");
    return ready?.reason === reason && ready.observedGeneration === seen.metadata.generation;
  }, { name });
  const { message, status } = present(conditionOf(object, "Ready"));
  assertEquals(status, "False");
  assertEquals(conditionOf(object, "ready")?.message, message);
  if (part !== undefined) {
    assertEquals([conditionOf(object, part)?.reason, conditionOf(object, part)?.message], [reason, message]);
  }
  assert(!message.includes("\n"), message);
  await eventually(
    `one Event for ${reason}`,
    async () =>
      (await scene.list(Event)).filter(({ involvedObject, ...event }) =>
        involvedObject.uid === object.metadata.uid && event.reason === reason && event.type === "Warning"
      ).map((event) => event.message ?? ""),
    (messages) => messages.filter((each) => each === message.slice(0, 1_024)).length === 1,
  );
  const shown = await showStatus(scene);
  assert(shown.includes(`not ready (${reason})\n  ${message}\n`), shown);
  const line = `${reason}: ${message.replaceAll(scene.namespace, "iofog")}`;
  assert(documented.includes(`\n${line}\n`), `docs/troubleshooting.md lacks\n${line}`);
  return message;
}

/** What `iofog-operator status` prints. */
async function showStatus(scene: Scene): Promise<string> {
  let shown = "";
  await status({
    flags: parseCommandLine(scene.flags(), () => undefined).flags,
    environment: {
      ...machine,
      variable: (name) => name === "NO_PROXY" ? machine.variable(name) : undefined,
    },
    stopping: new AbortController().signal,
    isTerminal: false,
    writeLog: () => {},
    print: (text) => void (shown += text),
  });
  recordOutput("status", shown);
  return shown;
}

async function deletePods(scene: Scene, name: string): Promise<void> {
  for (const { metadata } of await scene.list(Pod)) {
    if (metadata?.labels?.["name"] !== name) continue;
    await scene.client.delete(Pod, { namespace: scene.namespace, name: metadata.name ?? "" });
  }
}

scenario(
  "what keeps a control plane from being ready is told in one line, with its remedy",
  async (scene, test) => {
    const { client, kubelet, namespace } = scene;
    scene.operateHere((_, proceed) => proceed());
    const isController = { namespace, name: /^controller-/ };
    const giveVolumes = kubelet.storage.hold({ namespace });

    await test.step("an object of somebody else is in the way", async () => {
      await client.create(ServiceAccount, { metadata: { namespace, name: "port-manager" } });
      await scene.create();
      await expectTold(scene, { reason: "Conflict", part: "ObjectsApplied" });
      await client.delete(ServiceAccount, { namespace, name: "port-manager" });
      await scene.untilReady();
    });

    await test.step("a second ControlPlane", async () => {
      await scene.create({}, "another");
      await expectTold(scene, { reason: "Conflict", name: "another" });
      await client.delete(ControlPlane, { namespace, name: "another" });
    });

    await test.step("an image that cannot be pulled", async () => {
      const said = 'failed to resolve reference "docker.io/iofog/router:3.0.0": not found';
      const fail = (reason: string, message: string) =>
        kubelet.pods.fail({ namespace, name: /^router-/ }, { reason, message });
      const releases = [fail("ErrImagePull", said)];
      const message = await expectTold(scene, { reason: "ImagePullFailed", part: "RouterAvailable" });
      // The kubelet changes its words with each try; the condition does not.
      const seen = await scene.controlPlane();
      releases.push(
        fail("ImagePullBackOff", `Back-off pulling image "iofog/router:3.0.0": ErrImagePull: ${said}`),
      );
      await eventually(
        "the pods to wait",
        async () => JSON.stringify((await scene.list(Pod)).map(({ status }) => status?.containerStatuses)),
        (text) => text.includes("ImagePullBackOff"),
      );
      const later = await scene.controlPlane();
      assertEquals(conditionOf(later, "Ready")?.message, message);
      assertEquals(later.metadata.resourceVersion, seen.metadata.resourceVersion);
      for (const release of releases) release();
      await scene.untilReady();
    });

    await test.step("a Controller that ends again and again", async () => {
      const release = kubelet.pods.crash(isController, {
        exitCode: 1,
        message: `starting\nError: cannot open /tmp/${scene.password} as a file\nbye`,
      });
      await expectTold(scene, { reason: "CrashLooping", part: "ControllerAvailable" });
      release();
    });

    await test.step("a claim that gets no volume", async () => {
      const release = kubelet.pods.hold(
        isController,
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not eligible for preemption.",
      );
      await deletePods(scene, "controller");
      await expectTold(scene, { reason: "ClaimPending", part: "ControllerAvailable" });
      giveVolumes();
      release();
      await scene.untilReady();
    });

    await test.step("a quota that leaves no room", async () => {
      await client.create(ResourceQuota, {
        metadata: { namespace, name: "few-pods" },
        spec: { hard: { pods: "3" } },
      });
      await eventually(
        "the quota to be counted",
        () => scene.get(ResourceQuota, "few-pods"),
        ({ status }) => status?.used?.pods === "3",
      );
      const restart = { "kubectl.kubernetes.io/restartedAt": "now" };
      const patch = { spec: { template: { metadata: { annotations: restart } } } };
      await client.patch(Deployment, { namespace, name: "router" }, { type: "merge", patch });
      await expectTold(scene, { reason: "QuotaExceeded", part: "RouterAvailable" });
      await client.delete(ResourceQuota, { namespace, name: "few-pods" });
      await scene.untilReady();
    });

    await test.step("no address", async () => {
      const release = kubelet.cloud.hold({ namespace, name: "router" });
      await expectTold(scene, { reason: "AddressPending", part: "AddressesKnown" });
      release();
      await scene.untilReady();
    });

    await test.step("a certificate authority that has ended", async () => {
      const { data } = await scene.get(Secret, "router-ca");
      const old = await makeCa("router-ca", Date.UTC(2010, 0, 1));
      registerSecret(present(old["tls.key"]));
      await client.patch(Secret, { namespace, name: "router-ca" }, {
        type: "merge",
        patch: { data: secretData({ "tls.crt": old["tls.crt"] ?? "", "tls.key": old["tls.key"] ?? "" }) },
      });
      await expectTold(scene, { reason: "CertificateAuthorityUnusable", part: "CertificatesUsable" });
      await client.patch(Secret, { namespace, name: "router-ca" }, { type: "merge", patch: { data } });
      await scene.untilReady();
    });

    await test.step("a pause with something to write", async () => {
      const setPause = (value: string | null) =>
        client.patch(ControlPlane, { namespace, name: NAME }, {
          type: "merge",
          patch: { metadata: { annotations: { "iofog.org/pause": value } } },
        });
      await setPause("true");
      await scene.change({ user: { surname: "Else" } });
      await expectTold(scene, { reason: "Paused", part: "Paused" });
      await setPause(null);
      await scene.untilReady();
    });

    await test.step("a wrong password", async () => {
      const user = present(scene.controller.state.users[0]);
      user.password = newPassword();
      scene.controller.state.tokens = [];
      await expectTold(scene, { reason: "InvalidCredentials" });
      user.password = scene.password;
      await scene.change({ user: { name: "Somebody" } });
      await scene.untilReady();
    });

    await test.step("a database that refuses", async () => {
      const password = registeredToken();
      const release = kubelet.pods.crash(isController, {
        exitCode: 1,
        message: `SequelizeAccessDeniedError: Access denied for user 'iofog' (using password: ${password})`,
      });
      await scene.change({
        database: {
          ...{ provider: "mysql", host: "db.example.com", port: 3306 },
          ...{ user: "iofog", password, databaseName: "iofog" },
        },
      });
      const message = await expectTold(scene, { reason: "DatabaseRefused", part: "ControllerAvailable" });
      assert(!message.includes(password));
      release();
      await scene.untilReady();
    });
  },
);

scenario("a Role that is too small says which right is missing", async (scene) => {
  const { client, namespace } = scene;
  const text = await Deno.readTextFile(new URL("../../deploy/base/role.yaml", import.meta.url));
  const { rules } = parse(text) as Role;
  const metadata = { namespace, name: "iofog-operator" };
  await client.create(ServiceAccount, { metadata });
  await client.create(Role, {
    metadata,
    rules: present(rules).map((rule) => ({
      ...rule,
      resources: (rule.resources ?? []).filter((resource) => resource !== "roles"),
    })).concat([{
      apiGroups: ["rbac.authorization.k8s.io"],
      resources: ["roles"],
      verbs: ["get", "list", "watch"],
    }]),
  });
  await client.create(RoleBinding, {
    metadata,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: metadata.name },
    subjects: [{ kind: "ServiceAccount", ...metadata }],
  });
  const kubeconfig = await kubeconfigForServiceAccount(scene.cluster, namespace, metadata.name);
  scene.operateHere((_, proceed) => proceed(), [`--kubeconfig=${kubeconfig}`]);
  await scene.create();
  await expectTold(scene, { reason: "Forbidden", part: "ObjectsApplied" });
});
