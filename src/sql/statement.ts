// Layer 1 of governed SQL: reads one SELECT from the outside and refuses whatever could be more than that, before any
// database sees it. It decides nothing about data: names are only collected.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import { isName, isOperator } from "./clauses.ts";
import { ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { foldName, reservedPrefixOf } from "./identifier.ts";
import { tokenize } from "./tokenizer.ts";
import type { Token } from "./tokenizer.ts";

/** A person's SQL that passed layer 1. */
export interface Statement {
  readonly text: string;
  /** Its lexer tokens, without spaces and comments. */
  readonly tokens: readonly Token[];
  /** Every identifier and string literal: folded name → as first written. Any of them may stand where a table stands. */
  readonly names: ReadonlyMap<string, string>;
  /** Whether it selects with a star, so that columns come which it does not name. */
  readonly selectsAll: boolean;
  /** Names that occur only as `name(…)` or `name.…`: those of functions, aliases and tables before their columns. */
  readonly calledOnly: ReadonlySet<string>;
  /** Where each `?` stands in the text. */
  readonly parameterOffsets: readonly number[];
}

/** The table-valued functions whose names occur in it. */
export function tableFunctionsOf({ names }: Statement): readonly string[] {
  return [...ALLOWED_TABLE_FUNCTIONS].filter((name) => names.has(name));
}

/** UTF-8 bytes of SQL that a person may send. */
export const MAX_SQL_BYTES = 20_000;

const FIRST_WORDS = new Set(["select", "with", "values"]);
const RESERVED_SCHEMAS = new Set(["main", "temp"]);
// Anything below space except tab, line feed, form feed and carriage return; DEL; the byte order mark.
// oxlint-disable-next-line no-control-regex -- refusing control characters is the point
const FORBIDDEN_CHARACTER = /[\u0000-\u0008\u000b\u000e-\u001f\u007f\ufeff]/;

/** Parses a person's SQL; a semicolon at its end is left out. Throws `query_refused` with what is wrong and what would be right. */
export function parseStatement(text: string): Statement {
  const problem = textProblem(text);
  if (problem !== undefined) refuse(problem);
  const all = meaningful(text);
  const end = all.findLastIndex((token) => !isOperator(token, ";")) + 1;
  const tokens = all.slice(0, end);
  const first = tokens[0];
  if (first === undefined || first.kind !== "word" || !FIRST_WORDS.has(foldName(first.value))) {
    refuse("must be one statement that begins with SELECT, WITH or VALUES.");
  }
  tokens.forEach((token) => refuseToken(token));
  refuseUnbalanced(tokens);
  refuseQualifiers(tokens);
  refuseFunctions(tokens);
  return statementOf(text.slice(0, all[end]?.start), tokens);
}

/** Reads SQL without refusing any: for text of our own, and for showing what layer 1 alone stops. */
export function readStatement(text: string): Statement {
  return statementOf(text, meaningful(text));
}

function meaningful(text: string): readonly Token[] {
  return tokenize(text).filter((token) => token.kind !== "space" && token.kind !== "comment");
}

/** What is wrong with a text before it is read as SQL, and what would be right; undefined when nothing is. */
export function textProblem(text: string): string | undefined {
  if (byteLength(text) > MAX_SQL_BYTES) return `is longer than ${MAX_SQL_BYTES} bytes. Shorten it.`;
  if (FORBIDDEN_CHARACTER.test(text)) return "holds a control character. Remove it.";
  return text.isWellFormed() ? undefined : "holds half of a Unicode character. Remove it.";
}

function statementOf(text: string, tokens: readonly Token[]): Statement {
  const names = new Map<string, string>();
  for (const { value } of tokens.filter(isName)) {
    const folded = foldName(value);
    if (!names.has(folded)) names.set(folded, value);
  }
  return {
    text,
    tokens,
    names,
    selectsAll: tokens.some((token, index) => isStar(token, tokens[index - 1])),
    calledOnly: calledOnly(tokens),
    parameterOffsets: tokens.filter((token) => token.kind === "variable").map((token) => token.start),
  };
}

function refuse(what: string): never {
  throw new AppError("query_refused", `The SQL ${what}`);
}

/** `SELECT *`, `, *` and `t.*`, but not `count(*)` or `a * b`. */
function isStar(token: Token, before: Token | undefined): boolean {
  if (token.kind !== "operator" || token.value !== "*" || before === undefined) return false;
  if (before.kind === "operator") return before.value === "," || before.value === ".";
  return before.kind === "word" && ["select", "distinct", "all"].includes(foldName(before.value));
}

function refuseToken(token: Token): void {
  if (token.kind === "illegal") {
    refuse(
      `has something unterminated or unreadable at character ${token.start + 1}: close the quote or comment there.`,
    );
  }
  if (token.kind === "operator" && token.value === ";")
    refuse("must be one statement: there is more behind a semicolon.");
  if (token.kind === "variable" && token.value !== "?") {
    refuse(`has the parameter ${token.value}. Write each parameter as a plain ? and give the values in order.`);
  }
  const prefix = isName(token) ? reservedPrefixOf(token.value) : undefined;
  if (prefix !== undefined) {
    refuse(
      `has a name or text that begins with ${prefix}, which is reserved. If it is a value, give it as a parameter.`,
    );
  }
}

function refuseUnbalanced(tokens: readonly Token[]): void {
  let depth = 0;
  for (const token of tokens) {
    if (token.kind !== "operator") continue;
    if (token.value === "(") depth += 1;
    if (token.value === ")") depth -= 1;
    if (depth < 0) refuse(`closes a parenthesis at character ${token.start + 1} that was not opened.`);
  }
  if (depth > 0) refuse(`leaves ${depth} ${depth === 1 ? "parenthesis" : "parentheses"} open.`);
}

/** They tell of other people's writes. */
const REFUSED_FUNCTIONS = new Set(["last_insert_rowid", "changes", "total_changes"]);

function refuseFunctions(tokens: readonly Token[]): void {
  tokens.forEach((token, index) => {
    if (isName(token) && REFUSED_FUNCTIONS.has(foldName(token.value)) && isOperator(tokens[index + 1], "(")) {
      refuse(`calls ${token.value}(), which is not available.`);
    }
  });
}

function calledOnly(tokens: readonly Token[]): ReadonlySet<string> {
  const called = new Set<string>();
  const bare = new Set<string>();
  tokens.forEach((token, index) => {
    if (!isName(token)) return;
    const next = tokens[index + 1];
    (isOperator(next, "(") || isOperator(next, ".") ? called : bare).add(foldName(token.value));
  });
  return new Set([...called].filter((name) => !bare.has(name)));
}

/** `main.x` would step around the guard views, and so would any three-part name. */
function refuseQualifiers(tokens: readonly Token[]): void {
  tokens.forEach((token, index) => {
    if (!isOperator(tokens[index + 1], ".")) return;
    if (isName(token) && RESERVED_SCHEMAS.has(foldName(token.value))) {
      refuse(`names the schema ${token.value}. Write table names without a schema.`);
    }
    if (isOperator(tokens[index + 3], ".")) refuse("has a name in three parts. Write table.column or just the column.");
  });
}
