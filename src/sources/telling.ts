// Indexes whose order would tell about values that somebody does not see as they are stored: rows that come in it tell which of
// two such values is smaller.
import type { GuardView } from "../sql/guard.ts";
import { foldName } from "../sql/identifier.ts";
import type { SchemaCopy, SchemaObject } from "../sql/schema.ts";

/** Whether this index does, for who sees the tables as `used` shows them. */
export function tells(copy: SchemaCopy, index: string, used: readonly GuardView[]): boolean {
  const columns = copy.columnsOfIndex(index);
  const table = copy.snapshot.objects.find(({ type, name }) => type === "index" && name === index)?.table;
  // Tokens are looked up by their whole key: no order comes of that.
  if (table !== undefined && used.some(({ lookup }) => lookup?.table === table)) return false;
  const view = used.find(({ name }) => table !== undefined && foldName(name) === foldName(table));
  if (columns === undefined || view === undefined) return true;
  const clear = new Set(view.clear.map(foldName));
  return columns.some((column) => !clear.has(column));
}

/** Whether the view's table has one that does. */
export function hasTellingIndex(copy: SchemaCopy, view: GuardView): boolean {
  return copy.objectsOf([view.name]).some(({ type, name }) => type === "index" && tells(copy, name, [view]));
}

/** The root pages of those that do. */
export function tellingPages(
  copy: SchemaCopy,
  objects: readonly SchemaObject[],
  used: readonly GuardView[],
): readonly number[] {
  return objects.flatMap(({ type, name, rootPage }) => (type === "index" && tells(copy, name, used) ? [rootPage] : []));
}
