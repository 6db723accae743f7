import { assert, assertEquals, assertFalse } from "@std/assert";
import fc from "fast-check";
import { Deployment } from "../kubernetes/generated/apps_v1.ts";
import {
  ConfigMap,
  PersistentVolumeClaim,
  Secret,
  Service,
  ServiceAccount,
} from "../kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../kubernetes/generated/rbac_v1.ts";
import { apiVersionOf, type KubeObject, type OwnerReference, type Resource } from "../kubernetes/resource.ts";
import type {
  AppliedChild,
  Child,
  Definition,
  DesiredContext,
  ExternalState,
  KindState,
  Parent,
} from "./definition.ts";
import {
  applied,
  configMap,
  definitionOf,
  external,
  generatedKey,
  identity,
  observed,
  ownedBy,
  planInput,
  snapshotOf,
  Widget,
  widget,
} from "./fixtures.ts";
import { keyOfExternal } from "./inventory.ts";
import { isChildOf, ownership } from "./ownership.ts";
import { type ParentPlan, plan, type PlanInput } from "./plan.ts";
import { describeTarget, type KubernetesWrite } from "./write.ts";

const w = widget();

/** The plan for the first parent, where these objects are beside it. */
function planFor(
  children: readonly Child[],
  objects: readonly (readonly [Resource, KubeObject])[] = [],
  more: Partial<PlanInput> & {
    readonly parent?: Parent;
    readonly kinds?: readonly (readonly [Resource, KindState])[];
    readonly external?: ExternalState;
  } = {},
): ParentPlan {
  const { parent = w, kinds, external, ...input } = more;
  const snapshot = snapshotOf([[Widget, parent], ...objects], {
    ...(kinds && { kinds }),
    ...(external && { external }),
  });
  const [first] = plan(planInput(definitionOf(() => children), snapshot, input));
  if (first === undefined) throw new Error("no plan");
  return first;
}

function only(planned: ParentPlan): KubernetesWrite {
  const [write, ...more] = planned.waves.flat();
  if (write === undefined || more.length > 0) throw new Error(`writes: ${describe(planned)}`);
  return write;
}

function objectOf(write: KubernetesWrite): KubeObject | undefined {
  return "object" in write ? write.object : undefined;
}

function describe(planned: ParentPlan): readonly string[] {
  return planned.waves.flat().map((write) => `${write.verb} ${describeTarget(write)}`);
}

/** The ConfigMap `a` as it stands when all is well. */
function liveConfigMap(metadata: Parameters<typeof ownedBy>[1] = { name: "a" }): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: ownedBy(w, metadata),
    data: { key: "value", foreign: "x" },
  };
}

Deno.test("plan() creates what is missing by an apply that cannot overwrite, with owner and mark", () => {
  assertEquals(only(planFor([configMap("a")])), {
    world: "kubernetes",
    verb: "apply",
    resource: ConfigMap,
    namespace: "ns",
    name: "a",
    paths: ["missing"],
    object: {
      apiVersion: "v1",
      kind: "ConfigMap",
      data: { key: "value" },
      metadata: {
        name: "a",
        namespace: "ns",
        annotations: { "example.org/owner-uid": "w-uid" },
        ownerReferences: [{
          apiVersion: "example.org/v1",
          kind: "Widget",
          name: "w",
          uid: "w-uid",
          controller: true,
          blockOwnerDeletion: true,
        }],
      },
    },
  });
});

Deno.test("plan() writes what differs, with uid and resourceVersion of what it saw", () => {
  const live = { ...liveConfigMap(), data: { key: "edited" } };
  assertEquals(only(planFor([configMap("a")], [[ConfigMap, live]])), {
    world: "kubernetes",
    verb: "apply",
    resource: ConfigMap,
    namespace: "ns",
    name: "a",
    live,
    paths: ["data.key"],
    object: objectOf(only(planFor([configMap("a")]))),
    precondition: { uid: "a-uid", resourceVersion: "5" },
    before: undefined,
    freshRevision: false,
  } as KubernetesWrite);
});

Deno.test("F30 plan() is empty at rest, whatever others added", () => {
  const planned = planFor(
    [configMap("a"), external("Thing", "t", { x: 1 })],
    [[ConfigMap, liveConfigMap()]],
    {
      external: observed([{ kind: "Thing", name: "t", fields: { x: 1, y: 2 } }]),
    },
  );
  assertEquals({ ...planned, desired: undefined }, {
    parent: w,
    paused: false,
    waves: [],
    external: [],
    forgotten: [],
    failures: [],
    settled: ["ConfigMap a", "Thing t"],
    status: {
      conditions: [{ type: "Ready", status: "True", reason: "Ready", message: "" }],
      fields: {},
    },
    desired: undefined,
  });
});

Deno.test("F47 plan() has nothing for a parent that is being deleted, not even a status", () => {
  const parent = widget({ deletionTimestamp: "2025-01-01T00:00:00Z" });
  assertEquals(planFor([configMap("a")], [], { parent }), {
    parent,
    paused: false,
    waves: [],
    external: [],
    forgotten: [],
    failures: [],
    settled: [],
    desired: { children: [], problems: [] },
  });
});

Deno.test("plan() writes and deletes nothing while the spec has a problem", () => {
  const snapshot = snapshotOf([[Widget, w], [ConfigMap, liveConfigMap()]]);
  const problems = [{ reason: "InvalidSpec", message: "spec.x must be a number" }];
  const [planned] = plan(planInput(definitionOf(() => ({ children: [configMap("b")], problems })), snapshot));
  assertEquals([planned?.waves, planned?.failures, planned?.settled], [[], [], []]);
  assertEquals(planned?.status?.conditions[0]?.reason, "InvalidSpec");
});

