// Finds out, without running a statement, which tables and columns it reads, and which of them the columns of its result show. Layers
// decide nothing by it.
import { isName, isOperator, isWord } from "./clauses.ts";
import { findWithQueries } from "./defined-names.ts";
import { ALLOW } from "./engine/sqlite.ts";
import { foldName, quoteIdentifier } from "./identifier.ts";
import { pairParentheses } from "./parentheses.ts";
import { namesRowid } from "./rowid-names.ts";
import type { SchemaCopy } from "./schema-copy.ts";
import type { Statement } from "./statement.ts";
import type { GuardView } from "./statement-guard.ts";

/** A column of a guard view. Both names are as declared. */
export interface ColumnOrigin {
  readonly table: string;
  readonly column: string;
}

/** SQLite's code of the action that reads a column (sqlite3.h, Authorizer Action Codes). */
const READ = 20;

/** What a statement reads. */
export interface StatementReads {
  /** The columns that the statement uses, by table. */
  readonly tables: ReadonlyMap<string, ReadonlySet<string>>;
  /** The origin of each result column. */
  readonly origins: readonly (ColumnOrigin | null)[];
}

/**
 * Finds what the user's statement, in `body`, reads of the guard views. SQLite resolves the columns of a CTE silently, so the statement is
 * compiled over the tables themselves or, where they would give it another meaning, over database views with the columns of the guard
 * views. Undefined if SQLite rejects it.
 */
export function findReads(
  copy: SchemaCopy,
  statement: Statement,
  body: string,
  usedViews: readonly GuardView[],
): StatementReads | undefined {
  const reads = meansTheSameOverTables(copy, statement, usedViews)
    ? compileOverTables(copy, body, usedViews)
    : undefined;
  const { tables, origins } = reads ?? compileOverViews(copy, body, usedViews) ?? {};
  if (tables === undefined || origins === undefined) return undefined;
  return { tables: addJoinColumns(tables, statement, usedViews), origins };
}

/**
 * Whether a statement means over tables what it means over their views, as long as it reads no column that a view lacks. SQLite does not
 * report columns that NATURAL and USING compare, nor tables of which they use no other; a star and `IN t` take columns that the statement
 * does not name; only tables have rowids; and a table of which no column is used is reported like a WITH query of its name.
 */
function meansTheSameOverTables(copy: SchemaCopy, statement: Statement, usedViews: readonly GuardView[]): boolean {
  const { tokens, names, selectsStar } = statement;
  if (namesRowid(statement) || names.has("natural") || names.has("using")) return false;
  const takesAllColumns =
    selectsStar || tokens.some((token, index) => isWord(token, "in") && isName(tokens[index + 1]));
  if (takesAllColumns && !usedViews.every((view) => hasAllColumns(copy, view))) return false;
  if (!names.has("with")) return true;
  const withQueries = findWithQueries(tokens);
  return usedViews.every(({ name }) => !withQueries.has(foldName(name)));
}

/** Whether a view has the columns of its table, in the same order. */
function hasAllColumns(copy: SchemaCopy, { name, columns }: GuardView): boolean {
  const tableColumns = copy.getTableShape(name).columns;
  return (
    tableColumns.length === columns.length &&
    columns.every((column, index) => foldName(column) === tableColumns[index]?.name)
  );
}

/**
 * Compiles the statement over the tables. Undefined if SQLite rejects it, if it reads a column that a view lacks, or if SQLite does not
 * report that it reads some table: its name may be only an alias.
 */
function compileOverTables(
  { engine }: SchemaCopy,
  body: string,
  usedViews: readonly GuardView[],
): StatementReads | undefined {
  const finder = createOriginFinder(usedViews);
  const reads = new Map<string, Set<string>>();
  let readsOnlyViews = true;
  const compiled = engine.compile(`SELECT * FROM (\n${body}\n)`, (action, first, second) => {
    const view = action === READ ? finder.findView(first) : undefined;
    if (view === undefined) return ALLOW;
    const columns = reads.get(view.name) ?? new Set();
    reads.set(view.name, columns);
    const origin = finder.findOrigin(first, second);
    if (origin !== null) columns.add(origin.column);
    // The name of a column is empty for a table that is only counted.
    else if (second !== "") readsOnlyViews = false;
    return ALLOW;
  });
  // SQLite does not report a table in a subquery whose value nothing uses.
  const readsAllViews = reads.size === usedViews.length;
  if (!compiled.ok || !readsOnlyViews || !readsAllViews) return undefined;
  return { tables: reads, origins: finder.listOrigins(compiled.origins) };
}

