/**
 * The operator as a ServiceAccount with exactly the Role that a tool gave it: it converges, stays so, says once what
 * it cannot do, and does not ask again and again for what is refused.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { Event } from "../../src/kubernetes/generated/core_v1.ts";
import type { AuditEvent } from "../cluster/mod.ts";
import { conditionOf, Scene, stateOf } from "./harness.ts";
import type { OperatorProcess } from "./operator_process.ts";
import { rolesAsFound } from "./roles_as_found.ts";
import { eventually, pause } from "./waiting.ts";

/** What a Role keeps the operator from, by what it says of that. */
interface Expectation {
  readonly leases: boolean;
  readonly events: boolean;
  readonly status: boolean;
}

const expectations: Readonly<Record<keyof typeof rolesAsFound, Expectation>> = {
  iofogctl: { leases: true, events: true, status: true },
  kustomize: { leases: true, events: true, status: true },
  helm: { leases: false, events: false, status: false },
  helmAlpha: { leases: false, events: false, status: false },
  withoutLeasesAndEvents: { leases: false, events: false, status: true },
};

/** Milliseconds of rest that are looked at. */
const restMs = 8_000;

for (const roles of [["iofogctl", "kustomize"], ["helm", "helmAlpha", "withoutLeasesAndEvents"]] as const) {
  Deno.test(`the operator works with the Roles as they are found: ${roles.join(", ")}`, async (test) => {
    await Promise.all(roles.map((role) =>
      test.step({
        name: role,
        sanitizeOps: false,
        sanitizeResources: false,
        sanitizeExit: false,
        fn: () => worksWith(role),
      })
    ));
  });
}

async function worksWith(role: keyof typeof rolesAsFound): Promise<void> {
  const allowed = expectations[role];
  await using scene = await Scene.open();
  const kubeconfig = await scene.account("iofog-operator", rolesAsFound[role]);
  const operator = scene.operate([`--kubeconfig=${kubeconfig}`, "--resync-interval=1s"]);
  await scene.create();
  await untilReady(scene, operator, allowed);

  const { metadata } = await scene.get(Deployment, "router");
  await scene.client.delete(Deployment, { namespace: scene.namespace, name: "router" });
  await eventually(
    "the router to be there again",
    () => scene.find(Deployment, "router"),
    (found) => found?.status?.availableReplicas === 1 && found.metadata?.uid !== metadata?.uid,
  );
  await untilReady(scene, operator, allowed, 2);
  await scene.change({ images: { router: "example.org/router:2" } });
  await eventually(
    "the new image",
    () => scene.get(Deployment, "router"),
    ({ spec, status }) =>
      spec?.template.spec?.containers[0]?.image === "example.org/router:2" && status?.updatedReplicas === 1,
  );
  await untilReady(scene, operator, allowed, 3);

  const isOver = (writes: readonly string[]) => writes.every((write) => write.endsWith(" 403"));
  await eventually("nothing to be written any more", () => scene.writes(Date.now() - 1_500), isOver);
  const [restsFrom, uids] = [Date.now(), await identitiesOf(scene)];
  await pause(restMs);
  const atRest = await scene.requests(restsFrom);
  const restedMs = Date.now() - restsFrom;
  const repeated = atRest.filter(({ code }) => code === 403).map(describe);
  // What is refused is tried again after twice the time, which at this age of the process is several seconds.
  assert(new Set(repeated).size === repeated.length, `refused at rest: ${repeated}`);
  const writes = (await scene.writes(restsFrom)).filter((write) => !write.endsWith(" 403"));
  assertEquals(writes, []);
  assertEquals(await identitiesOf(scene), uids);
  // Each second a list and a watch of each kind that may be listed, every two seconds the Lease; and what is refused,
  // once each.
  const listed = new Set(
    atRest.filter(({ code, verb }) => verb === "list" && code === 200).map(({ resource }) => resource),
  );
  const most = (2 * listed.size + 1) * restedMs / 1_000 + 6 + repeated.length;
  assert(atRest.length <= most, `${atRest.length} requests: ${atRest.map(describe)}`);

  const requests = await scene.requests();
  const onResources = requests.filter(({ resource, verb }) =>
    resource === "controlplanes" && !["get", "list", "watch"].includes(verb)
  );
  assertEquals(
    [...new Set(onResources.map(({ verb, subresource }) => `${verb} ${subresource}`))],
    ["update status"],
  );
  const refused = new Set(
    requests.filter(({ code }) => code === 403).map(({ resource, subresource }) =>
      [resource, subresource].filter(Boolean).join("/")
    ),
  );
  const expected = [
    // Kinds that only a spec with them needs.
    ...["networkpolicies", "poddisruptionbudgets"],
    // The edge: `deploy/edge-addon` adds it. Some of these Roles allow `applications`.
    ...["agents", "edgeresources", "microservices", "routes"],
    ...(allowed.events ? [] : ["events"]),
    ...(allowed.leases ? [] : ["leases"]),
    ...(allowed.status ? [] : ["controlplanes/status"]),
  ];
  assertEquals([...refused].filter((each) => each !== "applications").sort(), expected.sort());
  await saysOnce(scene, operator, allowed);
  assertEquals(await scene.find(Lease, "44586fd0.iofog.org") !== undefined, allowed.leases);
  assertEquals(
    (await scene.list(Event)).some(({ source }) => source?.component === "iofog-operator"),
    allowed.events,
  );
  assertEquals((await operator.read("/readyz")).status, 200);
  if (allowed.status && allowed.events) await saysWhatIsMissing(scene);
  assertEquals(await operator.stop(), 0);
}

