// Layer 2 of governed SQL, the mechanical half: puts guard views in front of a person's SELECT. Unqualified names then
// resolve to the views, and every other name that occurs resolves to something that cannot be read.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import type { Allowance } from "./authorizer.ts";
import { ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { foldName, quoteIdentifier } from "./identifier.ts";
import { createParameters, typed } from "./parameters.ts";
import type { Parameters, SqlValue } from "./parameters.ts";
import type { OwnOrder } from "./schema.ts";
import type { Statement } from "./statement.ts";

/** A table as the subject may see it. */
export interface GuardView {
  /** The public name, which is also the base table's. */
  readonly name: string;
  /** Every column of the base table that `select` reads. */
  readonly reads: readonly string[];
  /** Columns that every row shows as they are stored: their order tells nothing that the rows do not. */
  readonly clear: readonly string[];
  /** Columns that a row rule leaves one value. */
  readonly settled: readonly Settled[];
  /** The columns that it gives, for help with names. */
  readonly columns: readonly string[];
  /** Whether some column comes out other than it is stored, so that no index of the table serves it. */
  readonly isMasked: boolean;
  /** Whether a row rule hides rows of the table. */
  readonly isRowRestricted: boolean;
  /** Columns that the row rules read; an index on them alone finds all rows that the user sees. */
  readonly ruled: readonly string[];
  /** Columns whose reading can fail by itself: a masking token that is still missing. */
  readonly fragile: readonly string[];
  /** A table that `select` reads besides, with the columns; null when there is none. */
  readonly lookup: Lookup | null;
  /** Reads the base table through the policy. `ownOrder`: columns to sort by, for `sorted`. */
  readonly select: (parameters: Parameters, ordering: Ordering, ownOrder: readonly string[]) => string;
}

export interface Settled {
  readonly name: string;
  /** Whether that is a number: a column of texts may then hold it in several spellings. */
  readonly isNumber: boolean;
}

export interface Lookup {
  readonly table: string;
  /** Folded names. */
  readonly columns: ReadonlySet<string>;
}

/**
 * How views keep an index on a column that is masked or not shown from setting the order of rows, which would tell which of two
 * values is smaller. `free`: not at all, where no such index is used. `unindexed`: they read their tables without indexes, and may become
 * part of the query around them. `sorted`: they read with any index, and put rows in their table's own order before anything sees them.
 */
export type Ordering = "free" | "unindexed" | "sorted";

/** How views are computed. */
export interface ViewForm {
  /** Whether each view is computed once, before the query around it: cheaper where that would compute it again and again. */
  readonly materialized: boolean;
  /**
   * Whether views with a row rule keep conditions of the query around them out. SQLite then cannot evaluate an expression on a row that
   * the rule hides, where its failure would tell that the row exists; the indexes of such tables serve only the rule.
   */
  readonly fenced: boolean;
  readonly ordering: Ordering;
  /** The names of views that stay free whatever the ordering: no index on their tables could tell anything. */
  readonly untelling: readonly string[];
}

export interface GuardOptions extends ViewForm {
  /** Random text that nobody can guess, new for each query: letters and digits. */
  readonly nonce: string;
  /** Rows to return at most; one more is asked for, to tell that something was cut. */
  readonly maxRows: number;
  /** Of a table, for views that sort; undefined when it cannot be named. */
  readonly ownOrderOf: (table: string) => OwnOrder | undefined;
}

/** A composed statement: `before`, the person's text with `after` behind it, and what is known of it. */
export interface GuardedQuery {
  /** Ends where the person's text begins. */
  readonly before: string;
  /** The person's text, with the type of each whole number written to its `?`. */
  readonly body: string;
  readonly after: string;
  /** One value per parameter number, the guard's first. */
  readonly parameters: readonly SqlValue[];
  /** The views that occur in the SQL. */
  readonly used: readonly GuardView[];
  /** The name behind each deny-CTE, as the person wrote it: what reading it fails on is `deniedTable(nonce, index)`. */
  readonly denied: readonly string[];
  /** What the views read. */
  readonly allowances: readonly Allowance[];
  /** Folded names that a CTE stands before. */
  readonly shadowed: ReadonlySet<string>;
}

export function sqlOf({ before, body, after }: Pick<GuardedQuery, "before" | "body" | "after">): string {
  return `${before}${body}${after}`;
}

/** D1's limits on one statement. */
const MAX_STATEMENT_BYTES = 100_000;
const MAX_PARAMETERS = 100;

/** The table, existing nowhere, that a deny-CTE reads. */
export function deniedTable(nonce: string, index: number): string {
  return `denied_${nonce}_${index}`;
}

/**
 * The person's text alone in its limited frame, without a view before it. Throws `invalid_input` when the number of
 * values is not the number of `?`, and `query_refused` when there are more than the database takes.
 */
export function frameQuery(
  statement: Statement,
  values: readonly SqlValue[],
  { maxRows }: Pick<GuardOptions, "maxRows">,
): GuardedQuery {
  const wanted = statement.parameterOffsets.length;
  if (values.length !== wanted) {
    throw new AppError(
      "invalid_input",
      `The SQL has ${wanted} parameter(s) but params has ${values.length} value(s). Give one value for each ?.`,
    );
  }
  // Before anything is made of them: there can be thousands.
  if (wanted > MAX_PARAMETERS)
    throw new AppError(
      "query_refused",
      `The SQL has ${wanted} parameters; at most ${MAX_PARAMETERS} are possible here.`,
    );
  if (!Number.isSafeInteger(maxRows)) throw new TypeError("maxRows must be a whole number");
  return {
    before: "SELECT * FROM (\n",
    body: withTypes(statement, values),
    after: `\n) LIMIT ${maxRows + 1}`,
    parameters: values,
    used: [],
    denied: [],
    allowances: [],
    shadowed: new Set(),
  };
}

/**
 * Puts before a framed statement: per view a nonce CTE that applies the policy and a public CTE that selects from it; a
 * deny-CTE for every other name that occurs, so that ungranted tables, views and tables made a second ago fail alike. The
 * person's own text stays untouched. Throws `query_refused` when the whole would pass D1's limits.
 */
export function guardQuery(
  statement: Statement,
  framed: GuardedQuery,
  views: readonly GuardView[],
  options: GuardOptions,
): GuardedQuery {
  // Numbered placeholders first: SQLite then numbers the person's plain ? after the highest of them.
  const parameters = createParameters();
  const used = usedViews(statement, views);
  const usedNames = new Set(used.map((view) => foldName(view.name)));
  // A deny-CTE would break a table-valued function of its name, so there is none where it is called and nowhere named
  // without a call: a table may have the same name.
  const denied = [...statement.names].filter(
    ([name]) => !usedNames.has(name) && !(ALLOWED_TABLE_FUNCTIONS.has(name) && statement.calledOnly.has(name)),
  );
  const ctes = [
    ...used.flatMap((view, index) => viewCtes(view, index, parameters, options)),
    ...denied.map(([name], index) => denyCte(name, index, options)),
  ];
  const query = {
    ...framed,
    before: `WITH ${ctes.join(", ")} ${framed.before}`,
    parameters: [...parameters.values, ...framed.parameters],
    used,
    denied: denied.map(([, name]) => name),
    allowances: used.flatMap((view, index) => {
      const context = nonceName(options.nonce, index);
      const columns = [...view.reads, ...(ownOrderOf(view, options)?.reads ?? [])];
      const own = { context, table: view.name, columns: new Set(columns.map(foldName)) };
      return view.lookup === null ? [own] : [own, { context, ...view.lookup }];
    }),
    shadowed: new Set([...usedNames, ...denied.map(([name]) => name)]),
  };
  if (byteLength(sqlOf(query)) > MAX_STATEMENT_BYTES)
    throw new AppError("query_refused", "The SQL uses too many different names. Split it into smaller queries.");
  if (query.parameters.length > MAX_PARAMETERS) {
    const free = MAX_PARAMETERS - parameters.values.length;
    throw new AppError(
      "query_refused",
      `The SQL has ${framed.parameters.length} parameters; at most ${free} are possible here.`,
    );
  }
  return query;
}

/**
 * Where in the person's own text a byte of the composed statement stands: the character, counted from 1. Undefined when it
 * is not in there.
 */
export function positionOf(
  statement: Statement,
  { before, body }: GuardedQuery,
  byteOffset: number,
): number | undefined {
  const start = byteLength(before);
  const bytes = new TextEncoder().encode(body);
  if (byteOffset < start || byteOffset >= start + bytes.length) return undefined;
  const character = new TextDecoder().decode(bytes.subarray(0, byteOffset - start)).length;
  // Each `?` of a whole number is longer in the body than in the text.
  let longer = 0;
  for (const offset of statement.parameterOffsets) {
    const at = offset + longer;
    if (at >= character || !body.startsWith(TYPED, at)) continue;
    if (character < at + TYPED.length) return offset + 1;
    longer += TYPED.length - 1;
  }
  return character - longer + 1;
}

const TYPED = typed("?", 1);

function withTypes({ text, parameterOffsets }: Statement, values: readonly SqlValue[]): string {
  let end = 0;
  const parts = parameterOffsets.map((offset, index) => {
    const part = `${text.slice(end, offset)}${typed("?", values[index] ?? null)}`;
    end = offset + 1;
    return part;
  });
  return `${parts.join("")}${text.slice(end)}`;
}

/** The views that occur in the SQL. */
export function usedViews({ names }: Statement, views: readonly GuardView[]): readonly GuardView[] {
  return views.filter((view) => names.has(foldName(view.name)));
}

/** The tables of the database that these views read. */
export function tablesOf(used: readonly GuardView[]): readonly string[] {
  return [...new Set(used.flatMap(({ name, lookup }) => (lookup === null ? [name] : [name, lookup.table])))];
}

function nonceName(nonce: string, index: number): string {
  return `guard_${nonce}_${index}`;
}

function viewCtes(view: GuardView, index: number, parameters: Parameters, options: GuardOptions): readonly string[] {
  const name = quoteIdentifier(nonceName(options.nonce, index));
  const materialized = options.materialized ? "MATERIALIZED " : "";
  const ordering = orderingOf(view, options);
  const ownOrder = ownOrderOf(view, options);
  // A table that can be sorted by nothing has row numbers, and without indexes is read by those.
  const isUnsorted = ordering === "sorted" && ownOrder === undefined;
  const select = view.select(parameters, isUnsorted ? "unindexed" : ordering, ownOrder?.by ?? []);
  // A limit, which is none, keeps SQLite from merging the view into the query around it and from moving conditions into it. The view is
  // still read row by row. One that sorts has such a limit already.
  const fence = options.fenced && view.isRowRestricted && (ownOrder?.by ?? []).length === 0 ? " LIMIT -1" : "";
  return [`${name} AS ${materialized}(${select}${fence})`, `${quoteIdentifier(view.name)} AS (SELECT * FROM ${name})`];
}

function orderingOf({ name }: GuardView, { ordering, untelling }: GuardOptions): Ordering {
  return untelling.includes(name) ? "free" : ordering;
}

function ownOrderOf(view: GuardView, options: GuardOptions): OwnOrder | undefined {
  return orderingOf(view, options) === "sorted" ? options.ownOrderOf(view.name) : undefined;
}

function denyCte(name: string, index: number, options: GuardOptions): string {
  return `${quoteIdentifier(name)} AS (SELECT * FROM ${quoteIdentifier(deniedTable(options.nonce, index))})`;
}
