// Describes one table as the user sees it: its columns with meanings, masks, typical values and references.
import { writeName } from "../sql/name-writer.ts";
import { pickDescription } from "./description.ts";
import {
  listGrantingRules,
  isRowRestricted,
  formatMask,
  listVisibleColumns,
  listVisibleKey,
} from "../policy/guard-view.ts";
import type { ViewColumn } from "../policy/guard-view.ts";
import { describeMaskedForm } from "../policy/masked-forms.ts";
import type { ChangeDescription } from "./describe-changes.ts";
import type { VisibleTable } from "../read/source.ts";

interface ColumnDescription {
  readonly name: string;
  readonly type: string;
  readonly description?: string;
  /** How the column is masked for this user, such as `hidden|clear` if it differs by row. Absent if shown in clear. */
  readonly masked?: string;
  /** What a masked value looks like, with a made-up example. Absent if shown in clear. */
  readonly shows?: string;
  /** The `table.column` of the same source that the column refers to. Absent if the user may not see that column. */
  readonly references?: string;
  /** Typical values. Only for a user who sees the column in clear on every row. */
  readonly examples?: readonly string[];
  /** True if the user may exchange the column's masking tokens with fetch; absent otherwise. */
  readonly reveal?: true;
  /** True if outsiders write the column's text; absent otherwise. */
  readonly untrusted?: true;
}

/** One table in full. */
export interface TableDescription {
  readonly kind: "table";
  readonly dataset: string;
  readonly source: string;
  readonly description?: string;
  /** How to query the table. */
  readonly use: string;
  readonly table: string;
  /** The key column, or a list of several. Absent if the table has none or the user does not see all of it. */
  readonly key?: string | readonly string[];
  readonly rows: "all" | "only those your rules allow";
  readonly columns: readonly ColumnDescription[];
  readonly rules: readonly string[];
  /** What the user may propose to change. Absent if nothing. */
  readonly changes?: readonly ChangeDescription[];
}

/** Describes one table. `tables` are all tables of the source that the user sees; references to other tables are left out. */
export function describeTable({ dataset, decision }: VisibleTable, tables: readonly VisibleTable[]): TableDescription {
  const visibleNames = new Set(tables.flatMap(listQualifiedColumns));
  const key = listVisibleKey(decision, dataset).map(({ name }) => name);
  return {
    dataset: dataset.id,
    source: dataset.source,
    kind: "table",
    ...pickDescription(dataset),
    use: `query with source "${dataset.source}" and the table name ${writeName(dataset.table)}`,
    table: dataset.table,
    ...(key.length === 0 ? {} : { key: key.length === 1 ? (key[0] ?? "") : key }),
    rows: isRowRestricted(decision) ? "only those your rules allow" : "all",
    columns: listVisibleColumns(decision, dataset).map((column) =>
      describeColumn({ dataset, decision }, column, visibleNames),
    ),
    rules: listGrantingRules(decision),
  };
}

function listQualifiedColumns({ dataset, decision }: VisibleTable): readonly string[] {
  return listVisibleColumns(decision, dataset).map(({ name }) => `${dataset.table}.${name}`);
}

/** Describes one column. A reference to a column that the user does not see is left out, because it would reveal the name. */
function describeColumn(
  { dataset, decision }: VisibleTable,
  column: ViewColumn,
  visibleNames: ReadonlySet<string>,
): ColumnDescription {
  const { name, type } = column;
  const masked = formatMask(column);
  const { references = null, untrusted = false } = dataset.columns.find((candidate) => candidate.name === name) ?? {};
  const examples = listShownExamples({ dataset, decision }, column);
  const isRevealed = decision.grants.some(({ reveal }) => reveal.includes(name));
  return {
    name,
    type,
    ...pickDescription(column),
    ...(masked === null ? {} : { masked, shows: describeMaskedForm(column) }),
    ...(references !== null && visibleNames.has(references) ? { references } : {}),
    ...(examples.length > 0 ? { examples } : {}),
    ...(isRevealed ? { reveal: true } : {}),
    ...(untrusted ? { untrusted: true } : {}),
  };
}

/** Lists the typical values of a column that describe shows this user: none unless they see the column in clear on every row. */
export function listShownExamples({ dataset, decision }: VisibleTable, column: ViewColumn): readonly string[] {
  if (formatMask(column) !== null || isRowRestricted(decision)) return [];
  return dataset.columns.find(({ name }) => name === column.name)?.examples ?? [];
}
