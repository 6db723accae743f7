import { assert, assertEquals } from "@std/assert";
import { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import { ConfigMap, Secret } from "../kubernetes/generated/core_v1.ts";
import { intercept, type InterceptedRequest, type RequestHook } from "../kubernetes/intercept.ts";
import type { KubeObject, ManagedFieldsEntry } from "../kubernetes/resource.ts";
import { MemoryApi, refusal } from "../../tests/memory_transport.ts";
import { settle, VirtualClock } from "../../tests/virtual_clock.ts";
import { identity, observed, Widget } from "./fixtures.ts";
import { keyOf, Store } from "./store.ts";

/** A store of ConfigMaps, Secrets and Widgets, and the API server that it looks at; `hook` may break requests. */
function stored(hook: RequestHook = (_, proceed) => proceed()) {
  const clock = new VirtualClock();
  const api = new MemoryApi(clock, [ConfigMap, Secret, Widget]);
  const said: string[] = [];
  const client = new KubernetesClient(intercept(api, hook), clock);
  const store = new Store({
    client,
    namespace: "ns",
    clock,
    kinds: [
      { resource: ConfigMap, relistMs: 600_000 },
      { resource: Secret, relistMs: 600_000, metadataOnly: true },
      { resource: Widget, relistMs: 30_000 },
    ],
    identity,
    observer: {
      changed: ({ kind }, name, object) => said.push(`${kind} ${name}${object === undefined ? " gone" : ""}`),
      kindChanged: ({ kind }, { phase }) => said.push(`${kind} ${phase}`),
      stale: ({ kind }) => said.push(`${kind} stale`),
      watchEnded: ({ kind }, reason) => said.push(`${kind} watch: ${reason}`),
    },
  });
  store.keepContentOf(Secret, new Set(["ours"]));
  /** What was said since the last call. */
  const news = () => said.splice(0);
  const make = (name: string, value = "1") =>
    api.make<ConfigMap>(ConfigMap, { metadata: { name, namespace: "ns" }, data: { value } });
  const edit = (name: string, value: string) =>
    api.edit(ConfigMap, name, (object) => object.data = { value });
  /** Name and value of every ConfigMap in the store. */
  const known = () =>
    store.snapshot().list(ConfigMap).map(({ data, metadata }) => `${metadata?.name}=${data?.["value"]}`)
      .sort();
  /** Runs `test` while the store follows. */
  const following = async (test: () => Promise<void>) => {
    const stopping = new AbortController();
    const running = store.follow(stopping.signal);
    await settle();
    await test();
    stopping.abort();
    await running;
    assertEquals([clock.sleepers, api.watching], [0, 0]);
  };
  return { api, clock, edit, following, known, make, news, store };
}

/** A watch that says nothing. */
function silent({ options }: InterceptedRequest): Promise<ReadableStream> {
  return Promise.resolve(
    new ReadableStream({
      start: (controller) => options.abortSignal?.addEventListener("abort", () => controller.error()),
    }),
  );
}

/** Answers the next list of ConfigMaps as it would have been answered before. */
function timeTravel() {
  let past: unknown;
  let mode: "live" | "record" | "replay" = "live";
  const hook: RequestHook = async ({ plural, verb }, proceed) => {
    if (plural !== "configmaps" || verb !== "list") return await proceed();
    if (mode === "replay") return structuredClone(past);
    const answer = await proceed();
    if (mode === "record") past = structuredClone(answer);
    return answer;
  };
  return { hook, set: (next: typeof mode) => mode = next };
}

Deno.test("Store knows what it listed, kind by kind, and is ready when all were tried", async () => {
  const { known, make, store } = stored();
  make("a");
  assertEquals([store.ready, store.snapshot().kind(ConfigMap)], [false, { phase: "pending" }]);
  await store.listAll();
  assertEquals([store.ready, store.snapshot().kind(ConfigMap), known()], [true, { phase: "synced" }, [
    "a=1",
  ]]);
  assertEquals(store.resources.map(keyOf), ["/configmaps", "/secrets", "example.org/widgets"]);
});

Deno.test("Store.snapshot() follows the store, and a list that was taken stays as it was", async () => {
  const { edit, make, store } = stored();
  make("a");
  await store.listAll();
  const snapshot = store.snapshot();
  const before = snapshot.list(ConfigMap);
  edit("a", "2");
  make("b");
  await store.listAll();
  const values = (objects: readonly ConfigMap[]) => objects.map(({ data }) => data?.["value"]);
  assertEquals([values(before), values(snapshot.list(ConfigMap))], [["1"], ["2", "1"]]);
});

Deno.test("Store.snapshot() finds objects by uid and by mark, as they are now", async () => {
  const { api, make, store } = stored();
  make("a");
  await store.listAll();
  const snapshot = store.snapshot();
  const marked = (uid: string) => snapshot.ownedBy(ConfigMap, uid).map(({ metadata }) => metadata?.name);
  const mark = async (uid: string | undefined) => {
    api.edit(ConfigMap, "a", ({ metadata }) => {
      metadata!.annotations = uid === undefined ? {} : { "example.org/owner-uid": uid };
    });
    await store.listAll();
  };
  const uid = snapshot.list(ConfigMap)[0]?.metadata?.uid ?? "";
  assertEquals([snapshot.byUid(ConfigMap, uid)?.metadata?.name, marked("one")], ["a", []]);
  await mark("one");
  assertEquals([marked("one"), marked("two")], [["a"], []]);
  await mark("two");
  assertEquals([marked("one"), marked("two")], [[], ["a"]]);
  await mark(undefined);
  assertEquals([marked("one"), marked("two")], [[], []]);
  await mark("one");
  api.remove(ConfigMap, "a");
  await store.listAll();
  assertEquals([snapshot.byUid(ConfigMap, uid), marked("one")], [undefined, []]);
});

Deno.test("F08 Store takes a list of many pages as a whole or not at all", async () => {
  let broken = false;
  const { api, edit, known, make, store } = stored(({ options, plural }, proceed) => {
    if (broken && plural === "configmaps" && options.querystring?.has("continue")) {
      throw refusal(options, 500, "InternalError");
    }
    return proceed();
  });
  for (let index = 0; index < 1_001; index++) make(`m${index}`);
  await store.listAll();
  assertEquals([known().length, api.requests.filter(({ plural }) => plural === "configmaps").length], [
    1_001,
    3,
  ]);
  broken = true;
  edit("m0", "2");
  api.remove(ConfigMap, "m1");
  await store.listAll();
  const state = store.snapshot().kind(ConfigMap);
  assertEquals([known().length, known()[0], state.phase], [1_001, "m0=1", "failed"]);
  broken = false;
  await store.listAll();
  assertEquals([known().length, known()[0], store.snapshot().kind(ConfigMap).phase], [
    1_000,
    "m0=2",
    "synced",
  ]);
});

Deno.test("Store follows changes, and goes on from the last event when the server ends the watch", async () => {
  const { api, clock, edit, following, known, make, news } = stored();
  await following(async () => {
    news();
    make("a");
    edit("a", "2");
    make("b");
    api.remove(ConfigMap, "b");
    await settle();
    assertEquals(news(), ["ConfigMap a", "ConfigMap a", "ConfigMap b", "ConfigMap b gone"]);
    await clock.advance(5_000);
    api.closeWatches();
    make("c");
    await settle();
    assertEquals([known(), news().sort()], [["a=2", "c=1"], [
      "ConfigMap c",
      "ConfigMap watch: Closed",
      "Secret watch: Closed",
      "Widget watch: Closed",
    ]]);
    assertEquals(
      api.requests.filter(({ plural, verb }) => verb === "list" && plural === "configmaps").length,
      1,
    );
  });
});

Deno.test("Store goes on from the last bookmark, so that no history of others is asked for again", async () => {
  const asked: (string | null | undefined)[] = [];
  const { clock, following } = stored(async ({ options, plural, verb }, proceed) => {
    if (verb !== "watch" || plural !== "configmaps") return await proceed();
    asked.push(options.querystring?.get("resourceVersion"));
    if (asked.length > 1) return await proceed();
    const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: "4711" } } };
    await clock.sleep(5_000);
    return ReadableStream.from([new TextEncoder().encode(`${JSON.stringify(bookmark)}\n`)]);
  });
  await following(async () => {
    await clock.advance(6_000);
    assertEquals(asked.slice(1), ["4711"]);
  });
});

