import { assert, assertEquals } from "@std/assert";
import { FakeBackend, harness, refuse } from "../../tests/engine_harness.ts";
import { Secret } from "../kubernetes/generated/core_v1.ts";
import type { Definition, ExternalChild, Parent } from "./definition.ts";
import { applied } from "./fixtures.ts";
import { ConfigMap } from "../kubernetes/generated/core_v1.ts";

const referenceOf = (parent: Parent) => (parent.spec as { secret?: string }).secret;

/** Widgets whose spec names a Secret; the value of its key `key` is secret, that of `name` is not. */
const definition: Partial<Definition> = {
  secretNames: (parent) => [referenceOf(parent)].filter((name) => name !== undefined),
  secretsIn: (resource, object, parents) =>
    resource.kind === "Secret" && parents.some((parent) => referenceOf(parent) === object.metadata?.name)
      ? [atob((object as Secret).data?.["key"] ?? "")]
      : [],
};

const secretOf = (name: string, value: string) => ({
  metadata: { name, namespace: "ns" },
  data: { key: btoa(value), name: btoa("harmless") },
});

Deno.test("a Secret that a spec names is read before the plan, and its value is in no text from then on", async () => {
  const { api, editWidget, makeWidget, pass, redactor } = harness({
    definition,
    desired: ({ parent, snapshot }) => [
      applied(ConfigMap, "a", {
        data: { length: String(snapshot.get(Secret, referenceOf(parent) ?? "")?.data?.["key"]?.length) },
      }),
    ],
  });
  for (const [name, value] of [["one", "Wert-eins"], ["two", "Wert-zwei-"]] as const) {
    api.make<Secret>(Secret, secretOf(name, value));
  }
  const reads = () =>
    api.requests.filter(({ plural, verb }) => plural === "secrets" && verb === "get").map(({ name }) => name);
  makeWidget({}, { secret: "one" });
  await pass();
  assertEquals((api.get(ConfigMap, "a") as ConfigMap).data, { length: "12" });
  assertEquals([redactor.clean("Wert-eins Wert-zwei- harmless"), reads()], ["*** Wert-zwei- harmless", [
    "one",
  ]]);
  editWidget({ secret: "two" });
  await pass();
  assertEquals((api.get(ConfigMap, "a") as ConfigMap).data, { length: "16" });
  assertEquals([redactor.clean("Wert-zwei- harmless"), reads()], ["*** harmless", ["one", "two"]]);
});

Deno.test("a Secret that cannot be read is tried again before the next look at everything", async () => {
  let broken = true;
  const { api, engine, makeWidget, pass } = harness({
    definition,
    hook: (request, proceed) => {
      if (broken && request.plural === "secrets" && request.verb === "get") throw new Error("no answer");
      return proceed();
    },
  });
  api.make<Secret>(Secret, secretOf("one", "Wert-eins"));
  makeWidget({}, { secret: "one" });
  await pass();
  const waits = engine.failures.nextRetryMs() ?? Infinity;
  assert(waits < 5_000, `${waits}`);
  broken = false;
  await pass();
  assertEquals(engine.failures.nextRetryMs(), undefined);
  assertEquals(engine.store.list(Secret).map(({ data }) => data?.["key"]), [btoa("Wert-eins")]);
});

Deno.test("a changed Secret ends the wait of what failed, a relabelled one does not", async () => {
  const thing: ExternalChild = {
    ...{ type: "external", kind: "Thing", name: "a", fields: { wanted: true } },
    singleton: true,
  };
  const backend = new FakeBackend();
  backend.before = (what) => {
    if (what.startsWith("create")) refuse("Wrong", "wrong password", false);
  };
  const { api, engine, externalPass, makeWidget, pass } = harness({
    backend,
    definition,
    desired: () => [thing],
  });
  api.make<Secret>(Secret, secretOf("one", "Wert-eins"));
  makeWidget({}, { secret: "one" });
  await pass();
  await externalPass();
  const creations = () => backend.asked.filter((what) => what.startsWith("create")).length;
  assertEquals(creations(), 1);
  api.edit(Secret, "one", (object) => object.metadata!.labels = { a: "b" });
  await pass();
  await externalPass();
  assertEquals(creations(), 1);
  api.edit(Secret, "one", (object) => object.data = secretOf("one", "Wert-zwei").data);
  await pass();
  assertEquals(engine.failures.nextRetryMs(), undefined);
  await externalPass();
  assertEquals(creations(), 2);
});
