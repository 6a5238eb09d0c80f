// Parses a row rule in SQL by an allowlist: some keywords and operators, declared columns, functions of a single row, and subject values
// compared with a column. Refuses everything else. SQLite's authorizer checks the same text again in every query.
import { byteLength } from "../lib/bytes.ts";
import { foldName } from "../sql/identifier.ts";
import { findTextProblem } from "../sql/statement.ts";
import { tokenize } from "../sql/lexer.ts";
import type { LexerToken } from "../sql/lexer.ts";
import type { RulePart, TableDataset } from "./model.ts";

/** The result of `parseExpression`. */
type ParsedExpression =
  | { readonly ok: true; readonly parts: readonly RulePart[] }
  /** The problem and the correction, as the rest of a sentence that begins with "The expression". */
  | { readonly ok: false; readonly problem: string };

const KEYWORDS = new Set(
  (
    "and or not in is null isnull notnull like glob between case when then else end cast as integer text real numeric " +
    "collate nocase binary rtrim distinct from"
  ).split(" "),
);
const OPERATORS = new Set(["(", ")", ",", "=", "==", "<>", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||"]);
/** The operators that may compare a column with a subject value. */
const COMPARISON_OPERATORS = new Set(["=", "==", "<>", "!=", "<", "<=", ">", ">=", "is"]);
/** Functions that cannot fail on any value. A failure on a row that the rule hides would reveal that the row exists. */
const ROW_FUNCTIONS = new Set(
  (
    "coalesce ifnull iif nullif instr length octet_length lower upper ltrim rtrim trim substr substring round min max sign " +
    "typeof date datetime time julianday unixepoch json_valid"
  ).split(" "),
);
/** LIKE and GLOB fail on longer patterns: D1's limit. */
const MAX_PATTERN_BYTES = 50;

class ExpressionRefused extends Error {}

/** Parses an expression over the columns of a table. */
export function parseExpression(text: string, dataset: TableDataset): ParsedExpression {
  try {
    const problem = findTextProblem(text);
    if (problem !== undefined) throw new ExpressionRefused(problem);
    const tokens = tokenize(text).filter(({ kind }) => kind !== "space");
    if (tokens.length === 0) throw new ExpressionRefused('is empty. Write a condition, such as "region = :region".');
    refuseBadParentheses(tokens);
    return { ok: true, parts: tokens.map((token, index) => parsePart(token, tokens, index, dataset, text)) };
  } catch (error) {
    if (error instanceof ExpressionRefused) return { ok: false, problem: error.message };
    throw error;
  }
}

/** Requires balanced parentheses, and commas only in calls and lists. Unbalanced ones could end the rule early: `1) OR (1`. */
function refuseBadParentheses(tokens: readonly LexerToken[]): void {
  const open: boolean[] = [];
  tokens.forEach((token, index) => {
    const before = tokens[index - 1];
    if (isOperator(token, "(")) open.push(isWord(before) && (isKeyword(before, "in", "cast") || !isKeyword(before)));
    if (isOperator(token, ")") && open.pop() === undefined)
      throw new ExpressionRefused("closes a parenthesis that was not opened.");
    if (isOperator(token, ",") && open.at(-1) !== true)
      throw new ExpressionRefused("has a comma outside a function call or list. Join conditions with AND or OR.");
  });
  if (open.length > 0) throw new ExpressionRefused("leaves a parenthesis open.");
}

function parsePart(
  token: LexerToken,
  tokens: readonly LexerToken[],
  index: number,
  dataset: TableDataset,
  text: string,
): RulePart {
  const textPart: RulePart = { kind: "text", text: text.slice(token.start, token.end) };
  switch (token.kind) {
    case "string":
    case "number":
    case "blob":
      return textPart;
    case "operator":
      if (!OPERATORS.has(token.value))
        throw new ExpressionRefused(`contains ${token.value}, which is not allowed in a row rule.`);
      return textPart;
    case "variable":
      return parseSubjectPart(token, tokens, index, dataset);
    case "word":
    case "quoted":
      if (isKeyword(token, "like", "glob")) refusePattern(token, tokens[index + 1], tokens[index + 2]);
      return parseNamePart(token, tokens[index + 1], dataset, textPart);
    case "comment":
      throw new ExpressionRefused("contains a comment, which could hide part of the rule. Remove it.");
    case "space":
    case "illegal":
      throw new ExpressionRefused("contains unterminated or unreadable text. Close each quote and comment.");
  }
}

function parseNamePart(
  token: LexerToken,
  next: LexerToken | undefined,
  dataset: TableDataset,
  textPart: RulePart,
): RulePart {
  const name = foldName(token.value);
  if (token.kind === "word" && KEYWORDS.has(name)) return textPart;
  if (isOperator(next, "(")) {
    if (token.kind === "word" && ROW_FUNCTIONS.has(name)) return textPart;
    throw new ExpressionRefused(
      `calls ${token.value}(), which is not allowed in a row rule. Use functions of a single row, and no subqueries.`,
    );
  }
  const column = findColumn(token, dataset);
  if (column === undefined) {
    const names = dataset.columns.map((declared) => declared.name).join(", ");
    throw new ExpressionRefused(
      `contains ${token.value}, which is not a column of ${dataset.id}. There are: ${names}.`,
    );
  }
  return { kind: "column", column };
}

/**
 * Requires a literal pattern. A computed one could contain a wildcard that a user chose, or fail on a hidden row by being too long.
 */
function refusePattern({ value }: LexerToken, pattern: LexerToken | undefined, after: LexerToken | undefined): void {
  const isShortLiteral = pattern?.kind === "string" && byteLength(pattern.value) <= MAX_PATTERN_BYTES;
  if (!isShortLiteral || !isComparisonEdge(after, ")"))
    throw new ExpressionRefused(
      `uses ${value} with a pattern that is not a string literal of at most ${MAX_PATTERN_BYTES} bytes.`,
    );
}

function findColumn(token: LexerToken | undefined, dataset: TableDataset): string | undefined {
  if (token === undefined || (token.kind !== "word" && token.kind !== "quoted")) return undefined;
  if (token.kind === "word" && KEYWORDS.has(foldName(token.value))) return undefined;
  return dataset.columns.find(({ name }) => foldName(name) === foldName(token.value))?.name;
}

/**
 * Parses a subject value, as in `region = :region` or `region IN :regions`. The other side must be a plain column, whose type decides
 * which values fit: SQLite compares a number with text by type, so `!=` would be true for every row.
 */
function parseSubjectPart(
  token: LexerToken,
  tokens: readonly LexerToken[],
  index: number,
  dataset: TableDataset,
): RulePart {
  const subject = /^:([A-Za-z_][A-Za-z0-9_]*)$/.exec(token.value)?.[1];
  if (subject === undefined)
    throw new ExpressionRefused(
      `contains the parameter ${token.value}. Write :name, with the name of an attribute, id or email.`,
    );
  const operator = tokens[index - 1];
  const columnIndex = index - (isKeyword(tokens[index - 2], "not") ? 3 : 2);
  const column = findColumn(tokens[columnIndex], dataset);
  const isList = isKeyword(operator, "in");
  const isComparison = isList || (isUnquoted(operator) && COMPARISON_OPERATORS.has(foldName(operator.value)));
  if (
    column === undefined ||
    !isComparison ||
    !isComparisonEdge(tokens[columnIndex - 1], "(") ||
    !isComparisonEdge(tokens[index + 1], ")")
  ) {
    throw new ExpressionRefused(
      [
        `uses ${token.value} outside a comparison with a plain column.`,
        `Write column = ${token.value}, or column IN ${token.value}.`,
      ].join(" "),
    );
  }
  return { kind: "subject", subject, column, isList };
}

/** Whether a comparison can begin or end at this neighbour of it. */
function isComparisonEdge(token: LexerToken | undefined, parenthesis: "(" | ")"): boolean {
  return (
    token === undefined ||
    isOperator(token, parenthesis) ||
    isKeyword(token, "and", "or", "not", "case", "when", "then", "else", "end")
  );
}

function isUnquoted(token: LexerToken | undefined): token is LexerToken {
  return token?.kind === "word" || token?.kind === "operator";
}

function isOperator(token: LexerToken | undefined, value: string): boolean {
  return token?.kind === "operator" && token.value === value;
}

function isWord(token: LexerToken | undefined): token is LexerToken {
  return token?.kind === "word";
}

/** Whether the lexer token is one of these keywords, or any keyword when `names` is empty. */
function isKeyword(token: LexerToken | undefined, ...names: readonly string[]): boolean {
  if (!isWord(token)) return false;
  const name = foldName(token.value);
  return KEYWORDS.has(name) && (names.length === 0 || names.includes(name));
}
