/**
 * How a server certificate gets from one authority to another without anybody losing it meanwhile.
 *
 * Its Secret tells how far it is: first `ca.crt` names both authorities, then the certificate is signed by the new
 * one, and the old one stays trusted until it ends, or until somebody says that nobody has a certificate of it any
 * more. Nothing else has to be remembered, so a crash between any two steps loses none.
 */

import {
  type CertificateData,
  examineGiven,
  examineNames,
  inspectCertificate,
  isSignedWith,
  trustedIn,
} from "./pki.ts";

/**
 * Milliseconds that a Secret takes at most to reach every pod: a kubelet looks every minute, and what runs in the pod
 * has to read it again.
 */
export const PROPAGATION_MS = 5 * 60_000;

/** What a server certificate has to be. */
export interface WantedLeaf {
  /** Who signs; usable. */
  readonly authority: CertificateData;
  readonly names: readonly string[];
  /** Fingerprints of authorities that are not to be trusted any more. */
  readonly distrusted: readonly string[];
}

/** What to do with a server certificate. */
export type RotationStep =
  /** Nothing. `preparing`: `ca.crt` names the new authority, and pods are getting it. */
  | { readonly type: "keep"; readonly preparing: boolean }
  /** Write another `ca.crt` beside the same certificate. */
  | { readonly type: "trust"; readonly reason: string; readonly trusted: string }
  /** Make a certificate, with this `ca.crt`. */
  | { readonly type: "issue"; readonly reason: string; readonly trusted: string };

/**
 * The next step.
 *
 * @param live What the Secret holds; undefined where there is none.
 * @param trustedSince Since when `ca.crt` names both authorities (milliseconds since the epoch), if it does.
 */
export function rotationStep(
  wanted: WantedLeaf,
  live: CertificateData | undefined,
  trustedSince: number | undefined,
  now: number,
): RotationStep {
  const { authority } = wanted;
  const own = trustedIn(authority["tls.crt"], authority["ca.crt"]);
  const isOwn = (fingerprint: string) => own.some((each) => each.fingerprint === fingerprint);
  const present = trustedIn(live?.["ca.crt"]);
  const former = present.filter(({ fingerprint, notAfter }) =>
    !isOwn(fingerprint) && !wanted.distrusted.includes(fingerprint) && now < notAfter
  );
  const trusted = [...own, ...former].map(({ text }) => text).join("");
  if (live === undefined) return { type: "issue", reason: "missing", trusted };
  const serves = examineGiven(live, [live["ca.crt"] ?? ""], now);
  if (!serves.usable) return { type: "issue", reason: serves.reason, trusted };
  const hasBoth = own.every(({ fingerprint }) => present.some((each) => each.fingerprint === fingerprint));
  if (!isSignedWith(live["tls.crt"] ?? "", authority["tls.crt"] ?? "")) {
    const signer = trustedIn(live["ca.crt"]).filter(({ fingerprint }) => !isOwn(fingerprint));
    const both = [...own, ...signer].map(({ text }) => text).join("");
    if (!hasBoth) {
      return { type: "trust", reason: "another certificate authority signs from now on", trusted: both };
    }
    if (trustedSince === undefined || now < trustedSince + PROPAGATION_MS) {
      return { type: "keep", preparing: true };
    }
    return { type: "issue", reason: "another certificate authority signs", trusted };
  }
  const facts = inspectCertificate(live["tls.crt"] ?? "");
  const fits = facts && examineNames(facts, wanted.names, now);
  if (fits?.usable === false) return { type: "issue", reason: fits.reason, trusted };
  if (!hasBoth || present.length !== own.length + former.length) {
    return { type: "trust", reason: "other certificate authorities are to be trusted", trusted };
  }
  return { type: "keep", preparing: false };
}

/** The authorities that are trusted besides the one that signs. */
export function formerAuthorities(
  live: CertificateData | undefined,
  authority: CertificateData,
): readonly { readonly fingerprint: string; readonly notAfter: number }[] {
  const own = trustedIn(authority["tls.crt"], authority["ca.crt"]).map(({ fingerprint }) => fingerprint);
  return trustedIn(live?.["ca.crt"]).filter(({ fingerprint }) => !own.includes(fingerprint));
}