const foreignOwner = { apiVersion: "apps/v1", kind: "Other", name: "o", uid: "o-uid", controller: true };

Deno.test("F12 plan() leaves alone what is not ours, and says whose it is", () => {
  for (
    const [metadata, whose] of [
      [{ name: "a", ownerReferences: [foreignOwner] }, "belongs to Other o"],
      [{ name: "a", ownerReferences: [], annotations: { "example.org/owner-uid": "" } }, "is not ours"],
    ] as const
  ) {
    const live = liveConfigMap({ ...metadata, ownerReferences: [...metadata.ownerReferences] });
    if (whose === "is not ours") delete live.metadata?.annotations;
    const planned = planFor([configMap("a"), configMap("b")], [[ConfigMap, live]]);
    assertEquals(describe(planned), ["apply ConfigMap b"]);
    assertEquals(planned.failures, [{
      object: "ConfigMap a",
      reason: "Conflict",
      message: `ConfigMap a exists and ${whose}; delete or rename it so that it can be made for Widget w`,
    }]);
  }
});

Deno.test("F29 plan() takes back what lost its owner reference, if our mark is on it", () => {
  for (const mark of ["w-uid", "uid-of-a-dead-widget"]) {
    const live = liveConfigMap({
      name: "a",
      ownerReferences: [],
      annotations: { "example.org/owner-uid": mark },
    });
    assertEquals(only(planFor([configMap("a")], [[ConfigMap, live]])).verb, "apply");
  }
});

Deno.test("plan() hands the object of an earlier incarnation over by a JSON patch that tests what it saw", () => {
  const earlier = {
    apiVersion: "example.org/v1",
    kind: "Widget",
    name: "w",
    uid: "dead",
    controller: true,
    blockOwnerDeletion: true,
  };
  const bystander = { apiVersion: "v1", kind: "ConfigMap", name: "x", uid: "x-uid" };
  const live = liveConfigMap({ name: "a", ownerReferences: [bystander, earlier] });
  assertEquals(only(planFor([configMap("a")], [[ConfigMap, live]])), {
    world: "kubernetes",
    verb: "adopt",
    resource: ConfigMap,
    namespace: "ns",
    name: "a",
    live,
    paths: ["metadata.ownerReferences"],
    operations: [
      { op: "test", path: "/metadata/uid", value: "a-uid" },
      { op: "test", path: "/metadata/ownerReferences/1/uid", value: "dead" },
      { op: "replace", path: "/metadata/ownerReferences/1", value: { ...earlier, uid: "w-uid" } },
    ],
  });
});

/** The Deployment `d` as a predecessor left it, with a variable that we do not want. */
function predecessors(metadata: KubeObject["metadata"] = {}): Deployment {
  const owned = {
    "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
    "f:spec": {
      "f:replicas": {},
      "f:progressDeadlineSeconds": {},
      "f:template": {
        "f:spec": {
          "f:containers": {
            'k:{"name":"c"}': {
              ".": {},
              "f:name": {},
              "f:image": {},
              "f:env": { ".": {}, 'k:{"name":"EMPTY"}': { ".": {}, "f:name": {} } },
            },
          },
        },
      },
    },
  };
  const { annotations: _, ...rest } = ownedBy(w, { name: "d" });
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      ...rest,
      managedFields: [
        { manager: "old-widgets", operation: "Update", fieldsType: "FieldsV1", fieldsV1: owned },
        { manager: "kcm", operation: "Update", subresource: "status", fieldsV1: { "f:status": {} } },
      ],
      ...metadata,
    },
    spec: {
      replicas: 3,
      progressDeadlineSeconds: 600,
      selector: { matchLabels: { app: "d" } },
      template: {
        spec: { containers: [{ name: "c", image: "old", env: [{ name: "EMPTY" }], resources: {} }] },
      },
    },
  };
}

const newImage = (image: string, more: object = {}) =>
  applied(Deployment, "d", {
    spec: { ...more, selector: { matchLabels: { app: "d" } }, template: podTemplate(image) },
  });

function podTemplate(image: string): { spec: { containers: { name: string; image: string }[] } } {
  return { spec: { containers: [{ name: "c", image }] } };
}

/** What the API server has after a write, as far as it matters. */
function after(live: Deployment, write: KubernetesWrite): Deployment {
  if (write.verb === "apply") {
    const { annotations, ownerReferences } = write.object.metadata;
    const { managedFields: _, ...metadata } = live.metadata ?? {};
    return { ...live, metadata: { ...metadata, ownerReferences, annotations } };
  }
  assertEquals(write.verb, "adopt");
  const added = write.verb !== "adopt" ? [] : write.operations.filter(({ op }) => op !== "test");
  const metadata = Object.fromEntries(added.map((operation) => [
    operation.path.replace("/metadata/", ""),
    "value" in operation ? operation.value : undefined,
  ]));
  return { ...live, metadata: { ...live.metadata, ...metadata } };
}

