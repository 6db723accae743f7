/**
 * Finds the programs of a Kubernetes control plane, and the clients that tests run, or gets them.
 *
 * Order: `KUBEBUILDER_ASSETS` (each program by itself: envtest has no kube-controller-manager), our cache, archives
 * that others publish, `go build`. What is got is put into the cache in one step, by one process at a time: a process
 * that is killed in the middle leaves nothing that a later one would take for a program.
 */

import {
  binaryNames,
  type BinarySource,
  kubernetesVersion,
  type ProgramName,
  type Search,
  type ToolName,
  toolNames,
} from "./binary_source.ts";
import { buildSource } from "./build.ts";
import { type Progress, reportWhile } from "./progress.ts";
import { publishedSource } from "./published.ts";

/** Paths of the programs. */
export interface Binaries {
  readonly etcd: string;
  readonly kubeApiserver: string;
  readonly kubeControllerManager: string;
  /** Only where one happened to be beside the others or on PATH: the cluster does not need it. See `findTools`. */
  readonly kubectl?: string | undefined;
}

/** What the search reads of its surroundings. */
export interface Surroundings {
  env(name: string): string | undefined;
  readonly os: string;
  /** As Go names it, e.g. `amd64`. */
  readonly arch: string;
  /** Places that get programs into `cacheDirectory`, best first. */
  sourcesInto(cacheDirectory: string): readonly BinarySource[];
}

/** This machine. */
export const thisMachine: Surroundings = {
  env: (name) => Deno.env.get(name),
  os: Deno.build.os,
  arch: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
  sourcesInto: (cacheDirectory) => [
    publishedSource({ directory: cacheDirectory, os: thisMachine.os, arch: thisMachine.arch }),
    buildSource({ directory: cacheDirectory, os: thisMachine.os, arch: thisMachine.arch }),
  ],
};

/** Options of `findBinaries`. */
export interface FindBinariesOptions {
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** @default this machine */
  readonly surroundings?: Surroundings | undefined;
}

/**
 * Finds or gets the programs; the first time may take minutes and then says so through `progress`.
 *
 * @throws Error that says where was looked and what to install or set; the reason of `signal` when that aborts.
 */
export async function findBinaries(options: FindBinariesOptions = {}): Promise<Binaries> {
  const { signal, surroundings = thisMachine } = options;
  signal?.throwIfAborted();
  if (surroundings.os === "windows") {
    throw new Error("The local test cluster runs on Linux and macOS only; on Windows use WSL.");
  }
  const search = await searchPrograms(binaryNames, "local test cluster lacks", [], options);
  const assets = surroundings.env("KUBEBUILDER_ASSETS");
  return {
    etcd: search.path("etcd"),
    kubeApiserver: search.path("kube-apiserver"),
    kubeControllerManager: search.path("kube-controller-manager"),
    kubectl: await firstIn([assets ?? "", cacheDirectory(surroundings), ...pathOf(surroundings)], "kubectl"),
  };
}

/**
 * Finds or gets kubectl, helm and nats-server, as `findBinaries` does; those on PATH are as good.
 *
 * @throws as `findBinaries`
 */
export async function findTools(
  options: FindBinariesOptions = {},
): Promise<Readonly<Record<ToolName, string>>> {
  const { surroundings = thisMachine } = options;
  const search = await searchPrograms(toolNames, "tests lack", pathOf(surroundings), options);
  return {
    kubectl: search.path("kubectl"),
    helm: search.path("helm"),
    "nats-server": search.path("nats-server"),
  };
}

async function searchPrograms(
  names: readonly ProgramName[],
  complaint: string,
  directories: readonly string[],
  { progress, signal, surroundings = thisMachine }: FindBinariesOptions,
): Promise<ProgramSearch> {
  const assets = surroundings.env("KUBEBUILDER_ASSETS");
  const cache = cacheDirectory(surroundings);
  const search = new ProgramSearch(names, { progress, signal });
  if (assets === undefined || assets === "") search.remark("KUBEBUILDER_ASSETS is not set");
  else await search.ask(directorySource(assets, "KUBEBUILDER_ASSETS="));
  for (const directory of [cache, ...directories]) await search.ask(directorySource(directory), "silently");
  if (!search.complete) {
    await withLock(cache, { progress, signal }, async () => {
      // Another process may have got them while we waited for the lock.
      await search.ask(directorySource(cache));
      await removeLeftovers(cache);
      for (const source of surroundings.sourcesInto(cache)) {
        if (!search.complete) await search.ask(source);
      }
    });
  }
  search.demandAll(complaint);
  return search;
}

