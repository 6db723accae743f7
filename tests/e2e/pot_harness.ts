/**
 * What every test of a PoT control plane starts from: a scene with a stand-in Controller 3.7.3 and the Keycloak that it
 * trusts, on a cluster that serves both flavours.
 *
 * That is a cluster of its own: where both groups are served, `kubectl get controlplane` means only one of them.
 */

import type { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { PotControlPlane, potDefinition } from "../../src/resources/controlplane/pot/definition.ts";
import { type ClusterOptions, startCluster } from "../cluster/mod.ts";
import { type Controller, startController } from "../controller/controller.ts";
import { type Keycloak, startKeycloak } from "../keycloak/keycloak.ts";
import { registerSecret } from "../secrets.ts";
import {
  type Child,
  conditionOf,
  type ControlPlaneObject,
  describeStatus,
  installCrd,
  type Json,
  merged,
  Scene,
} from "./harness.ts";
import type { OperatorProcess } from "./operator_process.ts";
import { eventually, type WaitOptions } from "./waiting.ts";

/** A cluster with the CRDs of both flavours, for one test file; call it at its top. */
export async function potCluster(options: Pick<ClusterOptions, "admissionPlugins"> = {}) {
  const cluster = await startCluster(options);
  registerSecret(cluster.adminToken);
  await installCrd(cluster);
  await installCrd(cluster, PotControlPlane);
  return cluster;
}

/** As much of cert-manager's CRD as matters here. */
export const certManagerCrd: CustomResourceDefinition = {
  metadata: { name: "certificates.cert-manager.io" },
  spec: {
    group: "cert-manager.io",
    names: {
      kind: "Certificate",
      listKind: "CertificateList",
      plural: "certificates",
      singular: "certificate",
    },
    scope: "Namespaced",
    versions: [{
      name: "v1",
      served: true,
      storage: true,
      schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      subresources: { status: {} },
    }],
  },
};

/** The Secret with Keycloak's authority in every scene. */
export const KEYCLOAK_CA = "keycloak-ca";

/** A scene of a PoT control plane. */
export interface PotScene {
  readonly scene: Scene;
  readonly controller: Controller;
  readonly keycloak: Keycloak;
  /** A valid spec, with parts replaced. */
  spec(changes?: Json): Json;
  create(changes?: Json, name?: string): Promise<ControlPlaneObject>;
  change(spec: Json): Promise<ControlPlaneObject>;
  controlPlane(name?: string): Promise<ControlPlaneObject>;
  until(
    what: string,
    accept: (object: ControlPlaneObject) => boolean,
    options?: Pick<WaitOptions<unknown>, "withinMs"> & { readonly name?: string },
  ): Promise<ControlPlaneObject>;
  untilReady(): Promise<ControlPlaneObject>;
  /** Starts the program as an operator of this namespace. */
  operate(args?: readonly string[]): OperatorProcess;
  /** Everything that the operator made. */
  children(): Promise<readonly Child[]>;
}

/** A test with a PoT scene of its own. */
export function potScenario(
  name: string,
  cluster: Awaited<ReturnType<typeof potCluster>>,
  body: (pot: PotScene, test: Deno.TestContext) => Promise<void>,
): void {
  Deno.test({
    name,
    sanitizeOps: true,
    sanitizeResources: true,
    async fn(test) {
      // Nobody waits for `minReadySeconds`.
      await using scene = await Scene.open({ cluster, clockBehindMs: 60_000 });
      const keycloak = await startKeycloak();
      const controller = await startController({
        version: "3.7.3",
        realm: keycloak.trusted,
        readSecret: async (secret) => (await scene.find(Secret, secret))?.data,
      });
      scene.atEnd(() => Promise.all([controller.close(), keycloak.close()]));
      await body(await openPot(scene, controller, keycloak), test);
    },
  });
}

async function openPot(scene: Scene, controller: Controller, keycloak: Keycloak): Promise<PotScene> {
  const { client, namespace } = scene;
  await client.create(Secret, {
    metadata: { namespace, name: KEYCLOAK_CA },
    data: { ca: btoa(keycloak.caPem) },
  });
  const spec = (changes: Json = {}) => {
    const auth = { ...keycloak.auth(), caSecretRef: { name: KEYCLOAK_CA, key: "ca" } };
    const type = "LoadBalancer";
    return merged({ auth, services: { controller: { type }, router: { type }, nats: { type } } }, changes);
  };
  const controlPlane = async (name = "pot") => await scene.get(PotControlPlane, name) as ControlPlaneObject;
  const until: PotScene["until"] = (what, accept, options = {}) =>
    eventually(what, () => controlPlane(options.name), accept, { ...options, show: describeStatus });
  return {
    scene,
    controller,
    keycloak,
    spec,
    create: async (changes = {}, name = "pot") =>
      await client.create(
        PotControlPlane,
        { metadata: { namespace, name }, spec: spec(changes) } as KubeObject,
      ) as ControlPlaneObject,
    change: async (patch) =>
      await client.patch(PotControlPlane, { namespace, name: "pot" }, {
        type: "merge",
        patch: { spec: patch },
      }) as ControlPlaneObject,
    controlPlane,
    until,
    untilReady: () =>
      until("the control plane to be ready", (object) => {
        const ready = conditionOf(object, "Ready");
        return ready?.status === "True" && ready.observedGeneration === object.metadata.generation;
      }, { withinMs: 60_000 }),
    operate: (args = []) => scene.operate([`--controller-url=${controller.url}`, ...args]),
    children: async () => {
      const kinds = await Promise.all(
        potDefinition().childResources.map(async (resource) =>
          (await scene.list(resource).catch((error) => {
            // Of kinds that not every cluster has.
            if (isStatus(error, 404)) return [];
            throw error;
          })).map((object) => ({ resource, object, name: object.metadata?.name ?? "" }))
        ),
      );
      return kinds.flat().filter(({ object }) =>
        object.metadata?.annotations?.["iofog.org/owner-uid"] !== undefined
      );
    },
  };
}
