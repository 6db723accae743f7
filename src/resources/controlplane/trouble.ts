/**
 * Why a component of a control plane is not available, and what to do about it, in one line: from its
 * workload, its pods, and the claims that they wait for.
 *
 * The words of kubelet, scheduler and API server are kept where they tell something, without what changes from one
 * try to the next, so that a status is written once and not with each try.
 */

import { Deployment, StatefulSet } from "../../kubernetes/generated/apps_v1.ts";
import {
  type ContainerStateTerminated,
  type ContainerStatus,
  PersistentVolumeClaim,
  Pod,
} from "../../kubernetes/generated/core_v1.ts";
import type { Surroundings } from "./component.ts";
import { type Database, isSqlite } from "./fields.ts";
import * as reasons from "./reasons.ts";

/** What runs pods for a component, and where the spec describes them. */
export interface Workload {
  readonly kind: "Deployment" | "StatefulSet";
  readonly name: string;
  /** What `kubectl -l` finds its pods by. */
  readonly selector: string;
  /** Where its image is set. */
  readonly imageField: string;
  /** Where its pods are described. */
  readonly podField: string;
  /** Where the storage class of the claims that its pods wait for is set; absent where they wait for none. */
  readonly storageClassField?: string;
  /** Names of those claims. */
  readonly claims?: readonly string[];
  /** The database that its pods may fail for. */
  readonly database?: Database;
}

/** What is wrong and what to do. */
export interface Trouble {
  /** A constant of `reasons.ts`. */
  readonly reason: string;
  readonly message: string;
}

/** Reasons that keep pods from working until somebody does something; unlike `PodsUnavailable`, which may just be early. */
export const troubles: ReadonlySet<string> = new Set([
  reasons.IMAGE_PULL_FAILED,
  reasons.CRASH_LOOPING,
  reasons.DATABASE_REFUSED,
  reasons.CONTAINER_NOT_STARTED,
  reasons.CLAIM_PENDING,
  reasons.CLAIM_LOST,
  reasons.UNSCHEDULABLE,
  reasons.QUOTA_EXCEEDED,
  reasons.PODS_REFUSED,
]);

/** Why `workload` is not rolled out in full; undefined when it is. */
export function troubleOf(workload: Workload, inputs: Surroundings): Trouble | undefined {
  const { kind, name } = workload;
  const live = kind === "Deployment"
    ? inputs.snapshot.get(Deployment, name)
    : inputs.snapshot.get(StatefulSet, name);
  if (live === undefined) {
    return { reason: reasons.PODS_UNAVAILABLE, message: `${kind} ${name} does not exist yet` };
  }
  const lack = unavailable(workload, live);
  if (lack === undefined) return undefined;
  const trouble = creationTrouble(workload, live, inputs) ?? podTrouble(workload, inputs) ??
    claimTrouble(workload, inputs);
  return trouble === undefined
    ? { reason: isJustChanged(live) ? reasons.JUST_CHANGED : reasons.PODS_UNAVAILABLE, message: lack }
    : { ...trouble, message: `${kind} ${name}: ${trouble.message}` };
}

type LiveWorkload = Deployment | StatefulSet;

/** Whether it is rolled out, as `kubectl rollout status` sees it; what is missing if it is not. */
function unavailable({ kind, name, selector }: Workload, live: LiveWorkload): string | undefined {
  const wanted = live.spec?.replicas ?? 1;
  const { updatedReplicas = 0, availableReplicas = 0, replicas = 0, conditions = [] } = live.status ?? {};
  const look = `see kubectl -n ${live.metadata?.namespace} describe pods -l ${selector}`;
  const failed = conditions.find(({ type, status }) => type === "Progressing" && status === "False");
  const why = failed === undefined ? "" : ` (${failed.reason}: ${failed.message})`;
  if (wanted === 0) return `${kind} ${name} is scaled to 0: scale it up`;
  if (isJustChanged(live)) return `${kind} ${name} has just been changed`;
  if (availableReplicas < wanted) {
    return `${kind} ${name} has ${availableReplicas} of ${wanted} pods available${why}; ${look}`;
  }
  if (updatedReplicas < wanted || replicas > updatedReplicas) {
    return `${kind} ${name} has ${updatedReplicas} of ${wanted} pods updated${why}; ${look}`;
  }
  return undefined;
}