Deno.test("F07 Store lists anew when the history is gone", async () => {
  const { api, clock, following, known, make, news } = stored();
  await following(async () => {
    make("a");
    await clock.advance(5_000);
    news();
    api.closeWatches();
    make("b");
    api.compact();
    await clock.advance(1_000);
    assertEquals(known(), ["a=1", "b=1"]);
    assert(news().includes("ConfigMap watch: Expired"));
  });
});

Deno.test("Store lists each kind again at its own interval, so that a lost event does no lasting harm", async () => {
  const { api, clock, following, known, make } = stored((request, proceed) =>
    request.verb === "watch" ? silent(request) : proceed()
  );
  const lists = (wanted: string) =>
    api.requests.filter(({ plural, verb }) => plural === wanted && verb === "list").length;
  await following(async () => {
    make("a");
    await clock.advance(599_999);
    assertEquals([known(), lists("configmaps"), lists("widgets")], [[], 1, 20]);
    await clock.advance(1);
    assertEquals([known(), lists("configmaps"), lists("widgets")], [["a=1"], 2, 21]);
  });
});

Deno.test("F06 Store opens a watch again that says nothing for 150 s", async () => {
  let watches = 0;
  const { clock, following } = stored((request, proceed) => {
    if (request.verb !== "watch" || request.plural !== "configmaps") return proceed();
    watches++;
    return silent(request);
  });
  await following(async () => {
    await clock.advance(149_999);
    assertEquals(watches, 1);
    await clock.advance(1);
    assertEquals(watches, 2);
  });
});

