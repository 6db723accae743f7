/**
 * The router's certificates: made for its address and signed by an authority of ours or of the user's, or copied from
 * a Secret of the user's.
 *
 * Our authority, once there, is never replaced by us: whoever trusts it would lose the router. What the user gives is
 * only read; where it cannot be used, what stands in our Secrets is kept.
 */

import type { Child, GeneratedChild } from "../../../operator/definition.ts";
import { secretValues } from "../../child.ts";
import {
  type CertificateData,
  examineCa,
  examineGiven,
  examineLeaf,
  isFor,
  makeCa,
  makeLeaf,
} from "../../pki.ts";
import * as component from "../component.ts";
import type { Waiting, Warning } from "../component.ts";
import type { Inputs } from "./inputs.ts";
import * as reasons from "../reasons.ts";
import { type Found, readCertificateSecret } from "../references.ts";
import { endsSoon, isCopy, tlsSecret } from "../tls_secret.ts";

/** Common name of the authority, and name of its Secret. */
export const ROUTER_CA = "router-ca";
/** Secrets with the router's certificates; also the names of the volumes and of the profiles in its configuration. */
export const ROUTER_LEAVES = ["router-internal", "router-amqps"] as const;
type Leaf = typeof ROUTER_LEAVES[number];

const givenFields = {
  "router-internal": "routerInternalSecret",
  "router-amqps": "routerAmqpsSecret",
} as const;

/** The Secrets with certificates. `host` is the router's; without it what has to be made for it waits. */
export function certificateSecrets(inputs: Inputs, host: string | undefined): Child[] {
  const { now, snapshot } = inputs;
  const own = certificateSecret(inputs, ROUTER_CA, () => makeCa(ROUTER_CA, now));
  // Another authority signs, but going back to this one has to be possible.
  const unused = inputs.spec.certificates.caSecret !== undefined;
  const authority = unused && secretValues(snapshot, ROUTER_CA) === undefined ? [] : [own];
  return [...authority, ...ROUTER_LEAVES.flatMap((name) => leafSecret(inputs, name, host))];
}

function leafSecret(inputs: Inputs, name: Leaf, host: string | undefined): Child[] {
  const { now, snapshot } = inputs;
  const live = secretValues(snapshot, name);
  const given = givenLeaf(inputs, name);
  if (given !== undefined && "found" in given) {
    const copy = given.found;
    const reissue = live === undefined || isCopy(live, copy)
      ? undefined
      : `Secret ${inputs.spec.certificates[givenFields[name]]?.name} has another certificate`;
    return [certificateSecret(inputs, name, () => Promise.resolve(copy), reissue)];
  }
  const ca = signingAuthority(inputs);
  if (given !== undefined || ca === undefined || !("found" in ca) || host === undefined) {
    // What cannot be judged now is kept as it is.
    return live === undefined ? [] : [certificateSecret(inputs, name, () => refuse(name))];
  }
  const verdict = live && examineLeaf(live, ca.found, [host], now);
  const reissue = verdict?.usable === false ? verdict.reason : undefined;
  return [certificateSecret(inputs, name, () => makeLeaf(ca.found, [host], now), reissue)];
}

function certificateSecret(
  inputs: Inputs,
  name: string,
  make: () => Promise<CertificateData>,
  reissue?: string,
): GeneratedChild {
  return tlsSecret(component.metaOf(inputs, name), make, reissue);
}

/** Deleted between the snapshot and the write: the next pass knows whether it can be made again. */
function refuse(name: string): Promise<never> {
  return Promise.reject(
    new Error(`Secret ${name} cannot be made before its authority and the router's address are known`),
  );
}

/** The authority that signs, or why it cannot; undefined while ours is not made yet. */
function signingAuthority(inputs: Inputs): Found<CertificateData> | undefined {
  const { now, snapshot, spec } = inputs;
  const name = spec.certificates.caSecret?.name;
  if (name === undefined) {
    const own = secretValues(snapshot, ROUTER_CA);
    const verdict = own && examineCa(own, now);
    if (own === undefined || verdict?.usable) return own && { found: own };
    const message =
      `Secret ${ROUTER_CA} cannot be used: ${verdict?.reason}. Put a working one there, or delete it ` +
      "to have a new one made, which agents then have to trust";
    return { problem: { reason: reasons.CA_UNUSABLE, message } };
  }
  const field = "spec.certificates.caSecret";
  const given = readCertificateSecret(snapshot, field, name);
  if ("problem" in given) return given;
  const verdict = examineCa(given.found, now);
  if (verdict.usable) return given;
  const message =
    `names Secret ${name}, which cannot be used: ${verdict.reason}. Put a certificate authority there ` +
    "that works, in PEM form and with its RSA key, or name another Secret";
  return { problem: { reason: reasons.CA_UNUSABLE, field, message } };
}

