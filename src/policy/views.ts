// Layer 2 of governed SQL, the policy's half: turns a decision into the SELECT of a guard view. Rows, masks and hidden
// columns are applied inside it, so whatever is written around it sees only what the subject may see.
import { quoteIdentifier } from "../sql/identifier.ts";
import type { GuardView, Ordering, Settled } from "../sql/guard.ts";
import type { Parameters } from "../sql/parameters.ts";
import { TOKEN_COLUMNS, TOKEN_TABLE, disclosedType, disclosureName, disclosureRank, disclosureSql } from "./masks.ts";
import { columnsOf, conditionSql, equalitiesOf } from "./conditions.ts";
import type { NameOf } from "./conditions.ts";
import type { Column, ColumnType, Decision, Disclosure, Grant, TableDataset } from "./model.ts";

type Allowed = Extract<Decision, { allowed: true }>;

/** A column as the subject sees it. */
export interface ViewColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly description: string;
  /** The most that is shown on any row. */
  readonly disclosure: Disclosure;
  /** Every disclosure some row may get, most first; more than one when roles differ by row. */
  readonly disclosures: readonly Disclosure[];
}

/** The columns that exist for this subject, in declared order. A column hidden by every grant is absent. */
export function visibleColumns(decision: Allowed, dataset: TableDataset): readonly ViewColumn[] {
  return dataset.columns.flatMap((column) => {
    const disclosures = distinct(decision.grants.map((grant) => disclosureOf(grant, column)));
    const [most] = disclosures;
    if (most === undefined || most.kind === "hidden") return [];
    const { name, description } = column;
    return [{ name, type: disclosedType(column, most), description, disclosure: most, disclosures }];
  });
}

/** How a column is masked, `email` or, where it differs by row, `hidden|clear`; null when every row shows it in clear. */
export function maskOf({ disclosures }: ViewColumn): string | null {
  if (disclosures.every((disclosure) => disclosure.kind === "clear")) return null;
  return disclosures.map(disclosureName).join("|");
}

/** Whether some rows of the dataset may be out of the subject's sight. */
export function isRowRestricted(decision: Allowed): boolean {
  return decision.grants.every((grant) => grant.rows !== null);
}

/**
 * The rules that an answer may name: those that granted. A rule that denied is for the record alone, as its name tells the user what
 * is kept from them.
 */
export function grantingRules({ grants }: Pick<Allowed, "grants">): readonly string[] {
  return grants.map(({ rule }) => rule);
}

/** The key column of a table, if the subject may know that it is there. */
export function visibleKey(decision: Allowed, dataset: TableDataset): ViewColumn | undefined {
  return visibleColumns(decision, dataset).find(({ name }) => name === dataset.key);
}

/** The name under which the tokens of a domain are kept. */
export type TokenDomain = (domain: string) => string;

/** The guard view of a dataset under a decision, with what it reads and gives. */
export function guardViewOf(decision: Allowed, dataset: TableDataset, tokenDomain: TokenDomain): GuardView {
  const visible = visibleColumns(decision, dataset);
  const ruled = decision.grants.flatMap((grant) => (grant.rows === null ? [] : columnsOf(grant.rows)));
  return {
    name: dataset.table,
    reads: [...new Set([...visible.map((column) => column.name), ...ruled])],
    clear: visible.filter((column) => maskOf(column) === null).map((column) => column.name),
    settled: settledBy(decision.grants),
    columns: visible.map((column) => column.name),
    isMasked: visible.some((column) => maskOf(column) !== null),
    isRowRestricted: isRowRestricted(decision),
    ruled,
    fragile: visible.filter(({ disclosures }) => disclosures.some(isToken)).map(({ name }) => name),
    lookup: visible.some(({ disclosures }) => disclosures.some(isToken)) ? TOKENS : null,
    select: (parameters, ordering, ownOrder) =>
      guardViewSql(decision, dataset, { parameters, tokenDomain }, ordering, ownOrder),
  };
}

function isToken({ kind }: Disclosure): boolean {
  return kind === "token";
}

/** What token masks read besides the table. */
const TOKENS = { table: TOKEN_TABLE, columns: new Set<string>(TOKEN_COLUMNS) };

