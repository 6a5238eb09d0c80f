// Detects when an index would make row order reveal masked or hidden values: rows in the order of an index show which of two indexed
// values is smaller. This includes automatic indexes, which SQLite builds for a single query. The planner then chooses another form.
import type { PlanLine } from "../sql/engine/sqlite.ts";
import type { GuardView } from "../sql/statement-guard.ts";
import { foldName } from "../sql/identifier.ts";
import { listAutoIndexedTables, listUsedIndexes } from "../sql/plan-loops.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import type { SchemaObject } from "../sql/schema-objects.ts";
import { listAutoIndexedPages, readsPages } from "../sql/program-check.ts";
import type { Instruction } from "../sql/program-check.ts";

/** Whether a plan can leak the order of values that `usedViews` do not show. */
export function planLeaksOrder(copy: SchemaCopy, lines: readonly PlanLine[], usedViews: readonly GuardView[]): boolean {
  return (
    listUsedIndexes(lines).some((index) => indexLeaksOrder(copy, index, usedViews)) ||
    listAutoIndexedTables(lines).some((table) => !isOrderSafeView(copy, findView(table, usedViews)))
  );
}

/** Whether the database's program for a statement can leak the order of values that `usedViews` do not show. */
export function programLeaksOrder(
  copy: SchemaCopy,
  program: readonly Instruction[],
  usedViews: readonly GuardView[],
): boolean {
  const unsafeViews = usedViews.filter((view) => !isOrderSafeView(copy, view));
  return (
    readsPages(program, new Set(usedViews.flatMap((view) => listLeakingIndexPages(copy, view, usedViews)))) ||
    listAutoIndexedPages(program).some((page) =>
      unsafeViews.some((view) => findTableObject(copy, view)?.rootPage === page),
    )
  );
}

/** Whether some plan over the view's table could leak order: it has a leaking index, or SQLite could build one. */
export function mayLeakOrder(copy: SchemaCopy, view: GuardView): boolean {
  return !isOrderSafeView(copy, view) || hasLeakingIndex(copy, view);
}

/** Whether the view's table has an index that leaks the order of values that the view does not show. */
export function hasLeakingIndex(copy: SchemaCopy, view: GuardView): boolean {
  return listLeakingIndexPages(copy, view, [view]).length > 0;
}

function listLeakingIndexPages(copy: SchemaCopy, view: GuardView, usedViews: readonly GuardView[]): readonly number[] {
  const isLeakingIndex = ({ type, name }: SchemaObject): boolean =>
    type === "index" && indexLeaksOrder(copy, name, usedViews);
  return copy.listObjects([view.name]).flatMap((object) => (isLeakingIndex(object) ? [object.rootPage] : []));
}

function indexLeaksOrder(copy: SchemaCopy, index: string, usedViews: readonly GuardView[]): boolean {
  const table = copy.snapshot.objects.find(({ type, name }) => type === "index" && name === index)?.table ?? "";
  // Masking tokens are looked up by their whole key, which returns one row and so has no order.
  if (usedViews.some(({ lookup }) => lookup?.table === table)) return false;
  const columns = copy.listIndexColumns(index);
  const view = findView(table, usedViews);
  return (
    columns === undefined || view === undefined || !columns.every((column) => isOrderSafeColumn(copy, view, column))
  );
}

/** Whether every column that an automatic index on the view's table could contain is order-safe. */
function isOrderSafeView(copy: SchemaCopy, view: GuardView | undefined): boolean {
  if (view === undefined) return false;
  // Its rows are sorted by what they show.
  if (view.isDatabaseView) return true;
  const { columns } = copy.getTableShape(view.name);
  const indexesUsedColumnsOnly = columns.length < MANY_COLUMNS && !columns.some(({ isGenerated }) => isGenerated);
  const indexedColumns = indexesUsedColumnsOnly ? view.readColumns.map(foldName) : columns.map(({ name }) => name);
  return indexedColumns.every((column) => isOrderSafeColumn(copy, view, column));
}

/** In tables with this many columns or with generated columns, SQLite puts more columns into an automatic index than the query uses. */
const MANY_COLUMNS = 64;

function isOrderSafeColumn(copy: SchemaCopy, view: GuardView, column: string): boolean {
  if (view.clearColumns.some((name) => foldName(name) === column)) return true;
  const pinnedColumn = view.pinnedByRule.find(({ name }) => foldName(name) === column);
  // An index may use another collation than the rule, by which values that the rule treats as equal differ.
  if (pinnedColumn === undefined || /\bCOLLATE\b/i.test(findTableObject(copy, view)?.sql ?? "COLLATE")) return false;
  return (
    !pinnedColumn.isNumber ||
    copy.getTableShape(view.name).columns.some((candidate) => candidate.name === column && candidate.isNumeric)
  );
}

function findTableObject(copy: SchemaCopy, { name }: GuardView): SchemaObject | undefined {
  return copy.listObjects([name]).find(({ type }) => type === "table");
}

function findView(table: string, usedViews: readonly GuardView[]): GuardView | undefined {
  return usedViews.find(({ name }) => foldName(name) === foldName(table));
}
