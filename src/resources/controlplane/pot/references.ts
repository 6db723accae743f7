/** The Secrets that the spec of a PoT control plane names, and the spec with what they hold. */

import type { Parent, Problem, Snapshot } from "../../../operator/definition.ts";
import { isPem } from "../../pki.ts";
import { isSqlite } from "../fields.ts";
import { readValues, referencesIn, type ValueReference, versionOf } from "../references.ts";
import * as reasons from "../reasons.ts";
import type { AcceptedSpec, ControlPlaneSpec } from "./schema.ts";

/** The references of `spec` that are used: with sqlite the database's is not. */
function valueReferences({ auth, database, vault }: AcceptedSpec): readonly ValueReference[] {
  const authority = referencesIn({ "spec.auth.caSecretRef": auth.caSecretRef })
    .map((reference) => ({ ...reference, isCertificate: true }));
  const values = referencesIn({
    "spec.auth.controllerSecretRef": auth.controllerSecretRef,
    "spec.database.passwordSecretRef": isSqlite(database) ? undefined : database.passwordSecretRef,
    "spec.vault.hashicorp.tokenSecretRef": vault.hashicorp?.tokenSecretRef,
    "spec.vault.aws.accessKeySecretRef": vault.aws?.accessKeySecretRef,
    "spec.vault.azure.clientSecretRef": vault.azure?.clientSecretRef,
    "spec.vault.google.credentialsSecretRef": vault.google?.credentialsSecretRef,
  });
  return [...authority, ...values];
}

/** Names of the Secrets that `spec` tells to read. */
export function referencedSecrets(spec: AcceptedSpec): readonly string[] {
  const { certificates, controller, images } = spec;
  const { issuerRef: _, ...authorities } = certificates;
  const named = Object.values(authorities).flatMap((secret) => secret === undefined ? [] : [secret.name]);
  return [
    ...valueReferences(spec).map(({ name }) => name),
    ...named,
    ...(images.pullSecret === undefined ? [] : [images.pullSecret]),
    ...(controller.https && controller.secretName !== undefined ? [controller.secretName] : []),
  ];
}

/** Keys of the Secret `name` that `spec` takes a secret value from. */
export function referencedKeys(spec: AcceptedSpec, name: string): readonly string[] {
  return valueReferences(spec).filter((reference) => reference.name === name).map(({ key }) => key);
}

/** `spec` with the values that Secrets hold in place of the plain ones. */
export function resolveReferences(
  spec: AcceptedSpec,
  snapshot: Snapshot,
): { readonly spec: ControlPlaneSpec } | { readonly problems: readonly Problem[] } {
  const { values, problems } = readValues(snapshot, valueReferences(spec));
  const ca = values.get("spec.auth.caSecretRef");
  if (ca !== undefined && !isPem(ca)) {
    const { key, name } = spec.auth.caSecretRef ?? {};
    const message =
      `names key ${key} of Secret ${name}, whose value is no certificate in PEM form: store that there`;
    return {
      problems: [...problems, {
        reason: reasons.SECRET_VALUE_UNUSABLE,
        field: "spec.auth.caSecretRef",
        message,
      }],
    };
  }
  if (problems.length > 0) return { problems };
  const { auth, database, vault } = spec;
  return {
    spec: {
      ...spec,
      auth: {
        ...auth,
        controllerSecret: values.get("spec.auth.controllerSecretRef") ?? auth.controllerSecret ?? "",
        ca,
      },
      database: { ...database, password: values.get("spec.database.passwordSecretRef") ?? database.password },
      vault: {
        ...vault,
        hashicorp: vault.hashicorp && {
          ...vault.hashicorp,
          token: values.get("spec.vault.hashicorp.tokenSecretRef") ?? vault.hashicorp.token,
        },
        aws: vault.aws && {
          ...vault.aws,
          accessKey: values.get("spec.vault.aws.accessKeySecretRef") ?? vault.aws.accessKey,
        },
        azure: vault.azure && {
          ...vault.azure,
          clientSecret: values.get("spec.vault.azure.clientSecretRef") ?? vault.azure.clientSecret,
        },
        google: vault.google && {
          ...vault.google,
          credentials: values.get("spec.vault.google.credentialsSecretRef") ?? vault.google.credentials,
        },
      },
    },
  };
}

/** See `versionOf`: of what Keycloak is told. */
export function authVersion(
  parent: Parent,
  { auth }: Pick<ControlPlaneSpec, "auth">,
  snapshot: Snapshot,
): string {
  return versionOf(parent, [auth.controllerSecretRef, auth.caSecretRef], snapshot);
}