/** What to copy, or why that cannot be used; undefined where the user gives nothing. */
function givenLeaf(inputs: Inputs, leaf: Leaf): Found<CertificateData> | undefined {
  const { now, snapshot, spec } = inputs;
  const name = spec.certificates[givenFields[leaf]]?.name;
  if (name === undefined) return undefined;
  const field = `spec.certificates.${givenFields[leaf]}`;
  const given = readCertificateSecret(snapshot, field, name);
  if ("problem" in given) return given;
  const ca = spec.certificates.caSecret && signingAuthority(inputs);
  if (ca !== undefined && "problem" in ca) return ca;
  const authorities = [ca?.found["tls.crt"], given.found["ca.crt"]].filter((text) => text !== undefined);
  const verdict = examineGiven(given.found, authorities, now);
  if (!verdict.usable) {
    const message =
      `names Secret ${name}, which cannot be used: ${verdict.reason}. Put a certificate there that works, ` +
      "in PEM form and with its key, or name another Secret; the one that was there last is kept until then";
    return { problem: { reason: reasons.CERTIFICATE_UNUSABLE, field, message } };
  }
  // The router's configuration names the file, whoever signed.
  return { found: { ...given.found, "ca.crt": authorities[1] ?? authorities[0] ?? given.found["tls.crt"] } };
}

/** What has to be mended before every certificate is as it should be. */
export function certificatesWaiting(inputs: Inputs, componentName: string): Waiting[] {
  const found = [signingAuthority(inputs), ...ROUTER_LEAVES.map((name) => givenLeaf(inputs, name))];
  const waiting = found.flatMap((each) => {
    if (each === undefined || "found" in each) return [];
    const { field, message, reason } = each.problem;
    return [{
      component: componentName,
      reason,
      message: field === undefined ? message : `${field} ${message}`,
    }];
  });
  // A bad authority is the same problem for each certificate.
  return waiting.filter(({ message }, index) =>
    waiting.findIndex((other) => other.message === message) === index
  );
}

/** What to know about certificates that still work. */
export function certificateWarnings(inputs: Inputs, host: string | undefined): Warning[] {
  const { now, spec } = inputs;
  const warnings: Warning[] = [];
  const ca = signingAuthority(inputs);
  const caEnd = ca !== undefined && "found" in ca ? endsSoon(ca.found, now) : undefined;
  const name = spec.certificates.caSecret?.name;
  if (caEnd !== undefined) {
    const message = name === undefined
      ? `the certificate authority in Secret ${ROUTER_CA} ends on ${caEnd}; delete the Secret to have a new one made, ` +
        "which agents then have to trust"
      : `the certificate authority in Secret ${name}, named in spec.certificates.caSecret, ends on ${caEnd}: renew it`;
    warnings.push({ reason: reasons.CA_ENDS_SOON, message });
  }
  for (const leaf of ROUTER_LEAVES) {
    const given = givenLeaf(inputs, leaf);
    if (given === undefined || "problem" in given) continue;
    const field = givenFields[leaf];
    const which = `the certificate in Secret ${
      spec.certificates[field]?.name
    }, named in spec.certificates.${field},`;
    const end = endsSoon(given.found, now);
    if (end !== undefined) {
      warnings.push({ reason: reasons.CERTIFICATE_DOUBTFUL, message: `${which} ends on ${end}: renew it` });
    }
    if (host !== undefined && !isFor(given.found["tls.crt"] ?? "", host)) {
      const message = `${which} is not for ${host}, where agents reach the router: add that name to it`;
      warnings.push({ reason: reasons.CERTIFICATE_DOUBTFUL, message });
    }
  }
  return warnings;
}
