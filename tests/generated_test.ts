/** Whether the generated API still is what the API server serves. */

import { assertEquals } from "@std/assert";
import { sharedCluster } from "./cluster/mod.ts";

const cluster = await sharedCluster();

Deno.test("generate --check finds the stored documents and the generated API equal to what the server serves", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "tools/generate.ts", "--check", "--kubeconfig", cluster.kubeconfigPath],
    cwd: new URL("../", import.meta.url),
    stdin: "null",
  }).output();
  assertEquals({ code, stderr: code === 0 ? "" : new TextDecoder().decode(stderr) }, { code: 0, stderr: "" });
});
