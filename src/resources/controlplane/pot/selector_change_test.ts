import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Deployment } from "../../../kubernetes/generated/apps_v1.ts";
import { Service } from "../../../kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { Child, Snapshot } from "../../../operator/definition.ts";
import { type Selected, throughSelectorChange } from "./selector_change.ts";

type Labels = Readonly<Record<string, string>>;

const now: Labels = {
  "app.kubernetes.io/name": "pot",
  "datasance.com/component": "router",
  application: "x",
};
/** What releases before selected by. */
const before: Readonly<Record<string, Labels>> = {
  "3.4": { name: "router" },
  "3.5": { "datasance.com/component": "router", application: "x" },
};

function deployment(labels: Labels, name = "router"): Deployment & KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "ns" },
    spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels } } },
  };
}

function service(selector: Labels, port: number): Service & KubeObject {
  const metadata = { name: "router", namespace: "ns" };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: { selector, ports: [{ name: "message", port }] },
  };
}

const children: readonly Child[] = [
  { type: "applied", resource: Service, object: service(now, 5671) as never },
  { type: "applied", resource: Deployment, object: deployment(now) as never },
];

/** What is there, by kind and name. */
class World {
  readonly objects = new Map<string, KubeObject>();
  /** Names of Deployments in the order in which they were made and deleted. */
  readonly history: string[] = [];

  constructor(labels: Labels | undefined) {
    if (labels === undefined) return;
    this.put(service(labels, 5672));
    this.put(deployment(labels));
    this.makeAvailable();
    this.history.length = 0;
  }

  put(object: KubeObject): void {
    const key = `${object.kind} ${object.metadata?.name}`;
    const live = this.objects.get(key);
    if (live === undefined && object.kind === "Deployment") this.history.push(`+${object.metadata?.name}`);
    this.objects.set(key, {
      ...object,
      ...(live !== undefined && "status" in live && { status: live.status }),
    });
  }

  remove(key: string): void {
    this.objects.delete(key);
    this.history.push(`-${key.split(" ")[1]}`);
  }

  makeAvailable(): void {
    for (const [key, object] of this.objects) {
      if (object.kind !== "Deployment") continue;
      this.objects.set(
        key,
        { ...object, status: { observedGeneration: 1, availableReplicas: 1 } } as KubeObject,
      );
    }
  }

  snapshot(): Snapshot {
    const get: Snapshot["get"] = (resource, name) => this.objects.get(`${resource.kind} ${name}`) as never;
    return { get } as Snapshot;
  }

  /** Whether the Service leads to a pod that is available and has the port. */
  isServing(): boolean {
    const { spec } = this.objects.get("Service router") as Service;
    return [...this.objects.values()].some((object) => {
      if (object.kind !== "Deployment") return false;
      const { spec: { template } = {}, status } = object as Deployment;
      const labels = template?.metadata?.labels ?? {};
      const isOld = labels["app.kubernetes.io/name"] === undefined;
      return (status?.availableReplicas ?? 0) > 0 && spec?.ports?.[0]?.port === (isOld ? 5672 : 5671) &&
        Object.entries(spec?.selector ?? {}).every(([key, value]) => labels[key] === value);
    });
  }

  /** Carries out what should be now; only the writes that `chosen` lets through. */
  step(selected: Selected, chosen: () => boolean = () => true): readonly string[] {
    const { children: wanted, retired, waiting } = throughSelectorChange(this.snapshot(), children, selected);
    const names = new Set(
      wanted.flatMap((child) =>
        child.type === "external" ? [] : [`${child.resource.kind} ${child.object.metadata.name}`]
      ),
    );
    for (const child of wanted) if (child.type === "applied" && chosen()) this.put(child.object);
    for (const { name } of retired) if (chosen()) this.remove(`Deployment ${name}`);
    if (
      !names.has("Deployment router-interim") && this.objects.has("Deployment router-interim") && chosen()
    ) {
      this.remove("Deployment router-interim");
    }
    return waiting.map(({ message }) => message);
  }
}

const router: Selected = { deployment: "router", services: ["router"], isExclusive: false };

for (const [release, labels] of Object.entries(before)) {
  Deno.test(`throughSelectorChange() keeps serving on the way from the labels of ${release}`, () => {
    const world = new World(labels);
    const messages: string[] = [];
    for (let round = 0; round < 12; round++) {
      messages.push(...world.step(router));
      assert(world.isServing(), `round ${round}: ${world.history}`);
      if (round % 2 === 1) world.makeAvailable();
    }
    assertEquals(world.history, ["+router-interim", "-router", "+router", "-router-interim"]);
    assertEquals([...world.objects.keys()].sort(), ["Deployment router", "Service router"]);
    assertEquals((world.objects.get("Service router") as Service).spec, {
      selector: now,
      ports: [{ name: "message", port: 5671 }],
    });
    assertEquals(world.step(router), []);
    assertEquals([...new Set(messages)], [
      "Deployment router serves until Deployment router-interim does, so that it can be made again",
      "Deployment router serves until its Services lead to the new pods",
      "Deployment router is deleted, to be made again with the labels of this release",
      "Deployment router is made again",
    ]);
  });
}

Deno.test("throughSelectorChange() keeps serving wherever it is interrupted, and gets there", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(before)),
      fc.infiniteStream(fc.boolean()),
      fc.infiniteStream(fc.boolean()),
      (labels, writes, kubelet) => {
        const world = new World(labels);
        for (let round = 0; round < 40; round++) {
          world.step(router, () => writes.next().value === true);
          assert(world.isServing(), world.history.join());
          if (kubelet.next().value === true) world.makeAvailable();
        }
        for (let round = 0; round < 10; round++) {
          world.step(router);
          world.makeAvailable();
        }
        assertEquals([...world.objects.keys()].sort(), ["Deployment router", "Service router"]);
      },
    ),
  );
});

Deno.test("throughSelectorChange() takes away first what must not run twice, and leaves alone what has its labels", () => {
  const world = new World(before["3.4"]);
  const exclusive = { ...router, isExclusive: true };
  for (let round = 0; round < 4; round++) world.step(exclusive);
  assertEquals(world.history, ["-router", "+router"]);
  for (const labels of [undefined, now]) {
    const settled = throughSelectorChange(new World(labels).snapshot(), children, router);
    assertEquals(settled, { children, retired: [], waiting: [] });
  }
});
