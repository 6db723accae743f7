/**
 * A private Kubernetes control plane on this machine: real etcd, kube-apiserver and kube-controller-manager.
 *
 * Guarantees: free ports on loopback, a data directory of its own, TLS that clients can verify, RBAC, an audit log;
 * when `stop()` resolves, or this process ends in whatever way, no process and no file of it is left. Nothing runs
 * pods: `playKubelet` plays that part.
 */

import { systemClock } from "../../src/clock.ts";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { noProxyForLoopback } from "../../src/kubernetes/connection_config.ts";
import { createFetchTransport } from "../../src/kubernetes/fetch_transport.ts";
import type { Resource } from "../../src/kubernetes/resource.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { type Binaries, findBinaries } from "./binaries.ts";
import {
  type CertificateAuthority,
  createCertificateAuthority,
  generateSigningKeys,
  type KeyPair,
} from "./certificates.ts";
import { Component, ComponentError } from "./component.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { type Progress, reportWhile } from "./progress.ts";
import { removeAtExit } from "./supervised_process.ts";

/** Options of `startCluster`. */
export interface ClusterOptions {
  readonly progress?: Progress | undefined;
  /** Aborts the start; the cluster is gone when `startCluster` rejects. */
  readonly signal?: AbortSignal | undefined;
  /** @default what `findBinaries` finds or gets */
  readonly binaries?: Binaries | undefined;
  /** Beyond those that are on by default, e.g. `OwnerReferencesPermissionEnforcement`. */
  readonly admissionPlugins?: readonly string[] | undefined;
  /** For kube-apiserver, e.g. `--runtime-config=...`. */
  readonly apiServerArgs?: readonly string[] | undefined;
}

/** A running control plane. */
export interface Cluster extends AsyncDisposable {
  /** Data, logs and kubeconfigs; gone after `stop()`. */
  readonly dir: string;
  /** e.g. `https://127.0.0.1:41234`. */
  readonly url: string;
  /** For us and for kubectl, as administrator. */
  readonly kubeconfigPath: string;
  /** Of a user in `system:masters`. */
  readonly adminToken: string;
  /** Of the CA that signed the server's certificate. */
  readonly caPem: string;
  /** One `audit.k8s.io/v1` Event per line; see `audit.ts`. */
  readonly auditLogPath: string;
  /** A client certificate that the API server takes for this user in these groups. */
  issueClientCertificate(user: string, groups?: readonly string[]): Promise<KeyPair>;
  /** Resolves when no process and no file is left. May be called many times, also during one another. */
  stop(): Promise<void>;
}

/** How often the choice of free ports is repeated when another process was faster. */
const portAttempts = 5;

const tokenUsers = {
  admin: { user: "admin", groups: "system:masters" },
  controllerManager: { user: "system:kube-controller-manager", groups: "" },
} as const;

/**
 * Without nodes the garbage collector of pods would delete ours, and the life cycle of nodes would taint the played
 * one. Volumes are played: those of claims that are bound to played ones would count as lost.
 */
const controllers = [
  "*",
  "-pod-garbage-collector-controller",
  "-node-lifecycle-controller",
  "-persistentvolume-binder-controller",
  "-persistentvolume-expander-controller",
].join(",");

