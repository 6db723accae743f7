/**
 * Traces of what a pass does, by OpenTelemetry.
 *
 * Deno itself exports them where OTEL_DENO is `true`, as the variables OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME
 * and the like say, and adds a span for each HTTP request. Elsewhere a span costs nothing.
 */

import { type Span, SpanStatusCode, trace } from "@opentelemetry/api";

/** Attributes of a span: names and numbers, never what an object holds. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

const tracer = trace.getTracer("iofog-operator");

/** Does `work` within a span; what is traced meanwhile lies within it. A rejection marks the span and goes on. */
export async function inSpan<T>(
  name: string,
  attributes: SpanAttributes,
  work: (span: Pick<Span, "setAttribute">) => Promise<T>,
): Promise<T> {
  return await tracer.startActiveSpan(name, { attributes: { ...attributes } }, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      // Its text may hold anything.
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}
