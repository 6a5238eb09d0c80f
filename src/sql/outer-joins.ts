// Writes RIGHT and FULL joins as LEFT joins. SQLite computes the right operand of a RIGHT or FULL join as a whole if it is a guard view,
// and then reads all of it for each row of the left one; it can search the right operand of a LEFT join. Only joins are rewritten whose
// result provably stays the same. All others stay as they are.
import {
  CLAUSES_AFTER_FROM,
  QUERY_WORDS,
  SET_OPERATORS,
  findExpressionSubqueries,
  isColumnStar,
  isName,
  isOperator,
  isWord,
} from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { findWithQueries } from "./defined-names.ts";
import { AFTER_TABLE, createFromReader, listOuterIndexes } from "./from-items.ts";
import type { FromReader } from "./from-items.ts";
import { foldName, quoteIdentifier } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import { pairParentheses } from "./parentheses.ts";
import type { Parentheses } from "./parentheses.ts";
import { canFailOnRow } from "./row-error-oracles.ts";
import type { Statement } from "./statement.ts";
import { applyEdits } from "./text-edits.ts";
import type { TextEdit } from "./text-edits.ts";

/** A table that a join can find again by a key that no two of its rows share. */
export interface KeyedTable {
  /** The columns that `*` stands for. */
  readonly columns: readonly string[];
  /** The name by which a FROM clause reads the table with its key. */
  readonly keyedName: string;
}

/** What the new text refers to. */
export interface JoinNames {
  /** Finds a table by its folded name; undefined if it has no key, or is none that the user may read. */
  readonly findTable: (name: string) => KeyedTable | undefined;
  /** The column of keyed tables that has the key. */
  readonly keyColumn: string;
  /** Random letters and digits that cannot be guessed. */
  readonly nonce: string;
}

interface JoinRewriting extends JoinNames {
  /** Copies a range of the text, by UTF-16 offsets. A copy may stand in the new text more than once. */
  readonly copyText: (start: number, end: number) => string;
}

/** A statement is refused for its size if it grows too much. */
const MAX_REWRITTEN_JOINS = 4;
const MAX_CONDITION_TOKENS = 100;

/** Words after which another operand follows, or no FROM clause. `left` may also be a column, but then the new text is no valid SQL. */
const AFTER_CONDITION = [
  ...CLAUSES_AFTER_FROM,
  ...SET_OPERATORS,
  ..."join left right full inner outer cross natural".split(" "),
];

/**
 * Builds the edits that write RIGHT and FULL joins as LEFT joins. `placeholders`: the edits that number each `?`, because the new text may
 * move and repeat them; they are among the result. Undefined if there is no join whose result would provably stay the same.
 */
export function buildLeftJoinEdits(
  { text, tokens }: Pick<Statement, "text" | "tokens">,
  placeholders: readonly TextEdit[],
  names: JoinNames,
): readonly TextEdit[] | undefined {
  const copyText = (start: number, end: number): string => {
    const inside = placeholders.filter((edit) => edit.start >= start && edit.end <= end);
    const moved = inside.map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
    return applyEdits(text.slice(start, end), moved);
  };
  const joinEdits = listOuterJoins(tokens).flatMap((join, place) =>
    rewriteJoin(tokens, join, { ...names, copyText }, place),
  );
  if (joinEdits.length === 0) return undefined;
  const isReplaced = (edit: TextEdit): boolean =>
    joinEdits.some(({ start, end }) => edit.start >= start && edit.end <= end);
  return [...joinEdits, ...placeholders.filter((edit) => !isReplaced(edit))].toSorted(
    (left, right) => left.start - right.start,
  );
}

/** Lists the RIGHT and FULL joins with which FROM clauses begin, except in subqueries that are values. */
function listOuterJoins(tokens: readonly LexerToken[]): readonly OuterJoin[] {
  if (!tokens.some((token) => isWord(token, "right", "full"))) return [];
  const parentheses = pairParentheses(tokens);
  const reader = createFromReader(tokens, parentheses);
  // Such a subquery may be correlated, and then runs again for each row.
  const values = findExpressionSubqueries(tokens);
  const isOutsideValues = (index: number): boolean => values.every(({ start, end }) => index < start || index >= end);
  return [...tokens.keys()]
    .filter(
      (index) => isWord(tokens[index], "from") && !isWord(tokens[index - 1], "distinct") && isOutsideValues(index),
    )
    .flatMap((index) => readOuterJoin(tokens, parentheses, index, reader) ?? [])
    .filter((join, _index, joins) => !joins.some((other) => isMovedWith(join, other)))
    .slice(0, MAX_REWRITTEN_JOINS);
}

/** Whether a join is in an operand of another one whose text is moved as a whole. */
function isMovedWith({ left }: OuterJoin, { kind, left: otherLeft, condition }: OuterJoin): boolean {
  return kind === "right" && left.range.start > otherLeft.range.start && left.range.start < condition.end;
}

