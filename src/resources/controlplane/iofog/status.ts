/** The status of an ioFog control plane: which parts it has, and what else it tells. */

import type { StatusContext, StatusDraft } from "../../../operator/definition.ts";
import {
  externalPart,
  objectsPart,
  type Part,
  reachablePart,
  rememberedParts,
  statusOf,
  waitingParts,
  workloadPart,
} from "../status.ts";
import type { Workload } from "../trouble.ts";
import { ROUTER_CA, ROUTER_LEAVES } from "./certificates.ts";
import { SQLITE_CLAIM } from "../claim.ts";
import { isSqlite } from "../fields.ts";
import { CONTROLLER } from "./controller.ts";
import { assess, type Assessment } from "./desired.ts";
import { DEFAULT_ROUTER, USER } from "./external.ts";
import type { Images, SiteImages } from "./images.ts";
import type { Inputs } from "./inputs.ts";
import { PORT_MANAGER } from "./port_manager.ts";
import { ROUTER } from "./router.ts";

/** The status that a ControlPlane should have. */
export function status(context: StatusContext, images?: Images, site?: SiteImages): StatusDraft {
  const assessment = assess(context, images, site);
  return statusOf(context, {
    accepted: assessment.accepted,
    parts: partsOf(context, assessment),
    warnings: assessment.warnings,
    fields: fieldsOf(context, assessment),
    certificates: [ROUTER_CA, ...ROUTER_LEAVES],
    // The Go operator's conditions tell of no generation.
    isReadyOfGo: ({ observedGeneration }) => observedGeneration === undefined,
    tellsUpdating: false,
  });
}

/** What runs pods. */
export function workloadsOf({ spec }: Inputs) {
  const { database } = spec;
  const deployment = (name: string, field: string): Workload => ({
    kind: "Deployment",
    name,
    selector: `name=${name}`,
    imageField: `spec.images.${field}`,
    podField: `spec.pods.${field}`,
  });
  return {
    controller: {
      ...deployment(CONTROLLER, "controller"),
      database,
      ...(isSqlite(database) && {
        claims: [SQLITE_CLAIM],
        storageClassField: "spec.storage.storageClassName",
      }),
    },
    router: deployment(ROUTER, "router"),
    portManager: deployment(PORT_MANAGER, "portManager"),
  } satisfies Record<string, Workload>;
}

/** Parts that only the Controller can tell of. */
const askedFor = ["ControllerReachable", "UserAuthenticated", "RouterRegistered"];

function partsOf(context: StatusContext, assessment: Assessment): readonly Part[] {
  if (!assessment.accepted || context.desired.problems.length > 0) return [];
  const { inputs, waiting } = assessment;
  const external = context.snapshot.external(context.parent.metadata.uid);
  const { controller, portManager, router } = workloadsOf(inputs);
  return [
    objectsPart(context),
    ...waitingParts(waiting),
    workloadPart("ControllerAvailable", controller, inputs),
    workloadPart("RouterAvailable", router, inputs),
    workloadPart("PortManagerAvailable", portManager, inputs),
    ...(external.phase === "unknown" ? rememberedParts(context, askedFor) : [
      reachablePart(external),
      externalPart("UserAuthenticated", USER, {
        waiting: "the user is signed up once the Controller answers",
        done: "the Controller accepts the user",
      }, context),
      externalPart("RouterRegistered", DEFAULT_ROUTER, {
        waiting: "the default router is registered once its address is known and the user is logged in",
        done: "the Controller has the default router's address",
      }, context),
    ]),
  ];
}

function fieldsOf(context: StatusContext, assessment: Assessment): Readonly<Record<string, unknown>> {
  if (!assessment.accepted) return {};
  const external = context.snapshot.external(context.parent.metadata.uid);
  const before = context.parent.status as { controllerVersion?: string } | undefined;
  const version = external.facts["controllerVersion"] ?? before?.controllerVersion;
  const { addresses } = assessment;
  return {
    ...(version === undefined ? {} : { controllerVersion: version }),
    ...(addresses.controller === undefined ? {} : { controllerAddress: addresses.controller }),
    controllerEndpoint: addresses.controllerEndpoint,
    ...(addresses.router === undefined ? {} : { routerAddress: addresses.router.host }),
  };
}
