/** What every measurement works on: a fresh local cluster with our CRD, watched, and namespaces of their own. */

import { parse } from "@std/yaml";
import { controlPlanes, type Flavour } from "../src/cli/flavours.ts";
import { systemClock } from "../src/clock.ts";
import type { KubernetesClient } from "../src/kubernetes/client.ts";
import { CustomResourceDefinition } from "../src/kubernetes/generated/apiextensions_v1.ts";
import { Lease } from "../src/kubernetes/generated/coordination_v1.ts";
import { Namespace } from "../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../src/kubernetes/resource.ts";
import type { Parent } from "../src/operator/definition.ts";
import { planInput } from "../src/operator/fixtures.ts";
import { type ParentPlan, plan } from "../src/operator/plan.ts";
import { servedSchema } from "../src/operator/served_schema.ts";
import { Store } from "../src/operator/store.ts";
import { ControlPlane, controlPlaneDefinition } from "../src/resources/controlplane/iofog/definition.ts";
import { potDefinition } from "../src/resources/controlplane/pot/definition.ts";
import { ROUTER_CA, ROUTER_LEAVES } from "../src/resources/controlplane/iofog/certificates.ts";
import { type Cluster, connectCluster } from "../tests/cluster/mod.ts";
import { buildProgram, type OperatorProcess, type Program, startOperator } from "./operator.ts";
import { type Sighting, Sightings } from "./sightings.ts";

/** Milliseconds after which a process that has nothing to do has stopped settling in. */
const settleMs = 1_500;
/** Nothing listens there: as in a first install, where the Controller's pod is still being pulled. */
const nowhere = "http://127.0.0.1:9";

const definition = controlPlaneDefinition();
const identity = {
  fieldManager: "iofog-operator",
  annotationPrefix: "iofog.org",
  predecessors: ["iofog-operator"],
};

/** The Secrets that hold a fresh RSA key. */
export const keySecrets: readonly string[] = [ROUTER_CA, ...ROUTER_LEAVES];

/** See the module. */
export class Stage implements AsyncDisposable {
  private constructor(
    readonly cluster: Cluster,
    readonly client: KubernetesClient,
    readonly sightings: Sightings,
    readonly program: Program,
  ) {}

  static async open(cluster: Cluster, flavour: Flavour = "iofog"): Promise<Stage> {
    const client = connectCluster(cluster, { userAgent: "bench" });
    await installCrd(client, flavour);
    // Nothing here is of cert-manager, which is not installed.
    const childResources = (flavour === "pot" ? potDefinition() : definition).childResources
      .filter(({ group }) => group !== "cert-manager.io");
    const sightings = await Sightings.start(client, [...childResources, Lease]);
    return new Stage(cluster, client, sightings, await buildProgram());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sightings[Symbol.asyncDispose]();
    this.client.transport.close?.();
  }

  /** A namespace of its own. It stays: deleting it would cost time that is measured by others. */
  async namespace(): Promise<string> {
    const name = `bench-${crypto.randomUUID().slice(0, 13)}`;
    await this.client.create(Namespace, { metadata: { name } });
    return name;
  }

  /** Creates the ControlPlane whose addresses are all known: nothing has to wait. */
  async createControlPlane(namespace: string): Promise<Parent> {
    const type = "ClusterIP";
    const spec = {
      user: {
        name: "Some",
        surname: "Body",
        email: "somebody@example.com",
        password: btoa(crypto.randomUUID()),
      },
      services: { controller: { type }, router: { type } },
      ingresses: { router: { address: "router.example.com" } },
    };
    const object = { metadata: { namespace, name: "iofog" }, spec } as KubeObject;
    return await this.client.create(ControlPlane, object) as Parent;
  }

  /** What an operator would write now. */
  async plan(namespace: string): Promise<ParentPlan> {
    const ignore = () => {};
    const store = new Store({
      client: this.client,
      namespace,
      clock: systemClock,
      kinds: [ControlPlane, ...definition.childResources].map((resource) => ({
        resource,
        relistMs: Infinity,
      })),
      identity,
      observer: { changed: ignore, kindChanged: ignore, stale: ignore, watchEnded: ignore },
    });
    await store.listAll();
    const given = { now: systemClock.now(), identity, uuid: () => systemClock.uuid(), isLiving: () => false };
    const [planned] = plan(planInput(definition, store.snapshot(), given));
    if (planned === undefined) throw new Error(`no ControlPlane in ${namespace}`);
    return planned;
  }

  /** Starts an operator and returns at once. */
  spawn(namespace: string, controllerUrl: string = nowhere): OperatorProcess {
    return startOperator(this.program, {
      kubeconfigPath: this.cluster.kubeconfigPath,
      namespace,
      controllerUrl,
    });
  }

  /** Starts an operator and waits until it holds its Lease and has nothing to do. */
  async operate(namespace: string, controllerUrl?: string): Promise<OperatorProcess> {
    const operator = this.spawn(namespace, controllerUrl);
    try {
      await this.sightings.until("the operator's Lease", () => this.lease(namespace));
    } catch (error) {
      await operator[Symbol.asyncDispose]();
      throw new Error(`the operator does not start: ${operator.lines.join("\n")}`, { cause: error });
    }
    await this.settle();
    return operator;
  }

  lease(namespace: string): Sighting | undefined {
    return this.sightings.in(namespace).find(({ kind }) => kind === Lease.kind);
  }

  async settle(): Promise<void> {
    await systemClock.sleep(settleMs);
  }
}

async function installCrd(client: KubernetesClient, flavour: Flavour): Promise<void> {
  const path = flavour === "pot" ? "pot/controlplanes.datasance.com" : "controlplanes.iofog.org";
  const text = await Deno.readTextFile(new URL(`../crds/${path}.yaml`, import.meta.url));
  await client.create(CustomResourceDefinition, parse(text) as CustomResourceDefinition);
  const isServed = () =>
    servedSchema(client, controlPlanes[flavour], AbortSignal.timeout(10_000)).catch(() => undefined);
  while (await isServed() === undefined) await systemClock.sleep(50);
}
