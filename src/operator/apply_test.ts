import { assertEquals } from "@std/assert";
import { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import { Deployment } from "../kubernetes/generated/apps_v1.ts";
import { ConfigMap, Secret, ServiceAccount } from "../kubernetes/generated/core_v1.ts";
import { answering } from "../kubernetes/testing.ts";
import type { RequestOptions } from "../kubernetes/transport.ts";
import { refusal } from "../../tests/memory_transport.ts";
import { VirtualClock } from "../../tests/virtual_clock.ts";
import { type ApplyContext, applyWrite } from "./apply.ts";
import { identity } from "./fixtures.ts";
import type { KubernetesWrite } from "./write.ts";

const target = { world: "kubernetes", resource: ConfigMap, namespace: "ns", name: "a", paths: [] } as const;
const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "ns" } };
const precondition = { uid: "u", resourceVersion: "5" };
const creation: KubernetesWrite = { ...target, verb: "apply", object };
const update: KubernetesWrite = { ...target, verb: "apply", object, precondition };
const deletion: KubernetesWrite = { ...target, verb: "delete", precondition };
const adoption: KubernetesWrite = { ...target, verb: "adopt", operations: [] };

/** Carries out a write against a server that answers so, and gives what was sent as well. */
async function carryOut(
  write: KubernetesWrite,
  answer: (request: RequestOptions, index: number) => unknown = () => object,
  more: Partial<ApplyContext> = {},
) {
  const transport = answering(answer);
  const clock = new VirtualClock();
  const outcome = await applyWrite(write, {
    client: new KubernetesClient(transport, clock),
    clock,
    identity,
    mayWrite: () => true,
    signal: new AbortController().signal,
    onGenerated: () => {},
    ...more,
  });
  const sent = transport.requests.map(({ bodyJson, contentType = "", method, querystring }) => ({
    method,
    type: contentType.replace(/application\/|\+.*/g, ""),
    query: `${querystring}`,
    body: bodyJson,
  }));
  return { outcome, sent };
}

const appliedSo = { method: "PATCH", type: "apply-patch", query: "force=true&fieldManager=widgets" };

Deno.test("F55 applyWrite() creates with resourceVersion 1 and no uid, so that it never overwrites", async () => {
  const { outcome, sent } = await carryOut(creation);
  assertEquals(outcome, { type: "written", object });
  assertEquals(sent, [{
    ...appliedSo,
    body: { ...object, metadata: { ...object.metadata, resourceVersion: "1" } },
  }]);
});

Deno.test("applyWrite() hands over by a JSON patch under the name that corrections have, whose fields are given up", async () => {
  const operations = [{ op: "test", path: "/metadata/uid", value: "u" }] as const;
  const { sent } = await carryOut({ ...target, verb: "adopt", operations });
  assertEquals(sent, [
    { method: "PATCH", type: "json-patch", query: "fieldManager=widgets-correction", body: operations },
  ]);
});

Deno.test("F21 applyWrite() updates with uid and resourceVersion of what the plan saw", async () => {
  const { sent } = await carryOut(update);
  assertEquals(sent, [{
    ...appliedSo,
    body: { ...object, metadata: { ...object.metadata, ...precondition } },
  }]);
});

Deno.test("applyWrite() sets a fresh revision in the same write", async () => {
  const { sent } = await carryOut({ ...update, freshRevision: true } as KubernetesWrite);
  const annotations = { "example.org/revision": "00000001-0000-4000-8000-000000000000" };
  assertEquals(sent.map(({ body }) => body), [
    { ...object, metadata: { ...object.metadata, ...precondition, annotations } },
  ]);
});

Deno.test("applyWrite() sends the patch that has to come first under the same precondition", async () => {
  const before = { spec: { strategy: { rollingUpdate: null } } };
  const { sent } = await carryOut({ ...update, before } as KubernetesWrite, () => ({
    ...object,
    metadata: { ...object.metadata, uid: "u", resourceVersion: "6" },
  }));
  assertEquals(sent, [
    {
      method: "PATCH",
      type: "merge-patch",
      query: "fieldManager=widgets-correction",
      body: { ...before, metadata: precondition },
    },
    {
      ...appliedSo,
      body: { ...object, metadata: { ...object.metadata, uid: "u", resourceVersion: "6" } },
    },
  ]);
});

Deno.test("applyWrite() removes what corrections own, once the same is applied", async () => {
  const managedFields = [
    { manager: "widgets", operation: "Apply" },
    { manager: "widgets-correction", operation: "Update" },
  ];
  const applied = {
    ...object,
    metadata: { ...object.metadata, uid: "u", resourceVersion: "7", managedFields },
  };
  const { sent } = await carryOut(update, () => applied);
  assertEquals(sent.slice(1), [{
    method: "PATCH",
    type: "json-patch",
    query: "fieldManager=widgets-correction",
    body: [
      { op: "test", path: "/metadata/uid", value: "u" },
      { op: "test", path: "/metadata/managedFields/1/manager", value: "widgets-correction" },
      { op: "remove", path: "/metadata/managedFields/1" },
    ],
  }]);
});

