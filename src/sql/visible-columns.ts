// Lists the columns that a name in a statement may mean, for error messages: those of the tables, WITH queries and subqueries that the
// SELECT around it reads. It reads lexer tokens, so where they are ambiguous, a message lists other columns and nothing else changes.
import { dropAlias, isColumnStar, isName, isOperator } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { TABLE_FUNCTION_COLUMNS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import { writeName } from "./name-writer.ts";
import { suggestName } from "./suggest.ts";
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

/** What a missing column may mean. */
interface VisibleColumns {
  /** The columns that could be meant. */
  readonly columns: readonly string[];
  /** What the SELECT around it reads. */
  readonly sources: readonly VisibleSource[];
}

/** A table, WITH query or subquery in a FROM clause. */
interface VisibleSource {
  /** Its folded name, which its alias hides; empty for a subquery. */
  readonly name: string;
  /** The folded name by which the SELECT calls it; empty if it has none. */
  readonly exposedName: string;
  readonly columns: readonly string[];
}

/** Maximum places of a name that are looked at: each costs time, and the name usually means the same in all. */
const MAX_PLACES = 20;

type View = Pick<GuardView, "name" | "columns">;

/** Lists the columns that could be meant; undefined if the name is not found. */
export function listVisibleColumns(
  statement: Statement,
  missing: MissingColumn,
  views: readonly View[],
): readonly string[] | undefined {
  return findVisible(statement, missing, views)?.columns;
}

/**
 * Suggests the column that is probably meant, by the name or alias that the SELECT around it can use, as sentences after a space; empty
 * if none resembles it.
 */
export function suggestColumn(statement: Statement, missing: MissingColumn, views: readonly View[]): string {
  const visible = findVisible(statement, missing, views) ?? {
    columns: views.flatMap(({ columns }) => columns),
    sources: [],
  };
  const { column, qualifier } = splitName(missing.name);
  const write = (name: string): string => writeName(statement.names.get(name) ?? name);
  const qualify = ({ exposedName }: VisibleSource, name: string): string =>
    exposedName === "" ? writeName(name) : `${write(exposedName)}.${writeName(name)}`;
  if (qualifier === "") {
    const name = suggestName(column, visible.columns);
    if (name === undefined) return "";
    const [owner, ...others] = visible.sources.filter(({ columns }) => columns.includes(name));
    return ` Did you mean ${owner !== undefined && others.length > 0 ? qualify(owner, name) : writeName(name)}?`;
  }
  const { sources } = visible;
  const meant = sources.filter(({ exposedName }) => exposedName === qualifier);
  const renamed = meant.length > 0 ? undefined : sources.find(({ name }) => name === qualifier);
  const candidates = renamed === undefined ? [...meant, ...sources] : [renamed];
  const suggested = findExact(candidates, column) ?? findSimilar(candidates, column);
  const suggestion = suggested === undefined ? "" : ` Did you mean ${qualify(suggested.source, suggested.name)}?`;
  if (renamed !== undefined)
    return ` ${write(qualifier)} has the alias ${write(renamed.exposedName)} here.${suggestion}`;
  return meant.length > 0 || sources.length === 0
    ? suggestion
    : ` There is no table or alias ${write(qualifier)} here.${suggestion}`;
}

interface SuggestedColumn {
  readonly source: VisibleSource;
  readonly name: string;
}

function findExact(sources: readonly VisibleSource[], column: string): SuggestedColumn | undefined {
  return sources
    .flatMap((source) => source.columns.map((name) => ({ source, name })))
    .find(({ name }) => foldName(name) === column);
}

function findSimilar(sources: readonly VisibleSource[], column: string): SuggestedColumn | undefined {
  return sources
    .map((source) => ({ source, name: suggestName(column, source.columns) }))
    .find((candidate): candidate is SuggestedColumn => candidate.name !== undefined);
}

function splitName(name: string): { readonly column: string; readonly qualifier: string } {
  const parts = name.split(".").map(foldName);
  return { column: parts.at(-1) ?? "", qualifier: parts.at(-2) ?? "" };
}

function findVisible(
  statement: Statement,
  { name, offset }: MissingColumn,
  views: readonly View[],
): VisibleColumns | undefined {
  const outline = outlineQueries(statement.tokens);
  const reader = new ColumnReader(outline, statement, views);
  const { column, qualifier } = splitName(name);
  const places = statement.tokens.flatMap((token, index) => {
    const isHere = offset === undefined ? isName(token) && foldName(token.value) === column : token.start === offset;
    return isHere ? [index] : [];
  });
  const found = places.slice(0, MAX_PLACES).map((index) => reader.readVisible(index, qualifier));
  return found.find(({ columns }) => !columns.some((candidate) => foldName(candidate) === column)) ?? found[0];
}

class ColumnReader {
  readonly #outline: QueryOutline;
  readonly #statement: Statement;
  readonly #columnsByTable: ReadonlyMap<string, readonly string[]>;
  /** The columns of each query that was read; none while it is read, for a query that reads itself. */
  readonly #outputs = new Map<OutlinedQuery, readonly string[]>();

  constructor(outline: QueryOutline, statement: Statement, views: readonly View[]) {
    this.#outline = outline;
    this.#statement = statement;
    this.#columnsByTable = new Map(views.map(({ name, columns }) => [foldName(name), columns]));
  }

  /** Reads what the SELECT around a lexer token reads, then what the SELECTs read around it if it is a subquery in an expression. */
  readVisible(index: number, qualifier: string): VisibleColumns {
    const visible = this.#listTerms(index);
    const sources = visible.flatMap(({ sources: own }) => own);
    const meant = sources.filter(({ exposedName }) => qualifier !== "" && exposedName === qualifier);
    const columns =
      meant.length > 0
        ? this.#listSources(meant)
        : unique([...this.#listSources(sources), ...this.#listAliases(visible[0], index)]);
    return {
      columns,
      sources: sources.map((source) => ({
        name: source.name,
        exposedName: source.exposedName,
        columns: this.#listSources([source]),
      })),
    };
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
