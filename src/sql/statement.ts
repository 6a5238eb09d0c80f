// Layer 1 of governed SQL: reads the text of one SELECT and refuses everything that could be more than that, before any database sees it.
// It decides nothing about data; it only collects names.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import { QUERY_WORDS, isColumnStar, isName, isOperator } from "./clauses.ts";
import { describeOtherDialect, describeOtherStatement, describeUnreadableText } from "./dialect-hints.ts";
import { DESCRIBE_INSTEAD } from "./other-dialects.ts";
import { ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { foldName, findReservedPrefix } from "./identifier.ts";
import { tokenize } from "./lexer.ts";
import type { LexerToken } from "./lexer.ts";
import type { TextEdit } from "./text-edits.ts";

/** A user's SQL that passed layer 1. */
export interface Statement {
  readonly text: string;
  /** Its lexer tokens, without spaces and comments. */
  readonly tokens: readonly LexerToken[];
  /** Every identifier and string literal: folded name → as first written. Any of them may be used as a table name. */
  readonly names: ReadonlyMap<string, string>;
  /** Whether it selects with `*`, so that the result has columns that the text does not name. */
  readonly selectsStar: boolean;
  /** Names that occur only as `name(…)` or `name.…`: functions, aliases, and tables before their columns. */
  readonly calledOnlyNames: ReadonlySet<string>;
  /** UTF-16 offset of each `?` in the text. */
  readonly parameterOffsets: readonly number[];
  /** What was replaced in the user's own text; empty for the text as the user wrote it. */
  readonly edits: readonly TextEdit[];
}

/** Lists the allowed table-valued functions whose names occur in a statement. */
export function listTableFunctions({ names }: Statement): readonly string[] {
  return [...ALLOWED_TABLE_FUNCTIONS].filter((name) => names.has(name));
}

/** Maximum UTF-8 bytes of a user's SQL. */
export const MAX_SQL_BYTES = 20_000;

const RESERVED_SCHEMAS = new Set(["main", "temp"]);
// Anything below space except tab, line feed, form feed and carriage return; DEL; the byte order mark.
// oxlint-disable-next-line no-control-regex -- refusing control characters is the point
const FORBIDDEN_CHARACTERS = /[\u0000-\u0008\u000b\u000e-\u001f\u007f\ufeff]/;

/** Parses a user's SQL and drops a semicolon at its end. Throws `query_refused` with the problem and how to fix it. */
export function parseStatement(text: string): Statement {
  const problem = findTextProblem(text);
  if (problem !== undefined) refuse(problem);
  const allTokens = tokenizeCode(text);
  const end = allTokens.findLastIndex((token) => !isOperator(token, ";")) + 1;
  const tokens = allTokens.slice(0, end);
  const first = tokens[0];
  if (first === undefined || first.kind !== "word" || !QUERY_WORDS.includes(foldName(first.value))) {
    refuse(`must be one statement that begins with SELECT, WITH or VALUES. ${describeOtherStatement(first)}`.trim());
  }
  tokens.forEach((token) => refuseToken(token, text, allTokens));
  refuseUnbalanced(tokens);
  refuseQualifiers(tokens);
  refuseFunctions(tokens);
  return buildStatement(text.slice(0, allTokens[end]?.start), tokens);
}

/** Parses SQL without refusing any: for Gatehouse's own SQL, and for tests that show what layer 1 alone stops. */
export function parseTrustedStatement(text: string): Statement {
  return buildStatement(text, tokenizeCode(text));
}

function tokenizeCode(text: string): readonly LexerToken[] {
  return tokenize(text).filter((token) => token.kind !== "space" && token.kind !== "comment");
}

/** Finds a problem of a text before it is read as SQL, and says how to fix it; undefined if there is none. */
export function findTextProblem(text: string): string | undefined {
  if (byteLength(text) > MAX_SQL_BYTES) return `is longer than ${MAX_SQL_BYTES} bytes. Shorten it.`;
  if (FORBIDDEN_CHARACTERS.test(text)) return "contains a control character. Remove it.";
  return text.isWellFormed() ? undefined : "contains half of a Unicode character. Remove it.";
}

function buildStatement(text: string, tokens: readonly LexerToken[]): Statement {
  const names = new Map<string, string>();
  for (const { value } of tokens.filter(isName)) {
    const folded = foldName(value);
    if (!names.has(folded)) names.set(folded, value);
  }
  return {
    text,
    tokens,
    names,
    selectsStar: tokens.some((_token, index) => isColumnStar(tokens, index)),
    calledOnlyNames: findCalledOnlyNames(tokens),
    parameterOffsets: tokens.filter((token) => token.kind === "variable").map((token) => token.start),
    edits: [],
  };
}

function refuse(problem: string): never {
  throw new AppError("query_refused", `The SQL ${problem}`);
}

function refuseToken(token: LexerToken, text: string, tokens: readonly LexerToken[]): void {
  if (token.kind === "illegal") {
    const advice = describeUnreadableText(text, tokens);
    const hints = describeOtherDialect(tokens);
    refuse(`is unterminated or unreadable at character ${token.start + 1}. ${advice} ${hints}`.trim());
  }
  if (token.kind === "operator" && token.value === ";")
    refuse("must be one statement: there is more text after a semicolon.");
  if (token.kind === "variable" && token.value !== "?") {
    refuse(`has the parameter ${token.value}. Write each parameter as a plain ? and give the values in order.`);
  }
  const prefix = isName(token) ? findReservedPrefix(token.value) : undefined;
  if (prefix !== undefined) {
    const advice = SCHEMA_PREFIXES.has(prefix) ? `${DESCRIBE_INSTEAD} ` : "";
    refuse(
      `contains a name or text that begins with ${prefix}, which is reserved. ${advice}If it is a value, pass it as a parameter.`,
    );
  }
}

/** Prefixes of the tables and functions that say what tables there are. */
const SCHEMA_PREFIXES: ReadonlySet<string> = new Set(["sqlite_", "pragma_"]);

function refuseUnbalanced(tokens: readonly LexerToken[]): void {
  let depth = 0;
  for (const token of tokens) {
    if (token.kind !== "operator") continue;
    if (token.value === "(") depth += 1;
    if (token.value === ")") depth -= 1;
    if (depth < 0) refuse(`closes a parenthesis at character ${token.start + 1} that was not opened.`);
  }
  if (depth > 0) refuse(`leaves ${depth} ${depth === 1 ? "parenthesis" : "parentheses"} open.`);
}

/** Functions that reveal other users' writes. */
const REFUSED_FUNCTIONS = new Set(["last_insert_rowid", "changes", "total_changes"]);

function refuseFunctions(tokens: readonly LexerToken[]): void {
  tokens.forEach((token, index) => {
    if (isName(token) && REFUSED_FUNCTIONS.has(foldName(token.value)) && isOperator(tokens[index + 1], "(")) {
      refuse(`calls ${token.value}(), which is not available.`);
    }
  });
}

function findCalledOnlyNames(tokens: readonly LexerToken[]): ReadonlySet<string> {
  const calledNames = new Set<string>();
  const bareNames = new Set<string>();
  tokens.forEach((token, index) => {
    if (!isName(token)) return;
    const next = tokens[index + 1];
    (isOperator(next, "(") || isOperator(next, ".") ? calledNames : bareNames).add(foldName(token.value));
  });
  return new Set([...calledNames].filter((name) => !bareNames.has(name)));
}

/** Refuses `main.x` and three-part names, which would bypass the guard views. */
function refuseQualifiers(tokens: readonly LexerToken[]): void {
  tokens.forEach((token, index) => {
    if (!isOperator(tokens[index + 1], ".")) return;
    if (isName(token) && RESERVED_SCHEMAS.has(foldName(token.value))) {
      refuse(`names the schema ${token.value}. Write table names without a schema.`);
    }
    if (isOperator(tokens[index + 3], "."))
      refuse("contains a name with three parts. Write table.column or just the column.");
  });
}
