/**
 * The next version over the objects of this one: nothing is written for the same custom resource, or pods would start
 * again everywhere. What is made today is recorded in `tests/golden/children`. Whoever means to change it runs this
 * with UPDATE_RECORDINGS=1, and tells it in the notes of the release.
 */

import { assertEquals } from "@std/assert";
import type { AppliedChild, GeneratedChild } from "../src/operator/definition.ts";
import { desired as iofog } from "../src/resources/controlplane/iofog/desired.ts";
import { contextOf, serviceOf, snapshotOf, user } from "../src/resources/controlplane/iofog/fixtures.ts";
import { desired as pot } from "../src/resources/controlplane/pot/desired.ts";
import { auth, contextOf as potContextOf } from "../src/resources/controlplane/pot/fixtures.ts";
import { harness } from "./engine_harness.ts";

const snapshot = snapshotOf(
  ["controller", "router", "nats", "nats-server"].map((name) => serviceOf(name, { ip: "192.0.2.1" })),
);
const flavours = {
  iofog: () => iofog(contextOf({ user }, snapshot)),
  pot: () => pot(potContextOf({ auth }, snapshot)),
};

type Made = AppliedChild | GeneratedChild;

/** What an engine in the namespace of the harness makes. */
function here(child: Made): Made {
  const metadata = { ...child.object.metadata, namespace: "ns" };
  return { ...child, object: { ...child.object, metadata } } as Made;
}

for (const [flavour, wanted] of Object.entries(flavours)) {
  Deno.test(`F38 the next version writes nothing over what this one made of the same ${flavour} control plane`, async () => {
    const { children, problems } = wanted();
    assertEquals(problems, []);
    const made = children.filter((child) => child.type !== "external").map(here);
    const file = new URL(`golden/children/${flavour}.json`, import.meta.url);
    if (Deno.env.get("UPDATE_RECORDINGS") === "1") {
      await Deno.writeTextFile(file, `${JSON.stringify(made, undefined, 1)}\n`);
    }
    const recorded = (JSON.parse(await Deno.readTextFile(file)) as readonly Made[]).map((child) =>
      child.type === "generated" ? { ...child, generate: () => Promise.resolve({ key: "a2V5" }) } : child
    );
    assertEquals(recorded.length, made.length);
    // Whose contents are compared.
    const secretNames = () =>
      made.filter(({ object }) => object.kind === "Secret").map(({ object }) => object.metadata.name);
    const before = harness({ desired: () => recorded, definition: { secretNames } });
    before.makeWidget();
    await before.pass();
    assertEquals((await before.pass()).sent, []);
    assertEquals(before.ready(), "True");
    const after = harness({ desired: () => made, definition: { secretNames }, beside: before });
    assertEquals((await after.pass()).sent, []);
  });
}