for (
  const [title, status, reason] of [["forbidden", 403, "Forbidden"], ["expired", 410, "Expired"]] as const
) {
  Deno.test(`Store does not loop where every watch is ${title}, and keeps up by lists`, async () => {
    let requests = 0;
    const { clock, following, known, make } = stored((request, proceed) => {
      if (request.plural === "configmaps") requests++;
      if (request.verb === "watch") throw refusal(request.options, status, reason);
      return proceed();
    });
    await following(async () => {
      await clock.advance(600_000);
      make("a");
      await clock.advance(30_000);
      assertEquals(known(), ["a=1"]);
      assert(requests < 80, `${requests} requests`);
    });
  });
}

Deno.test("Store asks for a kind that is denied ever more seldom, and has it when the Role is mended", async () => {
  let denied = true;
  let requests = 0;
  const { clock, following, known, make, store } = stored((request, proceed) => {
    if (request.plural !== "configmaps") return proceed();
    requests++;
    if (denied) throw refusal(request.options, 403, "Forbidden");
    return proceed();
  });
  await following(async () => {
    await clock.advance(3_600_000);
    assert(requests > 6 && requests < 25, `${requests} requests in an hour`);
    const state = store.snapshot().kind(ConfigMap);
    assert(state.phase === "failed" && state.denied);
    denied = false;
    make("a");
    await clock.advance(600_000);
    assertEquals(known(), ["a=1"]);
  });
});

Deno.test("F15 Store waits longer and longer while lists fail, keeps what it knows, and recovers", async () => {
  let broken: "one" | "all" | undefined;
  let requests = 0;
  const { api, clock, following, known, make, news, store } = stored(({ plural }, proceed) => {
    if (broken === undefined || (broken !== "all" && plural !== "configmaps")) return proceed();
    requests++;
    throw new ApiError("no answer", { status: 0, reason: "Unreachable" });
  });
  await following(async () => {
    make("a");
    await clock.advance(2_000);
    broken = "one";
    api.closeWatches();
    await clock.advance(600_000);
    assertEquals([known(), store.snapshot().kind(ConfigMap)], [["a=1"], {
      phase: "failed",
      message: "no answer",
      denied: false,
      server: true,
    }]);
    assert(requests < 40, `${requests} requests`);
    assertEquals(store.ready, true);
    news();
    broken = undefined;
    make("b");
    await clock.advance(30_000);
    assertEquals(known(), ["a=1", "b=1"]);
    assert(news().includes("ConfigMap synced"));
  });
});