Deno.test("plan() takes over what a predecessor made, and leaves its pod template until what is desired changes", () => {
  const live = predecessors();
  const first = only(planFor([newImage("new")], [[Deployment, live]]));
  assertEquals(first.paths, ["metadata.managedFields", "metadata.annotations"]);
  const tests = first.verb === "adopt" ? first.operations.filter(({ op }) => op === "test") : [];
  assertEquals(tests, [
    { op: "test", path: "/metadata/uid", value: "d-uid" },
    { op: "test", path: "/metadata/resourceVersion", value: "5" },
  ]);
  const taken = after(live, first);
  const managers = taken.metadata?.managedFields?.map(({ manager, operation }) => `${manager} ${operation}`);
  assertEquals(managers, ["kcm Update", "widgets Apply"]);

  const second = only(planFor([newImage("new")], [[Deployment, taken]]));
  const { spec } = objectOf(second) as Deployment;
  assertEquals([spec?.replicas, spec?.template], [undefined, {
    spec: { containers: [{ name: "c", image: "old", env: [{ name: "EMPTY" }] }] },
  }]);
  assertEquals(second.paths, ["metadata.labels", "spec.progressDeadlineSeconds"]);
  // Something else may be desired by then.
  const sooner = only(planFor([newImage("newer")], [[Deployment, taken]]));
  assertEquals((objectOf(sooner) as Deployment).spec?.template, podTemplate("newer"));
  const gone = { "example.org/settled-template": null, "example.org/owner-uid": "w-uid" };
  assertEquals("before" in sooner && sooner.before, { metadata: { annotations: gone } });

  const settled = after(taken, second);
  assertEquals(describe(planFor([newImage("new")], [[Deployment, settled]])), []);
  // Replicas are no reason to restart pods.
  const scaled = objectOf(only(planFor([newImage("new", { replicas: 2 })], [[Deployment, settled]])));
  assertEquals((scaled as Deployment).spec?.template, {});
  // A change of what is desired, or of what is there, is.
  const newer = only(planFor([newImage("newer")], [[Deployment, settled]]));
  assertEquals((objectOf(newer) as Deployment).spec?.template, podTemplate("newer"));
  assertEquals(objectOf(newer)?.metadata?.annotations, { "example.org/owner-uid": "w-uid" });
  const edited = { ...settled, spec: { ...settled.spec, template: podTemplate("edited") } } as Deployment;
  const repaired = only(planFor([newImage("new")], [[Deployment, edited]]));
  assertEquals((objectOf(repaired) as Deployment).spec?.template, podTemplate("new"));
});

Deno.test("plan() leaves the pod template alone of what a predecessor put over ours without a change, and repairs what others did", () => {
  const apply = { manager: "widgets", operation: "Apply", fieldsV1: { "f:spec": { "f:template": {} } } };
  const put = predecessors({ managedFields: [apply] });
  const write = only(planFor([newImage("new")], [[Deployment, put]]));
  assertEquals((objectOf(write) as Deployment).spec?.template, put.spec?.template);
  const stranger = { manager: "kubectl-replace", operation: "Update", fieldsV1: apply.fieldsV1 };
  const replaced = predecessors({ managedFields: [apply, stranger] });
  const repair = only(planFor([newImage("new")], [[Deployment, replaced]]));
  assertEquals((objectOf(repair) as Deployment).spec?.template, podTemplate("new"));
});

Deno.test("plan() takes over what a predecessor left without an owner, and nothing else that has none", () => {
  const fieldsV1 = { "f:data": {} };
  const secret = (manager: string, operation = "Update", fields: object = fieldsV1): Secret => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: "key",
      namespace: "ns",
      uid: "key-uid",
      resourceVersion: "7",
      managedFields: [{ manager, operation, fieldsV1: fields as Record<string, unknown> }],
    },
    type: "Opaque",
    data: { password: "b2xk" },
  });
  const desired = applied(Secret, "key", { data: { password: "bmV3" } }, { revisioned: true });
  const found = planFor([desired], [[Secret, secret("old-widgets")]]);
  const adopted = only(found);
  assertEquals(adopted.paths, ["metadata.managedFields", "metadata.ownerReferences"]);
  const freshOf = (data: Record<string, string>) => {
    const child = applied(Secret, "key", { data }, { revisioned: true });
    const ours = only(planFor([child], [[Secret, secret("widgets", "Apply")]]));
    return [ours.verb, "freshRevision" in ours && ours.freshRevision];
  };
  // Pods run on with what is only more, and not with what is another value.
  assertEquals(freshOf({ password: "b2xk", ca: "" }), ["apply", false]);
  assertEquals(freshOf({ password: "bmV3" }), ["apply", true]);
  // Not before the pod template that repeats the revision is settled as it is, or it would be settled with that.
  const besides: [Resource, KubeObject][] = [[Secret, secret("widgets", "Apply")], [
    Deployment,
    predecessors(),
  ]];
  assertEquals(describe(planFor([desired, newImage("new")], besides)), ["adopt Deployment d"]);
  for (
    const foreign of [
      secret("kubectl-create"),
      secret("old-widgets", "Update", { "f:metadata": { "f:labels": {} } }),
      secret("kubectl", "Apply"),
    ]
  ) {
    assertEquals(planFor([desired], [[Secret, foreign]]).failures[0]?.reason, "Conflict");
  }
  // What is created once keeps the values that it has: only its marks are written.
  const kept = only(planFor([generatedKey()], [[Secret, secret("old-widgets")]]));
  assertEquals([kept.verb, Object.keys(objectOf(kept) ?? {})], ["apply", ["apiVersion", "kind", "metadata"]]);
});

