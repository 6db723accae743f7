/** Somebody replaces the image of the Go operator by ours, and perhaps goes back: nothing restarts, nothing is lost. */

import { createHash } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { PersistentVolumeClaim, Pod, Secret, Service } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, ObjectMeta } from "../../src/kubernetes/resource.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { type RecordingName, recordingNames, titleOf } from "../golden/recordings.ts";
import { watchConditions } from "./condition_history.ts";
import {
  goDeployments,
  type GoVersion,
  PlayedGoOperator,
  unscopedPath,
  untilAvailable,
} from "./go_operator.ts";
import { type InProcessOperator, present, scenario, Scene } from "./harness.ts";
import { eventually, pause } from "./waiting.ts";

/** More than this many writes would be a sign of needless ones: two per object, three where there are pods. */
const mostWrites = 45;

/** All that must not change. */
interface Belongings {
  readonly templates: Readonly<Record<string, unknown>>;
  /** `name uid` of each. */
  readonly pods: readonly string[];
  readonly claim: string | undefined;
  readonly secrets: Readonly<Record<string, unknown>>;
  readonly services: Readonly<Record<string, unknown>>;
}

async function belongings(scene: Scene): Promise<Belongings> {
  const live = await Promise.all(goDeployments.map((name) => scene.get(Deployment, name)));
  const byName = (objects: readonly KubeObject[], value: (object: KubeObject) => unknown) =>
    Object.fromEntries(objects.map((object) => [titleOf(object), value(object)]));
  return {
    templates: byName(live, (object) => {
      const { metadata, spec } = object as Deployment;
      return { revision: revisionOf(metadata), replicas: spec?.replicas, template: spec?.template };
    }),
    pods: (await scene.list(Pod)).map(({ metadata }) => `${metadata?.name} ${metadata?.uid}`).sort(),
    claim: (await scene.get(PersistentVolumeClaim, "controller-sqlite")).metadata?.uid,
    // A difference is shown, and nobody may see these.
    secrets: byName(
      await scene.list(Secret),
      (object) => createHash("sha256").update(JSON.stringify((object as Secret).data)).digest("hex"),
    ),
    services: byName(await scene.list(Service), (object) => (object as Service).spec),
  };
}

/** Counts the changes of a pod template; `generation` grows with an annotation too. */
function revisionOf(metadata: ObjectMeta | undefined): number {
  return Number(metadata?.annotations?.["deployment.kubernetes.io/revision"]);
}

function operate(scene: Scene): InProcessOperator {
  return scene.operateHere((_, proceed) => proceed(), ["--resync-interval=1s"]);
}

/** Starts ours; it has to take over everything without touching anything. */
async function takeOver(scene: Scene): Promise<InProcessOperator> {
  await untilAvailable(scene);
  const before = await belongings(scene);
  const since = Date.now();
  scene.controller.forgetRequests();
  await using history = watchConditions(scene);
  const operator = operate(scene);
  await scene.until("all of it to be taken over", ({ status }) => status?.observedGeneration !== undefined);
  await scene.untilReady();
  await eventually("the children", () => scene.children(), (children) => children.length === 20, {
    show: (children) => children.map(({ object }) => titleOf(object)).join(", "),
  });

  assertEquals(await belongings(scene), before);
  // What iofogctl reads while it happens.
  assertEquals(new Set(history.states()), new Set(["ready"]));
  const asked = scene.controller.requests.filter(({ method }) => method !== "GET");
  // Where it was here before, the id is planted already.
  const meant = ["POST /api/v3/user/login", "PUT /api/v3/config"];
  assertEquals(
    asked.map(({ method, path }) => `${method} ${path}`).filter((request) => !meant.includes(request)),
    [],
  );
  const written = async (sinceMs: number) =>
    (await scene.writes(sinceMs)).filter((write) => !write.includes(" events/"));
  await scene.untilAtRest();
  const writes = await written(since);
  // What keeps a late write from changing anything: a conflict, or of a JSON patch a test that fails.
  assertEquals(writes.filter((write) => !/ (20[01]|409)$|^patch .* 422$/.test(write)), []);
  assert(writes.length <= mostWrites, `${writes.length} writes:\n${writes.join("\n")}`);
  await assertOurs(scene);

  const rest = Date.now();
  await pause(2_500);
  assertEquals(await written(rest), []);
  return operator;
}

/** Every child has our marks, and what the Go operator owned and we apply is ours. */
async function assertOurs(scene: Scene): Promise<void> {
  const { uid } = (await scene.controlPlane()).metadata;
  for (const { object } of await scene.children()) {
    const { annotations, managedFields = [], ownerReferences = [] } = object.metadata ?? {};
    assertEquals(ownerReferences.map((reference) => [reference.uid, reference.apiVersion]), [
      [uid, "iofog.org/v3"],
    ], titleOf(object));
    assertEquals(annotations?.["iofog.org/owner-uid"], uid);
    assertEquals(annotations?.["iofog.org/revision"], undefined);
    if (["PersistentVolumeClaim controller-sqlite", "ConfigMap iofog-inventory"].includes(titleOf(object))) {
      continue;
    }
    if (/^Secret router-/.test(titleOf(object))) continue;
    const updates = managedFields.filter(({ manager, operation, subresource }) =>
      manager?.startsWith("iofog-operator") && operation === "Update" && !subresource
    );
    const owned = updates.flatMap(({ fieldsV1 }) => Object.keys(fieldsV1 ?? {}));
    assertEquals(owned.filter((field) => field !== "f:metadata"), [], titleOf(object));
  }
  // An autoscaler may have what the spec leaves open.
  const controller = await scene.get(Deployment, "controller");
  for (const { fieldsV1 } of controller.metadata?.managedFields ?? []) {
    const spec = fieldsV1?.["f:spec"] as Record<string, unknown> | undefined;
    assertEquals(spec?.["f:progressDeadlineSeconds"], undefined);
  }
}

