/** `iofog-operator status`: the edge compute network as one picture. */

import { stringify } from "@std/yaml";
import { Deployment, StatefulSet } from "../kubernetes/generated/apps_v1.ts";
import { Service } from "../kubernetes/generated/core_v1.ts";
import type { Condition, Parent, Snapshot } from "../operator/definition.ts";
import { CONTROLLER } from "../resources/controlplane/iofog/controller.ts";
import { PORT_MANAGER } from "../resources/controlplane/iofog/port_manager.ts";
import { ROUTER } from "../resources/controlplane/iofog/router.ts";
import { PotControlPlane } from "../resources/controlplane/pot/definition.ts";
import { NATS } from "../resources/controlplane/pot/nats.ts";
import { assemble, type AssembleOptions } from "./assemble.ts";
import { CommandError } from "./command_error.ts";
import { controlPlanes } from "./flavours.ts";
import type { Engine } from "../operator/engine.ts";
import type { EdgeGroup } from "../resources/edge/crds.ts";
import { drawEdge, type EdgePicture, edgeRows } from "./edge_picture.ts";
import { readEverything } from "./once.ts";

/** What `-o json` and `-o yaml` give for each control plane. */
export interface Picture {
  readonly name: string;
  readonly namespace: string;
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
  readonly controllerVersion?: string | undefined;
  readonly controllerEndpoint?: string | undefined;
  readonly routerAddress?: string | undefined;
  /** Of a PoT control plane, like `viewerUrl`. */
  readonly natsAddress?: string | undefined;
  readonly viewerUrl?: string | undefined;
  readonly components: readonly {
    readonly name: string;
    readonly available: number;
    readonly wanted: number;
    readonly image?: string | undefined;
    readonly service?: string | undefined;
  }[];
  readonly conditions: readonly Condition[];
  readonly edge: EdgePicture;
}

/** Prints the picture; returns 0 when every control plane is ready, else 1. */
export async function status(
  options: AssembleOptions & { readonly print: (text: string) => void },
): Promise<number> {
  const assembly = await assemble(options);
  try {
    await readEverything(assembly, options.stopping);
    const snapshot = assembly.engine.store.snapshot();
    const pictures = Object.values(controlPlanes)
      .flatMap((resource) => snapshot.list(resource) as readonly Parent[])
      .map((parent) => draw(parent, snapshot, pluralOf(assembly.engine, parent)));
    const format = options.flags.output;
    const print = (text: string) => options.print(assembly.redactor.clean(text));
    if (format === "json") print(`${JSON.stringify(pictures, undefined, 2)}\n`);
    else if (format === "yaml") print(stringify(JSON.parse(JSON.stringify(pictures))));
    else if (pictures.length === 0) {
      throw new CommandError(
        `there is no ControlPlane in namespace ${assembly.namespace}: apply one, or choose another with --namespace`,
      );
    } else print(pictures.map(render).join("\n"));
    return pictures.length > 0 && pictures.every(({ ready }) => ready) ? 0 : 1;
  } finally {
    assembly.close();
  }
}

/**
 * The picture of one control plane.
 *
 * @param applications Plural of the Applications, where another is served.
 */
