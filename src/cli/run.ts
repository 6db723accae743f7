/** `iofog-operator run`: keeps everything as the custom resources say, until SIGTERM. */

import type { Resource } from "../kubernetes/resource.ts";
import { isOptional, keyOf } from "../operator/store.ts";
import { ControlPlane } from "../resources/controlplane/iofog/definition.ts";
import { startHealthServer } from "../telemetry/health.ts";
import { version } from "../version.ts";
import { assemble, type AssembleOptions, type Assembly } from "./assemble.ts";

/** Intervals without a pass, or a list, after which the process calls itself unready. */
const missedPasses = 3;

/** Runs until `options.stopping` aborts; returns the exit code. */
export async function run(options: AssembleOptions): Promise<number> {
  const assembly = await assemble(options);
  const { clock, engine, leases, log, metrics, namespace, redactor } = assembly;
  const { flags, environment } = options;
  const resyncMs = flags["resync-interval"];
  let lastPass: number | undefined;
  const health = startHealthServer({
    metricsAddress: flags["metrics-addr"],
    healthAddress: flags["health-addr"],
    live: [],
    ready: [
      { name: "kubernetes", failure: () => unlisted(assembly, missedPasses * resyncMs) },
      { name: "lease", failure: () => leases.map(({ problem }) => problem).find(Boolean) },
      {
        name: "reconcile",
        failure: () => {
          // A standby is ready: a rollout that keeps the old pod until the new one is ready would wait for ever.
          if (!leases.every((lease) => lease.held)) return undefined;
          if (lastPass === undefined) return "no pass has been made yet";
          const silentMs = clock.monotonic() - lastPass;
          return silentMs > missedPasses * resyncMs
            ? `no pass for ${Math.round(silentMs / 1000)} s`
            : undefined;
        },
      },
    ],
    metrics,
    redactor,
    clock,
  });
  log.info("Starting iofog-operator", {
    version,
    namespace,
    server: assembly.connection.server,
    source: assembly.connection.source,
    metrics: health.metricsUrl,
    health: health.healthUrl,
  });
  if (environment.variable("WATCH_NAMESPACE") === "" && flags.namespace === undefined) {
    log.info("WATCH_NAMESPACE is empty: this operator manages one namespace, not the whole cluster", {
      namespace,
    });
  }
  for (const { definition: { resource } } of engine.managed) {
    const controller = resource.kind.toLowerCase();
    const names = { controller, controllerGroup: resource.group, controllerKind: resource.kind };
    log.info("Starting Controller", names);
    log.info("Starting workers", { ...names, "worker count": 1 });
  }
  try {
    await assembly.run({
      onPass: () => {
        lastPass = clock.monotonic();
      },
    });
    return 0;
  } finally {
    await health.close();
    assembly.close();
  }
}

/** Which kinds could not be listed for longer than `patienceMs`, and what to do; undefined when there are none. */
function unlisted({ engine }: Assembly, patienceMs: number): string | undefined {
  const snapshot = engine.store.snapshot();
  const isPassing = (resource: Resource) => engine.store.failingMs(resource) <= patienceMs;
  const definitions = engine.managed.map(({ definition }) => definition);
  const problems = engine.store.resources.flatMap((resource) => {
    const state = snapshot.kind(resource);
    const lacking = state.phase === "absent" || (state.phase === "failed" && state.denied);
    if (lacking && isOptional(definitions, resource)) return [];
    switch (state.phase) {
      case "synced":
        return [];
      case "pending":
        return [`${resource.plural} have not been listed yet`];
      case "absent":
        return keyOf(resource) === keyOf(ControlPlane)
          ? ["the CRD controlplanes.iofog.org is not installed: iofog-operator crds | kubectl apply -f -"]
          : [`${resource.plural} are not served`];
      case "failed":
        if (isPassing(resource)) return [];
        // What a Role denies and somebody wants is told by the ControlPlane; the rest goes on without it.
        return state.denied && keyOf(resource) !== keyOf(ControlPlane) ? [] : [state.message];
    }
  });
  const server = engine.store.resources.filter((resource) => !isPassing(resource))
    .map((resource) => snapshot.kind(resource))
    .find((state) => state.phase === "failed" && state.server);
  if (server?.phase === "failed") return server.message;
  return problems.length === 0 ? undefined : problems.join("; ");
}
