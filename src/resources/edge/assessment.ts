/** What one look at a custom resource of the edge tells: for the plan and for the status. */

import { type EdgeDialect, edgeDialectOf } from "../../controller/edge.ts";
import { ConfigMap, Secret } from "../../kubernetes/generated/core_v1.ts";
import type {
  DesiredContext,
  ExternalChild,
  ExternalObject,
  GeneratedChild,
  Problem,
} from "../../operator/definition.ts";
import { keyOfExternal } from "../../operator/inventory.ts";
import { decodeBase64 } from "../child.ts";
import * as reasons from "./reasons.ts";

/** See the module. */
export interface Assessment {
  readonly children: readonly (ExternalChild | GeneratedChild)[];
  readonly problems: readonly Problem[];
  /** Fields that are not used, and why, e.g. `spec.ssh (only a CLI can do that)`. */
  readonly ignored: readonly string[];
}

/** Why a child cannot be written yet. */
export type Blocked = NonNullable<ExternalChild["blocked"]>;

/** Names in `ExternalState.facts` that are read here. */
export const VERSION_FACT = "controllerVersion";

/** The dialect of the Controller; until it was asked, that of the group. */
export function dialectOf({ parent, snapshot }: DesiredContext): EdgeDialect {
  const version = snapshot.external(parent.metadata.uid).facts[VERSION_FACT];
  return edgeDialectOf(version ?? (parent.apiVersion?.startsWith("datasance.com/") ? "3.7" : "3.0"));
}

/** What was found in the Controller for this custom resource. */
export function foundIn(
  { parent, snapshot }: DesiredContext,
  kind: string,
  name: string,
): ExternalObject | undefined {
  return snapshot.external(parent.metadata.uid).objects.find((each) =>
    each.kind === kind && each.name === name
  );
}

/** Whether the Controller was asked for this and has it not. */
export function isMissing(context: DesiredContext, kind: string, name: string): boolean {
  const { looked, phase } = context.snapshot.external(context.parent.metadata.uid);
  const isAsked = phase === "observed" &&
    (looked === undefined || looked[keyOfExternal({ kind, name })] === true);
  return isAsked && foundIn(context, kind, name) === undefined;
}

/** The `ignored` of what only a CLI can do. */
export function cliOnlyFields(
  spec: Readonly<Record<string, unknown>>,
  names: readonly string[],
): readonly string[] {
  return names.filter((name) => spec[name] !== undefined)
    .map((name) => `spec.${name} (only iofogctl and potctl can do that)`);
}

/** A reference to a value in Kubernetes. */
export interface ValueReference {
  readonly secretKeyRef?: { readonly name: string; readonly key: string } | undefined;
  readonly configMapKeyRef?: { readonly name: string; readonly key: string } | undefined;
}

/** The value, or why there is none. `version` is another text whenever the value may be another. */
export function resolveValue(
  { snapshot }: DesiredContext,
  { secretKeyRef, configMapKeyRef }: ValueReference,
): { readonly value: string; readonly secret: boolean; readonly version: string } | Blocked {
  const reference = secretKeyRef ?? configMapKeyRef;
  if (reference === undefined) return { reason: reasons.VALUE_MISSING, message: "names nothing" };
  const isSecret = secretKeyRef !== undefined;
  const { key, name } = reference;
  const kind = isSecret ? "Secret" : "ConfigMap";
  const object = isSecret ? snapshot.get(Secret, name) : snapshot.get(ConfigMap, name);
  if (object === undefined) {
    return {
      reason: reasons.VALUE_MISSING,
      message: `${kind} ${name} is not there: create it with a key ${key}`,
    };
  }
  const stored = object.data?.[key];
  if (stored === undefined) {
    return { reason: reasons.VALUE_MISSING, message: `${kind} ${name} has no key ${key}: add it` };
  }
  const { resourceVersion, uid } = object.metadata ?? {};
  return {
    value: isSecret ? decodeBase64(stored) : stored,
    secret: isSecret,
    version: `${uid}/${resourceVersion}`,
  };
}
