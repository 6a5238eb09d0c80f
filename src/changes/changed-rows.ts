// Shows the rows of a change before and after it, under the decision of one viewer.
import { formatMask, listVisibleColumns } from "../policy/guard-view.ts";
import { parseChangeLiteral } from "../policy/change-values.ts";
import { toDriverValue } from "../sql/parameters.ts";
import type { ChangeOperation } from "../policy/change-model.ts";
import type { SetValue } from "../policy/change-plan.ts";
import type { ChangedRows, ChangeTarget, RestoredRows, ShownImages } from "../read/change-target.ts";
import type { GovernedRow, VisibleTable } from "../read/source.ts";
import { toJsonCell } from "../sql/result-encoding.ts";
import type { ShownColumn, ShownRow, ShownValue } from "./change-view.ts";
import type { StoredChange } from "./stored-change.ts";

/** The rows of a change as a viewer sees them. */
export interface RowsView {
  readonly columns: readonly ShownColumn[];
  readonly rows: readonly ShownRow[];
  readonly unseenRows: number;
  readonly hasDrifted: boolean;
  /** What the source said of the rows as they are, or as the change left them. */
  readonly read: ChangedRows;
  /** Every row that is shown, as it was read. */
  readonly governedRows: readonly GovernedRow[];
}

const NOT_VISIBLE: ShownValue = { kind: "not visible" };
const NO_ROWS: ChangedRows = { total: 0, visible: 0, rows: [], numbers: [], columns: [], hasDrifted: false };

/**
 * Reads and shows the rows; none of a table that the viewer does not read, or that the policy does not declare any more. `isOwn`: the
 * viewer asked for the change, so its new values are theirs.
 */
export async function viewChangedRows(
  change: StoredChange,
  table: VisibleTable | undefined,
  target: ChangeTarget | undefined,
  { maxRows, isOwn }: { readonly maxRows: number; readonly isOwn: boolean },
): Promise<RowsView> {
  const { rowCount } = change;
  if (table === undefined || target === undefined) {
    const read = { ...NO_ROWS, total: rowCount };
    return { columns: [], rows: [], unseenRows: rowCount, hasDrifted: false, read, governedRows: [] };
  }
  const { current, restored } = await readRows(change, table, target, { maxRows, isOwn });
  const columns = listColumns(change, table, current.columns.length > 0 ? current : restored);
  const rows = buildRows(change, table, columns, { current, restored }, isOwn);
  const order = orderColumns(columns, table);
  // A row of an undo has to be seen as it is and as it becomes.
  const visible = Math.min(...[current, restored].filter(({ total }) => total > 0).map((read) => read.visible));
  const total = Math.max(current.total, restored.total);
  const hasDrifted = current.hasDrifted || !isKept(change, current, restored);
  const names = current.columns.length > 0 ? current.columns : restored.columns;
  const read = { ...current, columns: names, total, visible: total === 0 ? 0 : visible, hasDrifted };
  const arrange = <Item>(items: readonly Item[]): readonly Item[] => order.flatMap((index) => items[index] ?? []);
  return {
    columns: arrange(columns),
    rows: rows.map(({ before, after }) => ({ before: before && arrange(before), after: after && arrange(after) })),
    unseenRows: total - read.visible,
    // Of rows that the viewer does not see, not even a change is told.
    hasDrifted: hasDrifted && read.visible === total,
    read,
    governedRows: [...current.rows, ...restored.rows],
  };
}

/** Whether the images of every row of an open change are still there: without them it can only end as a conflict. */
function isKept(change: StoredChange, current: ChangedRows, restored: RestoredRows): boolean {
  const { terms, state, endReason, rowCount } = change;
  if (state === "applied" || endReason !== null) return true;
  const isUndo = terms.undoes !== null;
  const currentRows = isUndo && terms.operation === "delete" ? 0 : rowCount;
  const restoredRows = isUndo && terms.operation !== "insert" ? rowCount : 0;
  return current.total === currentRows && restored.total === restoredRows;
}

/** The key and the columns that the change sets come first, so that a person sees them without scrolling. */
function orderColumns(columns: readonly ShownColumn[], { dataset }: VisibleTable): readonly number[] {
  const rank = ({ name, isSet }: ShownColumn): number => (dataset.key.includes(name) ? 0 : isSet ? 1 : 2);
  return columns
    .map((column, index) => ({ index, rank: rank(column) }))
    .toSorted((left, right) => left.rank - right.rank || left.index - right.index)
    .map(({ index }) => index);
}

interface ReadRows {
  /** The rows as they are now. */
  readonly current: ChangedRows;
  /** The rows that an undo restores; none for a change of its own. */
  readonly restored: RestoredRows;
}

