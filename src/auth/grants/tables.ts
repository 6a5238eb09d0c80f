// Tables that come into being with the first write: anybody can ask for the token of a made-up user, and asking must leave
// nothing behind.

export interface Tables {
  /** For reading; undefined as long as nothing was ever written. */
  existing(): SqlStorage | undefined;
  /** For writing. */
  ensured(): SqlStorage;
  /** Everything is gone; the storage was emptied. */
  forget(): void;
}

/** `schema` creates what is missing; `anyTable` is the name of a table in it. */
export function openTables(sql: SqlStorage, schema: string, anyTable: string): Tables {
  let exist = sql.exec("SELECT 1 FROM sqlite_master WHERE name = ?", anyTable).toArray().length > 0;
  return {
    existing: () => (exist ? sql : undefined),
    ensured() {
      if (!exist) sql.exec(schema);
      exist = true;
      return sql;
    },
    forget: () => void (exist = false),
  };
}
