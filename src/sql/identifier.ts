// Names in SQL: quoting, and comparing them as SQLite does.

/** A double-quoted identifier. Callers pass declared names only, never text from a request. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** SQLite folds case for ASCII letters alone: `É` and `é` are different names. */
export function foldName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
