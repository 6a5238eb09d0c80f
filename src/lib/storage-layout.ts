// The numbered table layout of a Durable Object: creates it in empty storage and upgrades an earlier one. Refuses a number that this
// version does not know, so that an older version never misreads the data of a newer one.

/** The table layout of one class of objects. Its number is the count of its upgrades. */
export interface StorageLayout {
  /** The class of the objects, which messages name: "LedgerObject". */
  readonly holder: string;
  /** Statements that create every missing table and index. */
  readonly schema: string;
  /**
   * Statements that create every missing table that was added without a new number, because the version before works on beside it: after a
   * rollback it ignores the table. They run whenever an object starts.
   */
  readonly additions?: string;
  /**
   * Entry n upgrades layout n to layout n + 1. Layout 0 is what clones of the repository stored before layouts had numbers. Never
   * change a released entry: append a new one.
   */
  readonly upgrades: readonly ((sql: SqlStorage) => void)[];
}

/** Thrown when a newer version of Gatehouse wrote the storage, or the number is damaged. The message names the command to run. */
export class UnknownLayoutError extends Error {
  constructor(holder: string, storedNumber: number, newestNumber: number) {
    super(
      `${holder}: the storage has layout ${storedNumber}, and this version of Gatehouse knows layouts up to ${newestNumber}. ` +
        "Deploy the version that wrote it, or a newer one (npm run deploy). " +
        "On your own machine you can instead delete all local state: npm run reset",
    );
    this.name = "UnknownLayoutError";
  }
}

const LAYOUT_TABLE =
  "CREATE TABLE IF NOT EXISTS layout (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL)";

/** Creates the newest layout in empty storage, or upgrades an earlier one to it. Throws `UnknownLayoutError`. */
export function openLayout(storage: DurableObjectStorage, layout: StorageLayout): void {
  if (!upgradeLayout(storage, layout)) createLayout(storage, layout);
}

/** Creates every table in empty storage, with the number of the layout. */
export function createLayout(storage: DurableObjectStorage, layout: StorageLayout): void {
  storage.transactionSync(() => {
    storage.sql.exec(layout.schema);
    createAdditions(storage.sql, layout);
    storeNumber(storage.sql, layout.upgrades.length);
  });
}

/**
 * Upgrades stored tables to the newest layout in one transaction. Returns false and creates nothing when the storage has no tables.
 * Throws `UnknownLayoutError`.
 */
export function upgradeLayout(storage: DurableObjectStorage, layout: StorageLayout): boolean {
  const { holder, schema, upgrades } = layout;
  const { sql } = storage;
  const tables = listTables(sql);
  if (tables.length === 0) return false;
  const storedNumber = tables.includes("layout")
    ? sql.exec<{ number: number }>("SELECT number FROM layout").one().number
    : 0;
  const newestNumber = upgrades.length;
  if (storedNumber < 0 || storedNumber > newestNumber) throw new UnknownLayoutError(holder, storedNumber, newestNumber);
  if (storedNumber === newestNumber) {
    createAdditions(sql, layout);
    return true;
  }
  storage.transactionSync(() => {
    for (const upgrade of upgrades.slice(storedNumber)) upgrade(sql);
    sql.exec(schema);
    createAdditions(sql, layout);
    storeNumber(sql, newestNumber);
  });
  return true;
}

/** Renames a table if it exists. Drops its named indexes: the schema creates them again under their new names. */
export function renameTable(sql: SqlStorage, from: string, to: string): void {
  if (!listTables(sql).includes(from)) return;
  const indexes = sql.exec<{ name: string }>(
    "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
    from,
  );
  for (const { name } of indexes.toArray()) sql.exec(`DROP INDEX "${name}"`);
  sql.exec(`ALTER TABLE "${from}" RENAME TO "${to}"`);
}

/** Renames a column if it exists. */
export function renameColumn(sql: SqlStorage, table: string, from: string, to: string): void {
  if (hasColumn(sql, table, from)) sql.exec(`ALTER TABLE "${table}" RENAME COLUMN "${from}" TO "${to}"`);
}

/** Adds a column to an existing table that lacks it. `definition` is the column's type and constraints. */
export function addColumn(sql: SqlStorage, table: string, column: string, definition: string): void {
  if (listTables(sql).includes(table) && !hasColumn(sql, table, column))
    sql.exec(`ALTER TABLE "${table}" ADD COLUMN "${column}" ${definition}`);
}

function hasColumn(sql: SqlStorage, table: string, column: string): boolean {
  return sql.exec("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", table, column).toArray().length > 0;
}

function createAdditions(sql: SqlStorage, { additions }: StorageLayout): void {
  if (additions !== undefined) sql.exec(additions);
}

/** Lists Gatehouse's tables, without those of SQLite and of the platform. */
function listTables(sql: SqlStorage): readonly string[] {
  return sql
    .exec<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .toArray()
    .map(({ name }) => name)
    .filter((name) => !/^(?:sqlite_|_cf_)/.test(name));
}

function storeNumber(sql: SqlStorage, number: number): void {
  sql.exec(LAYOUT_TABLE);
  sql.exec("INSERT OR REPLACE INTO layout (id, number) VALUES (1, ?)", number);
}
