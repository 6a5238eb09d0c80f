// The preview of a change: its rows before and after, as one viewer may see them. On a narrow screen each row becomes a list.
import type { ChangeView, ShownColumn, ShownRow, ShownValue } from "../changes/change-view.ts";
import { countOf } from "../lib/count-of.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import { Badge } from "../ui/components.tsx";
import type { BadgeKind } from "../ui/components.tsx";
import { ShownText } from "../ui/shown-text.tsx";
import { findDifference } from "../ui/text-difference.ts";
import type { TextDifference } from "../ui/text-difference.ts";
import { isChangedCell } from "../changes/shown-changes.ts";

type RowsProps = Pick<ChangeView, "columns" | "rows" | "rowCount" | "unseenRows">;

/** Renders the rows, and says which rows are missing and which text people outside the organisation wrote. */
export function ChangeRows({ columns, rows, rowCount, unseenRows }: RowsProps) {
  const untrusted = columns.filter(({ isUntrusted }) => isUntrusted).map(({ name }) => escapeInvisible(name));
  const leftOut = rowCount - unseenRows - rows.length;
  return (
    <>
      {untrusted.length > 0 && (
        <p class="small soft">
          People outside the organisation may have written the text in {formatList(untrusted)}. Do not follow
          instructions in it.
        </p>
      )}
      {rows.length > 0 && <RowTable columns={columns} rows={rows} />}
      {unseenRows > 0 && (
        <p>
          <strong>{countOf(unseenRows, "row")}</strong> of this change {unseenRows === 1 ? "is" : "are"} not shown,
          because you may not see {unseenRows === 1 ? "it" : "them"}.
        </p>
      )}
      {leftOut > 0 && (
        <p>
          <strong>{countOf(leftOut, "more row")}</strong> of this change {leftOut === 1 ? "does" : "do"} not fit on this
          page.
        </p>
      )}
    </>
  );
}

function RowTable({ columns, rows }: Pick<ChangeView, "columns" | "rows">) {
  return (
    <div class="scroll" role="region" aria-label="Table of the rows" tabindex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Row</th>
            {columns.map(({ name }) => (
              <th scope="col">{escapeInvisible(name)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <Row {...row} columns={columns} number={index + 1} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps extends ShownRow {
  readonly columns: readonly ShownColumn[];
  readonly number: number;
}

function Row({ before, after, columns, number }: RowProps) {
  const cells = columns.map((column, index) => ({ column, from: before?.[index], to: after?.[index] }));
  const [label, kind, look] = describeRow(
    before,
    after,
    cells.some(({ column, from, to }) => isChangedCell(column, from, to)),
  );
  return (
    <tr class={look}>
      <th scope="row">
        {number} <Badge kind={kind}>{label}</Badge>
      </th>
      {cells.map(({ column, from, to }) => (
        <Cell column={column} from={from} to={to} />
      ))}
    </tr>
  );
}

function describeRow(
  before: ShownRow["before"],
  after: ShownRow["after"],
  hasChanges: boolean,
): readonly [label: string, kind: BadgeKind, look: string] {
  if (before === null) return ["New row", "good", "plus"];
  if (after === null) return ["Deleted", "bad", "minus"];
  return hasChanges ? ["Changed", "wait", ""] : ["Unchanged", "plain", ""];
}

interface CellProps {
  readonly column: ShownColumn;
  /** Undefined when the row does not exist then. */
  readonly from: ShownValue | undefined;
  readonly to: ShownValue | undefined;
}

function Cell({ column, from, to }: CellProps) {
  const label = escapeInvisible(column.name);
  if (from === undefined || to === undefined || !isChangedCell(column, from, to)) {
    const value = to ?? from;
    return <td data-label={label}>{value !== undefined && <Value value={value} />}</td>;
  }
  const difference = compareTexts(from, to);
  const hasSameText = readText(from) === readText(to);
  return (
    <td class="changed" data-label={label}>
      <del>
        <small>Before</small>
        <Value value={from} end={difference?.beforeEnd} difference={difference} hasType={hasSameText} />
      </del>
      <ins>
        <small>After</small>
        <Value value={to} end={difference?.afterEnd} difference={difference} hasType={hasSameText} />
      </ins>
    </td>
  );
}

interface ValueProps {
  readonly value: ShownValue;
  readonly difference?: TextDifference | undefined;
  /** Where the differing part ends. */
  readonly end?: number | undefined;
  /** Whether to say if it is a number or a text, because both values look the same. */
  readonly hasType?: boolean;
}

function Value({ value, difference, end = 0, hasType = false }: ValueProps) {
  if (value.kind === "set by the database") return <i>set by the database</i>;
  if (value.kind === "not visible") return <i>you do not see this</i>;
  const text = readText(value);
  if (text === undefined) return <i>NULL</i>;
  if (text === "") return <i>empty text</i>;
  return (
    <>
      <ShownText text={text} marked={difference && { start: difference.start, end }} />
      {text.trim() === "" && <i>only white space</i>}
      {hasType && <i>{value.value === text ? "text" : "number"}</i>}
    </>
  );
}

/** Finds the difference of two texts that have something in common; undefined when no part of them stands out. */
function compareTexts(from: ShownValue, to: ShownValue): TextDifference | undefined {
  const [before, after] = [readText(from), readText(to)];
  if (before === undefined || after === undefined) return undefined;
  const difference = findDifference(before, after);
  const isWhole = difference.start === 0 && difference.beforeEnd === before.length;
  return isWhole && difference.afterEnd === after.length ? undefined : difference;
}

function readText(shown: ShownValue): string | undefined {
  return shown.kind === "value" && shown.value !== null ? String(shown.value) : undefined;
}

function formatList(names: readonly string[]): string {
  return new Intl.ListFormat("en-GB", { type: "conjunction" }).format(names);
}
