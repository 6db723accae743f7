/** An operator that dies, anywhere: the next one finishes, nothing is made twice, and keys are kept. */

import { assert, assertEquals } from "@std/assert";
import { ApiError } from "../../src/kubernetes/errors.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { RequestHook } from "../../src/kubernetes/intercept.ts";
import { conditionOf, scenario, type Scene } from "./harness.ts";
import { eventually, pause } from "./waiting.ts";

const LEASE = "44586fd0.iofog.org";

/** A process that was killed keeps its Lease for 15 s: not waited for here, but in lease_test.ts. */
async function freeLease(scene: Scene): Promise<void> {
  const target = { namespace: scene.namespace, name: LEASE };
  if (await scene.find(Lease, LEASE) !== undefined) await scene.client.delete(Lease, target);
}

/** Each object was created once, Events aside, and each thing in the Controller. */
async function assertNothingTwice(scene: Scene): Promise<void> {
  const created = (await scene.requests())
    .filter(({ code, resource }) => code === 201 && resource !== "events" && resource !== "leases")
    .map(({ resource, name }) => `${resource}/${name}`);
  assertEquals((await scene.children()).length, 20);
  assertEquals(new Set(created).size, created.length, created.join(", "));
  assertEquals(scene.controller.state.lastIds, { users: 1, config: 1 });
}

scenario(
  "an operator that is killed during an install, again and again, still ends up there",
  async (scene) => {
    await scene.create();
    let authority: unknown;
    for (const delayMs of [0, 50, 150, 300, 600]) {
      const operator = scene.operate();
      await eventually(
        "its first step",
        () => operator.logged("successfully acquired lease " + `${scene.namespace}/${LEASE}`).length,
        (count) => count > 0,
      );
      await pause(delayMs);
      await operator.process.kill();
      await freeLease(scene);
      const found = (await scene.find(Secret, "router-ca"))?.data;
      if (authority !== undefined) assertEquals(found, authority);
      authority = found;
    }
    scene.operate();
    await scene.untilReady();
    if (authority !== undefined) assertEquals((await scene.get(Secret, "router-ca")).data, authority);
    await assertNothingTwice(scene);
  },
);

/** The requests of a process that dies at a write: before that is sent, or before its answer comes. */
function dying(
  when: "before" | "after",
  diesAt: (write: string) => boolean,
): { readonly hook: RequestHook; readonly dead: () => boolean } {
  let dead = false;
  const hook: RequestHook = async ({ verb, plural, name, subresource = "" }, proceed) => {
    if (dead) throw new ApiError("it is dead", { status: 0, reason: "Unreachable" });
    const isWrite = !["get", "list", "watch"].includes(verb) && plural !== "leases" && plural !== "events";
    if (!isWrite || !diesAt([verb, plural, name, subresource].join(" "))) return await proceed();
    dead = true;
    if (when === "after") await proceed();
    throw new ApiError("it died", { status: 0, reason: "Unreachable" });
  };
  return { hook, dead: () => dead };
}

for (const when of ["before", "after"] as const) {
  scenario(`an operator that dies ${when} each of its writes ends up there all the same`, async (scene) => {
    await scene.create();
    const diedAt = new Set<string>();
    for (let settled = false; !settled;) {
      // Once at each: an update of the inventory comes before each batch of writes to the Controller.
      const diesAt = (write: string) => !diedAt.has(write) && diedAt.add(write).size > 0;
      const { hook, dead } = dying(when, diesAt);
      const operator = scene.operateHere(hook);
      const seen = await eventually(
        "its death, or the end of its work",
        async () => ({
          dead: dead(),
          ready: conditionOf(await scene.controlPlane(), "Ready")?.status === "True",
        }),
        (seen) => seen.dead || seen.ready,
      );
      settled = seen.ready && !seen.dead;
      await operator.stop();
      await freeLease(scene);
    }
    assert(diedAt.size >= 22, [...diedAt].join(", "));
    await assertNothingTwice(scene);
  });
}
