/**
 * Progress of things that take a while: which step, for how long, whether it is over.
 *
 * Whoever works reports through a callback and prints nothing; `printProgress` is what the commands pass.
 */

/** One report. A step is reported when it begins, about once a second while it runs, and when it is over. */
export interface ProgressStep {
  /** What is being done, e.g. `starting kube-apiserver`. */
  readonly text: string;
  /** Milliseconds since the step began. */
  readonly elapsedMs: number;
  readonly state: "running" | "done" | "failed";
}

/** Takes reports; must not throw. */
export type Progress = (step: ProgressStep) => void;

/** Milliseconds between two reports of a step that is still running. */
const reportEveryMs = 1000;

/** Runs `work` as one step of `progress`. */
export async function reportWhile<T>(
  progress: Progress | undefined,
  text: string,
  work: () => Promise<T>,
): Promise<T> {
  if (progress === undefined) return await work();
  const began = performance.now();
  const report = (state: ProgressStep["state"]) =>
    progress({ text, elapsedMs: performance.now() - began, state });
  report("running");
  const timer = setInterval(() => report("running"), reportEveryMs);
  try {
    const result = await work();
    report("done");
    return result;
  } catch (error) {
    report("failed");
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Milliseconds as minutes and seconds, e.g. `0:35`. */
export function formatElapsed(elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/**
 * A `Progress` that writes text. On a terminal the line of the running step is rewritten; elsewhere a step that takes
 * long gets a line every `logEveryMs`, and one that ended quickly a single line.
 */
export function printProgress(
  write: (text: string) => void,
  options: { readonly isTerminal: boolean; readonly logEveryMs?: number | undefined },
): Progress {
  const logEveryMs = options.logEveryMs ?? 15_000;
  const lastLogMs = new Map<string, number>();
  return ({ text, elapsedMs, state }) => {
    const mark = state === "running" ? "..." : state;
    const line = `${text} ${mark} ${formatElapsed(elapsedMs)}`;
    if (options.isTerminal) {
      write(`\r\x1b[K${line}${state === "running" ? "" : "\n"}`);
      return;
    }
    const last = lastLogMs.get(text);
    if (state !== "running") lastLogMs.delete(text);
    else if (last === undefined || elapsedMs - last >= logEveryMs) lastLogMs.set(text, elapsedMs);
    else return;
    write(`${line}\n`);
  };
}

/** Writes to standard output. Nobody may be listening any more, which must not keep us from cleaning up. */
export function writeOutput(text: string): void {
  let bytes = new TextEncoder().encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
