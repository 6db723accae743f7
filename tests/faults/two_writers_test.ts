/**
 * Two operators, each a process with a name of its own in the audit log and a wall clock five minutes from the
 * other's. One is stopped in the middle of its writes, for longer than its Lease, while the other one goes on and the
 * spec changes; then what it had sent arrives, and it wakes up. Nothing of that changes anything.
 */

import { assert, assertEquals } from "@std/assert";
import { parse } from "@std/yaml";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import type { Role } from "../../src/kubernetes/generated/rbac_v1.ts";
import { type AuditEvent, writeVerbs } from "../cluster/mod.ts";
import type { Scene } from "../e2e/harness.ts";
import { eventually, pause } from "../e2e/waiting.ts";
import { operatorPermissions } from "../../tools/permissions.ts";
import { type BehindProxy, operateBehindProxy } from "./behind_proxy.ts";
import { longScenario } from "./long.ts";
import type { Action } from "./actions.ts";
import { sleep } from "./proxy.ts";

const AHEAD = new URL("five_minutes_ahead.ts", import.meta.url).pathname;

/** An operator with rights and a name of its own. */
interface Writer extends BehindProxy {
  readonly user: string;
}

async function join(
  scene: Scene,
  name: string,
  { ahead, without = [] }: { readonly ahead?: boolean; readonly without?: readonly string[] },
): Promise<Writer> {
  const text = await Deno.readTextFile(new URL("../../deploy/base/role.yaml", import.meta.url));
  const rules = ((parse(text) as Role).rules ?? []).filter(({ resources }) =>
    !resources?.some((each) => without.includes(each))
  );
  const kubeconfig = parse(await Deno.readTextFile(await scene.account(name, rules))) as {
    readonly users: readonly [{ readonly user: { readonly token: string } }];
  };
  const behind = await operateBehindProxy(scene, {
    env: { POD_NAME: name },
    token: kubeconfig.users[0].user.token,
    permissions: [...operatorPermissions(), ...(ahead === true ? ["--preload", AHEAD] : [])],
  });
  await behind.operator.servers();
  return Object.assign(behind, { user: `system:serviceaccount:${scene.namespace}:${name}` });
}

/** Lets requests wait, and then all of them through at once, although whoever sent them is gone or asleep. */
function dam(): { readonly action: Action; readonly held: string[]; open(): Promise<void> } {
  const held: string[] = [];
  const opened = Promise.withResolvers<void>();
  const arrived: Promise<unknown>[] = [];
  const action: Action = async (passage) => {
    const { name, plural, verb } = passage.request;
    held.push(`${verb} ${plural}/${name}`);
    await Promise.race([opened.promise, sleep(2 ** 31 - 1, passage.gone)]);
    const answer = passage.forward();
    arrived.push(answer);
    passage.reply(await answer);
  };
  return {
    action,
    held,
    async open() {
      opened.resolve();
      await pause(0);
      await Promise.allSettled(arrived);
    },
  };
}

/** Identity and version of everything that an operator makes or writes. */
async function versions(scene: Scene): Promise<readonly string[]> {
  const parent = await scene.controlPlane();
  const children = (await scene.children()).map(({ object, resource }) => ({
    kind: resource.kind,
    ...object,
  }));
  return [...children, { kind: "ControlPlane", ...parent }]
    .map(({ kind, metadata }) => `${kind} ${metadata?.name} ${metadata?.uid} ${metadata?.resourceVersion}`)
    .sort();
}

/** What this operator wrote, or tried to, Events and the Lease aside. */
async function writesOf(scene: Scene, { user }: Writer, sinceMs = 0): Promise<readonly AuditEvent[]> {
  return (await scene.requests(sinceMs)).filter((request) =>
    request.user === user && writeVerbs.includes(request.verb) && request.resource !== "leases" &&
    request.resource !== "events" && !request.path.includes("dryRun=All")
  );
}

async function untilImage(scene: Scene, image: string): Promise<void> {
  await eventually(
    `the image ${image}`,
    async () => (await scene.get(Deployment, "router")).spec?.template.spec?.containers[0]?.image,
    (found) => found === image,
    { withinMs: 90_000 },
  );
}

