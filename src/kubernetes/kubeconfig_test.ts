import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError, type ConnectionConfig, type Credentials } from "./connection_config.ts";
import { loadConnection } from "./config.ts";
import { loadKubeconfig } from "./kubeconfig.ts";
import { machine } from "./testing.ts";

const pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
const path = "/home/me/.kube/config";

/** A kubeconfig with these fields of its cluster and its user. */
function kubeconfig(cluster: string, user = "token: sesame-open"): string {
  return `
apiVersion: v1
kind: Config
current-context: kind
contexts:
- name: kind
  context: {cluster: c, user: u, namespace: iofog}
clusters:
- name: c
  cluster: {${cluster}}
users:
- name: u
  user: {${user}}
`;
}

const https = "server: 'https://10.0.0.1:6443'";

async function load(text: string, files: Record<string, string> = {}): Promise<ConnectionConfig> {
  return await loadKubeconfig(
    machine({ files: { ...files, [path]: text }, variables: { HOME: "/home/me" } }),
  );
}

function credentials(config: ConnectionConfig): Promise<Credentials> {
  return config.credentials({ rejected: false });
}

Deno.test("loadKubeconfig() reads server, namespace, authority and token of the current context", async () => {
  const config = await load(
    kubeconfig(`${https}, certificate-authority-data: ${btoa(pem)}, proxy-url: 'socks5://p:1080'`),
  );
  assertEquals(
    { server: config.server, namespace: config.namespace, source: config.source, proxy: config.proxy },
    {
      server: "https://10.0.0.1:6443",
      namespace: "iofog",
      source: `${path}, context kind`,
      proxy: "socks5://p:1080",
    },
  );
  assertEquals(await config.authorities?.(), pem);
  assertEquals(await credentials(config), {
    authorization: "Bearer sesame-open",
    clientCertificate: undefined,
  });
});

Deno.test("loadKubeconfig() resolves files against its folder and reads them when they are needed", async () => {
  const files: Record<string, string> = {
    "/home/me/.kube/ca.pem": pem,
    "/home/me/me.pem": pem,
    "/etc/me.key": "KEY",
    "/home/me/.kube/token": " first\n",
  };
  const user = "client-certificate: ../me.pem, client-key: /etc/me.key, tokenFile: token, token: ignored";
  const environment = machine({
    files: new Proxy(
      { [path]: kubeconfig(`${https}, certificate-authority: ca.pem`, user) } as Record<string, string>,
      {
        get: (own, name: string) => own[name] ?? files[name],
      },
    ),
    variables: { HOME: "/home/me" },
  });
  const config = await loadKubeconfig(environment);
  assertEquals(await config.authorities?.(), pem);
  const clientCertificate = { certificate: pem, key: "KEY" };
  assertEquals(await credentials(config), { authorization: "Bearer first", clientCertificate });
  files["/home/me/.kube/token"] = "second";
  assertEquals(await credentials(config), { authorization: "Bearer second", clientCertificate });
});

Deno.test("loadKubeconfig() supports basic authentication and no authentication at all", async () => {
  const basic = await credentials(await load(kubeconfig(https, "username: mé, password: 'a:b'")));
  assertEquals(basic.authorization, "Basic bcOpOmE6Yg==");
  const none = kubeconfig(https).replace(", user: u", "");
  assertEquals(await credentials(await load(none)), {
    authorization: undefined,
    clientCertificate: undefined,
  });
});

Deno.test("loadKubeconfig() merges the files of KUBECONFIG, the first that says something wins", async () => {
  const first = "current-context: kind\nclusters: [{name: c, cluster: {server: 'https://first'}}]";
  const environment = machine({
    files: { "/a/one": first, "/b/two": kubeconfig(https, "tokenFile: token"), "/b/token": "t" },
    variables: { KUBECONFIG: "/a/one:/missing:/b/two", HOME: "/home/me" },
  });
  const config = await loadKubeconfig(environment);
  assertEquals([config.server, config.source], ["https://first", "/b/two, context kind"]);
  assertEquals((await credentials(config)).authorization, "Bearer t");
});

Deno.test("loadKubeconfig() takes the context that is asked for", async () => {
  const text = kubeconfig(https).replace("current-context: kind", "");
  const environment = machine({ files: { "/k": text } });
  assertEquals(
    (await loadKubeconfig(environment, { path: "/k", context: "kind" })).source,
    "/k, context kind",
  );
});