/** Whether its controller has not yet looked at the last change, which may also be one of an annotation. */
function isJustChanged({ metadata, status }: LiveWorkload): boolean {
  return (status?.observedGeneration ?? 0) < (metadata?.generation ?? 0);
}

/** Pods that the API server does not let the ReplicaSet create. */
function creationTrouble(
  { kind, name, podField }: Workload,
  { status }: LiveWorkload,
  inputs: Surroundings,
): Trouble | undefined {
  const failed = status?.conditions?.find((condition) =>
    condition.type === "ReplicaFailure" && condition.status === "True"
  );
  if (failed === undefined) return undefined;
  // The name of the pod is another one each time.
  const said = oneLine(failed.message ?? "").replace(/^pods "[^"]*" is forbidden: /, "");
  const [, verb, quota] = /(exceeded|failed) quota: ([^,:]+)/.exec(said) ?? [];
  if (quota !== undefined) {
    const remedy = verb === "failed"
      // It wants requests or limits to be set.
      ? `set it in ${podField}.resources`
      : `raise ResourceQuota ${quota}, or free what it counts`;
    return {
      reason: reasons.QUOTA_EXCEEDED,
      message: `its pods cannot be created: ${said}; ${remedy}: ` +
        `kubectl -n ${inputs.namespace} describe resourcequota ${quota}`,
    };
  }
  return {
    reason: reasons.PODS_REFUSED,
    message: `its pods cannot be created: ${said}; change what refuses them, then ` +
      `kubectl -n ${inputs.namespace} rollout restart ${kind.toLowerCase()}/${name}`,
  };
}

