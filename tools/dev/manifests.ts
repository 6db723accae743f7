/**
 * Applies YAML files to a cluster as kubectl would: by server-side apply, in the order in which they stand.
 */

import { parseAll } from "@std/yaml";
import { systemClock } from "../../src/clock.ts";
import type { KubernetesClient } from "../../src/kubernetes/client.ts";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { Namespace } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";

/** Who owns the fields that dev mode applies. */
const fieldManager = "iofog-dev";

/** How long a CRD may take until the server serves it. */
const establishTimeoutMs = 30_000;

/** The objects in the `.yaml` files of a directory, by file name. Kustomizations are not objects. */
export async function readManifests(directory: string): Promise<readonly KubeObject[]> {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) =>
    name.endsWith(".yaml")
  );
  const objects: KubeObject[] = [];
  for (const name of names.sort()) {
    const documents = parseAll(
      await Deno.readTextFile(`${directory}/${name}`),
    ) as readonly (KubeObject | null)[];
    for (const object of documents) {
      if (object !== null && !object.apiVersion?.startsWith("kustomize.")) objects.push(object);
    }
  }
  return objects;
}

/** Applies the objects, and makes the namespaces that they lie in. @throws ApiError, or Error for an unknown kind */
export async function applyManifests(
  client: KubernetesClient,
  objects: readonly KubeObject[],
  signal: AbortSignal,
): Promise<void> {
  for (const namespace of new Set(objects.map(({ metadata }) => metadata?.namespace ?? ""))) {
    if (namespace !== "") await ensureNamespace(client, namespace, signal);
  }
  for (const object of objects) {
    const resource = await resourceOf(client, object, signal);
    await client.apply(resource, object, { fieldManager, force: true, signal });
  }
}

/** Applies CRDs and waits until the server serves them. */
export async function installCrds(
  client: KubernetesClient,
  crds: readonly KubeObject[],
  signal: AbortSignal,
): Promise<void> {
  await applyManifests(client, crds, signal);
  const deadline = performance.now() + establishTimeoutMs;
  for (const name of crds.map(({ metadata }) => metadata?.name ?? "")) {
    for (;;) {
      const crd = await client.get(CustomResourceDefinition, { name }, { signal });
      const conditions = crd.status?.conditions ?? [];
      const established = conditions.some(({ type, status }) => type === "Established" && status === "True");
      if (established && await isServed(client, crd, signal)) break;
      if (performance.now() > deadline) {
        const said = conditions.map(({ type, message }) => `${type}: ${message ?? ""}`).join("; ");
        throw new Error(`the server does not serve ${name} (${said || "it says nothing"})`);
      }
      await systemClock.sleep(50, signal);
    }
  }
}

/** Discovery follows a moment after the condition says so. */
async function isServed(
  client: KubernetesClient,
  { spec }: CustomResourceDefinition,
  signal: AbortSignal,
): Promise<boolean> {
  for (const version of spec.versions.filter(({ served }) => served)) {
    const resources = await client.discover(spec.group, version.name, { signal });
    if (!resources?.some(({ name }) => name === spec.names.plural)) return false;
  }
  return true;
}

async function ensureNamespace(client: KubernetesClient, name: string, signal: AbortSignal): Promise<void> {
  try {
    await client.create(Namespace, { metadata: { name } }, { signal });
  } catch (error) {
    if (!isStatus(error, 409)) throw error;
  }
}

async function resourceOf(
  client: KubernetesClient,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Resource> {
  const { apiVersion = "", kind = "" } = object;
  const [group = "", version = ""] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const served = await client.discover(group, version, { signal });
  const found = served?.find((one) => one.kind === kind && !one.name.includes("/"));
  if (found === undefined) {
    throw new Error(`the server does not know ${apiVersion} ${kind}: is its CRD installed?`);
  }
  return { group, version, kind, plural: found.name, namespaced: found.namespaced };
}
