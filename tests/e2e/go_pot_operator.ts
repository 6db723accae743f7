/**
 * Plays the PoT operator 3.7.2: writes to the API server and the Controller what it writes, as it writes it, under its
 * field manager. What it writes is recorded (`tests/golden/pot`) for a spec with load balancers; how, is read from its
 * source.
 */

import { assertEquals } from "@std/assert";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { Deployment, StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import { ConfigMap, Pod, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { PotControlPlane } from "../../src/resources/controlplane/pot/definition.ts";
import type { Controller } from "../controller/controller.ts";
import { type Keycloak, loginAt } from "../keycloak/keycloak.ts";
import { goManager, installGoOperator, schemalessCrd } from "./go_operator.ts";
import type { ControlPlaneObject, Json, Scene } from "./harness.ts";
import { type PotRecording, readPotRecording, recordedKind } from "./left_by_pot_operator.ts";
import { potRolesAsFound } from "./roles_as_found.ts";
import { eventually } from "./waiting.ts";

/** Its image, as potctl names it. */
export const goPotImage = "ghcr.io/datasance/operator:3.7.2";

/** Where it works. */
export interface PotPlace {
  readonly scene: Pick<Scene, "client" | "namespace" | "kubelet">;
  readonly controller: Controller;
  readonly keycloak: Keycloak;
}

/** Name of the ControlPlane. */
const NAME = "pot";
/** On the certificates of NATS: for how many servers they are. */
const REPLICAS_ANNOTATION = "datasance.com/nats-replicas";
const natsCertificates = ["nats-site-server", "nats-mqtt-server"];
/** Kinds that it puts over what is there in each pass. */
const replaced: readonly Resource[] = [Deployment, StatefulSet];
/** Secrets of which it puts the data over what is there in each pass. */
const rewritten = ["controller-db-credentials", "nats-operator-seed", "nats-creds-sys-admin-hub"];

/** See the module. */
export class PlayedGoPotOperator {
  private constructor(
    readonly place: PotPlace,
    private readonly recording: PotRecording,
  ) {}

  /** The authorities, by the names of their Secrets. */
  get authorities(): PotRecording["authorities"] {
    return this.recording.authorities;
  }

  static async of(place: PotPlace): Promise<PlayedGoPotOperator> {
    return new PlayedGoPotOperator(place, await readPotRecording(place.scene, place.keycloak.auth()));
  }

  /** A namespace with the CRD, the operator and the control plane, as potctl makes them. */
  static async installAll(place: PotPlace): Promise<void> {
    const { client, namespace } = place.scene;
    await installGoOperator(place.scene, {
      crd: schemalessCrd("datasance.com", ["v3"]),
      image: goPotImage,
      rules: potRolesAsFound.potctl,
    });
    const served = () => client.list(PotControlPlane, { namespace }).then(() => true, () => false);
    await eventually("the CRD to be served", served, (isServed) => isServed);
    const type = "LoadBalancer";
    const services = { controller: { type }, router: { type }, nats: { type }, natsServer: { type } };
    await (await PlayedGoPotOperator.of(place)).install({ auth: place.keycloak.auth(), services });
  }

  /** What a fresh installation leaves behind, ready and with its pods running. */
  async install(spec: Json): Promise<void> {
    const { client, namespace } = this.place.scene;
    const metadata = { namespace, name: NAME };
    await client.create(PotControlPlane, { metadata, spec } as KubeObject);
    assertEquals(await this.start(), "deployed");
    await eventually(
      "the pods of the Go operator to run",
      async () => (await client.list(Pod, { namespace })).items,
      (pods) =>
        pods.filter(({ metadata, status }) =>
          status?.phase === "Running" && metadata?.labels?.["datasance.com/component"] !== undefined
        ).length === 4,
      { withinMs: 60_000, show: (pods) => pods.map(({ metadata }) => metadata?.name).join() },
    );
  }

  /** Makes something else of its ControlPlane, which it would leave when the spec asks for it no more. */
  async leave(resource: Resource, name: string, content: Json): Promise<void> {
    const [sample] = this.recording.children((await this.#controlPlane()).metadata.uid ?? "");
    const { labels, namespace, ownerReferences } = sample?.metadata ?? {};
    await this.place.scene.client.create(resource, {
      ...content,
      metadata: { namespace, name, labels, ownerReferences },
    } as KubeObject, goManager);
  }

  /** Starts it on what is there, until nothing is left for it to do; returns whether there was something. */
  async start(): Promise<"nothing" | "deployed"> {
    const first = await this.#state();
    if (first === "ready") return "nothing";
    await this.#pass();
    // Putting the custom resource with all its empty blocks is another generation the first time.
    if (await this.#state() === "updating") await this.#pass();
    assertEquals(await this.#state(), "ready");
    return "deployed";
  }

  async #state(): Promise<string> {
    const { metadata, status } = decodePot(await this.#controlPlane());
    const first = status.conditions.find(({ status }) => status === "True");
    if (first === undefined) return "deploying";
    return first.observedGeneration === metadata.generation ? first.type : "updating";
  }

  async #controlPlane(): Promise<ControlPlaneObject> {
    const { client, namespace } = this.place.scene;
    return await client.get(PotControlPlane, { namespace, name: NAME }) as ControlPlaneObject;
  }

  async #pass(): Promise<void> {
    const { client, namespace } = this.place.scene;
    const owner = await this.#controlPlane();
    await this.#renewNatsCertificates();
    for (const child of this.#children(owner)) {
      const resource = recordedKind(child);
      const name = child.metadata?.name ?? "";
      if (await this.#createIfAbsent(resource, child)) continue;
      const target = { namespace, name };
      if (resource === StatefulSet) {
        // Its annotations stay.
        const { annotations = {} } = (await client.get(StatefulSet, target)).metadata ?? {};
        await client.replace(resource, { ...child, metadata: { ...child.metadata, annotations } }, goManager);
      } else if (replaced.includes(resource)) {
        await client.replace(resource, child, goManager);
      } else if (resource === ConfigMap && name === "iofog-nats-config") {
        const { data } = child as ConfigMap;
        await client.replace(
          ConfigMap,
          { ...await client.get(ConfigMap, target), data } as ConfigMap,
          goManager,
        );
      } else if (resource === ConfigMap && name === "iofog-router") {
        // What is stored stays as it is where both have the same version of it.
        const stored = (await client.get(ConfigMap, target)).data?.["skrouterd.json"] ?? "[]";
        assertEquals(versionIn(stored), versionIn((child as ConfigMap).data?.["skrouterd.json"] ?? "[]"));
      } else if (resource === Secret && rewritten.includes(name)) {
        await this.#rewriteSecret(name);
      }
    }
    await this.#registerAtController();
    await this.#setReady();
  }

  /** Their data as the spec, or the Controller, has it; here, as it is: the recording's values are made up. */
  async #rewriteSecret(name: string): Promise<void> {
    const { client, namespace } = this.place.scene;
    await client.replace(Secret, await client.get(Secret, { namespace, name }), goManager);
  }

  /** Where they are for another number of servers, it deletes them, and makes them again. */
  async #renewNatsCertificates(): Promise<void> {
    const { client, namespace } = this.place.scene;
    const wanted = (await this.#controlPlane()).spec?.["replicas"] as { nats?: number } | undefined;
    const [site] = await Promise.all(
      natsCertificates.map((name) =>
        client.get(Secret, { namespace, name }).catch((error) => {
          if (isStatus(error, 404)) return undefined;
          throw error;
        })
      ),
    );
    if (site === undefined) return;
    if (site.metadata?.annotations?.[REPLICAS_ANNOTATION] === String(wanted?.nats ?? 2)) return;
    for (const name of natsCertificates) await client.delete(Secret, { namespace, name });
  }

  #children(owner: ControlPlaneObject): readonly KubeObject[] {
    const images = (owner.spec?.["images"] ?? {}) as Record<string, string>;
    return this.recording.children(owner.metadata.uid ?? "").map((child) => {
      const template = (child as Deployment).spec?.template;
      const container = replaced.includes(recordedKind(child)) ? template?.spec?.containers[0] : undefined;
      const image = images[child.metadata?.name ?? ""];
      if (container !== undefined && image !== undefined) container.image = image;
      return child;
    });
  }

  async #createIfAbsent(resource: Resource, child: KubeObject): Promise<boolean> {
    try {
      await this.place.scene.client.create(resource, child, goManager);
      return true;
    } catch (error) {
      if (isStatus(error, 409)) return false;
      throw error;
    }
  }

  async #registerAtController(): Promise<void> {
    const { controller, keycloak } = this.place;
    const token = await loginAt(keycloak);
    const call = async (method: string, path: string, body?: unknown) => {
      const response = await fetch(`${controller.url}/api/v3${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      await response.body?.cancel();
      return response.status;
    };
    const router = { messagingPort: 5671, edgeRouterPort: 45671, interRouterPort: 55671, host: "192.0.2.30" };
    assertEquals(await call("PUT", "/router", router), 200);
    const hub = { serverPort: 4222, clusterPort: 6222, leafPort: 7422, mqttPort: 8883, httpPort: 8222 };
    assertEquals(await call("PUT", "/nats/hub", { host: "192.0.2.31", ...hub }), 200);
    for (const name of this.authorities.keys()) {
      if (await call("GET", `/certificates/ca/${name}`) !== 404) continue;
      const status = await call("POST", "/certificates/ca", { name, type: "k8s-secret", secretName: name });
      assertEquals(status, 201);
    }
  }

  /** Sets the condition, then puts the whole custom resource. */
  async #setReady(): Promise<void> {
    const { client } = this.place.scene;
    const before = decodePot(await this.#controlPlane());
    const { generation } = before.metadata;
    const now = new Date().toISOString().replace(/\.\d+/, "");
    const conditions: PotCondition[] = before.status.conditions.filter(({ type }) => type !== "ready")
      .map((condition) =>
        condition.status === "True"
          ? {
            ...condition,
            status: "False",
            reason: "transition_to_ready",
            lastTransitionTime: now,
            observedGeneration: generation,
          }
          : { ...condition, reason: condition.reason.toLowerCase().replaceAll(/[ -]/g, "_") }
      );
    const ready = {
      type: "ready",
      status: "True",
      reason: "initial_status",
      message: "",
      lastTransitionTime: now,
      observedGeneration: generation,
    };
    const stored = await client.replace(
      PotControlPlane,
      { ...before, status: { conditions: [...conditions, ready] } } as KubeObject,
      { ...goManager, subresource: "status" },
    ) as ControlPlaneObject;
    await client.replace(PotControlPlane, decodePot(stored) as KubeObject, goManager);
  }
}

function versionIn(document: string): string | undefined {
  const entries = JSON.parse(document) as [string, { metadata?: string }][];
  const metadata = entries.find(([type]) => type === "router")?.[1].metadata;
  return metadata && (JSON.parse(metadata) as Record<string, string>)["pot-config"];
}

interface PotCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number | undefined;
}

/** What its types know of a spec: fields, blocks of fields, and blocks that are pointers, which stay away when empty. */
const specType = {
  auth: "",
  database: "",
  events: "",
  nats: "?",
  vault: "?",
  services: "",
  ingresses: "",
  replicas: "",
  images: "",
  controller: "",
} as const;
/** Fields that it does not know, and drops: those that are ours. */
const ours = /SecretRef$|^(certificates|pods|storage|deletionPolicy|podDisruptionBudgets|networkPolicies)$/;

/** As encoding/json and its typed client do it. */
export function decodePot({ apiVersion, kind, metadata, spec, status }: ControlPlaneObject) {
  const { managedFields: _, ...kept } = metadata;
  const known = (value: unknown): unknown =>
    typeof value !== "object" || value === null || Array.isArray(value) ? value : Object.fromEntries(
      Object.entries(value).filter(([key]) => !ours.test(key)).map(([key, each]) => [key, known(each)]),
    );
  const blocks = Object.entries(specType).flatMap(([name, mark]) => {
    const given = spec?.[name];
    return given === undefined && mark === "?" ? [] : [[name, known(given ?? {})]];
  });
  const database = { provider: "", host: "", port: 0, user: "", password: "", databaseName: "" };
  const decoded = Object.fromEntries(blocks);
  return {
    apiVersion,
    kind,
    metadata: kept,
    spec: { ...decoded, database: { ...database, ...decoded["database"] } },
    status: { conditions: (status?.conditions ?? []) as readonly PotCondition[] },
  };
}