Deno.test("ownership() calls the object of a living rival foreign, also one of the same name elsewhere", () => {
  const rival = widget({ name: "rival" });
  const living = (uid: string) => uid === w.metadata.uid || uid === rival.metadata.uid;
  const of = (metadata: KubeObject["metadata"]) => ownership({ metadata }, Widget, w, living, identity).type;
  assertEquals(of(ownedBy(w, { name: "a" })), "ours");
  assertEquals(of(ownedBy(rival, { name: "a" })), "foreign");
  assertEquals(of(ownedBy(widget({ uid: "dead" }), { name: "a" })), "orphan");
  assertEquals(of(ownedBy(widget({ name: "other", uid: "dead" }), { name: "a" })), "foreign");
  assertEquals(of({ ...ownedBy(rival, { name: "a" }), ownerReferences: [] }), "foreign");
  assertFalse(isChildOf({ metadata: { ...ownedBy(w, { name: "a" }), annotations: {} } }, w, identity));
});

Deno.test("plan() waits for a child that is being deleted, and names its finalizers", () => {
  const live = liveConfigMap({ name: "a", deletionTimestamp: "2025-01-01T00:00:00Z", finalizers: ["f/x"] });
  const planned = planFor([configMap("a", { key: "changed" })], [[ConfigMap, live]]);
  assertEquals(planned.waves, []);
  assertEquals(planned.failures, [{
    object: "ConfigMap a",
    reason: "Terminating",
    message:
      "ConfigMap a is being deleted and waits for its finalizers f/x; it is made again once it is gone",
  }]);
});

Deno.test("plan() prunes what was made for this parent and is no longer wanted, after all other writes", () => {
  const live = liveConfigMap();
  const planned = planFor([configMap("b")], [[ConfigMap, live]]);
  assertEquals(planned.waves.map((wave) => wave.map(describeTarget)), [["ConfigMap b"], ["ConfigMap a"]]);
  assertEquals(planned.waves[1], [{
    world: "kubernetes",
    verb: "delete",
    resource: ConfigMap,
    namespace: "ns",
    name: "a",
    live,
    paths: ["no longer wanted"],
    precondition: { uid: "a-uid", resourceVersion: "5" },
  }]);
});

Deno.test("plan() deletes what is retired, be it a predecessor's, and nothing of anybody else's or with data", () => {
  const predecessors = (uid: string): KubeObject["metadata"] => ({
    ...ownedBy(widget({ uid }), { name: "a" }),
    annotations: {},
    managedFields: [{ manager: "old-widgets", operation: "Update", fieldsV1: { "f:data": { "f:key": {} } } }],
  });
  const retired = [{ resource: ConfigMap, name: "a", why: "data.key" }];
  const planned = (
    metadata: KubeObject["metadata"],
    children: readonly Child[] = [],
    resource = ConfigMap,
    state: KindState = { phase: "synced" },
  ) => {
    const all = [[Widget, w], [Widget, widget({ name: "rival" })], [resource, { metadata }]] as const;
    const snapshot = snapshotOf(all, { kinds: [[resource, state]] });
    const desired = { children, problems: [], retired: retired.map((each) => ({ ...each, resource })) };
    const planned = plan(planInput(definitionOf(() => desired, { singleton: false }), snapshot))[0]!;
    const [last] = planned.waves.flat().filter((write) => write.verb === "delete");
    assertEquals(last?.isAwaited, last?.paths[0] === "data.key" ? true : undefined);
    return describe(planned);
  };
  assertEquals(planned(predecessors("w-uid")), ["delete ConfigMap a"]);
  assertEquals(planned(predecessors("w-uid"), [configMap("b")]), ["apply ConfigMap b", "delete ConfigMap a"]);
  const unlisted: readonly KindState[] = [
    ...[{ phase: "pending" }, { phase: "absent" }] as const,
    { phase: "failed", message: "", denied: false },
  ];
  for (const state of unlisted) assertEquals(planned(predecessors("w-uid"), [], ConfigMap, state), []);
  assertEquals(planned(predecessors("rival-uid")), []);
  assertEquals(planned({ name: "a", namespace: "ns" }), []);
  assertEquals(planned({ ...predecessors("w-uid"), deletionTimestamp: "2025-01-01T00:00:00Z" }), []);
  assertEquals(planned(predecessors("w-uid"), [], PersistentVolumeClaim as Resource), []);
  assertEquals(planned(ownedBy(w, { name: "a" })), ["delete ConfigMap a"]);
});

Deno.test("plan() prunes nothing else", () => {
  const stored = (name: string) => ({ metadata: ownedBy(w, { name }) });
  const kept: readonly (readonly [string, Resource, KubeObject, KindState?])[] = [
    ["a claim with data", PersistentVolumeClaim, stored("a")],
    ["what has no mark of ours", ConfigMap, { metadata: { ...stored("a").metadata, annotations: {} } }],
    ["what another controls", ConfigMap, {
      metadata: ownedBy(w, { name: "a", ownerReferences: [foreignOwner] }),
    }],
    ["what is another parent's", ConfigMap, { metadata: ownedBy(widget({ name: "x" }), { name: "a" }) }],
    ["what goes already", ConfigMap, { metadata: ownedBy(w, { name: "a", deletionTimestamp: "now" }) }],
    ["a kind that is not listed yet", ConfigMap, stored("a"), { phase: "pending" }],
    ["a kind whose list failed", ConfigMap, stored("a"), { phase: "failed", message: "", denied: false }],
    ["a kind that is not served", ConfigMap, stored("a"), { phase: "absent" }],
  ];
  for (const [title, resource, live, state] of kept) {
    const planned = planFor([], [[resource, live]], {
      kinds: state === undefined ? [] : [[resource, state]],
    });
    assertEquals(describe(planned), [], title);
  }
});

