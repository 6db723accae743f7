/**
 * What a PoT ControlPlane should be made of, and what it waits for: one reading of the custom resource and the snapshot
 * for the plan and for the status.
 *
 * Pure apart from the thunks that make keys. A spec that is accepted never makes anything here throw.
 */

import type { Desired, DesiredContext, Parent, Problem } from "../../../operator/definition.ts";
import { examineGiven } from "../../pki.ts";
import { storageProblems } from "../claim.ts";
import * as component from "../component.ts";
import type { Waiting, Warning } from "../component.ts";
import { CONTROLLER_API_PORT, isSqlite } from "../fields.ts";
import { pullSecretWarning, readCertificateSecret } from "../references.ts";
import * as reasons from "../reasons.ts";
import { certificateWarnings } from "./certificates.ts";
import {
  CONTROLLER,
  controllerChildren,
  controllerExposure,
  controllerScheme,
  ingressProblems,
  servedHost,
} from "./controller.ts";
import { type Details, externalChildren, facts, viewerUrl } from "./external.ts";
import { defaultImages, type Images, type SiteImages } from "./images.ts";
import type { Inputs } from "./inputs.ts";
import {
  NATS,
  natsAddress,
  natsChildren,
  natsSecretNames,
  natsStorageProblems,
  natsWaiting,
} from "./nats.ts";
import { networkPolicies } from "./network_policies.ts";
import { authVersion, referencedSecrets, resolveReferences } from "./references.ts";
import {
  ROUTER,
  routerChildren,
  type RouterEndpoint,
  routerEndpoint,
  routerProblems,
  routerWaiting,
} from "./router.ts";
import { ownSecrets, parseSpec } from "./schema.ts";
import { type Step, throughSelectorChange } from "./selector_change.ts";
import { leftBehind, ownPermissions, retiredObjects } from "./upgrade.ts";

/** Names of the Secrets whose content `desired` reads: its own, and those that the spec names. */
export function secretNames({ metadata, spec }: Parent): readonly string[] {
  const parsed = parseSpec(spec);
  const certificates = "spec" in parsed ? parsed.spec.certificates : {};
  return [
    ...ownSecrets,
    ...natsSecretNames(metadata.name, certificates),
    ...("spec" in parsed ? referencedSecrets(parsed.spec) : []),
  ];
}

/** Where a control plane is reached; undefined where that is not known. */
export interface Addresses {
  /** Host name or IP address of the Controller outside of the cluster. */
  readonly controller: string | undefined;
  /** URL of the Controller's API: outside of the cluster where an address is known, else inside. */
  readonly controllerEndpoint: string;
  readonly router: RouterEndpoint | undefined;
  readonly nats: string | undefined;
  readonly viewer: string | undefined;
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
      /** Controller and router, on their way from what releases before 3.6 selected by. */
      readonly selected: Step;
    }
  );

/** Reads the custom resource and what it waits for. `site`, then `images`, run where the spec names none. */
export function assess(
  { parent, snapshot, now }: DesiredContext,
  images: Images = defaultImages,
  site: SiteImages = {},
): Assessment {
  const parsed = parseSpec(parent.spec);
  const unknown = component.unknownFieldsWarning(parsed.unknownFields);
  if ("problems" in parsed) return { accepted: false, problems: parsed.problems, warnings: unknown };
  const resolved = resolveReferences(parsed.spec, snapshot);
  if ("problems" in resolved) return { accepted: false, problems: resolved.problems, warnings: unknown };
  const { name, namespace, uid } = parent.metadata;
  const external = snapshot.external(uid);
  const details = external.details as Details | undefined;
  const inputs: Inputs = {
    name,
    namespace,
    uid,
    snapshot,
    now,
    spec: { ...resolved.spec, images: { ...site, ...resolved.spec.images } },
    images,
    authProved: external.facts[facts.provedAuth] === authVersion(parent, resolved.spec, snapshot),
    natsBootstrap: details?.natsBootstrap,
    natsAccounts: details?.natsAccounts,
    natsHealth: details?.natsHealth,
  };
  const problems = [
    ...controllerCertificateProblems(inputs),
    ...ingressProblems(inputs),
    ...storageProblems(inputs),
    ...natsStorageProblems(inputs),
    ...routerProblems(inputs),
  ];
  if (problems.length > 0) return { accepted: false, problems, warnings: unknown };
  const pending = loadBalancersPending(inputs, parent.spec);
  const selected = selectedChildren(inputs);
  return {
    accepted: true,
    inputs,
    selected,
    addresses: addressesOf(inputs),
    waiting: [...pending.waiting, ...routerWaiting(inputs), ...natsWaiting(inputs), ...selected.waiting],
    warnings: [
      ...unknown,
      ...pending.warnings,
      ...pullSecretWarning(inputs, inputs.spec.images.pullSecret),
      ...certificateWarnings(inputs, "router"),
      ...(inputs.spec.nats.enabled ? certificateWarnings(inputs, "nats") : []),
    ],
  };
}

