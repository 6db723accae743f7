/**
 * Why a component of a control plane is not available, and what to do about it, in one line: from its Deployment, its
 * pods, and the claim that they wait for.
 *
 * The words of kubelet, scheduler and API server are kept where they tell something, without what changes from one
 * try to the next, so that a status is written once and not with each try.
 */

import { Deployment } from "../../../kubernetes/generated/apps_v1.ts";
import {
  type ContainerStateTerminated,
  type ContainerStatus,
  PersistentVolumeClaim,
  Pod,
} from "../../../kubernetes/generated/core_v1.ts";
import type { Inputs } from "./inputs.ts";
import { SQLITE_CLAIM } from "./claim.ts";
import { CONTROLLER } from "./controller.ts";
import { PORT_MANAGER } from "./port_manager.ts";
import * as reasons from "../reasons.ts";
import { ROUTER } from "./router.ts";
import { isSqlite } from "../fields.ts";

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

/** Where the image of a component is set. */
const imageFields: Readonly<Record<string, string>> = {
  [CONTROLLER]: "spec.images.controller",
  [ROUTER]: "spec.images.router",
  [PORT_MANAGER]: "spec.images.portManager",
};

/** Where its pods are described. */
const podFields: Readonly<Record<string, string>> = {
  [CONTROLLER]: "spec.pods.controller",
  [ROUTER]: "spec.pods.router",
  [PORT_MANAGER]: "spec.pods.portManager",
};

/** Why Deployment `name` is not rolled out in full; undefined when it is. */
export function troubleOf(name: string, inputs: Inputs): Trouble | undefined {
  const deployment = inputs.snapshot.get(Deployment, name);
  if (deployment === undefined) {
    return { reason: reasons.PODS_UNAVAILABLE, message: `Deployment ${name} does not exist yet` };
  }
  const lack = unavailable(name, deployment);
  if (lack === undefined) return undefined;
  const trouble = creationTrouble(name, deployment, inputs) ?? podTrouble(name, inputs) ??
    claimTrouble(name, inputs);
  return trouble === undefined
    ? { reason: isJustChanged(deployment) ? reasons.JUST_CHANGED : reasons.PODS_UNAVAILABLE, message: lack }
    : { ...trouble, message: `Deployment ${name}: ${trouble.message}` };
}

/** Whether a Deployment is rolled out, as `kubectl rollout status` sees it; what is missing if it is not. */
function unavailable(name: string, deployment: Deployment): string | undefined {
  const wanted = deployment.spec?.replicas ?? 1;
  const {
    updatedReplicas = 0,
    availableReplicas = 0,
    replicas = 0,
    conditions = [],
  } = deployment.status ?? {};
  const look = `see kubectl -n ${deployment.metadata?.namespace} describe pods -l name=${name}`;
  const failed = conditions.find(({ type, status }) => type === "Progressing" && status === "False");
  const why = failed === undefined ? "" : ` (${failed.reason}: ${failed.message})`;
  if (wanted === 0) return `Deployment ${name} is scaled to 0: scale it up`;
  if (isJustChanged(deployment)) {
    return `Deployment ${name} has just been changed`;
  }
  if (availableReplicas < wanted) {
    return `Deployment ${name} has ${availableReplicas} of ${wanted} pods available${why}; ${look}`;
  }
  if (updatedReplicas < wanted || replicas > updatedReplicas) {
    return `Deployment ${name} has ${updatedReplicas} of ${wanted} pods updated${why}; ${look}`;
  }
  return undefined;
}

/** Whether its controller has not yet looked at the last change, which may also be one of an annotation. */
function isJustChanged({ metadata, status }: Deployment): boolean {
  return (status?.observedGeneration ?? 0) < (metadata?.generation ?? 0);
}

/** Pods that the API server does not let the ReplicaSet create. */
function creationTrouble(name: string, { status }: Deployment, inputs: Inputs): Trouble | undefined {
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
      ? `set it in ${podFields[name]}.resources`
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
      `kubectl -n ${inputs.namespace} rollout restart deployment/${name}`,
  };
}

