/**
 * Builds the programs of the control plane, and what tests run beside it, with Go, from the modules in `binaries/`, whose go.mod and
 * go.sum pin every source by its digest.
 */

import {
  type BinarySource,
  helmVersion,
  kubernetesVersion,
  type ProgramName,
  temporaryPath,
} from "./binary_source.ts";
import { reportWhile } from "./progress.ts";
import { startProcess } from "./supervised_process.ts";

/** Options of `buildSource`. */
export interface BuildOptions {
  /** Where the programs go. */
  readonly directory: string;
  readonly os: string;
  readonly arch: string;
  /** @default the first `go` on PATH */
  readonly go?: string | undefined;
}

/** The main package of each program, and how long it takes on two cores with empty caches. */
const packages: Readonly<Record<ProgramName, Package>> = {
  "kube-apiserver": { path: "k8s.io/kubernetes/cmd/kube-apiserver", duration: "about 5 minutes" },
  "kube-controller-manager": {
    path: "k8s.io/kubernetes/cmd/kube-controller-manager",
    duration: "about 1 minute",
  },
  etcd: { path: "go.etcd.io/etcd/server/v3", duration: "about 20 seconds" },
  kubectl: { path: "k8s.io/kubernetes/cmd/kubectl", duration: "about 20 seconds" },
  // A module of its own: it wants other versions of the same libraries.
  helm: { path: "helm.sh/helm/v3/cmd/helm", duration: "about 2 minutes", module: "helm" },
  "nats-server": { path: "github.com/nats-io/nats-server/v2", duration: "about 30 seconds", module: "nats" },
};

interface Package {
  readonly path: string;
  readonly duration: string;
  /** Folder in `binaries/`. @default binaries itself */
  readonly module?: string;
}

/** Largest first: its packages are most of what the others need. */
const buildOrder: readonly ProgramName[] = [
  "kube-apiserver",
  "kube-controller-manager",
  "etcd",
  "kubectl",
  "helm",
  "nats-server",
];

const modulesDirectory = `${import.meta.dirname}/binaries`;

/** Builds what is missing where Go is there. Killed together with this process, it leaves neither file nor process. */
export function buildSource(options: BuildOptions): BinarySource {
  const { directory, go = "go" } = options;
  return async ({ missing, progress, signal }) => {
    const paths = new Map<ProgramName, string>();
    if (!await isThere(go)) return { paths, remark: "go is not on PATH" };
    for (const name of buildOrder.filter((name) => missing.includes(name))) {
      const { duration } = packages[name];
      const temporary = temporaryPath(directory, name);
      // Go's own temporary files lie here, so that those of a build that was killed are removed with ours.
      const work = temporaryPath(directory, "go");
      await Deno.mkdir(work);
      try {
        await reportWhile(
          progress,
          `building ${name}, first time only, ${duration}`,
          () => build(go, packages[name], { output: temporary, work }, options, signal),
        );
      } catch (error) {
        await Deno.remove(temporary).catch(() => {});
        signal?.throwIfAborted();
        return { paths, remark: error instanceof Error ? error.message : String(error) };
      } finally {
        await Deno.remove(work, { recursive: true });
      }
      await Deno.rename(temporary, `${directory}/${name}`);
      paths.set(name, `${directory}/${name}`);
    }
    return { paths };
  };
}

async function build(
  go: string,
  { path, module }: Package,
  { output, work }: { readonly output: string; readonly work: string },
  { os, arch }: BuildOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const said: string[] = [];
  const process = startProcess({
    command: go,
    args: [
      "build",
      "-trimpath",
      "-mod=readonly",
      "-buildvcs=false",
      "-ldflags",
      versionFlags(path),
      "-o",
      output,
      path,
    ],
    cwd: module === undefined ? modulesDirectory : `${modulesDirectory}/${module}`,
    env: {
      ...Deno.env.toObject(),
      CGO_ENABLED: "0",
      GOOS: os,
      GOARCH: arch,
      GOTMPDIR: work,
      GOWORK: "off",
      GOFLAGS: "",
    },
    output: {
      onLine: (line) => {
        said.push(line);
        if (said.length > 20) said.shift();
      },
    },
  });
  const abort = () => void process.kill();
  signal?.addEventListener("abort", abort);
  const status = await process.ended;
  signal?.removeEventListener("abort", abort);
  signal?.throwIfAborted();
  if (!status.success) {
    const lines = said.filter((line) => !line.startsWith("go: downloading")).map((line) => `\n      ${line}`);
    throw new Error(`go build ${path} failed:${lines.join("")}`);
  }
}

/**
 * Without these the server calls itself `v0.0.0-master+$Format:%H$`, at which kubectl complains, and helm takes every
 * cluster that it cannot ask for Kubernetes 1.20.
 */
function versionFlags(path: string): string {
  const [major, minor] = kubernetesVersion.split(".");
  const variables: Readonly<Record<string, string | undefined>> = path.startsWith("k8s.io/")
    ? {
      "k8s.io/component-base/version.gitVersion": `v${kubernetesVersion}`,
      "k8s.io/component-base/version.gitMajor": major,
      "k8s.io/component-base/version.gitMinor": minor,
    }
    : path.startsWith("helm.sh/")
    ? {
      "helm.sh/helm/v3/internal/version.version": `v${helmVersion}`,
      "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": major,
      "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": minor,
      "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor": major,
      "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor": minor,
    }
    : {};
  return ["-s -w", ...Object.entries(variables).map(([name, value]) => `-X ${name}=${value}`)].join(" ");
}

async function isThere(go: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(go, { args: ["version"], stdout: "null", stderr: "null" })
      .output();
    return success;
  } catch {
    return false;
  }
}
