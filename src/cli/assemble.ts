/** Puts the parts together: from flags and environment to an engine that could run. */

import { type Clock, systemClock } from "../clock.ts";
import { KubernetesClient } from "../kubernetes/client.ts";
import { loadConnection } from "../kubernetes/config.ts";
import {
  type ConnectionConfig,
  type Environment,
  noProxyForLoopback,
} from "../kubernetes/connection_config.ts";
import { createFetchTransport } from "../kubernetes/fetch_transport.ts";
import { isInCluster } from "../kubernetes/in_cluster.ts";
import type { Transport } from "../kubernetes/transport.ts";
import { createOperator, type Operator } from "../operator/operator.ts";
import { edgeManaged } from "../resources/edge/managed.ts";
import { createLogger, type Logger } from "../telemetry/log.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import { createRedactor, type Redactor } from "../telemetry/redaction.ts";
import { version } from "../version.ts";
import type { Flags } from "./flags.ts";
import {
  controlPlanes as controlPlaneResources,
  findApplications,
  findFlavours,
  type Flavour,
} from "./flavours.ts";
import { readRelatedImages, type SiteImagesOf } from "./related_images.ts";
import { locateController } from "./locate_controller.ts";

/** Field manager, name of the Lease's holder, source of Events. */
export const component = "iofog-operator";

/** What every operator of this process works with. */
export interface Surroundings {
  readonly client: KubernetesClient;
  readonly connection: ConnectionConfig;
  readonly namespace: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly siteImages: SiteImagesOf;
  /** Names this process. */
  readonly identity: string;
  /** The ServiceAccount of the namespace that this process is; undefined where it is something else. */
  readonly serviceAccount: string | undefined;
  /** Closes connections. */
  close(): void;
}

/** Everything that a command works with. */
export interface Assembly extends Surroundings, Operator {}

export interface AssembleOptions {
  readonly flags: Flags;
  readonly environment: Environment;
  /** Takes log lines. */
  readonly writeLog: (line: string) => void;
  readonly isTerminal: boolean;
  /** Sets NO_PROXY for this process. */
  readonly bypassProxy?: (noProxy: string) => void;
  /** Aborted when this process has to stop: nothing new is written then. */
  readonly stopping: AbortSignal;
  /** @default the system's */
  readonly clock?: Clock;
  /** Where a test can break things. */
  readonly wrapTransport?: (transport: Transport) => Transport;
  /** URL of a NATS server's monitor, where a test plays it. @default inside of the cluster */
  readonly natsMonitorAt?: (server: string, namespace: string) => string;
}

/**
 * Reads the configuration, looks which flavours there are to look after, and puts an operator of them together.
 *
 * @throws ConfigError
 */
export async function assemble(options: AssembleOptions): Promise<Assembly> {
  const surroundings = await connect(options);
  const { client, namespace } = surroundings;
  // What is wrong with the API server shows when it is used.
  const flavours = await findFlavours(client, namespace, options.stopping).catch(() => []);
  const operator = await operatorOf(surroundings, options, flavours);
  return {
    ...surroundings,
    ...operator,
    close() {
      operator.close();
      surroundings.close();
    },
  };
}

/**
 * Reads the configuration and connects to the API server; no request is sent yet.
 *
 * @throws ConfigError
 */
export async function connect(options: AssembleOptions): Promise<Surroundings> {
  const { flags, environment } = options;
  const clock = options.clock ?? systemClock;
  const siteImages = readRelatedImages(environment.variable);
  const redactor = createRedactor();
  const format = flags["log-format"] === "auto"
    ? (options.isTerminal ? "text" : "json")
    : flags["log-format"];
  const log = createLogger({ level: flags["log-level"], format, write: options.writeLog, redactor, clock });
  const metrics = createMetrics({ version, clock });
  const connection = await loadConnection(environment, { path: flags.kubeconfig, context: flags.context });
  const noProxy = environment.variable("NO_PROXY") || environment.variable("no_proxy");
  const direct = noProxyForLoopback(connection.server, noProxy);
  // Before the first HTTP client is made: each reads the variables once.
  if (direct !== undefined && hasProxy(environment)) options.bypassProxy?.(direct);
  const transport = createFetchTransport(withLearning(connection, redactor), {
    userAgent: `${component}/${version}`,
    clock,
    onRequest: ({ method, host, status }) => metrics.apiRequest({ method, host, code: status }),
  });
  const client = new KubernetesClient(options.wrapTransport?.(transport) ?? transport, clock);
  const namespace = flags.namespace ?? connection.namespace ?? "default";
  const podName = environment.variable("POD_NAME") ?? environment.variable("HOSTNAME") ?? component;
  return {
    client,
    connection,
    namespace,
    log,
    metrics,
    redactor,
    clock,
    siteImages,
    identity: `${podName}_${clock.uuid()}`,
    serviceAccount: await ownServiceAccount(connection, namespace),
    close: () => transport.close?.(),
  };
}

