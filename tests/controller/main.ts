/**
 * The stand-in on its own, for dev mode:
 * `deno run --allow-net --allow-env=IOFOG_TEST_SECRETS tests/controller/main.ts [--port N] [--hostname H]`.
 *
 * Prints one line when it answers, and ends on SIGTERM or SIGINT.
 */

import { startController } from "./controller.ts";

if (import.meta.main) {
  const controller = await startController({
    port: Number(argument("--port") ?? 51121),
    hostname: argument("--hostname") ?? "127.0.0.1",
  });
  console.log(`stand-in for the ioFog Controller 3.0.4 (played, not the real one) on ${controller.url}`);
  const end = () => {
    Deno.removeSignalListener("SIGTERM", end);
    Deno.removeSignalListener("SIGINT", end);
    void controller.close();
  };
  Deno.addSignalListener("SIGTERM", end);
  Deno.addSignalListener("SIGINT", end);
}

function argument(name: string): string | undefined {
  const at = Deno.args.indexOf(name);
  return at < 0 ? undefined : Deno.args[at + 1];
}
