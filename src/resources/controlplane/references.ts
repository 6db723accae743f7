/**
 * The Secrets that a spec names: what they hold, and what is wrong with them.
 *
 * A referenced value is literal: it is never decoded, and one line break at its end, as an editor or
 * `kubectl create secret --from-file` leaves it, is no part of it. Messages name the Secret, never what is in it.
 */

import type { Parent, Problem, Snapshot } from "../../operator/definition.ts";
import { Secret } from "../../kubernetes/generated/core_v1.ts";
import { decodeBase64 } from "../child.ts";
import type { CertificateData } from "../pki.ts";
import type { Surroundings, Warning } from "./component.ts";
import * as reasons from "./reasons.ts";

/** A value in a Secret, and the field that names it. */
export interface ValueReference {
  readonly field: string;
  readonly name: string;
  readonly key: string;
  /** Whether it is of certificates, which may be kept with a key. @default false */
  readonly isCertificate?: boolean;
}

/** What a Secret holds, or why that cannot be said. */
export type Found<T> = { readonly found: T } | { readonly problem: Problem };

/** A field of the spec that names a key of a Secret. */
export type SecretKeyReference = { readonly name: string; readonly key: string };

/** The references that are set, by the field that sets each. */
export function referencesIn(
  fields: Readonly<Record<string, SecretKeyReference | undefined>>,
): readonly ValueReference[] {
  return Object.entries(fields).flatMap(([field, reference]) =>
    reference === undefined ? [] : [{ field, ...reference }]
  );
}

/** The values that `references` lead to, by their fields, and why some cannot be had. */
export function readValues(
  snapshot: Snapshot,
  references: readonly ValueReference[],
): { readonly values: ReadonlyMap<string, string>; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const values = new Map<string, string>();
  for (const reference of references) {
    const value = readValue(snapshot, reference);
    if ("found" in value) values.set(reference.field, value.found);
    else problems.push(value.problem);
  }
  return { values, problems };
}

/** Another text whenever a value may be another that stands in the spec, or in the Secrets that the spec names. */
export function versionOf(
  { metadata }: Parent,
  references: readonly ({ readonly name: string } | undefined)[],
  snapshot: Snapshot,
): string {
  const versions = references.flatMap((reference) => {
    const { resourceVersion, uid } = (reference && snapshot.get(Secret, reference.name)?.metadata) ?? {};
    return [uid, resourceVersion];
  });
  return [metadata.generation, ...versions].filter((part) => part !== undefined).join("/");
}

/** Types that hold something else by what Kubernetes says of them; a type of somebody else's may hold anything. */
function isOfKubernetes(type: string): boolean {
  return /(^|\.)kubernetes\.io\//.test(type);
}

function readValue(
  snapshot: Snapshot,
  { field, isCertificate = false, name, key }: ValueReference,
): Found<string> {
  const secret = readSecret(snapshot, field, name);
  if ("problem" in secret) return secret;
  const { data = {}, type = "Opaque" } = secret.found;
  const problem = (reason: string, message: string) => ({ problem: { reason, field, message } });
  const fitting = isCertificate ? "kubernetes.io/tls" : "kubernetes.io/basic-auth";
  if (isOfKubernetes(type) && type !== fitting) {
    return problem(
      reasons.SECRET_TYPE_WRONG,
      `names Secret ${name}, which is of type ${type}: use one of type Opaque or ${fitting}`,
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

/** Strict UTF-8 of standard base64; undefined where it is something else. */
function textOf(encoded: string): string | undefined {
  try {
    return decodeBase64(encoded, { fatal: true });
  } catch {
    return undefined;
  }
}

/** What is wrong with the Secret to pull images with; nothing where it is as it should be. */
export function pullSecretWarning({ snapshot }: Surroundings, pullSecret: string | undefined): Warning[] {
  if (pullSecret === undefined || snapshot.kind(Secret).phase !== "synced") return [];
  const secret = snapshot.get(Secret, pullSecret);
  if (secret !== undefined) {
    const { type } = secret;
    if (type === undefined || /^kubernetes\.io\/docker(configjson|cfg)$/.test(type)) return [];
    return [{
      reason: reasons.SECRET_TYPE_WRONG,
      message:
        `Secret ${pullSecret}, named in spec.images.pullSecret, is of type ${type}: name one of type ` +
        "kubernetes.io/dockerconfigjson, or images that need it cannot be pulled",
    }];
  }
  return [{
    reason: reasons.PULL_SECRET_MISSING,
    message: `Secret ${pullSecret}, named in spec.images.pullSecret, is not there: create it as ` +
      "kubernetes.io/dockerconfigjson, or images that need it cannot be pulled",
  }];
}

/**
 * The secret values in a Secret: what logs in to registries, and what stands under the keys that `isSecret` accepts.
 *
 * @param namedKeys Keys from which a custom resource takes a secret value; asked for only where the Secret has data.
 * @param formsOf In which forms such a value may be met. @default as it is
 */
export function secretValuesIn(
  { data = {}, metadata }: Secret,
  isSecret: (key: string) => boolean,
  namedKeys: (name: string) => readonly string[],
  formsOf: (value: string) => readonly string[] = (value) => [value],
): readonly string[] {
  const named = Object.keys(data).length === 0 ? [] : namedKeys(metadata?.name ?? "");
  return Object.entries(data).flatMap(([key, encoded]) => {
    const value = decodeBase64(encoded);
    if (key === ".dockerconfigjson" || key === ".dockercfg") return registryPasswords(value);
    return isSecret(key) || named.includes(key) ? formsOf(value) : [];
  });
}

/** What logs in to registries; nothing where the text is not what a kubelet reads. */
function registryPasswords(text: string): readonly string[] {
  const values: string[] = [];
  try {
    JSON.parse(text, (key, value) => {
      if (/^(password|auth|identitytoken)$/.test(key) && typeof value === "string") values.push(value);
      return value;
    });
  } catch {
    return [text];
  }
  return values;
}
