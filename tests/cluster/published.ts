/**
 * Downloads the programs of the control plane, and clients of it, from where others publish them: etcd, kube-apiserver
 * and kubectl from the envtest archives of controller-tools, what Kubernetes releases from its site, and helm from its
 * own.
 *
 * Nothing is kept whose digest is not the one published beside it. A site that does not answer within seconds is not
 * asked again in this process, so a machine without access falls through fast.
 */

import { createHash } from "node:crypto";
import { parse as parseYaml } from "@std/yaml";
import { z } from "zod";
import {
  type BinarySource,
  helmVersion,
  kubernetesVersion,
  type ProgramName,
  temporaryPath,
} from "./binary_source.ts";
import { type Progress, reportWhile } from "./progress.ts";

/** Options of `publishedSource`. */
export interface PublishedOptions {
  /** Where the programs go. */
  readonly directory: string;
  readonly os: string;
  readonly arch: string;
  /** @default the index of the envtest archives at controller-tools */
  readonly envtestIndex?: string | undefined;
  /** Above `v1.34.4/bin/linux/amd64/...`. @default https://dl.k8s.io/release */
  readonly kubernetesReleases?: string | undefined;
  /** Above `helm-v3.22.0-linux-amd64.tar.gz`. @default https://get.helm.sh */
  readonly helmReleases?: string | undefined;
  /** Milliseconds to wait for an answer. @default 4000 */
  readonly answerTimeoutMs?: number | undefined;
  /** Origins known not to answer. @default those of this process */
  readonly unreachable?: Set<string> | undefined;
}

const envtestIndex =
  "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml";
const kubernetesReleases = "https://dl.k8s.io/release";
const helmReleases = "https://get.helm.sh";

/** What an envtest archive has. */
const inEnvtest: readonly ProgramName[] = ["etcd", "kube-apiserver", "kubectl"];

/** Milliseconds without a byte after which a download is given up. */
const stallTimeoutMs = 30_000;

const unreachableHere = new Set<string>();

/** The index names, for each version, the archives with their SHA-512 and address. */
const indexSchema = z.object({
  releases: z.record(z.string(), z.record(z.string(), z.object({ hash: z.string(), selfLink: z.string() }))),
});

/** Downloads what is missing. */
export function publishedSource(options: PublishedOptions): BinarySource {
  return async (search) => {
    const paths = new Map<ProgramName, string>();
    const remarks: string[] = [];
    const site = new Site(options, search.signal);
    const attempt = async (work: () => Promise<readonly ProgramName[]>) => {
      try {
        for (const name of await work()) paths.set(name, `${options.directory}/${name}`);
      } catch (error) {
        search.signal?.throwIfAborted();
        remarks.push(error instanceof Error ? error.message : String(error));
      }
    };
    const archived = search.missing.filter((name) => inEnvtest.includes(name));
    if (archived.length > 0) await attempt(() => fetchEnvtest(site, options, archived, search.progress));
    for (const name of search.missing.filter((name) => name.startsWith("kube") && !paths.has(name))) {
      await attempt(() => fetchRelease(site, options, name, search.progress));
    }
    if (search.missing.includes("helm")) await attempt(() => fetchHelm(site, options, search.progress));
    return { paths, remark: remarks.length === 0 ? undefined : remarks.join("; ") };
  };
}

