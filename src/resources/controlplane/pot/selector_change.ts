/**
 * How a component gets other labels although the selector of a Deployment can never change: earlier releases of the PoT
 * operator selected by fewer labels, or by others.
 *
 * The Deployment has to be deleted and made again. To keep serving meanwhile, an interim one with the new pods is made
 * beside it; once it is available the Services are pointed to its pods; then the old one goes and is made again; once
 * that is available the interim one goes. Each step follows from what is there, so that it may be interrupted anywhere.
 * What must not run twice at the same time, such as a Controller with an embedded database, is taken away first.
 */

import { Deployment } from "../../../kubernetes/generated/apps_v1.ts";
import { Service } from "../../../kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { AppliedChild, Child, Retired, Snapshot } from "../../../operator/definition.ts";
import type { Waiting } from "../component.ts";
import * as reasons from "../reasons.ts";

/** What a component consists of that a selector ties together. */
export interface Selected {
  /** Name of its Deployment. */
  readonly deployment: string;
  /** Names of the Services of its pods. */
  readonly services: readonly string[];
  /** Whether two of its pods at the same time would do harm. */
  readonly isExclusive: boolean;
}

/** What should be at this step. */
export interface Step {
  readonly children: readonly Child[];
  readonly retired: readonly Retired[];
  readonly waiting: readonly Waiting[];
}

const INTERIM_LABEL = "iofog.org/interim";

/** The children of a component as they should be now, on their way to `children`. */
export function throughSelectorChange(
  snapshot: Snapshot,
  children: readonly Child[],
  selected: Selected,
): Step {
  const { deployment: name, isExclusive, services } = selected;
  const wanted = children.find((child): child is AppliedChild => isNamed(child, Deployment.kind, name));
  if (wanted === undefined) return { children, retired: [], waiting: [] };
  const others = children.filter((child) => child !== wanted);
  const live = snapshot.get(Deployment, name);
  const interim = interimOf(wanted);
  const running = snapshot.get(Deployment, interim.object.metadata.name);
  const selector = selectorOf(wanted.object);

  if (live === undefined || isSame(live.spec?.selector.matchLabels, selector)) {
    if (running === undefined || isAvailable(live)) return { children, retired: [], waiting: [] };
    return { children: [...children, interim], retired: [], waiting: [waitingFor(name, "is made again")] };
  }
  const retired = { resource: Deployment, name, why: "spec.selector" };
  const replacing = waitingFor(name, "is deleted, to be made again with the labels of this release");
  if (isExclusive) return { children: others, retired: [retired], waiting: [replacing] };
  if (!isAvailable(running)) {
    return {
      children: [...others.map((child) => asItStands(snapshot, child, services)), interim],
      retired: [],
      waiting: [
        waitingFor(
          name,
          `serves until Deployment ${interim.object.metadata.name} does, so that it can be made again`,
        ),
      ],
    };
  }
  const arePointed = services.every((service) => {
    const child = children.find((child) => isNamed(child, Service.kind, service));
    return child === undefined ||
      isSame(snapshot.get(Service, service)?.spec?.selector, serviceSelectorOf(child));
  });
  if (!arePointed) {
    return {
      children: [...others, interim],
      retired: [],
      waiting: [waitingFor(name, "serves until its Services lead to the new pods")],
    };
  }
  return { children: [...others, interim], retired: [retired], waiting: [replacing] };
}

/** The same pods under another name, and with a label of their own: no two Deployments may select the same ones. */
function interimOf(wanted: AppliedChild): AppliedChild {
  const { metadata, spec } = wanted.object as Deployment & AppliedChild["object"];
  const label = { [INTERIM_LABEL]: metadata.name };
  const template = spec!.template;
  return {
    ...wanted,
    object: {
      ...wanted.object,
      metadata: { ...metadata, name: `${metadata.name}-interim` },
      spec: {
        ...spec,
        selector: { matchLabels: { ...selectorOf(wanted.object), ...label } },
        template: {
          ...template,
          metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...label } },
        },
      },
    } as AppliedChild["object"],
  };
}

/** A Service that goes on leading where it leads: its ports change together with the pods. */
function asItStands(snapshot: Snapshot, child: Child, services: readonly string[]): Child {
  const name = services.find((service) => isNamed(child, Service.kind, service));
  const live = name === undefined ? undefined : snapshot.get(Service, name);
  if (live === undefined || child.type !== "applied") return child;
  const ports = live.spec?.ports?.map(({ name, port, protocol, targetPort }) => ({
    ...(name !== undefined && { name }),
    port,
    ...(protocol !== undefined && { protocol }),
    ...(targetPort !== undefined && { targetPort }),
  }));
  const { spec } = child.object as Service;
  const object = { ...child.object, spec: { ...spec, ports, selector: live.spec?.selector } };
  return { ...child, object: object as AppliedChild["object"] };
}

function waitingFor(component: string, what: string): Waiting {
  return { component, reason: reasons.REPLACING, message: `Deployment ${component} ${what}` };
}

function isNamed(child: Child, kind: string, name: string): boolean {
  return child.type === "applied" && child.resource.kind === kind && child.object.metadata.name === name;
}

function selectorOf(object: KubeObject): Readonly<Record<string, string>> {
  return (object as Deployment).spec?.selector.matchLabels ?? {};
}

function serviceSelectorOf(child: Child): Readonly<Record<string, string>> | undefined {
  return child.type === "applied" ? (child.object as Service).spec?.selector : undefined;
}

function isAvailable(deployment: Deployment | undefined): boolean {
  const { metadata, spec, status } = deployment ?? {};
  return (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 1) &&
    (status?.availableReplicas ?? 0) >= (spec?.replicas ?? 1);
}

function isSame(
  one: Readonly<Record<string, string>> = {},
  other: Readonly<Record<string, string>> = {},
): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