/** What should be: nothing new while the spec cannot be accepted. `serviceAccount` is the operator's own. */
export function desired(
  context: DesiredContext,
  images?: Images,
  site?: SiteImages,
  serviceAccount?: string,
): Desired {
  const assessment = assess(context, images, site);
  if (!assessment.accepted) return { children: [], problems: assessment.problems };
  const { inputs, selected } = assessment;
  const children = [
    ...selected.children,
    ...(inputs.spec.nats.enabled ? ownPermissions(inputs, serviceAccount) : []),
    ...natsChildren(inputs),
    ...networkPolicies(inputs),
    ...externalChildren(inputs),
  ];
  return {
    retired: [...selected.retired, ...retiredObjects, ...leftBehind(inputs, children)],
    children,
    problems: [],
  };
}

function selectedChildren(inputs: Inputs): Step {
  const { snapshot, spec } = inputs;
  const steps = [
    throughSelectorChange(snapshot, routerChildren(inputs), {
      deployment: ROUTER,
      services: [ROUTER],
      isExclusive: false,
    }),
    throughSelectorChange(snapshot, controllerChildren(inputs), {
      deployment: CONTROLLER,
      services: [CONTROLLER],
      isExclusive: isSqlite(spec.database),
    }),
  ];
  return {
    children: steps.flatMap(({ children }) => children),
    retired: steps.flatMap(({ retired }) => retired),
    waiting: steps.flatMap(({ waiting }) => waiting),
  };
}

/** A certificate that the Controller could not start with. */
function controllerCertificateProblems({ now, snapshot, spec }: Inputs): Problem[] {
  const { https, secretName } = spec.controller;
  if (!https || secretName === undefined) return [];
  const field = "spec.controller.secretName";
  const given = readCertificateSecret(snapshot, field, secretName);
  if ("problem" in given) return [given.problem];
  const verdict = examineGiven(given.found, [], now);
  if (verdict.usable) return [];
  return [{
    reason: reasons.CERTIFICATE_UNUSABLE,
    field,
    message:
      `names Secret ${secretName}, which cannot be used: ${verdict.reason}. Put a certificate there that works, ` +
      "in PEM form and with its key, or name another Secret",
  }];
}

function addressesOf(inputs: Inputs): Addresses {
  const { type } = controllerExposure(inputs);
  const scheme = controllerScheme(inputs);
  const inside = `${scheme}://${CONTROLLER}.${inputs.namespace}.svc:${CONTROLLER_API_PORT}`;
  const rest = { router: routerEndpoint(inputs), nats: natsAddress(inputs), viewer: viewerUrl(inputs) };
  if (type === "ClusterIP") {
    const url = rest.viewer === undefined ? inside : `${rest.viewer}/api/v3`;
    return { ...rest, controller: servedHost(inputs), controllerEndpoint: url };
  }
  const host = type === "LoadBalancer"
    ? component.loadBalancerAddress(inputs.snapshot, CONTROLLER)
    : undefined;
  const bracketed = host?.includes(":") ? `[${host}]` : host;
  return {
    ...rest,
    controller: host,
    controllerEndpoint: host === undefined ? inside : `${scheme}://${bracketed}:${CONTROLLER_API_PORT}`,
  };
}

/**
 * Load balancers without an address: awaited where the spec asks for one. Where it leaves the type open, the Go
 * operator waits for none either, since not every cluster gives addresses; then it is only told.
 */
function loadBalancersPending(inputs: Inputs, raw: unknown): { waiting: Waiting[]; warnings: Warning[] } {
  const { nats, services } = inputs.spec;
  const asked = (raw as { services?: Record<string, { type?: unknown } | null> | null } | undefined)
    ?.services;
  const pending = [
    {
      key: "controller" as const,
      service: CONTROLLER,
      remedy: "NodePort, or to ClusterIP with spec.ingresses.controller.host",
    },
    ...(nats.enabled
      ? [{
        key: "nats" as const,
        service: NATS,
        remedy: "NodePort or ClusterIP, with spec.ingresses.nats.address",
      }]
      : []),
  ].filter(({ key, service }) =>
    services[key].type === "LoadBalancer" &&
    component.loadBalancerAddress(inputs.snapshot, service) === undefined
  ).map(({ key, remedy, service }) => ({
    isAsked: Boolean(asked?.[key]?.type),
    component: service,
    reason: reasons.ADDRESS_PENDING,
    message: `Service ${service} has no load balancer address yet. Where the cluster gives none, set ` +
      `spec.services.${key}.type to ${remedy}`,
  }));
  return {
    waiting: pending.filter(({ isAsked }) => isAsked).map(({ isAsked: _, ...each }) => each),
    warnings: pending.filter(({ isAsked }) => !isAsked).map(({ message, reason }) => ({ message, reason })),
  };
}
