/**
 * The certificates of a PoT control plane: four authorities, each with one server certificate, for the router and for
 * NATS.
 *
 * The Controller takes copies of the authorities and signs certificates of agents with them, so none is ever replaced
 * by us: only a Secret of the user's takes its place, or a new one where somebody deleted it. Then both are trusted
 * until the user says that nobody has a certificate of the old one any more; see `rotation.ts`.
 */

import type { Child, GeneratedChild } from "../../../operator/definition.ts";
import { Secret } from "../../../kubernetes/generated/core_v1.ts";
import { type ChildMeta, secretValues } from "../../child.ts";
import { type CertificateData, examineCa, makeCa, makeLeaf, trustedIn } from "../../pki.ts";
import { formerAuthorities, rotationStep } from "../../rotation.ts";
import { metaOf, type Surroundings, type Waiting, type Warning } from "../component.ts";
import { type Found, readCertificateSecret } from "../references.ts";
import * as reasons from "../reasons.ts";
import { endsSoon, isCopy, tlsSecret } from "../tls_secret.ts";
import { labelsOf } from "./inputs.ts";
import { issuedCertificate, issuedSecret, issuePending, issuerOf } from "./issued.ts";
import type { ControlPlaneSpec } from "./schema.ts";

type PotComponent = Parameters<typeof labelsOf>[1];

/** An authority, and the server certificate that it signs. */
export interface CertificatePair {
  readonly component: PotComponent;
  /** Name of the authority's Secret, its common name, and its name in the Controller. */
  readonly authority: string;
  /** Name of the Secret with the server certificate. */
  readonly leaf: string;
  readonly commonName: string;
  /** Field of the spec that names a Secret with another authority. */
  readonly field: CertificateField;
  /** Name of the authority's Secret in releases before 3.7. */
  readonly former?: string;
}

type CertificateField = Exclude<keyof ControlPlaneSpec["certificates"], "issuerRef">;

export const certificatePairs = {
  routerSite: {
    component: "router",
    authority: "router-site-ca",
    leaf: "router-site-server",
    commonName: "iofog-router",
    field: "routerSiteCaSecret",
    former: "pot-site-ca",
  },
  routerLocal: {
    component: "router",
    authority: "default-router-local-ca",
    leaf: "router-local-server",
    commonName: "iofog-router-local",
    field: "routerLocalCaSecret",
  },
  natsSite: {
    component: "nats",
    authority: "nats-site-ca",
    leaf: "nats-site-server",
    commonName: "iofog-nats",
    field: "natsSiteCaSecret",
  },
  natsLocal: {
    component: "nats",
    authority: "default-nats-local-ca",
    leaf: "nats-mqtt-server",
    commonName: "iofog-nats-mqtt",
    field: "natsLocalCaSecret",
  },
} as const satisfies Readonly<Record<string, CertificatePair>>;

/** The pairs of a component. */
export function pairsOf(component: PotComponent): readonly CertificatePair[] {
  return Object.values(certificatePairs).filter((pair) => pair.component === component);
}

/** What certificates are made from. */
export interface CertificateInputs extends Surroundings {
  readonly spec: Pick<ControlPlaneSpec, "certificates" | "deletionPolicy">;
}

/** On the Secret of an authority: fingerprints, with commas between, of those that are not to be trusted any more. */
export const DISTRUST_ANNOTATION = "iofog.org/distrust";
/** On the Secret of a server certificate: since when it names a new authority beside the one that signed it. */
export const TRUSTED_SINCE_ANNOTATION = "iofog.org/trusted-since";

/** The Secrets of a component; those of its servers only where `names` is known. */
export function certificateSecrets(
  inputs: CertificateInputs,
  component: PotComponent,
  names: readonly string[] | undefined,
): GeneratedChild[] {
  return pairsOf(component).flatMap((pair) => [
    ...authoritySecrets(inputs, pair),
    ...leafSecret(inputs, pair, names),
  ]);
}

/** The authorities that are there: they stay, also where nothing uses them any more. */
export function keptAuthorities(inputs: CertificateInputs, component: PotComponent): GeneratedChild[] {
  return pairsOf(component)
    .filter(({ authority }) => inputs.snapshot.get(Secret, authority) !== undefined)
    .flatMap((pair) => authoritySecrets(inputs, pair));
}

/** Names of the Secrets whose content is read here, those that the spec names included. */
export function certificateSecretNames(certificates: ControlPlaneSpec["certificates"]): string[] {
  return Object.values<CertificatePair>(certificatePairs).flatMap(({ authority, field, former, leaf }) =>
    [authority, leaf, former, givenSecret(certificates, { authority, field })].filter((name) =>
      name !== undefined
    )
  );
}

/** Who keeps the Controller's database keeps them too: it has copies in there, and takes no others. */
function authoritySecrets(inputs: CertificateInputs, pair: CertificatePair): GeneratedChild[] {
  const retained = inputs.spec.deletionPolicy === "Retain";
  return authoritySecret(inputs, pair).map((child) => retained ? { ...child, retained } : child);
}

