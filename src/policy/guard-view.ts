// Layer 2 of governed SQL, the policy half: turns a decision into the SELECT of a guard view. The view applies row rules, masks and
// hidden columns, so the SQL around it sees only what the subject may see. The mechanical half is sql/statement-guard.ts.
import { quoteIdentifier } from "../sql/identifier.ts";
import type { GuardView, PinnedColumn, ViewSelectOptions } from "../sql/statement-guard.ts";
import type { Parameters } from "../sql/parameters.ts";
import { buildMissingTokenMarker } from "../sql/sql-problem.ts";
import {
  MASKING_TOKEN_TABLE_COLUMNS,
  MASKING_TOKEN_TABLE,
  getDisclosedType,
  getMaskedAffinity,
  formatDisclosure,
  rankDisclosure,
  buildDisclosureSql,
} from "./masks.ts";
import type { MaskingTokenSql } from "./masks.ts";
import { listConditionColumns, buildConditionSql, estimateShare, findEqualities } from "./conditions.ts";
import type { QuoteColumn } from "./conditions.ts";
import type { AllowedDecision, Column, ColumnType, Disclosure, Grant, TableDataset } from "./model.ts";

/** A column as the subject sees it. */
export interface ViewColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly description: string;
  /** See `Column`. */
  readonly comparedAs: Column["comparedAs"];
  /** The least masked form that a row can get. */
  readonly disclosure: Disclosure;
  /** Every disclosure that a row can get, least masked first. More than one when grants differ by row. */
  readonly disclosures: readonly Disclosure[];
  /**
   * The type that a masked column declares to SQLite; its collation is BINARY. Null for a column in clear, which keeps the type and
   * collation of the table, and where the rows' forms have no type in common.
   */
  readonly affinity: ReturnType<typeof getMaskedAffinity>;
}

/** Lists the columns that exist for the subject, in declared order. A column that every grant hides is absent. */
export function listVisibleColumns(decision: AllowedDecision, dataset: TableDataset): readonly ViewColumn[] {
  return dataset.columns.flatMap((column) => {
    const disclosures = listDistinctDisclosures(decision.grants.map((grant) => getDisclosure(grant, column)));
    const [mostShown] = disclosures;
    if (mostShown === undefined || mostShown.kind === "hidden") return [];
    const { name, description, comparedAs } = column;
    const type = getDisclosedType(column, mostShown);
    const affinity = getMaskedAffinity(column, disclosures);
    return [{ name, type, description, comparedAs, disclosure: mostShown, disclosures, affinity }];
  });
}

/** Names how a column is masked: `email`, or `hidden|clear` where it differs by row. Null when every row shows it in clear. */
export function formatMask({ disclosures }: ViewColumn): string | null {
  if (disclosures.every((disclosure) => disclosure.kind === "clear")) return null;
  return disclosures.map(formatDisclosure).join("|");
}

/** Whether the decision may hide rows of the dataset. */
export function isRowRestricted(decision: AllowedDecision): boolean {
  return decision.grants.every((grant) => grant.rows !== null);
}

/**
 * Lists the rules that an answer may name, which are those that granted. Only the audit record names deny rules, because their names
 * would tell users what is withheld from them.
 */
export function listGrantingRules({ grants }: Pick<AllowedDecision, "grants">): readonly string[] {
  return grants.map(({ rule }) => rule);
}

/** Lists the key columns of a table in the order of an id; empty unless all of them are visible to the subject. */
export function listVisibleKey(decision: AllowedDecision, dataset: TableDataset): readonly ViewColumn[] {
  const columns = listVisibleColumns(decision, dataset);
  const key = dataset.key.flatMap((keyColumn) => columns.find(({ name }) => name === keyColumn) ?? []);
  return key.length === dataset.key.length ? key : [];
}

/** Gives the name under which the masking tokens of a domain are stored. */
export type QualifyDomain = (domain: string) => string;

/** Creates the guard view of a dataset under a decision, with the columns that it reads and returns. */
export function createGuardView(
  decision: AllowedDecision,
  dataset: TableDataset,
  qualifyDomain: QualifyDomain,
): GuardView {
  const visibleColumns = listVisibleColumns(decision, dataset);
  const [key, ...otherKeys] = listVisibleKey(decision, dataset);
  const ruleColumns = decision.grants.flatMap((grant) => (grant.rows === null ? [] : listConditionColumns(grant.rows)));
  const common = {
    name: dataset.table,
    pinnedByRule: listPinnedColumns(decision.grants),
    // A narrowed view lists them all: they are for messages.
    columns: visibleColumns.map((column) => column.name),
    // The user may see their order, also with a view that leaves them out.
    clearColumns: visibleColumns.filter((column) => formatMask(column) === null).map((column) => column.name),
    ...(key === undefined || otherKeys.length > 0 ? {} : { key: key.name }),
    isDatabaseView: dataset.isView,
    isRowRestricted: isRowRestricted(decision),
    ruleColumns,
    estimateShownShare: (countValues: (column: string) => number | undefined) =>
      estimateShownShare(decision.grants, countValues),
  };
  const createView = (viewColumns: readonly ViewColumn[]): GuardView => {
    const tokenColumns = viewColumns.filter(({ disclosures }) => disclosures.some(isTokenDisclosure));
    return {
      ...common,
      readColumns: [...new Set([...viewColumns.map((column) => column.name), ...ruleColumns])],
      isMasked: viewColumns.some((column) => formatMask(column) !== null),
      computedMasks: viewColumns.filter(isComputed).map(({ name }) => name),
      readsClear: viewColumns.some((column) => formatMask(column) === null),
      fallibleColumns: tokenColumns.map(({ name }) => name),
      lookup: tokenColumns.length > 0 ? MASKING_TOKEN_LOOKUP : null,
      buildSelect: (parameters, options) =>
        buildGuardViewSql(decision, dataset, { parameters, qualifyDomain }, options, viewColumns),
      narrow: (columns) => createView(viewColumns.filter(({ name }) => columns.has(name))),
    };
  };
  return createView(visibleColumns);
}

