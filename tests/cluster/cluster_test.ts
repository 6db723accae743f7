import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { KubernetesClient } from "../../src/kubernetes/client.ts";
import { isStatus } from "../../src/kubernetes/errors.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { auditEvents, writeVerbs } from "./audit.ts";
import { findBinaries } from "./binaries.ts";
import { connectCluster, kubeconfigForServiceAccount, startCluster } from "./cluster.ts";
import { type PlayedKubelet, playKubelet } from "./kubelet.ts";
import { playedMessage, type Pod, pods, type Service, services } from "./played_status.ts";

interface Deployment extends KubeObject {
  readonly spec?: unknown;
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const deployments: Resource<Deployment> = {
  group: "apps",
  version: "v1",
  kind: "Deployment",
  plural: "deployments",
  namespaced: true,
};
const namespaces: Resource = {
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  namespaced: false,
};
const serviceAccounts: Resource = {
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  namespaced: true,
};
const serveProgram = `${import.meta.dirname}/serve.ts`;

function deployment(namespace: string, name: string): Deployment {
  const labels = { app: name };
  return {
    metadata: { namespace, name },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: "main", image: `example.org/${name}:1` }] },
      },
    },
  };
}

function loadBalancer(namespace: string, name: string): Service {
  return {
    metadata: { namespace, name },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }], selector: { app: name } } as Service["spec"],
  };
}

/** Follows what `read` returns until `accept` takes it. */
async function eventually<T>(
  read: () => Promise<T>,
  accept: (value: T) => boolean,
  withinMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await read();
    if (accept(value)) return value;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function isAvailable(client: KubernetesClient, namespace: string, name: string): Promise<boolean> {
  const { status } = await client.get(deployments, { namespace, name });
  return status?.conditions?.some(({ type, status }) => type === "Available" && status === "True") ?? false;
}

async function podsOf(client: KubernetesClient, namespace: string): Promise<Pod[]> {
  return (await client.list(pods, { namespace })).items;
}

/** Processes with `text` in their arguments, or their working directory where /proc tells. */
async function processesAt(text: string): Promise<readonly string[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-A", "-o", "pid=,args="] }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => {
    const pid = line.trim().split(" ")[0];
    let cwd = "";
    try {
      cwd = Deno.readLinkSync(`/proc/${pid}/cwd`);
    } catch {
      // It has ended, or there is no /proc.
    }
    return line.includes(text) || cwd.includes(text);
  });
}

const binaries = await findBinaries({
  progress: ({ text, state }) => state !== "running" && console.log(text),
});

