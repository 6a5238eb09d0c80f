// The layer of governed SQL that finds out what the columns of a result are, for its answer and for the result that is stored. It refuses
// nothing.
import { EngineExhausted } from "../sql/engine/meter.ts";
import { assumeShape, findShape, findTableComparisons } from "../sql/result-shape.ts";
import type { ResultShape, TableComparisons } from "../sql/result-shape.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { buildStatementKey, createStatementCache } from "../sql/statement-cache.ts";
import type { Middleware, ReadContext } from "./read-pipeline.ts";

/** Finds out where the columns of a result come from, and how SQLite compares them. */
export function shape(): Middleware {
  const cache = createStatementCache<ResultShape>(({ columns }) => columns.length * CHARACTERS_PER_COLUMN_SHAPE);
  const tableCache = createStatementCache<TableComparisons>(({ size }) => size * CHARACTERS_PER_COLUMN_SHAPE);
  const compareTable = (copy: SchemaCopy, table: string): TableComparisons => {
    const comparisons = tableCache.get(copy, table) ?? findTableComparisons(copy, table);
    tableCache.set(copy, table, comparisons);
    return comparisons;
  };
  return (next) => async (context) => {
    const { query, request, schema } = context;
    const key = buildStatementKey(query, request.nonce);
    const foundShape = schema.use((copy) => {
      const cachedShape = cache.get(copy, key);
      if (cachedShape !== undefined) return cachedShape;
      const newShape = findShapeWithinAllowance(copy, context, (table) => compareTable(copy, table));
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
  { request, query, reads, columns = [] }: ReadContext,
  getTableComparisons: (table: string) => TableComparisons,
): ResultShape {
  try {
    return findShape(copy, request.statement, query, reads, columns.length, getTableComparisons);
  } catch (error) {
    // A statement that only just fits the allowance of the layers before runs nevertheless.
    if (error instanceof EngineExhausted && error.reason === "work")
      return assumeShape(query.usedViews, columns.length);
    throw error;
  }
}