/** Somebody wants what the Role does not allow: a condition says so, and the rest is done. */
async function saysWhatIsMissing(scene: Scene): Promise<void> {
  const [router, enabled] = ["example.org/router:3", true];
  await scene.change({ images: { router }, podDisruptionBudgets: { enabled } });
  const told = await scene.until(
    "what the Role lacks",
    (object) => conditionOf(object, "Ready")?.reason === "ListForbidden",
  );
  assertEquals(stateOf(told), "deploying");
  assertMatch(
    conditionOf(told, "Ready")?.message ?? "",
    /grant get, list and watch on poddisruptionbudgets in the operator's Role/,
  );
  const { spec } = await scene.get(Deployment, "router");
  assertEquals(spec?.template.spec?.containers[0]?.image, router);
  await scene.change({ podDisruptionBudgets: null });
  await scene.untilReady();
}

/** @param times How often the control plane became ready so far, where only the log tells. */
async function untilReady(
  scene: Scene,
  operator: OperatorProcess,
  { status }: Expectation,
  times = 1,
): Promise<void> {
  if (status) return void await scene.untilReady({ withinMs: 90_000 });
  await eventually("the log to say ready", () => operator.logged("ready"), (lines) => lines.length >= times, {
    withinMs: 90_000,
    show: () => operator.lines.slice(-10).join("\n"),
  });
}

async function saysOnce(
  scene: Scene,
  operator: OperatorProcess,
  { events, leases, status }: Expectation,
): Promise<void> {
  const said: readonly (readonly [boolean, string, RegExp])[] = [
    [leases, "leases cannot be used: running without one", /grant get, create and update on leases/],
    [
      events,
      "events cannot be written: conditions and logs tell the same",
      /grant create and patch on events/,
    ],
    [
      status,
      "status cannot be written: the log tells what it would say",
      /grant update on controlplanes\/status/,
    ],
  ];
  for (const [allowed, message, remedy] of said) {
    const lines = operator.logged(message);
    assertEquals(lines.length, allowed ? 0 : 1, message);
    if (!allowed) assertMatch(String(lines[0]?.["remedy"]), remedy);
  }
  const warnings = operator.lines.filter((line) => /"level":"(warn|error)"/.test(line))
    .filter((line) => !line.includes('"message":"not ready"'));
  assertEquals(warnings.length, said.filter(([allowed]) => !allowed).length, warnings.join("\n"));
  if (!status) return assertEquals((await scene.controlPlane()).status, undefined);
  const restricted = conditionOf(await scene.controlPlane(), "Restricted");
  assertEquals(restricted?.status, events && leases ? undefined : "True");
  for (const remedy of [/on leases/, /on events/]) {
    if (restricted !== undefined) assertMatch(restricted.message, remedy);
  }
}

async function identitiesOf(scene: Scene): Promise<readonly (string | undefined)[]> {
  return (await scene.children()).map(({ object }) => object.metadata?.uid).sort();
}

function describe({ code, name, resource, subresource, verb }: AuditEvent): string {
  return `${verb} ${resource}/${name ?? ""}/${subresource ?? ""} ${code}`;
}
