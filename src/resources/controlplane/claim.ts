/**
 * The claim of the embedded sqlite database. It may hold data, so it is never deleted, and only ever grows.
 *
 * What the spec last asked for is written on the claim: somebody else may have made it larger, and meant it.
 */

import type { Child, Failure, Problem } from "../../operator/definition.ts";
import { PersistentVolumeClaim } from "../../kubernetes/generated/core_v1.ts";
import { applied } from "../child.ts";
import { canonicalQuantity, compareQuantities } from "../quantity.ts";
import * as component from "./component.ts";
import { type Database, isSqlite } from "./fields.ts";
import * as reasons from "./reasons.ts";

/** What the claim is made from. */
export interface ClaimInputs extends component.Surroundings {
  readonly spec: {
    readonly database: Database;
    readonly storage: { readonly size?: string | undefined; readonly storageClassName?: string | undefined };
    readonly deletionPolicy: "Delete" | "Retain";
  };
}

/** Name of the claim that holds the sqlite database, and of the volume. */
export const SQLITE_CLAIM = "controller-sqlite";
/** What `spec.storage` said when the claim was last written. */
const SIZE_ANNOTATION = "iofog.org/storage-size";
const CLASS_ANNOTATION = "iofog.org/storage-class";
const DEFAULT_SIZE = "1Gi";

/** The claim: needed with sqlite, and still owned, or retained, where a database was moved away from it. */
export function claimChildren(inputs: ClaimInputs, labels?: component.Labels): Child[] {
  const live = liveClaim(inputs);
  const sqlite = isSqlite(inputs.spec.database);
  if (!sqlite && (live === undefined || !isOurs(live, inputs))) return [];
  const { size, storageClassName } = sqlite ? inputs.spec.storage : {};
  const annotations = {
    ...(size !== undefined && { [SIZE_ANNOTATION]: size }),
    ...(storageClassName !== undefined && { [CLASS_ANNOTATION]: storageClassName }),
  };
  const metadata = {
    ...component.metaOf(inputs, SQLITE_CLAIM, labels),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
  const retained = inputs.spec.deletionPolicy === "Retain";
  // What cannot change is repeated as it is: giving it up would be a change.
  const spec = live === undefined
    ? {
      accessModes: ["ReadWriteOnce" as const],
      resources: { requests: { storage: size ?? DEFAULT_SIZE } },
      ...(storageClassName !== undefined && { storageClassName }),
    }
    : {
      ...(live.spec?.accessModes !== undefined && { accessModes: live.spec.accessModes }),
      // Before there is a volume the API server lets nothing grow.
      resources: { requests: { storage: isBound(live) ? larger(size, sizeOf(live)) : sizeOf(live) } },
      ...(live.spec?.storageClassName !== undefined && { storageClassName: live.spec.storageClassName }),
    };
  return [
    applied(PersistentVolumeClaim, metadata, { spec }, retained ? { retained } : {}),
  ];
}

/** What `spec.storage` asks of the claim that is there and that cannot be, and how to get it nevertheless. */
export function storageProblems(inputs: ClaimInputs): Problem[] {
  const live = liveClaim(inputs);
  if (live === undefined || !isSqlite(inputs.spec.database) || !isControlled(live)) return [];
  const { size, storageClassName } = inputs.spec.storage;
  const asked = live.metadata?.annotations ?? {};
  const has = { size: sizeOf(live), class: live.spec?.storageClassName };
  const problem = (field: string, message: string): Problem => ({
    reason: reasons.INVALID_SPEC,
    field: `spec.storage.${field}`,
    message: `${message}. ${remedy(live)}`,
  });
  const problems: Problem[] = [];
  if (size !== undefined && compareQuantities(size, has.size) < 0 && size !== asked[SIZE_ANNOTATION]) {
    problems.push(
      problem("size", `must be at least ${has.size}, as claim ${SQLITE_CLAIM}: a claim cannot shrink`),
    );
  }
  // A class that the spec names no more may stay where there is a volume: the cluster's own is as good as any.
  const otherClass = storageClassName === undefined
    ? asked[CLASS_ANNOTATION] !== undefined && !isBound(live)
    : storageClassName !== has.class;
  if (otherClass) {
    problems.push(problem(
      "storageClassName",
      `must be ${has.class ?? "left out"}, as claim ${SQLITE_CLAIM}: the class of a claim cannot change`,
    ));
  }
  return problems;
}

function remedy(live: PersistentVolumeClaim): string {
  if (isBound(live)) {
    return "Set it back; for another volume, back up the database and restore it into a new claim";
  }
  const { name, namespace } = live.metadata ?? {};
  return `Set it back; or, since the claim has no volume and no data yet, delete it, and it is made again as the spec ` +
    `says: kubectl -n ${namespace} delete persistentvolumeclaim ${name}`;
}

function liveClaim({ snapshot }: ClaimInputs): PersistentVolumeClaim | undefined {
  return snapshot.get(PersistentVolumeClaim, SQLITE_CLAIM);
}

function isBound({ spec, status }: PersistentVolumeClaim): boolean {
  return Boolean(spec?.volumeName) || (status?.phase !== undefined && status.phase !== "Pending");
}

function isOurs({ metadata }: PersistentVolumeClaim, { uid }: ClaimInputs): boolean {
  return metadata?.annotations?.["iofog.org/owner-uid"] === uid;
}

/** Whether a ControlPlane made it; somebody else's is a conflict, whatever its size. */
function isControlled({ metadata }: PersistentVolumeClaim): boolean {
  return metadata?.annotations?.["iofog.org/owner-uid"] !== undefined ||
    (metadata?.ownerReferences ?? []).some(({ controller, kind }) => controller && kind === "ControlPlane");
}

function sizeOf({ spec }: PersistentVolumeClaim): string {
  return canonicalQuantity(String(spec?.resources?.requests?.["storage"] ?? "0"));
}

function larger(wanted: string | undefined, has: string): string {
  return wanted !== undefined && compareQuantities(wanted, has) > 0 ? wanted : has;
}

/** What the API server says against a claim, in terms of the field that sets its size. */
export function claimInTermsOfSpec(failure: Failure, field: string): Failure {
  const message = failure.message.replaceAll("spec.resources.requests.storage", field);
  return {
    ...failure,
    message: message.includes("can be resized")
      ? `${field} cannot be reached, since the claim's storage class does not let it grow: set it back, or ` +
        `set allowVolumeExpansion in the class (${message})`
      : message,
  };
}
