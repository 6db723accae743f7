/**
 * What the programs of the control plane and the clients of it are, and what a place answers that may have them.
 */

import type { Progress } from "./progress.ts";

/** The version that is downloaded or built; go.mod in `binaries/` names the same. */
export const kubernetesVersion = "1.34.4";

/** The programs without which there is no cluster. */
export const binaryNames = ["etcd", "kube-apiserver", "kube-controller-manager"] as const;

export type BinaryName = typeof binaryNames[number];

/** The clients and servers that tests run. */
export const toolNames = ["kubectl", "helm", "nats-server"] as const;

export type ToolName = typeof toolNames[number];

/** Whatever is looked for. */
export type ProgramName = BinaryName | ToolName;

/** The version of helm that is downloaded or built; go.mod in `binaries/helm/` names the same. */
export const helmVersion = "3.22.0";

/** What a place that may have programs is asked with. */
export interface Search {
  readonly missing: readonly ProgramName[];
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What such a place answers. */
export interface Found {
  readonly paths: ReadonlyMap<ProgramName, string>;
  /** Why the rest is not here; one line for the error message. */
  readonly remark?: string | undefined;
}

/** One place that may have programs. Throws only when aborted. */
export type BinarySource = (search: Search) => Promise<Found>;

/** A name beside the final one for a file that is still being written; `removeLeftovers` knows it. */
export function temporaryPath(directory: string, name: string): string {
  return `${directory}/.partial-${name}-${crypto.randomUUID()}`;
}
