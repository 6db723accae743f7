/**
 * The walk over the fields of a ControlPlane that runs: each field is changed to all that it takes and to what it does
 * not take, and back, one by one (the method of Acto, SOSP 2023).
 *
 * A value that is accepted has to lead to `Ready`, and may change only the children that the field's entry in the table
 * names, and restart only the pods that it names. A value that is not accepted has to be refused by the API server, or
 * by a condition, with the field's name, and changes nothing. On the way back everything has to become as it was.
 */

import { assert, assertEquals } from "@std/assert";
import { ApiError } from "../../src/kubernetes/errors.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Pod } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import type { Controller } from "../controller/controller.ts";
import { conditionOf, type ControlPlaneObject, type Scene } from "../e2e/harness.ts";
import type { Condition } from "../../src/operator/definition.ts";
import { titleOf } from "../golden/recordings.ts";
import { eventually } from "../e2e/waiting.ts";
import { registerSecret } from "../secrets.ts";
import { type Json, present } from "../json.ts";
import { at, type Field, names, put } from "./fields.ts";
import { type Known, stepsOf } from "./steps.ts";

/** What is known of a field beforehand: an entry of the table. */
export interface Walk extends Known {
  /** Name of the spec that it is walked from. */
  readonly base: string;
  /** The limits that have to be found; where left out, text of any length. */
  readonly limits?: readonly [number, number];
  /** Titles of the children that every accepted value changes, and no others. */
  readonly changes: readonly string[];
  /** Of `changes`, titles of what stays changed when the field is as it was. */
  readonly stays?: readonly string[];
  /** Of `changes`, titles of what stays as it is when the field is removed: nothing else can be said there. */
  readonly unlessRemoved?: readonly string[];
  /** What the pods are called that start again, and no others. */
  readonly restarts?: readonly string[];
  /** Fields of children that come back with another value: `Secret router-amqps data.tls.key`; the reason is beside it. */
  readonly madeAnew?: readonly string[];
  /** What others do once a condition tells of the field: then its value leads somewhere. */
  readonly mend?: (walked: Walked) => Promise<void>;
  /** What others do once the field is as it was. */
  readonly afterwards?: (walked: Walked) => Promise<void>;
}

/** What the walk looks at: the objects by title, and the pods by workload. */
interface Sight {
  readonly objects: ReadonlyMap<string, KubeObject>;
  readonly pods: ReadonlyMap<string, readonly string[]>;
}

/** A control plane of either flavour. */
export interface Walked extends Pick<Scene, "children" | "until" | "untilReady"> {
  readonly scene: Scene;
  readonly controller: Controller;
  readonly resource: Resource;
  readonly name: string;
  /** What it has outside of Kubernetes. */
  outside(): readonly KubeObject[];
}

/** A control plane at rest from which fields are walked. */
export interface Start {
  readonly walked: Walked;
  readonly spec: Json;
  readonly accepts: (spec: Json) => boolean;
  readonly availability: Availability;
}

/** The fewest available pods of each Deployment that was seen since `forget`. */
export interface Availability extends AsyncDisposable {
  readonly fewest: ReadonlyMap<string, number>;
  forget(): void;
}

/** Follows the Deployments of a scene. */
export function watchAvailability(scene: Scene): Availability {
  const stopping = new AbortController();
  const fewest = new Map<string, number>();
  const follow = async () => {
    const { namespace } = scene;
    const { resourceVersion } = await scene.client.list(Deployment, { namespace });
    const query = { namespace, resourceVersion };
    for await (const event of scene.client.watch(Deployment, query, { signal: stopping.signal })) {
      if (event.type === "BOOKMARK") continue;
      const name = event.object.metadata?.name ?? "";
      const available = event.object.status?.availableReplicas ?? 0;
      fewest.set(name, Math.min(fewest.get(name) ?? Infinity, available));
    }
  };
  const ended = follow().catch((error) => {
    if (!stopping.signal.aborted) throw error;
  });
  return {
    fewest,
    forget: () => fewest.clear(),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await ended;
    },
  };
}

