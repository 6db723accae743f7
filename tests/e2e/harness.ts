/**
 * What every test of the whole operator starts from: a namespace of its own on the shared API server, with a played
 * kubelet and cloud, a stand-in Controller, and operators that run there.
 *
 * Guarantees: when a scene ends, whatever happened in it, no process or request of it is left. Its namespace goes with the
 * cluster: to remove one takes as much work as a test. Every password is known to the secret scan, and so is everything
 * that an operator said.
 */

import "reflect-metadata";
import { parse } from "@std/yaml";
import { type Clock, systemClock } from "../../src/clock.ts";
import { run } from "../../src/cli/run.ts";
import type { AssembleOptions } from "../../src/cli/assemble.ts";
import { machine } from "../../src/cli/environment.ts";
import { parseCommandLine } from "../../src/cli/flags.ts";
import type { KubernetesClient } from "../../src/kubernetes/client.ts";
import { isStatus } from "../../src/kubernetes/errors.ts";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { ConfigMap, Namespace, ServiceAccount } from "../../src/kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import { intercept, type RequestHook } from "../../src/kubernetes/intercept.ts";
import { apiVersionOf, type KubeObject, type Resource } from "../../src/kubernetes/resource.ts";
import type { Condition, Parent } from "../../src/operator/definition.ts";
import { servedSchema } from "../../src/operator/served_schema.ts";
import { ControlPlane, controlPlaneDefinition } from "../../src/resources/controlplane/iofog/definition.ts";
import {
  type AuditEvent,
  auditEvents,
  connectCluster,
  kubeconfigForServiceAccount,
  type PlayedKubelet,
  playKubelet,
  type PlayKubeletOptions,
  type SharedCluster,
  sharedCluster,
  writeVerbs,
} from "../cluster/mod.ts";
import { type Controller, startController } from "../controller/controller.ts";
import { type Json, merged } from "../json.ts";
import { recordOutput, registerSecret } from "../secrets.ts";
import {
  type CommandResult,
  type OperatorProcess,
  type ProgramOptions,
  runProgram,
  startProgram,
} from "./operator_process.ts";
import { eventually, type WaitOptions } from "./waiting.ts";

export { type Json, merged, present } from "../json.ts";

/** The cluster that the test files share, with our CRD on it. */
export const cluster = await sharedCluster();
await installCrd();

/** How the operator's requests begin in the audit log. */
const operatorAgent = "iofog-operator/";
/** Milliseconds without a write after which nothing more is expected. */
const quietMs = 1_500;

/** Name of the ControlPlane of a scene, where a test does not choose another. */
export const NAME = "iofog";

/** A ControlPlane as it is read. */
export type ControlPlaneObject = Parent<Record<string, unknown>, ControlPlaneStatus>;
interface ControlPlaneStatus {
  readonly conditions?: readonly Condition[];
  readonly observedGeneration?: number;
  readonly controllerVersion?: string;
  readonly controllerAddress?: string;
  readonly controllerEndpoint?: string;
  readonly routerAddress?: string;
}

/** An object that the operator made. */
export interface Child {
  readonly resource: Resource;
  readonly name: string;
  readonly object: KubeObject;
}

/** An operator that runs in this process. */
export interface InProcessOperator extends AsyncDisposable {
  readonly lines: readonly string[];
  /** Ends it; resolves with the exit code. */
  stop(): Promise<number>;
}

/** Where a scene is, and how its pods behave. */
export interface SceneOptions extends Pick<PlayKubeletOptions, "clockBehindMs"> {
  /** For what changes more than its namespace, such as CRDs. @default the one that test files share */
  readonly cluster?: SharedCluster;
  /** False where making it is part of the test. */
  readonly isNamespaceMade?: boolean;
}

/** See the module. */
export class Scene implements AsyncDisposable {
  readonly #ending: (() => unknown)[] = [];
  readonly #operators: OperatorProcess[] = [];

  private constructor(
    readonly cluster: SharedCluster,
    readonly namespace: string,
    /** With all rights; not the operator's. */
    readonly client: KubernetesClient,
    readonly kubelet: PlayedKubelet,
    readonly controller: Controller,
    /** Of the user in `spec()`, as typed by a person. */
    readonly password: string,
    /** Size of the audit log when the scene began. */
    readonly auditedFromByte: number,
  ) {}

