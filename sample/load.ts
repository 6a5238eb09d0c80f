// Loads the sample into databases and a KV namespace, in batches. It can run repeatedly, because existing rows stay unchanged.
import type { Table } from "./table.ts";

/** The part of D1 that loading uses, because scripts and tests have different types for D1. */
interface LoadDatabase {
  prepare(sql: string): { bind(...values: unknown[]): LoadStatement };
  batch(statements: LoadStatement[]): Promise<unknown>;
}

interface LoadStatement {
  run(): Promise<unknown>;
}

/** The part of KV that loading uses. */
interface LoadNamespace {
  put(key: string, value: string): Promise<unknown>;
}

/** Rows in one INSERT, which binds them as one JSON text. */
const ROWS_PER_STATEMENT = 500;
const STATEMENTS_PER_BATCH = 8;

/** Inserts the rows of all tables, in order. */
export async function loadTables(database: LoadDatabase, tables: readonly Table[]): Promise<void> {
  const statements = tables.flatMap((table) => prepareInserts(database, table));
  for (let start = 0; start < statements.length; start += STATEMENTS_PER_BATCH) {
    await database.batch(statements.slice(start, start + STATEMENTS_PER_BATCH));
  }
}

/** Stores documents by their keys. */
export async function loadDocuments(namespace: LoadNamespace, documents: ReadonlyMap<string, string>): Promise<void> {
  for (const [key, text] of documents) await namespace.put(key, text);
}

function prepareInserts(database: LoadDatabase, { name, columns, rows }: Table): LoadStatement[] {
  const values = columns.map((_, index) => `value ->> ${index}`).join(", ");
  const sql = `INSERT OR IGNORE INTO ${name} (${columns.join(", ")}) SELECT ${values} FROM json_each(?1)`;
  const statement = database.prepare(sql);
  const statements = [];
  for (let start = 0; start < rows.length; start += ROWS_PER_STATEMENT) {
    statements.push(statement.bind(JSON.stringify(rows.slice(start, start + ROWS_PER_STATEMENT))));
  }
  return statements;
}