Deno.test("applyWrite() removes what corrections still own before an apply that may give it up", async () => {
  const managedFields = [{ manager: "widgets-correction", operation: "Update" }];
  const live = { ...object, metadata: { ...object.metadata, uid: "u", resourceVersion: "5", managedFields } };
  const freed = { ...object, metadata: { ...object.metadata, uid: "u", resourceVersion: "6" } };
  const write = { ...update, live, precondition: { uid: "u", resourceVersion: "5" } } as KubernetesWrite;
  const { sent } = await carryOut(write, (request) => request.method === "GET" ? live : freed);
  assertEquals(sent.map(({ method, type }) => `${method} ${type}`), [
    "GET ",
    "PATCH json-patch",
    "PATCH apply-patch",
  ]);
  const changed = { ...live, metadata: { ...live.metadata, resourceVersion: "9" } };
  const late = await carryOut(write, () => changed);
  assertEquals([late.outcome, late.sent.length], [{ type: "outdated" }, 1]);
});

Deno.test("applyWrite() makes values and POSTs them, after telling whoever hides them", async () => {
  const told: unknown[] = [];
  const write: KubernetesWrite = {
    ...target,
    resource: Secret,
    verb: "create",
    object,
    generate: () => Promise.resolve({ key: "dmFsdWU=" }),
  };
  const { sent } = await carryOut(write, () => (told.push("sent"), object), {
    onGenerated: (resource, { metadata: _, ...rest }) => told.push(resource.kind, rest),
  });
  const made = { apiVersion: "v1", kind: "ConfigMap", data: { key: "dmFsdWU=" } };
  assertEquals(sent, [{
    method: "POST",
    type: "",
    query: "fieldManager=widgets",
    body: { ...object, ...made },
  }]);
  assertEquals(told, ["Secret", made, "sent"]);
});

Deno.test("applyWrite() deletes with preconditions; what is gone or answered without a deletion time is gone", async () => {
  const going = { ...object, metadata: { ...object.metadata, deletionTimestamp: "now" } };
  const gone: readonly (readonly [(request: RequestOptions) => unknown, unknown])[] = [
    [() => ({ kind: "Status", status: "Success" }), undefined],
    [() => object, undefined],
    [() => going, going],
    [(request) => thrown(refusal(request, 404, "NotFound")), undefined],
  ];
  for (const [answer, left] of gone) {
    const { outcome, sent } = await carryOut({ ...deletion, resource: ServiceAccount }, answer);
    assertEquals(
      outcome,
      {
        type: "written",
        object: left && { ...going, apiVersion: "v1", kind: "ServiceAccount" },
      } as typeof outcome,
    );
    assertEquals(sent[0]?.body, {
      apiVersion: "v1",
      kind: "DeleteOptions",
      preconditions: precondition,
      propagationPolicy: "Background",
      gracePeriodSeconds: undefined,
    });
  }
  const awaited = await carryOut({ ...deletion, isAwaited: true }, () => going);
  assertEquals((awaited.sent[0]?.body as Record<string, unknown>)["propagationPolicy"], "Foreground");
});

function thrown(error: Error): never {
  throw error;
}

const failure = (reason: string, message: string) => ({ object: "ConfigMap a", reason, message });
const path = "PATCH /api/v1/namespaces/ns/configmaps/a";

