// Labels the columns of a result with what an answer must say of them: which masked columns and which columns with outsiders' text their
// values come from.
import { formatMask, listVisibleColumns } from "../policy/guard-view.ts";
import { describeInexactness } from "../policy/masked-forms.ts";
import type { TableRead, VisibleTable } from "../read/source.ts";
import { listComputedColumns } from "../sql/column-uses.ts";

/** What the values of a column come from. */
export interface ColumnLabels {
  /** Masked columns, as `source.table.column:mask`. */
  readonly masked: readonly string[];
  /** Columns whose text outsiders write, as `source.table.column`. */
  readonly untrusted: readonly string[];
  /** What is inexact when a statement compares, sorts or computes with them, one sentence for each masked column. */
  readonly inexact: readonly string[];
}

/** The labels of a result. */
export interface ReadLabels {
  /** What is inexact in it, because the statement compares, sorts or computes with masked columns. */
  readonly inexact: readonly string[];
  /** The labels of everything that the statement reads. */
  readonly all: ColumnLabels;
  /** The labels of each column of the result, in order. */
  readonly columns: readonly ColumnLabels[];
}

/** Labels a column of a table as the decision shows it. */
export function labelTableColumn({ dataset, decision }: VisibleTable, name: string): ColumnLabels {
  const column = listVisibleColumns(decision, dataset).find((candidate) => candidate.name === name);
  const mask = column === undefined ? null : formatMask(column);
  const isUntrusted = dataset.columns.some((candidate) => candidate.name === name && candidate.untrusted);
  return {
    masked: mask === null ? [] : [`${dataset.id}.${name}:${mask}`],
    untrusted: isUntrusted ? [`${dataset.id}.${name}`] : [],
    inexact:
      column === undefined ? [] : [describeInexactness(`${dataset.table}.${name}`, column.disclosures) ?? []].flat(),
  };
}

/**
 * Labels the result of a statement. `labelColumn` labels a column that the statement reads. A computed column may come from all of them.
 */
export function labelRead(
  { statement, shape }: Pick<TableRead, "statement" | "shape">,
  labelColumn: (table: string, column: string) => ColumnLabels,
): ReadLabels {
  const read = [...shape.reads].flatMap(([table, columns]) =>
    [...columns].map((name) => ({ name, labels: labelColumn(table, name) })),
  );
  const all = uniteLabels(read.map(({ labels }) => labels));
  const computed = new Set(
    all.inexact.length === 0
      ? []
      : listComputedColumns(
          statement,
          read.map(({ name }) => name),
        ),
  );
  return {
    inexact: [...new Set(read.flatMap(({ name, labels }) => (computed.has(name) ? labels.inexact : [])))],
    all,
    columns: shape.columns.map(({ origin }) => (origin === null ? all : labelColumn(origin.table, origin.column))),
  };
}

/** Merges labels, each name once. */
export function uniteLabels(labels: readonly ColumnLabels[]): ColumnLabels {
  return {
    masked: [...new Set(labels.flatMap(({ masked }) => masked))],
    untrusted: [...new Set(labels.flatMap(({ untrusted }) => untrusted))],
    inexact: [...new Set(labels.flatMap(({ inexact }) => inexact))],
  };
}
