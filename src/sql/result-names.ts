// Names the columns of a result: as their table declares them, and expressions by a readable form of their text. SQLite names a column
// of a subquery, which every user's statement becomes, by the text as typed.
import { shortenText } from "../lib/text-cut.ts";
import { findDefinedNames } from "./defined-names.ts";
import { foldName, makeUniqueColumnNames } from "./identifier.ts";
import { tokenize } from "./lexer.ts";
import type { Statement } from "./statement.ts";
import { PACKED_VALUE } from "./user-values.ts";
import type { GuardView } from "./statement-guard.ts";

/** A longer expression is cut. An alias may be longer: its author chose it. */
const MAX_EXPRESSION_CHARACTERS = 60;

/** Gives the columns of a result unique names that a later query can use. `userText` is the statement's text before any edit. */
export function nameResultColumns(
  columns: readonly string[],
  statement: Statement,
  userText: string,
  usedViews: readonly Pick<GuardView, "columns">[],
): readonly string[] {
  const definedNames = findDefinedNames(statement.tokens);
  const declaredNames = findDeclaredNames(usedViews);
  const names = columns.map((column) => {
    // SQLite names the second `a` of a subquery `a:1`.
    const [, base = column, copy = ""] = /^([^]*?)(:\d+)?$/.exec(column) ?? [];
    const folded = foldName(base);
    if (definedNames.has(folded)) return column;
    const declaredName = declaredNames.get(folded);
    if (declaredName !== undefined) return `${declaredName}${copy}`;
    return statement.names.has(folded) ? column : shortenExpression(restoreText(base, statement, userText));
  });
  return makeUniqueColumnNames(names);
}

/** Maps each folded column name to its spelling, if all views spell it alike. */
function findDeclaredNames(views: readonly Pick<GuardView, "columns">[]): ReadonlyMap<string, string> {
  const spellings = Map.groupBy(new Set(views.flatMap(({ columns }) => columns)), (column) => foldName(column));
  return new Map(
    [...spellings].flatMap(([folded, [name, ...others]]) =>
      name === undefined || others.length > 0 ? [] : [[folded, name] as const],
    ),
  );
}

/** Puts back what the guard replaced in the user's text. */
function restoreText(expression: string, { edits }: Statement, userText: string): string {
  if (userText.includes(expression)) return expression;
  const restored = edits
    .filter(({ start, end }) => end > start)
    .reduce(
      (text, { start, end, text: replacement }) => text.replaceAll(replacement, userText.slice(start, end)),
      expression,
    );
  return dropParameterNumbers(restored.replaceAll(PACKED_VALUE, "?")).replaceAll(
    /\+CAST\(\? AS (?:INTEGER|REAL)\)/g,
    "?",
  );
}

/** Users write `?`, and the guard numbers it where its SQL repeats one. The numbers would tell how many values the policy binds. */
function dropParameterNumbers(expression: string): string {
  return tokenize(expression)
    .map(({ start, end }) => expression.slice(start, end))
    .map((text) => (/^\?\d+$/.test(text) ? "?" : text))
    .join("");
}

/** Removes comments, line ends and repeated spaces, and cuts the text at a length that a table's header can show. */
function shortenExpression(expression: string): string {
  const words = tokenize(expression)
    .map(({ kind, start, end }) => (kind === "space" || kind === "comment" ? "" : expression.slice(start, end)))
    .filter((word, index, all) => word !== "" || (index > 0 && all[index - 1] !== ""));
  const text = words
    .map((word) => (word === "" ? " " : word))
    .join("")
    .trim();
  return shortenText(text, MAX_EXPRESSION_CHARACTERS);
}