const refusals: readonly {
  readonly title: string;
  readonly write?: KubernetesWrite;
  readonly error: (request: RequestOptions) => Error;
  readonly outcome: unknown;
}[] = [
  {
    title: "a conflict: plan anew",
    error: (request) => refusal(request, 409, "Conflict"),
    outcome: { type: "outdated" },
  },
  {
    title: "the object is gone: plan anew",
    error: (request) => refusal(request, 404, "NotFound"),
    outcome: { type: "outdated" },
  },
  {
    title: "a test of a JSON patch does not hold: plan anew",
    write: adoption,
    error: (request) => refusal(request, 422, "Invalid"),
    outcome: { type: "outdated" },
  },
  {
    title: "the namespace goes away: all ends",
    write: creation,
    error: (request) => refusal(request, 403, "Forbidden", { causes: [{ reason: "NamespaceTerminating" }] }),
    outcome: { type: "terminating" },
  },
  {
    title: "blockOwnerDeletion is refused: go without",
    error: (request) =>
      refusal(request, 403, "Forbidden", {
        message: "cannot set blockOwnerDeletion if an ownerReference ...",
      }),
    outcome: { type: "blockOwnerDeletionRefused" },
  },
  {
    title: "the Role forbids it: say which and wait long",
    error: (request) =>
      refusal(request, 403, "Forbidden", { message: 'User "x" cannot patch resource "configmaps"' }),
    outcome: {
      type: "failed",
      failure: failure(
        "Forbidden",
        `${path}: 403 Forbidden: User "x" cannot patch resource "configmaps"; grant it in the operator's Role`,
      ),
      retryable: false,
    },
  },
  {
    title: "a new owner needs a right on the object: say which",
    error: (request) =>
      refusal(request, 403, "Forbidden", {
        message: "forbidden: cannot set an ownerRef on a resource you can't delete: , <nil>",
      }),
    outcome: {
      type: "failed",
      failure: failure(
        "Forbidden",
        `${path}: 403 Forbidden: forbidden: cannot set an ownerRef on a resource you can't delete: , <nil>; ` +
          "grant delete on configmaps in the operator's Role",
      ),
      retryable: false,
    },
  },
  ...[
    [403, "Forbidden", 'admission webhook "x" denied the request: no'],
    [422, "Invalid", "spec.x: Required value"],
    [400, "BadRequest", "unknown field"],
  ].map(([status, reason, message]) => ({
    title: `rejected with ${status}, ${message}: wait long`,
    error: (request: RequestOptions) =>
      refusal(request, Number(status), String(reason), { message: String(message) }),
    outcome: {
      type: "failed",
      failure: failure("Rejected", `${path}: ${status} ${reason}: ${message}`),
      retryable: false,
    },
  })),
  {
    title: "a quota leaves no room: say which",
    error: (request) =>
      refusal(request, 403, "Forbidden", {
        message: 'configmaps "a" is forbidden: exceeded quota: q, used: x',
      }),
    outcome: {
      type: "failed",
      failure: failure(
        "QuotaExceeded",
        `${path}: 403 Forbidden: configmaps "a" is forbidden: exceeded quota: q, used: x; raise ResourceQuota q, or ` +
          "free what it counts",
      ),
      retryable: true,
    },
  },
  {
    title: "too many requests: wait as long as asked",
    error: (request) => refusal(request, 429, "TooManyRequests", { retryAfterSeconds: 7 }),
    outcome: {
      type: "failed",
      failure: failure("TooManyRequests", `${path}: 429 TooManyRequests: TooManyRequests`),
      retryable: true,
      retryAfterMs: 7_000,
    },
  },
  ...[
    [500, "InternalError", "ServerError"],
    [503, "ServiceUnavailable", "ServerError"],
    [
      401,
      "Unauthorized",
      "Unauthorized",
      "the server does not accept the credentials: renew the token or client certificate",
    ],
  ].map(([status, said, reason, advice]) => ({
    title: `${status}: try again`,
    error: (request: RequestOptions) => refusal(request, Number(status), String(said)),
    outcome: {
      type: "failed",
      failure: failure(String(reason), `${path}: ${status} ${said}: ${advice ?? said}`),
      retryable: true,
      retryAfterMs: undefined,
    },
  })),
  ...["Unreachable", "DeadlineExceeded", "BadResponse"].map((reason) => ({
    title: `${reason}: try again`,
    error: () => new ApiError("no usable answer", { status: 0, reason }),
    outcome: {
      type: "failed",
      failure: failure(reason, "no usable answer"),
      retryable: true,
      retryAfterMs: undefined,
    },
  })),
  {
    title: "this process stops: nothing was wrong",
    error: () => new ApiError("aborted", { status: 0, reason: "Aborted" }),
    outcome: { type: "fenced" },
  },
  {
    title: "a mistake of ours: say it, and try again",
    error: () => new TypeError("undefined is not an object"),
    outcome: {
      type: "failed",
      failure: failure("InternalError", "undefined is not an object"),
      retryable: true,
    },
  },
];

for (const { title, write = update, error, outcome } of refusals) {
  Deno.test(`applyWrite(): ${title}`, async () => {
    const result = await carryOut(write, (request) => thrown(error(request)));
    assertEquals(result.outcome, outcome as typeof result.outcome);
  });
}

Deno.test("applyWrite() looks at the fence before each request, and again after a slow generate", async () => {
  const generate = () => Promise.resolve({ a: "b" });
  const cases: readonly (readonly [KubernetesWrite, number])[] = [
    ...[creation, update, deletion, adoption].map((write) => [write, 0] as const),
    [{ ...target, verb: "create", object, generate }, 0],
    [{ ...target, verb: "create", object, generate }, 1],
    [{ ...target, verb: "replace", object, generate }, 1],
    [{ ...target, resource: Deployment, verb: "apply", object, precondition, before: { spec: {} } }, 1],
  ];
  for (const [write, looks] of cases) {
    let left = looks;
    const { outcome, sent } = await carryOut(write, undefined, { mayWrite: () => left-- > 0 });
    assertEquals(outcome, { type: "fenced" });
    assertEquals(sent.map(({ type }) => type), "before" in write ? ["merge-patch"] : []);
  }
});
