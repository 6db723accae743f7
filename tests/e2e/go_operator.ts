/**
 * Plays the Go operator: writes to the API server and the Controller what it writes, as it writes it, under its field
 * manager. What it writes is recorded (`tests/golden`) for a spec; how, is read from its source (v3.1.1, v3.2.0).
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createControllerClient } from "../../src/controller/client.ts";
import { systemClock } from "../../src/clock.ts";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Namespace, Secret, Service, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import type { Condition } from "../../src/operator/definition.ts";
import { ControlPlane, controlPlaneDefinition } from "../../src/resources/controlplane/iofog/definition.ts";
import { goCertificates, type SecretValues } from "../golden/go_certificates.ts";
import { readRecording, type RecordedCall, type RecordingName } from "../golden/recordings.ts";
import type { ControlPlaneObject, Json, Scene } from "./harness.ts";
import { rolesAsFound } from "./roles_as_found.ts";
import { eventually } from "./waiting.ts";

/** Versions that differ in what they write. */
export type GoVersion = "2.0.1" | "3.1.1" | "3.2.0";

/** Its image, as iofogctl 3.1 names it. */
export const goImage = "iofog/operator:3.2.0";

/** The Deployments that it makes. */
export const goDeployments = ["controller", "port-manager", "router"] as const;

/** The name of its program. */
export const goManager = { fieldManager: "iofog-operator" } as const;

/** Where it mounts the sqlite database: with the scope that the package has since Controller 3.0.2, or without. */
const scopedPath = "/usr/local/lib/node_modules/@iofog/iofogcontroller/src/data/sqlite_files/";
export const unscopedPath = scopedPath.replace("@iofog/", "");

/** Where it works: a scene, or what the benchmark has of one. */
export type Place = Pick<Scene, "client" | "namespace" | "kubelet" | "controller">;

/** Name of the ControlPlane. */
const NAME = "iofog";

/** See the module. */
export class PlayedGoOperator {
  private constructor(
    readonly scene: Place,
    readonly version: GoVersion,
    readonly spec: Readonly<Record<string, unknown>>,
    readonly calls: readonly RecordedCall[],
    /** As the recording has them, with real certificates. */
    readonly recorded: readonly KubeObject[],
  ) {}

  /** For a recorded spec; `images` are set in it, as iofogctl sets them, where they are given. */
  static async of(scene: Place, recording: RecordingName, version: GoVersion): Promise<PlayedGoOperator> {
    const { spec, addresses, calls, children } = await readRecording(recording);
    for (const [name, address] of Object.entries(addresses)) {
      scene.kubelet.cloud.assign({ namespace: scene.namespace, name }, address);
    }
    const router = calls.find(({ method, url }) => method === "PUT" && url.endsWith("/router"));
    const { host } = router?.body as { host: string };
    const { ca, leaf } = await goCertificates(host);
    const values: Readonly<Record<string, SecretValues>> = {
      "router-ca": ca,
      "router-internal": leaf,
      "router-amqps": leaf,
    };
    const recorded = children.map((child) => {
      const made = values[child.metadata?.name ?? ""];
      return child.kind === "Secret" && made !== undefined ? { ...child, stringData: made } : child;
    });
    return new PlayedGoOperator(scene, version, spec, calls, recorded);
  }

  /** A namespace with the CRD, the operator and the control plane, as iofogctl makes them with version 3.2.0. */
  static async installAll(scene: Place): Promise<void> {
    const { client, namespace } = scene;
    await installGoOperator(scene, {
      crd: schemalessCrd("iofog.org", ["v3", "v2"]),
      image: goImage,
      rules: rolesAsFound.iofogctl,
    });
    const served = () => client.list(ControlPlane, { namespace }).then(() => true, () => false);
    await eventually("the CRD to be served", served, (isServed) => isServed);
    const go = await PlayedGoOperator.of(scene, "default-lb", "3.2.0");
    await go.install();
    await untilAvailable(scene);
  }

  /** What a fresh installation leaves behind, ready and with its pods running. */
  async install(): Promise<void> {
    await this.scene.client.create(ControlPlane, {
      metadata: { namespace: this.scene.namespace, name: NAME },
      spec: this.spec,
    } as KubeObject);
    await this.deploy();
    await this.setReady();
  }