  static async open(options: SceneOptions = {}): Promise<Scene> {
    const { cluster: home = cluster, isNamespaceMade = true } = options;
    const namespace = `e2e-${crypto.randomUUID().slice(0, 13)}`;
    const client = connectCluster(home, { userAgent: "e2e-test" });
    const { size } = await Deno.stat(home.auditLogPath);
    if (isNamespaceMade) await client.create(Namespace, { metadata: { name: namespace } });
    const kubeletClient = connectCluster(home, { userAgent: "played-kubelet" });
    const kubelet = playKubelet(kubeletClient, { namespaces: [namespace], ...options });
    const controller = await startController();
    const scene = new Scene(home, namespace, client, kubelet, controller, newPassword(), size);
    scene.#ending.push(
      () => client.transport.close?.(),
      () => kubeletClient.transport.close?.(),
      () => controller.close(),
      () => kubelet.close(),
    );
    return scene;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ending.toReversed()) await end();
  }

  /** Has `end` run when the scene ends, before what was there already. */
  atEnd(end: () => unknown): void {
    this.#ending.push(end);
  }

  /** A valid spec, with parts replaced. */
  spec(changes: Json = {}): Json {
    const user = {
      name: "Some",
      surname: "Body",
      email: "somebody@example.com",
      password: btoa(this.password),
    };
    const type = "LoadBalancer";
    return merged({ user, services: { controller: { type }, router: { type } } }, changes);
  }

  /** Creates a ControlPlane. */
  async create(changes: Json = {}, name: string = NAME): Promise<ControlPlaneObject> {
    return await this.createAs(this.spec(changes), name);
  }

  /** Creates a ControlPlane with exactly this spec. */
  async createAs(spec: unknown, name: string = NAME): Promise<ControlPlaneObject> {
    const metadata = { namespace: this.namespace, name };
    return await this.client.create(ControlPlane, { metadata, spec } as KubeObject) as ControlPlaneObject;
  }

  /** Changes the spec of a ControlPlane by a merge patch. */
  async change(spec: Json, name: string = NAME): Promise<ControlPlaneObject> {
    const target = { namespace: this.namespace, name };
    return await this.client.patch(ControlPlane, target, {
      type: "merge",
      patch: { spec },
    }) as ControlPlaneObject;
  }

  /** The object with this name; undefined when there is none. */
  async find<T extends KubeObject>(resource: Resource<T>, name: string): Promise<T | undefined> {
    try {
      return await this.client.get(resource, { namespace: this.namespace, name });
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** The object with this name. */
  async get<T extends KubeObject>(resource: Resource<T>, name: string): Promise<T> {
    return await this.client.get(resource, { namespace: this.namespace, name });
  }

  async list<T extends KubeObject>(resource: Resource<T>): Promise<readonly T[]> {
    return (await this.client.list(resource, { namespace: this.namespace })).items;
  }

  /** Everything that the operator made. */
  async children(): Promise<readonly Child[]> {
    const kinds = await Promise.all(
      controlPlaneDefinition().childResources.map(async (resource) =>
        (await this.list(resource)).map((object) => ({ resource, object, name: object.metadata?.name ?? "" }))
      ),
    );
    return kinds.flat().filter(({ object }) =>
      object.metadata?.annotations?.["iofog.org/owner-uid"] !== undefined
    );
  }

  async controlPlane(name: string = NAME): Promise<ControlPlaneObject> {
    return await this.get(ControlPlane, name) as ControlPlaneObject;
  }

  /** Waits until a ControlPlane is as `accept` wants it. */
  async until(
    what: string,
    accept: (object: ControlPlaneObject) => boolean,
    options: Pick<WaitOptions<unknown>, "withinMs"> & { readonly name?: string } = {},
  ): Promise<ControlPlaneObject> {
    try {
      return await eventually(what, () => this.controlPlane(options.name), accept, {
        ...options,
        show: describeStatus,
      });
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** Waits until the condition `Ready` is True for the present generation. */
  async untilReady(
    options: Pick<WaitOptions<unknown>, "withinMs"> & { readonly name?: string } = {},
  ): Promise<ControlPlaneObject> {
    return await this.until("the control plane to be ready", (object) => {
      const ready = conditionOf(object, "Ready");
      return ready?.status === "True" && ready.observedGeneration === object.metadata.generation;
    }, options);
  }

  /** A kubeconfig with a token of a new ServiceAccount that has exactly these rights in the namespace. */
  async account(name: string, rules: Role["rules"]): Promise<string> {
    const { client, cluster, namespace } = this;
    const metadata = { namespace, name, labels: { name } };
    await client.create(ServiceAccount, { metadata });
    await client.create(Role, { metadata, rules });
    await client.create(RoleBinding, {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    });
    return await kubeconfigForServiceAccount(cluster, namespace, name);
  }

  /** Starts the program; without arguments it runs as an operator of this namespace. */
  operate(
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
    more: Pick<ProgramOptions, "permissions" | "through"> = {},
  ): OperatorProcess {
    const operator = startProgram({ args: this.flags(args), env, ...more });
    this.#operators.push(operator);
    this.#ending.push(async () => {
      // For the secret scan; one that has ended has nothing to say.
      await operator.read("/metrics").catch(() => {});
      await operator.stop();
    });
    return operator;
  }

  /** Runs another command to its end. */
  async command(command: string, args: readonly string[] = []): Promise<CommandResult> {
    return await runProgram({ args: [command, ...this.flags(args)] });
  }

  /** Flags that lead an operator to this scene, where `args` say nothing else; `--flag=` leaves one out. */
  flags(args: readonly string[] = []): readonly string[] {
    const nameOf = (flag: string) => flag.split("=")[0];
    const defaults = [
      `--kubeconfig=${this.cluster.kubeconfigPath}`,
      `--namespace=${this.namespace}`,
      `--controller-url=${this.controller.url}`,
      "--metrics-addr=127.0.0.1:0",
      "--health-addr=127.0.0.1:0",
      "--log-format=json",
    ].filter((flag) => !args.some((arg) => nameOf(arg) === nameOf(flag)));
    return [...defaults, ...args.filter((arg) => !arg.endsWith("="))];
  }

  /** Runs an operator in this process, where `hook` sees, and may break, each request to the API server. */
  operateHere(
    hook: RequestHook,
    args: readonly string[] = [],
    clock: Clock = systemClock,
    more: Pick<AssembleOptions, "natsMonitorAt"> = {},
  ): InProcessOperator {
    const lines: string[] = [];
    const stopping = new AbortController();
    const { flags } = parseCommandLine(this.flags(args), () => undefined);
    const ended = run({
      flags,
      environment: {
        ...machine,
        variable: (name) => name === "NO_PROXY" ? machine.variable(name) : undefined,
      },
      stopping: stopping.signal,
      isTerminal: false,
      writeLog: (line) => {
        lines.push(line);
        recordOutput("operator in process", line);
      },
      wrapTransport: (transport) => intercept(transport, hook),
      clock,
      ...more,
    });
    const stop = async () => {
      stopping.abort();
      return await ended;
    };
    this.#ending.push(stop);
    return {
      lines,
      stop,
      async [Symbol.asyncDispose]() {
        await stop();
      },
    };
  }

  /** What the operators of this scene asked of the API server since `sinceMs`. */
  async requests(sinceMs = 0): Promise<readonly AuditEvent[]> {
    const { auditedFromByte: fromByte, cluster, namespace } = this;
    return await auditEvents(cluster, { fromByte, userAgent: operatorAgent, namespace, sinceMs });
  }

  /** What they wrote, the Lease and dry runs aside: `verb resource/name`, with the subresource. */
  async writes(sinceMs = 0): Promise<readonly string[]> {
    const requests = await this.requests(sinceMs);
    return requests
      .filter(({ verb, resource, path }) =>
        writeVerbs.includes(verb) && resource !== "leases" && !path.includes("dryRun=All")
      )
      .map(({ verb, resource, subresource, name, code }) =>
        `${verb} ${resource}/${name ?? ""}${subresource === undefined ? "" : `/${subresource}`} ${code}`
      );
  }

  /** Waits until nothing was written for a second and a half: what followed from the last change is over, Events too. */
  async untilAtRest(): Promise<void> {
    await eventually(
      "nothing to be written any more",
      () => this.writes(systemClock.now() - quietMs),
      (writes) => writes.length === 0,
    );
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof Error)) return error;
    const tails = this.#operators.map(({ lines }) => lines.slice(-15).join("\n"));
    error.message = [error.message, ...tails].join("\noperator: ");
    return error;
  }
}

