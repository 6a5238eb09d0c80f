// Quotes, compares and reserves names in SQL, as SQLite does.
import { firstInvisible } from "../lib/visible-text.ts";

/** Puts an identifier in double quotes, and doubles the quotes inside it. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Puts a text in single quotes, and doubles the quotes inside it: for statements that take no parameters. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Lists prefixes of names that belong to the database or to Gatehouse: no user's SQL and no dataset may use such a name. */
export const RESERVED_PREFIXES: readonly string[] = ["sqlite_", "pragma_", "_cf_", "_gatehouse", "fts5", "rtree"];

/** Finds the reserved prefix of a name; undefined if it has none. */
export function findReservedPrefix(name: string): string | undefined {
  const folded = foldName(name);
  return RESERVED_PREFIXES.find((prefix) => folded.startsWith(prefix));
}

/** Folds the case of a name as SQLite does, for ASCII letters only: `É` and `é` are different names. */
export function foldName(name: string): string {
  // Nearly all names are already in lower case.
  return /[A-Z]/.test(name) ? name.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : name;
}

const MAX_COLUMN_NAME_LENGTH = 100;

/** Gives the columns of a result unique names that a later query can use. */
export function makeUniqueColumnNames(names: readonly string[]): readonly string[] {
  const takenNames = new Set<string>();
  return names.map((name, index) => {
    const isUsable = name !== "" && name.length <= MAX_COLUMN_NAME_LENGTH && firstInvisible(name) === undefined;
    // SQLite names the second `a` of a subquery `a:1`.
    const base =
      isUsable && findReservedPrefix(name) === undefined ? name.replace(/:(\d+)$/, "_$1") : `column_${index + 1}`;
    let uniqueName = base;
    for (let copy = 2; takenNames.has(foldName(uniqueName)); copy += 1) uniqueName = `${base}_${copy}`;
    takenNames.add(foldName(uniqueName));
    return uniqueName;
  });
}