/** Where what we get is kept: one directory per version and machine, under the XDG cache directory. */
export function cacheDirectory(surroundings: Surroundings): string {
  const xdg = surroundings.env("XDG_CACHE_HOME");
  const home = surroundings.env("HOME");
  // The specification tells to ignore a relative path.
  const root = xdg?.startsWith("/") ? xdg : home === undefined || home === "" ? undefined : `${home}/.cache`;
  if (root === undefined) {
    throw new Error(
      "There is no place to keep the programs of the local test cluster: set HOME or XDG_CACHE_HOME.",
    );
  }
  return `${root}/iofog-operator/kubernetes-v${kubernetesVersion}-${surroundings.os}-${surroundings.arch}`;
}

/** The answers so far. */
class ProgramSearch {
  readonly #paths = new Map<ProgramName, string>();
  readonly #remarks: string[] = [];

  constructor(
    private readonly names: readonly ProgramName[],
    private readonly options: Omit<Search, "missing">,
  ) {}

  get #missing(): readonly ProgramName[] {
    return this.names.filter((name) => !this.#paths.has(name));
  }

  get complete(): boolean {
    return this.#missing.length === 0;
  }

  remark(text: string): void {
    this.#remarks.push(text);
  }

  async ask(source: BinarySource, remarks: "aloud" | "silently" = "aloud"): Promise<void> {
    if (this.complete) return;
    const found = await source({ ...this.options, missing: this.#missing });
    for (const [name, path] of found.paths) {
      if (!this.#paths.has(name)) this.#paths.set(name, path);
    }
    if (found.remark !== undefined && remarks === "aloud") this.remark(found.remark);
  }

  /** @throws Error when one is missing */
  demandAll(complaint: string): void {
    if (this.complete) return;
    throw new Error(
      `The ${complaint} ${this.#missing.join(", ")} (Kubernetes ${kubernetesVersion}).\n` +
        this.#remarks.map((text) => `  - ${text}\n`).join("") +
        "Install Go 1.25 or later (https://go.dev/dl/) and start again, or put the programs into one directory " +
        "and set KUBEBUILDER_ASSETS to it.",
    );
  }

  path(name: ProgramName): string {
    const path = this.#paths.get(name);
    if (path === undefined) throw new Error(`${name} was not searched for`);
    return path;
  }
}

/** The programs that lie in a directory. `label` stands before its name in a remark. */
function directorySource(directory: string, label = ""): BinarySource {
  return async ({ missing }) => {
    const paths = new Map<ProgramName, string>();
    for (const name of missing) {
      const path = `${directory}/${name}`;
      if (await isExecutable(path)) paths.set(name, path);
    }
    const lacking = missing.filter((name) => !paths.has(name));
    return {
      paths,
      remark: lacking.length === 0 ? undefined : `${label}${directory} has no ${lacking.join(", ")}`,
    };
  };
}

async function firstIn(directories: readonly string[], name: string): Promise<string | undefined> {
  for (const directory of directories) {
    if (directory !== "" && await isExecutable(`${directory}/${name}`)) return `${directory}/${name}`;
  }
  return undefined;
}

function pathOf(surroundings: Surroundings): readonly string[] {
  return (surroundings.env("PATH") ?? "").split(":").filter((directory) => directory !== "");
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    const info = await Deno.stat(path);
    return info.isFile && ((info.mode ?? 0o111) & 0o111) !== 0;
  } catch {
    return false;
  }
}

/** The lock is the kernel's and ends with its holder, so there are no stale ones. */
async function withLock(
  directory: string,
  options: FindBinariesOptions,
  work: () => Promise<void>,
): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  using file = await Deno.open(`${directory}/.lock`, { create: true, write: true });
  if (!await file.tryLock(true)) {
    await reportWhile(options.progress, "waiting for another process that gets the programs", async () => {
      while (!await file.tryLock(true)) {
        options.signal?.throwIfAborted();
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    });
  }
  await work();
}

/** Only called under the lock: nobody writes these any more. */
async function removeLeftovers(directory: string): Promise<void> {
  for await (const entry of Deno.readDir(directory)) {
    if (entry.name.startsWith(".partial-")) {
      await Deno.remove(`${directory}/${entry.name}`, { recursive: true });
    }
  }
}
