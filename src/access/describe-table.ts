// One table in full, as a person sees it: columns with meanings, masks, typical values and what they refer to.
import { grantingRules, isRowRestricted, maskOf, visibleColumns, visibleKey } from "../policy/views.ts";
import type { ViewColumn } from "../policy/views.ts";
import type { OpenTable } from "../sources/source.ts";

export interface ColumnDescription {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  /** How it is masked for this person, `hidden|clear` where it differs by row. Absent when shown in clear. */
  readonly masked?: string;
  /** The `table.column` of the same source that it refers to, where that is to be seen too. */
  readonly references?: string;
  /** Typical values, for who sees the column in clear, and every row. */
  readonly examples?: readonly string[];
  /** There, and true, when fetch gives the value of one of its tokens. */
  readonly reveal?: true;
  /** There, and true, when outsiders write its text. */
  readonly untrusted?: true;
}

export interface TableDescription {
  readonly kind: "table";
  readonly dataset: string;
  readonly source: string;
  readonly description: string;
  /** How to ask for it. */
  readonly use: string;
  readonly table: string;
  /** Absent where the table has none, and for a user who does not see that column. */
  readonly key?: string;
  readonly rows: "all" | "only those your rules allow";
  readonly columns: readonly ColumnDescription[];
  readonly rules: readonly string[];
}

/** One table with its columns as this subject sees them, beside the other tables of the source that they see. */
export function describeTable({ dataset, decision }: OpenTable, tables: readonly OpenTable[]): TableDescription {
  const seen = new Set(tables.flatMap(columnsSeen));
  const key = visibleKey(decision, dataset);
  return {
    dataset: dataset.id,
    source: dataset.source,
    kind: "table",
    description: dataset.description,
    use: `query with source "${dataset.source}" and the table name ${dataset.table}`,
    table: dataset.table,
    ...(key === undefined ? {} : { key: key.name }),
    rows: isRowRestricted(decision) ? "only those your rules allow" : "all",
    columns: visibleColumns(decision, dataset).map((column) => describeColumn({ dataset, decision }, column, seen)),
    rules: grantingRules(decision),
  };
}

function columnsSeen({ dataset, decision }: OpenTable): readonly string[] {
  return visibleColumns(decision, dataset).map(({ name }) => `${dataset.table}.${name}`);
}

/** What a column refers to is told only to who sees that too: the name alone would tell that it is there. */
function describeColumn(
  { dataset, decision }: OpenTable,
  column: ViewColumn,
  seen: ReadonlySet<string>,
): ColumnDescription {
  const { name, type, description } = column;
  const masked = maskOf(column);
  const {
    references = null,
    examples = [],
    untrusted = false,
  } = dataset.columns.find((one) => one.name === name) ?? {};
  const isInClear = masked === null && !isRowRestricted(decision);
  const isRevealed = decision.grants.some(({ reveal }) => reveal.includes(name));
  return {
    name,
    type,
    description,
    ...(masked === null ? {} : { masked }),
    ...(references !== null && seen.has(references) ? { references } : {}),
    ...(isInClear && examples.length > 0 ? { examples } : {}),
    ...(isRevealed ? { reveal: true } : {}),
    ...(untrusted ? { untrusted: true } : {}),
  };
}
