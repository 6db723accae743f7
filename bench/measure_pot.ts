/**
 * A PoT control plane with a Controller and a Keycloak that answer: from the applied custom resource to its last child,
 * beside the floor, and the repair of each kind of child.
 *
 * Half of the children (NATS) can only be made once the Controller has told what they need, so the plan does not know
 * them beforehand: the floor writes copies of what the operator made in a run before, all at once, makes as many RSA
 * keys meanwhile, and writes the status once.
 */

import { systemClock } from "../src/clock.ts";
import type { KubernetesClient } from "../src/kubernetes/client.ts";
import { Secret, Service } from "../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../src/kubernetes/resource.ts";
import { certificatePairs } from "../src/resources/controlplane/pot/certificates.ts";
import { PotControlPlane, potDefinition } from "../src/resources/controlplane/pot/definition.ts";
import { makeCa } from "../src/resources/pki.ts";
import { type Controller, startController } from "../tests/controller/controller.ts";
import { type Keycloak, startKeycloak } from "../tests/keycloak/keycloak.ts";
import { bareClient } from "./measure_install.ts";
import { repairOf, repairPauseMs, type Repairs } from "./measure_repair.ts";
import type { Stage } from "./stage.ts";

/** Figures of a PoT control plane, in milliseconds. */
export interface PotTimes {
  readonly children: number;
  readonly keys: number;
  readonly operator: readonly number[];
  readonly floor: readonly number[];
  readonly repairs: readonly Repairs[];
}

interface Child {
  readonly resource: Resource;
  readonly name: string;
  /** As it may be written in another namespace. */
  readonly object: KubeObject;
  /** Whether it is a certificate with an RSA key of its own. */
  readonly needsKey: boolean;
}

/** Measures both in turns, and then the repairs. */
export async function measurePot(stage: Stage, runs: number, repairRuns: number): Promise<PotTimes> {
  const keycloak = await startKeycloak();
  const client = bareClient(stage);
  try {
    // Also warms up the API server, for which whoever comes first would pay.
    const children = await withOperator(stage, keycloak, async (namespace) => {
      await createControlPlane(stage, keycloak, namespace);
      return await childrenIn(stage, namespace);
    });
    const operator: number[] = [];
    const floor: number[] = [];
    for (let run = 0; run < runs; run++) {
      floor.push(await runFloor(stage, keycloak, client, children));
      await stage.settle();
      operator.push(
        await withOperator(stage, keycloak, async (namespace) => {
          const startedAt = systemClock.monotonic();
          await createControlPlane(stage, keycloak, namespace);
          return await untilAllSeen(stage, namespace, children, startedAt);
        }),
      );
      await stage.settle();
    }
    const repairs = await withOperator(stage, keycloak, async (namespace) => {
      await createControlPlane(stage, keycloak, namespace);
      await untilAllSeen(stage, namespace, children, 0);
      await stage.settle();
      return await repairAll(stage, namespace, children, repairRuns);
    });
    const keys = children.filter(({ needsKey }) => needsKey).length;
    return { children: children.length, keys, operator, floor, repairs };
  } finally {
    client.transport.close?.();
    await keycloak.close();
  }
}

/** In a namespace of its own, with an operator that is at rest and a Controller that knows nothing. */
async function withOperator<T>(
  stage: Stage,
  keycloak: Keycloak,
  body: (namespace: string) => Promise<T>,
): Promise<T> {
  const namespace = await stage.namespace();
  const controller: Controller = await startController({
    version: "3.7.3",
    realm: keycloak.trusted,
    readSecret: async (name) => (await stage.client.get(Secret, { namespace, name })).data,
  });
  try {
    await using _operator = await stage.operate(namespace, controller.url);
    return await body(namespace);
  } finally {
    await controller.close();
  }
}

/** All addresses are known: nothing has to wait for a cloud. */
async function createControlPlane(stage: Stage, keycloak: Keycloak, namespace: string): Promise<KubeObject> {
  const name = "keycloak-ca";
  const metadata = { namespace, name };
  await stage.client.create(Secret, { metadata, data: { "ca.crt": btoa(keycloak.caPem) } });
  const internal = { type: "ClusterIP" };
  const spec = {
    auth: { ...keycloak.auth(), caSecretRef: { name, key: "ca.crt" } },
    services: { controller: { type: "NodePort" }, router: internal, nats: internal, natsServer: internal },
    ingresses: { router: { address: "router.example.com" }, nats: { address: "nats.example.com" } },
  };
  return await stage.client.create(
    PotControlPlane,
    { metadata: { namespace, name: "pot" }, spec } as KubeObject,
  );
}

