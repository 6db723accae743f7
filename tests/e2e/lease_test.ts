/**
 * Several operators of one namespace, each a process with a ServiceAccount of its own, so that the API server's audit
 * log tells who wrote: never two at a time, and the next one goes on where the last one ended.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse } from "@std/yaml";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { type Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import { type AuditEvent, writeVerbs } from "../cluster/mod.ts";
import { watchConditions } from "./condition_history.ts";
import { scenario, type Scene } from "./harness.ts";
import type { OperatorProcess } from "./operator_process.ts";
import { eventually, pause, timed } from "./waiting.ts";

const LEASE = "44586fd0.iofog.org";
/** Milliseconds that a pod has to end, by the issue. */
const endsWithinMs = 10_000;
/** Milliseconds of a machine under load, where something else is given a time. */
const slackMs = 4_000;

/** An operator with rights and a name of its own. */
interface Member {
  readonly name: string;
  readonly operator: OperatorProcess;
}

scenario("of two operators one works and one waits, until the first one ends", async (scene) => {
  const members = await Promise.all([join(scene, "one"), join(scene, "other")]);
  await scene.create();
  await scene.untilReady({ withinMs: 60_000 });
  const holder = await holderOf(scene);
  const first = members.find(({ name }) => holder.startsWith(`${name}_`));
  const second = members.find((member) => member !== first);
  if (first === undefined || second === undefined) throw new Error(`the Lease is held by ${holder}`);

  const [said, ...more] = await eventually(
    "the standby to say whom it waits for",
    () => second.operator.logged("waiting for the lease"),
    (lines) => lines.length > 0,
  );
  assertEquals([said?.["holder"], more.length], [holder, 0]);
  assertEquals((await second.operator.read("/readyz")).status, 200);
  assertEquals((await first.operator.read("/readyz")).status, 200);
  const leading = async ({ operator }: Member) =>
    /^leader_election_master_status\{.*\} (\d)$/m.exec((await operator.read("/metrics")).text)?.[1];
  assertEquals([await leading(first), await leading(second) ?? "0"], ["1", "0"]);
  assertEquals((await writesOf(scene, second)).length, 0);

  const refused = await scene.command("once");
  assertEquals(refused.code, 1);
  assertEquals(
    refused.stderr.trim().split("\n").at(-1),
    `iofog-operator: another operator (${holder}) holds the lease ${LEASE}: it does the same work; stop it first`,
  );
  assertEquals(await holderOf(scene), holder);

  await using history = watchConditions(scene);
  await eventually("the present state", () => history.states().length, (count) => count > 0);
  let code: number | undefined;
  const endedAfterMs = await timed(async () => code = await first.operator.stop());
  assertEquals(code, 0);
  assert(endedAfterMs < endsWithinMs, `it took ${endedAfterMs} ms to end`);
  assert(
    ["", second.name].includes((await holderOf(scene)).replace(/_.*/, "")),
    "the Lease was not given back",
  );
  const takenAfterMs = await timed(() => untilHeld(scene, second));
  assert(takenAfterMs < 4_000 + slackMs, `it took ${takenAfterMs} ms to take over`);
  await scene.client.delete(RoleBinding, { namespace: scene.namespace, name: "router" });
  await eventually(
    "a repair by the second",
    () => scene.find(RoleBinding, "router"),
    (found) => found !== undefined,
    { show: () => "nothing" },
  );
  await scene.untilReady();
  assertEquals(new Set(history.states()), new Set(["ready"]));
  const [before, after] = [await writesOf(scene, first), await writesOf(scene, second)];
  const lastEnd = Math.max(...before.map(({ endedMs }) => endedMs));
  assert(after.length > 0);
  assert(after.every(({ receivedMs }) => receivedMs > lastEnd), "both wrote at the same time");
});

