/** What the tables of both flavours have in common: what a table is, and entries that say the same in each. */

import { systemClock } from "../../src/clock.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { makeCa, makeLeaf } from "../../src/resources/pki.ts";
import type { Scene } from "../e2e/harness.ts";
import { eventually } from "../e2e/waiting.ts";
import { type Json, merged } from "../json.ts";
import { registerSecret } from "../secrets.ts";
import type { Shape } from "./arbitrary.ts";
import type { Field } from "./fields.ts";
import type { Walk } from "./walk.ts";

/** What to walk from: changes of the least spec, and what others do once it is ready. */
export interface Base {
  readonly changes: Json;
  readonly prepare?: (scene: Scene) => Promise<void>;
}

/** What is known of the fields of a flavour. */
export interface Table {
  /** Every field below the spec. */
  readonly fields: readonly Field[];
  readonly bases: Readonly<Record<string, Base>>;
  readonly walks: readonly Walk[];
}

export const port = [1, 65535] as const;
export const image = [1, 512] as const;
/** Nothing else of that name is there. */
const part = { examples: ["other"], others: "refused", limits: [1, 253] } as const;

/** What a spec says of an external database. */
export const database = {
  provider: "postgres",
  host: "db.example.com",
  port: 5432,
  user: "iofog",
  password: secret(),
  databaseName: "iofog",
};

/** The API server takes another free one. */
export function portsMadeAnew(name: string): readonly string[] {
  return [`Service ${name} spec (ports \\d+ nodePort|healthCheckNodePort)`];
}

/**
 * A field that names a key of a Secret.
 *
 * @param base Where it is not set: a value in place of a plain one, and back.
 * @param referenced Where it names key `password` of Secret `mine`.
 */
export function referenceWalks(
  field: string,
  { base, referenced }: { readonly base: string; readonly referenced: string },
  effect: Pick<Walk, "changes" | "restarts" | "madeAnew">,
): readonly Walk[] {
  return [
    {
      field,
      base,
      examples: ["mine", "other"].map((name) => ({ name, key: "password" })),
      refused: [{ name: "mine" }, { key: "password" }, { name: "mine", key: "nothing" }, {
        name: "nobody",
        key: "password",
      }],
      ...effect,
    },
    { field: `${field}.name`, base: referenced, ...part, ...effect },
    { field: `${field}.key`, base: referenced, ...part, ...effect },
  ];
}

/** Fields of the pods of a component, with values to be taken and to be refused. */
const podFields: readonly [field: string, examples: readonly unknown[], refused: readonly unknown[]][] = [
  ["labels", [{ tier: "edge" }, { tier: "core", "example.org/a": "b" }], [{ tier: 1 }]],
  ["annotations", [{ "example.org/a": "b c" }], [{ "iofog.org/revision": "1" }]],
  ["resources.requests", [{ cpu: "100m" }, { memory: "64Mi", cpu: "0.5" }], [{ cpu: "much" }]],
  ["resources.limits", [{ cpu: "2" }], [{ cpu: "-1" }]],
  ["nodeSelector", [{ disk: "fast" }], [{ disk: true }]],
  ["tolerations", [[{ key: "edge", operator: "Exists", effect: "NoExecute", tolerationSeconds: 0 }]], [[
    "x",
  ]]],
  ["affinity", [{
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{
        weight: 1,
        podAffinityTerm: { topologyKey: "zone", labelSelector: { matchLabels: { name: "router" } } },
      }],
    },
  }], [{ nodeAffinity: "x" }]],
  [
    "topologySpreadConstraints",
    [[{
      maxSkew: 1,
      topologyKey: "zone",
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels: { name: "router" } },
    }]],
    [[{ maxSkew: 1 }]],
  ],
  ["podSecurityContext", [{ fsGroup: 10000, seccompProfile: { type: "RuntimeDefault" } }], [{
    fsGroup: "x",
  }]],
  ["securityContext", [{ readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } }], [{
    runAsUser: "x",
  }]],
  ["priorityClassName", ["system-cluster-critical"], []],
];

