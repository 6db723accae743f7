/**
 * What a trial has come to, in a form in which two of them can be compared: without what every run makes anew (ids,
 * times, keys, addresses), but with everything that depends on it still told apart.
 */

import { Deployment, StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import { ConfigMap } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { conditionOf } from "../e2e/harness.ts";
import type { Trial } from "./trial.ts";

/** Objects as text, by kind and name. */
export type EndState = Readonly<Record<string, string>>;

/** Reads what there is. */
export async function readEndState(trial: Trial): Promise<EndState> {
  const { definition } = trial.flavour;
  const kinds = await Promise.all(
    [definition.resource, ...definition.childResources].map(async (resource) =>
      (await trial.list(resource))
        .filter((object) => !isOfKubernetes(object))
        .map((object) => [`${resource.kind} ${object.metadata?.name}`, reduced(object)] as const)
    ),
  );
  const names = new Map<string, string>();
  const entries = [...kinds.flat(), ["Controller", trial.outside()] as const]
    .sort(([one], [other]) => one < other ? -1 : 1);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, anonymous(JSON.stringify(value, sorted, 1), trial, names)]),
  );
}

/** Whether everything that was begun is finished. */
export async function isAtRest(trial: Trial): Promise<boolean> {
  const object = await trial.controlPlane();
  if (object === undefined) return true;
  const ready = conditionOf(object, "Ready");
  if (ready?.status !== "True" || object.status?.observedGeneration !== object.metadata.generation) {
    return false;
  }
  const inventory = await trial.find(ConfigMap, "iofog-inventory");
  const entries = JSON.parse(inventory?.data?.["entries"] ?? "[]") as { confirmed: boolean }[];
  if (entries.length === 0 || entries.some(({ confirmed }) => !confirmed)) return false;
  const workloads = [...await trial.list(Deployment), ...await trial.list(StatefulSet)];
  return workloads.every(({ metadata, spec, status }) =>
    status?.observedGeneration === metadata?.generation && status?.replicas === spec?.replicas &&
    status?.updatedReplicas === spec?.replicas && status?.readyReplicas === spec?.replicas
  );
}

/** What differs, in short lines; none when all is equal. */
export function differences(expected: EndState, found: EndState): readonly string[] {
  return [...new Set([...Object.keys(expected), ...Object.keys(found)])].flatMap((key) => {
    const [one, other] = [expected[key], found[key]];
    if (one === other) return [];
    if (one === undefined) return [`${key} should not be there`];
    if (other === undefined) return [`${key} is missing`];
    const [lines, others] = [one.split("\n"), other.split("\n")];
    const at = lines.findIndex((line, index) => line !== others[index]);
    return [`${key}: ${lines[at]?.trim()} expected, ${others[at]?.trim()} found`];
  });
}

function isOfKubernetes({ metadata }: KubeObject): boolean {
  return metadata?.name === "kube-root-ca.crt" ||
    (metadata?.name === "default" && metadata.labels === undefined);
}

/** Without what the API server and other controllers add. */
function reduced(object: KubeObject): unknown {
  const { metadata = {}, status, ...rest } = object as KubeObject & { status?: { conditions?: unknown[] } };
  const { managedFields, uid, resourceVersion: _, creationTimestamp: __, ...kept } = metadata;
  const managers = managedFields?.filter(({ manager }) => manager?.startsWith("iofog-operator"))
    .map(({ manager, operation, subresource }) => `${manager} ${operation} ${subresource ?? ""}`);
  const { data: stored = {} } = object as { data?: Record<string, string> };
  const data = object.kind === "Secret"
    ? { data: decoded(stored) }
    : object.kind === "ConfigMap" && stored["entries"] !== undefined
    ? { data: { ...stored, entries: inOrder(stored["entries"]) } }
    : {};
  return {
    uid,
    metadata: kept,
    managers,
    ...rest,
    ...data,
    ...(object.kind === "ControlPlane" ? { status } : {}),
  };
}

function decoded(data: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, atob(value)]));
}

/** The entries of an inventory, which stand in the order in which they were confirmed. */
function inOrder(entries: string): string {
  const texts = (JSON.parse(entries) as unknown[]).map((entry) => JSON.stringify(entry));
  return texts.sort().join();
}

const unstable: ReadonlySet<string> = new Set([
  ...["clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort", "lastTransitionTime", "batch"],
]);

/** Keys in one order, without those whose values every run makes anew. */
function sorted(key: string, value: unknown): unknown {
  if (unstable.has(key)) return undefined;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1));
}

/** Ids become numbers in the order in which they appear, so that what refers to what is still compared. */
function anonymous(text: string, { namespace }: Trial, names: Map<string, string>): string {
  return text.replaceAll(namespace, "<namespace>")
    .replace(/-----BEGIN ([A-Z ]+)-----[^-]*-----END \1-----/g, "<$1>")
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, (id) => {
      const name = names.get(id) ?? `<id ${names.size + 1}>`;
      names.set(id, name);
      return name;
    })
    // Keys, accounts and fingerprints of PoT.
    .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, "<jwt>")
    .replace(/(?<![A-Z2-7])(S[AOU][A-Z2-7]{56}|[AOU][A-Z2-7]{55})(?![A-Z2-7])/g, "<nats key>")
    .replace(/(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=/g, "<key>")
    .replace(/\b[0-9a-f]{64}\b/g, "<fingerprint>")
    // Hashes of what is desired, where the namespace is part of it.
    .replace(/\b[0-9a-f]{16}-[0-9a-f]{16}\b/g, "<settled>")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>")
    .replace(/\b192\.0\.2\.\d+\b/g, "<address>");
}
