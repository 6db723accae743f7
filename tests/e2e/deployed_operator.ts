/**
 * Plays the kubelet for the pods of Deployment `iofog-operator`: each replica is the program from source, with the
 * permissions of the image, the arguments and the environment of the Deployment, and the rights of its ServiceAccount.
 *
 * It follows the Deployment as a rollout would: another pod template is another process, started before the old one
 * ends; no Deployment, no process.
 */

import { systemClock } from "../../src/clock.ts";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { kubeconfigForServiceAccount } from "../cluster/mod.ts";
import type { Scene } from "./harness.ts";
import { containerPermissions, type OperatorProcess, startProgram } from "./operator_process.ts";

/** The operators that a Deployment runs. */
export interface DeployedOperators extends AsyncDisposable {
  /** Those that run, oldest first. */
  readonly running: readonly OperatorProcess[];
}

interface Replica {
  readonly template: string;
  readonly process: OperatorProcess;
}

const pollMs = 200;

/** What is played otherwise than by default. */
export interface PlayOperatorPodsOptions {
  /** Whether an image is of this program; pods of others run, and do nothing. @default all are */
  readonly isOurs?: (image: string) => boolean;
  /** @default that of the scene's own Controller */
  readonly controllerUrl?: string;
}

/** Starts playing; ends with its disposal. */
export function playOperatorPods(
  scene: Scene,
  { isOurs = () => true, controllerUrl = scene.controller.url }: PlayOperatorPodsOptions = {},
): DeployedOperators {
  const deployment = "iofog-operator";
  const replicas: Replica[] = [];
  const stopping = new AbortController();
  const ended = follow();
  return {
    get running() {
      return replicas.map(({ process }) => process);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await ended;
    },
  };

  async function follow(): Promise<void> {
    let started = 0;
    while (!stopping.signal.aborted) {
      const object = await scene.find(Deployment, deployment);
      const isThere = object !== undefined && object.metadata?.deletionTimestamp === undefined;
      const template = JSON.stringify([object?.metadata?.uid, object?.spec?.template]);
      const image = object?.spec?.template.spec?.containers[0]?.image ?? "";
      const wanted = isThere && isOurs(image) ? object.spec?.replicas ?? 1 : 0;
      const current = replicas.filter((replica) => replica.template === template);
      for (let index = current.length; index < wanted; index++) {
        try {
          const process = await start(
            scene,
            controllerUrl,
            object as Deployment,
            `${deployment}-${started++}`,
          );
          replicas.push({ template, process });
        } catch (error) {
          // A kubelet waits for the service account, too.
          if (!isStatus(error, 404)) throw error;
          break;
        }
      }
      const kept = isThere
        ? replicas.filter((replica) => replica.template === template).slice(0, wanted)
        : [];
      for (const replica of replicas.filter((each) => !kept.includes(each))) {
        replicas.splice(replicas.indexOf(replica), 1);
        await replica.process.stop();
      }
      await systemClock.sleep(pollMs);
    }
    for (const { process } of replicas) await process.stop();
  }
}

async function start(
  scene: Scene,
  controllerUrl: string,
  deployment: Deployment,
  podName: string,
): Promise<OperatorProcess> {
  const pod = deployment.spec?.template?.spec;
  const [container] = pod?.containers ?? [];
  const account = pod?.serviceAccountName ?? "default";
  const kubeconfig = await kubeconfigForServiceAccount(scene.cluster, scene.namespace, account);
  const fields: Readonly<Record<string, string>> = {
    "metadata.namespace": scene.namespace,
    "metadata.name": podName,
  };
  const env = (container?.env ?? []).map(({ name, value, valueFrom }) => [
    name,
    value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ""] ?? "",
  ]);
  return startProgram({
    args: [
      ...container?.args ?? [],
      // What a pod has from its surroundings, and ports of its own, which processes on one machine do not have.
      `--kubeconfig=${kubeconfig}`,
      `--controller-url=${controllerUrl}`,
      "--metrics-addr=127.0.0.1:0",
      "--health-addr=127.0.0.1:0",
    ],
    // The program in a container leaves proxies to who sets them.
    env: { NO_PROXY: "127.0.0.1", ...Object.fromEntries(env) },
    permissions: containerPermissions(scene.cluster.dir),
  });
}