Deno.test("F15 Store looks with one kind whether a server is back that is away, and lists all of them when it is", async () => {
  let isAway = false;
  let hangs = false;
  const asked: string[] = [];
  const { api, clock, following, known, make, news, store } = stored(
    async ({ options, plural, verb }, proceed) => {
      if (isAway || (hangs && plural === "secrets")) {
        asked.push(`${verb} ${plural}`);
        if (hangs) await clock.sleep(30_000, options.abortSignal);
        throw new ApiError("no answer", { status: 0, reason: "Unreachable" });
      }
      return await proceed();
    },
  );
  await following(async () => {
    make("a");
    await clock.advance(2_000);
    for (const round of [1, 2]) {
      isAway = true;
      api.closeWatches();
      await clock.advance(60_000);
      assertEquals([known(), store.ready], [["a=1"], false]);
      asked.length = 0;
      await clock.advance(540_000);
      assertEquals([...new Set(asked)], [asked[0]]);
      assert(asked.length > 100 && asked.length < 200, `${asked.length} requests`);
      isAway = false;
      api.edit(ConfigMap, "a", (object) => object.data = { value: `${round}` });
      news();
      await clock.advance(5_000);
      assertEquals([known(), store.ready], [[`a=${round}`], true]);
      assertEquals(news().filter((line) => line.endsWith("synced")).length, 3);
    }
    // Where only one of them stays away, the others are not kept waiting for longer than it takes to know that.
    isAway = true;
    api.closeWatches();
    await clock.advance(60_000);
    [isAway, hangs] = [false, true];
    await clock.advance(5_000);
    assertEquals([store.ready, store.snapshot().kind(ConfigMap).phase], [false, "synced"]);
    await clock.advance(30_000);
    assertEquals([store.ready, store.snapshot().kind(Secret).phase], [true, "failed"]);
    hangs = false;
    await clock.advance(30_000);
    assertEquals(store.snapshot().kind(Secret).phase, "synced");
  });
});

Deno.test("Store keeps of a list that is taken again what it has already", async () => {
  const { api, clock, edit, following, make, store } = stored();
  await following(async () => {
    for (const name of ["a", "b"]) make(name);
    await clock.advance(1_000);
    const before = store.snapshot();
    const [a, b] = [before.get(ConfigMap, "a"), before.get(ConfigMap, "b")];
    api.compact();
    api.closeWatches();
    edit("b", "2");
    await clock.advance(5_000);
    assert(store.snapshot().get(ConfigMap, "a") === a);
    assertEquals([b?.data, store.snapshot().get(ConfigMap, "b")?.data], [{ value: "1" }, { value: "2" }]);
  });
});

Deno.test("F03 Store: a stale list neither deletes what is newer nor turns it back", async () => {
  const travel = timeTravel();
  const { api, edit, known, make, news, store } = stored(travel.hook);
  make("a");
  travel.set("record");
  await store.listAll();
  edit("a", "2");
  store.observe(ConfigMap, api.get(ConfigMap, "a")!);
  store.observe(ConfigMap, make("b"));
  travel.set("replay");
  news();
  await store.listAll();
  assertEquals([known(), news()], [["a=2", "b=1"], ["ConfigMap stale", "ConfigMap stale"]]);
});

Deno.test("Store compares resource versions as numbers, and calls none older that is no number", () => {
  const { known, store } = stored();
  const observe = (value: string, resourceVersion: string) => {
    const metadata = { name: "a", namespace: "ns", uid: "u", resourceVersion };
    store.observe(ConfigMap, { metadata, data: { value } } as ConfigMap);
    return known();
  };
  assertEquals(observe("1", "999"), ["a=1"]);
  assertEquals(observe("2", "1000"), ["a=2"]);
  assertEquals(observe("3", "999"), ["a=2"]);
  assertEquals(observe("4", "9007199254740993"), ["a=4"]);
  assertEquals(observe("5", "9007199254740992"), ["a=4"]);
  assertEquals(observe("6", "opaque"), ["a=6"]);
});