function rewriteJoin(
  tokens: readonly LexerToken[],
  join: OuterJoin,
  rewriting: JoinRewriting,
  place: number,
): readonly TextEdit[] {
  if (join.kind === "right") return swapOperands(tokens, join, rewriting);
  const withQueries = findWithQueries(tokens);
  const isTable = ({ table }: Operand): boolean => table !== "" && !withQueries.has(table);
  return isTable(join.left) && isTable(join.right) ? pairRows(tokens, join, rewriting, place) : [];
}

interface Operand {
  readonly range: TokenRange;
  /** The folded name of a table or WITH query; empty for a subquery. */
  readonly table: string;
  readonly exposedName: string;
}

/** The first join of a FROM clause. */
interface OuterJoin {
  readonly kind: "right" | "full";
  readonly left: Operand;
  readonly right: Operand;
  readonly condition: TokenRange;
  /** The stars of the select list: `*`, or `name.*`. */
  readonly stars: readonly TokenRange[];
  /** The names of the operands of later joins. */
  readonly laterNames: readonly string[];
}

/** Reads the join with which the FROM clause at this index begins; undefined for any other join, and where the tokens are ambiguous. */
function readOuterJoin(
  tokens: readonly LexerToken[],
  parentheses: Parentheses,
  from: number,
  reader: FromReader,
): OuterJoin | undefined {
  const { findAround, findClosing } = parentheses;
  const around = findAround(from);
  const clauseEnd = around === -1 ? tokens.length : findClosing(around);
  const left = readOperand(tokens, parentheses, from + 1);
  const joinStart = left?.range.end ?? from;
  const kind = isWord(tokens[joinStart], "full") ? "full" : isWord(tokens[joinStart], "right") ? "right" : undefined;
  const join = joinStart + (isWord(tokens[joinStart + 1], "outer") ? 2 : 1);
  if (left === undefined || kind === undefined || !isWord(tokens[join], "join")) return undefined;
  const right = readOperand(tokens, parentheses, join + 1);
  if (right === undefined || !isWord(tokens[right.range.end], "on")) return undefined;
  const outerIndexes = listOuterIndexes(tokens, parentheses, { start: right.range.end + 1, end: clauseEnd });
  const endsCondition = (index: number): boolean =>
    isWord(tokens[index], ...AFTER_CONDITION) || isOperator(tokens[index], ",");
  const condition = { start: right.range.end + 1, end: outerIndexes.find(endsCondition) ?? clauseEnd };
  const fromEnd = outerIndexes.find((index) => isWord(tokens[index], ...CLAUSES_AFTER_FROM, ...SET_OPERATORS));
  const laterIndexes = outerIndexes.filter((index) => index >= condition.end && index < (fromEnd ?? clauseEnd));
  // Columns that later joins merge, and rows that they add, depend on how the operands before them are joined.
  if (laterIndexes.some((index) => isWord(tokens[index], "right", "full", "natural", "using"))) return undefined;
  const names = reader.listEnclosing(from)[0]?.map(({ exposedName }) => exposedName) ?? [];
  if (names.length < 2 || names.includes("") || new Set(names.map(foldName)).size < names.length) return undefined;
  const stars = listStars(tokens, parentheses, from);
  return stars && { kind, left, right, condition, stars, laterNames: names.slice(2) };
}

function readOperand(tokens: readonly LexerToken[], { findClosing }: Parentheses, start: number): Operand | undefined {
  const first = tokens[start];
  const isQuery = isOperator(first, "(") && isWord(tokens[start + 1], ...QUERY_WORDS);
  if (!isQuery && !(isName(first) && !isOperator(tokens[start + 1], "(", "."))) return undefined;
  const end = isQuery ? findClosing(start) + 1 : start + 1;
  const aliasAt = isWord(tokens[end], "as") ? end + 1 : end;
  const alias = tokens[aliasAt];
  const hasAlias = isName(alias) && !(alias.kind === "word" && AFTER_TABLE.has(foldName(alias.value)));
  const exposedName = hasAlias ? alias.value : isQuery ? "" : (first?.value ?? "");
  return {
    range: { start, end: hasAlias ? aliasAt + 1 : end },
    table: isQuery ? "" : foldName(first?.value ?? ""),
    exposedName,
  };
}

/** Lists the stars of the select list before this FROM; undefined if there is no such list. */
function listStars(
  tokens: readonly LexerToken[],
  { findAround }: Parentheses,
  from: number,
): readonly TokenRange[] | undefined {
  const around = findAround(from);
  const stars: TokenRange[] = [];
  for (let index = from - 1; index > around; index -= 1) {
    if (findAround(index) !== around) continue;
    if (isWord(tokens[index], "select")) return stars;
    if (isColumnStar(tokens, index))
      stars.push({ start: isOperator(tokens[index - 1], ".") ? index - 2 : index, end: index + 1 });
  }
  return undefined;
}

