import { assertEquals } from "@std/assert";
import { parseCommand } from "./dev.ts";

Deno.test("parseCommand() chooses the cluster", () => {
  const target = (...args: string[]) => {
    const command = parseCommand(args, "/home/me");
    return command.kind === "run" ? command.target : command;
  };
  const existing = { kind: "existing" as const, kubeconfig: undefined, context: undefined };
  assertEquals(target(), { kind: "private" });
  assertEquals(target("--use-current-context"), existing);
  assertEquals(target("--kubeconfig", "a/b"), { ...existing, kubeconfig: "/home/me/a/b" });
  assertEquals(target("--kubeconfig=/a/b", "--context", "c"), {
    ...existing,
    kubeconfig: "/a/b",
    context: "c",
  });
  assertEquals(target("--help"), { kind: "help" });
  assertEquals(target("-h"), { kind: "help" });
});

Deno.test("parseCommand() chooses the flavour", () => {
  const flavour = (...args: string[]) => {
    const command = parseCommand(args, "/");
    return command.kind === "run" ? command.flavour : command;
  };
  assertEquals(flavour(), "iofog");
  assertEquals(flavour("--flavor", "pot"), "pot");
  assertEquals(flavour("--", "--flavor", "pot"), "pot");
  assertEquals(flavour("--flavor=k8s"), { kind: "wrong", message: "--flavor is one of iofog, pot" });
});

Deno.test("parseCommand() refuses what it does not know", () => {
  for (
    const [args, message] of [
      [["--verbose"], "unknown argument --verbose"],
      [["sample"], "unknown argument sample"],
      [["--kubeconfig"], "--kubeconfig needs a value"],
    ] as const
  ) {
    assertEquals(parseCommand(args, "/"), { kind: "wrong", message });
  }
});
