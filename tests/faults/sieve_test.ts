/**
 * A few of the plans of `sieve.ts`, always the same, beside what a plan cannot show: a process that really ends.
 *
 * `deno task faults` runs all of them.
 */

import { assertEquals } from "@std/assert";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { cluster, scenario, type Scene } from "../e2e/harness.ts";
import { eventually } from "../e2e/waiting.ts";
import { endAfter, endBefore } from "./actions.ts";
import { operateBehindProxy } from "./behind_proxy.ts";
import { stockRsaKeys } from "./key_stock.ts";
import { iofogFlavour } from "./flavour.ts";
import type { Match } from "./proxy.ts";
import { scenarios } from "./scenarios.ts";
import { describePlan, runClean, runPlan } from "./sieve.ts";
import { World } from "./trial.ts";

/** By scenario, the plans that are run here. */
const chosen: Readonly<Record<string, readonly string[]>> = {
  "fresh install": [
    "crash before update configmaps/iofog-inventory #1",
    "crash after create user/signup #1",
    "crash after create secrets/router-ca #1",
    "crash before apply deployments/port-manager #1",
    "stale list secrets #2",
    "stale list controlplanes #2",
  ],
  "image change": ["crash after apply deployments/controller #1", "stale list deployments #1"],
};

for (const each of scenarios.filter(({ name }) => name in chosen)) {
  Deno.test({
    name:
      `F01 F02 F03 F04 F51 ${each.name}: a crash at a write or a stale list changes neither the end nor the way`,
    // The world outlives each of its parts only until its own end, which is in here.
    sanitizeOps: true,
    sanitizeResources: true,
    async fn() {
      stockRsaKeys();
      await using world = await World.open(cluster, iofogFlavour());
      const clean = await runClean(world, each);
      const plans = clean.plans.filter((plan) => chosen[each.name]?.includes(describePlan(plan)));
      assertEquals(plans.map(describePlan).sort(), [...chosen[each.name] ?? []].sort());
      const results = await Promise.all(plans.map((plan) => runPlan(world, clean, plan)));
      assertEquals(
        results.flatMap(({ plan, violations }) => violations.map((each) => [describePlan(plan), each])),
        [],
      );
    },
  });
}

/** A process that was killed keeps its Lease for 15 s: not waited for here, but in lease_test.ts. */
async function freeLease(scene: Scene): Promise<void> {
  const [lease] = await scene.list(Lease);
  if (lease === undefined) return;
  await scene.client.delete(Lease, { namespace: scene.namespace, name: lease.metadata?.name ?? "" });
}

scenario(
  "F01 F02 F23 a process that is killed at its writes, again and again, ends up there all the same",
  async (scene) => {
    await scene.create();
    const deaths: readonly (readonly ["before" | "after", Match])[] = [
      // In the order in which they come: what needs a key is made last.
      ["before", { verb: "apply", plural: "deployments", name: "controller" }],
      ["after", { verb: "create", plural: "secrets", name: "router-ca" }],
      ["after", { verb: "create", plural: "secrets", name: "router-internal" }],
      ["after", { verb: "update", plural: "controlplanes", subresource: "status" }],
    ];
    let authority: unknown;
    for (const [when, on] of deaths) {
      await using behind = await operateBehindProxy(scene);
      const { operator: { process }, proxy } = behind;
      const kill = () => void process.kill();
      let isDead = false;
      process.ended.then(() => isDead = true);
      proxy.rule({ on, action: when === "before" ? endBefore(kill) : endAfter(kill) });
      await eventually(
        "its death",
        () => isDead || proxy.seen(on).some(({ carriedOut }) => carriedOut),
        Boolean,
        {
          withinMs: 60_000,
        },
      );
      await process.kill();
      await freeLease(scene);
      const found = (await scene.find(Secret, "router-ca"))?.data;
      if (authority !== undefined) assertEquals(found, authority);
      authority = found;
    }
    scene.operate();
    await scene.untilReady({ withinMs: 60_000 });
    assertEquals((await scene.get(Secret, "router-ca")).data, authority);
    const created = (await scene.requests())
      .filter(({ code, resource }) => code === 201 && resource !== "events" && resource !== "leases")
      .map(({ resource, name }) => `${resource}/${name}`);
    assertEquals(new Set(created).size, created.length, created.join(", "));
    assertEquals(scene.controller.state.lastIds, { users: 1, config: 1 });
  },
);
