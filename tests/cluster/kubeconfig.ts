/**
 * Writes kubeconfig files that both our client and kubectl read.
 */

import { stringify } from "@std/yaml";

/** How a user of the cluster proves who it is. */
export type Credentials =
  | { readonly token: string }
  | { readonly certificatePem: string; readonly keyPem: string };

/** What goes into a kubeconfig: one cluster, one user, one context. */
export interface KubeconfigInput {
  readonly url: string;
  readonly caPem: string;
  readonly user: string;
  readonly credentials: Credentials;
  /** The context's. @default none, which is `default` */
  readonly namespace?: string | undefined;
}

/** Name of the cluster, and first part of the context's. */
const clusterName = "iofog-local";

/** The text of a kubeconfig. */
export function formatKubeconfig(input: KubeconfigInput): string {
  const context = `${input.user}@${clusterName}`;
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": context,
    clusters: [{
      name: clusterName,
      cluster: { server: input.url, "certificate-authority-data": btoa(input.caPem) },
    }],
    users: [{
      name: input.user,
      user: "token" in input.credentials ? { token: input.credentials.token } : {
        "client-certificate-data": btoa(input.credentials.certificatePem),
        "client-key-data": btoa(input.credentials.keyPem),
      },
    }],
    contexts: [{
      name: context,
      context: {
        cluster: clusterName,
        user: input.user,
        ...input.namespace === undefined ? {} : { namespace: input.namespace },
      },
    }],
  });
}

/** Writes a kubeconfig that only its owner can read. */
export async function writeKubeconfig(path: string, input: KubeconfigInput): Promise<void> {
  await Deno.writeTextFile(path, formatKubeconfig(input), { mode: 0o600 });
}
