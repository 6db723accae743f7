/** Real kubectl and real helm, as administrator of a cluster. */

import { findTools, type SharedCluster } from "../cluster/mod.ts";

const paths = await findTools();

/** Runs a client to its end; returns what it wrote to standard output. @throws Error with what it said, when it fails */
export type Client = (...args: readonly string[]) => Promise<string>;

/** The clients of a cluster. */
export async function clientsOf(
  cluster: Pick<SharedCluster, "kubeconfigPath" | "dir">,
): Promise<Readonly<Record<"kubectl" | "helm", Client>>> {
  // Both keep caches in the home directory.
  const home = `${cluster.dir}/home`;
  await Deno.mkdir(home, { recursive: true });
  const client = (path: string): Client => async (...args) => {
    const { success, stdout, stderr } = await new Deno.Command(path, {
      args: [...args],
      env: { HOME: home, KUBECONFIG: cluster.kubeconfigPath, NO_PROXY: "127.0.0.1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    if (!success) throw new Error(`${path} ${args.join(" ")}: ${decode(stderr)}${decode(stdout)}`);
    return decode(stdout);
  };
  return { kubectl: client(paths.kubectl), helm: client(paths.helm) };
}
