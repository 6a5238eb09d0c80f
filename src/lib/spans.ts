// Spans of the platform's tracing, as the code below the composition root uses them: it names a step and says what it works on, in ids and
// counts only. A trace leaves the server, so no span has SQL, a value, a name that a user wrote or an address.

/** Every step that has a span. `docs/maintaining.md` explains each; a test compares the two. */
export const SPAN_NAMES = [
  "gatehouse.call",
  "gatehouse.ledger.begin",
  "gatehouse.guard",
  "gatehouse.source.batch",
  "gatehouse.ledger.commit",
] as const;

export type SpanName = (typeof SPAN_NAMES)[number];

/** What a span says about its step: ids, names that the operator declared, and counts. */
export interface SpanAttributes {
  /** The id of the call, as in its audit record. */
  readonly call?: string;
  readonly operation?: string;
  /** A declared source, or the workspace. */
  readonly source?: string;
  /** How many statements a batch has. */
  readonly statements?: number;
  /** How many rows a batch returned. */
  readonly rows?: number;
  /** The code of the error that ended the step; `failed` for any other error. Absent when it succeeded. */
  readonly outcome?: string;
}

/** Adds attributes to the span of the step that runs. */
export type SetAttributes = (attributes: SpanAttributes) => void;

/**
 * Runs `work` as a step with a span, inside the span of the step around it. It returns what `work` returns, and ends the span when that has
 * settled. A runtime that records no trace runs `work` alone.
 */
export type WithSpan = <T>(
  name: SpanName,
  attributes: SpanAttributes,
  work: (setAttributes: SetAttributes) => Promise<T>,
) => Promise<T>;

/** The tracing of the platform, for those who get it from the composition root. */
export interface Spans {
  readonly withSpan: WithSpan;
  /** Returns the id of the trace that the running code belongs to, 32 lower-case hex digits; null when none is recorded. */
  readonly readTraceId: () => string | null;
}

/** Records nothing. */
export const NO_SPANS: Spans = {
  withSpan: async (_name, _attributes, work) => work(() => {}),
  readTraceId: () => null,
};
