/** The status of a PoT control plane: which parts it has, and what else it tells. */

import { PersistentVolumeClaim } from "../../../kubernetes/generated/core_v1.ts";
import type { StatusContext, StatusDraft } from "../../../operator/definition.ts";
import { SQLITE_CLAIM } from "../claim.ts";
import type { Warning } from "../component.ts";
import { isSqlite } from "../fields.ts";
import * as reasons from "../reasons.ts";
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
import { certificatePairs } from "./certificates.ts";
import { CONTROLLER, keptAuth } from "./controller.ts";
import { assess, type Assessment } from "./desired.ts";
import { AUTHORITY, DEFAULT_ROUTER, facts, NATS_HUB, natsHub, VIEWER_CLIENT } from "./external.ts";
import type { Images, SiteImages } from "./images.ts";
import type { Inputs } from "./inputs.ts";
import { NATS } from "./nats.ts";
import { ROUTER } from "./router.ts";

/** The status that a ControlPlane should have. */
export function status(given: StatusContext, images?: Images, site?: SiteImages): StatusDraft {
  const assessment = assess(given, images, site);
  // People can work without it: it never keeps a control plane from being ready.
  const isViewer = (object: string) => object.startsWith(`${VIEWER_CLIENT} `);
  const context: StatusContext = {
    ...given,
    pending: given.pending.filter((object) => !isViewer(object)),
    failures: given.failures.filter(({ object }) => !isViewer(object)),
  };
  const told = given.snapshot.external(given.parent.metadata.uid).facts;
  const unread = { reason: told[facts.viewerReason], message: told[facts.viewerMessage] };
  const viewer = [unread, ...given.failures.filter(({ object }) => isViewer(object))].flatMap((
    { message, reason },
  ): Warning[] =>
    reason === undefined ? [] : [{
      reason,
      message: `the root URL of the viewer's client cannot be kept right: ${message}`,
    }]
  );
  return statusOf(context, {
    accepted: assessment.accepted,
    parts: partsOf(context, assessment),
    warnings: [...assessment.warnings, ...viewer],
    fields: fieldsOf(context, assessment),
    certificates: Object.values(certificatePairs).flatMap(({ authority, leaf }) => [authority, leaf]),
    isReadyOfGo: ({ observedGeneration, reason }) =>
      reason === "initial_status" && observedGeneration === context.parent.metadata.generation,
    tellsUpdating: true,
  });
}

/** What runs pods. */
export function workloadsOf({ snapshot, spec }: Inputs) {
  const { database } = spec;
  const workload = (kind: Workload["kind"], name: keyof typeof spec.pods & string): Workload => ({
    kind,
    name,
    selector: `datasance.com/component=${name}`,
    imageField: `spec.images.${name}`,
    podField: `spec.pods.${name}`,
  });
  return {
    controller: {
      ...workload("Deployment", CONTROLLER),
      database,
      ...(isSqlite(database) && {
        claims: [SQLITE_CLAIM],
        storageClassField: "spec.storage.storageClassName",
      }),
    },
    router: workload("Deployment", ROUTER),
    nats: {
      ...workload("StatefulSet", NATS),
      claims: snapshot.list(PersistentVolumeClaim).map(({ metadata }) => metadata?.name ?? "")
        .filter((name) => /^js-data-nats-\d+$/.test(name)),
      storageClassField: "spec.nats.jetStream.storageClassName",
    },
  } satisfies Record<string, Workload>;
}

const notProved = {
  status: "False",
  reason: reasons.NOT_ASKED,
  message:
    "Keycloak has not been asked yet as spec.auth says; the Controller keeps what it was told until then",
} as const;

/** Parts that only the Controller can tell of. */
const askedFor = [
  "ControllerReachable",
  "Authenticated",
  "RouterRegistered",
  "AuthoritiesImported",
  "NatsRegistered",
];

function partsOf(context: StatusContext, assessment: Assessment): readonly Part[] {
  if (!assessment.accepted || context.desired.problems.length > 0) return [];
  const { inputs, waiting } = assessment;
  const { controller, nats, router } = workloadsOf(inputs);
  const external = context.snapshot.external(context.parent.metadata.uid);
  const hasHub = natsHub(inputs) !== undefined;
  // Why the Controller does not tell says more.
  const awaited = waitingParts(
    external.facts[facts.natsReason] === undefined
      ? waiting
      : waiting.filter(({ reason }) => reason !== reasons.NATS_BOOTSTRAP_PENDING),
  );
  const isBootstrap = ({ reason }: Part) => reason === reasons.NATS_BOOTSTRAP_PENDING;
  return [
    objectsPart(context),
    ...awaited.filter((part) => !isBootstrap(part)),
    workloadPart("ControllerAvailable", controller, inputs),
    workloadPart("RouterAvailable", router, inputs),
    ...controllerParts(context, hasHub).map((part) =>
      part.type === "Authenticated" && part.status === "True" && keptAuth(inputs) !== undefined
        ? { ...part, ...notProved }
        : part
    ),
    // Last, since they wait for all of the above, which may tell why.
    ...awaited.filter(isBootstrap),
    ...(inputs.spec.nats.enabled ? [workloadPart("NatsAvailable", nats, inputs)] : []),
  ];
}

function controllerParts(context: StatusContext, hasHub: boolean): readonly Part[] {
  const external = context.snapshot.external(context.parent.metadata.uid);
  if (external.phase === "unknown") {
    return rememberedParts(context, askedFor.filter((type) => hasHub || type !== "NatsRegistered"));
  }
  const login = external.facts[facts.loginReason];
  return [
    reachablePart(external),
    login !== undefined || external.phase !== "observed"
      ? {
        type: "Authenticated",
        status: "False",
        reason: login ?? reasons.NOT_REGISTERED,
        message: external.facts[facts.loginMessage] ?? "the operator logs in once the Controller answers",
      }
      : {
        type: "Authenticated",
        status: "True",
        reason: reasons.REGISTERED,
        message: "Keycloak and the Controller accept the operator",
      },
    ...(external.facts[facts.natsReason] === undefined ? [] : [{
      type: "NatsBootstrapped",
      status: "False" as const,
      reason: external.facts[facts.natsReason] ?? "",
      message: `the Controller does not tell what NATS needs: ${external.facts[facts.natsMessage]}`,
    }]),
    externalPart("RouterRegistered", DEFAULT_ROUTER, {
      waiting: "the default router is registered once its address is known and the operator is logged in",
      done: "the Controller has the default router's address",
    }, context),
    externalPart("AuthoritiesImported", AUTHORITY, {
      waiting: "the certificate authorities are imported once they are made and the operator is logged in",
      done: "the Controller has the certificate authorities",
    }, context),
    ...(hasHub
      ? [externalPart("NatsRegistered", NATS_HUB, {
        waiting: "NATS is registered once its address is known and the operator is logged in",
        done: "the Controller has the address of NATS",
      }, context)]
      : []),
  ];
}

function fieldsOf(context: StatusContext, assessment: Assessment): Readonly<Record<string, unknown>> {
  if (!assessment.accepted) return {};
  const external = context.snapshot.external(context.parent.metadata.uid);
  const before = context.parent.status as { controllerVersion?: string } | undefined;
  const fields = {
    controllerVersion: external.facts[facts.controllerVersion] ?? before?.controllerVersion,
    controllerAddress: assessment.addresses.controller,
    controllerEndpoint: assessment.addresses.controllerEndpoint,
    routerAddress: assessment.addresses.router?.host,
    natsAddress: assessment.addresses.nats,
    viewerUrl: assessment.addresses.viewer,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