/** Metadata only, so that no Secret is ever in the log. */
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
`;

/**
 * Starts a control plane; takes seconds once its programs are there.
 *
 * @throws Error with the end of the log of the component that failed; the reason of `signal` when that aborts.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const binaries = options.binaries ?? await findBinaries(options);
  for (let attempt = 1;; attempt++) {
    const starting = new StartingCluster(binaries, options);
    try {
      return await starting.start();
    } catch (error) {
      await starting.stop();
      options.signal?.throwIfAborted();
      if (!(error instanceof ComponentError && error.portTaken) || attempt === portAttempts) throw error;
    }
  }
}

/** A client with the rights of an administrator, or with a token of somebody else. */
export function connectCluster(
  cluster: Pick<Cluster, "url" | "caPem" | "adminToken">,
  options: { readonly userAgent?: string | undefined; readonly token?: string | undefined } = {},
): KubernetesClient {
  bypassProxy(cluster.url);
  const authorization = `Bearer ${options.token ?? cluster.adminToken}`;
  const transport = createFetchTransport({
    server: cluster.url,
    source: "the local test cluster",
    authorities: () => Promise.resolve(cluster.caPem),
    credentials: () => Promise.resolve({ authorization }),
  }, { userAgent: options.userAgent ?? "local-cluster", clock: systemClock });
  return new KubernetesClient(transport);
}

/** The part of `authentication.k8s.io/v1 TokenRequest` that is used. */
interface TokenRequest extends KubeObject {
  readonly spec?: { readonly expirationSeconds?: number | undefined } | undefined;
  readonly status?: { readonly token: string } | undefined;
}

const serviceAccountTokens: Resource<TokenRequest> = {
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  namespaced: true,
};

/**
 * Writes a kubeconfig with a fresh token of a ServiceAccount that exists.
 *
 * @returns Its path, in the cluster's directory.
 */
export async function kubeconfigForServiceAccount(
  cluster: Pick<Cluster, "url" | "caPem" | "adminToken" | "dir">,
  namespace: string,
  name: string,
  options: { readonly expirationSeconds?: number | undefined } = {},
): Promise<string> {
  const client = connectCluster(cluster);
  try {
    const request = await client.create(serviceAccountTokens, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds: options.expirationSeconds ?? 24 * 3600 },
    }, { namespace, name, subresource: "token" });
    const token = request.status?.token;
    if (token === undefined) throw new Error(`no token for the ServiceAccount ${namespace}/${name}`);
    const path = `${cluster.dir}/${namespace}-${name}-${crypto.randomUUID()}.kubeconfig`;
    const { url, caPem } = cluster;
    await writeKubeconfig(path, { url, caPem, user: name, credentials: { token }, namespace });
    return path;
  } finally {
    client.transport.close?.();
  }
}

/** Deno sends even loopback through HTTPS_PROXY; children of ours inherit the exception. */
function bypassProxy(url: string): void {
  const noProxy = noProxyForLoopback(url, Deno.env.get("NO_PROXY"));
  if (noProxy === undefined) return;
  for (const name of ["NO_PROXY", "no_proxy"]) Deno.env.set(name, noProxy);
}

/** One attempt: everything that was started so far, so that it can be stopped at any point. */
class StartingCluster {
  readonly #components: Component[] = [];
  #removeDirectory: (() => Promise<void>) | undefined;
  #stopped: Promise<void> | undefined;

  constructor(private readonly binaries: Binaries, private readonly options: ClusterOptions) {}

  async start(): Promise<Cluster> {
    const dir = await Deno.makeTempDir({ prefix: "iofog-operator-cluster-" });
    this.#removeDirectory = removeAtExit(dir);
    const files = await writeFiles(dir);
    const [etcdPort, port] = freePorts(2) as [number, number];
    const url = `https://127.0.0.1:${port}`;
    const etcdUrl = `http://127.0.0.1:${etcdPort}`;
    await writeKubeconfig(`${dir}/admin.kubeconfig`, {
      url,
      caPem: files.caPem,
      user: "admin",
      credentials: { token: files.adminToken },
    });
    await writeKubeconfig(`${dir}/controller-manager.kubeconfig`, {
      url,
      caPem: files.caPem,
      user: "controller-manager",
      credentials: { token: files.controllerManagerToken },
    });
    const access = { url, caPem: files.caPem, adminToken: files.adminToken };
    const client = connectCluster(access);
    try {
      await this.#component("etcd", this.binaries.etcd, dir, etcdArgs(etcdUrl), () => probeTcp(etcdPort));
      await this.#component(
        "kube-apiserver",
        this.binaries.kubeApiserver,
        dir,
        apiServerArgs(dir, etcdUrl, port, this.options),
        () => client.transport.performRequest({ method: "GET", path: "/readyz", deadlineMs: 2000 }),
      );
      // The first thing that only a working controller manager makes, and without which no pod is admitted.
      await this.#component(
        "kube-controller-manager",
        this.binaries.kubeControllerManager,
        dir,
        controllerManagerArgs(dir),
        () => client.get(serviceAccountTokens, { namespace: "default", name: "default" }),
      );
    } finally {
      client.transport.close?.();
    }
    return {
      ...access,
      dir,
      kubeconfigPath: `${dir}/admin.kubeconfig`,
      auditLogPath: `${dir}/audit.log`,
      issueClientCertificate: (user, groups = []) => files.authority.issueClient(user, groups),
      stop: () => this.stop(),
      [Symbol.asyncDispose]: () => this.stop(),
    };
  }

  stop(): Promise<void> {
    return this.#stopped ??= (async () => {
      await Promise.all(this.#components.map((component) => component.stop()));
      await this.#removeDirectory?.();
    })();
  }

  async #component(
    name: string,
    path: string,
    directory: string,
    args: readonly string[],
    probe: () => Promise<unknown>,
  ): Promise<void> {
    const { progress, signal } = this.options;
    signal?.throwIfAborted();
    const component = new Component({ name, path, args, directory });
    this.#components.push(component);
    await reportWhile(progress, `starting ${name}`, () => component.ready(probe, signal));
  }
}

