/**
 * A small operator: each `Tenant` gets a ConfigMap with its settings and a ServiceAccount.
 *
 *   kubectl apply -f examples/tenants/crd.yaml
 *   deno run --allow-net --allow-read --allow-env examples/tenants/main.ts NAMESPACE
 *   kubectl apply -f examples/tenants/tenant.yaml
 */

import {
  core,
  createFetchTransport,
  createLogger,
  createMetrics,
  createOperator,
  createRedactor,
  type Definition,
  KubernetesClient,
  loadConnection,
  type Operator,
  type Resource,
  systemClock,
} from "../../mod.ts";

/** `tenants.example.com`. */
export const Tenant: Resource = {
  group: "example.com",
  version: "v1",
  kind: "Tenant",
  plural: "tenants",
  namespaced: true,
};

/** What a Tenant becomes, and what is said of it. */
export const tenants: Definition = {
  resource: Tenant,
  leaseName: "tenants.example.com",
  childResources: [core.ConfigMap, core.ServiceAccount],
  neverPruned: [],
  secretNames: () => [],
  crdSchema: {},
  singleton: false,
  secretsIn: () => [],
  desired({ parent }) {
    const { name, namespace } = parent.metadata;
    const { owner, settings = {} } = parent.spec as {
      readonly owner?: string;
      readonly settings?: Readonly<Record<string, string>>;
    };
    if (owner === undefined) {
      return {
        children: [],
        problems: [{
          reason: "InvalidSpec",
          field: "spec.owner",
          message: "is missing: name who looks after the tenant",
        }],
      };
    }
    const metadata = { namespace, labels: { owner } };
    return {
      children: [
        {
          type: "applied",
          resource: core.ConfigMap,
          object: {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { ...metadata, name: `${name}-settings` },
            data: settings,
          },
        },
        {
          type: "applied",
          resource: core.ServiceAccount,
          object: { apiVersion: "v1", kind: "ServiceAccount", metadata: { ...metadata, name } },
        },
      ],
      problems: [],
    };
  },
  status({ desired, pending, failures }) {
    const [trouble] = [
      ...desired.problems.map(({ reason, field, message }) => ({ reason, message: `${field} ${message}` })),
      ...failures,
      ...pending.map((object) => ({ reason: "Applying", message: `to be written: ${object}` })),
    ];
    const { reason, message } = trouble ?? { reason: "Ready", message: "everything is there" };
    return {
      conditions: [{ type: "Ready", status: trouble === undefined ? "True" : "False", reason, message }],
      fields: {},
    };
  },
};

/** The operator for one namespace, connected as `environment` says. */
export async function createTenantOperator(namespace: string, stopping: AbortSignal): Promise<Operator> {
  const clock = systemClock;
  const redactor = createRedactor();
  const connection = await loadConnection({
    variable: (name) => Deno.env.get(name),
    readTextFile: (path) => Deno.readTextFile(path),
    run: () => Promise.reject(new Error("this example runs no credential plugins")),
  });
  const transport = createFetchTransport(connection, { userAgent: "tenants", clock });
  return createOperator({
    client: new KubernetesClient(transport, clock),
    namespace,
    component: "tenants",
    annotationPrefix: "example.com",
    identity: clock.uuid(),
    managed: [{ definition: tenants }],
    clock,
    log: createLogger({ level: "info", format: "text", write: console.log, redactor, clock }),
    metrics: createMetrics({ version: "0.0.0", clock }),
    redactor,
    resyncMs: 30_000,
    stopping,
  });
}

if (import.meta.main) {
  const stop = new AbortController();
  Deno.addSignalListener("SIGINT", () => stop.abort());
  Deno.addSignalListener("SIGTERM", () => stop.abort());
  await (await createTenantOperator(Deno.args[0] ?? "default", stop.signal)).run();
}
