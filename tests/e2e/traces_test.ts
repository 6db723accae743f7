/** Traces, as a small collector receives them. */

import { assert, assertEquals } from "@std/assert";
import { recordOutput } from "../secrets.ts";
import { scenario } from "./harness.ts";
import { startProgram } from "./operator_process.ts";
import { eventually } from "./waiting.ts";

interface Span {
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly attributes?: readonly {
    readonly key: string;
    readonly value: Readonly<Record<string, unknown>>;
  }[];
}

scenario(
  "with OTEL_DENO the program exports a trace of each pass, with its writes and requests",
  async (scene) => {
    const spans: Span[] = [];
    const services = new Set<unknown>();
    const collector = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const text = await request.text();
      recordOutput("traces", text);
      if (new URL(request.url).pathname !== "/v1/traces") return Response.json({});
      const { resourceSpans } = JSON.parse(text);
      for (const { resource, scopeSpans } of resourceSpans) {
        const service = resource.attributes.find(({ key }: { key: string }) => key === "service.name");
        services.add(service?.value.stringValue);
        for (const scope of scopeSpans) spans.push(...scope.spans);
      }
      return Response.json({});
    });
    const operator = startProgram({
      args: scene.flags(),
      env: {
        OTEL_DENO: "true",
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_SERVICE_NAME: "iofog-operator",
        OTEL_BSP_SCHEDULE_DELAY: "500",
      },
    });
    try {
      await scene.create();
      await scene.untilReady();
    } finally {
      // What is left is exported at the end.
      await operator.stop();
    }
    try {
      const attribute = (span: Span, key: string) =>
        Object.values(span.attributes?.find((each) => each.key === key)?.value ?? {})[0];
      const named = (name: string, key: string, value: string) =>
        spans.find((span) => span.name === name && attribute(span, key) === value);
      const parentOf = (span: Span | undefined) => spans.find(({ spanId }) => spanId === span?.parentSpanId);

      const write = await eventually(
        "the span",
        () => named("write", "k8s.object.kind", "Deployment"),
        Boolean,
      );
      assertEquals(attribute(write!, "iofog.outcome"), "written");
      const reconcile = parentOf(write);
      assertEquals([reconcile?.name, attribute(reconcile!, "k8s.object.name")], ["reconcile", "iofog"]);
      assertEquals(parentOf(reconcile)?.name, "pass");
      const request = spans.find((span) => span.parentSpanId === write?.spanId);
      assert(
        String(attribute(request!, "url.full")).includes("/deployments/"),
        "a request belongs to its write",
      );
      assertEquals(parentOf(named("write", "iofog.kind", "User"))?.name, "pass");
      assertEquals([...services], ["iofog-operator"]);
    } finally {
      await collector.shutdown();
    }
  },
);
