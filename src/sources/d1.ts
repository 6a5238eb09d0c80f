// A D1 database as a source: runs what the layers made, in one transaction.
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import { sqlOf } from "../sql/guard.ts";
import type { SqlValue } from "../sql/parameters.ts";
import { readProblem } from "../sql/problem.ts";
import { DatabaseProblem } from "./reading.ts";
import type { Execute, Layer, SchemaKeeper } from "./reading.ts";
import type { TableSource } from "./source.ts";
import { createTableSource } from "./tables.ts";
import type { TableTokens } from "./tables.ts";

/** Builds the source of one declared D1 binding behind these layers. */
export function createD1Source(
  declaration: SourceDeclaration,
  datasets: readonly TableDataset[],
  database: D1Database,
  schemas: SchemaKeeper,
  layers: readonly Layer[],
  tokens: TableTokens | null = null,
): TableSource {
  return createTableSource({ declaration, datasets, schemas, layers, tokens, execute: executeOn(database) });
}

/**
 * Runs a statement behind its companions, all in one transaction, on any copy of the database that is as new as the
 * person's last read.
 */
function executeOn(database: D1Database): Execute {
  return async ({ request, query, companions }) => {
    const session = database.withSession(request.bookmark ?? "first-unconstrained");
    const prepare = (sql: string, parameters: readonly SqlValue[]): D1PreparedStatement =>
      session.prepare(sql).bind(...parameters);
    const statements = [
      ...companions.map(({ sql, parameters }) => prepare(sql, parameters)),
      prepare(sqlOf(query), query.parameters),
    ];
    const results = await session.batch<Record<string, unknown>>(statements).catch((thrown: unknown) => {
      throw new DatabaseProblem(readProblem(thrown, request, query));
    });
    const records = results.map((result) => result.results);
    return {
      records: records.at(-1) ?? [],
      companions: records.slice(0, -1),
      columns: [],
      used: query.used,
      bookmark: session.getBookmark(),
    };
  };
}
