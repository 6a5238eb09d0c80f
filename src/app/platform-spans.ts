// Spans by the platform's own tracing, which adds them to the trace that it records of each request.
import { tracing } from "cloudflare:workers";
import { AppError } from "../errors.ts";
import type { SpanAttributes, Spans } from "../lib/spans.ts";
import { isTraceId } from "../lib/trace-context.ts";

/** The part of the platform's tracing that is used. */
type Tracer = Pick<typeof tracing, "enterSpan" | "getActiveSpan">;

/** Creates spans over the tracing of the runtime. A runtime without it, or with another form of it, records nothing. */
export function createPlatformSpans(tracer: Partial<Tracer> | undefined = tracing): Spans {
  return {
    async withSpan(name, attributes, work) {
      if (typeof tracer?.enterSpan !== "function") return work(() => {});
      return tracer.enterSpan(name, async (span) => {
        const setAttributes = (more: SpanAttributes): void => void span.setAttributes({ ...more });
        setAttributes(attributes);
        try {
          return await work(setAttributes);
        } catch (error) {
          // Not `recordException`: the message of an error may hold a user's text or a value.
          setAttributes({ outcome: error instanceof AppError ? error.code : "failed" });
          throw error;
        }
      });
    },
    readTraceId() {
      const traceId = tracer?.getActiveSpan?.()?.spanContext?.().traceId ?? "";
      return isTraceId(traceId) ? traceId : null;
    },
  };
}