Deno.test("F04 Store: a stale list does not bring back what is gone", async () => {
  const travel = timeTravel();
  const { api, known, make, news, store } = stored(travel.hook);
  make("a");
  make("b");
  travel.set("record");
  await store.listAll();
  for (const name of ["a", "b"]) {
    api.remove(ConfigMap, name);
    store.forget(ConfigMap, name);
  }
  store.observe(ConfigMap, make("b", "new"));
  travel.set("replay");
  news();
  await store.listAll();
  assertEquals([known(), news()], [["b=new"], ["ConfigMap stale", "ConfigMap stale"]]);
});

Deno.test("F54 Store: when etcd was restored, a consistent read counts more than what was known", async () => {
  const { api, clock, edit, following, known, make } = stored();
  await following(async () => {
    make("a");
    make("c");
    await clock.advance(2_000);
    const restore = api.backup();
    edit("a", "2");
    make("b");
    api.remove(ConfigMap, "c");
    await settle();
    assertEquals(known(), ["a=2", "b=1"]);
    restore();
    await clock.advance(600_000);
    assertEquals(known(), ["a=1", "c=1"]);
    edit("a", "3");
    await settle();
    assertEquals(known(), ["a=3", "c=1"]);
  });
});

Deno.test("Store: an event from before our own write does not undo it", async () => {
  const { api, edit, known, make, news, store } = stored();
  make("a");
  await store.listAll();
  edit("a", "theirs");
  const theirs = api.get(ConfigMap, "a")!;
  edit("a", "ours");
  news();
  store.observe(ConfigMap, api.get(ConfigMap, "a")!);
  store.observe(ConfigMap, theirs);
  assertEquals([known(), news()], [["a=ours"], ["ConfigMap a", "ConfigMap stale"]]);
});

Deno.test("Store: the news that an earlier incarnation is gone does not touch the present one", async () => {
  const { api, following, known, make, news, store } = stored();
  await following(async () => {
    make("a");
    await settle();
    news();
    api.remove(ConfigMap, "a");
    // Our own creation is answered before the watch tells of the deletion.
    store.observe(ConfigMap, make("a", "2"));
    await settle();
    assertEquals(known(), ["a=2"]);
    assertEquals(news().filter((line) => line.includes("gone")), []);
  });
});

Deno.test("Store: an answer that comes after the news of a deletion does not bring the object back", async () => {
  const { api, following, known, make, store } = stored();
  await following(async () => {
    const created = make("a");
    api.remove(ConfigMap, "a");
    await settle();
    store.observe(ConfigMap, created);
    assertEquals(known(), []);
  });
});

Deno.test("Store.refresh() does not turn back what came in during the read", async () => {
  let during = () => {};
  const { api, edit, known, make, store } = stored(async ({ verb }, proceed) => {
    try {
      return structuredClone(await proceed());
    } finally {
      if (verb === "get") during();
    }
  });
  make("a");
  await store.listAll();
  during = () => {
    edit("a", "2");
    store.observe(ConfigMap, api.get(ConfigMap, "a")!);
  };
  await store.refresh(ConfigMap, "a");
  assertEquals(known(), ["a=2"]);
  during = () => store.observe(ConfigMap, make("b"));
  await store.refresh(ConfigMap, "b");
  assertEquals(known(), ["a=2", "b=1"]);
});