  /**
   * Starts it on what is there; returns what it did. Once the first condition that is True is `ready` it does nothing,
   * ever.
   */
  async start(): Promise<"nothing" | "deployed"> {
    const decoded = decode(await this.#controlPlane());
    const state = decoded.status.conditions.find(({ status }) => status === "True")?.type ?? "deploying";
    if (state === "ready") return "nothing";
    await this.deploy();
    await this.setReady();
    return "deployed";
  }

  /** Its one pass: creates what is absent, and puts Deployments and the database's Secret over what is there. */
  async deploy(): Promise<void> {
    const { scene } = this;
    const { items } = await scene.client.list(Secret, { namespace: scene.namespace });
    const known = items.find(({ metadata }) => metadata?.name === "controller-db-credentials");
    for (const child of await this.#children()) {
      const resource = resourceOf(child);
      if (await this.#createIfAbsent(resource, child)) continue;
      const name = child.metadata?.name;
      if (resource === Deployment || name === "controller-db-credentials") {
        await scene.client.replace(resource, child, goManager);
      }
    }
    await this.#registerAtController();
    if (known !== undefined) await this.#restart("controller");
  }

  /** Sets the condition as its `SetConditionReady` does, then puts the whole custom resource. */
  async setReady(): Promise<void> {
    const { client } = this.scene;
    const before = decode(await this.#controlPlane());
    const now = new Date().toISOString().replace(/\.\d+/, "");
    const conditions = before.status.conditions.map((condition) => ({
      ...condition,
      ...(condition.status === "True"
        ? { status: "False" as const, reason: "transition_to_ready", lastTransitionTime: now }
        : { reason: condition.reason.toLowerCase().replaceAll(/[ -]/g, "_") }),
    }));
    const ready = {
      type: "ready",
      status: "True",
      reason: "initial_status",
      message: "",
      lastTransitionTime: now,
    } as const;
    const at = conditions.findIndex(({ type }) => type === "ready");
    const next = at < 0 ? [...conditions, ready] : conditions.with(at, ready);
    const stored = await client.replace(
      ControlPlane,
      { ...before, status: { conditions: next } } as KubeObject,
      { ...goManager, subresource: "status" },
    ) as ControlPlaneObject;
    await client.replace(ControlPlane, decode(stored) as KubeObject, goManager);
    assertEquals(await this.start(), "nothing");
  }

  async #controlPlane(): Promise<ControlPlaneObject> {
    const target = { namespace: this.scene.namespace, name: NAME };
    return await this.scene.client.get(ControlPlane, target) as ControlPlaneObject;
  }

  /** The children for this ControlPlane, without what the API server adds before it notes who owns what. */
  async #children(): Promise<readonly KubeObject[]> {
    const { uid } = (await this.#controlPlane()).metadata;
    const { images } = decode(await this.#controlPlane()).spec as { images: Record<string, string> };
    const text = JSON.stringify(this.recorded)
      .replaceAll('"namespace":"iofog"', `"namespace":"${this.scene.namespace}"`)
      .replaceAll(
        '"name":"WATCH_NAMESPACE","value":"iofog"',
        `"name":"WATCH_NAMESPACE","value":"${this.scene.namespace}"`,
      )
      .replaceAll('"name":"iofog","controller":true', `"name":"${NAME}","uid":"${uid}","controller":true`)
      .replaceAll(scopedPath, this.version === "3.2.0" ? scopedPath : unscopedPath)
      .replaceAll('"iofog.org/v3"', this.version === "2.0.1" ? '"iofog.org/v2"' : '"iofog.org/v3"');
    return (JSON.parse(text) as KubeObject[]).map((child) => {
      delete child.metadata?.finalizers;
      if (child.kind === Service.kind) {
        const { ipFamilies: _, ipFamilyPolicy: __, ...spec } = (child as Service).spec ?? {};
        return { ...child, spec } as KubeObject;
      }
      if (child.kind !== Deployment.kind) return child;
      const name = child.metadata?.name === "port-manager" ? "portManager" : child.metadata?.name ?? "";
      const container = present((child as Deployment).spec?.template.spec?.containers[0]);
      if (images[name] !== undefined) container.image = images[name];
      return child;
    });
  }

  async #createIfAbsent(resource: Resource, child: KubeObject): Promise<boolean> {
    try {
      await this.scene.client.create(resource, child, goManager);
      return true;
    } catch (error) {
      if (isStatus(error, 409)) return false;
      throw error;
    }
  }

  async #registerAtController(): Promise<void> {
    const client = createControllerClient({ baseUrl: this.scene.controller.url, clock: systemClock });
    const bodyOf = (path: string) => {
      const call = this.calls.find(({ method, url }) => method !== "GET" && url.endsWith(path));
      return present(call?.body);
    };
    try {
      const signUp = bodyOf("/user/signup") as Parameters<typeof client.signUp>[0];
      await client.signUp(signUp).catch((error) => assertMatch(String(error), /already an account/));
      await client.login(bodyOf("/user/login") as Parameters<typeof client.login>[0]);
      await client.setRouter(bodyOf("/router") as Parameters<typeof client.setRouter>[0]);
    } finally {
      client.close();
    }
  }

  /** To no replica and then to one, whatever it was. */
  async #restart(name: string): Promise<void> {
    for (const replicas of [0, 1]) {
      const found = await this.scene.client.get(Deployment, { namespace: this.scene.namespace, name });
      const { resourceVersion: _, ...metadata } = found.metadata ?? {};
      const next = { ...found, metadata, spec: { ...present(found.spec), replicas } };
      await this.scene.client.replace(Deployment, next, goManager);
    }
  }
}