/** Estimates the share of rows that any of these grants shows. */
function estimateShownShare(grants: readonly Grant[], countValues: (column: string) => number | undefined): number {
  return Math.min(
    1,
    grants.reduce((sum, { rows }) => sum + (rows === null ? 1 : estimateShare(rows, countValues)), 0),
  );
}

function isComputed({ disclosures }: ViewColumn): boolean {
  return disclosures.some(({ kind }) => !["clear", "hidden", "null", "redact"].includes(kind));
}

function isTokenDisclosure({ kind }: Disclosure): boolean {
  return kind === "token";
}

/** The table that `token` masks read in addition to the dataset's own. */
const MASKING_TOKEN_LOOKUP = { table: MASKING_TOKEN_TABLE, columns: new Set<string>(MASKING_TOKEN_TABLE_COLUMNS) };

/** Where the SELECT of a guard view puts its values. */
interface GuardViewContext {
  readonly parameters: Parameters;
  readonly qualifyDomain: QualifyDomain;
}

/**
 * Builds the SELECT of the guard view over `main."table"`. A row that several grants reach is shown in the least masked form that one
 * of them gives for this row. This uses CASE in one SELECT and not UNION, which would show the row twice.
 *
 * Every column is qualified with its table. SQLite reads an unqualified quoted name of a missing column as a string, so after a schema
 * change a row rule could become true for every row.
 */
export function buildGuardViewSql(
  decision: AllowedDecision,
  dataset: TableDataset,
  { parameters, qualifyDomain }: GuardViewContext,
  { ordering, storageOrder, ruleIndexed, nonce, keyColumn }: ViewSelectOptions,
  viewColumns: readonly ViewColumn[] = listVisibleColumns(decision, dataset),
): string {
  const from = `main.${quoteIdentifier(dataset.table)}`;
  const quoteColumn = (column: string): string => `${from}.${quoteIdentifier(column)}`;
  const row = { parameters, quoteColumn, qualifyDomain, nonce };
  const columns = viewColumns.map(
    (column) => `${buildShownColumnSql(decision, column, row)} AS ${quoteIdentifier(column.name)}`,
  );
  // The plus before the whole rule changes nothing but the plan: SQLite searches no index for such a term.
  const where = isRowRestricted(decision)
    ? ` WHERE ${ruleIndexed ? "" : "+"}${buildAnyGrantSql(decision.grants, parameters, quoteColumn)}`
    : "";
  if (dataset.isView)
    return `SELECT ${columns.join(", ") || NO_COLUMNS} FROM ${from}${where}${sortByAll(columns.length)}`;
  const indexHint = ordering === "unindexed" ? " NOT INDEXED" : "";
  const orderTerms = storageOrder.map((column) => `${quoteColumn(column)} COLLATE BINARY`);
  // LIMIT -1 does not limit anything. It keeps SQLite from dropping the ORDER BY and from merging the view into the outer query.
  const orderBy = orderTerms.length > 0 ? ` ORDER BY ${orderTerms.join(", ")} LIMIT -1` : "";
  if (keyColumn !== undefined) columns.push(`${from}.rowid AS ${quoteIdentifier(keyColumn)}`);
  // A view without columns still has rows to count.
  return `SELECT ${columns.join(", ") || NO_COLUMNS} FROM ${from}${indexHint}${where}${orderBy}`;
}

/** A row of a table in a statement, and where the values of a column's SQL go. */
export interface ShownRow {
  readonly parameters: Parameters;
  readonly quoteColumn: QuoteColumn;
  readonly qualifyDomain: QualifyDomain;
  /** The statement's nonce, which marks a value that has no masking token. */
  readonly nonce: string;
}

/** Builds the SQL of a column as a decision shows it in one row. */
export function buildShownColumnSql(
  { grants }: Pick<AllowedDecision, "grants">,
  column: ViewColumn,
  { parameters, quoteColumn, qualifyDomain, nonce }: ShownRow,
): string {
  const tokenSql: MaskingTokenSql = {
    bindDomain: (domain) => parameters.bind(qualifyDomain(domain)),
    missingMarker: buildMissingTokenMarker(nonce),
  };
  return buildColumnSql(grants, column, parameters, quoteColumn, tokenSql);
}

