// Splits the text of an SQL dump into statements, as SQLite's shell does. The text has one character for each byte of the file, because
// a dump may contain text that is not valid UTF-8; SQL's own characters are all ASCII.
import { isUtf8 } from "node:buffer";

/** The character that closes a quotation, by the one that opens it. */
const CLOSING: Readonly<Record<string, string>> = { "'": "'", '"': '"', "`": "`", "[": "]" };
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const TRIGGER = /^CREATE\s+(?:TEMP(?:ORARY)?\s+)?TRIGGER\b/i;

/** Yields the statements of a dump without their final semicolons, comments before them and empty statements. */
export function* splitStatements(text: string): Generator<string> {
  let start = skipBlank(text, 0);
  let at = start;
  // A trigger contains statements, so it ends with `; END;`.
  let last = "";
  let beforeLast = "";
  while (at < text.length) {
    const character = text.charAt(at);
    const isEnd = character === ";" && !(isTrigger(text, start) && !(last === "END" && beforeLast === ";"));
    if (isEnd) {
      if (at > start) yield text.slice(start, at);
      start = skipBlank(text, at + 1);
      at = start;
      [last, beforeLast] = ["", ""];
      continue;
    }
    const end = endOfToken(text, at);
    const token = text.slice(at, Math.min(end, at + 4));
    if (!isBlank(token)) [beforeLast, last] = [last, end - at <= 3 ? token.toUpperCase() : ""];
    at = end;
  }
  const rest = text.slice(start).trim();
  if (rest !== "") yield rest;
}

function isTrigger(text: string, start: number): boolean {
  return TRIGGER.test(text.slice(start, start + 200));
}

function isBlank(token: string): boolean {
  return token.trim() === "" || token.startsWith("--") || token.startsWith("/*");
}

/** The position after spaces and comments. */
function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length && (/\s/.test(text.charAt(at)) || text.startsWith("--", at) || text.startsWith("/*", at)))
    at = endOfToken(text, at);
  return at;
}

/** The position after the quotation, comment, word or character that begins at `at`. An open one ends with the text. */
function endOfToken(text: string, at: number): number {
  const character = text.charAt(at);
  const closing = CLOSING[character];
  if (closing !== undefined) return endOfQuotation(text, at, closing);
  if (text.startsWith("--", at)) return after(text, "\n", at);
  if (text.startsWith("/*", at)) return after(text, "*/", at + 2);
  WORD.lastIndex = at;
  return WORD.test(text) ? WORD.lastIndex : at + 1;
}

function endOfQuotation(text: string, at: number, closing: string): number {
  let end = after(text, closing, at + 1);
  // A bracket cannot be doubled.
  if (closing === "]") return end;
  while (text.charAt(end) === closing) end = after(text, closing, end + 1);
  return end;
}

function after(text: string, part: string, from: number): number {
  const found = text.indexOf(part, from);
  return found === -1 ? text.length : found + part.length;
}

/**
 * Decodes a statement. SQLite's API takes SQL without NUL and as UTF-8, so a string literal that has a NUL or is not UTF-8 becomes a
 * CAST of its bytes, which keeps them all.
 */
export function decodeStatement(statement: string): string {
  const bytes = Buffer.from(statement, "latin1");
  if (isUtf8(bytes) && !statement.includes("\0")) return bytes.toString("utf8");
  let sql = "";
  for (let at = 0; at < statement.length;) {
    const end = endOfToken(statement, at);
    const token = statement.slice(at, end);
    const isLiteral = token.length > 1 && token.startsWith("'") && token.endsWith("'");
    sql += isLiteral && !isPlain(token) ? castOf(token) : Buffer.from(token, "latin1").toString("utf8");
    at = end;
  }
  return sql;
}

function isPlain(token: string): boolean {
  return !token.includes("\0") && isUtf8(Buffer.from(token, "latin1"));
}

function castOf(literal: string): string {
  const bytes = Buffer.from(literal.slice(1, -1).replaceAll("''", "'"), "latin1");
  return `CAST(x'${bytes.toString("hex")}' AS TEXT)`;
}