/** Walks one field and comes back. Errors say at which value; secrets are not shown. */
export async function walkField(start: Start, walk: Walk, field: Field): Promise<void> {
  const { spec, walked } = start;
  const before = at(spec, field.path);
  const base = await look(walked);
  let last = base;
  const accepts = (value: unknown) => start.accepts(put(spec, field.path, value));
  const step = async (what: string, value: unknown, check: () => Promise<void>) => {
    try {
      await check();
    } catch (error) {
      if (error instanceof Error) {
        error.message = `spec.${walk.field} ${what}${
          walk.isSecret ? "" : ` ${JSON.stringify(value)?.slice(0, 80) ?? ""}`
        }: ${error.message}`;
      }
      throw error;
    }
  };
  /** What is there once `accept` takes it; what is there in the end where it does not. */
  const lookUntil = async (accept: (seen: Sight) => boolean) => {
    let seen: Sight | undefined;
    const read = async () => seen = await look(walked);
    await eventually("it", read, accept, { withinMs: 10_000, show: () => "" }).catch(() => {});
    return present(seen);
  };
  const goTo = (
    what: string,
    value: unknown,
    changes: readonly string[],
    restarts: readonly string[],
    arrive: () => Promise<unknown> = () => walked.untilReady(),
  ) =>
    step(what, value, async () => {
      assertEquals(await write(walked, put(spec, field.path, value)), undefined, "the API server refuses it");
      start.availability.forget();
      await arrive();
      // Some of it is done after it is ready, or after a condition tells.
      const now = await lookUntil((seen) =>
        isSameSet(changed(last, seen), changes) && isSameSet(restarted(last, seen), restarts)
      );
      for (const { name, replicas } of rolling(last, now)) {
        const fewest = start.availability.fewest.get(name) ?? replicas;
        assert(fewest >= replicas, `Deployment ${name} had only ${fewest} of ${replicas} pods available`);
      }
      expectSameSet(changed(last, now), changes, "children that changed", () => differences(last, now));
      expectSameSet(restarted(last, now), restarts, "pods that started again");
      last = now;
    });
  const goBack = async (fromElsewhere: boolean) => {
    const undone = changes.filter((title) => !stays.includes(title));
    await goTo("back to", before, fromElsewhere ? undone : [], fromElsewhere ? restarts : []);
    await step("back at", before, async () => {
      await walk.afterwards?.(walked);
      if (walk.afterwards !== undefined) await walked.untilReady();
      last = await lookUntil((seen) => differences(base, seen, walk.madeAnew).length === 0);
      assertEquals(differences(base, last, walk.madeAnew), [], "not everything is as it was");
    });
  };
  const refuse = (what: string, value: unknown) =>
    step(what, value, async () => {
      const refusal = await write(walked, put(spec, field.path, value)) ?? await refusalBy(walked);
      assert(names(refusal, field), `the refusal does not name the field: ${refusal}`);
      assertEquals(differences(last, await look(walked)), [], "something changed");
    });
  const tell = async (value: unknown, changes: readonly string[], restarts: readonly string[]) => {
    await goTo("changed to", value, changes, restarts, () => untilTold(walked, field));
    if (walk.mend === undefined) return;
    await step("mended at", value, async () => {
      await walk.mend?.(walked);
      await walked.untilReady();
      last = await look(walked);
    });
  };
  const { restarts = [], stays = [], unlessRemoved = [] } = walk;
  let changes = walk.changes;
  const { secrets, steps } = stepsOf(walk, field, before, accepts);
  for (const secret of secrets) registerSecret(secret);
  for (const { effect, type, value } of steps) {
    if (type === "remove") changes = walk.changes.filter((title) => !unlessRemoved.includes(title));
    const [changing, restarting] = effect ? [changes, restarts] : [[], []];
    if (type === "refuse") await refuse("changed to", value);
    else if (type === "tell") await tell(value, changing, restarting);
    else if (type === "wait") {
      await step("removed", value, () => expectWait(walked, put(spec, field.path, value), field));
    } else if (type === "return") await goBack(effect);
    else await goTo(type === "remove" ? "removed" : "changed to", value, changing, restarting);
  }
}