/** Compiles the statement over database views. SQLite reports each column of a view that it uses. Undefined if SQLite rejects it. */
function compileOverViews(
  { engine }: SchemaCopy,
  body: string,
  usedViews: readonly GuardView[],
): StatementReads | undefined {
  const finder = createOriginFinder(usedViews);
  const reads = new Map<string, Set<string>>();
  const noteRead = (table: string | null, column: string | null, database: string | null): void => {
    const view = finder.findView(table);
    if (view === undefined) return;
    // The view itself reads its table in the schema main, whatever the statement uses of it. The statement reads the view in temp.
    if (database === "main" && !reads.has(view.name)) reads.set(view.name, new Set());
    const origin = database === "temp" ? finder.findOrigin(table, column) : null;
    if (origin !== null) reads.set(origin.table, (reads.get(origin.table) ?? new Set()).add(origin.column));
  };
  const created: string[] = [];
  try {
    for (const { name, columns } of usedViews) {
      engine.execute(`CREATE TEMP VIEW ${quoteIdentifier(name)} AS ${buildPlainSelect(name, columns)}`);
      created.push(name);
    }
    const compiled = engine.compile(`SELECT * FROM (\n${body}\n)`, (action, first, second, database) => {
      if (action === READ) noteRead(first, second, database);
      return ALLOW;
    });
    return compiled.ok ? { tables: reads, origins: finder.listOrigins(compiled.origins) } : undefined;
  } finally {
    for (const name of created) engine.execute(`DROP VIEW temp.${quoteIdentifier(name)}`);
  }
}

/** Creates what finds views and their columns by the names that SQLite reports. */
function createOriginFinder(usedViews: readonly GuardView[]) {
  const viewByName = new Map(usedViews.map((view) => [foldName(view.name), view]));
  const findView = (table: string | null): GuardView | undefined =>
    table === null ? undefined : viewByName.get(foldName(table));
  const findOrigin = (table: string | null, column: string | null): ColumnOrigin | null => {
    const view = findView(table);
    const name =
      column === null ? undefined : view?.columns.find((candidate) => foldName(candidate) === foldName(column));
    return view === undefined || name === undefined ? null : { table: view.name, column: name };
  };
  const listOrigins = (origins: readonly (ColumnOrigin | null)[]): readonly (ColumnOrigin | null)[] =>
    origins.map((origin) => findOrigin(origin?.table ?? null, origin?.column ?? null));
  return { findView, findOrigin, listOrigins };
}

/** Adds the columns that USING and NATURAL compare: SQLite does not report them to its authorizer. */
function addJoinColumns(
  reads: StatementReads["tables"],
  { tokens }: Statement,
  usedViews: readonly GuardView[],
): StatementReads["tables"] {
  const isNatural = tokens.some((token) => isWord(token, "natural"));
  const parentheses = pairParentheses(tokens);
  const usingNames = new Set(
    tokens.flatMap((token, index) =>
      isWord(token, "using") && isOperator(tokens[index + 1], "(")
        ? tokens.slice(index + 2, parentheses.findClosing(index + 1)).map(({ value }) => foldName(value))
        : [],
    ),
  );
  if (!isNatural && usingNames.size === 0) return reads;
  return new Map(
    [...reads].map(([table, columns]) => {
      const viewColumns = usedViews.find(({ name }) => name === table)?.columns ?? [];
      const joinColumns = viewColumns.filter((column) => isNatural || usingNames.has(foldName(column)));
      return [table, new Set([...columns, ...joinColumns])];
    }),
  );
}

function buildPlainSelect(table: string, columns: readonly string[]): string {
  return `SELECT ${columns.map(quoteIdentifier).join(", ") || "NULL"} FROM main.${quoteIdentifier(table)}`;
}
