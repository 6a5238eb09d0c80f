// The tables that Gatehouse keeps beside the data of a source that can be changed, because they are written in the transaction of a change.
// `npm run migrate`, `npm start` and `npm run deploy` create them; the Worker itself never does.

/** A row for each change that was applied, and for each that never will be. Its key keeps a change from being applied twice. */
export const JOURNAL_TABLE = "_gatehouse_journal";
/** The values of the rows of changes, cell by cell: before the approval, before the change, and after it. */
export const IMAGE_TABLE = "_gatehouse_image";
/** Rows that exist only within a transaction: their CHECKs end one whose conditions do not hold. */
export const ASSERT_TABLE = "_gatehouse_assert";

/** The names of all three. */
export const CHANGE_TABLES: readonly string[] = [JOURNAL_TABLE, IMAGE_TABLE, ASSERT_TABLE];

/** What a transaction asserts, by the column of the assertion. The name of the CHECK is in the database's message. */
export const ASSERTIONS = [
  "rows_unchanged",
  "rows_allowed",
  "rows_in_sight",
  "rows_complete",
  "schema_unchanged",
] as const;
export type Assertion = (typeof ASSERTIONS)[number];

/** Names the CHECK of an assertion. */
export function nameAssertion(assertion: Assertion): string {
  return `gatehouse_${assertion}`;
}

/** Statements that create the tables. Repeating them changes nothing. */
export const CHANGE_TABLES_SQL: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${JOURNAL_TABLE} (
    change_id TEXT PRIMARY KEY, dataset TEXT NOT NULL, outcome TEXT NOT NULL, at_ms INTEGER NOT NULL, undoes TEXT UNIQUE
  ) WITHOUT ROWID`,
  `CREATE INDEX IF NOT EXISTS ${JOURNAL_TABLE}_by_time ON ${JOURNAL_TABLE} (at_ms)`,
  // `value` has no type, so SQLite keeps every value exactly as it is.
  `CREATE TABLE IF NOT EXISTS ${IMAGE_TABLE} (
    change_id TEXT NOT NULL, phase TEXT NOT NULL, row INTEGER NOT NULL, "column" TEXT NOT NULL, value,
    PRIMARY KEY (change_id, phase, row, "column")
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS ${ASSERT_TABLE} (
    change_id TEXT NOT NULL, ${ASSERTIONS.map((name) => `${name} INTEGER NOT NULL DEFAULT 1`).join(", ")},
    ${ASSERTIONS.map((name) => `CONSTRAINT ${nameAssertion(name)} CHECK (${name} = 1)`).join(", ")}
  )`,
];
