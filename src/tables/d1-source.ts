// The table source over a D1 database. It runs the statement that the middleware composed, in one transaction with its check
// statements, or has the database explain it.
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import { toSql } from "../sql/statement-guard.ts";
import type { DriverValue } from "../sql/parameters.ts";
import { classifyDatabaseError } from "../sql/sql-problem.ts";
import { DatabaseError } from "../read/read-pipeline.ts";
import type { Execute, Middleware, SchemaCache } from "../read/read-pipeline.ts";
import type { TableSource } from "../read/source.ts";
import type { ReadTrace } from "../read/read-trace.ts";
import { createTableSource } from "./table-source.ts";
import type { ChangeTarget } from "../read/change-target.ts";
import type { ShowDependencies } from "./change-show.ts";
import type { MaskingTokens } from "./table-source.ts";

/** Creates the source of one declared D1 binding behind the given middleware. `execute` is the last step of its reads. */
export function createD1Source(
  declaration: SourceDeclaration,
  datasets: readonly TableDataset[],
  database: D1Database,
  schemaCache: SchemaCache,
  middleware: readonly Middleware[],
  maskingTokens: MaskingTokens | null = null,
  execute: Execute = createD1Execute(database),
  createChanges?: (dependencies: ShowDependencies) => ChangeTarget,
): TableSource {
  return createTableSource({
    declaration,
    datasets,
    schemaCache,
    middleware,
    maskingTokens,
    execute,
    createChanges,
  });
}

/**
 * Creates the last step of a read: it runs the check statements and then the query in one transaction, on any replica that is at
 * least as new as the user's last read.
 */
function createD1Execute(database: D1Database): Execute {
  return async ({ request, query, checkStatements }) => {
    const session = database.withSession(request.bookmark ?? "first-unconstrained");
    const prepare = (sql: string, parameters: readonly DriverValue[]): D1PreparedStatement =>
      session.prepare(sql).bind(...parameters);
    const statements = [
      ...checkStatements.map(({ sql, parameters }) => prepare(sql, parameters)),
      prepare(toSql(query), query.parameters),
    ];
    const results = await session.batch<Record<string, unknown>>(statements).catch((thrown: unknown) => {
      throw new DatabaseError(classifyDatabaseError(thrown, request, query));
    });
    const records = results.map((result) => result.results);
    return {
      records: records.at(-1) ?? [],
      checkRecords: records.slice(0, -1),
      columns: [],
      bookmark: session.getBookmark(),
    };
  };
}

/**
 * Creates a last step that does not run the statement: it runs the check statements, which read the schema and explain the program, and
 * has the database explain the plan. The result has no rows. No row of the user's tables is read.
 */
export function createD1Explain(database: D1Database, trace: ReadTrace): Execute {
  return trace.traceDatabase(async (context) => {
    const { query, checkStatements, request } = context;
    const plan = { sql: `EXPLAIN QUERY PLAN ${toSql(query)}`, parameters: query.parameters };
    const statements = [...checkStatements, plan].map(({ sql, parameters }) =>
      database.prepare(sql).bind(...parameters),
    );
    const results = await database.batch<Record<string, unknown>>(statements).catch((thrown: unknown) => {
      throw new DatabaseError(classifyDatabaseError(thrown, request, query));
    });
    const records = results.map((result) => result.results);
    trace.recordStatement(context, {
      plan: (records.at(-1) ?? []).map(({ id, parent, detail }) => ({
        id: Number(id),
        parent: Number(parent),
        detail: String(detail),
      })),
      instructions: records.at(-2)?.length ?? 0,
    });
    return { records: [], checkRecords: records.slice(0, -1), columns: [], bookmark: null };
  });
}
