/**
 * The cluster that dev mode works on: a private one with played parts, or one that exists.
 */

import { machine } from "../../src/cli/environment.ts";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { loadConnection } from "../../src/kubernetes/config.ts";
import { noProxyForLoopback } from "../../src/kubernetes/connection_config.ts";
import { createFetchTransport } from "../../src/kubernetes/fetch_transport.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import type { Flavour } from "../../src/cli/flavours.ts";
import { type Keycloak, startKeycloak } from "../../tests/keycloak/keycloak.ts";
import {
  connectCluster,
  findBinaries,
  playKubelet,
  type Progress,
  startCluster,
} from "../../tests/cluster/mod.ts";
import { startController } from "../../tests/controller/controller.ts";

/** Which cluster. */
export type TargetOptions =
  | { readonly kind: "private" }
  | {
    readonly kind: "existing";
    readonly kubeconfig?: string | undefined;
    readonly context?: string | undefined;
  };

/** A cluster to work on. */
export interface Target extends AsyncDisposable {
  readonly client: KubernetesClient;
  /** What the operator is told to reach it, and the ioFog Controller. */
  readonly operatorArgs: readonly string[];
  /** The objects of a sample, with what only this cluster has, such as the Keycloak that is played. */
  prepare(sample: readonly KubeObject[]): readonly KubeObject[];
  /** kubectl with what it needs to reach the same cluster; undefined when there is none here. */
  readonly kubectl: string | undefined;
}

const userAgent = "iofog-dev";

/** Starts the private cluster or connects to the existing one. `say` gets what happens, one line each. */
export async function openTarget(
  options: TargetOptions,
  flavour: Flavour,
  report: { readonly say: (line: string) => void; readonly progress: Progress },
  signal: AbortSignal,
): Promise<Target> {
  return options.kind === "private"
    ? await startPrivate(flavour, report, signal)
    : await connectExisting(options, report.say);
}

async function startPrivate(
  flavour: Flavour,
  { say, progress }: { readonly say: (line: string) => void; readonly progress: Progress },
  signal: AbortSignal,
): Promise<Target> {
  const binaries = await findBinaries({ progress, signal });
  await using started = new AsyncDisposableStack();
  const cluster = started.use(await startCluster({ binaries, progress, signal }));
  const played = (line: string) => say(`played   | ${line}`);
  const kubeletClient = connectCluster(cluster, { userAgent: "played-kubelet" });
  started.defer(() => kubeletClient.transport.close?.());
  started.use(playKubelet(kubeletClient, { onAction: played }));
  played("kubelet and cloud are played: no container runs, addresses lead nowhere");
  const client = connectCluster(cluster, { userAgent });
  started.defer(() => client.transport.close?.());
  const keycloak = flavour === "pot" ? await startKeycloak() : undefined;
  started.defer(() => keycloak?.close());
  const controller = await startController(
    keycloak === undefined ? {} : {
      version: "3.7.3",
      realm: keycloak.trusted,
      readSecret: async (name) => (await client.get(Secret, { namespace: flavour, name })).data,
    },
  );
  started.defer(() => controller.close());
  if (keycloak !== undefined) played(`and so is Keycloak, at ${keycloak.url}`);
  played(
    `the ioFog Controller is played too, by a stand-in for ${
      keycloak === undefined ? "3.0.4" : "3.7.3"
    } at ${controller.url}`,
  );
  // Two for the sample, and some for what is tried besides.
  started.use(controller.playDevices({ count: 4, onAction: played }));
  played("four devices stand ready: the first four agents that are made are provisioned, and report");
  const stack = started.move();
  const kubectl = await kubectlOnPath() ?? binaries.kubectl;
  return {
    client,
    operatorArgs: ["--kubeconfig", cluster.kubeconfigPath, "--controller-url", controller.url],
    prepare: (sample) => keycloak === undefined ? sample : withKeycloak(sample, keycloak),
    kubectl: kubectl === undefined
      ? undefined
      : `KUBECONFIG=${quoted(cluster.kubeconfigPath)} ${quoted(kubectl)}`,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The sample with the Keycloak that is played, and the authority of its certificate. */
function withKeycloak(sample: readonly KubeObject[], keycloak: Keycloak): readonly KubeObject[] {
  const name = "keycloak-ca";
  return sample.flatMap((object) => {
    const { spec } = object as { spec?: { auth?: object } };
    if (object.kind !== "ControlPlane") return [object];
    const metadata = { name, namespace: object.metadata?.namespace ?? "" };
    const auth = { ...spec?.auth, ...keycloak.auth(), caSecretRef: { name, key: "ca.crt" } };
    return [
      { apiVersion: "v1", kind: "Secret", metadata, stringData: { "ca.crt": keycloak.caPem } } as KubeObject,
      { ...object, spec: { ...spec, auth } } as KubeObject,
    ];
  });
}

async function connectExisting(
  { kubeconfig, context }: TargetOptions & { readonly kind: "existing" },
  say: (line: string) => void,
): Promise<Target> {
  const connection = await loadConnection(machine, { path: kubeconfig, context });
  const noProxy = noProxyForLoopback(connection.server, Deno.env.get("NO_PROXY"));
  if (noProxy !== undefined) Deno.env.set("NO_PROXY", noProxy);
  const transport = createFetchTransport(connection, { userAgent });
  say(`using the existing cluster ${connection.server} (${connection.source}); nothing is played`);
  const kubectl = await kubectlOnPath();
  return {
    client: new KubernetesClient(transport),
    prepare: (sample) => sample,
    operatorArgs: [
      ...kubeconfig === undefined ? [] : ["--kubeconfig", kubeconfig],
      ...context === undefined ? [] : ["--context", context],
    ],
    kubectl: kubectl === undefined
      ? undefined
      : `${kubeconfig === undefined ? "" : `KUBECONFIG=${quoted(kubeconfig)} `}${kubectl}${
        context === undefined ? "" : ` --context ${context}`
      }`,
    [Symbol.asyncDispose]: () => Promise.resolve(transport.close?.()),
  };
}

async function kubectlOnPath(): Promise<string | undefined> {
  try {
    await new Deno.Command("kubectl", { args: ["version", "--client"], stdout: "null", stderr: "null" })
      .output();
    return "kubectl";
  } catch {
    return undefined;
  }
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w/.:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
