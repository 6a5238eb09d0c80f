// Finds out, without running a statement, which tables and columns it reads, and where the columns of its result come from: their origin,
// and the type affinity and collation with which SQLite compares them. Layers decide nothing by it; answers and stored results use it.
import { ALLOW } from "./engine/sqlite.ts";
import { SET_OPERATORS, isOperator, isWord } from "./clauses.ts";
import { foldName, quoteIdentifier } from "./identifier.ts";
import { pairParentheses } from "./parentheses.ts";
import type { SchemaCopy } from "./schema-copy.ts";
import type { Statement } from "./statement.ts";
import { toSql } from "./statement-guard.ts";
import type { GuardView, GuardedQuery } from "./statement-guard.ts";

/**
 * How SQLite converts the other operand of a comparison with a column. A column with `BLOB` converts nothing. An expression with `NONE`
 * does not either, but a text column that it is compared with converts it.
 */
export type Affinity = "TEXT" | "NUMERIC" | "INTEGER" | "REAL" | "BLOB" | "NONE";

/** The order in which SQLite compares texts. */
export type Collation = "BINARY" | "NOCASE" | "RTRIM";

/** A column of a guard view. Both names are as declared. */
export interface ColumnOrigin {
  readonly table: string;
  readonly column: string;
}

/** One column of a result. */
export interface ColumnShape {
  /** The column whose values these are, masked or not; null for a computed column, and where SQLite cannot tell. */
  readonly origin: ColumnOrigin | null;
  readonly affinity: Affinity;
  readonly collation: Collation;
}

/** What a statement reads, and the columns of its result. */
export interface ResultShape {
  /** The columns that the statement uses of each table that it reads, both as declared. A table whose rows it only counts has none. */
  readonly reads: ReadonlyMap<string, ReadonlySet<string>>;
  readonly columns: readonly ColumnShape[];
}

const PLAIN_COLUMN: ColumnShape = { origin: null, affinity: "NONE", collation: "BINARY" };

/** Takes a statement to read every column of every view that its text names, which is never too little. */
export function assumeShape(usedViews: readonly GuardView[], columnCount: number): ResultShape {
  return {
    reads: new Map(usedViews.map(({ name, columns }) => [name, new Set(columns)])),
    columns: Array.from({ length: columnCount }, () => PLAIN_COLUMN),
  };
}

/** Finds the shape of a statement that layer 3 has allowed. `columnCount` is the number of its result columns. */
export function findShape(
  copy: SchemaCopy,
  statement: Statement,
  query: GuardedQuery,
  reads: StatementReads | undefined,
  columnCount: number,
): ResultShape {
  const assumed = assumeShape(query.usedViews, columnCount);
  // If SQLite took the statement otherwise over views than over CTEs, its answer would mean nothing.
  if (reads === undefined || reads.origins.length !== columnCount) return assumed;
  const comparisons = findComparisons(copy, query, columnCount);
  const isCompound = statement.tokens.some((token) => isWord(token, ...COMPOUND_WORDS));
  return {
    reads: reads.tables,
    columns: assumed.columns.map((_column, index) => ({
      ...PLAIN_COLUMN,
      ...comparisons[index],
      origin: isCompound ? null : (reads.origins[index] ?? null),
    })),
  };
}

/** Words of queries whose rows come from several SELECTs: SQLite names the origin of one of them. */
const COMPOUND_WORDS = [...SET_OPERATORS, "values"];

/** SQLite's code of the action that reads a column (sqlite3.h, Authorizer Action Codes). */
const READ = 20;

/** What a statement reads. */
export interface StatementReads {
  /** The columns that the statement uses, by table. */
  readonly tables: ResultShape["reads"];
  /** The origin of each result column. */
  readonly origins: readonly (ColumnOrigin | null)[];
}

/**
 * Compiles the user's statement, in `body`, over database views with the columns of the guard views. In place of a CTE, whose columns
 * SQLite resolves silently, it reports each column of a view that the statement uses. Undefined if SQLite rejects it.
 */