function podTrouble(name: string, inputs: Inputs): Trouble | undefined {
  const pods = inputs.snapshot.list(Pod)
    .filter((pod) => isPodOf(pod, name) && !isReady(pod) && isAlive(pod))
    .sort((one, other) => created(other).localeCompare(created(one)));
  for (const pod of pods) {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
    for (const container of [...initContainerStatuses, ...containerStatuses]) {
      const trouble = containerTrouble(name, container, inputs);
      if (trouble !== undefined) return trouble;
    }
    const trouble = schedulingTrouble(name, pod, inputs);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

function containerTrouble(
  name: string,
  { image, lastState, ready, state }: ContainerStatus,
  inputs: Inputs,
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
      message: `image ${image} cannot be pulled${said === "" ? "" : ` (${said})`}: correct ${
        imageFields[name]
      }, or name a Secret for its registry in spec.images.pullSecret`,
    };
  }
  if (/^(CreateContainer|RunContainer|.*HookError)/.test(reason)) {
    return {
      reason: reasons.CONTAINER_NOT_STARTED,
      message: `its container cannot be started (${reason}: ${oneLine(message)}): ` +
        `see kubectl -n ${inputs.namespace} describe pods -l name=${name}`,
    };
  }
  const ended = state?.terminated ?? lastState?.terminated;
  if (ready || ended === undefined || (ended.exitCode === 0 && reason !== "CrashLoopBackOff")) {
    return undefined;
  }
  return crashTrouble(name, ended, inputs);
}

/** What tells in a log line that it is about a database. */
const databaseWords =
  /database|sequelize|postgres|mysql|mariadb|knex|ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH/i;
const refusalWords =
  /access denied|authentication failed|password|ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|refused|does not exist/i;

function crashTrouble(name: string, ended: ContainerStateTerminated, inputs: Inputs): Trouble {
  const { database } = inputs.spec;
  const said = lastWords(ended.message ?? "");
  const how = `its container ends with exit code ${ended.exitCode}${
    ended.reason === undefined ? "" : ` (${ended.reason})`
  }${said === undefined ? "" : `: ${said}`}`;
  const logs = `kubectl -n ${inputs.namespace} logs deployment/${name} --previous`;
  if (ended.reason === "OOMKilled") {
    return {
      reason: reasons.CRASH_LOOPING,
      message: `${how}: raise ${podFields[name]}.resources.limits.memory`,
    };
  }
  if (name !== CONTROLLER || isSqlite(database)) {
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

function schedulingTrouble(name: string, { status }: Pod, inputs: Inputs): Trouble | undefined {
  const unscheduled = status?.conditions?.find((condition) =>
    condition.type === "PodScheduled" && condition.status === "False"
  );
  if (unscheduled?.reason !== "Unschedulable") return undefined;
  const said = oneLine(unscheduled.message ?? "");
  if (/persistentvolumeclaim/i.test(said)) {
    const trouble = claimTrouble(name, inputs);
    if (trouble !== undefined) return trouble;
  }
  return {
    reason: reasons.UNSCHEDULABLE,
    message: `no node takes its pod (${said}): make room, or change ${podFields[name]}`,
  };
}

/** A claim without a volume, which only the Controller waits for. */
function claimTrouble(name: string, inputs: Inputs): Trouble | undefined {
  if (name !== CONTROLLER || !isSqlite(inputs.spec.database)) return undefined;
  const claim = inputs.snapshot.get(PersistentVolumeClaim, SQLITE_CLAIM);
  const look = `kubectl -n ${inputs.namespace} describe pvc ${SQLITE_CLAIM}`;
  if (claim?.status?.phase === "Lost") {
    return {
      reason: reasons.CLAIM_LOST,
      message:
        `the volume of PersistentVolumeClaim ${SQLITE_CLAIM} is gone: bring it back, or delete the claim to ` +
        "begin with an empty database",
    };
  }
  if (claim?.status?.phase !== "Pending") return undefined;
  const storageClass = claim.spec?.storageClassName;
  return {
    reason: reasons.CLAIM_PENDING,
    message: storageClass === undefined
      ? `PersistentVolumeClaim ${SQLITE_CLAIM} names no storage class, and the cluster has no default one: mark a ` +
        `StorageClass as default, or name one in spec.storage.storageClassName; see ${look}`
      : `PersistentVolumeClaim ${SQLITE_CLAIM} waits for a volume of storage class ${storageClass}: see ${look}, and ` +
        "where there is no such class correct spec.storage.storageClassName",
  };
}

function isPodOf({ metadata }: Pod, deployment: string): boolean {
  const owner = metadata?.ownerReferences?.find(({ controller }) => controller === true);
  // The Deployment names its ReplicaSets by itself and a hash without a dash.
  return owner?.kind === "ReplicaSet" && owner.name.slice(0, owner.name.lastIndexOf("-")) === deployment;
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
