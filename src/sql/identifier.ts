// Names in SQL: quoting, and comparing them as SQLite does.
import { firstInvisible } from "../lib/visible-text.ts";

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
  // Nearly all names are folded already.
  return /[A-Z]/.test(name) ? name.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : name;
}

const MAX_COLUMN_NAME_LENGTH = 100;

/** Names for a result's columns that differ from each other and that a later query can write. */
export function columnNames(given: readonly string[]): readonly string[] {
  const taken = new Set<string>();
  return given.map((name, index) => {
    const isUsable = name !== "" && name.length <= MAX_COLUMN_NAME_LENGTH && firstInvisible(name) === undefined;
    // SQLite writes the second `a` of a subquery as `a:1`.
    const base =
      isUsable && reservedPrefixOf(name) === undefined ? name.replace(/:(\d+)$/, "_$1") : `column_${index + 1}`;
    let distinct = base;
    for (let copy = 2; taken.has(foldName(distinct)); copy += 1) distinct = `${base}_${copy}`;
    taken.add(foldName(distinct));
    return distinct;
  });
}