scenario("an operator that is killed is followed when its Lease has run out", async (scene) => {
  const first = await join(scene, "one");
  await scene.create();
  await scene.untilReady({ withinMs: 60_000 });
  const second = await join(scene, "other");
  await eventually(
    "the standby to wait",
    () => second.operator.logged("waiting for the lease").length,
    (count) => count > 0,
  );
  await using history = watchConditions(scene);
  await eventually("the present state", () => history.states().length, (count) => count > 0);
  await first.operator.process.kill();
  const takenAfterMs = await timed(() => untilHeld(scene, second));
  // It lasts 15 s from the last renewal, and is looked at every 2 s.
  assert(takenAfterMs > 10_000, `it was taken over after ${takenAfterMs} ms already`);
  assert(takenAfterMs < 20_000 + slackMs, `it took ${takenAfterMs} ms to take over`);
  await scene.untilReady();
  assertEquals(new Set(history.states()), new Set(["ready"]));
  const { spec } = await scene.get(Lease, LEASE);
  assertEquals([spec?.leaseDurationSeconds, spec?.leaseTransitions], [15, 1]);
});

scenario(
  "F22 an operator that ends in the middle of an install leaves the rest to the next",
  async (scene) => {
    const first = await join(scene, "one");
    await untilHeld(scene, first);
    await scene.create();
    await eventually("the first children", () => scene.children(), (children) => children.length > 0, {
      show: () => "none",
    });
    await expectEnd(first);
    assertEquals(await holderOf(scene), "");
    const second = await join(scene, "other");
    await scene.untilReady({ withinMs: 60_000 });
    await expectEnd(second);
  },
);

scenario("an operator ends in time although the Controller lets it wait", async (scene) => {
  scene.controller.breakAt({ method: "POST", path: "/user/signup", action: { type: "hang", ms: 60_000 } });
  const first = await join(scene, "one");
  await scene.create();
  await eventually(
    "the login that comes before the sign-up",
    () => scene.controller.requests.map(({ path }) => path),
    (paths) => paths.includes("/api/v3/user/login"),
  );
  await pause(1_000);
  await expectEnd(first);
  assertEquals(await holderOf(scene), "");
});

scenario("an operator that may not use Leases works without one, and says so once", async (scene) => {
  const { operator } = await join(scene, "one", ["leases"]);
  await scene.create();
  await scene.untilReady({ withinMs: 60_000 });
  const said = operator.logged("leases cannot be used: running without one");
  assertEquals(said.map(({ level }) => level), ["warn"]);
  assertMatch(String(said[0]?.["remedy"]), /grant get, create and update on leases/);
  assertEquals((await operator.read("/readyz")).status, 200);
  assertEquals(await scene.find(Lease, LEASE), undefined);
});

/** Starts an operator as `deploy/base` lets it run, with a name of its own, without rights on `without`. */
async function join(scene: Scene, name: string, without: readonly string[] = []): Promise<Member> {
  const text = await Deno.readTextFile(new URL("../../deploy/base/role.yaml", import.meta.url));
  const { rules } = parse(text) as Role;
  const kept = (rules ?? []).filter(({ resources }) => !resources?.some((each) => without.includes(each)));
  const kubeconfig = await scene.account(name, kept);
  const operator = scene.operate([`--kubeconfig=${kubeconfig}`], { POD_NAME: name });
  await operator.servers();
  return { name, operator };
}

async function holderOf(scene: Scene): Promise<string> {
  return (await scene.get(Lease, LEASE)).spec?.holderIdentity ?? "";
}

async function untilHeld(scene: Scene, { name, operator }: Member): Promise<void> {
  await eventually(
    `${name} to hold the Lease`,
    () => operator.logged(`successfully acquired lease ${scene.namespace}/${LEASE}`).length,
    (count) => count > 0,
    { show: () => operator.lines.slice(-5).join("\n") },
  );
}

async function expectEnd({ operator }: Member): Promise<void> {
  let code: number | undefined;
  const tookMs = await timed(async () => code = await operator.stop());
  assertEquals(code, 0);
  assert(tookMs < endsWithinMs, `it took ${tookMs} ms to end`);
}

/** What this operator wrote, Events and the Lease aside. */
async function writesOf(scene: Scene, { name }: Member): Promise<readonly AuditEvent[]> {
  const user = `system:serviceaccount:${scene.namespace}:${name}`;
  return (await scene.requests()).filter((request) =>
    request.user === user && writeVerbs.includes(request.verb) && request.resource !== "leases" &&
    request.resource !== "events" && !request.path.includes("dryRun=All")
  );
}
