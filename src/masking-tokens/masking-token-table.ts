// The SQL of the tables that Gatehouse keeps in a source's own database. `npm run migrate`, `npm start` and `npm run deploy` run it;
// the Worker itself never does.
import { MASKING_TOKEN_TABLE } from "../policy/masks.ts";

/** The table that holds the number of the layout in its only row. */
export const SOURCE_LAYOUT_TABLE = "_gatehouse_layout";
/** The number of the layout that this version needs. Each change of the tables raises it; layout 0 had no number. */
export const SOURCE_LAYOUT_NUMBER = 1;

/** The table's name in layout 0, where the column `masking_token` was named `token`. */
export const LAYOUT_0_TABLE = "_gatehouse_token";

/** Statements that store the number of this layout. Repeating them changes nothing. */
export const SOURCE_LAYOUT_SQL: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${SOURCE_LAYOUT_TABLE} (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL)`,
  `INSERT INTO ${SOURCE_LAYOUT_TABLE} (id, number) VALUES (1, ${SOURCE_LAYOUT_NUMBER})
    ON CONFLICT (id) DO UPDATE SET number = max(number, excluded.number)`,
];

/** Statements that create the tables, or upgrade them from layout 0. Repeating them changes nothing. */
export const SOURCE_TABLES_SQL: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${MASKING_TOKEN_TABLE} (
    domain TEXT NOT NULL, value TEXT NOT NULL, masking_token TEXT NOT NULL, PRIMARY KEY (domain, value)
  ) WITHOUT ROWID`,
  `CREATE UNIQUE INDEX IF NOT EXISTS ${MASKING_TOKEN_TABLE}_by_token ON ${MASKING_TOKEN_TABLE} (domain, masking_token)`,
  // A statement that reads a missing table fails, so an empty table of layout 0 is created where there is none.
  `CREATE TABLE IF NOT EXISTS ${LAYOUT_0_TABLE} (domain TEXT, value TEXT, token TEXT)`,
  `INSERT OR IGNORE INTO ${MASKING_TOKEN_TABLE} SELECT domain, value, token FROM ${LAYOUT_0_TABLE}`,
  `DROP TABLE ${LAYOUT_0_TABLE}`,
  ...SOURCE_LAYOUT_SQL,
];
