import { assertEquals, assertRejects } from "@std/assert";
import { KubernetesClient } from "./client.ts";
import { ApiError } from "./errors.ts";
import type { KubeObject, Resource } from "./resource.ts";
import { settle, VirtualClock } from "../../tests/virtual_clock.ts";
import { answering, streamOf } from "./testing.ts";

interface Widget extends KubeObject {
  spec?: { readonly size: number };
}

const widgets: Resource<Widget> = {
  group: "example.org",
  version: "v1",
  kind: "Widget",
  plural: "widgets",
  namespaced: true,
};
const collection = "/apis/example.org/v1/namespaces/x/widgets";
const identity = { apiVersion: "example.org/v1", kind: "Widget" };

function page(names: readonly string[], next?: string): unknown {
  return {
    metadata: { resourceVersion: "7", ...(next === undefined ? {} : { continue: next }) },
    items: names.map((name) => ({ metadata: { name } })),
  };
}

function expired(): ApiError {
  return new ApiError("GET: 410 Expired", { status: 410, reason: "Expired" });
}

function thrown(error: unknown): never {
  throw error;
}

Deno.test("list() follows continue tokens and gives every item its apiVersion and kind", async () => {
  const transport = answering((_, index) => [page(["a", "b"], "t1"), page([], "t2"), page(["c"])][index]);
  const list = await new KubernetesClient(transport).list(widgets, { namespace: "x", labelSelector: "a=b" });
  assertEquals(list, {
    items: ["a", "b", "c"].map((name) => ({ ...identity, metadata: { name } })),
    resourceVersion: "7",
  });
  assertEquals(
    transport.requests.map(({ path, querystring }) => `${path}?${querystring}`),
    ["", "&continue=t1", "&continue=t2"].map((rest) => `${collection}?labelSelector=a%3Db&limit=500${rest}`),
  );
});

Deno.test("F08 list() starts afresh when a continue token has expired", async () => {
  const answers = [
    () => page(["old"], "t1"),
    () => thrown(expired()),
    () => page(["new"], "t2"),
    () => page(["z"]),
  ];
  const transport = answering((_, index) => answers[index]?.());
  const list = await new KubernetesClient(transport).list(widgets, { namespace: "x" });
  assertEquals(list.items.map((item) => item.metadata?.name), ["new", "z"]);
  assertEquals(transport.requests[2]?.querystring?.has("continue"), false);
});

Deno.test("list() gives up when its token expires again and again", async () => {
  const transport = answering(({ querystring }) =>
    querystring?.has("continue") ? thrown(expired()) : page(["a"], "t")
  );
  const error = await assertRejects(() => new KubernetesClient(transport).list(widgets), ApiError);
  assertEquals([error.status, transport.requests.length], [410, 8]);
});

Deno.test("list() fails as a whole when a later page fails", async () => {
  const transport = answering((_, index) =>
    index === 0
      ? page(["a"], "t")
      : thrown(new ApiError("GET: 500", { status: 500, reason: "InternalError" }))
  );
  await assertRejects(() => new KubernetesClient(transport).list(widgets), ApiError, "500");
});

Deno.test("F09 list() refuses an answer that is not a list", async () => {
  for (
    const answer of [{}, [], null, "text", { metadata: {}, items: [] }, { ...page([]) as object, items: [1] }]
  ) {
    const error = await assertRejects(
      () => new KubernetesClient(answering(() => answer)).list(widgets),
      ApiError,
    );
    assertEquals(error.reason, "BadResponse");
  }
});

Deno.test("list() takes a list without items for an empty one", async () => {
  const transport = answering(() => ({ metadata: { resourceVersion: "3" }, items: null }));
  assertEquals(await new KubernetesClient(transport).list(widgets), { items: [], resourceVersion: "3" });
});

Deno.test("list() of metadata keeps the resource's own kind and can leave managedFields out", async () => {
  const transport = answering(() => ({
    metadata: { resourceVersion: "3" },
    items: [{
      apiVersion: "meta.k8s.io/v1",
      kind: "PartialObjectMetadata",
      metadata: { name: "a", managedFields: [{ manager: "m" }] },
    }],
  }));
  const list = await new KubernetesClient(transport).list(widgets, {
    metadataOnly: true,
    dropManagedFields: true,
  });
  assertEquals(list.items, [{ ...identity, metadata: { name: "a" } }]);
  assertEquals(
    transport.requests[0]?.accept,
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
  );
});

async function collect<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

