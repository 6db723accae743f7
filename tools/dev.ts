/**
 * `deno task dev`: a private cluster, the operator against it, and the sample coming up, until Ctrl-C.
 *
 * Whatever ends it, no process and no file of the private cluster stays. The operator starts again when a source file
 * changes.
 */

import { resolve } from "node:path";
import { parseArgs } from "@std/cli";
import { systemClock } from "../src/clock.ts";
import { ApiError } from "../src/kubernetes/errors.ts";
import { type EdgeGroup, edgeKinds, edgeResourceOf } from "../src/resources/edge/crds.ts";
import { allFlavours, controlPlanes, type Flavour } from "../src/cli/flavours.ts";
import {
  formatElapsed,
  InterruptedError,
  printProgress,
  reportWhile,
  watchInterruption,
  writeOutput,
} from "../tests/cluster/mod.ts";
import {
  describeChanges,
  followObjects,
  isReady,
  type ShownCondition,
  type WithConditions,
} from "./dev/condition_report.ts";
import { applyManifests, installCrds, readManifests } from "./dev/manifests.ts";
import { keepOperatorRunning, startOperator } from "./dev/operator_process.ts";
import { openTarget, type Target, type TargetOptions } from "./dev/target.ts";

const usage = `deno task dev [FLAGS]

Starts a private local cluster, the operator and a sample in deploy/samples, and shows what happens.

  --flavor NAME           iofog (default): deploy/samples/iofog; or pot: deploy/samples/pot/minimal
  --use-current-context   use the cluster of the current kubeconfig context; start nothing but the operator
  --kubeconfig FILE       the same with another kubeconfig
  --context NAME          the same with another context of it
  -h, --help              this text

The private cluster needs etcd, kube-apiserver and kube-controller-manager: they are taken from KUBEBUILDER_ASSETS,
downloaded, or built with Go, once. A proxy in HTTPS_PROXY is used for downloads only.
`;

/** What the command line asks for. */
export type DevCommand =
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly message: string }
  | { readonly kind: "run"; readonly target: TargetOptions; readonly flavour: Flavour };

/**
 * Reads the command line.
 *
 * @param directory Where a relative path begins: that of the caller, since a task runs in the repository's root.
 */
export function parseCommand(args: readonly string[], directory: string): DevCommand {
  let unknown: string | undefined;
  // npm wants `--` before a script's flags; here it would end them.
  const flags = parseArgs(args.filter((arg) => arg !== "--"), {
    boolean: ["use-current-context", "help"],
    string: ["kubeconfig", "context", "flavor"],
    alias: { h: "help" },
    unknown: (arg: string) => {
      unknown ??= arg;
      return false;
    },
  });
  if (unknown !== undefined) return { kind: "wrong", message: `unknown argument ${unknown}` };
  for (const name of ["kubeconfig", "context", "flavor"]) {
    if (flags[name] === "") return { kind: "wrong", message: `--${name} needs a value` };
  }
  if (flags.help) return { kind: "help" };
  const flavour = allFlavours.find((each) => each === (flags.flavor ?? "iofog"));
  if (flavour === undefined) {
    return { kind: "wrong", message: `--flavor is one of ${allFlavours.join(", ")}` };
  }
  const existing = flags["use-current-context"] || flags.kubeconfig !== undefined ||
    flags.context !== undefined;
  const kubeconfig = flags.kubeconfig === undefined ? undefined : resolve(directory, flags.kubeconfig);
  const target: TargetOptions = existing
    ? { kind: "existing", kubeconfig, context: flags.context }
    : { kind: "private" };
  return { kind: "run", target, flavour };
}

const root = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");
/**
 * What is shown of each flavour: a control plane, and two agents with what runs on them, for devices that the played
 * Controller has. The samples lie in namespaces of these names.
 */
const shown = {
  iofog: { sample: "deploy/samples/iofog", edge: "deploy/samples/edge", crds: "crds" },
  pot: { sample: "deploy/samples/pot/minimal", edge: "deploy/samples/edge/pot", crds: "crds/pot" },
} as const satisfies Record<Flavour, unknown>;

