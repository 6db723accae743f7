/**
 * The operator as a child process, started again whenever one of its source files changes.
 */

import { startProcess, type SupervisedProcess } from "../../tests/cluster/mod.ts";
import { operatorPermissions } from "../permissions.ts";

/** What to run. */
export interface OperatorOptions {
  /** For the program, e.g. `run --kubeconfig ...`. */
  readonly args: readonly string[];
  /** Root of the repository. */
  readonly root: string;
  readonly onLine: (line: string) => void;
}

/** The operator's process, as `deno run` with exactly the permissions that the binary gets. */
export function startOperator({ args, root, onLine }: OperatorOptions): SupervisedProcess {
  return startProcess({
    command: Deno.execPath(),
    args: ["run", ...operatorPermissions(), `${root}/src/cli/main.ts`, ...args],
    cwd: root,
    output: { onLine },
  });
}

/** Milliseconds that the operator gets to finish a write and to release its Lease. */
const graceMs = 12_000;

/** Milliseconds without a further change after which the operator is started again: editors write several files. */
const settleMs = 300;

/**
 * Runs the operator until the signal aborts; resolves when it has ended. When it ends by itself, it is started again
 * at the next change.
 */
export async function keepOperatorRunning(
  options: OperatorOptions & { readonly onEvent: (line: string) => void },
  signal: AbortSignal,
): Promise<void> {
  using changes = new SourceChanges(`${options.root}/src`);
  while (!signal.aborted) {
    const operator = startOperator(options);
    const changed = changes.next();
    const why = await Promise.race([
      aborted(signal),
      changed.then(() => "changed" as const),
      operator.ended.then(({ code }) => code),
    ]);
    if (typeof why === "number") {
      options.onEvent(`the operator ended with code ${why}; it starts again when a file under src/ changes`);
      await Promise.race([aborted(signal), changed]);
    } else {
      if (why === "changed") options.onEvent("a source file changed: starting the operator again");
      await operator.terminate(graceMs);
    }
  }
}

/** Whether a change of the file at `path` concerns the running operator. */
export function concernsOperator(path: string): boolean {
  return path.endsWith(".ts") && !path.endsWith("_test.ts");
}

/** Tells when source files have changed and then stayed as they are for a moment. */
class SourceChanges implements Disposable {
  readonly #watcher: Deno.FsWatcher;
  #next = Promise.withResolvers<void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(directory: string) {
    this.#watcher = Deno.watchFs(directory, { recursive: true });
    void this.#follow();
  }

  /** The next change from now on. */
  next(): Promise<void> {
    this.#next = Promise.withResolvers();
    return this.#next.promise;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#watcher.close();
  }

  async #follow(): Promise<void> {
    for await (const { kind, paths } of this.#watcher) {
      if (kind === "access" || !paths.some(concernsOperator)) continue;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#next.resolve(), settleMs);
    }
  }
}

function aborted(signal: AbortSignal): Promise<"aborted"> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve("aborted");
    signal.addEventListener("abort", () => resolve("aborted"), { once: true });
  });
}