Deno.test("watch() yields events and bookmarks and ends when the server closes", async () => {
  const transport = answering(() =>
    streamOf([
      '{"type":"ADDED","object":{"kind":"PartialObjectMetadata","metadata":{"name":"a"}}}\n{"type":"BOOK',
      'MARK","object":{"metadata":{"resourceVersion":"9"}}}\n',
      '{"type":"DELETED","object":{"metadata":{"name":"a"}}}',
    ])
  );
  const client = new KubernetesClient(transport);
  const query = { namespace: "x", resourceVersion: "7", metadataOnly: true, timeoutSeconds: 60 };
  assertEquals(await collect(client.watch(widgets, query)), [
    { type: "ADDED", object: { ...identity, metadata: { name: "a" } } },
    { type: "BOOKMARK", resourceVersion: "9" },
    { type: "DELETED", object: { ...identity, metadata: { name: "a" } } },
  ]);
  const [request] = transport.requests;
  assertEquals(request?.accept, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
  assertEquals(
    `${request?.querystring}`,
    "watch=true&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=60",
  );
});

Deno.test("watch() releases the connection when its consumer stops", async () => {
  let cancelled = 0;
  const transport = answering(() =>
    streamOf(['{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'], {
      open: true,
      onCancel: () => cancelled++,
    })
  );
  for await (const _ of new KubernetesClient(transport).watch(widgets, { resourceVersion: "1" })) break;
  assertEquals([cancelled, transport.requests[0]?.abortSignal?.aborted], [1, true]);
});

Deno.test("watch() ends quietly when its signal aborts, before and while it is open", async () => {
  const signals: (AbortSignal | undefined)[] = [];
  const transport = answering(({ abortSignal }) => {
    signals.push(abortSignal);
    return new ReadableStream({
      start: (controller) =>
        abortSignal?.addEventListener("abort", () => controller.error(new Error("connection gone"))),
    });
  });
  const client = new KubernetesClient(transport, new VirtualClock());
  const controller = new AbortController();
  const events = collect(client.watch(widgets, { resourceVersion: "1" }, { signal: controller.signal }));
  await settle();
  controller.abort();
  assertEquals(await events, []);
  assertEquals(
    await collect(client.watch(widgets, { resourceVersion: "1" }, { signal: controller.signal })),
    [],
  );
  assertEquals(signals.length, 1);
});

Deno.test("create() posts to the collection, with apiVersion, kind, dry run and field manager", async () => {
  const transport = answering(({ bodyJson }) => bodyJson);
  const made = await new KubernetesClient(transport).create(
    widgets,
    { metadata: { name: "a", namespace: "x" } },
    { dryRun: true, fieldManager: "m" },
  );
  assertEquals(made, { ...identity, metadata: { name: "a", namespace: "x" } });
  const [request] = transport.requests;
  assertEquals([request?.method, request?.path, `${request?.querystring}`], [
    "POST",
    collection,
    "dryRun=All&fieldManager=m",
  ]);
});

Deno.test("replace(), apply() and patch() address the object or its subresource", async () => {
  const transport = answering(() => ({ metadata: { name: "a" } }));
  const client = new KubernetesClient(transport);
  const object: Widget = { metadata: { name: "a", namespace: "x", uid: "u", resourceVersion: "5" } };
  await client.replace(widgets, object, { subresource: "status" });
  await client.apply(widgets, object, { fieldManager: "m", force: true });
  await client.patch(widgets, { namespace: "x", name: "a" }, { type: "merge", patch: { spec: null } });
  await client.patch(widgets, { namespace: "x", name: "a" }, {
    type: "json",
    operations: [{ op: "test", path: "/metadata/uid", value: "u" }],
  });
  assertEquals(
    transport.requests.map(({ bodyJson, contentType, method, path, querystring }) => ({
      request: `${method} ${path}?${querystring}`,
      contentType,
      bodyJson,
    })),
    [
      {
        request: `PUT ${collection}/a/status?`,
        contentType: undefined,
        bodyJson: { ...object, ...identity },
      },
      {
        request: `PATCH ${collection}/a?force=true&fieldManager=m`,
        contentType: "application/apply-patch+yaml",
        bodyJson: { ...object, ...identity },
      },
      {
        request: `PATCH ${collection}/a?`,
        contentType: "application/merge-patch+json",
        bodyJson: { spec: null },
      },
      {
        request: `PATCH ${collection}/a?`,
        contentType: "application/json-patch+json",
        bodyJson: [{ op: "test", path: "/metadata/uid", value: "u" }],
      },
    ],
  );
});

Deno.test("delete() sends preconditions and tells whether the object is still there", async () => {
  const answers = [{ kind: "Status", status: "Success" }, {
    metadata: { name: "a", deletionTimestamp: "2026-01-01T00:00:00Z" },
  }];
  const transport = answering((_, index) => answers[index]);
  const client = new KubernetesClient(transport);
  const target = { namespace: "x", name: "a" };
  const preconditions = { uid: "u", resourceVersion: "5" };
  assertEquals(
    await client.delete(widgets, target, { preconditions, propagationPolicy: "Background" }),
    undefined,
  );
  assertEquals(await client.delete(widgets, target, { dryRun: true }), {
    ...identity,
    metadata: { name: "a", deletionTimestamp: "2026-01-01T00:00:00Z" },
  });
  assertEquals(JSON.parse(JSON.stringify(transport.requests[0]?.bodyJson)), {
    apiVersion: "v1",
    kind: "DeleteOptions",
    preconditions,
    propagationPolicy: "Background",
  });
  assertEquals(`${transport.requests[1]?.querystring}`, "dryRun=All");
});

Deno.test("get() refuses a Status in place of an object", async () => {
  const client = new KubernetesClient(answering(() => ({ kind: "Status", status: "Success" })));
  await assertRejects(() => client.get(widgets, { name: "a" }), ApiError, "not an object");
});

Deno.test("discover() tells what is served and that a group is not", async () => {
  const served = { name: "widgets", kind: "Widget", namespaced: true, verbs: ["get"] };
  const client = new KubernetesClient(answering(({ path }) => {
    if (path === "/apis/example.org/v1") return { resources: [{ ...served, singularName: "" }] };
    throw new ApiError("404", { status: path === "/apis/down/v1" ? 503 : 404, reason: "NotFound" });
  }));
  assertEquals(await client.discover("example.org", "v1"), [served]);
  assertEquals(await client.discover("nope", "v1"), undefined);
  await assertRejects(() => client.discover("down", "v1"), ApiError);
});