Deno.test("F10 plan() leaves a kind alone that cannot be listed, and goes on with the others", () => {
  const states: readonly (readonly [KindState, string, string])[] = [
    [{ phase: "pending" }, "NotListed", "configmaps have not been listed yet"],
    [{ phase: "absent" }, "NotServed", "the API server does not serve configmaps ()"],
    [{ phase: "failed", message: "HTTP 500", denied: false }, "ListFailed", "HTTP 500"],
    [
      { phase: "failed", message: "HTTP 403", denied: true },
      "ListForbidden",
      "HTTP 403; grant get, list and watch on configmaps in the operator's Role",
    ],
  ];
  const stale = { metadata: ownedBy(w, { name: "old" }) };
  for (const [state, reason, message] of states) {
    const planned = planFor(
      [configMap("a"), applied(ServiceAccount, "s", {})],
      [[ConfigMap, stale], [ServiceAccount, stale]],
      { kinds: [[ConfigMap, state]] },
    );
    assertEquals(describe(planned), ["apply ServiceAccount s", "delete ServiceAccount old"]);
    assertEquals(planned.failures, [{ object: "ConfigMap a", reason, message }]);
  }
});

Deno.test("F10 plan() keeps everything as it is while something is unknown that its children follow from", () => {
  const desired = ({ snapshot }: DesiredContext) => {
    const revision = snapshot.get(Secret, "key")?.metadata?.annotations?.["revision"];
    return [configMap("a", revision === undefined ? {} : { revision })];
  };
  const live = {
    ...liveConfigMap(),
    metadata: {
      ...liveConfigMap().metadata,
      managedFields: [{
        manager: "widgets",
        operation: "Apply",
        fieldsV1: { "f:data": { "f:revision": {} } },
      }],
    },
    data: { revision: "1" },
  };
  const stale = { metadata: ownedBy(w, { name: "old" }) };
  const planned = (
    secrets: readonly (readonly [Resource, KubeObject])[],
    state: KindState = { phase: "synced" },
    more: Partial<Definition> = {},
  ) => {
    const snapshot = snapshotOf([[Widget, w], [ConfigMap, live], [ServiceAccount, stale], ...secrets], {
      kinds: [[Secret, state]],
    });
    const [first] = plan(planInput(definitionOf(desired, more), snapshot));
    return first;
  };
  const failed = { phase: "failed", message: "HTTP 500", denied: false } as const;
  const metadata = { name: "key", annotations: { revision: "1" } };
  const known: readonly (readonly [Resource, KubeObject])[] = [[
    Secret,
    { metadata, type: "Opaque" } as Secret,
  ]];
  const nothing = ["delete ServiceAccount old"];
  const takesBack = ["apply ConfigMap a", "delete ServiceAccount old"];
  const writes = (found: ParentPlan | undefined) => found && describe(found);

  // What was listed once is known, and what is not there is not there.
  assertEquals(writes(planned(known)), nothing);
  assertEquals(writes(planned(known, failed)), nothing);
  assertEquals(writes(planned([])), takesBack);
  // A Role that will never allow it, where nothing depends on it.
  const denied = { ...failed, denied: true, unlisted: true } as const;
  assertEquals(writes(planned([], denied, { optional: [Secret] })), takesBack);

  const stays = "until then, everything stays as it is";
  const unknown: readonly (readonly [ParentPlan | undefined, string, string, string])[] = [
    [planned([], { phase: "pending" }), "secrets", "NotListed", `secrets have not been listed yet; ${stays}`],
    [planned([], { ...failed, unlisted: true }), "secrets", "ListFailed", `HTTP 500; ${stays}`],
    [
      planned([], denied),
      "secrets",
      "ListForbidden",
      `HTTP 500; grant get, list and watch on secrets in the operator's Role; ${stays}`,
    ],
    [planned([[Secret, { metadata }]]), "Secret key", "Unreadable", `it was not read yet; ${stays}`],
  ];
  for (const [found, object, reason, message] of unknown) {
    assertEquals(writes(found), []);
    assertEquals(found?.failures, [{ object, reason, message }]);
    assertEquals(found?.status?.conditions[0]?.status, "False");
  }
  // Metadata are enough where nobody asked for more.
  assertEquals(
    writes(planned([[Secret, { metadata }]], { phase: "synced" }, { secretNames: () => [] })),
    nothing,
  );
});

Deno.test("plan() creates generated values by POST, keeps only their metadata right, and never applies them", () => {
  const child = generatedKey();
  const created = only(planFor([child]));
  assertEquals([created.verb, created.verb === "create" && created.generate], ["create", child.generate]);
  assertFalse("data" in objectOf(created)!);

  const live: Secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: ownedBy(w, { name: "key" }),
    type: "Other",
    data: { "tls.key": "x" },
  };
  assertEquals(describe(planFor([child], [[Secret, live]])), []);

  const stripped = { ...live, metadata: { ...live.metadata, ownerReferences: [] } };
  const mended = only(planFor([child], [[Secret, stripped]]));
  assertEquals(mended.verb === "apply" && Object.keys(mended.object), ["apiVersion", "kind", "metadata"]);
});

Deno.test("plan() reissues generated values by a PUT of what it saw", () => {
  const entry = { manager: "widgets", operation: "Apply" };
  const live: Secret = {
    metadata: ownedBy(w, { name: "key", managedFields: [entry] }),
    type: "Opaque",
    data: { "tls.key": "old" },
  };
  const child = generatedKey({ reissue: "it ends soon" });
  assertEquals(only(planFor([child], [[Secret, live]])), {
    world: "kubernetes",
    verb: "replace",
    resource: Secret,
    namespace: "ns",
    name: "key",
    live,
    paths: ["it ends soon"],
    object: { ...live, metadata: ownedBy(w, { name: "key" }) },
    generate: child.generate,
  });
});

