/**
 * Drift: whatever somebody does to a child is put right, and what they added stays.
 *
 * The fields come from the operator's own requests, so that a field that is planned tomorrow is tested tomorrow.
 */

import { assert, assertEquals } from "@std/assert";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import type { Service } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { controlPlaneDefinition } from "../../src/resources/controlplane/iofog/definition.ts";
import { titleOf } from "../golden/recordings.ts";
import { conditionOf, scenario, type Scene } from "./harness.ts";
import { disturbance, type Leaf, leavesOf } from "./leaves.ts";
import { present } from "../json.ts";
import { eventually } from "./waiting.ts";

/** A child as the operator first wrote it. */
interface Written {
  readonly resource: Resource;
  readonly body: KubeObject;
}

/**
 * What nobody can do to a child, since the API server refuses it: by disturbance, title and path. Everything else must
 * be possible, and put right.
 */
const refused: readonly RegExp[] = [
  // Immutable, or tied to something immutable.
  /^(edit|remove) Deployment \S+ spec\.selector\./,
  /^(edit|remove) Deployment \S+ spec\.template\.metadata\.labels\./,
  /^edit RoleBinding \S+ roleRef\./,
  /^remove RoleBinding \S+ roleRef\.(kind|name)$/,
  /^edit Secret \S+ type$/,
  // Nothing else would be valid.
  /^edit Deployment router spec\.strategy\.type$/,
  /^edit Deployment \S+ .*\.fieldRef\.apiVersion$/,
  /^edit RoleBinding \S+ subjects\[0\]\.kind$/,
  /^edit Deployment \S+ .*\.volumeMounts\[[^\]]+\]\.name$/,
  /^edit Deployment \S+ .*\.volumes\[[^\]]+\]\.name$/,
  // Required.
  /^remove \S+ \S+ metadata\.ownerReferences\[[^\]]+\]\.(apiVersion|kind|name|uid)$/,
  /^remove Role router rules\[0\]\.(apiGroups|resources)\[0\]$/,
  /^remove RoleBinding \S+ subjects\[0\]\.(kind|name)$/,
  /^remove Service \S+ spec\.ports\[[^\]]+\]\.(name|port)$/,
  /^remove Deployment \S+ .*\.(containers|volumes)\[[^\]]+\](\.name|\.image)?$/,
  /^remove Deployment \S+ .*\.env\[[^\]]+\](\.name|\.valueFrom\.\w+\.(fieldPath|name|key))$/,
  /^remove Deployment \S+ .*\.httpGet\.port$/,
  /^remove Deployment \S+ .*\.volumeMounts\[[^\]]+\]\.(name|mountPath)$/,
  /^remove Deployment \S+ .*\.(secret\.secretName|persistentVolumeClaim\.claimName)$/,
];

scenario("each field of each child is put right, when it is edited and when it is removed", async (scene) => {
  const { namespace } = scene;
  // Pods would only slow this down; a claim that no pod uses can go when the garbage collector thinks that it must.
  scene.kubelet.pods.hold({ namespace });
  // A volume that comes late would look like an edit.
  scene.kubelet.storage.hold({ namespace });
  for (const name of ["controller", "router"]) {
    scene.kubelet.cloud.assign({ namespace, name }, { ip: "192.0.2.77" });
  }
  const written = await install(scene);
  assertEquals(written.size, 20);
  for (const { body } of written.values()) {
    if (body.kind !== "Deployment") continue;
    // Or each change of a template would be rolled out.
    const patch = { spec: { paused: true } };
    await scene.client.patch(Deployment, { namespace, name: nameOf(body) }, { type: "merge", patch });
  }
  const reports = await Promise.all([...written.values()].map((child) => disturbEverything(scene, child)));
  const outcomes = reports.flat();
  const count = (outcome: string) => outcomes.filter((each) => each.outcome === outcome).length;
  const unexpected = outcomes.filter(({ what, outcome }) =>
    (outcome === "refused") !== refused.some((pattern) => pattern.test(what))
  );
  assertEquals(unexpected.map(({ what, outcome }) => `${outcome}: ${what}`), []);
  assert(count("repaired") > 300, `only ${count("repaired")} repairs`);
});

interface Disturbed {
  readonly what: string;
  readonly outcome: "repaired" | "refused" | "without effect";
}