/** Writes `a RIGHT JOIN b` as `b LEFT JOIN a`. */
function swapOperands(
  tokens: readonly LexerToken[],
  { left, right, condition, stars, laterNames }: OuterJoin,
  { copyText }: JoinRewriting,
): readonly TextEdit[] {
  const copy = (range: TokenRange): string => copyRange(tokens, range, copyText);
  const text = `${copy(right.range)} LEFT JOIN ${copy(left.range)} ON (${copy(condition)})`;
  const allColumns = listAllColumns([left.exposedName, right.exposedName, ...laterNames]);
  return [
    replaceRange(tokens, { start: left.range.start, end: condition.end }, text),
    ...stars.filter(({ start, end }) => end - start === 1).map((star) => replaceRange(tokens, star, allColumns)),
  ];
}

function listAllColumns(exposedNames: readonly string[]): string {
  return exposedNames.map((name) => `${quoteIdentifier(name)}.*`).join(", ");
}

/**
 * Writes a FULL join as a list of the pairs of rows that it makes, by their keys, from which LEFT joins read the rows. Every name of the
 * statement then means the same as before. The condition occurs twice, so it must neither be random nor fail.
 */
function pairRows(
  tokens: readonly LexerToken[],
  { left, right, condition, stars, laterNames }: OuterJoin,
  rewriting: JoinRewriting,
  place: number,
): readonly TextEdit[] {
  const [leftTable, rightTable] = [rewriting.findTable(left.table), rewriting.findTable(right.table)];
  if (leftTable === undefined || rightTable === undefined || !isRepeatable(tokens, condition)) return [];
  const on = `ON (${copyRange(tokens, condition, rewriting.copyText)})`;
  const key = quoteIdentifier(rewriting.keyColumn);
  const pairs = quoteIdentifier(`pairs_${rewriting.nonce}_${place}`);
  const [leftKey, rightKey] = [`left_${rewriting.nonce}`, `right_${rewriting.nonce}`].map(quoteIdentifier);
  const [leftName, rightName] = [quoteIdentifier(left.exposedName), quoteIdentifier(right.exposedName)];
  const leftSource = `${quoteIdentifier(leftTable.keyedName)} AS ${leftName}`;
  const rightSource = `${quoteIdentifier(rightTable.keyedName)} AS ${rightName}`;
  const text = [
    `(SELECT ${leftName}.${key} AS ${leftKey}, ${rightName}.${key} AS ${rightKey} FROM ${leftSource} LEFT JOIN ${rightSource} ${on}`,
    `UNION ALL SELECT NULL, ${rightName}.${key} FROM ${rightSource} LEFT JOIN ${leftSource} ${on} WHERE ${leftName}.${key} IS NULL)`,
    `AS ${pairs} LEFT JOIN ${leftSource} ON ${leftName}.${key} = ${pairs}.${leftKey}`,
    `LEFT JOIN ${rightSource} ON ${rightName}.${key} = ${pairs}.${rightKey}`,
  ].join(" ");
  const listColumns = (name: string): string | undefined => {
    const table =
      foldName(name) === foldName(left.exposedName)
        ? leftTable
        : foldName(name) === foldName(right.exposedName)
          ? rightTable
          : undefined;
    return table?.columns.map((column) => `${quoteIdentifier(name)}.${quoteIdentifier(column)}`).join(", ");
  };
  const expandStar = ({ start, end }: TokenRange): string =>
    (end - start === 1 ? [left.exposedName, right.exposedName, ...laterNames] : [tokens[start]?.value ?? ""])
      .map((name) => listColumns(name) ?? listAllColumns([name]))
      .join(", ");
  return [
    replaceRange(tokens, { start: left.range.start, end: condition.end }, text),
    ...stars.map((star) => replaceRange(tokens, star, expandStar(star))),
  ];
}

/** Whether a condition means the same in both places, and cannot fail for a pair of rows for which SQLite did not evaluate it before. */
function isRepeatable(tokens: readonly LexerToken[], { start, end }: TokenRange): boolean {
  const condition = tokens.slice(start, end);
  return (
    condition.length <= MAX_CONDITION_TOKENS &&
    !condition.some((token) => isWord(token, ...QUERY_WORDS)) &&
    !condition.some((token) => isName(token) && foldName(token.value) === "random") &&
    !condition.some((token, index) => isWord(token, "in") && !isOperator(condition[index + 1], "(")) &&
    !canFailOnRow({ tokens: condition }, [], new Set())
  );
}

function copyRange(tokens: readonly LexerToken[], range: TokenRange, copyText: JoinRewriting["copyText"]): string {
  const { start, end } = toOffsets(tokens, range);
  return copyText(start, end);
}

function replaceRange(tokens: readonly LexerToken[], range: TokenRange, text: string): TextEdit {
  return { ...toOffsets(tokens, range), text };
}

/** Converts a range of lexer tokens to UTF-16 offsets. */
function toOffsets(tokens: readonly LexerToken[], { start, end }: TokenRange): Pick<TextEdit, "start" | "end"> {
  return { start: tokens[start]?.start ?? 0, end: tokens[end - 1]?.end ?? 0 };
}
