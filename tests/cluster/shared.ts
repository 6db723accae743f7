/**
 * The one API server that test files share.
 *
 * `deno task test` starts a cluster and names its description in an environment variable. A test file that is run by
 * itself starts its own, which ends with the process. Files run side by side on it: each uses namespaces of its own,
 * and leaves what has no namespace (CRDs aside, which all share) as it found it.
 */

import { type Cluster, startCluster } from "./cluster.ts";
import { registerSecret } from "../secrets.ts";

/** A cluster that somebody else stops. */
export type SharedCluster = Pick<
  Cluster,
  "dir" | "url" | "kubeconfigPath" | "adminToken" | "caPem" | "auditLogPath"
>;

/** Names the file with the description of the shared cluster. */
export const SHARED_CLUSTER_VARIABLE = "IOFOG_TEST_CLUSTER";

let own: Promise<SharedCluster> | undefined;

/**
 * The shared cluster, or one of this file's own.
 *
 * Call it at the top of a test file, not within a test: its processes would look like leaks of that test.
 */
export async function sharedCluster(): Promise<SharedCluster> {
  const path = Deno.env.get(SHARED_CLUSTER_VARIABLE);
  if (path !== undefined && path !== "") return JSON.parse(await Deno.readTextFile(path));
  return await (own ??= startCluster());
}

/** Writes the description of a cluster, for `SHARED_CLUSTER_VARIABLE`. @returns its path, in the cluster's folder */
export async function describeCluster(cluster: SharedCluster): Promise<string> {
  const { dir, url, kubeconfigPath, adminToken, caPem, auditLogPath } = cluster;
  const description: SharedCluster = { dir, url, kubeconfigPath, adminToken, caPem, auditLogPath };
  registerSecret(adminToken);
  const path = `${dir}/shared.json`;
  await Deno.writeTextFile(path, JSON.stringify(description), { mode: 0o600 });
  return path;
}
