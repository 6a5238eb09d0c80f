// The layer of governed SQL that finds out what the columns of a result are, for its answer and for the result that is stored. It refuses
// nothing.
import { EngineExhausted } from "../sql/engine/meter.ts";
import { assumeShape, findShape } from "../sql/result-shape.ts";
import type { ResultShape, StatementReads } from "../sql/result-shape.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { buildStatementKey, createStatementCache } from "../sql/statement-cache.ts";
import type { GuardedQuery } from "../sql/statement-guard.ts";
import type { Middleware, ReadRequest } from "./read-pipeline.ts";

/** Finds out where the columns of a result come from, and how SQLite compares them. */
export function shape(): Middleware {
  const cache = createStatementCache<ResultShape>(({ columns }) => columns.length * CHARACTERS_PER_COLUMN_SHAPE);
  return (next) => async (context) => {
    const { query, request, schema, reads, columns = [] } = context;
    const key = buildStatementKey(query, request.nonce);
    const foundShape = schema.use((copy) => {
      const cachedShape = cache.get(copy, key);
      if (cachedShape !== undefined) return cachedShape;
      const newShape = findShapeWithinAllowance(copy, request, query, reads, columns.length);
      cache.set(copy, key, newShape);
      return newShape;
    });
    return { ...(await next(context)), shape: foundShape };
  };
}

/** About the size of one column in the cache of shapes. */
const CHARACTERS_PER_COLUMN_SHAPE = 100;

function findShapeWithinAllowance(
  copy: SchemaCopy,
  { statement }: ReadRequest,
  query: GuardedQuery,
  reads: StatementReads | undefined,
  columnCount: number,
): ResultShape {
  try {
    return findShape(copy, statement, query, reads, columnCount);
  } catch (error) {
    // A statement that only just fits the allowance of the layers before runs nevertheless.
    if (error instanceof EngineExhausted && error.reason === "work") return assumeShape(query.usedViews, columnCount);
    throw error;
  }
}