Deno.test("plan() gives what is retained no owner, and takes it again for a later parent of the same name", () => {
  const claim = applied(PersistentVolumeClaim, "c", {}, { retained: true });
  const annotations = { "example.org/owner-uid": "w-uid", "example.org/owner-name": "w" };
  const retained = { name: "c", namespace: "ns", annotations };
  assertEquals(objectOf(only(planFor([claim])))?.metadata, retained);

  const other = { apiVersion: "v1", kind: "ConfigMap", name: "other", uid: "o" };
  const { ownerReferences = [], ...owned } = ownedBy(w, { name: "c" });
  const type = { apiVersion: "v1", kind: "PersistentVolumeClaim" };
  const live = { ...type, metadata: { ...owned, ownerReferences: [...ownerReferences, other] } };
  const disowned = only(planFor([claim], [[PersistentVolumeClaim, live]]));
  assertEquals(disowned.paths, [
    "metadata.annotations[example.org/owner-name]",
    "metadata.ownerReferences",
  ]);
  assertEquals("before" in disowned && disowned.before, { metadata: { ownerReferences: [other] } });
  assertEquals(objectOf(disowned)?.metadata, retained);

  const left = { ...type, metadata: { ...owned, annotations } };
  const takenBy = (parent: Parent, child: AppliedChild) =>
    planFor([child], [[PersistentVolumeClaim, left]], { parent });
  assertEquals(describe(takenBy(w, claim)), []);
  const again = only(takenBy(widget({ uid: "later" }), claim));
  assertEquals(objectOf(again)?.metadata?.annotations?.["example.org/owner-uid"], "later");
  const owner = only(takenBy(widget({ uid: "later" }), applied(PersistentVolumeClaim, "c", {})));
  assertEquals(objectOf(owner)?.metadata?.ownerReferences?.map(({ uid }) => uid), ["later"]);
  assertEquals(takenBy(widget({ name: "x" }), claim).failures.map(({ reason }) => reason), ["Conflict"]);
});

Deno.test("plan() adopts what somebody else makes for us, unless it has a controller or a living owner", () => {
  const type = { apiVersion: "v1", kind: "PersistentVolumeClaim" };
  const claim = applied(PersistentVolumeClaim, "c", {}, { adopts: true, retained: true });
  const free = { ...type, metadata: { name: "c", namespace: "ns", uid: "c-uid", resourceVersion: "7" } };
  const adopted = only(planFor([claim], [[PersistentVolumeClaim, free]]));
  assertEquals(adopted.verb, "apply");
  assertEquals(objectOf(adopted)?.metadata?.annotations, {
    "example.org/owner-uid": "w-uid",
    "example.org/owner-name": "w",
  });
  const controller = { apiVersion: "v1", kind: "Pod", name: "p", uid: "p", controller: true };
  for (
    const more of [
      { ownerReferences: [controller] },
      { annotations: { "example.org/owner-uid": "z-living" } },
    ]
  ) {
    const live = { ...free, metadata: { ...free.metadata, ...more } };
    const living = widget({ uid: "z-living", name: "other" });
    const found = planFor([claim], [[PersistentVolumeClaim, live], [Widget, living]]);
    assertEquals(found.failures.map(({ reason }) => reason), ["Conflict"]);
  }
});

Deno.test("plan() gives generated values other owners than the parent where they are to outlive it", () => {
  const owner = { apiVersion: "v1", kind: "PersistentVolumeClaim", name: "c", uid: "c-uid" };
  const made = generatedKey();
  const metadata = { ...made.object.metadata, ownerReferences: [owner] };
  const kept = { ...made, object: { ...made.object, metadata }, retained: true };
  const live = {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: ownedBy(w, { name: "key" }),
  };
  const write = only(planFor([kept], [[Secret, live]]));
  assertEquals("before" in write && write.before, { metadata: { ownerReferences: [] } });
  assertEquals(objectOf(write)?.metadata?.ownerReferences, [owner]);
});

Deno.test("plan() sets a fresh revision with a change of data, and keeps the revision otherwise", () => {
  const child = applied(Secret, "s", { data: { a: "1" } }, { revisioned: true });
  const metadata = ownedBy(w, { name: "s", annotations: { "example.org/revision": "r1" } });
  const freshOf = (live: Secret) => {
    const write = only(planFor([child], [[Secret, live]]));
    return write.verb === "apply" &&
      [write.freshRevision, write.object.metadata.annotations?.["example.org/revision"]];
  };
  assertEquals(freshOf({ metadata, data: { a: "2" } }), [true, "r1"]);
  assertEquals(freshOf({ metadata: { ...metadata, ownerReferences: [] }, data: { a: "1" } }), [false, "r1"]);
  assertEquals(only(planFor([child])).verb, "apply");
  assertEquals("freshRevision" in only(planFor([child])), false);
});

Deno.test("plan() takes no difference in a Secret for settled, whatever its annotation says", () => {
  const metadata = ownedBy(w, { name: "s" });
  const settledBy = (resource: Resource) => {
    const child = applied(resource, "s", { data: { key: "MQ==" } } as KubeObject);
    const live = { apiVersion: "v1", kind: resource.kind, metadata, data: { key: "Mg==" } };
    const answers = () => new Map([[`${resource.kind} s`, "5"]]);
    const recording = objectOf(only(planFor([child], [[resource, live]], { answers })))?.metadata
      ?.annotations;
    assert(recording?.["example.org/settled"] !== undefined);
    const recorded = { ...live, metadata: { ...metadata, annotations: recording } };
    return describe(planFor([child], [[resource, recorded]]));
  };
  assertEquals(settledBy(ConfigMap), []);
  assertEquals(settledBy(Secret), ["apply Secret s"]);
});

