/**
 * `deno run -A tests/cluster/serve.ts`: a local cluster with played kubelet and cloud, until Ctrl-C.
 *
 * Prints progress, then one line `KUBECONFIG=...`. Ends with 0 when it was interrupted.
 */

import { connectCluster, startCluster } from "./cluster.ts";
import { InterruptedError, watchInterruption } from "./interruption.ts";
import { playKubelet } from "./kubelet.ts";
import { printProgress } from "./progress.ts";

async function serve(): Promise<void> {
  const interruption = watchInterruption();
  const { signal } = interruption;
  const write = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));
  try {
    await using cluster = await startCluster({
      signal,
      progress: printProgress(write, { isTerminal: Deno.stdout.isTerminal() }),
    });
    const client = connectCluster(cluster, { userAgent: "played-kubelet" });
    await using _kubelet = playKubelet(client, { onAction: (line) => write(`${line}\n`) });
    write(`KUBECONFIG=${cluster.kubeconfigPath}\n`);
    await new Promise<void>((resolve) => {
      if (signal.aborted) return resolve();
      signal.addEventListener("abort", () => resolve());
    });
    write("stopping\n");
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
  } finally {
    interruption.close();
  }
}

if (import.meta.main) await serve();
