/**
 * A child process that cannot outlive this one.
 *
 * Each child leads a session of its own, so that Ctrl-C on a terminal reaches only us and we decide the order of
 * things; beside it, in the same process group, a shell waits for the end of a pipe that we hold. The kernel closes
 * that pipe however we end, SIGKILL included, and the shell then kills the whole group. The pipe on which output
 * comes back is held by every process of the group: its end proves that none is left.
 *
 * Assumes a POSIX shell. Nothing here works on Windows.
 */

/** What to run. */
export interface ProcessOptions {
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  /** The whole environment of the child. @default this process's */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Where standard output and standard error go: appended to a file, or handed over line by line. */
  readonly output: { readonly file: string } | { readonly onLine: (line: string) => void };
}

/** A running child. */
export interface SupervisedProcess {
  /** Also the id of its process group. */
  readonly pid: number;
  /** How the child ended; resolves when no process of its group is left. Never rejects. */
  readonly ended: Promise<Deno.CommandStatus>;
  /** Sends a signal to the child alone; nothing happens when it has ended. */
  signal(signal: Deno.Signal): void;
  /** Kills whatever is left of the group. Resolves when all of it is gone; may be called many times. */
  kill(): Promise<void>;
  /** SIGTERM, and after `graceMs` milliseconds `kill()`. */
  terminate(graceMs: number): Promise<Deno.CommandStatus>;
}

/** `$$` in a subshell is the outer shell: the process that `exec` turns into the child, and leader of the group. */
const supervise = `
log=$1; shift
exec 3<&0 </dev/null
( trap '' INT TERM HUP QUIT PIPE; read -r _ <&3; kill -s KILL -- -$$ ) 2>/dev/null &
if [ -n "$log" ]; then exec 3<&- 4>&1 >>"$log" 2>&1; else exec 3<&- 2>&1; fi
exec "$@"
`;

/** Starts a child. @throws Deno.errors.NotFound when there is no `sh`, or `cwd` does not exist. */
export function startProcess(options: ProcessOptions): SupervisedProcess {
  const file = "file" in options.output ? options.output.file : "";
  const child = new Deno.Command("sh", {
    args: ["-c", supervise, "sh", file, options.command, ...options.args ?? []],
    clearEnv: options.env !== undefined,
    ...options.env === undefined ? {} : { env: { ...options.env } },
    ...options.cwd === undefined ? {} : { cwd: options.cwd },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    detached: true,
  }).spawn();
  let released: Promise<void> | undefined;
  // Closing the pipe is what kills: the shell on its other end does the rest.
  const release = () => released ??= child.stdin.close().catch(() => {});
  const output = readLines(child.stdout, "onLine" in options.output ? options.output.onLine : () => {});
  const ended = (async () => {
    const status = await child.status;
    await release();
    await output;
    return status;
  })();
  const signal = (name: Deno.Signal) => {
    try {
      child.kill(name);
    } catch {
      // It has ended.
    }
  };
  const kill = async () => {
    await release();
    signal("SIGKILL");
    await ended;
  };
  return {
    pid: child.pid,
    ended,
    signal,
    kill,
    terminate: async (graceMs) => {
      signal("SIGTERM");
      const timer = setTimeout(kill, graceMs);
      try {
        return await ended;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/**
 * Has `directory` removed when this process ends, however it ends.
 *
 * @returns Removes it now; resolves when it is gone and may be called many times.
 */
export function removeAtExit(directory: string): () => Promise<void> {
  const script = `
trap '' INT TERM HUP QUIT PIPE
read -r _
sleep 0.2
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }`;
  const janitor = new Deno.Command("sh", {
    args: ["-c", script, "sh", directory],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  let removed: Promise<void> | undefined;
  return () =>
    removed ??= (async () => {
      await Deno.remove(directory, { recursive: true }).catch(() => {});
      // Nothing that it could still remove exists, so it need not be waited for politely.
      janitor.kill("SIGKILL");
      await janitor.stdin.close().catch(() => {});
      await janitor.status;
    })();
}

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
  if (rest !== "") onLine(rest);
}