/** A namespace with a CRD and a Go operator, as a CLI makes them. */
export async function installGoOperator(
  { client, namespace }: Pick<Place, "client" | "namespace">,
  { crd, image, rules }: {
    readonly crd: CustomResourceDefinition;
    readonly image: string;
    readonly rules: Role["rules"];
  },
): Promise<void> {
  const name = "iofog-operator";
  const metadata = { name, namespace };
  const labels = { name };
  await client.create(Namespace, { metadata: { name: namespace } });
  await client.create(CustomResourceDefinition, crd);
  await client.create(ServiceAccount, { metadata });
  await client.create(Role, { metadata, rules });
  await client.create(RoleBinding, {
    metadata,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
    subjects: [{ kind: "ServiceAccount", name }],
  });
  await client.create(Deployment, {
    metadata,
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: name,
          containers: [{
            name,
            image,
            command: [name],
            args: ["--enable-leader-election"],
            env: [{
              name: "WATCH_NAMESPACE",
              valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } },
            }],
          }],
        },
      },
    },
  });
}

/** Waits until all pods of the Go operator's Deployments run. */
export async function untilAvailable({ client, namespace }: Place): Promise<void> {
  await eventually(
    "the pods to run",
    () => Promise.all(goDeployments.map((name) => client.get(Deployment, { namespace, name }))),
    (live) =>
      live.every(({ metadata, status }) =>
        status?.observedGeneration === metadata?.generation && status?.availableReplicas === 1 &&
        status.replicas === 1
      ),
    { show: (live) => JSON.stringify(live.map(({ status }) => status)) },
  );
}

/** The CRD that a CLI installs. */
export const schemalessCrd = (group: string, served: readonly string[]): CustomResourceDefinition => ({
  metadata: { name: `controlplanes.${group}` },
  spec: {
    group,
    names: {
      kind: "ControlPlane",
      listKind: "ControlPlaneList",
      plural: "controlplanes",
      singular: "controlplane",
    },
    scope: "Namespaced",
    versions: served.map((name) => ({
      name,
      served: true,
      storage: name === "v3",
      schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      subresources: { status: {} },
    })),
  },
});

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the recording lacks a value");
  return value;
}

function resourceOf(child: KubeObject): Resource {
  return present(controlPlaneDefinition().childResources.find(({ kind }) => kind === child.kind));
}

/** A ControlPlane as its types read and write it: other fields are lost, and every block is there. */
interface Decoded {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ControlPlaneObject["metadata"];
  readonly spec: Json;
  readonly status: { readonly conditions: readonly Condition[] };
}

/** What its types know. Strings and numbers are left out when they are empty, blocks are not. */
const specType = {
  user: { name: "", surname: "", email: "", password: "" },
  database: { provider: "", host: "", port: 0, user: "", password: "", databaseName: "" },
  ingresses: {
    router: { address: "", messagePort: 0, interiorPort: 0, edgePort: 0 },
    httpProxy: { address: "" },
    tcpProxy: { address: "" },
  },
  services: {
    controller: { type: "", address: "" },
    router: { type: "", address: "" },
    proxy: { type: "", address: "" },
  },
  replicas: { controller: 0 },
  images: { pullSecret: "", controller: "", router: "", portManager: "", proxy: "", portRouter: "" },
  controller: {
    pidBaseDir: "",
    ecnViewerPort: 0,
    ecnViewerUrl: "",
    portProvider: "",
    ecn: "",
    portAllocatorHost: "",
    proxyBrokerUrl: "",
    proxyBrokerToken: "",
  },
};

/** Blocks whose fields are written also when they are empty. */
const written: ReadonlySet<string> = new Set(["user", "database"]);

/** As encoding/json and its typed client do it; throws where those fail, which ends its watch for good. */
export function decode({ apiVersion, kind, metadata, spec, status }: ControlPlaneObject): Decoded {
  const { managedFields: _, ...kept } = metadata;
  return {
    apiVersion: present(apiVersion),
    kind: present(kind),
    metadata: kept,
    spec: decodeBlock("spec", specType, spec ?? {}),
    status: { conditions: (status?.conditions ?? []).map(decodeCondition) },
  };
}

function decodeBlock(path: string, type: Json, value: unknown): Json {
  assert(typeof value === "object" && value !== null && !Array.isArray(value), `${path} is no object`);
  const block = path.split(".").at(-1) ?? "";
  return Object.fromEntries(
    Object.entries(type).flatMap(([name, zero]): [string, unknown][] => {
      const given = (value as Json)[name] ?? undefined;
      if (typeof zero === "object") {
        return [[name, decodeBlock(`${path}.${name}`, zero as Json, given ?? {})]];
      }
      assert(given === undefined || typeof given === typeof zero, `${path}.${name} is no ${typeof zero}`);
      if (given === undefined || given === zero) return written.has(block) ? [[name, zero]] : [];
      return [[name, given]];
    }),
  );
}

/** `metav1.Condition`. */
function decodeCondition(condition: Condition): Condition {
  const { type, status, reason, message, lastTransitionTime, observedGeneration } = condition;
  assert([type, status, reason, message, lastTransitionTime].every((value) => typeof value === "string"));
  assertMatch(lastTransitionTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert(observedGeneration === undefined || Number.isInteger(observedGeneration));
  return condition;
}
