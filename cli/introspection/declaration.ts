// Changes a table's declaration where D1 could not hold the table as declared: collations that it does not have, foreign keys that the
// rows break, and, as a last resort, everything but columns and primary key.
import type { DatabaseSync } from "node:sqlite";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import { tokenize } from "../../src/sql/lexer.ts";
import type { LexerToken } from "../../src/sql/lexer.ts";

const COLLATIONS = ["BINARY", "NOCASE", "RTRIM"];

/** Removes collations that SQLite does not have, and lists their names. */
export function withoutUnknownCollations(sql: string): { readonly sql: string; readonly unknown: readonly string[] } {
  if (!/\bCOLLATE\b/i.test(sql)) return { sql, unknown: [] };
  const tokens = significant(sql);
  const ranges = tokens.flatMap((token, index) => {
    const name = tokens[index + 1];
    if (!isWord(token, "COLLATE") || name === undefined || COLLATIONS.includes(name.value.toUpperCase())) return [];
    return [{ start: token.start, end: name.end, name: name.value }];
  });
  return { sql: cut(sql, ranges), unknown: [...new Set(ranges.map(({ name }) => name))] };
}

/**
 * Removes foreign keys from a CREATE TABLE by their position among its foreign keys. Returns undefined when the text has another number
 * of them than `count`.
 */
export function withoutForeignKeys(sql: string, count: number, removed: ReadonlySet<number>): string | undefined {
  const tokens = significant(sql);
  let depth = 0;
  const found: number[] = [];
  for (const [index, token] of tokens.entries()) {
    if (token.value === "(" && token.kind === "operator") depth += 1;
    if (token.value === ")" && token.kind === "operator") depth -= 1;
    if (depth === 1 && isWord(token, "REFERENCES")) found.push(index);
  }
  if (found.length !== count) return undefined;
  return cut(
    sql,
    found.filter((_index, position) => removed.has(position)).map((index) => clauseAt(tokens, index)),
  );
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** The text of a foreign key whose word REFERENCES is at `index`, with its name and the comma before a table constraint. */
function clauseAt(tokens: readonly LexerToken[], index: number): Range {
  let first = index;
  if (tokens[index - 1]?.value === ")") {
    let open = index - 1;
    while (open > 0 && tokens[open]?.value !== "(") open -= 1;
    // `FOREIGN KEY (a, b) REFERENCES` is a table constraint; `price DECIMAL(5, 2) REFERENCES` is a column's.
    if (isWord(tokens[open - 1], "KEY") && isWord(tokens[open - 2], "FOREIGN")) first = open - 2;
  }
  const isTableConstraint = first !== index;
  if (isWord(tokens[first - 2], "CONSTRAINT")) first -= 2;
  if (isTableConstraint && tokens[first - 1]?.value === ",") first -= 1;
  return { start: tokens[first]?.start ?? 0, end: tokens[lastOfClause(tokens, index)]?.end ?? 0 };
}

function lastOfClause(tokens: readonly LexerToken[], references: number): number {
  let last = references + 1;
  if (tokens[last + 1]?.value === "(") while (tokens[last]?.value !== ")" && last < tokens.length - 1) last += 1;
  for (;;) {
    const length = lengthOfOption(tokens.slice(last + 1, last + 5));
    if (length === 0) return last;
    last += length;
  }
}

/** How many tokens the option of a foreign key has that begins here; 0 if none begins. */
function lengthOfOption([first, second, third]: readonly LexerToken[]): number {
  if (isWord(first, "ON")) return isWord(third, "SET") || isWord(third, "NO") ? 4 : 3;
  if (isWord(first, "MATCH")) return 2;
  if (isWord(first, "NOT")) return isWord(second, "DEFERRABLE") ? 2 : 0;
  if (isWord(first, "DEFERRABLE")) return 1;
  return isWord(first, "INITIALLY") ? 2 : 0;
}

function isWord(token: LexerToken | undefined, word: string): boolean {
  return token?.kind === "word" && token.value.toUpperCase() === word;
}

function significant(sql: string): readonly LexerToken[] {
  return tokenize(sql).filter(({ kind }) => kind !== "space" && kind !== "comment");
}

function cut(sql: string, ranges: readonly Range[]): string {
  let text = "";
  let at = 0;
  for (const { start, end } of ranges) {
    text += `${sql.slice(at, start)} `;
    at = end;
  }
  return text + sql.slice(at);
}

/** A declared type that can be written back as it is: words and at most two numbers. */
const PLAIN_TYPE = /^[A-Za-z_][\w ]*(?:\(\s*[+-]?\d+\s*(?:,\s*[+-]?\d+\s*)?\))?$/;

/** Declares a table with its stored columns, their types and its primary key only. */
export function plainDeclaration(source: DatabaseSync, name: string, isStrict: boolean): string {
  const columns = source
    .prepare("SELECT name, type, pk FROM pragma_table_xinfo(?, 'main') WHERE hidden = 0 ORDER BY cid")
    .all(name)
    .map(({ name: column, type, pk }) => ({ name: String(column), type: String(type ?? ""), pk: Number(pk) }));
  const keys = columns.filter(({ pk }) => pk > 0).toSorted((one, other) => one.pk - other.pk);
  const key =
    keys.length === 0 ? [] : [`PRIMARY KEY (${keys.map((column) => quoteIdentifier(column.name)).join(", ")})`];
  const lines = columns.map((column) => `${quoteIdentifier(column.name)} ${plainType(column.type, isStrict)}`.trim());
  return `CREATE TABLE ${quoteIdentifier(name)} (${[...lines, ...key].join(", ")})`;
}

/** In a STRICT table ANY keeps every value as it is; elsewhere that type would convert text to numbers. */
function plainType(type: string, isStrict: boolean): string {
  if (isStrict && type.toUpperCase() === "ANY") return "BLOB";
  return PLAIN_TYPE.test(type) && !/\b(?:GENERATED|ALWAYS|AS)\b/i.test(type) ? type : affinityOf(type);
}

/** The type with the same affinity, by SQLite's rules. */
function affinityOf(type: string): string {
  const upper = type.toUpperCase();
  if (upper.includes("INT")) return "INTEGER";
  if (/CHAR|CLOB|TEXT/.test(upper)) return "TEXT";
  if (upper === "" || upper.includes("BLOB")) return "BLOB";
  return /REAL|FLOA|DOUB/.test(upper) ? "REAL" : "NUMERIC";
}
