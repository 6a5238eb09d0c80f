// Writes the name of a table, column or alias in messages as SQL can use it.
import { foldName, quoteIdentifier } from "./identifier.ts";
import { isKeyword } from "./syntax-errors.ts";

/** Words that are names elsewhere, and begin a value where a column could be. */
const VALUE_WORDS = new Set(["cast", "current_date", "current_time", "current_timestamp", "raise"]);

/** Writes a name as it is where SQLite reads it as one name, and in double quotes elsewhere. */
export function writeName(name: string): string {
  // SQLite reads every character beyond ASCII as a letter.
  const isOneWord = /^[A-Za-z_\u0080-\u{10ffff}][A-Za-z0-9_$\u0080-\u{10ffff}]*$/u.test(name);
  return isOneWord && !isKeyword(name) && !VALUE_WORDS.has(foldName(name)) ? name : quoteIdentifier(name);
}
