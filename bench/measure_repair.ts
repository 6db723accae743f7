/**
 * From the deletion of a child to its repair, for each kind.
 *
 * The time runs from the moment at which the object is gone (a claim waits for its finalizer first) to that at which
 * another one is there. No pod runs: a claim that one uses would not go away.
 */

import { systemClock } from "../src/clock.ts";
import type { KubernetesWrite } from "../src/operator/write.ts";
import { startController } from "../tests/controller/controller.ts";
import { keySecrets, type Stage } from "./stage.ts";
import type { Sighting } from "./sightings.ts";

/** Milliseconds between two deletions: each is an accident of its own. */
export const repairPauseMs = 300;

/** Repairs of one kind of child. */
export interface Repairs {
  readonly kind: string;
  /** Whether the child holds a fresh RSA key. */
  readonly needsKey: boolean;
  readonly milliseconds: readonly number[];
}

/** Deletes at least `runs` children of each kind, one after another. */
export async function measureRepair(stage: Stage, runs: number): Promise<readonly Repairs[]> {
  const namespace = await stage.namespace();
  await stage.createControlPlane(namespace);
  const { waves } = await stage.plan(namespace);
  const controller = await startController();
  try {
    await using _operator = await stage.operate(namespace, controller.url);
    await stage.sightings.until("every child", () => {
      const seen = new Set(stage.sightings.in(namespace).map(({ name }) => name));
      return [...keySecrets, ...waves.flat().map(({ name }) => name)].every((name) => seen.has(name)) ||
        undefined;
    });
    await stage.settle();
    const repairs: Repairs[] = [];
    for (const [kind, targets] of byKind(waves.flat())) {
      const milliseconds: number[] = [];
      for (let run = 0; run < runs; run++) {
        const target = targets[run % targets.length];
        if (target === undefined) continue;
        milliseconds.push(await repairOf(stage, namespace, target));
        await systemClock.sleep(repairPauseMs);
      }
      repairs.push({ kind, needsKey: targets.some(({ name }) => keySecrets.includes(name)), milliseconds });
    }
    return repairs;
  } finally {
    await controller.close();
  }
}

type Target = Pick<KubernetesWrite, "resource" | "name">;

/** Children by kind; Secrets with a key, and the authority on which others depend, apart. */
function byKind(writes: readonly KubernetesWrite[]): ReadonlyMap<string, readonly Target[]> {
  const targets: readonly Target[] = [
    ...writes,
    ...keySecrets.filter((name) => !writes.some((write) => write.name === name))
      .flatMap((name) => {
        const resource = writes.find((write) => write.resource.kind === "Secret")?.resource;
        return resource === undefined ? [] : [{ resource, name }];
      }),
  ];
  return Map.groupBy(targets, ({ resource, name }) => {
    if (!keySecrets.includes(name)) return resource.kind;
    return name === keySecrets[0] ? "Secret (authority)" : "Secret (certificate)";
  });
}

/** Milliseconds from the deletion of an object to the next one of that name. */
export async function repairOf(
  stage: Stage,
  namespace: string,
  { resource, name }: Target,
): Promise<number> {
  const incarnations = () =>
    stage.sightings.in(namespace).filter((each) => each.kind === resource.kind && each.name === name);
  const living = (): Sighting | undefined => incarnations().find(({ goneAt }) => goneAt === undefined);
  const before = await stage.sightings.until(`${resource.kind} ${name}`, living);
  await stage.client.delete(resource, { namespace, name }, { propagationPolicy: "Background" });
  return await stage.sightings.until(`another ${resource.kind} ${name}`, () => {
    const after = living();
    if (before.goneAt === undefined || after === undefined) return undefined;
    return after.seenAt - before.goneAt;
  });
}
