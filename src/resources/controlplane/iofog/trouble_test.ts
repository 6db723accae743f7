import { assert, assertEquals, assertMatch } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { assess } from "./desired.ts";
import { contextOf, NAMESPACE, snapshotOf, user } from "./fixtures.ts";
import { type Trouble, troubleOf } from "../trouble.ts";
import { workloadsOf } from "./status.ts";

const database = {
  provider: "postgres",
  host: "db.example.com",
  port: 5432,
  user: "iofog",
  password: "secret-of-the-database",
  databaseName: "ecn",
};

/** A Deployment with one pod wanted, none available, and these conditions. */
function deploymentOf(name: string, conditions: readonly object[] = []): KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: NAMESPACE, generation: 1 },
    spec: { replicas: 1 },
    status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 0, conditions },
  } as KubeObject;
}

/** A pod of a Deployment with this status. */
function podOf(deployment: string, status: object, metadata: object = {}): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${deployment}-6d5f-abcde`,
      namespace: NAMESPACE,
      ownerReferences: [{
        ...{
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: `${deployment}-6d5f`,
          uid: "rs",
          controller: true,
        },
      }],
      ...metadata,
    },
    status,
  } as KubeObject;
}

function waiting(reason: string, message = ""): object {
  return {
    containerStatuses: [{ name: "c", image: "i:1", ready: false, state: { waiting: { reason, message } } }],
  };
}

function crashed(terminated: object, state: object = { waiting: { reason: "CrashLoopBackOff" } }): object {
  const container = {
    name: "c",
    image: "i:1",
    ready: false,
    restartCount: 1,
    state,
    lastState: { terminated },
  };
  return { containerStatuses: [container] };
}

function trouble(
  name: string,
  objects: readonly KubeObject[],
  spec: object = {},
): Trouble | undefined {
  const assessment = assess(contextOf({ user, ...spec }, snapshotOf([deploymentOf(name), ...objects])));
  if (!assessment.accepted) throw new Error("the spec is not accepted");
  const workload = Object.values(workloadsOf(assessment.inputs)).find((each) => each.name === name);
  if (workload === undefined) throw new Error(`no ${name}`);
  return troubleOf(workload, assessment.inputs);
}

Deno.test("troubleOf() tells of an image by the words of the kubelet that stay the same", () => {
  const detail = "rpc error: code = NotFound";
  const said = ["ErrImagePull", "ImagePullBackOff"].map((reason) => {
    const message = reason === "ErrImagePull"
      ? detail
      : `Back-off pulling image "i:1": ErrImagePull: ${detail}`;
    return trouble("router", [podOf("router", waiting(reason, message))]);
  });
  assertEquals(said[0], said[1]);
  assertEquals(said[0], {
    reason: "ImagePullFailed",
    message: "Deployment router: image i:1 cannot be pulled (rpc error: code = NotFound): correct " +
      "spec.images.router, or name a Secret for its registry in spec.images.pullSecret",
  });
  const older = trouble("port-manager", [
    podOf("port-manager", waiting("ImagePullBackOff", 'Back-off pulling image "i:1"')),
  ]);
  assertMatch(older?.message ?? "", /image i:1 cannot be pulled: correct spec\.images\.portManager/);
});

Deno.test("troubleOf() takes whole lines of a termination message, and none that may be cut in a secret", () => {
  const tell = (message: string) =>
    trouble("router", [podOf("router", crashed({ exitCode: 3, message }))])?.message;
  assertMatch(
    tell("starting\nError: no  route to   host\nbye") ?? "",
    /exit code 3: Error: no {2}route to {3}host; read/,
  );
  assertMatch(
    tell("nothing to tell") ?? "",
    /exit code 3; read why: kubectl -n iofog logs deployment\/router --pre/,
  );
  const cut = `of-a-secret error x\n${"x".repeat(3_000)}\nerror half-a-sec`;
  assert(!/secret|half/.test(tell(cut) ?? "of-a-secret"));
});

Deno.test("troubleOf() of a container that runs again says how it ended, until it is ready", () => {
  const running = { running: { startedAt: "2026-01-01T00:00:00Z" } };
  const ended = crashed({ exitCode: 137, reason: "OOMKilled" }, running);
  assertEquals(trouble("router", [podOf("router", ended)]), {
    reason: "CrashLooping",
    message:
      "Deployment router: its container ends with exit code 137 (OOMKilled): raise spec.pods.router.resources.limits.memory",
  });
  const cleanly = crashed({ exitCode: 0, reason: "Completed" }, running);
  assertEquals(trouble("router", [podOf("router", cleanly)])?.reason, "PodsUnavailable");
});

Deno.test("troubleOf() a Controller with an external database names what to check, and never the password", () => {
  const tell = (message: string) =>
    trouble("controller", [podOf("controller", crashed({ exitCode: 1, reason: "Error", message }))], {
      database,
    });
  const refused = tell("SequelizeConnectionRefusedError: connect ECONNREFUSED 10.0.0.1:5432");
  assertEquals(refused, {
    reason: "DatabaseRefused",
    message:
      "Deployment controller: its container ends with exit code 1 (Error): SequelizeConnectionRefusedError: " +
      "connect ECONNREFUSED 10.0.0.1:5432; its database refuses it: check that postgres answers at " +
      "db.example.com:5432, has ecn, and takes user iofog with the password in spec.database; read more: " +
      "kubectl -n iofog logs deployment/controller --previous",
  });
  const other = tell("TypeError: x is not a function");
  assertEquals(other?.reason, "CrashLooping");
  assertMatch(other?.message ?? "", /; perhaps its database refuses it: check that postgres/);
});

Deno.test("troubleOf() looks at the newest pod that is not ready, and at no pod of others or on its way out", () => {
  const ready = { conditions: [{ type: "Ready", status: "True" }], ...waiting("ImagePullBackOff") };
  const none = [
    podOf("router", ready, { name: "a" }),
    podOf("router", waiting("ImagePullBackOff"), { name: "b", deletionTimestamp: "2026-01-01T00:00:00Z" }),
    podOf("router", { phase: "Failed", ...waiting("ImagePullBackOff") }, { name: "c" }),
    podOf("router", waiting("ImagePullBackOff"), { name: "d", ownerReferences: [] }),
    podOf("router-of-others", waiting("ImagePullBackOff"), { name: "e" }),
  ];
  assertEquals(trouble("router", none)?.reason, "PodsUnavailable");
  const old = podOf("router", waiting("ImagePullBackOff"), {
    name: "f",
    creationTimestamp: "2026-01-01T00:00:00Z",
  });
  const fresh = podOf("router", waiting("CreateContainerConfigError", 'secret "x" not found'), {
    ...{ name: "g", creationTimestamp: "2026-01-02T00:00:00Z" },
  });
  assertEquals(trouble("router", [...none, old, fresh]), {
    reason: "ContainerNotStarted",
    message:
      'Deployment router: its container cannot be started (CreateContainerConfigError: secret "x" not found): ' +
      "see kubectl -n iofog describe pods -l name=router",
  });
});

Deno.test("troubleOf() of pods that may not be created leaves out the name that changes with each try", () => {
  const tell = (message: string) => {
    const condition = { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message };
    const objects = snapshotOf([deploymentOf("router", [condition])]);
    const assessment = assess(contextOf({ user }, objects));
    if (!assessment.accepted) throw new Error("the spec is not accepted");
    return troubleOf(workloadsOf(assessment.inputs).router, assessment.inputs);
  };
  for (const pod of ["router-a", "router-b"]) {
    assertEquals(
      tell(`pods "${pod}" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3`),
      {
        reason: "QuotaExceeded",
        message:
          "Deployment router: its pods cannot be created: exceeded quota: q, requested: pods=1, used: pods=3, " +
          "limited: pods=3; raise ResourceQuota q, or free what it counts: kubectl -n iofog describe resourcequota q",
      },
    );
  }
  assertMatch(
    tell('pods "a" is forbidden: failed quota: q: must specify requests.cpu for: router')?.message ?? "",
    /must specify requests\.cpu for: router; set it in spec\.pods\.router\.resources: /,
  );
  assertEquals(tell('pods "a" is forbidden: violates PodSecurity "restricted:latest"'), {
    reason: "PodsRefused",
    message:
      'Deployment router: its pods cannot be created: violates PodSecurity "restricted:latest"; change what ' +
      "refuses them, then kubectl -n iofog rollout restart deployment/router",
  });
});

Deno.test("troubleOf() blames a claim only where its pod waits for it", () => {
  const claim = (phase: string, storageClassName?: string): KubeObject => ({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "controller-sqlite", namespace: NAMESPACE },
    ...{ spec: { storageClassName }, status: { phase } },
  });
  const unscheduled = (message: string) =>
    podOf("controller", {
      conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
    });
  const unbound = unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
  assertMatch(
    trouble("controller", [claim("Pending", "fast"), unbound])?.message ?? "",
    /waits for a volume of storage class fast: see kubectl -n iofog describe pvc controller-sqlite, and/,
  );
  assertEquals(trouble("controller", [claim("Lost"), unbound])?.reason, "ClaimLost");
  // A class that waits for its first consumer leaves the claim Pending until the pod has a node.
  const full = unscheduled("0/1 nodes are available: 1 Insufficient cpu.");
  assertEquals(trouble("controller", [claim("Pending", "fast"), full]), {
    reason: "Unschedulable",
    message:
      "Deployment controller: no node takes its pod (0/1 nodes are available: 1 Insufficient cpu.): make " +
      "room, or change spec.pods.controller",
  });
  // Where pods may not be read, the claim is what is known.
  assertEquals(trouble("controller", [claim("Pending")])?.reason, "ClaimPending");
  assertEquals(trouble("controller", [claim("Bound")])?.reason, "PodsUnavailable");
});