export function findReads(
  { engine }: SchemaCopy,
  statement: Statement,
  body: string,
  usedViews: readonly GuardView[],
): StatementReads | undefined {
  const viewByName = new Map(usedViews.map((view) => [foldName(view.name), view]));
  const reads = new Map<string, Set<string>>();
  const findOrigin = (table: string | null, column: string | null): ColumnOrigin | null => {
    const view = table === null ? undefined : viewByName.get(foldName(table));
    const name =
      column === null ? undefined : view?.columns.find((candidate) => foldName(candidate) === foldName(column));
    return view === undefined || name === undefined ? null : { table: view.name, column: name };
  };
  const noteRead = (table: string, column: string, database: string | null): void => {
    const view = viewByName.get(foldName(table));
    if (view === undefined) return;
    // The view itself reads its table in the schema main, whatever the statement uses of it. The statement reads the view in temp.
    if (database === "main" && !reads.has(view.name)) reads.set(view.name, new Set());
    const origin = database === "temp" ? findOrigin(table, column) : null;
    if (origin !== null) reads.set(origin.table, (reads.get(origin.table) ?? new Set()).add(origin.column));
  };
  const created: string[] = [];
  try {
    for (const { name, columns } of usedViews) {
      engine.execute(`CREATE TEMP VIEW ${quoteIdentifier(name)} AS ${buildPlainSelect(name, columns)}`);
      created.push(name);
    }
    const compiled = engine.compile(`SELECT * FROM (\n${body}\n)`, (action, first, second, database) => {
      if (action === READ) noteRead(first ?? "", second ?? "", database);
      return ALLOW;
    });
    if (!compiled.ok) return undefined;
    return {
      tables: addJoinColumns(reads, statement, usedViews),
      origins: compiled.origins.map((origin) => findOrigin(origin?.table ?? null, origin?.column ?? null)),
    };
  } finally {
    for (const name of created) engine.execute(`DROP VIEW temp.${quoteIdentifier(name)}`);
  }
}

/** Adds the columns that USING and NATURAL compare: SQLite does not report them to its authorizer. */
function addJoinColumns(
  reads: ResultShape["reads"],
  { tokens }: Statement,
  usedViews: readonly GuardView[],
): ResultShape["reads"] {
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

/** The letters by which SQLite's programs name affinities. */
const AFFINITIES: ReadonlyMap<string, Affinity> = new Map([
  ["@", "NONE"],
  ["A", "BLOB"],
  ["B", "TEXT"],
  ["C", "NUMERIC"],
  ["D", "INTEGER"],
  ["E", "REAL"],
  ["F", "NUMERIC"],
]);

/**
 * Finds how SQLite compares the columns of a statement. In `(?1, ?1) IN (SELECT a, b …)` the parameters have neither affinity nor
 * collation, so the program of this expression has those of the columns: the affinities where it converts the parameters, and the
 * collations where it opens the set.
 */
function findComparisons(
  { engine }: SchemaCopy,
  query: GuardedQuery,
  columnCount: number,
): readonly Pick<ColumnShape, "affinity" | "collation">[] {
  const parameters = Array.from({ length: columnCount }, () => "?1").join(", ");
  const instructions = engine
    .listInstructions(`SELECT (${parameters}) IN (${toSql(query)})`, ["OpenEphemeral", "Affinity"])
    .filter(({ p2 }) => p2 === columnCount);
  const set = instructions.find(({ opcode }) => opcode === "OpenEphemeral");
  const letters = instructions.findLast(({ opcode }) => opcode === "Affinity")?.p4 ?? "";
  // Such as `k(2,NOCASE,B)`: the number of columns, and the collation of each.
  const collations = set?.p4.slice(0, -1).split(",").slice(1) ?? [];
  return Array.from({ length: columnCount }, (_value, index) => ({
    affinity: AFFINITIES.get(letters.charAt(index)) ?? "NONE",
    collation: toCollation(collations[index]),
  }));
}

function toCollation(name: string | undefined): Collation {
  return name === "NOCASE" || name === "RTRIM" ? name : "BINARY";
}
