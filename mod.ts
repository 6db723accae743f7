/**
 * The engine as a library: a level-triggered operator for custom resources of any kind.
 *
 * Write a `Definition` (pure functions from what is to what should be) and give it to `createOperator`.
 * `examples/tenants` is a small one, `src/resources/controlplane` a large one.
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
export * from "./src/operator/operator.ts";
export * from "./src/operator/ownership.ts";
export * from "./src/operator/plan.ts";
export * from "./src/operator/write.ts";
export { type Clock, systemClock } from "./src/clock.ts";
export { KubernetesClient } from "./src/kubernetes/client.ts";
export { loadConnection } from "./src/kubernetes/config.ts";
export type { ConnectionConfig, Environment } from "./src/kubernetes/connection_config.ts";
export { createFetchTransport } from "./src/kubernetes/fetch_transport.ts";
export type { KubeObject, ObjectMeta, Resource } from "./src/kubernetes/resource.ts";
export * as apps from "./src/kubernetes/generated/apps_v1.ts";
export * as core from "./src/kubernetes/generated/core_v1.ts";
export * as rbac from "./src/kubernetes/generated/rbac_v1.ts";
export { startHealthServer } from "./src/telemetry/health.ts";
export { createLogger, type Logger } from "./src/telemetry/log.ts";
export { createMetrics, type Metrics } from "./src/telemetry/metrics.ts";
export { createRedactor, type Redactor } from "./src/telemetry/redaction.ts";