/** What the SELECT of a view is made with. */
export interface ViewContext {
  readonly parameters: Parameters;
  readonly tokenDomain: TokenDomain;
}

/**
 * The SELECT of the guard view over `main."table"`. Rows reached by several grants show the least masked form that one
 * of them gives for that row: CASE in one SELECT, never UNION, which would show a row twice.
 *
 * Every column is named with its table: a bare quoted name of a column that is no longer there would become a string, and
 * a row rule with it might hold for every row.
 */
export function guardViewSql(
  decision: Allowed,
  dataset: TableDataset,
  { parameters, tokenDomain }: ViewContext,
  ordering: Ordering,
  ownOrder: readonly string[] = [],
): string {
  const boundDomain = (domain: string): string => parameters.bind(tokenDomain(domain));
  const from = `main.${quoteIdentifier(dataset.table)}`;
  const nameOf = (column: string): string => `${from}.${quoteIdentifier(column)}`;
  const visible = visibleColumns(decision, dataset);
  const columns = visible.map(
    (column) =>
      `${columnSql(decision.grants, column, parameters, nameOf, boundDomain)} AS ${quoteIdentifier(column.name)}`,
  );
  const where = isRowRestricted(decision) ? ` WHERE ${anyGrantSql(decision.grants, parameters, nameOf)}` : "";
  const indexes = ordering === "unindexed" ? " NOT INDEXED" : "";
  const by = ownOrder.map((column) => `${nameOf(column)} COLLATE BINARY`);
  // The limit, which is none, keeps SQLite from leaving the order out, and the view apart from what is around it.
  const order = by.length > 0 ? ` ORDER BY ${by.join(", ")} LIMIT -1` : "";
  // A dataset whose every column is hidden still has rows to count.
  return `SELECT ${columns.join(", ") || 'NULL AS "(no visible columns)"'} FROM ${from}${indexes}${where}${order}`;
}

/** The columns that have one value in all rows which these grants show. */
function settledBy(grants: readonly Grant[]): readonly Settled[] {
  const [first = new Map<string, never>(), ...others] = grants.map(({ rows }) =>
    rows === null ? new Map() : equalitiesOf(rows),
  );
  const shared = [...first].filter(([column, value]) => others.every((one) => one.get(column) === value));
  return shared.map(([name, value]) => ({ name, isNumber: typeof value !== "string" }));
}

/** What a grant shows of a column; of one that it does not name, nothing. */
export function disclosureOf(grant: Grant, column: Pick<Column, "name">): Disclosure {
  return (Object.hasOwn(grant.columns, column.name) ? grant.columns[column.name] : undefined) ?? { kind: "hidden" };
}

/** Different disclosures, most shown first. */
function distinct(disclosures: readonly Disclosure[]): readonly Disclosure[] {
  const byName = new Map(disclosures.map((disclosure) => [disclosureName(disclosure), disclosure]));
  return [...byName.values()].toSorted((a, b) => disclosureRank(b) - disclosureRank(a));
}

function columnSql(
  grants: readonly Grant[],
  column: ViewColumn,
  parameters: Parameters,
  nameOf: NameOf,
  tokenDomain: TokenDomain,
): string {
  const branches: string[] = [];
  for (const disclosure of column.disclosures) {
    // By name: ranks of very large steps are the same number, and a row must not show the form of a grant that does not reach it.
    const name = disclosureName(disclosure);
    const giving = grants.filter((grant) => disclosureName(disclosureOf(grant, column)) === name);
    const value = disclosureSql(disclosure, nameOf(column.name), tokenDomain);
    const always = giving.some((grant) => grant.rows === null) || giving.length === grants.length;
    if (always) return branches.length === 0 ? value : `CASE ${branches.join(" ")} ELSE ${value} END`;
    branches.push(`WHEN ${anyGrantSql(giving, parameters, nameOf)} THEN ${value}`);
  }
  return `CASE ${branches.join(" ")} END`;
}

function anyGrantSql(grants: readonly Grant[], parameters: Parameters, nameOf: NameOf): string {
  const conditions = grants.flatMap((grant) =>
    grant.rows === null ? [] : [conditionSql(grant.rows, parameters, nameOf)],
  );
  return `(${conditions.join(" OR ")})`;
}
