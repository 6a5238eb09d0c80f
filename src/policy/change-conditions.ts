// Builds the SQL conditions of a change over one row of its table: whether it is among the rows of the change, and whether the policy lets
// the subject make the change of it. The source puts them into its statements.
import type { ChangePlan, SetValue } from "./change-plan.ts";
import type { ChangeGrant } from "./change-model.ts";
import { getCastType } from "./change-values.ts";
import { buildConditionSql } from "./conditions.ts";
import type { QuoteColumn } from "./conditions.ts";
import { buildShownColumnSql, formatMask, getDisclosure, listVisibleColumns } from "./guard-view.ts";
import { isTextual } from "./masks.ts";
import type { AllowedDecision, Column, Disclosure, Grant } from "./model.ts";
import { toDriverValue } from "../sql/parameters.ts";
import type { Parameters, SqlValue } from "../sql/parameters.ts";

/** The SQL of one row of the table, with values bound to one statement. */
interface RowSql {
  readonly parameters: Parameters;
  readonly quoteColumn: QuoteColumn;
}

/** Builds the condition that the subject sees the row. */
export function buildVisibleSql(read: AllowedDecision, { parameters, quoteColumn }: RowSql): string {
  return buildGrantsSql(read.grants, parameters, quoteColumn);
}

/** Builds the condition that the row is one of the change's: the subject sees it, and sees in clear that it has the values of `where`. */
export function buildMatchSql({ read, where }: Pick<ChangePlan, "read" | "where">, row: RowSql): string {
  const terms = where.map(({ column, values }): string => {
    const clear = buildGrantsSql(
      read.grants.filter((grant) => getDisclosure(grant, column).kind === "clear"),
      row.parameters,
      row.quoteColumn,
    );
    return `(${clear}) AND (${buildAnyEqualitySql(column, values, row)})`;
  });
  return combine([buildVisibleSql(read, row), ...terms], "AND");
}

/**
 * Compares exactly: a column may compare other texts as equal (NOCASE, RTRIM). The first comparison may use an index. The values of a list
 * are one parameter, because D1 takes at most 100.
 */
function buildAnyEqualitySql(
  { name, type }: Column,
  values: readonly SqlValue[],
  { parameters, quoteColumn }: RowSql,
): string {
  const column = quoteColumn(name);
  const literals = values.filter((value) => value !== null).map(toDriverValue);
  const isNull = literals.length < values.length ? [`${column} IS NULL`] : [];
  if (literals.length === 0) return isNull.join("");
  const list = `(SELECT CAST(value AS ${getCastType(type)}) FROM json_each(${parameters.bind(JSON.stringify(literals))}))`;
  const exact = isTextual(type) ? ` AND CAST(${column} AS TEXT) COLLATE BINARY IN ${list}` : "";
  return [`(${column} IN ${list}${exact})`, ...isNull].join(" OR ");
}

/** Joins conditions in halves, because SQLite limits the depth of an expression. */
function combine(conditions: readonly string[], operator: "AND" | "OR"): string {
  const [first = operator === "AND" ? "1" : "0", ...others] = conditions;
  if (others.length === 0) return first;
  const half = Math.ceil(conditions.length / 2);
  return `(${combine(conditions.slice(0, half), operator)} ${operator} ${combine(conditions.slice(half), operator)})`;
}

/** Builds the condition that the subject sees the current value of each column that the change sets, or may reveal it. */
export function buildWritableSql({ read, values }: Pick<ChangePlan, "read" | "values">, row: RowSql): string {
  const conditions = values.map(({ column }) => {
    const grants = read.grants.filter(
      (grant) => getDisclosure(grant, column).kind === "clear" || grant.reveal.includes(column.name),
    );
    return `(${buildGrantsSql(grants, row.parameters, row.quoteColumn)})`;
  });
  return combine(conditions, "AND");
}

/** Builds the condition of a grant's rows. */
export function buildGrantRowsSql({ rows }: ChangeGrant, { parameters, quoteColumn }: RowSql): string {
  return rows === null ? "1" : buildConditionSql(rows, parameters, quoteColumn);
}

/**
 * Builds the condition that a new value equals what the subject's mask shows of the old one: text that an assistant read masked and would
 * write back. A masking token is refused by its form, so a token mask counts as its other form, `[redacted]`.
 */
export function buildMaskEchoSql(
  { dataset, read, values }: Pick<ChangePlan, "dataset" | "read" | "values">,
  row: RowSql,
): string {
  const conditions = values.flatMap(({ column, value }) => {
    const shown = { ...read, grants: read.grants.map((grant) => withoutTokens(grant, column)) };
    const viewColumn = listVisibleColumns(shown, dataset).find(({ name }) => name === column.name);
    if (viewColumn === undefined || formatMask(viewColumn) === null) return [];
    const masked = buildShownColumnSql(shown, viewColumn, { ...row, qualifyDomain: String, nonce: "" });
    const bound = castValue(column.type, value, row.parameters);
    return [`(${masked} = ${bound} AND ${row.quoteColumn(column.name)} IS NOT ${bound})`];
  });
  return combine(conditions, "OR");
}

function withoutTokens(grant: Grant, column: Column): Grant {
  const disclosure = getDisclosure(grant, column);
  const redacted: Disclosure = { kind: "redact" };
  return disclosure.kind === "token" ? { ...grant, columns: { ...grant.columns, [column.name]: redacted } } : grant;
}

/** Gives the columns of a row as the change makes it: each one that is set has its new value. */
export function quoteChangedRow(values: readonly SetValue[], { parameters, quoteColumn }: RowSql): QuoteColumn {
  return (name) => {
    const changed = values.find(({ column }) => column.name === name);
    return changed === undefined ? quoteColumn(name) : castValue(changed.column.type, changed.value, parameters);
  };
}

/** Binds a value, cast to the declared type of its column. */
export function castValue(type: Column["type"], value: SqlValue, parameters: Parameters): string {
  return value === null ? "NULL" : `CAST(${parameters.bind(value)} AS ${getCastType(type)})`;
}

function buildGrantsSql(grants: readonly Grant[], parameters: Parameters, quoteColumn: QuoteColumn): string {
  if (grants.some(({ rows }) => rows === null)) return "1";
  const conditions = grants.flatMap(({ rows }) =>
    rows === null ? [] : [buildConditionSql(rows, parameters, quoteColumn)],
  );
  return conditions.length === 0 ? "0" : `(${conditions.join(" OR ")})`;
}
