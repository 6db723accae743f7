/** Where this process reaches the ioFog Controller of a ControlPlane. */

import type { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import { Node, Service } from "../kubernetes/generated/core_v1.ts";
import type { Parent, Snapshot } from "../operator/definition.ts";
import type { ControllerLocation } from "../resources/controlplane/iofog/backend.ts";
import { loadBalancerAddress } from "../resources/controlplane/component.ts";
import { CONTROLLER } from "../resources/controlplane/iofog/controller.ts";
import { CONTROLLER_API_PORT } from "../resources/controlplane/fields.ts";

export interface LocateOptions {
  /** What `--controller-url` says. */
  readonly url: string | undefined;
  /** Whether Service names resolve here. */
  readonly inCluster: boolean;
  readonly client: KubernetesClient;
}

/**
 * The Controller's address: the one that was given, else the Service's name in the cluster, else the Service's address
 * for the outside, else the sentence that says which port-forward to start.
 *
 * @param inside Its address in the cluster.
 */
export async function locateController(
  options: LocateOptions,
  parent: Parent,
  snapshot: Snapshot,
  signal: AbortSignal,
  inside = `http://${CONTROLLER}.${parent.metadata.namespace}.svc:${CONTROLLER_API_PORT}`,
): Promise<ControllerLocation> {
  const { namespace } = parent.metadata;
  if (options.url !== undefined) return { url: options.url };
  if (options.inCluster) return { url: inside };
  const { protocol } = new URL(inside);
  const address = loadBalancerAddress(snapshot, CONTROLLER);
  if (address !== undefined) return { url: `${protocol}//${bracketed(address)}:${CONTROLLER_API_PORT}` };
  const service = snapshot.get(Service, CONTROLLER);
  const nodePort = service?.spec?.type === "NodePort"
    ? service.spec.ports?.find((port) => port.targetPort === CONTROLLER_API_PORT)?.nodePort
    : undefined;
  if (nodePort !== undefined) {
    const node = await nodeAddress(options.client, signal);
    if (node !== undefined) return { url: `${protocol}//${bracketed(node)}:${nodePort}` };
  }
  return {
    reason: "NoRouteToController",
    message: `the Controller has no address outside of the cluster; start ` +
      `kubectl -n ${namespace} port-forward service/${CONTROLLER} ${CONTROLLER_API_PORT} and give ` +
      `--controller-url ${protocol}//127.0.0.1:${CONTROLLER_API_PORT}`,
  };
}

/** An address of any node, as iofogctl chooses it; undefined where nodes may not be read. */
async function nodeAddress(client: KubernetesClient, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { items } = await client.list(Node, { dropManagedFields: true }, { signal });
    const addresses = items.flatMap((node) => node.status?.addresses ?? []);
    return (addresses.find(({ type }) => type === "ExternalIP") ??
      addresses.find(({ type }) => type === "InternalIP"))
      ?.address;
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
