/**
 * What a PoT control plane owns in its Controller and its Keycloak (as PoT operator 3.7.2 makes them): the default
 * router, the NATS hub, the authorities that sign certificates of agents, and the root URL of the viewer's client.
 */

import type { Child, ExternalChild } from "../../../operator/definition.ts";
import type { NatsHubAddress } from "../../../controller/pot_client.ts";
import type { NatsAccount, NatsBootstrap } from "../../../controller/schemas.ts";
import { secretValues } from "../../child.ts";
import { RENEWAL_MS, trustedIn } from "../../pki.ts";
import * as component from "../component.ts";
import * as reasons from "../reasons.ts";
import { type CertificatePair, pairsOf } from "./certificates.ts";
import { CONTROLLER, controllerExposure, controllerScheme, servedHost } from "./controller.ts";
import type { Inputs } from "./inputs.ts";
import { natsAddress } from "./nats.ts";
import type { NatsHealth } from "./nats_scale.ts";
import { routerEndpoint } from "./router.ts";
import type { ControlPlaneSpec } from "./schema.ts";

/** Kinds of objects in the Controller and in Keycloak. */
export const DEFAULT_ROUTER = "DefaultRouter";
export const NATS_HUB = "NatsHub";
export const AUTHORITY = "CertificateAuthority";
export const VIEWER_CLIENT = "ViewerClient";

/** `ExternalState.details` of a PoT control plane. */
export interface Details {
  readonly natsBootstrap?: NatsBootstrap | undefined;
  readonly natsAccounts?: readonly NatsAccount[] | undefined;
  readonly natsHealth?: NatsHealth | undefined;
}

/** Names in `ExternalState.facts`. */
export const facts = {
  controllerVersion: "controllerVersion",
  /** `authVersion` of the spec with which Keycloak last let the operator in. */
  provedAuth: "provedAuth",
  /** Why Keycloak or the Controller does not accept the operator: a reason, and a sentence. */
  loginReason: "loginReason",
  loginMessage: "loginMessage",
  /** Why the Controller does not tell what NATS needs: a reason, and a sentence. */
  natsReason: "natsReason",
  natsMessage: "natsMessage",
  /** Why Keycloak does not tell of the viewer's client: a reason, and a sentence. */
  viewerReason: "viewerReason",
  viewerMessage: "viewerMessage",
} as const;

/** The objects; each only once what it says is known. */
export function externalChildren(inputs: Inputs): Child[] {
  const { auth } = inputs.spec;
  const router = routerEndpoint(inputs);
  const hub = natsHub(inputs);
  const viewer = viewerUrl(inputs);
  return [
    ...(router === undefined ? [] : [external(DEFAULT_ROUTER, "default-router", { ...router })]),
    ...(hub === undefined ? [] : [external(NATS_HUB, "nats-hub", { ...hub })]),
    ...authoritiesOf(inputs.spec).flatMap((pair) => authorityChild(inputs, pair)),
    ...(viewer === undefined ? [] : [external(VIEWER_CLIENT, auth.viewerClient, { rootUrl: viewer })]),
  ];
}

/** The authorities that the Controller has to have. */
export function authoritiesOf({ nats }: Pick<ControlPlaneSpec, "nats">): readonly CertificatePair[] {
  return [...pairsOf("router"), ...(nats.enabled ? pairsOf("nats") : [])];
}

function external(kind: string, name: string, fields: Readonly<Record<string, unknown>>): ExternalChild {
  return { type: "external", kind, name, fields, singleton: true };
}

/** What is known of an authority in the Controller. */
export interface AuthorityFields {
  readonly fingerprint: string;
  readonly signer: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** Of the certificate in a PEM text. */
export function authorityFields(pemText: string | undefined): AuthorityFields {
  const [found] = trustedIn(pemText);
  if (found === undefined) return { fingerprint: "unreadable", signer: "unreadable", notAfter: 0 };
  const { fingerprint, notAfter, signer } = found;
  return { fingerprint, signer, notAfter };
}

/** The authority of a Secret; where the Controller has another one of that name, only a person can say which is right. */
function authorityChild(
  { now, snapshot, uid }: Inputs,
  { authority: name, field }: CertificatePair,
): readonly Child[] {
  const [own] = trustedIn(secretValues(snapshot, name)?.["tls.crt"]);
  if (own === undefined) return [];
  const child = external(AUTHORITY, name, { fingerprint: own.fingerprint });
  const observed = snapshot.external(uid).objects.find((each) =>
    each.kind === AUTHORITY && each.name === name
  );
  const found = observed?.fields as unknown as AuthorityFields | undefined;
  if (found === undefined || found.fingerprint === own.fingerprint) return [child];
  const again =
    `removed it from the Controller (DELETE /api/v3/certificates/ca/${name}; it is imported again then)`;
  if (found.signer === own.signer) {
    // Renewed with the same key: the Controller's certificate is as good until it ends.
    if (now < found.notAfter - RENEWAL_MS) {
      return [external(AUTHORITY, name, { fingerprint: found.fingerprint })];
    }
    const end = new Date(found.notAfter).toISOString().slice(0, 10);
    const message =
      `the Controller has an earlier certificate of the authority in Secret ${name}, which ends on ` +
      `${end}: agents that are provisioned get the new one once you ${again}`;
    return [{ ...child, blocked: { reason: reasons.AUTHORITY_MISMATCH, message } }];
  }
  const message =
    `the Controller has another certificate authority ${name} than Secret ${name}, so agents do not ` +
    `trust what that one signs: provision agents of the other one anew after you ${again}, or put it into a Secret ` +
    `that spec.certificates.${field}.name names`;
  return [{ ...child, blocked: { reason: reasons.AUTHORITY_MISMATCH, message } }];
}

/** Where agents' NATS servers connect; undefined where that is nowhere, or not known yet. */
export function natsHub(inputs: Inputs): NatsHubAddress | undefined {
  const host = natsAddress(inputs);
  if (!inputs.spec.nats.enabled || host === undefined) return undefined;
  const { serverPort, clusterPort, leafPort, mqttPort, httpPort } = inputs.spec.ingresses.nats;
  return { host, serverPort, clusterPort, leafPort, mqttPort, httpPort };
}

/** Where people reach the ECN Viewer: what the spec says, the Ingress, or the load balancer. */
export function viewerUrl(inputs: Inputs): string | undefined {
  const { controller, ingresses } = inputs.spec;
  switch (controllerExposure(inputs).type) {
    case "ClusterIP": {
      const host = servedHost(inputs);
      const tls = ingresses.controller.secretName !== undefined || controller.https;
      return host === undefined ? undefined : `${tls ? "https" : "http"}://${host}`;
    }
    case "LoadBalancer": {
      const host = component.loadBalancerAddress(inputs.snapshot, CONTROLLER);
      if (host === undefined) return undefined;
      return `${controllerScheme(inputs)}://${host.includes(":") ? `[${host}]` : host}`;
    }
    case "NodePort":
      return undefined;
  }
}
