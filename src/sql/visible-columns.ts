// Lists the columns that a name in a statement may mean, for error messages: those of the tables, WITH queries and subqueries that the
// SELECT around it reads. It reads lexer tokens, so where they are ambiguous, a message lists other columns and nothing else changes.
import { dropAlias, isColumnStar, isName, isOperator } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { TABLE_FUNCTION_COLUMNS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import { outlineQueries } from "./query-outline.ts";
import type { OutlinedQuery, OutlinedSource, QueryOutline, QueryTerm } from "./query-outline.ts";
import type { Statement } from "./statement.ts";
import type { GuardView } from "./statement-guard.ts";

/** A column that does not exist, as the database names it: `column` or `source.column`. */
interface MissingColumn {
  readonly name: string;
  /** Where it is in the statement's text, in UTF-16 offsets from 0; undefined if the database does not say. */
  readonly offset: number | undefined;
}

/** Lists the columns that could be meant; undefined if the name is not found. */
export function listVisibleColumns(
  statement: Statement,
  { name, offset }: MissingColumn,
  views: readonly Pick<GuardView, "name" | "columns">[],
): readonly string[] | undefined {
  const outline = outlineQueries(statement.tokens);
  const reader = new ColumnReader(outline, statement, views);
  const parts = name.split(".").map(foldName);
  const column = parts.at(-1) ?? "";
  const qualifier = parts.at(-2) ?? "";
  const places = statement.tokens.flatMap((token, index) => {
    const isHere = offset === undefined ? isName(token) && foldName(token.value) === column : token.start === offset;
    return isHere ? [index] : [];
  });
  const lists = places.map((index) => reader.listVisible(index, qualifier));
  return lists.find((columns) => !columns.some((candidate) => foldName(candidate) === column)) ?? lists[0];
}

class ColumnReader {
  readonly #outline: QueryOutline;
  readonly #statement: Statement;
  readonly #columnsByTable: ReadonlyMap<string, readonly string[]>;
  /** The columns of each query that was read; none while it is read, for a query that reads itself. */
  readonly #outputs = new Map<OutlinedQuery, readonly string[]>();

  constructor(outline: QueryOutline, statement: Statement, views: readonly Pick<GuardView, "name" | "columns">[]) {
    this.#outline = outline;
    this.#statement = statement;
    this.#columnsByTable = new Map(views.map(({ name, columns }) => [foldName(name), columns]));
  }

  /** Lists what the SELECT around a lexer token reads, then what the SELECTs read around it if it is a subquery in an expression. */
  listVisible(index: number, qualifier: string): readonly string[] {
    const visible = this.#listTerms(index);
    const sources = visible.flatMap(({ sources: own }) => own);
    const meant = sources.filter(({ exposedName }) => qualifier !== "" && exposedName === qualifier);
    if (meant.length > 0) return this.#listSources(meant);
    return unique([...this.#listSources(sources), ...this.#listAliases(visible[0], index)]);
  }

  #listTerms(index: number): readonly QueryTerm[] {
    const around = this.#outline.queries.filter(({ range }) => range.start <= index && index < range.end).toReversed();
    const last = around.findIndex(({ kind }) => kind !== "value");
    return around
      .slice(0, last + 1)
      .flatMap(({ terms }) => terms.findLast(({ items }) => (items[0]?.start ?? 0) <= index) ?? []);
  }

  /** Clauses after the select list can use its aliases. */
  #listAliases(term: QueryTerm | undefined, index: number): readonly string[] {
    if (term === undefined || index < (term.items.at(-1)?.end ?? Number.POSITIVE_INFINITY)) return [];
    return term.items.flatMap((item) =>
      dropAlias(this.#outline.tokens, item).end < item.end ? (this.#nameItem(item) ?? []) : [],
    );
  }

  #listSources(sources: readonly OutlinedSource[]): readonly string[] {
    return unique(
      sources.flatMap(({ name, query, arguments: argument }) => {
        if (query !== undefined) return this.#listOutput(query);
        return (argument === undefined ? this.#columnsByTable.get(name) : TABLE_FUNCTION_COLUMNS) ?? [];
      }),
    );
  }

  /** Lists the columns that a query returns, as far as they have names. */
  #listOutput(query: OutlinedQuery): readonly string[] {
    const known = this.#outputs.get(query);
    if (known !== undefined) return known;
    this.#outputs.set(query, []);
    const [term] = query.terms;
    const names =
      query.columns.length > 0
        ? query.columns.map((column) => this.#statement.names.get(column) ?? column)
        : (term?.items.flatMap((item) => this.#listItem(item, term)) ?? []);
    const output = unique(names);
    this.#outputs.set(query, output);
    return output;
  }

  #listItem(item: TokenRange, { sources }: QueryTerm): readonly string[] {
    const { tokens } = this.#outline;
    if (!isColumnStar(tokens, item.end - 1)) {
      const name = this.#nameItem(item);
      return name === undefined ? [] : [name];
    }
    const qualifier = item.end - item.start >= 3 ? foldName(tokens[item.end - 3]?.value ?? "") : undefined;
    return this.#listSources(sources.filter(({ exposedName }) => qualifier === undefined || exposedName === qualifier));
  }

  /** Names an item of a select list by its alias or its column; an expression without an alias has no name that could be meant. */
  #nameItem(item: TokenRange): string | undefined {
    const { tokens } = this.#outline;
    const { start, end } = dropAlias(tokens, item);
    const last = tokens[item.end - 1];
    const isColumn = end - start === 1 || (end - start === 3 && isOperator(tokens[start + 1], "."));
    const hasName = end < item.end || (isColumn && last?.kind !== "string");
    return hasName && isName(last) ? last.value : undefined;
  }
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}
