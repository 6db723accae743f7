/**
 * `deno run -A tests/cluster/serve.ts`: a local cluster with played kubelet and cloud, until Ctrl-C.
 *
 * Prints progress, then one line `KUBECONFIG=...`. Ends with 0 when it was interrupted.
 */

import { connectCluster, startCluster } from "./cluster.ts";
import { InterruptedError, watchInterruption } from "./interruption.ts";
import { playKubelet } from "./kubelet.ts";
import { printProgress, writeOutput } from "./progress.ts";

async function serve(): Promise<void> {
  const interruption = watchInterruption();
  const { signal } = interruption;
  try {
    await using cluster = await startCluster({
      signal,
      progress: printProgress(writeOutput, { isTerminal: Deno.stdout.isTerminal() }),
    });
    const client = connectCluster(cluster, { userAgent: "played-kubelet" });
    await using _kubelet = playKubelet(client, { onAction: (line) => writeOutput(`${line}\n`) });
    writeOutput(`KUBECONFIG=${cluster.kubeconfigPath}\n`);
    await new Promise<void>((resolve) => {
      if (signal.aborted) return resolve();
      signal.addEventListener("abort", () => resolve());
    });
    writeOutput("stopping\n");
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
  } finally {
    interruption.close();
  }
}

if (import.meta.main) await serve();