async function templateOf(scene: Scene, name: string) {
  const { metadata, spec } = await scene.get(Deployment, name);
  return { revision: revisionOf(metadata), template: present(spec?.template) };
}

/** A change of the spec reaches the Controller, with the fixes, and nobody else. */
async function changeController(scene: Scene): Promise<void> {
  const before = await belongings(scene);
  const { revision } = await templateOf(scene, "controller");
  await scene.change({ controller: { ecnViewerUrl: "http://viewer.example.com" } });
  await scene.untilReady();
  const after = await templateOf(scene, "controller");
  assertEquals(after.revision, revision + 1);
  const [container] = after.template.spec?.containers ?? [];
  assertEquals(container?.env?.find(({ name }) => name === "VIEWER_URL")?.value, "http://viewer.example.com");
  assertEquals(container?.env?.filter(({ value, valueFrom }) => value === undefined && !valueFrom), []);
  assertEquals(
    new Set(
      container?.volumeMounts?.map(({ mountPath, name, subPath }) => `${name} ${subPath} ${mountPath}`),
    ),
    new Set(
      [unscopedPath, unscopedPath.replace("/iofogcontroller", "/@iofog/iofogcontroller")].map((path) =>
        `controller-sqlite prod_database.sqlite ${path}`
      ),
    ),
  );
  const volume = after.template.spec?.volumes?.find(({ name }) => name === "controller-sqlite");
  assertEquals(volume?.persistentVolumeClaim?.claimName, "controller-sqlite");

  const now = await belongings(scene);
  assertEquals([now.claim, now.secrets, now.services], [before.claim, before.secrets, before.services]);
  assertEquals(
    goDeployments.filter((name) => {
      const title = `Deployment ${name}`;
      return JSON.stringify(now.templates[title]) !== JSON.stringify(before.templates[title]);
    }),
    ["controller"],
  );
  const replaced = now.pods.filter((pod) => !before.pods.includes(pod));
  assertEquals(replaced.length, 1, replaced.join());
  assert(replaced[0]?.startsWith("controller-"));
}

const cases = recordingNames.flatMap((recording) =>
  (["3.2.0", "3.1.1"] as const).map((version) => [recording, version] as const)
);

Deno.test("F40 takes over from the Go operator 3.1 and 3.2: nothing restarts, nothing is lost, and then a change goes through", async (test) => {
  const run = async (recording: RecordingName, version: GoVersion) => {
    await using scene = await Scene.open();
    const go = await PlayedGoOperator.of(scene, recording, version);
    await go.install();
    await takeOver(scene);
    await changeController(scene);
  };
  // They mostly wait: together they take as long as one.
  await Promise.all(cases.map(([recording, version]) =>
    test.step({
      name: `${version} ${recording}`,
      fn: () => run(recording, version),
      sanitizeOps: false,
      sanitizeResources: false,
      sanitizeExit: false,
    })
  ));
});

scenario(
  "keeps the sqlite database of a 2.x installation, whose images mount it elsewhere",
  async (scene) => {
    const go = await PlayedGoOperator.of(scene, "default-lb", "2.0.1");
    await go.install();
    // Its references to the owner are of the version that it knew.
    const [reference] = (await scene.get(Deployment, "controller")).metadata?.ownerReferences ?? [];
    assertEquals(reference?.apiVersion, "iofog.org/v2");
    await takeOver(scene);
    await changeController(scene);
  },
);

scenario(
  "goes back to the Go operator, which neither breaks nor loses anything, and comes again",
  async (scene) => {
    const go = await PlayedGoOperator.of(scene, "default-lb", "3.2.0");
    await go.install();
    const ours = await takeOver(scene);
    await scene.change({ images: { router: "iofog/router:3.0.1" } });
    await scene.untilReady();
    assertEquals(await ours.stop(), 0);

    // While the first condition that is True is `ready` it does nothing.
    assertEquals(await go.start(), "nothing");
    const kept = await belongings(scene);
    // And where we leave a control plane that is not ready, it starts from `deploying`.
    const object = await scene.controlPlane();
    const conditions = present(object.status?.conditions).map((condition) =>
      ["deploying", "ready", "Ready"].includes(condition.type)
        ? { ...condition, status: condition.type === "deploying" ? "True" as const : "False" as const }
        : condition
    );
    await scene.client.replace(
      ControlPlane,
      { ...object, status: { ...object.status, conditions } } as KubeObject,
      {
        subresource: "status",
      },
    );
    assertEquals(await go.start(), "deployed");
    await untilAvailable(scene);
    const theirs = await belongings(scene);
    assertEquals([theirs.claim, theirs.secrets, theirs.services], [kept.claim, kept.secrets, kept.services]);
    const database = await scene.get(Secret, "controller-db-credentials");
    assertEquals(database.metadata?.ownerReferences, undefined);

    const { spec, status } = await scene.controlPlane();
    assertEquals(spec?.["ingresses"], { router: {}, httpProxy: {}, tcpProxy: {} });
    assertEquals(spec?.["images"], { router: "iofog/router:3.0.1" });
    assertEquals(status?.conditions?.find(({ type }) => type === "Warning"), undefined);

    await using _again = await takeOver(scene);
    const { revision } = await templateOf(scene, "router");
    await scene.change({ images: { router: "iofog/router:3.0.2" } });
    await scene.untilReady();
    const router = await templateOf(scene, "router");
    assertEquals(router.revision, revision + 1);
    assertEquals(router.template.spec?.containers[0]?.image, "iofog/router:3.0.2");
  },
);
