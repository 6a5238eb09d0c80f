// Finds which foreign keys of a file D1 could not enforce, because D1 cannot switch them off: their table is missing, their columns are
// not unique, or rows already break them. Orders tables by their foreign keys.
import type { DatabaseSync } from "node:sqlite";
import { foldName, quoteIdentifier } from "../../src/sql/identifier.ts";

/** A foreign key of a table in the file. */
export interface ForeignKey {
  readonly parent: string;
  readonly from: readonly string[];
  /** The parent's columns; null stands for its primary key. */
  readonly to: readonly string[] | null;
}

/** Lists the foreign keys of a table in the order in which its declaration has them. */
export function listForeignKeys(source: DatabaseSync, table: string): readonly ForeignKey[] {
  const rows = source
    .prepare(
      `SELECT id, "table" AS parent, "from" AS own, "to" AS target FROM pragma_foreign_key_list(?, 'main') ORDER BY id DESC, seq`,
    )
    .all(table);
  const byId = Map.groupBy(rows, (row) => Number(row["id"]));
  return [...byId.values()].map((columns) => {
    const targets = columns.flatMap(({ target }) => (target === null ? [] : [String(target)]));
    return {
      parent: String(columns[0]?.["parent"]),
      from: columns.map(({ own }) => String(own)),
      to: targets.length === columns.length ? targets : null,
    };
  });
}

/** Says why D1 could not enforce a foreign key; undefined if it can. `loaded` finds a loaded table by its folded name. */
export function findFault(
  source: DatabaseSync,
  child: string,
  key: ForeignKey,
  loaded: ReadonlyMap<string, string>,
): string | undefined {
  const parent = loaded.get(foldName(key.parent));
  if (parent === undefined) return `there is no table ${key.parent}`;
  const primary = listPrimaryKey(source, parent);
  const columns = key.to ?? primary;
  const isKey = columns.length > 0 && columns.length === key.from.length;
  if (!isKey || !isUnique(source, parent, columns, primary)) return `${parent} has no unique key of these columns`;
  const broken = countBroken(source, child, key.from, parent, columns);
  return broken === 0 ? undefined : `${broken} ${broken === 1 ? "row refers" : "rows refer"} to no row of ${parent}`;
}

/** Lists the columns of a table's primary key in their order. */
export function listPrimaryKey(source: DatabaseSync, table: string): readonly string[] {
  return source
    .prepare("SELECT name FROM pragma_table_xinfo(?, 'main') WHERE pk > 0 ORDER BY pk")
    .all(table)
    .map((row) => String(row["name"]));
}

function isUnique(
  source: DatabaseSync,
  table: string,
  columns: readonly string[],
  primary: readonly string[],
): boolean {
  if (isSameSet(columns, primary)) return true;
  const indexes = source
    .prepare(`SELECT name FROM pragma_index_list(?, 'main') WHERE "unique" = 1 AND partial = 0`)
    .all(table);
  const columnsOf = source.prepare("SELECT name FROM pragma_index_xinfo(?, 'main') WHERE key = 1");
  // A part that is an expression has no name.
  return indexes.some((index) =>
    isSameSet(
      columns,
      columnsOf.all(String(index["name"])).map((row) => String(row["name"])),
    ),
  );
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  const names = new Set(other.map(foldName));
  return one.length === other.length && one.every((name) => names.has(foldName(name)));
}

/** Counts rows that refer to no row. The `+` takes away the child's affinity, because a foreign key compares by the parent's. */
function countBroken(
  source: DatabaseSync,
  child: string,
  from: readonly string[],
  parent: string,
  to: readonly string[],
): number {
  const filled = from.map((column) => `child.${quoteIdentifier(column)} IS NOT NULL`);
  const equal = to.map(
    (column, index) => `parent.${quoteIdentifier(column)} = +child.${quoteIdentifier(from[index] ?? "")}`,
  );
  const row = source
    .prepare(
      `SELECT count(*) AS broken FROM main.${quoteIdentifier(child)} AS child WHERE ${filled.join(" AND ")} ` +
        `AND NOT EXISTS (SELECT 1 FROM main.${quoteIdentifier(parent)} AS parent WHERE ${equal.join(" AND ")})`,
    )
    .get();
  return Number(row?.["broken"]);
}

/**
 * Groups tables so that each group comes after the groups that it refers to. Tables that refer to each other in a cycle, or to
 * themselves, share a group.
 */
export function groupByReferences(
  tables: readonly string[],
  parentsOf: (table: string) => readonly string[],
): readonly (readonly string[])[] {
  const reached = new Map(tables.map((table) => [table, listReached(table, parentsOf)]));
  const isMutual = (one: string, other: string): boolean =>
    one === other || (reached.get(one)?.has(other) === true && reached.get(other)?.has(one) === true);
  const done = new Set<string>();
  const groups: string[][] = [];
  const visit = (table: string): void => {
    if (done.has(table)) return;
    const group = tables.filter((other) => isMutual(table, other));
    for (const member of group) done.add(member);
    for (const member of group) for (const parent of parentsOf(member)) visit(parent);
    groups.push(group);
  };
  for (const table of tables) visit(table);
  return groups;
}

function listReached(table: string, parentsOf: (table: string) => readonly string[]): ReadonlySet<string> {
  const reached = new Set<string>();
  const pending = [...parentsOf(table)];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    pending.push(...parentsOf(next));
  }
  return reached;
}