Deno.test("a cluster with played kubelet and cloud", async (test) => {
  const began = performance.now();
  const cluster = await startCluster({ binaries });
  const startMs = performance.now() - began;
  const client = connectCluster(cluster, { userAgent: "cluster-test" });
  const kubeletClient = connectCluster(cluster, { userAgent: "played-kubelet" });
  const kubelet: PlayedKubelet = playKubelet(kubeletClient);
  let count = 0;
  const inNamespace = (name: string, body: (namespace: string) => Promise<void>) =>
    test.step(name, async () => {
      const namespace = `cluster-test-${++count}`;
      await client.create(namespaces, { metadata: { name: namespace } });
      await body(namespace);
    });

  await inNamespace("a Deployment becomes Available, in a namespace that begins empty", async (namespace) => {
    await client.create(deployments, deployment(namespace, "web"));
    await eventually(() => isAvailable(client, namespace, "web"), Boolean);
    const [pod] = await podsOf(client, namespace);
    assertEquals(pod?.status?.message, playedMessage);
    assertMatch(pod?.status?.podIP ?? "", /^10\.244\./);
  });

  await inNamespace("a held pod stays Pending until released", async (namespace) => {
    const release = kubelet.pods.hold({ namespace });
    await client.create(deployments, deployment(namespace, "web"));
    const reason = (list: Pod[]) =>
      list[0]?.status?.conditions?.find(({ type }) => type === "PodScheduled")?.reason;
    const [held] = await eventually(
      () => podsOf(client, namespace),
      (list) => reason(list) === "Unschedulable",
    );
    assertEquals(held?.status?.phase, "Pending");
    release();
    release();
    await eventually(() => isAvailable(client, namespace, "web"), Boolean);
  });

  await inNamespace("a pod fails with the reason that the test gives, and recovers", async (namespace) => {
    const waiting = { reason: "ImagePullBackOff", message: "no such image" };
    const release = kubelet.pods.fail({ namespace, labels: { app: "web" } }, waiting);
    await client.create(deployments, deployment(namespace, "web"));
    await client.create(deployments, deployment(namespace, "other"));
    const state = (list: Pod[]) =>
      list.find(({ metadata }) => metadata?.labels?.["app"] === "web")?.status?.containerStatuses?.[0]?.state;
    await eventually(
      () => podsOf(client, namespace),
      (list) => state(list)?.waiting?.reason === waiting.reason,
    );
    await eventually(() => isAvailable(client, namespace, "other"), Boolean);
    assertEquals(await isAvailable(client, namespace, "web"), false);
    release();
    await eventually(() => isAvailable(client, namespace, "web"), Boolean);
  });

  await inNamespace("readiness is lost afterwards and comes back", async (namespace) => {
    await client.create(deployments, deployment(namespace, "web"));
    await eventually(() => isAvailable(client, namespace, "web"), Boolean);
    const release = kubelet.pods.unready({ namespace, name: /^web-/ });
    await eventually(() => isAvailable(client, namespace, "web"), (available) => !available);
    release();
    await eventually(() => isAvailable(client, namespace, "web"), Boolean);
  });

  await inNamespace("a load balancer gets an address, another one, none", async (namespace) => {
    const ingress = async () =>
      (await client.get(services, { namespace, name: "web" })).status?.loadBalancer?.ingress?.[0];
    const release = kubelet.cloud.hold({ namespace });
    await client.create(services, loadBalancer(namespace, "web"));
    assertEquals(await ingress(), undefined);
    release();
    const first = await eventually(ingress, (one) => one !== undefined);
    assertMatch(first?.ip ?? "", /^192\.0\.2\.\d+$/);
    const restore = kubelet.cloud.assign({ namespace, name: "web" }, { hostname: "lb.example.org" });
    await eventually(ingress, (one) => one?.hostname === "lb.example.org");
    restore();
    await eventually(ingress, (one) => one?.ip !== undefined);
    kubelet.cloud.hold({ namespace });
    await eventually(ingress, (one) => one === undefined);
  });

  await inNamespace("a namespace with objects in it really goes", async (namespace) => {
    await client.create(deployments, deployment(namespace, "web"));
    await eventually(() => isAvailable(client, namespace, "web"), Boolean);
    await client.delete(namespaces, { name: namespace });
    const exists = () =>
      client.get(namespaces, { name: namespace }).then(() => true, (error) => {
        if (isStatus(error, 404)) return false;
        throw error;
      });
    await eventually(exists, (there) => !there, 60_000);
  });

  await inNamespace(
    "the audit log has each request once, with its user agent and outcome",
    async (namespace) => {
      await client.create(services, loadBalancer(namespace, "web"));
      await assertRejects(() => client.create(services, loadBalancer(namespace, "web")));
      await client.get(services, { namespace, name: "web" });
      const mine = await auditEvents(cluster, { userAgent: "cluster-test", namespace, resource: "services" });
      assertEquals(
        mine.map(({ verb, name, code, user, group }) => ({ verb, name, code, user, group })),
        [
          { verb: "create", name: "web", code: 201, user: "admin", group: "" },
          { verb: "create", name: "web", code: 409, user: "admin", group: "" },
          { verb: "get", name: "web", code: 200, user: "admin", group: "" },
        ],
      );
      assertEquals(
        (await auditEvents(cluster, { userAgent: "cluster-test", namespace, verbs: ["get"] })).length,
        1,
      );
      assertEquals(await auditEvents(cluster, { namespace, sinceMs: Date.now() + 60_000 }), []);
      await eventually(
        () => auditEvents(cluster, { userAgent: "played-kubelet", namespace, verbs: writeVerbs }),
        (events) => events.length === 1 && events[0]?.subresource === "status",
      );
    },
  );

  await inNamespace(
    "a ServiceAccount's kubeconfig has that account's rights and no others",
    async (namespace) => {
      await client.create(serviceAccounts, { metadata: { namespace, name: "reader" } });
      const path = await kubeconfigForServiceAccount(cluster, namespace, "reader");
      const token = (await Deno.readTextFile(path)).match(/token: >?-?\s*(\S+)/)?.[1] ?? "";
      const account = connectCluster(cluster, { userAgent: "account", token });
      await assertRejects(
        () => account.list(pods, { namespace }),
        Error,
        `serviceaccount:${namespace}:reader`,
      );
      account.transport.close?.();
    },
  );

  await test.step("the kubeconfig works with kubectl", async () => {
    if (binaries.kubectl === undefined) return;
    const { code, stdout } = await new Deno.Command(binaries.kubectl, {
      args: ["--kubeconfig", cluster.kubeconfigPath, "get", "namespace", "default", "-o", "name"],
    }).output();
    assertEquals([code, new TextDecoder().decode(stdout)], [0, "namespace/default\n"]);
  });

  await test.step("a client certificate is taken", async () => {
    const { certificatePem, keyPem } = await cluster.issueClientCertificate("somebody", ["system:masters"]);
    using http = Deno.createHttpClient({ caCerts: [cluster.caPem], cert: certificatePem, key: keyPem });
    const response = await fetch(`${cluster.url}/api/v1/namespaces/default`, { client: http });
    await response.body?.cancel();
    assertEquals(response.status, 200);
  });

  await test.step("no port is open to other machines", async () => {
    if (Deno.build.os !== "linux") return;
    const listening = await Deno.readTextFile("/proc/net/tcp6").catch(() => "");
    const port = Number(new URL(cluster.url).port).toString(16).toUpperCase().padStart(4, "0");
    assertEquals(listening.includes(`00000000000000000000000000000000:${port}`), false);
  });

  await test.step("stop leaves no process and no file", async () => {
    await kubelet.close();
    client.transport.close?.();
    kubeletClient.transport.close?.();
    await Promise.all([cluster.stop(), cluster.stop()]);
    assertEquals(await processesAt(cluster.dir), []);
    await assertRejects(() => Deno.stat(cluster.dir), Deno.errors.NotFound);
    await cluster.stop();
  });

  await test.step("a start takes seconds", () => assertEquals(startMs < 60_000, true));
});