export function draw(parent: Parent, snapshot: Snapshot, applications?: string): Picture {
  const stored = (parent.status ?? {}) as {
    conditions?: readonly Condition[];
    controllerVersion?: string;
    controllerEndpoint?: string;
    routerAddress?: string;
    natsAddress?: string;
    viewerUrl?: string;
  };
  const conditions = stored.conditions ?? [];
  const verdict = conditions.find(({ type }) => type === "Ready");
  const current = verdict?.observedGeneration === parent.metadata.generation;
  return {
    name: parent.metadata.name,
    namespace: parent.metadata.namespace,
    ready: verdict?.status === "True" && current,
    reason: verdict?.reason ?? "NotSeen",
    message: verdict === undefined
      ? "no operator has looked at it yet"
      : current
      ? verdict.message
      : `the operator has not looked at the latest change yet (before it: ${verdict.message})`,
    controllerVersion: stored.controllerVersion,
    controllerEndpoint: stored.controllerEndpoint,
    routerAddress: stored.routerAddress,
    natsAddress: stored.natsAddress,
    viewerUrl: stored.viewerUrl,
    components: componentsOf(parent).map((name) => {
      const deployment = snapshot.get(Deployment, name) ?? snapshot.get(StatefulSet, name);
      const service = snapshot.get(Service, name);
      return {
        name,
        available: deployment?.status?.availableReplicas ?? 0,
        wanted: deployment?.spec?.replicas ?? 0,
        image: deployment?.spec?.template.spec?.containers[0]?.image,
        service: service === undefined ? undefined : describeService(service),
      };
    }),
    conditions,
    edge: drawEdge(snapshot, groupOf(parent), applications),
  };
}

function groupOf({ apiVersion }: Parent): EdgeGroup {
  return apiVersion?.startsWith("datasance.com/") ? "datasance.com" : "iofog.org";
}

/** Under which plural the Applications beside a control plane are served. */
function pluralOf({ managed }: Engine, parent: Parent): string | undefined {
  return managed.map(({ definition: { resource } }) => resource)
    .find(({ group, kind }) => kind === "Application" && group === groupOf(parent))?.plural;
}

function componentsOf({ apiVersion }: Parent): readonly string[] {
  return apiVersion?.startsWith(`${PotControlPlane.group}/`)
    ? [CONTROLLER, ROUTER, NATS]
    : [CONTROLLER, ROUTER, PORT_MANAGER];
}

function describeService(service: Service): string {
  const ingress = service.status?.loadBalancer?.ingress?.[0];
  const address = ingress?.hostname || ingress?.ip;
  const type = service.spec?.type ?? "ClusterIP";
  const ports = (service.spec?.ports ?? []).map(({ port, nodePort }) =>
    type === "NodePort" && nodePort !== undefined ? `${port}:${nodePort}` : port
  );
  const place = type === "LoadBalancer" ? ` ${address || "(no address yet)"}` : "";
  return `${type}${place} ports ${ports.join(", ")}`;
}

function render(picture: Picture): string {
  const facts = [
    ["Controller", picture.controllerVersion],
    ["Endpoint", picture.controllerEndpoint],
    ["Router", picture.routerAddress],
    ["NATS", picture.natsAddress],
    ["Viewer", picture.viewerUrl],
  ].filter(([, value]) => value !== undefined).map(([name, value]) => `  ${name?.padEnd(12)}${value}\n`).join(
    "",
  );
  const table = columns([
    ["COMPONENT", "PODS", "IMAGE", "SERVICE"],
    ...picture.components.map(({ name, available, wanted, image, service }) => [
      name,
      `${available}/${wanted}`,
      image ?? "-",
      service ?? "-",
    ]),
  ]);
  const verdicts = new Set(["deploying", "updating", "ready", "Ready", "Reconciling", "Stalled"]);
  const parts = picture.conditions.filter(({ type }) => !verdicts.has(type));
  const conditions = columns([
    ["CONDITION", "STATUS", "REASON", "MESSAGE"],
    ...parts.map(({ type, status, reason, message }) => [type, status, reason, message]),
  ]);
  return `ControlPlane ${picture.namespace}/${picture.name}: ${
    picture.ready ? "ready" : `not ready (${picture.reason})`
  }\n` +
    `  ${picture.message}\n${facts}\n${table}\n${conditions}` +
    edgeRows(picture.edge).map((rows) => `\n${columns(rows)}`).join("");
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    `  ${
      row.map((cell, column) => column === row.length - 1 ? cell : cell.padEnd((widths[column] ?? 0) + 2))
        .join("")
    }\n`
  ).join("");
}
