import { assertEquals } from "@std/assert";
import { snapshotOf } from "../operator/fixtures.ts";
import type { Parent } from "../operator/definition.ts";
import { edgeResourceOf } from "../resources/edge/crds.ts";
import { drawEdge, edgeRows } from "./edge_picture.ts";

function object(
  name: string,
  spec: unknown,
  status: Record<string, unknown>,
  ready = "True",
  reason = "Ready",
): Parent {
  const conditions = [{ type: "Ready", status: ready, reason, message: "why", observedGeneration: 1 }];
  return {
    metadata: { namespace: "ns", name, uid: name, generation: 1 },
    spec,
    status: { ...status, conditions },
  };
}

Deno.test("the picture shows agents with what runs on them, whichever resource it is from, and applications", () => {
  const picture = drawEdge(
    snapshotOf([
      [
        edgeResourceOf("Agent", "iofog.org"),
        object("a", { name: "Edge 1!" }, { daemonStatus: "RUNNING", version: "3.0.1", address: "10.0.0.1" }),
      ],
      [edgeResourceOf("Agent", "iofog.org"), object("b", {}, {}, "False", "UpstreamMissing")],
      [
        edgeResourceOf("Application", "iofog.org"),
        object("app", {}, {
          isActivated: true,
          running: "1/1",
          microservices: [{ name: "one", agent: "Edge 1!", status: "RUNNING" }, { name: "late" }],
        }),
      ],
      [
        edgeResourceOf("Microservice", "iofog.org"),
        object("three", { application: "app" }, { agent: "theirs", status: "RUNNING" }),
      ],
      [
        edgeResourceOf("EdgeResource", "iofog.org"),
        object("camera", { version: "v1.0.0" }, { linked: ["Edge 1!"] }),
      ],
      [
        edgeResourceOf("Microservice", "iofog.org"),
        object("two", { application: "app" }, { agent: "Edge 1!", status: "QUEUED" }),
      ],
    ]),
    "iofog.org",
  );
  assertEquals(edgeRows(picture), [
    [
      ["AGENT", "STATUS", "VERSION", "ADDRESS", "READY"],
      ["Edge 1!", "RUNNING", "3.0.1", "10.0.0.1", "yes"],
      ["  app/one", "RUNNING", "", "", ""],
      ["  app/two", "QUEUED", "", "", ""],
      ["b", "-", "-", "-", "no (UpstreamMissing): why"],
      ["theirs", "-", "-", "-", "no (NoAgent): somebody else's: no Agent of this namespace has this name"],
      ["  app/three", "RUNNING", "", "", ""],
    ],
    [
      ["APPLICATION", "ACTIVE", "RUNNING", "READY"],
      ["app", "yes", "1/1", "yes"],
      ["  app/late", "", "", "on no agent yet"],
    ],
    [["EDGE RESOURCE", "VERSION", "LINKED TO", "READY"], ["camera", "v1.0.0", "Edge 1!", "yes"]],
  ]);
  assertEquals(edgeRows(drawEdge(snapshotOf([]), "iofog.org")), []);
});
