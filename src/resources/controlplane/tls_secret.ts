/** Secrets of type `kubernetes.io/tls` that are made once and kept: what every certificate of a control plane has. */

import type { GeneratedChild } from "../../operator/definition.ts";
import { Secret } from "../../kubernetes/generated/core_v1.ts";
import { type ChildMeta, manifest, secretData } from "../child.ts";
import { type CertificateData, inspectCertificate, RENEWAL_MS } from "../pki.ts";

/** The keys that such a Secret may have. */
export const tlsKeys = ["tls.crt", "tls.key", "ca.crt"] as const;

/** The Secret `metadata.name`, with what `make` makes where it is missing, or where `reissue` says why. */
export function tlsSecret(
  metadata: ChildMeta,
  make: () => Promise<CertificateData>,
  reissue?: string,
): GeneratedChild {
  return {
    type: "generated",
    resource: Secret,
    object: manifest(Secret, metadata, { type: "kubernetes.io/tls" }),
    reissue,
    generate: async () => {
      const made = await make();
      return secretData(Object.fromEntries(Object.entries(made).filter(([, value]) => value !== undefined)));
    },
  };
}

/** Whether a Secret holds just what it should be a copy of. */
export function isCopy(live: CertificateData, original: CertificateData): boolean {
  return tlsKeys.every((key) => live[key] === original[key]);
}

/** The day on which a certificate ends, where that is soon. */
export function endsSoon(data: CertificateData, now: number): string | undefined {
  const end = inspectCertificate(data["tls.crt"] ?? "")?.notAfter;
  return end === undefined || now < end - RENEWAL_MS ? undefined : new Date(end).toISOString().slice(0, 10);
}
