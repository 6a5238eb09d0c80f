// Finds which columns of tables a column of a view is computed from, by the text of the view: `upper(email) AS contact` shows an address
// under a name that says nothing of it. Where the text is ambiguous, it names more columns rather than fewer.
import { dropAlias, isColumnStar, isName, isOperator, isWord } from "../../src/sql/clauses.ts";
import type { TokenRange } from "../../src/sql/clauses.ts";
import { parseViewDeclaration } from "../../src/sql/database-view.ts";
import { foldName } from "../../src/sql/identifier.ts";
import { tokenize } from "../../src/sql/lexer.ts";
import type { LexerToken } from "../../src/sql/lexer.ts";
import { outlineQueries } from "../../src/sql/query-outline.ts";
import type { QueryOutline, QueryTerm } from "../../src/sql/query-outline.ts";

/** A column that a view reads, both names folded. Without a table it may be of any that the view reads. */
export interface ReadColumn {
  readonly table: string | undefined;
  readonly column: string;
}

/** What the names that a view's SELECTs give to their columns stand for. */
type Meanings = Map<string, ReadColumn[]>;

/** Lists for each column of a view the columns that its value is computed from. Counting rows or values does not show them. */
export function traceViewColumns(sql: string, columns: readonly string[]): ReadonlyMap<string, readonly ReadColumn[]> {
  const declaration = parseViewDeclaration(sql);
  if (declaration === undefined) return new Map();
  const tokens = tokenize(declaration.query).filter(({ kind }) => kind !== "space" && kind !== "comment");
  const outline = outlineQueries(tokens);
  const meanings: Meanings = new Map();
  for (const query of outline.queries)
    for (const term of query.terms) {
      const hasStar = term.items.some((item) => hasColumnStar(tokens, item));
      const given = query.kind === "statement" ? columns.map(foldName) : query.columns;
      for (const [index, item] of term.items.entries()) {
        const read = listReadColumns(outline, term, item);
        const names = [nameOf(tokens, item), hasStar ? undefined : given[index]];
        for (const name of new Set(names))
          if (name !== undefined) meanings.set(name, [...(meanings.get(name) ?? []), ...read]);
      }
    }
  return new Map(columns.map((column) => [column, follow(foldName(column), meanings)]));
}

function hasColumnStar(tokens: readonly LexerToken[], { start, end }: TokenRange): boolean {
  for (let index = start; index < end; index += 1) if (isColumnStar(tokens, index)) return true;
  return false;
}

/** The folded alias of an item, or its column's name; undefined for an expression without an alias. */
function nameOf(tokens: readonly LexerToken[], item: TokenRange): string | undefined {
  const expression = dropAlias(tokens, item);
  const isColumn = item.end - item.start === 1 || isOperator(tokens[item.end - 2], ".");
  const last = tokens[item.end - 1];
  return isName(last) && (expression.end < item.end || isColumn) ? foldName(last.value) : undefined;
}

/** Lists the columns that the expression of an item names, in its subqueries too. */
function listReadColumns({ tokens, parentheses }: QueryOutline, term: QueryTerm, item: TokenRange): ReadColumn[] {
  const { start, end } = dropAlias(tokens, item);
  const columns: ReadColumn[] = [];
  for (let index = start; index < end; index += 1) {
    const token = tokens[index];
    if (isWord(token, "count") && isOperator(tokens[index + 1], "(")) index = parentheses.findClosing(index + 1);
    else if (isName(token) && !isOperator(tokens[index + 1], "(", ".")) {
      const qualifier = isOperator(tokens[index - 1], ".") ? foldName(tokens[index - 2]?.value ?? "") : undefined;
      const source = term.sources.find(({ exposedName }) => exposedName === qualifier);
      const isTable = source !== undefined && source.query === undefined && source.name !== "";
      columns.push({ table: isTable ? source.name : undefined, column: foldName(token.value) });
    }
  }
  return columns;
}

/** Follows a name through subqueries and WITH queries. A name that no SELECT gives is that of a column, which `*` passes on. */
function follow(name: string, meanings: Meanings): readonly ReadColumn[] {
  const read = new Map<string, ReadColumn>();
  const add = (column: ReadColumn): void => void read.set(`${column.table ?? ""}\0${column.column}`, column);
  for (const column of meanings.get(name) ?? [{ table: undefined, column: name }]) add(column);
  // The loop also visits entries that are added while it runs.
  for (const { table, column } of read.values())
    if (table === undefined) for (const next of meanings.get(column) ?? []) add(next);
  return [...read.values()];
}