/** What may be said of the Controller's claim. */
export function storageWalks(base: string): readonly Walk[] {
  return [
    // What was asked for is written on the claim; without a volume it cannot grow.
    {
      field: "storage.size",
      base,
      examples: ["1Gi", "2Gi"],
      refused: ["512Mi", "much", "-1Gi", "0"],
      changes: ["PersistentVolumeClaim controller-sqlite"],
    },
    // It cannot change once the claim is there.
    { field: "storage.storageClassName", base, limits: [1, 253], others: "refused", changes: [] },
  ];
}

/** What there is of each component where somebody asks for it. */
export function componentWalks(base: string, components: readonly string[]): readonly Walk[] {
  return ([["podDisruptionBudgets", "PodDisruptionBudget"], ["networkPolicies", "NetworkPolicy"]] as const)
    .map((
      [field, kind],
    ) => ({
      field: `${field}.enabled`,
      base,
      examples: [true],
      others: "untried",
      changes: components.map((name) => `${kind} ${name}`),
    }));
}

/**
 * What may be said of the pods of a component.
 *
 * @param workload Title of what runs them.
 * @param name What the pods are called in the walk.
 * @param ownLabel One that the operator selects them by.
 */
export function podWalks(
  component: string,
  workload: string,
  name: string,
  ownLabel: string,
): readonly Walk[] {
  return podFields.map(([field, examples, refused]): Walk => ({
    field: `pods.${component}.${field}`,
    base: "pods",
    examples,
    // What they may name, and how they fit together, only the API server knows.
    others: "untried",
    refused: field === "labels" ? [{ [ownLabel]: "x" }, ...refused] : refused,
    changes: [workload],
    restarts: [name],
  }));
}

/**
 * For specs of a property test: the bases over `spec`, with the examples of the table.
 *
 * @param areTaken Whether the API server should take what comes of them: of parts of pods only the examples then.
 */
export function shapesOf(
  { bases, fields, walks }: Table,
  spec: Json,
  areTaken: boolean,
): readonly Shape[] {
  const of = (field: Field) => walks.filter((walk) => walk.field === field.name);
  const isPartOfPods = ({ name }: Field) => /^pods\b/.test(name);
  return Object.values(bases).map(({ changes }) => ({
    spec: merged(spec, changes),
    fields,
    examples: (field) => of(field).flatMap((walk) => walk.examples ?? []),
    hasOnlyExamples: (field) => areTaken && isPartOfPods(field),
  }));
}

/** What the user keeps in Secrets. */
export const userSecrets = ["mine", "other"].map((name) => ({
  name,
  values: { password: secret(), other: secret() },
}));

/** Makes `userSecrets`, and certificates of the user's. */
export async function makeSecrets(scene: Scene): Promise<void> {
  const { namespace } = scene;
  for (const { name, values } of userSecrets) {
    await scene.client.create(Secret, { metadata: { namespace, name }, stringData: { ...values } });
  }
  const now = systemClock.now();
  const authority = await makeCa("authority", now);
  const certificate = await makeLeaf(authority, ["192.0.2.2"], now);
  for (const [name, values] of Object.entries({ authority, certificate })) {
    await scene.client.create(Secret, {
      metadata: { namespace, name },
      type: "kubernetes.io/tls",
      stringData: { ...values } as Record<string, string>,
    });
  }
}

/** What a HorizontalPodAutoscaler of the Controller does. */
export async function autoscale(scene: Scene): Promise<void> {
  const target = { namespace: scene.namespace, name: "controller" };
  const patch = { spec: { replicas: 2 } };
  await scene.client.patch(Deployment, target, { type: "merge", patch }, { subresource: "scale" });
  await eventually(
    "two Controllers",
    () => scene.get(Deployment, "controller"),
    ({ status }) => status?.availableReplicas === 2 && status.replicas === 2,
  );
}

export function secret(): string {
  return registerSecret(`Walk-${crypto.randomUUID()}`);
}
