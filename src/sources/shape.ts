// Compares declared tables, row rules in SQL and saved queries with the database behind them. Run at a dataset's first use and by `npm start`.
import type { RowExpression } from "../policy/conditions.ts";
import type { SavedQuery, TableDataset } from "../policy/model.ts";
import { guardViewOf } from "../policy/views.ts";
import { frameQuery, guardQuery, sqlOf } from "../sql/guard.ts";
import type { GuardView } from "../sql/guard.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { readStatement } from "../sql/statement.ts";

export interface SchemaProblem {
  readonly table: string;
  /** For the operator: the path in the policy file, what is there and what would be right. */
  readonly message: string;
}

/** The part of D1 that the comparison uses; a local D1 opened by a script has it too. */
export interface SchemaDatabase {
  prepare(sql: string): { bind(...values: unknown[]): { all(): Promise<{ results: unknown[] }> } };
}

const COLUMNS_SQL =
  "SELECT s.name AS tableName, x.name AS columnName FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS x " +
  "WHERE s.type = 'table' AND s.name IN (SELECT value FROM json_each(?1))";

/** Every way in which the declarations differ from the database; empty when they agree. Extra columns are fine. */
export async function compareSchema(
  database: SchemaDatabase,
  datasets: readonly TableDataset[],
): Promise<readonly SchemaProblem[]> {
  const { results } = await database
    .prepare(COLUMNS_SQL)
    .bind(JSON.stringify(datasets.map((dataset) => dataset.table)))
    .all();
  const columns = new Map<string, string[]>();
  for (const row of results) {
    const { tableName, columnName } = row as { tableName: string; columnName: string };
    columns.set(tableName, [...(columns.get(tableName) ?? []), columnName]);
  }
  return datasets.flatMap((dataset) => compareTable(dataset, columns.get(dataset.table)));
}

/** The row rules in SQL that the database does not take. */
export async function compareExpressions(
  database: SchemaDatabase,
  expressions: readonly RowExpression[],
): Promise<readonly SchemaProblem[]> {
  const problems: SchemaProblem[] = [];
  for (const { table, role, sql } of expressions) {
    try {
      await database
        .prepare(`EXPLAIN SELECT 1 FROM main.${quoteIdentifier(table)} WHERE (${sql})`)
        .bind()
        .all();
    } catch (error) {
      const said = error instanceof Error ? error.message : "no reason given";
      problems.push({
        table,
        message: `roles.${role}.rules: the database does not take the row rule on ${table}: ${said}`,
      });
    }
  }
  return problems;
}

/** The saved queries that the database does not take, as somebody would run them who sees every declared table. */
export async function compareSaved(
  database: SchemaDatabase,
  queries: readonly SavedQuery[],
  datasets: readonly TableDataset[],
): Promise<readonly SchemaProblem[]> {
  const problems: SchemaProblem[] = [];
  for (const { name, text, order } of queries) {
    const statement = readStatement(text);
    const options = {
      nonce: "start",
      maxRows: 1,
      materialized: false,
      fenced: false,
      ordering: "free",
      untelling: [],
      ownOrderOf: () => undefined,
    } as const;
    const framed = frameQuery(
      statement,
      order.map(() => null),
      options,
    );
    const query = guardQuery(statement, framed, datasets.map(wholeView), options);
    try {
      await database
        .prepare(`EXPLAIN ${sqlOf(query)}`)
        .bind(...query.parameters)
        .all();
    } catch (error) {
      const said = error instanceof Error ? error.message : "no reason given";
      problems.push({ table: name, message: `queries.${name}.sql: the database does not take it: ${said}` });
    }
  }
  return problems;
}

function wholeView(dataset: TableDataset): GuardView {
  const columns = Object.fromEntries(dataset.columns.map(({ name }) => [name, { kind: "clear" as const }]));
  const grants = [{ rule: "start", rows: null, columns, reveal: [] }];
  return guardViewOf({ allowed: true, dataset, grants, rules: [] }, dataset, String);
}

function compareTable(dataset: TableDataset, actual: readonly string[] | undefined): SchemaProblem[] {
  const path = `sources.${dataset.source}.tables.${dataset.table}`;
  const { table } = dataset;
  if (actual === undefined) {
    return [
      { table, message: `${path}: the database has no table of this name. Correct the name or remove the entry.` },
    ];
  }
  return dataset.columns
    .filter((column) => !actual.includes(column.name))
    .map(({ name }) => ({
      table,
      message: `${path}.columns.${name}: the table has no such column. It has: ${actual.join(", ")}.`,
    }));
}