async function fetchEnvtest(
  site: Site,
  options: PublishedOptions,
  names: readonly ProgramName[],
  progress: Progress | undefined,
): Promise<readonly ProgramName[]> {
  const index = indexSchema.parse(parseYaml(await site.text(options.envtestIndex ?? envtestIndex)));
  const [version, archive] = newestArchive(index.releases, options) ?? [];
  if (version === undefined || archive === undefined) {
    throw new Error(
      `no envtest archive of Kubernetes ${minorOf(kubernetesVersion)} for ${options.os}-${options.arch}`,
    );
  }
  const directory = temporaryPath(options.directory, "envtest");
  await Deno.mkdir(directory);
  try {
    const path = `${directory}/archive.tar.gz`;
    await reportWhile(
      progress,
      `downloading envtest ${version} (etcd, kube-apiserver), first time only`,
      () => site.download(archive.selfLink, path, "sha512", archive.hash),
    );
    await unpack(path, directory);
    for (const name of new Set([...names, "kubectl"])) {
      await Deno.rename(`${directory}/controller-tools/envtest/${name}`, `${options.directory}/${name}`);
    }
    return names;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function newestArchive(
  releases: z.infer<typeof indexSchema>["releases"],
  { os, arch }: PublishedOptions,
): readonly [string, { readonly hash: string; readonly selfLink: string }] | undefined {
  const patch = (version: string) => Number(version.split(".")[2]);
  const candidates = Object.entries(releases)
    .filter(([version]) => version.startsWith(`v${minorOf(kubernetesVersion)}.`) && !version.includes("-"))
    .sort(([a], [b]) => patch(b) - patch(a));
  for (const [version, archives] of candidates) {
    const archive = archives[`envtest-${version}-${os}-${arch}.tar.gz`];
    if (archive !== undefined) return [version, archive];
  }
  return undefined;
}

async function fetchRelease(
  site: Site,
  options: PublishedOptions,
  name: ProgramName,
  progress: Progress | undefined,
): Promise<readonly ProgramName[]> {
  if (options.os !== "linux") throw new Error(`nobody publishes ${name} for ${options.os}`);
  const base = options.kubernetesReleases ?? kubernetesReleases;
  const url = `${base}/v${kubernetesVersion}/bin/${options.os}/${options.arch}/${name}`;
  const digest = (await site.text(`${url}.sha256`)).trim();
  const temporary = temporaryPath(options.directory, name);
  await reportWhile(
    progress,
    `downloading ${name} ${kubernetesVersion}, first time only`,
    () => site.download(url, temporary, "sha256", digest),
  );
  await Deno.chmod(temporary, 0o755);
  await Deno.rename(temporary, `${options.directory}/${name}`);
  return [name];
}

async function fetchHelm(
  site: Site,
  options: PublishedOptions,
  progress: Progress | undefined,
): Promise<readonly ProgramName[]> {
  const machine = `${options.os}-${options.arch}`;
  const url = `${options.helmReleases ?? helmReleases}/helm-v${helmVersion}-${machine}.tar.gz`;
  const [digest = ""] = (await site.text(`${url}.sha256sum`)).split(/\s/);
  const directory = temporaryPath(options.directory, "helm");
  await Deno.mkdir(directory);
  try {
    const path = `${directory}/archive.tar.gz`;
    await reportWhile(
      progress,
      `downloading helm ${helmVersion}, first time only`,
      () => site.download(url, path, "sha256", digest),
    );
    await unpack(path, directory);
    await Deno.rename(`${directory}/${machine}/helm`, `${options.directory}/helm`);
    return ["helm"];
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Requests to the sites. Proxies of the environment are meant to be used here, unlike inside the cluster. */
class Site {
  readonly #unreachable: Set<string>;
  readonly #answerTimeoutMs: number;

  constructor(options: PublishedOptions, private readonly signal: AbortSignal | undefined) {
    this.#unreachable = options.unreachable ?? unreachableHere;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? 4000;
  }

  async text(url: string): Promise<string> {
    return await this.#request(url, async (response) => await response.text());
  }

  /** Writes the body to `path`. @throws Error when its digest is another; the file is gone then. */
  async download(url: string, path: string, algorithm: "sha256" | "sha512", digest: string): Promise<void> {
    const hash = createHash(algorithm);
    try {
      await this.#request(url, async (response, keepAlive) => {
        using file = await Deno.open(path, { createNew: true, write: true });
        const writer = file.writable.getWriter();
        for await (const chunk of response.body ?? []) {
          keepAlive();
          hash.update(chunk);
          await writer.write(chunk);
        }
        await writer.close();
      });
      const actual = hash.digest("hex");
      if (actual !== digest) throw new Error(`${url}: ${algorithm} is ${actual}, but ${digest} is published`);
    } catch (error) {
      await Deno.remove(path).catch(() => {});
      throw error;
    }
  }

  async #request<T>(
    url: string,
    read: (response: Response, keepAlive: () => void) => Promise<T>,
  ): Promise<T> {
    const { origin } = new URL(url);
    if (this.#unreachable.has(origin)) throw new Error(`${origin} does not answer`);
    const timeout = new AbortController();
    const abort = () => timeout.abort(this.signal?.reason);
    let timer = setTimeout(() => timeout.abort(), this.#answerTimeoutMs);
    this.signal?.throwIfAborted();
    this.signal?.addEventListener("abort", abort);
    try {
      const response = await fetch(url, { signal: timeout.signal }).catch((cause) => {
        this.signal?.throwIfAborted();
        this.#unreachable.add(origin);
        throw new Error(`${origin} does not answer`, { cause });
      });
      const keepAlive = () => {
        clearTimeout(timer);
        timer = setTimeout(() => timeout.abort(new Error(`${url}: the download stalled`)), stallTimeoutMs);
      };
      keepAlive();
      if (!response.ok) {
        await response.body?.cancel();
        throw new Error(`${url}: HTTP ${response.status}`);
      }
      return await read(response, keepAlive);
    } finally {
      clearTimeout(timer);
      this.signal?.removeEventListener("abort", abort);
    }
  }
}

async function unpack(archive: string, directory: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("tar", { args: ["-xzf", archive, "-C", directory] })
    .output();
  if (!success) throw new Error(`tar: ${new TextDecoder().decode(stderr).trim()}`);
}

function minorOf(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}
