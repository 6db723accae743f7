/** A line of the table of a flavour, and what people do in any. */

import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { makeLeaf, RENEWAL_MS } from "../../src/resources/pki.ts";
import { eventually } from "../e2e/waiting.ts";
import type { Json } from "../json.ts";
import type { Trial } from "./trial.ts";

/** One line of the table. */
export interface Scenario {
  readonly name: string;
  /** What stands there before, at rest; nothing where it is left out. */
  readonly installed?: Json;
  /** Makes what stands there before, where none of ours made it. */
  prepare?(trial: Trial): Promise<void>;
  /** What somebody does while the operator runs. */
  happens(trial: Trial): Promise<unknown>;
  /** Whether it has had its effect; asked only when everything is at rest. */
  isDone?(trial: Trial): Promise<boolean>;
}

const FIVE_YEARS_MS = 5 * 365 * 24 * 3600 * 1000;

/** Deletes an object as `kubectl delete` does. */
export async function remove(trial: Trial, resource: Resource, name: string): Promise<void> {
  const { namespace } = trial;
  await trial.client.delete(resource, { namespace, name }, { propagationPolicy: "Background" });
}

export async function removeControlPlane(trial: Trial): Promise<void> {
  await remove(trial, trial.flavour.resource, trial.flavour.object);
}

/** Puts a certificate of the same authority in its place, which is valid for another day. */
export async function replaceByOneThatEnds(trial: Trial, authority: string, name: string): Promise<void> {
  const [ca, leaf] = await Promise.all([trial.find(Secret, authority), trial.find(Secret, name)]);
  const decoded = Object.fromEntries(
    Object.entries(ca?.data ?? {}).map(([key, value]) => [key, atob(value)]),
  );
  const endsSoon = Date.now() - FIVE_YEARS_MS + RENEWAL_MS / 30;
  const made = await makeLeaf(decoded, ["192.0.2.1"], endsSoon);
  const data = Object.fromEntries(Object.entries(made).map(([key, value]) => [key, btoa(value ?? "")]));
  await trial.client.patch(Secret, { namespace: trial.namespace, name: leaf?.metadata?.name ?? "" }, {
    type: "merge",
    patch: { data },
  });
}

/** What the garbage collector takes with the ControlPlane. */
export async function owned(trial: Trial): Promise<readonly KubeObject[]> {
  const kinds = await Promise.all(trial.flavour.definition.childResources.map((kind) => trial.list(kind)));
  return kinds.flat().filter(({ metadata }) => metadata?.ownerReferences?.[0]?.kind === "ControlPlane");
}

export async function untilNothingIsLeft(trial: Trial): Promise<void> {
  await eventually("the children to be gone", () => owned(trial), (left) => left.length === 0, {
    withinMs: 60_000,
    show: (left) => left.map(({ metadata }) => metadata?.name).join(", "),
  });
}