/** Certificates of cert-manager, for the authorities that are to come from there. */
export function issuedAuthorities(inputs: CertificateInputs, component: PotComponent): Child[] {
  const { certificates } = inputs.spec;
  const issuer = issuerOf(certificates);
  if (issuer === undefined) return [];
  return pairsOf(component).filter(({ field }) => certificates[field] === undefined)
    .flatMap(({ authority }) => issuedCertificate(inputs, authority, issuer, labelsOf(inputs, component)));
}

/** The Secret that an authority is copied from; undefined where the operator makes it. */
function givenSecret(
  certificates: ControlPlaneSpec["certificates"],
  { authority, field }: Pick<CertificatePair, "authority" | "field">,
): string | undefined {
  const named = certificates[field]?.name;
  return named ?? (issuerOf(certificates) === undefined ? undefined : issuedSecret(authority));
}

function authoritySecret(inputs: CertificateInputs, pair: CertificatePair): GeneratedChild[] {
  const { authority } = pair;
  const metadata = metadataOf(inputs, pair, authority);
  const live = secretValues(inputs.snapshot, authority);
  const given = givenAuthority(inputs, pair);
  if (given !== undefined && "problem" in given) {
    return live === undefined ? [] : [tlsSecret(metadata, () => refuse(authority))];
  }
  if (given !== undefined) {
    const copy = { ...given.found, "ca.crt": given.found["ca.crt"] ?? given.found["tls.crt"] };
    const name = givenSecret(inputs.spec.certificates, pair);
    const reissue = live === undefined || isCopy(live, copy)
      ? undefined
      : `Secret ${name} has another authority`;
    return [tlsSecret(metadata, () => Promise.resolve(copy), reissue)];
  }
  const former = formerAuthority(inputs, pair);
  return [tlsSecret(metadata, async () => {
    if (former === "unread") return await refuse(authority);
    const made = former ?? await makeCa(authority, inputs.now, [authority]);
    return { ...made, "ca.crt": made["tls.crt"] };
  })];
}

/**
 * The authority that a release before 3.7 made under another name: what it signed stays trusted where it is carried over.
 * Only until ours has signed something, or a deleted authority could never be followed by a new one.
 */
function formerAuthority(
  { now, snapshot }: CertificateInputs,
  { former, leaf }: CertificatePair,
): CertificateData | "unread" | undefined {
  if (former === undefined || snapshot.get(Secret, leaf) !== undefined) return undefined;
  const live = snapshot.get(Secret, former);
  if (live === undefined) return undefined;
  if (live.data === undefined) return "unread";
  const values = secretValues(snapshot, former) ?? {};
  return examineCa(values, now).usable ? values : undefined;
}

function leafSecret(
  inputs: CertificateInputs,
  pair: CertificatePair,
  names: readonly string[] | undefined,
): GeneratedChild[] {
  const { commonName, leaf } = pair;
  const { now, snapshot } = inputs;
  const live = secretValues(snapshot, leaf);
  const authority = signingAuthority(inputs, pair);
  const [first, ...others] = names ?? [];
  if (authority === undefined || "problem" in authority || first === undefined) {
    // What cannot be judged now is kept as it is.
    return live === undefined ? [] : [tlsSecret(metadataOf(inputs, pair, leaf), () => refuse(leaf))];
  }
  const metadata = snapshot.get(Secret, leaf)?.metadata?.annotations ?? {};
  const since = metadata[TRUSTED_SINCE_ANNOTATION];
  const wanted = {
    authority: authority.found,
    names: [first, ...others],
    distrusted: distrustedBy(inputs, pair),
  };
  const step = rotationStep(wanted, live, since === undefined ? undefined : Date.parse(since), now);
  switch (step.type) {
    case "keep": {
      const annotations = step.preparing
        ? { [TRUSTED_SINCE_ANNOTATION]: since ?? new Date(now).toISOString() }
        : undefined;
      return [tlsSecret(metadataOf(inputs, pair, leaf, annotations), () => refuse(leaf))];
    }
    case "trust":
      return [
        tlsSecret(
          metadataOf(inputs, pair, leaf),
          () => Promise.resolve({ ...live, "ca.crt": step.trusted }),
          step.reason,
        ),
      ];
    case "issue": {
      const issue = async () => ({
        ...await makeLeaf(authority.found, [first, ...others], now, { commonName, addressesAsNames: true }),
        "ca.crt": step.trusted,
      });
      return [tlsSecret(metadataOf(inputs, pair, leaf), issue, live === undefined ? undefined : step.reason)];
    }
  }
}

