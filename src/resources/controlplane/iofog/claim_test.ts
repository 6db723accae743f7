import { assertEquals } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { AppliedChild } from "../../../operator/definition.ts";
import { desired } from "./desired.ts";
import { childName, contextOf, NAMESPACE, snapshotOf, user } from "./fixtures.ts";

const database = {
  provider: "postgres",
  host: "db.example.com",
  port: 5432,
  user: "iofog",
  password: "Fake-Db-Pass",
  databaseName: "iofog",
};

interface Claim {
  readonly size?: string;
  readonly storageClass?: string;
  readonly volumeName?: string;
  readonly annotations?: Record<string, string>;
}

/** A claim of the ControlPlane with a volume. */
function claim({ size = "5Gi", storageClass = "fast", volumeName = "v", annotations = {} }: Claim = {}) {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: "controller-sqlite",
      namespace: NAMESPACE,
      annotations: { "iofog.org/owner-uid": "parent-uid", ...annotations },
    },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: size } },
      storageClassName: storageClass,
      ...(volumeName !== "" && { volumeName }),
    },
    status: { phase: volumeName === "" ? "Pending" : "Bound" },
  } as KubeObject;
}

function claimIn(spec: object, ...live: KubeObject[]): AppliedChild | undefined {
  const { children, problems } = desired(contextOf({ user, ...spec }, snapshotOf(live)));
  assertEquals(problems, []);
  return children.find((child) =>
    childName(child) === "PersistentVolumeClaim controller-sqlite"
  ) as AppliedChild;
}

// deno-lint-ignore no-explicit-any -- tests reach deep into manifests.
const sizeOf = (child: AppliedChild | undefined) => (child?.object as any).spec.resources.requests.storage;

function problemsOf(storage: object, live: KubeObject): readonly (readonly [string | undefined, string])[] {
  const { children, problems } = desired(contextOf({ user, storage }, snapshotOf([live])));
  assertEquals(children, []);
  return problems.map(({ field, message }) => [field, message]);
}

Deno.test("a new claim has the size and class of the spec, else 1Gi and the cluster's class", () => {
  const access = { accessModes: ["ReadWriteOnce"] };
  assertEquals(claimIn({})?.object, {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "controller-sqlite", namespace: NAMESPACE },
    ...{ spec: { ...access, resources: { requests: { storage: "1Gi" } } } },
  });
  const set = claimIn({ storage: { size: "2048Mi", storageClassName: "fast" } })?.object;
  assertEquals(set?.metadata.annotations, {
    "iofog.org/storage-size": "2Gi",
    "iofog.org/storage-class": "fast",
  });
  assertEquals((set as { spec?: unknown }).spec, {
    ...access,
    resources: { requests: { storage: "2Gi" } },
    storageClassName: "fast",
  });
});

Deno.test("a claim with a volume grows with the spec, and stays as it is otherwise", () => {
  assertEquals(sizeOf(claimIn({ storage: { size: "10Gi" } }, claim())), "10Gi");
  assertEquals(sizeOf(claimIn({}, claim())), "5Gi");
  // Somebody made it larger than the spec asked for, which has not changed since.
  const grown = claim({ size: "20Gi", annotations: { "iofog.org/storage-size": "10Gi" } });
  assertEquals(sizeOf(claimIn({ storage: { size: "10Gi" } }, grown)), "20Gi");
  // Before there is a volume the API server refuses it.
  assertEquals(sizeOf(claimIn({ storage: { size: "10Gi" } }, claim({ volumeName: "" }))), "5Gi");
});

Deno.test("a claim cannot shrink, nor change its class, and the problem names the field and the remedy", () => {
  const back = "Set it back; for another volume, back up the database and restore it into a new claim";
  const shrink = "must be at least 5Gi, as claim controller-sqlite: a claim cannot shrink.";
  assertEquals(problemsOf({ size: "4Gi" }, claim()), [["spec.storage.size", `${shrink} ${back}`]]);
  const asked = claim({ annotations: { "iofog.org/storage-size": "5Gi" } });
  assertEquals(problemsOf({ size: "4Gi" }, asked), [["spec.storage.size", `${shrink} ${back}`]]);
  const other = "must be fast, as claim controller-sqlite: the class of a claim cannot change.";
  assertEquals(problemsOf({ storageClassName: "slow" }, claim()), [[
    "spec.storage.storageClassName",
    `${other} ${back}`,
  ]]);
  const remake =
    "Set it back; or, since the claim has no volume and no data yet, delete it, and it is made again as the spec " +
    `says: kubectl -n ${NAMESPACE} delete persistentvolumeclaim controller-sqlite`;
  const unbound = claim({ volumeName: "", annotations: { "iofog.org/storage-class": "fast" } });
  for (const storage of [{ storageClassName: "slow" }, {}]) {
    assertEquals(problemsOf(storage, unbound), [["spec.storage.storageClassName", `${other} ${remake}`]]);
  }
  assertEquals(
    claimIn({ storage: {} }, claim({ annotations: { "iofog.org/storage-class": "fast" } }))?.object
      .metadata.annotations,
    undefined,
  );
});

Deno.test("somebody else's claim is no problem of the spec, but a conflict", () => {
  const { metadata, ...rest } = claim();
  const foreign = { ...rest, metadata: { ...metadata, annotations: {} } } as KubeObject;
  assertEquals(claimIn({ storage: { size: "1Gi" } }, foreign) !== undefined, true);
});

Deno.test("a claim whose database was moved away stays, and follows the deletion policy", () => {
  assertEquals(claimIn({ database }), undefined);
  assertEquals(claimIn({ database, deletionPolicy: "Retain" }, claim())?.retained, true);
  assertEquals(claimIn({ database, storage: { size: "1Gi" } }, claim())?.retained, undefined);
  const theirs = claim({ annotations: { "iofog.org/owner-uid": "other-uid" } });
  assertEquals(claimIn({ database, deletionPolicy: "Retain" }, theirs), undefined);
});