Deno.test("F37 Store: a kind that is not served is absent, the others stay, and it is found when it appears", async () => {
  const { api, clock, following, known, make, news, store } = stored();
  api.make(Widget, { metadata: { name: "w", namespace: "ns" } });
  make("a");
  await following(async () => {
    await clock.advance(2_000);
    const [widget] = store.snapshot().list(Widget);
    store.setExternal(widget?.metadata?.uid ?? "", observed());
    news();
    api.unserve(Widget);
    await clock.advance(2_000);
    const snapshot = store.snapshot();
    assertEquals([snapshot.kind(Widget), snapshot.list(Widget), known()], [{ phase: "absent" }, [], ["a=1"]]);
    assertEquals(snapshot.external(widget?.metadata?.uid ?? "").phase, "unknown");
    assertEquals(news().filter((line) => line.startsWith("Widget")).slice(-2), [
      "Widget w gone",
      "Widget absent",
    ]);
    api.serve(Widget);
    api.make(Widget, { metadata: { name: "x", namespace: "ns" } });
    await clock.advance(5_000);
    assertEquals(store.snapshot().list(Widget).map(({ metadata }) => metadata?.name), ["x"]);
  });
});

Deno.test("Store: a kind that may not be listed is failed and denied", async () => {
  const { store } = stored(({ options, plural }, proceed) => {
    if (plural === "secrets") throw refusal(options, 403, "Forbidden");
    return proceed();
  });
  await store.listAll();
  assertEquals(store.snapshot().kind(Secret), {
    phase: "failed",
    message: "GET /api/v1/namespaces/ns/secrets: 403 Forbidden",
    denied: true,
    unlisted: true,
  });
  assertEquals(store.snapshot().kind(ConfigMap), { phase: "synced" });
});

Deno.test("Store reads the content of a Secret once it is named, and forgets it when it is not", async () => {
  const { api, following, store } = stored();
  const contents = () => ["a", "ours"].map((name) => store.snapshot().get(Secret, name)?.data?.["key"]);
  for (const name of ["a", "ours"]) {
    api.make<Secret>(Secret, { metadata: { name, namespace: "ns" }, data: { key: "MQ==" } });
  }
  await following(async () => {
    assertEquals(contents(), [undefined, "MQ=="]);
    assertEquals(store.keepContentOf(Secret, new Set(["a", "absent"])), ["a"]);
    assertEquals(contents(), [undefined, undefined]);
    await store.refresh(Secret, "a");
    assertEquals(contents(), ["MQ==", undefined]);
    assertEquals(store.keepContentOf(Secret, new Set(["a", "absent"])), []);
    api.edit(Secret, "a", (object) => object.data = { key: "Mg==" });
    await settle();
    assertEquals(contents(), ["Mg==", undefined]);
    assertEquals(store.keepContentOf(Secret, new Set(["ours"])), ["ours"]);
    await store.refresh(Secret, "ours");
    assertEquals(contents(), [undefined, "MQ=="]);
  });
});

Deno.test("Store reads the content of named Secrets only, and never that of others", async () => {
  const { api, clock, following, store } = stored();
  const secret = (name: string) => store.snapshot().get(Secret, name);
  for (const name of ["ours", "theirs"]) {
    api.make<Secret>(Secret, { metadata: { name, namespace: "ns" }, data: { key: "MQ==" } });
  }
  await following(async () => {
    assertEquals([secret("ours")?.data, secret("theirs")?.data], [{ key: "MQ==" }, undefined]);
    for (const name of ["ours", "theirs"]) api.edit(Secret, name, (object) => object.data = { key: "Mg==" });
    await settle();
    assertEquals([secret("ours")?.data, secret("theirs")?.data], [{ key: "Mg==" }, undefined]);
    assertEquals(secret("theirs")?.metadata, api.get(Secret, "theirs")?.metadata);
    await store.refresh(Secret, "theirs");
    store.observe(Secret, {
      ...api.get(Secret, "theirs"),
      metadata: { name: "theirs", resourceVersion: "9999" },
    });
    assertEquals(secret("theirs"), {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "theirs", resourceVersion: "9999" },
    });
    await clock.advance(2_000);
    api.remove(Secret, "theirs");
    await store.refresh(Secret, "theirs");
    assertEquals(secret("theirs"), undefined);
  });
  assertEquals(
    new Set(api.requests.filter(({ verb }) => verb === "get").map(({ name }) => name)),
    new Set(["ours"]),
  );
});

