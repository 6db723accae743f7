/** Chooses where the connection comes from, in client-go's order. */

import type { ConnectionConfig, Environment } from "./connection_config.ts";
import { isInCluster, loadInCluster } from "./in_cluster.ts";
import { type KubeconfigOptions, loadKubeconfig } from "./kubeconfig.ts";

/**
 * The connection to use: the kubeconfig that `options` or KUBECONFIG names, else the pod's service account, else
 * `~/.kube/config`.
 *
 * @throws ConfigError when that one cannot be used; the next is not tried then.
 */
export async function loadConnection(
  environment: Environment,
  options: KubeconfigOptions = {},
): Promise<ConnectionConfig> {
  const named = options.path !== undefined || options.context !== undefined ||
    environment.variable("KUBECONFIG");
  if (!named && isInCluster(environment)) return await loadInCluster(environment);
  return await loadKubeconfig(environment, options);
}
