/** `iofog-operator run`: keeps everything as the custom resources say, until SIGTERM. */

import type { Resource } from "../kubernetes/resource.ts";
import { isDenied, type KindState } from "../operator/definition.ts";
import type { Engine } from "../operator/engine.ts";
import type { Operator } from "../operator/operator.ts";
import { isOptional, keyOf } from "../operator/store.ts";
import { startHealthServer } from "../telemetry/health.ts";
import { version } from "../version.ts";
import { type AssembleOptions, connect, operatorOf } from "./assemble.ts";
import { controlPlanes, findApplications, findFlavours, type Flavour } from "./flavours.ts";

/** Intervals without a pass, or a list, after which the process calls itself unready. */
const missedPasses = 3;

/** Milliseconds between two looks for flavours, where there are none and where there are some. */
const lookAgainMs = 5_000;
const lookForMoreMs = 30_000;

/** Runs until `options.stopping` aborts; returns the exit code. */
export async function run(options: AssembleOptions): Promise<number> {
  const surroundings = await connect(options);
  const { clock, client, log, metrics, namespace, redactor } = surroundings;
  const { flags, environment, stopping } = options;
  const resyncMs = flags["resync-interval"];
  let lastPass: number | undefined;
  let operator: Operator | undefined;
  const health = startHealthServer({
    metricsAddress: flags["metrics-addr"],
    healthAddress: flags["health-addr"],
    live: [{ name: "loop", failure: () => operator?.engine.heartbeat.stuck() }],
    ready: [
      {
        name: "kubernetes",
        failure: () =>
          operator === undefined ? "it has just begun" : unlisted(operator.engine, missedPasses * resyncMs),
      },
      { name: "lease", failure: () => operator?.leases.map(({ problem }) => problem).find(Boolean) },
      {
        name: "reconcile",
        failure: () => {
          // A standby is ready: a rollout that keeps the old pod until the new one is ready would wait for ever.
          if (operator?.leases.every((lease) => lease.held) === false) return undefined;
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
    server: surroundings.connection.server,
    source: surroundings.connection.source,
    metrics: health.metricsUrl,
    health: health.healthUrl,
  });
  if (environment.variable("WATCH_NAMESPACE") === "" && flags.namespace === undefined) {
    log.info("WATCH_NAMESPACE is empty: this operator manages one namespace, not the whole cluster", {
      namespace,
    });
  }
  const look = (known?: (flavour: Flavour) => KindState | undefined) =>
    findFlavours(client, namespace, stopping, known).catch((error) => {
      log.debug("could not look which control planes are served", { error });
      return undefined;
    });
  /** Others than `present`, as soon as there are: then the operator that looks after these ends. */
  const nextFlavours = async (
    present: readonly Flavour[],
    { engine }: Operator,
    change: AbortController,
    over: AbortSignal,
  ): Promise<readonly Flavour[]> => {
    const snapshot = engine.store.snapshot();
    while (!over.aborted) {
      await clock.sleep(present.length === 0 ? lookAgainMs : lookForMoreMs, over);
      if (over.aborted) break;
      const found = await look((flavour) =>
        present.includes(flavour) ? snapshot.kind(controlPlanes[flavour]) : undefined
      );
      // A CRD that is gone may come back, and nothing is pruned meanwhile.
      if (found === undefined || found.length === 0) continue;
      const isSame = found.join() === (present.join() || "iofog");
      if (isSame && !await areApplicationsElsewhere(engine)) continue;
      log.info("other control planes are served than before", { flavours: found });
      change.abort();
      return found;
    }
    return present;
  };
  /** Whether Applications are served under another plural than the one that was there at first. */
  const areApplicationsElsewhere = async ({ managed, store }: Engine): Promise<boolean> => {
    for (const { definition: { resource } } of managed) {
      const { phase } = store.snapshot().kind(resource);
      if (resource.kind !== "Application" || phase === "synced" || phase === "pending") continue;
      const plural = await findApplications(client, resource.group, stopping).catch(() => undefined);
      if (plural !== undefined && plural !== resource.plural) return true;
    }
    return false;
  };
  try {
    let flavours = await look() ?? [];
    while (!stopping.aborted) {
      const change = new AbortController();
      const current = await operatorOf(
        surroundings,
        { ...options, stopping: AbortSignal.any([stopping, change.signal]) },
        flavours,
      );
      operator = current;
      for (const { definition: { resource } } of current.engine.managed) {
        const controller = resource.kind.toLowerCase();
        const names = { controller, controllerGroup: resource.group, controllerKind: resource.kind };
        log.info("Starting Controller", names);
        log.info("Starting workers", { ...names, "worker count": 1 });
      }
      const ended = new AbortController();
      const watching = nextFlavours(flavours, current, change, AbortSignal.any([stopping, ended.signal]));
      try {
        await current.run({ onPass: () => lastPass = clock.monotonic() });
      } finally {
        ended.abort();
        flavours = await watching;
        current.close();
      }
    }
    return 0;
  } finally {
    await health.close();
    surroundings.close();
  }
}

function isControlPlane(resource: Resource): boolean {
  return Object.values(controlPlanes).some((each) => keyOf(each) === keyOf(resource));
}

/** Which kinds could not be listed for longer than `patienceMs`, and what to do; undefined when there are none. */
function unlisted(engine: Engine, patienceMs: number): string | undefined {
  const snapshot = engine.store.snapshot();
  const isPassing = (resource: Resource) => engine.store.failingMs(resource) <= patienceMs;
  const definitions = engine.managed.map(({ definition }) => definition);
  const problems = engine.store.resources.flatMap((resource) => {
    const state = snapshot.kind(resource);
    const lacking = state.phase === "absent" || isDenied(state);
    if (lacking && isOptional(definitions, resource)) return [];
    switch (state.phase) {
      case "synced":
        return [];
      case "pending":
        return [`${resource.plural} have not been listed yet`];
      case "absent":
        return isControlPlane(resource)
          ? [
            `the CRD ${resource.plural}.${resource.group} is not installed: iofog-operator crds | kubectl apply -f -`,
          ]
          : [`${resource.plural} are not served`];
      case "failed":
        if (isPassing(resource)) return [];
        // What a Role denies and somebody wants is told by the ControlPlane; the rest goes on without it.
        return state.denied && !isControlPlane(resource) ? [] : [state.message];
    }
  });
  const server = engine.store.resources.filter((resource) => !isPassing(resource))
    .map((resource) => snapshot.kind(resource))
    .find((state) => state.phase === "failed" && state.server);
  if (server?.phase === "failed") return server.message;
  return problems.length === 0 ? undefined : problems.join("; ");
}