const NO_COLUMNS = 'NULL AS "(no visible columns)"';

/**
 * Sorts the rows of a database view by all that the guard view shows, so that their order reveals nothing else: whatever plan the view
 * has, it may read its tables in the order of masked or hidden values, and it may sort by them itself.
 */
function sortByAll(columnCount: number): string {
  const terms = Array.from({ length: columnCount }, (_value, index) => `${index + 1} COLLATE BINARY`);
  return `${terms.length === 0 ? "" : ` ORDER BY ${terms.join(", ")}`} LIMIT -1`;
}

/** Lists the columns that have the same value in all rows that these grants show. */
function listPinnedColumns(grants: readonly Grant[]): readonly PinnedColumn[] {
  const [firstEqualities = new Map<string, never>(), ...otherEqualities] = grants.map(({ rows }) =>
    rows === null ? new Map() : findEqualities(rows),
  );
  const sharedEqualities = [...firstEqualities].filter(([column, value]) =>
    otherEqualities.every((equalities) => equalities.get(column) === value),
  );
  return sharedEqualities.map(([name, value]) => ({ name, isNumber: typeof value !== "string" }));
}

/** Gives the disclosure of a column under a grant: `hidden` when the grant does not name the column. */
export function getDisclosure(grant: Grant, column: Pick<Column, "name">): Disclosure {
  return (Object.hasOwn(grant.columns, column.name) ? grant.columns[column.name] : undefined) ?? { kind: "hidden" };
}

/** Removes duplicates and sorts, least masked first. */
function listDistinctDisclosures(disclosures: readonly Disclosure[]): readonly Disclosure[] {
  const byName = new Map(disclosures.map((disclosure) => [formatDisclosure(disclosure), disclosure]));
  return [...byName.values()].toSorted((a, b) => rankDisclosure(b) - rankDisclosure(a));
}

/**
 * Builds the SQL of a column. A cast declares the type of a masked one. Every masked form has this type already, so the cast changes only
 * clear values of another type, in a column whose form differs by row: it does with them what a column of the type does.
 */
function buildColumnSql(
  grants: readonly Grant[],
  column: ViewColumn,
  parameters: Parameters,
  quoteColumn: QuoteColumn,
  tokenSql: MaskingTokenSql,
): string {
  const value = buildRowFormsSql(grants, column, parameters, quoteColumn, tokenSql);
  return column.affinity === null ? value : `CAST(${value} AS ${column.affinity})`;
}

function buildRowFormsSql(
  grants: readonly Grant[],
  column: ViewColumn,
  parameters: Parameters,
  quoteColumn: QuoteColumn,
  tokenSql: MaskingTokenSql,
): string {
  const branches: string[] = [];
  const operand = buildOperandSql(column, quoteColumn(column.name));
  for (const disclosure of column.disclosures) {
    // Compare names, not ranks: very large steps have equal ranks, and a row must not show the form of a grant that does not reach it.
    const name = formatDisclosure(disclosure);
    const disclosingGrants = grants.filter((grant) => formatDisclosure(getDisclosure(grant, column)) === name);
    const value =
      disclosure.kind === "clear" ? buildClearSql(column, operand) : buildDisclosureSql(disclosure, operand, tokenSql);
    const isUnconditional =
      disclosingGrants.some((grant) => grant.rows === null) || disclosingGrants.length === grants.length;
    if (isUnconditional) return branches.length === 0 ? value : `CASE ${branches.join(" ")} ELSE ${value} END`;
    branches.push(`WHEN ${buildAnyGrantSql(disclosingGrants, parameters, quoteColumn)} THEN ${value}`);
  }
  return `CASE ${branches.join(" ")} END`;
}

/**
 * Builds the SQL of the clear form in a column that declares a type. Text that is no number becomes NULL in a column of numbers, as under
 * a mask: the cast would make it 0.
 */
function buildClearSql({ affinity }: ViewColumn, column: string): string {
  return affinity === null || affinity === "TEXT"
    ? column
    : `CASE WHEN CAST(${column} AS NUMERIC) = ${column} THEN ${column} END`;
}

/** Gives a column the type by which it is compared. Neither form changes a value: only columns of numbers are compared as numbers. */
function buildOperandSql({ comparedAs }: ViewColumn, column: string): string {
  switch (comparedAs) {
    case "nothing":
      return `+${column}`;
    case "number":
      return `CAST(${column} AS NUMERIC)`;
    case undefined:
      return column;
  }
}

function buildAnyGrantSql(grants: readonly Grant[], parameters: Parameters, quoteColumn: QuoteColumn): string {
  const conditions = grants.flatMap((grant) =>
    grant.rows === null ? [] : [buildConditionSql(grant.rows, parameters, quoteColumn)],
  );
  return `(${conditions.join(" OR ")})`;
}
