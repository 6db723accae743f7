/** The claim of the sqlite database: what becomes of it when `spec.storage` changes. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Event, PersistentVolumeClaim } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { conditionOf, type Json, scenario, type Scene } from "./harness.ts";
import { eventually, pause } from "./waiting.ts";

const CLAIM = "controller-sqlite";
const storageClasses: Resource = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "StorageClass",
  plural: "storageclasses",
  namespaced: false,
};

/** A class of the shared cluster; nothing makes volumes of it but the played storage. */
async function storageClass(scene: Scene, name: string, allowVolumeExpansion: boolean): Promise<string> {
  const object = { metadata: { name }, provisioner: "example.org/played", allowVolumeExpansion };
  await scene.client.create(storageClasses, object as KubeObject).catch((error) => {
    if (!isStatus(error, 409)) throw error;
  });
  return name;
}

const sizeOf = ({ spec }: PersistentVolumeClaim) => spec?.resources?.requests?.["storage"];
const claimOf = (scene: Scene) => scene.get(PersistentVolumeClaim, CLAIM);

async function untilSize(scene: Scene, size: string): Promise<void> {
  await eventually(
    `a claim of ${size}`,
    () => claimOf(scene),
    (claim) => sizeOf(claim) === size && claim.status?.phase === "Bound",
    { show: (claim) => `${sizeOf(claim)} ${claim.status?.phase}` },
  );
}

/** Changes the storage to what cannot be; the claim stays as it is. */
async function expectRefusal(scene: Scene, storage: Json, reason: string, message: RegExp): Promise<void> {
  const before = await claimOf(scene);
  await scene.change({ storage });
  const refused = await scene.until("the refusal", (object) => {
    const stalled = conditionOf(object, "Stalled");
    return stalled?.status === "True" && stalled.observedGeneration === object.metadata.generation;
  });
  const stalled = conditionOf(refused, "Stalled");
  assertEquals(stalled?.reason, reason);
  assertMatch(stalled?.message ?? "", message);
  assertEquals((await claimOf(scene)).spec, before.spec);
}

scenario(
  "the claim grows with the spec, never shrinks or moves, and may be grown by others",
  async (scene) => {
    scene.operateHere((_, proceed) => proceed());
    const storageClassName = await storageClass(scene, "e2e-growing", true);
    await scene.create({ storage: { size: "1024Mi", storageClassName } });
    await scene.untilReady();
    await untilSize(scene, "1Gi");
    const { metadata, spec } = await claimOf(scene);
    assertEquals(spec?.storageClassName, storageClassName);
    const deployment = await scene.get(Deployment, "controller");

    await scene.change({ storage: { size: "1.5Gi" } });
    await untilSize(scene, "1536Mi");
    await scene.untilReady();

    await expectRefusal(
      scene,
      { size: "1Gi" },
      "InvalidSpec",
      /^spec\.storage\.size must be at least 1536Mi, as claim controller-sqlite: a claim cannot shrink\. Set it back/,
    );
    await scene.change({ storage: { size: "1.5Gi" } });
    await scene.untilReady();
    await expectRefusal(
      scene,
      { storageClassName: "e2e-other" },
      "InvalidSpec",
      /^spec\.storage\.storageClassName must be e2e-growing, as claim controller-sqlite/,
    );
    await scene.change({ storage: { storageClassName } });
    await scene.untilReady();

    const target = { namespace: scene.namespace, name: CLAIM };
    const patch = { spec: { resources: { requests: { storage: "3Gi" } } } };
    await scene.client.patch(PersistentVolumeClaim, target, { type: "merge", patch });
    await untilSize(scene, "3Gi");
    const grownAt = Date.now();
    await pause(500);
    await scene.untilReady();
    assertEquals(
      (await scene.writes(grownAt)).filter((write) => write.includes("persistentvolumeclaims")),
      [],
    );

    await scene.change({ storage: null });
    await eventually(
      "nothing to be asked of the claim",
      () => claimOf(scene),
      (claim) => claim.metadata?.annotations?.["iofog.org/storage-size"] === undefined,
    );
    await scene.untilReady();
    const left = await claimOf(scene);
    assertEquals([left.metadata?.uid, sizeOf(left), left.spec?.storageClassName], [
      metadata?.uid,
      "3Gi",
      storageClassName,
    ]);
    assertEquals(
      (await scene.get(Deployment, "controller")).metadata?.generation,
      deployment.metadata?.generation,
    );
  },
);

scenario(
  "a claim without a volume is made again once it is deleted, and one that cannot grow says so",
  async (scene) => {
    const { namespace } = scene;
    scene.operateHere((_, proceed) => proceed());
    const storageClassName = await storageClass(scene, "e2e-fixed", false);
    const releases = [
      scene.kubelet.storage.hold({ namespace }),
      scene.kubelet.pods.hold({ namespace, labels: { name: "controller" } }),
    ];
    await scene.create({ storage: { storageClassName: "e2e-nowhere" } });
    const first = await eventually(
      "the claim",
      () => scene.find(PersistentVolumeClaim, CLAIM),
      (claim) => claim !== undefined,
    );
    await eventually(
      "the Controller",
      () => scene.find(Deployment, "controller"),
      (found) => found !== undefined,
    );
    await expectRefusal(
      scene,
      { storageClassName },
      "InvalidSpec",
      new RegExp(
        "^spec\\.storage\\.storageClassName must be e2e-nowhere.*no volume and no data yet, delete it, and it is made " +
          `again as the spec says: kubectl -n ${namespace} delete persistentvolumeclaim ${CLAIM}$`,
      ),
    );
    await scene.client.delete(PersistentVolumeClaim, { namespace, name: CLAIM });
    await eventually(
      "another claim",
      () => scene.find(PersistentVolumeClaim, CLAIM),
      (claim) =>
        claim?.spec?.storageClassName === storageClassName && claim.metadata?.uid !== first?.metadata?.uid,
    );
    for (const release of releases) {
      release();
    }
    await untilSize(scene, "1Gi");
    await scene.untilReady();

    const askedAt = Date.now();
    await expectRefusal(
      scene,
      { size: "2Gi" },
      "Rejected",
      /spec\.storage\.size cannot be reached, since the claim's storage class does not let it grow: set it back, or set allowVolumeExpansion/,
    );
    await pause(1_500);
    const tries = (await scene.writes(askedAt)).filter((write) => write.includes("persistentvolumeclaims"));
    assertEquals([...new Set(tries)], [`patch persistentvolumeclaims/${CLAIM} 403`]);
    // What only a change can mend is tried again after 2 s at the soonest, and later each time.
    assert(tries.length <= 1 + (Date.now() - askedAt) / 2_000, tries.join("\n"));
    const told = (await scene.list(Event)).filter(({ reason }) => reason === "Rejected");
    assertEquals(told.length, 1, told.map(({ message }) => message).join("\n"));
    await scene.change({ storage: { size: null } });
    await scene.untilReady();
  },
);
