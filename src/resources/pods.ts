/**
 * What a custom resource may say of the pods of one of its components: the fields, and the pod template with them.
 *
 * A field that is not set adds nothing to the template, so that nothing restarts where nobody asks for it.
 */

import * as z from "zod";
import type {
  Affinity,
  Container,
  PodSecurityContext,
  PodSpec,
  PodTemplateSpec,
  SecurityContext,
  Toleration,
  TopologySpreadConstraint,
} from "../kubernetes/generated/core_v1.ts";
import { kubernetesShape, kubernetesShapes, quantity } from "./kubernetes_shape.ts";

/** Annotations that begin so are the operator's. */
const OWN_ANNOTATIONS = "iofog.org/";

const texts = (description: string) => z.record(z.string(), z.string()).meta({ description });
const amounts = (description: string) => z.record(z.string(), quantity("An amount.")).meta({ description });

/** The fields about the pods of `component`; its selector needs `ownLabels`. */
export function podSettings(component: string, ownLabels: readonly string[]) {
  return z.strictObject({
    labels: texts(`More labels of the pods; ${ownLabels.join(", ")} cannot be among them.`)
      .superRefine(refuseKeys((key) => ownLabels.includes(key), "the operator selects the pods by it"))
      .optional(),
    annotations: texts(`More annotations of the pods; none that begins with ${OWN_ANNOTATIONS}.`)
      .superRefine(refuseKeys((key) => key.startsWith(OWN_ANNOTATIONS), "the operator writes it itself"))
      .optional(),
    resources: z.strictObject({
      requests: amounts("What the container is sure to get, such as `cpu: 100m` and `memory: 128Mi`.")
        .optional(),
      limits: amounts("What the container gets at most.").optional(),
    }).optional().meta({ description: "Processor time, memory and other resources of the container." }),
    nodeSelector: texts("Labels that a node must have for the pods to run there.").optional(),
    tolerations: kubernetesShapes<Toleration>("Toleration", "Taints of nodes that the pods tolerate.")
      .optional(),
    affinity: kubernetesShape<Affinity>("Affinity", "Where the scheduler should place the pods.").optional(),
    topologySpreadConstraints: kubernetesShapes<TopologySpreadConstraint>(
      "TopologySpreadConstraint",
      "How the pods are spread over nodes, zones and the like.",
    ).optional(),
    podSecurityContext: kubernetesShape<PodSecurityContext>(
      "PodSecurityContext",
      "Security settings of the whole pod (`securityContext` of a pod).",
    ).optional(),
    securityContext: kubernetesShape<SecurityContext>(
      "SecurityContext",
      "Security settings of the container (`securityContext` of a container).",
    ).optional(),
    priorityClassName: z.string().optional().meta({ description: "PriorityClass of the pods." }),
  }).prefault({}).meta({
    description: `The pods of ${component}. A change restarts them, as their update strategy says.`,
  });
}

/** What `podSettings` accepts. */
export type PodSettings = z.output<ReturnType<typeof podSettings>>;

function refuseKeys(isOwn: (key: string) => boolean, reason: string) {
  return (given: Readonly<Record<string, string>>, context: z.RefinementCtx) => {
    for (const key of Object.keys(given).filter(isOwn)) {
      context.addIssue({ code: "custom", message: `must not contain ${key}: ${reason}` });
    }
  };
}

/** What a component says of its pods: one container, and what goes around it. */
export interface PodParts {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly container: Container;
  readonly spec: Omit<PodSpec, "containers">;
}

/** The pod template of a component, with what the custom resource says of its pods. */
export function podTemplate({ labels, annotations, container, spec }: PodParts, settings: PodSettings) {
  const allAnnotations = { ...settings.annotations, ...annotations };
  const { resources, securityContext, podSecurityContext } = settings;
  const template: PodTemplateSpec = {
    metadata: {
      labels: { ...settings.labels, ...labels },
      ...(Object.keys(allAnnotations).length > 0 && { annotations: allAnnotations }),
    },
    spec: {
      ...spec,
      ...given("nodeSelector", settings.nodeSelector),
      ...given("tolerations", settings.tolerations),
      ...given("affinity", settings.affinity),
      ...given("topologySpreadConstraints", settings.topologySpreadConstraints),
      ...given("securityContext", podSecurityContext),
      ...given("priorityClassName", settings.priorityClassName),
      containers: [{
        ...container,
        ...given("resources", resources),
        ...given("securityContext", securityContext),
      }],
    },
  };
  return template;
}

/** The field, if there is something in it: server-side apply would own an empty one for nothing. */
function given<Name extends string, Value>(name: Name, value: Value | undefined): { [key in Name]?: Value } {
  const empty = value === undefined ||
    (typeof value === "object" && Object.keys(value as object).length === 0);
  return empty ? {} : { [name]: value } as { [key in Name]?: Value };
}

/** Fields of a pod template that come from settings, by their path in a Deployment and in the settings. */
const FIELD_PATHS: readonly (readonly [path: string, setting: string])[] = [
  ["spec.template.labels", "labels"],
  ["spec.template.metadata.labels", "labels"],
  ["spec.template.annotations", "annotations"],
  ["spec.template.metadata.annotations", "annotations"],
  ["spec.template.spec.containers[0].resources", "resources"],
  ["spec.template.spec.containers[0].securityContext", "securityContext"],
  ["spec.template.spec.nodeSelector", "nodeSelector"],
  ["spec.template.spec.tolerations", "tolerations"],
  ["spec.template.spec.affinity", "affinity"],
  ["spec.template.spec.topologySpreadConstraints", "topologySpreadConstraints"],
  ["spec.template.spec.securityContext", "podSecurityContext"],
  ["spec.template.spec.priorityClassName", "priorityClassName"],
];

/** What the API server says against a Deployment, in terms of the custom resource's field `settings`. */
export function inTermsOfSettings(message: string, settings: string): string {
  return FIELD_PATHS.reduce((text, [path, name]) => text.replaceAll(path, `${settings}.${name}`), message);
}
