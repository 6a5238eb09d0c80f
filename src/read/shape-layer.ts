// The layer of governed SQL that finds out what an allowed statement reads and what the columns of its result are, for its answer and for
// the result that is stored. It refuses nothing.
import { EngineExhausted } from "../sql/engine/meter.ts";
import { assumeShape, findShape } from "../sql/result-shape.ts";
import type { ResultShape } from "../sql/result-shape.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { buildStatementKey, createStatementCache } from "../sql/statement-cache.ts";
import type { GuardedQuery } from "../sql/statement-guard.ts";
import type { Middleware, ReadRequest } from "./read-pipeline.ts";

/** Finds out what an allowed statement reads, and where the columns of its result come from. */
export function shape(): Middleware {
  const cache = createStatementCache<ResultShape>(({ columns }) => columns.length * CHARACTERS_PER_COLUMN_SHAPE);
  return (next) => async (context) => {
    const { query, request, schema, columns = [] } = context;
    const key = buildStatementKey(query, request.nonce);
    const foundShape = schema.use((copy) => {
      const cachedShape = cache.get(copy, key);
      if (cachedShape !== undefined) return cachedShape;
      const newShape = findShapeWithinAllowance(copy, request, query, columns.length);
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
  columnCount: number,
): ResultShape {
  try {
    return findShape(copy, statement, query, columnCount);
  } catch (error) {
    // A statement that only just fits the allowance of the layers before runs nevertheless.
    if (error instanceof EngineExhausted && error.reason === "work") return assumeShape(query.usedViews, columnCount);
    throw error;
  }
}