Deno.test("plan() gives up what it applied and desires no more", () => {
  const fieldsV1 = {
    "f:data": { "f:key": {}, "f:gone": {} },
    "f:metadata": { "f:annotations": { "f:example.org/owner-uid": {} } },
  };
  const entry = { manager: "widgets", operation: "Apply", fieldsV1 };
  const paths = (managedFields: readonly object[]) => {
    const live = liveConfigMap({ name: "a", managedFields: managedFields as [] });
    return planFor([configMap("a")], [[ConfigMap, live]]).waves.flat().flatMap((write) => write.paths);
  };
  assertEquals(paths([entry]), ["data.gone"]);
  assertEquals(paths([{ ...entry, manager: "kubectl" }]), []);
  assertEquals(paths([{ ...entry, operation: "Update" }]), []);
  assertEquals(paths([{ ...entry, subresource: "status" }]), []);
});

function deploymentOf(more: Partial<AppliedChild>): AppliedChild {
  return applied(Deployment, "d", {
    spec: {
      strategy: { type: "Recreate" },
      selector: { matchLabels: { app: "d" } },
      template: { spec: { containers: [{ name: "c", image: "i" }] } },
    },
  }, more);
}

Deno.test("plan() nulls what an apply cannot remove, and replaces lists with renamed items, in a patch before", () => {
  const absent = [["spec", "strategy", "rollingUpdate"], ["spec", "strategy", "more"]];
  const live: Deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: ownedBy(w, { name: "d" }),
    spec: {
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 }, ...{ more: 1 } },
      selector: { matchLabels: { app: "d" } },
      template: { spec: { containers: [{ name: "renamed", image: "i" }, { name: "sidecar" }] } },
    },
  };
  const write = only(planFor([deploymentOf({ absent })], [[Deployment, live]]));
  assertEquals(write.verb === "apply" && write.before, {
    spec: {
      strategy: { type: "Recreate", rollingUpdate: null, more: null },
      template: { spec: { containers: [{ name: "c", image: "i" }, { name: "sidecar" }] } },
    },
  });
  assertEquals(write.paths, [
    "spec.strategy.type",
    "spec.template.spec.containers[name=c]",
    "spec.strategy.rollingUpdate",
    "spec.strategy.more",
  ]);
});

Deno.test("plan() applies what a correction still owns, although nothing differs", () => {
  const managedFields = [{ manager: "widgets-correction", operation: "Update", fieldsV1: {} }];
  const live: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...ownedBy(w, { name: "s" }), managedFields },
    spec: { type: "NodePort" },
  };
  const write = only(planFor([applied(Service, "s", { spec: { type: "NodePort" } })], [[Service, live]]));
  assertEquals([write.verb, write.paths], ["apply", ["metadata.managedFields"]]);
});

Deno.test("plan() nulls one field without touching the lists beside it", () => {
  const live = { metadata: ownedBy(w, { name: "s" }), spec: { loadBalancerIP: "1.2.3.4", ports: [] } };
  const child = applied(Service, "s", { spec: { type: "NodePort", ports: [{ port: 1 }] } }, {
    absent: [["spec", "loadBalancerIP"]],
  });
  const write = only(planFor([child], [[Service, live]]));
  assertEquals(write.verb === "apply" && write.before, { spec: { type: "NodePort", loadBalancerIP: null } });
});

Deno.test("plan() makes accounts and roles before what needs them", () => {
  const planned = planFor([
    deploymentOf({}),
    applied(RoleBinding, "b", { roleRef: { apiGroup: "", kind: "Role", name: "r" } }),
    applied(ServiceAccount, "s", {}),
    applied(Role, "r", {}),
    configMap("c"),
  ]);
  assertEquals(planned.waves.map((wave) => wave.map(({ resource }) => resource.kind)), [
    ["ServiceAccount", "Role", "ConfigMap"],
    ["Deployment", "RoleBinding"],
  ]);
});

Deno.test("F35 plan() refuses all but the oldest parent where only one may live, and leaves that one untouched", () => {
  const older = widget({ name: "z", creationTimestamp: "2024-01-01T00:00:00Z" });
  const twin = widget({ name: "twin", uid: "x-uid" });
  const snapshot = snapshotOf([[Widget, w], [Widget, older], [Widget, twin]]);
  const plans = (singleton: boolean) =>
    plan(planInput(definitionOf(() => [configMap("a")], { singleton }), snapshot)).map((planned) => [
      planned.parent.metadata.name,
      describe(planned),
      planned.status?.conditions[0]?.message,
    ]);
  const refused =
    "Widget z is older and manages this namespace; delete one of the two, or move this one to a " +
    "namespace of its own";
  assertEquals(plans(true), [
    ["w", [], refused],
    ["z", ["apply ConfigMap a"], "ConfigMap a"],
    ["twin", [], refused],
  ]);
  assertEquals(plans(false).map(([, writes]) => writes), Array(3).fill(["apply ConfigMap a"]));
});

Deno.test("plan() leaves out what failed and has to wait, and shows the failure while the difference is there", () => {
  const failure = { object: "ConfigMap a", reason: "Rejected", message: "no" };
  for (const waiting of [true, false]) {
    const failures = () => new Map([["ConfigMap a", { ...failure, waiting }]]);
    const planned = planFor([configMap("a")], [], { failures });
    assertEquals(describe(planned), waiting ? [] : ["apply ConfigMap a"]);
    assertEquals([planned.failures, planned.settled], [[{ ...failure, waiting }], []]);
    const mended = planFor([configMap("a")], [[ConfigMap, liveConfigMap()]], { failures });
    assertEquals([mended.failures, mended.settled], [[], ["ConfigMap a"]]);
  }
});