function podTrouble(workload: Workload, inputs: Surroundings): Trouble | undefined {
  const pods = inputs.snapshot.list(Pod)
    .filter((pod) => isPodOf(pod, workload) && !isReady(pod) && isAlive(pod))
    .sort((one, other) => created(other).localeCompare(created(one)));
  for (const pod of pods) {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
    for (const container of [...initContainerStatuses, ...containerStatuses]) {
      const trouble = containerTrouble(workload, container, inputs);
      if (trouble !== undefined) return trouble;
    }
    const trouble = schedulingTrouble(workload, pod, inputs);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

function containerTrouble(
  workload: Workload,
  { image, lastState, ready, state }: ContainerStatus,
  inputs: Surroundings,
): Trouble | undefined {
  const { reason = "", message = "" } = state?.waiting ?? {};
  if (/^(ErrImage|ImagePullBackOff|InvalidImageName|ImageInspectError|RegistryUnavailable)/.test(reason)) {
    // "Back-off" says that it waits, and only newer kubelets repeat for what.
    const said = oneLine(message).replace(/^Back-off pulling image "[^"]*"(: )?/, "").replace(
      /^ErrImagePull: /,
      "",
    );
    return {
      reason: reasons.IMAGE_PULL_FAILED,
      message: `image ${image} cannot be pulled${
        said === "" ? "" : ` (${said})`
      }: correct ${workload.imageField}, or name a Secret for its registry in spec.images.pullSecret`,
    };
  }
  if (/^(CreateContainer|RunContainer|.*HookError)/.test(reason)) {
    return {
      reason: reasons.CONTAINER_NOT_STARTED,
      message: `its container cannot be started (${reason}: ${oneLine(message)}): ` +
        `see kubectl -n ${inputs.namespace} describe pods -l ${workload.selector}`,
    };
  }
  const ended = state?.terminated ?? lastState?.terminated;
  if (ready || ended === undefined || (ended.exitCode === 0 && reason !== "CrashLoopBackOff")) {
    return undefined;
  }
  return crashTrouble(workload, ended, inputs);
}

/** What tells in a log line that it is about a database. */
const databaseWords =
  /database|sequelize|postgres|mysql|mariadb|knex|ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH/i;
const refusalWords =
  /access denied|authentication failed|password|ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|refused|does not exist/i;

function crashTrouble(
  { database, kind, name, podField }: Workload,
  ended: ContainerStateTerminated,
  inputs: Surroundings,
): Trouble {
  const said = lastWords(ended.message ?? "");
  const how = `its container ends with exit code ${ended.exitCode}${
    ended.reason === undefined ? "" : ` (${ended.reason})`
  }${said === undefined ? "" : `: ${said}`}`;
  const logs = `kubectl -n ${inputs.namespace} logs ${kind.toLowerCase()}/${name} --previous`;
  if (ended.reason === "OOMKilled") {
    return {
      reason: reasons.CRASH_LOOPING,
      message: `${how}: raise ${podField}.resources.limits.memory`,
    };
  }
  if (database === undefined || isSqlite(database)) {
    return { reason: reasons.CRASH_LOOPING, message: `${how}; read why: ${logs}` };
  }
  const refused = said !== undefined && databaseWords.test(said) && refusalWords.test(said);
  const { databaseName, host, port, provider, user } = database;
  return {
    reason: refused ? reasons.DATABASE_REFUSED : reasons.CRASH_LOOPING,
    message:
      `${how}; ${
        refused ? "its database" : "perhaps its database"
      } refuses it: check that ${provider} answers at ` +
      `${host}:${port}, has ${databaseName}, and takes user ${user} with the password in spec.database; read more: ${logs}`,
  };
}

function schedulingTrouble(workload: Workload, { status }: Pod, inputs: Surroundings): Trouble | undefined {
  const unscheduled = status?.conditions?.find((condition) =>
    condition.type === "PodScheduled" && condition.status === "False"
  );
  if (unscheduled?.reason !== "Unschedulable") return undefined;
  const said = oneLine(unscheduled.message ?? "");
  if (/persistentvolumeclaim/i.test(said)) {
    const trouble = claimTrouble(workload, inputs);
    if (trouble !== undefined) return trouble;
  }
  return {
    reason: reasons.UNSCHEDULABLE,
    message: `no node takes its pod (${said}): make room, or change ${workload.podField}`,
  };
}

/** A claim without a volume. */
function claimTrouble(
  { claims = [], storageClassField }: Workload,
  inputs: Surroundings,
): Trouble | undefined {
  for (const name of claims) {
    const claim = inputs.snapshot.get(PersistentVolumeClaim, name);
    const look = `kubectl -n ${inputs.namespace} describe pvc ${name}`;
    if (claim?.status?.phase === "Lost") {
      return {
        reason: reasons.CLAIM_LOST,
        message:
          `the volume of PersistentVolumeClaim ${name} is gone: bring it back, or delete the claim to ` +
          "begin with an empty database",
      };
    }
    if (claim?.status?.phase !== "Pending") continue;
    const storageClass = claim.spec?.storageClassName;
    return {
      reason: reasons.CLAIM_PENDING,
      message: storageClass === undefined
        ? `PersistentVolumeClaim ${name} names no storage class, and the cluster has no default one: mark a ` +
          `StorageClass as default, or name one in ${storageClassField}; see ${look}`
        : `PersistentVolumeClaim ${name} waits for a volume of storage class ${storageClass}: see ${look}, and ` +
          `where there is no such class correct ${storageClassField}`,
    };
  }
  return undefined;
}

function isPodOf({ metadata }: Pod, { kind, name }: Workload): boolean {
  const owner = metadata?.ownerReferences?.find(({ controller }) => controller === true);
  if (kind === "StatefulSet") return owner?.kind === kind && owner.name === name;
  // The Deployment names its ReplicaSets by itself and a hash without a dash.
  return owner?.kind === "ReplicaSet" && owner.name.slice(0, owner.name.lastIndexOf("-")) === name;
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ??
    false;
}

/** One that was evicted, or is on its way out, is replaced. */
function isAlive({ metadata, status }: Pod): boolean {
  return metadata?.deletionTimestamp === undefined && status?.phase !== "Failed" &&
    status?.phase !== "Succeeded";
}

function created({ metadata }: Pod): string {
  return metadata?.creationTimestamp ?? "";
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

/** Characters that a kubelet keeps of a log; where it cut, a line may begin or end in the middle of a secret. */
const keptOfLog = 2_048;

/**
 * The line of a container's termination message that says most: a whole line as it is, since a secret is found and taken
 * out of them later, and half a secret would not be.
 */
function lastWords(message: string): string | undefined {
  const lines = message.split("\n");
  const whole = message.length < keptOfLog - 4 ? lines : lines.slice(1, -1);
  const telling = whole.filter((line) =>
    line.includes(" ") && /error|fatal|refused|denied|fail|not |timed? ?out|exceeded/i.test(line)
  );
  return telling.at(-1);
}
