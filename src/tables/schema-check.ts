// Compares declared tables, row rules in SQL and saved queries with the database behind them, at a dataset's first use and in
// `npm start`. It reports problems and changes nothing.
import type { RowExpression } from "../policy/conditions.ts";
import type { SavedQuery, TableDataset } from "../policy/model.ts";
import { createGuardView } from "../policy/guard-view.ts";
import type { PolicyProblem } from "../policy/policy-problem.ts";
import { readSqliteMessage } from "../sql/d1-messages.ts";
import { classifyDatabaseError } from "../sql/sql-problem.ts";
import { PLAIN_FORM, frameQuery, guardQuery, toSql } from "../sql/statement-guard.ts";
import type { GuardView } from "../sql/statement-guard.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { OWNER_OBJECTS_SQL } from "../sql/owner-objects.ts";
import { parseTrustedStatement } from "../sql/statement.ts";

/** One difference between the policy file and the database. */
export interface SchemaProblem {
  readonly table: string;
  /** For the operator: the path in the policy file, what the database has, and how to fix it. */
  readonly message: string;
}

/** The part of D1 that the comparison uses. A local D1 that a script opened provides it too. */
interface SchemaDatabase {
  prepare(sql: string): { bind(...values: unknown[]): { all(): Promise<{ results: unknown[] }> } };
}

const COLUMNS_SQL =
  "SELECT s.name AS tableName, x.name AS columnName FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS x " +
  "WHERE s.type = 'table' AND s.name IN (SELECT value FROM json_each(?1))";

const VIEWS_SQL = "SELECT name FROM sqlite_schema WHERE type = 'view' AND name IN (SELECT value FROM json_each(?1))";

const VIEW_COLUMNS_SQL = "SELECT name AS columnName FROM pragma_table_xinfo(?1)";

/** Lists all differences between declarations and database. Extra tables and columns in the database are fine. */
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
  if (columns.size === 0 && datasets.length > 0 && !(await hasTables(database)))
    return datasets.map(({ table, source }) => ({
      table,
      message: `sources.${source}: the database is empty. Load its tables.`,
    }));
  const viewNames = await listViewNames(database, datasets);
  const views = new Map<string, readonly string[] | Error>();
  for (const name of viewNames) views.set(name, await readViewColumns(database, name));
  return datasets.flatMap((dataset) => {
    const { table, isView } = dataset;
    if (isView !== viewNames.includes(table) && (isView ? columns : views).has(table)) return [nameWrongKind(dataset)];
    const found = (isView ? views : columns).get(table);
    return found instanceof Error ? [nameBrokenView(dataset, found)] : compareTable(dataset, found);
  });
}

async function listViewNames(database: SchemaDatabase, datasets: readonly TableDataset[]): Promise<readonly string[]> {
  const { results } = await database
    .prepare(VIEWS_SQL)
    .bind(JSON.stringify(datasets.map((dataset) => dataset.table)))
    .all();
  return results.map((row) => (row as { name: string }).name);
}

/** Reads the columns of one view. A view that does not compile fails alone, and does not keep the other datasets from being compared. */
async function readViewColumns(database: SchemaDatabase, name: string): Promise<readonly string[] | Error> {
  try {
    const { results } = await database.prepare(VIEW_COLUMNS_SQL).bind(name).all();
    return results.map((row) => (row as { columnName: string }).columnName);
  } catch (error) {
    return error instanceof Error ? error : new Error("no reason given");
  }
}

function nameWrongKind({ source, table, isView }: TableDataset): SchemaProblem {
  const path = `sources.${source}.tables.${table}`;
  const message = isView
    ? `${path}: the database has a table of this name, and no view. Remove "view: true", and review its rules.`
    : `${path}: the database has a view of this name, and no table. Add "view: true" if users may read what its SELECT shows.`;
  return { table, message };
}

function nameBrokenView({ source, table }: TableDataset, { message }: Error): SchemaProblem {
  return { table, message: `sources.${source}.tables.${table}: the view does not compile: ${message}` };
}

/** Whether a database has tables besides those of SQLite, D1, wrangler and Gatehouse. */
export async function hasTables(database: SchemaDatabase): Promise<boolean> {
  const { results } = await database
    .prepare(`SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND ${OWNER_OBJECTS_SQL} LIMIT 1`)
    .bind()
    .all();
  return results.length > 0;
}

/** Lists the row rules in SQL that the database rejects. */
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
      const reason = error instanceof Error ? error.message : "no reason given";
      problems.push({
        table,
        message: `roles.${role}.rules: the database rejects the row rule on ${table}: ${reason}`,
      });
    }
  }
  return problems;
}

/** Lists the saved queries that the database rejects when they run for a user who sees every declared table, with their paths. */
export async function compareSavedQueries(
  database: SchemaDatabase,
  queries: readonly SavedQuery[],
  datasets: readonly TableDataset[],
): Promise<readonly PolicyProblem[]> {
  const problems: PolicyProblem[] = [];
  const views = datasets.map(createUnrestrictedView);
  for (const { name, text, order } of queries) {
    const statement = parseTrustedStatement(text);
    const options = {
      nonce: "start",
      maxReadRows: 1,
      ...PLAIN_FORM,
      findStorageOrder: () => undefined,
    } as const;
    const framed = frameQuery(
      statement,
      order.map(() => null),
      options,
    );
    const query = guardQuery(statement, framed, views, options);
    try {
      await database
        .prepare(`EXPLAIN ${toSql(query)}`)
        .bind(...query.parameters)
        .all();
    } catch (error) {
      const context = { statement, views, nonce: options.nonce };
      const { publicMessage } = classifyDatabaseError(error, context, query).error;
      // The database names a table that the guard withholds by the guard's own name for it.
      const reason = readSqliteMessage(error);
      const detail = reason.includes(`_${options.nonce}_`) || reason === "" ? "" : ` The database says: ${reason}.`;
      const message = `the database rejects the query: ${publicMessage}${detail} Correct the SQL.`;
      problems.push({ path: ["queries", name, "sql"], message });
    }
  }
  return problems;
}

function createUnrestrictedView(dataset: TableDataset): GuardView {
  const columns = Object.fromEntries(dataset.columns.map(({ name }) => [name, { kind: "clear" as const }]));
  const grants = [{ rule: "start", rows: null, columns, reveal: [] }];
  return createGuardView({ allowed: true, dataset, grants, rules: [] }, dataset, String);
}

function compareTable(dataset: TableDataset, actualColumns: readonly string[] | undefined): SchemaProblem[] {
  const path = `sources.${dataset.source}.tables.${dataset.table}`;
  const { table } = dataset;
  if (actualColumns === undefined) {
    const kind = dataset.isView ? "view" : "table";
    return [
      { table, message: `${path}: the database has no ${kind} of this name. Correct the name or remove the entry.` },
    ];
  }
  return dataset.columns
    .filter((column) => !actualColumns.includes(column.name))
    .map(({ name }) => ({
      table,
      message: `${path}.columns.${name}: the ${dataset.isView ? "view" : "table"} has no such column. It has: ${actualColumns.join(", ")}.`,
    }));
}