/** Replaces the spec; gives what the API server says where it refuses it. */
async function write({ name, resource, scene }: Walked, spec: Json): Promise<string | undefined> {
  try {
    await scene.client.patch(resource, { namespace: scene.namespace, name }, {
      type: "json",
      operations: [{ op: "replace", path: "/spec", value: spec }],
    });
    return undefined;
  } catch (error) {
    if (error instanceof ApiError && error.status === 422) return error.message;
    throw error;
  }
}

/** What the condition says that refuses the present spec. */
async function refusalBy(walked: Walked): Promise<string> {
  const object = await walked.until(
    "a verdict",
    (seen) => isOfNow(seen, "Stalled") && isOfNow(seen, "Ready"),
  );
  const stalled = conditionOf(object, "Stalled");
  assertEquals(stalled?.status, "True", "it is not refused");
  assertEquals(conditionOf(object, "Ready")?.status, "False");
  return stalled?.message ?? "";
}

/** Waits until a condition tells of the field, and everything else is done. */
async function untilTold(walked: Walked, field: Field): Promise<void> {
  const isDone = ({ status, type }: Condition) => !type.endsWith("Available") || status === "True";
  await walked.until("a condition that tells of the field", (seen) => {
    const conditions = seen.status?.conditions ?? [];
    return isOfNow(seen, "Ready") && conditions.every(isDone) &&
      conditions.some(({ message, status, type }) =>
        (status === "False" || type === "Warning") && names(message ?? "", field)
      );
  });
}

async function expectWait(walked: Walked, spec: Json, field: Field): Promise<void> {
  assertEquals(await write(walked, spec), undefined);
  const object = await walked.until("a wait", (seen) => isOfNow(seen, "Ready"));
  const { status, message = "" } = conditionOf(object, "Ready") ?? {};
  assertEquals([status, conditionOf(object, "Stalled")?.status], ["False", "False"]);
  assert(names(message, field), `the condition does not name the field: ${message}`);
}

function isOfNow(object: ControlPlaneObject, type: string): boolean {
  return conditionOf(object, type)?.observedGeneration === object.metadata.generation;
}

/** All children and pods. */
async function look(walked: Walked): Promise<Sight> {
  const [children, pods] = await Promise.all([walked.children(), walked.scene.list(Pod)]);
  const living = pods.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
  return {
    objects: new Map([...children.map(({ object }) => object), ...structuredClone(walked.outside())].map((
      object,
    ) => [titleOf(object), object])),
    pods: Map.groupBy(
      living,
      ({ metadata }) => metadata?.labels?.["datasance.com/component"] ?? metadata?.labels?.["name"] ?? "",
    ).entries().reduce(
      (all, [name, each]) => all.set(name, each.map(({ metadata }) => metadata?.uid ?? "").sort()),
      new Map<string, readonly string[]>(),
    ),
  };
}

/** The Deployments that replace one pod after the other, and how many pods there have to be all the time. */
function rolling(before: Sight, now: Sight): readonly { readonly name: string; readonly replicas: number }[] {
  return [...now.objects].flatMap(([title, object]) => {
    const specs = [before.objects.get(title), object].map((each) => (each as Deployment | undefined)?.spec);
    if (specs.some((spec) => spec?.strategy?.type !== "RollingUpdate")) return [];
    const replicas = Math.min(...specs.map((spec) => spec?.replicas ?? 1));
    return [{ name: object.metadata?.name ?? "", replicas }];
  });
}