/** Everything from start to Ctrl-C. Throws what made it impossible; the reason of `signal` when that aborts. */
async function develop(options: TargetOptions, flavour: Flavour, signal: AbortSignal): Promise<void> {
  const namespace = flavour;
  const { crds, edge, sample } = shown[flavour];
  const began = performance.now();
  const say = (line: string) => writeOutput(`[${formatElapsed(performance.now() - began)}] ${line}\n`);
  const progress = printProgress(writeOutput, { isTerminal: Deno.stdout.isTerminal() });
  await using target = await openTarget(options, flavour, { say, progress }, signal);
  await reportWhile(progress, "installing the custom resource definitions", async () => {
    await installCrds(target.client, await readManifests(`${root}/${crds}`), signal);
  });
  await applyManifests(target.client, target.prepare(await readManifests(`${root}/${sample}`)), signal);
  say(`applied ${sample} to namespace ${namespace}`);
  await applyManifests(target.client, await readManifests(`${root}/${edge}`), signal);
  say(`applied ${edge} to namespace ${namespace}: two agents with an application on them`);
  signal.throwIfAborted();
  // Ends the parts below together, also when one of them fails.
  const ending = new AbortController();
  const end = () => ending.abort();
  signal.addEventListener("abort", end);
  try {
    await Promise.all([
      keepOperatorRunning({
        root,
        args: [
          "run",
          ...target.operatorArgs,
          "--namespace",
          namespace,
          ...quietFlags,
          "--log-format",
          "text",
        ],
        onLine: (line) => say(`operator | ${line}`),
        onEvent: say,
      }, ending.signal).finally(end),
      reportConditions(target, flavour, say, ending.signal).finally(end),
    ]);
  } finally {
    signal.removeEventListener("abort", end);
    say("stopping");
  }
}

/** Ports of their own, so that two of these, or a real operator, can run side by side. */
const quietFlags = ["--metrics-addr", "127.0.0.1:0", "--health-addr", "127.0.0.1:0"];

/** Shows every change of a condition, and the whole picture each time when the control plane became ready. */
async function reportConditions(
  target: Target,
  flavour: Flavour,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Map<string, readonly ShownCondition[]>();
  const wasReady = new Set<string>();
  let drawing = Promise.resolve();
  await followObjects(target.client, controlPlanes[flavour], flavour, (object) => {
    const name = object.metadata?.name ?? "";
    const conditions = object.status?.conditions ?? [];
    for (const line of describeChanges(seen.get(name) ?? [], conditions)) say(`${name} | ${line}`);
    seen.set(name, conditions);
    if (!isReady(object)) return void wasReady.delete(name);
    if (wasReady.has(name)) return;
    wasReady.add(name);
    drawing = drawing.then(async () => {
      await untilEdgeIsReady(target, flavour, say, signal);
      await showPicture(target, flavour, say, signal);
    });
  }, signal);
  await drawing;
}

/** How long the picture waits for what is to come up on the agents. */
const edgePatienceMs = 60_000;

/** Waits until everything at the edge is ready, where there is any; what is not in time is shown as it is. */
async function untilEdgeIsReady(
  target: Target,
  namespace: Flavour,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { group } = controlPlanes[namespace];
  const began = performance.now();
  let said = false;
  while (!signal.aborted && performance.now() - began < edgePatienceMs) {
    const lists = await Promise.all(
      edgeKinds.map((kind) =>
        target.client.list(edgeResourceOf(kind, group as EdgeGroup), { namespace }, { signal })
          .then(({ items }) => items as readonly WithConditions[])
          // Not served, or the server is away: the picture tells.
          .catch(() => [])
      ),
    );
    if (lists.flat().every((object) => isReady(object, "Ready"))) return;
    if (!said) say("the control plane is ready; waiting for its agents and applications");
    said = true;
    await systemClock.sleep(500, signal);
  }
}

async function showPicture(
  target: Target,
  namespace: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const lines: string[] = [];
  const status = startOperator({
    root,
    args: ["status", ...target.operatorArgs, "--namespace", namespace],
    onLine: (line) => lines.push(line),
  });
  const kill = () => void status.kill();
  signal.addEventListener("abort", kill);
  await status.ended;
  signal.removeEventListener("abort", kill);
  if (signal.aborted) return;
  say("the edge compute network is ready");
  const look = `-n ${namespace} get controlplane,agent,application,deploy,svc,pod,secret`;
  writeOutput(
    `\n${lines.join("\n")}\n\nLook further:\n  ${
      target.kubectl === undefined
        ? `kubectl ${look}   (kubectl is not on PATH here: install it first)`
        : `${target.kubectl} ${look}`
    }\nChange a file under src/, or press Ctrl-C to end all of it.\n\n`,
  );
}

/** Runs the command; returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const command = parseCommand(args, Deno.env.get("INIT_CWD") ?? Deno.cwd());
  if (command.kind === "help") {
    writeOutput(usage);
    return 0;
  }
  if (command.kind === "wrong") {
    console.error(`deno task dev: ${command.message}\n\n${usage}`);
    return 2;
  }
  const interruption = watchInterruption();
  try {
    await develop(command.target, command.flavour, interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted) {
      console.error(`deno task dev: ${error instanceof Error ? error.message : error}`);
      return 1;
    }
    if (!(error instanceof InterruptedError || error instanceof ApiError)) console.error(error);
  } finally {
    interruption.close();
  }
  writeOutput(
    command.target.kind === "private"
      ? "stopped; nothing of the private cluster is left\n"
      : `stopped; the sample stays in the cluster: kubectl delete namespace ${command.flavour} removes it\n`,
  );
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
