// A row rule in SQL, read strictly: words of a short list, declared columns, functions of one row, and subject values compared
// with a column. What is not known is refused. SQLite's own authorizer judges the same text again in every query.
import { byteLength } from "../lib/bytes.ts";
import { foldName } from "../sql/identifier.ts";
import { textProblem } from "../sql/statement.ts";
import { tokenize } from "../sql/tokenizer.ts";
import type { Token } from "../sql/tokenizer.ts";
import type { ExpressionPart, SubjectPart, TableDataset } from "./model.ts";

type Part = ExpressionPart | SubjectPart;

export type ParsedExpression =
  | { readonly ok: true; readonly parts: readonly Part[] }
  /** What is wrong and what would be right, as the rest of a sentence about the expression. */
  | { readonly ok: false; readonly problem: string };

const KEYWORDS = new Set(
  (
    "and or not in is null isnull notnull like glob between case when then else end cast as integer text real numeric " +
    "collate nocase binary rtrim distinct from"
  ).split(" "),
);
const OPERATORS = new Set(["(", ")", ",", "=", "==", "<>", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||"]);
/** What may stand between a column and a subject value. */
const COMPARING = new Set(["=", "==", "<>", "!=", "<", "<=", ">", ">=", "is"]);
/** Functions that cannot fail, whatever is in a row: a failure on a row that the rule hides would tell that it is there. */
const FUNCTIONS = new Set(
  (
    "coalesce ifnull iif nullif instr length octet_length lower upper ltrim rtrim trim substr substring round min max sign " +
    "typeof date datetime time julianday unixepoch json_valid"
  ).split(" "),
);
/** SQLite's limit on a pattern of LIKE or GLOB, past which it fails. */
const MAX_PATTERN_BYTES = 50;

class Refused extends Error {}

/** Reads an expression over the columns of a table. */
export function parseExpression(text: string, dataset: TableDataset): ParsedExpression {
  try {
    const problem = textProblem(text);
    if (problem !== undefined) throw new Refused(problem);
    const tokens = tokenize(text).filter(({ kind }) => kind !== "space");
    if (tokens.length === 0) throw new Refused('is empty. Write a condition, such as "region = :region".');
    refuseNesting(tokens);
    return { ok: true, parts: tokens.map((token, index) => partOf(token, tokens, index, dataset, text)) };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, problem: error.message };
    throw error;
  }
}

/** Every parenthesis closed, and commas only between the values of a call or a list. */
function refuseNesting(tokens: readonly Token[]): void {
  const open: boolean[] = [];
  tokens.forEach((token, index) => {
    const before = tokens[index - 1];
    if (isOperator(token, "(")) open.push(isWord(before) && (isKeyword(before, "in", "cast") || !isKeyword(before)));
    if (isOperator(token, ")") && open.pop() === undefined)
      throw new Refused("closes a parenthesis that was not opened.");
    if (isOperator(token, ",") && open.at(-1) !== true)
      throw new Refused("has a comma outside of a call or a list. Join conditions with AND or OR.");
  });
  if (open.length > 0) throw new Refused("leaves a parenthesis open.");
}

function partOf(token: Token, tokens: readonly Token[], index: number, dataset: TableDataset, text: string): Part {
  const written: Part = { kind: "text", text: text.slice(token.start, token.end) };
  switch (token.kind) {
    case "string":
    case "number":
    case "blob":
      return written;
    case "operator":
      if (!OPERATORS.has(token.value)) throw new Refused(`has ${token.value}, which a row rule cannot have.`);
      return written;
    case "variable":
      return subjectPart(token, tokens, index, dataset);
    case "word":
    case "quoted":
      if (isKeyword(token, "like", "glob")) refusePattern(token, tokens[index + 1], tokens[index + 2]);
      return namePart(token, tokens[index + 1], dataset, written);
    case "comment":
      throw new Refused("has a comment, behind which more of the rule might stand. Remove it.");
    case "space":
    case "illegal":
      throw new Refused("has something unterminated or unreadable. Close each quote and comment.");
  }
}

function namePart(token: Token, next: Token | undefined, dataset: TableDataset, written: Part): Part {
  const name = foldName(token.value);
  if (token.kind === "word" && KEYWORDS.has(name)) return written;
  if (isOperator(next, "(")) {
    if (token.kind === "word" && FUNCTIONS.has(name)) return written;
    throw new Refused(
      `calls ${token.value}(), which a row rule cannot. It takes functions of one row, and no queries.`,
    );
  }
  const column = columnOf(token, dataset);
  if (column === undefined) {
    const names = dataset.columns.map((one) => one.name).join(", ");
    throw new Refused(`has ${token.value}, which is no column of ${dataset.id}. There are: ${names}.`);
  }
  return { kind: "column", column };
}

/** A pattern that is not written out could hold a wildcard of somebody's choice, or be too long for a row that nobody sees. */
function refusePattern({ value }: Token, pattern: Token | undefined, after: Token | undefined): void {
  const isWritten = pattern?.kind === "string" && byteLength(pattern.value) <= MAX_PATTERN_BYTES;
  if (!isWritten || !isEdge(after, ")"))
    throw new Refused(`has ${value} with something else than a text of at most ${MAX_PATTERN_BYTES} bytes behind it.`);
}

function columnOf(token: Token | undefined, dataset: TableDataset): string | undefined {
  if (token === undefined || (token.kind !== "word" && token.kind !== "quoted")) return undefined;
  if (token.kind === "word" && KEYWORDS.has(foldName(token.value))) return undefined;
  return dataset.columns.find(({ name }) => foldName(name) === foldName(token.value))?.name;
}

/**
 * `region = :region` or `region IN :regions`: with a column alone on the other side, whose type tells which values fit. SQLite
 * compares a number with text by type: `!=` would then hold for every row.
 */
function subjectPart(token: Token, tokens: readonly Token[], index: number, dataset: TableDataset): Part {
  const subject = /^:([A-Za-z_][A-Za-z0-9_]*)$/.exec(token.value)?.[1];
  if (subject === undefined)
    throw new Refused(`has the parameter ${token.value}. Write :name, of an attribute, id or email.`);
  const operator = tokens[index - 1];
  const at = index - (isKeyword(tokens[index - 2], "not") ? 3 : 2);
  const column = columnOf(tokens[at], dataset);
  const isList = isKeyword(operator, "in");
  const isComparison = isList || (isUnquoted(operator) && COMPARING.has(foldName(operator.value)));
  if (column === undefined || !isComparison || !isEdge(tokens[at - 1], "(") || !isEdge(tokens[index + 1], ")")) {
    throw new Refused(
      `has ${token.value} elsewhere than in a comparison with a column alone. Write column = ${token.value}, or column IN ${token.value}.`,
    );
  }
  return { kind: "subject", subject, column, isList };
}

/** Whether a comparison begins or ends beside this token. */
function isEdge(token: Token | undefined, parenthesis: "(" | ")"): boolean {
  return (
    token === undefined ||
    isOperator(token, parenthesis) ||
    isKeyword(token, "and", "or", "not", "case", "when", "then", "else", "end")
  );
}

function isUnquoted(token: Token | undefined): token is Token {
  return token?.kind === "word" || token?.kind === "operator";
}

function isOperator(token: Token | undefined, value: string): boolean {
  return token?.kind === "operator" && token.value === value;
}

function isWord(token: Token | undefined): token is Token {
  return token?.kind === "word";
}

/** Whether it is one of these keywords, or any when none are named. */
function isKeyword(token: Token | undefined, ...names: readonly string[]): boolean {
  if (!isWord(token)) return false;
  const name = foldName(token.value);
  return KEYWORDS.has(name) && (names.length === 0 || names.includes(name));
}