Deno.test("Store keeps of managedFields only what its manager applied", async () => {
  const { api, store } = stored();
  const entry = (manager: string, operation: string, more = {}): ManagedFieldsEntry => ({
    manager,
    operation,
    ...more,
  });
  const ours = entry("widgets", "Apply");
  const others = [
    entry("kubectl", "Apply"),
    entry("widgets", "Update"),
    entry("widgets", "Apply", { subresource: "status" }),
  ];
  api.make(ConfigMap, { metadata: { name: "a", managedFields: [...others, ours] } });
  api.make(ConfigMap, { metadata: { name: "b", managedFields: others } });
  await store.listAll();
  const managedFields = (name: string) => store.snapshot().get(ConfigMap, name)?.metadata?.managedFields;
  assertEquals([managedFields("a"), managedFields("b")], [[ours], undefined]);
});

Deno.test("Store remembers a bounded number of objects that are gone", () => {
  const { known, make, store } = stored();
  const first = make("first");
  store.observe(ConfigMap, first);
  store.forget(ConfigMap, "first");
  store.observe(ConfigMap, first);
  assertEquals(known(), []);
  for (let index = 0; index < 1_000; index++) {
    store.observe(ConfigMap, make(`m${index}`));
    store.forget(ConfigMap, `m${index}`);
  }
  store.observe(ConfigMap, first);
  assertEquals(known(), ["first=1"]);
});

Deno.test("Store.setExternal() tells whether anything is new", () => {
  const { store } = stored();
  assertEquals(
    [observed(), observed(), observed([], { facts: { a: "1" } })].map((state) =>
      store.setExternal("u", state)
    ),
    [true, false, true],
  );
  assertEquals(store.snapshot().external("u").facts, { a: "1" });
});

Deno.test("Store.failingMs() counts from the first list that failed after one that did not", async () => {
  let broken = true;
  const { clock, store } = stored((request, proceed) => {
    if (broken && request.verb === "list") throw refusal(request.options, 500, "InternalError");
    return proceed();
  });
  await store.listAll();
  assertEquals(store.failingMs(ConfigMap), Infinity, "it never was listed");
  broken = false;
  await store.listAll();
  await clock.advance(600_000);
  assertEquals(store.failingMs(ConfigMap), 0);
  broken = true;
  await store.listAll();
  await clock.advance(5_000);
  await store.listAll();
  assertEquals(store.failingMs(ConfigMap), 5_000);
});

Deno.test("Store.failingMs() counts from the last answer of the server also where that was no list", async () => {
  let status: 403 | 404 | 503 = 403;
  const { clock, store } = stored(({ options, verb }, proceed) => {
    if (verb === "list") throw refusal(options, status, "Played");
    return proceed();
  });
  const after = async (next: typeof status) => {
    status = next;
    await store.listAll();
    await clock.advance(5_000);
    return store.failingMs(ConfigMap);
  };
  assertEquals(await after(403), Infinity);
  assertEquals(await after(403), Infinity);
  assertEquals([await after(503), await after(503)], [5_000, 10_000]);
  assertEquals([await after(404), await after(503), await after(503)], [0, 5_000, 10_000]);
});

Deno.test("Store keeps the spec that it knows where only the rest of an object is another", async () => {
  const { api, following, store } = stored();
  api.make(Widget, { metadata: { name: "w", namespace: "ns" }, spec: { size: 1 } } as KubeObject);
  await following(async () => {
    const specOf = () => (store.snapshot().get(Widget, "w") as { readonly spec?: unknown }).spec;
    const before = specOf();
    api.edit(Widget, "w", (object) => (object as { status?: unknown }).status = { ready: true });
    await settle();
    assertEquals((store.snapshot().get(Widget, "w") as { readonly status?: unknown }).status, {
      ready: true,
    });
    assert(specOf() === before);
    api.edit(Widget, "w", (object) => (object as { spec?: unknown }).spec = { size: 2 });
    await settle();
    assertEquals(specOf(), { size: 2 });
  });
});
