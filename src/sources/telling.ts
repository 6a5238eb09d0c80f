// What would tell by the order of rows about values that somebody does not see as they are stored: rows that come in the order of an
// index tell which of two values in it is smaller. SQLite makes such indexes by itself, too, for one query.
import type { PlanLine } from "../sql/engine/sqlite.ts";
import type { GuardView } from "../sql/guard.ts";
import { foldName } from "../sql/identifier.ts";
import { indexedFor, indexesOf } from "../sql/plan.ts";
import type { SchemaCopy, SchemaObject } from "../sql/schema.ts";
import { indexedPages, readsPages } from "../sql/verify.ts";
import type { Instruction } from "../sql/verify.ts";

/** Whether a plan does, for who sees the tables as `used` shows them. */
export function planTells(copy: SchemaCopy, lines: readonly PlanLine[], used: readonly GuardView[]): boolean {
  return (
    indexesOf(lines).some((index) => indexTells(copy, index, used)) ||
    indexedFor(lines).some((table) => !isOpen(copy, viewOf(table, used)))
  );
}

/** Whether the program that the database made does. */
export function programTells(copy: SchemaCopy, program: readonly Instruction[], used: readonly GuardView[]): boolean {
  const covert = used.filter((view) => !isOpen(copy, view));
  return (
    readsPages(program, new Set(used.flatMap((view) => tellingPages(copy, view, used)))) ||
    indexedPages(program).some((page) => covert.some((view) => tableOf(copy, view)?.rootPage === page))
  );
}

/** Whether a program for this view's table could: there is an index for it, or SQLite might make one. */
export function couldTell(copy: SchemaCopy, view: GuardView): boolean {
  return !isOpen(copy, view) || hasTellingIndex(copy, view);
}

/** Whether the view's table has an index that does. */
export function hasTellingIndex(copy: SchemaCopy, view: GuardView): boolean {
  return tellingPages(copy, view, [view]).length > 0;
}

function tellingPages(copy: SchemaCopy, view: GuardView, used: readonly GuardView[]): readonly number[] {
  const isTelling = ({ type, name }: SchemaObject): boolean => type === "index" && indexTells(copy, name, used);
  return copy.objectsOf([view.name]).flatMap((object) => (isTelling(object) ? [object.rootPage] : []));
}

function indexTells(copy: SchemaCopy, index: string, used: readonly GuardView[]): boolean {
  const table = copy.snapshot.objects.find(({ type, name }) => type === "index" && name === index)?.table ?? "";
  // Tokens are looked up by their whole key: no order comes of that.
  if (used.some(({ lookup }) => lookup?.table === table)) return false;
  const columns = copy.columnsOfIndex(index);
  const view = viewOf(table, used);
  return columns === undefined || view === undefined || !columns.every((column) => isUntelling(copy, view, column));
}

/** Whether nothing that an index for one query could hold of the table tells anything by its order. */
function isOpen(copy: SchemaCopy, view: GuardView | undefined): boolean {
  if (view === undefined) return false;
  const { columns } = copy.shapeOf(view.name);
  const isUsedAlone = columns.length < MANY_COLUMNS && !columns.some(({ isGenerated }) => isGenerated);
  const held = isUsedAlone ? view.reads.map(foldName) : columns.map(({ name }) => name);
  return held.every((column) => isUntelling(copy, view, column));
}

/** From so many columns on, and with columns that are computed, SQLite puts more into such an index than the query uses. */
const MANY_COLUMNS = 64;

function isUntelling(copy: SchemaCopy, view: GuardView, column: string): boolean {
  if (view.clear.some((name) => foldName(name) === column)) return true;
  const settled = view.settled.find(({ name }) => foldName(name) === column);
  // Values that are equal by one collation need not be by another, which an index may have.
  if (settled === undefined || /\bCOLLATE\b/i.test(tableOf(copy, view)?.sql ?? "COLLATE")) return false;
  return !settled.isNumber || copy.shapeOf(view.name).columns.some((one) => one.name === column && one.isNumeric);
}

function tableOf(copy: SchemaCopy, { name }: GuardView): SchemaObject | undefined {
  return copy.objectsOf([name]).find(({ type }) => type === "table");
}

function viewOf(table: string, used: readonly GuardView[]): GuardView | undefined {
  return used.find(({ name }) => foldName(name) === foldName(table));
}
