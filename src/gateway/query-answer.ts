// Builds the answer to a query: the first rows as JSON, labelled counts, and everything an assistant must know before it draws
// conclusions (cuts, masks, row rules, untrusted text).
import { describeEncoding } from "../sql/result-encoding.ts";
import type { TableRead } from "../read/source.ts";
import type { WideCell } from "../read/wide-cell.ts";
import { listLineageRules } from "../results/lineage.ts";
import type { Provenance } from "../results/lineage.ts";
import { describeWideCell, formatTotal } from "../answers/shown-rows.ts";
import type { ShownRow } from "../answers/shown-rows.ts";
import { UNTRUSTED_NOTE } from "../answers/untrusted-text.ts";

export interface QueryAnswer {
  /** The id of the stored result: a table of source `workspace`, and an id for fetch. */
  readonly result: string;
  readonly columns: readonly string[];
  readonly rows: readonly ShownRow[];
  readonly count: RowCount;
  /** Columns with values that JSON can only carry as text, as `column: integer as text`. */
  readonly encoded?: readonly string[];
  /** Why rows are missing and what to do; absent if none are. */
  readonly cut?: string;
  /** Results that this answer is based on and that lack rows, as `r1 has 10 of at least 11 rows`; absent if there are none. */
  readonly incomplete?: readonly string[];
  /** Datasets of which the user sees only the rows that their rules allow. */
  readonly restricted?: readonly string[];
  /** Columns that the SQL reads and that are masked for this user. */
  readonly masked?: readonly string[];
  /** How exact the masked columns are that the SQL compares, sorts or computes with; absent if there are none. */
  readonly inexact?: readonly string[];
  /** Columns that the SQL reads and whose text outsiders write. Their texts in the rows are fenced, and those of computed columns. */
  readonly untrusted?: readonly string[];
  /** Explains the fence; present with `untrusted`. */
  readonly note?: string;
  /** The ids of the rules that granted the rows. */
  readonly rules: readonly string[];
}

/** Rows in `rows`, rows that are stored, and the total; `atLeast` replaces it if reading stopped at the row limit. */
type RowCount = { readonly shown: number; readonly kept: number } & (
  { readonly total: number } | { readonly atLeast: number }
);

interface AnswerInput {
  readonly read: TableRead;
  readonly rows: readonly ShownRow[];
  /** The cell for which later rows are not shown or not stored; null if they are missing for another reason. */
  readonly wideCell: WideCell | null;
  readonly provenance: Provenance;
  readonly result: string;
  readonly storedRows: number;
}

/** Builds the answer from the rows that were read and the result that stores them. */
export function buildQueryAnswer({ read, rows, wideCell, provenance, result, storedRows }: AnswerInput): QueryAnswer {
  const { restricted, masked, inexact, untrusted, incomplete } = provenance;
  const encoded = listEncodedColumns(read, rows.length);
  const counts = { shown: rows.length, kept: storedRows };
  const count = read.hasMore ? { ...counts, atLeast: read.rows.length + 1 } : { ...counts, total: read.rows.length };
  const isCut = read.hasMore || rows.length < read.rows.length;
  return {
    result,
    columns: read.columns,
    rows,
    count,
    ...(encoded.length > 0 ? { encoded } : {}),
    ...(isCut ? { cut: describeCut(read, counts, result, wideCell) } : {}),
    ...(incomplete.length > 0 ? { incomplete } : {}),
    ...(restricted.length > 0 ? { restricted } : {}),
    ...(masked.length > 0 ? { masked } : {}),
    ...(inexact.length > 0 ? { inexact } : {}),
    ...(untrusted.length > 0 ? { untrusted, note: UNTRUSTED_NOTE } : {}),
    rules: listLineageRules(provenance),
  };
}

function listEncodedColumns({ columns, rows }: TableRead, shownRows: number): readonly string[] {
  return columns.flatMap((column, index) => {
    const encodings = new Set(rows.slice(0, shownRows).flatMap((row) => describeEncoding(row[index] ?? null) ?? []));
    return [...encodings].map((encoding) => `${column}: ${encoding}`);
  });
}

function describeCut(
  { rows, hasMore }: TableRead,
  count: { readonly shown: number; readonly kept: number },
  result: string,
  wideCell: WideCell | null,
): string {
  const cause = wideCell === null ? "" : ` ${describeWideCell(wideCell)}`;
  const total = formatTotal({ read: rows.length, more: hasMore });
  const rest =
    count.kept > count.shown
      ? `${count.kept} rows are stored as ${result}: fetch it, or query it as a table of source workspace.`
      : "The other rows are not stored.";
  const narrow = count.kept < rows.length || hasMore ? " To cover all rows, aggregate or filter in SQL." : "";
  return `${count.shown} of ${total} rows shown.${cause} ${rest}${narrow}`;
}
