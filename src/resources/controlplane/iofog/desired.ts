/**
 * What a ControlPlane should be made of, and what it waits for: one reading of the custom resource and the snapshot
 * for the plan and for the status.
 *
 * Pure apart from the thunks that make keys. A spec that is accepted never makes anything here throw.
 */

import type { Desired, DesiredContext, Parent, Problem, Snapshot } from "../../../operator/definition.ts";
import { readInventory } from "../../../operator/inventory.ts";
import { certificateWarnings } from "./certificates.ts";
import * as component from "../component.ts";
import { inventoryName } from "../inventory.ts";
import type { Waiting, Warning } from "../component.ts";
import type { Inputs } from "./inputs.ts";
import { storageProblems } from "../claim.ts";
import { CONTROLLER, controllerChildren } from "./controller.ts";
import { externalChildren, USER } from "./external.ts";
import { defaultImages, type Images, type SiteImages } from "./images.ts";
import { networkPolicies } from "./network_policies.ts";
import { portManagerChildren, portManagerWaiting } from "./port_manager.ts";
import * as reasons from "../reasons.ts";
import { pullSecretWarning, versionOf } from "../references.ts";
import { referencedSecrets, resolveReferences } from "./references.ts";
import { routerChildren, type RouterEndpoint, routerEndpoint, routerWaiting } from "./router.ts";
import { CONTROLLER_API_PORT } from "../fields.ts";
import { ownSecrets, parseSpec } from "./schema.ts";

/** Names of the Secrets whose content `desired` reads: its own, and those that the spec names. */
export function secretNames(parent: Parent): readonly string[] {
  const parsed = parseSpec(parent.spec);
  return [...ownSecrets, ...("spec" in parsed ? referencedSecrets(parsed.spec) : [])];
}

/** Names in `ExternalState.facts` that are read here. */
export const facts = {
  /** `Inputs.passwordVersion` of the password that the Controller last accepted. */
  acceptedPassword: "acceptedPassword",
} as const;

/** Where a control plane is reached; undefined where that is not known. */
export interface Addresses {
  /** Host name or IP address of the Controller outside of the cluster: only a LoadBalancer has one. */
  readonly controller: string | undefined;
  /** URL of the Controller's API: outside of the cluster where an address is known, else inside. */
  readonly controllerEndpoint: string;
  readonly router: RouterEndpoint | undefined;
}

/** What one look at a ControlPlane tells. */
export type Assessment =
  & { readonly warnings: readonly Warning[] }
  & (
    | { readonly accepted: false; readonly problems: readonly Problem[] }
    | {
      readonly accepted: true;
      readonly inputs: Inputs;
      readonly addresses: Addresses;
      readonly waiting: readonly Waiting[];
    }
  );

/** Reads the custom resource and what it waits for. `site`, then `images`, run where the spec names none. */
export function assess(
  context: DesiredContext,
  images: Images = defaultImages,
  site: SiteImages = {},
): Assessment {
  const { parent, snapshot, now } = context;
  const parsed = parseSpec(parent.spec);
  const unknown = component.unknownFieldsWarning(parsed.unknownFields);
  if ("problems" in parsed) return { accepted: false, problems: parsed.problems, warnings: unknown };
  const resolved = resolveReferences(parsed.spec, snapshot);
  if ("problems" in resolved) return { accepted: false, problems: resolved.problems, warnings: unknown };
  const external = snapshot.external(parent.metadata.uid);
  const established = establishedEmail(snapshot);
  if (established !== undefined && established !== parsed.spec.user.email) {
    return { accepted: false, problems: [emailProblem(established)], warnings: unknown };
  }
  const passwordVersion = versionOf(parent, [resolved.spec.user.passwordSecretRef], snapshot);
  const inputs: Inputs = {
    name: parent.metadata.name,
    namespace: parent.metadata.namespace,
    uid: parent.metadata.uid,
    spec: { ...resolved.spec, images: { ...site, ...resolved.spec.images } },
    images,
    snapshot,
    now,
    passwordVersion,
    passwordProved: external.facts[facts.acceptedPassword] === passwordVersion,
  };
  const problems = storageProblems(inputs);
  if (problems.length > 0) return { accepted: false, problems, warnings: unknown };
  const addresses = addressesOf(inputs);
  return {
    accepted: true,
    inputs,
    addresses,
    waiting: [...controllerWaiting(inputs), ...routerWaiting(inputs), ...portManagerWaiting(inputs)],
    warnings: [
      ...unknown,
      ...pullSecretWarning(inputs, inputs.spec.images.pullSecret),
      ...certificateWarnings(inputs, addresses.router?.host),
    ],
  };
}

/** What should be: nothing new while the spec cannot be accepted. */
export function desired(context: DesiredContext, images?: Images, site?: SiteImages): Desired {
  const assessment = assess(context, images, site);
  if (!assessment.accepted) return { children: [], problems: assessment.problems };
  const { inputs } = assessment;
  return {
    children: [
      ...routerChildren(inputs),
      ...controllerChildren(inputs),
      ...portManagerChildren(inputs),
      ...networkPolicies(inputs),
      ...externalChildren(inputs),
    ],
    problems: [],
  };
}

/** E-mail address of the user that was seen in the Controller; undefined when none was. */
export function establishedEmail(snapshot: Snapshot): string | undefined {
  return readInventory(snapshot, { inventoryName })?.entries
    .find((entry) => entry.kind === USER && entry.confirmed)?.name;
}

function emailProblem(established: string): Problem {
  return {
    reason: reasons.EMAIL_CHANGED,
    field: "spec.user.email",
    message:
      `cannot be changed: all that was deployed belongs to the user ${established}, and another one would not ` +
      `see it. Set it back to ${established}`,
  };
}

function addressesOf(inputs: Inputs): Addresses {
  const controller = inputs.spec.services.controller.type === "LoadBalancer"
    ? component.loadBalancerAddress(inputs.snapshot, CONTROLLER)
    : undefined;
  const host = controller ?? `${CONTROLLER}.${inputs.namespace}.svc`;
  return {
    controller,
    controllerEndpoint: `http://${host.includes(":") ? `[${host}]` : host}:${CONTROLLER_API_PORT}`,
    router: routerEndpoint(inputs.spec, inputs.snapshot),
  };
}

function controllerWaiting(inputs: Inputs): Waiting[] {
  if (inputs.spec.services.controller.type !== "LoadBalancer") return [];
  if (component.loadBalancerAddress(inputs.snapshot, CONTROLLER) !== undefined) return [];
  return [{
    component: CONTROLLER,
    reason: reasons.ADDRESS_PENDING,
    message: `Service ${CONTROLLER} has no load balancer address yet. Where the cluster gives none, set ` +
      "spec.services.controller.type to NodePort or ClusterIP",
  }];
}