/** A test with a scene of its own. Sanitizers are on: it must leave nothing behind in this process either. */
export function scenario(
  name: string,
  body: (scene: Scene, test: Deno.TestContext) => Promise<void>,
  options: SceneOptions = {},
): void {
  Deno.test({
    name,
    sanitizeOps: true,
    sanitizeResources: true,
    async fn(test) {
      await using scene = await Scene.open(options);
      await body(scene, test);
    },
  });
}

/** A password that nobody used before, known to the secret scan in both ways of writing it. */
export function newPassword(): string {
  const password = registerSecret(`Pw-${crypto.randomUUID()}`);
  registerSecret(btoa(password));
  return password;
}

/** A secret of another kind, known to the secret scan. */
export function registeredToken(): string {
  return registerSecret(`token-${crypto.randomUUID()}`);
}

/** The condition of this type. */
export function conditionOf(object: ControlPlaneObject, type: string): Condition | undefined {
  return object.status?.conditions?.find((condition) => condition.type === type);
}

/** How iofogctl computes the state: the type of the first condition that is True. */
export function stateOf(object: ControlPlaneObject): string {
  return object.status?.conditions?.find(({ status }) => status === "True")?.type ?? "deploying";
}

/** The conditions, one per line. */
export function describeStatus(object: ControlPlaneObject): string {
  const conditions = object.status?.conditions ?? [];
  return `generation ${object.metadata.generation}, ${
    conditions.map(({ type, status, reason, message }) => `\n  ${type}=${status} ${reason}: ${message}`).join(
      "",
    )
  }`;
}

