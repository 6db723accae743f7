/**
 * Which flavours of control planes there are to look after: those whose custom resource is served, and that the
 * operator's Role lets it list.
 */

import type { KubernetesClient } from "../kubernetes/client.ts";
import { isStatus } from "../kubernetes/errors.ts";
import type { Resource } from "../kubernetes/resource.ts";
import { isDenied, type KindState } from "../operator/definition.ts";
import { ControlPlane } from "../resources/controlplane/iofog/resource.ts";
import { PotControlPlane } from "../resources/controlplane/pot/resource.ts";

export type Flavour = "iofog" | "pot";

/** The custom resource of each flavour, in the order in which Leases are taken. */
export const controlPlanes: Readonly<Record<Flavour, Resource>> = {
  iofog: ControlPlane,
  pot: PotControlPlane,
};
export const allFlavours = Object.keys(controlPlanes) as readonly Flavour[];

/** The flavours to look after, in the order of `allFlavours`; empty where none is served. */
export async function findFlavours(
  client: KubernetesClient,
  namespace: string,
  signal: AbortSignal,
  known: (flavour: Flavour) => KindState | undefined = () => undefined,
): Promise<readonly Flavour[]> {
  const answers = await Promise.all(
    allFlavours.map(async (flavour) =>
      [flavour, await answerOf(client, namespace, flavour, signal, known)] as const
    ),
  );
  const those = (wanted: Answer) =>
    answers.filter(([, answer]) => answer === wanted).map(([flavour]) => flavour);
  const allowed = those("listed");
  return allowed.length > 0 ? allowed : those("denied");
}

/** Plural of the Applications of a group that is served, which the CRDs of the CLIs call `apps`. */
export async function findApplications(
  client: KubernetesClient,
  group: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const served = await client.discover(group, "v3", { signal });
  return served?.find(({ kind, name }) => kind === "Application" && !name.includes("/"))?.name;
}

type Answer = "listed" | "denied" | "absent";

/** @throws ApiError where it cannot be said */
async function answerOf(
  client: KubernetesClient,
  namespace: string,
  flavour: Flavour,
  signal: AbortSignal,
  known: (flavour: Flavour) => KindState | undefined,
): Promise<Answer> {
  const resource = controlPlanes[flavour];
  const state = known(flavour);
  // Whoever looks after it anyway knows; what just failed may work again.
  if (state !== undefined && state.phase !== "absent" && !isDenied(state)) {
    return "listed";
  }
  // Open to everybody, while whoever may not list a kind is not told whether it is there.
  const served = await client.discover(resource.group, resource.version, { signal });
  if (served?.some(({ name }) => name === resource.plural) !== true) return "absent";
  try {
    await client.list(resource, { namespace, metadataOnly: true }, { signal });
    return "listed";
  } catch (error) {
    if (isStatus(error, 404)) return "absent";
    if (isStatus(error, 403)) return "denied";
    throw error;
  }
}
