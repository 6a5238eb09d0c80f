// Labels the columns of a result for its answer: the masked columns and the columns with outsiders' text that their
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
  /** How exact the masked columns are for a statement that compares, sorts or computes with them, one sentence for each. */
  readonly inexact: readonly string[];
}

/** The labels of a result. */
export interface ReadLabels {
  /** The columns that the statement reads, by table. */
  readonly reads: ReadonlyMap<string, ReadonlySet<string>>;
  /** How exact the masked columns are that the statement compares, sorts or computes with. */
  readonly inexact: readonly string[];
  /** The labels of everything that the statement reads. */
  readonly all: ColumnLabels;
  /** The labels of each column of the result, in order. */
  readonly columns: readonly ColumnLabels[];
}

/** Labels the columns of a table by name, as the decision shows them. */
export function labelTableColumns({ dataset, decision }: VisibleTable): ReadonlyMap<string, ColumnLabels> {
  const untrusted = new Set(dataset.columns.filter((column) => column.untrusted).map(({ name }) => name));
  return new Map(
    listVisibleColumns(decision, dataset).map((column) => {
      const { name, disclosures } = column;
      const mask = formatMask(column);
      const inexactness = describeInexactness(`${dataset.table}.${name}`, disclosures);
      return [
        name,
        {
          masked: mask === null ? [] : [`${dataset.id}.${name}:${mask}`],
          untrusted: untrusted.has(name) ? [`${dataset.id}.${name}`] : [],
          inexact: inexactness === undefined ? [] : [inexactness],
        },
      ];
    }),
  );
}

/**
 * Labels the result of a statement. `labelsByTable` has the labels of all columns of each table that it reads. A computed column may come
 * from everything that the statement reads.
 */
export function labelRead(
  { statement, shape }: Pick<TableRead, "statement" | "shape">,
  labelsByTable: ReadonlyMap<string, ReadonlyMap<string, ColumnLabels>>,
): ReadLabels {
  const getLabels = (table: string, column: string): ColumnLabels => {
    const labels = labelsByTable.get(table)?.get(column);
    // Without labels, untrusted text would leave unfenced.
    if (labels === undefined) throw new TypeError(`the column ${table}.${column} has no labels`);
    return labels;
  };
  const readColumns = [...shape.reads].flatMap(([table, columns]) =>
    [...columns].map((name) => ({ name, labels: getLabels(table, name) })),
  );
  const all = uniteLabels(readColumns.map(({ labels }) => labels));
  const names = all.inexact.length === 0 ? [] : readColumns.map(({ name }) => name);
  const computed = new Set(listComputedColumns(statement, names));
  return {
    reads: shape.reads,
    inexact: [...new Set(readColumns.flatMap(({ name, labels }) => (computed.has(name) ? labels.inexact : [])))],
    all,
    columns: shape.columns.map(({ origin }) => (origin === null ? all : getLabels(origin.table, origin.column))),
  };
}

/** Merges labels, each name once. */
function uniteLabels(labels: readonly ColumnLabels[]): ColumnLabels {
  return {
    masked: [...new Set(labels.flatMap(({ masked }) => masked))],
    untrusted: [...new Set(labels.flatMap(({ untrusted }) => untrusted))],
    inexact: [...new Set(labels.flatMap(({ inexact }) => inexact))],
  };
}
