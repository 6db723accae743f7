import { assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "./connection_config.ts";
import { isInCluster, loadInCluster } from "./in_cluster.ts";
import { machine } from "./testing.ts";

const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
const pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
const files = { [`${folder}/token`]: "t\n", [`${folder}/ca.crt`]: pem, [`${folder}/namespace`]: "iofog\n" };

function pod(host: string, given: Record<string, string> = files) {
  const variables = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: "443" };
  return machine({ files: given, variables });
}

Deno.test("loadInCluster() reads what kubelet provides", async () => {
  const { authorities, credentials, ...rest } = await loadInCluster(pod("10.96.0.1"));
  assertEquals(rest, { server: "https://10.96.0.1:443", namespace: "iofog", source: "service account" });
  assertEquals(await authorities?.(), pem);
  assertEquals(await credentials({ rejected: false }), { authorization: "Bearer t" });
});

Deno.test("loadInCluster() puts an IPv6 address in brackets", async () => {
  const { server } = await loadInCluster(pod("fd00::1"));
  assertEquals(server, "https://[fd00::1]:443");
});

Deno.test("loadInCluster() does without a namespace file", async () => {
  const { [`${folder}/namespace`]: _, ...others } = files;
  assertEquals((await loadInCluster(pod("10.96.0.1", others))).namespace, undefined);
});

Deno.test("loadInCluster() says what is missing", async () => {
  assertEquals([isInCluster(machine({})), isInCluster(pod("h"))], [false, true]);
  await assertRejects(() => loadInCluster(machine({})), ConfigError, "KUBERNETES_SERVICE_HOST");
  await assertRejects(() => loadInCluster(pod("a b")), ConfigError, "do not make an address");
  await assertRejects(() => loadInCluster(pod("h", {})), ConfigError, "automountServiceAccountToken");
  const noToken = { ...files, [`${folder}/token`]: "\n" };
  await assertRejects(() => loadInCluster(pod("h", noToken)), ConfigError, "token is empty");
  const noAuthority = { ...files, [`${folder}/ca.crt`]: "x" };
  await assertRejects(
    () => loadInCluster(pod("h", noAuthority)),
    ConfigError,
    "ca.crt: is not a PEM certificate",
  );
});
