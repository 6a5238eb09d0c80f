// Layer 2 of governed SQL, the mechanical half: puts guard views in front of a user's SELECT. Unqualified names then resolve to the views,
// and every other name in the SELECT resolves to something that cannot be read. It decides no policy: the caller passes the views.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import type { ReadPermission } from "./authorizer.ts";
import { ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { foldName, quoteIdentifier } from "./identifier.ts";
import { buildLeftJoinEdits } from "./outer-joins.ts";
import { castUserPlaceholder, createParameters, requireExactNumbers, toDriverValue } from "./parameters.ts";
import type { DriverValue, Parameters, SqlValue } from "./parameters.ts";
import type { StorageOrder } from "./schema-copy.ts";
import type { Statement } from "./statement.ts";
import { MAX_PARAMETERS, bindUserValues, createTooManyParametersError } from "./user-values.ts";
import { applyEdits, locateInOriginal } from "./text-edits.ts";
import type { TextEdit } from "./text-edits.ts";

/** A table as the subject may see it. */
export interface GuardView {
  /** The public name, which is also the base table's name. */
  readonly name: string;
  /** Every column of the base table that `buildSelect` reads. */
  readonly readColumns: readonly string[];
  /** Columns that every row shows as stored: their order reveals nothing that the rows do not show. */
  readonly clearColumns: readonly string[];
  /** Columns that a row rule restricts to a single value. */
  readonly pinnedByRule: readonly PinnedColumn[];
  /** The columns of the view, for suggestions in error messages. */
  readonly columns: readonly string[];
  /** The key column; absent if the table has none or the user does not see it. */
  readonly key?: string;
  /** Whether it reads a view of the database. Such a guard view is always computed once and sorted, whatever the form is. */
  readonly isDatabaseView: boolean;
  /** Whether some column is shown other than as stored, so that no index of the table serves it. */
  readonly isMasked: boolean;
  /** Columns that are shown in a form computed from each value, which takes time. */
  readonly computedMasks: readonly string[];
  /** Whether the view has a column that every row shows as stored. */
  readonly readsClear: boolean;
  /** Whether a row rule hides rows of the table. */
  readonly isRowRestricted: boolean;
  /** Columns that the row rules read. A search on an index of these columns alone finds all rows that the user sees. */
  readonly ruleColumns: readonly string[];
  /**
   * Estimates the share of the table's rows that the row rules show, from 0 to 1. `countValues` returns about how many different values
   * a column has; undefined if that is unknown.
   */
  readonly estimateShownShare: (countValues: (column: string) => number | undefined) => number;
  /** Columns whose reading can fail by itself, because a masking token is still missing. */
  readonly fallibleColumns: readonly string[];
  /** Another table that `buildSelect` reads; null if there is none. */
  readonly lookup: Lookup | null;
  /** Builds the SELECT that reads the base table through the policy. */
  readonly buildSelect: (parameters: Parameters, options: ViewSelectOptions) => string;
  /** Returns the view with only these of its `columns`, for a statement that uses no others. Row rules apply as before. */
  readonly narrow: (columns: ReadonlySet<string>) => GuardView;
}

/** How to build the SELECT of a guard view. */
export interface ViewSelectOptions extends Pick<ViewForm, "ruleIndexed"> {
  readonly ordering: Ordering;
  /** Columns to sort by if `ordering` is `sorted`. */
  readonly storageOrder: readonly string[];
  /** See `GuardOptions`. */
  readonly nonce: string;
  /** The name of an additional column, the table's rowid; absent for none. */
  readonly keyColumn?: string;
}

/** A column that a row rule restricts to a single value. */
export interface PinnedColumn {
  readonly name: string;
  /** Whether the value is a number, which a text column may hold in several spellings. */
  readonly isNumber: boolean;
}

/** A table that a guard view reads besides its base table. */
interface Lookup {
  readonly table: string;
  /** Folded column names. */
  readonly columns: ReadonlySet<string>;
}

/**
 * How views prevent an index on a masked or hidden column from setting the order of rows, which would reveal which of two values is
 * smaller. `free`: they do nothing, because no such index is used. `unindexed`: they read their tables without indexes, and SQLite may
 * merge them into the query around them. `sorted`: they read with any index, and sort rows into storage order before anything sees them.
 */
export type Ordering = "free" | "unindexed" | "sorted";

/** How the guard views of a statement are computed. */
export interface ViewForm {
  /** Whether SQLite may search an index for the row rule. Where the rule shows many rows, other indexes find those of a query faster. */
  readonly ruleIndexed: boolean;
  /** Whether each view is computed once, before the query around it. This is cheaper if that query would compute it repeatedly. */
  readonly materialized: boolean;
  /**
   * Whether views with a row rule keep out the conditions of the query around them. SQLite then cannot evaluate an expression on a row
   * that the rule hides, where a failure would reveal that the row exists. Indexes of such tables then serve only the rule.
   */
  readonly fenced: boolean;
  /** Whether each masked view computes its masks once for a row, and not in each place of the query that uses them. */
  readonly masksOnce: boolean;
  /** Whether RIGHT and FULL joins are written as LEFT joins where the result stays the same; see outer-joins.ts. */
  readonly leftJoined: boolean;
  readonly ordering: Ordering;
  /** Names of views that stay `free` whatever `ordering` is: no index on their tables could reveal anything. */
  readonly orderSafe: readonly string[];
}

/** The form of a statement that nothing calls to change. */
export const PLAIN_FORM: ViewForm = {
  ruleIndexed: true,
  materialized: false,
  leftJoined: false,
  fenced: false,
  masksOnce: false,
  ordering: "free",
  orderSafe: [],
};

/** How to compose a guarded query. */
export interface GuardOptions extends ViewForm {
  /** Random letters and digits that cannot be guessed, new for each query. */
  readonly nonce: string;
  /** Maximum rows to return. The query asks for one more, to detect that rows were cut. */
  readonly maxReadRows: number;
  /** Finds the storage order of a table, for views that sort; undefined if it cannot be named. */
  readonly findStorageOrder: (table: string) => StorageOrder | undefined;
}

/** A composed statement: `before`, `body` and `after`, and what is known about it. */
export interface GuardedQuery {
  /** Ends where the user's text begins. */
  readonly before: string;
  /** The user's text, with a cast around the `?` of each number. */
  readonly body: string;
  /** What the body replaces in the user's text. */
  readonly bodyEdits: readonly TextEdit[];
  readonly after: string;
  /** One value per parameter number; the guard's values come first. */
  readonly parameters: readonly DriverValue[];
  /** The views whose names occur in the SQL. */
  readonly usedViews: readonly GuardView[];
  /** The name that each deny-CTE shadows, as the user wrote it. Reading it fails on the table `nameDeniedTable(nonce, index)`. */
  readonly deniedNames: readonly string[];
  /** What the views may read. */
  readonly readPermissions: readonly ReadPermission[];
  /** Folded names that a CTE shadows. */
  readonly shadowedNames: ReadonlySet<string>;
}

/** Joins the three parts of a composed statement. */
export function toSql({ before, body, after }: Pick<GuardedQuery, "before" | "body" | "after">): string {
  return `${before}${body}${after}`;
}

/** D1's limit on one statement. */
const MAX_STATEMENT_BYTES = 100_000;

/** Names the table that a deny-CTE reads. It does not exist, so reading it fails. */
function nameDeniedTable(nonce: string, index: number): string {
  return `denied_${nonce}_${index}`;
}

/**
 * Puts the user's text into a frame with a row limit, without any view. Throws `invalid_input` when the number of values differs from
 * the number of `?` or JSON has rounded one, and `query_refused` when there are more parameters than D1 accepts.
 */
export function frameQuery(
  statement: Statement,
  values: readonly SqlValue[],
  { maxReadRows }: Pick<GuardOptions, "maxReadRows">,
): GuardedQuery {
  const placeholderCount = statement.parameterOffsets.length;
  if (values.length !== placeholderCount) {
    throw new AppError(
      "invalid_input",
      `The SQL has ${placeholderCount} parameter(s) but params has ${values.length} value(s). Give one value for each ?.`,
    );
  }
  // Checked before anything is composed from them: there can be thousands.
  if (placeholderCount > MAX_PARAMETERS) throw createTooManyParametersError(placeholderCount);
  if (!Number.isSafeInteger(maxReadRows)) throw new TypeError("maxReadRows must be a whole number");
  requireExactNumbers(values);
  const bodyEdits = listCasts(statement, values);
  return {
    before: "SELECT * FROM (\n",
    body: applyEdits(statement.text, bodyEdits),
    bodyEdits,
    after: `\n) LIMIT ${maxReadRows + 1}`,
    parameters: values.map(toDriverValue),
    usedViews: [],
    deniedNames: [],
    readPermissions: [],
    shadowedNames: new Set(),
  };
}

/**
 * Puts CTEs in front of a framed statement. Each used view gets a nonce CTE that applies the policy and a public CTE that selects from
 * it. Every other name gets a deny-CTE, so that tables without a grant, database views and tables that were created a second ago all fail
 * alike. The user's text stays unchanged. Throws `query_refused` when the statement would exceed D1's limits.
 */
export function guardQuery(
  statement: Statement,
  framed: GuardedQuery,
  views: readonly GuardView[],
  options: GuardOptions,
): GuardedQuery {
  // Numbered placeholders come first: SQLite then numbers the user's plain ? after the highest of them.
  const parameters = createParameters();
  const usedViews = listUsedViews(statement, views);
  const usedViewNames = new Set(usedViews.map((view) => foldName(view.name)));
  // A deny-CTE would break a table-valued function of the same name, so a function that is only called gets none. If its name also
  // occurs without a call, it may name a table.
  const deniedNames = [...statement.names].filter(
    ([name]) => !usedViewNames.has(name) && !(ALLOWED_TABLE_FUNCTIONS.has(name) && statement.calledOnlyNames.has(name)),
  );
  const viewCtes = usedViews.flatMap((view, index) => buildViewCtes(view, index, parameters, options));
  const bound = bindUserValues(framed.bodyEdits, framed.parameters, parameters.values.length);
  const rewritten = options.leftJoined ? leftJoin(statement, bound.placeholders, usedViews, options) : undefined;
  const keyedViews = rewritten?.keyedViews ?? [];
  // These have the values of the other views, so they bind none that has no number yet.
  const keyedCtes = keyedViews.map(({ view, index }) => buildKeyedCte(view, index, parameters, options));
  const ctes = [...viewCtes, ...keyedCtes, ...deniedNames.map(([name], index) => buildDenyCte(name, index, options))];
  const query: GuardedQuery = {
    ...framed,
    ...(bound.isPacked ? { body: applyEdits(statement.text, bound.placeholders), bodyEdits: bound.placeholders } : {}),
    ...(rewritten === undefined ? {} : { body: rewritten.body, bodyEdits: rewritten.bodyEdits }),
    before: `WITH ${ctes.join(", ")} ${framed.before}`,
    parameters: [...parameters.values, ...bound.parameters],
    usedViews,
    deniedNames: deniedNames.map(([, name]) => name),
    readPermissions: [
      ...usedViews.flatMap((view, index) =>
        listPermissions(nameViewCte(options.nonce, index), view, findViewStorageOrder(view, options)),
      ),
      ...keyedViews.flatMap(({ view, keyedName, rowidOrder }) => listPermissions(keyedName, view, rowidOrder)),
    ],
    shadowedNames: new Set([...usedViewNames, ...deniedNames.map(([name]) => name)]),
  };
  if (byteLength(toSql(query)) > MAX_STATEMENT_BYTES)
    throw new AppError("query_refused", "The SQL uses too many different names. Split it into smaller queries.");
  if (query.parameters.length > MAX_PARAMETERS) throw createTooManyParametersError(framed.parameters.length);
  return query;
}

/**
 * Converts a byte offset in the composed statement to a character of the user's text, counted from 1; undefined if the byte is outside
 * the user's text.
 */
export function locateInStatement(statement: Statement, query: GuardedQuery, byteOffset: number): number | undefined {
  const offset = locateInText(query, byteOffset);
  return offset === undefined ? undefined : locateInOriginal(statement.edits, offset) + 1;
}

/** Converts a byte offset in the composed statement to a UTF-16 offset in `Statement.text`; undefined if it is outside that text. */
export function locateInText({ before, body, bodyEdits }: GuardedQuery, byteOffset: number): number | undefined {
  const start = byteLength(before);
  const bytes = new TextEncoder().encode(body);
  if (byteOffset < start || byteOffset >= start + bytes.length) return undefined;
  const character = new TextDecoder().decode(bytes.subarray(0, byteOffset - start)).length;
  return locateInOriginal(bodyEdits, character);
}

function listCasts({ parameterOffsets }: Statement, values: readonly SqlValue[]): readonly TextEdit[] {
  return parameterOffsets.map((start, index) => ({
    start,
    end: start + 1,
    text: castUserPlaceholder("?", values[index] ?? null),
  }));
}

/** Lists the views whose names occur in the SQL. */
export function listUsedViews({ names }: Statement, views: readonly GuardView[]): readonly GuardView[] {
  return views.filter((view) => names.has(foldName(view.name)));
}

/** Lists the tables of the database that these views read, each once. */
export function listReadTables(usedViews: readonly GuardView[]): readonly string[] {
  return [...new Set(usedViews.flatMap(({ name, lookup }) => (lookup === null ? [name] : [name, lookup.table])))];
}

function nameViewCte(nonce: string, index: number): string {
  return `guard_${nonce}_${index}`;
}

/** A view over a table with rowids, which another CTE can show with the rowid of each row. */
interface KeyedView {
  readonly view: GuardView;
  readonly index: number;
  readonly keyedName: string;
  readonly rowidOrder: StorageOrder;
}

function listKeyedViews(usedViews: readonly GuardView[], options: GuardOptions): readonly KeyedView[] {
  return usedViews.flatMap((view, index) => {
    const rowidOrder = options.findStorageOrder(view.name);
    return rowidOrder?.isRowid === true
      ? [{ view, index, keyedName: nameKeyedCte(options.nonce, index), rowidOrder }]
      : [];
  });
}

/** The text begins as that of the other view, so that messages find the table of both by the number at the end. */
function nameKeyedCte(nonce: string, index: number): string {
  return `guard_${nonce}_key_${index}`;
}

/** Names the rowid of a keyed view, in plans too. No `*` of the user's text may stand for it, and no user can guess it. */
export function nameKeyColumn(nonce: string): string {
  return `key_${nonce}`;
}

/** A text without some of its outer joins, and the views that it reads with their keys. */
type RewrittenBody = Pick<GuardedQuery, "body" | "bodyEdits"> & { readonly keyedViews: readonly KeyedView[] };

/**
 * Writes outer joins as LEFT joins. Each `?` has its number in `placeholders`, because the new text may repeat it. Undefined if there are
 * none to write.
 */
function leftJoin(
  statement: Statement,
  placeholders: readonly TextEdit[],
  usedViews: readonly GuardView[],
  options: GuardOptions,
): RewrittenBody | undefined {
  const { nonce } = options;
  const keyedViews = listKeyedViews(usedViews, options);
  const tableByName = new Map(
    keyedViews.map(({ view, keyedName }) => [foldName(view.name), { columns: view.columns, keyedName }]),
  );
  const names = { findTable: (name: string) => tableByName.get(name), keyColumn: nameKeyColumn(nonce), nonce };
  const bodyEdits = buildLeftJoinEdits(statement, placeholders, names);
  if (bodyEdits === undefined) return undefined;
  const body = applyEdits(statement.text, bodyEdits);
  return { body, bodyEdits, keyedViews: keyedViews.filter(({ keyedName }) => body.includes(keyedName)) };
}

function listPermissions(cteName: string, view: GuardView, order: StorageOrder | undefined): readonly ReadPermission[] {
  const columns = [...view.readColumns, ...(order?.readColumns ?? [])];
  const tablePermission = { cteName, table: view.name, columns: new Set(columns.map(foldName)) };
  return view.lookup === null ? [tablePermission] : [tablePermission, { cteName, ...view.lookup }];
}

function buildViewCtes(
  view: GuardView,
  index: number,
  parameters: Parameters,
  options: GuardOptions,
): readonly string[] {
  const name = nameViewCte(options.nonce, index);
  return [
    buildViewCte(name, view, parameters, options),
    `${quoteIdentifier(view.name)} AS (SELECT * FROM ${quoteIdentifier(name)})`,
  ];
}

function buildKeyedCte(view: GuardView, index: number, parameters: Parameters, options: GuardOptions): string {
  return buildViewCte(nameKeyedCte(options.nonce, index), view, parameters, options, nameKeyColumn(options.nonce));
}

function buildViewCte(
  name: string,
  view: GuardView,
  parameters: Parameters,
  options: GuardOptions,
  keyColumn?: string,
): string {
  const ordering = resolveOrdering(view, options);
  const storageOrder = findViewStorageOrder(view, options);
  // A table whose storage order cannot be named has rowids, and without indexes SQLite reads it in their order.
  const isUnsorted = ordering === "sorted" && storageOrder === undefined;
  const select = view.buildSelect(parameters, {
    ordering: isUnsorted ? "unindexed" : ordering,
    storageOrder: storageOrder?.columns ?? [],
    ruleIndexed: options.ruleIndexed,
    nonce: options.nonce,
    ...(keyColumn === undefined ? {} : { keyColumn }),
  });
  // LIMIT -1 limits nothing, but keeps SQLite from merging the view into the query around it and from moving conditions into it. The
  // view is still read row by row. A view that sorts already has such a limit.
  const isFenced = (options.fenced && view.isRowRestricted) || (options.masksOnce && view.computedMasks.length > 0);
  const fence = isFenced && !view.isDatabaseView && (storageOrder?.columns ?? []).length === 0 ? " LIMIT -1" : "";
  const hint = options.materialized || view.isDatabaseView ? "MATERIALIZED " : "";
  return `${quoteIdentifier(name)} AS ${hint}(${select}${fence})`;
}

function resolveOrdering({ name }: GuardView, { ordering, orderSafe }: GuardOptions): Ordering {
  return orderSafe.includes(name) ? "free" : ordering;
}

function findViewStorageOrder(view: GuardView, options: GuardOptions): StorageOrder | undefined {
  return resolveOrdering(view, options) === "sorted" ? options.findStorageOrder(view.name) : undefined;
}

function buildDenyCte(name: string, index: number, options: GuardOptions): string {
  return `${quoteIdentifier(name)} AS (SELECT * FROM ${quoteIdentifier(nameDeniedTable(options.nonce, index))})`;
}
