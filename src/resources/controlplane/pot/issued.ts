/**
 * Authorities that cert-manager makes: a Certificate for each that the spec names no Secret for, and what is said of it
 * until its Secret is there.
 */

import type { Child } from "../../../operator/definition.ts";
import { Secret } from "../../../kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../../kubernetes/resource.ts";
import { applied } from "../../child.ts";
import { type Labels, metaOf, type Surroundings } from "../component.ts";
import * as reasons from "../reasons.ts";
import type { ControlPlaneSpec } from "./schema.ts";

/** Who issues. */
export interface IssuerReference {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
}

/** The issuer that the spec names; undefined where the operator makes what is not given. */
export function issuerOf(
  { issuerRef }: Pick<ControlPlaneSpec["certificates"], "issuerRef">,
): IssuerReference | undefined {
  const { group = "cert-manager.io", kind = "Issuer", name } = issuerRef ?? {};
  return name === undefined ? undefined : { name, kind, group };
}

/** As much of a `cert-manager.io/v1` Certificate as is written or read here. */
export interface IssuedCertificate extends KubeObject {
  readonly spec?: {
    readonly secretName: string;
    readonly isCA: boolean;
    readonly commonName: string;
    readonly duration: string;
    readonly privateKey: Readonly<Record<string, unknown>>;
    readonly issuerRef: IssuerReference;
  };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
  };
}

export const Certificate: Resource<IssuedCertificate> = {
  group: "cert-manager.io",
  version: "v1",
  kind: "Certificate",
  plural: "certificates",
  namespaced: true,
};

/** The Secret that cert-manager puts the authority into. */
export function issuedSecret(authority: string): string {
  return `${authority}-issued`;
}

/**
 * The Certificate of an authority, where there is a cert-manager.
 *
 * Five years and always the same key: the Controller has a copy, and agents have to trust it.
 */
export function issuedCertificate(
  inputs: Surroundings,
  authority: string,
  issuerRef: IssuerReference,
  labels: Labels,
): Child[] {
  if (inputs.snapshot.kind(Certificate).phase === "absent") return [];
  return [applied(Certificate, metaOf(inputs, authority, labels), {
    spec: {
      secretName: issuedSecret(authority),
      isCA: true,
      commonName: authority,
      duration: "43800h0m0s",
      privateKey: { algorithm: "RSA", size: 2048, rotationPolicy: "Never" },
      issuerRef,
    },
  })];
}

/** Why the Secret is not there yet; undefined once it is. */
export function issuePending(
  { snapshot }: Surroundings,
  authority: string,
): { readonly reason: string; readonly message: string } | undefined {
  if (snapshot.get(Secret, issuedSecret(authority)) !== undefined) return undefined;
  if (snapshot.kind(Certificate).phase === "absent") {
    return {
      reason: reasons.CERT_MANAGER_MISSING,
      message: "needs cert-manager, which is not installed here: the API server serves no certificates of " +
        "cert-manager.io. Install it, or leave the field out to have the authorities made by the operator",
    };
  }
  const said = snapshot.get(Certificate, authority)?.status?.conditions
    ?.find(({ status, type }) => type === "Ready" && status !== "True")?.message;
  return {
    reason: reasons.CERTIFICATE_PENDING,
    message: `has not made Secret ${issuedSecret(authority)} for Certificate ${authority} yet${
      said ? `: ${said}` : ""
    }. Correct the issuer's name and kind if it stays so; see kubectl describe certificate ${authority}`,
  };
}