Deno.test("plan() creates and updates external objects, and leaves those alone that could not be read", () => {
  const children = ["new", "same", "other"].map((name) => external("Thing", name, { x: 1 }));
  const hidden = external("Hidden", "h");
  const objects = [
    { kind: "Thing", name: "same", fields: { x: 1, y: 2 } },
    { kind: "Thing", name: "other", fields: { x: 2 } },
  ];
  const planned = planFor([...children, hidden], [], { external: observed(objects, { unread: ["Hidden"] }) });
  assertEquals(planned.external, [
    { world: "external", verb: "create", child: children[0]!, observed: undefined, paths: ["missing"] },
    { world: "external", verb: "update", child: children[2]!, observed: objects[1]!, paths: ["x"] },
  ]);
  assertEquals(planned.settled, ["Thing same"]);
  assertEquals(planned.status?.conditions[0]?.message, "Thing new, Thing other, Hidden h");
});

Deno.test("plan() makes nothing external that was not looked for, and forgets nothing that could not be read", () => {
  const entry = (kind: string) => ({
    kind,
    name: "t",
    parentUid: "w-uid",
    singleton: false,
    confirmed: true,
  });
  const record = {
    metadata: { name: "inventory", namespace: "ns" },
    data: { id: "i", entries: JSON.stringify([entry("Thing"), entry("Hidden")]) },
  } as KubeObject;
  const looked = { [keyOfExternal(external("Thing", "seen"))]: true as const };
  const children = [external("Thing", "seen"), external("Thing", "late")];
  const planned = planFor(children, [[ConfigMap, record]], {
    external: observed([], { looked, unread: ["Hidden"] }),
    definition: definitionOf(() => children, { inventoryName: "inventory" }),
  });
  assertEquals(planned.external.map(({ child, verb }) => `${verb} ${child.name}`), ["create seen"]);
  assertEquals(planned.forgotten.map(({ kind }) => kind), ["Thing"]);
});

Deno.test("plan() plans nothing external before it was looked at, and calls none of it settled", () => {
  for (const phase of ["unknown", "unreachable"] as const) {
    const planned = planFor([external("Thing", "t")], [], { external: { phase, objects: [], facts: {} } });
    assertEquals([planned.external, planned.settled], [[], []]);
  }
});

Deno.test("plan() leaves blockOwnerDeletion out where it is refused", () => {
  const write = only(planFor([configMap("a")], [], { blockOwnerDeletion: false }));
  assertEquals(write.verb === "apply" && write.object.metadata.ownerReferences, [
    { apiVersion: "example.org/v1", kind: "Widget", name: "w", uid: "w-uid", controller: true },
  ]);
});

/** Children of several kinds, in any state of repair. */
const worlds = fc.uniqueArray(
  fc.record({
    kind: fc.constantFrom<Resource>(ConfigMap, ServiceAccount, Service, Secret),
    name: fc.constantFrom("a", "b", "c"),
    wanted: fc.boolean(),
    live: fc.constantFrom("absent", "ours", "stripped", "edited", "orphan"),
    value: fc.constantFrom("1", "2"),
  }),
  { selector: ({ kind, name }) => `${kind.kind} ${name}` },
);

function liveObject(resource: Resource, value: string, state: string, name: string): KubeObject {
  const dead = widget({ uid: "dead" });
  const metadata = ownedBy(state === "orphan" ? dead : w, { name });
  if (state === "stripped") delete metadata.ownerReferences;
  const data = { key: state === "edited" ? "edited" : value };
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata, ...{ data } };
}

/** What the plan's writes make of the objects. */
function carriedOut(objects: readonly (readonly [Resource, KubeObject])[], planned: ParentPlan) {
  const stored = new Map(objects.map((each) => [`${each[0].kind} ${each[1].metadata?.name}`, each]));
  for (const write of planned.waves.flat()) {
    const key = describeTarget(write);
    if (write.verb === "delete") stored.delete(key);
    else if (write.verb === "adopt") {
      const operation = write.operations.find(({ op }) => op === "replace");
      const reference = operation !== undefined && "value" in operation ? operation.value : undefined;
      stored.set(key, [write.resource, {
        ...write.live,
        metadata: { ...write.live?.metadata, ownerReferences: [reference as OwnerReference] },
      }]);
    } else stored.set(key, [write.resource, write.object]);
  }
  return [...stored.values()];
}

Deno.test("plan() carried out leaves nothing to do, and the order of children does not matter", () => {
  fc.assert(fc.property(worlds, (world) => {
    const children = world.filter(({ wanted }) => wanted).map(({ kind, name, value }) =>
      applied<ConfigMap>(kind, name, { data: { key: value } })
    );
    let objects = world.filter(({ live }) => live !== "absent")
      .map(({ kind, live, name, value }) => [kind, liveObject(kind, value, live, name)] as const);
    const first = planFor(children, objects);
    assertEquals(planFor(children, objects), first);
    assertEquals(
      new Set(describe(planFor([...children].reverse(), [...objects].reverse()))),
      new Set(describe(first)),
    );
    objects = carriedOut(objects, first);
    // Who is handed over to us is looked at again.
    objects = carriedOut(objects, planFor(children, objects));
    const last = planFor(children, objects);
    assertEquals([describe(last), last.failures], [[], []]);
    assertEquals(last.settled.length, children.length);
  }));
});