const broken: readonly (readonly [string, string, string])[] = [
  ["text that is not YAML", "a: [sesame-open", "is not YAML"],
  ["another document", "[1]", "the document: "],
  ["a field of another type", kubeconfig("server: 5"), "clusters.0.cluster.server: "],
  [
    "no current context",
    kubeconfig(https).replace("current-context: kind", ""),
    "no current-context; name one with",
  ],
  ["an unknown context", kubeconfig(https).replace("t: kind", "t: x"), "no context x; there is kind"],
  [
    "an unknown cluster",
    kubeconfig(https).replace("cluster: c,", "cluster: x,"),
    "cluster: there is no cluster x",
  ],
  ["an unknown user", kubeconfig(https).replace("user: u", "user: x"), "user: there is no user x"],
  ["no server", kubeconfig(""), "server: is missing; a URL that begins with https:// or http://"],
  [
    "a server without scheme",
    kubeconfig("server: 'localhost:6443'"),
    "server: is not a URL that begins with",
  ],
  [
    "an odd proxy",
    kubeconfig(`${https}, proxy-url: 'ftp://p'`),
    "proxy-url: is not a URL that begins with http://",
  ],
  [
    "no verification",
    kubeconfig(`${https}, insecure-skip-tls-verify: true`),
    "set certificate-authority-data instead",
  ],
  [
    "another server name",
    kubeconfig(`${https}, tls-server-name: n.example`),
    "let server be https://n.example",
  ],
  [
    "an authority that is not base64",
    kubeconfig(`${https}, certificate-authority-data: '%'`),
    "-data: is not base64",
  ],
  [
    "a certificate without key",
    kubeconfig(https, `client-certificate-data: ${btoa(pem)}`),
    "client-key: is missing",
  ],
  ["a key without certificate", kubeconfig(https, "client-key: k"), "client-certificate: is missing"],
  ["an auth provider", kubeconfig(https, "auth-provider: {name: gcp}"), "auth-provider: was removed"],
  ["impersonation", kubeconfig(https, "as: root"), "as: impersonation is not supported"],
  [
    "a plugin of an old API",
    kubeconfig(https, "exec: {apiVersion: v1, command: c}"),
    "users.0.user.exec.apiVersion",
  ],
  [
    "a plugin that asks questions",
    kubeconfig(
      https,
      "exec: {apiVersion: client.authentication.k8s.io/v1, command: c, interactiveMode: Always}",
    ),
    "c wants a terminal",
  ],
];

for (const [what, text, expected] of broken) {
  Deno.test(`loadKubeconfig() refuses ${what} in one line that names the file`, async () => {
    const error = await assertRejects(() => load(text), ConfigError);
    assert(error.message.includes(expected), error.message);
    assert(error.message.startsWith(path) && !error.message.includes("\n"), error.message);
    assert(!error.message.includes("sesame-open"));
  });
}

Deno.test("loadKubeconfig() reports files that are named and missing", async () => {
  await assertRejects(
    () => loadKubeconfig(machine({}), { path: "/nope" }),
    ConfigError,
    "kubeconfig: cannot read /nope (NotFound); check the path",
  );
  await assertRejects(() => loadKubeconfig(machine({})), ConfigError, "neither KUBECONFIG nor HOME is set");
  await assertRejects(
    () => loadKubeconfig(machine({ variables: { HOME: "/home/me" } })),
    ConfigError,
    `no ${path}; name a file with --kubeconfig or KUBECONFIG`,
  );
  const config = await load(kubeconfig(`${https}, certificate-authority: ca.pem`, "tokenFile: empty"), {
    "/home/me/.kube/empty": "\n",
    "/home/me/.kube/ca.pem": "nothing",
  });
  await assertRejects(() => credentials(config), ConfigError, "tokenFile: empty is empty");
  await assertRejects(
    () => config.authorities!(),
    ConfigError,
    "certificate-authority: is not a PEM certificate",
  );
});

const pod = {
  variables: { KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "443", HOME: "/home/me" },
  files: {
    "/var/run/secrets/kubernetes.io/serviceaccount/token": "pod-token",
    "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt": pem,
    [path]: kubeconfig(https),
  },
};

Deno.test("loadConnection() prefers what is named, then the pod, then the home folder", async () => {
  const sources = [];
  for (
    const [parts, options] of [
      [pod, {}],
      [pod, { context: "kind" }],
      [pod, { path }],
      [{ ...pod, variables: { ...pod.variables, KUBECONFIG: path } }, {}],
      [{ ...pod, variables: { HOME: "/home/me" } }, {}],
    ] as const
  ) sources.push((await loadConnection(machine(parts), options)).source);
  const file = `${path}, context kind`;
  assertEquals(sources, ["service account", file, file, file, file]);
});