/** @param leaseless What the Roles of both lack. */
async function stopAndResume(scene: Scene, leaseless: readonly string[]): Promise<void> {
  await using first = await join(scene, "first", { without: leaseless });
  const router = (address: string) => ({
    services: { router: { type: "ClusterIP" } },
    ingresses: { router: { address } },
  });
  await scene.create(router("one.example.com"));
  await scene.untilReady({ withinMs: 90_000 });
  await using second = await join(scene, "second", { ahead: true, without: leaseless });
  await scene.untilAtRest();
  const { state } = scene.controller;
  assertEquals(state.router?.host, "one.example.com");

  // Of the first one, every write to Kubernetes waits on its way.
  const { action, held, open } = dam();
  first.proxy.rule({ on: { verb: /^(apply|create|update|delete|patch)$/ }, times: Infinity, action });
  // The second one hears of nothing before the first one has sent what it wants.
  const deaf = leaseless.length > 0
    ? second.proxy.rule({
      on: { verb: /^(apply|create|update|patch)$/ },
      times: Infinity,
      action: ({ cut }) => cut(),
    })
    : () => {};
  await scene.change({
    images: { router: "registry.example/router:2", controller: "registry.example/controller:2" },
    ...router("two.example.com"),
  });
  await eventually(
    "its writes to be on their way",
    () => held.filter((each) => each.includes("deployments")),
    (writes) => new Set(writes).size >= 2,
    { withinMs: 60_000 },
  );
  first.operator.process.signal("SIGSTOP");
  const stoppedAt = performance.now();
  deaf();

  await scene.change({
    images: { router: "registry.example/router:3", controller: "registry.example/controller:3" },
    ...router("three.example.com"),
  });
  await untilImage(scene, "registry.example/router:3");
  await scene.untilReady({ withinMs: 60_000 });
  if (leaseless.length === 0) await pause(Math.max(0, 16_000 - (performance.now() - stoppedAt)));
  await scene.untilAtRest();
  const before = await versions(scene);
  const registered = structuredClone(state.router);
  assertEquals(registered?.host, "three.example.com");
  scene.controller.forgetRequests();

  const openedAtMs = Date.now();
  await open();
  assertEquals(await versions(scene), before, "what arrived late changed something");
  first.proxy.heal();
  first.operator.process.signal("SIGCONT");
  await eventually(
    "it to be awake",
    () => first.proxy.exchanges.length,
    (() => {
      const asleep = first.proxy.exchanges.length;
      return (now: number) => now > asleep + 3;
    })(),
  );
  await pause(3_000);
  // Of the status, which the other one keeps writing, only what the first one wrote counts: see `accepted`.
  const ofChildren = (all: readonly string[]) => all.filter((line) => !line.startsWith("ControlPlane "));
  assertEquals(
    ofChildren(await versions(scene)),
    ofChildren(before),
    "what it did when it woke up changed something",
  );
  assertEquals(state.router, registered);
  const changes = scene.controller.requests.filter(({ method }) => method !== "GET");
  assertEquals(changes.filter(({ path }) => !path.endsWith("/login")), []);
  const late = await writesOf(scene, first, openedAtMs - 60_000);
  const accepted = late.filter(({ code = 0, endedMs }) => endedMs >= openedAtMs && code < 400);
  assertEquals(accepted.map(({ name, resource, verb }) => `${verb} ${resource}/${name}`), []);
  const refused = late.filter(({ code, endedMs }) => endedMs >= openedAtMs && code === 409);
  assert(refused.length >= 2, `${refused.length} writes were refused`);
  assertEquals((await first.operator.read("/healthz")).status, 200);
}

longScenario(
  "F21 of two operators without a Lease, one that was stopped in mid-write changes nothing when it wakes up",
  (scene) => stopAndResume(scene, ["leases"]),
);

longScenario(
  "F21 an operator that was stopped in mid-write for longer than its Lease changes nothing when it wakes up",
  (scene) => stopAndResume(scene, []),
);