Deno.test("startCluster() enables the admission plugins that it is given", async () => {
  await using cluster = await startCluster({
    binaries,
    admissionPlugins: ["OwnerReferencesPermissionEnforcement"],
  });
  const log = await Deno.readTextFile(`${cluster.dir}/kube-apiserver.log`);
  assertMatch(log, /OwnerReferencesPermissionEnforcement/);
});

Deno.test("startCluster() shows the end of the log of what failed, and leaves nothing", async () => {
  const root = await Deno.makeTempDir();
  const broken = `${root}/kube-apiserver`;
  await Deno.writeTextFile(broken, "#!/bin/sh\necho 'flag provided but not defined: -x' >&2\nexit 1\n", {
    mode: 0o755,
  });
  const error = await assertRejects(
    () => startCluster({ binaries: { ...binaries, kubeApiserver: broken } }),
    Error,
  );
  assertEquals(
    error.message,
    "kube-apiserver ended with code 1. The end of its log:\n  flag provided but not defined: -x",
  );
  assertEquals((await processesAt(root)).length, 0);
  await Deno.remove(root, { recursive: true });
});

Deno.test("startCluster() tries other ports when one was taken meanwhile", async () => {
  const root = await Deno.makeTempDir();
  const racing = `${root}/etcd`;
  const script = `#!/bin/sh
if [ -e "${root}/tried" ]; then exec "${binaries.etcd}" "$@"; fi
touch "${root}/tried"
echo "listen tcp 127.0.0.1:1: bind: address already in use"
exit 1
`;
  await Deno.writeTextFile(racing, script, { mode: 0o755 });
  await using cluster = await startCluster({ binaries: { ...binaries, etcd: racing } });
  assertMatch(cluster.url, /^https:\/\/127\.0\.0\.1:/);
  await Deno.remove(root, { recursive: true });
});

/** Runs `serve.ts` in a temporary directory of its own, until its output has `until`. */
async function withServe(
  until: RegExp,
  body: (server: { readonly child: Deno.ChildProcess; output(): string }) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  let output = "";
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", serveProgram],
    // A proxy that leads nowhere: nothing between these parts may go through it.
    env: {
      TMPDIR: root,
      KUBEBUILDER_ASSETS: binaries.etcd.replace(/\/[^/]*$/, ""),
      HTTPS_PROXY: "http://127.0.0.1:1",
      HTTP_PROXY: "http://127.0.0.1:1",
      NO_PROXY: "",
    },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) output += text;
  })();
  try {
    await eventually(() => Promise.resolve(output), (text) => until.test(text), 60_000);
    await body({ child, output: () => output });
    await reading;
    assertEquals(await eventually(() => processesAt(root), (list) => list.length === 0), []);
    await eventually(() => Promise.resolve([...Deno.readDirSync(root)]), (entries) => entries.length === 0);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("Ctrl-C ends everything, also when it comes twice, and no proxy stands between the parts", async () => {
  await withServe(/KUBECONFIG=/, async ({ child }) => {
    child.kill("SIGINT");
    child.kill("SIGINT");
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
  });
});

for (
  const [step, until] of [["etcd", /starting etcd/], ["kube-apiserver", /starting kube-apiserver/]] as const
) {
  Deno.test(`Ctrl-C while ${step} starts ends everything`, async () => {
    await withServe(until, async ({ child }) => {
      child.kill("SIGINT");
      child.kill("SIGINT");
      assertEquals((await child.status).code, 0);
    });
  });

  Deno.test(`nothing stays of a process that is killed while ${step} starts`, async () => {
    await withServe(until, async ({ child }) => {
      child.kill("SIGKILL");
      await child.status;
    });
  });
}

Deno.test("nothing stays of a process that is killed while its cluster runs", async () => {
  await withServe(/KUBECONFIG=/, async ({ child }) => {
    child.kill("SIGKILL");
    await child.status;
  });
});

Deno.test("everything ends when what started the process is killed alone", async () => {
  const root = await Deno.makeTempDir();
  const task = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--eval", `deno run --allow-all '${serveProgram}' > '${root}/output'`],
    env: { TMPDIR: root, KUBEBUILDER_ASSETS: binaries.etcd.replace(/\/[^/]*$/, "") },
  }).spawn();
  await eventually(
    () => Deno.readTextFile(`${root}/output`).catch(() => ""),
    (text) => /KUBECONFIG/.test(text),
    60_000,
  );
  task.kill("SIGKILL");
  await task.status;
  await eventually(() => processesAt(root), (list) => list.length === 0);
  await eventually(() => Promise.resolve([...Deno.readDirSync(root)]), (entries) => entries.length === 1);
  await Deno.remove(root, { recursive: true });
});
