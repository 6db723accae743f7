/**
 * One program of the control plane: started, waited for until it answers, with its log at hand when it does not.
 */

import { startProcess, type SupervisedProcess } from "./supervised_process.ts";

/** A component did not come up. The message ends with the last lines of its log. */
export class ComponentError extends Error {
  override readonly name = "ComponentError";

  /** @param portTaken Another process took a port between our choice and its use: worth another attempt. */
  constructor(message: string, readonly portTaken: boolean) {
    super(message);
  }
}

/** What to start. */
export interface ComponentOptions {
  /** e.g. `etcd`; also the name of the log file. */
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
  /** Working directory; the log goes there. */
  readonly directory: string;
}

/** How long a component may take until it answers; an overloaded machine needs far more than the usual 5 s. */
const readyTimeoutMs = 120_000;
const pollMs = 50;
const logLines = 15;

/** A running component. */
export class Component {
  readonly #process: SupervisedProcess;
  #status: Deno.CommandStatus | undefined;

  constructor(private readonly options: ComponentOptions) {
    this.#process = startProcess({
      command: options.path,
      args: options.args,
      cwd: options.directory,
      // No proxy of ours may stand between the components, and nothing else of our environment concerns them.
      env: { PATH: "/usr/bin:/bin", HOME: options.directory, NO_PROXY: "*" },
      output: { file: this.logPath },
    });
    void this.#process.ended.then((status) => this.#status = status);
  }

  get logPath(): string {
    return `${this.options.directory}/${this.options.name}.log`;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves when the component has ended, wanted or not. */
  get ended(): Promise<Deno.CommandStatus> {
    return this.#process.ended;
  }

  /**
   * Waits until `probe` returns without an error.
   *
   * @throws ComponentError when the component ends or takes too long; the reason of `signal` when that aborts.
   */
  async ready(probe: () => Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
    const deadline = performance.now() + readyTimeoutMs;
    for (;;) {
      signal?.throwIfAborted();
      if (this.#status !== undefined) throw await this.#failure(`ended with code ${this.#status.code}`);
      let last: unknown;
      try {
        return void await probe();
      } catch (error) {
        last = error;
      }
      if (performance.now() > deadline) {
        const why = last instanceof Error ? last.message : String(last);
        throw await this.#failure(`did not become ready within ${readyTimeoutMs / 1000} s (${why})`);
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  /** Kills it and waits until it is gone. What it stored is thrown away, so it need not be asked politely. */
  async stop(): Promise<void> {
    await this.#process.kill();
  }

  async #failure(what: string): Promise<ComponentError> {
    const log = await Deno.readTextFile(this.logPath).catch(() => "");
    const tail = log.trimEnd().split("\n").slice(-logLines);
    return new ComponentError(
      `${this.options.name} ${what}. The end of its log:\n${tail.map((line) => `  ${line}`).join("\n")}`,
      /address already in use/.test(log),
    );
  }
}
