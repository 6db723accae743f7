/** An operator as a process of its own, behind a proxy to the API server. */

import { writeKubeconfig } from "../cluster/mod.ts";
import { cluster, type Scene } from "../e2e/harness.ts";
import type { OperatorProcess } from "../e2e/operator_process.ts";
import { Proxy } from "./proxy.ts";

/** The two of them; disposing of it ends both. */
export interface BehindProxy extends AsyncDisposable {
  readonly proxy: Proxy;
  readonly operator: OperatorProcess;
}

/** Starts an operator of the scene behind a proxy; `token` is that of an administrator unless given. */
export async function operateBehindProxy(
  scene: Scene,
  { args = [], env = {}, token = cluster.adminToken, permissions, prepare }: {
    readonly args?: readonly string[];
    /** Sets rules before the first request. */
    readonly prepare?: (proxy: Proxy) => void;
    /** And other flags of `deno run`. */
    readonly permissions?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly token?: string;
  } = {},
): Promise<BehindProxy> {
  const proxy = await Proxy.open({ upstream: cluster.url, caPem: cluster.caPem });
  prepare?.(proxy);
  const folder = await Deno.makeTempDir({ prefix: "iofog-operator-proxy-" });
  const kubeconfig = `${folder}/kubeconfig`;
  await writeKubeconfig(kubeconfig, {
    ...{ url: proxy.url, caPem: await Proxy.caPem(), user: "operator", credentials: { token } },
  });
  const operator = scene.operate([`--kubeconfig=${kubeconfig}`, ...args], env, {
    ...(permissions === undefined ? {} : { permissions }),
  });
  return {
    proxy,
    operator,
    async [Symbol.asyncDispose]() {
      await operator.stop();
      await proxy[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Kind, name and uid of every child: another uid is another object. */
export async function childIdentities(scene: Scene): Promise<readonly string[]> {
  return (await scene.children())
    .map(({ name, object, resource }) => `${resource.kind} ${name} ${object.metadata?.uid}`)
    .sort();
}
