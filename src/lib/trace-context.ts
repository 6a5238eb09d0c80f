// Reads W3C trace context (https://www.w3.org/TR/trace-context/), which MCP clients put into `_meta.traceparent`. Of what a client sends,
// only the trace id is used, and only in the log: nothing is continued or decided by it.

/** Version 00: the trace id, the id of the client's span, and flags. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;
/** An id of zeros only is invalid by the specification, and is what the platform has when it records no trace. */
const ZEROS = /^0+$/;

/** Returns the trace id of a `traceparent`; undefined for anything that is not exactly version 00 with valid ids. */
export function parseTraceparent(value: unknown): string | undefined {
  const [, traceId = "", spanId = ""] = typeof value === "string" ? (TRACEPARENT.exec(value) ?? []) : [];
  return isTraceId(traceId) && !ZEROS.test(spanId) ? traceId : undefined;
}

/** Whether a text is the id of a trace: 32 lower-case hex digits that are not all zero. */
export function isTraceId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text) && !ZEROS.test(text);
}