/** What the operator makes, once nothing more comes. */
async function childrenIn(stage: Stage, namespace: string): Promise<readonly Child[]> {
  const last = Object.values(certificatePairs).flatMap(({ authority, leaf }) => [authority, leaf]);
  await stage.sightings.until("the NATS servers and all certificates", () => {
    const seen = stage.sightings.in(namespace);
    const names = new Set(seen.map(({ name }) => name));
    return seen.some(({ kind }) => kind === "StatefulSet") && last.every((name) => names.has(name)) ||
      undefined;
  });
  await stage.settle();
  const kinds = await Promise.all(
    potDefinition().childResources.filter(({ group }) => group !== "cert-manager.io").map(async (resource) =>
      (await stage.client.list<KubeObject>(resource, { namespace })).items.map((object) => ({
        resource,
        object,
      }))
    ),
  );
  return kinds.flat().flatMap(({ object, resource }): readonly Child[] => {
    const { annotations, labels = {}, name = "" } = object.metadata ?? {};
    // Claims of NATS are made by the StatefulSet.
    if (annotations?.["iofog.org/owner-uid"] === undefined || name.startsWith("js-data-")) return [];
    const { apiVersion: _, kind: __, metadata: ___, status: ____, ...rest } = object as KubeObject & {
      readonly status?: unknown;
    };
    const copy = { ...rest, metadata: { name, labels } };
    const { spec } = copy as Service;
    const { clusterIP, clusterIPs: _____, ...served } = spec ?? {};
    const needsKey = (object as Secret).data?.["tls.key"] !== undefined;
    return [{
      resource,
      name,
      needsKey,
      object: resource === Service
        ? {
          ...copy,
          spec: {
            ...served,
            ...(clusterIP === "None" && { clusterIP }),
            // Those that nodes have already cannot be had again.
            ports: served.ports?.map(({ nodePort: _, ...port }) => port),
          },
        } as KubeObject
        : copy,
    }];
  });
}

async function runFloor(
  stage: Stage,
  keycloak: Keycloak,
  client: KubernetesClient,
  children: readonly Child[],
): Promise<number> {
  const namespace = await stage.namespace();
  const parent = await createControlPlane(stage, keycloak, namespace);
  await stage.settle();
  const startedAt = systemClock.monotonic();
  const send = async ({ name, needsKey, object, resource }: Child) => {
    if (needsKey) await makeCa(name, systemClock.now());
    const metadata = { ...object.metadata, namespace };
    await client.apply(resource, { ...object, metadata }, { fieldManager: "bench-floor", force: true });
  };
  const done = Promise.all([
    ...children.map(send),
    client.replace(
      PotControlPlane,
      { ...parent, status: { controllerVersion: "3.7.3" } } as KubeObject,
      { subresource: "status" },
    ),
  ]);
  const [time] = await Promise.all([untilAllSeen(stage, namespace, children, startedAt), done]);
  return time;
}

async function untilAllSeen(
  stage: Stage,
  namespace: string,
  children: readonly Child[],
  startedAt: number,
): Promise<number> {
  return await stage.sightings.until("the last child", () => {
    const seen = new Map(
      stage.sightings.in(namespace).map(({ kind, name, seenAt }) => [`${kind} ${name}`, seenAt]),
    );
    const times = children.map(({ name, resource }) => seen.get(`${resource.kind} ${name}`));
    return times.includes(undefined) ? undefined : Math.max(...times as number[]) - startedAt;
  });
}

async function repairAll(
  stage: Stage,
  namespace: string,
  children: readonly Child[],
  runs: number,
): Promise<readonly Repairs[]> {
  // Another authority takes minutes until all trust it, and another key of JetStream would lose data.
  const targets = children.filter(({ name, needsKey }) =>
    !name.endsWith("-ca") && !name.startsWith("nats-jetstream-key") &&
    (needsKey || name !== "iofog-inventory")
  );
  const byKind = Map.groupBy(
    targets,
    ({ needsKey, resource }) => needsKey ? "Secret (certificate)" : resource.kind,
  );
  const repairs: Repairs[] = [];
  for (const [kind, each] of byKind) {
    const milliseconds: number[] = [];
    for (let run = 0; run < runs; run++) {
      const target = each[run % each.length];
      if (target === undefined) continue;
      milliseconds.push(await repairOf(stage, namespace, target));
      await systemClock.sleep(repairPauseMs);
    }
    repairs.push({ kind, needsKey: each.some(({ needsKey }) => needsKey), milliseconds });
  }
  return repairs;
}