/** What has to be mended before every certificate of a component is as it should be. */
export function certificatesWaiting(inputs: CertificateInputs, component: PotComponent): Waiting[] {
  return pairsOf(component).flatMap((pair) => {
    const found = givenAuthority(inputs, pair) ?? signingAuthority(inputs, pair);
    if (found === undefined || "found" in found) return [];
    const { field, message, reason } = found.problem;
    return [{ component, reason, message: field === undefined ? message : `${field} ${message}` }];
  });
}

/** What to know about certificates that still work. */
export function certificateWarnings(inputs: CertificateInputs, component: PotComponent): Warning[] {
  const { namespace, now, snapshot } = inputs;
  return pairsOf(component).flatMap((pair): Warning[] => {
    const found = signingAuthority(inputs, pair);
    if (found === undefined || "problem" in found) return [];
    const given = inputs.spec.certificates[pair.field]?.name;
    const end = endsSoon(found.found, now);
    const ending = end === undefined ? [] : [{
      reason: reasons.CA_ENDS_SOON,
      message: given === undefined
        ? `the certificate authority in Secret ${pair.authority} ends on ${end}: delete the Secret to have a new one ` +
          "made. Both are trusted then, until agents were provisioned anew"
        : `the certificate authority in Secret ${given}, named in spec.certificates.${pair.field}, ends on ${end}: ` +
          "renew it",
    }];
    const former = formerAuthorities(secretValues(snapshot, pair.leaf), found.found)
      .map(({ fingerprint, notAfter }) => ({
        reason: reasons.FORMER_CA_TRUSTED,
        message:
          `the certificate authority that was in Secret ${pair.authority} before is trusted until ${
            dayOf(notAfter)
          }. Once every agent was provisioned anew: kubectl -n ${namespace} annotate --overwrite secret ` +
          `${pair.authority} ${DISTRUST_ANNOTATION}=${fingerprint}`,
      }));
    return [...ending, ...former];
  });
}

/** Who signs: what stands in the authority's Secret, or why that cannot; undefined while nothing does. */
function signingAuthority(
  { now, snapshot }: CertificateInputs,
  { authority }: CertificatePair,
): Found<CertificateData> | undefined {
  const live = secretValues(snapshot, authority);
  const verdict = live && examineCa(live, now);
  if (live === undefined || verdict === undefined || verdict.usable) return live && { found: live };
  const message =
    `Secret ${authority} cannot be used: ${verdict.reason}. Put a working one there, or delete it to ` +
    "have a new one made, which agents then have to trust";
  return { problem: { reason: reasons.CA_UNUSABLE, message } };
}

/** The user's own authority, or why it cannot be used; undefined where the spec names none. */
function givenAuthority(
  inputs: CertificateInputs,
  pair: CertificatePair,
): Found<CertificateData> | undefined {
  const { now, snapshot, spec } = inputs;
  const name = givenSecret(spec.certificates, pair);
  if (name === undefined) return undefined;
  const isIssued = spec.certificates[pair.field] === undefined;
  const field = `spec.certificates.${isIssued ? "issuerRef.name" : pair.field}`;
  const pending = isIssued ? issuePending(inputs, pair.authority) : undefined;
  if (pending !== undefined) return { problem: { ...pending, field } };
  const given = readCertificateSecret(snapshot, field, name);
  if ("problem" in given) return given;
  const verdict = examineCa(given.found, now);
  if (verdict.usable) return given;
  const message = isIssued
    ? `has made Secret ${name}, which cannot be used: ${verdict.reason}. Name an issuer that makes authorities (isCA) ` +
      "with RSA keys; the one that was there last is kept until then"
    : `names Secret ${name}, which cannot be used: ${verdict.reason}. Put a certificate authority there that works, in ` +
      "PEM form and with its RSA key, or name another Secret; the one that was there last is kept until then";
  return { problem: { reason: reasons.CA_UNUSABLE, field, message } };
}

/** Never the authority that signs, whatever the annotation says. */
function distrustedBy({ snapshot }: CertificateInputs, { authority }: CertificatePair): readonly string[] {
  const { annotations } = snapshot.get(Secret, authority)?.metadata ?? {};
  const told = (annotations?.[DISTRUST_ANNOTATION] ?? "").split(",");
  const own = trustedIn(secretValues(snapshot, authority)?.["tls.crt"]).map(({ fingerprint }) => fingerprint);
  return told.map((each) => each.trim().replaceAll(":", "").toLowerCase()).filter((each) =>
    !own.includes(each)
  );
}

function metadataOf(
  inputs: CertificateInputs,
  { component }: CertificatePair,
  secret: string,
  annotations?: Record<string, string>,
): ChildMeta {
  return {
    ...metaOf(inputs, secret, labelsOf(inputs, component)),
    ...(annotations !== undefined && { annotations }),
  };
}

/** Deleted between the snapshot and the write: the next pass knows whether it can be made again. */
function refuse(name: string): Promise<never> {
  return Promise.reject(new Error(`Secret ${name} cannot be made before what it is made from is known`));
}

function dayOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10);
}
