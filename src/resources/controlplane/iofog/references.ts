/**
 * The Secrets that a spec names: which they are, what they hold, and what is wrong with them.
 *
 * A referenced value is literal: it is never decoded, and one line break at its end, as an editor or
 * `kubectl create secret --from-file` leaves it, is no part of it. Messages name the Secret, never what is in it.
 */

import type { Problem, Snapshot } from "../../../operator/definition.ts";
import { Secret } from "../../../kubernetes/generated/core_v1.ts";
import { decodeBase64, encodeBase64 } from "../../child.ts";
import type { CertificateData } from "../../pki.ts";
import * as reasons from "../reasons.ts";
import { isSqlite } from "../fields.ts";
import { type AcceptedSpec, type ControlPlaneSpec, PASSWORD_LENGTH } from "./schema.ts";

/** A value in a Secret, and the field that names it. */
interface ValueReference {
  readonly field: string;
  readonly name: string;
  readonly key: string;
}

/** What a Secret holds, or why that cannot be said. */
export type Found<T> = { readonly found: T } | { readonly problem: Problem };

/** The references of `spec` that are used: with sqlite the database's is not. */
function valueReferences(spec: AcceptedSpec): readonly ValueReference[] {
  const { user, database, controller } = spec;
  const references = {
    "spec.user.passwordSecretRef": user.passwordSecretRef,
    "spec.database.passwordSecretRef": isSqlite(database) ? undefined : database.passwordSecretRef,
    "spec.controller.proxyBrokerTokenSecretRef": controller.proxyBrokerTokenSecretRef,
  };
  return Object.entries(references).flatMap(([field, reference]) =>
    reference === undefined ? [] : [{ field, ...reference }]
  );
}

/** Names of the Secrets that `spec` tells to read. */
export function referencedSecrets(spec: AcceptedSpec): readonly string[] {
  const { certificates, images } = spec;
  const { caSecret, routerAmqpsSecret, routerInternalSecret } = certificates;
  const named = [caSecret, routerAmqpsSecret, routerInternalSecret].flatMap((secret) =>
    secret === undefined ? [] : [secret.name]
  );
  const pulling = images.pullSecret === undefined ? [] : [images.pullSecret];
  return [...valueReferences(spec).map(({ name }) => name), ...named, ...pulling];
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
  const problems: Problem[] = [];
  const values = new Map<string, string>();
  for (const reference of valueReferences(spec)) {
    const value = readValue(snapshot, reference);
    if ("found" in value) values.set(reference.field, value.found);
    else problems.push(value.problem);
  }
  const password = values.get("spec.user.passwordSecretRef");
  if (password !== undefined && password.length < PASSWORD_LENGTH) {
    problems.push({
      reason: reasons.SECRET_VALUE_UNUSABLE,
      field: "spec.user.passwordSecretRef",
      message:
        `${
          nameOf(spec.user.passwordSecretRef)
        } whose value has fewer than ${PASSWORD_LENGTH} characters, which the ` +
        "Controller refuses: store a longer password",
    });
  }
  if (problems.length > 0) return { problems };
  return {
    spec: {
      ...spec,
      user: {
        ...spec.user,
        // As the Port Manager wants it.
        password: password === undefined ? spec.user.password ?? "" : encodeBase64(password),
      },
      database: {
        ...spec.database,
        password: values.get("spec.database.passwordSecretRef") ?? spec.database.password,
      },
      controller: {
        ...spec.controller,
        proxyBrokerToken: values.get("spec.controller.proxyBrokerTokenSecretRef") ??
          spec.controller.proxyBrokerToken,
      },
    },
  };
}

/** Types that hold something else by what Kubernetes says of them; a type of somebody else's may hold anything. */
function isOfKubernetes(type: string): boolean {
  return /(^|\.)kubernetes\.io\//.test(type);
}

