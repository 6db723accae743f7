/**
 * Plays the pods of StatefulSet `nats` with real nats-server processes: what the kubelet mounts becomes files, what the
 * image's entry point does to them is done, and the server runs with just what the objects say.
 *
 * Only places differ, since all pods share one machine: directories lie below one of the pod's own, the five ports are
 * free ones, and a route to `nats-1.nats-headless:6222` goes to that pod's port on 127.0.0.1, for which the certificates
 * are too where that is the address of NATS.
 */

import type { StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import type { ConfigMap, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { natsPorts } from "../../src/resources/controlplane/pot/nats_configuration.ts";
import { findTools, startProcess, type SupervisedProcess } from "../cluster/mod.ts";
import { recordOutput } from "../secrets.ts";

type PortName = keyof typeof natsPorts;

/** A running pod. */
interface Pod {
  readonly name: string;
  readonly directory: string;
  readonly ports: Readonly<Record<PortName, number>>;
  readonly process: SupervisedProcess;
  readonly log: string[];
  /** What was mounted last. */
  mounted: string;
}

/** See the module. */
export class NatsPods implements AsyncDisposable {
  readonly #program: string;
  readonly #root: string;
  readonly #ports: readonly Readonly<Record<PortName, number>>[];
  #pods: readonly Pod[] = [];

  private constructor(program: string, root: string, most: number) {
    this.#program = program;
    this.#root = root;
    this.#ports = Array.from({ length: most }, freePorts);
  }

  /** Nothing runs yet. `most`: servers at most. */
  static async prepare(most: number): Promise<NatsPods> {
    return new NatsPods((await findTools())["nats-server"], await Deno.makeTempDir(), most);
  }

  /** Port of a server on 127.0.0.1. */
  port(ordinal: number, name: PortName): number {
    return this.#ports[ordinal]?.[name] ?? 0;
  }

  /** Running servers. */
  get names(): readonly string[] {
    return this.#pods.map(({ name }) => name);
  }

  /**
   * Has as many servers as the StatefulSet says, with what the objects say now; one whose mounts changed reads them
   * again.
   *
   * @param lagging Servers that don't get new mounts yet, as when their kubelets look later.
   */
  async follow(objects: readonly KubeObject[], lagging: readonly string[] = []): Promise<void> {
    const set = find<StatefulSet>(objects, "StatefulSet", "nats");
    const wanted = set.spec?.replicas ?? 0;
    const leaving = this.#pods.slice(wanted);
    await Promise.all(leaving.map((pod) => stop(pod)));
    this.#pods = this.#pods.slice(0, wanted);
    for (const pod of this.#pods) {
      if (lagging.includes(pod.name)) continue;
      const mounted = await this.#mount(pod.directory, pod.name, set, objects);
      if (mounted === pod.mounted) continue;
      pod.mounted = mounted;
      pod.process.signal("SIGHUP");
    }
    for (let ordinal = this.#pods.length; ordinal < wanted; ordinal++) {
      this.#pods = [...this.#pods, await this.#start(ordinal, set, objects)];
    }
  }

  /** Ends a server and starts it again on the same data; its mounts stay as they are where it lags. */
  async restart(ordinal: number): Promise<void> {
    const pod = this.#pods[ordinal];
    if (pod === undefined) throw new Error(`no server ${ordinal}`);
    await pod.process.terminate(5_000);
    const process = this.#run(pod.directory, pod.name, pod.log);
    this.#pods = this.#pods.map((each) => each === pod ? { ...pod, process } : each);
  }

  /** What a server says under a path of its monitor; undefined while it says nothing. */
  async monitor(ordinal: number, path: string): Promise<unknown> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.port(ordinal, "monitor")}${path}`);
      return await answer.json();
    } catch {
      return undefined;
    }
  }

  /** What the servers wrote, for messages of failures. */
  get logs(): string {
    return this.#pods.map(({ log, name }) => log.slice(-30).map((line) => `${name} ${line}\n`).join("")).join(
      "",
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#pods.map((pod) => stop(pod)));
    await Deno.remove(this.#root, { recursive: true });
  }

  async #start(ordinal: number, set: StatefulSet, objects: readonly KubeObject[]): Promise<Pod> {
    const name = `nats-${ordinal}`;
    const directory = `${this.#root}/${name}`;
    const ports = this.#ports[ordinal];
    if (ports === undefined) throw new Error("more servers than were prepared for");
    for (const path of ["home/runner/data", "home/runner/run", "home/runner/nats/jwt"]) {
      await Deno.mkdir(`${directory}/${path}`, { recursive: true });
    }
    const mounted = await this.#mount(directory, name, set, objects);
    const log: string[] = [];
    return { name, directory, ports, process: this.#run(directory, name, log), log, mounted };
  }

  #run(directory: string, name: string, log: string[]): SupervisedProcess {
    return startProcess({
      command: this.#program,
      args: ["-c", `${directory}/etc/nats/config/server.conf`],
      env: { SELFNAME: name },
      output: { onLine: (line) => void log.push(line) },
    });
  }

  /** Writes what the pod mounts, and returns all of it, to be compared. */
  async #mount(
    directory: string,
    name: string,
    set: StatefulSet,
    objects: readonly KubeObject[],
  ): Promise<string> {
    const { containers: [container], volumes = [] } = set.spec?.template.spec ?? { containers: [] };
    const environment = Object.fromEntries(
      (container?.env ?? []).map(({ name, value }) => [name, value ?? ""]),
    );
    const all: string[] = [];
    for (const { mountPath, name: volumeName } of container?.volumeMounts ?? []) {
      const volume = volumes.find((each) => each.name === volumeName);
      const files = volume?.configMap !== undefined
        ? find<ConfigMap>(objects, "ConfigMap", volume.configMap.name ?? "").data ?? {}
        : volume?.secret !== undefined
        ? decoded(find<Secret>(objects, "Secret", volume.secret.secretName ?? ""))
        : {};
      for (const [file, text] of Object.entries(files)) {
        const path = `${mountPath}/${file}`;
        const placed = path === environment["NATS_CONF"] ? this.#placed(text, directory, name) : text;
        all.push(path, placed);
        await write(`${directory}${path}`, placed);
        // As the image's entry point does.
        if (mountPath === environment["NATS_JWT_MOUNT_DIR"]) {
          await write(`${directory}${environment["NATS_JWT_DIR"]}/${file}`, text);
        }
      }
    }
    return all.join("\n");
  }

  /** The configuration with the places of this machine. */
  #placed(text: string, directory: string, name: string): string {
    const own = this.#ports[Number(name.replace("nats-", ""))];
    if (own === undefined) throw new Error(`no ports for ${name}`);
    const portNames = Object.keys(natsPorts) as PortName[];
    const portOf = (port: number) => own[portNames.find((each) => natsPorts[each] === port) ?? "client"];
    return text
      .replaceAll(
        /(?<=")nats:\/\/nats-(\d+)\.nats-headless:6222(?=")/g,
        (_, ordinal) => `nats://127.0.0.1:${this.port(Number(ordinal), "cluster")}`,
      )
      .replaceAll(/^( *(?:http_)?port: )(\d+)$/gm, (_, key, port) => `${key}${portOf(Number(port))}`)
      .replaceAll(/(?<=[ "])(?=\/(etc|home)\/)/g, directory);
  }
}

/** The object of this kind and name. */
export function find<T extends KubeObject>(objects: readonly KubeObject[], kind: string, name: string): T {
  const found = objects.find((object) => object.kind === kind && object.metadata?.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found as T;
}

async function stop({ log, name, process }: Pod): Promise<void> {
  await process.terminate(5_000);
  recordOutput(`nats-server ${name}`, log.join("\n"));
}

async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(path, text);
}

function decoded({ data = {} }: Secret): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, atob(value)]));
}

function freePorts(): Readonly<Record<PortName, number>> {
  const listeners = Object.keys(natsPorts).map((name) =>
    [name, Deno.listen({ hostname: "127.0.0.1", port: 0 })] as const
  );
  const ports = listeners.map(([name, listener]) => [name, (listener.addr as Deno.NetAddr).port]);
  for (const [, listener] of listeners) listener.close();
  return Object.fromEntries(ports);
}
