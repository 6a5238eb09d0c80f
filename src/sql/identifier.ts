// Names in SQL: quoting, and comparing them as SQLite does.

/** A double-quoted identifier. Callers pass declared names only, never text from a request. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Names that the database or Gatehouse keeps for itself: nobody's SQL may use them, and no dataset may have them. */
export const RESERVED_PREFIXES: readonly string[] = ["sqlite_", "pragma_", "_cf_", "_gatehouse", "fts5", "rtree"];

/** The reserved beginning of a name, if it has one. */
export function reservedPrefixOf(name: string): string | undefined {
  const folded = foldName(name);
  return RESERVED_PREFIXES.find((prefix) => folded.startsWith(prefix));
}

/** SQLite folds case for ASCII letters alone: `É` and `é` are different names. */
export function foldName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