/** From the token of a ServiceAccount, which is a JWT that says whose it is; anything else says nothing. */
async function ownServiceAccount(
  connection: ConnectionConfig,
  namespace: string,
): Promise<string | undefined> {
  try {
    const { authorization = "" } = await connection.credentials({ rejected: false });
    const payload = authorization.split(".")[1] ?? "";
    const bytes = Uint8Array.fromBase64(payload, { alphabet: "base64url" });
    const { sub } = JSON.parse(new TextDecoder().decode(bytes)) as { readonly sub?: unknown };
    const prefix = `system:serviceaccount:${namespace}:`;
    return typeof sub === "string" && sub.startsWith(prefix) ? sub.slice(prefix.length) : undefined;
  } catch {
    return undefined;
  }
}

/** An operator of these flavours; with none it is one of ioFog, which then tells that its CRD is missing. */
export async function operatorOf(
  surroundings: Surroundings,
  { environment, flags, natsMonitorAt, stopping }: Pick<
    AssembleOptions,
    "environment" | "flags" | "natsMonitorAt" | "stopping"
  >,
  flavours: readonly Flavour[],
): Promise<Operator & { readonly close: () => void }> {
  const { client, clock, identity, log, metrics, namespace, redactor, siteImages } = surroundings;
  const locateOptions = {
    url: flags["controller-url"],
    inCluster: isInCluster(environment) && flags.kubeconfig === undefined,
    client,
  };
  const onRequest = ({ method, route, status }: { method: string; route: string; status: number }) =>
    metrics.externalRequest({ method, path: route.replace(/:(\w+)/g, "{$1}"), code: status });
  // Loaded when it is served: a flavour costs time and memory.
  const flavourManaged = {
    iofog: async () => {
      const [{ createControllerClient }, { ControllerBackend }, { controlPlaneDefinition }] = await Promise
        .all([
          import("../controller/client.ts"),
          import("../resources/controlplane/iofog/backend.ts"),
          import("../resources/controlplane/iofog/definition.ts"),
        ]);
      const definition = controlPlaneDefinition(siteImages.iofog);
      const backend = new ControllerBackend({
        clock,
        locate: (parent, snapshot, signal) => locateController(locateOptions, parent, snapshot, signal),
        connect: (url) => createControllerClient({ baseUrl: url, clock, onRequest }),
      });
      return { definition, backend, group: "iofog.org" as const };
    },
    pot: async () => {
      const [
        { createKeycloakClient },
        { createPotControllerClient },
        { PotBackend },
        { controllerAddress },
        { potDefinition },
      ] = await Promise.all([
        import("../controller/keycloak.ts"),
        import("../controller/pot_client.ts"),
        import("../resources/controlplane/pot/backend.ts"),
        import("../resources/controlplane/pot/controller.ts"),
        import("../resources/controlplane/pot/definition.ts"),
      ]);
      const definition = potDefinition(siteImages.pot, undefined, surroundings.serviceAccount);
      const backend = new PotBackend({
        clock,
        locate: (parent, snapshot, signal) =>
          locateController(locateOptions, parent, snapshot, signal, controllerAddress(parent, snapshot)),
        connectKeycloak: (keycloak) => createKeycloakClient({ ...keycloak, clock, onRequest }),
        connect: (controller) => createPotControllerClient({ ...controller, clock, onRequest }),
        ...(natsMonitorAt && { natsMonitorAt }),
      });
      return { definition, backend, group: "datasance.com" as const };
    },
  };
  const controlPlanes = await Promise.all(
    (flavours.length === 0 ? ["iofog"] as const : flavours).map(async (flavour) => {
      // What is wrong with the API server shows when it is used.
      const applications = findApplications(client, controlPlaneResources[flavour].group, stopping).catch(
        () => undefined,
      );
      return { ...await flavourManaged[flavour](), applications: await applications };
    }),
  );
  const edge = controlPlanes.flatMap(({ applications, backend, definition, group }) => {
    const access = (uid: string) => backend.access(uid);
    return edgeManaged({ clock, group, controlPlane: definition, access, applications });
  });
  const operator = createOperator({
    client,
    namespace,
    component,
    annotationPrefix: "iofog.org",
    // The name of the Go operators' program.
    predecessors: ["iofog-operator"],
    identity,
    managed: [...controlPlanes.map(({ backend, definition }) => ({ backend, definition })), ...edge],
    clock,
    log,
    metrics,
    redactor,
    resyncMs: flags["resync-interval"],
    stopping,
  });
  return {
    ...operator,
    close() {
      for (const { backend } of controlPlanes) backend.close();
    },
  };
}

/** The credentials of this process are secrets too. */
function withLearning(connection: ConnectionConfig, redactor: Redactor): ConnectionConfig {
  return {
    ...connection,
    async credentials(options) {
      const credentials = await connection.credentials(options);
      const token = credentials.authorization?.replace(/^\S+ /, "");
      if (token !== undefined) redactor.learn(token);
      if (credentials.clientCertificate !== undefined) redactor.learn(credentials.clientCertificate.key);
      return credentials;
    },
  };
}

function hasProxy(environment: Environment): boolean {
  return ["HTTPS_PROXY", "https_proxy"].some((name) => Boolean(environment.variable(name)));
}
