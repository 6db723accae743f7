/** The Secrets that the spec of an ioFog control plane names, and the spec with what they hold. */

import type { Problem, Snapshot } from "../../../operator/definition.ts";
import { encodeBase64 } from "../../child.ts";
import { isSqlite } from "../fields.ts";
import { readValues, referencesIn, type ValueReference } from "../references.ts";
import * as reasons from "../reasons.ts";
import { type AcceptedSpec, type ControlPlaneSpec, PASSWORD_LENGTH } from "./schema.ts";

/** The references of `spec` that are used: with sqlite the database's is not. */
function valueReferences(spec: AcceptedSpec): readonly ValueReference[] {
  const { user, database, controller } = spec;
  return referencesIn({
    "spec.user.passwordSecretRef": user.passwordSecretRef,
    "spec.database.passwordSecretRef": isSqlite(database) ? undefined : database.passwordSecretRef,
    "spec.controller.proxyBrokerTokenSecretRef": controller.proxyBrokerTokenSecretRef,
  });
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
  const read = readValues(snapshot, valueReferences(spec));
  const { values } = read;
  const problems = [...read.problems];
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

function nameOf(reference: { readonly name: string; readonly key: string } | undefined): string {
  return `names key ${reference?.key} of Secret ${reference?.name},`;
}