/** Edits and removes each field of a child, one after the other. */
async function disturbEverything(scene: Scene, { resource, body }: Written): Promise<readonly Disturbed[]> {
  const name = nameOf(body);
  const baseline = comparable(await scene.get(resource, name));
  const outcomes: Disturbed[] = [];
  for (const leaf of fieldsToKeep(resource, body)) {
    for (const kind of ["edit", "remove"] as const) {
      if (kind === "edit" && typeof leaf.value === "object") continue;
      const what = `${kind} ${titleOf(body)} ${leaf.path}`;
      const outcome = await disturb(scene, resource, name, kind, leaf, baseline);
      outcomes.push({ what, outcome });
      if (outcome !== "repaired") continue;
      await eventually(
        `the repair of: ${what}`,
        () => scene.find(resource, name),
        (live) => live !== undefined && comparable(live) === baseline,
        { show: (live) => live === undefined ? "it is gone" : comparable(live) },
      );
    }
  }
  return outcomes;
}

/** What the operator keeps right: of what it made once, only the metadata. */
function fieldsToKeep(resource: Resource, body: KubeObject): readonly Leaf[] {
  const madeOnce = isGenerated(body) || body.kind === "PersistentVolumeClaim";
  return leavesOf(resource, body).filter(({ path }) => !madeOnce || path.startsWith("metadata"));
}

async function disturb(
  scene: Scene,
  resource: Resource,
  name: string,
  kind: "edit" | "remove",
  leaf: Leaf,
  baseline: string,
): Promise<Disturbed["outcome"]> {
  const { namespace } = scene;
  for (let attempt = 1;; attempt++) {
    // Where it seemed to have another owner, the garbage collector may have been faster.
    const live = present(
      await eventually(
        `${resource.kind} ${name}`,
        () => scene.find(resource, name),
        (found) => found !== undefined,
      ),
    );
    const version = {
      op: "test",
      path: "/metadata/resourceVersion",
      value: live.metadata?.resourceVersion,
    } as const;
    const operations = [version, disturbance(kind, leaf, live)];
    try {
      const changed = await scene.client.patch(resource, { namespace, name }, { type: "json", operations });
      return comparable(changed) === baseline ? "without effect" : "repaired";
    } catch (error) {
      // A patch whose `test` fails names no field: somebody was faster, such as the controller of Deployments.
      if (isStatus(error, 422) && error.causes.length > 0) return "refused";
      if (!isStatus(error, 422) && !isStatus(error, 409) || attempt === 50) throw error;
    }
  }
}

/** Installs a control plane and returns what was sent to the API server to create each child. */
async function install(scene: Scene): Promise<ReadonlyMap<string, Written>> {
  const written = new Map<string, Written>();
  const kinds = controlPlaneDefinition().childResources;
  scene.operateHere((request, proceed) => {
    const resource = kinds.find(({ plural }) => plural === request.plural);
    const body = request.options.bodyJson as KubeObject | undefined;
    const creates = request.verb === "create" || request.verb === "apply";
    if (creates && resource !== undefined && body !== undefined && !written.has(titleOf(body))) {
      written.set(titleOf(body), { resource, body });
    }
    return proceed();
  });
  await scene.create();
  await scene.until(
    "everything to be written",
    (object) =>
      conditionOf(object, "ObjectsApplied")?.status === "True" &&
      conditionOf(object, "AddressesKnown")?.status === "True" &&
      conditionOf(object, "RouterRegistered")?.status === "True",
  );
  return written;
}

/** What the API server chooses; and `paused`, which is lost with an object that the garbage collector was faster with. */
const unstable: ReadonlySet<string> = new Set([
  ...["clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort"],
  "paused",
]);

/** What must be as before, as text: without what the API server writes, or what a repair may make anew. */
function comparable(object: KubeObject): string {
  const { metadata, status: _status, data, ...rest } = object as Service & { data?: Record<string, string> };
  const annotations = withoutNoise(metadata?.annotations);
  return JSON.stringify(
    {
      ...rest,
      ...(data === undefined || isGenerated(object) ? {} : { data }),
      metadata: { labels: metadata?.labels, annotations, ownerReferences: metadata?.ownerReferences },
    },
    (key, value) => {
      if (unstable.has(key)) return undefined;
      if (key === "annotations") return withoutNoise(value);
      return isRecord(value) ? inOrder(value) : value;
    },
  );
}

/** Whether the operator made up the contents: lost ones come back as others. */
function isGenerated(object: KubeObject): boolean {
  return /^(Secret router-|ConfigMap iofog-inventory)/.test(titleOf(object));
}

/** Revisions change with every repair of the Secret that they are about. */
function withoutNoise(annotations: Record<string, string> | undefined): Record<string, string> | undefined {
  const kept = Object.entries(annotations ?? {}).filter(([name]) =>
    !name.startsWith("iofog.org/revision") && name !== "deployment.kubernetes.io/revision"
  );
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function inOrder(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => one.localeCompare(other)));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function nameOf(object: KubeObject): string {
  return object.metadata?.name ?? "";
}
