// The table that keeps tokens in a source's own database, as `npm run migrate` and `npm start` make it.
import { TOKEN_TABLE } from "../policy/masks.ts";

/** Statements that can be repeated. */
export const TOKEN_TABLE_SQL: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${TOKEN_TABLE} (domain TEXT NOT NULL, value TEXT NOT NULL, token TEXT NOT NULL, PRIMARY KEY (domain, value)) WITHOUT ROWID`,
  `CREATE UNIQUE INDEX IF NOT EXISTS ${TOKEN_TABLE}_by_token ON ${TOKEN_TABLE} (domain, token)`,
];
