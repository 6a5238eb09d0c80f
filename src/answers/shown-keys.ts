// Finds which rows of datasets an answer shows, for its audit record. Only datasets whose policy asks for it have key columns here.
import type { RecordedKeys } from "../audit/record-keys.ts";
import type { GovernedRow, TableRead, VisibleTable } from "../read/source.ts";
import { toJsonCell } from "../sql/result-encoding.ts";
import type { Cell } from "../sql/result-encoding.ts";
import { hasSingleRowOrigin } from "../sql/single-row-origin.ts";
import type { ColumnLabels } from "./column-labels.ts";
import { formatRowKey } from "./row-key.ts";

/** Where a table or a result shows the key of a dataset's rows. */
export interface KeyColumns {
  readonly dataset: string;
  /** Columns of the table or result, in the order of the key; empty when it does not show the key in clear. */
  readonly columns: readonly string[];
  /** Whether each of its rows comes from at most one row of the dataset, which these columns name. */
  readonly complete: boolean;
}

/** Returns the key columns of a declared table; none when its keys are not recorded. */
export function listTableKeys({ dataset }: VisibleTable): readonly KeyColumns[] {
  return dataset.recordKeys ? [{ dataset: dataset.id, columns: dataset.key, complete: true }] : [];
}

/** Finds the key columns of a read. `keysByTable` has those of the tables that it reads, `labels` those of its columns. */
export function findKeyColumns(
  read: Pick<TableRead, "columns" | "shape" | "statement">,
  labels: readonly ColumnLabels[],
  keysByTable: ReadonlyMap<string, readonly KeyColumns[]>,
): readonly KeyColumns[] {
  const readKeys = [...keysByTable].flatMap(([table, keys]) => keys.map((key) => ({ ...key, table })));
  return [...Map.groupBy(readKeys, ({ dataset }) => dataset)].flatMap(([dataset, keys]) => {
    const found = keys.flatMap(({ table, columns, complete }): KeyColumns[] => {
      // The user must see a key in clear: a record must not tell what an answer masks.
      const shownColumns = columns.map((column) =>
        read.columns.filter((_name, index) => {
          const origin = read.shape.columns[index]?.origin;
          return origin?.table === table && origin.column === column && labels[index]?.masked.length === 0;
        }),
      );
      const first = shownColumns.flatMap(([name]) => name ?? []);
      if (first.length === 0 || first.length < columns.length) return [];
      const isSingle = hasSingleRowOrigin(read.statement, table);
      if (isSingle) return [{ dataset, columns: first, complete: complete && keys.length === 1 }];
      // The values of a key of several columns could be those of different rows.
      if (columns.length > 1) return [];
      return (shownColumns[0] ?? []).map((name) => ({ dataset, columns: [name], complete: false }));
    });
    return found.length === 0 ? [{ dataset, columns: [], complete: false }] : found;
  });
}

/** Takes the keys of rows that an answer shows. `columns` are the names of their columns. A row of an outer join may have none. */
export function takeKeys(
  keys: readonly KeyColumns[],
  columns: readonly string[],
  rows: readonly GovernedRow[],
): RecordedKeys {
  return Object.fromEntries(
    [...Map.groupBy(keys, ({ dataset }) => dataset)].map(([dataset, tuples]) => {
      const values = tuples.flatMap((tuple) => {
        const indexes = tuple.columns.map((name) => columns.indexOf(name));
        return indexes.length === 0 ? [] : rows.flatMap((row) => writeKey(indexes.map((index) => row[index] ?? null)));
      });
      const complete = rows.length === 0 || tuples.every((tuple) => tuple.complete);
      return [dataset, { values: [...new Set(values)], complete }];
    }),
  );
}

/** Writes a key as in the id of its row; nothing for a key with NULL. */
export function writeKey(cells: readonly Cell[]): readonly string[] {
  const values = cells.map(toJsonCell);
  return values.includes(null) ? [] : [formatRowKey(values.map(String))];
}