function readValue(snapshot: Snapshot, { field, name, key }: ValueReference): Found<string> {
  const secret = readSecret(snapshot, field, name);
  if ("problem" in secret) return secret;
  const { data = {}, type = "Opaque" } = secret.found;
  const problem = (reason: string, message: string) => ({ problem: { reason, field, message } });
  if (isOfKubernetes(type) && type !== "kubernetes.io/basic-auth") {
    return problem(
      reasons.SECRET_TYPE_WRONG,
      `names Secret ${name}, which is of type ${type}: use one of type Opaque or kubernetes.io/basic-auth`,
    );
  }
  const encoded = data[key];
  if (encoded === undefined || encoded === "") {
    return problem(
      reasons.SECRET_KEY_MISSING,
      `names key ${key} of Secret ${name}, which ${
        encoded === undefined ? "has no such key" : "is empty there"
      }: ` +
        "add it to the Secret, or correct the key",
    );
  }
  const value = textOf(encoded)?.replace(/\r?\n$/, "");
  if (value === undefined || value.includes("\0")) {
    return problem(
      reasons.SECRET_VALUE_UNUSABLE,
      `names key ${key} of Secret ${name}, whose value is not UTF-8 text: store the text itself there`,
    );
  }
  if (value === "") {
    return problem(
      reasons.SECRET_KEY_MISSING,
      `names key ${key} of Secret ${name}, which is empty there: add it to the Secret, or correct the key`,
    );
  }
  return { found: value };
}

/** What the Secret that `field` names for a certificate holds; nothing of it is checked but that it is all there. */
export function readCertificateSecret(
  snapshot: Snapshot,
  field: string,
  name: string,
): Found<CertificateData> {
  const secret = readSecret(snapshot, field, name);
  if ("problem" in secret) return secret;
  const { data = {}, type = "" } = secret.found;
  const problem = (reason: string, message: string) => ({ problem: { reason, field, message } });
  if (isOfKubernetes(type) && type !== "kubernetes.io/tls") {
    return problem(
      reasons.SECRET_TYPE_WRONG,
      `names Secret ${name}, which is of type ${type}: use one of type kubernetes.io/tls or Opaque`,
    );
  }
  const missing = ["tls.crt", "tls.key"].filter((key) => (data[key] ?? "") === "");
  if (missing.length > 0) {
    return problem(
      reasons.SECRET_KEY_MISSING,
      `names Secret ${name}, which has no ${missing.join(" and no ")}: a certificate is needed with its key`,
    );
  }
  const entries = ["tls.crt", "tls.key", "ca.crt"]
    .filter((key) => (data[key] ?? "") !== "")
    .map((key) => [key, decodeBase64(data[key] ?? "")]);
  return { found: Object.fromEntries(entries) };
}

/** The Secret that `field` names, with its content. */
function readSecret(snapshot: Snapshot, field: string, name: string): Found<Secret> {
  const problem = (reason: string, message: string) => ({ problem: { reason, field, message } });
  const secret = snapshot.get(Secret, name);
  const kind = snapshot.kind(Secret);
  if (secret === undefined && kind.phase === "synced") {
    return problem(
      reasons.SECRET_NOT_FOUND,
      `names Secret ${name}, which does not exist: create it in this namespace, or correct the name`,
    );
  }
  // Every Secret that was read in full has a type.
  if (secret?.type === undefined) {
    const why = kind.phase === "failed" ? kind.message : "it has not been read yet";
    return problem(
      reasons.SECRET_UNREADABLE,
      `names Secret ${name}, which cannot be read: ${why}. The operator's Role has to allow get, list and watch on secrets`,
    );
  }
  return { found: secret };
}

function nameOf(reference: { readonly name: string; readonly key: string } | undefined): string {
  return `names key ${reference?.key} of Secret ${reference?.name},`;
}

/** Strict UTF-8 of standard base64; undefined where it is something else. */
function textOf(encoded: string): string | undefined {
  try {
    return decodeBase64(encoded, { fatal: true });
  } catch {
    return undefined;
  }
}
