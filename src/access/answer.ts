// The answer of a query: its first rows in the form that leaves, numbers that say what they count, and what is to be known
// of them before anybody concludes something.
import { encodingOf } from "../sql/exact.ts";
import type { TableRead } from "../sources/source.ts";
import { grantingRulesOf } from "./lineage.ts";
import type { Provenance } from "./lineage.ts";
import { totalText } from "./shown-rows.ts";
import type { ShownRow } from "./shown-rows.ts";
import { UNTRUSTED_NOTE } from "./untrusted.ts";

export interface QueryAnswer {
  /** The id under which the rows are kept: a table of the source `workspace`, and for fetch. */
  readonly result: string;
  readonly columns: readonly string[];
  readonly rows: readonly ShownRow[];
  readonly count: RowCount;
  /** Columns in which some values are text that JSON cannot hold otherwise, as `column: integer as text`. */
  readonly encoded?: readonly string[];
  /** Why rows are missing, and what to do; absent when none are. */
  readonly cut?: string;
  /** The results behind this answer that do not have all rows, as `r1 has 10 of at least 11 rows`; absent when there are none. */
  readonly incomplete?: readonly string[];
  /** Datasets of which the person sees only the rows that their rules allow. */
  readonly restricted?: readonly string[];
  /** Columns in reach of the SQL that are masked for this person. */
  readonly masked?: readonly string[];
  /** Columns in reach of the SQL whose text outsiders write; every text of the rows is then fenced. */
  readonly untrusted?: readonly string[];
  /** What the fence means; there with `untrusted`. */
  readonly note?: string;
  /** The rules that granted what was read. */
  readonly rules: readonly string[];
}

/** Rows in `rows`, rows that are kept, and all that there are or, where nobody counted further, at least are. */
export type RowCount = { readonly shown: number; readonly kept: number } & (
  { readonly total: number } | { readonly atLeast: number }
);

export interface AnswerParts {
  readonly read: TableRead;
  readonly rows: readonly ShownRow[];
  readonly provenance: Provenance;
  readonly result: string;
  /** Rows that are kept. */
  readonly kept: number;
}

export function answerQuery({ read, rows, provenance, result, kept }: AnswerParts): QueryAnswer {
  const { restricted, masked, untrusted, incomplete } = provenance;
  const encoded = encodedColumns(read, rows.length);
  const counted = { shown: rows.length, kept };
  const count = read.more ? { ...counted, atLeast: read.rows.length + 1 } : { ...counted, total: read.rows.length };
  const isCut = read.more || rows.length < read.rows.length;
  return {
    result,
    columns: read.columns,
    rows,
    count,
    ...(encoded.length > 0 ? { encoded } : {}),
    ...(isCut ? { cut: cutText(read, counted, result) } : {}),
    ...(incomplete.length > 0 ? { incomplete } : {}),
    ...(restricted.length > 0 ? { restricted } : {}),
    ...(masked.length > 0 ? { masked } : {}),
    ...(untrusted.length > 0 ? { untrusted, note: UNTRUSTED_NOTE } : {}),
    rules: grantingRulesOf(provenance),
  };
}

function encodedColumns({ columns, rows }: TableRead, shown: number): readonly string[] {
  return columns.flatMap((column, index) => {
    const found = new Set(rows.slice(0, shown).flatMap((row) => encodingOf(row[index] ?? null) ?? []));
    return [...found].map((encoding) => `${column}: ${encoding}`);
  });
}

function cutText(
  { rows, more }: TableRead,
  count: { readonly shown: number; readonly kept: number },
  result: string,
): string {
  const total = totalText({ read: rows.length, more });
  const rest =
    count.kept > count.shown
      ? `${count.kept} are kept as ${result}: read on with fetch, or use it as a table of source workspace.`
      : "The rest is not here.";
  const narrow = count.kept < rows.length || more ? " Aggregate or filter in SQL for all of it." : "";
  return `${count.shown} of ${total} rows shown. ${rest}${narrow}`;
}
