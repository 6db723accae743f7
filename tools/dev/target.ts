/**
 * The cluster that dev mode works on: a private one with played parts, or one that exists.
 */

import { machine } from "../../src/cli/environment.ts";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { loadConnection } from "../../src/kubernetes/config.ts";
import { noProxyForLoopback } from "../../src/kubernetes/connection_config.ts";
import { createFetchTransport } from "../../src/kubernetes/fetch_transport.ts";
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
  /** kubectl with what it needs to reach the same cluster; undefined when there is none here. */
  readonly kubectl: string | undefined;
}

const userAgent = "iofog-dev";

/** Starts the private cluster or connects to the existing one. `say` gets what happens, one line each. */
export async function openTarget(
  options: TargetOptions,
  report: { readonly say: (line: string) => void; readonly progress: Progress },
  signal: AbortSignal,
): Promise<Target> {
  return options.kind === "private"
    ? await startPrivate(report, signal)
    : await connectExisting(options, report.say);
}

async function startPrivate(
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
  const controller = await startController();
  started.defer(() => controller.close());
  played(`the ioFog Controller is played too, by a stand-in for 3.0.4 at ${controller.url}`);
  started.use(controller.playDevices({ count: 2, onAction: played }));
  played("two devices stand ready: the first two agents that are made are provisioned, and report");
  const client = connectCluster(cluster, { userAgent });
  started.defer(() => client.transport.close?.());
  const stack = started.move();
  const kubectl = await kubectlOnPath() ?? binaries.kubectl;
  return {
    client,
    operatorArgs: ["--kubeconfig", cluster.kubeconfigPath, "--controller-url", controller.url],
    kubectl: kubectl === undefined
      ? undefined
      : `KUBECONFIG=${quoted(cluster.kubeconfigPath)} ${quoted(kubectl)}`,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
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
