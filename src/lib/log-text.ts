// Removes from the text of an error what may identify a user: the log carries ids, and people who read it need not learn whose data it was.
import { shortenAddresses } from "./email-address.ts";

/** Messages of SQLite, of D1 and of the JSON parser, which quote the text that they stumble over. */
const QUOTES_DATA = /\bSQLITE_[A-Z]|\bD1_\w*ERROR\b|is not valid JSON/;
const QUOTED = /(["'`])(?:(?!\1)[^])*\1/g;

/** Shortens email addresses, and removes what messages quote that may quote SQL, values or documents. */
export function redactLogText(text: string): string {
  return shortenAddresses(QUOTES_DATA.test(text) ? text.replaceAll(QUOTED, "$1…$1") : text);
}