async function readRows(
  change: StoredChange,
  table: VisibleTable,
  target: ChangeTarget,
  { maxRows, isOwn }: { readonly maxRows: number; readonly isOwn: boolean },
): Promise<ReadRows> {
  const { terms, state } = change;
  const images = findImages(change);
  if (images === null) return { current: NO_ROWS, restored: NO_ROWS };
  const isInsert = terms.operation === "insert";
  if (state !== "applied" && terms.undoes === null && isInsert) {
    const isSeen = isOwn || (await target.seesNewRow(table, listSetValues(change, table)));
    return { current: { ...NO_ROWS, total: 1, visible: isSeen ? 1 : 0 }, restored: NO_ROWS };
  }
  const showImages = async (id: string | null, phase: "before" | "after"): Promise<RestoredRows> =>
    id === null ? NO_ROWS : target.showImages(id, phase, table, maxRows);
  if (state !== "applied") {
    const undoes = isInsert ? null : terms.undoes;
    const [current, restored] = await Promise.all([target.show(images, table, maxRows), showImages(undoes, "before")]);
    return { current, restored };
  }
  // What the change replaced and what it left, whatever has become of the rows since.
  const [current, left, replaced] = await Promise.all([
    target.show(images, table, 0),
    showImages(change.id, "after"),
    showImages(getRowEffect(change) === "insert" ? null : change.id, "before"),
  ]);
  return { current: { ...left, hasDrifted: current.hasDrifted }, restored: replaced };
}

function listSetValues({ terms }: StoredChange, { dataset }: VisibleTable): readonly SetValue[] {
  return Object.entries(terms.values).flatMap(([name, literal]) => {
    const column = dataset.columns.find((candidate) => candidate.name === name);
    return column === undefined ? [] : [{ column, value: parseChangeLiteral(column, literal, name) }];
  });
}

/** The images that still exist: of the preview until the change has ended, then those that it left; none if it was not applied. */
function findImages({ id, previewId, state, endReason }: StoredChange): ShownImages | null {
  if (state === "applied") return { id, phase: "after" };
  return endReason === null ? { id: previewId, phase: "preview" } : null;
}

function listColumns(
  { terms }: StoredChange,
  { dataset, decision }: VisibleTable,
  read: RestoredRows,
): readonly ShownColumn[] {
  const visible = listVisibleColumns(decision, dataset).map(({ name }) => name);
  const names = read.columns.length > 0 ? read.columns : visible;
  return names.map((name) => ({
    name,
    isSet: Object.hasOwn(terms.values, name),
    isUntrusted: dataset.columns.find((column) => column.name === name)?.untrusted ?? false,
  }));
}

function buildRows(
  change: StoredChange,
  table: VisibleTable,
  columns: readonly ShownColumn[],
  { current, restored }: ReadRows,
  isOwn: boolean,
): readonly ShownRow[] {
  const { terms, state } = change;
  const rows = current.rows.map(toShownValues);
  if (state === "applied") return pairRows(getRowEffect(change), restored, current);
  if (terms.undoes !== null) return pairRows(getRowEffect(change), current, restored);
  const setValues = (before: readonly ShownValue[] | undefined): readonly ShownValue[] =>
    columns.map(({ name, isSet }, index) => {
      if (isSet) return showNewValue(change, table, name, isOwn);
      if (change.computedColumns.includes(name)) return { kind: "set by the database" };
      return before?.[index] ?? { kind: "value", value: null };
    });
  switch (terms.operation) {
    case "insert":
      return current.visible === 0 ? [] : [{ before: null, after: setValues(undefined) }];
    case "update":
      return rows.map((row) => ({ before: row, after: setValues(row) }));
    case "delete":
      return rows.map((row) => ({ before: row, after: null }));
  }
}

/** What a change does to rows: an undo does the opposite of what it takes back. */
function getRowEffect({ terms: { operation, undoes } }: StoredChange): ChangeOperation {
  if (undoes === null || operation === "update") return operation;
  return operation === "insert" ? "delete" : "insert";
}

/** Pairs the rows before and after by their numbers. */
function pairRows(effect: ChangeOperation, from: RestoredRows, to: RestoredRows): readonly ShownRow[] {
  if (effect === "insert") return to.rows.map((row) => ({ before: null, after: toShownValues(row) }));
  if (effect === "delete") return from.rows.map((row) => ({ before: toShownValues(row), after: null }));
  return from.rows.flatMap((row, index) => {
    const after = to.rows[to.numbers.indexOf(from.numbers[index] ?? 0)];
    // A row that the viewer sees only before or only after is not shown, and counts as unseen.
    return after === undefined ? [] : [{ before: toShownValues(row), after: toShownValues(after) }];
  });
}

function toShownValues(row: GovernedRow): readonly ShownValue[] {
  return row.map((cell): ShownValue => ({ kind: "value", value: toJsonCell(cell) }));
}

function showNewValue(
  { terms }: StoredChange,
  { dataset, decision }: VisibleTable,
  name: string,
  isOwn: boolean,
): ShownValue {
  const column = dataset.columns.find((candidate) => candidate.name === name);
  const viewColumn = listVisibleColumns(decision, dataset).find((candidate) => candidate.name === name);
  if (column === undefined || viewColumn === undefined || (!isOwn && formatMask(viewColumn) !== null))
    return NOT_VISIBLE;
  return { kind: "value", value: toDriverValue(parseChangeLiteral(column, terms.values[name], name)) };
}
