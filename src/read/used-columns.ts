// The layer of governed SQL that finds out which columns a statement uses, and narrows its guard views to them. A view that SQLite does not
// merge into the query around it computes all of its columns for each row, masks and masking tokens included.
import { EngineExhausted } from "../sql/engine/meter.ts";
import { findReads } from "../sql/statement-reads.ts";
import type { StatementReads } from "../sql/statement-reads.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { createStatementCache } from "../sql/statement-cache.ts";
import { listUsedViews } from "../sql/statement-guard.ts";
import type { GuardView } from "../sql/statement-guard.ts";
import type { Middleware, ReadContext } from "./read-pipeline.ts";

/** Narrows the guard views to the columns that the statement uses. A statement that SQLite rejects keeps them all. */
export function usedColumns(): Middleware {
  const cache = createStatementCache<StatementReads>(countCharacters);
  return (next) => async (context) => {
    const { request, schema, query } = context;
    const views = listUsedViews(request.statement, request.views);
    const key = JSON.stringify([query.body, views.map(({ name, columns }) => [name, columns])]);
    const reads = schema.use((copy) => {
      const cachedReads = cache.get(copy, key);
      if (cachedReads !== undefined) return cachedReads;
      const newReads = findReadsWithinAllowance(copy, context, views);
      if (newReads !== undefined) cache.set(copy, key, newReads);
      return newReads;
    });
    if (reads === undefined) return next(context);
    return next({
      ...context,
      reads,
      request: { ...request, views: request.views.map((view) => narrow(view, reads)) },
    });
  };
}

function narrow(view: GuardView, { tables }: StatementReads): GuardView {
  const columns = tables.get(view.name);
  return columns === undefined || columns.size === view.columns.length ? view : view.narrow(columns);
}

function findReadsWithinAllowance(
  copy: SchemaCopy,
  { request: { statement }, query: { body } }: ReadContext,
  views: readonly GuardView[],
): StatementReads | undefined {
  try {
    return findReads(copy, statement, body, views);
  } catch (error) {
    // A statement that only just fits the allowance of the layers behind this one runs nevertheless.
    if (error instanceof EngineExhausted && error.reason === "work") return undefined;
    throw error;
  }
}

/** About the size of the entry of one column. */
const CHARACTERS_PER_COLUMN = 100;

function countCharacters({ tables, origins }: StatementReads): number {
  const columns = [...tables.values()].reduce((sum, names) => sum + names.size, origins.length);
  return columns * CHARACTERS_PER_COLUMN;
}
