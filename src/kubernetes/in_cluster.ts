/** The connection of a pod: its service account's token and authority, which kubelet renews while the pod runs. */

import {
  checkCertificates,
  ConfigError,
  type ConnectionConfig,
  type Environment,
  readConfigured,
} from "./connection_config.ts";

const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
const source = "service account";

/** Whether this process runs in a pod that was told of its API server. */
export function isInCluster(environment: Environment): boolean {
  return Boolean(environment.variable("KUBERNETES_SERVICE_HOST"));
}

/**
 * The connection that kubelet prepared for this pod.
 *
 * @throws ConfigError when the variables or files that kubelet provides are missing or malformed.
 */
export async function loadInCluster(environment: Environment): Promise<ConnectionConfig> {
  const host = environment.variable("KUBERNETES_SERVICE_HOST");
  const port = environment.variable("KUBERNETES_SERVICE_PORT");
  if (!host || !port) {
    throw new ConfigError(
      "in-cluster: KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set; run in a pod, or name a --kubeconfig",
    );
  }
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (URL.parse(server) === null) {
    throw new ConfigError(
      "in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not make an address",
    );
  }
  const config: ConnectionConfig = {
    server,
    source,
    namespace: await namespace(environment),
    authorities: async () => checkCertificates(await read(environment, "ca.crt"), `${source}: ca.crt`),
    credentials: async () => ({ authorization: `Bearer ${await token(environment)}` }),
  };
  // A pod without a token is told so at its start, not at its first request.
  await Promise.all([config.authorities?.(), config.credentials({ rejected: false })]);
  return config;
}

async function token(environment: Environment): Promise<string> {
  const value = (await read(environment, "token")).trim();
  if (value === "") throw new ConfigError(`${source}: ${folder}/token is empty; restart the pod`);
  return value;
}

function read(environment: Environment, file: string): Promise<string> {
  return readConfigured(environment, `${folder}/${file}`, `${source} (is automountServiceAccountToken on?)`);
}

/** Undefined where the file is missing: some platforms leave it out, and WATCH_NAMESPACE may say it instead. */
async function namespace(environment: Environment): Promise<string | undefined> {
  try {
    return (await environment.readTextFile(`${folder}/namespace`)).trim() || undefined;
  } catch {
    return undefined;
  }
}