/** Titles of what differs, revisions of Secrets included. */
function changed(before: Sight, now: Sight): readonly string[] {
  const titles = new Set([...before.objects.keys(), ...now.objects.keys()]);
  return [...titles].filter((title) =>
    JSON.stringify(content(before.objects.get(title))) !== JSON.stringify(content(now.objects.get(title)))
  );
}

/** Workloads of which a pod is gone that was not scaled away. */
function restarted(before: Sight, now: Sight): readonly string[] {
  return [...before.pods].filter(([name, pods]) => {
    const left = now.pods.get(name) ?? [];
    const [fewer, more] = left.length < pods.length ? [left, pods] : [pods, left];
    return !fewer.every((uid) => more.includes(uid));
  }).map(([name]) => name);
}

/**
 * What an object says. Left out is what others write: `status` (a Service's stays: its address is the cloud's answer to
 * what it asks), versions, the Deployment controller's count of revisions; and when a field was last written, and by
 * whom, which `differences` compares.
 */
function content(object: KubeObject | undefined): unknown {
  if (object === undefined) return undefined;
  const { status, metadata, ...rest } = object as KubeObject & { status?: unknown };
  const { resourceVersion: _, generation: __, managedFields: ___, annotations, ...kept } = metadata ?? {};
  const { "deployment.kubernetes.io/revision": ____, ...others } = annotations ?? {};
  return {
    ...rest,
    ...(object.kind === "Service" && { status }),
    metadata: { ...kept, annotations: others },
  };
}

/**
 * Paths at which two sights differ, who owns which field included. Left out, beside what `content` leaves out: the
 * revisions of Secrets, which are new after each change, and the time of an ownership.
 */
function differences(before: Sight, now: Sight, madeAnew: readonly string[] = []): readonly string[] {
  const titles = new Set([...before.objects.keys(), ...now.objects.keys()]);
  return [...titles].flatMap((title) => {
    const of = (sight: Sight) => {
      const object = sight.objects.get(title);
      const owners = ownersOf(object);
      return withoutRevisions({ ...content(object) as object, ...(owners.length > 0 && { owners }) });
    };
    return diff(of(before), of(now), title).filter((path) =>
      !madeAnew.some((pattern) => new RegExp(`^${pattern}$`).test(path))
    );
  });
}

function ownersOf(object: KubeObject | undefined): readonly unknown[] {
  return (object?.metadata?.managedFields ?? [])
    .filter(({ subresource }) => subresource !== "status")
    .map(({ time: _, ...entry }) => entry)
    .sort((one, other) => `${one.manager} ${one.operation}` < `${other.manager} ${other.operation}` ? -1 : 1);
}

/** Without what names a revision, and without maps that hold nothing else. */
function withoutRevisions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutRevisions);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  const kept = entries.filter(([key]) => !key.includes("iofog.org/revision"))
    .map(([key, inner]) => [key, withoutRevisions(inner)] as const)
    .filter(([key, inner]) => inner !== undefined || value[key as keyof typeof value] === undefined);
  if (kept.length < entries.length && kept.every(([key]) => key === ".")) return undefined;
  return Object.fromEntries(kept);
}

function diff(before: unknown, now: unknown, path: string): readonly string[] {
  if (isObject(before) && isObject(now)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
    return [...keys].flatMap((key) => diff(before[key], now[key], `${path} ${key}`));
  }
  return JSON.stringify(before) === JSON.stringify(now) ? [] : [path];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function expectSameSet(
  found: readonly string[],
  expected: readonly string[],
  what: string,
  more: () => readonly string[] = () => [],
): void {
  const message = isSameSet(found, expected) ? what : `${what}; ${more().join("; ")}`;
  assertEquals([...found].sort(), [...expected].sort(), message);
}

function isSameSet(found: readonly string[], expected: readonly string[]): boolean {
  return JSON.stringify([...found].sort()) === JSON.stringify([...expected].sort());
}
