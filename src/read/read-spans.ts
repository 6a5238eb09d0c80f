// Spans of a governed read: one around an attempt with all of its layers, and inside it one around the batch that the source runs.
import type { WithSpan } from "../lib/spans.ts";
import type { Middleware } from "./read-pipeline.ts";

/** Where the reads of one source record their spans. */
export interface ReadSpans {
  /** The name of the source. */
  readonly source: string;
  readonly withSpan: WithSpan;
}

/** Records the attempts of a read: the first middleware of all. */
export function guardSpan({ source, withSpan }: ReadSpans): Middleware {
  return (next) => async (context) => withSpan("gatehouse.guard", { source }, async () => next(context));
}

/** Records the batch with the check statements and the query: the last middleware of all. */
export function batchSpan({ source, withSpan }: ReadSpans): Middleware {
  return (next) => async (context) => {
    // The last statement is the query.
    const statements = context.checkStatements.length + 1;
    return withSpan("gatehouse.source.batch", { source, statements }, async (setAttributes) => {
      const execution = await next(context);
      setAttributes({ rows: execution.records.length });
      return execution;
    });
  };
}