/** Every test file does this; the API server takes the same CRD as often as it comes. */
export async function installCrd(
  on: SharedCluster = cluster,
  resource: Resource = ControlPlane,
): Promise<void> {
  const client = connectCluster(on, { userAgent: "e2e-test" });
  const folder = resource.group === ControlPlane.group ? "crds" : "crds/pot";
  const file = `../../${folder}/${resource.plural}.${resource.group}.yaml`;
  const text = await Deno.readTextFile(new URL(file, import.meta.url));
  const crd = parse(text) as CustomResourceDefinition;
  await client.apply(CustomResourceDefinition, crd, { fieldManager: "e2e-test", force: true });
  await untilServed(client, resource);
  client.transport.close?.();
}

/** Waits until a CRD that was installed is there to be used. */
export async function untilServed(client: KubernetesClient, resource: Resource): Promise<void> {
  await eventually(
    "the CRD to be served",
    () => servedSchema(client, resource, AbortSignal.timeout(10_000)).catch(() => undefined),
    (schema) => schema !== undefined,
    { show: () => "nothing" },
  );
}

/**
 * Waits until the garbage collector deletes what a deleted ControlPlane owned: it looks for new kinds every 30 s, and
 * what was deleted before it knew the kind stays for minutes.
 */
export async function untilGarbageIsCollected(
  home: SharedCluster = cluster,
  resource: Resource = ControlPlane,
): Promise<void> {
  await using scene = await Scene.open({ cluster: home });
  const { client, namespace } = scene;
  await eventually(
    "the garbage collector to know ControlPlanes",
    async () => {
      const name = `probe-${crypto.randomUUID()}`;
      const owner = await client.create(resource, { metadata: { namespace, name } } as KubeObject);
      const uid = owner.metadata?.uid ?? "";
      const ownerReferences = [{ apiVersion: apiVersionOf(resource), kind: resource.kind, name, uid }];
      await client.create(ConfigMap, { metadata: { namespace, name, ownerReferences } });
      await client.delete(resource, { namespace, name });
      await systemClock.sleep(1_000);
      return await scene.find(ConfigMap, name);
    },
    (left) => left === undefined,
    { withinMs: 90_000, show: () => "it does not" },
  );
}
