/**
 * Tells when a command shall end: a signal, or the end of what started it.
 *
 * `npx deno task dev` is a chain of npx, sh, node and two denos. Ctrl-C reaches all of them, and the runners pass it
 * on, so it comes twice or more; SIGKILL to one of them reaches nobody else, so the chain is looked at from time to
 * time. The user's shell is not part of it: a command sent to the background outlives that.
 */

/** See the module. */
export interface Interruption {
  /** Aborts once, with an `InterruptedError`. */
  readonly signal: AbortSignal;
  /** Stops watching. Until then no signal ends the process by itself. */
  close(): void;
}

/** Why a command ends early. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

const signals: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
const pollMs = 500;

/** Begins to watch; to be called before anything is started. */
export function watchInterruption(): Interruption {
  const controller = new AbortController();
  const interrupt = (why: string) => {
    if (!controller.signal.aborted) controller.abort(new InterruptedError(why));
  };
  const listeners = signals.map((name) => ({ name, listener: () => interrupt(`received ${name}`) }));
  for (const { name, listener } of listeners) Deno.addSignalListener(name, listener);
  const chain = launchers().join();
  const timer = setInterval(() => {
    if (launchers().join() !== chain) interrupt("the process that started this has ended");
  }, pollMs);
  return {
    signal: controller.signal,
    close: () => {
      clearInterval(timer);
      for (const { name, listener } of listeners) Deno.removeSignalListener(name, listener);
    },
  };
}

/** The parent, and above it those that only run us for somebody. Only Linux tells more than the parent. */
function launchers(): readonly number[] {
  const chain = [Deno.ppid];
  let reached = 0;
  let pid = Deno.ppid;
  while (pid > 1) {
    const process = readProcess(pid);
    if (process === undefined) break;
    if (isRunner(process.name)) reached = chain.length;
    // A shell counts only where a runner called it, as npx does.
    else if (process.name !== "sh" || chain.length > reached + 1) break;
    chain.push(pid = process.parent);
  }
  return chain.slice(0, Math.max(reached, 1));
}

function isRunner(name: string): boolean {
  return /^(deno|dn|node|MainThread|npm|npx)\b/.test(name);
}

function readProcess(pid: number): { readonly name: string; readonly parent: number } | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended: its parent only has not asked yet.
    if (state === "Z") return undefined;
    return { name: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")), parent: Number(parent) };
  } catch {
    return undefined;
  }
}
