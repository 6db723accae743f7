/**
 * The engine as a library: a level-triggered operator for custom resources of any kind.
 *
 * Write a `Definition` (pure functions from what is to what should be), give it to an `Engine`, and run that with
 * `runLoop`. `src/resources/controlplane` is an example.
 *
 * @module
 */

export * from "./src/operator/definition.ts";
export * from "./src/operator/engine.ts";
export * from "./src/operator/events.ts";
export * from "./src/operator/external.ts";
export * from "./src/operator/inventory.ts";
export * from "./src/operator/lease.ts";
export * from "./src/operator/loop.ts";
export * from "./src/operator/ownership.ts";
export * from "./src/operator/plan.ts";
export * from "./src/operator/write.ts";
export { KubernetesClient } from "./src/kubernetes/client.ts";
export { loadConnection } from "./src/kubernetes/config.ts";
export { createFetchTransport } from "./src/kubernetes/fetch_transport.ts";
export type { KubeObject, ObjectMeta, Resource } from "./src/kubernetes/resource.ts";
