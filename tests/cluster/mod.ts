/** The local cluster of dev mode and of the tests, and what plays the parts that it lacks. */

export * from "./binaries.ts";
export * from "./cluster.ts";
export * from "./interruption.ts";
export * from "./kubeconfig.ts";
export * from "./progress.ts";
export * from "./shared.ts";
export * from "./supervised_process.ts";
export * from "./kubelet.ts";
export { type LoadBalancerAddress, playedMessage } from "./played_status.ts";
export * from "./audit.ts";
