// Runs statements of a D1 database with their values, for the stores.

/** The statements of one database. The values are those of the SQL's parameters, in order. */
export interface Statements {
  readonly prepare: (sql: string, ...values: readonly unknown[]) => D1PreparedStatement;
  readonly all: <Row>(sql: string, ...values: readonly unknown[]) => Promise<readonly Row[]>;
  /** Returns how many rows it has changed. */
  readonly run: (sql: string, ...values: readonly unknown[]) => Promise<number>;
  /** Whether a table exists: commands also open databases of earlier versions. */
  readonly hasTable: (name: string) => Promise<boolean>;
}

/** Opens the statements of a database. */
export function openStatements(database: D1Database): Statements {
  const prepare: Statements["prepare"] = (sql, ...values) => database.prepare(sql).bind(...values);
  return {
    prepare,
    all: async <Row>(sql: string, ...values: readonly unknown[]) => (await prepare(sql, ...values).all<Row>()).results,
    run: async (sql, ...values) => (await prepare(sql, ...values).run()).meta.changes,
    hasTable: async (name) => (await prepare("SELECT 1 FROM sqlite_schema WHERE name = ?", name).first()) !== null,
  };
}
