/** The machine as it is: files, environment variables, programs, standard output. Nothing else reads these. */

import type { Environment } from "../kubernetes/connection_config.ts";

/**
 * Keeps requests to this machine away from a proxy: Deno, unlike kubectl, sends even these through HTTPS_PROXY. It looks
 * at `no_proxy` only where `NO_PROXY` is not set.
 */
export function bypassProxy(noProxy: string): void {
  Deno.env.set("NO_PROXY", noProxy);
}

/** The real machine. */
export const machine: Environment = {
  readTextFile: (path) => Deno.readTextFile(path),
  variable: (name) => Deno.env.get(name),
  async run(command, args, environment) {
    const output = await new Deno.Command(command, {
      args: [...args],
      env: { ...environment },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).output();
    if (!output.success) throw new Error(`${command} ended with code ${output.code}`);
    return new TextDecoder().decode(output.stdout);
  },
};

/** Writes text to standard output at once. */
export function print(text: string): void {
  write(Deno.stdout, text);
}

/** Writes text to standard error at once. */
export function printError(text: string): void {
  write(Deno.stderr, text);
}

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}