/** Writes keys, certificates, tokens and the audit policy into `dir`. */
async function writeFiles(dir: string): Promise<{
  readonly authority: CertificateAuthority;
  readonly caPem: string;
  readonly adminToken: string;
  readonly controllerManagerToken: string;
}> {
  const authority = await createCertificateAuthority("iofog-operator local test cluster");
  const server = await authority.issueServer({
    dns: ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
    ip: ["127.0.0.1", "::1", "10.96.0.1"],
  });
  const [adminToken, controllerManagerToken] = [randomToken(), randomToken()];
  const { admin, controllerManager } = tokenUsers;
  const write = (name: string, text: string) => Deno.writeTextFile(`${dir}/${name}`, text, { mode: 0o600 });
  await write("ca.crt", authority.certificatePem);
  await write("server.crt", server.certificatePem);
  await write("server.key", server.keyPem);
  const serviceAccountKeys = await generateSigningKeys();
  await write("service-accounts.key", serviceAccountKeys.keyPem);
  await write("service-accounts.pub", serviceAccountKeys.publicKeyPem);
  await write(
    "tokens.csv",
    `${adminToken},${admin.user},${admin.user},"${admin.groups}"\n` +
      `${controllerManagerToken},${controllerManager.user},${controllerManager.user}\n`,
  );
  await write("audit-policy.yaml", auditPolicy);
  return { authority, caPem: authority.certificatePem, adminToken, controllerManagerToken };
}

function etcdArgs(clientUrl: string): readonly string[] {
  return [
    "--data-dir=etcd",
    "--unsafe-no-fsync",
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    // There are no peers, so any port does and nobody needs to know which.
    "--listen-peer-urls=http://127.0.0.1:0",
    "--log-level=warn",
  ];
}

function apiServerArgs(
  dir: string,
  etcdUrl: string,
  port: number,
  options: ClusterOptions,
): readonly string[] {
  const plugins = options.admissionPlugins ?? [];
  return [
    `--etcd-servers=${etcdUrl}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--cert-dir=${dir}`,
    `--tls-cert-file=${dir}/server.crt`,
    `--tls-private-key-file=${dir}/server.key`,
    `--client-ca-file=${dir}/ca.crt`,
    `--token-auth-file=${dir}/tokens.csv`,
    "--authorization-mode=RBAC",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${dir}/service-accounts.pub`,
    `--service-account-signing-key-file=${dir}/service-accounts.key`,
    "--service-cluster-ip-range=10.96.0.0/12",
    // It refuses to publish a loopback address as the endpoint of the Service kubernetes.
    "--endpoint-reconciler-type=none",
    "--allow-privileged=true",
    `--audit-policy-file=${dir}/audit-policy.yaml`,
    `--audit-log-path=${dir}/audit.log`,
    "--audit-log-mode=blocking",
    // Never rotated: readers count lines.
    "--audit-log-maxsize=100000",
    ...plugins.length === 0 ? [] : [`--enable-admission-plugins=${plugins.join(",")}`],
    ...options.apiServerArgs ?? [],
  ];
}

function controllerManagerArgs(dir: string): readonly string[] {
  return [
    `--kubeconfig=${dir}/controller-manager.kubeconfig`,
    `--service-account-private-key-file=${dir}/service-accounts.key`,
    `--root-ca-file=${dir}/ca.crt`,
    "--use-service-account-credentials",
    "--leader-elect=false",
    "--secure-port=0",
    "--service-cluster-ip-range=10.96.0.0/12",
    `--controllers=${controllers}`,
    // The default of 20 requests per second would be the slowest part of many tests.
    "--kube-api-qps=300",
    "--kube-api-burst=600",
  ];
}

/** Ports that were free a moment ago, all different. */
function freePorts(count: number): readonly number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map((listener) => (listener.addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return ports;
}

async function probeTcp(port: number): Promise<void> {
  (await Deno.connect({ hostname: "127.0.0.1", port })).close();
}

function randomToken(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(24)), (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
