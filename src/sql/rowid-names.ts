// Makes `rowid` work where a table's key is its rowid: guard views have no rowid, so the name of the key column takes its place in the
// user's text before anything else reads it. All layers then check the key column as if the user had written it: a masked key stays
// masked, and a hidden one is never named here.
import { isName, isOperator, isWord } from "./clauses.ts";
import { findDefinedNames, findWithQueries } from "./defined-names.ts";
import { createFromReader } from "./from-items.ts";
import type { FromItem, FromReader } from "./from-items.ts";
import { foldName, quoteIdentifier } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import { pairParentheses } from "./parentheses.ts";
import type { Parentheses } from "./parentheses.ts";
import { parseTrustedStatement } from "./statement.ts";
import type { Statement } from "./statement.ts";
import { applyEdits } from "./text-edits.ts";
import type { TextEdit } from "./text-edits.ts";

/** SQLite's names of the rowid, folded. A column or alias of the same name takes precedence. */
export const ROWID_NAMES: ReadonlySet<string> = new Set(["rowid", "oid", "_rowid_"]);

/** The FROM clauses around each reference are looked up. */
const MAX_REFERENCES = 50;

/** A table that a statement uses, as the user sees it. */
export interface RowidTable {
  readonly name: string;
  readonly columns: readonly string[];
  /** The visible column that is the table's rowid; undefined if there is none or the user does not see it. */
  readonly rowidColumn: string | undefined;
}

/** Whether a statement contains a name of the rowid. */
export function namesRowid({ names }: Statement): boolean {
  return [...ROWID_NAMES].some((name) => names.has(name));
}

/**
 * Replaces each rowid of one of these tables by the table's key column. Leaves a rowid unchanged if the text does not show clearly whose
 * it is; SQLite then refuses it, because guard views have none.
 */
export function replaceRowids(statement: Statement, tables: readonly RowidTable[]): Statement {
  const { tokens, text } = statement;
  const parentheses = pairParentheses(tokens);
  const takenNames = new Set([
    ...findDefinedNames(tokens),
    ...tables.flatMap(({ columns }) => columns.map((column) => foldName(column))),
  ]);
  const references = tokens.flatMap((token, index) =>
    isRowidReference(tokens, parentheses, index) && !takenNames.has(foldName(token.value)) ? [{ token, index }] : [],
  );
  if (references.length === 0 || references.length > MAX_REFERENCES) return statement;
  const withQueries = findWithQueries(tokens);
  const tableByName = new Map(
    tables.map((table) => [foldName(table.name), table] as const).filter(([name]) => !withQueries.has(name)),
  );
  const reader = createFromReader(tokens, parentheses);
  const edits = references.flatMap(({ token: { start, end }, index }): readonly TextEdit[] => {
    const replacement = findReplacement(tokens, reader, index, tableByName);
    return replacement === undefined ? [] : [{ start, end, text: replacement }];
  });
  return edits.length === 0 ? statement : { ...parseTrustedStatement(applyEdits(text, edits)), edits };
}

function isRowidReference(tokens: readonly LexerToken[], parentheses: Parentheses, index: number): boolean {
  const token = tokens[index];
  // In quotes of a string, it is text.
  if (token === undefined || token.kind === "string" || !isName(token) || !ROWID_NAMES.has(foldName(token.value)))
    return false;
  if (isOperator(tokens[index + 1], "(", ".") || isWord(tokens[index - 1], "collate")) return false;
  // `USING (…)` takes plain names of columns that both sides have.
  return !isWord(tokens[parentheses.findAround(index) - 1], "using");
}

function findReplacement(
  tokens: readonly LexerToken[],
  reader: FromReader,
  index: number,
  tables: ReadonlyMap<string, RowidTable>,
): string | undefined {
  const scopes = reader.listEnclosing(index);
  const qualifier = isOperator(tokens[index - 1], ".") ? tokens[index - 2] : undefined;
  const item =
    qualifier === undefined ? findOnlyTable(scopes, tables) : findQualifiedItem(scopes, foldName(qualifier.value));
  const column = item?.kind === "table" ? tables.get(item.table)?.rowidColumn : undefined;
  if (item === undefined || column === undefined) return undefined;
  const name = quoteIdentifier(column);
  return qualifier === undefined ? `${quoteIdentifier(item.exposedName)}.${name}` : name;
}

/** Finds the table that an unqualified rowid belongs to: the only one of the innermost FROM clause that can have a rowid. */
function findOnlyTable(
  scopes: readonly (readonly FromItem[])[],
  tables: ReadonlyMap<string, RowidTable>,
): FromItem | undefined {
  const items = scopes[0] ?? [];
  const candidates = items.filter(({ kind, table }) => kind === "function" || tables.has(table));
  return candidates.length === 1 ? candidates[0] : undefined;
}

/** Finds the item with this name in the innermost FROM clause that has one; undefined if two have it. */
function findQualifiedItem(scopes: readonly (readonly FromItem[])[], name: string): FromItem | undefined {
  for (const items of scopes) {
    const matches = items.filter(({ exposedName }) => foldName(exposedName) === name);
    if (matches.length > 0) return matches.length === 1 ? matches[0] : undefined;
  }
  return undefined;
}
