// Reads D1's error messages: SQLite's own message inside them, and whether the database failed and not the statement.

/** SQLite's code at the end of a message that comes from a statement, such as `: SQLITE_ERROR`. */
const CODE = /: (SQLITE_[A-Z_]+)(?: \(extended: [A-Z_]+\))?$/;

/** Codes that say that the database failed. With any other code the text before it may be the user's own. */
const OUTAGE_CODES = new Set(["SQLITE_BUSY", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_LOCKED"]);

const OUTAGE =
  /overloaded|Network connection lost|storage operation exceeded timeout|reset because|internal error|is busy/i;

const TIMEOUT =
  /exceeded its CPU time limit|exceeded its memory limit|query timed? ?out|statement (?:execution )?time/i;

/** Unwraps SQLite's text from D1's message, such as `D1_ERROR: no such column: x at offset 12: SQLITE_ERROR`. */
export function readSqliteMessage(thrown: unknown): string {
  return readMessage(thrown)
    .replace(/^D1_(?:EXEC_)?ERROR: /, "")
    .replace(CODE, "")
    .replace(/ at offset \d+$/, "");
}

/** Whether the database did not answer, whatever the statement was. */
export function isOutage(thrown: unknown): boolean {
  const code = CODE.exec(readMessage(thrown))?.[1];
  if (code !== undefined) return OUTAGE_CODES.has(code);
  return OUTAGE.test(readMessage(thrown)) && !isTimeout(readSqliteMessage(thrown));
}

/** Whether another connection held the database's lock, so that nothing of the statement ran. */
export function isLocked(thrown: unknown): boolean {
  return CODE.exec(readMessage(thrown))?.[1] === "SQLITE_BUSY";
}

/** Whether a message says that the statement used up its time or memory. */
export function isTimeout(message: string): boolean {
  return TIMEOUT.test(message);
}

function readMessage(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : "";
}
