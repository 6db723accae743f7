import { assertEquals } from "@std/assert";
import type { ExternalWrite } from "../../operator/definition.ts";
import { arrange } from "./arrange.ts";
import { callsOf } from "./calls.ts";
import { MICROSERVICE } from "./world.ts";

/** A microservice with one port that moves from one agent to another. */
function moved(name: string, from: string, to: string): ExternalWrite {
  const ports = [{ internal: 80, external: 80, protocol: "tcp", public: null }];
  const child = { type: "external", kind: MICROSERVICE, name, singleton: false } as const;
  return {
    world: "external",
    verb: "update",
    child: { ...child, fields: { agentName: to, ports } },
    observed: { kind: MICROSERVICE, name, id: name, fields: { agentName: from, ports } },
    paths: ["agentName"],
  };
}

Deno.test("arrange() has what gave up its ports get them back in the same batch", () => {
  const writes = arrange([moved("app/m", "a", "b"), moved("app/n", "b", "a")]);
  const context = {
    dialect: {
      name: "3.0",
      hasRoutes: true,
      hasSystemQuery: true,
      readsEdgeResources: true,
      setsUpLater: false,
    },
    uuidOf: () => undefined,
  } as const;
  const calls = writes.flatMap((write) => callsOf(write, context)).map(({ bodyJson, parameters }) => {
    const { agentName, ports } = bodyJson as { agentName: string; ports?: readonly { external: number }[] };
    return [parameters?.["uuid"], agentName, ports?.map(({ external }) => external)];
  });
  assertEquals(calls, [
    ["app/m", "a", []],
    ["app/n", "a", undefined],
    ["app/m", "b", undefined],
    ["app/m", "b", [80]],
  ]);
});
